"""opgraft partition: who takes what, cuts with the fewest pieces, and opgraft run on a manifest, with the real ONNX Runtime and
the real parser of TensorRT-RTX. The cut alone: tests/unit/test_partition.c."""
import collections
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import BUILD, LENET5, MODELS, ROOT, digits, ok, ok_json, onnxruntime_infer, refused
from test_readme import CONSOLE, commands, fit

RELU = MODELS / "lenet5_relu.onnx"
LIGHT = sorted((pathlib.Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))
FLOAT = TensorProto.FLOAT


@pytest.fixture(params=["tensorrt", "onnxruntime", "opgraft"])
def runtime(request, monkeypatch):
    """Each of them, that of TensorRT where it can be had."""
    if request.param == "tensorrt":
        use_tensorrt(request, monkeypatch)
    return request.param


@pytest.fixture
def with_tensorrt(request, monkeypatch):
    use_tensorrt(request, monkeypatch)


def use_tensorrt(request, monkeypatch):
    env = request.getfixturevalue("tensorrt").env
    monkeypatch.setenv("LD_LIBRARY_PATH", env["LD_LIBRARY_PATH"])
    monkeypatch.setenv("OPGRAFT_TENSORRT", str(pathlib.Path(env["LD_LIBRARY_PATH"]).parent))


# ---- models ----------------------------------------------------------------------------------------

def save(path, nodes, inputs, outputs, weights=(), opset=17, domains=(), functions=(), value_info=()):
    """inputs and outputs: {name: (type, shape)} or {name: shape} of floats."""
    def value(name, what):
        return helper.make_tensor_value_info(name, *(what if isinstance(what, tuple) else (FLOAT, what)))
    graph = helper.make_graph(nodes, "net", [value(*item) for item in inputs.items()], [value(*item) for item in outputs.items()],
                              [numpy_helper.from_array(array, name) for name, array in dict(weights).items()],
                              value_info=[value(*item) for item in dict(value_info).items()])
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid(d, v) for d, v in [("", opset), *domains]],
                              functions=list(functions))
    helper.set_model_props(model, {"kept": "yes"})
    onnx.save(model, path)
    return path


def node(op, inputs, outputs, name="", **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), name, **attributes)


def determinants(path):
    """Det, which TensorRT has not got, twice, and edges around both."""
    w = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    return save(path, [node("MatMul", "x w", "a", "mm1"), node("Relu", "a", "b", "relu"), node("Det", "b", "d", "det1"),
                       node("Unsqueeze", "d axes", "e", "uns1"), node("Add", "b e", "c", "add"), node("MatMul", "c w", "f", "mm2"),
                       node("Det", "f", "g", "det2"), node("Unsqueeze", "g axes", "h", "uns2"), node("Tanh", "h", "i", "tanh"),
                       node("Mul", "f i", "j", "mul"), node("Sub", "j b", "y", "sub")],
                {"x": ["N", 4, 4]}, {"y": ["N", 4, 4]}, {"w": w, "axes": np.array([1, 2])})


def random_network(path, seed, n=30):
    """n elementwise nodes of names n0, n1, ... on f32[2,3]; some read constants that nodes make."""
    rng = np.random.default_rng(seed)
    nodes, values, weights = [], ["x", "z"], {}
    for k in range(n):
        recent = values[-8:]
        if rng.random() < 0.1:
            weights[f"c{k}"] = rng.normal(size=(2, 3)).astype(np.float32)
            nodes += [node("Neg", f"c{k}", f"k{k}", f"k{k}"), node("Abs", f"k{k}", f"l{k}", f"l{k}")]
            values.append(f"l{k}")
        if rng.random() < 0.4:
            nodes.append(node(rng.choice(["Relu", "Tanh", "Sigmoid"]), rng.choice(recent), f"v{k}", f"n{k}"))
        else:
            nodes.append(node(rng.choice(["Add", "Mul", "Sub"]), f"{rng.choice(recent)} {rng.choice(recent)}", f"v{k}", f"n{k}"))
        values.append(f"v{k}")
    read = {name for each in nodes for name in each.input}
    outputs = {name: [2, 3] for name in values if name not in read and name not in "xz"}
    return save(path, nodes, {"x": [2, 3], "z": [2, 3]}, outputs, weights)


