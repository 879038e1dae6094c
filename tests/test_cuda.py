"""Plans on CUDA. With a GPU on it; without one on the device that tests/cuda emulates, which compiles the plans' kernels as C++. Every
plan also compiles with the real NVRTC, where that is installed, for each architecture."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import emulated
from conftest import BUILD, LENET5, OPGRAFT, ROOT, Done
from test_random_networks import Network

ARCHITECTURES = ["80", "89", "90a", "100", "120"]
TOLERANCE = {"fp32": 1e-5, "tf32": 5e-3, "fp16": 1e-2, "bf16": 5e-2}


class Device:
    def __init__(self, env):
        self.env, self.is_emulated = {**os.environ, **env}, bool(env)

    def run(self, *args, timeout=300, **env):
        done = subprocess.run([OPGRAFT, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                              env={**self.env, **env})
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *args, **env):
        done = self.run(*args, **env)
        assert done.status == 0, f"opgraft {' '.join(map(str, args))}: exit status {done.status}\n{done.out}{done.err}"
        return done.out

    def infer(self, folder, model, inputs, output, *options):
        args = []
        for name, array in inputs.items():
            np.save(folder / f"{name}.npy", array)
            args += ["--input", f"{name}={folder / name}.npy"]
        self.ok("run", model, *args, "--output", f"{output}={folder / 'result.npy'}", *options)
        return np.load(folder / "result.npy")

    def errors(self, model, *options):
        """Of each output: what `check` says."""
        done = self.run("check", model, "--device", "cuda", "--json", *options)
        assert done.status in (0, 1) and done.out, f"exit status {done.status}\n{done.out}{done.err}"
        return json.loads(done.out)["results"]


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    if not shutil.which("g++") or "fma" not in open("/proc/cpuinfo").read():
        pytest.skip("the emulated device wants g++ and a processor with FMA")
    folder = emulated.make(tmp_path_factory.mktemp("device"))
    return Device({"LD_LIBRARY_PATH": str(folder), "OPGRAFT_NVRTC": str(folder / "libnvrtc.so"), "EMULATED_ARCH": "75"})


@pytest.fixture(scope="session")
def device(request):
    machine = json.loads(subprocess.run([OPGRAFT, "doctor", "--json"], capture_output=True, text=True).stdout)
    return Device({}) if machine["gpu"] else request.getfixturevalue("emulator")


@pytest.fixture(scope="session")
def nvrtc():
    machine = json.loads(subprocess.run([OPGRAFT, "doctor", "--json"], capture_output=True, text=True).stdout)
    if not machine["libraries"]["NVRTC"]:
        pytest.skip("NVRTC is not installed")


def save(path, nodes, inputs, outputs, weights=(), opset=18, dtype=TensorProto.FLOAT, functions=()):
    """Writes a model of [(name, shape)] inputs and the named outputs."""
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs],
                              [helper.make_tensor_value_info(name, TensorProto.UNDEFINED if dtype is None else dtype, None) for name in outputs],
                              [numpy_helper.from_array(np.asarray(array), name) for name, array in weights])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("opgraft", 1)]
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=opsets), path)
    return path


def random_network(seed, path):
    network = Network(seed)
    while len(network.nodes) < 6 + seed % 10:
        network.step()
    return network.save(path)


def tactics(device, model, *options):
    """The tactics of the plan's steps."""
    return [step["tactic"] for step in json.loads(device.ok("profile", model, "--device", "cuda", "--runs", "1", "--json", *options))["steps"]]


# ---- networks -----------------------------------------------------------------------------------

@pytest.mark.parametrize("model", LENET5, ids=lambda path: path.stem)
@pytest.mark.parametrize("options", [[], ["--no-fuse"], ["--batch", "3"], ["--batch", "20"]], ids=" ".join)
def test_lenet5(device, model, options):
    assert all(result["match"] and result["max_rel"] < 1e-5 for result in device.errors(model, *options))
    whole = tactics(device, model, *options)[0].startswith("whole")
    assert whole == ("--no-fuse" not in options)


