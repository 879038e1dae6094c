"""What a graft does not touch stays as it was, byte for byte: nodes, weights, types, texts, and fields that nobody here
knows; and what was written reads back as what was in memory."""
import ctypes
import pathlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import BUILD, infer, ok, ok_json, onnxruntime_infer
from test_everywhere import check

LIGHT = sorted((pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "light").glob("*.onnx"))


def everything(graph):
    """{what: bytes} of all in a graph but its nodes."""
    parts = {}
    for field in ("initializer", "sparse_initializer", "input", "output", "value_info", "quantization_annotation", "metadata_props"):
        for k, item in enumerate(getattr(graph, field)):
            parts[field, getattr(item, "name", "") or getattr(item, "key", "") or k] = item.SerializeToString()
    return parts


def unknown_field(number, data):
    """Bytes of a field that no version of ONNX has."""
    def varint(value):
        out = bytearray()
        while value >= 0x80:
            out.append(value & 0x7f | 0x80)
            value >>= 7
        return bytes(out + bytes([value]))
    return varint(number << 3 | 2) + varint(len(data)) + data


def compare(before, after, touched):
    """`touched`: names of outputs whose nodes were replaced."""
    kept = [n.SerializeToString() for n in before.graph.node if n.output[0] not in touched]
    assert [n.SerializeToString() for n in after.graph.node if n.output[0] not in touched] == kept
    a, b = everything(before.graph), everything(after.graph)
    gone = {key for key in a if key not in b}
    values = {name for n in after.graph.node for name in (*n.input, *n.output)} | {v.name for v in after.graph.input}
    assert all(key[0] == "value_info" and key[1] not in values for key in gone), gone
    assert {key: b[key] for key in a if key in b} == {key: a[key] for key in a if key in b}
    assert [v.name for v in after.graph.input] == [v.name for v in before.graph.input]
    assert [v.name for v in after.graph.output] == [v.name for v in before.graph.output]
    assert (after.graph.name, after.graph.doc_string) == (before.graph.name, before.graph.doc_string)
    for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        assert getattr(after, field) == getattr(before, field), field
    for field in ("metadata_props", "training_info"):
        assert [x.SerializeToString() for x in getattr(after, field)] == [x.SerializeToString() for x in getattr(before, field)]
    functions = {(f.domain, f.name): f.SerializeToString() for f in before.functions}
    assert {(f.domain, f.name): f.SerializeToString() for f in after.functions if (f.domain, f.name) in functions} == functions
    imports = [o.SerializeToString() for o in before.opset_import]
    assert [o.SerializeToString() for o in after.opset_import][:len(imports)] == imports


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_light_models(tmp_path, path):
    out, plain = tmp_path / "out.onnx", tmp_path / "plain.onnx"
    before = onnx.load(path)
    version = before.opset_import[0].version
    source = path
    if version < 7:
        source = tmp_path / "source.onnx"
        before = onnx.version_converter.convert_version(before, 7)
        onnx.save(before, source)
    found = ok_json("graft", source, "-o", out, "--map", "Relu=Swish")
    relus = {n.output[0] for n in before.graph.node if n.op_type == "Relu"}
    assert relus and {m["output"] for m in found["matches"]} == relus
    after = onnx.load(out)
    compare(before, after, relus)
    assert sum(n.op_type == "OgSwish" for n in after.graph.node) == len(relus)
    check(out)
    ok("ungraft", out, "-o", plain)
    back = onnx.load(plain)
    kept = [n.SerializeToString() for n in before.graph.node if n.output[0] not in relus]
    assert [n.SerializeToString() for n in back.graph.node if n.SerializeToString() in set(kept)] == kept
    check(plain)


