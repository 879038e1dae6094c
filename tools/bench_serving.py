#!/usr/bin/env python3
"""Opgraft's backend in Triton Inference Server beside ONNX Runtime in the server's Python backend, on the same files.

    build/venv/bin/python tools/bench_serving.py round --network lenet5 --out docs/serving.json
    build/venv-bench/bin/python tools/bench_serving.py page --out docs/serving.json --page docs/serving.md

`round` starts the real server (as tests/triton_server.py has it), takes one turn of every case, all of them interleaved, and adds
it to the file; run it several times (--callers 1,2,4,8 takes a part of a round). `page` writes the tables between the page's marks
and the plot beside it. A point of a round takes less than a second, and what was on its way then.

The client (serving_client.py) speaks gRPC with a request's bytes made once and inputs in system shared memory, so that it costs little. The
server with all its processes has one core and the client another; what each of them costs is written down with the rest.
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time

from serving_client import WireClient

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONCURRENCY = [1, 2, 4, 8, 16, 32]
FULL = {16, 32}                                      # callers that keep the server busy
SIZES = [1, 16, 64]                                  # samples of a request where batches are looked at by themselves
NETWORKS = {                                         # title, input, shape of a sample, output, threads, seconds of a point
    "lenet5": ("LeNet-5, Swish", "image", (1, 28, 28), "logits", 1, 0.4),
    "resnet50": ("ResNet-50", "image", (3, 224, 224), "logits", 1, 0.8)}
RUNTIMES = {"opgraft": "Opgraft", "onnxruntime": "ONNX Runtime, Python backend"}
METHOD = "/inference.GRPCInferenceService/ModelInfer"
PEER = '''"""ONNX Runtime in Triton's Python backend: all requests of a batch in one run. By DLPack, which copies nothing and
does not depend on NumPy's version: as_numpy() and Tensor() of this server's Python backend are for NumPy 1, and wrong with 2."""
import os
import sys

sys.path += {packages}
import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = {threads}
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        inputs = [np.from_dlpack(triton.get_input_tensor_by_name(r, "{input}")) for r in requests]
        batch = inputs[0] if len(inputs) == 1 else np.concatenate(inputs)
        made = self.session.run(["{output}"], {{"{input}": batch}})[0]
        answers, at = [], 0
        for x in inputs:
            answers.append(triton.InferenceResponse([triton.Tensor.from_dlpack("{output}", made[at:at + len(x)])]))
            at += len(x)
        return answers
'''


def peer_config(network, most, classes):
    _, name, shape, output, _, _ = NETWORKS[network]
    dims = ", ".join(map(str, shape))
    return (f'backend: "python"\nmax_batch_size: {most}\n'
            f'input {{ name: "{name}" data_type: TYPE_FP32 dims: [{dims}] }}\n'
            f'output {{ name: "{output}" data_type: TYPE_FP32 dims: [{classes}] }}\n'
            + ("dynamic_batching {}\n" if most > 1 else ""))


def add_models(repository, network, path, cache):
    """opgraft and onnxruntime, each batching (64 at most) and, by a batch of one, not."""
    from triton_server import add_model, parameters
    threads = NETWORKS[network][4]
    for most in 64, 1:
        word = "batch" if most > 1 else "single"
        settings = parameters(threads=threads, timing_cache=cache)
        add_model(repository, f"opgraft-{word}", path, config=f"max_batch_size: {most}\n{settings}")
        folder = repository / f"onnxruntime-{word}"
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "model.onnx").symlink_to(path)
        (folder / "1" / "model.py").write_text(PEER.format(packages=[p for p in sys.path if p.endswith("-packages")], threads=threads,
                                                           input=NETWORKS[network][1], output=NETWORKS[network][3]))
        (folder / "config.pbtxt").write_text(peer_config(network, most, 10 if network == "lenet5" else 1000))


def python_backend(folder, backends):
    """The server's Python backend with the stub for this Python beside it, as it looks for it."""
    server = folder / "server" / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / f"3.{sys.version_info.minor}" / "triton_python_backend_stub"
    if not stub.exists():
        sys.exit(f"bench_serving: the server has no Python backend for Python 3.{sys.version_info.minor}")
    (backends / "python").mkdir()
    for path in [*(server / "backends" / "python").iterdir(), stub]:
        (backends / "python" / path.name).symlink_to(path.resolve())
    stub.chmod(0o755)


