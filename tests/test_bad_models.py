"""Models that contradict themselves, as mutating and fuzzing made them: each is refused with a sentence, and none makes
a kernel read or write what is not its own."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conftest import ok, refused

FLOAT, U8, I64, BOOL = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT64, TensorProto.BOOL


def save(folder, nodes, inputs, output, opset=17):
    """Inputs and output are (name, type, shape)."""
    infos = [helper.make_tensor_value_info(*value) for value in [*inputs, output]]
    graph = helper.make_graph(nodes, "g", infos[:-1], infos[-1:])
    path = folder / "bad.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)]), path)
    return path


X = ("x", FLOAT, [1, 1, 4, 4])
STATISTICS = ["x", "scale", "b", "mean", "var"]
BAD = {
    "an output left out": (
        [helper.make_node("MaxPool", ["x"], ["", "y"], kernel_shape=[2, 2])], [X], ("y", I64, [1, 1, 3, 3]), 17,
        "'Y'"),
    "no output": (
        [helper.make_node("Split", ["x"], []), helper.make_node("Relu", ["x"], ["y"])], [X], ("y", *X[1:]), 17, "output"),
    "a hole among many inputs": (
        [helper.make_node("Mean", ["x", ""], ["y"])], [X], ("y", *X[1:]), 17, "missing"),
    "a kernel of nothing": (
        [helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER")], [X, ("w", FLOAT, [1, 1, 0, 3])],
        ("y", *X[1:]), 17, "size 0"),
    "a transposed kernel of nothing": (
        [helper.make_node("ConvTranspose", ["x", "w"], ["y"], auto_pad="SAME_UPPER")],
        [X, ("w", FLOAT, [1, 1, 1 << 40, 0])], ("y", *X[1:]), 17, "size 0"),
    "statistics of another shape": (
        [helper.make_node("BatchNormalization", STATISTICS, ["y"], spatial=0)],
        [("x", FLOAT, [2, 3, 4]), ("scale", FLOAT, [2000]), *((name, FLOAT, [1]) for name in STATISTICS[2:])],
        ("y", FLOAT, [2, 3, 4]), 7, "rank 1"),
    "a zero point of nothing": (
        [helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"])],
        [("x", U8, [2, 3]), ("s", FLOAT, []), ("z", U8, [0])], ("y", FLOAT, [2, 3]), 17, "must be one"),
    "a convolution's zero point of nothing": (
        [helper.make_node("ConvInteger", ["x", "w", "z"], ["y"])],
        [("x", U8, [1, 1, 4, 4]), ("w", U8, [1, 1, 2, 2]), ("z", U8, [0])], ("y", TensorProto.INT32, [1, 1, 3, 3]), 17,
        "must be one"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_model_that_contradicts_itself(tmp_path, case):
    nodes, inputs, output, opset, words = BAD[case]
    assert words in refused(3, "run", save(tmp_path, nodes, inputs, output, opset))


def test_a_product_with_a_zero_point_of_nothing(tmp_path):
    path = save(tmp_path, [helper.make_node("MatMulInteger", ["x", "w", "z"], ["y"])],
                [("x", U8, [2, 3]), ("w", U8, [3, 2]), ("z", U8, [0])], ("y", TensorProto.INT32, [2, 2]))
    assert "zero points" in refused(4, "run", path)


def test_work_in_place_of_operands_as_long_in_bytes_only(tmp_path):
    """1,000 int64 take as many bytes as the 8,000 bools that they are compared into."""
    path = save(tmp_path, [helper.make_node("Neg", ["a"], ["n"]), helper.make_node("Less", ["n", "b"], ["l"]),
                           helper.make_node("Not", ["l"], ["y"])],
                [("a", I64, [1, 1000]), ("b", I64, [8, 1000])], ("y", BOOL, [8, 1000]))
    random = np.random.default_rng(1)
    a, b = random.integers(-5, 5, (1, 1000)), random.integers(-5, 5, (8, 1000))
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    ok("run", path, "--input", f"a={tmp_path}/a.npy", "--input", f"b={tmp_path}/b.npy",
       "--output", f"y={tmp_path}/y.npy")
    assert (np.load(tmp_path / "y.npy") == ~(-a < b)).all()
