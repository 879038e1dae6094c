"""The benchmark measures what it says: wrong answers are told and not timed, equals are equal, and every case is on the page.

Of the other runtimes the environment of the tests has ONNX Runtime; how fast anything is, is not tested."""
import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import time
import types

import onnx
import pytest

import bench_models
import bench_report
import bench_run
import bench_runtimes
from conftest import BUILD, MODELS, ROOT, ok, run

LIBRARY = BUILD / "libopgraft.so"


@pytest.fixture(scope="module", autouse=True)
def calls():
    if subprocess.run([sys.executable, "-c", f"import ctypes; ctypes.CDLL({str(LIBRARY)!r})"], capture_output=True).returncode:
        pytest.skip(f"{LIBRARY} does not load into Python (a sanitizer's)")
    subprocess.run(["make", "-s", f"B={BUILD}", f"{BUILD}/bench/calls.so", f"{BUILD}/bench/kernels"], cwd=ROOT, check=True)


@pytest.fixture
def told():
    return []


@pytest.fixture
def given(tmp_path):
    return bench_run.arguments(["--build", str(BUILD), "--work", str(tmp_path), "--out", str(tmp_path / "results.json"), "--quick", "--only", "lenet5",
                                "--batch", "1", "--threads", "1", "--seconds", "0.01", "--runtimes", "opgraft,onnxruntime"])


def teller(told):
    return lambda text, keep=False: told.append(text) if keep else None


GROUP = bench_run.Group("lenet5", ("relu",), 1, 1, seconds=0.01)


def test_a_run_from_files_to_page(given, told, tmp_path):
    data = bench_run.measure(given, teller(told))
    assert json.loads(given.out.read_text()) == data and told == []
    assert data["schema"] == 1 and data["machine"]["processors"] >= 1 and data["versions"]["opgraft"]
    cases = {(r["form"], r["runtime"], r["interface"]) for r in data["results"]}
    assert cases == {(form, *which) for form in ("relu", "swish2") for which in (("opgraft", "c"), ("onnxruntime", "c"), ("onnxruntime", "python"))}
    for r in data["results"]:
        assert (r["family"], r["level"], r["batch"], r["threads"], r["status"]) == ("lenet5", "", 1, 1, "ok")
        assert 0 < r["p10_ms"] <= r["median_ms"] <= r["p90_ms"] and r["rounds"] >= bench_run.FEWEST_ROUNDS and r["error"] < 1e-5

    page = tmp_path / "results.md"
    page.write_text("# Results\nBefore.\n")
    bench_report.put(bench_report.page(data), page)
    once = page.read_text()
    bench_report.put(bench_report.page(data), page)
    assert page.read_text() == once and once.startswith("# Results\nBefore.\n")
    assert "| Opgraft, C |" in once and "| ONNX Runtime, Python |" in once and "Every runtime gave the right answer" in once
    assert all(len(line) < 160 for line in once.splitlines() if not line.startswith("|"))


def test_a_part_anew_keeps_the_rest(given, told):
    first = bench_run.measure(given, teller(told))
    other = dataclasses.asdict(bench_run.Group("resnet50", ("relu",), 1, 1))
    first["results"].append({**first["results"][0], "family": other["family"], "median_ms": 123.0})
    given.out.write_text(bench_run.dump(first))
    again = bench_run.measure(given, teller(told))
    assert [r["median_ms"] for r in again["results"] if r["family"] == "resnet50"] == [123.0]
    assert len(again["results"]) == len(first["results"])
    given.resume = True
    assert bench_run.measure(given, teller(told))["results"] != [] and len(told) == 0
    before = given.out.read_text()
    assert json.loads(before)["results"] == bench_run.measure(given, teller(told))["results"], "what was measured is not measured again"


class Changed(bench_run.Bench):
    """One runtime is given another file than the rest."""
    runtime, path = "", ""

    def open(self, case, workers, log):
        if case.runtime == self.runtime:
            case.net = dataclasses.replace(case.net, onnx=str(self.path))
        super().open(case, workers, log)


