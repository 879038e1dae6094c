#!/usr/bin/env python3
"""What Opgraft and PyTorch take for LeNet-5 and ResNet-50 on this machine's GPU, in one run, as a page.

    make B=build/gpu all build/gpu/tools/check_rows
    python3 tools/gpu_results.py --build build/gpu --out build/gpu/results

Writes OUT.md, the page, and OUT.json, the raw numbers. Wants PyTorch, numpy and onnx; takes about six minutes.
--page RAW.json writes the page again from the numbers of an earlier run, on any machine.

PyTorch's networks are compiled at the same time by processes that then wait for each other with a lock: one thing is
timed at a time. All times are medians of means over replays on the device.
"""
import argparse
import datetime
import fcntl
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LENET_BATCHES, RESNET_BATCHES = (1, 64, 1024, 8192), (1, 32, 128)
ACTIVATIONS = ("relu", "swish", "odd")
# issue: what a line is to take, in milliseconds
AIMS = {("lenet5", "swish", 1): 0.006, ("lenet5", "swish", 64): 0.012, ("lenet5", "swish", 1024): 0.045, ("lenet5", "swish", 8192): 0.20,
        ("resnet50", "relu", 1): 0.30, ("resnet50", "relu", 32): 1.0, ("resnet50", "relu", 128): 3.1, ("resnet50 tf32", "relu", 32): 1.8}
TIMES_FASTER = {1: 6, 64: 6, 1024: 4, 8192: 3.5}
ODD = """#include "opgraft/op.h"
EXPR v odd(v x)
{
	v e = v_exp(v_lesser(20.0f, 1.1f * x)), p = e * (e + 2.0f);
	return x * v_fma(0.9f, p / (p + 2.0f), 0.05f);
}
MAP(odd, 1, 0)
OP(odd, .name = "Odd", .domain = "bench", .since = 1, .doc = "0.9 * x * tanh(softplus(1.1 * x)) + 0.05 * x.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32", MAPS(odd), .ulp = 8,
   .body = "Add(Mul(Mul(x, 0.9), Tanh(Softplus(Mul(x, 1.1)))), Mul(x, 0.05))", .cases = "f32[7]")
"""


# ---- PyTorch: a process for each network and activation ------------------------------------------

def torch_networks(torch):
    nn, F = torch.nn, torch.nn.functional
    acts = {"relu": F.relu, "swish": lambda x: x * torch.sigmoid(x), "odd": lambda x: 0.9 * x * torch.tanh(F.softplus(1.1 * x)) + 0.05 * x}

    class LeNet5(nn.Module):
        def __init__(self, act):
            super().__init__()
            self.act = acts[act]
            self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

        def forward(self, x):
            x = F.avg_pool2d(self.act(self.conv1(x)), 2)
            x = F.avg_pool2d(self.act(self.conv2(x)), 2).flatten(1)
            return self.fc3(self.act(self.fc2(self.act(self.fc1(x)))))

    class Bottleneck(nn.Module):
        def __init__(self, c, width, stride, act):
            super().__init__()
            self.act = acts[act]
            # BatchNormalization is folded, as both runtimes do before they time anything
            self.a, self.b = nn.Conv2d(c, width, 1), nn.Conv2d(width, width, 3, stride, 1)
            self.c = nn.Conv2d(width, 4 * width, 1)
            self.down = nn.Conv2d(c, 4 * width, 1, stride) if c != 4 * width or stride != 1 else nn.Identity()

        def forward(self, x):
            return self.act(self.c(self.act(self.b(self.act(self.a(x))))) + self.down(x))

    class ResNet50(nn.Module):
        def __init__(self, act):
            super().__init__()
            self.act, blocks, c = acts[act], [], 64
            self.stem = nn.Conv2d(3, 64, 7, 2, 3)
            for stage, count in enumerate((3, 4, 6, 3)):
                for k in range(count):
                    blocks.append(Bottleneck(c, 64 << stage, 2 if stage and not k else 1, act))
                    c = 256 << stage
            self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(2048, 1000)

        def forward(self, x):
            x = F.max_pool2d(self.act(self.stem(x)), 3, 2, 1)
            return self.fc(self.blocks(x).mean((2, 3)))

    return {"lenet5": LeNet5, "resnet50": ResNet50}


