#!/usr/bin/env python3
"""Train LeNet-5 with ReLU and with Swish on handwritten digits and write models/.

    python3 -m venv venv && venv/bin/pip install -r tools/requirements-train.txt
    venv/bin/python tools/train_lenet5.py --mnist DIR

Needed at development time only: what it writes is committed. DIR holds the MNIST test files
t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz (10,000 images). Trained on:

  - four fifths of the 1,797 UCI digits that scikit-learn carries, enlarged by digits.enlarge;
  - the MNIST images of even index.

Tested on the other fifth and on the MNIST images of odd index. The first and the last 5,000 MNIST
images come from different writers, and both halves are in training and test alike: the accuracy on
them is that of digits by writers who were seen, not that of the usual 60,000 / 10,000 split.
"""
import argparse
import pathlib
import time

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

from digits import enlarge, read_mnist, uci_digits, write_idx

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLASSES = 10
SIDE = 28


class LeNet5(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.activation = activation
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, CLASSES)

    def forward(self, x):
        x = functional.avg_pool2d(self.activation(self.conv1(x)), 2)
        x = functional.avg_pool2d(self.activation(self.conv2(x)), 2)
        x = self.activation(self.fc1(x.flatten(1)))
        x = self.activation(self.fc2(x))
        return self.fc3(x)


def augment(images):
    """Turns by up to 12 degrees, scales by up to 10% and shifts by up to 2 pixels each way."""
    n = len(images)
    angle = (torch.rand(n) * 2 - 1) * (12 * torch.pi / 180)
    scale = 1 + (torch.rand(n) * 2 - 1) * 0.1
    shift = (torch.rand(n, 2) * 2 - 1) * (2 * 2 / SIDE)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    return functional.grid_sample(images, functional.affine_grid(matrix, images.shape, align_corners=False),
                                  align_corners=False)


def train(activation, images, labels, epochs, seed):
    torch.manual_seed(seed)
    net = LeNet5(activation)
    batch = 64
    steps = epochs * (len(images) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for at in range(0, len(images) - batch + 1, batch):
            pick = order[at:at + batch]
            loss = functional.cross_entropy(net(augment(images[pick])), labels[pick], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def logits(net, images):
    with torch.no_grad():
        return net(images)


def accuracy(net, images, labels):
    right = int((logits(net, images).argmax(1) == labels).sum())
    return f"{right} of {len(labels)} ({100 * right / len(labels):.2f}%)"


def activation_nodes(spelling, x, y):
    """The nodes that compute value `y` from value `x`."""
    if spelling == "relu":
        return [helper.make_node("Relu", [x], [y], name=y)]
    if spelling == "swish2":
        return [helper.make_node("Sigmoid", [x], [y + "_sigmoid"], name=y + "_sigmoid"),
                helper.make_node("Mul", [x, y + "_sigmoid"], [y], name=y)]
    return [helper.make_node("Neg", [x], [y + "_neg"], name=y + "_neg"),
            helper.make_node("Exp", [y + "_neg"], [y + "_exp"], name=y + "_exp"),
            helper.make_node("Add", [y + "_exp", "one"], [y + "_add"], name=y + "_add"),
            helper.make_node("Div", [x, y + "_add"], [y], name=y)]


def to_onnx(net, spelling):
    nodes, weights = [], []

    def layer(op, name, x, y, **attributes):
        nodes.append(helper.make_node(op, [x, name + ".weight", name + ".bias"], [y], name=name, **attributes))
        for part in ("weight", "bias"):
            value = getattr(getattr(net, name), part).detach().numpy()
            weights.append(numpy_helper.from_array(np.ascontiguousarray(value), f"{name}.{part}"))

    def pool(x, y):
        nodes.append(helper.make_node("AveragePool", [x], [y], name=y, kernel_shape=[2, 2], strides=[2, 2]))

    if spelling == "swish4":
        weights.append(numpy_helper.from_array(np.array(1, np.float32), "one"))
    layer("Conv", "conv1", "image", "conv1", kernel_shape=[5, 5], pads=[2, 2, 2, 2])
    nodes.extend(activation_nodes(spelling, "conv1", "act1"))
    pool("act1", "pool1")
    layer("Conv", "conv2", "pool1", "conv2", kernel_shape=[5, 5])
    nodes.extend(activation_nodes(spelling, "conv2", "act2"))
    pool("act2", "pool2")
    nodes.append(helper.make_node("Flatten", ["pool2"], ["flat"], name="flat", axis=1))
    layer("Gemm", "fc1", "flat", "fc1", transB=1)
    nodes.extend(activation_nodes(spelling, "fc1", "act3"))
    layer("Gemm", "fc2", "act3", "fc2", transB=1)
    nodes.extend(activation_nodes(spelling, "fc2", "act4"))
    layer("Gemm", "fc3", "act4", "logits", transB=1)
    graph = helper.make_graph(
        nodes, "lenet5_" + spelling,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])], weights)
    model = helper.make_model(graph, producer_name="opgraft train_lenet5.py", ir_version=8,
                              opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model, full_check=True)
    return model


