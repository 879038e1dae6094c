"""opgraft diff: what differs between two networks, as text, JSON and a page."""
import html.parser
import json
import random
import resource
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import LENET5, MODELS, OPGRAFT, ok, ok_json, refused, run

RELU, SWISH4, SWISH2 = LENET5


def differ(a, b):
    """The JSON of two models that differ."""
    done = run("diff", a, b, "--json")
    assert done.status == 1 and done.err == "", done
    found = json.loads(done.out)
    assert not found["equal"]
    return found


def network(path, nodes, weights=(), inputs=("x",), outputs=("y",), shape=("N", 8), functions=(), **model):
    graph = helper.make_graph(
        list(nodes), "net", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights])
    imports = [helper.make_opsetid("", 17)] + [helper.make_opsetid(f.domain, 1) for f in functions]
    made = helper.make_model(graph, opset_imports=imports, ir_version=8, functions=functions, **model)
    onnx.save(made, path)
    return path


def chain(path, ops, prefix="", weights=None, names=True):
    """x through ops, an (op, attributes) each; the values are v0, v1 and so on, the last one y."""
    nodes, last = [], "x"
    for k, (op, attributes) in enumerate(ops):
        out = "y" if k == len(ops) - 1 else f"{prefix}v{k}"
        nodes.append(helper.make_node(op, [last], [out], name=f"{prefix}{op}_{k}" if names else "", **attributes))
        last = out
    return network(path, nodes)


def only_region(found):
    (region,) = found["graphs"][0]["regions"]
    return region["kind"], [n["op"] for n in region["from"]["nodes"]], [n["op"] for n in region["to"]["nodes"]]


# ---- grafts ----------------------------------------------------------------------------------------

def test_equal_models_say_so():
    assert ok("diff", SWISH4, SWISH4) == "Equal: 24 nodes, all equal.\n"
    assert ok_json("diff", SWISH4, SWISH4)["equal"] is True


def test_a_graft_is_one_change_a_place(tmp_path):
    ok("graft", SWISH4, "-o", tmp_path / "b.onnx", "--op", "Swish")
    found = differ(SWISH4, tmp_path / "b.onnx")
    assert found["totals"] | {"replacements": 4, "replaced_from": 16, "replaced_to": 4, "equal": 8, "changed": 0,
                              "renamed": 0, "added": 0, "removed": 0} == found["totals"]
    for region in found["graphs"][0]["regions"]:
        assert region["kind"] == "replaced" and region["same_ends"]
        assert [n["op"] for n in region["from"]["nodes"]] == ["Neg", "Exp", "Add", "Div"]
        assert [n["op"] for n in region["to"]["nodes"]] == ["Swish"]
        assert region["from"]["outputs"] == region["to"]["outputs"]
    text = run("diff", SWISH4, tmp_path / "b.onnx").out
    assert "4 times: 4 nodes (Neg, Exp, Add, Div) became 1 Swish {beta=1}" in text
    assert run("diff", SWISH4, tmp_path / "b.onnx", "-q").out.startswith("Different: 16 nodes became 4, ")


@pytest.mark.parametrize("a, b", [(RELU, SWISH4), (SWISH4, RELU), (SWISH2, SWISH4), (RELU, SWISH2)])
def test_layers_of_other_weights_and_activations_are_paired(a, b):
    found = differ(a, b)
    assert found["totals"]["equal"] == 8 and found["totals"]["replacements"] == 4
    assert found["totals"]["changed"] == found["totals"]["renamed"] == 0


def test_the_other_way_round_is_the_mirror_image(tmp_path):
    ok("graft", SWISH4, "-o", tmp_path / "b.onnx", "--op", "Swish")
    there, back = differ(SWISH4, tmp_path / "b.onnx"), differ(tmp_path / "b.onnx", SWISH4)
    assert there["totals"]["replaced_from"] == back["totals"]["replaced_to"]
    assert there["totals"]["weights_removed"] == back["totals"]["weights_added"]
    mirrored = [(r["to"], r["from"]) for r in back["graphs"][0]["regions"]]
    assert [(r["from"], r["to"]) for r in there["graphs"][0]["regions"]] == mirrored


# ---- nodes -----------------------------------------------------------------------------------------

RELU_, TANH, NEG, LEAKY = ("Relu", {}), ("Tanh", {}), ("Neg", {}), ("LeakyRelu", {"alpha": 0.5})


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("at", range(1, 5))
def test_a_node_more_is_a_node_added_wherever_it_is(tmp_path, at, names):
    """Its neighbours are numbered by place, so that all names behind it move."""
    ops = [RELU_, TANH, RELU_, NEG, TANH, RELU_]
    a = chain(tmp_path / "a.onnx", ops, names=names)
    b = chain(tmp_path / "b.onnx", ops[:at] + [("Softplus", {})] + ops[at:], names=names)
    assert only_region(differ(a, b)) == ("added", [], ["Softplus"])
    assert only_region(differ(b, a)) == ("removed", ["Softplus"], [])