def torch_time(torch, run, seconds):
    """Median of means of ten, milliseconds."""
    for _ in range(5):
        run()
    torch.cuda.synchronize()
    means, end = [], time.monotonic() + seconds
    while len(means) < 10 or (time.monotonic() < end and len(means) < 300):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        for _ in range(10):
            run()
        b.record()
        b.synchronize()
        means.append(a.elapsed_time(b) / 10)
    return statistics.median(means)


def torch_graph(torch, run):
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def torch_main(network, act, lock, seconds, device):
    """Compiles all batches, then waits for the lock and times them; prints one line of JSON for each number."""
    import torch
    torch.backends.cudnn.benchmark = True
    if network == "lenet5":                 # true float32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    made = torch_networks(torch)[network]
    cases = []
    with torch.no_grad():
        for batch in LENET_BATCHES if network == "lenet5" else RESNET_BATCHES:
            torch._dynamo.reset()
            model = made(act).eval().to(device)
            shape = (batch, 1, 28, 28) if network == "lenet5" else (batch, 3, 224, 224)
            x = torch.randn(*shape, device=device)
            if network == "resnet50":
                model, x = model.half().to(memory_format=torch.channels_last), x.half().to(memory_format=torch.channels_last)
            if device == "cpu":                  # only to see that it runs
                return print(json.dumps({"network": network, "act": act, "batch": batch, "shape": list(model(x).shape)}), flush=True)
            compiled = torch.compile(model, mode="reduce-overhead", dynamic=False)
            for _ in range(4):
                compiled(x)
            cases.append((batch, model, compiled, x))
        torch.cuda.synchronize()
        pathlib.Path(f"{lock}.{os.getpid()}").touch()
        with open(lock, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            for batch, model, compiled, x in cases:
                for way, run in (("eager", lambda: model(x)), ("graph", None), ("compile", lambda: compiled(x))):
                    run = run or torch_graph(torch, lambda: model(x))
                    ms = torch_time(torch, run, seconds)
                    print(json.dumps({"network": network, "act": act, "batch": batch, "way": way, "ms": ms}), flush=True)


# ---- Opgraft --------------------------------------------------------------------------------------

class Bench:
    def __init__(self, options):
        self.options, self.raw = options, {"date": datetime.date.today().isoformat(), "lines": [], "failed": []}
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="gpu_results_"))
        self.opgraft = options.build / "opgraft"

    def say(self, *words):
        print(f"[{time.monotonic() - self.options.start:4.0f} s]", *words, flush=True)

    def run(self, *args, timeout=120):
        """Standard output; None, and a note in the page, when the command fails."""
        try:
            done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=timeout, cwd=ROOT)
            reason = done.stderr.strip()
        except subprocess.TimeoutExpired:
            done, reason = None, f"took more than {timeout} s"
        if done is None or done.returncode:
            self.raw["failed"].append(f"{' '.join(map(str, args))}: {reason[-300:]}")
            return None
        return done.stdout

    def bench(self, network, act, model, batch, *options, way="opgraft"):
        out = self.run(self.opgraft, "bench", model, "--batch", batch, "--device", self.options.device, "--json", "--seconds", self.options.seconds, *options)
        if out:
            self.raw["lines"].append({"network": network, "act": act, "batch": batch, "way": way, "ms": json.loads(out)["results"][0]["median_ms"]})

    def make_models(self):
        """Processes that write the ResNets."""
        (self.work / "odd.c").write_text(ODD)
        made = [subprocess.Popen([sys.executable, "tools/make_resnet50.py", "--out", self.work / f"resnet50_{act}.onnx", "--activation", spelling], cwd=ROOT)
                for act, spelling in (("relu", "relu"), ("swish", "swish2"))]
        self.run(self.opgraft, "op", "build", self.work / "odd.c", "-o", self.work / "odd.so", "-q")
        return made

    def networks(self):
        lenet = {"relu": "models/lenet5_relu.onnx", "swish": "models/lenet5_swish2.onnx", "swish4": "models/lenet5_swish4.onnx"}
        for batch in LENET_BATCHES[:2] if self.options.dry else LENET_BATCHES:
            for act, model in lenet.items():
                self.bench("lenet5", act, model, batch)
            self.bench("lenet5", "swish4", lenet["swish4"], batch, "--no-fuse", way="unfused")
        self.say("LeNet-5 is timed")
        if self.options.dry:
            return
        odd = ("--ops", self.work / "odd.so")
        self.run(self.opgraft, "graft", self.work / "resnet50_relu.onnx", "-o", self.work / "resnet50_odd.onnx", "--map", "Relu=Odd", "-q", *odd)
        for batch in RESNET_BATCHES:
            for act in ACTIVATIONS:
                more = odd if act == "odd" else ()
                self.bench("resnet50", act, self.work / f"resnet50_{act}.onnx", batch, "--precision", "fp16", "--no-timing", *more, way="guessed")
                if not self.options.guess:
                    self.bench("resnet50", act, self.work / f"resnet50_{act}.onnx", batch, "--precision", "fp16", *more)
            self.say(f"ResNet-50 of batch {batch} is timed")
        for precision in ("tf32", "bf16", "fp32"):
            self.bench(f"resnet50 {precision}", "relu", self.work / "resnet50_relu.onnx", 32, "--precision", precision, *(["--no-timing"] if self.options.guess else []))

    def layers(self):
        model = ROOT / "models/lenet5_swish2.onnx" if self.options.dry else self.work / "resnet50_relu.onnx"
        more = ["--no-timing"] if self.options.guess or self.options.dry else []
        out = self.run(self.opgraft, "profile", model, "--device", self.options.device, "--batch", 32, "--json", *([] if self.options.dry else ["--precision", "fp16"]), *more)
        self.raw["steps"] = json.loads(out)["steps"] if out else []

    def rows(self):
        out = None if self.options.dry else self.run(self.options.build / "tools" / "check_rows", timeout=90)
        self.raw["rows"] = [[cell.strip() for cell in line.strip("|").split("|")] for line in (out or "").splitlines()[2:]]

    def machine(self):
        out = self.run("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader") if self.options.device == "cuda" else None
        self.raw["machine"] = (out or "a machine without a GPU").strip().replace(", ", ", driver ")
        try:
            import torch
            self.raw["torch"] = torch.__version__
        except ImportError:
            self.raw["torch"] = None


