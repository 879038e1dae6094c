"""Tactics: what is timed is kept, and the next build is the same to the byte; without timing builds are always the same."""
import os
import stat

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from conftest import infer, ok, ok_json, refused, relative_error, run

SHAPE = (1, 32, 20, 20)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Three convolutions, two of them alike but for their weights."""
    rng = np.random.default_rng(1)
    weights = [numpy_helper.from_array(rng.standard_normal((32, 32, 3, 3)).astype(np.float32) / 17, f"w{k}") for k in range(3)]
    nodes = [helper.make_node("Conv", [f"x{k}", f"w{k}"], [f"c{k}"], f"conv{k}", pads=[1 + k // 2] * 4, dilations=[1 + k // 2] * 2)
             for k in range(3)]
    relus = [helper.make_node("Relu", [f"c{k}"], [f"x{k + 1}"], f"relu{k}") for k in range(3)]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x0", "x3")]
    graph = helper.make_graph([n for pair in zip(nodes, relus) for n in pair], "three", value[:1], value[1:], weights)
    path = tmp_path_factory.mktemp("tactics") / "three.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_the_second_build_is_the_same(tmp_path, model):
    cache = tmp_path / "times"
    for name in "ab":
        ok("build", model, "-o", tmp_path / name, "--timing-cache", cache, "-q")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    if cache.exists():                            # only one tactic at lower levels: nothing to time
        kept = cache.read_bytes()
        ok("build", model, "-o", tmp_path / "c", "--timing-cache", cache, "-q")
        assert cache.read_bytes() == kept


def test_without_timing_builds_are_the_same_and_keep_nothing(tmp_path, model):
    for name in "ab":
        ok("build", model, "-o", tmp_path / name, "--no-timing", "--timing-cache", tmp_path / "times", "-q")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert not (tmp_path / "times").exists()
    steps = ok_json("build", model, "--no-timing", "--tactics")["steps"]
    assert all(way["ms"] is None for step in steps for way in step["tactics"])


@pytest.mark.parametrize("memory, byte_ns", (("auto", 0), ("fast", 0), ("small", 1)))
def test_tactics_are_told(model, memory, byte_ns):
    report = ok_json("build", model, "--tactics", "--no-timing-cache", "--memory", memory)
    assert report["byte_ns"] == byte_ns and {"conv0", "conv1", "conv2"} <= {step["name"] for step in report["steps"]}
    for step in report["steps"]:
        assert step["tactic"] in [way["tactic"] for way in step["tactics"]] or step["op"] == "reorder"
        timed = {way["tactic"]: way["ms"] + way["reorders_ms"] + 1e-6 * byte_ns * way["bytes"] for way in step["tactics"] if way["ms"] is not None}
        if timed:                                 # the one that costs least was taken; numbers are rounded
            assert timed[step["tactic"]] <= 1.0001 * min(timed.values()) and len(timed) > 1
    text = ok("build", model, "--tactics", "--no-timing-cache", "--memory", memory)
    assert all(len(line) <= 80 for line in text.splitlines()) and f"{byte_ns} ns a byte" in text


def test_all_tactics_compute_the_same(tmp_path, model):
    x = np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)
    ok("build", model, "-o", tmp_path / "timed", "--no-timing-cache", "-q")
    ok("build", model, "-o", tmp_path / "guessed", "--no-timing", "-q")
    a, b = (infer(tmp_path, tmp_path / name, {"x0": x}, "x3") for name in ("timed", "guessed"))
    assert relative_error(a, b) < 2e-5


def test_what_memory_may_say(tmp_path, model):
    assert "memory 'tiny' is not known" in refused(2, "build", model, "-o", tmp_path / "plan", "--memory", "tiny")
    for word in ("", "0", "12X", "12Mi", "99999999999999999999", "99999999999G"):
        assert "150M" in refused(2, "build", model, "-o", tmp_path / "plan", f"--memory={word}")
    assert "allow more" in refused(4, "build", model, "-o", tmp_path / "plan", "--memory", "1K")
    for size in ("1G", "1024M", str(1 << 30)):                # room for all: as fast as can be
        ok("build", model, "-o", tmp_path / size, "-q", "--no-timing", "--memory", size)
    ok("build", model, "-o", tmp_path / "fast", "-q", "--no-timing", "--memory", "fast")
    assert {(tmp_path / name).read_bytes() for name in ("1G", "1024M", str(1 << 30))} == {(tmp_path / "fast").read_bytes()}


def test_a_run_does_not_time(tmp_path, model):
    ok("run", model, "--timing-cache", tmp_path / "times", "-q")
    assert not (tmp_path / "times").exists()


def test_a_cache_that_cannot_be_used(tmp_path, model):
    """The user's own is done without; one that was named is a fault when there is something to write."""
    folder = tmp_path / "folder"
    folder.mkdir()
    own = {**os.environ, "XDG_CACHE_HOME": "/dev/null"}
    assert run("build", model, "-o", tmp_path / "plan", "-q", env=own).status == 0
    assert str(folder) in refused(3, "build", model, "-o", tmp_path / "plan", "--timing-cache", folder)


def test_the_user_s_own_cache(tmp_path, model):
    own = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert run("build", model, "-o", tmp_path / "plan", "-q", env=own).status == 0
    path = tmp_path / "cache" / "opgraft" / "timing"
    if path.exists():
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_profile_fits_a_terminal(model):
    text = ok("profile", model, "--runs", "3")
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "peak" in text.splitlines()[0] and any(line.startswith("all ") for line in text.splitlines())
    told = ok_json("profile", model, "--runs", "3")
    assert told["peak_gflops"] > 1 and all(step["ms"] > 0 for step in told["steps"])
