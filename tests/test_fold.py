"""Arithmetic by channel goes into the weights before it (src/optimize/fold_batchnorm.c): random networks of one linear op and what
follows it. The plan, which is folded, gives what the definitions give for the network as it is."""
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import ok

C = 6                                    # channels of the linear op's result
#         op, input, weights, attributes, axis of the channels from behind
LINEAR = {
    "conv": ("Conv", [2, 4, 5, 5], [C, 4, 3, 3], {"pads": [1, 1, 1, 1]}, -3),
    "grouped": ("Conv", [2, 4, 5, 5], [C, 2, 3, 3], {"group": 2}, -3),
    "one axis": ("Conv", [2, 4, 9], [C, 4, 3], {}, -2),
    "turned": ("ConvTranspose", [2, 4, 5, 5], [4, C, 3, 3], {"strides": [2, 2]}, -3),
    "turned, grouped": ("ConvTranspose", [2, 4, 5, 5], [4, C // 2, 3, 3], {"group": 2}, -3),
    "matrices": ("MatMul", [3, 4], [4, C], {}, -1),
    "stack": ("MatMul", [2, 3, 4], [4, C], {}, -1),
    "gemm": ("Gemm", [3, 4], [4, C], {"alpha": 0.5}, -1),
    "gemm, columns": ("Gemm", [3, 4], [C, 4], {"transB": 1}, -1),
    "gemm, beta": ("Gemm", [3, 4], [4, C], {"beta": 0.5}, -1),
}
TAILS = ["Mul", "Add", "Sub", "Div", "BatchNormalization"]


def network(rng, kind, tails, bias, turned=False):
    op, x, w, attributes, axis = LINEAR[kind]
    constants, nodes, value = {"w": rng.normal(0, 1, w)}, [], "y0"
    if bias and op != "MatMul":
        constants["b"] = rng.normal(0, 1, C)
    nodes.append(helper.make_node(op, ["x", *constants], ["y0"], **attributes))
    if turned:                           # channels to the end
        perm = [0, *range(2, len(x)), 1]
        nodes.append(helper.make_node("Transpose", ["y0"], ["t"], perm=perm))
        value, axis = "t", -1
    for k, tail in enumerate(tails, 1):
        if tail == "BatchNormalization":
            names = [f"p{k}{i}" for i in range(4)]
            constants.update({name: rng.uniform(0.5, 1.5, C) for name in names})
            nodes.append(helper.make_node(tail, [value, *names], [f"y{k}"], epsilon=0.01))
        else:
            shape = [[], [1], [C] + [1] * (-1 - axis)][rng.integers(3)]
            constants[f"c{k}"] = rng.uniform(0.5, 2, shape)
            inputs = [value, f"c{k}"] if tail in ("Sub", "Div") or rng.integers(2) else [f"c{k}", value]
            nodes.append(helper.make_node(tail, inputs, [f"y{k}"]))
        value = f"y{k}"
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
                              [helper.make_tensor_value_info(value, TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(np.asarray(a, np.float32), name) for name, a in constants.items()])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def ops_after(path):
    dump = ok("build", path, "--dump").split("# after fold_batchnorm\n")[1].split("# after ")[0]
    return re.findall(r" = (\w+)\(", dump)


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("bias", [False, True])
def test_what_follows_is_taken_in(tmp_path, kind, bias):
    rng = np.random.default_rng(len(kind) + bias)
    folds = {"gemm, beta": [], "stack": ["Mul", "Div"]}.get(kind, TAILS)
    normal = [["BatchNormalization"]] if kind != "stack" else []     # whose channels would be another axis
    for tails in [["Mul", "Add"], ["Div", "Sub"], ["Mul"], ["Add"], ["Sub"], ["Div"], *normal]:
        onnx.save(network(rng, kind, tails, bias), tmp_path / "net.onnx")
        ok("check", tmp_path / "net.onnx", "--rtol", "1e-5", "-q")
        left = next((k for k, tail in enumerate(tails) if tail not in folds), len(tails))
        assert len(ops_after(tmp_path / "net.onnx")) == 1 + len(tails) - left, tails


@pytest.mark.parametrize("kind", ["conv", "turned, grouped"])
def test_through_a_transpose(tmp_path, kind):
    onnx.save(network(np.random.default_rng(5), kind, ["Mul", "Sub"], True, turned=True), tmp_path / "net.onnx")
    ok("check", tmp_path / "net.onnx", "--rtol", "1e-5", "-q")
    assert "Mul" not in ops_after(tmp_path / "net.onnx") and "Sub" not in ops_after(tmp_path / "net.onnx")
