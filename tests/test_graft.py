"""opgraft graft: what is replaced, what is refused and why, and that the file stays what it was elsewhere."""
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import LENET5, digits, ok, ok_json, onnxruntime_infer, refused, relative_error, run

RELU, SWISH4, SWISH2 = LENET5
FOUR_NODES = "Div(x, Add(Exp(Neg(x)), 1)) -> Swish(x)"


def model(path, nodes, outputs=("y",), weights=(), opset=17, values=()):
    def info(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph(nodes, "g", [info("x")], [info(name) for name in outputs],
                              [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in weights],
                              value_info=[info(name) for name in values])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)]), path)
    return path


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), [output], name=f"node_{output}", **attributes)


def ops(path):
    return sorted(f"{n.domain}::{n.op_type}" if n.domain else n.op_type for n in onnx.load(path).graph.node)


@pytest.fixture
def swish(tmp_path):
    """x * sigmoid(x), the product commuted."""
    return model(tmp_path / "swish.onnx", [node("Sigmoid", "x", "s"), node("Mul", "s x", "y")], values=["s"])


def test_a_map_replaces_every_node_of_a_type(tmp_path):
    out = tmp_path / "out.onnx"
    found = ok_json("graft", RELU, "-o", out, "--map", "Relu=Swish,beta=1.5")
    assert [match["attributes"] for match in found["matches"]] == [{"beta": 1.5}] * 4
    assert {match["how"] for match in found["matches"]} == {"map"} and found["refused"] == []
    assert ops(out).count("opgraft::OgSwish") == 4 and "Relu" not in ops(out)


def test_only_replaces_the_nodes_that_a_glob_names(tmp_path):
    out = tmp_path / "out.onnx"
    found = ok_json("graft", RELU, "-o", out, "--map", "Relu=Swish", "--only", "act?")
    assert len(found["matches"]) == 4
    found = ok_json("graft", RELU, "-o", out, "--map", "Relu=Swish", "--only", "*2")
    assert [match["output"] for match in found["matches"]] == ["act2"]


@pytest.mark.parametrize("path, rule", [(SWISH4, FOUR_NODES), (SWISH2, "Mul(x, Sigmoid(x)) -> Swish(x)")],
                         ids=["four nodes", "two nodes"])
def test_a_grafted_file_runs_everywhere_to_the_same_answer(tmp_path, path, rule):
    out = tmp_path / "out.onnx"
    assert len(ok_json("graft", path, "-o", out, "--rule", rule)["matches"]) == 4
    onnx.checker.check_model(onnx.load(out), full_check=True)
    x = digits()[0][:5]
    want = onnxruntime_infer(path, {"image": x}, "logits")
    assert relative_error(onnxruntime_infer(out, {"image": x}, "logits"), want) < 1e-6      # through the function body
    assert run("check", out, "--batch", "5").status == 0


def test_an_op_by_its_own_body(swish, tmp_path):
    out = tmp_path / "out.onnx"
    assert ok_json("graft", SWISH2, "-o", out, "--op", "Swish")["matches"]


def test_bytes_of_what_was_not_touched_stay(tmp_path):
    out = tmp_path / "out.onnx"
    ok("graft", RELU, "-o", out, "--map", "Relu=Swish", "--only", "act1")
    before, after = onnx.load(RELU), onnx.load(out)
    kept = [n.SerializeToString() for n in before.graph.node if n.name != "act1"]
    assert [n.SerializeToString() for n in after.graph.node if n.name != "act1"] == kept
    assert [t.SerializeToString() for t in after.graph.initializer] == [t.SerializeToString() for t in before.graph.initializer]
    assert list(after.graph.input) == list(before.graph.input) and list(after.graph.output) == list(before.graph.output)
    assert {o.domain: o.version for o in after.opset_import} == {"": 17, "opgraft": 1}
    assert after.metadata_props == before.metadata_props and after.producer_name == before.producer_name


def test_commuted_and_named_constants(swish, tmp_path):
    out = tmp_path / "out.onnx"
    assert len(ok_json("graft", swish, "-o", out, "--rule", "Mul(x, Sigmoid(x)) -> Swish(x)")["matches"]) == 1
    assert ops(out) == ["opgraft::OgSwish"]
    constant = helper.make_node("Constant", [], ["one"], value_float=1.0)
    path = model(tmp_path / "c.onnx", [constant, node("Neg", "x", "n"), node("Exp", "n", "e"), node("Add", "one e", "a"),
                                       node("Identity", "x", "i"), node("Div", "i a", "y")])
    assert len(ok_json("graft", path, "-o", out, "--rule", FOUR_NODES)["matches"]) == 1