def test_a_cluster_shares_a_sample(emulator, tmp_path):
    r = np.random.default_rng(6)
    weights = [(name, r.standard_normal(shape).astype(np.float32) * 0.3) for name, shape in (("u", (16, 8, 3, 3)), ("v", (16, 16, 3, 3)), ("w", (1936, 12)), ("z", (12, 5)))]
    nodes = [helper.make_node("Conv", ["x", "u"], ["c"]), helper.make_node("Relu", ["c"], ["a"]), helper.make_node("Conv", ["a", "v"], ["b"], pads=[1, 1, 1, 1]),
             helper.make_node("Add", ["a", "b"], ["s"]), helper.make_node("MaxPool", ["s"], ["p"], kernel_shape=[2, 2], strides=[2, 2]), helper.make_node("Flatten", ["p"], ["f"]),
             helper.make_node("MatMul", ["f", "w"], ["h"]), helper.make_node("Tanh", ["h"], ["t"]), helper.make_node("MatMul", ["t", "z"], ["y"])]
    residual = save(tmp_path / "net.onnx", nodes, [("x", [1, 8, 24, 24])], ["y", "p"], weights)
    on_90 = Device({**emulator.env, "EMULATED_ARCH": "90"})
    for model in (LENET5[1], residual):
        assert re.match(r"whole\.1\.[248]\.", tactics(on_90, model)[0])
        assert all(result["match"] and result["max_rel"] < 1e-5 for result in on_90.errors(model))


@pytest.mark.parametrize("precision", ["tf32", "fp16", "bf16"])
def test_precisions(device, precision):
    for options in ([], ["--no-fuse"]):
        error = device.errors(LENET5[2], "--precision", precision, *options)[0]["max_rel"]
        assert error < TOLERANCE[precision] and (precision == "tf32" or error > 1e-5)


@pytest.mark.parametrize("seed", range(int(os.environ.get("OPGRAFT_SEED", 1)), int(os.environ.get("OPGRAFT_SEED", 1)) + int(os.environ.get("OPGRAFT_CUDA_NETWORKS", 8))))
@pytest.mark.parametrize("options", [[], ["--no-fuse"], ["--precision", "fp16"]], ids=" ".join)
def test_random_networks(device, seed, options, tmp_path):
    model = random_network(seed, tmp_path / "net.onnx")
    for result in device.errors(model, *options):
        most = 0.1 if "fp16" in options else 1e-5
        assert result["max_rel"] < most or result["max_abs"] < 2e-5, f"seed {seed} {options}: {result}"


