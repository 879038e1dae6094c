"""Plans for CUDA are built without a GPU, where NVRTC is: which steps run on tensor cores, and that what is compiled is in the plan."""
import os
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import BUILD

WAYS = {("fp16", "90a"): "wgmma", ("bf16", "90a"): "wgmma", ("tf32", "90a"): "wgmma", ("fp32", "90a"): "fma",
        ("fp16", "80"): "mma", ("bf16", "89"): "mma", ("tf32", "100"): "mma", ("fp32", "120"): "fma"}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Two convolutions of 64 channels, the second with a bias, a residual and a Swish behind it; a product at the end."""
    random, constants = np.random.default_rng(5), []

    def constant(name, *shape):
        constants.append(numpy_helper.from_array(random.uniform(-0.1, 0.1, shape).astype(np.float32), name))
        return name

    nodes = [helper.make_node("Conv", ["x", constant("w1", 64, 64, 3, 3)], ["a"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["a"], ["b"]),
             helper.make_node("Conv", ["b", constant("w2", 64, 64, 3, 3), constant("b2", 64)], ["c"], pads=[1, 1, 1, 1]),
             helper.make_node("Add", ["c", "b"], ["d"]), helper.make_node("Sigmoid", ["d"], ["e"]), helper.make_node("Mul", ["d", "e"], ["f"]),
             helper.make_node("GlobalAveragePool", ["f"], ["g"]), helper.make_node("Flatten", ["g"], ["h"]),
             helper.make_node("Gemm", ["h", constant("w3", 64, 1000), constant("b3", 1000)], ["y"])]
    graph = helper.make_graph(nodes, "plans", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 64, 56, 56])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 1000])], constants)
    path = tmp_path_factory.mktemp("cuda_plans") / "net.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def opgraft(arch, *arguments):
    return subprocess.run([BUILD / "opgraft", *map(str, arguments)], env={**os.environ, "OPGRAFT_CUDA_ARCH": arch}, capture_output=True, text=True)


def build(network, plan, precision, arch):
    done = opgraft(arch, "build", network, "-o", plan, "--device", "cuda", "--precision", precision, "--no-timing")
    if "no NVRTC" in done.stderr:
        pytest.skip("NVRTC is not installed")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("precision, arch", WAYS)
def test_convolutions_run_as_implicit_gemms_with_all_that_follows(network, tmp_path, precision, arch):
    built = build(network, tmp_path / "net.plan", precision, arch)
    tactics = [line.split()[-1] for line in built.splitlines() if "Conv" in line]
    assert len(tactics) == 2 and all(tactic.startswith(f"igemm.{WAYS[precision, arch]}.") for tactic in tactics), built
    assert "Conv + Add + Swish" in built and "elementwise" not in built
    loaded = opgraft(arch, "info", tmp_path / "net.plan")
    assert loaded.returncode == 0, loaded.stderr
    assert [line.split()[-1] for line in loaded.stdout.splitlines() if "Conv" in line] == tactics


def test_the_same_kernels_are_in_a_plan_once(network, tmp_path):
    """The plan's own formulas are one program, those with results in 16 bits another, "quick"; every other has a name, made of its text."""
    build(network, tmp_path / "net.plan", "fp16", "90a")
    data = (tmp_path / "net.plan").read_bytes()
    at = data.index(b"OGCUBIN\0")
    count = int.from_bytes(data[at + 8:at + 16], "little")
    names = [data[at + 16 + 40 * k:at + 36 + 40 * k].split(b"\0")[0] for k in range(count)]
    others = set(names) - {b"", b"quick"}
    assert len(set(names)) == count and names[0] == b"" and others and all(name.startswith(b"p") for name in others)
    assert 2 <= count <= 5


def test_a_plan_for_another_device_is_refused(network, tmp_path):
    build(network, tmp_path / "net.plan", "fp16", "90a")
    done = opgraft("80", "info", tmp_path / "net.plan")
    assert done.returncode == 5 and "was built for sm_90a and this machine runs sm_80" in done.stderr


def test_a_build_without_timing_is_the_same_to_the_byte(network, tmp_path):
    for name in "ab":
        build(network, tmp_path / name, "fp16", "90a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
