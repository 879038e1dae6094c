"""Each C unit test program as one test."""
import subprocess

import pytest

from conftest import BUILD, ROOT

PROGRAMS = sorted(path.stem for path in (ROOT / "tests" / "unit").glob("test_*.c"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_unit(name):
    program = BUILD / "tests" / "unit" / name
    assert program.exists(), f"{program} is not built: make units"
    done = subprocess.run([program], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}"
