"""One file everywhere: what graft writes is taken by the onnx checker, shape inference, ONNX Runtime, TensorRT-RTX and
Opgraft with no library, in every opset and type; and where a library is, TensorRT uses its plugin."""
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import ROOT, infer, ok, ok_json, refused

OPSETS = range(7, 27)
TYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16}
TOLERANCE = {"f32": 1e-6, "f64": 1e-6, "f16": 4e-3}
BETAS = (1.5, 1.0, -0.25)


def element(dtype):
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def save(path, nodes, inputs, outputs, weights=(), opset=17, ir=8, functions=(), imports=()):
    """inputs and outputs: {name: (element type, shape)}."""
    def infos(values):
        return [helper.make_tensor_value_info(name, *info) for name, info in values.items()]
    graph = helper.make_graph(nodes, "g", infos(inputs), infos(outputs), list(weights))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(*import_) for import_ in imports)]
    onnx.save(helper.make_model(graph, ir_version=ir, opset_imports=opsets, functions=list(functions)), path)
    return path


def chain(path, opset=17, dtype=np.float32, count=len(BETAS)):
    """x through that many Relu nodes to y."""
    nodes = [helper.make_node("Relu", [f"v{k}" if k else "x"], [f"v{k + 1}" if k < count - 1 else "y"], name=f"act{k}")
             for k in range(count)]
    kind = (element(dtype), ["N", 5])
    return save(path, nodes, {"x": kind}, {"y": kind}, opset=opset)


def graft_all(source, out, betas=BETAS):
    """Each of the chain's nodes becomes a Swish of its own beta."""
    for k, beta in enumerate(betas):
        ok("graft", source if k == 0 else out, "-o", out, "--map", f"Relu=Swish,beta={beta}", "--only", f"act{k}")
    return out


def swish(x, betas=BETAS):
    x = x.astype(np.float64)
    for beta in betas:
        x = x / (1 + np.exp(-beta * x))
    return x


def check(path):
    """As strictly as the onnx package can."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    return model


def by_onnxruntime(path, feeds, optimise=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def sample(dtype, rows=4):
    return np.linspace(-6, 6, rows * 5).reshape(rows, 5).astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_and_type(tmp_path, opset, dtype):
    path = graft_all(chain(tmp_path / "relu.onnx", opset, TYPES[dtype]), tmp_path / "swish.onnx")
    model = check(path)
    assert [n.op_type for n in model.graph.node] == ["OgSwish"] * 3 and len(model.functions) == 1
    assert {o.domain: o.version for o in model.opset_import} == {"": opset, "opgraft": 1}
    x = sample(TYPES[dtype])
    want = swish(x)
    for optimise in (True, False):
        got = by_onnxruntime(path, {"x": x}, optimise)
        assert got.dtype == x.dtype and np.allclose(got, want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    got = infer(tmp_path, path, {"x": x}, "y", "--batch", 4)
    assert got.dtype == x.dtype and np.allclose(got, want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("opset", (13, 15, 18))
def test_bfloat16_is_well_typed(tmp_path, opset):
    """No peer here computes with it on a CPU."""
    source = chain(tmp_path / "relu.onnx", opset)
    model = onnx.load(source)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.BFLOAT16
    onnx.save(model, source)
    check(graft_all(source, tmp_path / "swish.onnx"))


def test_attributes_are_always_written(tmp_path):
    """A function's attribute has no default, so that one left out would leave the body without a value."""
    out = tmp_path / "out.onnx"
    ok("graft", chain(tmp_path / "relu.onnx"), "-o", out, "--map", "Relu=Swish")
    for node in onnx.load(out).graph.node:
        assert {a.name: helper.get_attribute_value(a) for a in node.attribute} == {"beta": 1.0, "plugin_namespace": b""}


def test_a_second_graft_leaves_the_function_as_it_is(tmp_path):
    source, out = chain(tmp_path / "relu.onnx"), tmp_path / "out.onnx"
    ok("graft", source, "-o", out, "--map", "Relu=Swish", "--only", "act0")
    before = onnx.load(out).functions[0].SerializeToString()
    ok("graft", out, "-o", out, "--map", "Relu=Swish,beta=3", "--only", "act1")
    assert [f.SerializeToString() for f in onnx.load(out).functions] == [before]


