"""The CUDA columns of docs/resnet50.md: the imported ResNet-50 on a GPU, with ReLU and with Swish, by Opgraft, PyTorch and TensorFlow. Needs neither of
these: what is not installed is left out. Prints JSON, or writes it to OUT; says so where there is no GPU.

resnet50_cuda.py --build build --model build/resnet50/relu.onnx [--graph build/resnet50/resnet50.pb] [--batches 1,32]
                 [--precisions fp32,tf32,fp16] [--rounds 30] [--timing] [--out FILE]
--model is what `opgraft import` made of the frozen graph, --graph that graph, for TensorFlow. Without --timing tactics are chosen by guess, which is quick."""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np


def opgraft(given, *words, status=(0,)):
    done = subprocess.run([given.build / "opgraft", *map(str, words)], cwd=given.work, capture_output=True, text=True)
    if done.returncode not in status:
        raise SystemExit(f"opgraft {' '.join(map(str, words))}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def error(got, want):
    return float(f"{np.abs(got.astype(np.float64) - want).max() / np.abs(want).max():.2g}")


def row(form, by, precision, batch, times, wrong):
    """times: the 10th percentile, the median and the 90th, or all of them."""
    low, *_, high = times if len(times) == 3 else statistics.quantiles(times, n=10)
    rounded = {name: float(f"{value:.4g}") for name, value in (("median_ms", statistics.median(times)), ("p10_ms", low), ("p90_ms", high))}
    return {"form": form, "by": by, "precision": precision, "batch": batch, **rounded, "error": wrong}


class Networks:
    """The two models, an input for each batch, and what the CPU answers in fp32."""

    def __init__(self, given):
        self.given, self.input, self.answers = given, {}, {}
        self.files = {"relu": given.model, "swish": given.work / "swish.onnx"}
        opgraft(given, "graft", given.model, "-o", self.files["swish"], "--map", "Relu=Swish", "-q")
        about = json.loads(opgraft(given, "info", given.model, "--json"))
        (self.image,), (self.output,) = about["inputs"], about["outputs"]

    def x(self, batch):
        if batch not in self.input:
            shape = [batch, *self.image["shape"][1:]]
            self.input[batch] = np.random.default_rng(7).random(shape, np.float32)
            np.save(self.given.work / f"x{batch}.npy", self.input[batch])
        return self.input[batch]

    def run(self, form, batch, *options):
        self.x(batch)
        opgraft(self.given, "run", self.files[form], "--input", f"{self.image['name']}=x{batch}.npy", "--output", f"{self.output['name']}=y.npy", "-q",
                "--no-timing", *options)
        return np.load(self.given.work / "y.npy")

    def answer(self, form, batch):
        if (form, batch) not in self.answers:
            self.answers[form, batch] = self.run(form, batch)
        return self.answers[form, batch]


def by_opgraft(given, nets):
    """One replay of the plan, without the copies of image and answer."""
    rows = []
    for precision in given.precisions:
        options = ["--device", "cuda", "--precision", precision]
        said = opgraft(given, "bench", *nets.files.values(), *options, "--batch", ",".join(map(str, given.batches)), "--runs", given.rounds, "--seconds", 3, "--json",
                       *([] if given.timing else ["--no-timing"]))
        for r in json.loads(said)["results"]:
            form = next(form for form, file in nets.files.items() if str(file) == r["model"])
            wrong = error(nets.run(form, r["batch"], *options), nets.answer(form, r["batch"]))
            rows.append(row(form, "opgraft", precision, r["batch"], [r["p10_ms"], r["median_ms"], r["p90_ms"]], wrong))
    return rows


# ---- PyTorch -------------------------------------------------------------------------------------

def as_torch(path, torch, form):
    """A module of the ops that the import leaves of a ResNet-50."""
    import onnx
    from onnx import helper, numpy_helper
    F, model = torch.nn.functional, onnx.load(path)
    constant = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in model.graph.initializer}

    def pads(given, rank):
        return [n for d in reversed(range(rank)) for n in (given[d], given[d + rank])]

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.names, self.nodes = {}, []
            for name, value in constant.items():
                self.names[name] = f"w{len(self.names)}"
                self.register_buffer(self.names[name], value)
            for n in model.graph.node:
                self.nodes.append((n.op_type, [x for x in n.input], n.output[0], {a.name: helper.get_attribute_value(a) for a in n.attribute}))

        def forward(self, image):
            v = {model.graph.input[0].name: image}
            for op, names, out, a in self.nodes:
                x = [v[n] if n in v else getattr(self, self.names[n]) for n in names]
                if op == "Conv":
                    k = a.get("pads", [0, 0, 0, 0])
                    x[0], k = (x[0], k[:2]) if k[:2] == k[2:] else (F.pad(x[0], pads(k, 2)), [0, 0])
                    y = F.conv2d(*x, stride=a.get("strides", 1), padding=k, groups=a.get("group", 1))
                elif op == "Relu":
                    y = F.relu(x[0]) if form == "relu" else F.silu(x[0])
                elif op == "Pad":
                    y = F.pad(x[0], pads([int(n) for n in constant[names[1]]], 4))
                elif op in ("MaxPool", "AveragePool"):
                    y = (F.max_pool2d if op == "MaxPool" else F.avg_pool2d)(x[0], a["kernel_shape"], a.get("strides", 1))
                elif op == "ReduceMean":
                    y = x[0].mean(a["axes"], keepdim=bool(a.get("keepdims", 1)))
                elif op == "Gemm":
                    y = F.linear(x[0], x[1] if a.get("transB") else x[1].T, *x[2:])
                else:
                    y = {"Add": lambda: x[0] + x[1], "Mul": lambda: x[0] * x[1], "Softmax": lambda: F.softmax(x[0], a.get("axis", -1)),
                         "Transpose": lambda: x[0].permute(a["perm"]), "Flatten": lambda: x[0].flatten(1),
                         "Reshape": lambda: x[0].reshape([int(n) for n in constant[names[1]]])}[op]()
                v[out] = y
            return v[model.graph.output[0].name]
    return Net()


