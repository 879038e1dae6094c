"""Writes what tools/bench_run.py measured: tables into docs/results.md (between its marks) and plots beside it.

    bench_report.py --data docs/results.json --page docs/results.md"""
import argparse
import json
import pathlib

from bench_models import PRODUCTS, SAME
from bench_runtimes import TITLES

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- written by make bench: begin -->", "<!-- written by make bench: end -->"
FAMILIES = {"lenet5": "LeNet-5", "resnet50": "ResNet-50", "efficientnet_b0": "EfficientNet-B0", "mobilenet_v3_large": "MobileNetV3-Large"}
FORMS = {"plain": "", "relu": "ReLU", "swish2": "Swish (Sigmoid, Mul)", "swish4": "Swish (Neg, Exp, Add, Div)", "odd": "the odd activation"}
OPS = {nodes: op for op, nodes in SAME.items()}
INTERFACES = {("mnn", "c"): "C++", ("opgraft", "c"): "C"}


class Data:
    def __init__(self, data):
        self.data, self.results = data, data["results"]
        self.at = {(r["family"], r["form"], r["level"], r["batch"], r["threads"], r["runtime"], r["interface"]): r for r in self.results}

    def get(self, family, form, batch, threads, runtime, interface="c", level=""):
        return self.at.get((family, form, level, batch, threads, runtime, interface))

    def best(self, family, form, batch, threads, runtime, level=""):
        """The faster of a runtime's interfaces; None where neither was timed."""
        found = [self.get(family, form, batch, threads, runtime, i, level) for i in ("c", "python")]
        return min((r for r in found if r and r["status"] == "ok"), key=lambda r: r["median_ms"], default=None)

    def ms(self, *where, **more):
        found = self.best(*where, **more)
        return found and found["median_ms"]

    def best_peer(self, family, form, batch, threads, level=""):
        found = [self.best(family, form, batch, threads, runtime, level) for runtime in TITLES if runtime != "opgraft"]
        return min((r for r in found if r), key=lambda r: r["median_ms"], default=None)

    def columns(self, family, form, level=""):
        forms = form, OPS.get(form, form)
        return sorted({(r["batch"], r["threads"]) for r in self.results if (r["family"], r["level"]) == (family, level) and r["form"] in forms})


def number(x):
    return f"{x:.3g}" if x < 100 else f"{x:,.0f}"


def times(ours, theirs):
    """How Opgraft compares: "2.31x" is faster."""
    if not ours or not theirs:
        return "-"
    ratio = theirs / ours
    return f"{ratio:.2f}x" if ratio >= 1 else f"**{ratio:.2f}x**"


def name(runtime, interface, form=""):
    return f"{TITLES[runtime]}, {INTERFACES.get((runtime, interface), 'C' if interface == 'c' else 'Python')}{', op library' * (form in SAME)}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def cell(r):
    if not r:
        return ""
    if r["status"] != "ok":
        return f"**{r['status']}**"
    return f"{number(r['median_ms'])} <sub>{number(r['p10_ms'])}-{number(r['p90_ms'])}</sub>"


# ---- tables --------------------------------------------------------------------------------------

def network_table(d, family, form, level=""):
    """Runtimes against batches and threads."""
    columns = d.columns(family, form, level)
    rows = []
    for runtime in TITLES:
        for one in (form, OPS.get(form)):
            for interface in ("c", "python"):
                found = [d.get(family, one, *column, runtime, interface, level) for column in columns]
                if any(found):
                    rows.append([name(runtime, interface, one), *map(cell, found)])
    ours = [d.ms(family, form, *column, "opgraft", level=level) for column in columns]
    peers = [d.best_peer(family, form, *column, level=level) for column in columns]
    rows.append(["best peer over Opgraft", *(times(o, p and p["median_ms"]) for o, p in zip(ours, peers))])
    if any(d.ms(family, OPS.get(form), *column, "opgraft", level=level) for column in columns):
        rows.append(["best peer over Opgraft, op library", *(times(d.ms(family, OPS[form], *c, "opgraft", level=level), p and p["median_ms"])
                                                            for c, p in zip(columns, peers))])
    return table(["ms", *(f"batch {b}, {t} thread{'s' * (t > 1)}" for b, t in columns)], rows)


def networks(d):
    parts = []
    for family, title in FAMILIES.items():
        for form, words in FORMS.items():
            if d.columns(family, form):
                parts.append(f"### {title}{', ' * bool(words)}{words}\n{network_table(d, family, form)}")
    return "\n\n".join(parts)


