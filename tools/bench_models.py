"""The networks of the benchmark: what they are, and their files for every runtime, made once.

Each is an ONNX file; ncnn's (by pnnx) and MNN's (by its converter) are made from it. A family has one network in several
forms of its activation:
  relu, swish2 (Sigmoid and Mul), swish4 (Neg, Exp, Add, Div), swish_op (one node of an op library), odd (an activation that
  nobody knows, as 8 nodes in place of ReLU) and odd_op (the same as one node of an op library)."""
import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIBRARIES = {"swish_op": ROOT / "examples" / "ops" / "swish_beta.c", "odd_op": ROOT / "examples" / "ops" / "leaky_mish.c"}
OPS = {"swish_op": "SwishBeta", "odd_op": "LeakyMish"}
SAME = {"swish_op": "swish2", "odd_op": "odd"}           # the form of ONNX's own nodes that computes the same
PRODUCTS = {                                             # rows, inner, columns, where it comes from
    "3136x64x256": (3136, 64, 256, "ResNet-50, 1 x 1 on 56 x 56"),
    "784x512x128": (784, 512, 128, "ResNet-50, 1 x 1 on 28 x 28"),
    "196x1024x256": (196, 1024, 256, "ResNet-50, 1 x 1 on 14 x 14"),
    "49x2048x512": (49, 2048, 512, "ResNet-50, 1 x 1 on 7 x 7"),
    "128x768x768": (128, 768, 768, "BERT-base, attention, 128 words"),
    "128x768x3072": (128, 768, 3072, "BERT-base, feed forward"),
    "128x3072x768": (128, 3072, 768, "BERT-base, feed forward"),
    "1x4096x4096": (1, 4096, 4096, "LLaMA-7B, attention, one word"),
    "128x4096x4096": (128, 4096, 4096, "LLaMA-7B, attention, 128 words"),
    "1024x1024x1024": (1024, 1024, 1024, "square"),
}


@dataclasses.dataclass(frozen=True)
class Network:
    """One form of a network: its files, and the shape of its input with the batch in front."""
    family: str
    form: str
    onnx: str
    input: str
    shape: tuple                         # of one sample
    outputs: int                         # numbers of one sample's answer
    library: str = ""                    # an op library that it needs
    ncnn: str = ""                       # the path without .param and .bin; "" with why where it could not be made
    mnn: str = ""
    why: str = ""                        # what converters said
    output: str = ""


class Missing(Exception):
    """A sentence: why a network can't be made here."""


def run(*command, cwd=None):
    done = subprocess.run([str(part) for part in command], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(" ".join((done.stderr or done.stdout).split())[-300:] or f"{command[0]} ended with {done.returncode}")
    return done.stdout


# ---- networks ----------------------------------------------------------------------------------

def with_odd(source):
    """The model with every Relu made 0.9 x tanh(softplus(1.1 x)) + 0.05 x, of ONNX's own nodes."""
    model = onnx.load(source)
    nodes, constants = [], {"odd_inner": 1.1, "odd_outer": 0.9, "odd_line": 0.05}
    for node in model.graph.node:
        if node.op_type != "Relu":
            nodes.append(node)
            continue
        x, y, name = node.input[0], node.output[0], node.name or node.output[0]
        for op, inputs, output in (("Mul", [x, "odd_inner"], f"{name}_1"), ("Softplus", [f"{name}_1"], f"{name}_2"),
                                   ("Tanh", [f"{name}_2"], f"{name}_3"), ("Mul", [x, f"{name}_3"], f"{name}_4"),
                                   ("Mul", [f"{name}_4", "odd_outer"], f"{name}_5"), ("Mul", [x, "odd_line"], f"{name}_6"),
                                   ("Add", [f"{name}_5", f"{name}_6"], y)):
            nodes.append(helper.make_node(op, inputs, [output], name=output))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items())
    return model