def test_a_function_of_an_earlier_version_is_made_anew(tmp_path):
    source, out = chain(tmp_path / "relu.onnx"), tmp_path / "out.onnx"
    ok("graft", source, "-o", out, "--map", "Relu=Swish", "--only", "act0")
    model = onnx.load(out)
    want = model.functions[0].SerializeToString()
    del model.functions[0].node[-1:]
    model.functions[0].node.append(helper.make_node("Add", ["x", "Sigmoid"], ["y"]))
    onnx.save(model, out)
    ok("graft", out, "-o", out, "--map", "Relu=Swish", "--only", "act1")
    assert [f.SerializeToString() for f in onnx.load(out).functions] == [want]


def test_two_types_in_one_file(tmp_path):
    """From opset 15 on one body serves both; before there is no such body, and that is said."""
    def two(opset):
        kinds = {"a": (TensorProto.FLOAT, [2, 5]), "b": (TensorProto.FLOAT16, [2, 5])}
        nodes = [helper.make_node("Relu", [name], [name + "y"], name="act_" + name) for name in kinds]
        return save(tmp_path / f"two{opset}.onnx", nodes, kinds, {name + "y": kind for name, kind in kinds.items()}, opset=opset)
    out = tmp_path / "out.onnx"
    ok("graft", two(15), "-o", out, "--map", "Relu=Swish")
    check(out)
    x = sample(np.float32, 2)
    assert np.allclose(by_onnxruntime(out, {"a": x, "b": x.astype(np.float16)}), swish(x, [1]), atol=1e-6)
    sentence = refused(4, "graft", two(14), "-o", tmp_path / "none.onnx", "--map", "Relu=Swish")
    assert "act_a" in sentence and "act_b" in sentence and "opset 15" in sentence and not (tmp_path / "none.onnx").exists()


def test_in_bodies_and_in_functions(tmp_path):
    """The domain is imported where its nodes are."""
    def branch(name, op):
        return helper.make_graph([helper.make_node(op, ["x"], [name + "y"], name=name)], name, [],
                                 [helper.make_tensor_value_info(name + "y", TensorProto.FLOAT, None)])
    block = helper.make_function("net", "Block", ["a"], ["b"],
                                 [helper.make_node("Relu", ["a"], ["c"], name="inner"), helper.make_node("Neg", ["c"], ["b"])],
                                 [helper.make_opsetid("", 17)])
    kind = (TensorProto.FLOAT, [2, 5])
    path = save(tmp_path / "m.onnx",
                [helper.make_node("If", ["c"], ["t"], then_branch=branch("then", "Relu"), else_branch=branch("else", "Neg")),
                 helper.make_node("Block", ["t"], ["y"], domain="net")],
                {"c": (TensorProto.BOOL, []), "x": kind}, {"y": kind}, functions=[block], imports=[("net", 1)])
    out = tmp_path / "out.onnx"
    assert len(ok_json("graft", path, "-o", out, "--map", "Relu=Swish")["matches"]) == 2
    model = check(out)
    assert {f.name: sorted(o.domain for o in f.opset_import) for f in model.functions} == {"Block": ["", "opgraft"], "OgSwish": [""]}
    x = sample(np.float32, 2)
    for condition in (True, False):
        t = swish(x, [1]) if condition else -x
        assert np.allclose(by_onnxruntime(out, {"c": np.array(condition), "x": x}), -swish(t, [1]), atol=1e-6)
    path = save(tmp_path / "f.onnx", [helper.make_node("Block", ["x"], ["y"], domain="net")], {"x": kind}, {"y": kind},
                functions=[block], imports=[("net", 1)])
    ok("graft", path, "-o", out, "--map", "Relu=Swish")
    assert np.allclose(infer(tmp_path, out, {"x": x}, "y"), -swish(x, [1]), atol=1e-6)


# ---- TensorRT -----------------------------------------------------------------------------------------------------

def test_tensorrt_expands_the_function(tmp_path, tensorrt):
    for opset, dtype in ((7, "f32"), (9, "f16"), (13, "f16"), (17, "f32"), (18, "f16"), (24, "f32")):
        path = graft_all(chain(tmp_path / "relu.onnx", opset, TYPES[dtype]), tmp_path / "swish.onnx")
        answer = tensorrt.drive(model=path, shapes={"x": [[1, 5], [2, 5], [4, 5]]})
        assert answer["parsed"] and answer["plan"], (opset, dtype, answer["errors"])
        kinds = [layer["type"] for layer in answer["layers"]]
        assert kinds.count("ACTIVATION") >= 3 and "PLUGIN_V3" not in kinds