def make_inputs(path, seed=1):
    """Numbers for each input; named sizes are 3."""
    rng = np.random.default_rng(seed)
    model = onnx.load(path)
    weights = {w.name for w in model.graph.initializer}
    made = {}
    for v in model.graph.input:
        shape = [d.dim_value if d.HasField("dim_value") else 3 for d in v.type.tensor_type.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type)
        if v.name not in weights:
            made[v.name] = (rng.integers(0, 2, shape) if dtype != np.float32 else rng.normal(size=shape)).astype(dtype)
    return made


# ---- what every cut must be ------------------------------------------------------------------------

def bodies(node):
    return [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]


def reads(node):
    """Names that a node reads, in bodies too."""
    found = {name for name in node.input if name}
    for body in bodies(node):
        own = {name for each in body.node for name in each.output} | {v.name for v in [*body.input, *body.initializer]}
        found |= {name for each in body.node for name in reads(each)} - own
    return found


def label(node):
    return node.name or node.output[0]


def fewest(model, refused_nodes, constant):
    """The least number of pieces: the longest path, a step costing 1 where the runtime changes, for the better first runtime."""
    made = {name: k for k, each in enumerate(model.graph.node) for name in each.output}
    colour = {k: label(each) in refused_nodes for k, each in enumerate(model.graph.node) if label(each) not in constant}
    counts = []
    for first in (False, True):
        piece = {}
        for k, each in enumerate(model.graph.node):
            if k in colour:
                piece[k] = max([int(colour[k] != first)] + [piece[made[v]] + (colour[made[v]] != colour[k]) for v in reads(each)
                                                            if v in made and made[v] in colour])
        counts.append(len(set(piece.values())))
    return min(counts)


def check_cut(path, folder, few=True):
    """The pieces in `folder` are a legal and smallest cut of the model at `path`; returns the manifest."""
    whole, manifest = onnx.load(path), json.loads((folder / "manifest.json").read_text())
    have = {v["name"] for v in manifest["inputs"]}
    weights = {w.name: w.SerializeToString() for w in whole.graph.initializer}
    nodes = {tuple(each.output): each.SerializeToString() for each in whole.graph.node}
    seen, at = collections.Counter(), {}
    for k, piece in enumerate(manifest["pieces"]):
        part = onnx.load(folder / piece["file"])
        onnx.checker.check_model(part)
        assert set(piece["inputs"]) <= have, "reads what nobody made"
        assert [v.name for v in part.graph.output] == piece["outputs"] and not have & set(piece["outputs"])
        fed = [v.name for v in part.graph.input if v.name not in weights]
        assert fed == piece["inputs"] or (len(manifest["pieces"]) == 1 and set(piece["inputs"]) <= set(fed))
        assert all(v.type.tensor_type.elem_type for v in [*part.graph.input, *part.graph.output])
        have |= set(piece["outputs"])
        assert part.opset_import == whole.opset_import and part.metadata_props == whole.metadata_props
        assert part.ir_version == whole.ir_version
        used = {name for each in part.graph.node for name in reads(each)} | set(piece["outputs"])
        for w in part.graph.initializer:
            assert w.SerializeToString() == weights[w.name] and w.name in used
        for each in part.graph.node:
            assert each.SerializeToString() == nodes[tuple(each.output)]
            seen[tuple(each.output)] += 1
            at.setdefault(tuple(each.output), k)
    assert {v["name"] for v in manifest["outputs"]} <= have
    refused_nodes = {name for group in manifest["refused"] for name in group["nodes"]}
    constant = constants(whole)
    for outputs, times in seen.items():
        assert times == 1 or outputs[0] in constant, "a node in two pieces"
    if few:
        names = {label(each) for each in whole.graph.node if each.output[0] in constant and label(each) not in refused_nodes}
        assert len(manifest["pieces"]) == fewest(whole, refused_nodes, names)
    return manifest


def constants(model):
    """First outputs of nodes that hang on constants only."""
    known, found = {w.name for w in model.graph.initializer}, set()
    outputs = {v.name for v in model.graph.output}
    for each in model.graph.node:
        if reads(each) <= known and not outputs & set(each.output):
            known |= set(each.output)
            found.add(each.output[0])
    return found


def run_manifest(folder, inputs, outputs, *options):
    args = []
    for name, array in inputs.items():
        np.save(folder / "in.npy", array)
        os.rename(folder / "in.npy", folder / f"in_{name}.npy")
        args += ["--input", f"{name}={folder}/in_{name}.npy"]
    for k, name in enumerate(outputs):
        args += ["--output", f"{name}={folder}/out_{k}.npy"]
    done = ok_json("run", folder / "manifest.json", *args, *options)
    return [np.load(folder / f"out_{k}.npy") for k in range(len(outputs))], done