def test_an_attribute_from_a_constant(tmp_path):
    path = model(tmp_path / "b.onnx", [node("Mul", "x b", "m"), node("Sigmoid", "m", "s"), node("Mul", "x s", "y")],
                 weights=[("b", [1.7])])
    found = ok_json("graft", path, "-o", tmp_path / "o.onnx", "--rule", "Mul(x, Sigmoid(Mul(x, b))) -> Swish(x, beta=b)")
    assert found["matches"][0]["attributes"]["beta"] == pytest.approx(1.7)
    x = np.linspace(-6, 6, 12, dtype=np.float32).reshape(3, 4)
    assert np.allclose(onnxruntime_infer(tmp_path / "o.onnx", {"x": x}, "y"), x / (1 + np.exp(-1.7 * x)), atol=1e-6)


@pytest.mark.parametrize("extra, outputs, weights, reason", [
    ([node("Exp", "s", "z")], ("y", "z"), (), "also used by node 'node_z'"),
    ([], ("y", "s"), (), "is an output"),
], ids=["used elsewhere", "an output"])
def test_an_interior_that_is_needed_is_refused(tmp_path, extra, outputs, weights, reason):
    path = model(tmp_path / "m.onnx", [node("Sigmoid", "x", "s"), node("Mul", "x s", "y"), *extra], outputs, weights)
    done = run("graft", path, "-o", tmp_path / "o.onnx", "--rule", "Mul(x, Sigmoid(x)) -> Swish(x)", "--json")
    assert done.status == 1 and not (tmp_path / "o.onnx").exists()
    (refusal,) = json.loads(done.out)["refused"]
    assert reason in refusal["reason"] and refusal["nodes"] == ["node_y", "node_s"]


def test_a_per_channel_beta_is_refused(tmp_path):
    path = model(tmp_path / "b.onnx", [node("Mul", "x b", "m"), node("Sigmoid", "m", "s"), node("Mul", "x s", "y")],
                 weights=[("b", [1, 2, 3, 4])])
    done = run("graft", path, "-o", tmp_path / "o.onnx", "--rule", "Mul(x, Sigmoid(Mul(x, b))) -> Swish(x, beta=b)", "--json")
    assert done.status == 1 and "constant of one element" in json.loads(done.out)["refused"][0]["reason"]


@pytest.mark.parametrize("nodes", [
    [node("Sigmoid", "x", "s"), node("Exp", "x", "e"), node("Mul", "e s", "y")],
    [node("HardSigmoid", "x", "s"), node("Mul", "x s", "y")],
    [node("Sigmoid", "x", "s"), node("Add", "x s", "y")],
], ids=["another input", "another function", "a sum"])
def test_what_only_looks_like_it_is_left(tmp_path, nodes):
    path = model(tmp_path / "m.onnx", nodes)
    assert run("graft", path, "-o", tmp_path / "o.onnx", "--rule", "Mul(x, Sigmoid(x)) -> Swish(x)").status == 1


def test_a_dry_run_writes_nothing(swish, tmp_path):
    text = ok("graft", swish, "--dry-run", "--rule", "Mul(x, Sigmoid(x)) -> Swish(x)", "-o", tmp_path / "o.onnx")
    assert "would be grafted" in text and not (tmp_path / "o.onnx").exists()


