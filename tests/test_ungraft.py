"""opgraft ungraft: primitives come back, compute the same, and nothing of the graft is left in the file."""
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import LENET5, digits, infer, ok, ok_json, onnxruntime_infer, refused, relative_error, run
from test_everywhere import TYPES, by_onnxruntime, chain, check, graft_all, sample, save, swish

RELU, SWISH4, SWISH2 = LENET5
RULES = {"four nodes": (SWISH4, "Div(x, Add(Exp(Neg(x)), 1)) -> Swish(x)"), "two nodes": (SWISH2, "Mul(x, Sigmoid(x)) -> Swish(x)")}


def is_plain(path):
    """Only ONNX's own operators, functions and imports; and the file is well formed."""
    model = check(path)
    assert not model.functions and [o.domain for o in model.opset_import] == [""]
    assert not [n.op_type for n in model.graph.node if n.domain]
    return model


@pytest.mark.parametrize("path, rule", RULES.values(), ids=RULES)
def test_graft_and_back_computes_what_the_original_did(tmp_path, path, rule):
    grafted, plain = tmp_path / "grafted.onnx", tmp_path / "plain.onnx"
    ok("graft", path, "-o", grafted, "--rule", rule)
    found = ok_json("ungraft", grafted, "-o", plain)
    assert len(found["matches"]) == 4 and not found["refused"]
    assert {m["op"] for m in found["matches"]} == {"Swish"} and {m["how"] for m in found["matches"]} == {"node"}
    is_plain(plain)
    x = digits()[0][:16]
    want = onnxruntime_infer(path, {"image": x}, "logits")
    assert relative_error(onnxruntime_infer(plain, {"image": x}, "logits"), want) < 1e-6
    assert relative_error(infer(tmp_path, plain, {"image": x}, "logits"), want) < 1e-6
    assert run("check", plain, "--batch", "5").status == 0


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("opset", (7, 9, 12, 14, 15, 18, 24, 26))
def test_constants_have_the_type_of_the_network(tmp_path, opset, dtype):
    grafted = graft_all(chain(tmp_path / "relu.onnx", opset, TYPES[dtype]), tmp_path / "grafted.onnx")
    plain = tmp_path / "plain.onnx"
    ok("ungraft", grafted, "-o", plain)
    model = is_plain(plain)
    assert sorted(n.op_type for n in model.graph.node) == ["Mul"] * 6 + ["Sigmoid"] * 3          # no casts
    assert sorted(float(numpy_helper.to_array(t)) for t in model.graph.initializer) == [-0.25, 1, 1.5]
    assert {numpy_helper.to_array(t).dtype for t in model.graph.initializer} == {np.dtype(TYPES[dtype])}
    assert [n.output[0] for n in model.graph.node if n.name.startswith("act")] == ["v1", "v2", "y"]
    x = sample(TYPES[dtype])
    tolerance = 4e-3 if dtype == "f16" else 1e-6
    for got in (by_onnxruntime(plain, {"x": x}), infer(tmp_path, plain, {"x": x}, "y", "--batch", 4)):
        assert got.dtype == x.dtype and np.allclose(got, swish(x), rtol=tolerance, atol=tolerance)


def test_types_come_back_where_they_were(tmp_path):
    """value_info that the grafted file had is there, and none is left of values that are gone."""
    source = onnx.shape_inference.infer_shapes(onnx.load(chain(tmp_path / "relu.onnx")))
    onnx.save(source, tmp_path / "relu.onnx")
    grafted = graft_all(tmp_path / "relu.onnx", tmp_path / "grafted.onnx")
    plain = tmp_path / "plain.onnx"
    ok("ungraft", grafted, "-o", plain)
    for path in (grafted, plain):
        model = onnx.load(path)
        made = {name for n in model.graph.node for name in n.output} - {"y"}
        assert {v.name for v in model.graph.value_info} == made
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        assert {v.name: v.type for v in inferred.graph.value_info} == {v.name: v.type for v in model.graph.value_info}


