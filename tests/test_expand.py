"""A pointwise convolution, or a stem, and the depthwise one behind it as one step: the right answers, whatever the shapes, tails, threads and instruction set."""
import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import ok, ok_json, run

COUNT = int(os.environ.get("OPGRAFT_NETWORKS", 24))


class Block:
    """x -> pointwise -> activation -> depthwise -> activation -> y."""

    def __init__(self, r):
        self.r, self.nodes, self.weights = r, [], []
        self.kernel, self.stride, self.dilation = int(r.choice([1, 3, 3, 5, 7])), int(r.integers(1, 3)), int(r.choice([1, 1, 1, 2]))
        self.channels, self.expanded = int(r.integers(2, 70)), int(r.choice([5, 16, 32, 33, 48, 96, 100]))
        side = self.dilation * (self.kernel - 1) + 1
        self.size = [int(r.integers(side, 40)) for _ in range(2)]
        self.pads = [int(p) for p in r.integers(0, side // 2 + 1, 4)]
        self.batch = int(r.choice([1, 1, 2, 3]))
        self.first, self.step = 1, 1
        if r.random() < 0.4:                                  # a stem: an image, halved
            self.channels, self.first, self.step = int(r.integers(1, 5)), int(r.choice([2, 3, 4])), 2
            self.size = [int(r.integers(side + 8, 40)) * 2 + int(r.integers(0, 2)) for _ in range(2)]
        self.edges = [int(p) for p in r.integers(0, self.first, 4)] if self.first > 1 else [0] * 4

    def constant(self, name, *shape):
        self.weights.append(numpy_helper.from_array((self.r.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) + 1)).astype(np.float32), name))
        return name

    def activation(self, x, y):
        kind = self.r.choice(["Relu", "Clip", "HardSwish", "Swish", "none", "low"])
        if kind in ("Clip", "low"):
            bounds = [numpy_helper.from_array(np.array(b, np.float32), f"{y}_{b}") for b in (-0.5, 6.0)]
            self.weights += bounds
            self.nodes.append(helper.make_node("Clip", [x] + [b.name for b in bounds][:1 if kind == "low" else 2], [y]))
        elif kind == "Swish":
            self.nodes += [helper.make_node("Sigmoid", [x], [f"{y}_s"]), helper.make_node("Mul", [x, f"{y}_s"], [y])]
        else:
            self.nodes.append(helper.make_node("Identity" if kind == "none" else kind, [x], [y]))

    def save(self, path):
        bias = self.r.random(2) < 0.7
        self.nodes.append(helper.make_node("Conv", ["x", self.constant("w", self.expanded, self.channels, self.first, self.first)] +
                                           ([self.constant("b", self.expanded)] if bias[0] else []), ["c"], strides=[self.step] * 2,
                                           pads=self.edges))
        self.activation("c", "d")
        self.nodes.append(helper.make_node("Conv", ["d", self.constant("v", self.expanded, 1, self.kernel, self.kernel)] +
                                           ([self.constant("u", self.expanded)] if bias[1] else []), ["e"], group=self.expanded,
                                           strides=[self.stride] * 2, dilations=[self.dilation] * 2, pads=self.pads))
        self.activation("e", "f")
        self.nodes.append(helper.make_node("Conv", ["f", self.constant("z", 3, self.expanded, 1, 1)], ["y"]))
        self.shape = [self.batch, self.channels, *self.size]
        graph = helper.make_graph(self.nodes, "block", [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], self.weights)
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
        return path


def tactics(plan, env):
    return [step["tactic"] for step in ok_json("info", plan, env=env)["steps"]]


def answer(folder, env, x, model, *options):
    np.save(folder / "x.npy", x)
    ok("run", model, "--input", f"x={folder / 'x.npy'}", "--output", f"y={folder / 'y.npy'}", *options, env=env)
    return np.load(folder / "y.npy")


