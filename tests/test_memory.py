"""What a large network costs in memory, and the library on disk."""
import shutil
import subprocess
import sys

import pytest

from conftest import BUILD, OPGRAFT, ok, ok_json, refused

plain = pytest.mark.skipif(BUILD.name != "build", reason="sanitizers need memory of their own")


# A process begins with the peak of the one it was forked from: a small one in between.
PEAK = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""


def peak_bytes(*args):
    """Peak resident memory of the command."""
    done = subprocess.run([sys.executable, "-c", PEAK, OPGRAFT, *map(str, args)], check=True, capture_output=True, text=True)
    return int(done.stdout) * 1024


@pytest.fixture(scope="module")
def plan(tmp_path_factory, resnet50):
    path = tmp_path_factory.mktemp("memory") / "resnet50.plan"
    ok("build", resnet50("relu"), "-o", path, "-q", "--no-timing", "--threads", "1")
    return path


@plain
def test_resident_memory_is_what_was_planned(plan, resnet50):
    """Weights and activations, and 10%: weights lie in memory once, in the form in which they are used."""
    facts = ok_json("info", plan)
    bound = 1.1 * (facts["weight_bytes"] + facts["activation_bytes"])
    assert peak_bytes("run", plan, "-q") <= bound
    assert peak_bytes("run", resnet50("relu"), "-q", "--no-timing", "--threads", "1") <= bound
    assert peak_bytes("build", resnet50("relu"), "-q", "--no-timing-cache", "--threads", "1", "-o", plan.with_suffix(".timed")) <= 1.2 * bound


@plain
def test_weights_fit_the_size_that_was_given(tmp_path, resnet50):
    """Sizes between the least, which is about that of the raw weights, and the fastest; and in a process of its own."""
    network, took = resnet50("relu"), []
    raw = 4 * ok_json("info", network)["parameters"]
    for size in (1.2 * raw, 1.6 * raw, 3 * raw):
        ok("build", network, "-o", tmp_path / "net.plan", "-q", "--no-timing", "--threads", "1", "--memory", int(size))
        facts = ok_json("info", tmp_path / "net.plan")
        took.append(sum(facts[part] for part in ("weight_bytes", "activation_bytes", "workspace_bytes")))
        assert took[-1] <= size and peak_bytes("run", tmp_path / "net.plan", "-q") <= 1.1 * size
    assert took == sorted(took) and took[0] < took[-1]
    assert "allow more" in refused(4, "build", network, "-o", tmp_path / "net.plan", "--no-timing", "--memory", raw)


@plain
def test_few_bytes_are_spent_on_time(tmp_path, resnet50):
    """However noisy the times are: 67 MB of weights have to bring a millisecond, so that ResNet-50 takes less than ncnn's 249 MiB."""
    report = ok_json("build", resnet50("relu"), "--tactics", "--no-timing-cache", "--threads", "1")
    chosen = [(way["bytes"], step) for step in report["steps"] for way in step["tactics"] if way["tactic"] == step["tactic"]]
    least = sum(min(way["bytes"] for way in step["tactics"] if way["bytes"]) for bytes_, step in chosen if bytes_)
    assert report["byte_ns"] == 0.015 and least <= sum(bytes_ for bytes_, _ in chosen) <= 2.3 * least


@plain
def test_the_library_is_small(tmp_path):
    stripped = tmp_path / "libopgraft.so"
    shutil.copy(BUILD / "libopgraft.so", stripped)
    subprocess.run(["strip", stripped], check=True)
    assert stripped.stat().st_size < 2 << 20
