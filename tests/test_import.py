"""TensorFlow graphs: every converter on small graphs that the real TensorFlow made and ran (tests/tensorflow/record.py), names, layouts,
and what is refused. tests/tensorflow/ has the same against TensorFlow itself, and whole networks."""
import collections
import functools
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented

from conftest import ROOT, ok, ok_json, refused

FOLDER = ROOT / "tests" / "import"


@functools.cache
def recorded():
    """What record.py said of itself, and group -> case -> {name: array}."""
    file = np.load(FOLDER / "values.npz")
    about, data, at = json.loads(file["about"].tobytes()), file["data"].tobytes(), 0
    groups = collections.defaultdict(lambda: collections.defaultdict(dict))
    for group, name, dtype, shape in about["index"]:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        groups[group][name.split("/")[0]][name] = np.frombuffer(data[at:at + size], dtype).reshape(shape)
        at += size
    assert at == len(data)
    return about, groups


def is_input(name):
    return name.split("/")[1].startswith("x")


def close(got, want):
    """The largest difference is 1e-5 of the largest number."""
    assert got.shape == want.shape and got.dtype == want.dtype, f"{got.dtype}{got.shape}, not {want.dtype}{want.shape}"
    if want.dtype.kind != "f":
        return np.array_equal(got, want)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    finite = np.isfinite(want)
    return bool(np.all(same | finite)) and bool(np.all(np.abs(got - want)[finite & ~same] <= 1e-5 * max(np.abs(want[finite]).max(initial=0), 1e-30)))


def run_model(folder, model, feeds, outputs):
    args = []
    for k, (name, value) in enumerate(feeds.items()):
        np.save(folder / f"in{k}.npy", value)
        args += ["--input", f"{name}={folder}/in{k}.npy"]
    for k, name in enumerate(outputs):
        args += ["--output", f"{name}={folder}/out{k}.npy"]
    ok("run", model, *args, "-q")
    return [np.load(folder / f"out{k}.npy") for k in range(len(outputs))]


def onnxruntime_values(_, model, feeds, outputs):
    """The same by ONNX Runtime; None where it has no kernel for these types."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"]).run(outputs, feeds)
    except NotImplemented:
        return None


def imported(folder, graph, outputs=(), *options):
    """Imports a graph; returns the file, which the onnx checker has passed, and the names of its inputs."""
    path = folder / "imported.onnx"
    ok("import", graph, "-o", path, *(word for name in outputs for word in ("--output", name)), *options, "-q")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert not outputs or [y.name for y in model.graph.output] == list(outputs)
    return path, [x.name for x in model.graph.input]


CASES = [f"{group}/{case}" for group, cases in recorded()[1].items() for case in cases]


@pytest.mark.parametrize("name", CASES)
def test_an_op_gives_what_tensorflow_gave(tmp_path, name):
    group, case = name.split("/")
    values = recorded()[1][group][case]
    outputs = [name for name in values if not is_input(name)]
    path, inputs = imported(tmp_path, FOLDER / f"{group}.pb", outputs)
    feeds = {x: values[x] for x in inputs}
    for runner in (run_model, onnxruntime_values):
        for y, got in zip(outputs, runner(tmp_path, path, feeds, outputs) or []):
            assert close(got, values[y]), f"{runner.__name__}, {y}: {got} but TensorFlow has {values[y]}"
