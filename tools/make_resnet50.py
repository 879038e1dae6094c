#!/usr/bin/env python3
"""Write ResNet-50 v1.5 as ONNX with weights made from a seed.

    python3 tools/make_resnet50.py --out /tmp/resnet50.onnx --activation swish4

Needs numpy and onnx. v1.5: a bottleneck that halves the image does it in its 3 x 3 convolution. The
weights are He-initialised and the running statistics of each BatchNormalization are scattered around
0 and 1, so that values stay of order 1 to 10 through all layers; it recognises nothing. The same options
give the same bytes on every machine: integers of a fixed generator, scaled by exact arithmetic.
"""
import argparse
import math

import numpy as np
from onnx import TensorProto, helper, numpy_helper

BLOCKS = [(64, 3), (128, 4), (256, 6), (512, 3)]     # width of a stage, its bottlenecks
EXPANSION = 4
CLASSES = 1000


class Writer:
    """Nodes and weights so far; each layer takes and returns the name of a value."""

    def __init__(self, activation, seed):
        self.activation = activation
        self.random = np.random.PCG64(seed)
        self.nodes, self.weights, self.channels = [], [], {"image": 3}
        if activation == "swish4":
            self.weight("one", np.array(1, np.float32))

    def weight(self, name, value):
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def uniform(self, shape, low, high):
        bits = self.random.random_raw(math.prod(shape)) >> 40
        return (np.float32(low) + bits.astype(np.float32) * np.float32((high - low) / 2**24)).reshape(shape)

    def conv(self, x, name, channels, size, stride=1):
        shape = (channels, self.channels[x], size, size)
        bound = math.sqrt(6 / math.prod(shape[1:]))
        self.channels[name] = channels
        return self.node("Conv", [x, self.weight(name + ".weight", self.uniform(shape, -bound, bound))], name,
                         kernel_shape=[size, size], strides=[stride, stride], pads=[size // 2] * 4)

    def norm(self, x, name, scale=1.0):
        n = self.channels[name] = self.channels[x]
        parts = [self.weight(f"{name}.{part}", self.uniform((n,), low, high)) for part, low, high in (
            ("weight", 0.75 * scale, 1.25 * scale), ("bias", -0.2, 0.2),
            ("running_mean", -0.2, 0.2), ("running_var", 0.75, 1.25))]
        return self.node("BatchNormalization", [x, *parts], name, epsilon=1e-5)

    def act(self, x, name):
        self.channels[name] = self.channels[x]
        if self.activation == "relu":
            return self.node("Relu", [x], name)
        if self.activation == "swish2":
            return self.node("Mul", [x, self.node("Sigmoid", [x], name + "_sigmoid")], name)
        exp = self.node("Exp", [self.node("Neg", [x], name + "_neg")], name + "_exp")
        return self.node("Div", [x, self.node("Add", [exp, "one"], name + "_add")], name)

    def bottleneck(self, x, name, width, stride):
        channels = width * EXPANSION
        y = self.act(self.norm(self.conv(x, name + ".conv1", width, 1), name + ".bn1"), name + ".act1")
        y = self.act(self.norm(self.conv(y, name + ".conv2", width, 3, stride), name + ".bn2"), name + ".act2")
        # a small scale here keeps the sum over 16 blocks from growing
        y = self.norm(self.conv(y, name + ".conv3", channels, 1), name + ".bn3", scale=0.35)
        if self.channels[x] != channels or stride != 1:
            x = self.norm(self.conv(x, name + ".downsample", channels, 1, stride), name + ".downsample_bn")
        self.channels[name + ".add"] = channels
        return self.act(self.node("Add", [y, x], name + ".add"), name + ".act3")


def resnet50(activation="relu", batch="N", seed=50):
    """The onnx.ModelProto; batch is a number or the name of a free dimension."""
    net = Writer(activation, seed)
    x = net.act(net.norm(net.conv("image", "conv1", 64, 7, 2), "bn1"), "act1")
    net.channels["pool1"] = net.channels[x]
    x = net.node("MaxPool", [x], "pool1", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage, (width, count) in enumerate(BLOCKS):
        for block in range(count):
            x = net.bottleneck(x, f"layer{stage + 1}.{block}", width, 2 if stage and not block else 1)
    channels = net.channels[x]
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x], "pool2")], "flat", axis=1)
    bound = math.sqrt(3 / channels)
    weight = net.weight("fc.weight", net.uniform((CLASSES, channels), -bound, bound))
    bias = net.weight("fc.bias", net.uniform((CLASSES,), -0.1, 0.1))
    net.node("Gemm", [x, weight, bias], "logits", transB=1)
    graph = helper.make_graph(
        net.nodes, "resnet50_" + activation,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 224, 224])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, CLASSES])], net.weights)
    return helper.make_model(graph, producer_name="opgraft make_resnet50.py", ir_version=8,
                             opset_imports=[helper.make_opsetid("", 17)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--activation", choices=["relu", "swish4", "swish2"], default="relu")
    parser.add_argument("--batch-dim", default="N", metavar="N|NUMBER", help="a free dimension's name, or a number")
    parser.add_argument("--seed", type=int, default=50)
    options = parser.parse_args()
    batch = int(options.batch_dim) if options.batch_dim.isdigit() else options.batch_dim
    with open(options.out, "wb") as out:
        out.write(resnet50(options.activation, batch, options.seed).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
