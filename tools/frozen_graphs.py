"""Frozen TensorFlow graphs of LeNet-5 and of Keras applications, with random weights and statistics.

frozen_graphs.py FOLDER NAME...     writes FOLDER/NAME.pb: input "image" (f32[N,H,W,C]), output "Identity"
Needs TensorFlow (tools/requirements-tensorflow.txt)."""
import pathlib
import sys

SIZES = {"lenet5": 28, "resnet50": 224, "resnet50v2": 224, "mobilenetv2": 224, "mobilenetv3": 224, "efficientnetb0": 224,
         "inceptionv3": 299, "densenet121": 224}


def network(name):
    import keras
    import numpy as np
    keras.utils.set_random_seed(1)
    layers, of = keras.layers, keras.applications
    if name == "lenet5":
        return keras.Sequential([
            keras.Input((28, 28, 1)), layers.Conv2D(6, 5, padding="same", activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"), layers.Dense(10, activation="softmax")])
    make = {"resnet50": of.ResNet50, "resnet50v2": of.ResNet50V2, "mobilenetv2": of.MobileNetV2, "mobilenetv3": of.MobileNetV3Large,
            "efficientnetb0": of.EfficientNetB0, "inceptionv3": of.InceptionV3, "densenet121": of.DenseNet121}[name]
    model, rng = make(weights=None), np.random.default_rng(0)
    for weight in model.weights:         # fresh statistics would make every batch normalisation the identity
        kind = weight.path.split("/")[-1]
        if kind in ("moving_variance", "gamma"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif kind in ("moving_mean", "beta", "bias"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
    return model


def write_frozen(model, path):
    """A Keras model as a frozen graph with an open batch."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    call = tf.function(lambda image: model(image, training=False))
    image = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32, name="image")
    path.write_bytes(convert_variables_to_constants_v2(call.get_concrete_function(image)).graph.as_graph_def().SerializeToString())


def freeze(name, path):
    model = network(name)
    assert SIZES[name] == model.input_shape[1]
    write_frozen(model, path)


def load(path):
    """The frozen graph as a function of TensorFlow."""
    import tensorflow as tf
    graph = tf.compat.v1.GraphDef.FromString(pathlib.Path(path).read_bytes())
    wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    return wrapped.prune("image:0", "Identity:0")


if __name__ == "__main__":
    for each in sys.argv[2:]:
        freeze(each, pathlib.Path(sys.argv[1]) / f"{each}.pb")
