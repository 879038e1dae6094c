"""libtriton_opgraft.so in the real Triton Inference Server, driven by its official client; what no server can show (memory of a GPU,
pieces of inputs, leaks in a thousand cycles) is tests/unit/test_serve.c's."""
import concurrent.futures
import contextlib
import json
import re
import shutil
import socket
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conftest import BUILD, MODELS, ROOT, digits, infer as infer_alone, ok, relative_error
from triton_server import Server, add_model, infer, parameters

PINNED = parameters(no_timing="true", threads=1)
CUBE = """#include "opgraft/op.h"

EXPR v test_triton_cube(v x) { return x * x * x; }

MAP(test_triton_cube, 1, 0)

OP(test_triton_cube, .name = "TritonCube", .domain = "tests", .since = 1, .doc = "The third power.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32", MAPS(test_triton_cube))
"""


@pytest.fixture(scope="module")
def lenet5(tmp_path_factory):
    """The four-node network, grafted."""
    path = tmp_path_factory.mktemp("lenet5") / "lenet5.onnx"
    ok("graft", MODELS / "lenet5_swish4.onnx", "--op", "Swish", "-o", path)
    return path


@pytest.fixture(scope="module")
def server(triton, tmp_path_factory):
    """A server without models; tests add theirs and load them."""
    repository = tmp_path_factory.mktemp("triton") / "models"
    repository.mkdir()
    with Server(triton, repository) as running:
        yield running
        assert running.process.poll() is None, "the server ended by itself"


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """A network of an op that nobody knows, and the library that has it."""
    folder = tmp_path_factory.mktemp("cube")
    (folder / "cube.c").write_text(CUBE)
    ok("op", "build", folder / "cube.c", "-o", folder / "cube.so", "--no-cuda")
    path = save(folder / "cube.onnx", [helper.make_node("TritonCube", ["x"], ["y"], domain="tests")], [("x", TensorProto.FLOAT, ["N", 2])],
                [("y", TensorProto.FLOAT, ["N", 2])])
    return path, folder / "cube.so"


def load(server, name, *versions, config=""):
    add_model(server.repository, name, *versions, config=config)
    server.http(network_timeout=300.0).load_model(name)
    return name


def refused(server, name, *versions, config=""):
    """The reason why the server does not load this."""
    from tritonclient.utils import InferenceServerException
    with pytest.raises(InferenceServerException) as caught:
        load(server, name, *versions, config=config)
    return str(caught.value)


def save(path, nodes, inputs, outputs, opset=17, **options):
    """A network of (name, type, shape) inputs and outputs."""
    def values(of):
        return [helper.make_tensor_value_info(name, dtype, shape) for name, dtype, shape in of]
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("tests", 1)]
    graph = helper.make_graph(nodes, "net", values(inputs), values(outputs), **options)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=imports), path)
    return path


def same(got, want):
    assert got.dtype == want.dtype and got.shape == want.shape
    assert got.tobytes() == want.tobytes()


def clients(server):
    return [server.http(), server.grpc()]


# ---- answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 16])
def test_answers_are_those_of_the_command(server, lenet5, tmp_path, n):
    """Sizes of runs that have a plan of their own, by tactics that are always the same."""
    model = f"exact{n}"
    load(server, model, lenet5, config=PINNED)
    x = digits()[0][:n]
    want = infer_alone(tmp_path, lenet5, {"image": x}, "logits", "--no-timing", "--threads", "1")
    for client in clients(server):
        same(infer(client, model, {"image": x})["logits"], want)


def test_batches_of_every_size(server, lenet5, tmp_path):
    """They are put together of runs; each row is that of the network, whatever is beside it."""
    load(server, "sizes", lenet5)
    x = digits()[0][:70]
    want = infer_alone(tmp_path, lenet5, {"image": x}, "logits")
    client = server.grpc()
    for n in range(1, 65):
        got = infer(client, "sizes", {"image": x[:n]})["logits"]
        assert relative_error(got, want[:n]) < 1e-5, n


