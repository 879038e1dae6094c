"""Plans of a real network: memory near its bound, loads in milliseconds, same answers as the model."""
import subprocess
import time

import numpy as np
import pytest

from conftest import OPGRAFT, infer, ok, ok_json, refused, relative_error


@pytest.fixture(scope="module")
def plan(tmp_path_factory, resnet50):
    path = tmp_path_factory.mktemp("plan") / "resnet50.plan"
    ok("build", resnet50("relu"), "-o", path, "-q")
    return path


def test_activations_are_near_the_bound(plan):
    facts = ok_json("info", plan)
    assert 0 < facts["activation_bytes"] <= 1.05 * facts["activation_bound"]
    assert facts["weight_bytes"] < 2.2 * 4 * 25_557_032        # some are packed in another form: Winograd's, Strassen's


def test_every_activation_and_sum_is_fused(plan):
    steps = [step["op"] for step in ok_json("info", plan)["steps"] if step["op"] != "reorder"]
    assert len(steps) == 56                      # 53 convolutions, 2 pools, 1 product: nothing is left between them
    assert sum("Add" in step for step in steps) == 16 and sum("Relu" in step for step in steps) == 49


def test_a_plan_gives_the_model_s_bits(tmp_path, plan, resnet50):
    x = np.random.default_rng(5).standard_normal((1, 3, 224, 224)).astype(np.float32)
    want = infer(tmp_path, resnet50("relu"), {"image": x}, "logits")
    got = infer(tmp_path, plan, {"image": x}, "logits")
    assert (want == got).all()


def test_a_plan_of_100_mb_loads_quickly(plan):
    """Tens of milliseconds: mapped and checked, nothing unpacked. The bound is generous: this is no benchmark."""
    best = min(timed(["info", plan]) for _ in range(5))
    print(f"{best * 1e3:.1f} ms for {plan.stat().st_size / 1e6:.0f} MB, the process included")
    assert best < 1


def timed(args):
    start = time.perf_counter()
    subprocess.run([OPGRAFT, *map(str, args)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def test_a_plan_for_another_processor_is_refused(tmp_path, plan):
    level = ok_json("doctor")["cpu_level"]
    other = "scalar" if level != "scalar" else "avx2"
    done = subprocess.run([OPGRAFT, "run", plan], env={"OPGRAFT_ISA": other}, capture_output=True, text=True)
    assert done.returncode == 5 and level in done.stderr and "build it again" in done.stderr


def test_a_cut_plan_is_refused(tmp_path, plan):
    short = tmp_path / "short.plan"
    short.write_bytes(plan.read_bytes()[:1_000_000])
    assert "damaged" in refused(3, "run", short)


def test_fused_unfused_and_reference_agree(resnet50):
    """check runs the reference in double precision; 1e-5 of the largest logit."""
    for more in ([], ["--no-fuse"]):
        (result,) = ok_json("check", resnet50("swish4"), "--threads", "2", *more)["results"]
        assert result["match"] and result["max_rel"] < 1e-5
