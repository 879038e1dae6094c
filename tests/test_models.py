"""models/ and the scripts behind it: what models/README.md and docs/models.md say of them."""
import hashlib

import numpy as np
import onnx
import pytest

from conftest import LENET5, MODELS, digits, onnxruntime_infer
from digits import enlarge, read_idx


def test_digits_are_as_documented():
    images = read_idx(MODELS / "digits-images.idx3")
    labels = read_idx(MODELS / "digits-labels.idx1")
    assert images.shape == (355, 8, 8) and labels.shape == (355,) and images.max() == 16
    assert labels[0] == 5 and list(images[0, 0]) == [0, 6, 13, 5, 8, 8, 1, 0]
    large = enlarge(images)
    assert large.shape == (355, 28, 28) and large[0].sum() == 225_000 and large.sum() == 69_470_000
    assert large[0, 14, 14] == 1299
    assert list(large[0, 6, 4:24]) == [0, 70, 350, 630, 925, 1225, 1410, 1250, 1090, 1095, 1155, 1200, 1200, 1200,
                                       945, 605, 315, 175, 35, 0]


@pytest.mark.parametrize("model", LENET5, ids=lambda path: path.stem)
def test_lenet5_is_valid_and_reads_digits(model):
    onnx.checker.check_model(str(model), full_check=True)
    images, labels = digits()
    logits = onnxruntime_infer(model, {"image": images}, "logits")
    assert int((logits.argmax(1) == labels).sum()) == 353


def test_the_spellings_of_swish_agree():
    images = digits()[0]
    four, two = (onnxruntime_infer(MODELS / f"lenet5_{name}.onnx", {"image": images}, "logits")
                 for name in ("swish4", "swish2"))
    assert np.abs(four - two).max() < 1e-5 * np.abs(two).max()


def test_resnet50_is_the_same_everywhere(resnet50):
    weights = hashlib.sha256()
    for weight in onnx.load(resnet50("relu")).graph.initializer:
        weights.update(weight.raw_data)
    assert weights.hexdigest() == "362f2c49b1e62bb5c7743fbc4baa123f44a9a9aaf7fe221add9d0ad7eca30d93"
