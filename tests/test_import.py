"""TensorFlow graphs: every converter on small graphs that the real TensorFlow made and ran (tests/tensorflow/record.py), names, layouts,
and what is refused. tests/tensorflow/ has the same against TensorFlow itself, and whole networks."""
import collections
import functools
import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented

from conftest import ROOT, ok, ok_json, refused

FOLDER = ROOT / "tests" / "import"


@functools.cache
def recorded():
    """What record.py said of itself, and group -> case -> {name: array}."""
    file = np.load(FOLDER / "values.npz")
    about, data, at = json.loads(file["about"].tobytes()), file["data"].tobytes(), 0
    groups = collections.defaultdict(lambda: collections.defaultdict(dict))
    for group, name, dtype, shape in about["index"]:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        groups[group][name.split("/")[0]][name] = np.frombuffer(data[at:at + size], dtype).reshape(shape)
        at += size
    assert at == len(data)
    return about, groups


def is_input(name):
    return name.split("/")[1].startswith("x")


def close(got, want):
    """The largest difference is 1e-5 of the largest number."""
    assert got.shape == want.shape and got.dtype == want.dtype, f"{got.dtype}{got.shape}, not {want.dtype}{want.shape}"
    if want.dtype.kind != "f":
        return np.array_equal(got, want)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    finite = np.isfinite(want)
    return bool(np.all(same | finite)) and bool(np.all(np.abs(got - want)[finite & ~same] <= 1e-5 * max(np.abs(want[finite]).max(initial=0), 1e-30)))


def run_model(folder, model, feeds, outputs):
    """By a plan; what has branches and loops, which plans have not, by the reference."""
    args = []
    if {"If", "Loop"} & {n.op_type for n in onnx.load(model, load_external_data=False).graph.node}:
        ok("partition", model, "--for", "reference", "-o", folder / "parts", "-q")
        model = folder / "parts" / "manifest.json"
    for k, (name, value) in enumerate(feeds.items()):
        np.save(folder / f"in{k}.npy", value)
        args += ["--input", f"{name}={folder}/in{k}.npy"]
    for k, name in enumerate(outputs):
        args += ["--output", f"{name}={folder}/out{k}.npy"]
    ok("run", model, *args, "-q")
    return [np.load(folder / f"out{k}.npy") for k in range(len(outputs))]


