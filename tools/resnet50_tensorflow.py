"""ResNet-50 from TensorFlow to a plan: runs the commands of docs/resnet50.md, measures, and writes the page's generated parts.

resnet50_tensorflow.py --build build --work build/resnet50 [--steps commands,time,accuracy,trained,tensorrt,cuda] [--threads 1,2] [--rounds 9]
                       [--mnist DIR] [--cuda FACTS.json]
resnet50_tensorflow.py serve RUNTIME INTERFACE THREADS BUILD      one runtime in a process of its own (as tools/bench_runtimes.py)
Needs TensorFlow and ONNX Runtime (tools/requirements-tensorflow.txt); OPGRAFT_TENSORRT is a folder with TensorRT-RTX as
tools/setup.sh leaves it; `make all build/bench/calls.so` comes first. The facts are kept in docs/resnet50.json; steps that are left out keep theirs. Step `trained`, some
minutes of training, wants --mnist (see tools/graft_accuracy.py); step `cuda` a GPU, or what tools/resnet50_cuda.py --out wrote on another machine."""
import argparse
import collections
import importlib.metadata
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "resnet50.md"
FACTS = PAGE.with_suffix(".json")

COMMANDS = {
    "import": ["opgraft import resnet50.pb -o relu.onnx -q", "opgraft info relu.onnx"],
    "graft": ["opgraft graft relu.onnx -o swish.onnx --map Relu=Swish -q", "opgraft info swish.onnx | tail -11"],
    "build": ["opgraft build swish.onnx -o swish.plan --batch 1 --threads 1 | sed -n 1,18p", "opgraft check swish.onnx --batch 1"],
    "library": ["opgraft op build swish.c -o libswish.so --no-cuda"],
}
TITLES = {"opgraft": "Opgraft", "onnxruntime": "ONNX Runtime", "onnxruntime_op": "ONNX Runtime, with the op library",
          "eager": "TensorFlow, eager", "function": "TensorFlow, `tf.function`", "xla": "TensorFlow, `jit_compile=True` (XLA)"}
LAYERS = {"convolutions": "CONVOLUTION", "activations": "ACTIVATION", "elementwise": "ELEMENTWISE", "plugins": "PLUGIN_V3"}
CASES = {"relu": ["opgraft", "onnxruntime", "eager", "function", "xla"], "swish": list(TITLES)}


# ---- TensorFlow as a runtime of tools/bench_runtimes.py ---------------------------------------------

def with_swish(graph):
    """Relu(x) becomes Mul(x, Sigmoid(x)), as somebody would write it into a GraphDef."""
    for node in [n for n in graph.node if n.op == "Relu"]:
        gate = graph.node.add(name=node.name + "/gate", op="Sigmoid", input=[node.input[0]])
        gate.attr["T"].CopyFrom(node.attr["T"])
        node.op = "Mul"
        node.input.append(gate.name)


class TensorFlow:
    """Eager runs the Keras model; tf.function and XLA run the frozen graph, which TensorFlow's optimiser can fold further."""

    def __init__(self, way, threads):
        import tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self.tf, self.way = tf, way

    def eager(self, form):
        import keras
        from frozen_graphs import network
        model = network("resnet50")
        if form == "swish":
            for layer in model.layers:
                if isinstance(layer, keras.layers.Activation):
                    layer.activation = keras.activations.silu
        return lambda x: model(x, training=False)

    def frozen(self, form, path):
        graph = self.tf.compat.v1.GraphDef.FromString(pathlib.Path(path).read_bytes())
        if form == "swish":
            with_swish(graph)
        imported = self.tf.compat.v1.wrap_function(lambda: self.tf.graph_util.import_graph_def(graph, name=""), [])
        call = imported.prune("image:0", "Identity:0")
        return self.tf.function(call, jit_compile=True) if self.way == "xla" else self.tf.function(call)

    def open(self, net, batch):
        import numpy as np
        from bench_runtimes import PythonRequest
        call = self.eager(net["form"]) if self.way == "eager" else self.frozen(net["form"], net["frozen"])
        request = PythonRequest(lambda x: call(self.tf.constant(x)).numpy(), np.zeros((batch, *net["shape"]), np.float32))
        request.time(2)
        return request


