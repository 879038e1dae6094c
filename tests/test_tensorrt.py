"""Op libraries in the real TensorRT-RTX, by its official Python API; engines are built without a GPU. The bridge alone:
tests/unit/test_tensorrt.c."""
import os
import re
import struct
import subprocess

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import MODELS, ROOT, ok

HALVES = """#include "opgraft/op.h"

EXPR v test_lift(v x, float by) { return x + by; }
MAP(test_lift, 1, 1)
OP(test_lift, .name = "Lift", .domain = "tests", .since = 1, .doc = "x + by.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   ATTRS(OG_RANGE("by", 1.0, -8.0, 8.0)), MAPS(test_lift), .cases = "f32[3]")

#if OP_BASE
static og_status test_halves_shape(og_infer *c)
{
	const og_shape *x = c->in;
	if (x->rank < 0) return OG_OK;
	if (x->rank == 0) return c->host->fail(OG_BAD_FILE, "Halves: a scalar has none");
	for (int k = 0; k < 2; k++) {
		c->out[k].rank = x->rank;
		memcpy(c->out[k].dims, x->dims, sizeof x->dims);
	}
	c->out[0].dims[0] = og_dim_do(c, OG_DIM_CEIL_DIV, x->dims[0], 2);
	c->out[1].dims[0] = og_dim_do(c, OG_DIM_SUB, x->dims[0], c->out[0].dims[0]);
	return OG_OK;
}

static og_status test_halves_eval(const og_call *c)
{
	size_t n = og_dtype_bytes(c->in[0]->dtype), first = (size_t)og_count(c->out[0]) * n;
	memcpy(c->out[0]->data, c->in[0]->data, first);
	memcpy(c->out[1]->data, (const char *)c->in[0]->data + first, (size_t)og_count(c->out[1]) * n);
	return OG_OK;
}
#endif

#if OP_DEVICE && defined(OG_KERNELS)
KERNEL(test_halves)
{
	const T *x = og_in<T>(c, 0);
	T *a = og_out<T>(c, 0), *b = og_out<T>(c, 1);
	long long first = og_count(c.out[0]);
	for (long long i = og_first(); i < og_count(c.in[0]); i += og_stride())
		if (i < first) a[i] = x[i];
		else b[i - first] = x[i];
}
#endif
OP(test_halves, .name = "Halves", .domain = "tests", .since = 1, .doc = "The two halves of the first dimension.",
   .inputs = "x:T", .outputs = "a:T, b:T", .types = "T=f32 f16 bf16",
   ATTRS(OG_INT("count", 3), OG_ENUM("mode", "none|tanh", 0), OG_STR("label"), OG_INTS("sizes"), OG_FLOATS("scales")),
   .shape = test_halves_shape, .eval = test_halves_eval, .device = "test_halves", .cases = "f32[5,3]")
"""
EXAMPLES = sorted((ROOT / "examples" / "ops").glob("*.c"))
TYPES = {"FLOAT": (TensorProto.FLOAT, np.float32), "HALF": (TensorProto.FLOAT16, np.float16),
         "BF16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16)}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Swish as Opgraft has it, the examples, and the ops above."""
    folder = tmp_path_factory.mktemp("tensorrt")
    (folder / "halves.c").write_text(HALVES)
    ok("op", "build", ROOT / "src" / "ops" / "swish.c", *EXAMPLES, folder / "halves.c", "-o", folder / "libops.so",
       "--no-cuda")
    return folder / "libops.so"


@pytest.fixture(scope="module")
def lenet5(tmp_path_factory):
    """lenet5(type): LeNet-5 with Swish(beta=1.375) in the place of Relu, its weights in that type."""
    folder = tmp_path_factory.mktemp("lenet5")
    path = folder / "lenet5.onnx"
    ok("graft", MODELS / "lenet5_relu.onnx", "--map", "Relu=Swish,beta=1.375", "-o", path)

    def convert(name):
        number, dtype = TYPES[name]
        model = onnx.load(path)
        for weight in model.graph.initializer:
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(dtype), weight.name))
        for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
            value.type.tensor_type.elem_type = number
        onnx.save(model, folder / f"{name}.onnx")
        return folder / f"{name}.onnx"
    return convert


DIGITS = {"image": [[1, 1, 28, 28], [16, 1, 28, 28], [64, 1, 28, 28]]}


def node(path, op, shapes, dtype="FLOAT", domain="tests", n_out=1, **attributes):
    """A model of one node; shapes of its inputs may have names for sizes."""
    number, _ = TYPES[dtype]
    inputs = [helper.make_tensor_value_info(f"x{k}", number, shape) for k, shape in enumerate(shapes)]
    outputs = [helper.make_tensor_value_info(f"y{k}", number, None) for k in range(n_out)]
    made = helper.make_node(op, [i.name for i in inputs], [o.name for o in outputs], "node", domain=domain,
                            **attributes)
    opsets = [helper.make_opsetid("", 24)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    graph = helper.make_graph([made], "one", inputs, outputs)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=opsets), path)
    return path


