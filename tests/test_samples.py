"""A batch in slabs and by samples: the same answers as at once, whatever the batch, the threads and the instruction set."""
import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import LENET5, ok, ok_json, refused, run
from test_random_networks import Network

FIRST = int(os.environ.get("OPGRAFT_SEED", 1))
COUNT = int(os.environ.get("OPGRAFT_NETWORKS", 40))
FORMS = ["auto", "whole", "slabs", "samples"]
UNSUPPORTED = 4


class Batched(Network):
    """A random network whose batch is named N."""

    def __init__(self, seed):
        super().__init__(seed)
        self.shape[0] = 1                                   # in weights: nothing depends on N
        self.input = ["N", *self.shape[1:]]

    def save(self, path):
        graph = helper.make_graph(self.nodes, "random", [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.input)],
                                  [helper.make_tensor_value_info(self.value, TensorProto.FLOAT, ["N", *self.shape[1:]])],
                                  self.weights)
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
        return path


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_random_network(tmp_path, seed):
    network = Batched(seed)
    while len(network.nodes) < 3 + seed % 8:
        network.step()
    path = network.save(tmp_path / "net.onnx")
    batch = int(network.r.integers(1, 71))
    level = ("avx512", "avx512", "avx2", "scalar")[seed % 4]
    env = {**os.environ, "OPGRAFT_ISA": level}
    x = np.random.default_rng(seed).standard_normal((batch, *network.input[1:])).astype(np.float32)
    for form in FORMS:
        options = ["--batch", batch, "--batching", form, "--no-timing"]
        done = run("check", path, "-q", "--rtol", "1e-3", "--atol", "2e-5", *options, env=env)
        assert done.status in (0, UNSUPPORTED) if form in ("slabs", "samples") else done.status == 0, \
            f"seed {seed}, {level}, batch {batch} {form}: {done.out}{done.err}"
        if done.status:
            continue
        want = None
        for threads in (1, 2, 3, 4):
            plan = tmp_path / f"{form}{threads}.plan"
            ok("build", path, "-o", plan, "-q", "--threads", threads, *options, env=env)
            got = infer_at(tmp_path, env, x, network.value, plan)
            assert got.shape == (batch, *network.shape[1:])
            want = got if want is None else want
            assert got.tobytes() == want.tobytes(), f"seed {seed}, {level}, batch {batch} {form}: {threads} threads differ"


def infer_at(folder, env, x, output, model):
    np.save(folder / "x.npy", x)
    ok("run", model, "--input", f"x={folder / 'x.npy'}", "--output", f"{output}={folder / 'y.npy'}", env=env)
    return np.load(folder / "y.npy")


@pytest.mark.parametrize("form", ["slabs", "samples"])
@pytest.mark.parametrize("batch", [2, 5, 16, 17, 31, 33, 64, 70])
def test_every_batch_of_lenet5(tmp_path, batch, form):
    """The last slab overlaps the one before: no answer is lost or moved."""
    done = run("check", LENET5[1], "--batch", batch, "--batching", form, "-q", "--no-timing")
    if form == "samples" and batch < 16:                    # too few to be worth the lanes
        assert done.status in (0, UNSUPPORTED)
        return
    assert done.status == 0, done.out + done.err
    facts = build(tmp_path, LENET5[1], batch, form)
    lanes = {"avx512": 16, "avx2": 8, "scalar": 1}[facts["features"]]
    tactics = {step["tactic"] for step in facts["steps"]}
    assert facts["inputs"][0]["shape"][0] == facts["outputs"][0]["shape"][0] == batch
    if form == "samples" and lanes > 1:
        assert "matmul.samples" in tactics and all("samples" in tactic for tactic in tactics if tactic.startswith("conv"))
        assert facts.get("slab") == (lanes if batch > lanes else None)
    if form == "slabs":
        assert 0 < facts["slab"] < batch


@pytest.mark.parametrize("level", ["scalar", "avx2", "avx512"])
def test_every_level_runs_by_samples(tmp_path, level):
    """On one lane all layouts are the same: by samples is one sample after the other."""
    env = {**os.environ, "OPGRAFT_ISA": level}
    ok("check", LENET5[0], "--batch", 19, "--batching", "samples", "-q", "--no-timing", env=env)


def build(tmp_path, model, batch, form):
    ok("build", model, "-o", tmp_path / "net.plan", "-q", "--no-timing", "--batch", batch, "--batching", form)
    return ok_json("info", tmp_path / "net.plan")