def onnxruntime_values(_, model, feeds, outputs):
    """The same by ONNX Runtime; None where it has no kernel for these types."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"]).run(outputs, feeds)
    except NotImplemented:
        return None


def imported(folder, graph, outputs=(), *options):
    """Imports a graph; returns the file, which the onnx checker has passed, and the names of its inputs."""
    path = folder / "imported.onnx"
    ok("import", graph, "-o", path, *(word for name in outputs for word in ("--output", name)), *options, "-q")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert not outputs or [y.name for y in model.graph.output] == list(outputs)
    return path, [x.name for x in model.graph.input]


CASES = [f"{group}/{case}" for group, cases in recorded()[1].items() for case in cases]


@pytest.mark.parametrize("name", CASES)
def test_an_op_gives_what_tensorflow_gave(tmp_path, name):
    group, case = name.split("/")
    values = recorded()[1][group][case]
    outputs = [name for name in values if not is_input(name)]
    path, inputs = imported(tmp_path, FOLDER / f"{group}.pb", outputs)
    feeds = {x: values[x] for x in inputs}
    for runner in (run_model, onnxruntime_values):
        for y, got in zip(outputs, runner(tmp_path, path, feeds, outputs) or []):
            assert close(got, values[y]), f"{runner.__name__}, {y}: {got} but TensorFlow has {values[y]}"


@pytest.mark.parametrize("group", recorded()[1])
def test_all_that_nobody_reads_is_an_output(tmp_path, group):
    wanted = {name for case in recorded()[1][group].values() for name in case if not is_input(name)}
    found = {y["name"] for y in ok_json("import", FOLDER / f"{group}.pb", "-o", tmp_path / "all.onnx")["outputs"]}
    assert wanted <= found and all(re.search("/(while|cond)/Identity", name) for name in found - wanted)     # those TensorFlow adds to loops


def test_every_converter_is_tested():
    """tests/tensorflow/ has the ops that come with variables only; If and While are the ones with state, which are taken alike."""
    assert set(ok("import", "--list").split()) - set(recorded()[0]["ops"]) == {"ResourceGather", "If", "While"}


def test_the_page_lists_what_is_taken():
    page = (ROOT / "docs" / "tensorflow.md").read_text()
    listed = re.search(r"<!-- ops -->\n(.*?)<!-- end -->", page, re.DOTALL)[1].split()
    assert listed == ok("import", "--list").split()


# ---- graphs in text form ---------------------------------------------------------------------------

def attribute(value):
    if isinstance(value, bool):
        return f"b: {str(value).lower()}"
    if isinstance(value, int):
        return f"i: {value}"
    if isinstance(value, float):
        return f"f: {value}"
    if isinstance(value, str):
        return value if value.startswith("type:") else f's: "{value}"'
    if isinstance(value, list):
        return "list { " + " ".join(f"i: {n}" for n in value) + " }"
    kind = {"float32": "DT_FLOAT", "int32": "DT_INT32"}[value.dtype.name]
    data = "".join(f"\\{byte:03o}" for byte in value.tobytes())
    shape = " ".join(f"dim {{ size: {n} }}" for n in value.shape)
    return f'tensor {{ dtype: {kind} tensor_shape {{ {shape} }} tensor_content: "{data}" }}'


def node(name, op, *inputs, **attributes):
    words = [f'name: "{name}" op: "{op}"', *(f'input: "{x}"' for x in inputs)]
    words += [f'attr {{ key: "{key}" value {{ {attribute(value)} }} }}' for key, value in attributes.items()]
    return f"node {{ {' '.join(words)} }}\n"


def placeholder(name, *shape):
    dims = " ".join(f"dim {{ size: {n} }}" for n in shape)
    return (f'node {{ name: "{name}" op: "Placeholder" attr {{ key: "dtype" value {{ type: DT_FLOAT }} }} '
            f'attr {{ key: "shape" value {{ shape {{ {dims} }} }} }} }}\n')


def constant(name, value):
    return node(name, "Const", dtype="type: DT_FLOAT" if value.dtype == np.float32 else "type: DT_INT32", value=value)


def convolution(name, x, filters, **more):
    return constant(f"{name}/filter", filters) + node(name, "Conv2D", x, f"{name}/filter", **{
        "T": "type: DT_FLOAT", "strides": [1, 1, 1, 1], "padding": "SAME", "data_format": "NHWC", **more})


def write(folder, *parts):
    path = folder / "graph.pbtxt"
    path.write_text("".join(parts))
    return path


FILTERS = np.arange(3 * 3 * 2 * 2, dtype=np.float32).reshape(3, 3, 2, 2) / 10


def two_layers(folder):
    return write(folder, placeholder("x", -1, 8, 8, 2), convolution("conv1", "x", FILTERS), node("act1", "Relu", "conv1", T="type: DT_FLOAT"),
                 convolution("conv2", "act1", FILTERS), node("act2", "Relu", "conv2"))


def test_names_and_layouts_stay(tmp_path):
    path, _ = imported(tmp_path, two_layers(tmp_path))
    graph = onnx.load(path).graph
    names = {n.name: n.op_type for n in graph.node}
    assert {name: names[name] for name in ("conv1", "act1", "conv2", "act2")} == {
        "conv1": "Conv", "act1": "Relu", "conv2": "Conv", "act2": "Relu"}
    assert list(names.values()).count("Transpose") == 2             # in and out
    about = ok_json("info", path)
    assert [x["shape"] for x in about["inputs"]] == [["N", 8, 8, 2]] and [y["shape"] for y in about["outputs"]] == [["N", 8, 8, 2]]


def layered(folder, first, padding):
    """Convolution, bias, pool and normalisation with channels first or last."""
    def order(n, c, h, w):
        return [n, c, h, w] if first else [n, h, w, c]
    kind = "NCHW" if first else "NHWC"
    rows = np.arange(8, dtype=np.float32).reshape(4, 2) / 8 + 0.5
    return write(folder, placeholder("x", *order(-1, 2, 9, 8)),
                 convolution("conv", "x", FILTERS, strides=order(1, 1, 2, 1), padding=padding, data_format=kind), constant("b", rows[0]),
                 node("bias", "BiasAdd", "conv", "b", data_format=kind), node("act", "Relu", "bias"),
                 node("pool", "MaxPool", "act", ksize=order(1, 1, 2, 3), strides=order(1, 1, 2, 2), padding=padding, data_format=kind),
                 *(constant(f"p{k}", row) for k, row in enumerate(rows)),
                 node("y", "FusedBatchNormV3", "pool", "p0", "p1", "p2", "p3", epsilon=0.001, is_training=False, data_format=kind))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_channels_first_are_taken_as_they_are(tmp_path, padding):
    """TensorFlow computes such convolutions on a GPU only, so what it says of the other layout is compared with."""
    x = np.random.default_rng(0).normal(0, 1, (3, 9, 8, 2)).astype(np.float32)
    last, _ = imported(tmp_path, layered(tmp_path, False, padding))
    wanted = run_model(tmp_path, last, {"x": x}, ["y"])[0]
    first, _ = imported(tmp_path, layered(tmp_path, True, padding))
    assert "Transpose" not in {n.op_type for n in onnx.load(first).graph.node}
    got = run_model(tmp_path, first, {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))}, ["y"])[0]
    assert close(got.transpose(0, 2, 3, 1), wanted)


def test_inputs_and_outputs_as_told(tmp_path):
    graph = two_layers(tmp_path)
    about = ok_json("import", graph, "-o", tmp_path / "a.onnx", "--input", "x:3x8x8x2", "--output", "act1")
    assert [x["shape"] for x in about["inputs"]] == [[3, 8, 8, 2]]
    assert [(y["name"], y["shape"]) for y in about["outputs"]] == [("act1", [3, 8, 8, 2])]
    about = ok_json("import", graph, "-o", tmp_path / "b.onnx", "--input", "act1:0:1x?x8x2")
    assert [x["name"] for x in about["inputs"]] == ["act1"] and about["ops"]["Conv"] == 1
    assert ok("import", graph, "-o", tmp_path / "c.onnx", "-q") == ""
    assert "conv9" in refused(5, "import", graph, "-o", tmp_path / "d.onnx", "--output", "conv9")
    for wrong in ("x:1x8x8", "x:1x9x8x2"):
        assert "'x'" in refused(2, "import", graph, "-o", tmp_path / "d.onnx", "--input", wrong)
    refused(2, "import", graph, "-o", tmp_path / "d.onnx", "--input", "x:1xx8")
    refused(2, "import", graph)
    assert not (tmp_path / "d.onnx").exists()


def test_an_unknown_op_is_named_with_what_to_do(tmp_path):
    graph = write(tmp_path, placeholder("x", 2, 3), node("act", "Relu", "x"), node("odd", "Frobnicate", "act", beta=1.5), node("y", "Neg", "odd"))
    sentence = refused(4, "import", graph, "-o", tmp_path / "a.onnx")
    assert all(word in sentence for word in ("'odd'", "Frobnicate", "--ops", "--output act"))
    ok("import", graph, "-o", tmp_path / "a.onnx", "--output", "act", "-q")


def test_an_op_of_a_library_is_taken_by_its_name(tmp_path):
    source, library = tmp_path / "scaled_cube.c", tmp_path / "scaled_cube.so"
    source.write_text("""#include "opgraft/op.h"
