"""Random networks, random grafts: the edited network computes what it did, and is a legal file.

Networks have values that several nodes read, interior values that are outputs, constants as initializers and as Constant nodes, bodies
of If that read values around them, and functions. OPGRAFT_SEED=N begins elsewhere; a failure names its seed."""
import json
import os
import random

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import run

FIRST = int(os.environ.get("OPGRAFT_SEED", 1))
COUNT = int(os.environ.get("OPGRAFT_GRAFTS", 120))

# All say the same on both sides.
RULES = [
    "Mul(x, Sigmoid(x)) -> Swish(x)",
    "Mul(x, Sigmoid(Mul(x, b))) -> Swish(x, beta=b)",
    "Sigmoid(x) -> Div(1, Add(1, Exp(Neg(x))))",
    "Add(x, x) -> Mul(x, 2)",
    "Sub(x, y) -> Add(x, Neg(y))",
    "Neg(x) -> Sub(0, x)",
    "Relu(Relu(x)) -> Relu(x)",
    "Relu(x) -> Max(x, 0)",
    "LeakyRelu(x, alpha=a) -> LeakyRelu(x, alpha=a)",
    "Tanh(Neg(x)) -> Neg(Tanh(x))",
    "Mul(Add(x, y), z) -> Add(Mul(x, z), Mul(y, z))",
    "Sin(x), Cos(x) -> Cos(Sub(x, 1.5707963)), Sin(Add(x, 1.5707963))",
    "Add(x, y), Mul(x, y) -> s, Mul(y, x) where s = Add(y, x)",
    "Max(x, y) -> Add(d, y) where d = Relu(Sub(x, y))",
]
MAPS = ["Neg=Neg", "Relu=LeakyRelu,alpha=0", "Abs=Abs"]
OPS = ["Swish", "Relu", "HardSwish", "Sigmoid", "Softplus"]
UNARY = ["Relu", "Sigmoid", "Neg", "Tanh", "Abs", "Identity", "Sin", "Cos", "Softplus", "HardSwish", "LeakyRelu"]
BINARY = ["Add", "Mul", "Sub", "Max"]


class Maker:
    """Adds nodes to a graph; `around` are values that its bodies may read."""

    def __init__(self, random_, prefix, names, function=None):
        self.random, self.prefix, self.names, self.function = random_, prefix, list(names), function
        self.nodes, self.weights = [], []

    def name(self):
        return f"{self.prefix}{len(self.nodes)}_{len(self.weights)}"

    def add(self, op, inputs, domain="", **attributes):
        output = self.name()
        label = f"n_{output}" if self.random.random() < 0.7 else ""
        self.nodes.append(helper.make_node(op, inputs, [output], name=label, domain=domain, **attributes))
        return output

    def constant(self, value):
        array = np.array(value if self.random.random() < 0.5 else [value], np.float32)
        if self.function is None and self.random.random() < 0.5:
            name = f"w{self.name()}"
            self.weights.append(numpy_helper.from_array(array, name))
            return name
        return self.add("Constant", [], value=numpy_helper.from_array(array))

    def value(self):
        return self.random.choice(self.names[-6:] if self.random.random() < 0.8 else self.names)

    def grow(self):
        """One node more, or a spelling of Swish."""
        pick, x = self.random.random(), self.value()
        if pick < 0.25:
            beta = self.constant(round(self.random.uniform(0.3, 2), 2)) if self.random.random() < 0.5 else None
            gate = self.add("Sigmoid", [self.add("Mul", self.shuffled(x, beta)) if beta else x])
            if self.random.random() < 0.3:
                gate = self.add("Identity", [gate])
            if self.random.random() < 0.3:
                self.names.append(gate)                        # somebody else may read it
            made = self.add("Mul", self.shuffled(x, gate))
        elif pick < 0.6:
            made = self.add(op := self.random.choice(UNARY), [x], **({"alpha": 0.25} if op == "LeakyRelu" else {}))
        elif pick < 0.7:
            self.names += [self.add("Sin", [x]), self.add("Cos", [x])]
            made = self.add("Add", self.names[-2:])
        else:
            y = self.value() if self.random.random() < 0.8 else self.constant(round(self.random.uniform(-2, 2), 2))
            made = self.add(self.random.choice(BINARY), self.shuffled(x, y))
        self.names.append(self.add("Tanh", [made]) if self.random.random() < 0.25 else made)

    def shuffled(self, *names):
        return self.random.sample(names, len(names))

    def branch(self):
        """If on c, whose bodies read values around them."""
        bodies = {}
        for which in ("then_branch", "else_branch"):
            inner = Maker(self.random, f"{self.name()}{which[0]}", self.names)
            for _ in range(self.random.randint(1, 5)):
                inner.grow()
            out = inner.add("Identity", inner.names[-1:])
            bodies[which] = helper.make_graph(inner.nodes, which, [], [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)],
                                              inner.weights)
        self.names.append(self.add("If", ["c"], **bodies))