def check_answer(path, folder, *options):
    """opgraft run on the manifest gives what ONNX Runtime gives for the whole model; returns who ran the pieces."""
    inputs = make_inputs(path)
    names = [v.name for v in onnx.load(path).graph.output]
    got, done = run_manifest(folder, inputs, names, *options)
    for name, array in zip(names, got):
        want = onnxruntime_infer(path, inputs, name)
        assert array.shape == want.shape and array.dtype == want.dtype
        np.testing.assert_allclose(array, want, rtol=1e-4, atol=1e-5 * max(1.0, float(np.abs(want).max(initial=0))))
    return [piece["ran"] for piece in done["pieces"]]


# ---- cuts ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("model", LENET5, ids=lambda path: path.stem)
def test_all_of_it(tmp_path, runtime, model):
    out = ok("partition", model, "--for", runtime, "-o", tmp_path / "parts")
    nodes = onnx.load(model).graph.node
    assert f"takes {len(nodes)} of {len(nodes)} nodes: 1 piece for {runtime}" in " ".join(out.split()) and "not for" not in out
    manifest = check_cut(model, tmp_path / "parts")
    assert [p["runtime"] for p in manifest["pieces"]] == [runtime] and manifest["refused"] == []
    x = {"image": digits()[0][:3]}
    got, done = run_manifest(tmp_path / "parts", x, ["logits"])
    np.testing.assert_allclose(got[0], onnxruntime_infer(model, x, "logits"), rtol=1e-4, atol=1e-4)
    assert [p["ran"] for p in done["pieces"]] == [{"tensorrt": "opgraft"}.get(runtime, runtime)]


def test_an_op_in_the_middle_twice(tmp_path, with_tensorrt):
    path = determinants(tmp_path / "net.onnx")
    out = ok("partition", path, "--for", "tensorrt", "-o", tmp_path / "parts")
    assert "2 x Det: its parser does not import Det\n      det1, det2\n" in out
    manifest = check_cut(path, tmp_path / "parts")
    assert [p["runtime"] for p in manifest["pieces"]] == ["tensorrt", "opgraft"] * 2 + ["tensorrt"]
    assert [p["nodes"] for p in manifest["pieces"]] == [2, 1, 3, 1, 4]
    assert manifest["version"].startswith("TensorRT") and manifest["assumed"] is None
    assert check_answer(path, tmp_path / "parts") == ["opgraft"] * 5
    text = ok("run", tmp_path / "parts" / "manifest.json")
    assert "piece_0_tensorrt.onnx is for tensorrt; opgraft ran it here." in text
    assert ok("run", tmp_path / "parts" / "manifest.json", "-q") == ""


def test_nothing_of_it(tmp_path, with_tensorrt):
    path = save(tmp_path / "net.onnx", [node("Det", "x", "d"), node("BitShift", "i i", "j", direction="LEFT")],
                {"x": [2, 3, 3], "i": (TensorProto.UINT8, [4])}, {"d": [2], "j": (TensorProto.UINT8, [4])})
    out = ok("partition", path, "--for", "tensorrt", "-o", tmp_path / "parts")
    assert "takes 0 of 2 nodes: 0 pieces for tensorrt, 1 for Opgraft" in " ".join(out.split())
    assert len(check_cut(path, tmp_path / "parts")["pieces"]) == 1
    check_answer(path, tmp_path / "parts")


