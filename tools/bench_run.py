"""Measures Opgraft beside ONNX Runtime, OpenVINO, ncnn and MNN: the same files, the same machine, taking turns.

    bench_run.py --build build --work build/bench --out docs/results.json [--quick] [--resume]
                 [--only lenet5,resnet50,efficientnet_b0,mobilenet_v3_large,matmul,avx2,kernels,layers,start] [--threads 1,2]
                 [--batch 1,64] [--runtimes opgraft,openvino] [--seconds S]

Every runtime and interface is a process of its own (tools/bench_runtimes.py), held to the same processors. One works at a time: the
others are stopped (SIGSTOP), since threads of most runtimes spin for a while after an inference and would take a processor from the
next. A case whose answer differs is reported as wrong and not timed. A round takes one sample of every case of a group, in changing
order; an untimed inference precedes each. What was measured is kept in OUT after every group; --only and --resume keep the rest of
it."""
import argparse
import dataclasses
import json
import math
import os
import pathlib
import platform
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

import numpy as np

import bench_runtimes
from bench_models import PRODUCTS, SAME, Maker, Missing

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOLERANCE = 1e-3                         # largest difference over the largest magnitude of the reference's answer
LEAST_ROUNDS, MOST_ROUNDS = 5, 40
FEWEST_ROUNDS, PATIENCE = 3, 4           # on a machine so busy that rounds take that many times their budget
SAMPLE = 0.005                           # seconds that a sample lasts at least
FORMS = ["relu", "swish2", "swish4", "swish_op", "odd", "odd_op"]
BOTH = ("c", "python")


@dataclasses.dataclass(frozen=True)
class Group:
    """Cases that are timed in the same rounds."""
    family: str
    forms: tuple
    batch: int
    threads: int
    interfaces: tuple = ("c",)           # those of ncnn are Python's in any case
    both: tuple = ()                     # forms that are called through both interfaces
    level: str = ""                      # "avx2": every runtime that can is held to it
    seconds: float = 5.0                 # budget of the rounds

    @property
    def part(self):
        return self.level or self.family

    @property
    def name(self):
        return f"{self.family}{' ' + self.level if self.level else ''}, batch {self.batch}, {self.threads} thread{'s' * (self.threads > 1)}"


def plan(quick):
    """All groups, the whole benchmark on one page."""
    lenet = ("relu", "swish2") if quick else tuple(FORMS)
    resnet = ("relu", "swish2", "swish_op") if quick else ("relu", "swish2", "swish_op", "odd", "odd_op")
    some = 0.25 if quick else 1
    groups = []
    for threads in (1, 2):
        for batch in (1, 64, 1024):
            groups.append(Group("lenet5", lenet, batch, threads, both=("relu", "swish2"), seconds=some * 4))
        groups.append(Group("resnet50", resnet, 1, threads, both=() if quick else ("relu",), seconds=some * 20))
        if not quick:
            groups.append(Group("resnet50", ("relu", "swish2", "swish_op"), 8, threads, seconds=20))
        for family in ("efficientnet_b0", "mobilenet_v3_large"):
            for batch in (1,) if quick else (1, 8):
                groups.append(Group(family, ("plain",), batch, threads, seconds=some * 6))
    for threads in (1,) if quick else (1, 2):
        shapes = tuple(PRODUCTS)[4:7] if quick else tuple(PRODUCTS)
        groups.append(Group("matmul", shapes, 1, threads, seconds=some * 10))
    for family, forms, batch in (("lenet5", ("relu", "swish2"), 1), ("lenet5", ("relu", "swish2"), 64), ("resnet50", ("relu", "swish2"), 1),
                                 ("efficientnet_b0", ("plain",), 1), ("mobilenet_v3_large", ("plain",), 1)):
        if not quick:
            groups.append(Group(family, forms, batch, 1, level="avx2", seconds=6))
    return groups


# What is known to hold a runtime to AVX2, and what there is to say where nothing does.
AVX2 = {"opgraft": {"OPGRAFT_ISA": "avx2"}, "openvino": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}


# ---- processes -----------------------------------------------------------------------------------

class Broken(Exception):
    """A sentence: the process said no, or ended."""