def make(seed):
    r = random.Random(seed)
    info = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4])
    functions, opsets = [], [helper.make_opsetid("", 18)]
    maker = Maker(r, "v", ["x", "y"])
    if r.random() < 0.3:
        inner = Maker(r, "f", ["p", "q"], function=True)
        for _ in range(r.randint(2, 6)):
            inner.grow()
        functions.append(helper.make_function("user", "Block", ["p", "q"], inner.names[-1:], inner.nodes, opsets[:]))
        opsets.append(helper.make_opsetid("user", 1))
    for _ in range(r.randint(3, 14)):
        if r.random() < 0.1:
            maker.branch()
        elif functions and r.random() < 0.2:
            maker.names.append(maker.add("Block", [maker.value(), maker.value()], domain="user"))
        else:
            maker.grow()
    made = [name for name in maker.names if name not in ("x", "y")]
    outputs = sorted({made[-1], *r.sample(made, min(len(made), r.randint(0, 3)))})
    graph = helper.make_graph(maker.nodes, "g", [info("x"), info("y"), helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
                              [info(name) for name in outputs], maker.weights)
    return helper.make_model(graph, ir_version=8, opset_imports=opsets, functions=functions)


def graft_options(r):
    pick = r.random()
    if pick < 0.6:
        return ["--rule", "; ".join(r.sample(RULES, r.randint(1, 3)))] + (["--keep"] if r.random() < 0.5 else [])
    if pick < 0.7:
        return ["--map", r.choice(MAPS)]
    return ["--op", r.choice(OPS)] + (["--keep"] if r.random() < 0.5 else [])


def results(path, inputs):
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    # with its optimiser, ONNX Runtime 1.31 calls some legal networks cyclic: functions in a body that read a value around it
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: inputs[i.name] for i in session.get_inputs()})


def near(got, want):
    return all(g.shape == w.shape and np.allclose(g, w, rtol=2e-4, atol=2e-4, equal_nan=True) for g, w in zip(got, want, strict=True))


@pytest.mark.parametrize("part", range(4))
def test_a_graft_changes_no_result(tmp_path, part):
    grafted = 0
    for seed in range(FIRST + part, FIRST + COUNT, 4):
        r = random.Random(-seed)
        before, after, plan, again = (tmp_path / name for name in ("a.onnx", "b.onnx", "p.json", "c.onnx"))
        model = make(seed)
        onnx.save(model, before)
        after.unlink(missing_ok=True)
        options = graft_options(r)
        done = run("graft", before, "-o", after, *options, "--json")
        where = f"seed {seed}, {options}"
        assert done.status in (0, 1), f"{where}: {done.err}"
        if done.status == 1:
            assert not after.exists(), where
            continue
        grafted += 1
        new = onnx.load(after)
        onnx.checker.check_model(new, full_check=True)
        assert [v.name for v in new.graph.input] == [v.name for v in model.graph.input], where
        assert [v.name for v in new.graph.output] == [v.name for v in model.graph.output], where
        for c in (True, False):
            numbers = np.random.default_rng(seed)
            inputs = {"x": numbers.normal(size=(3, 4)).astype(np.float32), "y": numbers.normal(size=(3, 4)).astype(np.float32),
                      "c": np.array(c)}
            assert near(results(after, inputs), results(before, inputs)), where
        if all(node.op_type != "If" for node in new.graph.node):             # of which plans know constant ones only
            assert run("check", after, "-q", "--rtol", "1e-3", "--atol", "1e-5").status == 0, where
        # the plan of the same graft, done again, gives the same file
        dry = run("graft", before, *options, "--dry-run", "--json")
        assert dry.status == 0 and json.loads(dry.out) == json.loads(done.out), where
        plan.write_text(dry.out)
        assert run("graft", before, "-o", again, "--plan", plan, "-q") == (0, "", ""), where
        assert again.read_bytes() == after.read_bytes(), where
    assert grafted > COUNT // 16                # of those that begin at FIRST: the test would say little otherwise