def measure(options):
    bench = Bench(options)
    bench.machine()
    lock = bench.work / "lock"
    workers = []
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)     # nobody times before all have compiled
        made = bench.make_models()
        if bench.raw["torch"] and not options.no_torch:
            for network, act in [("lenet5", "relu"), ("lenet5", "swish")] + [("resnet50", act) for act in ACTIVATIONS]:
                workers.append(subprocess.Popen([sys.executable, __file__, "--torch", network, act, str(lock), str(options.seconds), options.device],
                                                stdout=subprocess.PIPE, stderr=open(bench.work / f"{network}_{act}.log", "w"), text=True))
        for process in made:
            process.wait()
        bench.say("models are made")
        while time.monotonic() - options.start < options.torch_seconds * 0.7 and not all(
                worker.poll() is not None or pathlib.Path(f"{lock}.{worker.pid}").exists() for worker in workers):
            time.sleep(0.5)
        bench.say("PyTorch has compiled")
    for worker in workers:                   # PyTorch first: Opgraft then has the device to itself
        try:
            lines, _ = worker.communicate(timeout=max(10, options.torch_seconds - (time.monotonic() - options.start)))
        except subprocess.TimeoutExpired:
            worker.kill()
            lines, _ = worker.communicate()
        bench.raw["lines"] += [json.loads(line) for line in lines.splitlines() if line.startswith("{") and '"ms"' in line]
        bench.say(f"PyTorch: {len(bench.raw['lines'])} numbers")
        if worker.returncode:
            bench.raw["failed"].append(f"{' '.join(map(str, worker.args[1:5]))}: exit status {worker.returncode}")
    for part in (bench.rows, bench.networks, bench.layers):
        part()
        bench.say(part.__name__)
        options.out.with_suffix(".json").write_text(json.dumps(bench.raw, indent=1) + "\n")
    return bench.raw


