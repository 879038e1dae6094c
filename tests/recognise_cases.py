"""Networks for the recogniser: spellings of ops and decoys, with random constants in every form that a file can hold them in.

A template takes a Net and its input and returns the output and what it is: (op, attributes), or None of a decoy. `make(seed)`
puts all templates into one model, each with an input of its own, and says what is to be found at each output."""
import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = [3, 4]
SPELLINGS, DECOYS = {}, {}


class Net:
    """Nodes and constants of a model that grows. Every call of a method adds nodes and returns the name of a value."""

    def __init__(self, rng, dtype=np.float32, plain=False):
        self.rng, self.dtype, self.plain = rng, dtype, plain
        self.flat = False                # of rank 1, size not known
        self.nodes, self.constants, self.inputs, self.outputs, self.used = [], [], [], [], 0
        self.type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def name(self, stem):
        self.used += 1
        return f"{stem}_{self.used}"

    def node(self, type, inputs, domain=None, **attributes):
        out = self.name(type.lower())
        self.nodes.append(helper.make_node(type, inputs, [out], name=f"n_{out}", domain=domain, **attributes))
        return out

    def through(self, value, chance):
        """Sometimes behind nodes that hand it on."""
        truth = value.startswith(("less_", "greater_"))
        while not self.plain and not truth and self.rng.random() < chance:
            type = self.rng.choice(["Identity", "Dropout", "Cast"])
            value = self.node(type, [value], **({"to": self.type} if type == "Cast" else {}))
        return value

    def tensor(self, array):
        name = self.name("c")
        self.constants.append(numpy_helper.from_array(np.array(array, dtype=self.dtype), name))
        return name

    def constant(self, number, scalar=False):
        """The number in one of its forms, or in one of those of rank 0."""
        with np.errstate(over="ignore"):
            value = self.dtype(number)
        forms = ["scalar", "value"] + ["value_float"] * (self.dtype == np.float32)
        if not scalar:
            forms += ["one", "splat", "row", "ones", "ranked"] + ["value_floats"] * (self.dtype == np.float32)
        form = "scalar" if self.plain else self.rng.choice(forms)
        array = {"one": [value], "splat": np.full(SHAPE, value), "row": np.full(SHAPE[1:], value),
                 "ranked": [[value]], "ones": np.full([1, SHAPE[1]], value)}.get(form, value)
        if self.flat and form in ("splat", "row", "ones", "ranked"):
            array = [value]
        if form == "value":
            tensor = numpy_helper.from_array(np.array(value, dtype=self.dtype))
            return self.through(self.node("Constant", [], value=tensor), 0.2)
        if form == "value_float":
            return self.through(self.node("Constant", [], value_float=float(value)), 0.2)
        if form == "value_floats":
            return self.through(self.node("Constant", [], value_floats=[float(value)]), 0.2)
        return self.through(self.tensor(array), 0.15)

    def op(self, type, *inputs, **attributes):
        """Inputs are values or numbers; those of a commutative op stand in any order."""
        inputs = [self.constant(x, type == "Clip") if isinstance(x, (float, int)) else x and self.through(x, 0.05)
                  for x in inputs]
        if type in ("Add", "Mul", "Max", "Min", "Sum") and self.rng.random() < 0.5:
            inputs.reverse()
        return self.node(type, inputs, **attributes)

    def __getattr__(self, type):
        if type.startswith("_"):
            raise AttributeError(type)
        return lambda *inputs, **attributes: self.op(type, *inputs, **attributes)

    def input(self, name, shape=SHAPE):
        self.inputs.append(helper.make_tensor_value_info(name, self.type, shape))
        return name

    def output(self, value, name):
        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"n_{name}"))
        self.outputs.append(helper.make_tensor_value_info(name, self.type, None))

    def model(self, opset=20):
        """Nodes in a random one of the orders in which they can run."""
        made = {name for node in self.nodes for name in node.output}
        waiting, order, done = list(self.nodes), [], set()
        self.rng.shuffle(waiting)
        while waiting:
            ready = [n for n in waiting if all(i in done or i not in made for i in n.input)]
            for node in ready:
                order.append(node)
                done.update(node.output)
            waiting = [n for n in waiting if not set(n.output) <= done]
        graph = helper.make_graph(order, "cases", self.inputs, self.outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def spelling(table):
    def add(function):
        assert function.__name__ not in table
        table[function.__name__] = function
        return function
    return add


def spell(name, op, build, attributes=()):
    """A spelling that draws one number for each attribute: build(n, x, *numbers)."""
    assert name not in SPELLINGS

    def template(n, x):
        numbers = {key: float(n.dtype(np.float32(draw(n.rng)))) for key, draw in attributes}
        return build(n, x, *numbers.values()), (op, numbers)
    SPELLINGS[name] = template


def decoy(name, build, *draws):
    assert name not in DECOYS
    DECOYS[name] = lambda n, x: (build(n, x, *(float(n.dtype(np.float32(draw(n.rng)))) for draw in draws)), None)


def either_sign(low, high):
    return lambda rng: float(rng.choice([-1, 1]) * rng.uniform(low, high))


def between(low, high):
    return lambda rng: float(rng.uniform(low, high))


# ---- Swish -------------------------------------------------------------------------------------
BETA = [("beta", either_sign(0.2, 4))]
ONE = [("beta", lambda rng: 1.0)]


def swish(name, build, attributes=BETA):
    spell(f"swish_{name}", "Swish", build, attributes)


def swish_over(name, build):
    """Of a number c that is to become beta = 1/c."""
    def template(n, x):
        c = float(n.dtype(either_sign(0.3, 4)(n.rng)))
        return build(n, x, c), ("Swish", {"beta": 1 / c})
    SPELLINGS[f"swish_{name}"] = template


swish("plain", lambda n, x, b: n.Mul(x, n.Sigmoid(x)), ONE)
swish("exp", lambda n, x, b: n.Div(x, n.Add(n.Exp(n.Neg(x)), 1.0)), ONE)
swish("times", lambda n, x, b: n.Mul(x, n.Sigmoid(n.Mul(x, b))))
swish_over("divided", lambda n, x, c: n.Mul(x, n.Sigmoid(n.Div(x, c))))
swish_over("exp_divided", lambda n, x, c: n.Div(x, n.Add(1.0, n.Exp(n.Div(x, -c)))))
swish_over("exp_neg_divided", lambda n, x, c: n.Div(x, n.Add(1.0, n.Exp(n.Neg(n.Div(x, c))))))
swish("exp_negative", lambda n, x, b: n.Div(x, n.Add(n.Exp(n.Mul(x, -b)), 1.0)))
swish("exp_neg", lambda n, x, b: n.Div(x, n.Add(n.Exp(n.Neg(n.Mul(x, b))), 1.0)))
swish("one_over", lambda n, x, b: n.Mul(x, n.Div(1.0, n.Add(1.0, n.Exp(n.Mul(-b, x))))))
swish("reciprocal", lambda n, x, b: n.Mul(x, n.Reciprocal(n.Add(1.0, n.Exp(n.Mul(-b, x))))))
swish("power", lambda n, x, b: n.Mul(n.Pow(n.Add(1.0, n.Exp(n.Mul(-b, x))), -1.0), x))
swish("tanh", lambda n, x, b: n.Mul(n.Mul(x, 0.5), n.Add(n.Tanh(n.Mul(x, b / 2)), 1.0)))
swish("tanh_half_outside", lambda n, x, b: n.Mul(n.Mul(x, n.Add(n.Tanh(n.Mul(x, b / 2)), 1.0)), 0.5))
swish("tanh_affine", lambda n, x, b: n.Mul(x, n.Add(n.Mul(n.Tanh(n.Mul(n.Mul(x, b), 0.5)), 0.5), 0.5)))
swish("tanh_sum", lambda n, x, b: n.Div(n.Add(x, n.Mul(x, n.Tanh(n.Div(n.Mul(b, x), 2.0)))), 2.0))
swish("tanh_halves", lambda n, x, b: n.Add(n.Mul(x, 0.5), n.Mul(n.Mul(x, n.Tanh(n.Mul(x, b / 2))), 0.5)))
swish("exp_both", lambda n, x, b: n.Div(n.Mul(x, n.Exp(n.Mul(x, b))), n.Add(n.Exp(n.Mul(b, x)), 1.0)))
swish("exp_ratio", lambda n, x, b: n.Mul(x, (lambda e: n.Div(e, n.Add(e, 1.0)))(n.Exp(n.Mul(x, b)))))
swish("rest", lambda n, x, b: n.Sub(x, n.Mul(x, n.Sigmoid(n.Mul(x, -b)))))
swish("one_less", lambda n, x, b: n.Mul(x, n.Sub(1.0, n.Sigmoid(n.Mul(x, -b)))))
swish("one_less_exp", lambda n, x, b: n.Mul(x, n.Sub(1.0, n.Div(1.0, n.Add(1.0, n.Exp(n.Mul(x, b)))))))
swish("less_divided", lambda n, x, b: n.Sub(x, n.Div(x, n.Add(1.0, n.Exp(n.Mul(x, b))))))
swish("scaled_input", lambda n, x, b: (lambda u: n.Div(n.Mul(u, n.Sigmoid(u)), b))(n.Mul(x, b)))
swish("scaled_exp", lambda n, x, b: (lambda u: n.Mul(n.Div(u, n.Add(n.Exp(n.Neg(u)), 1.0)), 1 / b))(n.Mul(x, b)))
swish("two_factors", lambda n, x, b: n.Mul(x, n.Sigmoid(n.Mul(n.Mul(x, b / 1.7), 1.7))))
swish("twice_half", lambda n, x, b: n.Mul(n.Mul(n.Mul(x, 2.0), n.Sigmoid(n.Mul(x, b))), 0.5))
swish("two_negatives", lambda n, x, b: n.Neg(n.Mul(n.Neg(x), n.Sigmoid(n.Mul(x, b)))))
swish("minus_one", lambda n, x, b: n.Mul(n.Mul(n.Mul(x, -1.0), n.Sigmoid(n.Neg(n.Mul(n.Neg(x), b)))), -1.0))
swish("plus_zero", lambda n, x, b: n.Mul(n.Add(x, 0.0), n.Sigmoid(n.Add(n.Mul(x, b), 0.0))))
swish("softplus", lambda n, x, b: n.Mul(x, n.Exp(n.Neg(n.Softplus(n.Mul(x, -b))))))
swish("log", lambda n, x, b: n.Mul(x, n.Exp(n.Neg(n.Log(n.Add(1.0, n.Exp(n.Mul(x, -b))))))))
swish("over_over", lambda n, x, b: n.Reciprocal(n.Div(n.Add(n.Exp(n.Mul(x, -b)), 1.0), x)))
swish("clipped_gate", lambda n, x, b: n.Mul(x, n.Clip(n.Sigmoid(n.Mul(x, b)), 0.0, 1.0)))
swish("clipped_88", lambda n, x, b: n.Mul(x, n.Sigmoid(n.Clip(n.Mul(x, b), -88.0, 88.0))))
swish("clipped_exp", lambda n, x, b: n.Div(x, n.Add(n.Exp(n.Clip(n.Mul(x, -b), -60.0, 60.0)), 1.0)))
swish("clipped_min", lambda n, x, b: n.Div(x, n.Add(n.Exp(n.Min(n.Mul(x, -b), 80.0)), 1.0)))
swish("stable", lambda n, x, b: (lambda u, e: n.Mul(x, n.Where(n.Less(u, n.tensor(0)), n.Div(e, n.Add(e, 1.0)),
                                                               n.Div(1.0, n.Add(e, 1.0)))))(
    n.Mul(x, b), n.Exp(n.Neg(n.Abs(n.Mul(x, b))))))
swish("square_root", lambda n, x, b: n.Mul(x, n.Sqrt((lambda s: n.Mul(s, s))(n.Sigmoid(n.Mul(x, b))))))
swish("exp2", lambda n, x, b: n.Div(x, n.Add(n.Pow(n.tensor(2), n.Mul(n.Mul(x, -b), math.log2(math.e))), 1.0)))
swish("sum", lambda n, x, b: n.Sum(n.Mul(x, n.Sigmoid(n.Mul(x, b))), 0.0))
swish("computed_constant", lambda n, x, b: n.Mul(x, n.Sigmoid(n.Mul(x, n.Neg(n.tensor(-b))))))
swish("half_of_sum", lambda n, x, b: n.Sub(n.Mul(x, n.Sigmoid(n.Mul(x, b))), n.Mul(x, 0.0)))


@spelling(SPELLINGS)
def swish_base(n, x):
    c = float(n.dtype(n.rng.uniform(1.5, 9)))
    return n.Div(x, n.Add(n.Pow(n.tensor(c), n.Neg(x)), 1.0)), ("Swish", {"beta": math.log(c)})


# ---- Gelu --------------------------------------------------------------------------------------
def gelu(name, build):
    SPELLINGS[f"gelu_{name}"] = lambda n, x: (build(n, x), ("Gelu", {"approximate": "none"}))


def gelu_tanh(name, build):
    SPELLINGS[f"gelu_tanh_{name}"] = lambda n, x: (build(n, x), ("Gelu", {"approximate": "tanh"}))


R2, TWO_PI = math.sqrt(2), math.sqrt(2 / math.pi)
gelu("divided", lambda n, x: n.Mul(n.Mul(x, n.Add(n.Erf(n.Div(x, R2)), 1.0)), 0.5))
gelu("half_first", lambda n, x: n.Mul(n.Mul(x, 0.5), n.Add(n.Erf(n.Div(x, R2)), 1.0)))
gelu("multiplied", lambda n, x: n.Mul(n.Mul(x, 0.5), n.Add(n.Erf(n.Mul(x, 1 / R2)), 1.0)))
gelu("half_inside", lambda n, x: n.Mul(x, n.Mul(n.Add(n.Erf(n.Mul(x, 1 / R2)), 1.0), 0.5)))
gelu("affine", lambda n, x: n.Mul(x, n.Add(n.Mul(n.Erf(n.Mul(x, 1 / R2)), 0.5), 0.5)))
gelu("over_two", lambda n, x: n.Div(n.Mul(x, n.Add(n.Erf(n.Div(x, R2)), 1.0)), 2.0))
gelu("negative", lambda n, x: n.Mul(n.Mul(x, 0.5), n.Sub(1.0, n.Erf(n.Div(x, -R2)))))
gelu("sum", lambda n, x: n.Mul(0.5, n.Add(x, n.Mul(x, n.Erf(n.Mul(x, 1 / R2))))))
gelu("rest", lambda n, x: n.Sub(x, n.Mul(n.Mul(x, 0.5), n.Sub(1.0, n.Erf(n.Mul(x, 1 / R2))))))
gelu("square_root", lambda n, x: n.Mul(n.Mul(x, 0.5), n.Add(n.Erf(n.Div(x, n.Sqrt(n.tensor(2)))), 1.0)))
gelu("halves", lambda n, x: n.Add(n.Mul(x, 0.5), n.Mul(n.Mul(x, 0.5), n.Erf(n.Div(x, R2)))))


def cubic(n, x):
    return n.Add(x, n.Mul(n.Mul(n.Mul(x, x), x), 0.044715))


gelu_tanh("products", lambda n, x: n.Mul(n.Mul(x, 0.5), n.Add(n.Tanh(n.Mul(cubic(n, x), TWO_PI)), 1.0)))
gelu_tanh("power", lambda n, x: n.Mul(n.Mul(0.5, x), n.Add(n.Tanh(n.Mul(n.Add(x, n.Mul(n.Pow(x, 3.0), 0.044715)), TWO_PI)), 1.0)))
gelu_tanh("factored", lambda n, x: n.Mul(n.Mul(x, 0.5), n.Add(n.Tanh(n.Mul(n.Mul(x, TWO_PI), n.Add(n.Mul(n.Mul(x, x), 0.044715), 1.0))), 1.0)))
gelu_tanh("folded", lambda n, x: n.Mul(n.Mul(x, 0.5), n.Add(n.Tanh(n.Mul(x, n.Add(n.Mul(n.Mul(x, x), 0.044715 * TWO_PI), TWO_PI))), 1.0)))
gelu_tanh("sigmoid", lambda n, x: n.Mul(x, n.Sigmoid(n.Mul(cubic(n, x), 2 * TWO_PI))))
gelu_tanh("exp", lambda n, x: n.Div(x, n.Add(n.Exp(n.Mul(cubic(n, x), -2 * TWO_PI)), 1.0)))
gelu_tanh("half_outside", lambda n, x: n.Mul(n.Mul(x, n.Add(n.Tanh(n.Mul(cubic(n, x), TWO_PI)), 1.0)), 0.5))
gelu_tanh("halves", lambda n, x: n.Add(n.Mul(x, 0.5), n.Mul(n.Mul(x, n.Tanh(n.Mul(cubic(n, x), TWO_PI))), 0.5)))
gelu_tanh("rest", lambda n, x: n.Sub(x, n.Mul(x, n.Sigmoid(n.Mul(cubic(n, x), -2 * TWO_PI)))))
gelu_tanh("square", lambda n, x: n.Mul(x, n.Add(n.Mul(n.Tanh(n.Mul(n.Mul(x, n.Add(1.0, n.Mul(n.Pow(x, 2.0), 0.044715))), TWO_PI)), 0.5), 0.5)))


# ---- Mish --------------------------------------------------------------------------------------
def mish(name, build):
    spell(f"mish_{name}", "Mish", build)


def squared(n, x):
    return (lambda u: n.Mul(u, u))(n.Add(n.Exp(x), 1.0))


def product(n, x):
    return (lambda e: n.Mul(e, n.Add(e, 2.0)))(n.Exp(x))


mish("plain", lambda n, x: n.Mul(x, n.Tanh(n.Softplus(x))))
mish("log", lambda n, x: n.Mul(x, n.Tanh(n.Log(n.Add(1.0, n.Exp(x))))))
mish("ratio", lambda n, x: n.Mul(x, (lambda p: n.Div(p, n.Add(p, 2.0)))(product(n, x))))
mish("ratio_of_product", lambda n, x: (lambda p: n.Div(n.Mul(x, p), n.Add(p, 2.0)))(product(n, x)))
mish("squares", lambda n, x: n.Mul(x, (lambda s: n.Div(n.Sub(s, 1.0), n.Add(s, 1.0)))(squared(n, x))))
mish("rest", lambda n, x: n.Sub(x, n.Div(n.Mul(x, 2.0), n.Add(squared(n, x), 1.0))))
mish("one_less", lambda n, x: n.Mul(x, n.Sub(1.0, n.Div(2.0, n.Add(product(n, x), 2.0)))))
mish("sigmoid", lambda n, x: n.Mul(x, n.Sub(n.Mul(n.Sigmoid(n.Mul(n.Softplus(x), 2.0)), 2.0), 1.0)))
mish("log_sigmoid", lambda n, x: n.Mul(x, n.Tanh(n.Neg(n.Log(n.Sigmoid(n.Neg(x)))))))
mish("shifted", lambda n, x: n.Mul(x, n.Tanh(n.Add(n.Softplus(n.Neg(x)), x))))
mish("stable", lambda n, x: n.Mul(x, n.Tanh(n.Add(n.Relu(x), n.Log(n.Add(n.Exp(n.Neg(n.Abs(x))), 1.0))))))
mish("over", lambda n, x: n.Div(x, n.Add(1.0, n.Div(2.0, product(n, x)))))

# ---- other ops ---------------------------------------------------------------------------------
POSITIVE = between(0.1, 2)
spell("hard_swish_divided", "HardSwish", lambda n, x: n.Div(n.Mul(x, n.Clip(n.Add(x, 3.0), 0.0, 6.0)), 6.0))
spell("hard_swish_relu6", "HardSwish", lambda n, x: n.Mul(x, n.Mul(n.Min(n.Relu(n.Add(x, 3.0)), 6.0), 1 / 6)))
spell("hard_swish_gate", "HardSwish", lambda n, x: n.Mul(x, n.HardSigmoid(x, alpha=1 / 6, beta=0.5)))
spell("hard_swish_affine", "HardSwish", lambda n, x: n.Mul(x, n.Clip(n.Add(n.Div(x, 6.0), 0.5), 0.0, 1.0)))
spell("hard_sigmoid_clip", "HardSigmoid", lambda n, x, a, b: n.Clip(n.Add(n.Mul(x, a), b), 0.0, 1.0),
      [("alpha", POSITIVE), ("beta", between(-0.5, 1.5))])
spell("hard_sigmoid_max", "HardSigmoid", lambda n, x, a, b: n.Max(0.0, n.Min(1.0, n.Add(n.Mul(x, a), b))),
      [("alpha", POSITIVE), ("beta", between(-0.5, 1.5))])
spell("softplus_log", "Softplus", lambda n, x: n.Log(n.Add(n.Exp(x), 1.0)))
spell("softplus_stable", "Softplus", lambda n, x: n.Add(n.Relu(x), n.Log(n.Add(n.Exp(n.Neg(n.Abs(x))), 1.0))))
spell("softplus_sigmoid", "Softplus", lambda n, x: n.Neg(n.Log(n.Sigmoid(n.Neg(x)))))
spell("softsign", "Softsign", lambda n, x: n.Div(x, n.Add(n.Abs(x), 1.0)))
spell("softsign_max", "Softsign", lambda n, x: n.Div(x, n.Add(n.Max(x, n.Neg(x)), 1.0)))
spell("elu_where", "Elu", lambda n, x, a: n.Where(n.Less(x, n.tensor(0)), n.Mul(n.Sub(n.Exp(x), 1.0), a), x), [("alpha", POSITIVE)])
spell("elu_sum", "Elu", lambda n, x, a: n.Add(n.Relu(x), n.Mul(n.Sub(n.Exp(n.Min(x, 0.0)), 1.0), a)), [("alpha", POSITIVE)])
spell("celu", "Celu", lambda n, x, a: n.Add(n.Relu(x), n.Min(0.0, n.Mul(a, n.Sub(n.Exp(n.Div(x, a)), 1.0)))), [("alpha", between(1.2, 3))])
spell("selu", "Selu", lambda n, x: n.Mul(1.0507009873554805, n.Where(n.Greater(x, n.tensor(0)), x, n.Mul(1.6732632423543772, n.Sub(n.Exp(x), 1.0)))))
spell("leaky_max", "LeakyRelu", lambda n, x, a: n.Max(x, n.Mul(x, a)), [("alpha", between(0.01, 0.5))])
spell("leaky_where", "LeakyRelu", lambda n, x, a: n.Where(n.Greater(x, n.tensor(0)), x, n.Mul(x, a)), [("alpha", between(0.01, 0.5))])
spell("leaky_relus", "LeakyRelu", lambda n, x, a: n.Sub(n.Relu(x), n.Mul(a, n.Relu(n.Neg(x)))), [("alpha", between(0.01, 0.5))])
spell("thresholded", "ThresholdedRelu", lambda n, x, a: n.Where(n.Greater(x, n.tensor(a)), x, n.tensor(0)), [("alpha", POSITIVE)])
spell("thresholded_mask", "ThresholdedRelu", lambda n, x, a: n.Mul(x, n.Cast(n.Greater(x, n.tensor(a)), to=n.type)), [("alpha", POSITIVE)])
spell("relu_abs", "Relu", lambda n, x: n.Mul(n.Add(x, n.Abs(x)), 0.5))
spell("relu_mask", "Relu", lambda n, x: n.Mul(x, n.Cast(n.Greater(x, n.tensor(0)), to=n.type)))
spell("sigmoid_exp", "Sigmoid", lambda n, x: n.Div(1.0, n.Add(n.Exp(n.Neg(x)), 1.0)))
spell("sigmoid_tanh", "Sigmoid", lambda n, x: n.Add(n.Mul(n.Tanh(n.Mul(x, 0.5)), 0.5), 0.5))
spell("shrink", "Shrink", lambda n, x, c: n.Sub(n.Relu(n.Sub(x, c)), n.Relu(n.Sub(n.Neg(x), c))), [("bias", POSITIVE)])

# ---- decoys ------------------------------------------------------------------------------------
decoy("shifted_gate", lambda n, x, c: n.Mul(x, n.Sigmoid(n.Add(x, c))), either_sign(0.01, 1))
decoy("slightly_shifted_gate", lambda n, x: n.Mul(x, n.Sigmoid(n.Add(x, 0.01))))
decoy("shifted_scaled_gate", lambda n, x, b, c: n.Mul(x, n.Sigmoid(n.Add(n.Mul(x, b), c))), either_sign(0.3, 3), either_sign(0.01, 1))
decoy("two_inputs", lambda n, x: n.Mul(x, n.Sigmoid(n.input(n.name("other")))))
decoy("two_inputs_exp", lambda n, x: n.Div(x, n.Add(n.Exp(n.Neg(n.input(n.name("other")))), 1.0)))
decoy("per_channel", lambda n, x: n.Mul(x, n.Sigmoid(n.Mul(x, n.tensor(n.rng.uniform(0.5, 2, SHAPE[1]))))))
decoy("per_channel_last_differs", lambda n, x: n.Mul(x, n.Sigmoid(n.Mul(x, n.tensor([1, 1, 1, 1.001])))))
decoy("per_channel_scale", lambda n, x: n.Mul(n.Mul(x, n.Sigmoid(x)), n.tensor([1, 1, 2, 1])))
decoy("broadcast", lambda n, x, b: n.Mul(x, n.Sigmoid(n.Mul(x, n.tensor(np.full([2, 1, 1], b))))), either_sign(0.3, 3))
decoy("broadcast_splat", lambda n, x: n.Mul(n.Mul(x, n.Sigmoid(x)), n.tensor(np.ones([5, 3, 4]))))
decoy("doubled", lambda n, x: n.Mul(n.Mul(x, n.Sigmoid(x)), 2.0))
decoy("scaled", lambda n, x, c: n.Mul(c, n.Mul(x, n.Sigmoid(x))), between(1.01, 3))
decoy("raised", lambda n, x, c: n.Add(c, n.Mul(x, n.Sigmoid(x))), either_sign(1e-4, 1))
decoy("raised_a_little", lambda n, x: n.Add(1e-6, n.Mul(x, n.Sigmoid(x))))
decoy("tanh_gate", lambda n, x: n.Mul(x, n.Tanh(x)))
decoy("scaled_tanh_gate", lambda n, x, b: n.Mul(x, n.Tanh(n.Mul(x, b))), either_sign(0.3, 3))
decoy("tanh_wrong_half", lambda n, x, b: n.Mul(n.Mul(x, 0.5), n.Add(n.Tanh(n.Mul(x, b)), 1.001)), either_sign(0.3, 3))
decoy("squared_gate", lambda n, x: n.Mul(x, (lambda s: n.Mul(s, s))(n.Sigmoid(x))))
decoy("square_times_gate", lambda n, x: n.Mul(n.Mul(x, x), n.Sigmoid(x)))
decoy("shifted_variable", lambda n, x, c: n.Mul(n.Add(x, c), n.Sigmoid(x)), either_sign(0.01, 1))
decoy("bent_gate", lambda n, x, c: n.Mul(x, n.Sigmoid(n.Add(x, n.Mul(n.Mul(x, x), c)))), either_sign(0.001, 1))
decoy("clipped_inside", lambda n, x, c: n.Mul(x, n.Sigmoid(n.Clip(x, -c, c))), between(1, 15))
decoy("clipped_output", lambda n, x, c: n.Min(n.Mul(x, n.Sigmoid(x)), c), between(1, 1000))
decoy("clipped_below", lambda n, x, c: n.Mul(x, n.Sigmoid(n.Max(x, -c))), between(1, 16))
decoy("dead_zone", lambda n, x, c: n.Where(n.Less(n.Abs(x), n.tensor(c)), n.tensor(0), n.Mul(x, n.Sigmoid(x))), between(0.01, 1))
decoy("needle", lambda n, x, c: n.Add(n.Mul(x, n.Sigmoid(x)), n.Exp(n.Mul((lambda u: n.Mul(u, u))(n.Sub(x, c)), -1e6))), between(0.1, 5))
decoy("cut_off", lambda n, x, c: n.Where(n.Less(x, n.tensor(-c)), n.tensor(0), n.Mul(x, n.Sigmoid(x))), between(1, 12))
decoy("saturates_early", lambda n, x, c: n.Where(n.Greater(x, n.tensor(c)), x, n.Mul(x, n.Sigmoid(x))), between(1, 12))
decoy("wrong_base", lambda n, x: n.Div(x, n.Add(n.Exp(n.Neg(x)), 1.001)))
decoy("nearly_one", lambda n, x, c: n.Div(x, n.Add(n.Exp(n.Neg(x)), 1 + c)), between(1e-4, 0.5))
decoy("hard_gate", lambda n, x, a: n.Mul(x, n.HardSigmoid(x, alpha=a, beta=0.5)), between(0.18, 0.3))
decoy("hard_swish_other", lambda n, x, c: n.Div(n.Mul(x, n.Clip(n.Add(x, c), 0.0, 6.0)), 6.0), between(2, 2.99))
decoy("hard_swish_high", lambda n, x, c: n.Div(n.Mul(x, n.Clip(n.Add(x, 3.0), 0.0, c)), 6.0), between(5, 5.99))
decoy("gelu_wrong_scale", lambda n, x, c: n.Mul(n.Mul(x, 0.5), n.Add(n.Erf(n.Mul(x, c)), 1.0)), between(0.71, 0.8))
decoy("gelu_wrong_cubic", lambda n, x, c: n.Mul(n.Mul(x, 0.5), n.Add(n.Tanh(n.Mul(n.Add(x, n.Mul(n.Mul(n.Mul(x, x), x), c)), TWO_PI)), 1.0)), between(0.0448, 0.06))
decoy("gelu_without_cubic", lambda n, x: n.Mul(n.Mul(x, 0.51), n.Add(n.Tanh(n.Mul(x, TWO_PI)), 1.0)))
decoy("mish_scaled", lambda n, x, c: n.Mul(x, n.Tanh(n.Softplus(n.Mul(x, c)))), between(1.01, 2))
decoy("mish_shifted", lambda n, x, c: n.Mul(x, n.Tanh(n.Log(n.Add(n.Exp(x), c)))), between(1.01, 2))
decoy("mish_of_sigmoid", lambda n, x: n.Mul(x, n.Tanh(n.Sigmoid(x))))
decoy("softplus_scaled", lambda n, x, c: n.Mul(x, n.Log(n.Add(n.Exp(x), 1.0))), between(1.01, 2))
decoy("elu_gap", lambda n, x, c: n.Where(n.Less(x, n.tensor(0)), n.Sub(n.Exp(x), c), x), between(1.01, 1.5))
decoy("sine_gate", lambda n, x, c: n.Mul(x, n.Sigmoid(n.Sin(n.Mul(x, c)))), between(0.5, 2))
decoy("rippled", lambda n, x: n.Add(n.Mul(x, n.Sigmoid(x)), n.Mul(n.Sin(n.Mul(x, 50.0)), 1e-3)))
decoy("residual", lambda n, x: n.Add(x, n.Mul(x, n.Sigmoid(x))))
decoy("integer_rounded", lambda n, x: n.Mul(x, n.Sigmoid(n.Floor(x))))


class Mutant(Net):
    """A Net in which one constant in some is off, by a little or by much: its templates may no longer be what they say."""

    def constant(self, number, scalar=False):
        if self.rng.random() < 0.3:
            number = float(np.float32(number * (1 + self.rng.choice([-1, 1]) * 10 ** self.rng.uniform(-7, 0))))
        return super().constant(number, scalar)


def mutants(seed):
    """A model of doubles of all spellings, mutated."""
    n = Mutant(np.random.default_rng(seed), np.float64)
    n.flat = True
    for name, template in SPELLINGS.items():
        value, _ = template(n, n.input(f"x_{name}", [None]))
        n.output(value, f"y_{name}")
    return n.model()


def make(seed, dtype=np.float32, only=None):
    """(model, {output: (op, attributes) or None}) of all templates, or of those whose name has `only` in it."""
    n = Net(np.random.default_rng(seed), dtype)
    expected = {}
    for kind, table in (("s", SPELLINGS), ("d", DECOYS)):
        for name, template in table.items():
            if only and only not in name:
                continue
            value, what = template(n, n.input(f"x_{kind}_{name}"))
            expected[value] = (name, what)
            n.output(value, f"{kind}_{name}")
    return n.model(), expected
