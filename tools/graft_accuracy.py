"""What Swish in place of ReLU does to the accuracy of a trained residual network: ResNet-20 on digits, trained with TensorFlow, imported,
grafted and run by Opgraft. Prints JSON for docs/resnet50.json.

graft_accuracy.py --build build --work build/accuracy --mnist DIR [--epochs 10]
Needs TensorFlow and scikit-learn (tools/requirements-tensorflow.txt). DIR holds MNIST's two t10k files, as for tools/train_lenet5.py, which trains
on the same digits: four fifths of UCI's and the MNIST images of even index."""
import argparse
import json
import os
import pathlib
import subprocess

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from digits import enlarge, read_mnist, uci_digits
from frozen_graphs import write_frozen

BATCH = 64
WIDTHS, BLOCKS = (8, 16, 32), 3          # 3 stages of 3 blocks of 2 convolutions, one before and a dense layer behind: 20 layers


def data(folder):
    """(images f32[N,28,28,1], labels) to train on, and two sets of them to test."""
    images, labels, held_images, held_labels = uci_digits()
    mnist, mnist_labels = read_mnist(folder)

    def pixels(x, white):
        return (x.astype(np.float32) / np.float32(white))[..., None]
    train = np.concatenate([pixels(enlarge(images), 1600), pixels(mnist[::2], 255)]), np.concatenate([labels, mnist_labels[::2]])
    return train, {"uci": (pixels(enlarge(held_images), 1600), held_labels), "mnist": (pixels(mnist[1::2], 255), mnist_labels[1::2])}


def resnet20(activation):
    layers = keras.layers

    def convolution(x, width, size=3, stride=1):
        return layers.BatchNormalization(momentum=0.9)(layers.Conv2D(width, size, stride, padding="same", use_bias=False)(x))
    image = keras.Input((28, 28, 1), name="image")
    x = layers.Activation(activation)(convolution(image, WIDTHS[0]))
    for stage, width in enumerate(WIDTHS):
        for block in range(BLOCKS):
            stride = 2 if stage and not block else 1
            shortcut = convolution(x, width, 1, stride) if stride > 1 else x
            x = convolution(layers.Activation(activation)(convolution(x, width, stride=stride)), width)
            x = layers.Activation(activation)(layers.Add()([x, shortcut]))
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def fit(model, train, epochs, rate):
    """Adam, the rate falling to 0 along a cosine."""
    steps = epochs * -(-len(train[0]) // BATCH)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*train, batch_size=BATCH, epochs=epochs, verbose=0)
    return model


def with_weights(activation, source):
    model = resnet20(activation)
    model.set_weights(source.get_weights())
    return model


def statistics_anew(model, train):
    """Means and variances of the batch normalisations from the training images; no weight is trained."""
    for at in range(0, len(train[0]), 4 * BATCH):
        model(train[0][at:at + 4 * BATCH], training=True)
    return model


class Judge:
    def __init__(self, given, tests):
        self.given, self.tests, self.rows = given, tests, []

    def opgraft(self, *words):
        return subprocess.run([self.given.build / "opgraft", *map(str, words)], cwd=self.given.work, check=True, capture_output=True, text=True).stdout

    def frozen(self, model, name):
        write_frozen(model, self.given.work / f"{name}.pb")
        self.opgraft("import", f"{name}.pb", "-o", f"{name}.onnx", "-q")

    def count(self, name, title):
        """Right answers of the plan that Opgraft builds."""
        row = {"name": title}
        for key, (images, labels) in self.tests.items():
            np.save(self.given.work / "x.npy", images)
            self.opgraft("run", f"{name}.onnx", "--input", "image=x.npy", "--output", "Identity=y.npy", "-q", "--no-timing")
            row[key] = [int((np.load(self.given.work / "y.npy").argmax(1) == labels).sum()), len(labels)]
        self.rows.append(row)

    def swish(self, model, title):
        """Of a network that was trained, or measured, with Swish: grafted by meaning."""
        self.frozen(model, "swish")
        self.opgraft("graft", "swish.onnx", "-o", "grafted.onnx", "--op", "Swish", "-q")
        ops = json.loads(self.opgraft("info", "grafted.onnx", "--json"))["ops"]
        assert ops["opgraft::Swish"] == 2 * BLOCKS * len(WIDTHS) + 1, ops
        self.count("grafted", title)


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--build", type=pathlib.Path, required=True)
    ask.add_argument("--work", type=pathlib.Path, required=True)
    ask.add_argument("--mnist", type=pathlib.Path, required=True)
    ask.add_argument("--epochs", type=int, default=10)
    given = ask.parse_args()
    given.build, given.work = given.build.resolve(), given.work.resolve()
    given.work.mkdir(parents=True, exist_ok=True)
    train, tests = data(given.mnist)
    keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    judge = Judge(given, tests)

    relu = fit(resnet20("relu"), train, given.epochs, 3e-3)
    judge.frozen(relu, "relu")
    judge.count("relu", "trained with ReLU")
    for title, op in (("ReLU mapped to Swish, nothing else", "Swish"), ("ReLU mapped to Swish with beta = 8", "Swish,beta=8")):
        judge.opgraft("graft", "relu.onnx", "-o", "mapped.onnx", "--map", f"Relu={op}", "-q")
        judge.count("mapped", title)
    judge.swish(statistics_anew(with_weights("silu", relu), train), "with Swish, means and variances measured anew")
    for epochs in (1, 3):
        judge.swish(fit(with_weights("silu", relu), train, epochs, 1e-3), f"with Swish, trained for {epochs} epoch{'s' * (epochs > 1)} more")
    judge.frozen(fit(with_weights("relu", relu), train, 3, 1e-3), "longer")
    judge.count("longer", "with ReLU, trained for 3 epochs more")
    judge.swish(fit(resnet20("silu"), train, given.epochs, 3e-3), "trained with Swish from the start")
    print(json.dumps({"epochs": given.epochs, "images": len(train[0]), "activations": 2 * BLOCKS * len(WIDTHS) + 1, "rows": judge.rows}))


if __name__ == "__main__":
    main()
