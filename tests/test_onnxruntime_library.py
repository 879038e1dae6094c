"""An op library inside the real ONNX Runtime: which kernel ran, bits, types, shapes, threads, sessions, and what is refused."""
import concurrent.futures
import ctypes
import json
import subprocess
import time

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from conftest import MODELS, ROOT, digits, infer, ok, relative_error

FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64}


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The built-in Swish and every example op."""
    path = tmp_path_factory.mktemp("library") / "libops.so"
    ok("op", "build", ROOT / "src" / "ops" / "swish.c", *sorted((ROOT / "examples" / "ops").glob("*.c")), "-o", path, "--no-cuda", "-q",
       timeout=600)
    return path


def session(model, library=None, threads=1, profile=None, fused=True):
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 4
    if not fused:
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if profile:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(profile)
    if library:
        settings.register_custom_ops_library(str(library))
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return onnxruntime.InferenceSession(source, settings, providers=["CPUExecutionProvider"])


def kernels(session):
    """Names of the ops whose kernels ran."""
    events = json.load(open(session.end_profiling()))
    return [event["args"]["op_name"] for event in events if event.get("cat") == "Node" and event["name"].endswith("kernel_time")]


def one_node(op, inputs, domain="examples", outputs=1, **attributes):
    """A network of one node; inputs: [(element type, dims)]."""
    names = [f"x{k}" for k in range(len(inputs))]
    node = helper.make_node(op, names, [f"y{k}" for k in range(outputs)], domain=domain, name="it", **attributes)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info(name, *info) for name, info in zip(names, inputs)],
                              [helper.make_tensor_value_info(f"y{k}", inputs[0][0], None) for k in range(outputs)])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)])


# ---- LeNet-5 ------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def lenet5(tmp_path_factory):
    path = tmp_path_factory.mktemp("lenet5") / "swish.onnx"
    ok("graft", MODELS / "lenet5_relu.onnx", "-o", path, "--map", "Relu=Swish,beta=1.25", "-q")
    return path


def test_the_same_file_with_and_without_the_library(lenet5, library, tmp_path):
    images = digits()[0]
    with_library = session(lenet5, library, profile=tmp_path / "with")
    without = session(lenet5, profile=tmp_path / "without")
    for batch in (1, 7, 64):
        got, want = (s.run(None, {"image": images[:batch]})[0] for s in (with_library, without))
        assert got.shape == (batch, 10) and relative_error(got, want) < 1e-5
    ran, expanded = kernels(with_library), kernels(without)
    assert ran.count("OgSwish") == 3 * 4 and not {"Sigmoid", "Exp", "QuickGelu"} & set(ran)
    assert "OgSwish" not in expanded and {"Sigmoid", "QuickGelu"} & set(expanded)


def test_several_sessions_and_threads(lenet5, library):
    images = digits()[0]
    sessions = [session(lenet5, library, threads=threads) for threads in (1, 2, 2)]
    want = {batch: sessions[0].run(None, {"image": images[:batch]})[0] for batch in range(1, 20)}

    def work(k):
        batch = 1 + k % 19
        got = sessions[k % 3].run(None, {"image": images[:batch]})[0]
        return np.array_equal(got, want[batch])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))


# ---- bits ---------------------------------------------------------------------------------------

def floats(count, seed):
    """Bit patterns of every kind: all exponents, denormals, infinities, NaN."""
    bits = np.random.default_rng(seed).integers(0, 1 << 32, count, dtype=np.uint32)
    bits[:8] = [0, 0x80000000, 1, 0x80000001, 0x7f800000, 0xff800000, 0x7fc00000, 0x3f800000]
    return bits.view(np.float32)


ELEMENTWISE = [("SwishBeta", 1, {"beta": 1.5}), ("MishActivation", 1, {}), ("GeluTanh", 1, {}), ("Snake", 1, {"alpha": 0.75}),
               ("StarReLU", 1, {"scale": 0.5, "bias": -0.25}), ("SwiGLU", 2, {}), ("PReluChannel", 2, {}), ("FakeQuantize", 2, {"levels": 7.0})]


@pytest.mark.parametrize("op, inputs, attributes", ELEMENTWISE, ids=[case[0] for case in ELEMENTWISE])
def test_float32_has_opgrafts_bits(library, tmp_path, op, inputs, attributes):
    arrays = {f"x{k}": floats(50001, seed=k) for k in range(inputs)}
    model = one_node(op, [(TensorProto.FLOAT, ["n"])] * inputs, **attributes)
    onnx.save(model, tmp_path / "m.onnx")
    want = infer(tmp_path, tmp_path / "m.onnx", arrays, "y0", "--ops", library)
    for threads in (1, 2):
        got = session(model, library, threads).run(None, arrays)[0]
        same = got.view(np.uint32) == want.view(np.uint32)
        assert (same | (np.isnan(got) & np.isnan(want))).all()


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16], ids=["f32", "f16"])
def test_types_and_shapes(library, kind):
    dtype = FLOATS[kind]
    run = session(one_node("SwishBeta", [(kind, ["n", 3, "m"])], beta=2.0), library)
    for n, m in ((0, 4), (1, 1), (5, 7), (3, 0), (2, 1000)):
        x = np.random.default_rng(n).standard_normal((n, 3, m)).astype(dtype)
        y = run.run(None, {"x0": x})[0]
        wide = x.astype(np.float64)
        assert y.dtype == dtype and y.shape == x.shape
        assert np.allclose(y, wide / (1 + np.exp(-2 * wide)), rtol=2e-3 if dtype == np.float16 else 1e-6, atol=1e-6)


def test_a_type_that_the_op_does_not_have_is_refused(library):
    with pytest.raises(Exception, match="tensor\\(int64\\)|Type Error"):
        session(one_node("SwishBeta", [(TensorProto.INT64, [3])]), library)


@pytest.mark.parametrize("attributes, what", [({"alpha": 5000.0}, "alpha"), ({"alpha": "much"}, "alpha")], ids=["range", "type"])
def test_a_bad_attribute_is_refused_with_its_name(library, attributes, what):
    with pytest.raises(Exception, match=f"Snake.*{what}"):
        session(one_node("Snake", [(TensorProto.FLOAT, [3])], **attributes), library)


# ---- broadcasting, rows, general ------------------------------------------------------------------

def test_inputs_broadcast(library):
    rng = np.random.default_rng(4)
    x, slope = rng.standard_normal((2, 5, 4, 3), np.float32), rng.standard_normal((5, 1, 1), np.float32)
    run = session(one_node("PReluChannel", [(TensorProto.FLOAT, ["n", 5, "h", "w"]), (TensorProto.FLOAT, [5, 1, 1])]), library)
    assert np.array_equal(run.run(None, {"x0": x, "x1": slope})[0], np.where(x < 0, x * slope, x))


def test_rows(library):
    rng = np.random.default_rng(5)
    x, weight = rng.standard_normal((3, 4, 257), np.float32), rng.standard_normal(257, np.float32)
    run = session(one_node("RMSNorm", [(TensorProto.FLOAT, ["n", 4, 257]), (TensorProto.FLOAT, [257])], epsilon=0.01), library, threads=2)
    wide = x.astype(np.float64)
    want = wide / np.sqrt((wide * wide).mean(-1, keepdims=True) + 0.01) * weight
    assert np.allclose(run.run(None, {"x0": x, "x1": weight})[0], want, rtol=1e-5, atol=1e-6)
    run = session(one_node("SoftmaxTemperature", [(TensorProto.FLOAT, ["n", 4, "m"])], temperature=0.5, axis=1), library)
    e = np.exp(2 * (wide - wide.max(1, keepdims=True)))
    assert np.allclose(run.run(None, {"x0": x})[0], e / e.sum(1, keepdims=True), rtol=1e-5, atol=1e-7)


def test_an_op_that_is_no_formula(library):
    x = np.arange(2 * 6 * 5, dtype=np.float32).reshape(2, 6, 5)
    model = one_node("ChannelShuffle", [(TensorProto.FLOAT, ["n", "c", 5])], groups=3)
    run = session(model, library)
    assert np.array_equal(run.run(None, {"x0": x})[0], x.reshape(2, 3, 2, 5).transpose(0, 2, 1, 3).reshape(2, 6, 5))
    with pytest.raises(Exception, match="it.*ChannelShuffle.*4 channels"):
        run.run(None, {"x0": x[:, :4]})


def test_shapes_are_inferred_with_their_names(library):
    model = one_node("RMSNorm", [(TensorProto.FLOAT, ["batch", 4, "width"]), (TensorProto.FLOAT, ["width"])])
    assert session(model, library).get_outputs()[0].shape == ["batch", 4, "width"]


# ---- the library itself ----------------------------------------------------------------------------

def test_an_old_onnxruntime_is_told(library):
    """An OrtApiBase that offers version 1 only, whose CreateStatus keeps the message."""
    said = []
    create = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)(lambda code, text: said.append((code, text)) or 1)
    api = (ctypes.c_void_p * 1)(ctypes.cast(create, ctypes.c_void_p))
    get = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)(lambda version: ctypes.addressof(api) if version == 1 else None)
    base = (ctypes.c_void_p * 2)(ctypes.cast(get, ctypes.c_void_p), None)
    register = ctypes.CDLL(str(library)).RegisterCustomOps
    register.restype, register.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p]
    assert register(None, ctypes.addressof(base)) == 1
    assert said and b"1.18" in said[0][1]


def test_what_the_library_shows_and_needs(library):
    shown = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout.split()[2::3]
    assert sorted(shown) == ["RegisterCustomOps", "getCreators", "og_op_library", "setLoggerFinder"]
    needed = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True).stdout
    names = {line.split("[")[1].split("]")[0] for line in needed.splitlines() if "NEEDED" in line}
    assert names <= {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "ld-linux-x86-64.so.2"}


def test_speed_is_printed(library, record_property):
    """1M elements, one thread, beside ONNX Runtime's own nodes; docs/onnxruntime.md has the numbers of a quiet machine."""
    four = [helper.make_node("Neg", ["x0"], ["a"]), helper.make_node("Exp", ["a"], ["b"]), helper.make_node("Add", ["b", "one"], ["c"]),
            helper.make_node("Div", ["x0", "c"], ["y0"])]
    graph = helper.make_graph(four, "g", [helper.make_tensor_value_info("x0", TensorProto.FLOAT, [1 << 20])],
                              [helper.make_tensor_value_info("y0", TensorProto.FLOAT, None)],
                              [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])])
    primitive = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    runs = {"nodes": session(primitive), "grafted": session(one_node("SwishBeta", [(TensorProto.FLOAT, [1 << 20])]), library)}
    x, y = np.random.default_rng(6).standard_normal(1 << 20, np.float32), np.empty(1 << 20, np.float32)
    best = dict.fromkeys(runs, 1e9)
    for _ in range(15):
        for name, run in runs.items():
            io = run.io_binding()
            io.bind_cpu_input("x0", x)
            io.bind_output("y0", "cpu", 0, np.float32, y.shape, y.ctypes.data)
            start = time.perf_counter()
            run.run_with_iobinding(io)
            best[name] = min(best[name], time.perf_counter() - start)
    print({name: f"{seconds * 1e6:.0f} us" for name, seconds in best.items()})
    wide = x.astype(np.float64)
    assert np.allclose(y, wide / (1 + np.exp(-wide)), rtol=1e-6, atol=1e-7)