@pytest.mark.parametrize("runtime", ["opgraft", "onnxruntime"])
def test_a_wrong_answer_is_told_and_not_timed(given, told, tmp_path, runtime):
    """Whoever is wrong: if it is the reference, the others are told to differ from it."""
    model = onnx.load(MODELS / "lenet5_relu.onnx")
    weights = onnx.numpy_helper.to_array(model.graph.initializer[-1])
    model.graph.initializer[-1].CopyFrom(onnx.numpy_helper.from_array(weights + 0.1, model.graph.initializer[-1].name))
    bench = Changed(given, teller(told))
    bench.runtime, bench.path = runtime, tmp_path / "wrong.onnx"
    onnx.save(model, bench.path)
    results = {r["runtime"]: r for r in bench.group(GROUP)}
    assert results["opgraft"]["status"] == "wrong" and results["opgraft"]["error"] > 1e-3 and "median_ms" not in results["opgraft"]
    assert len(told) == 1 and "wrong on relu: its answer differs by" in told[0]
    row = {**results["opgraft"]}
    page = bench_report.page({"command": "", "date": "", "machine": bench_run.machine(), "versions": {}, "limits": {}, "results": [row], "layers": [], "start": {}})
    assert "| wrong | its answer differs by" in page and "| Opgraft, C | **wrong** |" in page


def test_a_file_that_is_refused_is_told(given, told, tmp_path):
    bench = Changed(given, teller(told))
    bench.runtime, bench.path = "opgraft", tmp_path / "nothing.onnx"
    results = {r["runtime"]: r for r in bench.group(GROUP)}
    assert results["opgraft"]["status"] == "failed" and "nothing.onnx" in results["opgraft"]["why"]
    assert results["onnxruntime"]["status"] == "ok"


class Twice(bench_run.Bench):
    """Opgraft against itself."""

    def cases(self, group):
        for k in range(2):
            case = bench_run.Case(group, self.network("lenet5", "relu"), "opgraft", "c")
            case.key += str(k)
            yield case


def test_the_same_twice_is_equal(given, told):
    given.seconds = 1.0
    one, two = Twice(given, teller(told)).group(bench_run.Group("lenet5", ("relu",), 64, 1))
    assert one["rounds"] == two["rounds"] >= bench_run.FEWEST_ROUNDS
    assert one["p10_ms"] <= two["p90_ms"] and two["p10_ms"] <= one["p90_ms"], "a ratio of 1 lies within the spread"


def test_without_peers(given, told, monkeypatch):
    monkeypatch.setattr(bench_runtimes, "installed", lambda runtime: None)
    data = bench_run.measure(given, teller(told))
    assert len(told) == 1 and told[0].startswith("no peers are installed here") and "pip install" in told[0]
    assert {r["runtime"] for r in data["results"]} == {"opgraft"} and {r["status"] for r in data["results"]} == {"ok"}
    assert "| Opgraft, C |" in bench_report.page(data)


def test_a_process_that_ends_is_told(given, tmp_path):
    with open(tmp_path / "log", "w") as log:
        worker = bench_run.Worker("opgraft", "c", 1, tmp_path / "nothing", log, {})
        with pytest.raises(bench_run.Broken, match="calls.so"):
            worker.ask("open", key="a", net={}, batch=1)
        worker.process.kill()
        with pytest.raises(bench_run.Broken, match="its process ended with status"):
            worker.ask("open", key="a", net={}, batch=1)
        worker.end()


def test_a_process_stands_still_while_nothing_is_asked(tmp_path):
    """Threads that spin on after an inference take no processor from whoever is timed next."""
    with open(tmp_path / "log", "w") as log:
        worker = bench_run.Worker("opgraft", "c", 1, BUILD, log, {})
        for _ in range(2):
            assert worker.ask("close", key="a") == {}
            state = pathlib.Path(f"/proc/{worker.process.pid}/stat")
            end = time.monotonic() + 10
            while state.read_text().rsplit(")", 1)[1].split()[0] != "T":
                assert time.monotonic() < end, "it is not stopped"
        worker.end()
        assert worker.process.returncode == 0


