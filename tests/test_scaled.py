"""What multiplies channels in front of a pointwise convolution, as in squeeze-and-excite, goes into its weights: the right answers,
whatever the shapes, tails, threads and instruction set."""
import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import ok, ok_json, run
from test_expand import answer, tactics

COUNT = int(os.environ.get("OPGRAFT_NETWORKS", 12))


def excite(path, r, size=None, channels=None, outputs=None, kernel=1, read_twice=False):
    """x -> c; the mean of c's planes -> s; s * c or c * s -> a convolution, with what is behind it -> y."""
    channels, outputs = channels or int(r.choice([2, 5, 16, 24, 33, 72, 96])), outputs or int(r.choice([3, 16, 20, 24, 40]))
    size, batch = size or [int(r.integers(2, 20)) for _ in range(2)], int(r.choice([1, 1, 2, 3]))

    def constant(name, *shape):
        return numpy_helper.from_array((r.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) + 1)).astype(np.float32), name)

    weights = [constant("w", channels, 3, 1, 1), constant("f", channels, channels, 1, 1), constant("z", outputs, channels, kernel, kernel)]
    biased = r.random() < 0.6
    weights += [constant("b", outputs)] if biased else []
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("GlobalAveragePool", ["c"], ["m"]),
             helper.make_node("Conv", ["m", "f"], ["n"]), helper.make_node("Sigmoid", ["n"], ["s"]),
             helper.make_node("Mul", ["s", "c"] if r.random() < 0.5 else ["c", "s"], ["e"]),
             helper.make_node("Conv", ["e", "z"] + ["b"] * biased, ["p"], pads=[kernel // 2] * 4)]
    tail = r.choice(["none", "Relu", "residual"])
    if tail == "residual":
        weights.append(constant("v", outputs, 3, 1, 1))
        nodes += [helper.make_node("Conv", ["x", "v"], ["q"]), helper.make_node("Add", ["p", "q"], ["y"])]
    else:
        nodes.append(helper.make_node("Relu" if tail == "Relu" else "Identity", ["p"], ["y"]))
    if read_twice:
        nodes[-1].output[0] = "k"
        nodes += [helper.make_node("ReduceMax", ["e"], ["g"], keepdims=0), helper.make_node("Add", ["k", "g"], ["y"])]
    graph = helper.make_graph(nodes, "excite", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, *size])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], weights)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return r.standard_normal([batch, 3, *size]).astype(np.float32)


@pytest.mark.parametrize("seed", range(1, COUNT + 1))
def test_random_excite(tmp_path, seed):
    path = tmp_path / "excite.onnx"
    x = excite(path, np.random.default_rng(seed))
    env = {**os.environ, "OPGRAFT_ISA": ("avx512", "avx2", "scalar")[seed % 3]}
    ok("check", path, "-q", "--rtol", "1e-4", "--atol", "1e-5", "--no-timing", "--threads", 1, env=env)
    answers = []
    for threads in (1, 2, 3):
        plan = tmp_path / f"{threads}.plan"
        ok("build", path, "-o", plan, "-q", "--no-timing", "--threads", threads, env=env)
        answers.append(answer(tmp_path, env, x, plan))
    assert all(a.tobytes() == answers[0].tobytes() for a in answers)


def test_only_where_weights_are_fewer_than_cells(tmp_path):
    cases = {"scaled": {"outputs": 48}, "many": {"outputs": 112}, "wide": {"outputs": 48, "kernel": 3}, "twice": {"outputs": 48, "read_twice": True}}
    for name, given in cases.items():
        excite(tmp_path / f"{name}.onnx", np.random.default_rng(1), [10, 10], 96, **given)
        ok("check", tmp_path / f"{name}.onnx", "-q", "--rtol", "1e-4", "--atol", "1e-5", "--no-timing")
        for level, has in (("scalar", False), ("avx2", True), ("avx512", True)):
            env = {**os.environ, "OPGRAFT_ISA": level}
            if run("build", tmp_path / f"{name}.onnx", "-o", tmp_path / "net.plan", "-q", "--no-timing", env=env).status:
                continue                                      # not on this machine
            if ok_json("info", tmp_path / "net.plan", env=env)["features"] == level:
                assert ("conv.scaled" in tactics(tmp_path / "net.plan", env)) == (has and name == "scaled")