def activation_ratios(d, family, batch, threads):
    """{runtime: (Swish over ReLU, odd over ReLU)}, Opgraft's with op libraries, the peers' from ONNX's own nodes."""
    found = {}
    for runtime in TITLES:
        relu = d.ms(family, "relu", batch, threads, runtime)
        forms = ("swish_op", "odd_op") if runtime == "opgraft" else ("swish2", "odd")
        other = [d.ms(family, form, batch, threads, runtime) for form in forms]
        if relu and any(other):
            found[runtime] = [ms and ms / relu for ms in other]
    return found


def activations(d):
    columns = [(f, *c) for f in ("lenet5", "resnet50") for c in d.columns(f, "relu") if activation_ratios(d, f, *c)]
    rows = []
    for runtime, title in TITLES.items():
        ratios = [activation_ratios(d, *column).get(runtime) for column in columns]
        if any(ratios):
            rows.append([title, *(" / ".join(f"{x:.2f}" if x else "-" for x in r) if r else "" for r in ratios)])
    head = [f"{FAMILIES[f]}, batch {b}, {t} thread{'s' * (t > 1)}" for f, b, t in columns]
    return table(["Swish / odd, over ReLU", *head], rows) if rows else ""


def products(d):
    peak, parts = d.data["limits"].get("peak_gflops"), []
    for threads in (1, 2):
        if not d.columns("matmul", next((f for f in PRODUCTS if (1, threads) in d.columns("matmul", f)), "")):
            continue
        rows = []
        for form, (m, k, n, where) in PRODUCTS.items():
            speeds = {r: 2e-6 * m * k * n / d.ms("matmul", form, 1, threads, r) for r in TITLES if d.ms("matmul", form, 1, threads, r)}
            if speeds:
                part = f"{100 * speeds['opgraft'] / (peak * threads):.0f}%" if peak and "opgraft" in speeds else ""
                rows.append([where, f"{m} x {k} x {n}", *(f"{speeds[r]:.0f}" if r in speeds else "" for r in TITLES), part])
        parts.append(table([f"GFLOP/s, {threads} thread{'s' * (threads > 1)}", "rows x inner x columns", *TITLES.values(), "Opgraft's part of the peak"], rows))
    return "\n\n".join(parts)


def kernel_table(d):
    rows = [[r["kernel"], r["tactic"], r["layouts"].replace(">", " to "), number(r["ms"]), f"{r['gflops']:.0f}" if "gflops" in r else "",
             f"{r['peak_percent']:.0f}%" if "peak_percent" in r else "", number(r["residual"])] for r in d.data.get("kernels") or []]
    return table(["kernel", "fastest way", "layouts", "ms", "GFLOP/s", "of the peak", "residual"], rows) if rows else ""


def megabytes(x):
    return f"{x / 2**20:,.1f}"


def start_table(d):
    start = d.data.get("start") or {}
    if not start:
        return ""
    rows = []
    for r in start["rows"]:
        title = name(r["runtime"], r["interface"]) + (f", {r['note']}" if r["note"] else "")
        size = start["size_bytes"].get(r["runtime"])
        if "error" in r:
            rows.append([title, r["error"]] + [""] * 6)
            continue
        rows.append([title, number(1e3 * r["library_s"]), number(1e3 * r["load_s"]), number(1e3 * r["first_s"]), number(1e3 * r["steady_s"]),
                     f"{r['first_s'] / r['steady_s']:.2f}", megabytes(r["peak_bytes"]), megabytes(size) if size else ""])
    weights, activations, workspace = (megabytes(start["memory"][f"{key}_bytes"]) for key in ("weight", "activation", "workspace"))
    words = (f"`opgraft build` takes {number(start['build_s'])} s, a second time {number(start['rebuild_s'])} s; the plan file has "
             f"{megabytes(start['plan_bytes'])} MiB:\n{weights} of weights; a session needs {activations} MiB for activations and {workspace} MiB of workspace.")
    return table(["ResNet-50, batch 1, 1 thread", "library, ms", "load, ms", "first, ms", "steady, ms", "first over steady", "peak memory, MiB",
                  "library, MiB"], rows) + "\n\n" + words


def avx2_tables(d):
    parts = []
    for family, title in FAMILIES.items():
        for form, words in FORMS.items():
            if d.columns(family, form, "avx2"):
                parts.append(f"**{title}{', ' * bool(words)}{words}**\n\n{network_table(d, family, form, 'avx2')}")
    return "\n\n".join(parts)