def test_bodies_of_if_are_searched(tmp_path):
    def branch(name):
        return helper.make_graph([node("Sigmoid", "x", f"{name}_s"), node("Mul", f"x {name}_s", f"{name}_y")], name, [],
                                 [helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)])
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch("then"), else_branch=branch("else"))], "g",
        [helper.make_tensor_value_info("c", TensorProto.BOOL, []), helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    path, out = tmp_path / "if.onnx", tmp_path / "o.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    assert "not known" not in ok("info", path)
    assert len(ok_json("graft", path, "-o", out, "--rule", "Mul(x, Sigmoid(x)) -> Swish(x)")["matches"]) == 2
    x = np.linspace(-2, 2, 4, dtype=np.float32)
    for condition in (True, False):
        got = onnxruntime_infer(out, {"c": np.array(condition), "x": x}, "y")
        assert np.allclose(got, x / (1 + np.exp(-x)), atol=1e-6)


@pytest.mark.parametrize("rule, place, what", [
    ("Relu(x -> Swish(x)", "line 1, column 8", "',' or ')'"),
    ("Relu(x) -> Swish(z)", "line 1, column 18", "left side"),
    ("Relu(x) -> Nonsense(x)", "line 1, column 12", "not known"),
    ("Relu(x)", "line 1, column 8", "'->'"),
    ("Relu(x) -> Swish(x)\nSigmoid(", "line 2, column 9", "name"),
    ("x -> Swish(x)", "line 1, column 1", "begins with an op"),
    ("# nothing", "", "no rule"),
    ("Relu(" * 40 + "x" + ")" * 40 + " -> Swish(x)", "line 1", "nested"),
])
def test_a_wrong_rule_says_where(tmp_path, rule, place, what):
    sentence = refused(2, "graft", RELU, "-o", tmp_path / "o.onnx", "--rule", rule)
    assert place in sentence and what in sentence


@pytest.mark.parametrize("map_, what", [("Relu=Nonsense", "not known"), ("Relu=Swish,gamma=2", "gamma"), ("Relu", "From=To")])
def test_a_wrong_map_says_why(tmp_path, map_, what):
    assert what in refused(2, "graft", RELU, "-o", tmp_path / "o.onnx", "--map", map_)


def test_an_op_that_the_opset_does_not_have_is_refused(tmp_path):
    sentence = refused(4, "graft", RELU, "-o", tmp_path / "o.onnx", "--map", "Relu=Mish")
    assert "opset 18" in sentence and not (tmp_path / "o.onnx").exists()


def test_the_old_file_stays_when_a_graft_fails(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(RELU.read_bytes())
    assert run("graft", path, "-o", path, "--map", "Tanh=Swish").status == 1
    assert path.read_bytes() == RELU.read_bytes()
    ok("graft", path, "-o", path, "--map", "Relu=Swish")                 # in place is fine
    assert "opgraft::OgSwish" in ops(path)


def test_rules_from_a_file(tmp_path):
    rules = tmp_path / "rules.txt"
    rules.write_text(f"# the four nodes\n{FOUR_NODES}   # of TensorFlow exports\n\n")
    assert len(ok_json("graft", SWISH4, "-o", tmp_path / "o.onnx", "--rules", rules)["matches"]) == 4
    refused(5, "graft", SWISH4, "-o", tmp_path / "o.onnx", "--rules", tmp_path / "none.txt")


# ---- what is kept, what goes ------------------------------------------------------------------------

def test_a_needed_interior_is_kept_when_asked(tmp_path):
    path = model(tmp_path / "m.onnx", [node("Sigmoid", "x", "s"), node("Mul", "x s", "y"), node("Exp", "s", "z")], ("y", "z"))
    out = tmp_path / "o.onnx"
    assert len(ok_json("graft", path, "-o", out, "--op", "Swish", "--keep")["matches"]) == 1
    assert ops(out) == ["Exp", "Sigmoid", "opgraft::OgSwish"]
    x = np.linspace(-2, 2, 8, dtype=np.float32).reshape(2, 4)
    for name in ("y", "z"):
        assert np.allclose(onnxruntime_infer(out, {"x": x}, name), onnxruntime_infer(path, {"x": x}, name), atol=1e-6)


def test_a_body_that_reads_an_interior_counts(tmp_path):
    def branch(name):
        return helper.make_graph([node("Neg", "s", name)], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
    path = model(tmp_path / "m.onnx", [node("Sigmoid", "x", "s"), node("Mul", "x s", "y"), node("ReduceMax", "x", "r", keepdims=0),
                                       node("Cast", "r", "c", to=TensorProto.BOOL),
                                       helper.make_node("If", ["c"], ["z"], then_branch=branch("p"), else_branch=branch("q"))],
                 ("y", "z"))
    done = run("graft", path, "-o", tmp_path / "o.onnx", "--op", "Swish", "--json")
    assert done.status == 1 and "also used by node" in json.loads(done.out)["refused"][0]["reason"]
    assert ok_json("graft", path, "-o", tmp_path / "o.onnx", "--op", "Swish", "--keep")["matches"]
    assert "Sigmoid" in ops(tmp_path / "o.onnx")


def test_a_constant_around_a_body_is_seen_in_it(tmp_path):
    def branch(name):
        return helper.make_graph([node("Mul", "x beta", f"{name}m"), node("Sigmoid", f"{name}m", f"{name}s"),
                                  node("Mul", f"x {name}s", name)], name, [],
                                 [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
    path = model(tmp_path / "m.onnx", [node("ReduceMax", "x", "r", keepdims=0), node("Cast", "r", "c", to=TensorProto.BOOL),
                                       helper.make_node("If", ["c"], ["y"], then_branch=branch("p"), else_branch=branch("q"))],
                 weights=[("beta", 1.5)])
    found = ok_json("graft", path, "-o", tmp_path / "o.onnx", "--op", "Swish")["matches"]
    assert [match["attributes"] for match in found] == [{"beta": 1.5}] * 2
    assert not onnx.load(tmp_path / "o.onnx").graph.initializer


def test_names_types_and_constants_after_an_edit(tmp_path):
    path = model(tmp_path / "m.onnx", [node("Mul", "x b", "m"), node("Sigmoid", "m", "s"), node("Mul", "s x", "y"), node("Add", "x k", "z")],
                 ("y", "z"), weights=[("b", [1.7]), ("k", [1])], values=["m", "s"])
    out = tmp_path / "o.onnx"
    ok("graft", path, "-o", out, "--op", "Swish")
    graph = onnx.load(out).graph
    assert [v.name for v in graph.value_info] == [] and [t.name for t in graph.initializer] == ["k"]
    assert [n.name for n in graph.node] == ["node_y", "node_z"]


def test_a_type_that_the_op_does_not_take_refuses_the_place(tmp_path):
    graph = helper.make_graph([node("Relu", "x", "a"), node("Cast", "a", "i", to=TensorProto.INT32), node("Relu", "i", "y")], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
                              [helper.make_tensor_value_info("y", TensorProto.INT32, [4])])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    found = ok_json("graft", path, "-o", tmp_path / "o.onnx", "--map", "Relu=Swish")
    assert [match["output"] for match in found["matches"]] == ["a"]
    assert "i32, which Swish does not take" in found["refused"][0]["reason"]


# ---- right sides --------------------------------------------------------------------------------------

def apply_rule(tmp_path, rule, nodes, x, outputs=("y",), weights=(), opset=17, *options):
    """Types of the nodes after it; what both networks compute must be the same."""
    path, out = model(tmp_path / "m.onnx", nodes, outputs, weights, opset), tmp_path / "o.onnx"
    ok("graft", path, "-o", out, "--rule", rule, *options)
    onnx.checker.check_model(onnx.load(out), full_check=True)
    for name in outputs:
        assert np.allclose(onnxruntime_infer(out, {"x": x}, name), onnxruntime_infer(path, {"x": x}, name), atol=1e-5)
    return onnx.load(out).graph


X = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)


def test_several_nodes_and_a_shared_one(tmp_path):
    graph = apply_rule(tmp_path, "Softplus(x) -> Log(Add(e, 1)) where e = Exp(x)", [node("Softplus", "x", "y")], X)
    assert [n.op_type for n in graph.node] == ["Exp", "Constant", "Add", "Log"]
    graph = apply_rule(tmp_path, "Tanh(x) -> Div(Sub(e, 1), Add(e, 1)) where e = Exp(Mul(x, 2))", [node("Tanh", "x", "y")], X)
    assert [n.op_type for n in graph.node].count("Exp") == 1 and graph.node[-1].name == "node_y"


def test_several_outputs(tmp_path):
    nodes = [node("Sin", "x", "s"), node("Exp", "s", "y"), node("Neg", "y", "n"), node("Cos", "x", "z")]
    graph = apply_rule(tmp_path, "Sin(x), Cos(x) -> Cos(Sub(x, 1.5707963)), Sin(Add(x, 1.5707963))", nodes, X, ("n", "z"))
    assert sorted(n.op_type for n in graph.node) == ["Add", "Constant", "Constant", "Cos", "Exp", "Neg", "Sin", "Sub"]


def test_a_place_that_would_close_a_cycle_is_refused(tmp_path):
    """Both roots at once would need w, which is computed from one of them."""
    nodes = [node("Sin", "x", "s"), node("Exp", "s", "w"), node("Mul", "x w", "y")]
    path = model(tmp_path / "m.onnx", nodes, ("y",))
    rule = "Sin(x), Mul(x, w) -> Sub(Add(Sin(x), w), w), Mul(w, x)"
    done = run("graft", path, "-o", tmp_path / "o.onnx", "--rule", rule, "--json")
    assert done.status == 1
    assert any("cycle" in refusal["reason"] for refusal in json.loads(done.out)["refused"])


def test_words_lists_and_left_out_inputs(tmp_path):
    weights = [("w", np.ones((4, 4)))]
    graph = apply_rule(tmp_path, "Gelu(x, approximate=a) -> Gelu(x, approximate=a)", [node("Gelu", "x", "y", approximate="tanh")], X, opset=20)
    assert graph.node[0].attribute[0].s == b"tanh"
    graph = apply_rule(tmp_path, "Transpose(x, perm=p) -> Transpose(x, perm=p)", [node("Transpose", "x", "t", perm=[1, 0]),
                                                                                  node("Transpose", "t", "y", perm=[1, 0])], X)
    assert [list(a.ints) for n in graph.node for a in n.attribute] == [[1, 0], [1, 0]]
    graph = apply_rule(tmp_path, "Gemm(a, b, c?, transB=t) -> Gemm(a, b, c, transB=t)", [node("Gemm", "x w", "y", transB=1)], X, weights=weights)
    assert list(graph.node[0].input) == ["x", "w"]
    graph = apply_rule(tmp_path, "Relu(x) -> Clip(x, 0, _)", [node("Relu", "x", "y")], X)
    assert len(graph.node[-1].input) == 2


def test_several_maps(tmp_path):
    path = model(tmp_path / "m.onnx", [node("Relu", "x", "a"), node("Neg", "a", "y")])
    found = ok_json("graft", path, "-o", tmp_path / "o.onnx", "--map", "Relu=Swish", "--map", "Neg=LeakyRelu,alpha=0.25")
    assert [match["op"] for match in found["matches"]] == ["Swish", "LeakyRelu"]
    assert ops(tmp_path / "o.onnx") == ["LeakyRelu", "opgraft::OgSwish"]
    text = ok("graft", path, "--dry-run", "--map", "Relu=Swish", "--map", "Neg=Swish", "--skip", "node_a")
    assert text.startswith("1 place would be grafted: 1 Swish\n")


def test_a_map_between_ops_of_ours(tmp_path):
    path, out = tmp_path / "g.onnx", tmp_path / "o.onnx"
    ok("graft", RELU, "-o", path, "--map", "Relu=Swish")
    ok("graft", path, "-o", out, "--map", "Swish=HardSwish")
    assert ops(out).count("HardSwish") == 4 and not any("Og" in op for op in ops(out))


def test_an_op_by_meaning_and_the_answer_stays(tmp_path):
    path = model(tmp_path / "m.onnx", [node("Mul", "x b", "m"), node("Exp", "m", "e"), node("Sub", "e minus", "a"), node("Div", "x a", "y")],
                 weights=[("b", -1.7), ("minus", -1)])
    out = tmp_path / "o.onnx"
    assert ok_json("graft", path, "-o", out, "--op", "Swish")["matches"][0]["how"] == "meaning"
    assert ops(out) == ["opgraft::OgSwish"] and not onnx.load(out).graph.initializer
    assert np.allclose(onnxruntime_infer(out, {"x": X}, "y"), onnxruntime_infer(path, {"x": X}, "y"), atol=1e-6)


def test_a_rule_that_contradicts_the_file_is_refused(tmp_path):
    path = model(tmp_path / "m.onnx", [node("Relu", "x", "y")])
    sentence = refused(2, "graft", path, "-o", tmp_path / "o.onnx", "--rule", "Relu(x) -> ReduceSum(x, keepdims=0)")
    assert "does not fit" in sentence and not (tmp_path / "o.onnx").exists()


def test_lines_fit_a_terminal(tmp_path):
    name = "a/rather/long/name/as/exporters/write/them/"
    nodes = [helper.make_node("Sigmoid", ["x"], [name + "s"], name=name + "gate"),
             helper.make_node("Mul", ["x", name + "s"], [name + "y"], name=name + "product"), node("Relu", name + "y", "y")]
    path = model(tmp_path / "m.onnx", nodes, ("y", name + "s"))
    done = run("graft", path, "--dry-run", "--op", "Swish")
    assert done.status == 1 and "refused:" in done.out
    assert max(len(line) for line in done.out.splitlines() if name not in line) <= 80


def test_a_place_that_a_later_rule_takes_is_no_near_miss(tmp_path):
    rules = [f"Div(x, Add(Exp(Neg(x)), {number})) -> Swish(x)" for number in (2, 1)]
    found = ok_json("graft", SWISH4, "-o", tmp_path / "o.onnx", "--rule", "\n".join(rules))
    assert len(found["matches"]) == 4 and found["refused"] == []
    alone = json.loads(run("graft", SWISH4, "-o", tmp_path / "p.onnx", "--rule", rules[0], "--json").out)
    assert len(alone["refused"]) == 4 and "is 1, not 2" in alone["refused"][0]["reason"]
