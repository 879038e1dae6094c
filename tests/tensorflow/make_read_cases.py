"""Writes tests/tensorflow/read/: small files of every kind that the reader takes, made by the real TensorFlow, and what it
says of them (expected.json), so that `make test` covers the reader without TensorFlow.

    build/venv-tensorflow/bin/python tests/tensorflow/make_read_cases.py [FOLDER]"""
import json
import os
import pathlib
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
HERE = pathlib.Path(__file__).resolve().parent
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "read"
DTYPES = {np.float32: "f32", np.float64: "f64", np.float16: "f16", np.int8: "i8", np.int16: "i16", np.int32: "i32",
          np.int64: "i64", np.uint8: "u8", np.uint16: "u16", np.uint32: "u32", np.uint64: "u64", np.bool_: "bool",
          np.complex64: "c64", np.complex128: "c128"}
expected = {}


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def describe(array):
    array = np.asarray(array)
    name = "bf16" if array.dtype == tf.bfloat16.as_numpy_dtype else DTYPES[array.dtype.type]
    return {"dtype": name, "shape": list(array.shape), "hex": array.tobytes().hex()}


def drop_noise(folder):
    """What TensorFlow writes and no reader needs."""
    for name in ("fingerprint.pb", "assets"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def frozen():
    """Binary and text form of one graph, whose constants have every type and every spelling."""
    with v1.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 4], "x")
        w = tf.constant(numbers(4, 3), name="w")
        values = {
            "same": np.full((5, 7), 2.5, np.float32), "zero": np.zeros((3,), np.float32), "scalar": np.float32(-0.0),
            "odd": np.array([np.inf, -np.inf, np.nan, 1e-45, 3.4028235e38], np.float32),
            "half": np.array([1, -2.5, 65504], np.float16), "double": np.array([np.pi, -1e300]),
            "brain": np.array([1.5, -3]).astype(tf.bfloat16.as_numpy_dtype), "empty": np.zeros((0, 3), np.float32),
            "i8": np.array([-128, 127, 0], np.int8), "u8": np.array([0, 255], np.uint8), "i16": np.array([-32768], np.int16),
            "u16": np.array([65535, 1], np.uint16), "i32": np.array([[-2**31, 2**31 - 1]], np.int32),
            "u32": np.array([2**32 - 1], np.uint32), "i64": np.array([-2**63, 2**63 - 1]),
            "u64": np.array([2**64 - 1, 5], np.uint64), "bool": np.array([True, False, True]),
            "c64": np.array([1 - 2j], np.complex64), "c128": np.array([[1j], [2 - 1e100j]]),
        }
        nodes = [tf.constant(array, name=name) for name, array in values.items()]
        texts = tf.constant([b"plain", b"", b"\x00\xff\"'\\\n\t\x7f", "\u00e9\u20ac".encode()], name="texts")
        parts = tf.split(tf.matmul(x, w, name="product"), [1, 2], axis=1, name="parts")
        with tf.control_dependencies([v1.assert_greater(parts[0], -1e9)]):
            tf.nn.relu(parts[1], name="y")
    definition = graph.as_graph_def()
    for node in definition.node:                 # repeated numbers as writers may spell them
        if node.name == "same":
            node.attr["value"].tensor.Clear()
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto([], tf.float32, [0]))
            node.attr["value"].tensor.tensor_shape.CopyFrom(tf.TensorShape([5, 7]).as_proto())
            node.attr["value"].tensor.float_val.extend([2.5])
        if node.name == "zero":
            tensor = node.attr["value"].tensor
            tensor.ClearField("float_val")
            tensor.ClearField("tensor_content")
    v1.train.write_graph(definition, str(OUT), "frozen.pb", as_text=False)
    v1.train.write_graph(definition, str(OUT), "frozen.pbtxt", as_text=True)
    outputs = ["y", *values, "texts"]
    for name in ("frozen.pb", "frozen.pbtxt"):
        expected[name] = {"options": [], "inputs": ["x"], "outputs": ["y"],
                          "ops": ["Const", "Const", "Const", "MatMul", "Placeholder", "Relu", "SplitV"], "constants": {}}
        expected[name + " whole"] = {
            "options": [word for output in outputs for word in ("--output", output)], "inputs": ["x"], "outputs": outputs,
            "constants": {"w": describe(numbers(4, 3)), **{key: describe(array) for key, array in values.items()}},
            "strings": {"texts": [text.hex() for text in (b"plain", b"", b"\x00\xff\"'\\\n\t\x7f", "\u00e9\u20ac".encode())]}}
    assert len(nodes) == len(values) and texts is not None