@pytest.mark.parametrize("seed", range(1, COUNT + 1))
def test_random_block(tmp_path, seed):
    block = Block(np.random.default_rng(seed))
    path = block.save(tmp_path / "block.onnx")
    x = np.random.default_rng(seed).standard_normal(block.shape).astype(np.float32)
    env = {**os.environ, "OPGRAFT_ISA": ("avx512", "avx2", "scalar")[seed % 3]}
    ok("check", path, "-q", "--rtol", "1e-4", "--atol", "1e-5", "--no-timing", "--threads", 1, env=env)
    answers = []
    for threads in (1, 2, 3, 4):
        plan = tmp_path / f"{threads}.plan"
        ok("build", path, "-o", plan, "-q", "--no-timing", "--threads", threads, env=env)
        answers.append(answer(tmp_path, env, x, plan))
    assert all(a.tobytes() == answers[0].tobytes() for a in answers)
    assert np.allclose(answers[0], answer(tmp_path, env, x, path, "--no-timing"), rtol=1e-6, atol=0)


def relu_block(size=14, channels=24, expanded=48):
    block = Block(np.random.default_rng(5))
    block.size, block.channels, block.expanded, block.kernel, block.stride, block.dilation = [size, size], channels, expanded, 3, 1, 1
    block.pads, block.batch = [1, 1, 1, 1], 1
    block.activation = lambda x, y: block.nodes.append(helper.make_node("Relu", [x], [y]))
    return block


def test_one_step_where_there_are_vectors(tmp_path):
    path = relu_block().save(tmp_path / "block.onnx")
    for level, expected in (("scalar", False), ("avx2", True), ("avx512", True)):
        env = {**os.environ, "OPGRAFT_ISA": level}
        plan = tmp_path / f"{level}.plan"
        if run("build", path, "-o", plan, "-q", "--no-timing", env=env).status:
            continue                                          # not on this machine
        if ok_json("info", plan, env=env)["features"] == level:
            assert ("conv.expand" in tactics(plan, env)) == expected
    ok("build", path, "-o", tmp_path / "apart.plan", "-q", "--no-timing", "--no-fuse")
    assert "conv.expand" not in tactics(tmp_path / "apart.plan", os.environ)


def test_a_value_that_others_read_stays(tmp_path):
    """What lies between is an output of the network, or read twice: two steps."""
    for extra in ("output", "reader"):
        block = relu_block()
        path = block.save(tmp_path / f"{extra}.onnx")
        model = onnx.load(path)
        if extra == "reader":
            model.graph.node.append(helper.make_node("Neg", ["d"], ["q"]))
        name = "d" if extra == "output" else "q"
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 48, 14, 14]))
        onnx.save(model, path)
        ok("check", path, "-q", "--no-timing", "--rtol", "1e-4", "--atol", "1e-5")
        ok("build", path, "-o", tmp_path / "net.plan", "-q", "--no-timing")
        assert "conv.expand" not in tactics(tmp_path / "net.plan", os.environ)


def test_bits_of_a_clip_in_registers(tmp_path):
    """NaN, infinities and both zeros come through Relu and Clip as they do without fusing."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 7.0, -7.0, 1e-40], np.float32).reshape(1, 8, 1, 1)
    one = numpy_helper.from_array(np.ones((8, 1, 1, 1), np.float32), "w")
    minus = numpy_helper.from_array(np.full(8, -0.0, np.float32), "b")
    for kind in ("Relu", "Clip"):
        bounds = [numpy_helper.from_array(np.array(b, np.float32), n) for b, n in ((-0.0, "low"), (6.0, "high"))] if kind == "Clip" else []
        nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], group=8), helper.make_node(kind, ["c"] + [b.name for b in bounds], ["y"])]
        graph = helper.make_graph(nodes, "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 1, 1])],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 1, 1])], [one, minus, *bounds])
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "one.onnx")
        fused = answer(tmp_path, os.environ, x, tmp_path / "one.onnx", "--no-timing")
        apart = answer(tmp_path, os.environ, x, tmp_path / "one.onnx", "--no-timing", "--no-fuse")
        assert np.isnan(fused[0, 0]).all() and fused.tobytes() == apart.tobytes()
