"""Networks that others designed and PyTorch exported: every activation in them is found, and grafting changes no answer."""
import functools
import json
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest

from conftest import ROOT, ok, ok_json, run

PYTHONS = ["/usr/bin/python3", "python3"]


@functools.cache
def python():
    for name in PYTHONS:
        if subprocess.run([name, "-c", "import torchvision"], capture_output=True).returncode == 0:
            return name
    return None


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of the exported networks and the counts of their activations."""
    if not python():
        pytest.skip("no Python here has torchvision (Debian: python3-torch, python3-torchvision)")
    folder = tmp_path_factory.mktemp("torchvision")
    done = subprocess.run([python(), ROOT / "tests" / "export_torchvision.py", folder], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder, json.loads((folder / "counts.json").read_text())


CASES = [("efficientnet_b0.onnx", "Swish", "SiLU", 49), ("mobilenet_v3_large.onnx", "HardSwish", "Hardswish", 21),
         ("mobilenet_v3_primitive.onnx", "HardSwish", "Hardswish", 33), ("ssdlite_silu.onnx", "Swish", "SiLU", 63)]


@pytest.mark.parametrize("name, op, module, count", CASES, ids=[case[0] for case in CASES])
def test_every_activation_is_found(exported, name, op, module, count):
    folder, counts = exported
    found = ok_json("find", folder / name, "--op", op)["matches"]
    assert counts[name][module] == count                     # what PyTorch itself called
    assert len(found) == count and {match["op"] for match in found} == {op}
    assert len({match["output"] for match in found}) == count
    assert max(match["error"] for match in found) < 4e-6


def test_gates_are_not_activations(exported):
    """EfficientNet's squeeze-and-excitation multiplies by the sigmoid of something else."""
    folder, counts = exported
    nodes = [node.op_type for node in onnx.load(folder / "efficientnet_b0.onnx").graph.node]
    assert nodes.count("Sigmoid") > counts["efficientnet_b0.onnx"]["SiLU"]


def answers(path, inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {value.name: array for value, array in zip(session.get_inputs(), inputs)})


@pytest.mark.parametrize("name, shape", [("efficientnet_b0.onnx", (1, 3, 224, 224)), ("ssdlite_silu.onnx", (3, 320, 320))])
def test_grafting_changes_no_answer(exported, tmp_path, name, shape):
    folder, counts = exported
    x = np.random.default_rng(1).random(shape, np.float32)
    ok("graft", folder / name, "-o", tmp_path / "out.onnx", "--op", "Swish", "-q")
    grafted = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(grafted)
    assert [node.op_type for node in grafted.graph.node].count("OgSwish") == counts[name]["SiLU"]
    want, got = answers(folder / name, [x]), answers(tmp_path / "out.onnx", [x])
    for a, b in zip(got, want):
        assert a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-4)


def test_ungrafting_gives_the_primitives_back(exported, tmp_path):
    folder, counts = exported
    grafted, back = tmp_path / "out.onnx", tmp_path / "back.onnx"
    ok("graft", folder / "efficientnet_b0.onnx", "-o", grafted, "--op", "Swish", "-q")
    ok("ungraft", grafted, "-o", back, "-q")
    before = sorted(node.op_type for node in onnx.load(folder / "efficientnet_b0.onnx").graph.node)
    after = onnx.load(back)
    assert sorted({node.op_type for node in after.graph.node} - {"Constant"}) == sorted(set(before) - {"Constant"})
    assert not after.functions and {opset.domain for opset in after.opset_import} == {""}
    x = np.random.default_rng(2).random((1, 3, 224, 224), np.float32)
    assert np.allclose(answers(back, [x])[0], answers(folder / "efficientnet_b0.onnx", [x])[0], rtol=1e-3, atol=1e-4)


def test_a_network_grafted_runs_here_as_in_onnxruntime(exported, tmp_path):
    folder, _ = exported
    ok("graft", folder / "mobilenet_v3_large.onnx", "-o", tmp_path / "out.onnx", "--rule", "Relu(x) -> Swish(x)", "-q")
    x = np.random.default_rng(3).random((1, 3, 224, 224), np.float32)
    np.save(tmp_path / "x.npy", x)
    value = onnx.load(tmp_path / "out.onnx").graph.input[0].name
    output = onnx.load(tmp_path / "out.onnx").graph.output[0].name
    ok("run", tmp_path / "out.onnx", "--input", f"{value}={tmp_path / 'x.npy'}", "--output", f"{output}={tmp_path / 'y.npy'}")
    want = answers(tmp_path / "out.onnx", [x])[0]
    assert np.allclose(np.load(tmp_path / "y.npy"), want, rtol=1e-3, atol=1e-4 * np.abs(want).max())
    assert run("find", folder / "mobilenet_v3_large.onnx", "--op", "Swish").status == 1


def test_what_no_plan_takes_runs_in_pieces(exported, tmp_path):
    """The detector has an If and sizes that hang on values: opgraft run refuses it, and runs its pieces."""
    path = exported[0] / "ssdlite_silu.onnx"
    x = np.random.default_rng(4).random((3, 320, 320), np.float32)
    np.save(tmp_path / "x.npy", x)
    assert run("run", path).status == 4
    manifest = json.loads(ok("partition", path, "--for", "opgraft", "-o", tmp_path / "parts", "--json", timeout=300))
    assert [p["runtime"] for p in manifest["pieces"]] == ["opgraft", "onnxruntime", "opgraft", "onnxruntime", "opgraft"]
    assert {group["op"] for group in manifest["refused"]} == {"NonZero", "If"}
    outputs = [value["name"] for value in manifest["outputs"]]
    ok("run", tmp_path / "parts" / "manifest.json", "--input", tmp_path / "x.npy",
       *[word for k, name in enumerate(outputs) for word in ("--output", f"{name}={tmp_path / str(k)}.npy")])
    for k, want in enumerate(answers(path, [x])):
        got = np.load(tmp_path / f"{k}.npy")
        assert got.shape == want.shape and np.allclose(got, want, rtol=1e-3, atol=1e-3)
