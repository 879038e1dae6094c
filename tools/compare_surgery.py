"""The same rewrite, Mul(x, Sigmoid(x)) -> Swish(x), by Opgraft, onnx-graphsurgeon and the onnxscript rewriter: time and memory.

compare_surgery.py --build build [--runs 5] [--out docs/surgery-speed.md]
Needs numpy, onnx, onnx-graphsurgeon, onnxscript, matplotlib (tools/requirements-compare.txt). Every tool runs as a command of
its own that reads a file and writes a file; runs of the tools take turns."""
import argparse
import importlib.metadata
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZES = [1000, 3000, 10000, 30000, 100000]
MOST_FOR_PEERS = 10000                   # beyond it one run of a peer takes minutes


# ---- the networks ------------------------------------------------------------------------------

def chain(nodes):
    """A network of that many nodes: blocks of MatMul, Add, Sigmoid, Mul, every second Mul commuted."""
    made, value = [], "x"
    for k in range(nodes // 4):
        made.append(helper.make_node("MatMul", [value, "w"], [f"p{k}"], name=f"block{k}/matmul"))
        made.append(helper.make_node("Add", [f"p{k}", "b"], [f"a{k}"], name=f"block{k}/add"))
        made.append(helper.make_node("Sigmoid", [f"a{k}"], [f"s{k}"], name=f"block{k}/sigmoid"))
        made.append(helper.make_node("Mul", [f"a{k}", f"s{k}"][:: 1 if k % 2 else -1], [f"m{k}"], name=f"block{k}/mul"))
        value = f"m{k}"
    weights = [numpy_helper.from_array(np.eye(16, dtype=np.float32), "w"), numpy_helper.from_array(np.zeros(16, np.float32), "b")]
    graph = helper.make_graph(made, "chain", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 16])],
                              [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["N", 16])], weights)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def resnet(folder):
    sys.path.insert(0, str(ROOT / "tools"))
    from make_resnet50 import resnet50
    path = folder / "resnet50.onnx"
    path.write_bytes(resnet50("swish2").SerializeToString())
    return path


# ---- the peers, as their users write it ---------------------------------------------------------

def graphsurgeon(source, target):
    import onnx_graphsurgeon as gs
    graph = gs.import_onnx(onnx.load(source))
    count = 0
    for mul in [node for node in graph.nodes if node.op == "Mul"]:
        for x, s in (mul.inputs, mul.inputs[::-1]):
            if s.inputs and s.inputs[0].op == "Sigmoid" and s.inputs[0].inputs[0] is x and len(s.outputs) == 1:
                out = mul.outputs[0]
                mul.outputs.clear()
                graph.layer(op="OgSwish", domain="opgraft", inputs=[x], outputs=[out])
                count += 1
                break
    graph.cleanup().toposort()
    model = gs.export_onnx(graph)
    model.opset_import.append(helper.make_opsetid("opgraft", 1))
    onnx.save(model, target)
    return count


def onnxscript(source, target):
    from onnxscript import ir
    from onnxscript.rewriter import pattern
    rule = pattern.RewriteRule(lambda op, x: op.Mul(x, op.Sigmoid(x)), lambda op, x: op.OgSwish(x, _domain="opgraft"))
    model = ir.load(source)
    count = pattern.RewriteRuleSet([rule], commute=True).apply_to_model(model)
    ir.save(model, target)
    return count


PEERS = {"onnx-graphsurgeon": graphsurgeon, "onnxscript": onnxscript}


# ---- measuring ---------------------------------------------------------------------------------

RUNNER = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, done.stdout.decode()]))
"""


def measure(command):
    """Seconds, seconds of the processor, and peak MB of a command, and what it printed. A small process of its own runs it:
    a child's peak begins with the size of who started it."""
    return json.loads(subprocess.run([sys.executable, "-c", RUNNER, *map(str, command)], check=True, stdout=subprocess.PIPE).stdout)