EXPR v scaled_cube(v x, float scale) { return x * x * x * scale; }
MAP(scaled_cube, 1, 1)
OP(scaled_cube, .name = "ScaledCube", .domain = "mine", .since = 1, .doc = "The third power, scaled.", .inputs = "x:T", .outputs = "y:T",
   .types = "T=f32", ATTRS(OG_FLOAT("scale", 1)), MAPS(scaled_cube))
""")
    ok("op", "build", source, "-o", library, "--no-cuda", "-q", timeout=600)
    graph = write(tmp_path, placeholder("x", 2, 3), node("cube", "ScaledCube", "x", scale=0.5, T="type: DT_FLOAT"))
    assert "ScaledCube" in refused(4, "import", graph, "-o", tmp_path / "a.onnx")
    ok("import", graph, "-o", tmp_path / "a.onnx", "--ops", library, "-q")
    x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "x.npy", x)
    ok("run", tmp_path / "a.onnx", "--ops", library, "--input", f"x={tmp_path}/x.npy", "--output", f"cube={tmp_path}/y.npy", "-q")
    assert np.allclose(np.load(tmp_path / "y.npy"), x ** 3 / 2)


@pytest.mark.parametrize("parts, words", [
    ([placeholder("x", 2, 3), constant("w", np.zeros((4, 5), np.float32)), node("y", "MatMul", "x", "w")], ["'y' (MatMul)"]),
    ([placeholder("x", 2, 3), node("a", "AddV2", "x", "b"), node("b", "Relu", "a"), node("y", "Neg", "b")], ["cycl"]),
    ([placeholder("x", 2, 3), node("y", "Relu", "z")], ["'z'"]),
    ([placeholder("x", 2, 8, 8, 3), convolution("y", "x", FILTERS)], ["'y' (Conv2D)", "3 channels"]),
    ([placeholder("x", 2, 8, 8, 2), convolution("y", "x", FILTERS, strides=[1, 1])], ["'y' (Conv2D)", "strides"]),
    ([placeholder("x", 2, 3), constant("p", np.array([0, 0], np.int32)), node("y", "Transpose", "x", "p")], ["'y' (Transpose)"]),
    ([placeholder("x", 2, 3), constant("p", np.array([4, 4], np.int32)), node("y", "Reshape", "x", "p")], ["'y' (Reshape)"]),
    ([placeholder("x", 2, 3), constant("a", np.array(5, np.int32)), node("y", "Mean", "x", "a")], ["'y' (Mean)", "axis 5"]),
    ([placeholder("x", 2, 3), node("y", "AddV2", "x")], ["'y'"]),
    (["node { name: "], []), (["what is this"], []),
], ids=["shapes", "cycle", "missing", "channels", "strides", "permutation", "elements", "axis", "inputs", "cut off", "no graph"])
def test_a_wrong_graph_is_status_3(tmp_path, parts, words):
    sentence = refused(3, "import", write(tmp_path, *parts), "-o", tmp_path / "a.onnx")
    assert all(word in sentence for word in ["graph.pbtxt", *words]), sentence
    assert not (tmp_path / "a.onnx").exists()


def test_what_only_a_run_can_tell_is_refused(tmp_path):
    graph = write(tmp_path, placeholder("x", -1, -1, -1, 2), convolution("y", "x", FILTERS, strides=[1, 2, 2, 1], dilations=[1, 2, 2, 1]))
    assert "--input" in refused(4, "import", graph, "-o", tmp_path / "a.onnx")
    ok("import", graph, "-o", tmp_path / "a.onnx", "--input", "x:1x9x9x2", "-q")


def test_normalisations_go_into_weights_unless_told_not_to(tmp_path):
    graph = write(tmp_path, placeholder("x", -1, 8, 8, 2), convolution("conv", "x", FILTERS), constant("k", np.array([0.5, -2], np.float32)),
                  constant("d", np.array([1, 3], np.float32)), node("mul", "Mul", "conv", "k"), node("add", "AddV2", "d", "mul"), node("y", "Relu", "add"),
                  constant("w", np.arange(6, dtype=np.float32).reshape(2, 3) / 5), constant("a", np.array([1, 2], np.int32)), constant("b", np.arange(3, dtype=np.float32)),
                  node("mean", "Mean", "y", "a"), node("dense", "MatMul", "mean", "w"), node("z", "BiasAdd", "dense", "b"))
    x = np.random.default_rng(0).normal(0, 1, (3, 8, 8, 2)).astype(np.float32)
    answers, ops = [], []
    for options in [(), ("--no-fold",)]:
        path, _ = imported(tmp_path, graph, (), *options)
        ops.append(collections.Counter(n.op_type for n in onnx.load(path).graph.node))
        answers += [run_model(tmp_path, path, {"x": x}, ["z"])[0], onnxruntime_values(tmp_path, path, {"x": x}, ["z"])[0]]
    assert ops[0]["Mul"] == ops[0]["Add"] == ops[0]["MatMul"] == 0 and ops[0]["Gemm"] == ops[0]["Conv"] == 1
    assert ops[1]["Mul"] == ops[1]["MatMul"] == 1 and ops[1]["Add"] == 2
    assert all(close(answer, answers[-1]) for answer in answers)


@pytest.mark.parametrize("op, inputs", [("Switch", ["x", "c"]), ("LoopCond", ["c"]), ("TensorArrayReadV3", ["x"])])
def test_control_flow_that_hangs_on_data_is_refused(tmp_path, op, inputs):
    known = placeholder("c").replace("DT_FLOAT", "DT_BOOL")
    sentence = refused(4, "import", write(tmp_path, placeholder("x", 2, 3), known, node("odd", op, *inputs), node("y", "Neg", "odd")), "-o", tmp_path / "a.onnx")
    assert all(word in sentence for word in ("'odd'", op, "condition", f"--output {inputs[0]}")), sentence


def function(name, arguments, returns, *nodes):
    """A function of floats by its nodes, which read "argument" or "node:y:0"."""
    words = [f'signature {{ name: "{name}"', *(f'input_arg {{ name: "{x}" type: DT_FLOAT }}' for x in arguments)]
    words += [f'output_arg {{ name: "r{k}" type: DT_FLOAT }}' for k in range(len(returns))] + ["}"]
    words += [n.replace("node {", "node_def {", 1) for n in nodes] + [f'ret {{ key: "r{k}" value: "{value}" }}' for k, value in enumerate(returns)]
    return f"function {{ {' '.join(words)} }}"


def loop(folder, cond="small", body="grow", returns=("sum:z:0", "w"), inputs=("x", "w")):
    """Doubles x by adding w * x with w = 1 while x < 100; w is handed through."""
    library = [function("small", ["v", "w"], ["less:z:0"], constant("most", np.array(100, np.float32)), node("less", "Less", "v", "most:output:0")),
               function("grow", ["v", "w"], returns, node("times", "Mul", "v", "w"), node("sum", "AddV2", "v", "times:z:0"))]
    call = node("y", "While", *inputs).rstrip()[:-1] + f' attr {{ key: "cond" value {{ func {{ name: "{cond}" }} }} }} attr {{ key: "body" value {{ func {{ name: "{body}" }} }} }} }}'
    return write(folder, placeholder("x"), constant("w", np.array(1, np.float32)), call, f"library {{ {' '.join(library)} }}")


def test_what_a_loop_hands_through_stays_outside(tmp_path):
    path, _ = imported(tmp_path, loop(tmp_path), ["y"])
    (node_of_loop,) = [n for n in onnx.load(path).graph.node if n.op_type == "Loop"]
    assert len(node_of_loop.input) == 3 and len(node_of_loop.output) == 1
    for runner in (run_model, onnxruntime_values):
        for x, y in ((3, 192), (200, 200)):
            assert runner(tmp_path, path, {"x": np.array(x, np.float32)}, ["y"])[0] == y
    assert "inside" in refused(4, "import", loop(tmp_path), "-o", tmp_path / "a.onnx", "--output", "y/body/sum")


@pytest.mark.parametrize("wrong, words", [
    ({"cond": "none"}, ["'none'", "not in the file"]), ({"inputs": ["x"]}, ["2 inputs, not 1"]), ({"body": "small"}, ["return"]),
    ({"returns": ["v", "w"]}, ["changes none"]), ({"body": "y"}, ["'y'"]),
], ids=["no function", "inputs", "returns", "nothing changes", "no function of that name"])
def test_a_wrong_loop_is_refused(tmp_path, wrong, words):
    sentence = refused(4 if "returns" in wrong else 3, "import", loop(tmp_path, **wrong), "-o", tmp_path / "a.onnx")
    assert all(word in sentence for word in ["'y' (While)", *words]), sentence


def test_a_placeholder_is_given_a_value(tmp_path):
    training = placeholder("training").replace("DT_FLOAT", "DT_BOOL")
    graph = write(tmp_path, placeholder("x", 2, 3), training, node("s", "Switch", "x", "training"), node("double", "AddV2", "s:1", "s:1"), node("less", "Neg", "s"),
                  node("y", "Merge", "less", "double"))
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    assert "--value" in refused(4, "import", graph, "-o", tmp_path / "a.onnx", "--output", "y")
    for value, wanted in (("true", 2 * x), ("false", -x), ("0", -x)):
        path, inputs = imported(tmp_path, graph, ["y"], "--value", f"training={value}")
        assert inputs == ["x"] and np.array_equal(run_model(tmp_path, path, {"x": x}, ["y"])[0], wanted)
    assert "'nobody'" in refused(5, "import", graph, "-o", tmp_path / "a.onnx", "--output", "y", "--value", "nobody=1")
    for wrong in ("training", "training=", "training=maybe", "training=1x"):
        assert "--value" in refused(2, "import", graph, "-o", tmp_path / "a.onnx", "--value", wrong)
