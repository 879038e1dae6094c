"""Edits as JSON: a dry run's plan, changed by hand, checked and done; damaged plans are refused with the number of the edit."""
import json
import random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import LENET5, ok, ok_json, onnxruntime_infer, refused, run

RELU, SWISH4, SWISH2 = LENET5


def info(name, type_=TensorProto.FLOAT, shape=("N", 4)):
    return helper.make_tensor_value_info(name, type_, shape)


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), output.split(), name=f"n_{output}", **attributes)


@pytest.fixture
def net(tmp_path):
    """y = swish(x) + exp(x); a branch that reads x and e."""
    def branch(name, op):
        return helper.make_graph([node(op, "e", name)], name, [], [info(name, shape=None)])
    nodes = [node("Exp", "x", "e"), node("Sigmoid", "x", "s"), node("Mul", "x s", "m"), node("Add", "m e", "y"),
             helper.make_node("If", ["c"], ["z"], name="if1", then_branch=branch("p", "Neg"), else_branch=branch("q", "Relu")),
             node("Mul", "x k", "w")]
    graph = helper.make_graph(nodes, "g", [info("x"), info("c", TensorProto.BOOL, [])], [info("y"), info("z"), info("w")],
                              [numpy_helper.from_array(np.float32(3), "k")])
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


def edit(remove, insert, graph=""):
    return {"graph": graph, "remove": remove, "insert": insert}


def new(type_, inputs, outputs, domain="", **attributes):
    return {"type": type_, "domain": domain, "inputs": inputs.split(), "outputs": outputs.split(), "attributes": attributes}


SWISH = edit(["m", "s"], [new("OgSwish", "x", "m", "opgraft", beta=1)])


def write(path, *edits):
    path.write_text(json.dumps({"matches": edits}))
    return path


def plan(net, tmp_path, *edits):
    """The model after these edits."""
    out = tmp_path / "out.onnx"
    ok("graft", net, "-o", out, "--plan", write(tmp_path / "edits.json", *edits))
    made = onnx.load(out)
    onnx.checker.check_model(made, full_check=True)
    return made


def complaint(net, tmp_path, *edits, status=2):
    sentence = refused(status, "graft", net, "-o", tmp_path / "out.onnx", "--plan", write(tmp_path / "edits.json", *edits))
    assert not (tmp_path / "out.onnx").exists() and "edits.json" in sentence
    return sentence


def test_a_dry_run_is_the_plan(tmp_path):
    edits, direct, planned = tmp_path / "e.json", tmp_path / "a.onnx", tmp_path / "b.onnx"
    edits.write_text(ok("graft", SWISH4, "--op", "Swish", "--dry-run", "--json"))
    ok("graft", SWISH4, "-o", direct, "--op", "Swish")
    text = ok("graft", SWISH4, "-o", planned, "--plan", edits)
    assert text.startswith("4 places grafted: 4 Swish\n")
    assert direct.read_bytes() == planned.read_bytes()
    assert ok_json("graft", SWISH4, "--dry-run", "--plan", edits)["matches"][0]["how"] == "edit"


def test_some_of_the_edits_and_another_attribute(tmp_path):
    edits = ok_json("graft", RELU, "--map", "Relu=Swish", "--dry-run")
    keep = edits["matches"][1:3]
    keep[0]["insert"][0]["attributes"] = {"beta": 1.5}
    out = tmp_path / "o.onnx"
    ok("graft", RELU, "-o", out, "--plan", write(tmp_path / "e.json", *keep))
    made = [n for n in onnx.load(out).graph.node if n.op_type == "OgSwish"]
    assert [n.output[0] for n in made] == [match["output"] for match in keep]
    assert [a.f for a in made[0].attribute if a.name == "beta"] == [1.5]
    assert ok("graft", RELU, "-o", out, "--plan", tmp_path / "e.json", "--only", "act3").startswith("1 place ")


def test_edits_by_hand(net, tmp_path):
    made = plan(net, tmp_path, SWISH, edit(["p"], [new("Abs", "m", "t"), new("Neg", "t", "p")], "if1.then_branch"),
                edit(["w"], [new("Constant", "", "l", value={"dtype": "f32", "dims": [2, 2], "data": [1, 2.5, "inf", -1]}),
                             new("ReduceMean", "l", "r", keepdims=0), new("Mul", "x r", "w")]))
    assert "k" not in [t.name for t in made.graph.initializer]          # nobody reads it any more
    x = np.linspace(-2, 2, 8, dtype=np.float32).reshape(2, 4)
    feed = {"x": x, "c": np.array(True)}
    assert np.allclose(onnxruntime_infer(made, feed, "y"), x / (1 + np.exp(-x)) + np.exp(x), atol=1e-6)
    assert np.allclose(onnxruntime_infer(made, feed, "z"), -np.abs(x / (1 + np.exp(-x))), atol=1e-6)