def product(rows, inner, columns):
    """Y = X W with a constant W; the leading 1 is what ncnn takes for the batch."""
    weight = np.random.default_rng(inner).uniform(-1, 1, (inner, columns)).astype(np.float32)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "product",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", rows, inner])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", rows, columns])],
                              [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


EXPORT = """
import sys, warnings
import torch, torchvision
warnings.filterwarnings("ignore")
torch.manual_seed(1)
net = getattr(torchvision.models, sys.argv[1])()
for module in net.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.momentum = 1.0
net.train()
with torch.no_grad():                                   # statistics of real activations, so that they stay of order 1
    net(torch.rand(4, 3, 224, 224))
net.eval()
torch.onnx.export(net, (torch.rand(2, 3, 224, 224),), sys.argv[2], opset_version=13, input_names=["image"],
                  output_names=["logits"], dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})
"""


def export(name, path):
    """A network of torchvision with random weights, by whichever Python has it."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import torchvision"], capture_output=True).returncode == 0:
            run(python, "-c", EXPORT, name, path)
            return
    raise Missing("no Python here has torchvision: apt-get install python3-torchvision")


# ---- files of other runtimes --------------------------------------------------------------------

def pnnx_program():
    import importlib.util
    found = importlib.util.find_spec("pnnx")                    # without importing it, which would import PyTorch
    if not found:
        raise Missing("pnnx is not installed")
    return pathlib.Path(found.origin).parent / "pnnx"


def to_ncnn(source, shape, stem):
    folder = stem.parent / (stem.name + ".pnnx")
    folder.mkdir(exist_ok=True)
    link = folder / "net.onnx"
    link.unlink(missing_ok=True)
    link.symlink_to(source)
    run(pnnx_program(), "net.onnx", "inputshape=[" + ",".join(map(str, (1, *shape))) + "]", "fp16=0", cwd=folder)
    for kind in ("param", "bin"):
        os.replace(folder / f"net.ncnn.{kind}", f"{stem}.{kind}")
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()


def to_mnn(source, path):
    run(pathlib.Path(sys.executable).parent / "mnnconvert", "-f", "ONNX", "--modelFile", source, "--MNNModel", path,
        "--bizCode", "opgraft")
    if not path.exists():
        raise Missing("MNN's converter wrote no file")


# ---- all together -------------------------------------------------------------------------------

class Maker:
    """Makes files in a folder and keeps what is newer than what it is made of."""

    def __init__(self, folder, opgraft, tell):
        self.folder, self.opgraft, self.tell = pathlib.Path(folder).resolve(), pathlib.Path(opgraft).resolve(), tell
        self.folder.mkdir(parents=True, exist_ok=True)

    def file(self, name, make, *sources):
        """The path of `name`, by make(path) unless it is there and newer than the sources."""
        path = self.folder / name
        times = [os.path.getmtime(source) for source in sources]
        if not path.exists() or times and max(times) > path.stat().st_mtime:
            self.tell(f"making {name}")
            temporary = path.with_name("new-" + name)
            make(temporary)
            os.replace(temporary, path)
        return path

    def library(self, form):
        source = LIBRARIES[form]
        return self.file(f"{source.stem}.so", lambda out: run(self.opgraft, "op", "build", source, "-o", out, "--no-cuda", "-q"), source,
                         self.opgraft)

    def onnx_file(self, family, form):
        def grafted(out):
            source, library = self.onnx_file(family, SAME[form] if form == "swish_op" else "relu"), self.library(form)
            how = ["--op", OPS[form]] if form == "swish_op" else ["--map", f"Relu={OPS[form]}"]
            run(self.opgraft, "graft", source, "-o", out, *how, "--ops", library, "-q")

        name = f"{family}_{form}.onnx"
        if form in SAME:
            return self.file(name, grafted, self.library(form))
        if form == "odd":
            return self.file(name, lambda out: onnx.save(with_odd(self.onnx_file(family, "relu")), out), __file__)
        if family == "lenet5":
            return ROOT / "models" / name
        if family == "resnet50":
            from make_resnet50 import resnet50
            return self.file(name, lambda out: out.write_bytes(resnet50(form).SerializeToString(deterministic=True)),
                             ROOT / "tools" / "make_resnet50.py")
        if family == "matmul":
            return self.file(name, lambda out: onnx.save(product(*PRODUCTS[form][:3]), out), __file__)
        return self.file(name, lambda out: export(family, out), __file__)

    def network(self, family, form, peers):
        """The Network; peers: for which the converters are run."""
        path = self.onnx_file(family, form)
        model = onnx.load(path, load_external_data=False)
        value, answer = model.graph.input[0], model.graph.output[0]
        shape, last = ([d.dim_value for d in v.type.tensor_type.shape.dim][1:] for v in (value, answer))
        fields = {"library": str(self.library(form)) if form in SAME else "", "why": ""}
        for peer, make in (("ncnn", to_ncnn), ("mnn", to_mnn)):
            if peer not in peers or form in SAME:
                continue
            stem = self.folder / f"{family}_{form}.{peer}"
            if peer == "ncnn":
                steps = lambda out: (to_ncnn(path, shape, stem), out.write_text(""))        # noqa: E731
                target = stem.name + ".made"
            else:
                steps, target = lambda out: to_mnn(path, out), stem.name                    # noqa: E731
            try:
                self.file(target, steps, path)
                fields[peer] = str(stem)
            except Missing as why:
                fields["why"] += f"{peer}: {why} "
        return Network(family, form, str(path), value.name, tuple(shape), int(np.prod(last)), output=answer.name, **fields)
