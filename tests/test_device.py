"""Formulas on a GPU give the CPU's bits. Without a GPU this is skipped; docs/results-h200.md has the last run."""
import subprocess

import pytest

from conftest import BUILD, ROOT


def test_formulas_give_the_same_bits_on_a_gpu():
    program = BUILD / "tools" / "check_device"
    assert program.exists(), "make units builds it"
    done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, timeout=600)
    if done.returncode == 5:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout
    assert " 0 differ" in done.stdout.splitlines()[-1]
