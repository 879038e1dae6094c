"""What the operators of examples/ops bring: the table of examples/ops/README.md anew.

example_results.py --build build [--seconds 10]
Each operator alone on 1,048,576 elements of float32, one thread: the library's kernel in Opgraft and in ONNX Runtime, and the
same in ONNX's own nodes (the operator's body) in ONNX Runtime, taking turns in one `opgraft op bench`; medians. Needs numpy, onnx
and onnxruntime (tests/requirements.txt) and a machine that does nothing else."""
import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import onnx
import onnxruntime
from onnx import TensorProto, helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "ops"
# dims of the inputs where they are not one of [1024, 1024]
DIMS = {"channel_shuffle": [(1, 64, 128, 128)], "prelu_channel": [(1, 64, 128, 128), (64, 1, 1)], "swiglu": [(1024, 1024)] * 2,
        "fake_quantize": [(1024, 1024), ()], "rms_norm": [(1024, 1024), (1024,)]}


def model(nodes, dims, constants=()):
    names = [f"x{k}" for k in range(len(dims))]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(n, TensorProto.FLOAT, d) for n, d in zip(names, dims)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, dims[0])], list(constants))
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("examples", 1)])


def shuffle(dims):
    """Channel shuffle by two groups in ONNX's own nodes: its operator has no body, since the shape hangs on the attribute."""
    n, channels, *inner = dims
    apart = helper.make_tensor("apart", TensorProto.INT64, [5], [n, 2, channels // 2, *inner])
    whole = helper.make_tensor("whole", TensorProto.INT64, [4], dims)
    return model([helper.make_node("Reshape", ["x0", "apart"], ["a"]), helper.make_node("Transpose", ["a"], ["b"], perm=[0, 2, 1, 3, 4]),
                  helper.make_node("Reshape", ["b", "whole"], ["y"])], [dims], [apart, whole])


def measure(opgraft, path, folder, seconds):
    """Milliseconds: in Opgraft, in ONNX Runtime with the library (None where not measured), in ONNX Runtime by nodes."""
    def run(*args):
        environment = {**os.environ, "OPGRAFT_ONNXRUNTIME": sys.prefix}
        done = subprocess.run([opgraft, *map(str, args)], env=environment, capture_output=True, text=True)
        if done.returncode > 1 or not done.stdout and "--json" in args:
            sys.exit(done.stderr)
        return done.stdout
    library, net = folder / f"lib{path.stem}.so", folder / f"{path.stem}.onnx"
    op = re.search(r'\.name = "(\w+)"', path.read_text())[1]
    dims = DIMS.get(path.stem, [(1024, 1024)])
    run("op", "build", path, "-o", library, "--no-cuda", "-q")
    onnx.save(model([helper.make_node(op, [f"x{k}" for k in range(len(dims))], ["y"], domain="examples")], dims), net)
    options = ["--threads", 1, "--seconds", seconds, "--json"]
    if path.stem == "channel_shuffle":
        onnx.save(shuffle(dims[0]), folder / "nodes.onnx")
        ours = json.loads(run("bench", net, "--ops", library, *options))["results"][0]
        nodes = json.loads(run("bench", folder / "nodes.onnx", "--peer", *options))["results"][1]
        return ours["median_ms"], None, nodes["median_ms"]
    found = json.loads(run("op", "bench", library, net, *options))["results"]
    median = {(r["runtime"], r["form"], r["library"]): r["median_ms"] for r in reversed(found)}
    return tuple(median[case] for case in (("Opgraft", "grafted", True), ("ONNX Runtime", "grafted", True), ("ONNX Runtime", "primitives", False)))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", type=pathlib.Path, required=True)
    options.add_argument("--seconds", type=float, default=10)
    given = options.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(EXAMPLES.glob("*.c")):
            doc = re.search(r'\.doc = "([^"]*)\."', path.read_text())[1]
            ours, library, nodes = measure(given.build.resolve() / "opgraft", path, pathlib.Path(folder), given.seconds)
            shown = f"{library * 1e3:.0f}" if library else "-"
            rows.append(f"| [{path.name}]({path.name}) | {doc} | {ours * 1e3:.0f} | {shown} | {nodes * 1e3:.0f} | {nodes / ours:.1f} |")
            print(rows[-1])
    processor = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    told = (f"Measured on one thread of an {processor} with {os.cpu_count()} virtual cores, ONNX Runtime {onnxruntime.__version__}, "
            f"{datetime.date.today()}.")
    page = EXAMPLES / "README.md"
    text = re.sub(r"(?:^\| \[\w+\.c\].*\n)+", lambda _: "\n".join(rows) + "\n", page.read_text(), count=1, flags=re.MULTILINE)
    page.write_text(re.sub(r"^Measured on .*$", lambda _: told, text, flags=re.MULTILINE))


if __name__ == "__main__":
    main()
