"""Every file of examples/ops: it builds, holds the contract, computes what NumPy says, runs in ONNX Runtime by its function, and is
found in a network of primitives."""
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conftest import ROOT, infer, ok, ok_json, onnxruntime_infer, relative_error, run

FILES = sorted((ROOT / "examples" / "ops").glob("*.c"))
README = ROOT / "examples" / "ops" / "README.md"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, temperature=1.0, axis=-1):
    e = np.exp((x - x.max(axis, keepdims=True)) / temperature)
    return e / e.sum(axis, keepdims=True)


def shuffle(x, groups=2):
    n, channels, *inner = x.shape
    return x.reshape(n, groups, channels // groups, *inner).swapaxes(1, 2).reshape(x.shape)


# file: (dims of the inputs, attributes, the same in NumPy); written from the papers, not from the files
EXPECTED = {
    "channel_shuffle": ([(2, 6, 4, 5)], {"groups": 3}, shuffle),
    "fake_quantize": ([(2, 6, 40), ()], {"levels": 7.0},
                      lambda x, bound, levels: np.rint(np.clip(x, -bound, bound) * levels / bound) * bound / levels),
    "gelu_tanh": ([(2, 6, 40)], {}, lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))),
    "leaky_mish": ([(2, 6, 40)], {"slope": 1.5, "leak": 0.125},
                   lambda x, slope, leak: 0.9 * x * np.tanh(np.logaddexp(0, slope * x)) + leak * x),
    "mish": ([(2, 6, 40)], {}, lambda x: x * np.tanh(np.logaddexp(0, x))),
    "prelu_channel": ([(2, 6, 4, 5), (6, 1, 1)], {}, lambda x, slope: np.where(x < 0, x * slope, x)),
    "rms_norm": ([(2, 6, 40), (40,)], {"epsilon": 0.01},
                 lambda x, weight, epsilon: x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight),
    "snake": ([(2, 6, 40)], {"alpha": 0.75}, lambda x, alpha: x + np.sin(alpha * x) ** 2 / alpha),
    "softmax_temperature": ([(2, 6, 40)], {"temperature": 2.0}, softmax),
    "star_relu": ([(2, 6, 40)], {"scale": 0.5, "bias": -0.25}, lambda x, scale, bias: scale * np.maximum(x, 0) ** 2 + bias),
    "swiglu": ([(2, 6, 40), (2, 6, 40)], {}, lambda gate, up: gate * sigmoid(gate) * up),
    "swish_beta": ([(2, 6, 40)], {"beta": 1.5}, lambda x, beta: x * sigmoid(beta * x)),
}


def stem(path):
    return path.stem


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """library(path): the library of an example, built once, and the name of its op."""
    folder, built = tmp_path_factory.mktemp("examples"), {}

    def build(path):
        if path not in built:
            built[path] = folder / f"lib{path.stem}.so"
            ok("op", "build", path, "-o", built[path], "--no-cuda", "-q")
        return built[path], re.search(r'\.name = "(\w+)"', path.read_text())[1]
    return build


def inputs_of(path):
    rng = np.random.default_rng(sum(map(ord, path.stem)))
    arrays = {f"x{k}": 2 * rng.standard_normal(dims, np.float32) for k, dims in enumerate(EXPECTED[path.stem][0])}
    if path.stem == "fake_quantize":
        arrays["x1"] = np.array(1.75, np.float32)
    return arrays


def network(path, library, folder):
    """Files of one op: grafted (with its function), and of primitives, None for an op without a body."""
    library, op = library(path)
    dims, attributes, _ = EXPECTED[path.stem]
    names = [f"x{k}" for k in range(len(dims))]
    node = helper.make_node("Relu" if len(dims) == 1 else "Add", names, ["y"], name="it")
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info(n, TensorProto.FLOAT, d) for n, d in zip(names, dims)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, dims[0])])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), folder / "plain.onnx")
    given = ", ".join([*names, *(f"{name}={value:g}" for name, value in attributes.items())])
    ok("graft", folder / "plain.onnx", "-o", folder / "grafted.onnx", "--ops", library, "-q",
       "--rule", f"{node.op_type}({', '.join(names)}) -> {op}({given})")
    if ".body" not in path.read_text():
        return folder / "grafted.onnx", None
    ok("ungraft", folder / "grafted.onnx", "-o", folder / "primitives.onnx", "--ops", library, "-q")
    return folder / "grafted.onnx", folder / "primitives.onnx"


def test_every_file_is_expected_and_shown():
    assert [path.stem for path in FILES] == sorted(EXPECTED)
    assert re.findall(r"^\| \[(\w+)\.c\]\(\1\.c\)", README.read_text(), re.MULTILINE) == [path.stem for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=stem)
def test_it_holds_the_contract(path, library):
    text = path.read_text()
    assert text.startswith("/* ") and '#include "opgraft/op.h"' in text and ".doc = " in text
    assert re.search(r'\.cases = "[^"]*\b0\b[^"]*"', text), "no empty shape among its cases"
    done = run("op", "test", library(path)[0], timeout=300)
    assert done.status == 0 and "checks passed" in done.out, done.out + done.err


@pytest.mark.parametrize("path", FILES, ids=stem)
def test_it_computes_what_numpy_says(path, library, tmp_path):
    grafted, _ = network(path, library, tmp_path)
    _, attributes, reference = EXPECTED[path.stem]
    arrays = inputs_of(path)
    want = reference(*(x.astype(np.float64) for x in arrays.values()), **attributes).astype(np.float32)
    assert want.std() > 0.01                                     # a function that does something here
    got = infer(tmp_path, grafted, arrays, "y", "--ops", library(path)[0])
    assert relative_error(got, want) < 1e-6


@pytest.mark.parametrize("path", [path for path in FILES if ".body" in path.read_text()], ids=stem)
def test_onnxruntime_runs_its_function(path, library, tmp_path):
    grafted, primitives = network(path, library, tmp_path)
    arrays = inputs_of(path)
    want = infer(tmp_path, grafted, arrays, "y", "--ops", library(path)[0])
    assert {node.domain for node in onnx.load(grafted).graph.node} == {"examples"}
    assert {node.domain for node in onnx.load(primitives).graph.node} <= {"", "ai.onnx"}
    for model in (grafted, primitives):
        assert relative_error(onnxruntime_infer(model, arrays, "y"), want) < 2e-6


@pytest.mark.parametrize("path", [path for path in FILES if ".body" in path.read_text()], ids=stem)
def test_it_is_found_among_primitives(path, library, tmp_path):
    _, primitives = network(path, library, tmp_path)
    attributes = EXPECTED[path.stem][1]
    found = ok_json("find", primitives, "--ops", library(path)[0], "--op", library(path)[1])["matches"]
    (match,) = found
    assert match["output"] == "y" and len(match["nodes"]) == len(onnx.load(primitives).graph.node)
    assert {name: match["attributes"].get(name) for name in attributes} == pytest.approx(attributes, rel=1e-5)
