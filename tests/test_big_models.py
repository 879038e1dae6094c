"""Models larger than memory should be: 3 GB of weights, grafted with little memory, in place and into another folder;
models that no file can hold inline; full disks. Weights are holes of sparse files where they can be."""
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper

from conftest import OPGRAFT

GB = 1 << 30
MEMORY = 200 << 20                       # bytes, the most that a graft may have resident
N, COLUMNS = 12, 65536                   # weights of 1024 x 65536 floats: 256 MB each


@pytest.fixture
def folder(tmp_path):
    """Empty, and gone after the test whatever happened."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def has_room(folder, size):
    free = shutil.disk_usage(folder).free
    if free < size + GB:
        pytest.skip(f"{folder} has {free / GB:.1f} GB free, and this takes {size / GB:.0f}")


def network(folder, name="big.onnx", count=N, rows=1024):
    """y = x * w0 + w1 ... with a Relu behind each; the weights are in NAME.weights, all but their first bytes a hole."""
    nodes, weights, value = [], [], "x"
    size = rows * COLUMNS * 4
    with open(folder / f"{name}.weights", "wb") as data:
        for k in range(count):
            weight = TensorProto(name=f"w{k}", data_type=TensorProto.FLOAT, dims=[rows, COLUMNS])
            weight.raw_data = b" "
            external_data_helper.set_external_data(weight, f"{name}.weights", k * size, size)
            weight.ClearField("raw_data")
            weights.append(weight)
            data.seek(k * size)
            data.write(np.arange(1, 5, dtype=np.float32).tobytes())
            nodes += [helper.make_node("Mul" if k % 2 else "Add", [value, f"w{k}"], [f"m{k}"], name=f"mix{k}"),
                      helper.make_node("Relu", [f"m{k}"], [f"r{k}"], name=f"act{k}")]
            value = f"r{k}"
        data.truncate(count * size)
    nodes[-1].output[0] = "y"
    info = [helper.make_tensor_value_info(v, TensorProto.FLOAT, [rows, COLUMNS]) for v in "xy"]
    graph = helper.make_graph(nodes, "big", info[:1], info[1:], weights)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), folder / name)
    return folder / name


# A process begins with the peak of the one it was forked from: a small one in between, which tells status and kilobytes.
PEAK = """import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, restore_signals=False).returncode
print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""


def memory_of(*args, **options):
    """Runs the command; its exit status, standard error and peak of resident memory in bytes."""
    done = subprocess.run([sys.executable, "-c", PEAK, OPGRAFT, *map(str, args)], check=True, capture_output=True, text=True,
                          **options)
    status, peak = map(int, done.stdout.split())
    return status, done.stderr, peak * 1024


def grafted_well(path, count=N):
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(str(path))
    assert sum(n.op_type == "OgSwish" for n in model.graph.node) == count
    return model


def test_weights_stay_where_they_are(folder):
    """The output is in the same folder: only the model file is written."""
    source = network(folder)
    before = [t.SerializeToString() for t in onnx.load(source, load_external_data=False).graph.initializer]
    stat = os.stat(f"{source}.weights")
    assert stat.st_size == 3 * GB
    status, error, peak = memory_of("graft", source, "-o", folder / "out.onnx", "--map", "Relu=Swish")
    assert status == 0, error
    assert peak < MEMORY, f"{peak >> 20} MB"
    assert [t.SerializeToString() for t in grafted_well(folder / "out.onnx").graph.initializer] == before
    assert sorted(p.name for p in folder.iterdir()) == ["big.onnx", "big.onnx.weights", "out.onnx"]
    assert os.stat(f"{source}.weights").st_mtime_ns == stat.st_mtime_ns
    status, error, peak = memory_of("ungraft", folder / "out.onnx", "-o", folder / "out.onnx")      # over itself
    assert status == 0 and peak < MEMORY, error


def test_weights_are_copied_into_another_folder(folder):
    has_room(folder, 3 * GB)
    source, other = network(folder), folder / "other"
    other.mkdir()
    status, error, peak = memory_of("graft", source, "-o", other / "out.onnx", "--map", "Relu=Swish")
    assert status == 0, error
    assert peak < MEMORY, f"{peak >> 20} MB"
    os.remove(f"{source}.weights")
    model = grafted_well(other / "out.onnx")
    assert sorted(p.name for p in other.iterdir()) == ["out.onnx", "out.onnx.data"]
    data = np.memmap(other / "out.onnx.data", np.uint8, "r")
    for weight in model.graph.initializer:
        place = {e.key: e.value for e in weight.external_data}
        assert place["location"] == "out.onnx.data" and int(place["length"]) == 1024 * COLUMNS * 4
        assert int(place["offset"]) % 4096 == 0
        head = data[int(place["offset"]):int(place["offset"]) + 32].view(np.float32)
        assert head.tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