class Worker:
    """A process that runs one runtime through one interface, and stands still while nothing is asked of it."""

    def __init__(self, runtime, interface, threads, build, log, environment):
        command = [sys.executable, ROOT / "tools" / "bench_runtimes.py", "serve", runtime, interface, threads, build]
        self.log = log
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                        env={**os.environ, **environment})

    def ask(self, do, **request):
        try:
            self.process.send_signal(signal.SIGCONT)
            print(json.dumps({"do": do, **request}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
            if line:
                self.process.send_signal(signal.SIGSTOP)
        except BrokenPipeError:
            line = ""
        if not line:
            raise Broken(f"its process ended with status {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise Broken(reply["error"])
        return reply

    def end(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# ---- one group -----------------------------------------------------------------------------------

class Case:
    """A network in one form through one runtime's interface."""

    def __init__(self, group, net, runtime, interface):
        self.group, self.net, self.runtime, self.interface = group, net, runtime, interface
        self.key = f"{net.form}/{interface}"
        self.samples, self.repeats, self.worker, self.status, self.why, self.error = [], 1, None, "ok", "", None

    def result(self):
        found = {"family": self.net.family, "form": self.net.form, "runtime": self.runtime, "interface": self.interface,
                 "level": self.group.level, "batch": self.group.batch, "threads": self.group.threads, "status": self.status}
        if self.why:
            found["why"] = self.why
        if self.error is not None:
            found["error"] = float(f"{self.error:.3g}")
        if self.status == "ok":
            ms = sorted(1e3 * s for s in self.samples)
            found.update(median_ms=rounded(statistics.median(ms)), p10_ms=rounded(quantile(ms, 0.1)), p90_ms=rounded(quantile(ms, 0.9)),
                         rounds=len(ms), repeats=self.repeats)
        return found


def rounded(x):
    return float(f"{x:.4g}")


def quantile(ordered, q):
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    return ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


class Bench:
    def __init__(self, given, tell):
        self.given, self.tell = given, tell
        self.work = given.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.maker = Maker(self.work / "models", given.build / "opgraft", tell)
        self.versions = {name: bench_runtimes.installed(name) for name, _ in bench_runtimes.RUNTIMES if name != "opgraft"}
        self.runtimes = [r for r in bench_runtimes.TITLES if (r == "opgraft" or self.versions[r]) and (not given.runtimes or r in given.runtimes)]
        self.networks = {}

    def network(self, family, form):
        if (family, form) not in self.networks:
            self.networks[family, form] = self.maker.network(family, form, self.runtimes)
        return self.networks[family, form]

    def cases(self, group):
        """Every case of a group; runtimes that load no op library have the form of ONNX's own nodes only."""
        for form in group.forms:
            try:
                net = self.network(group.family, form)
            except Missing as why:
                self.tell(f"{group.family} {form} is left out: {why}", keep=True)
                continue
            for runtime, interface in bench_runtimes.RUNTIMES:
                only = [i for r, i in bench_runtimes.RUNTIMES if r == runtime]
                if runtime not in self.runtimes or (form in SAME and runtime not in ("opgraft", "onnxruntime")):
                    continue
                if interface in group.interfaces or only == [interface] or form in group.both:
                    yield Case(group, net, runtime, interface)

    def open(self, case, workers, log):
        key = case.runtime, case.interface
        if key not in workers:
            environment = AVX2.get(case.runtime, {}) if case.group.level else {}
            workers[key] = Worker(*key, case.group.threads, self.given.build, log, environment)
        case.worker = workers[key]
        net = dataclasses.asdict(case.net)
        net["answer"] = [*case.net.shape[:-1], case.net.outputs // math.prod(case.net.shape[:-1])] if case.net.family == "matmul" else [case.net.outputs]
        try:
            case.worker.ask("open", key=case.key, net=net, batch=case.group.batch)
        except Broken as why:
            case.status, case.why = "failed", str(why)
            if case.worker.process.poll() is not None:
                workers.pop(key)                              # the next case has a new process

    def check(self, cases):
        """The answer of each case against ONNX Runtime's of the same network in ONNX's own nodes, or whoever answers first."""
        inputs, reference = {}, {}
        order = sorted(cases, key=lambda c: (c.net.form in SAME, c.runtime != "onnxruntime"))
        for case in order:
            if case.status != "ok":
                continue
            shape = (case.group.batch, *case.net.shape)
            x, y = self.work / "x.npy", self.work / "y.npy"
            if shape not in inputs:
                inputs[shape] = np.random.default_rng(7).random(shape, dtype=np.float32)
            np.save(x, inputs[shape])
            try:
                case.worker.ask("answer", key=case.key, x=str(x), y=str(y))
                answer = np.load(y).reshape(case.group.batch, -1)
            except (Broken, ValueError) as why:
                case.status, case.why = "failed", str(why)
                continue
            want = reference.setdefault(SAME.get(case.net.form, case.net.form), answer)
            case.error = difference(answer, want)
            if not case.error < TOLERANCE:
                case.status, case.why = "wrong", f"its answer differs by {case.error:.2g} of the largest value"

    def rounds(self, group, cases):
        timed = [case for case in cases if case.status == "ok"]
        shuffle = random.Random(1)
        for case in timed:
            case.repeats = case.worker.ask("calibrate", key=case.key, seconds=SAMPLE)["repeats"]
        begin, budget = time.monotonic(), self.given.seconds or group.seconds
        for done in range(MOST_ROUNDS):
            spent = time.monotonic() - begin
            if (done >= LEAST_ROUNDS and spent > budget) or (done >= FEWEST_ROUNDS and spent > PATIENCE * budget):
                break
            self.tell(f"{group.name}: round {done + 1}")
            shuffle.shuffle(timed)
            for case in timed:
                try:
                    case.samples.append(case.worker.ask("sample", key=case.key, repeats=case.repeats)["seconds"])
                except Broken as why:
                    case.status, case.why = "failed", str(why)
            timed = [case for case in timed if case.status == "ok"]

    def group(self, group):
        """The results of a group."""
        cases, workers = list(self.cases(group)), {}
        self.tell(f"{group.name}: opening")
        with open(self.work / "log.txt", "a") as log:
            try:
                for case in cases:
                    self.open(case, workers, log)
                self.check(cases)
                self.rounds(group, cases)
            finally:
                for worker in workers.values():
                    worker.end()
        for case in cases:
            if case.status != "ok":
                self.tell(f"{group.name}: {bench_runtimes.TITLES[case.runtime]} ({case.interface}) {case.status} on {case.net.form}: {case.why}", keep=True)
        return [case.result() for case in cases]


def difference(answer, want):
    """Largest difference over largest magnitude; infinite where the answer is not finite or of another size."""
    if answer.shape != want.shape or not np.isfinite(answer).all():
        return math.inf
    return float(np.abs(answer.astype(np.float64) - want).max() / max(np.abs(want).max(), 1e-30))


# ---- what is not a race ----------------------------------------------------------------------------

def opgraft(given, *args, **environment):
    done = subprocess.run([given.build / "opgraft", *map(str, args)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, **environment})
    if done.returncode != 0:
        raise Broken(done.stderr.strip())
    return done.stdout


def kernels(bench):
    """The fastest way of each kernel in bench/kernels.c, on one thread."""
    command = ["taskset", "-c", str(max(os.sched_getaffinity(0)))] if shutil.which("taskset") else []
    done = subprocess.run([*command, bench.given.build / "bench" / "kernels"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Broken(f"bench/kernels ended with status {done.returncode}")
    best = {}
    for line in done.stdout.splitlines()[2:]:
        kernel, tactic, layouts, ms, _, gflops, percent, _, residual = line.split()[:9]
        row = {"kernel": kernel, "tactic": tactic, "layouts": layouts, "ms": float(ms), "residual": float(residual)}
        if gflops != "-":
            row.update(gflops=float(gflops), peak_percent=float(percent.rstrip("%")))
        if kernel not in best or row["ms"] < best[kernel]["ms"]:
            best[kernel] = row
    return list(best.values())


def layers(bench):
    """Time, operations and bytes of each step of ResNet-50, for the roofline."""
    found = []
    for form in ("relu", "swish_op"):
        net = bench.network("resnet50", form)
        ops = ["--ops", net.library] if net.library else []
        steps = json.loads(opgraft(bench.given, "profile", net.onnx, *ops, "--batch", 1, "--threads", 1, "--runs", 10, "--json"))["steps"]
        found += [{"form": form, **step} for step in steps]
    return found


def limits(given):
    """The measured peak of a core and how fast it copies."""
    found = {}
    for level in ("", "avx2"):
        environment = {"OPGRAFT_ISA": level} if level else {}
        done = subprocess.run([given.build / "bench" / "kernels", "no such kernel"], capture_output=True, text=True, env={**os.environ, **environment})
        match = re.search(r"peak of a core ([0-9.]+) GFLOP/s", done.stdout)
        if match:
            found[f"peak_gflops{'_' + level if level else ''}"] = float(match[1])
    a, b = np.ones(1 << 24, np.float32), np.zeros(1 << 24, np.float32)
    found["copy_gbps"] = rounded(bench_runtimes.timer(given.build.resolve()).bench_copy(b.ctypes.data, a.ctypes.data, a.nbytes, 8) * 1e-9)
    return found


def sizes(given):
    """Bytes of what a program has to ship with each runtime, as installed; Opgraft's without symbols."""
    def total(folder, *patterns):
        return sum(path.stat().st_size for pattern in patterns for path in folder.glob(pattern))
    found = {}
    stripped = given.work / "libopgraft.stripped.so"
    if shutil.which("strip") and subprocess.run(["strip", "-o", stripped, given.build / "libopgraft.so"]).returncode == 0:
        found["opgraft"] = stripped.stat().st_size
        stripped.unlink()
    for runtime, where, patterns in (("onnxruntime", "onnxruntime", ["capi/libonnxruntime.so.*"]),
                                     ("openvino", "openvino", ["libs/libopenvino.so.*", "libs/libopenvino_c.so.*", "libs/libtbb.so.*",
                                                               "libs/libopenvino_intel_cpu_plugin.so", "libs/libopenvino_onnx_frontend.so.*"]),
                                     ("ncnn", "ncnn", ["ncnn.*.so"]), ("mnn", "MNN", ["../_mnncengine*.so"])):
        try:
            found[runtime] = total(bench_runtimes.package(where), *patterns)
        except bench_runtimes.Refused:
            pass
    return found


def start(bench):
    """ResNet-50 at batch 1 from nothing, a fresh process each: time until ready, first and steady inference, memory."""
    given, net = bench.given, bench.network("resnet50", "relu")
    request = {"net": {**dataclasses.asdict(net), "answer": [net.outputs]}, "batch": 1, "runs": 3 if given.quick else 7}
    plan_file, found, begin = bench.work / "models" / "resnet50_relu.plan", [], time.perf_counter()
    opgraft(given, "build", net.onnx, "-o", plan_file, "--threads", 1, "-q")
    build_s = time.perf_counter() - begin
    begin = time.perf_counter()
    opgraft(given, "build", net.onnx, "-o", plan_file, "--threads", 1, "-q")
    again_s = time.perf_counter() - begin
    info = json.loads(opgraft(given, "info", plan_file, "--json"))
    cases = [("opgraft", "c", {}, "builds the plan"), ("opgraft", "c", {"plan": str(plan_file)}, "plan file")]
    cases += [(r, i, {}, "") for r, i in bench_runtimes.RUNTIMES if r in bench.runtimes and r != "opgraft" and (i == "c" or r == "ncnn")]
    for runtime, interface, extra, note in cases:
        bench.tell(f"start: {runtime} {note}")
        runs = []
        for _ in range(1 if given.quick else 3):
            asked = json.dumps({**request, "net": {**request["net"], **extra}})
            done = subprocess.run([sys.executable, ROOT / "tools" / "bench_runtimes.py", "start", runtime, interface, "1", given.build],
                                  input=asked + "\n", capture_output=True, text=True)
            runs.append(json.loads(done.stdout) if done.stdout.strip() else {"error": f"its process ended with status {done.returncode}"})
        good = [run for run in runs if "error" not in run]
        row = {"runtime": runtime, "interface": interface, "note": note}
        row.update({key: rounded(statistics.median(run[key] for run in good)) for key in good[0]} if good else runs[0])
        found.append(row)
    return {"rows": found, "build_s": rounded(build_s), "rebuild_s": rounded(again_s), "plan_bytes": plan_file.stat().st_size,
            "memory": {key: info[key] for key in ("weight_bytes", "activation_bytes", "workspace_bytes")}, "size_bytes": sizes(given)}


# ---- all together -----------------------------------------------------------------------------------

def machine():
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags", "").split()
    level = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else platform.machine()
    memory = pathlib.Path("/proc/meminfo").read_text().split()[1]
    return {"processor": fields.get("model name", platform.machine()), "family": fields.get("cpu family", ""), "model": fields.get("model", ""),
            "level": level, "processors": os.cpu_count(), "memory_gib": round(int(memory) / 2**20), "system": platform.system(),
            "python": platform.python_version()}


def same_group(result, group):
    return (result["family"], result["level"], result["batch"], result["threads"]) == (group.family, group.level, group.batch, group.threads)


def fingerprint(given):
    stat = (given.build / "libopgraft.so").stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}"


def wanted(given):
    chosen = []
    for group in plan(given.quick):
        if given.only and group.part not in given.only:
            continue
        if (given.threads and group.threads not in given.threads) or (given.batch and group.batch not in given.batch):
            continue
        chosen.append(group)
    return chosen


def measure(given, tell):
    begin = time.monotonic()
    if not (given.build / "libopgraft.so").exists():
        raise SystemExit(f"bench: {given.build} has no libopgraft.so: run make first")
    bench = Bench(given, tell)
    if bench.runtimes == ["opgraft"]:
        tell("no peers are installed here, so that Opgraft is timed alone: pip install --no-deps -r tools/requirements-bench.txt", keep=True)
    old = json.loads(given.out.read_text()) if given.out.exists() and (given.only or given.resume or given.threads or given.batch) else {}
    mark = fingerprint(given)
    data = {"schema": 1, "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "command": given.command, "quick": given.quick, "machine": machine(),
            "versions": {"opgraft": bench_runtimes.Opgraft(1, given.build).version(), **{k: v for k, v in bench.versions.items() if v}},
            "limits": limits(given), "results": old.get("results", []), "layers": old.get("layers", []), "start": old.get("start", {}),
            "kernels": old.get("kernels", []),
            "done": old.get("done", {}) if given.resume else {}}

    def save():
        given.out.parent.mkdir(parents=True, exist_ok=True)
        temporary = given.out.with_suffix(".new")
        temporary.write_text(dump(data))
        os.replace(temporary, given.out)

    for group in wanted(given):
        if data["done"].get(group.name) == mark:
            continue
        results = bench.group(group)
        data["results"] = [r for r in data["results"] if not same_group(r, group)] + results
        data["done"][group.name] = mark
        save()
    for name, make in (("kernels", kernels), ("layers", layers), ("start", start)):
        if (given.only and name not in given.only) or data["done"].get(name) == mark or (name == "kernels" and given.quick and not given.only):
            continue
        try:
            tell(name)
            data[name] = make(bench)
            data["done"][name] = mark
        except (Broken, Missing) as why:
            tell(f"{name} is left out: {why}", keep=True)
        save()
    data["seconds"] = round(time.monotonic() - begin)
    save()
    return data


def dump(data):
    """JSON with one result a line, so that changes can be read."""
    parts = []
    for key, value in data.items():
        if isinstance(value, list):
            rows = ",\n".join("  " + json.dumps(row) for row in value)
            parts.append(f" {json.dumps(key)}: [\n{rows}\n ]" if value else f" {json.dumps(key)}: []")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def teller(quiet):
    """Progress overwrites one line of a terminal; what is to be kept stays. Nothing but that when piped."""
    live = sys.stderr.isatty() and not quiet

    def tell(text, keep=False):
        if live:
            sys.stderr.write("\r\x1b[K" + text[:shutil.get_terminal_size().columns - 1] + ("\n" if keep else ""))
            sys.stderr.flush()
        elif keep:
            print(text, file=sys.stderr)
    return tell


def arguments(argv):
    def numbers(text):
        return [int(part) for part in text.split(",") if part]

    def words(text):
        return [part for part in text.split(",") if part]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "bench")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "results.json")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    for name, kind in (("only", words), ("threads", numbers), ("batch", numbers), ("runtimes", words)):
        parser.add_argument(f"--{name}", type=kind, default=[])
    parser.add_argument("--seconds", type=float, default=0)
    given = parser.parse_args(argv)
    given.command = "make bench" + (" QUICK=1" if given.quick else "")
    return given


def main(argv=None):
    given = arguments(argv)
    tell = teller(given.quiet)
    data = measure(given, tell)
    bad = [r for r in data["results"] if r["status"] != "ok"]
    tell(f"{len(data['results'])} cases, {len(bad)} of them wrong or failed, {data['seconds']} s: {given.out}", keep=True)


if __name__ == "__main__":
    main()