def test_only_and_skip(tmp_path):
    grafted, out = graft_all(chain(tmp_path / "relu.onnx"), tmp_path / "grafted.onnx"), tmp_path / "out.onnx"
    ok("ungraft", grafted, "-o", out, "--only", "act1")
    model = check(out)
    assert [n.name for n in model.graph.node if n.domain] == ["act0", "act2"] and len(model.functions) == 1
    ok("ungraft", grafted, "-o", out, "--op", "Swish", "--skip", "act1")
    assert [n.name for n in check(out).graph.node if n.domain] == ["act1"]
    assert run("ungraft", grafted, "-o", out, "--skip", "*").status == 1
    ok("ungraft", grafted, "-o", out, "--op", "Swish")
    is_plain(out)


def test_untouched_nodes_keep_their_bytes(tmp_path):
    grafted, plain = tmp_path / "grafted.onnx", tmp_path / "plain.onnx"
    ok("graft", RELU, "-o", grafted, "--map", "Relu=Swish")
    ok("ungraft", grafted, "-o", plain)
    before, after = onnx.load(RELU), onnx.load(plain)
    kept = {n.name: n.SerializeToString() for n in before.graph.node if n.op_type != "Relu"}
    assert {n.name: n.SerializeToString() for n in after.graph.node if n.name in kept} == kept
    assert [t.SerializeToString() for t in after.graph.initializer][:len(before.graph.initializer)] == \
           [t.SerializeToString() for t in before.graph.initializer]


def test_bodies_and_functions(tmp_path):
    def branch(name, op):
        return helper.make_graph([helper.make_node(op, ["x"], [name + "y"], name=name)], name, [],
                                 [helper.make_tensor_value_info(name + "y", TensorProto.FLOAT, None)])
    block = helper.make_function("net", "Block", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"], name="inner")],
                                 [helper.make_opsetid("", 17)])
    kind = (TensorProto.FLOAT, [2, 5])
    path = save(tmp_path / "m.onnx",
                [helper.make_node("If", ["c"], ["t"], name="if", then_branch=branch("then", "Relu"), else_branch=branch("else", "Neg")),
                 helper.make_node("Block", ["t"], ["y"], domain="net")],
                {"c": (TensorProto.BOOL, []), "x": kind}, {"y": kind}, functions=[block], imports=[("net", 1)])
    grafted, plain = tmp_path / "grafted.onnx", tmp_path / "plain.onnx"
    ok("graft", path, "-o", grafted, "--map", "Relu=Swish")
    found = ok_json("ungraft", grafted, "-o", plain)
    assert {m["graph"] for m in found["matches"]} == {"if.then_branch", "net::Block"}
    model = check(plain)
    assert [f.name for f in model.functions] == ["Block"] and sorted(o.domain for o in model.opset_import) == ["", "net"]
    assert [o.domain for o in model.functions[0].opset_import] == [""]
    x = sample(np.float32, 2)
    for condition in (True, False):
        want = swish(swish(x, [1]) if condition else -x, [1])
        assert np.allclose(by_onnxruntime(plain, {"c": np.array(condition), "x": x}), want, atol=1e-6)


def renamed(path, out, domain="acme"):
    """As if a library that is not here had made it."""
    model = onnx.load(path)
    for x in (*model.graph.node, *model.functions):
        x.domain = x.domain.replace("opgraft", domain)
    for o in model.opset_import:
        o.domain = o.domain.replace("opgraft", domain)
    onnx.save(model, out)
    return out


def test_an_unknown_op_is_taken_apart_by_its_function(tmp_path):
    grafted = renamed(graft_all(chain(tmp_path / "relu.onnx"), tmp_path / "grafted.onnx"), tmp_path / "acme.onnx")
    plain = tmp_path / "plain.onnx"
    found = ok_json("ungraft", grafted, "-o", plain)
    assert [m["op"] for m in found["matches"]] == ["OgSwish"] * 3
    is_plain(plain)
    x = sample(np.float32)
    assert np.allclose(by_onnxruntime(plain, {"x": x}), swish(x), atol=1e-6)