def test_an_attribute_that_changed(tmp_path):
    a = chain(tmp_path / "a.onnx", [RELU_, LEAKY, TANH])
    b = chain(tmp_path / "b.onnx", [RELU_, ("LeakyRelu", {"alpha": 0.25}), TANH])
    (pair,) = differ(a, b)["graphs"][0]["pairs"]
    assert pair["changes"] == [{"kind": "attribute", "name": "alpha", "from": 0.5, "to": 0.25}]
    (back,) = differ(b, chain(tmp_path / "c.onnx", [RELU_, ("LeakyRelu", {}), TANH]))["graphs"][0]["pairs"]
    assert back["changes"] == [{"kind": "attribute", "name": "alpha", "from": 0.25, "to": None}]
    assert "alpha               0.5 -> 0.25" in run("diff", a, b).out


def test_names_alone_are_a_renaming(tmp_path):
    ops = [RELU_, TANH, RELU_, NEG, TANH, LEAKY]
    a, b = chain(tmp_path / "a.onnx", ops), chain(tmp_path / "b.onnx", ops, prefix="other/")
    found = differ(a, b)
    assert found["totals"]["renamed"] == len(ops) and not found["graphs"][0]["regions"]
    assert {c["kind"] for p in found["graphs"][0]["pairs"] for c in p["changes"]} == {"name", "output"}