def test_a_region_that_would_surround_another_runtime(tmp_path):
    """a -> b -> c with a -> c: b alone is refused, and a and c are not in one piece."""
    path = save(tmp_path / "net.onnx", [node("Relu", "x", "a", "a"), node("Tanh", "a", "b", "b"), node("Add", "a b", "c", "c")],
                {"x": [2]}, {"c": [2]})
    (tmp_path / "list").write_text("b slow there\n")
    manifest = ok_json("partition", path, "--for", "opgraft", "--fallback", "reference", "--nodes", tmp_path / "list", "-o",
                       tmp_path / "parts")
    assert [(p["nodes"], p["inputs"], p["outputs"]) for p in manifest["pieces"]] == [(1, ["x"], ["a"]), (1, ["a"], ["b"]),
                                                                                    (1, ["a", "b"], ["c"])]
    assert manifest["refused"] == [{"op": "Tanh", "reason": "slow there", "nodes": ["b"]}]
    check_cut(path, tmp_path / "parts")
    assert check_answer(path, tmp_path / "parts") == ["opgraft", "reference", "opgraft"]


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(tmp_path, seed):
    path = random_network(tmp_path / "net.onnx", seed)
    rng = np.random.default_rng(seed)
    listed = [label(each) for each in onnx.load(path).graph.node if rng.random() < rng.choice([0.1, 0.4])]
    (tmp_path / "list").write_text("# cannot\n" + "\n".join(listed) + "\nop:Sigmoid # all of them\n")
    out = ok("partition", path, "--for", "opgraft", "--fallback", "reference", "--nodes", tmp_path / "list", "-o", tmp_path / "parts")
    assert max(map(len, out.splitlines()[:-1])) <= 80        # the last has the path that was given
    manifest = check_cut(path, tmp_path / "parts")
    assert {name for group in manifest["refused"] for name in group["nodes"]} == \
        {label(each) for each in onnx.load(path).graph.node if label(each) in listed or each.op_type == "Sigmoid"}
    check_answer(path, tmp_path / "parts", "--threads", "1")


def test_small_pieces_go_to_the_fallback(tmp_path, with_tensorrt):
    path = determinants(tmp_path / "net.onnx")
    sizes = {}
    for least in (1, 3, 4, 5):
        manifest = ok_json("partition", path, "--for", "tensorrt", "--min-nodes", least, "-o", tmp_path / str(least))
        sizes[least] = [(p["runtime"], p["nodes"]) for p in manifest["pieces"]]
        assert manifest["taken"] == 9
        check_cut(path, tmp_path / str(least), few=False)
        check_answer(path, tmp_path / str(least))
    assert [n for _, n in sizes[1]] == [2, 1, 3, 1, 4]
    assert sizes[3] == [("opgraft", 3), ("tensorrt", 3), ("opgraft", 1), ("tensorrt", 4)]
    assert sizes[4] == [("opgraft", 7), ("tensorrt", 4)]
    assert sizes[5] == [("opgraft", 11)]


@pytest.mark.parametrize("model", LIGHT, ids=lambda path: path.stem)
def test_networks_of_the_zoo(tmp_path, runtime, model):
    manifest = ok_json("partition", model, "--for", runtime, "-o", tmp_path)
    assert manifest["taken"] == manifest["nodes"] and len(manifest["pieces"]) == 1
    assert (tmp_path / manifest["pieces"][0]["file"]).exists()


def test_resnet50_with_a_hole(tmp_path, resnet50):
    """A node in the first block and one in the last are refused; shortcuts lead around both."""
    path = resnet50("relu")
    (tmp_path / "list").write_text("layer1.0.act1\nlayer4.2.act2\n")
    ok("partition", path, "--for", "onnxruntime", "--nodes", tmp_path / "list", "-o", tmp_path / "parts")
    manifest = check_cut(path, tmp_path / "parts")
    assert [p["runtime"] for p in manifest["pieces"]] == ["onnxruntime", "opgraft"] * 2 + ["onnxruntime"]
    ran = check_answer(path, tmp_path / "parts")
    assert ran == ["onnxruntime", "opgraft"] * 2 + ["onnxruntime"]


# ---- what may not pass, and what comes along -------------------------------------------------------

def branches(then, other):
    return {"then_branch": helper.make_graph([node("Relu", then, "t")], "t", [], [helper.make_tensor_value_info("t", FLOAT, None)]),
            "else_branch": helper.make_graph([node("Neg", other, "e")], "e", [], [helper.make_tensor_value_info("e", FLOAT, None)])}


def test_bodies_stay_whole(tmp_path):
    """An If reads v and w from around it, in its bodies only; opgraft run refuses the network, the pieces run."""
    path = save(tmp_path / "net.onnx", [node("Exp", "x", "v", "exp"), node("Tanh", "v", "w", "tanh"),
                                        node("If", "c", "u", "choice", **branches("v", "w")), node("Add", "u w", "y", "add")],
                {"x": [3], "c": (TensorProto.BOOL, [])}, {"y": [3]}, value_info={"u": [3]})
    refused(4, "run", path)
    out = ok("partition", path, "--for", "opgraft", "--fallback", "reference", "-o", tmp_path / "parts")
    assert "1 x If: it chooses what to compute while it runs" in out
    manifest = check_cut(path, tmp_path / "parts")
    assert sorted(manifest["pieces"][1]["inputs"]) == ["c", "v", "w"]
    assert check_answer(path, tmp_path / "parts") == ["opgraft", "reference", "opgraft"]