def test_a_plan_file(server, lenet5, tmp_path):
    """A plan's shapes are fixed: as it is, or (its first dimension called a batch) in runs of that many."""
    plan = tmp_path / "model.plan"
    ok("build", lenet5, "--batch", 8, "-o", plan)
    load(server, "plan", plan)
    load(server, "plan_batch", plan, config="max_batch_size: 20\n")
    x = digits()[0][:8]
    want = infer_alone(tmp_path, plan, {"image": x}, "logits")
    for client in clients(server):
        same(infer(client, "plan", {"image": x})["logits"], want)
        for n in (1, 5, 8):
            same(infer(client, "plan_batch", {"image": x[:n]})["logits"], want[:n])
        twice = infer(client, "plan_batch", {"image": np.concatenate([x, x, x[:3]])})["logits"]
        same(twice, np.concatenate([want, want, want[:3]]))


def test_resnet50(server, resnet50, tmp_path):
    grafted = tmp_path / "resnet50.onnx"
    ok("graft", resnet50("relu"), "--map", "Relu=Swish", "-o", grafted)
    load(server, "resnet50", grafted, config=PINNED + parameters(batches="1"))
    x = np.random.default_rng(50).random((3, 3, 224, 224), dtype=np.float32)
    want = infer_alone(tmp_path, grafted, {"image": x[:1]}, "logits", "--no-timing", "--threads", "1")
    got = infer(server.grpc(), "resnet50", {"image": x})["logits"]
    same(got[:1], want)
    same(infer(server.http(), "resnet50", {"image": x[2:]})["logits"], got[2:])


TYPES = [TensorProto.BOOL, TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64, TensorProto.INT8, TensorProto.INT16,
         TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE]


def test_every_type(server, tmp_path):
    """One network with an input and an output of each, batched; some of them scalars of a sample, which clients see as one element."""
    rng = np.random.default_rng(1)
    nodes, inputs, outputs, given = [], [], [], {}
    for k, dtype in enumerate(TYPES):
        name, shape = TensorProto.DataType.Name(dtype).lower(), [2 + k % 3] if k % 4 else []
        nodes.append(helper.make_node("Concat" if shape else "Identity", [name, name] if shape else [name], [f"{name}_2"],
                                      **({"axis": 1} if shape else {})))
        inputs.append((name, dtype, ["N", *shape]))
        outputs.append((f"{name}_2", dtype, ["N", *(2 * n for n in shape)]))
        given[name] = rng.integers(0, 2, (3, *(shape or [1]))).astype(helper.tensor_dtype_to_np_dtype(dtype))
    load(server, "types", save(tmp_path / "types.onnx", nodes, inputs, outputs))
    for client in clients(server):
        got = infer(client, "types", given)
        for name, array in given.items():
            same(got[f"{name}_2"], array if array.shape[1] == 1 else np.concatenate([array, array], 1))