def test_inputs_that_were_swapped(tmp_path):
    def made(path, order):
        return network(path, [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Sub", order, ["y"], name="sub")])
    found = differ(made(tmp_path / "a.onnx", ["x", "r"]), made(tmp_path / "b.onnx", ["r", "x"]))
    (pair,) = found["graphs"][0]["pairs"]
    assert [(c["kind"], c["from"], c["to"]) for c in pair["changes"]] == [("input", "x", "r"), ("input", "r", "x")]


def test_branches_that_are_alike_are_told_apart_by_their_weights(tmp_path):
    def made(path, order):
        weights = [(f"w{k}", np.full((8, 8), k + 1, np.float32)) for k in range(4)]
        nodes = [helper.make_node("MatMul", ["x", f"w{k}"], [f"m{k}"], name=f"MatMul_{place}")
                 for place, k in enumerate(order)]
        return network(path, [*nodes, helper.make_node("Sum", [f"m{k}" for k in range(4)], ["y"])], weights)
    found = differ(made(tmp_path / "a.onnx", [0, 1, 2, 3]), made(tmp_path / "b.onnx", [3, 1, 0, 2]))
    assert found["totals"]["renamed"] == 3 and found["totals"]["equal"] == 2 and not found["graphs"][0]["regions"]


@pytest.mark.parametrize("seed", range(20))
def test_nodes_out_of_order_and_without_names_are_the_same(tmp_path, seed):
    """A random network, and the same with its nodes in another order and all names new but those of the interface."""
    chance = random.Random(seed)
    nodes, values = [], ["x"]
    for k in range(30):
        op = chance.choice(["Relu", "Tanh", "Add", "Mul", "Neg", "Exp"])
        inputs = [chance.choice(values) for _ in range(2 if op in ("Add", "Mul") else 1)]
        nodes.append((op, inputs, f"v{k}"))
        values.append(f"v{k}")
    used = {name for _, inputs, _ in nodes for name in inputs}
    ends = [name for name in values[1:] if name not in used]

    def made(path, spell, order):
        return network(path, [helper.make_node(nodes[k][0], [spell(i) for i in nodes[k][1]], [spell(nodes[k][2])])
                              for k in order] + [helper.make_node("Sum", [spell(e) for e in ends], ["y"])])
    a = made(tmp_path / "a.onnx", lambda name: name, range(30))
    ready, order, left = {"x"}, [], list(range(30))
    while left:
        k = chance.choice([k for k in left if set(nodes[k][1]) <= ready])
        left.remove(k)
        order.append(k)
        ready.add(nodes[k][2])
    found = differ(a, made(tmp_path / "b.onnx", lambda name: name if name == "x" else f"n{name}n", order))
    assert not found["graphs"][0]["regions"], "some node found no pair"
    assert {c["kind"] for p in found["graphs"][0]["pairs"] for c in p["changes"]} <= {"output", "input"}
    assert found["totals"]["changed"] <= 4, "twins may be taken for each other, and hardly any is one"


# ---- shapes, inputs, outputs, the model -------------------------------------------------------------

def test_shapes_that_follow_from_another_input(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Tanh", ["r"], ["y"])]
    a, b = network(tmp_path / "a.onnx", nodes), network(tmp_path / "b.onnx", nodes, shape=(4, 8))
    found = differ(a, b)
    assert found["totals"]["retyped"] == 2 and found["totals"]["changed"] == 0
    assert [f["name"] for f in found["graphs"][0]["facts"]] == ["input 0", "output 0"]
    assert found["graphs"][0]["facts"][0] | {"from": "x: f32[N,8]", "to": "x: f32[4,8]"} == found["graphs"][0]["facts"][0]


def test_facts_of_the_model(tmp_path):
    a = network(tmp_path / "a.onnx", [helper.make_node("Relu", ["x"], ["y"])], producer_name="one")
    model = onnx.load(a)
    model.opset_import[0].version = 18
    model.producer_name = "two"
    model.graph.name = "other"
    entry = model.metadata_props.add()
    entry.key, entry.value = "author", "somebody"
    onnx.save(model, tmp_path / "b.onnx")
    found = differ(a, tmp_path / "b.onnx")
    assert {(f["name"], f["from"], f["to"]) for f in found["model"]} == {
        ("opset ai.onnx", "17", "18"), ("producer", "one", "two"), ("name", "net", "other"),
        ("metadata author", None, "somebody")}
    assert found["totals"]["equal"] == 1


def test_bodies_and_functions(tmp_path):
    def made(path, op, scale):
        def body(kind, out):
            return helper.make_graph([helper.make_node(kind, ["x"], [out], name="inner")], "body", [],
                                     [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)])
        function = helper.make_function("com.example", "Twice", ["a"], ["b"], [
            helper.make_node("Constant", [], ["two"], value_float=scale), helper.make_node("Mul", ["a", "two"], ["b"])],
            [helper.make_opsetid("", 17)])
        nodes = [helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
                 helper.make_node("Cast", ["m"], ["c"], to=TensorProto.BOOL),
                 helper.make_node("If", ["c"], ["z"], name="branch", then_branch=body(op, "t"),
                                  else_branch=body("Neg", "e")),
                 helper.make_node("Twice", ["z"], ["y"], domain="com.example")]
        return network(path, nodes, functions=[function])
    a, b = made(tmp_path / "a.onnx", "Relu", 2.0), made(tmp_path / "b.onnx", "Tanh", 3.0)
    found = {g["graph"]: g for g in differ(a, b)["graphs"]}
    assert set(found) == {"", "branch.then_branch", "com.example::Twice"}
    assert only_region({"graphs": [found["branch.then_branch"]]}) == ("replaced", ["Relu"], ["Tanh"])
    (pair,) = found["com.example::Twice"]["pairs"]
    assert pair["changes"][0] | {"name": "value_float", "from": 2, "to": 3} == pair["changes"][0]
    assert [p["from"]["name"] for p in found[""]["pairs"]] == ["branch"]


# ---- weights ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32, np.uint8, np.bool_])
def test_norms_are_those_of_numpy(tmp_path, dtype):
    chance = np.random.default_rng(0)
    one = chance.integers(0, 2 if dtype == np.bool_ else 100, (40, 50)).astype(dtype)
    other = one.copy()
    other[3, :7] = chance.integers(0, 2 if dtype == np.bool_ else 100, 7).astype(dtype)
    nodes = [helper.make_node("Cast", ["w"], ["c"], to=TensorProto.FLOAT), helper.make_node("MatMul", ["x", "c"], ["y"])]
    a = network(tmp_path / "a.onnx", nodes, [("w", one)], shape=("N", 40))
    b = network(tmp_path / "b.onnx", nodes, [("w", other)], shape=("N", 40))
    (weight,) = differ(a, b)["graphs"][0]["weights"]
    error = other.astype(np.float64) - one.astype(np.float64)
    assert weight["elements"] == one.size and weight["differ"] == np.count_nonzero(error)
    assert weight["max_abs"] == pytest.approx(np.abs(error).max())
    assert weight["relative"] == pytest.approx(np.linalg.norm(error) / np.linalg.norm(one.astype(np.float64)))


def test_the_same_weights_in_half_precision(tmp_path):
    w = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    a = network(tmp_path / "a.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], [("w", w)])
    b = network(tmp_path / "b.onnx", [helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
                                      helper.make_node("MatMul", ["x", "wide"], ["y"])], [("w", w.astype(np.float16))])
    (weight,) = [w for w in differ(a, b)["graphs"][0]["weights"] if w["from"] and w["to"]]
    assert (weight["from"], weight["to"]) == ("f32[8,8]", "f16[8,8]") and 0 < weight["relative"] < 1e-3


def test_weights_are_streamed(tmp_path):
    """256 MB in external data; the command may take far less memory."""
    w = np.zeros((8, 1 << 23), np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    for name in ("a", "b"):
        path = network(tmp_path / f"{name}.onnx", nodes, [("w", w)])
        onnx.save(onnx.load(path), path, save_as_external_data=True, location=f"{name}.data")
        w[5, 1000] = 1
    watch = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL);"
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    args = [str(OPGRAFT), "diff", str(tmp_path / "a.onnx"), str(tmp_path / "b.onnx"), "--json"]
    done = subprocess.run([sys.executable, "-c", watch, *args], capture_output=True, text=True, check=True)
    (weight,) = differ(tmp_path / "a.onnx", tmp_path / "b.onnx")["graphs"][0]["weights"]
    assert weight["differ"] == 1 and weight["max_abs"] == 1
    assert int(done.stdout) < 128 * 1024, "kilobytes"


# ---- text and page ---------------------------------------------------------------------------------

PAIRS = [(RELU, SWISH4), (SWISH2, RELU), (RELU, RELU)]


@pytest.fixture
def hostile(tmp_path):
    """Two networks whose names are long, HTML and control characters."""
    def made(path, op, name):
        return network(path, [helper.make_node("Neg", ["x"], [name * 9]),
                              helper.make_node(op, [name * 9], ["y"], name=name * 12)])
    return (made(tmp_path / "a.onnx", "Re\x1blu", "<script>alert('&\"')</script>\x1b[31m"),
            made(tmp_path / "b.onnx", "<i>Tanh", "\u00e9\u4e2d<b>"))


def test_text_fits_the_terminal(tmp_path, hostile, resnet50):
    for a, b in [*PAIRS, hostile, (RELU, resnet50("relu"))]:
        lines = run("diff", a, b).out.splitlines()
        assert max(map(len, lines)) <= 80
        assert not any(ord(c) < 32 for line in lines for c in line)


class Balanced(html.parser.HTMLParser):
    """Checks that tags are closed in order, and gathers ids, links and text."""
    VOID = {"meta", "br", "stop", "path", "rect"}

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.text = [], set(), set(), set(), []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        assert "src" not in attributes and not any(name.startswith("on") for name in attributes)
        if "href" in attributes:
            assert attributes["href"].startswith("#")
            self.links.add(attributes["href"][1:])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def page(tmp_path, a, b):
    done = run("diff", a, b, "-q", "--html", tmp_path / "page.html")
    assert done.status in (0, 1), done.err
    parser = Balanced()
    parser.feed((tmp_path / "page.html").read_text())
    parser.close()
    assert parser.open == [] and "script" not in parser.tags
    assert parser.links <= parser.ids
    return "".join(parser.text)


def test_the_page_is_whole(tmp_path, hostile, resnet50):
    for a, b in [*PAIRS, hostile, (RELU, resnet50("relu")), (resnet50("swish4"), resnet50("relu"))]:
        page(tmp_path, a, b)


def test_the_page_shows_both_sides(tmp_path):
    ok("graft", RELU, "-o", tmp_path / "b.onnx", "--map", "Relu=Swish,beta=1.5")
    text = page(tmp_path, RELU, tmp_path / "b.onnx")
    assert "lenet5_relu.onnx" in text and "b.onnx" in text
    assert "Relu became Swish {beta=1.5}" in text and text.count("Swish") >= 5


def test_a_file_that_cannot_be_written(tmp_path):
    done = run("diff", RELU, SWISH4, "-q", "--html", tmp_path / "none" / "page.html")
    assert done.status == 5 and "none/page.html cannot be written" in done.err and done.err.count("\n") == 1


# ---- wrong input -----------------------------------------------------------------------------------

def test_wrong_calls(tmp_path):
    assert "two model files" in refused(2, "diff", RELU)
    assert "too many" in refused(2, "diff", RELU, RELU, RELU)
    assert "nothere.onnx" in refused(5, "diff", RELU, tmp_path / "nothere.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"\x08\x08rubbish")
    assert "bad.onnx" in refused(3, "diff", tmp_path / "bad.onnx", RELU)


def test_large_networks_take_no_time(tmp_path):
    ops = [RELU_, TANH, NEG, LEAKY]
    rng = random.Random(1)
    chosen = [rng.choice(ops) for _ in range(20000)]
    a = chain(tmp_path / "a.onnx", chosen)
    b = chain(tmp_path / "b.onnx", [("Softplus", {}) if k % 100 == 50 else op for k, op in enumerate(chosen)])
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    found = differ(a, b)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 60
    assert found["totals"]["replacements"] == 200 and found["totals"]["replaced_to"] == 200
