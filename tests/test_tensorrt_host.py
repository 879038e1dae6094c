"""`opgraft op test --tensorrt`: our own host of TensorRT plugins. Plugins with one fault each (tests/plugins/faulty.c) are caught by the
check that is for it, with a sentence that names it; plugins without fault pass, ours and one in C++. What runs kernels does so here on
tests/plugins/fake_cuda.c, a driver whose device is this process."""
import json
import os
import subprocess

import pytest

from conftest import OPGRAFT, ROOT, ok, refused

PLUGINS = ROOT / "tests" / "plugins"
NO_GPU = ["creator", "create", "capabilities", "types", "shapes", "formats", "configure", "fields", "clones"]
ON_GPU = ["attach", "run", "reload", "capture", "streams"]

# plugin: (check, what it says)
FAULTS = {
    "NullName": ("creator", "getPluginNamespace of the creator is NULL"),
    "FieldTwice": ("creator", "field 'bias' twice"),
    "RefusesToRun": ("fields", "refuses the fields that getFieldsToSerialize gave"),
    "NoRuntime": ("capabilities", "no runtime capability"),
    "OtherVersion": ("capabilities", "getPluginVersion is '2' of the plugin and '1' of its creator"),
    "ZeroOutputs": ("types", "getNbOutputs says 0"),
    "TypesOfOne": ("types", "getNbOutputs says 2, but getOutputDataTypes sets no type for output 1"),
    "ShapeOfOne": ("types", "getNbOutputs says 2, but getOutputShapes sets no shape for output 1"),
    "DividesInShape": ("shapes", "getOutputShapes, inputs of 0x6x5x7: it divides an integer by 0"),
    "DividesByNothing": ("shapes", "for inputs of 1x6x5x7 dimension 0 of output 0 divides by 0"),
    "NegativeSize": ("shapes", "for inputs of 0x6x5x7 dimension 0 of output 0 is -2"),
    "KnownSizesDiffer": ("shapes", "dimension 0 of output 0 is -2147483640"),
    "Chance": ("formats", "now with yes and now with no"),
    "LooksBehind": ("formats", "looks at types or formats of positions behind it"),
    "TakesNothing": ("formats", "takes no type and format at all"),
    "RefusesToConfigure": ("configure", "configurePlugin returns 7"),
    "Workspaces": ("configure", "getWorkspaceSize answers 0 and then 1"),
    "SameTactic": ("configure", "tactic 1 twice"),
    "TimingOfItself": ("configure", "getTimingCacheID"),
    "LosesField": ("fields", "with bias = 1 and with 2 getFieldsToSerialize gives the same"),
    "LosesValue": ("fields", "serialises others"),
    "SharedState": ("clones", "when its plugin has ended"),
    "SharedName": ("clones", "when its plugin has ended"),
    "CrashesInClone": ("clones", "clone, inputs of 2: it reads or writes at NULL"),
    "AttachesItself": ("attach", "attachToContext returns the plugin itself"),
    "RefusesShapes": ("attach", "onShapeChange returns 3"),
    "Unwritten": ("run", "element 210 of output 0 is never written"),
    "Behind": ("attach", "it writes byte 1680 of output 0, behind its end"),
    "Before": ("attach", "of output 0, in front of its beginning"),
    "WritesInput": ("attach", "it changes input 0"),
    "WorkspaceEnd": ("attach", "it writes byte 64 of the workspace, behind its end"),
    "Padding": ("run", "CHW4, tactic 0: element 0 of output 0 is"),
    "OldOutput": ("run", "by what outputs, workspace or the padding of inputs held before"),
    "Counts": ("run", "for the same inputs"),
    "OtherInPacked": ("run", "by the plugin itself in the first format"),
    "ForgetsBias": ("reload", "by the plugin made of what it serialised"),
    "Allocates": ("capture", "what a captured stream forbids"),
    "OldPointers": ("run", "held before"),
    "OnePlace": ("streams", "when other contexts run beside it"),
    "CrashesInEnqueue": ("attach", "enqueue"),
    "RefusesToEnqueue": ("attach", "enqueue returns 5"),
}