def losing(d):
    """Every case that a peer wins, by how much."""
    rows = []
    keys = sorted({(r["family"], r["form"], r["batch"], r["threads"], r["level"]) for r in d.results if r["form"] not in SAME})
    for family, form, batch, threads, level in keys:
        ours, peer = d.ms(family, form, batch, threads, "opgraft", level=level), d.best_peer(family, form, batch, threads, level)
        if ours and peer and peer["median_ms"] < ours:
            rows.append((ours / peer["median_ms"], [FAMILIES.get(family, "product"), FORMS.get(form, form), level or "best", batch, threads, number(ours),
                                                    name(peer["runtime"], peer["interface"]), number(peer["median_ms"]), f"{ours / peer['median_ms']:.2f}"]))
    if not rows:
        return "None."
    return table(["network", "form", "level", "batch", "threads", "Opgraft, ms", "faster", "ms", "times faster"], [r for _, r in sorted(rows, key=lambda r: -r[0])])


def not_timed(d):
    rows = [[FAMILIES.get(r["family"], r["family"]), r["form"], name(r["runtime"], r["interface"]), r["batch"], r["threads"], r["status"], r["why"]]
            for r in d.results if r["status"] != "ok"]
    return table(["network", "form", "runtime", "batch", "threads", "", "why"], rows) if rows else "Every runtime gave the right answer in every case."


def aims(d):
    """What issue 6 asks for, and what came."""
    rows = []

    def over(text, aim, value, fine):
        if value:
            rows.append([text, aim, number(value), "yes" if fine else "**no**"])

    def peer(family, form, batch, threads, level=""):
        ours, best = d.ms(family, form, batch, threads, "opgraft", level=level), d.best_peer(family, form, batch, threads, level)
        return ours and best and best["median_ms"] / ours
    for form, most, least64 in (("relu", 0.010, 2.3), ("swish2", 0.012, 2.8)):
        ms = d.ms("lenet5", form, 1, 1, "opgraft")
        over(f"LeNet-5, {FORMS[form]}, batch 1, 1 thread: ms", f"at most {most}", ms, ms and ms <= most)
        for batch, threads, least in ((64, 1, least64), (1024, 2, 3.0)):
            ratio = peer("lenet5", form, batch, threads)
            over(f"LeNet-5, {FORMS[form]}, batch {batch}, {threads} thread{'s' * (threads > 1)}: best peer over Opgraft", f"at least {least}", ratio, ratio and ratio >= least)
    for family, least in (("resnet50", 1.3), ("efficientnet_b0", 1.2), ("mobilenet_v3_large", 1.2)):
        form = "relu" if family == "resnet50" else "plain"
        for batch in (1, 8):
            for threads in (1, 2):
                ratio = peer(family, form, batch, threads)
                over(f"{FAMILIES[family]}, batch {batch}, {threads} thread{'s' * (threads > 1)}: best peer over Opgraft", f"at least {least}", ratio, ratio and ratio >= least)
    for family, batch, most, least in (("lenet5", 64, (1.10, 1.15), 3.0), ("resnet50", 1, (1.03, 1.05), 1.5)):
        ratios = activation_ratios(d, family, batch, 1).get("opgraft") or (None, None)
        for title, ratio, limit in zip(("Swish", "odd"), ratios, most):
            over(f"{FAMILIES[family]}, batch {batch}, 1 thread: {title} of an op library over ReLU", f"at most {limit}", ratio, ratio and ratio <= limit)
        best = d.best_peer(family, "odd", batch, 1)
        ours = d.ms(family, "odd_op", batch, 1, "opgraft")
        over(f"{FAMILIES[family]}, batch {batch}, 1 thread, odd: best peer over Opgraft", f"at least {least}", best and ours and best["median_ms"] / ours,
             best and ours and best["median_ms"] / ours >= least)
    one, two = (d.ms("resnet50", "relu", 1, t, "opgraft") for t in (1, 2))
    over("ResNet-50, batch 1: one thread over two", "at least 1.85", one and two and one / two, one and two and one / two >= 1.85)
    ratio = peer("resnet50", "relu", 1, 1, "avx2")
    over("ResNet-50, batch 1, 1 thread, AVX2: best peer over Opgraft", "at least 1.1", ratio, ratio and ratio >= 1.1)
    return table(["aim", "", "measured", "reached"], rows) if rows else ""


# ---- the page --------------------------------------------------------------------------------------

def titled(title, body, words=""):
    """A section; nothing where nothing was measured."""
    return "\n\n".join(filter(None, [f"## {title}", words, body])) if body else ""


