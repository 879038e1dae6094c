"""The unit programs, commands and a spread of node tests under AddressSanitizer and UndefinedBehaviorSanitizer, and
what has threads under ThreadSanitizer. Any report fails. Objects stay in build/asan and build/tsan, so that a second
run is quick. Debug checks are on in these builds: the graph verifier runs between passes."""
import os
import subprocess

import pytest

import conformance
from conftest import BUILD, LENET5, ROOT

pytestmark = pytest.mark.skipif(BUILD != ROOT / "build", reason="another build is being tested")

UNITS = sorted(path.stem for path in (ROOT / "tests" / "unit").glob("test_*.c"))
THREADED = ["test_thread", "test_plan", "test_cpu", "test_serve"]
EVERY = 5                    # one node test of so many
ENVIRONMENT = {**os.environ, "OPGRAFT_SAMPLE": "16",
               "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=86:allocator_may_return_null=1",
               "UBSAN_OPTIONS": "print_stacktrace=1", "TSAN_OPTIONS": "exitcode=86"}


def make(name, sanitize, units):
    """build/NAME with the command and unit programs."""
    build = ROOT / "build" / name
    programs = ["opgraft", *(f"tests/unit/{unit}" for unit in units)]
    done = subprocess.run(["make", "-j2", f"B=build/{name}", f"SANITIZE={sanitize}", "CC=gcc",
                           *(f"build/{name}/{program}" for program in programs)],
                          cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return build


def clean(args, statuses=(0,)):
    """Runs a program that has to end with one of the statuses and without a report."""
    done = subprocess.run(args, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)
    reported = "Sanitizer" in done.stdout or "runtime error" in done.stdout
    assert not reported and done.returncode in statuses, f"exit status {done.returncode}\n{done.stdout[-8000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def asan():
    return make("asan", "address,undefined", UNITS)


@pytest.fixture(scope="module")
def tsan():
    return make("tsan", "thread", THREADED)


# ---- addresses and undefined behaviour -----------------------------------------------------------

@pytest.mark.parametrize("name", UNITS)
def test_unit_is_clean(asan, name):
    clean([asan / "tests" / "unit" / name])


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512"])
def test_networks_run_clean_at_every_level(asan, isa, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "OPGRAFT_ISA", isa)
    for model in LENET5:
        clean([asan / "opgraft", "check", model, "--batch", "3", "--threads", "2"])


def test_commands_are_clean(asan, tmp_path):
    relu, swish4, swish2 = LENET5
    plan, out = tmp_path / "net.plan", tmp_path / "out.onnx"
    for args in [
            ["--help"], ["info", swish4], ["info", swish4, "--json"], ["op", "list", "--json"],
            ["graft", relu, "-o", out, "--map", "Relu=Swish,beta=1.5"], ["check", out, "--no-fuse"],
            ["graft", swish4, "-o", out, "--op", "Swish"], ["info", out], ["check", out],
            ["graft", swish2, "--dry-run", "--json", "--rule", "Mul(x, Sigmoid(x)) -> Swish(x)"],
            ["find", swish2], ["find", swish4, "--op", "Swish", "--json"], ["ungraft", out, "-o", tmp_path / "plain.onnx"],
            ["extract", relu, "-o", tmp_path / "head.onnx", "--input", "pool2", "--output", "logits"],
            ["op", "new", "Wave", "-o", tmp_path / "wave.c"],
            ["build", swish4, "-o", plan, "--batch", "2"], ["build", swish2, "--dump"], ["info", plan, "--json"],
            ["run", plan, "--output", f"logits={tmp_path}/logits.npy"], ["profile", plan, "--runs", "3"],
            ["bench", swish4, plan, "--runs", "10", "--seconds", "1", "--json"]]:
        clean([asan / "opgraft", *args])
    clean([asan / "opgraft", "diff", swish4, relu, "--html", tmp_path / "diff.html"], [1])
    edits = subprocess.run([asan / "opgraft", "graft", swish4, "--op", "Swish", "--dry-run", "--json"], capture_output=True, check=True)
    (tmp_path / "edits.json").write_bytes(edits.stdout)
    clean([asan / "opgraft", "graft", swish4, "-o", out, "--plan", tmp_path / "edits.json"])


def test_doctor_is_clean(asan, monkeypatch):
    """But for what the vendors' libraries that it looks at leave behind."""
    monkeypatch.setitem(ENVIRONMENT, "ASAN_OPTIONS", ENVIRONMENT["ASAN_OPTIONS"].replace("detect_leaks=1", "detect_leaks=0"))
    clean([asan / "opgraft", "doctor"])


def test_refusals_are_clean(asan, tmp_path):
    whole = LENET5[1].read_bytes()
    short, plan = tmp_path / "short.onnx", tmp_path / "bad.plan"
    short.write_bytes(whole[:len(whole) // 2])
    plan.write_bytes(b"OGPLAN\r\n" + bytes(1000))
    clean([asan / "opgraft", "info", short], [3])
    clean([asan / "opgraft", "run", plan], [3])
    clean([asan / "opgraft", "run", tmp_path / "none.onnx"], [5])
    clean([asan / "opgraft", "graft", LENET5[0], "--dry-run", "--rule", "Mul(x, Sigmoid(x -> Swish"], [2])
    clean([asan / "opgraft", "graft", LENET5[0], "--dry-run", "--op", "Mish"], [1])


def test_node_tests_are_clean(asan, monkeypatch):
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        monkeypatch.setenv(name, ENVIRONMENT[name])
    folders = sorted(path.parent for path in conformance.NODE_TESTS.glob("*/model.onnx"))[::EVERY]
    cases = [conformance.run_case(asan / "opgraft", folder) for folder in folders]
    assert {case.name: case.message for case in cases if case.outcome in (conformance.FAIL, conformance.BROKEN)} == {}
    assert sum(case.outcome == conformance.PASS for case in cases) > len(cases) // 2


# ---- threads -------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", THREADED)
def test_threads_do_not_race(tsan, name):
    clean([tsan / "tests" / "unit" / name])


def test_a_run_with_threads_does_not_race(tsan):
    clean([tsan / "opgraft", "check", LENET5[1], "--batch", "64", "--threads", "4"])