def compiled(out, source, *flags):
    compiler = ["c++", "-std=c++17"] if source.suffix == ".cpp" else ["cc", "-std=c11", "-D_GNU_SOURCE", "-fvisibility=hidden"]
    done = subprocess.run([*compiler, "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/src", f"-I{ROOT}/include",
                           *flags, "-o", out, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the driver in gpu/, so that LD_LIBRARY_PATH decides whether there is one."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "gpu").mkdir()
    compiled(folder / "gpu" / "libcuda.so.1", PLUGINS / "fake_cuda.c")
    compiled(folder / "faulty.so", PLUGINS / "faulty.c")
    for release in (10, 11):
        compiled(folder / f"behind{release}.so", PLUGINS / "behind.cpp", f"-DRELEASE={release}")
    ok("op", "build", *sorted((ROOT / "examples" / "ops").glob("*.c")), "--no-cuda", "-q", "-o", folder / "ops.so")
    return folder


def drive(library, *options, gpu=None):
    """({plugin: {check: (result, words)}}, exit status)"""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(gpu or "")}
    done = subprocess.run([OPGRAFT, "op", "test", "--tensorrt", library, "--json", *options], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300, env=environment)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    assert answer["passed"] == (done.returncode == 0)
    return {plugin["name"]: {check["check"]: (check["result"], check["words"]) for check in plugin["checks"]}
            for plugin in answer["plugins"]}, done.returncode


@pytest.fixture(scope="module")
def faulty(built):
    plugins, status = drive(built / "faulty.so", gpu=built / "gpu")
    assert status == 1
    return plugins


def test_every_fault_is_there(faulty):
    assert set(faulty) == set(FAULTS) | {"Good"}


@pytest.mark.parametrize("plugin", FAULTS)
def test_a_fault_is_caught(faulty, plugin):
    check, words = FAULTS[plugin]
    result, told = faulty[plugin][check]
    assert result == "FAILED" and words in told


def test_checks_before_the_fault_pass(faulty):
    """A fault is told where it is, not where it is not."""
    checks = NO_GPU + ON_GPU
    for plugin, (first, _) in FAULTS.items():
        if plugin in ("SharedState", "CrashesInClone"):      # the checks before clones make some as well
            continue
        wrong = [check for check in checks[:checks.index(first)] if faulty[plugin][check][0] != "ok"]
        assert wrong == [], plugin


def test_a_good_plugin_passes(faulty):
    assert {check for check, (result, _) in faulty["Good"].items() if result != "ok"} == {"large"}


@pytest.mark.parametrize("release", [10, 11])
def test_a_plugin_in_cxx(built, release):
    """Its bases, its destructor, and the logger in both forms."""
    library = built / f"behind{release}.so"
    plugins, status = drive(library, gpu=built / "gpu")
    assert status == 0
    assert all(plugins["Behind"][check][0] == "ok" for check in NO_GPU + ON_GPU)
    plugins, status = drive(library, "--attr", "colour=red")
    assert status == 1 and plugins["Behind"]["create"] == ("FAILED", "createPlugin returns NULL for the fields given; it logs: layer was "
                                                           "given colour")
    plugins, status = drive(library, "--attr", "label=x", "--shape", "4x2,3x2", gpu=built / "gpu")
    assert status == 0 and plugins["Behind"]["run"][0] == "ok"
    plugins, status = drive(library, "--shape", "4x2")
    assert status == 1 and plugins["Behind"]["types"][1] == "getOutputDataTypes refuses every type for 1 inputs"


def test_our_own_library_without_a_gpu(built):
    plugins, status = drive(built / "ops.so")
    assert status == 0 and len(plugins) >= 8
    for checks in plugins.values():
        assert all(checks[check][0] == "ok" for check in NO_GPU)
        assert all(checks[check] == ("skipped", "there is no CUDA driver (libcuda.so.1) on this machine") for check in ON_GPU)
    formats = {name: checks["formats"][1] for name, checks in plugins.items()}
    assert "0 of them packed" not in formats["SwishBeta"]        # a formula that keeps 0
    assert "0 of them packed" in formats["RMSNorm"]


def test_a_reference(built):
    same = ["--op", "Good", "--reference", "Identity", "--attr", "bias=0"]
    plugins, status = drive(built / "faulty.so", *same, gpu=built / "gpu")
    assert status == 0 and "results like the CPU's" in plugins["Good"]["run"][1]
    plugins, status = drive(built / "faulty.so", *same[:-1], "bias=0.5", gpu=built / "gpu")
    assert status == 1 and plugins["Good"]["run"][1].endswith("by the CPU")


def test_the_report_fits_a_terminal(built):
    done = subprocess.run([OPGRAFT, "op", "test", "--tensorrt", built / "faulty.so", "--op", "NoRuntime"], capture_output=True, text=True)
    assert done.returncode == 1 and max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.splitlines()[-1] == "15 checks: 2 ok, 1 failed, 12 skipped"


def test_what_is_no_plugin_library(built, tmp_path):
    (tmp_path / "empty.c").write_text("int nothing;\n")
    none = compiled(tmp_path / "none.so", tmp_path / "empty.c")
    assert "exports no getCreators" in refused(3, "op", "test", "--tensorrt", none)
    assert "no library that loads here" in refused(3, "op", "test", "--tensorrt", ROOT / "README.md")
    assert "no such plugin library" in refused(5, "op", "test", "--tensorrt", tmp_path / "missing.so")
    (tmp_path / "crash.c").write_text("void *getCreators(int *n) { *n = 1; return *(void *volatile *)8; }\n")
    crash = compiled(tmp_path / "crash.so", tmp_path / "crash.c", "-fvisibility=default")
    assert "getCreators: it reads or writes at NULL" in refused(3, "op", "test", "--tensorrt", crash)


def test_wrong_options(built):
    library = built / "faulty.so"
    assert "--shape takes sizes" in refused(2, "op", "test", "--tensorrt", library, "--shape", "2,q")
    assert "--attr takes NAME=VALUE" in refused(2, "op", "test", "--tensorrt", library, "--attr", "=1")
    assert "no op called 'Nothing'" in refused(2, "op", "test", "--tensorrt", library, "--reference", "Nothing")
    assert "no plugin called 'Nothing'" in refused(2, "op", "test", "--tensorrt", library, "--op", "Nothing")
    assert "goes with --tensorrt" in refused(2, "op", "test", library, "--large")