def test_an_output_that_is_not_asked_for(server, tmp_path):
    path = save(tmp_path / "two.onnx", [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Abs", ["x"], ["b"])],
                [("x", TensorProto.FLOAT, ["N", 3])], [("a", TensorProto.FLOAT, ["N", 3]), ("b", TensorProto.FLOAT, ["N", 3])])
    load(server, "two", path)
    x = np.float32([[1, -2, 3], [-4, 5, -6]])
    for client in clients(server):
        for wanted in (["a"], ["b"], ["b", "a"]):
            got = infer(client, "two", {"x": x}, wanted)
            assert set(got) == set(wanted)
            for name in wanted:
                same(got[name], {"a": -x, "b": abs(x)}[name])


def test_without_a_batch(server, tmp_path):
    """A scalar and fixed shapes: the server hands over what the client sent."""
    path = save(tmp_path / "plain.onnx", [helper.make_node("Mul", ["x", "scale"], ["y"]), helper.make_node("ReduceSum", ["y"], ["sum"], keepdims=0)],
                [("x", TensorProto.FLOAT, [2, 3]), ("scale", TensorProto.FLOAT, [])], [("y", TensorProto.FLOAT, [2, 3]), ("sum", TensorProto.FLOAT, [])])
    load(server, "plain", path)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for client in clients(server):
        got = infer(client, "plain", {"x": x, "scale": np.float32([3])})
        same(got["y"], 3 * x)
        same(got["sum"], np.float32([45]))


def test_shapes_that_come_with_requests(server, tmp_path):
    """Plans are made for each, the oldest are forgotten, and requests of different shapes come at the same time."""
    path = save(tmp_path / "free.onnx", [helper.make_node("Mul", ["x", "y"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=-1)],
                [("x", TensorProto.FLOAT, ["N", "rows", "columns"]), ("y", TensorProto.FLOAT, ["N", "rows", "columns"])],
                [("p", TensorProto.FLOAT, ["N", "rows", "columns"])])
    load(server, "free", path, config=PINNED + parameters(shapes=2, batches="1,4"))
    client = server.grpc()

    def ask(k):
        rng = np.random.default_rng(k)
        shape = (1 + k % 5, 1 + k % 3, 2 + k % 4)
        x, y = rng.random(shape, dtype=np.float32), rng.random(shape, dtype=np.float32)
        e = np.exp((x * y).astype(np.float64))
        assert relative_error(infer(client, "free", {"x": x, "y": y})["p"], (e / e.sum(-1, keepdims=True)).astype(np.float32)) < 1e-5
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(100)))
    message = fails(client, "free", {"x": np.zeros((1, 2, 3), np.float32), "y": np.zeros((1, 2, 4), np.float32)})
    assert "'columns' is 3 elsewhere and 4 here" in message


# ---- many at once ---------------------------------------------------------------------------------------------


def test_concurrent_clients_are_batched(server, lenet5, tmp_path):
    """Answers do not depend on what they were batched with: to the bit, where runs have one size."""
    load(server, "crowd", lenet5, config=PINNED + parameters(batches="1") + "dynamic_batching { max_queue_delay_microseconds: 2000 }\nmax_batch_size: 32\n")
    x = digits()[0]
    ok("build", lenet5, "--no-timing", "--threads", "1", "-o", tmp_path / "alone.plan")
    want = np.concatenate([infer_alone(tmp_path, tmp_path / "alone.plan", {"image": x[k:k + 1]}, "logits") for k in range(8)])
    client = server.grpc()

    def ask(k):
        first, n = k % 5, 1 + k % 4
        same(infer(client, "crowd", {"image": x[first:first + n]})["logits"], want[first:first + n])
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(600)))
    samples, until = sum(1 + k % 4 for k in range(600)), time.monotonic() + 20
    stats = {}
    while int(stats.get("inference_count", 0)) < samples and time.monotonic() < until:       # answers are counted when they were sent
        stats = client.get_inference_statistics("crowd", as_json=True)["model_stats"][0]
    assert int(stats["inference_stats"]["success"]["count"]) == 600 and int(stats["inference_count"]) == samples
    assert int(stats["execution_count"]) < 600
    assert max(int(batch["batch_size"]) for batch in stats["batch_stats"]) > 4
    for part in ("queue", "compute_input", "compute_infer", "compute_output"):
        assert int(stats["inference_stats"][part]["count"]) == 600, part
    assert int(stats["inference_stats"]["compute_infer"]["ns"]) > 0


def test_instances_share_a_network(server, lenet5):
    """Two instances, of which each takes requests."""
    load(server, "pair", lenet5, config=PINNED + parameters(batches="4") + "instance_group [ { kind: KIND_CPU, count: 2 } ]\n")
    x = digits()[0][:4]
    client = server.grpc()
    want = infer(client, "pair", {"image": x})["logits"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for got in pool.map(lambda _: infer(client, "pair", {"image": x})["logits"], range(200)):
            same(got, want)


def test_models_and_versions_at_once(server, tmp_path):
    """Version 1 negates, version 2 doubles; clients of both at the same time."""
    paths = [save(tmp_path / f"{op}.onnx", [helper.make_node(op, inputs, ["y"])], [("x", TensorProto.FLOAT, ["N", 2])], [("y", TensorProto.FLOAT, ["N", 2])])
             for op, inputs in (("Neg", ["x"]), ("Add", ["x", "x"]))]
    load(server, "versions", *paths, config="version_policy: { all { } }\n" + PINNED)
    client = server.grpc()
    x = np.float32([[1, 2]])

    def ask(k):
        version = 1 + k % 2
        same(infer(client, "versions", {"x": x * k}, model_version=str(version))["y"], x * k * (2 if version == 2 else -1))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(200)))


