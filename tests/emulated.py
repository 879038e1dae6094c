"""The emulated device of tests/cuda: makes a folder with libcuda.so.1, libnvrtc.so, headers and a compiler of CUDA C. PTX becomes calls of the
functions of tests/cuda/ptx.h: an instruction's name is the function's, its operands are the arguments, in the order of the assembly."""
import pathlib
import re
import shutil
import subprocess
import sys

from conftest import ROOT

# of the host's compiler, behind the preprocessor
FLAGS = ["-std=c++17", "-O1", "-mfma", "-fPIC", "-shared", "-ffp-contract=off", "-fwrapv", "-w", "-Wno-psabi"]


def split(text, at):
    """Sections of an asm statement between colons, from behind its parenthesis; and where it ends."""
    sections, depth, quoted = [""], 0, False
    while True:
        c = text[at]
        if c == '"' and text[at - 1] != "\\":
            quoted = not quoted
        depth += 0 if quoted else (c in "([{") - (c in ")]}")
        if depth < 0:
            return sections, text.index(";", at) + 1
        if c == ":" and depth == 0 and not quoted:
            sections.append("")
        else:
            sections[-1] += c
        at += 1


def operands(section):
    """The C expressions of "=r"(a), "r"(b + 1)."""
    found, at = [], 0
    while (at := section.find('"', at)) >= 0:
        begin = section.index("(", section.index('"', at + 1))
        at, depth = begin + 1, 1
        while depth:
            depth += (section[at] == "(") - (section[at] == ")")
            at += 1
        found.append(section[begin:at])
    return found


def call(instruction, values):
    name, _, rest = instruction.partition(" ")
    arguments = [values[int(a[1:])] if a[0] == "%" else a for a in re.findall(r"%\d+|(?<![\w.%])\d+", rest)]
    wgmma = re.match(r"wgmma\.mma_async\.sync\.aligned\.m64n(\d+)k(\d+)\.f32\.(\w+)", name)
    if wgmma:                                               # its sums lie in a row
        n, k, kind = wgmma.groups()
        return f"ptx_wgmma<{n}, {k}>(ptx_{kind}(), &{arguments[0]}, {', '.join(arguments[int(n) // 2:int(n) // 2 + 2])}, {values[-1]});"
    return f"ptx_{re.sub('[.:]+', '_', name)}({', '.join(arguments)});"


def translate(text):
    """C++ that has been through the preprocessor, without its asm statements."""
    done, at = "", 0
    for found in re.finditer(r"\basm\b\s*(volatile)?\s*\(", text):
        sections, end = split(text, found.end())
        template = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', sections[0])).replace("\\n", "\n")
        values = [value for section in sections[1:3] for value in operands(section)]
        lines = [line.strip() for line in re.split(r"[;\n]", template.strip().removeprefix("{").removesuffix("}"))]
        calls = [call(line, values) for line in lines if line and not re.match(r"\.reg|setp|@|\w+:$", line)]
        done += text[at:found.start()] + " ".join(calls)
        at = end
    return done + text[at:]


def kernels(text):
    """What libcuda.cc launches: each kernel, given where its argument lies, and the argument's bytes."""
    found = re.findall(r'extern\s+"C"\s+void\s+(\w+)\s*\(\s*const\s+(\w+)\s*&?\s*\w+\)', text)
    return "".join(f'\nextern "C" void {name}_call(const void *p) {{ {name}(*(const {kind} *)p); }}\n'
                   f'extern "C" const unsigned long {name}_bytes = sizeof({kind});' for name, kind in found)


def compile(folder, program, library, *options):
    """A library of the program's kernels for the device in that folder."""
    include = pathlib.Path(folder) / "include"
    made = subprocess.run(["g++", *FLAGS, *options, f"-I{include}", "-E", "-P", program], check=True, capture_output=True, text=True)
    subprocess.run(["g++", *FLAGS, "-x", "c++", "-o", library, "-", "-x", "none", pathlib.Path(folder) / "libcuda.so.1"], check=True, text=True,
                   input=translate(made.stdout) + kernels(made.stdout))


def make(folder):
    """Fills the folder."""
    cuda, include = ROOT / "tests" / "cuda", folder / "include"
    shutil.copytree(ROOT / "include" / "opgraft", include / "opgraft")
    shutil.copytree(ROOT / "src" / "cuda", include / "cuda", ignore=lambda _, names: [n for n in names if n.endswith(".c")])
    for name in ("emulate.h", "ptx.h"):
        shutil.copy(cuda / name, include)
    compiler = folder / "compile"
    compiler.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\nimport emulated\nemulated.compile(*sys.argv[1:])\n")
    compiler.chmod(0o755)
    subprocess.run(["g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-Wl,-soname,libcuda.so.1", f"-I{include}",
                    "-o", folder / "libcuda.so.1", cuda / "libcuda.cc", "-ldl", "-pthread"], check=True)
    subprocess.run(["cc", "-fPIC", "-shared", "-o", folder / "libnvrtc.so", cuda / "libnvrtc.c"], check=True)
    for name, library in (("libcudnn", "libcudnn.so.9"), ("libcublasLt", "libcublasLt.so.13")):
        subprocess.run(["g++", "-std=c++17", "-O1", "-w", "-fPIC", "-shared", f"-I{include}", f"-Wl,-soname,{library}", "-o", folder / library,
                        cuda / f"{name}.cc", folder / "libcuda.so.1"], check=True)
    return folder
