"""Ops by what they compute: every spelling that the generator writes is found, no decoy ever, and near misses say why."""
import json
import math
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import recognise_cases
from conftest import BUILD, ok, ok_json

OPS = [None, "Swish", "Gelu", "Mish", "HardSwish"]


def recognise(model, path, *options):
    """What the tool prints of a model: matches and refused by output, and seconds."""
    onnx.save(model, path)
    done = subprocess.run([BUILD / "tests" / "recognise_dump", path, *map(str, options)], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {m["output"]: m for m in found["matches"]}, {m["output"]: m for m in found["refused"]}, found["seconds"]


def wrong(found, expected, op, tolerance):
    """What is not as it should be, template by template."""
    for value, (name, what) in expected.items():
        want = what if op is None or (what and what[0] == op) else None
        match = found.get(value)
        if (match and match["op"]) != (want and want[0]):
            yield f"{name}: {match and (match['op'], match['attributes'])}, not {want}"
        elif match and not match["error"] <= (4e-6 if tolerance < 1e-5 else 1e-2):
            yield f"{name}: error {match['error']}"
        elif match and not match["input"].endswith(f"_{name}"):
            yield f"{name}: of {match['input']}"
        for key, number in (want[1] if match and want else {}).items():
            got = match["attributes"][key]
            if got != number if isinstance(number, str) else abs(got - number) > tolerance * abs(number):
                yield f"{name}: {key} is {got}, not {number}"


def test_the_generator_is_wide():
    names = list(recognise_cases.SPELLINGS)
    assert sum(name.startswith("swish_") for name in names) >= 30
    assert sum(name.startswith("gelu_") for name in names) >= 20 and sum(name.startswith("mish_") for name in names) >= 10
    assert len(recognise_cases.DECOYS) >= 40


@pytest.mark.parametrize("seed", range(8))
def test_every_spelling_and_no_decoy(tmp_path, seed):
    model, expected = recognise_cases.make(seed)
    for op in OPS:
        found, _, _ = recognise(model, tmp_path / "m.onnx", *([op] if op else []))
        assert list(wrong(found, expected, op, 1e-6)) == []


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_types(tmp_path, dtype):
    model, expected = recognise_cases.make(100, dtype)
    for op in OPS:
        found, _, _ = recognise(model, tmp_path / "m.onnx", *([op] if op else []))
        assert list(wrong(found, expected, op, 2e-3 if dtype == np.float16 else 1e-6)) == []


def sigmoid(x):
    return np.where(x < 0, np.exp(-np.abs(x)), 1) / (1 + np.exp(-np.abs(x)))


MEANING = {                  # what ops are, in words of NumPy
    "Swish": lambda x, beta: x * sigmoid(beta * x),
    "Gelu": lambda x, approximate: (x * sigmoid(1.5957691216057308 * (x + 0.044715 * x ** 3)) if approximate == "tanh" else
                                    x * 0.5 * np.vectorize(math.erfc)(-x / math.sqrt(2))),
    "Mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "HardSigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "Softplus": lambda x: np.logaddexp(x, 0),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Sigmoid": sigmoid,
    "Relu": lambda x: np.maximum(x, 0),
    "LeakyRelu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "ThresholdedRelu": lambda x, alpha: np.where(x > alpha, x, 0),
    "Elu": lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
    "Celu": lambda x, alpha: np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(np.minimum(x / alpha, 80))),
    "Selu": lambda x, alpha, gamma: gamma * np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
    "Shrink": lambda x, bias, lambd: np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0)),
}


