"""opgraft find: every place, near misses with a reason, the shape of its JSON, and its speed."""
import json
import resource
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import LENET5, OPGRAFT, ROOT, ok, ok_json, refused, run

RELU, SWISH4, SWISH2 = LENET5


def model(path, nodes, outputs=("y",), weights=(), opset=20, functions=(), inputs=("x",)):
    def info(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph(nodes, "g", [info(name) for name in inputs], [info(name) for name in outputs],
                              [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in weights])
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(f.domain, 1) for f in functions)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opsets, functions=functions), path)
    return path


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), [output], name=f"n_{output}", **attributes)


def swish(x, output, gate="s"):
    return [node("Sigmoid", x, output + gate), node("Mul", f"{output}{gate} {x}", output)]


def test_the_json_is_what_the_contract_says():
    found = ok_json("find", SWISH2, "--op", "Swish")
    assert set(found) == {"matches", "refused"} and found["refused"] == []
    assert found["matches"][0] == {"op": "Swish", "attributes": {"beta": 1}, "output": "act1", "nodes": ["act1", "act1_sigmoid"],
                                   "how": "rule", "error": 0, "graph": ""}
    assert [match["output"] for match in found["matches"]] == ["act1", "act2", "act3", "act4"]


def test_all_ops_with_counts(tmp_path):
    path = model(tmp_path / "m.onnx", [*swish("x", "a"), *swish("a", "b"), node("Softplus", "b", "p"), node("Tanh", "p", "t"),
                                       node("Mul", "b t", "y")])
    text = ok("find", path)
    assert text.startswith("3 places found: 1 Mish, 2 Swish\n") and max(map(len, text.splitlines())) <= 80
    assert {match["op"] for match in ok_json("find", path)["matches"]} == {"Mish", "Swish"}


def test_the_largest_place_counts(tmp_path):
    """A Sigmoid that is spelled out is a place of its own, but not inside a Swish."""
    nodes = [node("Neg", "x", "n"), node("Exp", "n", "e"), node("Add", "e one", "a"), node("Div", "one a", "g"), node("Mul", "x g", "y")]
    path = model(tmp_path / "m.onnx", nodes, weights=[("one", 1)])
    found = ok_json("find", path)["matches"]
    assert [(match["op"], match["output"]) for match in found] == [("Swish", "y")]
    assert set(found[0]["nodes"]) == {"n_y", "n_g", "n_a", "n_e", "n_n"}


def test_by_meaning_the_error_is_told(tmp_path):
    """x / (2 - 2 + 1 + exp(-1.7 x)) in a spelling that no rule has."""
    path = model(tmp_path / "m.onnx", [node("Mul", "x b", "m"), node("Exp", "m", "e"), node("Sub", "e minus", "a"), node("Div", "x a", "y")],
                 weights=[("b", -1.7), ("minus", -1)])
    (match,) = ok_json("find", path, "--op", "Swish")["matches"]
    assert match["how"] == "meaning" and 0 <= match["error"] < 1e-5
    assert match["attributes"]["beta"] == pytest.approx(1.7, rel=1e-5)
    assert "by meaning, max error " in ok("find", path, "--op", "Swish")


def test_nodes_that_are_the_op_already(tmp_path):
    grafted = tmp_path / "g.onnx"
    ok("graft", SWISH2, "-o", grafted, "--op", "Swish")
    found = ok_json("find", grafted, "--op", "Swish")["matches"]
    assert [match["how"] for match in found] == ["node"] * 4 and found[0]["attributes"] == {"beta": 1}
    assert "is there" in ok("find", grafted)
    path = model(tmp_path / "m.onnx", [node("Gelu", "x", "y", approximate="tanh")])
    (match,) = ok_json("find", path, "--op", "Gelu")["matches"]
    assert match["how"] == "node" and match["attributes"] == {"approximate": "tanh"}
    assert [match["output"] for match in ok_json("find", SWISH2, "--op", "Conv")["matches"]] == ["conv1", "conv2"]


@pytest.mark.parametrize("nodes, outputs, reason", [
    ([node("Sigmoid", "x", "s"), node("Mul", "x s", "y"), node("Exp", "s", "z")], ("y", "z"), "also used by node 'n_z'"),
    ([node("Sigmoid", "x", "s"), node("Mul", "x s", "y")], ("y", "s"), "is an output of the graph"),
    ([node("Sigmoid", "x", "s"), node("Mul", "s z", "y")], ("y",), "z"),
], ids=["used elsewhere", "an output", "another input"])
def test_what_almost_is_one_says_why(tmp_path, nodes, outputs, reason):
    path = model(tmp_path / "m.onnx", nodes, outputs, inputs=("x", "z") if outputs == ("y",) else ("x",))
    done = run("find", path, "--op", "Swish", "--json")
    assert done.status == 1
    (miss,) = json.loads(done.out)["refused"]
    assert miss["op"] == "Swish" and miss["output"] == "y" and miss["nodes"][0] == "n_y" and reason in miss["reason"]
    text = run("find", path, "--op", "Swish").out
    assert "0 places found" in text and "refused:" in text and max(map(len, text.splitlines())) <= 80