def types_of(answer):
    return [layer["type"] for layer in answer["layers"]]


def said(answer, severity=None):
    """What the op library said through TensorRT's logger."""
    return [text for level, text in answer["log"] if text.startswith("opgraft: ") and level == (severity or level)]


def taken(answer):
    """{type: formats} that plugins were asked for and took."""
    sets = {}
    for text in said(answer):
        match = re.search(r" takes (\w+) in format (\w+)", text)
        if match:
            sets.setdefault(match[1], set()).add(match[2])
    return sets


def test_creators(tensorrt, library):
    creators = {name: (version, space, fields) for name, version, space, fields in
                tensorrt.drive(libraries=[library])["creators"]}
    assert creators["OgSwish"] == ("1", "", [["beta", "FLOAT32"]])
    assert creators["Halves"] == ("1", "", [["count", "INT32"], ["mode", "CHAR"], ["label", "CHAR"], ["sizes", "INT32"],
                                            ["scales", "FLOAT32"]])


@pytest.mark.parametrize("dtype", TYPES)
def test_lenet5(tensorrt, library, lenet5, tmp_path, dtype):
    """One plugin for each activation, in the network and in the engine, for any batch of the profile."""
    answer = tensorrt.drive(libraries=[library], model=lenet5(dtype), shapes=DIGITS, plan_file=tmp_path / "plan")
    assert answer["parsed"], answer["errors"]
    plugins = [layer for layer in answer["layers"] if layer["type"] == "PLUGIN_V3"]
    assert [layer["name"] for layer in plugins] == ["act1", "act2", "act3", "act4"]
    assert [layer["outputs"] for layer in plugins] == [[[-1, 6, 28, 28]], [[-1, 16, 10, 10]], [[-1, 120]], [[-1, 84]]]
    assert {layer["types"][0] for layer in plugins} == {dtype}
    assert "ACTIVATION" not in types_of(answer)
    assert answer["outputs"] == {"logits": [-1, 10]}
    assert sum(text.count("LayerType: custom_layer") for _, text in answer["log"] if text.startswith("Layers:")) == 4
    for layer in ("act1", "act2", "act3", "act4"):
        assert f"opgraft: building {layer}: OgSwish(beta=1.375)" in said(answer)
    plan = (tmp_path / "plan").read_bytes()
    assert plan.count(b"OgSwish") >= 4 and plan.count(struct.pack("<f", 1.375)) >= 4


def test_without_the_library_the_function_is_expanded(tensorrt, lenet5):
    answer = tensorrt.drive(model=lenet5("FLOAT"), shapes=DIGITS)
    assert answer["plan"] and "PLUGIN_V3" not in types_of(answer) and types_of(answer).count("ACTIVATION") == 4


def test_formats(tensorrt, library, lenet5):
    """All that TensorRT asks for of four dimensions, for formulas that keep the zeros of padding."""
    for dtype, formats in (("FLOAT", {"LINEAR", "CHW32", "HWC"}), ("BF16", {"LINEAR", "CHW2", "HWC8"}),
                           ("HALF", {"LINEAR", "CHW2", "HWC8", "CHW32", "HWC16"})):
        answer = tensorrt.drive(libraries=[library], model=lenet5(dtype), shapes=DIGITS)
        assert set(taken(answer)) == {dtype} and formats <= taken(answer)[dtype]


def test_padding_stays_zero(tensorrt, library, tmp_path):
    """Lift makes 1 of 0: no format that pads six channels."""
    shapes = {"x0": [[1, 6, 4, 4], [2, 6, 4, 4], [4, 6, 4, 4]]}
    model = node(tmp_path / "a.onnx", "Lift", [["n", 6, 4, 4]], "HALF")
    answer = tensorrt.drive(libraries=[library], model=model, shapes=shapes)
    assert answer["plan"] and {"LINEAR", "CHW2"} <= taken(answer)["HALF"]
    assert not taken(answer)["HALF"] & {"HWC8", "CHW4", "CHW32", "HWC16"}
    answer = tensorrt.drive(libraries=[library], model=node(tmp_path / "b.onnx", "Lift", [[2, 32, 4, 4]], "HALF"))
    assert answer["plan"] and {"LINEAR", "CHW2", "HWC8", "CHW32", "HWC16"} <= taken(answer)["HALF"]