def test_nodes_in_front_move_behind_what_they_need_now(net, tmp_path):
    """e, the first node, is to read what is made in the middle."""
    made = plan(net, tmp_path, edit(["e"], [new("Exp", "m", "e")]))
    assert [n.output[0] for n in made.graph.node] == ["s", "m", "e", "y", "z", "w"]
    made = plan(net, tmp_path, edit(["s"], [new("Sigmoid", "w", "s")]))
    assert [n.output[0] for n in made.graph.node] == ["e", "z", "w", "s", "m", "y"]


@pytest.mark.parametrize("edits, status, what", [
    ([edit(["none"], [])], 2, "no node makes 'none'"),
    ([edit(["x"], [])], 2, "no node makes 'x'"),
    ([edit([], [new("Relu", "x", "t")])], 2, "removes no node"),
    ([edit(["m", "m"], [new("Relu", "x", "m")])], 2, "twice"),
    ([edit(["s"], [])], 2, "'s', which node 'n_m' uses"),
    ([edit(["e"], [new("Neg", "x", "t")])], 2, "'e', which node"),
    ([edit(["w"], [])], 2, "'w', an output of the graph"),
    ([edit(["m"], [new("Relu", "none", "m")])], 2, "no value 'none'"),
    ([edit(["m"], [new("Relu", "t", "m"), new("Neg", "x", "t")])], 2, "before it is made"),
    ([edit(["m"], [new("Relu", "m", "m")])], 2, "before it is made"),
    ([edit(["m", "s"], [new("Relu", "s", "m")])], 2, "removes the node that makes it"),
    ([edit(["m"], [new("Relu", "x", "m"), new("Neg", "x", "m")])], 2, "twice"),
    ([edit(["m"], [new("Relu", "x", "m"), new("Neg", "x", "e")])], 2, "a name that is taken"),
    ([edit(["m"], [new("Relu", "x", "m"), new("Neg", "x", "p")])], 2, "a name that is taken"),
    ([edit(["m"], [new("Relu", "x", "m"), new("Neg", "x", "")])], 2, "no output"),
    ([edit(["s"], [new("Sigmoid", "y", "s")])], 2, "cycle"),
    ([edit(["p"], [new("Neg", "w", "p")], "if1.then_branch")], 2, "made behind the body"),
    ([SWISH, SWISH], 2, "edit 1: no node makes 's'"),
    ([SWISH, edit(["m"], [new("Relu", "x", "m")], "if1.body")], 2, "edit 1: the model has no graph 'if1.body'"),
    ([edit(["z"], [new("Neg", "x", "z")]), edit(["p"], [new("Neg", "x", "p")], "if1.then_branch")], 2, "edit 1: graph 'if1.then_branch' went"),
    ([edit(["m"], [new("Nonsense", "x", "m")])], 2, "Nonsense is not known"),
    ([edit(["m"], [new("Relu", "x x", "m")])], 3, "at most 1 input"),
    ([edit(["m"], [new("Relu", "c", "m")])], 4, "type bool"),
    ([edit(["m"], [new("Gelu", "x", "m")])], 4, "since opset 20"),
    ([edit(["m"], [new("LeakyRelu", "x", "m", alpha="a")])], 3, "'alpha' must be a number"),
    ([edit(["m"], [new("LeakyRelu", "x", "m", gamma=1)])], 3, "no attribute 'gamma'"),
    ([edit(["m"], [new("Softmax", "x", "m", axis=0.5)])], 3, "whole number"),
    ([edit(["m"], [new("Transpose", "x", "m", perm=[0, "1"])])], 3, "list of whole numbers"),
    ([edit(["w"], [new("ReduceMean", "x", "w", keepdims=0)])], 3, "the file says"),
    ([edit(["m"], [new("Constant", "", "t", value={"dtype": "f32", "dims": [3], "data": [1, 2, 3]}), new("Mul", "x t", "m")])], 3,
     "do not broadcast"),
    ([edit(["m"], [new("DepthToSpace", "x", "m", blocksize=1, mode="XYZ")])], 3, "mode"),
    ([edit(["m"], [new("Constant", "", "m", value={"dtype": "f32", "dims": [2], "data": [1]})])], 3, "as many numbers"),
    ([edit(["m"], [new("Constant", "", "m", value={"dtype": "u8", "dims": [1], "data": [256]})])], 3, "is no u8"),
    ([{"op": "Swish", "output": "m"}], 3, "neither 'remove' nor 'insert'"),
    ([{"remove": ["m"]}], 3, "'insert'"), ([{"remove": "m", "insert": []}], 3, "'remove'"), ([7], 3, "must be an object"),
    ([edit(["m"], [{"type": "Relu"}])], 3, "'inputs'"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_does_not_fit_is_refused(net, tmp_path, edits, status, what):
    sentence = complaint(net, tmp_path, *edits, status=status)
    assert what in sentence
    if "edit 1" not in what:
        assert "edit 0: " in sentence


@pytest.mark.parametrize("text, what", [("", "ends too early"), ("[]", "'matches'"), ("{\"matches\": 1}", "'matches'"),
                                        ("{\"matches\": [}", "line 1, column 14")])
def test_what_is_no_plan_is_refused(net, tmp_path, text, what):
    edits = tmp_path / "edits.json"
    edits.write_text(text)
    assert what in refused(3, "graft", net, "-o", tmp_path / "o.onnx", "--plan", edits)


def test_no_edits_is_no_graft(net, tmp_path):
    assert run("graft", net, "-o", tmp_path / "o.onnx", "--plan", write(tmp_path / "e.json")).status == 1
    refused(2, "graft", net, "-o", tmp_path / "o.onnx", "--plan", tmp_path / "e.json", "--op", "Swish")
    refused(5, "graft", net, "-o", tmp_path / "o.onnx", "--plan", tmp_path / "none.json")


def mutate(r, value, names):
    """One change somewhere in a JSON value."""
    if isinstance(value, dict) and value and r.random() < 0.85:
        key = r.choice(list(value))
        changed = dict(value)
        if r.random() < 0.1:
            del changed[key]
        else:
            changed[key] = mutate(r, value[key], names)
        return changed
    if isinstance(value, list) and value and r.random() < 0.85:
        k, changed = r.randrange(len(value)), list(value)
        what = r.random()
        if what < 0.1:
            del changed[k]
        elif what < 0.2:
            changed.insert(k, r.choice(value))
        elif what < 0.25:
            r.shuffle(changed)
        else:
            changed[k] = mutate(r, value[k], names)
        return changed
    return r.choice([r.choice(names), r.choice(names), "", None, [], {}, -1, 1e300, 2**63, True, [[]], "if1.then_branch", "Relu", "Add",
                     "opgraft", {"dtype": "i64", "dims": [1], "data": [9]}])


def test_damaged_plans_never_crash(net, tmp_path):
    good = json.loads(ok("graft", net, "--dry-run", "--json", "--rule", "Mul(x, Sigmoid(x)) -> Swish(x); Relu(x) -> Max(x, 0); "
                         "Neg(x) -> Sub(0, x); Exp(x) -> Exp(Sub(Add(x, 1), 1)); Mul(x, y) -> LeakyRelu(Mul(x, y), alpha=1)"))
    assert len(good["matches"]) == 5
    names = ["x", "e", "s", "m", "y", "z", "w", "k", "c", "p", "q"]
    accepted, out = 0, tmp_path / "o.onnx"
    for seed in range(400):
        r = random.Random(seed)
        bad = good
        for _ in range(r.randint(1, 3)):
            bad = mutate(r, bad, names)
        (tmp_path / "e.json").write_text(json.dumps(bad))
        out.unlink(missing_ok=True)
        done = run("graft", net, "-o", out, "--plan", tmp_path / "e.json", "-q")
        assert done.status in (0, 1, 2, 3, 4), f"seed {seed}: {done}"
        assert (done.status == 0) == out.exists() and (done.status == 0) == (done.err == ""), f"seed {seed}: {done}"
        if done.status == 0:
            accepted += 1
            onnx.checker.check_model(onnx.load(out), full_check=True)
    assert 20 < accepted < 380


def test_cut_plans_never_crash(net, tmp_path):
    text = ok("graft", net, "--dry-run", "--json", "--op", "Swish")
    for n in range(0, len(text) - 2, 3):
        (tmp_path / "e.json").write_text(text[:n])
        assert run("graft", net, "-o", tmp_path / "o.onnx", "--plan", tmp_path / "e.json").status == 3