@pytest.fixture
def rich(tmp_path):
    """A network with all that a file can have and Opgraft has no word for. Nodes 'relu' and 'other'."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xy")
    x.doc_string = "the input"
    weight = numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    weight.doc_string = "a weight"
    typed = helper.make_tensor("typed", TensorProto.FLOAT, [4], [1, 2, 3, 4])            # float_data
    sparse = helper.make_sparse_tensor(helper.make_tensor("s", TensorProto.FLOAT, [1], [2]),
                                       helper.make_tensor("s_indices", TensorProto.INT64, [1], [3]), [4])
    nodes = [helper.make_node("Add", ["x", "w"], ["a"], name="add", doc_string="adds"),
             helper.make_node("Relu", ["a"], ["r"], name="relu", doc_string="goes"),
             helper.make_node("Mul", ["r", "typed"], ["m"], name="mul"),
             helper.make_node("Unknown", ["m", "s"], ["u", ""], name="odd", domain="acme", floats=[1.0, 2.5], nothing="",
                              tensor=numpy_helper.from_array(np.ones((2, 2), np.int8), "inner")),
             helper.make_node("Relu", ["u"], ["o"], name="other"), helper.make_node("Neg", ["o"], ["y"], name="")]
    nodes[3].attribute.append(onnx.AttributeProto(name="empty", type=onnx.AttributeProto.INTS))
    nodes[3].attribute.append(onnx.AttributeProto(name="sparse", type=onnx.AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse))
    nodes[2].metadata_props.add(key="namespace", value="layer1")
    nodes[0].MergeFromString(unknown_field(1000, b"unknown to all"))
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "armuo"]
    graph = helper.make_graph(nodes, "rich", [x], [y], [weight, typed], doc_string="a graph", value_info=infos, sparse_initializer=[sparse])
    graph.quantization_annotation.add(tensor_name="m").quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="w")
    graph.metadata_props.add(key="graph", value="props")
    graph.MergeFromString(unknown_field(999, b"\x00\xff"))
    function = helper.make_function("acme", "Unknown", ["p", "q"], ["z", "zz"],
                                    [helper.make_node("Add", ["p", "q"], ["z"]), helper.make_node("Neg", ["p"], ["zz"])],
                                    [helper.make_opsetid("", 17)], ["floats", "empty", "nothing", "tensor", "sparse"])
    function.doc_string = "not ours"
    model = helper.make_model(graph, ir_version=10, producer_name="a tool", producer_version="1.2", domain="org.example",
                              model_version=42, doc_string="a model", functions=[function],
                              opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("acme", 3)])
    model.metadata_props.add(key="author", value="somebody")
    model.training_info.add().algorithm.name = "training"
    model.MergeFromString(unknown_field(500, b"also unknown"))
    path = tmp_path / "rich.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_all_that_a_file_can_have(rich, tmp_path):
    out = tmp_path / "out.onnx"
    before = onnx.load(rich)
    found = ok_json("graft", rich, "-o", out, "--map", "Relu=Swish", "--only", "relu")
    assert len(found["matches"]) == 1
    after = onnx.load(out)
    compare(before, after, {"r"})
    assert set(everything(before.graph)) == set(everything(after.graph))
    for data in (b"unknown to all", b"\x00\xff", b"also unknown"):
        assert rich.read_bytes().count(data) == out.read_bytes().count(data) > 0
    ok("ungraft", out, "-o", out)
    compare(before, onnx.load(out), {"r", "Mul"} | {n.output[0] for n in onnx.load(out).graph.node if n.op_type in ("Mul", "Sigmoid") and n.name != "mul"})


def test_types_are_told_again_and_none_is_stale(tmp_path):
    """Of values inside a place that goes nothing stays; new ones get a type where the file had types."""
    nodes = [helper.make_node("Neg", ["x"], ["n"]), helper.make_node("Exp", ["n"], ["e"]), helper.make_node("Add", ["e", "one"], ["a"]),
             helper.make_node("Div", ["x", "a"], ["d"]), helper.make_node("Abs", ["d"], ["y"])]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "xyned"]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:2], [numpy_helper.from_array(np.float32(1), "one")], value_info=infos[2:])
    source, out = tmp_path / "m.onnx", tmp_path / "out.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), source)
    ok("graft", source, "-o", out, "--rule", "Div(x, Add(Exp(Neg(x)), 1)) -> Swish(Identity(x))")
    after = check(out)
    assert {v.name for v in after.graph.value_info} == {n.output[0] for n in after.graph.node} - {"y"}
    assert {v.name: v for v in after.graph.value_info}["d"] == infos[4] and not after.graph.initializer
    onnx.save(onnx.helper.make_model(helper.make_graph(nodes, "g", infos[:1], infos[1:2], graph.initializer), ir_version=8,
                                     opset_imports=[helper.make_opsetid("", 17)]), source)
    ok("graft", source, "-o", out, "--rule", "Div(x, Add(Exp(Neg(x)), 1)) -> Swish(Identity(x))")
    assert not onnx.load(out).graph.value_info           # the file had none


def test_external_data_moves_with_the_file(tmp_path):
    """In the same folder it stays; into another one it is copied; and weights are the same."""
    w = np.random.default_rng(1).standard_normal((64, 64), np.float32)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Relu", ["m"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 64])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 64])], [numpy_helper.from_array(w, "w")])
    source, other = tmp_path / "m.onnx", tmp_path / "other"
    other.mkdir()
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), source, save_as_external_data=True,
              location="weights.bin", size_threshold=0)
    x = np.random.default_rng(2).standard_normal((3, 64), np.float32)
    m = x.astype(np.float64) @ w
    want = m / (1 + np.exp(-m))
    for out, files in ((tmp_path / "out.onnx", ["out.onnx"]), (other / "out.onnx", ["out.onnx", "out.onnx.data"])):
        ok("graft", source, "-o", out, "--map", "Relu=Swish")
        if out.parent == tmp_path:
            assert onnx.load(out, load_external_data=False).graph.initializer == onnx.load(source, load_external_data=False).graph.initializer
        else:
            assert sorted(p.name for p in other.iterdir()) == files
        assert np.array_equal(numpy_helper.to_array(onnx.load(out).graph.initializer[0]), w)
        for got in (onnxruntime_infer(out, {"x": x}, "y"), infer(tmp_path, out, {"x": x}, "y", "--batch", 3)):
            assert np.allclose(got, want, rtol=1e-5, atol=1e-5)


# ---- what was written reads back ------------------------------------------------------------------------------------

class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("rules", ctypes.c_char_p), ("map", ctypes.c_char_p), ("op", ctypes.c_char_p),
                ("only", ctypes.c_char_p), ("dry_run", ctypes.c_int)]


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_what_was_written_reads_back_equal(tmp_path, path):
    """The text form of the model that was grafted in memory, and of the file that was written of it."""
    lib = ctypes.CDLL(str(BUILD / "libopgraft.so"))
    lib.og_error.restype = ctypes.c_char_p

    def done(status):
        assert status == 0, lib.og_error().decode()

    def load(source):
        model = ctypes.c_void_p()
        done(lib.og_model_load(ctypes.byref(model), str(source).encode()))
        return model

    def text(model):
        out = ctypes.c_char_p()
        done(lib.og_model_print(ctypes.byref(out), model))
        return out.value
    if onnx.load(path).opset_import[0].version < 7:
        onnx.save(onnx.version_converter.convert_version(onnx.load(path), 7), tmp_path / "source.onnx")
        path = tmp_path / "source.onnx"
    model = load(path)
    options = Options(size=ctypes.sizeof(Options), map=b"Relu=Swish,beta=1.25")
    done(lib.og_graft(None, model, ctypes.byref(options)))
    done(lib.og_model_save(model, str(tmp_path / "out.onnx").encode()))
    again = load(tmp_path / "out.onnx")
    assert text(again) == text(model) and b"OgSwish" in text(model)
    lib.og_model_free(again)
    lib.og_model_free(model)