def export(net, spelling, images, folder):
    """Writes the model and returns how far ONNX Runtime's logits are from PyTorch's, relative to the largest."""
    path = folder / f"lenet5_{spelling}.onnx"
    path.write_bytes(to_onnx(net, spelling).SerializeToString(deterministic=True))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    got = session.run(["logits"], {"image": images.numpy()})[0]
    want = logits(net, images).numpy()
    error = float(np.abs(got - want).max() / np.abs(want).max())
    if not error <= 1e-5:
        raise SystemExit(f"{path}: ONNX Runtime and PyTorch differ by {error:.1e} of the largest logit")
    print(f"{path.name}: {path.stat().st_size} bytes, {error:.1e} from PyTorch")


def tensors(images, white, labels):
    """Images of integers 0..white as pixel values 0..1, and labels, for PyTorch."""
    pixels = images.astype(np.float32) / np.float32(white)
    return torch.from_numpy(pixels)[:, None], torch.from_numpy(labels.astype(np.int64))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=pathlib.Path, required=True, metavar="DIR",
                        help="folder of t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "models", metavar="DIR")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)

    train_images, train_labels, test_images, test_labels = uci_digits()
    write_idx(options.out / "digits-images.idx3", test_images)
    write_idx(options.out / "digits-labels.idx1", test_labels)
    enlarged = enlarge(test_images)
    print(f"enlarged held-out digits, 0..1600: image 0 (a {test_labels[0]}) sums to {enlarged[0].sum()}, "
          f"all {len(enlarged)} to {enlarged.sum()}")
    uci = tensors(enlarged, 1600, test_labels)
    mnist_images, mnist_labels = read_mnist(options.mnist)
    odd = tensors(mnist_images[1::2], 255, mnist_labels[1::2])
    parts = zip(tensors(enlarge(train_images), 1600, train_labels), tensors(mnist_images[::2], 255, mnist_labels[::2]))
    images, labels = (torch.cat(part) for part in parts)

    nets = {}
    for name, activation in (("relu", functional.relu), ("swish", functional.silu)):
        start = time.monotonic()
        nets[name] = train(activation, images, labels, options.epochs, options.seed)
        print(f"trained with {name} on {len(images)} images, {options.epochs} epochs: "
              f"{time.monotonic() - start:.0f} s")
    export(nets["relu"], "relu", uci[0], options.out)
    export(nets["swish"], "swish4", uci[0], options.out)
    export(nets["swish"], "swish2", uci[0], options.out)

    mapped = LeNet5(functional.silu)
    mapped.load_state_dict(nets["relu"].state_dict())
    print("\n| network | UCI digits, held-out fifth | MNIST, odd images |\n|---|---|---|")
    for title, net in (("trained with ReLU", nets["relu"]), ("trained with Swish", nets["swish"]),
                       ("trained with ReLU, run with Swish", mapped.eval())):
        print(f"| {title} | {accuracy(net, *uci)} | {accuracy(net, *odd)} |")


if __name__ == "__main__":
    main()
