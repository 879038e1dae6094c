"""The runtimes of the benchmark, each through its C or C++ interface and through Python's, in a process of its own.

    bench_runtimes.py serve RUNTIME INTERFACE THREADS BUILD      answers requests, one JSON a line (tools/bench_run.py)
    bench_runtimes.py start RUNTIME INTERFACE THREADS BUILD      one inference of the request on standard input, from nothing

A runtime opens a network for a batch size and gives a request, which computes answer(x) and time(n): seconds of n inferences
on data that lies where the interface wants it. Through C, a loop in bench/calls.c calls the runtime's own library."""
import ctypes
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import signal
import sys
import time

import numpy as np

from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int64, c_long, c_size_t, c_void_p


class Refused(Exception):
    """A sentence: why a runtime does not run a network."""


def package(name):
    """The folder of an installed package, without importing it."""
    found = importlib.util.find_spec(name)
    if not found or not found.submodule_search_locations:
        raise Refused(f"{name} is not installed")
    return pathlib.Path(found.submodule_search_locations[0])


def one_file(folder, pattern):
    found = sorted(folder.glob(pattern))
    if not found:
        raise Refused(f"{folder} has no {pattern}")
    return found[0]


# ---- requests ----------------------------------------------------------------------------------

class Call(ctypes.Structure):
    _fields_ = [("function", c_void_p), ("arguments", c_int), ("status", c_int), ("argument", c_void_p * 3)]


class CRequest:
    """An inference as calls (function, arguments, whether it returns a status), and the arrays that they read and write."""

    def __init__(self, timer, calls, x, y, keep):
        self.timer, self.x, self.y, self.keep = timer, x, y, keep
        self.calls = (Call * len(calls))()
        for k, (function, arguments, status) in enumerate(calls):
            self.calls[k] = Call(ctypes.cast(function, c_void_p), len(arguments), status, (c_void_p * 3)(*arguments))

    def time(self, repeats):
        seconds = self.timer(self.calls, len(self.calls), repeats)
        if seconds < 0:
            raise Refused("an inference failed")
        return seconds

    def answer(self, x):
        self.x[...] = x.reshape(self.x.shape)
        self.time(1)
        return self.y.copy()


class PythonRequest:
    """An inference as a Python function of an array."""

    def __init__(self, infer, x):
        self.infer, self.x = infer, x

    def time(self, repeats):
        infer, x = self.infer, self.x
        start = time.perf_counter()
        for _ in range(repeats):
            infer(x)
        return time.perf_counter() - start

    def answer(self, x):
        self.x = x
        return np.array(self.infer(x), copy=True)


def timer(build):
    library = ctypes.CDLL(str(build / "bench" / "calls.so"))
    library.bench_time.restype, library.bench_time.argtypes = c_double, [POINTER(Call), c_int, c_long]
    library.bench_copy.restype, library.bench_copy.argtypes = c_double, [c_void_p, c_void_p, c_size_t, c_int]
    return library


def shape_of(net, batch):
    return (batch, *net["shape"])


# ---- Opgraft, and ONNX Runtime through Opgraft's own host of its C API -----------------------------

class Tensor(ctypes.Structure):
    _fields_ = [("dtype", c_int), ("rank", c_int), ("dims", c_int64 * 8), ("data", c_void_p)]

    def __init__(self, array):
        super().__init__(OG_F32, array.ndim, (c_int64 * 8)(*array.shape), array.ctypes.data)


class Binding(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("rank", c_int), ("dims", c_int64 * 8), ("value", c_void_p)]


class BuildOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("device", c_char_p), ("precision", c_char_p), ("bindings", POINTER(Binding)),
                ("n_bindings", c_int), ("threads", c_int), ("no_fuse", c_int), ("dump", c_void_p), ("dump_arg", c_void_p)]


class PeerOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("threads", c_int), ("libraries", POINTER(c_char_p)), ("n_libraries", c_int)]


OG_F32 = 0                               # set by Opgraft