# ---- the page -------------------------------------------------------------------------------------

def shown(ms):
    return "" if ms is None else f"{ms * 1000:.3g} us" if ms < 1 else f"{ms:.3g} ms"


class Page:
    def __init__(self, raw):
        self.raw, self.lost, self.text = raw, [], []
        self.ms = {(line["network"], line["act"], line["batch"], line["way"]): line["ms"] for line in raw["lines"]}

    def get(self, network, act, batch, way="opgraft"):
        return self.ms.get((network, act, batch, way))

    def best_torch(self, network, act, batch):
        known = [self.get(network, act, batch, way) for way in ("eager", "graph", "compile")]
        return min((ms for ms in known if ms), default=None)

    def ours(self, network, act, batch):
        known = [self.get(network, act, batch, way) for way in ("opgraft", "guessed")]
        return min((ms for ms in known if ms), default=None)

    def judge(self, what, got, aim, least=False):
        """A cell; what misses its aim is a losing case."""
        if got is None:
            return ""
        missed = got < aim if least else got > aim
        if missed:
            self.lost.append((aim / got if least else got / aim, f"{what}: {got:.3g}, aim {'at least ' if least else ''}{aim:g}"))
        return f"{'**' if missed else ''}{got:.3g}{'**' if missed else ''}"

    def table(self, head, rows):
        self.text += ["", "| " + " | ".join(map(str, head)) + " |", "|" + "---|" * len(head)]
        self.text += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows if any(str(cell) for cell in row[1:])]
        self.text.append("")

    def lenet5(self):
        rows = []
        for name, act, way in (("Opgraft, ReLU", "relu", "opgraft"), ("Opgraft, Swish", "swish", "opgraft"), ("Opgraft, Swish of four nodes", "swish4", "opgraft"),
                               ("the same, `--no-fuse`", "swish4", "unfused"), ("PyTorch eager, Swish", "swish", "eager"), ("PyTorch, CUDA graph", "swish", "graph"),
                               ("PyTorch, compiled", "swish", "compile"), ("PyTorch, compiled, ReLU", "relu", "compile")):
            rows.append([name] + [shown(self.get("lenet5", act, batch, way)) for batch in LENET_BATCHES])
        for name, of in (("best PyTorch over Opgraft, Swish", lambda b: self.best_torch("lenet5", "swish", b)), ("unfused over fused, four nodes", lambda b: self.get("lenet5", "swish4", b, "unfused"))):
            row = [name]
            for batch in LENET_BATCHES:
                other, own = of(batch), self.get("lenet5", "swish4" if "four" in name else "swish", batch)
                aim = 3 if "four" in name else TIMES_FASTER[batch]
                row.append(self.judge(f"LeNet-5, batch {batch}, {name}", other / own if other and own else None, aim, least=True))
            rows.append(row)
        self.text.append("### LeNet-5, float32")
        self.table(["", *(f"batch {b}" for b in LENET_BATCHES)], rows)

    def resnet50(self):
        rows = []
        for act in ACTIVATIONS:
            rows.append([f"Opgraft, {act}"] + [shown(self.ours("resnet50", act, b)) for b in RESNET_BATCHES])
            rows.append([f"the same, tactics by guess, {act}"] + [shown(self.get("resnet50", act, b, "guessed")) for b in RESNET_BATCHES])
            for way in ("eager", "graph", "compile"):
                rows.append([f"PyTorch, {way}, {act}"] + [shown(self.get("resnet50", act, b, way)) for b in RESNET_BATCHES])
            row = [f"best PyTorch over Opgraft, {act}"]
            for b in RESNET_BATCHES:
                other, own = self.best_torch("resnet50", act, b), self.ours("resnet50", act, b)
                row.append(self.judge(f"ResNet-50 fp16, batch {b}, {row[0]}", other / own if other and own else None, 1.4, least=True))
            rows.append(row)
        for act, aim in (("swish", 1.02), ("odd", 1.03)):
            row = [f"{act} over ReLU, Opgraft"]
            for b in RESNET_BATCHES:
                own, relu = self.ours("resnet50", act, b), self.ours("resnet50", "relu", b)
                row.append(self.judge(f"ResNet-50 fp16, batch {b}, {row[0]}", own / relu if own and relu else None, aim))
            rows.append(row)
        self.text.append("### ResNet-50, float16")
        self.table(["", *(f"batch {b}" for b in RESNET_BATCHES)], rows)
        others = [(p, self.get(f"resnet50 {p}", "relu", 32)) for p in ("tf32", "bf16", "fp32")]
        self.text.append("ReLU, batch 32: " + ", ".join(f"{p} {shown(ms)}" for p, ms in others if ms) + "." if any(ms for _, ms in others) else "")

    def aims(self):
        for (network, act, batch), aim in AIMS.items():
            self.judge(f"{network}, {act}, batch {batch}, ms", self.ours(network, act, batch), aim)

    def rows(self):
        copy, table = {}, []
        for op, axis, row, kind, ms, rate, part in self.raw.get("rows", []):
            if op == "copy":
                copy[kind] = rate
                continue
            table.append([op + (f", axis {axis}" if axis else f", rows of {row}"), kind, ms, rate, self.judge(f"{op} {axis and 'axis ' + axis} {row} {kind}, % of a copy", float(part.strip("%")), 90, least=True)])
        if table:
            self.text.append("### Elementwise and row-wise steps, 64M elements\n\nA copy by the driver: " + ", ".join(f"{kind} {rate} GB/s" for kind, rate in copy.items()) + ".")
            self.table(["op", "type", "ms", "GB/s", "% of the copy"], table)

    def layers(self):
        steps = self.raw.get("steps") or []
        copy = max([float(row[5]) for row in self.raw.get("rows", []) if row[0] == "copy"], default=4000) * 1e9
        rows = []
        for s in sorted(steps, key=lambda s: -s["ms"]):
            arithmetic, memory = s["flops"] / 657e12 * 1e3, s["bytes"] / copy * 1e3
            limit = max(arithmetic, memory)
            rows.append([s["name"], s["op"], s["tactic"], f"{s['ms'] * 1e3:.1f}", f"{limit * 1e3:.1f}", "arithmetic" if arithmetic > memory else "bytes",
                         f"{100 * limit / s['ms']:.0f}%" if s["ms"] else ""])
        if rows:
            total = sum(s["ms"] for s in steps)
            self.text.append(f"### The roof of each step of ResNet-50, float16, batch 32\n\n{len(steps)} steps, {total:.3g} ms in all, each timed alone; the limit is 657 TFLOP/s or the copy's rate.")
            self.table(["step", "op", "tactic", "us", "limit, us", "by", "of the limit"], rows)

    def write(self):
        for part in (self.lenet5, self.resnet50, self.aims, self.rows, self.layers):
            part()
        head = [f"## {self.raw['date']}: one run of tools/gpu_results.py", "",
                f"On {self.raw['machine']}; PyTorch {self.raw['torch'] or 'not installed'}. Device time of one replay of the plan's graph, inputs on the device.", "",
                "### Losing cases", ""]
        head += [f"- {words}" for _, words in sorted(self.lost, reverse=True)] or ["None."]
        head += ["", *(f"- not measured: `{words}`" for words in self.raw["failed"]), ""]
        return "\n".join(head + self.text).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "gpu", metavar="DIR")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "gpu" / "results", metavar="OUT")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each timing")
    parser.add_argument("--torch-seconds", type=float, default=200, help="after which PyTorch's processes are stopped")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--guess", action="store_true", help="no tactics of ResNet-50 timed while it is built")
    parser.add_argument("--dry", action="store_true", help="LeNet-5 alone on the CPU, to try this file")
    parser.add_argument("--page", type=pathlib.Path, metavar="RAW.json")
    parser.add_argument("--torch", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch:
        network, act, lock, seconds, device = options.torch
        return torch_main(network, act, lock, float(seconds), device)
    options.build, options.start, options.device = options.build.resolve(), time.monotonic(), "cpu" if options.dry else "cuda"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    raw = json.loads(options.page.read_text()) if options.page else measure(options)
    page = Page(raw).write()
    options.out.with_suffix(".md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