@pytest.mark.parametrize("name", ["LINEAR", "CHW2", "HWC8", "CHW32", "HWC16"])
def test_formats_of_the_network(tensorrt, library, tmp_path, name):
    model = node(tmp_path / "a.onnx", "Lift", [["n", 32, 8, 8]], "HALF", by=-0.5)
    answer = tensorrt.drive(libraries=[library], model=model, formats={"x0": name, "y0": name},
                            shapes={"x0": [[1, 32, 8, 8], [4, 32, 8, 8], [8, 32, 8, 8]]})
    assert answer["plan"] and name in taken(answer)["HALF"], said(answer)


def test_fields(tensorrt, library):
    good = [["OgSwish", {}], ["OgSwish", {"beta": ["FLOAT32", [2]]}], ["OgSwish", {"beta": ["FLOAT64", [0.5]]}],
            ["Halves", {"mode": ["CHAR", "tanh"], "sizes": ["INT32", [1, 2, 3]], "scales": ["FLOAT32", [0.5]]}],
            ["Lift", {"by": ["FLOAT32", [-8]]}]]
    bad = [[["OgSwish", {"beta": ["INT32", [1]]}],
            "attribute 'beta' of OgSwish takes one number such as FLOAT32, not 1 of type INT32"],
           [["OgSwish", {"gamma": ["FLOAT32", [1]]}], "OgSwish has no attribute 'gamma'"],
           [["OgSwish", {"beta": ["FLOAT32", [1, 2]]}], "not 2 of type FLOAT32"],
           [["Lift", {"by": ["FLOAT32", [8.5]]}], "attribute 'by' is 8.5, but must be in [-8, 8]"],
           [["Halves", {"mode": ["CHAR", "sine"]}], "'mode'"],
           [["Halves", {"sizes": ["FLOAT32", [1]]}],
            "attribute 'sizes' of Halves takes whole numbers, not 1 of type FLOAT32"],
           [["Halves", {"count": ["INT32", []]}], "not 0 of type INT32"]]
    for phase in ("BUILD", "RUNTIME"):
        requests = [[name, fields, phase] for name, fields in good + [request for request, _ in bad]]
        answer = tensorrt.drive(libraries=[library], create=requests)
        assert answer["created"] == [True] * len(good) + [False] * len(bad)
        errors = said(answer, "ERROR")
        assert len(errors) == len(bad)
        for error, (_, want) in zip(errors, bad):
            assert error.startswith("opgraft: layer: ") and want in error


def test_a_bad_attribute_stops_the_parser(tensorrt, library, tmp_path):
    answer = tensorrt.drive(libraries=[library], model=node(tmp_path / "a.onnx", "Lift", [[2, 3]], by=9.0))
    assert not answer["parsed"]
    assert "opgraft: node: Lift: attribute 'by' is 9, but must be in [-8, 8]" in said(answer, "ERROR")


def test_a_bad_type_is_refused(tensorrt, library, tmp_path):
    model = onnx.load(node(tmp_path / "a.onnx", "Lift", [[2, 3]]))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32
    onnx.save(model, tmp_path / "a.onnx")
    answer = tensorrt.drive(libraries=[library], model=tmp_path / "a.onnx")
    assert not answer.get("plan")
    assert any("input 'x' of type i32 is not supported" in text for text in said(answer, "ERROR"))


def test_attributes_of_every_kind(tensorrt, library, tmp_path):
    """And two outputs, from one dimension by the op's own rule, at the profile's sizes."""
    model = node(tmp_path / "a.onnx", "Halves", [["n", 6]], n_out=2, count=-7, mode="tanh", label="a b", sizes=[3, -4],
                 scales=[0.25, 1e-3])
    answer = tensorrt.drive(libraries=[library], model=model, shapes={"x0": [[1, 6], [5, 6], [9, 6]]})
    assert answer["plan"] and types_of(answer) == ["PLUGIN_V3"]
    assert answer["outputs"] == {"y0": [-1, 6], "y1": [-1, 6]}
    given = "Halves(count=-7, mode=tanh, label=a b, sizes=[3,-4], scales=[0.25,0.00100000005])"
    assert f"opgraft: building node: {given}" in said(answer)
    fixed = tensorrt.drive(libraries=[library], model=node(tmp_path / "b.onnx", "Halves", [[7, 2]], n_out=2))
    assert fixed["plan"] and fixed["outputs"] == {"y0": [4, 2], "y1": [3, 2]}


@pytest.mark.parametrize("shapes, want", [
    ([[4, 3, 5], [4, 3, 5]], [4, 3, 5]), ([[4, 3, 5], [3, 1]], [4, 3, 5]), ([[1, 5], [4, 3, 1]], [4, 3, 5]),
    ([["n", 3, 5], [3, 5]], [-1, 3, 5]), ([["n", 3, 5], ["m", 1, 5]], [-1, 3, 5]), ([[7, "k"], ["n", 1]], [7, -1])])