def serve():
    import bench_runtimes
    _, _, runtime, interface, threads, build = sys.argv

    def make():
        bench_runtimes.pin(int(threads))
        if runtime in ("eager", "function", "xla"):
            return TensorFlow(runtime, int(threads))
        return bench_runtimes.RUNTIMES[runtime.removesuffix("_op"), interface](int(threads), pathlib.Path(build).resolve())
    bench_runtimes.serve(make)


# ---- steps ---------------------------------------------------------------------------------------

def terminal(given, command):
    """What a command prints in the work folder; it has to succeed."""
    environment = {**os.environ, "PATH": f"{given.build}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(given.work / "cache"), "LC_ALL": "C"}
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=given.work, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{command}: exit status {done.returncode}\n{done.stdout}")
    return [line.rstrip() for line in done.stdout.splitlines()]


def commands(given):
    shutil.copy(ROOT / "src" / "ops" / "swish.c", given.work)
    if not (given.work / "resnet50.pb").exists():
        subprocess.run([sys.executable, ROOT / "tools" / "frozen_graphs.py", given.work, "resnet50"], check=True)
    return {part: [[line, terminal(given, line)] for line in lines] for part, lines in COMMANDS.items()}


def open_workers(given, threads, cases, log):
    """{(form, runtime): its process}; both forms of a runtime are in one process."""
    from bench_run import Worker

    class Own(Worker):
        def __init__(self, runtime, interface):
            command = [sys.executable, __file__, "serve", runtime, interface, str(threads), str(given.build)]
            self.log = log
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "XDG_CACHE_HOME": str(given.work / "cache")})
    started = {}
    for form, runtime in cases:
        if runtime not in started:
            started[runtime] = Own(runtime, "c" if runtime == "opgraft" else "python")
        library = str(given.work / "libswish.so") if runtime.endswith("_op") else ""
        net = {"form": form, "onnx": str(given.work / f"{form}.onnx"), "frozen": str(given.work / "resnet50.pb"), "input": "image",
               "shape": [224, 224, 3], "outputs": 1000, "library": library}
        started[runtime].ask("open", key=form, net=net, batch=1)
    return {case: started[case[1]] for case in cases}


def answer(given, worker, form, image):
    import numpy as np
    np.save(given.work / "x.npy", image)
    worker.ask("answer", key=form, x=str(given.work / "x.npy"), y=str(given.work / "y.npy"))
    return np.load(given.work / "y.npy").reshape(-1).astype(np.float64)


def end(workers):
    for worker in set(workers.values()):
        worker.end()


def times(given, threads):
    """Rounds in changing order; one process works at a time, the others stand still."""
    import numpy as np
    cases = [(form, runtime) for form, runtimes in CASES.items() for runtime in runtimes]
    samples, shuffle = collections.defaultdict(list), random.Random(1)
    image = np.random.default_rng(7).random((1, 224, 224, 3), np.float32)
    with open(given.work / "log.txt", "a") as log:
        workers = open_workers(given, threads, cases, log)
        answers = {case: answer(given, workers[case], case[0], image) for case in cases}
        order = list(cases)
        for _ in range(given.rounds):
            shuffle.shuffle(order)
            for case in order:
                samples[case].append(1e3 * workers[case].ask("sample", key=case[0], repeats=1)["seconds"])
        end(workers)
    rows = []
    for form, runtime in cases:
        want, ms = answers[form, "function"], samples[form, runtime]
        rows.append({"form": form, "runtime": runtime, "threads": threads, "median_ms": round(statistics.median(ms), 1),
                     "least_ms": round(min(ms), 1), "most_ms": round(max(ms), 1), "rounds": len(ms),
                     "error": float(f"{np.abs(answers[form, runtime] - want).max() / np.abs(want).max():.2g}")})
    return rows


