"""The rule language from outside: the files of examples/rules on networks that are written in every way they name, and a
few words of docs/rules.md."""
import itertools
import json
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import ROOT, ok, ok_json, onnxruntime_infer, refused, relative_error, run

RULES = ROOT / "examples" / "rules"
COMMUTATIVE = {"Add", "Mul"}


class Net:
    """A network that is written down in an order, with forms of constants and with idle nodes that chance decides."""

    def __init__(self, seed, opset, shape=(3, 8)):
        self.random, self.opset, self.shape = np.random.default_rng(seed), opset, shape
        self.nodes, self.weights = [], []

    def __call__(self, op, *inputs, **attributes):
        inputs = [self.constant(x) if isinstance(x, (int, float)) else x for x in inputs]
        if op in COMMUTATIVE and self.random.random() < 0.5:
            inputs.reverse()
        if inputs and self.random.random() < 0.1:
            inputs[0] = self.add("Identity", [inputs[0]])
        return self.add(op, inputs, **attributes)

    def add(self, op, inputs, **attributes):
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def weight(self, array):
        self.weights.append(numpy_helper.from_array(np.asarray(array), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def constant(self, x):
        form = self.random.integers(5)
        if form == 0:
            return self.add("Constant", [], value_float=float(x))
        if form == 1:
            return self.add("Constant", [], value=numpy_helper.from_array(np.full(1, x, np.float32)))
        return self.weight(np.full([(), (1,), (1, 1)][form - 2], x, np.float32))

    def mean(self, x):
        if self.opset < 18:
            return self("ReduceMean", x, axes=[int(self.random.choice([-1, len(self.shape) - 1]))])
        return self.add("ReduceMean", [x, self.weight(np.array([-1]))], keepdims=1)

    def clip(self, x, low, high):
        if self.opset < 11:
            return self("Clip", x, min=float(low), max=float(high))
        return self.add("Clip", [x, self.weight(np.float32(low)), self.weight(np.float32(high))])

    def random_weight(self):
        return self.weight(self.random.standard_normal(self.shape[-1]).astype(np.float32))

    def save(self, path, output):
        def info(name):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shape)
        graph = helper.make_graph(self.nodes, "g", [info("x"), info("z")], [info(output)], self.weights)
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", self.opset)])
        onnx.checker.check_model(model)
        onnx.save(model, path)


# ---- ways to write the ops ------------------------------------------------------------------------

def centred(n):
    return n("Sub", "x", n.mean("x"))


def layer_norm_pow(n):
    d = centred(n)
    root = n("Sqrt", n("Add", n.mean(n("Pow", d, 2)), 1e-5))
    return n("Add", n("Mul", n("Div", d, root), n.random_weight()), n.random_weight())


def layer_norm_without_bias(n):
    d = centred(n)
    return n("Mul", n("Div", d, n("Sqrt", n("Add", n.mean(n("Pow", d, 2)), 1e-6))), n.random_weight())


def layer_norm_product(n):
    d = centred(n)
    return n("Add", n("Mul", n("Div", d, n("Sqrt", n("Add", n.mean(n("Mul", d, d)), 1e-5))), n.random_weight()), n.random_weight())


def layer_norm_reciprocal(n):
    d, scale = centred(n), n.random_weight()
    inverse = n("Reciprocal", n("Sqrt", n("Add", n.mean(n("Mul", d, d)), 1e-3)))
    product = n("Mul", n("Mul", d, inverse), scale) if n.random.random() < 0.5 else n("Mul", d, n("Mul", scale, inverse))
    return n("Add", product, n.random_weight())


def layer_norm_keras(n):
    mean = n.mean("x")
    d = n("Sub", "x", mean)
    inverse = n("Mul", n("Reciprocal", n("Sqrt", n("Add", n.mean(n("Mul", d, d)), 1e-3))), n.random_weight())
    return n("Add", n("Mul", "x", inverse), n("Sub", n.random_weight(), n("Mul", mean, inverse)))


def rms_norm(square, inverse):
    def write(n):
        mean = n.mean(n("Pow", "x", 2) if square == "pow" else n("Mul", "x", "x"))
        root, scale = n("Sqrt", n("Add", mean, 1e-5)), n.random_weight()
        if inverse == "division":
            return n("Mul", n("Div", "x", root), scale)
        factor = n("Reciprocal", root) if inverse == "reciprocal" else n("Div", 1, root)
        return product(n, "x", factor, scale)
    return write


def product(n, *factors):
    """In a random association."""
    factors = list(factors)
    while len(factors) > 1:
        i, k = n.random.choice(len(factors), 2, replace=False)
        pair = n("Mul", factors[i], factors[k])
        factors = [f for at, f in enumerate(factors) if at not in (i, k)] + [pair]
    return factors[0]


def gelu_erf(n):
    inner = n("Div", "x", 2 ** 0.5) if n.random.random() < 0.5 else n("Mul", "x", 0.5 ** 0.5)
    return product(n, "x", n("Add", n("Erf", inner), 1), 0.5)


def gelu_normal(n):
    inner = n("Div", "x", 2 ** 0.5) if n.random.random() < 0.5 else n("Mul", "x", 0.5 ** 0.5)
    return n("Mul", "x", n("Add", n("Mul", n("Erf", inner), 0.5), 0.5))


def gelu_tanh(cube):
    def write(n):
        if cube == "fast":
            inner = product(n, "x", n.constant(0.7978845608), n("Add", n("Mul", n("Mul", "x", "x"), 0.044715), 1))
        else:
            third = n("Mul", n("Pow", "x", 3), 0.044715) if cube == "pow" else product(n, "x", "x", "x", n.constant(0.044715))
            inner = n("Mul", n("Add", "x", third), 0.7979 if n.random.random() < 0.3 else 0.7978845608)
        return product(n, "x", n("Add", n("Tanh", inner), 1), n.constant(0.5))
    return write


def hard_swish_clip(n):
    gate = n.clip(n("Add", "x", 3), 0, 6)
    return n("Div", n("Mul", "x", gate), 6) if n.random.random() < 0.5 else n("Mul", "x", n("Div", gate, 6))


def hard_swish_times(n):
    return product(n, "x", n.clip(n("Add", "x", 3), 0, 6), n.constant(1 / 6))


def hard_swish_min_max(n):
    gate = n("Min", n("Max", n("Add", "x", 3), 0), 6)
    return n("Div", n("Mul", "x", gate), 6) if n.random.random() < 0.5 else product(n, "x", gate, n.constant(1 / 6))


def hard_swish_sigmoid(n):
    return n("Mul", "x", n("HardSigmoid", "x", alpha=1 / 6))


def mish(n):
    return n("Mul", "x", n("Tanh", n("Softplus", "x")))


def mish_log(n):
    return n("Mul", "x", n("Tanh", n("Log", n("Add", n("Exp", "x"), 1))))


def mish_fraction(n):
    e = n("Exp", "x")
    part = n("Mul", e, n("Add", e, 2))
    return n("Mul", "x", n("Div", part, n("Add", part, 2)))


def swiglu(slope):
    def write(n):
        return product(n, "x", n("Sigmoid", n("Mul", "x", slope) if slope != 1 else "x"), "z")
    return write


# file, opset, the ops that are there then, ways to write it
FILES = {
    "layer_norm": (17, ["LayerNormalization"], [layer_norm_pow, layer_norm_without_bias, layer_norm_product, layer_norm_reciprocal,
                                                layer_norm_keras]),
    "rms_norm": (23, ["RMSNormalization"], [rms_norm(*way) for way in
                                            itertools.product(["pow", "product"], ["reciprocal", "one over", "division"])]),
    "gelu_erf": (20, ["Gelu"], [gelu_erf, gelu_normal]),
    "gelu_tanh": (20, ["Gelu"], [gelu_tanh("pow"), gelu_tanh("product"), gelu_tanh("fast")]),
    "hard_swish": (14, ["HardSwish"], [hard_swish_clip, hard_swish_times, hard_swish_min_max, hard_swish_sigmoid]),
    "mish": (18, ["Mish"], [mish, mish_log, mish_fraction]),
    "swiglu": (17, ["Mul", "opgraft::OgSwish"], [swiglu(1), swiglu(1.702)]),
}


def ops(path):
    """What computes anything in a model."""
    idle = {"Identity", "Constant"}
    return sorted(f"{n.domain}::{n.op_type}" if n.domain else n.op_type for n in onnx.load(path).graph.node if n.op_type not in idle)


def test_every_file_of_rules_is_here():
    assert sorted(path.stem for path in RULES.glob("*")) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_each_spelling_becomes_the_op_and_computes_the_same(tmp_path, name):
    opset, want, ways = FILES[name]
    x = np.random.default_rng(1).standard_normal((2, 3, 8)).astype(np.float32) * 2
    values = {"x": x[0], "z": x[1]}
    for way, seed in itertools.product(ways, range(6)):
        net = Net(seed, opset)
        before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
        output = way(net)
        net.save(before, output)
        rules = RULES / f"{name}.rules"
        found = ok_json("find", before, "--rules", rules)
        assert len(found["matches"]) == 1 and found["refused"] == [], (way, seed, found)
        assert len(ok_json("graft", before, "-o", after, "--rules", rules)["matches"]) == 1
        assert ops(after) == want, (way, seed)
        expected, got = onnxruntime_infer(before, values, output), onnxruntime_infer(after, values, output)
        assert relative_error(got, expected) < (1e-3 if name == "gelu_tanh" else 2e-6), (way, seed)


def test_every_rule_is_needed(tmp_path):
    """Each rule of a file is the only one of it for some way to write the op."""
    for name, (opset, want, ways) in FILES.items():
        text = re.sub(r"#.*", "", (RULES / f"{name}.rules").read_text())
        rules = re.split(r"\n(?=\w+\()", text.strip())
        used = set()
        for way, seed in itertools.product(ways, range(6)):
            net = Net(seed, opset)
            path = tmp_path / "net.onnx"
            net.save(path, way(net))
            for k, rule in enumerate(rules):
                if k not in used and run("graft", path, "-o", tmp_path / "o.onnx", "--rule", rule).status == 0:
                    used.add(k)
        assert used == set(range(len(rules))), f"{name}: nothing is written as rule {set(range(len(rules))) - used} says"


# ---- what is not it -------------------------------------------------------------------------------

def wrong_epsilon(n):
    """Added to the root, not below it."""
    d = centred(n)
    return n("Add", n("Mul", n("Div", d, n("Add", n("Sqrt", n.mean(n("Pow", d, 2))), 1e-5)), n.random_weight()), n.random_weight())


def other_mean(n):
    d, other = centred(n), n("Sub", "z", n.mean("z"))
    root = n("Sqrt", n("Add", n.mean(n("Pow", other, 2)), 1e-5))
    return n("Add", n("Mul", n("Div", d, root), n.random_weight()), n.random_weight())


def gelu_with(half=0.5, one=1.0, root=2 ** 0.5):
    return lambda n: product(n, "x", n("Add", n("Erf", n("Div", "x", root)), one), n.constant(half))


def mish_of_another(n):
    return n("Mul", "z", n("Tanh", n("Softplus", "x")))


@pytest.mark.parametrize("name, way, reason", [
    ("layer_norm", wrong_epsilon, "is an Add, not a Sqrt"),
    ("layer_norm", other_mean, "again"),
    ("gelu_erf", gelu_with(half=0.51), "is 0.51, not 0.5"),
    ("gelu_erf", gelu_with(one=1.01), "is 1.01, not 1"),
    ("gelu_erf", gelu_with(root=1.4), "is 1.4, not 1.41421"),
    ("mish", mish_of_another, "again"),
], ids=["epsilon outside", "two means", "half", "one", "root", "another input"])
def test_what_is_nearly_it_is_left_with_the_reason(tmp_path, name, way, reason):
    for seed in range(4):
        net = Net(seed, FILES[name][0])
        path, out = tmp_path / "net.onnx", tmp_path / "o.onnx"
        net.save(path, way(net))
        rules = RULES / f"{name}.rules"
        assert run("graft", path, "-o", out, "--rules", rules).status == 1 and not out.exists()
        done = run("find", path, "--rules", rules, "--json")
        assert done.status == 1, (seed, done.out)
        reasons = [refusal["reason"] for refusal in json.loads(done.out)["refused"]]
        assert len(reasons) == 1 and reason in reasons[0], (seed, reasons)


def test_a_rules_file_names_its_place_of_error(tmp_path):
    path = tmp_path / "wrong.rules"
    path.write_text("# first\nMul(x, Sigmoid(x)) -> Swish(x)\nMul(x,\n    Sigmoid(x))\n  -> Swish(x, gama=1)\n")
    sentence = refused(2, "graft", ROOT / "models" / "lenet5_relu.onnx", "-o", tmp_path / "o.onnx", "--rules", path)
    assert "line 5, column 15" in sentence and "gama" in sentence