def test_a_step_on_the_host_in_between(device, tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("CumSum", ["a", "axis"], ["b"]), helper.make_node("Tanh", ["b"], ["y"])]
    model = save(tmp_path / "net.onnx", nodes, [("x", [3, 8])], ["y"], [("axis", np.int64(1))])
    for precision in ("fp32", "fp16"):
        assert tactics(device, model, "--precision", precision).count("host") == 1
        assert device.errors(model, "--precision", precision)[0]["max_rel"] < TOLERANCE[precision]


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.BFLOAT16], ids=["f16", "bf16"])
def test_networks_of_16_bits(device, dtype, tmp_path):
    r = np.random.default_rng(1)
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    weights = [("w", r.standard_normal((8, 4, 3, 3)).astype(kind) * kind.type(0.2)), ("b", r.standard_normal(8).astype(kind)), ("s", np.ones((1, 8, 1, 1), kind))]
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["a"], pads=[1, 1, 1, 1]), helper.make_node("Sigmoid", ["a"], ["g"]), helper.make_node("Mul", ["a", "g"], ["m"]),
             helper.make_node("Add", ["m", "s"], ["n"]), helper.make_node("MaxPool", ["n"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("Softmax", ["p"], ["y"], axis=1)]
    model = save(tmp_path / "net.onnx", nodes, [("x", [2, 4, 6, 6])], ["y"], weights, dtype=dtype, opset=22)
    assert "host" not in tactics(device, model)
    assert device.errors(model)[0]["max_rel"] < TOLERANCE["fp16" if dtype == TensorProto.FLOAT16 else "bf16"]
    plan = tmp_path / "net.plan"
    device.ok("build", model, "-o", plan, "--device", "cuda")
    device.ok("run", plan)


# ---- ops ----------------------------------------------------------------------------------------

def one_op(path, op, shape, weights=(), opset=18, outputs=1, **attributes):
    """A model of one node; weights: its further inputs, None where one is left out."""
    inputs = ["x"] + ["" if w is None else f"w{k}" for k, w in enumerate(weights)]
    names = [f"y{k}" for k in range(outputs)]
    given = [(f"w{k}", w) for k, w in enumerate(weights) if w is not None]
    return save(path, [helper.make_node(op, inputs, names, **attributes)], [("x", shape)], names, given, opset)


def values(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def ints(*numbers):
    return np.array(numbers, np.int64)


POOLS = [
    ("MaxPool", (2, 3, 9, 7), dict(kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])), ("MaxPool", (1, 2, 11), dict(kernel_shape=[3], dilations=[2])),
    ("MaxPool", (2, 3, 9, 7), dict(kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)), ("MaxPool", (1, 2, 5, 6, 4), dict(kernel_shape=[2, 3, 2], auto_pad="SAME_UPPER")),
    ("AveragePool", (2, 3, 9, 7), dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])), ("AveragePool", (1, 2, 8), dict(kernel_shape=[3], ceil_mode=1, strides=[2])),
    ("AveragePool", (2, 3, 9, 7), dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)), ("GlobalAveragePool", (2, 5, 9, 9), {}), ("GlobalMaxPool", (2, 8, 3), {}),
]
ROWS = [
    *[("Softmax", shape, (), dict(axis=axis)) for shape, axis in [((3, 10), -1), ((3, 10), 0), ((5, 7, 9), 1), ((4, 4096), -1), ((2, 33000), 1), ((1, 131075), 1), ((2, 16, 264), 1), ((2, 100, 40), 1), ((900, 12), 0)]],
    ("LogSoftmax", (2, 19, 6), (), dict(axis=1)), ("LogSoftmax", (1, 260, 37), (), dict(axis=1)), ("LogSoftmax", (1, 70000), (), {}),
    ("LogSoftmax", (5, 77), (), dict(axis=-1)), ("LayerNormalization", (6, 40), (values(40), values(40)), {}),
    ("LayerNormalization", (6, 4, 10), (values(4, 10),), dict(axis=1)), ("RMSNormalization", (6, 48), (values(48),), {}),
    ("InstanceNormalization", (2, 3, 5, 7), (values(3), values(3)), {}), ("InstanceNormalization", (1, 2, 40, 64), (values(2), values(2)), {}),
    ("GroupNormalization", (2, 6, 4, 4), (values(6), values(6)), dict(num_groups=3)), ("GroupNormalization", (1, 4, 9), (values(4), values(4)), dict(num_groups=2)),
    *[("Reduce" + kind, shape, () if axes is None else (ints(*axes),), dict(keepdims=keep))
      for kind in "Sum Mean Max Min Prod L1 L2 SumSquare LogSumExp".split()
      for shape, axes, keep in [((4, 6, 8), (1,), 1), ((4, 6, 8), (0, 1), 0), ((4, 6, 8), None, 1)]],
    ("ReduceMean", (2, 50000), (ints(1),), {}), ("ReduceMax", (9000, 5), (ints(0),), {}), ("ReduceMean", (300, 5, 8), (ints(1),), {}), ("ReduceLogSumExp", (280, 9, 4), (ints(1),), {}),
]
MOVES = [
    ("Transpose", (2, 3, 4, 8), (), dict(perm=[0, 2, 3, 1])), ("Transpose", (4, 8, 16), (), dict(perm=[1, 0, 2])), ("Transpose", (5, 7), (), {}),
    ("Transpose", (70, 130), (), {}), ("Transpose", (2, 3, 900), (), dict(perm=[0, 2, 1])), ("Transpose", (2, 1100, 3), (), dict(perm=[2, 0, 1])),
    ("Transpose", (3, 5, 2, 64), (), dict(perm=[0, 2, 1, 3])), ("Transpose", (33, 4, 47), (), dict(perm=[2, 1, 0])), ("Transpose", (6, 34, 66), (), dict(perm=[0, 2, 1])),
    ("Slice", (4, 9, 16), (ints(1, 2), ints(4, 100), ints(0, 2), ints(1, 3)), {}), ("Slice", (4, 9, 16), (ints(-1, 8), ints(-100, 16), ints(1, 2), ints(-2, 1)), {}),
    ("Split", (4, 9, 16), (ints(2, 7),), dict(axis=1, outputs=2)), ("Pad", (2, 3, 4, 8), (ints(0, 1, 2, 4, 0, 0, 1, 4), np.float32(2.5)), {}),
    ("Pad", (2, 3, 5), (ints(0, 1, 2, 0, 2, 1),), dict(mode="reflect")), ("Pad", (2, 3, 5), (ints(0, -1, 2, 0, 2, -1),), {}), ("Expand", (3, 1, 8), (ints(2, 3, 4, 8),), {}),
    ("Gather", (5, 7), (ints(3, 0, -1, 3),), dict(axis=0)), ("Gather", (5, 7), (np.int64(2),), dict(axis=1)), ("Tile", (2, 4), (ints(2, 3),), {}),
    ("DepthToSpace", (2, 8, 3, 4), (), dict(blocksize=2)), ("SpaceToDepth", (2, 8, 4, 4), (), dict(blocksize=2)),
    ("Resize", (1, 2, 4, 5), (None, np.array([1, 1, 2, 2], np.float32)), dict(mode="nearest")),
    ("Resize", (1, 2, 4, 5), (None, None, ints(1, 2, 7, 9)), dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")),
]


@pytest.mark.parametrize("op, shape, attributes", POOLS)
def test_pools(device, op, shape, attributes, tmp_path):
    model = one_op(tmp_path / "net.onnx", op, shape, opset=22, **attributes)
    assert "host" not in tactics(device, model)
    assert device.errors(model)[0]["max_rel"] <= (0 if "Max" in op else 1e-6)


@pytest.mark.parametrize("op, shape, weights, attributes", ROWS)
def test_rows(device, op, shape, weights, attributes, tmp_path):
    model = one_op(tmp_path / "net.onnx", op, shape, weights, opset=23, **attributes)
    assert tactics(device, model) == ["rows"]
    assert device.errors(model)[0]["max_rel"] < 1e-5
    if op != "ReduceProd":                                  # products of many are nothing in fp16
        assert device.errors(model, "--precision", "fp16")[0]["max_rel"] < 1e-2


@pytest.mark.parametrize("op, shape, weights, attributes", MOVES)
def test_moves(device, op, shape, weights, attributes, tmp_path):
    model = one_op(tmp_path / "net.onnx", op, shape, weights, **attributes)
    assert tactics(device, model) == ["move"]
    assert all(result["max_abs"] == 0 for result in device.errors(model))
    assert all(result["max_rel"] < 1e-3 for result in device.errors(model, "--precision", "fp16"))
    plan = tmp_path / "net.plan"
    device.ok("build", model, "-o", plan, "--device", "cuda")
    assert device.ok("run", plan) == device.ok("run", model, "--device", "cuda")


GENERAL = [
    *[[helper.make_node("Mul", ["x", "k"], ["a"]), helper.make_node("Cast", ["a"], ["b"], to=to), helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT)]
      for to in (TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8, TensorProto.INT8, TensorProto.BOOL)],
    *[[helper.make_node(op, ["x", "o"], ["a"]), helper.make_node("Not", ["a"], ["b"]), helper.make_node("Where", ["b", "x", "k"], ["y"])]
      for op in ("Less", "Equal", "GreaterOrEqual")],
    *[[helper.make_node(op, ["x"], ["a"], axis=axis, select_last_index=last), helper.make_node("Cast", ["a"], ["y"], to=TensorProto.FLOAT)]
      for op, axis, last in (("ArgMax", 1, 0), ("ArgMax", -1, 1), ("ArgMin", 0, 0), ("ArgMin", -1, 0))],
    [helper.make_node("Mul", ["x", "k"], ["a"]), helper.make_node("Cast", ["a"], ["b"], to=TensorProto.INT32), helper.make_node("Clip", ["b", "low", "high"], ["i"]),
     helper.make_node("Gather", ["table", "i"], ["y"], axis=1)],
]