class Bench:
    """A server that has the models of a network, and what is asked of it."""

    def __init__(self, server, network):
        import numpy as np
        import tritonclient.utils.shared_memory as shm
        self.server, self.network, self.shm = server, network, shm
        _, self.input, self.shape, self.output, self.threads, self.seconds = NETWORKS[network]
        self.client = server.grpc()
        self.bytes = 4 * int(np.prod(self.shape))
        self.samples = np.random.default_rng(5).random((max(SIZES), *self.shape), dtype=np.float32)
        self.region = shm.create_shared_memory_region("samples", f"/opgraft-{os.getpid()}", self.samples.nbytes)
        shm.set_shared_memory_region(self.region, [self.samples])
        self.client.register_system_shared_memory("samples", f"/opgraft-{os.getpid()}", self.samples.nbytes)

    def close(self):
        self.client.unregister_system_shared_memory()
        self.shm.destroy_shared_memory_region(self.region)

    def request(self, model, samples):
        from tritonclient.grpc import service_pb2
        message = service_pb2.ModelInferRequest(model_name=model)
        given = message.inputs.add(name=self.input, datatype="FP32", shape=[samples, *self.shape])
        given.parameters["shared_memory_region"].string_param = "samples"
        given.parameters["shared_memory_byte_size"].int64_param = self.bytes * samples
        return message.SerializeToString()

    def answer(self, model):
        from triton_server import infer
        return infer(self.client, model, {self.input: self.samples[:1]})[self.output]

    def processor_seconds(self):
        """Of the server with its Python processes: all of its process group."""
        ticks = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                words = stat.read_text().rpartition(")")[2].split()
                if int(words[2]) == self.server.process.pid:
                    ticks += int(words[11]) + int(words[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def counted(self, model):
        """Triton's statistics: nanoseconds and numbers of requests and of batches."""
        stats = self.client.get_inference_statistics(model, as_json=True)["model_stats"][0]
        parts = "queue", "compute_input", "compute_infer", "compute_output"
        found = {part: int(stats["inference_stats"][part].get("ns", 0)) for part in parts}
        found |= {"requests": int(stats["inference_stats"]["success"].get("count", 0)), "batches": int(stats.get("execution_count", 0)),
                  "samples": int(stats.get("inference_count", 0)), "batch": 0}
        for size in stats.get("batch_stats", []):
            found["batch"] += sum(int(size[part].get("ns", 0)) for part in parts[1:])
        return found

    def point(self, model, concurrency, samples=1):
        message = self.request(model, samples)
        with WireClient(self.server.grpc_port, METHOD) as client:
            client.load(message, 1, 0)
            before, server, mine = self.counted(model), self.processor_seconds(), time.process_time()
            latencies, took = client.load(message, concurrency, self.seconds)
        mine, server = time.process_time() - mine, self.processor_seconds() - server
        after = self.counted(model)
        n = {key: after[key] - before[key] for key in after}
        assert n["requests"] == len(latencies), "requests failed"
        latencies.sort()
        return {"concurrency": concurrency, "samples": samples, "requests": len(latencies), "per_second": len(latencies) * samples / took,
                "p50_us": 1e6 * latencies[len(latencies) // 2], "p99_us": 1e6 * latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)],
                "server_us": 1e6 * server / len(latencies), "client_us": 1e6 * mine / len(latencies),
                "batch_size": n["samples"] / n["batches"], "batch_us": 1e-3 * n["batch"] / n["batches"],
                **{f"{part}_us": 1e-3 * n[part] / n["requests"] for part in ("queue", "compute_input", "compute_infer", "compute_output")}}


def direct(build, path, sizes, threads, cache):
    """`opgraft bench` of the same file: {samples: median microseconds}."""
    done = subprocess.run([build / "opgraft", "bench", path, "--batch", ",".join(map(str, sizes)), "--threads", str(threads), "--seconds", "1.5",
                           "--timing-cache", cache, "--json"], capture_output=True, text=True, check=True)
    return {one["batch"]: 1e3 * one["median_ms"] for one in json.loads(done.stdout)["results"]}


def play_round(options):
    sys.path.insert(0, str(ROOT / "tests"))
    from conftest import BUILD, relative_error
    from triton_server import Server, install
    folder, path = install(), options.model.resolve()
    sizes = SIZES if options.network == "lenet5" else [1]
    options.cache.mkdir(parents=True, exist_ok=True)
    cache = options.cache.resolve() / "timing"
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as work:
        repository = pathlib.Path(work) / "models"
        repository.mkdir()
        add_models(repository, options.network, path, cache)
        libraries = os.pathsep.join([str(next((folder / "server").glob("*.libs"))), sysconfig.get_config_var("LIBDIR") or ""])
        server = Server(folder, repository, env={"LD_LIBRARY_PATH": libraries})
        python_backend(folder, server.backends)
        os.sched_setaffinity(0, {cores[0]})              # the server's processes and threads have it from here
        with server:
            os.sched_setaffinity(0, {cores[-1]})
            loader = server.http(network_timeout=300.0)
            models = [f"{runtime}-{word}" for word in ("batch", "single") for runtime in RUNTIMES]
            for model in models:
                loader.load_model(model)
            bench = Bench(server, options.network)
            try:
                answers = [bench.answer(model) for model in models]
                assert all(relative_error(one, answers[1]) < 1e-4 for one in answers), "the runtimes do not agree"
                points = {model: [] for model in models}
                for concurrency in options.callers:
                    for model in models:
                        points[model].append(bench.point(model, concurrency))
                alone = {}
                for samples in sizes if 1 in options.callers else []:
                    alone[samples] = {"direct_us": direct(BUILD, path, [samples], bench.threads, cache)[samples]}
                    alone[samples] |= {runtime: bench.point(f"{runtime}-batch", 1, samples) for runtime in RUNTIMES}
            finally:
                bench.close()
    return {"points": points, "alone": alone}


# ---- the page -----------------------------------------------------------------------------------


class Data:
    """Medians over the rounds of a network."""

    def __init__(self, network, rounds):
        self.rounds, self.threads = rounds, NETWORKS[network][4]
        self.turns = min(len(self.values("opgraft-batch", c, "requests")) for c in self.callers())       # of each point

    def callers(self):
        return sorted({p["concurrency"] for r in self.rounds for p in r["points"]["opgraft-batch"]})

    def values(self, model, concurrency, key):
        return [p[key] for r in self.rounds for p in r["points"][model] if p["concurrency"] == concurrency]

    def median(self, model, concurrency, key):
        return statistics.median(self.values(model, concurrency, key))

    def alone(self, samples, runtime, key):
        return [r["alone"][samples][runtime][key] for r in self.rounds if r["alone"]]

    def ratios(self, word, concurrency):
        """Opgraft's throughput over ONNX Runtime's: pairs of the same round."""
        pairs = zip(self.values(f"opgraft-{word}", concurrency, "per_second"), self.values(f"onnxruntime-{word}", concurrency, "per_second"))
        return [a / b for a, b in pairs]

    def overhead(self, samples, runtime="opgraft"):
        """Of a batch that comes as one request: what the server's clock shows before its run and behind it."""
        return [a + b for a, b in zip(self.alone(samples, runtime, "compute_input_us"), self.alone(samples, runtime, "compute_output_us"))]

    def inside(self, samples):
        return [b / a for a, b in zip(self.alone(samples, "opgraft", "batch_us"), self.alone(samples, "onnxruntime", "batch_us"))]

    def outside(self, samples):
        return [a / b for a, b in zip(self.alone(samples, "opgraft", "per_second"), self.alone(samples, "onnxruntime", "per_second"))]


def spread(values, form=None):
    values = sorted(values)
    form = form or (".1f" if values[-1] < 30 else ".0f")
    return f"{statistics.median(values):{form}} ({values[0]:{form}} to {values[-1]:{form}})"


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(row) + " |" for row in rows), ""])