def test_bodies_and_functions(tmp_path):
    def branch(name):
        return helper.make_graph(swish("x", name), name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
    function = helper.make_function("user", "Block", ["a"], ["b"], swish("a", "b"), [helper.make_opsetid("", 20)])
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["i"], name="if1", then_branch=branch("p"), else_branch=branch("q")),
         helper.make_node("Block", ["i"], ["y"], domain="user")], "g",
        [helper.make_tensor_value_info("c", TensorProto.BOOL, []), helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, functions=[function],
                                opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("user", 1)]), path)
    found = ok_json("find", path, "--op", "Swish")["matches"]
    assert {match["graph"] for match in found} == {"if1.then_branch", "if1.else_branch", "user::Block"}
    assert "in if1.then_branch" in ok("find", path)
    out = tmp_path / "o.onnx"
    assert len(ok_json("graft", path, "-o", out, "--op", "Swish")["matches"]) == 3
    again = ok_json("find", out, "--op", "Swish")["matches"]      # the function that came with the op is not searched
    assert [match["how"] for match in again] == ["node"] * 3


def test_rules_and_globs(tmp_path):
    rules = tmp_path / "rules.txt"
    rules.write_text("Mul(x, Sigmoid(x)) -> Swish(x)\nConv(x, w, b) -> Conv(x, w, b)\n")
    assert len(ok_json("find", SWISH2, "--rules", rules)["matches"]) == 6
    assert len(ok_json("find", SWISH2, "--rules", rules, "--skip", "act*")["matches"]) == 2
    assert len(ok_json("find", SWISH2, "--rule", "Mul(x, Sigmoid(x)) -> Swish(x)", "--only", "*1")["matches"]) == 1
    assert run("find", SWISH2, "--op", "Swish", "--only", "[").status == 1


def test_an_op_that_the_opset_lacks_is_found_all_the_same(tmp_path):
    path = model(tmp_path / "m.onnx", [node("Softplus", "x", "p"), node("Tanh", "p", "t"), node("Mul", "x t", "y")], opset=17)
    assert [match["op"] for match in ok_json("find", path, "--op", "Mish")["matches"]] == ["Mish"]


def test_wrong_use_says_what_is_wrong(tmp_path):
    assert "not known" in refused(2, "find", SWISH2, "--op", "Nonsense")
    assert "line 1" in refused(2, "find", SWISH2, "--rule", "Mul(")
    assert "no rule" in refused(2, "find", SWISH2, "--rule", "")
    refused(2, "find", SWISH2, "--rule", "Relu(x) -> Swish(x)", "--rules", "x")
    refused(2, "find")
    refused(5, "find", tmp_path / "none.onnx")
    refused(5, "find", SWISH2, "--rules", tmp_path / "none.txt")
    refused(3, "find", SWISH2, "--rules", tmp_path)
    binary = tmp_path / "rules.bin"
    binary.write_bytes(b"Relu(x)\0 -> Swish(x)")
    refused(3, "find", SWISH2, "--rules", binary)
    empty = run("find", RELU, "--op", "Swish", "-q")
    assert empty.status == 1 and empty.out == ""


def seconds(*args):
    """Processor time of the command: others use the machine as well."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert subprocess.run([OPGRAFT, *map(str, args)], stdout=subprocess.DEVNULL).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def network(path, n, wide):
    """n / 2 places of Swish: each reads the one before it, or all read x."""
    nodes, x = [], "x"
    for i in range(n // 2):
        nodes += swish("x" if wide else x, f"v{i}")
        x = f"v{i}"
    if wide:
        nodes.append(node("Sum", " ".join(f"v{i}" for i in range(n // 2)), "y"))
    return model(path, nodes, ("y",) if wide else (x,))


def best(path, *options):
    return min(seconds("find", path, "-q", *options) for _ in range(3))


@pytest.mark.parametrize("wide", [False, True], ids=["a chain", "all read one value"])
def test_time_is_linear(tmp_path, wide):
    small, large = (network(tmp_path / f"{n}.onnx", n, wide) for n in (4000, 40000))
    for options in (["--op", "Swish"], []):
        assert seconds("find", large, "-q", *options) < 40 * best(small, *options) + 0.5      # 100 times if it were quadratic


def test_ten_thousand_nodes_are_no_work(tmp_path):
    """docs/surgery-speed.md has the time of a quiet machine, 50 ms; this is only to notice when it grows by far."""
    path = network(tmp_path / "m.onnx", 10000, False)
    assert best(path, "--op", "Swish") < 2 and best(path) < 2
