"""Small networks as one kernel (src/cuda/whole.c), on a GPU or the emulated device: random ones, in all that the kernel's text depends on."""
import os
import subprocess

import numpy as np
import pytest
from onnx import helper

from conftest import OPGRAFT
from test_cuda import ARCHITECTURES, device, emulator, nvrtc, save, tactics  # noqa: F401 (fixtures)


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs, [output], **attributes)


class Small:
    """A random network of convolutions, pools, maps and products, whose sizes are multiples of nothing."""

    def __init__(self, seed):
        self.r = np.random.default_rng(seed)
        self.rank = 2 if seed % 4 else 1
        self.samples = int(self.r.integers(1, 24))
        self.nodes, self.weights, self.n = [], [], 0
        self.shape = [int(self.r.integers(1, 4))] + [int(n) for n in self.r.integers(9, 20, self.rank)]
        self.inputs = [("x", [self.samples, *self.shape])]
        self.at = "x"

    def put(self, op, *inputs, **attributes):
        self.n += 1
        self.nodes.append(node(op, [self.at, *inputs], f"v{self.n}", **attributes))
        self.at = f"v{self.n}"

    def weight(self, *shape):
        self.weights.append((f"w{len(self.weights)}", (self.r.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)))
        return self.weights[-1][0]

    def conv(self):
        kernel, out = [int(k) for k in self.r.integers(1, 6, self.rank)], int(self.r.integers(1, 18))
        before, after = ([int(self.r.integers(0, k)) for k in kernel] for _ in range(2))
        self.put("Conv", self.weight(out, self.shape[0], *kernel), self.weight(out), pads=before + after)
        self.shape = [out] + [n + b + a - k + 1 for n, b, a, k in zip(self.shape[1:], before, after, kernel)]

    def act(self):
        op = self.r.choice(["Relu", "Sigmoid", "Tanh", "swish"])
        if op != "swish":
            return self.put(op)
        before = self.at
        self.put("Sigmoid")
        self.put("Mul", before)

    def pool(self):
        size = int(self.r.integers(2, 4))
        if min(self.shape[1:]) < size + 1:
            return
        overlaps = bool(self.r.integers(0, 2))
        if not overlaps and any(n % size for n in self.shape[1:]):
            size = next((s for s in (2, 3) if all(n % s == 0 for n in self.shape[1:])), 0)
        if not size:
            return
        stride = size - 1 if overlaps and size > 1 else size
        self.put(str(self.r.choice(["MaxPool", "AveragePool"])), kernel_shape=[size] * self.rank, strides=[stride] * self.rank)
        self.shape[1:] = [(n - size) // stride + 1 for n in self.shape[1:]]

    def residual(self):
        kept = self.at
        self.put("Conv", self.weight(self.shape[0], self.shape[0], *[3] * self.rank), pads=[1] * 2 * self.rank)
        self.act()
        self.put("Add", kept)

    def save(self, path):
        self.conv()
        self.act()
        for _ in range(int(self.r.integers(1, 4))):
            getattr(self, str(self.r.choice(["pool", "residual", "act"])))()
        self.conv()
        if self.r.integers(0, 2):
            self.pool()
        outputs = [self.at]
        self.put("Flatten")
        wide = int(np.prod(self.shape))
        for _ in range(int(self.r.integers(1, 4))):
            out = int(self.r.integers(1, 90))
            self.put("Gemm", self.weight(out, wide), self.weight(out), transB=1)
            self.act()
            wide = out
        if self.r.integers(0, 2):
            outputs = [self.at]
        else:
            outputs.append(self.at)
        return save(path, self.nodes, self.inputs, outputs, self.weights)


@pytest.mark.parametrize("seed", range(24))
def test_random_small_networks(device, seed, tmp_path):
    model = Small(seed).save(tmp_path / "net.onnx")
    assert tactics(device, model)[0].startswith("whole")
    for result in device.errors(model):
        assert result["max_rel"] < 1e-5 or result["max_abs"] < 2e-6, f"seed {seed}: {result}"


@pytest.mark.parametrize("samples", [1, 2, 7, 9, 31])
def test_nan_stays_in_its_sample(device, samples, tmp_path):
    r = np.random.default_rng(samples)
    weights = [("w", r.standard_normal((5, 2, 3, 3)).astype(np.float32)), ("u", r.standard_normal((7, 5 * 11 * 9)).astype(np.float32) * np.float32(0.05)),
               ("t", r.standard_normal((3, 7)).astype(np.float32))]
    nodes = [node("Conv", ["x", "w"], "a", pads=[1, 1, 1, 1]), node("Relu", ["a"], "b"), node("Flatten", ["b"], "c"),
             node("Gemm", ["c", "u"], "d", transB=1), node("Sigmoid", ["d"], "e"), node("Gemm", ["e", "t"], "y", transB=1)]
    model = save(tmp_path / "net.onnx", nodes, [("x", [samples, 2, 11, 9])], ["y"], weights)
    x = r.standard_normal((samples, 2, 11, 9)).astype(np.float32)
    clean = device.infer(tmp_path, model, {"x": x}, "y", "--device", "cuda")
    bad = samples // 2
    x[bad, 1, 5, 4] = np.nan
    got = device.infer(tmp_path, model, {"x": x}, "y", "--device", "cuda")
    assert np.isnan(got[bad]).all()
    assert (np.delete(got, bad, 0) == np.delete(clean, bad, 0)).all()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_small_networks_compile_for_every_architecture(nvrtc, arch, tmp_path):
    for seed in range(2):
        model = Small(seed).save(tmp_path / "net.onnx")
        for batch in (1, 64, 500):
            done = subprocess.run([OPGRAFT, "build", model, "-o", tmp_path / "net.plan", "--device", "cuda", "--batch", str(batch)],
                                  env={**os.environ, "OPGRAFT_CUDA_ARCH": arch}, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"seed {seed} batch {batch}: {done.stderr}"
