"""What the Python tests share. OPGRAFT_BUILD names another build to test (a sanitizer's, say)."""
import atexit
import collections
import functools
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("OPGRAFT_BUILD", ROOT / "build")).resolve()
OPGRAFT = BUILD / "opgraft"
MODELS = ROOT / "models"
LENET5 = [MODELS / f"lenet5_{name}.onnx" for name in ("relu", "swish4", "swish2")]

sys.path.insert(0, str(ROOT / "tools"))
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="opgraft-cache-")       # times of this run of the tests only
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
os.environ.setdefault("VIRTUAL_ENV", sys.prefix)          # where the command finds NVRTC and ONNX Runtime

# tests/tensorflow needs the real one (make test-tensorflow); without it that folder is what "tensorflow" finds
collect_ignore = [] if getattr(importlib.util.find_spec("tensorflow"), "origin", None) else ["tensorflow"]

Done = collections.namedtuple("Done", "status out err")


def run(*args, timeout=120, **options):
    """Runs the command with pipes for its output; a hang fails the test."""
    done = subprocess.run([OPGRAFT, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, **options)
    return Done(done.returncode, done.stdout, done.stderr)


def ok(*args, **options):
    """As run, for a command that has to succeed; returns its standard output."""
    done = run(*args, **options)
    assert done.status == 0, f"opgraft {' '.join(map(str, args))}: exit status {done.status}\n{done.out}{done.err}"
    return done.out


def ok_json(*args, **options):
    return json.loads(ok(*args, "--json", **options))


def refused(status, *args):
    """As run, for a command that has to end with `status` and one sentence; returns the sentence."""
    done = run(*args)
    assert done.status == status, f"exit status {done.status}, not {status}\n{done.out}{done.err}"
    sentence = done.err.rstrip("\n")
    assert sentence and "\n" not in sentence, f"not one sentence:\n{done.err}"
    return sentence


def infer(folder, model, inputs, output, *options):
    """The array of `output` that `opgraft run` computes from {name: array}; files go to folder."""
    args = []
    for name, array in inputs.items():
        np.save(folder / f"{name}.npy", array)
        args += ["--input", f"{name}={folder / name}.npy"]
    ok("run", model, *args, "--output", f"{output}={folder / 'result.npy'}", *options)
    return np.load(folder / "result.npy")


def onnxruntime_infer(model, inputs, output):
    """The same by ONNX Runtime; model is a path or an onnx.ModelProto."""
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(source, settings, providers=["CPUExecutionProvider"])
    return session.run([output], inputs)[0]


def relative_error(got, want):
    """Largest difference over largest magnitude; infinite where got is not finite."""
    assert got.shape == want.shape and got.dtype == want.dtype
    if not np.isfinite(got).all():
        return np.inf
    return float(np.abs(got.astype(np.float64) - want).max() / np.abs(want).max())


@functools.cache
def digits():
    """The digits of models/ as the networks take them: f32[355,1,28,28], and labels u8[355]."""
    from digits import enlarge, read_idx
    images = enlarge(read_idx(MODELS / "digits-images.idx3")).astype(np.float32) / np.float32(1600)
    return images[:, None], read_idx(MODELS / "digits-labels.idx1")


class Tensorrt:
    """The real TensorRT-RTX, which wants LD_LIBRARY_PATH when a process starts: scripts run in child processes."""

    def __init__(self, folder):
        self.env = {**os.environ, "LD_LIBRARY_PATH": str(folder / "lib"), "PYTHONPATH": str(folder / "python")}

    def run(self, script, *args, stdin="", timeout=300, **env):
        """Runs a Python script that may `import tensorrt_rtx_bindings`."""
        done = subprocess.run([sys.executable, script, *map(str, args)], input=stdin, capture_output=True, text=True,
                              env={**self.env, **env}, timeout=timeout)
        return Done(done.returncode, done.stdout, done.stderr)

    def drive(self, **request):
        """What tensorrt_drive.py answers to the request that is described there."""
        done = self.run(ROOT / "tests" / "tensorrt_drive.py", stdin=json.dumps(request, default=str))
        assert done.status == 0, f"exit status {done.status}\n{done.out}{done.err}"
        return json.loads(done.out.splitlines()[-1])


@pytest.fixture(scope="session")
def tensorrt():
    """The library and its Python API as tools/setup.sh leaves them; OPGRAFT_TENSORRT names another folder to use."""
    folder = pathlib.Path(os.environ.get("OPGRAFT_TENSORRT", ROOT / "build" / "venv" / "tensorrt")).resolve()
    wanted = ROOT / "tests" / "requirements-tensorrt.txt"
    done = subprocess.run(["sh", ROOT / "tools" / "setup.sh", "tensorrt", folder, wanted, sys.executable],
                          capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("TensorRT-RTX can't be had here: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    return Tensorrt(folder)


@pytest.fixture(scope="session")
def triton():
    """The folder of Triton and its clients; see triton_server.py."""
    from triton_server import install         # which imports this file
    try:
        return install()
    except subprocess.CalledProcessError as error:
        pytest.skip("Triton can't be had here: " + (error.stderr.strip().splitlines() or ["?"])[-1])


@pytest.fixture(scope="session")
def resnet50(tmp_path_factory):
    """resnet50("relu") is the path of that ResNet-50, written once a session."""
    folder = tmp_path_factory.mktemp("resnet50")

    @functools.cache
    def write(activation):
        from make_resnet50 import resnet50 as make
        path = folder / f"resnet50_{activation}.onnx"
        path.write_bytes(make(activation).SerializeToString(deterministic=True))
        return path
    return write
