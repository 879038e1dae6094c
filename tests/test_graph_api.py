"""opgraft/graph.h from the outside: the examples, compiled against the headers and the library as a user would."""
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import BUILD, MODELS, ROOT, digits, onnxruntime_infer


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """example("edit", ...) compiles and runs examples/edit.c."""
    folder, built = tmp_path_factory.mktemp("examples"), {}
    sanitize = ["-fsanitize=address,undefined"] if "asan" in BUILD.name else []

    def go(name, *args, status=0):
        if name not in built:
            built[name] = folder / name
            subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *sanitize, f"-I{ROOT}/include",
                            ROOT / "examples" / f"{name}.c", BUILD / "libopgraft.a", "-lm", "-ldl", "-pthread",
                            "-o", built[name]], check=True)
        done = subprocess.run([built[name], *map(str, args)], capture_output=True, text=True, timeout=60)
        assert done.returncode == status, done.stderr
        return done
    return go


def test_a_network_from_nothing(tmp_path, example):
    example("make", tmp_path / "made.onnx")
    model = onnx.load(tmp_path / "made.onnx")
    onnx.checker.check_model(model, full_check=True)
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, rows = session.run(None, {"x": x})
    w = np.outer([1, 2, 3, 4], [1, -1]).astype(np.float32)
    np.testing.assert_allclose(y, np.maximum(x @ w + 0.5, 0), rtol=1e-5)
    assert rows == 5 and rows.shape == ()
    assert session.get_inputs()[0].shape == ["rows", 4] and session.get_outputs()[0].shape == ["rows", 2]


def test_edits_of_a_real_network(tmp_path, example):
    example("edit", MODELS / "lenet5_relu.onnx", tmp_path / "out.onnx")
    model = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(model, full_check=True)
    ops = [node.op_type for node in model.graph.node]
    assert ops.count("Clip") == 4 and "Relu" not in ops and ops[-1] == "Softmax"
    assert [o.name for o in model.graph.output] == ["logits"], "outputs keep their names"
    images = digits()[0][:8]
    got = onnxruntime_infer(tmp_path / "out.onnx", {"image": images}, "logits")
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-5)


def test_min_and_max_become_clip_and_dropout_goes(tmp_path, example):
    nodes = [helper.make_node("Max", ["x", "low"], ["m"]), helper.make_node("Min", ["m", "high"], ["n"]),
             helper.make_node("Dropout", ["n"], ["y"])]
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
                              [numpy_helper.from_array(np.float32(-0.5), "low"),
                               numpy_helper.from_array(np.float32(0.5), "high")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "in.onnx")
    example("edit", tmp_path / "in.onnx", tmp_path / "out.onnx")
    model = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Clip", "Softmax"]
    x = np.linspace(-2, 2, 8, dtype=np.float32).reshape(2, 4)
    e = np.exp(np.clip(x, -0.5, 0.5))
    np.testing.assert_allclose(onnxruntime_infer(model, {"x": x}, "y"), e / e.sum(axis=1, keepdims=True), rtol=1e-5)


def test_errors_are_sentences(tmp_path, example):
    assert "nothere.onnx" in example("edit", tmp_path / "nothere.onnx", tmp_path / "out.onnx", status=5).stderr
