"""Frozen TensorFlow graphs into ONNX files by Opgraft and by tf2onnx: nodes, Transposes, time, memory, answers.

compare_import.py --build build --work build/import [--runs 3] [--only NAME,...] [--tools opgraft,tf2onnx] [--under COMMAND] [--out docs/import-speed.md]
Needs TensorFlow, tf2onnx and ONNX Runtime (tools/requirements-tensorflow.txt). A converter is a command of its own that reads a file
and writes a file; runs take turns, under COMMAND where one is given that keeps others off the processor. What was measured is kept in OUT with
suffix .json; --only and --tools keep the rest of it."""
import argparse
import collections
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

from frozen_graphs import SIZES, load

ROOT = pathlib.Path(__file__).resolve().parent.parent
TITLES = {"lenet5": "LeNet-5", "resnet50": "ResNet-50 v1", "resnet50v2": "ResNet-50 v2", "mobilenetv2": "MobileNet V2",
          "mobilenetv3": "MobileNet V3 Large", "efficientnetb0": "EfficientNet-B0", "inceptionv3": "Inception V3",
          "densenet121": "DenseNet-121"}
OPSET = 17
FORKED = 20                              # MB of this script, which a command's peak includes for the moment before it is the command


def command(given, tool, source, target):
    if tool == "opgraft":
        return [given.build / "opgraft", "import", source, "-o", target, "-q"]
    return [sys.executable, "-m", "tf2onnx.convert", "--graphdef", source, "--inputs", "image:0", "--outputs", "Identity:0",
            "--opset", OPSET, "--output", target]


