"""The reader of TensorFlow's files, on files that the real TensorFlow wrote (tests/tensorflow/make_read_cases.py), whole and
damaged. What has no TensorFlow file is tested in C: tests/unit/test_tf_read.c."""
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from conftest import BUILD, ROOT

CASES = ROOT / "tests" / "tensorflow" / "read"
EXPECTED = json.loads((CASES / "expected.json").read_text())
CALLS = {"PartitionedCall", "StatefulPartitionedCall", "VarHandleOp", "VariableV2", "ReadVariableOp"}


def show(path, folder, *options):
    """(exit status, sentence, graph, bytes of its constants)"""
    data = folder / "constants.bin"
    done = subprocess.run([BUILD / "tests" / "tf_show", path, data, *options], capture_output=True, text=True, timeout=60)
    graph = json.loads(done.stdout) if done.returncode == 0 else None
    return done.returncode, done.stderr.rstrip("\n"), graph, data.read_bytes()


def shown(path, folder, *options):
    status, sentence, graph, data = show(path, folder, *options)
    assert status == 0, sentence
    return graph, data


def refused(path, folder, status, *options):
    got, sentence, _, _ = show(path, folder, *options)
    assert got == status and sentence and "\n" not in sentence, (got, sentence)
    return sentence


def constant(graph, data, name):
    value = next(node for node in graph["nodes"] if node["name"] == name)["attrs"]["value"]
    return {"dtype": value["dtype"], "shape": value["shape"],
            "hex": data[value["offset"]:value["offset"] + value["bytes"]].hex()}


def check_flat(graph):
    """Each node stands behind what it reads, has a name of its own, and none is a call or a variable."""
    names = set()
    for node in graph["nodes"]:
        assert node["op"] not in CALLS and node["name"] not in names
        assert {value.rsplit(":", 1)[0] for value in node["in"]} <= names
        names.add(node["name"])
    placeholders = {node["name"] for node in graph["nodes"] if node["op"] == "Placeholder"}
    assert placeholders == {port["value"][:-2] for port in graph["inputs"]}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_of_tensorflow(name, tmp_path):
    case = EXPECTED[name]
    graph, data = shown(CASES / name.split()[0], tmp_path, *case["options"])
    check_flat(graph)
    assert [port["name"] for port in graph["inputs"]] == case["inputs"]
    assert [port["name"] for port in graph["outputs"]] == case["outputs"]
    for node, want in case["constants"].items():
        assert constant(graph, data, node) == want, node
    for node, want in case.get("strings", {}).items():
        assert next(n for n in graph["nodes"] if n["name"] == node)["attrs"]["value"]["strings"] == want
    if "ops" in case:
        assert sorted(node["op"] for node in graph["nodes"]) == case["ops"]
    if "values" in case:
        constants = [constant(graph, data, node["name"]) for node in graph["nodes"]
                     if node["op"] == "Const" and node["attrs"]["value"]["dtype"] != "str"]
        assert all(value in constants for value in case["values"])


def test_text_and_binary_are_one_graph(tmp_path):
    binary, words = (shown(CASES / name, tmp_path)[0] for name in ("frozen.pb", "frozen.pbtxt"))
    for graph in (binary, words):
        for node in graph["nodes"]:
            node["attrs"].get("value", {}).pop("offset", None)
    assert binary == words


def evaluate(graph, data, x):
    """What a graph of the ops in the functions case computes."""
    values = {}
    arrays = {"f32": np.float32, "i32": np.int32}
    for node in graph["nodes"]:
        args = [values[value] for value in node["in"]]
        name, attrs = node["name"], node["attrs"]
        if node["op"] == "Placeholder":
            results = [x]
        elif node["op"] == "Const":
            tensor = constant(graph, data, name)
            results = [np.frombuffer(bytes.fromhex(tensor["hex"]), arrays[tensor["dtype"]]).reshape(tensor["shape"])]
        elif node["op"] == "MatMul":
            results = [args[0] @ args[1]]
        elif node["op"] == "Split":
            results = np.split(args[1], attrs["num_split"], axis=int(args[0]))
        elif node["op"] == "TopKV2":
            order = np.argsort(-args[0], axis=1, kind="stable")[:, :int(args[1])]
            results = [np.take_along_axis(args[0], order, 1), order]
        else:
            results = [{"Identity": lambda a: a, "Relu": lambda a: np.maximum(a, 0), "Sub": lambda a, b: a - b}[node["op"]](*args)]
        values |= {f"{name}:{k}": value for k, value in enumerate(results)}
    return {port["name"]: values[port["value"]] for port in graph["outputs"]}


