"""Whole networks with random weights, frozen and as SavedModels, against TensorFlow's own output."""
import functools

import numpy as np
import onnx
import onnxruntime
import pytest

pytest.importorskip("keras", reason="make test-tensorflow has it")  # "tensorflow" would find this folder

import keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from cases import tf
from conftest import ok, refused, relative_error
from test_import import run_model

v1 = tf.compat.v1
A = keras.applications
NETWORKS = {
    "resnet50": (A.ResNet50, 224), "resnet50v2": (A.ResNet50V2, 224), "mobilenet": (A.MobileNet, 224), "mobilenetv2": (A.MobileNetV2, 224),
    "mobilenetv3": (A.MobileNetV3Large, 224), "efficientnetb0": (A.EfficientNetB0, 224), "inceptionv3": (A.InceptionV3, 299),
    "densenet121": (A.DenseNet121, 224), "vgg16": (A.VGG16, 64), "xception": (A.Xception, 299),
}


def onnxruntime_run(path, feeds):
    """Its Pad_Fusion takes the zeros of a Pad for padding of the MaxPool behind it, which knows no zeros; ResNet-50 v2 has that."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"], disabled_optimizers=["Pad_Fusion"]).run(None, feeds)[0]


def check(folder, source, feeds, wanted, *options, transposes=None):
    path = folder / "network.onnx"
    ok("import", source, "-o", path, *options, "-q", timeout=600)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {x.name for x in model.graph.input} == set(feeds)
    assert transposes is None or sum(node.op_type == "Transpose" for node in model.graph.node) == transposes
    got = run_model(folder, path, feeds, [model.graph.output[0].name])[0]
    errors = relative_error(got, wanted), relative_error(onnxruntime_run(path, feeds), wanted)
    assert max(errors) < 1e-5, f"Opgraft {errors[0]:.1e}, ONNX Runtime {errors[1]:.1e}"


@functools.cache
def network(name):
    """A Keras model whose statistics are not those of a fresh one, an input, and what TensorFlow makes of it."""
    make, size = NETWORKS[name]
    keras.utils.set_random_seed(1)
    model = make(weights=None, **({"input_shape": (size, size, 3)} if name == "vgg16" else {}))
    rng = np.random.default_rng(0)
    for w in model.weights:
        kind = w.path.split("/")[-1]
        if kind in ("moving_variance", "gamma"):
            w.assign(rng.uniform(0.5, 1.5, w.shape))
        elif kind in ("moving_mean", "beta", "bias"):
            w.assign(rng.normal(0, 0.1, w.shape))
    x = rng.uniform(0, 255 if name in ("mobilenetv3", "efficientnetb0") else 1, (2, size, size, 3)).astype(np.float32)
    return model, x, model(x, training=False).numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_frozen_network(tmp_path, name):
    model, x, wanted = network(name)
    call = tf.function(lambda image: model(image, training=False))
    frozen = convert_variables_to_constants_v2(call.get_concrete_function(tf.TensorSpec([None, *x.shape[1:]], tf.float32, name="image")))
    (tmp_path / "frozen.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    check(tmp_path, tmp_path / "frozen.pb", {"image": x}, wanted, transposes=1)         # between NHWC and NCHW: at the image


@pytest.mark.parametrize("name", ["resnet50", "resnet50v2", "mobilenetv2", "mobilenetv3", "efficientnetb0", "inceptionv3", "densenet121"])
def test_a_saved_model(tmp_path, name):
    model, x, wanted = network(name)
    model.export(tmp_path / "saved", format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved").signatures["serving_default"]
    (key,) = loaded.structured_input_signature[1]
    check(tmp_path, tmp_path / "saved", {key: x}, wanted, transposes=1)


def lenet5(x):
    """As it was written with TensorFlow 1."""
    def variable(name, *shape):
        return v1.get_variable(name, shape, initializer=v1.random_normal_initializer(stddev=0.1, seed=len(name)))
    x = v1.nn.conv2d(x, variable("conv1/w", 5, 5, 1, 6), [1, 1, 1, 1], "SAME", name="conv1")
    x = v1.nn.max_pool(v1.nn.relu(v1.nn.bias_add(x, variable("conv1/b", 6))), [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
    x = v1.nn.conv2d(x, variable("conv2/w", 5, 5, 6, 16), [1, 1, 1, 1], "VALID", name="conv2")
    x = v1.nn.max_pool(v1.nn.relu(v1.nn.bias_add(x, variable("conv2/b", 16))), [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
    x = v1.reshape(x, [-1, 400])
    for k, (n, m) in enumerate([(400, 120), (120, 84), (84, 10)]):
        x = v1.nn.xw_plus_b(x, variable(f"fc{k}/w", n, m), variable(f"fc{k}/b", m), name=f"fc{k}")
        x = v1.nn.relu(x) if k < 2 else x
    return v1.nn.softmax(x, name="probabilities")


def test_lenet5_of_tensorflow_1(tmp_path):
    images = np.random.default_rng(0).uniform(0, 1, (3, 28, 28, 1)).astype(np.float32)
    with tf.Graph().as_default() as graph, v1.Session() as session:
        y = lenet5(v1.placeholder(tf.float32, [None, 28, 28, 1], "image"))
        session.run(v1.global_variables_initializer())
        wanted = session.run(y, {"image:0": images})
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["probabilities"])
        v1.train.write_graph(frozen, str(tmp_path), "frozen.pb", as_text=False)
        v1.train.write_graph(frozen, str(tmp_path), "frozen.pbtxt", as_text=True)
        v1.saved_model.simple_save(session, str(tmp_path / "saved"), {"image": graph.get_tensor_by_name("image:0")}, {"probabilities": y})
    for source in ("frozen.pb", "frozen.pbtxt", "saved"):
        check(tmp_path, tmp_path / source, {"image": images}, wanted, transposes=1)


def test_an_embedding_in_a_saved_model(tmp_path):
    model = keras.Sequential([keras.Input((7,), dtype="int32", name="words"), keras.layers.Embedding(20, 6), keras.layers.Conv1D(4, 3, dilation_rate=2, padding="same"),
                              keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(3, activation="gelu")])
    words = np.random.default_rng(0).integers(0, 20, (5, 7)).astype(np.int32)
    model.export(tmp_path / "saved", format="tf_saved_model", verbose=False)
    check(tmp_path, tmp_path / "saved", {"words": words}, model(words).numpy())


def test_a_network_that_grows_images(tmp_path):
    layers = keras.layers
    model = keras.Sequential([keras.Input((12, 10, 3), name="image"), layers.Conv2D(8, 3, strides=2, padding="same", activation="swish"),
                              layers.UpSampling2D(2, interpolation="bilinear"), layers.Conv2DTranspose(4, 4, strides=2, padding="same"),
                              layers.LayerNormalization(), layers.SeparableConv2D(5, 3, dilation_rate=2, padding="same"), layers.PReLU(shared_axes=[1, 2])])
    x = np.random.default_rng(0).normal(0, 1, (2, 12, 10, 3)).astype(np.float32)
    model.export(tmp_path / "saved", format="tf_saved_model", verbose=False)
    check(tmp_path, tmp_path / "saved", {"image": x}, model(x).numpy())


def test_recurrent_layers_in_loops(tmp_path):
    layers = keras.layers
    model = keras.Sequential([keras.Input((7, 5), name="x"), layers.LSTM(6, return_sequences=True), layers.GRU(4, return_sequences=True),
                              layers.Bidirectional(layers.SimpleRNN(3)), layers.Dense(2)])
    x = np.random.default_rng(0).normal(0, 1, (3, 7, 5)).astype(np.float32)
    model.export(tmp_path / "saved", format="tf_saved_model", verbose=False)
    call = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec([None, 7, 5], tf.float32, name="x"))
    frozen = convert_variables_to_constants_v2(call, lower_control_flow=False)
    (tmp_path / "frozen.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    for source in ("saved", "frozen.pb"):
        check(tmp_path, tmp_path / source, {"x": x}, model(x).numpy())
        assert sum(node.op_type == "Loop" for node in onnx.load(tmp_path / "network.onnx").graph.node) == 4
    lowered = convert_variables_to_constants_v2(call)            # Switch, Merge, NextIteration
    (tmp_path / "lowered.pb").write_bytes(lowered.graph.as_graph_def().SerializeToString())
    assert "lower_control_flow=False" in refused(4, "import", tmp_path / "lowered.pb", "-o", tmp_path / "lowered.onnx")
