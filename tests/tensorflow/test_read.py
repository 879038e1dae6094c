"""The reader against the real TensorFlow: what it reads of a model is put together again as a graph, which TensorFlow runs to the
same answer; every variable is the same byte for byte."""
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
tf = pytest.importorskip("tensorflow")

from tensorflow.python.framework import op_def_registry                                                   # noqa: E402
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2            # noqa: E402

v1 = tf.compat.v1
ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("OPGRAFT_BUILD", ROOT / "build")).resolve()
TYPES = {"f32": tf.float32, "f64": tf.float64, "f16": tf.float16, "bf16": tf.bfloat16, "i8": tf.int8, "u8": tf.uint8,
         "i16": tf.int16, "u16": tf.uint16, "i32": tf.int32, "u32": tf.uint32, "i64": tf.int64, "u64": tf.uint64,
         "bool": tf.bool, "str": tf.string, "c64": tf.complex64, "c128": tf.complex128}


def read(path, folder, *options):
    data = folder / "constants.bin"
    done = subprocess.run([BUILD / "tests" / "tf_show", path, data, *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), data.read_bytes()


def array_of(tensor, data):
    dtype = TYPES[tensor["dtype"]].as_numpy_dtype
    return np.frombuffer(data, dtype, int(np.prod(tensor["shape"])), tensor["offset"]).reshape(tensor["shape"])


def constants(graph, data):
    return {node["name"]: array_of(node["attrs"]["value"], data) for node in graph["nodes"]
            if node["op"] == "Const" and node["attrs"]["value"]["dtype"] != "str"}


def put_attr(attr, kind, value, data):
    if kind == "type":
        attr.type = TYPES[value].as_datatype_enum
    elif kind == "shape":
        attr.shape.CopyFrom(tf.TensorShape(value and [None if d < 0 else d for d in value]).as_proto())
    elif kind == "tensor":
        attr.tensor.CopyFrom(tf.make_tensor_proto(
            [bytes.fromhex(s) for s in value["strings"]] if "strings" in value else array_of(value, data), shape=value["shape"]))
    elif kind in ("int", "bool", "float"):
        setattr(attr, kind[0], value)
    elif kind == "string":
        attr.s = value.encode()
    elif kind == "list(int)":
        attr.list.i.extend(value)
    elif kind == "list(type)":
        attr.list.type.extend(TYPES[name].as_datatype_enum for name in value)
    elif kind == "list(string)":
        attr.list.s.extend(text.encode() for text in value)
    else:
        assert kind == "list(float)", kind
        attr.list.f.extend(value)


def rebuilt(graph, data):
    """What was read as a GraphDef, by TensorFlow's own declarations of ops."""
    definition = v1.GraphDef()
    definition.versions.producer = graph["producer"]
    for node in graph["nodes"]:
        out = definition.node.add(name=node["name"], op=node["op"], input=node["in"])
        for declared in op_def_registry.get(node["op"]).attr:
            if declared.name in node["attrs"]:
                put_attr(out.attr[declared.name], declared.type, node["attrs"][declared.name], data)
    return definition


def run(graph, data, inputs):
    """The outputs of what was read, computed by TensorFlow."""
    with v1.Graph().as_default() as g, v1.Session() as session:
        tf.import_graph_def(rebuilt(graph, data), name="")
        feed = {port["value"]: inputs[port["name"]] for port in graph["inputs"]}
        fetch = {port["name"]: g.get_tensor_by_name(port["value"]) for port in graph["outputs"]}
        return session.run(fetch, feed)


def close(got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return got.shape == want.shape and np.abs(got - want).max() <= 1e-5 * max(np.abs(want).max(), 1e-30)


def randomise(model, seed=0):
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        scale = 1 / max(np.prod(variable.shape[:-1]), 1) ** 0.5 if len(variable.shape) > 1 else 0.2
        values = rng.standard_normal(variable.shape) * scale
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.path or "gamma" in variable.path else values)


APPLICATIONS = ["ResNet50", "ResNet50V2", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "InceptionV3"]


@pytest.mark.parametrize("name", APPLICATIONS)
def test_keras_applications(name, tmp_path):
    size = 96
    model = getattr(tf.keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    randomise(model)
    model.export(tmp_path / "model", verbose=False)
    graph, data = read(tmp_path / "model", tmp_path)
    x = np.random.default_rng(1).standard_normal((2, size, size, 3)).astype(np.float32)
    used = {value.tobytes() for value in constants(graph, data).values()}
    weights = model.trainable_variables + [variable for variable in model.variables if "moving" in variable.path]
    assert len(weights) > 100 and all(variable.numpy().tobytes() in used for variable in weights)
    want = tf.saved_model.load(tmp_path / "model").signatures["serving_default"](tf.constant(x))
    got = run(graph, data, {graph["inputs"][0]["name"]: x})
    assert got.keys() == want.keys() and all(close(got[key], want[key]) for key in want)


def test_saved_as_any_object(tmp_path):
    """Not by model.export: the graph then restores copies of the variables, and the objects say which is which."""
    model = tf.keras.Sequential([tf.keras.layers.Input((8, 8, 3)), tf.keras.layers.Conv2D(4, 3), tf.keras.layers.BatchNormalization(),
                                 tf.keras.layers.Flatten(), tf.keras.layers.Dense(5), tf.keras.layers.Dense(5)])
    randomise(model)
    tf.saved_model.save(model, tmp_path / "model")
    graph, data = read(tmp_path / "model", tmp_path)
    x = np.random.default_rng(1).standard_normal((3, 8, 8, 3)).astype(np.float32)
    assert close(run(graph, data, {graph["inputs"][0]["name"]: x})["output_0"], model(x))


@pytest.mark.parametrize("as_text", [False, True])
def test_frozen(as_text, tmp_path):
    model = tf.keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=3, alpha=0.35)
    randomise(model)
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec([None, 32, 32, 3]))
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    tf.io.write_graph(frozen.graph.as_graph_def(), str(tmp_path), "frozen", as_text=as_text)
    graph, data = read(tmp_path / "frozen", tmp_path)
    assert {node["op"] for node in graph["nodes"]}.isdisjoint({"PartitionedCall", "StatefulPartitionedCall"})
    x = np.random.default_rng(1).standard_normal((2, 32, 32, 3)).astype(np.float32)
    assert close(list(run(graph, data, {graph["inputs"][0]["name"]: x}).values())[0], model(x, training=False))
    want = {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in frozen.graph.as_graph_def().node if node.op == "Const"}
    got = constants(graph, data)
    assert len(got) > 100 and all(np.array_equal(want[key], value) for key, value in got.items() if key in want)


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
def test_variables_of_tensorflow_1(resource, parts, tmp_path):
    """Large places of parts have keys of more bytes; a checkpoint may have several files."""
    values = np.random.default_rng(2).standard_normal((70000, 5)).astype(np.float32)
    (tmp_path / "check").mkdir()
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.int32, [None], "x")
        table = v1.get_variable("table", values.shape, partitioner=v1.fixed_size_partitioner(parts), use_resource=resource,
                                initializer=lambda shape, dtype, partition_info=None: values[
                                    (partition_info.var_offset[0] if partition_info else 0):][:shape[0]])
        w = v1.get_variable("a/b", initializer=values[:5], use_resource=resource)
        y = tf.matmul(tf.gather(tf.convert_to_tensor(table), x), w, name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "model"), {"x": x}, {"y": y})
        v1.train.Saver(sharded=True).save(session, str(tmp_path / "check" / "point"))
        want = session.run(y, {x: [0, 23332, 23335, 69999]})
    for path in (tmp_path / "model", tmp_path / "check" / "point.meta"):
        graph, data = read(path, tmp_path)
        assert np.array_equal(run(graph, data, {"x": [0, 23332, 23335, 69999]})["y"], want)
        got = constants(graph, data)
        pieces = [got[name] for name in sorted(got) if name == "table" or name.startswith("table/part_")]
        assert np.array_equal(np.concatenate(pieces), values) and np.array_equal(got["a/b"], values[:5])