def logits(given, workers, image):
    """Of both networks, less their mean: each ends with a softmax, and logarithms of its answers are the logits but for a constant."""
    import numpy as np
    found = [np.log(answer(given, workers[form, "opgraft"], form, image)) for form in ("relu", "swish")]
    return [z - z.mean() for z in found]


def squares(contrast, count):
    """Images of 7 x 7 squares with values up to +-contrast. (Noise in every pixel would be one image to the network: it averages.)"""
    import numpy as np
    rng = np.random.default_rng(3)
    for _ in range(count):
        yield np.kron(rng.uniform(-contrast, contrast, (1, 7, 7, 3)), np.ones((1, 32, 32, 1))).astype(np.float32)


def magnitude(given, contrast):
    """The median of |x| over all that goes into the activations, for one image."""
    import numpy as np
    import onnx
    import onnxruntime
    model = onnx.load(given.work / "relu.onnx")
    values = [node.input[0] for node in model.graph.node if node.op_type == "Relu"]
    model.graph.output.extend(onnx.ValueInfoProto(name=value) for value in values)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = next(squares(contrast, 1))
    return float(f"{np.median(np.abs(np.concatenate([x.ravel() for x in session.run(values, {'image': image})]))):.2g}")


def moved(given, workers, contrast):
    """How far the logits move when Swish replaces ReLU."""
    import numpy as np
    move, classes, same = [], set(), 0
    for image in squares(contrast, given.images):
        relu, swish = logits(given, workers, image)
        move.append(float(np.linalg.norm(swish - relu) / np.linalg.norm(relu)))
        classes.add(int(relu.argmax()))
        same += int(relu.argmax() == swish.argmax())
    return {"contrast": contrast, "images": given.images, "magnitude": magnitude(given, contrast),
            "moved": [float(f"{f(move):.2g}") for f in (statistics.median, min, max)], "same_class": same, "classes": len(classes)}


def accuracy(given):
    """LeNet-5 on digits, by the demo; for ResNet-50, whose weights are random, how far its logits move."""
    with open(given.work / "log.txt", "a") as log:
        workers = open_workers(given, 1, [("relu", "opgraft"), ("swish", "opgraft")], log)
        rows = [moved(given, workers, contrast) for contrast in (1, 16, 128)]
        end(workers)
    demo = subprocess.run([given.build / "opgraft", "demo", "lenet5", "--json", "--seconds", "1"], cwd=given.work, check=True,
                          capture_output=True, text=True, env={**os.environ, "OPGRAFT_MODELS": str(ROOT / "models")})
    return {"resnet50": rows, "lenet5": json.loads(demo.stdout)["accuracy"]}


def tensorrt(given):
    """What TensorRT-RTX makes of the files; no GPU is needed to build an engine."""
    folder, found = pathlib.Path(os.environ["OPGRAFT_TENSORRT"]).resolve(), []
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder / "lib"), "PYTHONPATH": str(folder / "python")}
    for form, library in (("relu", False), ("swish", False), ("swish", True)):
        request = {"model": str(given.work / f"{form}.onnx"), "libraries": [str(given.work / "libswish.so")] * library,
                   "shapes": {"image": [[n, 224, 224, 3] for n in (1, 1, 8)]}}
        done = subprocess.run([sys.executable, ROOT / "tests" / "tensorrt_drive.py"], input=json.dumps(request), capture_output=True,
                              text=True, env=environment)
        if done.returncode:
            raise SystemExit(f"TensorRT-RTX: {done.stderr}")
        said = json.loads(done.stdout.splitlines()[-1])
        types = collections.Counter(layer["type"] for layer in said["layers"])
        counts = {key: types[kind] for key, kind in LAYERS.items()}
        found.append({"form": form, "library": library, "layers": sum(types.values()), **counts, "engine_mb": round(said["plan"] * 1e-6, 1)})
    return found