def unregister(client):
    """All regions of memory, as every client has to: asking again for a while. The server counts a request among a region's users until the
    call has returned by which it sends the answer, so that a client which has the answer may come too early (src/grpc/infer_handler.cc of
    Triton 2.51: the references go after Finish(); later versions put such a region away themselves). No backend has a part in that."""
    from tritonclient.utils import InferenceServerException
    until = time.monotonic() + 20
    while True:
        try:
            return client.unregister_system_shared_memory()
        except InferenceServerException as error:
            if "Failed to unregister" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.001)


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_shared_memory(server, lenet5, kind):
    from tritonclient.utils import shared_memory
    import tritonclient.grpc
    import tritonclient.http
    model = f"shared_{kind}"
    load(server, model, lenet5, config=PINNED)
    client, module = getattr(server, kind)(), getattr(tritonclient, kind)
    x = np.ascontiguousarray(digits()[0][:16])
    want = infer(client, model, {"image": x})["logits"]
    names = [f"{model}_in", f"{model}_out"]
    regions = [shared_memory.create_shared_memory_region(name, f"/{name}_{server.http_port}", size) for name, size in zip(names, (x.nbytes, 16 * 40))]
    try:
        shared_memory.set_shared_memory_region(regions[0], [x])
        for name, size in zip(names, (x.nbytes, 16 * 40)):
            client.register_system_shared_memory(name, f"/{name}_{server.http_port}", size)
        given, wanted = module.InferInput("image", list(x.shape), "FP32"), module.InferRequestedOutput("logits")
        given.set_shared_memory(names[0], x.nbytes)
        wanted.set_shared_memory(names[1], 16 * 40)
        for _ in range(3):
            client.infer(model, [given], outputs=[wanted])
        same(shared_memory.get_contents_as_numpy(regions[1], np.float32, [16, 10]), want)
    finally:
        unregister(client)
        assert not (client.get_system_shared_memory_status() if kind == "http" else client.get_system_shared_memory_status().regions)
        for region in regions:
            shared_memory.destroy_shared_memory_region(region)


# ---- what clients do wrong ------------------------------------------------------------------------------------


def fails(client, model, inputs, **options):
    from tritonclient.utils import InferenceServerException
    with pytest.raises(InferenceServerException) as caught:
        infer(client, model, inputs, **options)
    return str(caught.value)


def test_bad_requests_fail_alone(server, lenet5):
    """While others are served."""
    load(server, "patient", lenet5, config=PINNED + "max_batch_size: 8\ndynamic_batching { max_queue_delay_microseconds: 1000 }\n")
    x = np.ascontiguousarray(digits()[0][:8])
    client = server.grpc()
    want = infer(client, "patient", {"image": x})["logits"]
    bad = [({"image": x[:, :, :27]}, "shape"), ({"image": x[:, 0]}, "shape"), ({"image": x.astype(np.float64)}, "data-?type"),
           ({}, "input"), ({"picture": x}, "input"), ({"image": np.concatenate([x, x[:1]])}, "batch"), ({"image": x[:0]}, "."),
           ({"image": np.zeros((100000, 1, 28, 28), np.float32)[:5000]}, "batch")]

    def ask(k):
        if k % 3:
            got = infer(client, "patient", {"image": x[:1 + k % 8]})["logits"]
            assert relative_error(got, want[:1 + k % 8]) < 1e-5
        else:
            inputs, word = bad[k // 3 % len(bad)]
            message = fails(client if k % 2 else server.http(), "patient", inputs)
            assert re.search(word, message), message
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(120)))