@pytest.mark.parametrize("seed", range(6))
def test_no_match_is_false(tmp_path, seed):
    """Spellings with a constant that is off: whatever is found there is what it is said to be, at inputs that the
    recogniser has not seen."""
    model = recognise_cases.mutants(seed)
    matches = list(recognise(model, tmp_path / "m.onnx")[0].values())
    known = {v.name for v in (*model.graph.input, *model.graph.output)}
    values = sorted({m[key] for m in matches for key in ("input", "output")} - known)
    model.graph.output.extend(helper.make_tensor_value_info(v, TensorProto.DOUBLE, None) for v in values)
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.uniform(-40, 40, 20_000), rng.uniform(-4, 4, 20_000), 10 ** rng.uniform(-6, 2.7, 4_000)])
    x = np.concatenate([x, -x])          # none so large that doubles overflow
    with np.errstate(all="ignore"):
        run = ReferenceEvaluator(model).run(None, {i.name: x for i in model.graph.input})
        made = {i.name: x for i in model.graph.input} | dict(zip((o.name for o in model.graph.output), run))
        assert len(matches) > 40
        for m in matches:
            if made[m["input"]] is not x:            # of an inner value: that is another function's business
                continue
            attributes = {key: a if isinstance(a, str) else float(np.float32(a)) for key, a in m["attributes"].items()}
            f, g = made[m["output"]], MEANING[m["op"]](x, **attributes)
            size = np.maximum(np.abs(g), np.abs(np.roll(g, len(x) // 2)) / 64)
            error = np.where(np.isfinite(f), np.abs(f - g) / np.maximum(size, 1e-9), 0).max()
            assert error <= 5.2e-6, (m, error)       # the evaluator's Erf is rounded to float32


def test_find_says_how(tmp_path):
    """The same by the command: what no rule of the op file spells is found by meaning."""
    model, expected = recognise_cases.make(7)
    onnx.save(model, tmp_path / "m.onnx")
    found = {m["output"]: m for m in ok_json("find", tmp_path / "m.onnx", "--op", "Swish")["matches"]}
    for value, (name, what) in expected.items():
        assert (value in found) == bool(what and what[0] == "Swish"), name
        if value in found:
            assert found[value]["attributes"]["beta"] == pytest.approx(what[1]["beta"], rel=1e-6), name
            assert found[value]["error"] <= 4e-6
    assert sum(m["how"] == "meaning" for m in found.values()) >= 25


@pytest.mark.parametrize("op", ["Swish", "Gelu", "Mish", "HardSwish"])
def test_a_grafted_network_computes_the_same(tmp_path, op):
    model, _ = recognise_cases.make(9)
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    onnx.save(model, before)
    ok("graft", before, "-o", after, "--op", op)
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    rng = np.random.default_rng(0)
    inputs = {i.name: 4 * rng.standard_normal(recognise_cases.SHAPE, dtype=np.float32) for i in model.graph.input}
    want, got = (onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"]).run(None, inputs)
                 for path in (before, after))
    for output, w, g in zip(model.graph.output, want, got, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=2e-6, err_msg=output.name)


def simple(build, type=TensorProto.FLOAT, shape=(3, 4), opset=20):
    """A model of one output: build(n, x) with constants as plain initializers."""
    n = recognise_cases.Net(np.random.default_rng(0), helper.tensor_dtype_to_np_dtype(type).type, plain=True)
    n.output(build(n, n.input("x", shape)), "y")
    return n.model(opset)


@pytest.mark.parametrize("op, build, attributes, inputs", [
    ("Clip", lambda n, x: n.Min(n.Relu(x), 6.0), {}, [0, 6]),
    ("Clip", lambda n, x: n.Max(-2.5, n.Min(x, 0.75)), {}, [-2.5, 0.75]),
    ("Clip", lambda n, x: n.Neg(n.Min(n.Neg(x), -1.5)), {}, [1.5]),
    ("Relu", lambda n, x: n.Div(n.Add(x, n.Abs(x)), 2.0), {}, []),
    ("Abs", lambda n, x: n.Max(x, n.Neg(x)), {}, []),
    ("Neg", lambda n, x: n.Sub(n.Mul(x, 0.5), n.Mul(x, 1.5)), {}, []),
    ("Tanh", lambda n, x: (lambda a, b: n.Div(n.Sub(a, b), n.Add(a, b)))(n.Exp(x), n.Exp(n.Neg(x))), {}, []),
    ("Tanh", lambda n, x: n.Sub(n.Mul(n.Sigmoid(n.Mul(x, 2.0)), 2.0), 1.0), {}, []),
    ("Tanh", lambda n, x: n.Sub(1.0, n.Div(2.0, n.Add(n.Exp(n.Mul(x, 2.0)), 1.0))), {}, []),
    ("Sigmoid", lambda n, x: n.Exp(n.Neg(n.Log(n.Add(n.Exp(n.Neg(x)), 1.0)))), {}, []),
    ("Sqrt", lambda n, x: n.Pow(x, 0.5), {}, []),
    ("Reciprocal", lambda n, x: n.Div(2.0, n.Add(x, x)), {}, []),
    ("Elu", lambda n, x: n.Where(n.Less(x, n.tensor(0)), n.Sub(n.Exp(x), 1.0), x), {"alpha": 1}, []),
])
def test_an_op_that_was_asked_for(tmp_path, op, build, attributes, inputs):
    found, _, _ = recognise(simple(build), tmp_path / "m.onnx", op)
    (match,) = [m for m in found.values() if len(m["nodes"]) == max(len(m["nodes"]) for m in found.values())]
    assert (match["op"], match["attributes"], match["input"]) == (op, pytest.approx(attributes), "x")
    assert match["inputs"] == pytest.approx(inputs)


def test_a_node_of_another_type_that_is_the_op(tmp_path):
    model = simple(lambda n, x: n.Swish(x, alpha=1.25), opset=24)
    found, _, _ = recognise(model, tmp_path / "m.onnx", "Swish")
    (match,) = found.values()
    assert match["attributes"] == {"beta": 1.25} and len(match["nodes"]) == 1
    assert recognise(model, tmp_path / "m.onnx")[0] == {}


def test_integers_are_left_alone(tmp_path):
    model = simple(lambda n, x: n.Max(n.Mul(x, n.tensor(1)), n.tensor(0)), TensorProto.INT32)
    for op in ("Relu", "Clip"):
        assert recognise(model, tmp_path / "m.onnx", op)[0] == {}


@pytest.mark.parametrize("shape, constant, taken", [
    ((3, 4), np.ones([]), True), ((3, 4), np.ones([1]), True), ((3, 4), np.ones([1, 1]), True), ((3, 4), np.ones([1, 1, 1]), False),
    ((3, 4), np.ones([3, 1]), True), ((3, 4), np.ones([4]), True), ((3, 1), np.ones([4]), False), (("N", 4), np.ones([4]), True),
    (("N", 4), np.ones([2, 1]), False), ((), np.ones([1]), False), ((), np.ones([]), True), ((0, 4), np.ones([4]), True),
])
def test_a_constant_may_not_change_the_shape(tmp_path, shape, constant, taken):
    model = simple(lambda n, x: n.Mul(x, n.Div(1.0, n.Add(n.Exp(n.Neg(x)), n.tensor(constant)))), shape=shape)
    found, refused, _ = recognise(model, tmp_path / "m.onnx", "Swish")
    assert len(found) == taken
    assert taken or "changes the shape by broadcasting" in next(iter(refused.values()))["reason"]


@pytest.mark.parametrize("build, reason", [
    (lambda n, x: n.Mul(x, n.Sigmoid(n.Add(x, 0.01))), "differs by 0.0004"),
    (lambda n, x: n.Div(n.Mul(x, n.Add(n.Erf(n.Div(x, 2 ** 0.5)), 1.0)), 2.0), "differs by 0.0"),
    (lambda n, x: n.Mul(x, n.Sigmoid(n.input("z"))), "two variables: 'x' and 'z'"),
    (lambda n, x: n.Mul(x, n.Sigmoid(n.Mul(x, n.tensor([1, 2, 3, 4])))), "constant 'c_1' has 4 elements (per channel)"),
])
def test_near_misses_say_why(tmp_path, build, reason):
    found, refused, _ = recognise(simple(build), tmp_path / "m.onnx", "Swish")
    assert found == {} and len(refused) == 1
    assert next(iter(refused.values()))["reason"].startswith(reason)
    assert recognise(simple(build), tmp_path / "m.onnx")[1] == {}        # nothing was asked for


def chain(count, step):
    """A model of at least `count` nodes: step(add, v) adds some behind v; add(type, *inputs) is a node."""
    nodes = []

    def add(type, *inputs):
        nodes.append(helper.make_node(type, inputs, [f"v{len(nodes)}"]))
        return f"v{len(nodes) - 1}"
    v = "x"
    while len(nodes) < count:
        v = step(add, v)
    constants = [helper.make_tensor(f"c{k}", TensorProto.FLOAT, [], [c]) for k, c in enumerate((0.5, 1.0, 2 ** 0.5, 6.0))]
    constants.append(helper.make_tensor("w", TensorProto.FLOAT, [4, 4, 1, 1], np.ones(16)))
    graph = helper.make_graph(nodes, "chain", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
                              [helper.make_tensor_value_info(v, TensorProto.FLOAT, None)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def pair(add, v):
    return add("Mul", v, add("Sigmoid", v))


def mixed(add, v):
    v = add("Conv", v, "w")
    v = add("Add", v, add("Clip", add("Conv", pair(add, v), "w"), "", "c3"))
    return add("Conv", add("Mul", add("Mul", v, "c0"), add("Add", add("Erf", add("Div", v, "c2")), "c1")), "w")


@pytest.mark.parametrize("step", [pair, mixed, lambda add, v: add("Sin", v)], ids=["pairs", "mixed", "unary"])
@pytest.mark.parametrize("op", [None, "Swish"])
def test_time_is_linear_and_short(tmp_path, step, op):
    options = [op] if op else []
    _, _, small = recognise(chain(10_000, step), tmp_path / "m.onnx", *options, "--repeat", 5)
    _, _, large = recognise(chain(100_000, step), tmp_path / "m.onnx", *options, "--repeat", 2)
    assert small < 2                     # 10 to 30 ms on an idle machine
    assert large < 50 * small + 0.5      # 100 times if it were quadratic
