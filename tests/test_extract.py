"""opgraft extract: a part of a network, with its weights."""
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import LENET5, MODELS, digits, infer, ok, onnxruntime_infer, refused

RELU = MODELS / "lenet5_relu.onnx"


def all_values(path, inputs):
    """What ONNX Runtime computes for every value of a model."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    have = {o.name for o in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name]
    types = {v.name: v for v in model.graph.value_info}
    model.graph.output.extend(types[name] for name in names if name in types and name not in have)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs)))


@pytest.mark.parametrize("model", LENET5, ids=lambda path: path.stem)
@pytest.mark.parametrize("cut, end", [("pool1", "fc1"), ("conv1", "act1"), ("flat", "logits"), ("image", "conv2"),
                                      ("act2", "act4")])
def test_a_part_computes_what_the_whole_did(tmp_path, model, cut, end):
    images = digits()[0][:4]
    values = all_values(model, {"image": images}) | {"image": images}
    ok("extract", model, "-o", tmp_path / "part.onnx", "--input", cut, "--output", end)
    onnx.checker.check_model(onnx.load(tmp_path / "part.onnx"), full_check=True)
    np.testing.assert_array_equal(onnxruntime_infer(tmp_path / "part.onnx", {cut: values[cut]}, end), values[end])
    np.testing.assert_allclose(infer(tmp_path, tmp_path / "part.onnx", {cut: values[cut]}, end), values[end],
                               rtol=1e-4, atol=1e-4)


def test_parts_hold_nothing_else(tmp_path):
    ok("extract", RELU, "-o", tmp_path / "part.onnx", "--input", "pool1", "--output", "act2")
    graph = onnx.load(tmp_path / "part.onnx").graph
    assert [node.op_type for node in graph.node] == ["Conv", "Relu"]
    assert [w.name for w in graph.initializer] == ["conv2.weight", "conv2.bias"]
    assert [v.name for v in graph.input] == ["pool1"] and [v.name for v in graph.output] == ["act2"]


def test_outputs_alone_keep_the_inputs(tmp_path):
    out = ok("extract", RELU, "-o", tmp_path / "part.onnx", "--output", "act1,pool2", "--json")
    assert json.loads(out) == {"inputs": ["image"], "outputs": ["act1", "pool2"]}
    assert ok("extract", RELU, "-o", tmp_path / "part.onnx", "--output", "act1", "--output", "pool2") == \
        "inputs  image\noutputs  act1, pool2\n"
    assert ok("extract", RELU, "-o", tmp_path / "part.onnx", "--input", "flat", "-q") == ""


def test_bodies_read_across_the_cut(tmp_path):
    """The If reads v and w from inside its bodies only."""
    def body(name, value):
        return helper.make_graph([helper.make_node("Neg", [value], [name])], name, [],
                                 [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
    nodes = [helper.make_node("Exp", ["x"], ["v"]), helper.make_node("Relu", ["v"], ["w"]),
             helper.make_node("Tanh", ["x"], ["dead"]),
             helper.make_node("If", ["c"], ["y"], then_branch=body("t", "v"), else_branch=body("e", "w"))]
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3]),
                                             helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "a.onnx")
    ok("extract", tmp_path / "a.onnx", "-o", tmp_path / "b.onnx", "--input", "v,c", "--output", "y")
    model = onnx.load(tmp_path / "b.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Relu", "If"]
    v = np.array([1, -2, 3], np.float32)
    for c, want in [(True, -v), (False, -np.maximum(v, 0))]:
        np.testing.assert_array_equal(onnxruntime_infer(model, {"v": v, "c": np.array(c)}, "y"), want)
    assert "'c'" in refused(2, "extract", tmp_path / "a.onnx", "-o", tmp_path / "n.onnx", "--input", "v", "--output", "y")


def test_functions_that_nothing_calls_go(tmp_path):
    ok("graft", RELU, "-o", tmp_path / "g.onnx", "--map", "Relu=Swish")
    ok("extract", tmp_path / "g.onnx", "-o", tmp_path / "with.onnx", "--output", "act1")
    ok("extract", tmp_path / "g.onnx", "-o", tmp_path / "without.onnx", "--output", "conv1")
    assert len(onnx.load(tmp_path / "with.onnx").functions) == 1
    assert len(onnx.load(tmp_path / "without.onnx").functions) == 0
    onnx.checker.check_model(onnx.load(tmp_path / "without.onnx"))


def test_residual_networks(tmp_path, resnet50):
    ok("extract", resnet50("relu"), "-o", tmp_path / "block.onnx", "--input", "layer1.0.act3", "--output", "layer1.1.act3")
    ops = [node.op_type for node in onnx.load(tmp_path / "block.onnx").graph.node]
    assert ops == ["Conv", "BatchNormalization", "Relu"] * 2 + ["Conv", "BatchNormalization", "Add", "Relu"]
    sentence = refused(2, "extract", resnet50("relu"), "-o", tmp_path / "n.onnx", "--input", "layer1.1.bn1", "--output",
                       "layer1.1.act3")
    assert "'image'" in sentence and not (tmp_path / "n.onnx").exists()


@pytest.mark.parametrize("args, word", [
    ([], "-o OUT.onnx"), (["-o", "x.onnx"], "--input or --output"),
    (["-o", "x.onnx", "--output", "nothing"], "'nothing'"),
    (["-o", "x.onnx", "--input", "conv1.weight", "--output", "fc1"], "constant"),
    (["-o", "x.onnx", "--output", "fc1,fc1"], "twice"), (["-o", "x.onnx", "--input", "flat,flat"], "twice"),
    (["-o", "x.onnx", "--input", "fc2", "--output", "fc1"], "image")])
def test_wrong_calls(tmp_path, args, word):
    args = [tmp_path / a if a == "x.onnx" else a for a in args]
    assert word in refused(2, "extract", RELU, *args)
    assert not (tmp_path / "x.onnx").exists()