class Opgraft:
    """libopgraft.so through opgraft.h."""
    package = ""

    def __init__(self, threads, build):
        global OG_F32
        self.threads, self.timer = threads, timer(build).bench_time
        self.og = ctypes.CDLL(str(build / "libopgraft.so"))
        for name in ("og_error", "og_version", "og_cpu_level"):
            getattr(self.og, name).restype = c_char_p
        OG_F32 = self.og.og_dtype_find(b"f32")
        self.loaded = set()

    def check(self, status):
        if status:
            raise Refused(self.og.og_error().decode())

    def version(self):
        return self.og.og_version().decode()

    def plan(self, net, batch, threads):
        if net["library"] and net["library"] not in self.loaded:
            self.check(self.og.og_ops_load(net["library"].encode()))
            self.loaded.add(net["library"])
        plan = c_void_p()
        if net.get("plan"):
            self.check(self.og.og_plan_load(byref(plan), net["plan"].encode()))
            return plan
        model, shape = c_void_p(), shape_of(net, batch)
        self.check(self.og.og_model_load(byref(model), net["onnx"].encode()))
        binding = Binding(net["input"].encode(), len(shape), (c_int64 * 8)(*shape), None)
        options = BuildOptions(size=ctypes.sizeof(BuildOptions), bindings=ctypes.pointer(binding), n_bindings=1, threads=threads)
        self.check(self.og.og_plan_build(byref(plan), model, byref(options)))
        self.og.og_model_free(model)
        return plan

    def open(self, net, batch):
        plan, session = self.plan(net, batch, self.threads), c_void_p()
        self.check(self.og.og_session_create(byref(session), plan, self.threads))
        x, y = np.zeros(shape_of(net, batch), np.float32), np.zeros((batch, net["outputs"]), np.float32)
        inputs, outputs = (c_void_p * 1)(x.ctypes.data), (c_void_p * 1)(y.ctypes.data)
        return CRequest(self.timer, [(self.og.og_session_run, (session.value, ctypes.addressof(inputs), ctypes.addressof(outputs)), 1)],
                        x, y, (inputs, outputs))


class OnnxRuntimeC(Opgraft):
    """libonnxruntime.so through og_peer_*, which binds its C API."""
    package = "onnxruntime"

    def __init__(self, threads, build):
        os.environ["OPGRAFT_ONNXRUNTIME"] = str(one_file(package("onnxruntime") / "capi", "libonnxruntime.so.*"))
        super().__init__(threads, build)

    def open(self, net, batch):
        peer, libraries = c_void_p(), (c_char_p * 1)(net["library"].encode())
        options = PeerOptions(ctypes.sizeof(PeerOptions), self.threads, libraries, 1 if net["library"] else 0)
        self.check(self.og.og_peer_open_with(byref(peer), net["onnx"].encode(), byref(options)))
        x, y = np.zeros(shape_of(net, batch), np.float32), np.zeros((batch, *net["answer"]), np.float32)
        tensors = Tensor(x), Tensor(y)
        pointers = [(c_void_p * 1)(ctypes.addressof(tensor)) for tensor in tensors]
        self.check(self.og.og_peer_bind(peer, *pointers))
        return CRequest(self.timer, [(self.og.og_peer_run, (peer.value,), 1)], x, y, (tensors, pointers))


class OnnxRuntimePython:
    package = "onnxruntime"

    def __init__(self, threads, build):
        import onnxruntime
        self.onnxruntime, self.threads = onnxruntime, threads

    def open(self, net, batch):
        settings = self.onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = self.threads, 1
        if net["library"]:
            settings.register_custom_ops_library(net["library"])
        session = self.onnxruntime.InferenceSession(net["onnx"], settings, providers=["CPUExecutionProvider"])
        name = net["input"]
        return PythonRequest(lambda x: session.run(None, {name: x})[0], np.zeros(shape_of(net, batch), np.float32))


# ---- OpenVINO ------------------------------------------------------------------------------------

class Dimension(ctypes.Structure):
    _fields_ = [("low", c_int64), ("high", c_int64)]


class PartialShape(ctypes.Structure):
    _fields_ = [("rank", Dimension), ("dims", POINTER(Dimension))]


