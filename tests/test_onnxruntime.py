"""`opgraft run` against ONNX Runtime on whole networks."""
import numpy as np
import pytest

from conftest import LENET5, digits, infer, onnxruntime_infer, relative_error

LIMIT = 1e-5


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("model", LENET5, ids=lambda path: path.stem)
def test_lenet5(tmp_path, model, batch):
    inputs = {"image": digits()[0][:batch]}
    want = onnxruntime_infer(model, inputs, "logits")
    for options in ([], ["--no-fuse"]):
        assert relative_error(infer(tmp_path, model, inputs, "logits", *options), want) < LIMIT


@pytest.mark.parametrize("activation", ["relu", "swish4", "swish2"])
def test_resnet50(tmp_path, resnet50, activation):
    image = np.random.default_rng(1).standard_normal((1, 3, 224, 224)).astype(np.float32)
    model = resnet50(activation)
    want = onnxruntime_infer(model, {"image": image}, "logits")
    assert 1 < want.std() < 20, "the network is not well scaled"
    assert relative_error(infer(tmp_path, model, {"image": image}, "logits"), want) < LIMIT
