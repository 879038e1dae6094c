"""The device view: every op file compiles as CUDA, from the text that the library embeds. Needs NVRTC, not a GPU."""
import ctypes
import re

import pytest

from conftest import BUILD, ROOT

NVRTC = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]
FORMULAS = {path: re.findall(r"^MAP(?:_TEST)?\((\w+), (\d), (\d)\)", path.read_text(), re.MULTILINE)
            for path in sorted((ROOT / "src" / "ops").glob("*.c"))}


@pytest.fixture(scope="module")
def nvrtc():
    for name in NVRTC:
        try:
            return ctypes.CDLL(name)
        except OSError:
            pass
    pytest.skip("NVRTC is not installed")


def compile_cuda(nvrtc, source, arch):
    """The PTX of CUDA C; fails with the compiler's log."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"ops.cu", 0, None, None) == 0
    options = [f"-arch={arch}".encode(), b"-fmad=false", b"-ftz=false", b"-prec-div=true", b"-prec-sqrt=true",
               f"-I{ROOT / 'include'}".encode(), f"-I{ROOT / 'src'}".encode()]
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return ptx.value.decode()


@pytest.mark.parametrize("arch", ["compute_75", "compute_90", "compute_120"])
def test_every_formula_compiles_for_the_device(nvrtc, arch):
    lines, kernels = [], 0
    for path, formulas in FORMULAS.items():
        if not formulas:
            continue
        lines.append(f'#include "ops/{path.name}"')
        for name, inputs, attributes in formulas:
            arguments = [f"x[i + {k}]" for k in range(int(inputs))] + [f"a[{k}]" for k in range(int(attributes))]
            lines.append(f'extern "C" __global__ void k_{name}(float *y, const float *x, const float *a) '
                         f"{{ int i = threadIdx.x; y[i] = (float){name}({', '.join(arguments)}); }}")
            kernels += 1
    ptx = compile_cuda(nvrtc, "\n".join(lines), arch)
    assert ptx.count(".visible .entry k_") == kernels > 50
    inexact = [kernel.split("(")[0] for kernel in ptx.split(".visible .entry ")[1:] if ".ftz" in kernel or ".approx" in kernel]
    assert inexact == ["k_modulo"] or inexact == []      # CUDA's exact fmodf begins with an estimate


def test_the_library_embeds_each_file_with_a_formula():
    """Run-time compilers read the same bytes as the C compiler did."""
    library = (BUILD / "libopgraft.so").read_bytes()
    missing = [path.name for path, formulas in FORMULAS.items() if formulas and path.read_bytes() not in library]
    assert missing == []