def test_inputs_that_broadcast(tensorrt, library, tmp_path, shapes, want):
    model = node(tmp_path / "a.onnx", "SwiGLU", shapes, domain="examples")
    profile = {f"x{k}": [[s if isinstance(s, int) else size for s in shape] for size in (2, 7, 7)]
               for k, shape in enumerate(shapes) if any(isinstance(s, str) for s in shape)}
    answer = tensorrt.drive(libraries=[library], model=model, shapes=profile)
    assert answer["plan"] and types_of(answer) == ["PLUGIN_V3"], answer["errors"]
    assert answer["outputs"] == {"y0": want}


def test_a_native_operator_is_overridden(tensorrt, library, tmp_path):
    """The library has a Swish, which the parser knows itself: by its flag, or by an attribute of the node."""
    plain = node(tmp_path / "a.onnx", "Swish", [[2, 3]], domain="", alpha=1.5)
    named = node(tmp_path / "b.onnx", "Swish", [[2, 3]], domain="", alpha=1.5, plugin_namespace="")
    assert "PLUGIN_V3" not in types_of(tensorrt.drive(libraries=[library], model=plain))
    for request in ({"model": plain, "override": True}, {"model": named}):
        answer = tensorrt.drive(libraries=[library], **request)
        assert answer["plan"] and types_of(answer) == ["PLUGIN_V3"]
        assert "opgraft: building node: Swish(alpha=1.5)" in said(answer)


def test_two_libraries_with_one_op(tensorrt, library, lenet5, tmp_path):
    """TensorRT refuses the second as a whole and goes on with the first."""
    second = tmp_path / "libsecond.so"
    ok("op", "build", ROOT / "src" / "ops" / "swish.c", "-o", second, "--no-cuda")
    answer = tensorrt.drive(libraries=[library, second, library], model=lenet5("FLOAT"), shapes=DIGITS)
    assert answer["plan"] and types_of(answer).count("PLUGIN_V3") == 4
    assert sum(name == "OgSwish" for name, *_ in answer["creators"]) == 1


def test_a_library_that_is_unloaded_and_loaded_again(tensorrt, library, lenet5):
    answer = tensorrt.drive(libraries=[library], reload=True, model=lenet5("FLOAT"), shapes=DIGITS)
    assert answer["plan"] and types_of(answer).count("PLUGIN_V3") == 4
    assert "opgraft: building act1: OgSwish(beta=1.375)" in said(answer)


def test_no_code_for_gpus_is_said(tensorrt, library, tmp_path):
    answer = tensorrt.drive(libraries=[library], model=node(tmp_path / "a.onnx", "Lift", [[2, 3]]))
    assert any("has no CUDA code" in text for text in said(answer, "WARNING"))


def first_case(path):
    """(op name, domain, number of outputs, [(type, shape)], attributes) of the first test case in an op file."""
    text = path.read_text()
    find = lambda field: re.search(rf'\.{field} = "([^"]*)"', text)[1]
    tensors, _, attributes = find("cases").split("|")[0].partition(";")
    shapes = [[int(d) for d in re.findall(r"\d+", dims)] for dims in re.findall(r"f32\[([0-9,]*)\]", tensors)]
    values = dict(part.strip().split("=") for part in attributes.split(",") if part.strip())
    values = {key: int(value) if f'OG_INT("{key}"' in text else float(value) for key, value in values.items()}
    return find("name"), find("domain"), find("outputs").count(":"), shapes, values


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("dtype", ["FLOAT", "HALF"])
def test_examples(tensorrt, library, tmp_path, path, dtype):
    name, domain, n_out, shapes, attributes = first_case(path)
    model = node(tmp_path / "a.onnx", name, shapes, dtype, domain, n_out, **attributes)
    answer = tensorrt.drive(libraries=[library], model=model)
    assert answer["parsed"] and answer["plan"], (answer["errors"], said(answer))
    assert types_of(answer) == ["PLUGIN_V3"]


def test_the_abi_of_a_users_sdk():
    """OPGRAFT_TENSORRT_INCLUDE names the include folder of an SDK, whose headers are then compared with ours."""
    folder = os.environ.get("OPGRAFT_TENSORRT_INCLUDE")
    done = subprocess.run(["sh", ROOT / "tools" / "check_tensorrt_abi.sh", *([folder] if folder else [])],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    if not folder:
        assert "skipped" in done.stdout
        pytest.skip("no OPGRAFT_TENSORRT_INCLUDE")
    assert ", 0 differ" in done.stdout
