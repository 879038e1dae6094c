"""Random networks: fused, unfused and on every instruction set, they compute what the reference computes.

OPGRAFT_SEED=N begins elsewhere; a failure names its seed.
"""
import os
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import OPGRAFT

FIRST = int(os.environ.get("OPGRAFT_SEED", 1))
COUNT = int(os.environ.get("OPGRAFT_NETWORKS", 60))
UNARY = ["Relu", "Sigmoid", "Tanh", "Neg", "Exp", "Softplus", "HardSwish", "Elu", "LeakyRelu", "Abs", "Softsign", "Erf"]
SPELLINGS = ["swish4", "swish2", "swish_beta", "mish", "residual", "square"]


class Network:
    """Grows node by node; knows the shape of its newest value."""

    def __init__(self, seed):
        self.r = np.random.default_rng(seed)
        self.nodes, self.weights, self.count, self.others = [], [], 0, []
        rank = self.r.choice([2, 3, 4, 4, 4, 5])
        self.shape = [int(self.r.integers(1, 4)), int(self.r.integers(1, 9)), *(int(n) for n in self.r.integers(5, 14, rank - 2))]
        self.input, self.value = list(self.shape), "x"

    def name(self):
        self.count += 1
        return f"v{self.count}"

    def constant(self, array):
        name = self.name()
        self.weights.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    def random(self, *shape):
        return self.constant(self.r.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:]))))

    def node(self, op, *inputs, **attributes):
        out = self.name()
        self.nodes.append(helper.make_node(op, list(inputs), [out], **attributes))
        return out

    def step(self):
        self.others.append((self.value, list(self.shape)))
        kind = self.r.choice(["conv", "transpose", "matmul", "pool", "unary", "unary", "binary", "spelling", "spelling", "norm",
                              "flatten", "softmax"])
        getattr(self, kind)()

    def conv(self):
        if len(self.shape) < 3 or min(self.shape[2:]) < 3:
            return
        axes, c = len(self.shape) - 2, self.shape[1]
        groups = int(self.r.choice([g for g in (1, 1, c, 2) if c % g == 0]))
        out = groups * int(self.r.integers(1, 20))
        kernel = [int(self.r.integers(1, min(6, n + 1))) for n in self.shape[2:]]
        stride = [int(self.r.integers(1, 3)) for _ in range(axes)]
        dilation = [1 if (k - 1) * 2 + 1 > n else int(self.r.integers(1, 3)) for k, n in zip(kernel, self.shape[2:])]
        pads = [int(self.r.integers(0, k)) for k in kernel] * 2
        inputs = [self.value, self.random(out, c // groups, *kernel)] + ([self.random(out)] if self.r.random() < 0.6 else [])
        self.value = self.node("Conv", *inputs, group=groups, strides=stride, dilations=dilation, pads=pads)
        self.shape = [self.shape[0], out] + [(n + pads[i] + pads[axes + i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
                                             for i, n in enumerate(self.shape[2:])]

    def transpose(self):
        if len(self.shape) != 4 or max(self.shape[2:]) > 16:
            return
        out = int(self.r.integers(1, 6))
        self.value = self.node("ConvTranspose", self.value, self.random(self.shape[1], out, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
        self.shape = [self.shape[0], out, *(2 * n - 1 for n in self.shape[2:])]

    def matmul(self):
        k, n = self.shape[-1], int(self.r.integers(1, 40))
        if len(self.shape) == 2 and self.r.random() < 0.7:
            transposed = bool(self.r.random() < 0.5)
            weight = self.random(*((n, k) if transposed else (k, n)))
            bias = self.random(*((n,), (1, n), (1,), (self.shape[0], n))[self.r.integers(4)])
            self.value = self.node("Gemm", self.value, weight, bias, transB=int(transposed), alpha=float(self.r.choice([1.0, 0.5])),
                                   beta=float(self.r.choice([1.0, 2.0])))
        else:
            self.value = self.node("MatMul", self.value, self.random(k, n))
            if self.r.random() < 0.5:
                self.value = self.node("Add", self.value, self.random(n))
        self.shape = [*self.shape[:-1], n]

    def pool(self):
        if len(self.shape) < 3 or min(self.shape[2:]) < 4:
            return
        op = str(self.r.choice(["MaxPool", "AveragePool"]))
        axes = len(self.shape) - 2
        k, s, p = ((2, 2, 0), (3, 2, 1), (3, 1, 1))[self.r.integers(3)]
        self.value = self.node(op, self.value, kernel_shape=[k] * axes, strides=[s] * axes, pads=[p] * 2 * axes)
        self.shape = self.shape[:2] + [(n + 2 * p - k) // s + 1 for n in self.shape[2:]]

    def unary(self):
        op = str(self.r.choice(UNARY))
        if op == "Exp":                                     # kept small, else a few layers overflow
            self.value = self.node("Tanh", self.value)
        self.value = self.node(op, self.value)

    def binary(self):
        operand = list(self.shape)
        for axis in range(len(operand)):
            if self.r.random() < 0.5:
                operand[axis] = 1
        operand = operand[int(self.r.integers(0, len(operand) + 1)):]
        inputs = [self.value, self.constant(self.r.uniform(0.5, 2, operand))]
        op = str(self.r.choice(["Add", "Mul", "Sub", "Div", "Max", "Min"]))
        if op != "Div" and self.r.random() < 0.5:
            inputs.reverse()
        self.value = self.node(op, *inputs)

    def spelling(self):
        x, kind = self.value, str(self.r.choice(SPELLINGS))
        one = self.constant(1)
        if kind == "swish4":
            self.value = self.node("Div", x, self.node("Add", one, self.node("Exp", self.node("Neg", x))))
        elif kind == "swish2":
            self.value = self.node("Mul", self.node("Sigmoid", x), x)
        elif kind == "swish_beta":
            self.value = self.node("Mul", x, self.node("Sigmoid", self.node("Mul", self.constant([1.5]), x)))
        elif kind == "mish":
            self.value = self.node("Mul", x, self.node("Tanh", self.node("Softplus", x)))
        elif kind == "square":
            self.value = self.node("Tanh", self.node("Mul", x, x))
        else:
            same = [value for value, shape in self.others if shape == self.shape]
            self.value = self.node("Add", x, same[self.r.integers(len(same))])

    def norm(self):
        if len(self.shape) < 3:
            return
        c = self.shape[1]
        self.value = self.node("BatchNormalization", self.value, self.random(c), self.random(c), self.random(c),
                               self.constant(self.r.uniform(0.5, 2, c)))

    def flatten(self):
        if self.r.random() < 0.3:
            self.value = self.node("Flatten", self.value)
            self.shape = [self.shape[0], int(np.prod(self.shape[1:]))]

    def softmax(self):
        if self.r.random() < 0.3:
            self.value = self.node("Softmax", self.value, axis=int(self.r.integers(-1, len(self.shape))))

    def save(self, path):
        outputs = {self.value: self.shape}
        outputs |= {value: shape for value, shape in self.others[1:] if self.r.random() < 0.1}
        graph = helper.make_graph(self.nodes, "random", [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.input)],
                                  [helper.make_tensor_value_info(*of) for of in
                                   ((name, TensorProto.FLOAT, shape) for name, shape in outputs.items())], self.weights)
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
        return path


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_random_network(tmp_path, seed):
    network = Network(seed)
    while len(network.nodes) < 6 + seed % 10:
        network.step()
    path = network.save(tmp_path / "net.onnx")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    for level in ("scalar", "avx2", "avx512"):
        for options in ([], ["--no-fuse"], ["--threads", "1"]):
            done = subprocess.run([OPGRAFT, "check", path, "-q", "--rtol", "1e-3", "--atol", "2e-5", *options],
                                  env={**os.environ, "OPGRAFT_ISA": level}, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, f"seed {seed}, {level} {options}: {done.returncode}\n{done.stdout}{done.stderr}"