def test_sequences_do_not_pass(tmp_path):
    """A sequence would have to go from one runtime to another: its nodes stay together, with what lies between them (Tanh)."""
    path = save(tmp_path / "net.onnx", [node("Relu", "x", "a", "relu"), node("SequenceConstruct", "a x", "s", "make"),
                                        node("SequenceAt", "s zero", "b", "take"), node("Tanh", "b", "c", "tanh"),
                                        node("SequenceInsert", "s c", "t", "insert"),
                                        node("ConcatFromSequence", "t", "d", "join", axis=0), node("Neg", "d", "y", "neg")],
                {"x": [2, 3]}, {"y": [6, 3]}, {"zero": np.array(0)}, value_info={"b": [2, 3], "d": [6, 3]})
    manifest = ok_json("partition", path, "--for", "opgraft", "-o", tmp_path / "parts")
    assert [(p["runtime"], p["nodes"]) for p in manifest["pieces"]] == [("opgraft", 1), ("onnxruntime", 5), ("opgraft", 1)]
    (why,) = {group["reason"] for group in manifest["refused"]}
    assert why.startswith("with nodes that it cannot be parted from") and "SequenceConstruct" in why
    assert {group["op"] for group in manifest["refused"]} == {"SequenceConstruct", "SequenceAt", "Tanh", "SequenceInsert", "ConcatFromSequence"}
    assert check_answer(path, tmp_path / "parts") == ["opgraft", "onnxruntime", "opgraft"]


def test_weights_are_in_every_piece_that_needs_them(tmp_path, with_tensorrt):
    """w is read on both sides, once through a node that hangs on it alone."""
    w = np.random.default_rng(3).normal(size=(3, 3)).astype(np.float32)
    path = save(tmp_path / "net.onnx", [node("Transpose", "w", "wt", "turn"), node("MatMul", "x wt", "a", "mm1"), node("Det", "a", "d", "det"),
                                        node("MatMul", "a wt", "b", "mm2"), node("Add", "b s", "c", "add1"),
                                        node("Unsqueeze", "d axes", "e", "uns"), node("Add", "c e", "y", "add2")],
                {"x": [1, 3, 3]}, {"y": [1, 3, 3]}, {"w": w, "s": w[0], "axes": np.array([1, 2])})
    ok("partition", path, "--for", "tensorrt", "-o", tmp_path / "parts")
    manifest = check_cut(path, tmp_path / "parts")
    assert manifest["constant"] == 1
    parts = [onnx.load(tmp_path / "parts" / p["file"]) for p in manifest["pieces"]]
    assert sum("w" in [t.name for t in part.graph.initializer] for part in parts) >= 1
    assert all("wt" not in p["inputs"] for p in manifest["pieces"])
    check_answer(path, tmp_path / "parts")


def test_external_data(tmp_path):
    path = determinants(tmp_path / "net.onnx")
    (tmp_path / "list").write_text("op:Det\n")
    model = onnx.load(path)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.eye(4, dtype=np.float32), "w"))
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=90)
    ok("partition", path, "--for", "onnxruntime", "--nodes", tmp_path / "list", "-o", tmp_path / "parts")
    assert {p.name for p in (tmp_path / "parts").iterdir() if p.suffix == ".data"} == {f"piece_{k}_onnxruntime.onnx.data" for k in (0, 2)}
    inputs = make_inputs(path)
    (tmp_path / "weights.bin").rename(tmp_path / "gone")
    got, _ = run_manifest(tmp_path / "parts", inputs, ["y"])
    (tmp_path / "gone").rename(tmp_path / "weights.bin")
    np.testing.assert_allclose(got[0], onnxruntime_infer(path, inputs, "y"), rtol=1e-4, atol=1e-5)


def test_outputs_that_no_node_makes(tmp_path):
    """One is an input, one a weight."""
    path = save(tmp_path / "net.onnx", [node("Relu", "x", "y", "relu")], {"x": [2]}, {"y": [2], "x": [2], "w": [2]},
                {"w": np.array([1, 2], np.float32)})
    manifest = ok_json("partition", path, "--for", "reference", "-o", tmp_path / "parts")
    assert len(manifest["pieces"]) == 1
    got, _ = run_manifest(tmp_path / "parts", {"x": np.array([-1, 3], np.float32)}, ["y", "x", "w"])
    assert [list(a) for a in got] == [[0, 3], [-1, 3], [1, 2]]


