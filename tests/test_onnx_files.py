"""ONNX files as the official package writes them: what we write from them parses equal by protobuf, or is the same
bytes. build/tests/onnx_copy reads a model, writes it and checks that the result reads back equal."""
import pathlib
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import BUILD

COPY = BUILD / "tests" / "onnx_copy"
DATA = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
OFFICIAL = sorted(DATA.rglob("*.onnx"))
MODES = {"as it is": [], "of its parts": ["--touch"], "of nothing": ["--reencode"]}


def copy(source, target, *options):
    """The exit status and the sentence on standard error."""
    done = subprocess.run([COPY, source, target, *options], capture_output=True, text=True, timeout=120)
    assert done.returncode >= 0, f"{source} {options}: killed by signal {-done.returncode}\n{done.stderr}"
    return done.returncode, done.stderr.rstrip("\n")


def copied(source, target, *options):
    status, sentence = copy(source, target, *options)
    assert status == 0, f"{source} {options}: exit status {status}\n{sentence}"
    return target.read_bytes()


def parse(data):
    return onnx.ModelProto.FromString(data)


def save(folder, model, name="model.onnx"):
    path = folder / name
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def info(name, shape=("N", 3), dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model_of(nodes, constants=(), functions=(), outputs=("y",), **more):
    graph = helper.make_graph(nodes, "g", [info("x")], [info(name) for name in outputs], list(constants))
    opsets = [helper.make_opsetid("", 17)] + [helper.make_opsetid(f.domain, 1) for f in functions]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8, **more)


def version_is_read(model):
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    return all(7 <= v <= 26 for v in versions)


@pytest.mark.parametrize("mode", MODES)
def test_official_models(tmp_path, mode):
    """Every model of the wheel: the node tests, the light models and those that PyTorch wrote."""
    assert len([path for path in OFFICIAL if "node" in path.parts]) == 1765
    target, wrong, read = tmp_path / "out.onnx", [], 0
    for path in OFFICIAL:
        data = path.read_bytes()
        status, sentence = copy(path, target, *MODES[mode])
        if not version_is_read(parse(data)):
            if status != 4 or "opset import" not in sentence:
                wrong.append((path.parent.name, status, sentence))
            continue
        read += 1
        if status != 0:
            wrong.append((path.parent.name, status, sentence))
        elif target.read_bytes() != data:
            wrong.append((path.parent.name, "bytes differ"))
    assert wrong == []
    assert read > 1700


# ---- what survives -------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", MODES)
def test_a_value_that_is_described_twice_is_what_was_said_last(tmp_path, mode):
    """Found by fuzzing: the type of a value_info, and an output of the same name without one."""
    model = model_of([helper.make_node("Relu", ["x"], ["y"])])
    model.graph.value_info.append(info("y"))
    model.graph.output[0].ClearField("type")
    copied(save(tmp_path, model), tmp_path / "out.onnx", *MODES[mode])


def with_unknown_fields(model):
    """Field 1000, a string, at the end of the model and of its first node."""
    field = b"\xc2\x3e\x05other"
    node = model.graph.node[0]
    model.graph.node[0].CopyFrom(onnx.NodeProto.FromString(node.SerializeToString() + field))
    return parse(model.SerializeToString() + field)


def test_unknown_fields_survive_an_edit(tmp_path):
    model = with_unknown_fields(model_of([helper.make_node("Relu", ["x"], ["t"]), helper.make_node("Abs", ["t"], ["y"])]))
    helper.set_model_props(model, {"key": "value"})
    model.graph.metadata_props.add(key="of the", value="graph")
    model.graph.node[0].metadata_props.add(key="of the", value="node")
    source = save(tmp_path, model)
    for options in ([], ["--touch"], ["--reencode"]):
        assert copied(source, tmp_path / "out.onnx", *options) == source.read_bytes()
    data = copied(source, tmp_path / "out.onnx", "--rename", "t=middle")
    assert data.count(b"\xc2\x3e\x05other") == 2
    back = parse(data)
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "middle"
    assert back == model


def test_bodies_and_functions(tmp_path):
    branch = [helper.make_graph([helper.make_node(op, ["x"], [op])], op, [], [info(op)]) for op in ("Relu", "Abs")]
    condition = numpy_helper.from_array(np.array(True), "c")
    swish = helper.make_function("mine", "Swish", ["a"], ["b"], [
        helper.make_node("Sigmoid", ["a"], ["s"]), helper.make_node("Mul", ["a", "s"], ["b"])],
        [helper.make_opsetid("", 17)])
    model = model_of([helper.make_node("Swish", ["x"], ["t"], domain="mine"),
                      helper.make_node("If", ["c"], ["y"], then_branch=branch[0], else_branch=branch[1])],
                     [condition], [swish], outputs=("y", "t"))
    onnx.checker.check_model(model)
    source = save(tmp_path, model)
    for options in MODES.values():
        assert copied(source, tmp_path / "out.onnx", *options) == source.read_bytes()
    back = parse(copied(source, tmp_path / "out.onnx", "--rename", "s=gate", "--rename", "x=image"))
    onnx.checker.check_model(back)
    assert back.graph.input[0].name == "image"
    assert [g.node[0].input[0] for a in back.graph.node[1].attribute for g in [a.g]] == ["image"] * 2
    assert back.functions[0].node[1].input[1] == "gate"


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "int8", "uint16", "uint64", "bool",
                                   "complex64", "complex128", "str"])
