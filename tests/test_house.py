"""The house rules that a program can check: layers, prefixes, one file an op, headers, file sizes."""
import re
import shutil
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conftest import BUILD, ROOT

# of op libraries and of the backend for Triton, named by those who load them
BACKEND = {f"TRITONBACKEND_{name}" for name in ("Initialize", "Finalize", "ModelInitialize", "ModelFinalize", "ModelInstanceInitialize",
                                                "ModelInstanceFinalize", "ModelInstanceExecute")}
ENTRIES = {"getCreators", "setLoggerFinder", "RegisterCustomOps"} | BACKEND
FOLDERS = ["base", "graph", "ops", "schema", "onnx", "tf", "surgery", "optimize", "backend", "cpu", "cuda", "plan", "run", "bridge",
           "kit", "report", "api", "serve"]
BUILT = {"ops.inc"}          # headers that make writes
SOURCES = sorted(path for path in (ROOT / "src").glob("*/*") if path.suffix in (".c", ".h"))
HEADERS = sorted((ROOT / "include").glob("**/*.h"))
C, CXX = ["cc", "-std=c11", "-x", "c"], ["c++", "-std=c++17", "-x", "c++"]
VIEWS = {                    # of an op file, which is C
    "base": [], "ref": ["-DOG_REF"], "scalar": ["-DOG_LANES=1", "-DOG_ISA=scalar"],
    "avx2": ["-DOG_LANES=8", "-DOG_ISA=avx2", "-mavx2", "-mfma"],
    "avx512": ["-DOG_LANES=16", "-DOG_ISA=avx512", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
}


def included(path):
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.MULTILINE)


def outside(path):
    """What a file of src/ includes that its folder may not see."""
    folder = path.parent.name
    allowed = {"ops"} if folder == "ops" else set(FOLDERS[:FOLDERS.index(folder) + 1])
    for name in included(path):
        if name in BUILT or name.startswith("opgraft/"):
            continue
        if "/" in name and name.split("/")[0] in allowed and (ROOT / "src" / name).exists():
            continue
        if (path.parent / name).exists() or (name == "opgraft.h" and folder != "ops"):
            continue
        yield name


def test_every_folder_is_in_the_list():
    assert sorted(path.name for path in (ROOT / "src").iterdir()) == sorted(FOLDERS)


def test_a_folder_uses_only_those_before_it():
    assert {str(path.relative_to(ROOT)): list(outside(path)) for path in SOURCES if list(outside(path))} == {}


def test_an_op_file_includes_only_the_op_kit():
    kit = {f"ops/{path.name}" for path in SOURCES if path.parent.name == "ops" and path.suffix == ".h"}
    kit |= {f"opgraft/{path.name}" for path in HEADERS}
    wrong = {path.name: sorted(set(included(path)) - kit)
             for path in SOURCES if path.parent.name == "ops" and set(included(path)) - kit}
    assert wrong == {}


def test_the_command_sees_the_public_header_only():
    own = {path.name for path in (ROOT / "cli").iterdir()}
    wrong = {path.name: name for path in (ROOT / "cli").glob("*.[ch]") for name in included(path)
             if name != "opgraft.h" and name not in own}
    assert wrong == {}


def symbols(option, *paths):
    """(file name, symbol) of everything that the files define and nm shows under `option`."""
    nm = subprocess.run(["nm", "-A", "--defined-only", option, *paths], check=True, capture_output=True, text=True)
    lines = [line.rsplit(":", 1) for line in nm.stdout.splitlines()]
    return [(path.split("/")[-1], rest.split()[-1].split("@")[0]) for path, rest in lines]


def prefixes(folder):
    """og_, the folder's name, or that of one of its files if no other folder has such a file."""
    files = {path.stem: path.parent.name for path in SOURCES}
    shared = {path.stem for path in SOURCES if files[path.stem] != path.parent.name}
    own = {stem for stem, owner in files.items() if owner == folder} - shared
    own |= {"base": {"map", "pool"}, "ops": {"op"}, "bridge": {"device", "ort"}}.get(folder, set())
    return tuple(f"{name}_" for name in {"og", folder} | own)


def test_a_symbol_says_its_folder():
    wrong = []
    for folder in FOLDERS:
        allowed = prefixes(folder)
        objects = [path for path in (BUILD / "src" / folder).glob("*.o")
                   if (ROOT / "src" / folder / (path.name.split(".")[0] + ".c")).exists()]
        if folder == "ops":
            objects += BUILD.glob("ops_*.o")
        assert objects or not list((ROOT / "src" / folder).glob("*.c")), "not built"
        wrong += [f"{folder}/{file}: {name}" for file, name in (symbols("-g", *objects) if objects else [])
                  if not name.startswith(allowed) and name not in ENTRIES]
    assert wrong == []


def test_the_shared_library_shows_og_only():
    names = [name for _, name in symbols("-D", BUILD / "libopgraft.so")]
    assert "og_version" in names
    assert [name for name in names if not name.startswith("og_")] == []


def test_the_backend_shows_what_the_server_calls():
    assert {name for _, name in symbols("-D", BUILD / "libtriton_opgraft.so")} == BACKEND


def compile_alone(compiler, header, *flags):
    done = subprocess.run([*compiler, *flags, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-psabi",
                           "-fsyntax-only", f"-I{ROOT}/include", "-include", header, "/dev/null"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compiler", [C, CXX], ids=["c", "c++"])
@pytest.mark.parametrize("header", ["opgraft.h", "opgraft/types.h", "opgraft/graph.h"])
def test_the_public_header_compiles_alone(header, compiler):
    compile_alone(compiler, ROOT / "include" / header)


@pytest.mark.parametrize("view", VIEWS)
def test_the_op_kit_compiles_alone(view):
    compile_alone(C, ROOT / "include" / "opgraft" / "op.h", *VIEWS[view])


def test_files_are_short():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 900} == {}


CUBE = """#include "opgraft/op.h"

EXPR v test_cube(v x) { return x * x * x; }

MAP(test_cube, 1, 0)

OP(test_cube, .name = "TestCube", .domain = OG_DOMAIN, .since = 1,
   .doc = "The third power.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32",
   MAPS(test_cube))
"""


@pytest.mark.skipif(BUILD != ROOT / "build", reason="one build is enough")
def test_adding_an_op_is_adding_a_file(tmp_path):
    """In a copy of the tree and of what is built, so that make compiles little."""
    for part in ("include", "src", "cli", "build"):
        shutil.copytree(ROOT / part, tmp_path / part, copy_function=shutil.copy2,
                        ignore=lambda _, names: [name for name in names if name in ("tests", "venv", "asan", "tsan")])
    shutil.copy2(ROOT / "Makefile", tmp_path)
    (tmp_path / "src" / "ops" / "test_cube.c").write_text(CUBE)
    made = subprocess.run(["make", "-s", "-j2", "build/opgraft"], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr

    graph = helper.make_graph(
        [helper.make_node("TestCube", ["x"], ["y"], domain="opgraft")], "cube",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17),
                                                                    helper.make_opsetid("opgraft", 1)]),
              tmp_path / "cube.onnx")
    x = np.array([1.5, -2, 0], np.float32)
    np.save(tmp_path / "x.npy", x)
    subprocess.run([tmp_path / "build" / "opgraft", "run", "cube.onnx", "--input", "x=x.npy", "--output", "y=y.npy"],
                   cwd=tmp_path, check=True, timeout=60)
    assert (np.load(tmp_path / "y.npy") == x * x * x).all()
