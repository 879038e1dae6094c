"""opgraft op bench: the forms that it compares, what it claims, what it leaves behind and what it refuses."""
import json
import os
import re
import sys

import onnx
import pytest
from onnx import version_converter

from conftest import MODELS, ROOT, ok, ok_json, refused, run

ENVIRONMENT = {**os.environ, "OPGRAFT_ONNXRUNTIME": sys.prefix}
QUICK = ["--batch", "16", "--threads", "1", "--runs", "15", "--seconds", "5"]

# The body says Mish, so that networks are searched for it; the formula is another.
WRONG = (ROOT / "examples" / "ops" / "mish.c").read_text().replace("e + 2.0f", "e + 1.0f")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """libmish.so, libswish.so and libwrong.so, and LeNet-5 with Mish of primitives, with the library's op, and of opset 18."""
    folder = tmp_path_factory.mktemp("verdict")
    (folder / "wrong.c").write_text(WRONG)
    for name, source in (("mish", ROOT / "examples/ops/mish.c"), ("swish", ROOT / "examples/ops/swish_beta.c"), ("wrong", folder / "wrong.c")):
        ok("op", "build", source, "-o", folder / f"lib{name}.so", "--no-cuda", "-q")
    library = ["--ops", folder / "libmish.so", "-q"]
    ok("graft", MODELS / "lenet5_relu.onnx", "-o", folder / "grafted.onnx", "--map", "Relu=MishActivation", *library)
    ok("ungraft", folder / "grafted.onnx", "-o", folder / "plain.onnx", *library)
    onnx.save(version_converter.convert_version(onnx.load(folder / "plain.onnx"), 18), folder / "plain18.onnx")
    return folder


def bench(status, *args, env=ENVIRONMENT):
    done = run("op", "bench", *args, *QUICK, env=env)
    assert done.status == status, done.out + done.err
    return done


def judged(status, *args, env=ENVIRONMENT):
    return json.loads(bench(status, *args, "--json", env=env).out)


def judged_either(*args, env=ENVIRONMENT):
    """A verdict that may go either way here: the status has to agree with it."""
    done = run("op", "bench", *args, *QUICK, "--json", env=env)
    result = json.loads(done.out)
    assert done.status == (0 if result["keep"] else 1)
    return result


def forms(result):
    return {(r["runtime"], r["form"], r["fused"], r["library"]) for r in result["results"]}


OWN = {("Opgraft", form, fused, form == "grafted") for form in ("primitives", "grafted") for fused in (True, False)}
PEER = {("ONNX Runtime", "primitives", True, False), ("ONNX Runtime", "grafted", True, False), ("ONNX Runtime", "grafted", True, True)}


def claimed(verdict):
    """What may be said of these numbers: nothing below 5%, nothing within the spread."""
    if verdict["times_faster"] >= 1.05 and verdict["p10"] > 1:
        return "faster"
    return "slower" if verdict["times_faster"] <= 1 / 1.05 and verdict["p90"] < 1 else "none"


@pytest.mark.parametrize("model", ["plain.onnx", "grafted.onnx"])
def test_a_verdict_on_every_runtime(room, tmp_path, model):
    before = (room / model).read_bytes()
    result = judged(0, room / "libmish.so", room / model, env={**ENVIRONMENT, "TMPDIR": str(tmp_path)})
    assert forms(result) == OWN | PEER and result["places"] == 4 and result["ops"] == "MishActivation"
    for r in result["results"]:
        assert 0 < r["p10_ms"] <= r["median_ms"] <= r["p90_ms"] and r["difference"] < 1e-5
    verdicts = {v["runtime"]: v for v in result["verdicts"]}
    assert {name: v["claim"] for name, v in verdicts.items()} == {name: claimed(v) for name, v in verdicts.items()}
    # ONNX Runtime computes Softplus and Tanh in turn; the library one exponential: four times as fast on an idle machine
    assert verdicts["ONNX Runtime"]["claim"] == "faster" and result["keep"]
    assert re.match(r"keep it.* ONNX Runtime:? \d+(\.\d+)? times faster", result["verdict"])
    assert [r["runtime"] for r in result["not_run"]] == ["TensorRT"] and "GPU" in result["not_run"][0]["reason"]
    assert (room / model).read_bytes() == before and list(tmp_path.glob("opgraft*")) == []


def test_what_onnx_has_itself_is_a_form_too(room):
    result = judged(0, room / "libmish.so", room / "plain18.onnx")
    built_in = [r for r in result["results"] if r["form"] == "built in"]
    assert {r["runtime"] for r in built_in} == {"Opgraft", "ONNX Runtime"} and {r["op"] for r in built_in} == {"Mish"}