OPENVINO = {"NUM_STREAMS": "1", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


class OpenVinoC:
    """libopenvino_c.so; answers lie in the request's own tensors, as its samples do it."""
    package = "openvino"

    def __init__(self, threads, build):
        self.timer, self.core = timer(build).bench_time, c_void_p()
        self.ov = ctypes.CDLL(str(one_file(package("openvino") / "libs", "libopenvino_c.so.*")))
        self.ov.ov_get_last_err_msg.restype = c_char_p
        self.check(self.ov.ov_core_create(byref(self.core)))
        for key, value in {**OPENVINO, "INFERENCE_NUM_THREADS": str(threads)}.items():
            self.check(self.ov.ov_core_set_property(self.core, b"CPU", c_char_p(key.encode()), c_char_p(value.encode())))

    def check(self, status):
        if status:
            raise Refused(f"OpenVINO: {(self.ov.ov_get_last_err_msg() or b'').decode()} ({status})")

    def data(self, tensor, shape):
        where = c_void_p()
        self.check(self.ov.ov_tensor_data(tensor, byref(where)))
        return np.ctypeslib.as_array(ctypes.cast(where, POINTER(ctypes.c_float)), shape)

    def open(self, net, batch):
        model, compiled, request, x, y = (c_void_p() for _ in range(5))
        shape = shape_of(net, batch)
        dims = (Dimension * len(shape))(*((n, n) for n in shape))
        self.check(self.ov.ov_core_read_model(self.core, net["onnx"].encode(), None, byref(model)))
        self.check(self.ov.ov_model_reshape_single_input(model, PartialShape(Dimension(len(shape), len(shape)), dims)))
        self.check(self.ov.ov_core_compile_model(self.core, model, b"CPU", c_size_t(0), byref(compiled)))
        self.check(self.ov.ov_compiled_model_create_infer_request(compiled, byref(request)))
        self.check(self.ov.ov_infer_request_get_input_tensor(request, byref(x)))
        self.check(self.ov.ov_infer_request_get_output_tensor(request, byref(y)))
        self.ov.ov_model_free(model)
        return CRequest(self.timer, [(self.ov.ov_infer_request_infer, (request.value,), 1)],
                        self.data(x, shape), self.data(y, (batch, net["outputs"])), compiled)


class OpenVinoPython:
    package = "openvino"

    def __init__(self, threads, build):
        import openvino
        self.core = openvino.Core()
        self.core.set_property("CPU", {**OPENVINO, "INFERENCE_NUM_THREADS": threads})

    def open(self, net, batch):
        model = self.core.read_model(net["onnx"])
        model.reshape(list(shape_of(net, batch)))
        request = self.core.compile_model(model, "CPU").create_infer_request()
        return PythonRequest(lambda x: request.infer([x], share_inputs=True, share_outputs=True)[0],
                             np.zeros(shape_of(net, batch), np.float32))


# ---- ncnn: its wheel exports nothing but Python ---------------------------------------------------------

class NcnnPython:
    package = "ncnn"

    def __init__(self, threads, build):
        import ncnn
        self.ncnn, self.threads = ncnn, threads

    def open(self, net, batch):
        if not net["ncnn"]:
            raise Refused("there is no file for ncnn: " + (net["why"] or "it was not converted"))
        runner = self.ncnn.Net()
        runner.opt.num_threads = self.threads
        for name in ("use_vulkan_compute", "use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(runner.opt, name, False)
        if runner.load_param(net["ncnn"] + ".param") or runner.load_model(net["ncnn"] + ".bin"):
            raise Refused("ncnn does not read its files")
        mat, outputs = self.ncnn.Mat, net["outputs"]

        def infer(x):
            """A network of ncnn has no batch: one sample after the other, whose Mats lie over the array."""
            y = np.empty((batch, outputs), np.float32)
            for k in range(batch):
                run = runner.create_extractor()
                run.input("in0", mat(x[k]))
                status, out = run.extract("out0")
                if status:
                    raise Refused(f"ncnn: an inference failed ({status})")
                y[k] = np.asarray(out).ravel()
            return y
        return PythonRequest(infer, np.zeros(shape_of(net, batch), np.float32))


# ---- MNN ------------------------------------------------------------------------------------------

class BackendConfig(ctypes.Structure):
    _fields_ = [("memory", c_int), ("power", c_int), ("precision", c_int), ("flags", c_size_t)]


class ScheduleConfig(ctypes.Structure):
    """As include/MNN/Interpreter.hpp has it; empty vectors of C++ are three null pointers."""
    _fields_ = [("save", c_void_p * 3), ("type", c_int), ("threads", c_int), ("inputs", c_void_p * 3), ("outputs", c_void_p * 3),
                ("mode", c_int64), ("backup", c_int64), ("backend", POINTER(BackendConfig))]


HIGH_PRECISION, HOST_POINTER, CAFFE = 1, 16, 1                 # the place of the data in a Tensor, in bytes; NCHW


class MnnC:
    """The C++ interface, by its mangled names: what is timed is copyFromHostTensor, runSession, copyToHostTensor."""
    package = "MNN"

    def __init__(self, threads, build):
        self.timer, self.threads = timer(build).bench_time, threads
        self.mnn = ctypes.PyDLL(str(one_file(package("MNN").parent, "_mnncengine*.so")))
        for name in ("_ZN3MNN11Interpreter14createFromFileEPKc", "_ZN3MNN11Interpreter13createSessionERKNS_14ScheduleConfigE",
                     "_ZN3MNN11Interpreter15getSessionInputEPKNS_7SessionEPKc", "_ZN3MNN11Interpreter16getSessionOutputEPKNS_7SessionEPKc"):
            getattr(self.mnn, name).restype = c_void_p

    def host_tensor(self, like, shape):
        """A host tensor (NCHW) shaped as another, and its data as an array."""
        room = ctypes.create_string_buffer(4096)
        self.mnn._ZN3MNN6TensorC1EPKS0_NS0_13DimensionTypeEb(room, c_void_p(like), CAFFE, True)
        where = c_void_p.from_buffer(room, HOST_POINTER)
        return room, np.ctypeslib.as_array(ctypes.cast(where, POINTER(ctypes.c_float)), shape)

    def open(self, net, batch):
        if not net["mnn"]:
            raise Refused("there is no file for MNN: " + (net["why"] or "it was not converted"))
        mnn, shape = self.mnn, shape_of(net, batch)
        backend = BackendConfig(precision=HIGH_PRECISION)
        config = ScheduleConfig(threads=self.threads, backend=ctypes.pointer(backend))
        interpreter = mnn._ZN3MNN11Interpreter14createFromFileEPKc(net["mnn"].encode())
        if not interpreter:
            raise Refused("MNN does not read its file")
        this = c_void_p(interpreter)
        session = mnn._ZN3MNN11Interpreter13createSessionERKNS_14ScheduleConfigE(this, byref(config))
        if not session:
            raise Refused("MNN makes no session")
        x = mnn._ZN3MNN11Interpreter15getSessionInputEPKNS_7SessionEPKc(this, c_void_p(session), None)
        dims = (c_int * len(shape))(*shape)
        begin, end = ctypes.addressof(dims), ctypes.addressof(dims) + 4 * len(shape)
        mnn._ZN3MNN11Interpreter12resizeTensorEPNS_6TensorERKSt6vectorIiSaIiEE(this, c_void_p(x), (c_void_p * 3)(begin, end, end))
        mnn._ZN3MNN11Interpreter13resizeSessionEPNS_7SessionE(this, c_void_p(session))
        y = mnn._ZN3MNN11Interpreter16getSessionOutputEPKNS_7SessionEPKc(this, c_void_p(session), None)
        from_room, from_array = self.host_tensor(x, shape)
        to_room, to_array = self.host_tensor(y, (batch, net["outputs"]))
        calls = [(mnn._ZN3MNN6Tensor18copyFromHostTensorEPKS0_, (x, ctypes.addressof(from_room)), 0),
                 (mnn._ZNK3MNN11Interpreter10runSessionEPNS_7SessionE, (interpreter, session), 1),
                 (mnn._ZNK3MNN6Tensor16copyToHostTensorEPS0_, (y, ctypes.addressof(to_room)), 0)]
        return CRequest(self.timer, calls, from_array, to_array, (from_room, to_room, config, backend))


class MnnPython:
    package = "MNN"

    def __init__(self, threads, build):
        import MNN
        self.mnn, self.threads = MNN, threads

    def open(self, net, batch):
        if not net["mnn"]:
            raise Refused("there is no file for MNN: " + (net["why"] or "it was not converted"))
        mnn, shape = self.mnn, shape_of(net, batch)
        interpreter = mnn.Interpreter(net["mnn"])
        session = interpreter.createSession({"backend": "CPU", "numThread": self.threads, "precision": "high"})
        x = interpreter.getSessionInput(session)
        interpreter.resizeTensor(x, shape)
        interpreter.resizeSession(session)
        y, answer = interpreter.getSessionOutput(session), (batch, *net["answer"])
        array = np.zeros(answer, np.float32)
        to = mnn.Tensor(answer, mnn.Halide_Type_Float, array, mnn.Tensor_DimensionType_Caffe)

        def infer(data):
            x.copyFrom(mnn.Tensor(shape, mnn.Halide_Type_Float, data, mnn.Tensor_DimensionType_Caffe))
            interpreter.runSession(session)
            y.copyToHostTensor(to)
            return np.asarray(to.getNumpyData())
        return PythonRequest(infer, np.zeros(shape, np.float32))


RUNTIMES = {                             # runtime, interface
    ("opgraft", "c"): Opgraft,
    ("onnxruntime", "c"): OnnxRuntimeC, ("onnxruntime", "python"): OnnxRuntimePython,
    ("openvino", "c"): OpenVinoC, ("openvino", "python"): OpenVinoPython,
    ("ncnn", "python"): NcnnPython,
    ("mnn", "c"): MnnC, ("mnn", "python"): MnnPython,
}
TITLES = {"opgraft": "Opgraft", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "ncnn": "ncnn", "mnn": "MNN"}


def installed(runtime):
    names = {"mnn": "MNN"}
    try:
        return importlib.metadata.version(names.get(runtime, runtime))
    except importlib.metadata.PackageNotFoundError:
        return None


# ---- processes -----------------------------------------------------------------------------------

def pin(threads):
    """To as many of the processors that this process may use; one thread has the last of them."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < threads:
        raise Refused(f"{threads} threads have {len(allowed)} processors here")
    os.sched_setaffinity(0, set(allowed[-threads:]))


def memory(field):
    """VmRSS or VmHWM of this process in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    return 0


WARM, SHORT = 0.002, 0.02                # seconds: before a sample comes at least the first; longer calls are not calibrated further


class Server:
    def __init__(self, runtime):
        self.runtime, self.requests, self.once = runtime, {}, {}

    def open(self, key, net, batch):
        self.requests[key] = self.runtime.open(net, batch)
        return {}

    def answer(self, key, x, y):
        np.save(y, self.requests[key].answer(np.load(x)))
        return {}

    def sample(self, key, repeats):
        """Seconds of an inference: the mean of `repeats` in a row, those before them not counted: they wake this process's threads and
        bring back its data, which other processes have driven out of the caches."""
        request, once = self.requests[key], self.once.get(key, 1e-3)
        request.time(max(1, int(WARM / once)))
        self.once[key] = request.time(repeats) / repeats
        return {"seconds": self.once[key]}

    def calibrate(self, key, seconds):
        """How many inferences last so long; those before them warm everything up."""
        request, n, spent = self.requests[key], 1, 0.0
        request.time(1)
        while spent < seconds / 2 and spent < SHORT:
            spent = request.time(n)
            if spent < seconds / 2:
                n = max(n + 1, min(10 * n, int(n * seconds / spent) if spent > 0 else 10 * n))
        self.once[key] = spent / n
        return {"repeats": max(1, round(seconds * n / spent))}

    def close(self, key):
        self.requests.pop(key, None)
        return {}


def serve(make):
    """Libraries print what they like on standard output: replies go to a copy of it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)                # PR_SET_PDEATHSIG: it may stand still when its parent ends
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            server = server or Server(make())
            reply = getattr(server, request.pop("do"))(**request)
        except Exception as why:
            reply = {"error": " ".join(str(why).split())[:300] or type(why).__name__}
        print(json.dumps(reply), file=replies, flush=True)


def start(make):
    """Time and memory from nothing: loading, the first inference, the steady ones."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.loads(sys.stdin.readline())
    before, begin = memory("VmRSS"), time.perf_counter()
    try:
        runtime = make()
        library = time.perf_counter()
        opened = runtime.open(request["net"], request["batch"])
        ready = time.perf_counter()
        first, steady = opened.time(1), sorted(opened.time(1) for _ in range(request["runs"]))
        reply = {"library_s": library - begin, "load_s": ready - library, "first_s": first, "steady_s": steady[len(steady) // 2],
                 "peak_bytes": memory("VmHWM") - before, "held_bytes": memory("VmRSS") - before}
    except Exception as why:
        reply = {"error": " ".join(str(why).split())[:300] or type(why).__name__}
    print(json.dumps(reply), file=replies, flush=True)
    os._exit(0)


def main():
    what, runtime, interface, threads, build = sys.argv[1:]

    def make():
        pin(int(threads))
        return RUNTIMES[runtime, interface](int(threads), pathlib.Path(build).resolve())
    {"serve": serve, "start": start}[what](make)


if __name__ == "__main__":
    main()