def test_typed_and_raw_data(tmp_path, dtype):
    array = np.array([[0, 1, 2], [1, 0, 3]]).astype(dtype)
    if dtype == "str":
        tensors = [numpy_helper.from_array(array.astype(object), "w")]
    else:
        number = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensors = [numpy_helper.from_array(array, "w"),
                   helper.make_tensor("w", number, array.shape, array.flatten().tolist())]
    for tensor in tensors:
        node = helper.make_node("Constant", [], ["k"], value=tensor)
        source = save(tmp_path, model_of([node, helper.make_node("Relu", ["x"], ["y"])], [tensor]))
        for options in ([], ["--touch"], ["--reencode"]):
            assert copied(source, tmp_path / "out.onnx", *options) == source.read_bytes()
        back = parse(copied(source, tmp_path / "out.onnx", "--rename", "w=v"))
        again = numpy_helper.to_array(back.graph.initializer[0])
        assert back.graph.initializer[0].name == "v"
        assert again.shape == array.shape and [str(a) for a in again.flatten()] == [str(a) for a in numpy_helper.to_array(tensor).flatten()]


# ---- external data -------------------------------------------------------------------------------

def test_external_data(tmp_path):
    arrays = {"w": np.arange(3000, dtype=np.float32), "v": np.arange(700), "small": np.ones(3, np.float32)}
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], [numpy_helper.from_array(a, n) for n, a in arrays.items()])
    source = save(tmp_path, model)
    inside = source.read_bytes()
    outside = tmp_path / "outside.onnx"
    copied(source, outside, "--external")
    assert outside.stat().st_size < 1500
    loaded = onnx.load(outside)                   # reads outside.onnx.data
    onnx.checker.check_model(outside)
    for tensor in loaded.graph.initializer:
        assert np.array_equal(numpy_helper.to_array(tensor), arrays[tensor.name])
    again = tmp_path / "again.onnx"
    assert copied(outside, again, "--touch") == outside.read_bytes()
    assert not (tmp_path / "again.onnx.data").exists()
    (tmp_path / "far").mkdir()
    copied(outside, tmp_path / "far" / "model.onnx", "--rename", "w=weights")
    far = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "far" / "model.onnx").graph.initializer}
    assert np.array_equal(far["weights"], arrays["w"]) and np.array_equal(far["v"], arrays["v"])
    assert source.read_bytes() == inside


def external(name, location, shape, offset=None, length=None):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return tensor


def test_more_than_two_gigabytes(tmp_path):
    """A sparse file: it takes no room, and a reader that loaded it would take 5 GB, more than it is given."""
    count = 5 * 2**28
    with open(tmp_path / "weights", "wb") as f:
        f.truncate(4 * count)
        f.seek(4 * count - 4)
        f.write(np.float32(7).tobytes())
    tensors = [external("w", "weights", [2**28, 5]), external("v", "weights", [1], 4 * count - 4, 4)]
    source = save(tmp_path, model_of([helper.make_node("Relu", ["x"], ["y"])], tensors))
    limit = ["bash", "-c", 'ulimit -d 1000000; exec "$@"', "limited"]         # KB of memory that is not a mapped file
    target = tmp_path / "out.onnx"
    done = subprocess.run([*limit, COPY, source, target, "--rename", "v=last", "--unread"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    back = parse(target.read_bytes())
    assert back.graph.initializer[1].name == "last"
    assert back.graph.initializer[0] == tensors[0]


@pytest.mark.parametrize("tensor, status, words", [
    (external("w", "../weights", [1]), 3, "only files in the model's folder"),
    (external("w", "/etc/passwd", [1]), 3, "only files in the model's folder"),
    (external("w", "nothing", [1]), 5, "nothing"),
    (external("w", "weights", [100]), 3, "passes the end of 'weights'"),
    (external("w", "weights", [1], "x"), 3, "is no number"),
    (external("w", "weights", [1], 0, 5), 3, "5 bytes where its shape needs 4"),
])
def test_wrong_external_data(tmp_path, tensor, status, words):
    (tmp_path / "weights").write_bytes(bytes(64))
    source = save(tmp_path, model_of([helper.make_node("Relu", ["x"], ["y"])], [tensor]))
    got, sentence = copy(source, tmp_path / "out.onnx")
    assert got == status and words in sentence and "initializer 0 ('w')" in sentence
    assert "\n" not in sentence and not (tmp_path / "out.onnx").exists()


# ---- files that are none --------------------------------------------------------------------------

@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"<html>not found</html>", bytes(1000)])
def test_not_a_model(tmp_path, data):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    status, sentence = copy(path, tmp_path / "out.onnx")
    assert status == 3 and sentence.startswith(f"{path}: ") and "\n" not in sentence


def test_missing_file(tmp_path):
    status, sentence = copy(tmp_path / "none.onnx", tmp_path / "out.onnx")
    assert status == 5 and "none.onnx" in sentence