GENERAL_WEIGHTS = [("k", np.float32(300.0)), ("o", values(1, 5, 1)), ("table", values(3, 6, 8)), ("low", np.int32(-6)), ("high", np.int32(5))]


@pytest.mark.parametrize("nodes", GENERAL, ids=lambda nodes: f"{nodes[0].op_type}{nodes[0].attribute[0].i if nodes[0].attribute else ''}-{nodes[1].op_type}")
def test_what_is_not_of_floats_alone(device, nodes, tmp_path):
    r = np.random.default_rng(4)
    model = save(tmp_path / "net.onnx", nodes, [("x", [2, 5, 1100])], ["y"], GENERAL_WEIGHTS, opset=22)
    assert "general" in tactics(device, model)
    x = r.integers(-8, 9, (2, 5, 1100)).astype(np.float32) / 4
    x[0, 1, 5], x[1, 2, 7], x[1, 4, 0] = np.nan, np.inf, -np.inf
    if nodes[-1].op_type == "Gather":
        x = np.nan_to_num(x, posinf=0, neginf=0)
    got, want = (device.infer(tmp_path, model, {"x": x}, "y", "--device", name) for name in ("cuda", "cpu"))
    assert np.array_equal(got, want, equal_nan=True)


@pytest.mark.parametrize("channels, attributes", [(16, dict(pads=[1, 1, 1, 1])), (6, dict(strides=[2, 1], pads=[0, 1, 1, 0])), (24, dict(dilations=[2, 2]))])
def test_depthwise(device, channels, attributes, tmp_path):
    r = np.random.default_rng(channels)
    weights = [("w", r.standard_normal((channels, 1, 3, 3)).astype(np.float32)), ("b", r.standard_normal(channels).astype(np.float32)), ("s", values(1, channels, 1, 1))]
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["a"], group=channels, **attributes), helper.make_node("Mul", ["a", "s"], ["m"]), helper.make_node("Relu", ["m"], ["n"]),
             helper.make_node("Conv", ["n", "w"], ["y"], group=channels)]
    model = save(tmp_path / "net.onnx", nodes, [("x", [2, channels, 9, 8])], ["y"], weights)
    for precision in ("fp32", "fp16", "bf16"):
        for options in ([], ["--no-fuse"]):
            assert device.errors(model, "--precision", precision, *options)[0]["max_rel"] < TOLERANCE[precision]
    assert tactics(device, model, "--no-fuse").count("depthwise") == 2
    plan = tmp_path / "net.plan"
    device.ok("build", model, "-o", plan, "--device", "cuda", "--no-fuse")
    assert device.ok("run", plan) == device.ok("run", model, "--device", "cuda", "--no-fuse")