def test_outputs_of_functions_are_the_right_ones(tmp_path):
    """Halves are returned in reverse, one function is called twice with different variables."""
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    graph, data = shown(CASES / "functions", tmp_path)
    first, second = (np.frombuffer(bytes.fromhex(value["hex"]), np.float32).reshape(4, 4)
                     for value in EXPECTED["functions"]["values"])
    y = np.maximum(np.maximum(x @ first, 0) @ second, 0)
    got = evaluate(graph, data, x)
    assert np.array_equal(got["sum"], y[:, 2:] - y[:, :2])
    assert np.array_equal(got["best"], np.argsort(-y, axis=1, kind="stable")[:, :2])
    graph, data = shown(CASES / "library.pb", tmp_path)
    got = evaluate(graph, data, x)
    assert np.array_equal(got["right"], x[:, 2:]) and np.array_equal(got["left"], x[:, :2])
    assert np.array_equal(got["best"], np.argsort(-x, axis=1, kind="stable")[:, :2])


def test_inputs_and_outputs_by_name(tmp_path):
    graph, _ = shown(CASES / "frozen.pb", tmp_path, "--input", "parts:1", "--output", "y")
    assert [node["op"] for node in graph["nodes"]] == ["Placeholder", "Relu"]
    assert graph["inputs"][0]["name"] == "parts:1" and graph["inputs"][0]["dtype"] == "f32"
    graph, _ = shown(CASES / "frozen.pb", tmp_path, "--output", "parts:1", "--output", "product")
    assert [port["value"] for port in graph["outputs"]] == ["parts:1", "product:0"]
    graph, _ = shown(CASES / "functions", tmp_path, "--output", "best", "--input", "x")
    assert [port["name"] for port in graph["outputs"]] == ["best"]
    inner = next(node["name"] for node in shown(CASES / "functions", tmp_path)[0]["nodes"] if node["op"] == "Relu")
    graph, _ = shown(CASES / "functions", tmp_path, "--output", inner)
    assert graph["nodes"][-1]["name"] == inner
    graph, _ = shown(CASES / "functions", tmp_path, "--input", inner)
    assert "Relu" in {node["op"] for node in graph["nodes"]}           # the second call's
    assert next(node["op"] for node in graph["nodes"] if node["name"] == inner) == "Placeholder"
    assert "'nothing'" in refused(CASES / "frozen.pb", tmp_path, 5, "--output", "nothing")
    assert "'nothing'" in refused(CASES / "frozen.pb", tmp_path, 5, "--input", "nothing")
    assert "twice" in refused(CASES / "frozen.pb", tmp_path, 2, "--output", "y", "--output", "y")
    assert "serving_default" in refused(CASES / "functions", tmp_path, 5, "--signature", "train")
    assert "serve" in refused(CASES / "functions", tmp_path, 5, "--tag", "gpu")
    assert "no signatures" in refused(CASES / "frozen.pb", tmp_path, 5, "--signature", "serving_default")


# ---- damage -------------------------------------------------------------------------------------------------

@pytest.fixture
def model(tmp_path):
    return shutil.copytree(CASES / "variables_resource", tmp_path / "model")


def varints(run):
    """The numbers of a run that begins with some."""
    numbers, value, shift = [], 0, 0
    for byte in run:
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    return numbers