def test_a_whole_variable_restored_in_parts(tmp_path):
    """And a variable kept in parts restored whole: the keys are the same, the parts are not."""
    values = np.random.default_rng(3).standard_normal((9, 4)).astype(np.float32)

    def save(parts, name):
        with v1.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None, 9], "x")
            table = v1.get_variable("table", values.shape, partitioner=v1.fixed_size_partitioner(parts) if parts > 1 else None,
                                    initializer=lambda shape, dtype, partition_info=None: values[
                                        (partition_info.var_offset[0] if partition_info else 0):][:shape[0]])
            tf.matmul(x, tf.convert_to_tensor(table), name="y")
            session.run(v1.global_variables_initializer())
            v1.train.Saver().save(session, str(tmp_path / name))

    save(1, "one"), save(2, "two"), save(4, "four")
    for graph_of, variables_of in [("one", "two"), ("two", "one"), ("four", "two"), ("two", "four")]:
        folder = tmp_path / f"{graph_of}-{variables_of}"
        folder.mkdir()
        (folder / "m.meta").write_bytes((tmp_path / f"{graph_of}.meta").read_bytes())
        for end in (".index", ".data-00000-of-00001"):
            (folder / f"m{end}").write_bytes((tmp_path / f"{variables_of}{end}").read_bytes())
        graph, data = read(folder / "m.meta", tmp_path, "--output", "y")
        x = np.eye(9, dtype=np.float32)
        assert np.array_equal(run(graph, data, {"x": x})["y"], values)


def test_saved_model_as_text(tmp_path):
    """saved_model.pbtxt, as tf.saved_model.Builder writes it when asked for text."""
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        w = v1.get_variable("w", initializer=np.float32([[1, 2], [3, 4]]))
        y = tf.matmul(x, w, name="y")
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(tmp_path / "model"))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve", "extra"], {"first": signature, "second": signature})
        builder.save(as_text=True)
    graph, data = read(tmp_path / "model", tmp_path, "--signature", "second", "--tag", "extra")
    assert graph["signature"] == "second"
    assert run(graph, data, {"x": np.float32([[1, 1]])})["y"].tolist() == [[4, 6]]


def test_files_that_were_committed_are_made_by_the_script(tmp_path):
    """The same kinds of files with the same constants: names in graphs of TensorFlow 2 have counters in them."""
    script = ROOT / "tests" / "tensorflow" / "make_read_cases.py"
    subprocess.run([sys.executable, script, tmp_path / "read"], check=True, capture_output=True, timeout=300)
    committed = script.parent / "read"
    assert sorted(p.relative_to(committed) for p in committed.rglob("*")) == \
        sorted(p.relative_to(tmp_path / "read") for p in (tmp_path / "read").rglob("*"))
    assert json.loads((committed / "expected.json").read_text()) == json.loads((tmp_path / "read" / "expected.json").read_text())