@pytest.mark.parametrize("axis, third", [(0, (1, 3, 4)), (1, (2, 1, 4)), (-1, (2, 3, 5))])
def test_concat(device, axis, third, tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Concat", ["x", "a", "k"], ["y"], axis=axis)]
    model = save(tmp_path / "net.onnx", nodes, [("x", [2, 3, 4])], ["y"], [("k", values(*third))])
    assert "move" in tactics(device, model) and device.errors(model)[0]["max_abs"] == 0
    assert device.errors(model, "--precision", "bf16")[0]["max_rel"] < 1e-2


def test_concat_of_many(device, tmp_path):
    parts = [helper.make_node("Slice", ["x", f"from{k}", f"to{k}", "axis"], [f"s{k}"]) for k in range(45)]
    nodes = [*parts, helper.make_node("Concat", [f"s{k}" for k in reversed(range(45))], ["y"], axis=1)]
    given = [(f"from{k}", ints(k)) for k in range(45)] + [(f"to{k}", ints(k + 1 + k % 3)) for k in range(45)] + [("axis", ints(1))]
    model = save(tmp_path / "net.onnx", nodes, [("x", [3, 48, 4])], ["y"], given)
    assert "host" not in tactics(device, model) and device.errors(model)[0]["max_abs"] == 0


@pytest.mark.parametrize("shapes", [((3, 4, 8), (3, 4, 8)), ((3, 4, 8), (4, 1)), ((2, 1, 7), (5, 1)), ((3, 5), ()), ((6, 8), (1, 8))], ids=str)
def test_elementwise_gives_the_bits_of_the_cpu(device, shapes, tmp_path):
    r = np.random.default_rng(3)
    x = r.integers(0, 1 << 32, shapes[0], dtype=np.uint32).view(np.float32)
    other = r.standard_normal(shapes[1]).astype(np.float32)
    nodes = [helper.make_node("Mul", ["x", "o"], ["a"]), helper.make_node("Softplus", ["a"], ["b"]), helper.make_node("Tanh", ["b"], ["c"]),
             helper.make_node("Mul", ["c", "x"], ["d"]), helper.make_node("Erf", ["d"], ["e"]), helper.make_node("Sub", ["e", "o"], ["y"])]
    model = save(tmp_path / "net.onnx", nodes, [("x", shapes[0])], ["y"], [("o", other)])
    got, want = (device.infer(tmp_path, model, {"x": x}, "y", "--device", name, *fuse) for name, fuse in (("cuda", ["--no-fuse"]), ("cpu", [])))
    assert ((got.view(np.uint32) == want.view(np.uint32)) | np.isnan(got) & np.isnan(want)).all()
    fused = device.infer(tmp_path, model, {"x": x}, "y", "--device", "cuda")
    assert ((fused.view(np.uint32) == want.view(np.uint32)) | np.isnan(fused) & np.isnan(want)).all()


QUICK = [("Sigmoid", {}), ("OgSwish", {}), ("Tanh", {}), ("Erf", {}), ("Gelu", {}), ("Gelu", dict(approximate="tanh")), ("Exp", {}), ("Log", {}), ("Softplus", {}),
         ("Mish", {}), ("Elu", {}), ("Selu", {}), ("Celu", {}), ("Softsign", {}), ("Sqrt", {}), ("HardSwish", {}), ("Reciprocal", {})]


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.BFLOAT16], ids=["f16", "bf16"])
def test_elementwise_of_16_bits_is_the_right_number_or_its_neighbour(device, dtype, tmp_path):
    numbers = np.arange(1 << 16, dtype=np.uint16).view(helper.tensor_dtype_to_np_dtype(dtype))
    given = tmp_path / "x.pb"
    given.write_bytes(numpy_helper.from_array(numbers).SerializeToString())
    nodes = [helper.make_node(op, ["x"], [f"y{k}"], domain="opgraft" if op == "OgSwish" else "", **attributes) for k, (op, attributes) in enumerate(QUICK)]
    model = save(tmp_path / "net.onnx", nodes, [("x", [1 << 16])], [f"y{k}" for k in range(len(QUICK))], opset=22, dtype=dtype)
    assert set(tactics(device, model)) == {"elementwise"}
    for name in ("cuda", "cpu"):
        outputs = [word for k in range(len(QUICK)) for word in ("--output", f"y{k}={tmp_path}/{name}{k}.npy")]
        device.ok("run", model, "--input", f"x={given}", *outputs, "--device", name)
    digits, least = (11, 2.0**-24) if dtype == TensorProto.FLOAT16 else (8, 2.0**-118)
    for k, (op, _) in enumerate(QUICK):
        got, want = (np.load(tmp_path / f"{name}{k}.npy").astype(np.float64) for name in ("cuda", "cpu"))
        finite = np.isfinite(got) & np.isfinite(want)
        step = np.maximum(2.0**(np.floor(np.log2(np.maximum(np.abs(want), 2.0**-140))) + 1 - digits), least)
        with np.errstate(invalid="ignore"):
            wrong = np.where(finite, np.abs(got - want) > step, ~((got == want) | np.isnan(got) & np.isnan(want)))
        assert not wrong.any(), f"{op}({numbers[wrong][:4]}) is {want[wrong][:4]}, not {got[wrong][:4]}"