def test_a_value_that_the_network_refuses_fails_alone(server, tmp_path):
    """An index out of range is found while a batch runs; the others of the batch get their rows."""
    path = save(tmp_path / "gather.onnx", [helper.make_node("Gather", ["table", "i"], ["row"])], [("i", TensorProto.INT64, ["N"])],
                [("row", TensorProto.FLOAT, ["N", 2])],
                initializer=[helper.make_tensor("table", TensorProto.FLOAT, [4, 2], list(range(8)))])
    load(server, "gather", path, config=PINNED + "max_batch_size: 16\ndynamic_batching { max_queue_delay_microseconds: 20000 }\n")
    client = server.grpc()

    def ask(k):
        if k % 5 == 0:
            assert "reads index 9 of a dimension of 4" in fails(client, "gather", {"i": np.int64([[9]])})
        else:
            same(infer(client, "gather", {"i": np.int64([[k % 4]])})["row"], np.float32([[2 * (k % 4), 2 * (k % 4) + 1]]))
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(ask, range(200)))
    batches = client.get_inference_statistics("gather", as_json=True)["model_stats"][0]["batch_stats"]
    assert max(int(batch["batch_size"]) for batch in batches) > 1


def test_clients_that_go_away(server, lenet5):
    """In the middle of a request, and before its answer."""
    from tritonclient.utils import InferenceServerException
    load(server, "lonely", lenet5, config=PINNED + "dynamic_batching { max_queue_delay_microseconds: 50000 }\n")
    x = np.ascontiguousarray(digits()[0][:4])
    head = json.dumps({"inputs": [{"name": "image", "shape": [4, 1, 28, 28], "datatype": "FP32", "parameters": {"binary_data_size": x.nbytes}}]}).encode()
    lines = (f"POST /v2/models/lonely/infer HTTP/1.1\r\nHost: here\r\nInference-Header-Content-Length: {len(head)}\r\n"
             f"Content-Length: {len(head) + x.nbytes}\r\n\r\n").encode()
    whole = lines + head + x.tobytes()
    for size in (10, len(lines), len(lines) + 20, len(whole) - 1, len(whole)):
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.http_port)) as connection:
                connection.sendall(whole[:size])
    client = server.grpc()
    for _ in range(5):
        with pytest.raises(InferenceServerException):
            infer(client, "lonely", {"image": x}, client_timeout=0.001)
    assert infer(client, "lonely", {"image": x})["logits"].shape == (4, 10)


# ---- configurations -------------------------------------------------------------------------------------------


def test_the_configuration_is_filled_in(server, lenet5):
    load(server, "complete", lenet5)
    config = server.http().get_model_config("complete")
    assert config["max_batch_size"] == 64 and "dynamic_batching" in config
    assert [(one["name"], one["data_type"], one["dims"]) for one in config["input"] + config["output"]] == [
        ("image", "TYPE_FP32", [1, 28, 28]), ("logits", "TYPE_FP32", [10])]


def test_the_users_choices_stay(server, lenet5):
    load(server, "chosen", lenet5, config='max_batch_size: 5\ndynamic_batching { preferred_batch_size: [ 3 ] max_queue_delay_microseconds: 7 }\n'
         'output [ { name: "logits", data_type: TYPE_FP32, dims: [ 10 ] } ]\n' + PINNED)
    config = server.http().get_model_config("chosen")
    assert config["max_batch_size"] == 5 and config["dynamic_batching"]["preferred_batch_size"] == [3]
    assert config["output"][0]["dims"] == [10] and config["input"][0]["dims"] == [1, 28, 28]