def test_sizes_that_hang_on_values(tmp_path):
    """Plans know no NonZero; what reads its output is planned when that is there, whatever its size."""
    path = save(tmp_path / "net.onnx", [node("Greater", "x zero", "g", "greater"), node("NonZero", "g", "i", "nonzero"),
                                        node("Shape", "i", "s", "shape"), node("Gather", "s one", "n", "gather"),
                                        node("ConstantOfShape", "n", "o", "ones"), node("Add", "o zero", "y", "add")],
                {"x": [20]}, {"y": ["M"]}, {"zero": np.array([0], np.float32), "one": np.array([1])})
    manifest = ok_json("partition", path, "--for", "opgraft", "--fallback", "reference", "-o", tmp_path / "parts")
    assert [name for group in manifest["refused"] for name in group["nodes"]] == ["nonzero"]
    check_cut(path, tmp_path / "parts")
    for x in ([1, -1] * 10, [1, 0, 2, -1] * 5, [-1] * 20):
        got, done = run_manifest(tmp_path / "parts", {"x": np.array(x, np.float32)}, ["y"])
        assert got[0].shape == (sum(v > 0 for v in x),)
    assert [p["ran"] for p in done["pieces"]] == ["opgraft", "reference", "opgraft"]


# ---- ops that are not ONNX's -----------------------------------------------------------------------

