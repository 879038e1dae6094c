"""Random networks with channels last, as TensorFlow's converters write them: after move_transposes they compute the same and
transpose no more bytes than before.

OPGRAFT_SEED=N begins elsewhere, OPGRAFT_NETWORKS=N makes so many; a failure names its seed.
"""
import os
import re

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import infer, ok, run

FIRST = int(os.environ.get("OPGRAFT_SEED", 1))
COUNT = int(os.environ.get("OPGRAFT_NETWORKS", 400))
TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
UNARY = ["Relu", "Sigmoid", "Tanh", "Neg", "Abs", "Softplus", "HardSigmoid", "Identity", "Sqrt", "Clip", "Erf"]
BINARY = ["Add", "Mul", "Sub", "Max", "Min"]


class Network:
    def __init__(self, seed, opset):
        self.r = np.random.default_rng(seed)
        self.opset, self.nodes, self.weights, self.count = opset, [], [], 0
        n, h, w, c = (int(self.r.integers(1, m)) for m in (3, 7, 7, 6))
        self.input = (n, h, w, c)
        self.shapes = {"x": self.input}

    # ---- writing -------------------------------------------------------------------------------
    def name(self):
        self.count += 1
        return f"v{self.count}"

    def constant(self, array, dtype=np.float32):
        name = self.name()
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def ints(self, *values):
        return self.constant(values, np.int64)

    def random(self, *shape):
        return self.constant(self.r.uniform(-1, 1, shape))

    def node(self, op, inputs, *shapes, **attributes):
        names = [self.name() for _ in shapes]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        self.shapes |= {name: tuple(int(n) for n in shape) for name, shape in zip(names, shapes)}
        return names[0]

    def transpose(self, x, perm):
        return self.node("Transpose", [x], [self.shapes[x][k] for k in perm], perm=[int(k) for k in perm])

    # ---- choosing ------------------------------------------------------------------------------
    def pick(self, rank=None):
        names = [name for name, shape in self.shapes.items() if rank is None or len(shape) == rank]
        late = names[len(names) // 2:] or names
        return str(self.r.choice(late if self.r.random() < 0.8 else names)) if names else None

    def chance(self, p):
        return self.r.random() < p

    def axis(self, rank):
        return int(self.r.integers(rank))

    def step(self):
        x = self.pick(4 if self.chance(0.7) else None)
        if x is None or np.prod(self.shapes[x]) > 4000:
            return
        kinds = [name[3:] for name in dir(self) if name.startswith("do_")]
        weights = np.array([3.0 if name in ("conv", "unary", "binary", "join") else 1.0 for name in kinds])
        getattr(self, "do_" + str(self.r.choice(kinds, p=weights / weights.sum())))(x, self.shapes[x])

    # ---- what wants channels first -------------------------------------------------------------
    def do_conv(self, x, shape):
        if len(shape) != 4:
            return
        first = self.transpose(x, TO_FIRST)
        n, c, h, w = self.shapes[first]
        k, out = int(self.r.choice([1, 3])), int(self.r.integers(1, 6))
        first = self.node("Conv", [first, self.random(out, c, k, k)], (n, out, h, w), pads=[k // 2] * 4)
        if self.chance(0.4):
            first = self.node("BatchNormalization", [first, *(self.random(out) for _ in range(3)),
                                                     self.constant(self.r.uniform(0.5, 2, out))], (n, out, h, w))
        if self.chance(0.9):
            self.transpose(first, TO_LAST)

    def do_pool(self, x, shape):
        if len(shape) != 4 or min(shape[1:3]) < 2:
            return
        first = self.transpose(x, TO_FIRST)
        n, c, h, w = self.shapes[first]
        op = str(self.r.choice(["MaxPool", "AveragePool", "GlobalAveragePool"]))
        if op[0] == "G":
            first = self.node(op, [first], (n, c, 1, 1))
        else:
            first = self.node(op, [first], (n, c, h - 1, w - 1), kernel_shape=[2, 2])
        self.transpose(first, TO_LAST)

    def do_resize(self, x, shape):
        if len(shape) != 4:
            return
        first = self.transpose(x, TO_FIRST)
        n, c, h, w = self.shapes[first]
        scales = self.constant([1, 1, 2, 2])
        mode = str(self.r.choice(["nearest", "linear"]))
        self.transpose(self.node("Resize", [first, "", scales], (n, c, 2 * h, 2 * w), mode=mode,
                                 coordinate_transformation_mode="asymmetric", nearest_mode="floor"), TO_LAST)

    def do_transpose(self, x, shape):
        perm = [int(k) for k in self.r.permutation(len(shape))]
        y = self.transpose(x, perm)
        if self.chance(0.5):
            self.transpose(self.node("Relu", [y], self.shapes[y]), np.argsort(perm))

    # ---- what does not care --------------------------------------------------------------------
    def do_unary(self, x, shape):
        op = str(self.r.choice(UNARY))
        if op == "Sqrt":                         # away from 0, where its slope would make 4e-4 of an error of 2e-7
            x = self.node("Add", [self.node("Abs", [x], shape), self.constant(0.125)], shape)
        inputs = [x] + ([self.constant(-0.5), self.constant(0.5)] if op == "Clip" else [])
        self.node(op, inputs, shape)

    def do_binary(self, x, shape):
        operand = [1 if self.chance(0.5) else n for n in shape][int(self.r.integers(len(shape) + 1)):]
        inputs = [x, self.random(*operand)]
        if self.chance(0.3):
            inputs.reverse()
        self.node(str(self.r.choice(BINARY)), inputs, shape)

    def do_join(self, x, shape):
        same = [name for name, other in self.shapes.items() if other == shape]
        self.node(str(self.r.choice(BINARY + ["Sum", "Mean"])), [x, str(self.r.choice(same))], shape)

    def do_side(self, x, shape):
        """An operand of lower rank that is computed."""
        fits = [name for name, other in self.shapes.items() if 0 < len(other) < len(shape) and
                all(a in (1, b) for a, b in zip(other[::-1], shape[::-1]))]
        if fits:
            self.node("Add", [x, str(self.r.choice(fits))], shape)

    def do_squeeze_excite(self, x, shape):
        if len(shape) != 4:
            return
        n, h, w, c = shape
        mean = self.reduce("ReduceMean", x, (n, 1, 1, c), [1, 2], 1)
        first = self.transpose(mean, TO_FIRST)
        first = self.node("Conv", [first, self.random(c, c, 1, 1)], (n, c, 1, 1))
        gate = self.node("Sigmoid", [self.transpose(first, TO_LAST)], (n, 1, 1, c))
        self.node("Mul", [x, gate], shape)

    def do_where(self, x, shape):
        test, other = self.node("Greater", [x, self.constant(0)], shape), self.node("Mul", [x, self.random(*shape[-1:])], shape)
        self.node("Where", [test, x, other], shape)              # both meet at 0, so that rounding decides nothing
        del self.shapes[test]

    def do_prelu(self, x, shape):
        self.node("PRelu", [x, self.random(*shape[-1:])], shape)

    def do_concat(self, x, shape):
        axis = self.axis(len(shape))
        fits = [name for name, other in self.shapes.items() if len(other) == len(shape) and
                all(a == b for k, (a, b) in enumerate(zip(other, shape)) if k != axis)]
        inputs = [x] + [str(self.r.choice(fits)) for _ in range(int(self.r.integers(1, 3)))]
        if self.chance(0.2):
            inputs.append(self.random(*shape))
            self.shapes[inputs[-1]] = shape
        size = sum(self.shapes[name][axis] for name in inputs)
        if inputs[-1].startswith("v") and any(w.name == inputs[-1] for w in self.weights):
            del self.shapes[inputs[-1]]
        self.node("Concat", inputs, (*shape[:axis], size, *shape[axis + 1:]), axis=axis - (len(shape) if self.chance(0.5) else 0))

    def do_split(self, x, shape):
        axis = self.axis(len(shape))
        if shape[axis] < 2:
            return
        parts = [int(self.r.integers(1, shape[axis]))]
        parts.append(shape[axis] - parts[0])
        self.node("Split", [x, self.ints(*parts)], *[(*shape[:axis], n, *shape[axis + 1:]) for n in parts], axis=axis)

    def do_slice(self, x, shape):
        axes = sorted(int(k) for k in self.r.permutation(len(shape))[:int(self.r.integers(1, len(shape) + 1))])
        whole = self.chance(0.3)
        axes = list(range(len(shape))) if whole else axes
        starts = [int(self.r.integers(shape[k])) for k in axes]
        ends = [int(self.r.integers(s + 1, shape[k] + 1)) for s, k in zip(starts, axes)]
        out = list(shape)
        for s, e, k in zip(starts, ends, axes):
            out[k] = e - s
        lists = [self.ints(*starts), self.ints(*ends)] + ([] if whole else [self.ints(*(k - len(shape) for k in axes))])
        self.node("Slice", [x, *lists], out)

    def do_pad(self, x, shape):
        before, after = self.r.integers(0, 2, (2, len(shape)))
        value = [self.constant(0.5)] if self.chance(0.5) else []
        mode = "constant" if value else str(self.r.choice(["constant", "edge"]))
        self.node("Pad", [x, self.ints(*before, *after), *value], np.array(shape) + before + after, mode=mode)

    def reduce(self, op, x, shape, axes, keep):
        if self.opset >= 18 or (op == "ReduceSum" and self.opset >= 13):
            return self.node(op, [x, self.ints(*axes)], shape, keepdims=keep)
        return self.node(op, [x], shape, axes=axes, keepdims=keep)

    def do_reduce(self, x, shape):
        axes = sorted(int(k) for k in self.r.permutation(len(shape))[:int(self.r.integers(1, len(shape) + 1))])
        keep = int(self.r.integers(2))
        out = [1 if k in axes else n for k, n in enumerate(shape) if keep or k not in axes]
        if not out:
            return
        op = str(self.r.choice(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2"]))
        self.reduce(op, x, out, [k - len(shape) if self.chance(0.3) else k for k in axes], keep)

    def do_extreme(self, x, shape):
        axis, keep = self.axis(len(shape)), int(self.r.integers(2))
        out = [1 if k == axis else n for k, n in enumerate(shape) if keep or k != axis]
        if out:
            rounded = self.node("Round", [self.node("Mul", [x, self.constant(4)], shape)], shape)
            best = self.node(str(self.r.choice(["ArgMax", "ArgMin"])), [rounded], out, axis=axis, keepdims=keep)
            del self.shapes[rounded]
            self.node("Cast", [best], out, to=TensorProto.FLOAT)
            del self.shapes[best]

    def do_softmax(self, x, shape):
        self.node(str(self.r.choice(["Softmax", "LogSoftmax"])), [x], shape, axis=int(self.r.integers(-1, len(shape))))

    def do_layer_norm(self, x, shape):
        if shape[-1] > 1 and self.opset >= 17:
            self.node("LayerNormalization", [x, self.random(shape[-1])], shape, axis=-1, epsilon=0.1)

    def do_cumsum(self, x, shape):
        self.node("CumSum", [x, self.constant(self.axis(len(shape)), np.int64)], shape)

    def do_squeeze(self, x, shape):
        axes = [k for k, n in enumerate(shape) if n == 1 and self.chance(0.7)]
        if axes and len(axes) < len(shape):
            self.node("Squeeze", [x, self.ints(*axes)], [n for k, n in enumerate(shape) if k not in axes])

    def do_unsqueeze(self, x, shape):
        if len(shape) > 4:
            return
        axis = self.axis(len(shape) + 1)
        self.node("Unsqueeze", [x, self.ints(axis)], (*shape[:axis], 1, *shape[axis:]))

    def do_reshape(self, x, shape):
        """Joins two neighbours, or gives a matrix four dimensions."""
        if len(shape) > 2:
            k = self.axis(len(shape) - 1)
            out = (*shape[:k], shape[k] * shape[k + 1], *shape[k + 2:])
        elif len(shape) == 2:
            out = (shape[0], 1, 1, shape[1])
        else:
            return
        self.node("Reshape", [x, self.ints(*out)], out)

    def do_dense(self, x, shape):
        """What ends a network: a flatten and a product."""
        if len(shape) < 3 or np.prod(shape[1:]) > 200:
            return
        inner, out, b = int(np.prod(shape[1:])), int(self.r.integers(1, 5)), bool(self.r.integers(2))
        if len(shape) == 4 and self.chance(0.7):
            x = self.transpose(self.node("Conv", [self.transpose(x, TO_FIRST), self.random(shape[3], shape[3], 1, 1)],
                                         [shape[k] for k in TO_FIRST]), TO_LAST)
        flat = self.node("Flatten", [x], (shape[0], inner)) if b else self.node("Reshape", [x, self.ints(0, -1)], (shape[0], inner))
        if self.chance(0.5):
            self.node("MatMul", [flat, self.random(inner, out)], (shape[0], out))
        else:
            self.node("Gemm", [flat, self.random(*((out, inner) if b else (inner, out))), self.random(out)], (shape[0], out), transB=int(b))
        if self.chance(0.8):
            del self.shapes[flat]

    def do_tile(self, x, shape):
        repeats = self.r.integers(1, 3, len(shape))
        self.node("Tile", [x, self.ints(*repeats)], np.array(shape) * repeats)

    def do_expand(self, x, shape):
        out = [int(self.r.integers(1, 4)) if n == 1 else n for n in shape]
        self.node("Expand", [x, self.ints(*out)], out)

    def do_gather(self, x, shape):
        axis, kind = self.axis(len(shape)), int(self.r.integers(3))
        dims = [(), (3,), (2, 2)][kind]
        if len(shape) + kind > 5 or (kind == 0 and len(shape) < 2):
            return
        indices = self.constant(self.r.integers(0, shape[axis], dims), np.int64)
        self.node("Gather", [x, indices], (*shape[:axis], *dims, *shape[axis + 1:]), axis=axis)

    # ---- the whole -----------------------------------------------------------------------------
    def model(self):
        read = {name for node in self.nodes for name in node.input}
        outputs = [name for name in self.shapes if name != "x" and (name not in read or self.chance(0.05))]
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name]) for name in outputs]
        graph = helper.make_graph(self.nodes, "random", [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.input)],
                                  infos, self.weights)
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", self.opset)])


def network(seed):
    made = Network(seed, (13, 17, 18)[seed % 3])
    while len(made.nodes) < 4 + seed % 40:
        made.step()
    return made.model()


def transposed_bytes(dump, name):
    """How many bytes the transposes of the graph move, of those that move any, and how many there are."""
    text = re.split(r"^# after (\w+)\n", dump, flags=re.MULTILINE)
    text = dict(zip(text[1::2], text[2::2]))[name]
    total = count = 0
    for line in text.splitlines():
        found = re.match(r" *\w+: (\w+)\[([\d,]*)\] = Transpose\(\w+\) \{perm=\[([\d, ]*)\]\}", line)
        if not found:
            assert "= Transpose" not in line, line
            continue
        dims, perm = ([int(n) for n in re.split(", *", found[k]) if n] for k in (2, 3))
        moved = [axis for axis, n in zip(perm, dims) if n != 1]
        if moved != sorted(moved):
            total += int(np.prod(dims)) * {"f32": 4, "i64": 8, "bool": 1}[found[1]]
            count += 1
    return total, count


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_random_network(tmp_path, seed):
    model, path = network(seed), tmp_path / "net.onnx"
    onnx.save(model, path)
    onnx.checker.check_model(model, full_check=True)
    dump = ok("build", path, "--dump", "--no-timing")
    before, after = (transposed_bytes(dump, name)[0] for name in ("fold_constants", "move_transposes"))
    assert after <= before, f"seed {seed}"
    done = run("check", path, "-q", "--no-timing")
    assert done.status == 0, f"seed {seed}: {done.out}{done.err}"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT, 20))
def test_random_network_as_onnx_runtime_does(tmp_path, seed):
    model, path = network(seed), tmp_path / "net.onnx"
    onnx.save(model, path)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)
    output = model.graph.output[0].name
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL     # it moves transposes too, and not well
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    wanted = session.run([output], {"x": x})[0]
    np.testing.assert_allclose(infer(tmp_path, path, {"x": x}, output, "--no-timing"), wanted, rtol=1e-3,
                               atol=1e-5 * max(1, np.abs(wanted).max()), err_msg=f"seed {seed}")