def test_ops_inside_of_an_unknown_ops_function_go_too(tmp_path):
    source, grafted, plain = chain(tmp_path / "relu.onnx", count=1), tmp_path / "grafted.onnx", tmp_path / "plain.onnx"
    ok("graft", source, "-o", grafted, "--map", "Relu=Swish,beta=2")
    model = onnx.load(grafted)
    inner = model.graph.node[0]
    f = helper.make_function("acme", "Twice", ["x"], ["y"], [helper.make_node("OgSwish", ["x"], ["t"], domain="opgraft", beta=2.0),
                                                            helper.make_node("OgSwish", ["t"], ["y"], domain="opgraft", beta=2.0)],
                             [helper.make_opsetid("", 17), helper.make_opsetid("opgraft", 1)])
    model.functions.append(f)
    inner.op_type, inner.domain = "Twice", "acme"
    del inner.attribute[0]
    model.opset_import.append(helper.make_opsetid("acme", 1))
    onnx.save(model, grafted)
    ok("ungraft", grafted, "-o", plain)
    is_plain(plain)
    x = sample(np.float32)
    assert np.allclose(by_onnxruntime(plain, {"x": x}), swish(x, [2, 2]), atol=1e-6)


def test_a_networks_own_functions_stay(tmp_path):
    block = helper.make_function("net", "Block", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], [helper.make_opsetid("", 17)])
    kind = (TensorProto.FLOAT, [2, 5])
    path = save(tmp_path / "m.onnx", [helper.make_node("Block", ["x"], ["y"], domain="net")], {"x": kind}, {"y": kind},
                functions=[block], imports=[("net", 1)])
    assert run("ungraft", path, "-o", tmp_path / "out.onnx").status == 1 and not (tmp_path / "out.onnx").exists()


def test_an_op_without_a_body_stays_and_that_is_told(tmp_path):
    grafted = renamed(graft_all(chain(tmp_path / "relu.onnx"), tmp_path / "grafted.onnx"), tmp_path / "acme.onnx")
    model = onnx.load(grafted)
    f = model.functions[0]
    f.node.append(helper.make_node("If", ["c"], ["z"],
                                   then_branch=helper.make_graph([], "t", [], [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]),
                                   else_branch=helper.make_graph([], "e", [], [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)])))
    f.node.insert(0, helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))))
    for branch in f.node[-1].attribute:
        branch.g.node.append(helper.make_node("Identity", ["x"], ["i"]))
        branch.g.output[0].name = "i"
    onnx.save(model, grafted)
    done = run("ungraft", grafted, "-o", tmp_path / "out.onnx", "--json")
    assert done.status == 1 and not (tmp_path / "out.onnx").exists()
    refusals = json.loads(done.out)["refused"]
    assert len(refusals) == 3 and "control flow" in refusals[0]["reason"]


def test_a_dry_run_writes_nothing(tmp_path):
    grafted = graft_all(chain(tmp_path / "relu.onnx"), tmp_path / "grafted.onnx")
    text = ok("ungraft", grafted, "--dry-run")
    assert "3 places would be taken apart: 3 Swish" in text and "Swish(beta=1.5)" in text
    assert max(map(len, text.splitlines())) <= 80


def test_wrong_words(tmp_path):
    out = tmp_path / "out.onnx"
    assert "no node to take apart" in refused(1, "ungraft", RELU, "-o", out)
    assert "not known" in refused(2, "ungraft", RELU, "-o", out, "--op", "Nonsense")
    assert "ONNX's own" in refused(2, "ungraft", RELU, "-o", out, "--op", "Relu")
    assert "-o OUT.onnx" in refused(2, "ungraft", RELU)
    refused(5, "ungraft", tmp_path / "none.onnx", "-o", out)
    assert not out.exists()