def trained(given):
    """A trained network before and after the graft."""
    if not given.mnist:
        raise SystemExit("step trained needs --mnist DIR")
    done = subprocess.run([sys.executable, ROOT / "tools" / "graft_accuracy.py", "--build", given.build, "--work", given.work / "trained",
                           "--mnist", given.mnist], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def cuda(given):
    """Times on a GPU; None where there is none."""
    if not given.cuda:
        given.cuda = given.work / "cuda.json"
        given.cuda.unlink(missing_ok=True)
        subprocess.run([sys.executable, ROOT / "tools" / "resnet50_cuda.py", "--build", given.build, "--model", given.work / "relu.onnx",
                        "--graph", given.work / "resnet50.pb", "--timing", "--out", given.cuda], check=True)
    return json.loads(given.cuda.read_text()) if given.cuda.exists() else None


# ---- the page ------------------------------------------------------------------------------------

def table(head, rows):
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def time_table(rows):
    best = {(r["threads"], r["form"]): r["median_ms"] for r in rows if r["runtime"] == "opgraft"}
    shown = []
    for form, runtimes in CASES.items():
        for runtime in runtimes:
            cells = []
            for threads in (1, 2):
                r = next((r for r in rows if (r["form"], r["runtime"], r["threads"]) == (form, runtime, threads)), None)
                cells += [f"{r['median_ms']} ({r['least_ms']} to {r['most_ms']})", f"{r['median_ms'] / best[threads, form]:.2f}"] if r else ["", ""]
            errors = [r["error"] for r in rows if (r["form"], r["runtime"]) == (form, runtime)]
            shown.append([{"relu": "ReLU", "swish": "Swish"}[form], TITLES[runtime], *cells, f"{max(errors):.0e}"])
    return table(["network", "by", "1 thread, ms", "over Opgraft", "2 threads, ms", "over Opgraft", "difference"], shown)


def cost_table(rows):
    """Time with Swish over time with ReLU."""
    ms = {(r["form"], r["runtime"], r["threads"]): r["median_ms"] for r in rows}
    return table(["Swish over ReLU", "1 thread", "2 threads"], [
        [TITLES[runtime], *(f"{ms['swish', runtime, n] / ms['relu', runtime.removesuffix('_op'), n]:.2f}" for n in (1, 2))]
        for runtime in CASES["swish"]])


CUDA_TITLES = {"opgraft": "Opgraft", "torch": "PyTorch, eager", "torch_graph": "PyTorch, CUDA graph", "function": "TensorFlow, `tf.function`",
               "xla": "TensorFlow, XLA"}


def cuda_table(found):
    """A line for each of network, runtime and precision, a column for each batch."""
    if not found:
        return ("No GPU here: nothing on this page was timed on one. `python tools/resnet50_tensorflow.py --steps cuda` fills this in on a machine that "
                "has one; `tools/resnet50_cuda.py` measures where there is no TensorFlow.")
    at = {(r["form"], r["by"], r["precision"], r["batch"]): r for r in found["rows"]}
    batches, cases = sorted({r["batch"] for r in found["rows"]}), list(dict.fromkeys(key[:3] for key in at))
    shown = []
    for case in cases:
        rows = [at.get((*case, batch)) for batch in batches]
        shown.append([{"relu": "ReLU", "swish": "Swish"}[case[0]], CUDA_TITLES[case[1]], case[2],
                      *(f"{r['median_ms']} ({r['p10_ms']} to {r['p90_ms']})" if r else "" for r in rows), f"{max(r['error'] for r in rows if r):.0e}"])
    versions = "".join(f", {name} {version}" for name, version in found["versions"].items())
    head = ["network", "by", "precision", *(f"batch {batch}, ms" for batch in batches), "difference"]
    return (f"{found['gpu']}{versions}; tactics {found['tactics']}; median (10th to 90th percentile); the difference is that to Opgraft's answer on the CPU.\n\n"
            + table(head, shown))


def trained_table(found):
    def of(pair):
        return f"{pair[0]:,} of {pair[1]:,} ({pair[0] / pair[1]:.2%})"
    return table(["network", "UCI digits, held-out fifth", "MNIST, odd images"], [[r["name"], of(r["uci"]), of(r["mnist"])] for r in found["rows"]])


def parts(facts):
    """{name of a generated part: its text}."""
    made = {part: "```\n" + "\n".join("\n".join([f"$ {line}", *out]) for line, out in runs) + "\n```"
            for part, runs in facts["commands"].items()}
    made["time"] = time_table(facts["time"])
    made["cost"] = cost_table(facts["time"])
    a, v = facts["accuracy"], facts["versions"]
    head = ["values of the image", "median \\|x\\| before an activation", "logits moved by", "same class", "classes with ReLU"]
    made["moved"] = table(head, [
        [f"-{r['contrast']} to {r['contrast']}", r["magnitude"], "{:.1%} ({:.1%} to {:.1%})".format(*r["moved"]), f"{r['same_class']} of {r['images']}", r["classes"]]
        for r in a["resnet50"]])
    made["lenet5"] = table(["LeNet-5 on the held-out digits", "right", "of", "accuracy"],
                           [[r["name"], r["right"], r["of"], f"{r['right'] / r['of']:.2%}"] for r in a["lenet5"]])
    made["trained"] = trained_table(facts["trained"])
    made["cuda"] = cuda_table(facts["cuda"])
    made["tensorrt"] = table(["file", "op library", "layers", *LAYERS, "engine, MB"], [
        [f"{r['form']}.onnx", "loaded" if r["library"] else "no", r["layers"], *(r[key] for key in LAYERS), r["engine_mb"]]
        for r in facts["tensorrt"]])
    made["machine"] = (f"{facts['machine']}, TensorFlow {v['tensorflow_cpu']} with Keras {v['keras']}, ONNX Runtime {v['onnxruntime']}; "
                       f"medians of {facts['time'][0]['rounds']} rounds (least to most).")
    return made


def render(text, facts):
    """The page with its generated parts, between `<!-- name -->` and `<!-- end -->`, as the facts have them."""
    for name, body in parts(facts).items():
        text, n = re.subn(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", lambda m: m[1] + body + m[2], text, flags=re.DOTALL)
        assert n == 1, f"{PAGE.name} has {n} places for {name}"
    return text


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    ask.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "resnet50")
    ask.add_argument("--steps", default="commands,time,accuracy,tensorrt")
    ask.add_argument("--threads", default="1,2")
    ask.add_argument("--rounds", type=int, default=9)
    ask.add_argument("--images", type=int, default=16)
    ask.add_argument("--mnist", type=pathlib.Path)
    ask.add_argument("--cuda", type=pathlib.Path)
    given = ask.parse_args()
    given.build, given.work = given.build.resolve(), given.work.resolve()
    given.work.mkdir(parents=True, exist_ok=True)
    steps, found, timed = given.steps.split(","), {}, []
    for step, run in (("commands", commands), ("accuracy", accuracy), ("trained", trained), ("tensorrt", tensorrt), ("cuda", cuda)):
        if step in steps:
            found[step] = run(given)
    for threads in (int(n) for n in given.threads.split(",") if "time" in steps):
        timed += times(given, threads)
    facts = json.loads(FACTS.read_text()) if FACTS.exists() else {"time": []}
    anew = {row["threads"] for row in timed}
    facts.update(found, time=[row for row in facts["time"] if row["threads"] not in anew] + timed)
    facts["machine"] = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    facts["versions"] = {name: importlib.metadata.version(name) for name in ("tensorflow_cpu", "keras", "onnxruntime")}
    FACTS.write_text(json.dumps(facts, indent=1) + "\n")
    if {"commands", "accuracy", "trained", "tensorrt", "cuda"} <= facts.keys():
        PAGE.write_text(render(PAGE.read_text(), facts))


if __name__ == "__main__":
    serve() if sys.argv[1:2] == ["serve"] else main()