def compare(commands, runs):
    """{name: (median seconds, their spread, median of the processor's, peak MB, printed)}; the commands take turns."""
    taken = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            taken[name].append(measure(command))
    results = {}
    for name, values in taken.items():
        seconds, busy, memory, printed = zip(*values)
        results[name] = (statistics.median(seconds), max(seconds) - min(seconds), statistics.median(busy), max(memory), printed[0])
    return results


def rewrite_commands(opgraft, source, folder, peers=True):
    commands = {"opgraft": [opgraft, "graft", source, "-o", folder / "opgraft.onnx", "--rule", "Mul(x, Sigmoid(x)) -> Swish(x)"]}
    for name in PEERS if peers else ():
        commands[name] = [sys.executable, __file__, "--peer", name, source, folder / f"{name}.onnx"]
    return commands


def places(text):
    return text.split()[0]


def table(rows):
    lines = ["| network | tool | places | time | spread | of the processor | peak memory | times opgraft's |", "|---|---|---|---|---|---|---|---|"]
    for network, results in rows:
        base = results["opgraft"][0]
        for name, (seconds, spread, busy, memory, text) in results.items():
            lines.append(f"| {network} | {name} | {places(text)} | {seconds * 1e3:,.0f} ms | {spread * 1e3:,.0f} ms | "
                         f"{busy * 1e3:,.0f} ms | {memory:,.0f} MB | {seconds / base:.1f} |")
    return "\n".join(lines)


def plot(sizes, series, path):
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    matplotlib.rcParams["svg.hashsalt"] = "opgraft"
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, values in series.items():
        axes.loglog(sizes[:len(values)], [1e3 * value for value in values], marker="o", label=name)
    axes.set_xlabel("nodes")
    axes.set_ylabel("milliseconds, whole command")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", default=ROOT / "build", type=pathlib.Path)
    arguments.add_argument("--runs", default=5, type=int)
    arguments.add_argument("--out", default=ROOT / "docs" / "surgery-speed.md", type=pathlib.Path)
    arguments.add_argument("--peer", nargs=3)
    given = arguments.parse_args()
    if given.peer:
        print(PEERS[given.peer[0]](given.peer[1], given.peer[2]), "places")
        return
    opgraft, rows, series = given.build / "opgraft", [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for size in SIZES:
            source = folder / f"chain{size}.onnx"
            onnx.save(chain(size), source)
            found = compare({"opgraft find --op Swish": [opgraft, "find", source, "--op", "Swish"],
                             "opgraft find (all ops)": [opgraft, "find", source]}, given.runs)
            for key, value in found.items():
                series.setdefault(key, []).append(value[0])
            results = compare(rewrite_commands(opgraft, source, folder, size <= MOST_FOR_PEERS),
                              1 if size == MOST_FOR_PEERS else given.runs)
            for key, value in results.items():
                series.setdefault(f"{key} rewrite", []).append(value[0])
            rows.append((f"{size:,} nodes", results))
        rows.append(("ResNet-50, 102 MB", compare(rewrite_commands(opgraft, resnet(folder), folder), given.runs)))
    plot(SIZES, series, given.out.with_suffix(".svg"))
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in ("onnx", "onnx-graphsurgeon", "onnxscript"))
    find = "\n".join(f"| {size:,} | " + " | ".join(f"{series[key][k] * 1e3:,.0f} ms" for key in list(series)[:2]) + " |"
                     for k, size in enumerate(SIZES))
    given.out.write_text(f"""# How fast the surgery is

Written by `tools/compare_surgery.py` on {time.strftime('%Y-%m-%d')}, {processor()}, Python {platform.python_version()}, {versions}.
Medians of {given.runs} runs that took turns (one run at {MOST_FOR_PEERS:,} nodes); time and peak memory are of the whole command: start,
read, rewrite, write.

## Finding
| nodes | --op Swish | all ops |
|---|---|---|
{find}

![time against nodes](surgery-speed.svg)

## The same rewrite, Mul(x, Sigmoid(x)) -> Swish(x)
The Python tools' time includes starting Python and importing them, as it does for their users; half of the `Mul` are commuted.

{table(rows)}
""")


main()