def test_a_batch_takes_memory_of_a_slab(tmp_path):
    """Activations do not grow with the batch."""
    small, large = (build(tmp_path, LENET5[0], batch, "slabs") for batch in (64, 1024))
    assert small["activation_bytes"] == large["activation_bytes"]
    assert large["flops"] == 16 * small["flops"]


def save(path, nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
                              [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs], list(weights))
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_samples_that_meet_are_not_cut(tmp_path):
    """What divides by the batch's size, or adds over it, has other answers for a slab."""
    size = [helper.make_node("Shape", ["x"], ["shape"], start=0, end=1), helper.make_node("Cast", ["shape"], ["n"], to=1)]
    weight = numpy_helper.from_array(np.random.default_rng(3).standard_normal((8, 8)).astype(np.float32), "w")
    product = helper.make_node("MatMul", ["x", "w"], ["xw"])
    over = {"size": [*size, product, helper.make_node("Div", ["xw", "n"], ["y"])],
            "sum": [product, helper.make_node("ReduceMean", ["xw"], ["m"], axes=[0], keepdims=1),
                    helper.make_node("Sub", ["xw", "m"], ["y"])],
            "turned": [product, helper.make_node("Reshape", ["xw", "to"], ["r"]), helper.make_node("Tanh", ["r"], ["y"])]}
    to = numpy_helper.from_array(np.array([8, -1], np.int64), "to")
    for name, nodes in over.items():
        weights = [weight, to] if name == "turned" else [weight]
        path = save(tmp_path / f"{name}.onnx", nodes, [("x", ["N", 8])], [("y", None)], weights)
        for form in FORMS:
            done = run("check", path, "--batch", 48, "--batching", form, "-q", "--no-timing")
            expected = {"slabs": [UNSUPPORTED], "samples": [0, UNSUPPORTED]}.get(form, [0])
            assert done.status in expected, (name, form, done.out + done.err)
            if not done.status:
                assert "slab" not in build(tmp_path, path, 48, form)


def test_a_fixed_reshape_keeps_its_batch(tmp_path):
    """Reshape to a written batch: by samples all at once, never in slabs."""
    r = np.random.default_rng(4)
    weights = [numpy_helper.from_array(r.standard_normal((6, 1, 3, 3)).astype(np.float32), "w"),
               numpy_helper.from_array(np.array([40, -1], np.int64), "to"),
               numpy_helper.from_array(r.standard_normal((6 * 64, 5)).astype(np.float32), "v")]
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["a"]),
             helper.make_node("Reshape", ["a", "to"], ["f"]), helper.make_node("MatMul", ["f", "v"], ["y"])]
    path = save(tmp_path / "net.onnx", nodes, [("x", [40, 1, 8, 8])], [("y", [40, 5])], weights)
    for form, status in (("auto", 0), ("whole", 0), ("samples", 0), ("slabs", UNSUPPORTED)):
        done = run("check", path, "--batching", form, "-q", "--no-timing")
        assert done.status == status, (form, done.out + done.err)


def test_two_inputs_and_outputs_are_cut_alike(tmp_path):
    weights = [numpy_helper.from_array(np.random.default_rng(5).standard_normal((4, 3, 3, 3)).astype(np.float32), "w")]
    nodes = [helper.make_node("Conv", ["a", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Add", ["c", "b"], ["y"]),
             helper.make_node("Sigmoid", ["y"], ["z"])]
    path = save(tmp_path / "net.onnx", nodes, [("a", ["N", 3, 6, 7]), ("b", ["N", 4, 6, 7])],
                [("y", ["N", 4, 6, 7]), ("z", ["N", 4, 6, 7])], weights)
    for form in FORMS:
        for batch in (13, 37, 64):
            done = run("check", path, "--batch", batch, "--batching", form, "-q", "--no-timing")
            assert done.status == 0, (form, batch, done.out + done.err)


def test_profile_counts_all_slabs(tmp_path):
    whole, slabs = (ok_json("profile", LENET5[0], "--batch", 40, "--batching", form, "--no-timing") for form in ("whole", "slabs"))
    flops = [sum(step["flops"] for step in report["steps"] if "conv" in step["tactic"]) for report in (whole, slabs)]
    assert flops[0] == pytest.approx(flops[1]) and flops[0] > 0


def test_a_form_that_is_none(tmp_path):
    sentence = refused(2, "build", LENET5[0], "-o", tmp_path / "net.plan", "--batching", "bits")
    assert "'bits'" in sentence
    assert "samples" in refused(UNSUPPORTED, "build", LENET5[0], "-o", tmp_path / "net.plan", "--batch", "1", "--batching", "samples")
