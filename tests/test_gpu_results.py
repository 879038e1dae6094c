"""tools/gpu_results.py writes its page from the numbers of a run, with what misses its aim first."""
import json
import subprocess
import sys

from conftest import ROOT


def test_the_page_begins_with_the_losing_cases(tmp_path):
    times = [("lenet5", "swish", 1, "opgraft", 0.009), ("lenet5", "swish", 1, "compile", 0.09), ("lenet5", "swish", 1, "eager", 0.2), ("lenet5", "swish", 64, "opgraft", 0.011),
             ("resnet50", "relu", 32, "guessed", 0.9), ("resnet50", "odd", 32, "guessed", 1.08), ("resnet50", "relu", 32, "compile", 1.35)]
    raw = {"date": "2026-01-02", "machine": "a GPU", "torch": "2", "failed": ["one that failed"],
           "lines": [dict(zip(("network", "act", "batch", "way", "ms"), line)) for line in times],
           "rows": [["copy", "", "", "f32", "0.1", "4000", "100%"], ["Tanh", "", "1024", "f32", "0.2", "2000", "50%"], ["Relu", "", "1024", "f32", "0.1", "3900", "97%"]],
           "steps": [{"name": "conv1", "op": "Conv", "tactic": "igemm", "ms": 0.02, "flops": 6.57e9, "bytes": 1e6}]}
    (tmp_path / "raw.json").write_text(json.dumps(raw))
    subprocess.run([sys.executable, ROOT / "tools" / "gpu_results.py", "--page", tmp_path / "raw.json", "--out", tmp_path / "page"], check=True, capture_output=True)
    page = (tmp_path / "page.md").read_text()
    lost = [line for line in page.split("###")[1].splitlines() if line.startswith("- ") and "not measured" not in line]
    assert [line.split(":")[0] for line in lost] == ["- Tanh  1024 f32, % of a copy", "- lenet5, swish, batch 1, ms", "- ResNet-50 fp16, batch 32, odd over ReLU, Opgraft"]
    assert "not measured: `one that failed`" in page and "| best PyTorch over Opgraft, Swish | 10 |" in page
    assert "| best PyTorch over Opgraft, relu |  | 1.5 |  |" in page and "| conv1 | Conv | igemm | 20.0 | 10.0 | arithmetic | 50% |" in page