def page(data):
    d, m = Data(data), data["machine"]
    versions = ", ".join(f"{TITLES[key]} {value}" for key, value in data["versions"].items())
    limits, rounds = data["limits"], [r["rounds"] for r in data["results"] if r["status"] == "ok"] or [0]
    parts = [f"""## Beside other runtimes
Written by `{data['command']}` on {data['date']}:
{m['processor']} (family {m['family']}, model {m['model']}, {m['level']}), {m['processors']} processors, {m['memory_gib']} GiB, {m['system']};
{versions}.
The measured peak of a core is {limits.get('peak_gflops', '?')} GFLOP/s, of a copy {limits.get('copy_gbps', '?')} GB/s. All numbers are in [results.json](results.json) as well.

Medians in milliseconds of a call, the 10th and 90th percentile in small type; {min(rounds)} to {max(rounds)} interleaved rounds.
Every runtime runs the same network (ncnn and MNN from files that their converters made of it) in fp32, in a process of its
own, held to the same processors. C and C++ calls are made by a loop in C, Python's by a loop in Python. Answers are
compared first. Ratios are of medians, above 1 where Opgraft is faster; what lies closer than 10% is a draw. ncnn's wheel
offers nothing but Python, and its networks have no batch: it is called once a sample. MNN is called through C++ with the
copies into and out of its own layout that it needs.
While one process is timed all others are stopped (SIGSTOP): threads of OpenMP, TBB and ONNX Runtime spin on for a while after a
call, and would take a processor from whoever comes next. One call at least goes before each timed sample and is not counted: it
wakes the process's threads and brings its weights back into the caches.""",
             f"![Time by batch size](results-batch.svg)\n\n![Time by network](results-networks.svg)\n\n## What was aimed at\n{aims(d)}",
             f"## Losing cases\n{losing(d)}",
             f"## Wrong, failed or refused\n{not_timed(d)}",
             f"## Networks\n{networks(d)}",
             f"""## What a new activation costs
The same network with Swish, and with an activation that nobody knows, 0.9 x tanh(softplus(1.1 x)) + 0.05 x, in the place of ReLU: its time over the
ReLU network's. Opgraft has both from op libraries ([leaky_mish.c](../examples/ops/leaky_mish.c) is two lines of formula), the others as ONNX nodes.
ONNX Runtime can load the same op libraries; the tables above have that too.

![What a new activation costs](results-activation.svg)

{activations(d)}""",
             titled("Matrix products", products(d)),
             titled("Kernels", kernel_table(d), """`bench/kernels`, one thread: each way that the backend has for a node is checked by its residual against double precision, in units
of its bound (below 1 is right), and timed; this is the fastest. Operations are those of the plain form, of which Winograd's way needs fewer."""),
             titled("Held to AVX2", avx2_tables(d), """Opgraft by `OPGRAFT_ISA=avx2`, OpenVINO by `ONEDNN_MAX_CPU_ISA=AVX2`, which its convolutions and products follow and some
of its elementwise code does not. MNN's wheel has no AVX-512 code at all. ONNX Runtime and ncnn have no switch: they run with
what they find, so that where there is AVX-512 this comparison is unfair to Opgraft."""),
             f"""## Start and memory
Fresh processes; medians of three. Memory is the peak above what Python and NumPy need before the runtime is loaded.

{start_table(d)}""",
             "## Where the time goes\nEach step of ResNet-50 at batch 1 on one thread against what the machine could do at its operations for a byte.\n\n"
             "![Roofline](results-roofline.svg)\n\nOperations are those of the plain form: Winograd's need fewer, and lie above the peak for it."]
    return "\n\n".join(filter(None, parts))


def put(text, path):
    """Between the marks of the page, or at its end when it has none."""
    old = path.read_text() if path.exists() else "# Results on a CPU\n"
    if BEGIN in old and END in old:
        head, rest = old.split(BEGIN, 1)
        new = head + f"{BEGIN}\n{text}\n{END}" + rest.split(END, 1)[1]
    else:
        new = old.rstrip("\n") + f"\n\n{BEGIN}\n{text}\n{END}\n"
    path.write_text(new)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "docs" / "results.json")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs" / "results.md")
    parser.add_argument("--no-plots", action="store_true")
    given = parser.parse_args(argv)
    data = json.loads(given.data.read_text())
    put(page(data), given.page)
    if not given.no_plots:
        from bench_plots import plots
        plots(Data(data), given.page.parent)


if __name__ == "__main__":
    main()