OWN = {"TestShuffle": ("test_shuffle.c", (2, 8, 5), dict(groups=4), 0), "WarmSoftmax": ("warm_softmax.c", (5, 40), dict(t=0.7), 0),
       "RowNorm": ("row_norm.c", (3, 33, 7), dict(axis=1), 2), "RowRms": ("row_norm.c", (4, 600), {}, 1)}


@pytest.mark.parametrize("op", OWN)
def test_ops_of_a_library_run_as_their_own_kernels(device, op, tmp_path_factory, tmp_path):
    source, shape, attributes, weights = OWN[op]
    library = tmp_path_factory.getbasetemp() / (source + ".so")
    if not library.exists():
        assert device.run("op", "build", ROOT / "tests" / "ops" / source, "-o", library, OPGRAFT_NVRTC="/nonexistent.so").status == 0
    n = shape[attributes.get("axis", len(shape) - 1)]
    given = [(f"w{k}", values(n)) for k in range(weights)]
    node = helper.make_node(op, ["x"] + [name for name, _ in given], ["y"], domain="opgraft", **attributes)
    model = save(tmp_path / "net.onnx", [node], [("x", shape)], ["y"], given)
    assert tactics(device, model, "--ops", library) == ["kernel"]
    for precision in ("fp32", "fp16", "bf16"):
        assert device.errors(model, "--ops", library, "--precision", precision)[0]["max_rel"] < TOLERANCE[precision]


# ---- plans and sessions -------------------------------------------------------------------------

def test_a_plan_is_saved_and_loaded(device, tmp_path):
    plan = tmp_path / "net.plan"
    for options in ([], ["--no-fuse"], ["--precision", "fp16"]):
        device.ok("build", LENET5[1], "-o", plan, "--device", "cuda", *options)
        assert device.ok("run", plan) == device.ok("run", LENET5[1], "--device", "cuda", *options)