def test_a_checkpoint_that_is_damaged(model, tmp_path):
    index, data = model / "variables" / "variables.index", model / "variables" / "variables.data-00000-of-00001"
    whole, numbers = index.read_bytes(), data.read_bytes()
    flipped = bytearray(numbers)
    flipped[40] ^= 1
    data.write_bytes(flipped)
    assert re.search(r"node 'layer/w' \(VarHandleOp\): .*checksum", refused(model, tmp_path, 3))
    data.write_bytes(numbers[:100])
    assert "cut short" in refused(model, tmp_path, 3)
    data.unlink()
    assert "variables.data-00000-of-00001" in refused(model, tmp_path, 5)
    data.write_bytes(numbers)
    other, size = varints(whole[-48:])[:2]       # of the index that LevelDB's filters have, which nobody reads
    unread = {*range(other, other + size + 5), *range(len(whole) - 48, len(whole) - 8)}
    for position in range(len(whole)):           # all else is under a checksum or a magic number
        flipped = bytearray(whole)
        flipped[position] ^= 0x55
        index.write_bytes(flipped)
        status, sentence, graph, _ = show(model, tmp_path)
        assert status in (3, 4) and graph is None if position not in unread else status in (0, 3), (position, sentence)
    index.write_bytes(whole[:-1])
    assert "variables.index" in refused(model, tmp_path, 3)
    index.unlink()
    assert "variables.index" in refused(model, tmp_path, 5)


def test_variables_that_are_missing(model, tmp_path):
    other = CASES / "functions" / "variables"
    for name in ("variables.index", "variables.data-00000-of-00001"):
        shutil.copy(other / name, model / "variables" / name)
    assert "has no value 'layer/w'" in refused(model, tmp_path, 3)
    shutil.copy(model / "saved_model.pb", tmp_path / "graph.meta")
    assert refused(tmp_path / "graph.meta", tmp_path, 3)


def test_variables_of_another_shape(model, tmp_path):
    path = model / "saved_model.pb"
    content = path.read_bytes()
    shape = bytes([0x12, 2, 0x08, 4, 0x12, 2, 0x08, 3])                # [4,3]
    assert shape in content
    path.write_bytes(content.replace(shape, bytes([0x12, 2, 0x08, 3, 0x12, 2, 0x08, 4])))
    assert "another shape" in refused(model, tmp_path, 3)


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "file.pb"
    for content, words in [(b"", "empty"), (b"\x89HDF\r\n\x1a\n", "Keras"), (b"PK\x03\x04....", "export"),
                           (b"....TFL3", "Lite"), (b"hello, world\n", "line 1, column 6"), (b"{\"a\": 1}", "line 1"),
                           (b"# nothing\n", "no node"), (b"\x08\x08", "'node'"), (bytes(100), "byte 0")]:
        path.write_bytes(content)
        assert words in refused(path, tmp_path, 3), content
    assert "saved_model.pb" in refused(tmp_path, tmp_path, 5)
    assert "no-such" in refused(tmp_path / "no-such", tmp_path, 5)
    relu = ROOT / "models" / "lenet5_relu.onnx"
    assert "GraphDef" in refused(relu, tmp_path, 3)


@pytest.mark.parametrize("name", ["frozen.pb", "frozen.pbtxt", "library.pb", "functions/saved_model.pb"])
def test_a_file_that_was_cut_short(name, tmp_path):
    content = (CASES / name).read_bytes()
    folder = shutil.copytree(CASES / "functions", tmp_path / "functions")
    path = folder / "saved_model.pb" if "/" in name else tmp_path / name
    rng = np.random.default_rng(1)
    for size in sorted(rng.choice(len(content) - 1, 60, replace=False)):
        path.write_bytes(content[:size])
        status, sentence, _, _ = show(path, tmp_path)
        assert status in (0, 3, 4, 5) and (status == 0 or sentence), sentence
        if status == 0:
            assert name in ("frozen.pb", "frozen.pbtxt", "library.pb")     # between two nodes: a smaller graph