def partitioned(name, resource):
    """A SavedModel of TensorFlow 1 with variables, one of them in three parts, and a checkpoint with its .meta file."""
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4], "x")
        w = v1.get_variable("layer/w", initializer=numbers(4, 3, seed=1), use_resource=resource)
        table = v1.get_variable("table", [200, 3], initializer=lambda shape, dtype, partition_info:
                                numbers(200, 3, seed=2)[partition_info.var_offset[0]:][:shape[0]],
                                partitioner=v1.fixed_size_partitioner(3), use_resource=resource)
        y = tf.identity(tf.matmul(x, w) + tf.reduce_sum(tf.convert_to_tensor(table), 0), name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(OUT / name), {"x": x}, {"y": y})
        if not resource:
            v1.train.Saver().save(session, str(OUT / "checkpoint" / "model"), write_state=False)
    drop_noise(OUT / name)
    case = {"options": [], "inputs": ["x"], "outputs": ["y"],
            "constants": {"layer/w": describe(numbers(4, 3, seed=1)),
                          **{f"table/part_{k}": describe(numbers(200, 3, seed=2)[first:last])
                             for k, (first, last) in enumerate([(0, 67), (67, 134), (134, 200)])}}}
    expected[name] = case
    if not resource:
        expected["checkpoint/model.meta"] = case


class Nested(tf.Module):
    """Functions in functions, one called twice, outputs by name and number, two variables of one name."""

    def __init__(self):
        super().__init__()
        self.first = tf.Variable(numbers(4, 4, seed=3), name="w")
        self.second = tf.Variable(numbers(4, 4, seed=4), name="w")

    @tf.function
    def layer(self, x, w):
        return tf.nn.relu(tf.matmul(x, w))

    @tf.function
    def halves(self, x):
        left, right = tf.split(x, 2, axis=1)
        return right, left, tf.math.top_k(x, 2).indices

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def serve(self, x):
        x = self.layer(self.layer(x, self.first), self.second)
        right, left, best = self.halves(x)
        return {"sum": right - left, "best": best}


def functions():
    module = Nested()
    tf.saved_model.save(module, str(OUT / "functions"), signatures={"serving_default": module.serve})
    drop_noise(OUT / "functions")
    expected["functions"] = {"options": [], "inputs": ["x"], "outputs": ["best", "sum"],
                             "values": [describe(module.first), describe(module.second)], "constants": {}}
    # the same graph without op declarations: a library of functions in a GraphDef
    concrete = module.halves.get_concrete_function(tf.TensorSpec([None, 4], tf.float32))
    with v1.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 4], "x")
        right, left, best = concrete(x)
        tf.identity(right, "right"), tf.identity(left, "left"), tf.identity(best, "best")
    v1.train.write_graph(graph.as_graph_def(), str(OUT), "library.pb", as_text=False)
    expected["library.pb"] = {"options": [], "inputs": ["x"], "outputs": ["right", "left", "best"], "constants": {}}


def keras():
    """As Keras exports a model, and as it is saved like any other object."""
    tf.keras.utils.set_random_seed(5)
    model = tf.keras.Sequential([tf.keras.layers.Input((6, 6, 2)), tf.keras.layers.Conv2D(3, 3, use_bias=False, name="conv"),
                                 tf.keras.layers.BatchNormalization(name="norm"), tf.keras.layers.ReLU(),
                                 tf.keras.layers.Flatten(), tf.keras.layers.Dense(4, name="dense")])
    for variable in model.variables:
        variable.assign(numbers(*variable.shape, seed=len(variable.path)) ** 2)
    values = [describe(variable.numpy()) for variable in model.variables]
    tf.saved_model.save(model, str(OUT / "keras"))
    drop_noise(OUT / "keras")
    expected["keras"] = {"options": [], "inputs": ["inputs"], "outputs": ["output_0"], "values": values, "constants": {}}


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    frozen()
    partitioned("variables_ref", resource=False)
    partitioned("variables_resource", resource=True)
    functions()
    keras()
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    size = sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file())
    print(f"{size} bytes in {OUT}")


main()