def test_no_process_stays_behind(tmp_path):
    """One that stands still cannot see that whoever asks has been killed."""
    script = ("import os, pathlib, signal, sys; import bench_run; w = bench_run.Worker('opgraft', 'c', 1, pathlib.Path(sys.argv[1]), sys.stderr, {}); "
              "w.ask('close', key='a'); print(w.process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)")
    done = subprocess.run([sys.executable, "-c", script, BUILD], cwd=ROOT / "tools", capture_output=True, text=True)
    state, end = pathlib.Path(f"/proc/{int(done.stdout)}/stat"), time.monotonic() + 10
    while state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < end, "it is still there"


def test_the_fastest_way_of_each_kernel(given, tmp_path):
    given.build = tmp_path
    program = tmp_path / "bench" / "kernels"
    program.parent.mkdir()
    program.write_text("""#!/bin/sh
echo 'avx512, 1 thread(s), peak of a core 100.0 GFLOP/s'
echo 'kernel way ms guess GFLOP/s peak reorders residual'
echo 'a.conv conv.packed plain>plain 0.5 0.1 80.0 80.0% 0.0 0.2'
echo 'a.conv conv.winograd channels>channels 0.25 0.1 160.0 160.0% 0.1 0.3'
echo 'a.pool kernel plain>plain 0.125 0.1 - - 0.0 0.0'
""")
    program.chmod(0o755)
    rows = bench_run.kernels(types.SimpleNamespace(given=given))
    assert [(r["kernel"], r["tactic"], r["ms"], r.get("gflops")) for r in rows] == [("a.conv", "conv.winograd", 0.25, 160), ("a.pool", "kernel", 0.125, None)]
    page = bench_report.page({"command": "", "date": "", "machine": bench_run.machine(), "versions": {}, "limits": {}, "results": [], "layers": [], "start": {},
                              "kernels": rows})
    assert "| a.conv | conv.winograd | channels to channels | 0.25 | 160 | 160% | 0.3 |" in page and "| a.pool | kernel |" in page
    assert "## Matrix products" not in page, "nothing was measured"


def test_the_odd_activation_in_both_forms(given, told):
    """As 7 nodes and as one of an op library, in Opgraft and in ONNX Runtime: the same answers, or they would be wrong."""
    results = bench_run.Bench(given, teller(told)).group(dataclasses.replace(GROUP, forms=("odd", "odd_op", "swish_op")))
    assert len(results) == 6 and {r["status"] for r in results} == {"ok"}, told
    nodes = onnx.load(bench_models.Maker(given.work / "models", BUILD / "opgraft", print).onnx_file("lenet5", "odd")).graph.node
    assert sum(node.op_type == "Softplus" for node in nodes) == 4 and not any(node.op_type == "Relu" for node in nodes)


def test_quantiles():
    assert bench_run.quantile([1, 2, 3, 4, 5], 0.5) == 3 and bench_run.quantile([1, 2], 0.1) == pytest.approx(1.1) and bench_run.quantile([7], 0.9) == 7


def test_every_group_has_a_name_of_its_own():
    for quick in (False, True):
        names = [group.name for group in bench_run.plan(quick)]
        assert len(set(names)) == len(names) and "lenet5, batch 1, 1 thread" in names


def test_the_page_of_the_command(tmp_path):
    """One self-contained page: bars, time by batch, steps of every network; nothing is told on the way when piped."""
    path = tmp_path / "page.html"
    done = run("bench", *[MODELS / f"lenet5_{form}.onnx" for form in ("relu", "swish4")], "--batch", "1,4", "--threads", "1", "--seconds", "0",
               "--report", path)
    page = path.read_text()
    assert (done.status, done.err) == (0, "") and len(done.out.splitlines()) == 5
    assert "<h2>Time by batch</h2>" in page and page.count("<h2>Where the time goes: ") == 4
    assert "Conv + Swish" in page and "lenet5_relu.onnx, opgraft, batch 4:" in page and page.rstrip().endswith("</html>")
    assert not re.search(r"<script|https?://|nan|inf\b", page), "nothing is fetched, nothing is not a number"
    one = tmp_path / "one.html"
    ok("bench", MODELS / "lenet5_relu.onnx", "--batch", "2", "--threads", "1", "--seconds", "0", "--no-fuse", "--report", one)
    assert "Time by batch" not in one.read_text() and "node by node" in one.read_text()