def test_a_damaged_plan_is_refused(device, tmp_path):
    plan, bad = tmp_path / "net.plan", tmp_path / "bad.plan"
    device.ok("build", LENET5[1], "-o", plan, "--device", "cuda")
    data, r = plan.read_bytes(), np.random.default_rng(5)
    for at in (int(a) for a in r.integers(0, len(data), 20)):
        bad.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:])
        done = device.run("run", bad)
        assert done.status in (3, 5) and done.err.count("\n") == 1, done.err
    bad.write_bytes(data[:len(data) // 2])
    assert device.run("run", bad).status == 3


def test_bench_and_profile_tell_device_and_precision(device):
    result = json.loads(device.ok("bench", LENET5[0], "--device", "cuda", "--precision", "bf16", "--runs", "10", "--seconds", "1", "--json"))["results"][0]
    assert (result["device"], result["precision"]) == ("cuda", "bf16") and result["median_ms"] > 0
    assert "cuda bf16" in device.ok("bench", LENET5[0], "--device", "cuda", "--precision", "bf16", "--runs", "10", "--seconds", "1")
    assert tactics(device, LENET5[0])[0].startswith("whole") and len(tactics(device, LENET5[0], "--no-fuse")) > 5


SESSIONS = r"""
import ctypes, sys, threading
import numpy as np
library, model_path, folder = sys.argv[1:4]
og = ctypes.CDLL(library)
og.og_error.restype = ctypes.c_char_p
cuda = ctypes.CDLL("libcuda.so.1")
def need(status): assert status == 0, og.og_error()
class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("device", ctypes.c_char_p), ("precision", ctypes.c_char_p), ("rest", ctypes.c_char * 96)]
model, plan = ctypes.c_void_p(), ctypes.c_void_p()
need(og.og_model_load(ctypes.byref(model), model_path.encode()))
options = Options(ctypes.sizeof(Options) - 96 + 0, b"cuda", b"fp32")
need(og.og_plan_build(ctypes.byref(plan), model, ctypes.byref(options)))
x = [np.random.default_rng(k).standard_normal((1, 1, 28, 28)).astype(np.float32) for k in range(4)]
def pointers(*p): return (ctypes.c_void_p * len(p))(*p)
def session():
    s = ctypes.c_void_p()
    need(og.og_session_create(ctypes.byref(s), plan, 0))
    return s
def run(s, k):
    y = np.full((1, 10), np.nan, np.float32)
    need(og.og_session_run(s, pointers(x[k].ctypes.data), pointers(y.ctypes.data)))
    return y
alone = session()
want = [run(alone, k) for k in range(4)]
wrong = []
def work(k):
    s = session()
    for _ in range(5):
        if run(s, k).tobytes() != want[k].tobytes(): wrong.append(k)
    og.og_session_free(s)
threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert not wrong, wrong
# memory of the device, a stream of the caller, run and recorded into the caller's graph
def alloc(n):
    p = ctypes.c_uint64()
    assert cuda.cuMemAlloc_v2(ctypes.byref(p), ctypes.c_size_t(n)) == 0
    return p.value
context, stream, graph, executable = (ctypes.c_void_p() for _ in range(4))
assert cuda.cuInit(0) == 0 and cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0 and cuda.cuCtxSetCurrent(context) == 0
assert cuda.cuStreamCreate(ctypes.byref(stream), 1) == 0
at, out = alloc(x[0].nbytes), alloc(40)
def put(k): assert cuda.cuMemcpyHtoD_v2(ctypes.c_uint64(at), ctypes.c_void_p(x[k].ctypes.data), ctypes.c_size_t(x[k].nbytes)) == 0
def take():
    y = np.empty((1, 10), np.float32)
    assert cuda.cuStreamSynchronize(stream) == 0
    assert cuda.cuMemcpyDtoH_v2(ctypes.c_void_p(y.ctypes.data), ctypes.c_uint64(out), ctypes.c_size_t(40)) == 0
    return y
put(1)
need(og.og_session_run_on(alone, pointers(at), pointers(out), stream))
assert take().tobytes() == want[1].tobytes()
other = session()
assert cuda.cuStreamBeginCapture_v2(stream, 1) == 0
need(og.og_session_run_on(other, pointers(at), pointers(out), stream))
assert cuda.cuStreamEndCapture(stream, ctypes.byref(graph)) == 0
assert cuda.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, ctypes.c_ulonglong(0)) == 0
for k in (2, 3):
    put(k)
    assert cuda.cuGraphLaunch(executable, stream) == 0
    assert take().tobytes() == want[k].tobytes()
assert run(other, 0).tobytes() == want[0].tobytes()
print("all the same")
"""


def test_sessions_streams_and_the_callers_graph(device, tmp_path):
    script = tmp_path / "sessions.py"
    script.write_text(SESSIONS)
    for options in LENET5[:2]:
        done = subprocess.run([sys.executable, script, BUILD / "libopgraft.so", options, tmp_path], env=device.env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and "all the same" in done.stdout, done.stdout + done.stderr


def test_the_example_runs_on_the_callers_memory(device, tmp_path):
    program = tmp_path / "run_cuda"
    subprocess.run(["cc", "-std=c11", f"-I{ROOT}/include", ROOT / "examples" / "run_cuda.c", BUILD / "libopgraft.a", "-lm", "-ldl", "-pthread", "-o", program], check=True)
    done = subprocess.run([program, LENET5[0], "3"], env=device.env, capture_output=True, text=True, timeout=300)
    want = device.infer(tmp_path, LENET5[0], {"image": np.full((1, 1, 28, 28), 0.5, np.float32)}, "logits", "--device", "cpu")
    assert done.returncode == 0 and np.allclose([float(x) for x in done.stdout.split()], want[0, :8], atol=1e-5), done.stdout + done.stderr


# ---- what is missing ----------------------------------------------------------------------------

def test_memory_that_runs_out_is_one_sentence(emulator):
    done = emulator.run("run", LENET5[0], "--device", "cuda", "--batch", "64", EMULATED_MEMORY="100000")
    assert done.status == 5 and re.search(r"no \d+ bytes of memory left", done.err) and done.err.count("\n") == 1, done.err


def test_an_old_driver_is_one_sentence(emulator, tmp_path):
    names = re.findall(r"X\((cu\w+),", (ROOT / "src" / "cuda" / "driver.h").read_text().split("#define DRIVER_NEWER_MAP")[0])
    (tmp_path / "old.c").write_text("\n".join(f"int {name}(void) {{ return 0; }}" for name in names))
    subprocess.run(["cc", "-w", "-fPIC", "-shared", "-o", tmp_path / "libcuda.so.1", tmp_path / "old.c"], check=True)
    done = emulator.run("run", LENET5[0], "--device", "cuda", LD_LIBRARY_PATH=str(tmp_path))
    assert done.status == 5 and "too old" in done.err and done.err.count("\n") == 1, done.err


def test_a_missing_driver_or_compiler_is_one_sentence(emulator, device, tmp_path):
    done = emulator.run("run", LENET5[0], "--device", "cuda", OPGRAFT_NVRTC="/nonexistent.so")
    assert done.status == 5 and "NVRTC" in done.err and done.err.count("\n") == 1, done.err
    if not device.is_emulated:
        pytest.skip("there is a driver on this machine")
    for verb in ("run", "check", "bench", "profile"):
        done = emulator.run(verb, tmp_path / "no such file.onnx", "--device", "cuda", LD_LIBRARY_PATH="")
        assert done.status == 5 and "driver" in done.err and done.err.count("\n") == 1, done.err
    assert "none: there is no CUDA driver" in emulator.ok("doctor", LD_LIBRARY_PATH="")


# ---- the real compiler --------------------------------------------------------------------------

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_plans_compile_for_every_architecture(nvrtc, arch, tmp_path):
    models = [LENET5[1], random_network(3, tmp_path / "a.onnx"), random_network(11, tmp_path / "b.onnx"),
              *(one_op(tmp_path / f"{k}.onnx", op, shape, weights, opset=23, **attributes) for k, (op, shape, weights, attributes) in enumerate(ROWS[::4] + MOVES[::4]))]
    for k, model in enumerate(models):
        for options in ([], ["--no-fuse"], ["--precision", "fp16"])[:3 if k < 3 else 1]:
            done = subprocess.run([OPGRAFT, "build", model, "-o", tmp_path / "net.plan", "--device", "cuda", *options],
                                  env={**os.environ, "OPGRAFT_CUDA_ARCH": arch}, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"{model} {options}: {done.stderr}"


# ---- for a machine without Python ---------------------------------------------------------------

def write_models(folder):
    """What tools/h200_cuda.sh and tools/gpu_sanitize.sh check: the latter small_*.onnx."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, (op, shape, attributes) in enumerate(POOLS):
        one_op(folder / f"pool_{k}_{op}.onnx", op, shape, opset=22, **attributes)
    for kind, cases in (("rows", ROWS), ("move", MOVES)):
        for k, (op, shape, weights, attributes) in enumerate(cases):
            small = np.prod(shape) < 2000 and k % 4 == 0
            one_op(folder / f"{'small_' if small else ''}{kind}_{k}_{op}.onnx", op, shape, weights, opset=23, **attributes)
    for k, nodes in enumerate(GENERAL):
        save(folder / f"small_general_{k}.onnx", nodes, [("x", [2, 5, 1100])], ["y"], GENERAL_WEIGHTS, opset=22)
    for seed in range(1, 25):
        random_network(seed, folder / f"{'small_' if seed < 4 else ''}random_{seed}.onnx")


if __name__ == "__main__":
    write_models(pathlib.Path(sys.argv[1]))
