"""The emulated device of tests/cuda: makes a folder with libcuda.so.1, libnvrtc.so and headers whose PTX is C++."""
import re
import shutil
import subprocess

from conftest import ROOT

DEVICE = [
    (r'asm\("cvt\.f32\.f16 %0, %1;".*;', "f = emulated_half_to_float(x.bits);"),
    (r'asm\("cvt\.rn\.f16\.f32 %0, %1;".*;', "x.bits = emulated_float_to_half(f);"),
    (r'asm volatile\("st\.global\.v4\.b32.*;', "*p = w;"), (r'asm volatile\("st\.global\.v2\.b32.*;', "*p = w;"),
]
GUARDED = r"#if __CUDA_ARCH__ >= 900\n\tif \(CLUSTER > 1\) \{\n(?:(?!#endif).)*%s(?:(?!#endif).)*#endif\n"
WORDS = [
    (r'asm\("ex2.*;', "y = exp2f(x);"), (r'asm\("lg2.*;', "y = log2f(x);"), (r'asm\("sqrt.*;', "y = sqrtf(x);"),
]
STEPS = [
    (GUARDED % "mapa", "for (int rank = 0; rank < CLUSTER; rank++) *(float *)emulated_there(p, rank) = x;\n\tif (CLUSTER > 1) return;\n"),
    (GUARDED % "barrier", "if (CLUSTER > 1) {\n\t\temulated_wait(EMULATED_CLUSTER);\n\t\treturn;\n\t}\n"),
]


def replace(headers, replacements):
    """Each pattern stands once in one of the headers."""
    for ptx, instead in replacements:
        found = 0
        for header in headers:
            text, n = re.subn(ptx, lambda _: instead, header.read_text(), flags=re.DOTALL if ptx.startswith("#if") else 0)
            header.write_text(text)
            found += n
        assert found == 1, ptx


def make(folder):
    """Fills the folder."""
    cuda, include = ROOT / "tests" / "cuda", folder / "include"
    shutil.copytree(ROOT / "include" / "opgraft", include / "opgraft")
    shutil.copytree(ROOT / "src" / "cuda", include / "cuda", ignore=lambda _, names: [n for n in names if n.endswith((".c", ".h"))])
    shutil.copy(cuda / "emulate.h", include)
    replace([include / "opgraft" / "device.h"], DEVICE)
    replace([include / "cuda" / "text" / "fast.cuh"], WORDS)
    replace(sorted((include / "cuda").glob("*.cuh")), STEPS)
    subprocess.run(["g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-Wl,-soname,libcuda.so.1", f"-I{include}",
                    "-o", folder / "libcuda.so.1", cuda / "libcuda.cc", "-ldl", "-pthread"], check=True)
    subprocess.run(["cc", "-fPIC", "-shared", "-o", folder / "libnvrtc.so", cuda / "libnvrtc.c"], check=True)
    return folder