IMAGE = 'input [ {{ name: "{0}", data_type: {1}, dims: {2} }} ]\n'
WRONG = {
    "type": (IMAGE.format("image", "TYPE_FP16", [1, 28, 28]) + "max_batch_size: 4", r"input 'image' is TYPE_FP16, and in \S+ it is TYPE_FP32"),
    "name": (IMAGE.format("picture", "TYPE_FP32", [1, 28, 28]) + "max_batch_size: 4", "names input 'picture', and .* has 'image'"),
    "dims": (IMAGE.format("image", "TYPE_FP32", [1, 28, 29]) + "max_batch_size: 4", r"are \[1,28,28\], not \[1,28,29\] \(without the batch"),
    "rank": (IMAGE.format("image", "TYPE_FP32", [1, 28, 28]), r"are \[-1,1,28,28\], not \[1,28,28\] \(all of them"),
    "output": ('output [ { name: "logits", data_type: TYPE_FP32, dims: [ 9 ] } ]\nmax_batch_size: 4', r"output 'logits' .* \[10\], not \[9\]"),
    "threads": (parameters(threads="many"), "'threads' is 'many', and must be a number between 1 and 256"),
    "device": (parameters(device="tpu"), "'device' is 'tpu', and must be one of: cpu cuda"),
    "precision": (parameters(precision="fp16"), "precision"),
    "batches": (parameters(batches="4,2"), "'batches' is '4,2', and must be at most 16 growing numbers"),
    "large": (parameters(batches="4,128"), "'batches' asks for a plan of 128 samples, and max_batch_size is less"),
    "ops": (parameters(ops="none.so"), "none.so: there is no such op library"),
    "kind": (parameters(device="cuda"), "parameter 'device' is cuda, and instance '.*' is of kind KIND_CPU"),
    "gpu": ("instance_group [ { kind: KIND_MODEL } ]\n" + parameters(device="cuda"), "CUDA|driver|GPU"),
    "decoupled": ("model_transaction_policy { decoupled: true }", "a network answers a request once"),
    "file": ('default_model_filename: "other.onnx"', r"1/other.onnx: cannot be opened"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_configuration_that_does_not_fit(server, lenet5, case):
    config, sentence = WRONG[case]
    message = refused(server, f"wrong_{case}", lenet5, config=config)
    assert re.search(sentence, message), message


def test_files_that_are_no_networks(server, lenet5, tmp_path):
    plan = tmp_path / "whole.plan"
    ok("build", lenet5, "-o", plan)
    data = plan.read_bytes()
    for name, suffix, content, words in (
            ("torn", "plan", data[:len(data) // 2], "model.plan"), ("flipped", "plan", data[:-100] + bytes([data[-100] ^ 1]) + data[-99:], "checksum|damaged"),
            ("empty", "onnx", b"", "is empty"), ("noise", "onnx", bytes(range(256)) * 9, "model.onnx")):
        path = tmp_path / f"{name}.{suffix}"
        path.write_bytes(content)
        message = refused(server, name, path)
        assert re.search(words, message), message
        assert "/proc/" not in message
    (server.repository / "missing" / "1").mkdir(parents=True)
    assert "holds neither model.onnx nor model.plan" in refused(server, "missing")
    both = server.repository / "both"
    (both / "1").mkdir(parents=True)
    shutil.copy(plan, both / "1" / "model.plan")
    shutil.copy(lenet5, both / "1" / "model.onnx")
    assert "holds model.onnx and model.plan" in refused(server, "both")


def test_a_file_that_changes_while_it_is_served(server, lenet5, tmp_path):
    """A plan is cut in place; what was loaded goes on."""
    plan = tmp_path / "model.plan"
    ok("build", lenet5, "-o", plan)
    load(server, "cut", plan)
    x = digits()[0][:1]
    want = infer(server.grpc(), "cut", {"image": x})["logits"]
    with open(server.repository / "cut" / "1" / "model.plan", "r+b") as file:
        file.truncate(100)
    same(infer(server.grpc(), "cut", {"image": x})["logits"], want)


def test_op_libraries_are_those_that_are_named(server, cube):
    path, library = cube
    message = refused(server, "cube_unnamed", path)
    assert "TritonCube" in message
    folder = add_model(server.repository, "cube", path, config=parameters(ops="cube.so"))
    shutil.copy(library, folder)
    server.http().load_model("cube")
    same(infer(server.grpc(), "cube", {"x": np.float32([[2, 3]])})["y"], np.float32([[8, 27]]))


# ---- models that come and go ----------------------------------------------------------------------------------


def test_loaded_unloaded_and_loaded_again(server, lenet5):
    from tritonclient.utils import InferenceServerException
    load(server, "guest", lenet5, config=PINNED)
    client, x = server.http(), digits()[0][:2]
    want = infer(client, "guest", {"image": x})["logits"]
    for _ in range(3):
        client.unload_model("guest")
        until = time.monotonic() + 30
        while client.is_model_ready("guest") and time.monotonic() < until:
            time.sleep(0.01)
        with pytest.raises(InferenceServerException):
            infer(client, "guest", {"image": x})
        client.load_model("guest")
        same(infer(client, "guest", {"image": x})["logits"], want)


def test_a_hundred_reloads_keep_the_memory(server, lenet5):
    """While one client goes on asking."""
    load(server, "again", lenet5, config=PINNED + parameters(batches="1,16"))
    client, x = server.http(), digits()[0][:16]
    sizes = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: [infer(server.grpc(), "again", {"image": x}) for _ in range(300)])
        for k in range(100):
            client.load_model("again", config=json.dumps({"backend": "opgraft", "max_batch_size": 16 + k % 2, "parameters": {
                "no_timing": {"string_value": "true"}, "threads": {"string_value": "1"}, "batches": {"string_value": "1,16"}}}))
            if k >= 20:
                sizes.append(server.resident())
        asked.result(timeout=60)
    growth = np.median(sizes[-20:]) - np.median(sizes[:20])
    assert growth < 8 << 20, f"{growth / 2**20:.1f} MiB more"


def test_a_repository_that_is_polled(triton, lenet5, tmp_path):
    """Models appear, change and disappear under a running server, a broken one among them."""
    repository = tmp_path / "models"
    repository.mkdir()
    add_model(repository, "first", lenet5, config=PINNED)
    x, images = np.float32([[1, 2]]), digits()[0][:1]
    neg, double = [save(tmp_path / f"{op}.onnx", [helper.make_node(op, inputs, ["y"])], [("x", TensorProto.FLOAT, ["N", 2])], [("y", TensorProto.FLOAT, ["N", 2])])
                   for op, inputs in (("Neg", ["x"]), ("Add", ["x", "x"]))]

    def soon(holds):
        until = time.monotonic() + 30
        while not holds() and time.monotonic() < until:
            time.sleep(0.05)
        assert holds()

    def answer(client):
        with contextlib.suppress(Exception):
            return infer(client, "second", {"x": x})["y"].tolist()
        return None
    options = ["--model-control-mode=poll", "--repository-poll-secs=1", "--backend-config=opgraft,threads=1", "--strict-readiness=false"]
    with Server(triton, repository, *options, explicit=False) as server:
        client = server.http()
        soon(lambda: client.is_model_ready("first"))
        add_model(repository, "broken", MODELS / "README.md")
        add_model(repository, "second", neg)
        soon(lambda: answer(client) == [[-1, -2]])
        (repository / "second" / "2").mkdir()
        shutil.copy(double, repository / "second" / "2" / "model.onnx")
        soon(lambda: answer(client) == [[2, 4]])
        assert infer(client, "first", {"image": images})["logits"].shape == (1, 10)
        shutil.rmtree(repository / "second")
        soon(lambda: not client.is_model_ready("second"))
        assert client.is_model_ready("first") and not client.is_model_ready("broken")
        assert server.stop() == 0                          # no client is left, and all that was loaded goes


def test_the_command_line(triton, lenet5, cube, tmp_path):
    """Settings for all models, an op library among them; one that does not exist is told."""
    path, library = cube
    repository = tmp_path / "models"
    repository.mkdir()
    add_model(repository, "cube", path)
    options = [f"--backend-config=opgraft,{name}={value}" for name, value in
               {"ops": library, "threads": 1, "no_timing": "true", "default-max-batch-size": 12}.items()]
    with Server(triton, repository, *options) as server:
        client = server.http()
        client.load_model("cube")
        same(infer(client, "cube", {"x": np.float32([[2, 3]])})["y"], np.float32([[8, 27]]))
        assert client.get_model_config("cube")["max_batch_size"] == 12
    with Server(triton, repository, "--backend-config=opgraft,thread=1") as server:
        assert "opgraft,thread=1: there is no such parameter" in refused(server, "lenet5", lenet5)