def field(number, content):
    """A protobuf field of bytes; `content`: them, or their length, when they follow."""
    def varint(value):
        out = bytearray()
        while value >= 0x80:
            out.append(value & 0x7f | 0x80)
            value >>= 7
        return bytes(out + bytes([value]))
    length = content if isinstance(content, int) else len(content)
    return varint(number << 3 | 2) + varint(length) + (b"" if isinstance(content, int) else content)


def test_inline_weights_that_no_file_can_hold(folder):
    """A file of more than 2 GB, which protobuf does not read: its weights go beside it."""
    has_room(folder, 3 * GB)
    rows = 5 * 1024                      # two weights of 1.25 GB
    small = network(folder, "small.onnx", count=2, rows=1)
    model = onnx.load(small, load_external_data=False)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = rows
    names = [w.name for w in model.graph.initializer]
    del model.graph.initializer[:]
    size = rows * COLUMNS * 4
    heads = [TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[rows, COLUMNS]).SerializeToString() + field(9, size) for name in names]
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    total = len(graph) + sum(len(field(5, len(head) + size)) + len(head) + size for head in heads)
    source = folder / "inline.onnx"
    with open(source, "wb") as f:
        f.write(model.SerializeToString() + field(7, total) + graph)
        for head in heads:
            f.write(field(5, len(head) + size) + head)
            f.seek(size, os.SEEK_CUR)
        f.truncate(f.tell())
    assert os.stat(source).st_size > 2 * GB
    out = folder / "out.onnx"
    status, error, peak = memory_of("graft", source, "-o", out, "--map", "Relu=Swish")
    assert status == 0, error
    assert peak < MEMORY, f"{peak >> 20} MB"
    assert [w.data_location for w in grafted_well(out, 2).graph.initializer] == [TensorProto.EXTERNAL] * 2
    assert os.stat(f"{out}.data").st_size >= 2 * size


# ---- what goes wrong ------------------------------------------------------------------------------------------------

def limited(size):
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)), "restore_signals": False}


@pytest.mark.parametrize("limit, what", [(300, "model"), (1 << 20, "data")])
def test_a_disk_that_is_full(folder, limit, what):
    """Stood for by a limit on the size of files. Nothing is left, and what was there stays."""
    source, other = network(folder, count=2, rows=16), folder / "other"
    other.mkdir()
    (other / "out.onnx").write_text("old")
    (other / "out.onnx.data").write_text("old data")
    status, error, _ = memory_of("graft", source, "-o", other / "out.onnx", "--map", "Relu=Swish", **limited(limit))
    assert status == 3 and error.count("\n") == 1 and "cannot be written: File too large" in error and "other/out.onnx" in error
    assert ("out.onnx.data" in error) == (what == "data")
    assert {p.name: p.read_text() for p in other.iterdir()} == {"out.onnx": "old", "out.onnx.data": "old data"}


def test_a_device_that_is_full(folder):
    source = network(folder, count=2, rows=1)
    model = onnx.load(source)            # with its weights inside: a device has no folder to put them in
    onnx.save(model, folder / "inline.onnx")
    status, error, _ = memory_of("graft", folder / "inline.onnx", "-o", "/dev/full", "--map", "Relu=Swish")
    assert status == 3 and error == "opgraft: /dev/full: cannot be written: No space left on device\n"


@pytest.mark.parametrize("place", ["/sys", "missing"])
def test_a_folder_that_cannot_be_written(folder, place):
    source = network(folder, count=1, rows=1)
    out = folder / place / "out.onnx"    # folder / "/sys" is "/sys"
    status, error, _ = memory_of("graft", source, "-o", out, "--map", "Relu=Swish")
    assert status == 5 and error.count("\n") == 1 and f"{out}: cannot be created: " in error
    assert sorted(p.name for p in folder.iterdir()) == ["big.onnx", "big.onnx.weights"]
