"""tools/resnet50_cuda.py on a GPU, or else on the emulated device with a small network: who measures, and that answers are right."""
import json
import subprocess
import sys

import pytest

from conftest import BUILD, MODELS, OPGRAFT, ROOT
from test_cuda import TOLERANCE, device, emulator  # noqa: F401 (fixtures)

TOOL = ROOT / "tools" / "resnet50_cuda.py"


def run(*words, **options):
    return subprocess.run([sys.executable, TOOL, "--build", BUILD, "--model", MODELS / "lenet5_relu.onnx", *words], capture_output=True, text=True,
                          timeout=300, **options)


def test_every_case_is_measured_and_right(tmp_path, device):  # noqa: F811
    done = run("--batches", "1", "--precisions", "fp32,fp16", "--rounds", "10", "--out", tmp_path / "facts.json", env=device.env)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "facts.json").read_text())
    rows = [r for r in facts["rows"] if r["by"] == "opgraft"]
    assert {(r["form"], r["precision"], r["batch"]) for r in rows} == {(f, p, 1) for f in ("relu", "swish") for p in ("fp32", "fp16")}
    assert all(r["error"] <= TOLERANCE[r["precision"]] and 0 < r["p10_ms"] <= r["median_ms"] <= r["p90_ms"] for r in facts["rows"])
    assert facts["gpu"]


def test_without_a_gpu_it_says_so():
    if json.loads(subprocess.run([OPGRAFT, "doctor", "--json"], capture_output=True, text=True).stdout)["gpu"]:
        pytest.skip("there is a GPU")
    done = run()
    assert done.returncode == 0 and done.stdout == "" and "no GPU here" in done.stderr
