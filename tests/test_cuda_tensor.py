"""Convolutions and products of the tensor cores on the emulated device: every kind of kernel against a double-precision sum, and cuDNN and cuBLASLt
(tests/cuda/libcudnn.cc, libcublasLt.cc) as tactics that compete with them."""
import json
import subprocess

import numpy as np
import pytest
from onnx import helper

from conftest import BUILD, ROOT
from test_cuda import TOLERANCE, Device, emulator, save  # noqa: F401 (fixture)

COMPETING = {"EMULATED_ARCH": "80", "EMULATED_CLOCK": "1"}     # our kernels take time, the libraries none


@pytest.mark.parametrize("arch, options", [
    ("80", "type f16 few 2 small 3"), ("80", "type bf16 tail mish few 1 small 2"), ("80", "type tf32 few 1 small 2"), ("80", "type f32 tail swish few 1 small 2"),
    ("90", "type f16 tail swish few 3 small 3"), ("90", "type tf32 few 2 small 2"), ("90", "seed 3 type bf16 few 2 small 2"),
], ids=lambda x: x.replace(" ", "-"))
def test_kernels_of_every_kind_are_right(emulator, arch, options):
    done = subprocess.run([BUILD / "tools" / "check_tensor", *options.split()], cwd=ROOT, env={**emulator.env, "EMULATED_ARCH": arch}, capture_output=True,
                          text=True, timeout=600)
    assert done.returncode == 0 and ", 0 wrong" in done.stdout and "0 variants" not in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("arch, right, wrong", [
    ("90", "row = threadIdx.x % 128 / 32 * 16 + lane / 4", "row = threadIdx.x % 128 / 32 * 16 + lane / 4 % 4"), ("90", "(byte / 16 ^ (row & 7))", "(byte / 16 ^ (row & 3))"),
    ("80", "lane / 8 % 2", "lane / 8 % 1"), ("80", "chunk ^ (row & 7)", "chunk ^ (row & 3)"),
], ids=["rows", "swizzle", "lanes", "no mistake"])
def test_a_wrong_kernel_is_seen(emulator, arch, right, wrong):
    """But for the last: any placement of chunks is right, if slower, that both sides share."""
    env = {**emulator.env, "EMULATED_ARCH": arch, "EMULATED_RIGHT": right, "EMULATED_WRONG": wrong}
    done = subprocess.run([BUILD / "tools" / "check_tensor", *"type f16 few 1 small 2".split()], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert (done.returncode == 0) == ("chunk" in wrong), done.stdout + done.stderr


# ---- cuDNN and cuBLASLt -------------------------------------------------------------------------

@pytest.fixture
def competing(emulator, tmp_path):
    return Device({**emulator.env, **COMPETING, "XDG_CACHE_HOME": str(tmp_path / "cache")})


def ways(device, model, *options, **env):
    """The tactics of the plan's steps but for changes of layout."""
    steps = json.loads(device.ok("profile", model, "--device", "cuda", "--runs", "1", "--json", *options, **env))["steps"]
    return [step["tactic"] for step in steps if step["tactic"] != "reorder"]


def weight(*shape):
    return (np.random.default_rng(len(shape)).standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)


def convolution(path, taps, tail, **attributes):
    strides, pads = attributes.get("strides", [1, 1]), attributes.get("pads", [0, 0, 0, 0])
    size = [(n + pads[k] + pads[k + 2] - taps) // strides[k] + 1 for k, n in enumerate((9, 8))]
    nodes, at = [helper.make_node("Conv", ["x", "w", "b"], ["a"], **attributes)], "a"
    inputs = [("x", [1, 64, 9, 8])]
    if "Add" in tail:
        nodes.append(helper.make_node("Add", ["a", "s"], ["c"]))
        inputs.append(("s", [1, 64, *size]))
        at = "c"
    nodes.append(helper.make_node("Relu" if "Relu" in tail else "Softsign", [at], ["y"]))
    return save(path, nodes, inputs, ["y"], [("w", weight(64, 64, taps, taps)), ("b", weight(64))])


def product(path):
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["a"], transB=1, alpha=0.5), helper.make_node("Relu", ["a"], ["y"])]
    return save(path, nodes, [("x", [64, 64])], ["y"], [("w", weight(64, 64)), ("b", weight(64))])


@pytest.mark.parametrize("precision, taps, tail, attributes, want", [
    ("fp16", 3, "Relu", dict(pads=[1, 1, 1, 1], strides=[2, 1]), "cudnn.0"), ("bf16", 1, "Add Relu", {}, "c"),
    ("fp16", 3, "Softsign", dict(dilations=[2, 2], pads=[2, 2, 2, 2]), None),
], ids=str)
def test_a_library_that_is_faster_is_taken_and_right(competing, precision, taps, tail, attributes, want, tmp_path):
    model = convolution(tmp_path / "net.onnx", taps, tail, **attributes)
    options = ["--precision", precision]
    found, = ways(competing, model, *options)
    assert found.startswith(want or "igemm."), found
    assert competing.errors(model, *options)[0]["max_rel"] < TOLERANCE[precision]
    assert not ways(competing, model, *options, "--no-timing")[0].startswith("c")


def test_a_plan_by_a_library_is_saved_and_needs_it(competing, tmp_path):
    model, plan = product(tmp_path / "net.onnx"), tmp_path / "net.plan"
    competing.ok("build", model, "-o", plan, "--device", "cuda", "--precision", "fp16")
    assert ways(competing, plan) == ["cublaslt.0"]
    assert competing.ok("run", plan) == competing.ok("run", model, "--device", "cuda", "--precision", "fp16")
    assert competing.errors(model, "--precision", "fp16")[0]["max_rel"] < TOLERANCE["fp16"]
    competing.ok("info", plan, OPGRAFT_CUBLASLT="/nonexistent.so")
    done = competing.run("run", plan, OPGRAFT_CUBLASLT="/nonexistent.so")
    assert done.status == 5 and "cuBLASLt" in done.err and "build the plan again" in done.err and done.err.count("\n") == 1, done.err
    assert ways(competing, model, "--precision", "fp16", OPGRAFT_CUBLASLT="/nonexistent.so")[0].startswith("igemm.")


def test_doctor_tells_which_version_of_a_library_it_found(competing):
    said = competing.ok("doctor")
    assert "libcudnn.so.9, version 9.99.1" in said and "libcublasLt.so.13, version 13.99.1" in said
    assert "not found (optional" in competing.ok("doctor", OPGRAFT_CUDNN="/nonexistent.so")


def test_the_abi_of_the_libraries_headers():
    """Where CUDA's headers are; elsewhere it says that it was skipped."""
    done = subprocess.run(["sh", ROOT / "tools" / "check_vendor_abi.sh"], capture_output=True, text=True)
    assert done.returncode == 0 and (", 0 differ" in done.stdout or "skipped" in done.stdout), done.stdout + done.stderr