def time_text(us):
    return f"{us:.0f} µs" if us < 1000 else f"{us / 1e3:.3g} ms" if us < 999_500 else f"{us / 1e6:.3g} s"


def sweep_table(d, word):
    rows = []
    for c in d.callers():
        row = [str(c)]
        for runtime in RUNTIMES:
            model = f"{runtime}-{word}"
            row += [spread(d.values(model, c, "per_second")), time_text(d.median(model, c, "p50_us")), time_text(d.median(model, c, "p99_us")),
                    f"{d.median(model, c, 'batch_size'):.1f}"]
        rows.append([*row, spread(d.ratios(word, c), ".2f")])
    head = ["callers"]
    for title in "Opgraft", "ORT":
        head += [f"{title}: requests/s", "p50", "p99", "batch"]
    return table([*head, "ratio"], rows)


def inside_table(d):
    rows = []
    for c in d.callers():
        for runtime in RUNTIMES:
            model = f"{runtime}-batch"
            parts = [time_text(d.median(model, c, f"{part}_us")) for part in ("queue", "compute_input", "compute_infer", "compute_output")]
            each = d.median(model, c, "batch_us") / d.median(model, c, "batch_size")
            rows.append([str(c), RUNTIMES[runtime].split(",")[0], *parts, time_text(each), time_text(d.median(model, c, "server_us")),
                         time_text(d.median(model, c, "client_us"))])
    return table(["callers", "", "queue", "input", "infer", "output", "batch / its size", "server's CPU", "client's CPU"], rows)