def torch_times(torch, rounds, call):
    times = []
    for _ in range(rounds):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return times


def by_torch(given, nets):
    """Eagerly, and replayed as a CUDA graph; fp16 with channels last."""
    import torch
    if not torch.cuda.is_available():
        return []
    rows = []
    for form in nets.files:
        for precision in given.precisions:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
            torch.backends.cudnn.benchmark = True
            net = as_torch(given.model, torch, form).cuda().eval()
            if precision == "fp16":
                net = net.half().to(memory_format=torch.channels_last)
            for batch in given.batches:
                x = torch.from_numpy(nets.x(batch)).cuda().to(next(net.buffers()).dtype)
                with torch.no_grad():
                    for _ in range(3):
                        y = net(x)
                    wrong = error(y.float().cpu().numpy(), nets.answer(form, batch))
                    rows.append(row(form, "torch", precision, batch, torch_times(torch, given.rounds, lambda: net(x)), wrong))
                    graph = torch.cuda.CUDAGraph()
                    with torch.cuda.graph(graph):
                        net(x)
                    rows.append(row(form, "torch_graph", precision, batch, torch_times(torch, given.rounds, graph.replay), wrong))
    return rows


# ---- TensorFlow ----------------------------------------------------------------------------------

def by_tensorflow(given, nets):
    """The frozen graph, by tf.function and XLA. The host waits for each answer, which stays on the device."""
    import tensorflow as tf
    if not given.graph or not tf.config.list_physical_devices("GPU"):
        return []
    from resnet50_tensorflow import TensorFlow
    rows = []
    for form in nets.files:
        for precision in (p for p in given.precisions if p != "fp16"):
            tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
            for way in ("function", "xla"):
                call = TensorFlow(way, os.cpu_count()).frozen(form, given.graph)
                for batch in given.batches:
                    with tf.device("GPU"):
                        x, times = tf.constant(nets.x(batch)), []
                        for _ in range(given.rounds + 3):
                            start = time.perf_counter()
                            y = call(x)
                            tf.test.experimental.sync_devices()
                            times.append(1e3 * (time.perf_counter() - start))
                    rows.append(row(form, way, precision, batch, times[3:], error(np.asarray(y), nets.answer(form, batch))))
    return rows


def versions():
    import importlib.metadata
    found = {}
    for name in ("torch", "tensorflow"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def measure(given):
    """The facts, or None where there is no GPU."""
    machine = json.loads(opgraft(given, "doctor", "--json"))
    if not machine["gpu"]:
        return None
    nets = Networks(given)
    facts = {"gpu": machine["gpu"], "tactics": "timed" if given.timing else "guessed",
             "versions": versions(), "rows": []}
    for peer in (by_opgraft, by_torch, by_tensorflow):
        try:
            facts["rows"] += peer(given, nets)
        except ImportError:
            continue
    return facts


def main():
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--build", type=pathlib.Path, required=True)
    ask.add_argument("--model", type=pathlib.Path, required=True)
    ask.add_argument("--graph", type=pathlib.Path)
    ask.add_argument("--batches", type=lambda s: [int(n) for n in s.split(",")], default=[1, 32])
    ask.add_argument("--precisions", type=lambda s: s.split(","), default=["fp32", "tf32", "fp16"])
    ask.add_argument("--rounds", type=int, default=30)
    ask.add_argument("--timing", action="store_true")
    ask.add_argument("--out", type=pathlib.Path)
    given = ask.parse_args()
    given.build, given.model = given.build.resolve(), given.model.resolve()
    with tempfile.TemporaryDirectory() as work:
        given.work = pathlib.Path(work)
        facts = measure(given)
    if facts is None:
        print("no GPU here: nothing was measured", file=sys.stderr)
        return
    text = json.dumps(facts, indent=1)
    if given.out:
        given.out.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