def timed(arguments, log):
    """Exit status, seconds, seconds of processors, MB of memory at the most."""
    start = time.perf_counter()
    process = subprocess.Popen(list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    _, status, usage = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1.024e-3


def measure(given, name):
    """{tool: what came out}; the files stay in the work folder."""
    samples = collections.defaultdict(list)
    with open(given.work / "log.txt", "a") as log:
        for _ in range(given.runs):
            for tool in given.tools:
                samples[tool].append(timed(command(given, tool, given.work / f"{name}.pb", given.work / f"{name}_{tool}.onnx"), log))
    found = {}
    for tool, runs in samples.items():
        if any(status for status, *_ in runs):
            found[tool] = {"status": max(status for status, *_ in runs)}
            continue
        seconds, processor, memory = zip(*(run[1:] for run in runs))
        found[tool] = {"status": 0, "seconds": round(statistics.median(seconds), 3), "least": round(min(seconds), 3),
                       "most": round(max(seconds), 3), "processor": round(statistics.median(processor), 3),
                       "memory_mb": round(max(memory))}
    return found


def judge(name, folder):
    """Nodes of both files, and how far ONNX Runtime's answers are from TensorFlow's."""
    import numpy as np
    import onnx
    import onnxruntime
    size = SIZES[name]
    pixels = 255 if name in ("mobilenetv3", "efficientnetb0") else 1     # these two scale images themselves
    x = np.random.default_rng(0).uniform(0, pixels, (2, size, size, 1 if name == "lenet5" else 3)).astype(np.float32)
    import tensorflow as tf
    want, found = np.asarray(load(folder / f"{name}.pb")(tf.constant(x))), {}
    for tool in ("opgraft", "tf2onnx"):
        path = folder / f"{name}_{tool}.onnx"
        if not path.exists():
            continue
        ops = dict(collections.Counter(node.op_type for node in onnx.load(path).graph.node).most_common())
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"], disabled_optimizers=["Pad_Fusion"])
        got = session.run(None, {session.get_inputs()[0].name: x})[0]
        found[tool] = {"nodes": sum(ops.values()), "transposes": ops.get("Transpose", 0), "ops": ops,
                       "error": float(f"{np.abs(got - want).max() / np.abs(want).max():.2g}")}
    return found


def seconds(s):
    return f"{s:.3f}" if s < 1 else f"{s:.1f}"


def megabytes(n):
    return f"{n:,}" if n > FORKED else f"under {FORKED}"


def page(facts):
    rows, models = [], facts["models"].values()
    least = min(m["tf2onnx"]["seconds"] / m["opgraft"]["seconds"] for m in models)
    turns = sorted({t["transposes"] for m in models for t in m.values()})
    for name in (n for n in TITLES if n in facts["models"]):
        for tool, m in facts["models"][name].items():
            title = TITLES[name] if tool == "opgraft" else ""
            rows.append(f"| {title} | {tool} | {m['nodes']} | {m['transposes']} | {seconds(m['seconds'])} ({seconds(m['least'])} to {seconds(m['most'])}) "
                        f"| {seconds(m['processor'])} | {megabytes(m['memory_mb'])} | {m['error']:.1e} |" if not m["status"] else
                        f"| {title} | {tool} | exit status {m['status']} | | | | | |")
    v = facts["versions"]
    return f"""# Importing TensorFlow graphs, beside tf2onnx

Frozen graphs of Keras with random weights and an open batch size, converted by `opgraft import` and by tf2onnx {v['tf2onnx']}
(`python -m tf2onnx.convert --graphdef`, opset {OPSET}, TensorFlow {v['tensorflow']}); written by `tools/compare_import.py`. Seconds from start to
exit of the command, its processor time, and its peak memory; the median (least and most) of {facts['runs']} runs that take turns, on one core of
{facts['machine']} with real-time priority. The last column is the largest difference over the largest value between TensorFlow's answer
and ONNX Runtime's on the converted file, for two random images.

| network | by | nodes | Transposes | seconds | processor | MB | difference |
|---|---|---|---|---|---|---|---|
""" + "\n".join(rows) + f"""

Where the numbers come from:
- tf2onnx is a Python program that loads TensorFlow, runs the graph through TensorFlow's own optimiser and then converts it. What starting costs,
  LeNet-5 shows; the rest grows with nodes and weights. `opgraft import` reads the file itself. Its least lead in time here is {least:.0f} times.
- In a process that has TensorFlow loaded already (`tf2onnx.convert.from_keras`) the start is paid once. That was not measured.
- Transposes left in a file, by either: {" to ".join(map(str, dict.fromkeys((turns[0], turns[-1]))))}. The image comes in TensorFlow's layout (channels last), and the file keeps that.
- Nodes are counted as they lie in the file, before any runtime optimises it. `Pad_Fusion` of ONNX Runtime is disabled for both (see
  [tensorflow.md](tensorflow.md)).

## What is left, op by op
{counts(facts)} Ops that both files have the same number of are left out:

""" + differences(facts) + """

- *Mul and Add* are batch normalisations, which Keras writes as a product and a sum with constants. `opgraft import` takes each that follows a convolution into its
  weights (with `--no-fold` it does not). tf2onnx leaves that to TensorFlow's optimiser, which folds none where the convolution has a bias (ResNet-50 v1) or is depthwise
  (MobileNets, EfficientNet). Those that stand before their convolution, with a ReLU between (ResNet-50 v2, DenseNet-121), both leave.
- *Gemm* is a MatMul and the Add of its bias.
- *ReduceMean* is the mean over an image; tf2onnx writes GlobalAveragePool and a Squeeze or Reshape.
- *Pad*: a convolution takes the zeros around its input for padding of its own. The other one stands before a MaxPool, which knows no zeros.
- *Div*: hard sigmoid is (x + 3 held in 0 to 6) / 6; tf2onnx multiplies by a sixth, which rounds differently. *Sub*: tf2onnx adds what is negative.
- *Mul* in EfficientNet-B0, less by another 49 than the graph has: Keras computes swish as x * sigmoid(1 * x), and a product with 1 goes.
- *Reshape, Squeeze, Shape, Cast, Gather, Slice, Concat* in LeNet-5: how Flatten computes its shape from the batch. `opgraft import` follows sizes as symbols and writes
  one Reshape with a constant; another takes the place of the Transpose, since an image of one channel has the same bytes in both layouts.
- *Reshape* in EfficientNet-B0 and MobileNet V3 Large: tf2onnx takes the 1 x 1 dimensions of a squeezed image off and puts them on again.
"""


def differences(facts):
    """A line for each network: ops and their numbers where they differ."""
    lines = ["| network | opgraft | tf2onnx |", "|---|---|---|"]
    for name in (n for n in TITLES if n in facts["models"]):
        ops = [facts["models"][name][tool]["ops"] for tool in ("opgraft", "tf2onnx")]
        apart = sorted({op for found in ops for op in found if ops[0].get(op) != ops[1].get(op)})
        lines.append(f"| {TITLES[name]} | " + " | ".join(", ".join(f"{found[op]} {op}" for op in apart if op in found) or "none" for found in ops) + " |")
    return "\n".join(lines)


def counts(facts):
    """Who leaves fewer nodes, in words."""
    nodes = [(TITLES[n], facts["models"][n]["opgraft"]["nodes"], facts["models"][n]["tf2onnx"]["nodes"]) for n in TITLES if n in facts["models"]]
    fewer, more = [t for t, a, b in nodes if a < b], [t for t, a, b in nodes if a > b]
    return f"Opgraft leaves fewer nodes in {', '.join(fewer) or 'none'}, and more in {', '.join(more) or 'none'}."


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    ask.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "import")
    ask.add_argument("--runs", type=int, default=3)
    ask.add_argument("--only", default=",".join(TITLES))
    ask.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "import-speed.md")
    ask.add_argument("--tools", type=lambda s: s.split(","), default=["opgraft", "tf2onnx"])
    ask.add_argument("--under", default="")
    ask.add_argument("--judge", help=argparse.SUPPRESS)
    ask.add_argument("--measure", help=argparse.SUPPRESS)
    given = ask.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.judge:                      # a process of its own: TensorFlow in this one would count as its children's memory
        print(json.dumps(judge(given.judge, given.work)))
        return
    if given.measure:                    # of its own too: --under holds for it alone
        print(json.dumps(measure(given, given.measure)))
        return
    kept = given.out.with_suffix(".json")
    facts = json.loads(kept.read_text()) if kept.exists() else {"models": {}}
    names = given.only.split(",")
    missing = [name for name in names if not (given.work / f"{name}.pb").exists()]
    subprocess.run([sys.executable, ROOT / "tools" / "frozen_graphs.py", given.work, *missing], check=True)
    for name in names:
        timed_alone = [*given.under.split(), sys.executable, __file__, "--build", given.build, "--work", given.work, "--runs", str(given.runs),
                       "--tools", ",".join(given.tools), "--measure", name]
        measured = subprocess.run(timed_alone, check=True, capture_output=True, text=True)
        found = {**facts["models"].get(name, {}), **json.loads(measured.stdout.splitlines()[-1])}
        judged = subprocess.run([sys.executable, __file__, "--work", given.work, "--judge", name], check=True, capture_output=True, text=True)
        for tool, more in json.loads(judged.stdout.splitlines()[-1]).items():
            found[tool].update(more)
        facts["models"][name] = found
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    versions = {p: importlib.metadata.version(q) for p, q in (("tf2onnx", "tf2onnx"), ("tensorflow", "tensorflow_cpu"), ("onnxruntime", "onnxruntime"))}
    facts.update(machine=cpu, runs=given.runs, versions=versions)
    kept.write_text(json.dumps(facts, indent=1) + "\n")
    given.out.write_text(page(facts))


if __name__ == "__main__":
    main()