# ---- op libraries -------------------------------------------------------------------------------------------------

def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# what each takes the place of, the op, and what it computes
EXAMPLES = {
    "SwishBeta": ("Relu(x) -> examples::SwishBeta(x, beta=0.5)", lambda x: x * sigmoid(0.5 * x)),
    "MishActivation": ("Relu(x) -> examples::MishActivation(x)", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "GeluTanh": ("Relu(x) -> examples::GeluTanh(x)", lambda x: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x ** 3)))),
    "Snake": ("Relu(x) -> examples::Snake(x, alpha=2)", lambda x: x + np.sin(2 * x) ** 2 / 2),
    "StarReLU": ("Relu(x) -> examples::StarReLU(x)", lambda x: 0.8944 * np.maximum(x, 0) ** 2 - 0.4472),
    "SwiGLU": ("Relu(x) -> examples::SwiGLU(x, x)", lambda x: x * sigmoid(x) * x),
    "PReluChannel": ("Relu(x) -> examples::PReluChannel(x, 0.25)", lambda x: np.where(x < 0, 0.25 * x, x)),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The example ops that are formulas, built as a user builds them."""
    path = tmp_path_factory.mktemp("ops") / "libexamples.so"
    sources = [p for p in sorted((ROOT / "examples" / "ops").glob("*.c")) if any(f'"{name}"' in p.read_text() for name in EXAMPLES)]
    ok("op", "build", *sources, "-o", path, "--no-cuda", "-q", timeout=600)
    return path


def grafted_example(folder, name, library, opset=17, dtype=np.float32):
    source, out = chain(folder / "relu.onnx", opset, dtype, count=1), folder / f"{name}.onnx"
    ok("graft", source, "-o", out, "--rule", EXAMPLES[name][0], "--ops", library)
    return out


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_op_library_is_not_needed(tmp_path, name, library):
    for opset, dtype in ((9, np.float32), (13, np.float16), (14, np.float32), (18, np.float16), (22, np.float32)):
        path = grafted_example(tmp_path, name, library, opset, dtype)
        model = check(path)
        assert [n.domain for n in model.graph.node if n.op_type == name] == ["examples"]
        x = sample(dtype)
        want, tolerance = EXAMPLES[name][1](x.astype(np.float64)), 1e-5 if dtype == np.float32 else 3e-2
        assert np.allclose(by_onnxruntime(path, {"x": x}), want, rtol=tolerance, atol=tolerance)
        if dtype == np.float32:
            assert np.allclose(infer(tmp_path, path, {"x": x}, "y", "--batch", 4), want, rtol=tolerance, atol=tolerance)
            assert np.allclose(infer(tmp_path, path, {"x": x}, "y", "--batch", 4, "--ops", library), want, rtol=tolerance, atol=tolerance)
        plain = tmp_path / "plain.onnx"
        for options in ((), ("--ops", library)):         # by the file's function, by the library's body
            ok("ungraft", path, "-o", plain, *options)
            back = check(plain)
            assert not back.functions and not [n for n in back.graph.node if n.domain]
            assert np.allclose(by_onnxruntime(plain, {"x": x}), want, rtol=tolerance, atol=tolerance)


def test_tensorrt_takes_the_plugin(tmp_path, tensorrt, library):
    """One layer where the library is loaded, the function's layers where it is not: of the very same file."""
    for name in EXAMPLES:
        for opset, dtype in ((9, np.float32), (18, np.float16)):
            path = grafted_example(tmp_path, name, library, opset, dtype)
            request = {"model": path, "shapes": {"x": [[1, 5], [2, 5], [4, 5]]}}
            for libraries in ([], [library]):
                answer = tensorrt.drive(libraries=libraries, build=not libraries, **request)
                assert answer["parsed"], (name, opset, answer["errors"])
                kinds = [layer["type"] for layer in answer["layers"]]
                assert kinds.count("PLUGIN_V3") == len(libraries), (name, opset, kinds)
                assert libraries or answer["plan"], (name, opset)