def overhead_table(d):
    rows = []
    rounds = [r["alone"] for r in d.rounds if r["alone"]]
    for samples in rounds[0]:
        ours = {part: d.alone(samples, "opgraft", f"{part}_us") for part in ("compute_infer", "compute_input", "compute_output")}
        rows.append([samples, spread([r[samples]["direct_us"] for r in rounds]), spread(ours["compute_infer"]), spread(d.overhead(samples)),
                     spread(ours["compute_input"]), spread(ours["compute_output"]), spread(d.alone(samples, "onnxruntime", "batch_us")),
                     spread(d.inside(samples), ".2f"), spread(d.outside(samples), ".2f")])
    return table(["samples", "`opgraft bench`, µs", "the run in the server, µs", "overhead, µs", "of it input", "output", "ORT in the server, µs",
                  "ratio in the server", "ratio of throughput"], rows)


def between(medians):
    """The least and the most of some medians."""
    return f"{min(medians):.2f} to {max(medians):.2f}" if len(medians) > 1 else f"{medians[0]:.2f}"


def asked_table(data):
    """Against what was asked: medians, of the numbers of callers that fill the server, and of one caller."""
    rows = []
    for network, asked in ("lenet5", "3"), ("resnet50", "1.2"):
        if network not in data["networks"]:
            continue
        d, title = Data(network, data["networks"][network]), NETWORKS[network][0].split(",")[0]
        for callers, words in (FULL, "16 and 32 callers"), ({1}, "one caller"):
            for word, how in ("batch", "dynamic batching"), ("single", "no batching"):
                medians = [statistics.median(d.ratios(word, c)) for c in d.callers() if c in callers]
                if medians:
                    rows.append([f"{title}, throughput over ONNX Runtime's, {words}, {how}", f"at least {asked}", between(medians)])
        alone = next((r["alone"] for r in d.rounds if r["alone"]), {})
        for samples in alone:
            rows.append([f"{title}, the same inside the server, {samples} in a request", "", between([statistics.median(d.inside(samples))])])
        for samples in list(alone)[:1]:
            rows.append([f"{title}, overhead a batch, {samples} in a request", "under 60 µs", time_text(statistics.median(d.overhead(samples)))
                         + f", of which {time_text(statistics.median(d.alone(samples, 'opgraft', 'compute_input_us')))} before the run"
                         + f" (ONNX Runtime: {time_text(statistics.median(d.overhead(samples, 'onnxruntime')))})"])
    return table(["", "asked", "here"], rows)


