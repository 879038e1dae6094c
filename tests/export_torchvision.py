"""Writes networks of torchvision, with random weights, as ONNX files, and how often each calls an activation.

Runs under a Python that has PyTorch and torchvision (Debian: python3-torch, python3-torchvision):
export_torchvision.py FOLDER; the counts go to FOLDER/counts.json as {file: {"SiLU": n, "Hardswish": n}}."""
import json
import pathlib
import sys
import warnings

import torch
import torchvision

warnings.filterwarnings("ignore")
folder = pathlib.Path(sys.argv[1])
counts = {}


class Hardswish(torch.nn.Module):
    """As the first implementations wrote it."""
    def forward(self, x):
        return x * torch.nn.functional.relu6(x + 3) / 6


def export(name, network, example, opset):
    calls = {"SiLU": 0, "Hardswish": 0}

    def count(module, *_):
        calls[type(module).__name__] += 1

    network.eval()
    for module in network.modules():
        if type(module).__name__ in calls:
            module.register_forward_hook(count)
    with torch.no_grad():
        network(*example)
    counts[name] = dict(calls)
    torch.onnx.export(network, example, str(folder / name), opset_version=opset)


def with_activation(make, module):
    """Every ReLU, ReLU6 and Hardswish becomes another activation, as YOLO-like detectors have SiLU."""
    for name, child in module.named_children():
        if isinstance(child, (torch.nn.Hardswish, torch.nn.ReLU6, torch.nn.ReLU)):
            setattr(module, name, make())
        else:
            with_activation(make, child)
    return module


torch.manual_seed(1)
models = torchvision.models
image = (torch.rand(1, 3, 224, 224),)
export("efficientnet_b0.onnx", models.efficientnet_b0(), image, 13)
export("mobilenet_v3_large.onnx", models.mobilenet_v3_large(), image, 13)       # HardSigmoid and Mul
export("mobilenet_v3_primitive.onnx", with_activation(Hardswish, models.mobilenet_v3_small()), image, 12)
detector = models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
export("ssdlite_silu.onnx", with_activation(torch.nn.SiLU, detector), ([torch.rand(3, 320, 320)],), 13)
(folder / "counts.json").write_text(json.dumps(counts))