def test_what_opgraft_has_itself_is_compared_in_opgraft(room):
    result = judged_either(room / "libswish.so", MODELS / "lenet5_swish4.onnx")
    built_in = [r for r in result["results"] if r["form"] == "built in"]
    assert [(r["runtime"], r["op"]) for r in built_in] == [("Opgraft", "Swish")]
    for v in result["verdicts"]:
        assert v["claim"] == claimed(v)
    assert result["keep"] == any(v["claim"] == "faster" for v in result["verdicts"])


def test_a_node_that_is_there_has_no_other_form(tmp_path):
    """A Relu of somebody's own in a network of Relu nodes: an Elu without its alpha is one too, but nobody asked."""
    (tmp_path / "r.c").write_text('#include "opgraft/op.h"\nEXPR v r(v x) { return v_sel(x < 0.0f, v_splat(0.0f), x); }\nMAP(r, 1, 0)\n'
                                  'OP(r, .name = "MyRelu", .domain = "t", .since = 1, .inputs = "x:T", .outputs = "y:T", .types = "T=f32", '
                                  'MAPS(r), .body = "Max(x, 0)")\n')
    ok("op", "build", tmp_path / "r.c", "-o", tmp_path / "r.so", "--no-cuda", "-q")
    result = judged_either(tmp_path / "r.so", MODELS / "lenet5_relu.onnx")
    assert result["places"] == 4 and "built in" not in {r["form"] for r in result["results"]}


def test_the_model_stays(room, tmp_path):
    """A model that needed no file of its own is not removed with the files that were made."""
    (tmp_path / "net.onnx").write_bytes((room / "plain.onnx").read_bytes())
    judged_either(room / "libmish.so", tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == (room / "plain.onnx").read_bytes()


def test_other_answers_are_left_out(room, tmp_path):
    result = judged(1, room / "libwrong.so", room / "grafted.onnx")
    assert not result["keep"] and re.match(r"leave it out: its answers differ, by 0\.\d+ of the largest", result["verdict"])


def test_without_onnxruntime(room, tmp_path):
    result = judged_either(room / "libmish.so", room / "plain.onnx", env={**os.environ, "OPGRAFT_ONNXRUNTIME": str(tmp_path)})
    assert forms(result) == OWN and [v["runtime"] for v in result["verdicts"]] == ["Opgraft"]
    assert [r["runtime"] for r in result["not_run"]] == ["ONNX Runtime", "TensorRT"] and "pip install" in result["not_run"][0]["reason"]


def test_the_table_fits_a_terminal(room, tmp_path):
    done = bench(0, room / "libmish.so", room / "plain18.onnx", "--report", tmp_path / "verdict.html")
    assert done.err == "" and max(map(len, done.out.splitlines())) <= 80
    for text in ("primitives, node by node", "Mish, built in", "grafted, with the library", "TensorRT", "keep it"):
        assert text in done.out
    page = (tmp_path / "verdict.html").read_text()
    assert "keep it" in page and "<svg" in page and "MishActivation" in page
    quiet = bench(0, room / "libmish.so", room / "plain.onnx", "-q").out
    assert quiet.startswith("keep it") and len(quiet.splitlines()) <= 3


def test_its_help_teaches_in_80_columns():
    told = ok("op", "bench", "--help")
    assert "Examples:" in told and max(map(len, told.splitlines())) <= 80


def test_what_is_refused(room, tmp_path):
    library, model = room / "libmish.so", room / "plain.onnx"
    assert "no place computes SwishBeta" in refused(1, "op", "bench", room / "libswish.so", model, *QUICK)
    assert "the library comes first" in refused(2, "op", "bench", model, library)
    assert "a model file is needed" in refused(2, "op", "bench", library)
    assert "'Absent' is not known" in refused(2, "op", "bench", library, model, "--op", "Absent")
    assert "no library that loads here" in refused(3, "op", "bench", model, model)
    assert "net.onnx" in refused(5, "op", "bench", library, tmp_path / "net.onnx")
    ok("build", model, "-o", tmp_path / "net.plan", "-q")
    assert "is a plan" in refused(2, "op", "bench", library, tmp_path / "net.plan")
    done = run("op", "bench", library, model, *QUICK, env={**ENVIRONMENT, "TMPDIR": str(tmp_path / "absent")})
    assert done.status == 5 and "TMPDIR" in done.err and len(done.err.splitlines()) == 1