def page_text(data):
    parts = ["### Against what was asked\n", asked_table(data)]
    for network, (title, _, _, _, threads, _) in NETWORKS.items():
        if network not in data["networks"]:
            continue
        d = Data(network, data["networks"][network])
        asked = sum(p["requests"] for r in d.rounds for points in r["points"].values() for p in points)
        parts += [f"### {title}\n\nThreads of a model: {threads}. Rounds: {d.turns}; requests: {asked:,}.\n",
                  "One sample a request, dynamic batching:\n", sweep_table(d, "batch"), "One sample a request, no batching (`max_batch_size: 1`):\n",
                  sweep_table(d, "single"), "A request with dynamic batching, from the inside:\n", inside_table(d),
                  "A batch that comes as one request, one caller:\n", overhead_table(d)]
    return "\n".join(parts)


def plot(data, path):
    from bench_plots import COLORS, MARKS, pyplot, save
    networks = [n for n in NETWORKS if n in data["networks"]]
    figure, panels = pyplot.subplots(2, len(networks), figsize=(4.3 * len(networks), 5.8), sharex=True, squeeze=False)
    for column, network in enumerate(networks):
        d = Data(network, data["networks"][network])
        for runtime in RUNTIMES:
            for word, line in ("batch", "-"), ("single", (0, (4, 2))):
                label = RUNTIMES[runtime].split(",")[0] + (", batching" if word == "batch" else "")
                style = {"color": COLORS[runtime], "marker": MARKS[runtime], "linestyle": line, "label": label, "markersize": 5}
                for axes, key in zip(panels[:, column], ("per_second", "p99_us")):
                    axes.plot(d.callers(), [d.median(f"{runtime}-{word}", c, key) for c in d.callers()], **style)
        high, low = panels[:, column]
        high.set(title=NETWORKS[network][0], ylim=(0, 1.08 * max(max(line.get_ydata()) for line in high.lines)))
        high.yaxis.set_major_formatter(lambda x, _: f"{x:,g}")
        low.set(yscale="log", xscale="log", xlabel="callers")
        low.set_xticks(CONCURRENCY, [str(c) for c in CONCURRENCY])
        low.minorticks_off()
        ticks = [t * 10**k for k in range(1, 7) for t in (1, 2, 5)]
        bounds = low.get_ylim()
        low.set_yticks([t for t in ticks if bounds[0] <= t <= bounds[1]])
        low.yaxis.set_major_formatter(lambda us, _: time_text(us))
        for axes in high, low:
            axes.grid(True, axis="y")
    panels[0][0].set_ylabel("requests a second")
    panels[1][0].set_ylabel("latency, 99th percentile")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=2, bbox_to_anchor=(0.5, -0.08))
    figure.tight_layout()
    save(figure, path)


def write_between(page, name, text):
    """Puts text between the page's marks of that name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->\n"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        sys.exit(f"{page}: has no marks '{name}' for what is generated")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["round", "page"])
    parser.add_argument("--network", choices=NETWORKS, default="lenet5")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models" / "lenet5_swish4.onnx", help="its file; tools/make_resnet50.py makes ResNet-50")
    parser.add_argument("--callers", type=lambda text: [int(word) for word in text.split(",")], default=CONCURRENCY, help="of this round (default all)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "serving.json")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs" / "serving.md")
    parser.add_argument("--cache", type=pathlib.Path, default=ROOT / "build" / "bench", help="folder for times of tactics (default build/bench)")
    options = parser.parse_args()
    data = json.loads(options.out.read_text()) if options.out.exists() else {"networks": {}}
    if options.what == "round":
        data["networks"].setdefault(options.network, []).append(json.loads(json.dumps(play_round(options))))
        options.out.write_text(json.dumps(data, separators=(",", ":")) + "\n")
    else:
        write_between(options.page, "measured", page_text(data))
        plot(data, options.page.with_suffix(".svg"))


if __name__ == "__main__":
    main()