OPS = """#include "opgraft/op.h"

EXPR v test_dent(v x) { return x - 0.25f * x * x; }
MAP(test_dent, 1, 0)
OP(test_dent, .name = "Dent", .domain = "tests", .since = 1, .doc = "x - x^2 / 4.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32", MAPS(test_dent), .cases = "f32[3]")
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ops")
    (folder / "dent.c").write_text(OPS)
    ok("op", "build", folder / "dent.c", "-o", folder / "libdent.so", "--no-cuda")
    return folder / "libdent.so"


def dent(path):
    return save(path, [node("Relu", "x", "a", "relu"), node("Dent", "a", "b", "dent", domain="tests"), node("Tanh", "b", "y", "tanh")],
                {"x": [2, 3]}, {"y": [2, 3]}, domains=[("tests", 1)], value_info={"b": [2, 3]})


def test_custom_ops(tmp_path, runtime, library):
    """With its library every runtime takes the op; without, none does, and a sentence has both reasons."""
    path = dent(tmp_path / "net.onnx")
    manifest = ok_json("partition", path, "--for", runtime, "--ops", library, "-o", tmp_path / "parts")
    assert manifest["taken"] == 3 and len(manifest["pieces"]) == 1
    x = make_inputs(path)
    got, _ = run_manifest(tmp_path / "parts", x, ["y"], "--ops", library)
    a = np.maximum(x["x"], 0)
    np.testing.assert_allclose(got[0], np.tanh(a - a * a / 4), rtol=1e-5, atol=1e-6)
    sentence = refused(4, "partition", path, "--for", runtime, "-o", tmp_path / "none")
    assert "'dent' (Dent) can run nowhere" in sentence and not (tmp_path / "none").exists()


def test_custom_ops_that_opgraft_alone_has(tmp_path, library):
    path = dent(tmp_path / "net.onnx")
    (tmp_path / "list").write_text("dent no kernel\n")
    manifest = ok_json("partition", path, "--for", "onnxruntime", "--nodes", tmp_path / "list", "--ops", library, "-o", tmp_path / "parts")
    assert [p["runtime"] for p in manifest["pieces"]] == ["onnxruntime", "opgraft", "onnxruntime"]
    _, done = run_manifest(tmp_path / "parts", make_inputs(path), ["y"], "--ops", library)
    assert [p["ran"] for p in done["pieces"]] == ["onnxruntime", "opgraft", "onnxruntime"]


def test_grafted_networks(tmp_path, runtime):
    """Without a library the function in the file serves, and goes with the pieces that call it."""
    ok("graft", RELU, "-o", tmp_path / "net.onnx", "--map", "Relu=Swish,beta=1.5")
    (tmp_path / "list").write_text("op:*Pool\n")
    ok("partition", tmp_path / "net.onnx", "--for", runtime, "--nodes", tmp_path / "list", "-o", tmp_path / "parts")
    manifest = json.loads((tmp_path / "parts" / "manifest.json").read_text())
    parts = [onnx.load(tmp_path / "parts" / p["file"]) for p in manifest["pieces"]]
    assert [p["runtime"] == runtime for p in manifest["pieces"]] == [True, False, True, False, True]
    assert [len(part.functions) for part in parts] == [1, 0, 1, 0, 1]
    assert {each.op_type for part in parts for each in part.graph.node} >= {"OgSwish", "AveragePool"}
    images = {"image": digits()[0][:2]}
    got, _ = run_manifest(tmp_path / "parts", images, ["logits"])
    np.testing.assert_allclose(got[0], onnxruntime_infer(tmp_path / "net.onnx", images, "logits"), rtol=1e-4, atol=1e-4)


# ---- who is not here -------------------------------------------------------------------------------

def test_without_tensorrt(tmp_path, monkeypatch):
    monkeypatch.setenv("OPGRAFT_TENSORRT", str(tmp_path))
    path = determinants(tmp_path / "net.onnx")
    sentence = refused(5, "partition", path, "--for", "tensorrt", "-o", tmp_path / "parts")
    assert "OPGRAFT_TENSORRT" in sentence and "--nodes" in sentence and not (tmp_path / "parts").exists()
    (tmp_path / "list").write_text("op:Det\n")
    out = ok("partition", path, "--for", "tensorrt", "--nodes", tmp_path / "list", "-o", tmp_path / "parts")
    assert "taken for granted" in out
    check_cut(path, tmp_path / "parts")
    check_answer(path, tmp_path / "parts")


def test_without_onnxruntime(tmp_path, monkeypatch):
    path = save(tmp_path / "net.onnx", [node("Relu", "x", "a", "relu"), node("Cast", "a", "b", "cast", to=TensorProto.FLOAT16),
                                        node("Cast", "b", "y", "back", to=FLOAT)], {"x": [4]}, {"y": [4]})
    monkeypatch.setenv("OPGRAFT_ONNXRUNTIME", str(tmp_path / "nowhere"))
    out = ok("partition", path, "--for", "onnxruntime", "-o", tmp_path / "parts")
    assert "ONNX Runtime is not installed here, so nobody was asked" in " ".join(out.split())
    assert "Cast: Cast on f16 is not taken for granted" in out
    manifest = check_cut(path, tmp_path / "parts")
    assert manifest["assumed"] and [p["runtime"] for p in manifest["pieces"]] == ["onnxruntime", "opgraft"]
    assert "ONNX Runtime was not found" in refused(5, "run", tmp_path / "parts" / "manifest.json")


# ---- calls -----------------------------------------------------------------------------------------

def test_a_dry_run_writes_nothing(tmp_path):
    text = ok("partition", RELU, "--for", "opgraft", "--dry-run", "-o", tmp_path / "parts", env={**os.environ, "TMPDIR": str(tmp_path)})
    assert "1 piece for opgraft" in " ".join(text.split()) and list(tmp_path.iterdir()) == []
    dry = ok_json("partition", RELU, "--for", "onnxruntime", "--dry-run")
    wet = ok_json("partition", RELU, "--for", "onnxruntime", "-o", tmp_path / "parts")
    assert dry == wet == json.loads((tmp_path / "parts" / "manifest.json").read_text())
    assert sorted(p.name for p in (tmp_path / "parts").iterdir()) == ["manifest.json", "piece_0_onnxruntime.onnx"]
    assert ok("partition", RELU, "--for", "reference", "--dry-run", "-q") == ""


@pytest.mark.parametrize("args, status, word", [
    ([], 2, "--for"), (["--for", "opgraft"], 2, "-o FOLDER"), (["--for", "caffe", "--dry-run"], 2, "onnxruntime"),
    (["--for", "opgraft", "--dry-run", "--fallback", "opgraft"], 2, "fallback"),
    (["--for", "opgraft", "--dry-run", "--fallback", "caffe"], 2, "caffe"),
    (["--for", "opgraft", "--dry-run", "--min-nodes", "0"], 2, "--min-nodes"),
    (["--for", "opgraft", "--dry-run", "--nodes", "nowhere"], 5, "nowhere"),
    (["--for", "opgraft", "-o", "no/such/folder"], 5, "no/such/folder")])
def test_wrong_calls(args, status, word):
    assert word in refused(status, "partition", RELU, *args)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    path = determinants(folder / "net.onnx")
    (folder / "list").write_text("op:Det\n")
    ok("partition", path, "--for", "opgraft", "--fallback", "reference", "--nodes", folder / "list", "-o", folder)
    return folder


def swap(m):
    m["pieces"][1], m["pieces"][2] = m["pieces"][2], m["pieces"][1]


BAD = {
    "no version": (lambda m: m.pop("opgraft_manifest"), "opgraft_manifest"),
    "a version of later": (lambda m: m.update(opgraft_manifest=2), "version 2"),
    "a file that is not there": (lambda m: m["pieces"][1].update(file="gone.onnx"), "gone.onnx"),
    "a file above": (lambda m: m["pieces"][1].update(file="../net.onnx"), "../net.onnx"),
    "a file elsewhere": (lambda m: m["pieces"][1].update(file="/etc/passwd"), "/etc/passwd"),
    "no file": (lambda m: m["pieces"][1].update(file=""), "beside"),
    "a file that is none of ours": (lambda m: m["pieces"][1].update(file="list"), "list"),
    "an unknown runtime": (lambda m: m["pieces"][1].update(runtime="caffe"), "caffe"),
    "another order": (swap, "no piece before it makes"),
    "an input too many": (lambda m: m["pieces"][1]["inputs"].append("x"), "inputs"),
    "another input": (lambda m: m["pieces"][1].update(inputs=["nothing"]), "does not list"),
    "another output": (lambda m: m["pieces"][1].update(outputs=["nothing"]), "does not list"),
    "a piece twice": (lambda m: m["pieces"].append(m["pieces"][0]), "already"),
    "an output that nobody makes": (lambda m: m["outputs"][0].update(name="nothing"), "nothing"),
    "an input twice": (lambda m: m["inputs"].append(m["inputs"][0]), "already"),
    "a shape that is none": (lambda m: m["inputs"][0].update(shape=[1.5]), "dimension 0"),
    "pieces that are no list": (lambda m: m.update(pieces=3), "pieces"),
    "a piece that is no object": (lambda m: m["pieces"].insert(0, 3), "file"),
    "no inputs": (lambda m: m.pop("inputs"), "inputs"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.replace(" ", "-"))
def test_bad_manifests(tmp_path, parts, case):
    change, word = BAD[case]
    manifest = json.loads((parts / "manifest.json").read_text())
    change(manifest)
    (parts / "bad.json").write_text(json.dumps(manifest))
    sentence = refused(3, "run", parts / "bad.json")
    assert "bad.json" in sentence and word in sentence


@pytest.mark.parametrize("text", ["{", "{}", '{"opgraft_manifest": 1, "inputs": [', '{"a": "\x00"}'])
def test_damaged_manifests(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    assert "m.json" in refused(3, "run", tmp_path / "m.json")


def test_inputs_of_a_manifest(tmp_path, parts):
    """Random where not given, as for the model; sizes by --batch, --shape or the inputs given."""
    model, manifest = parts / "net.onnx", parts / "manifest.json"
    for options in ([], ["--batch", "5"], ["--shape", "N=4"], ["--shape", "x=2x4x4"]):
        results = []
        for path in (model, manifest):
            ok("run", path, "--output", tmp_path / "y.npy", *options)
            results.append(np.load(tmp_path / "y.npy"))
        np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)
    assert "'q=1.npy'" in refused(2, "run", manifest, "--input", "q=1.npy")
    assert "'q=1.npy'" in refused(2, "run", manifest, "--output", "q=1.npy")
    np.save(tmp_path / "bad.npy", np.zeros((1, 5, 4), np.float32))
    assert "does not fit" in refused(2, "run", manifest, "--input", tmp_path / "bad.npy")


# ---- the page --------------------------------------------------------------------------------------

def test_the_page(tmp_path):
    """Its session is run again, numbers masked; OPGRAFT_WRITE_README=1 puts the real output in."""
    page = ROOT / "docs" / "partition.md"
    text, wrong = page.read_text(), []
    (tmp_path / "models").symlink_to(MODELS)
    env = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "OPGRAFT_ONNXRUNTIME": sys.prefix}
    (session,) = CONSOLE.findall(text)
    lines = []
    for command, shown in commands(session):
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=100)
        real = [line.rstrip() for line in done.stdout.splitlines()]
        wrong += [command] if fit(shown, real) is None else []
        lines += [f"$ {command}", *real]
    if os.environ.get("OPGRAFT_WRITE_README"):
        page.write_text(text.replace(session, "\n".join(lines) + "\n"))
    else:
        assert wrong == []
