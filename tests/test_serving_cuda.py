"""GPU instances of the backend for Triton: tests/unit/test_serve_cuda.c on a GPU, or on three emulated ones, of which the last
is of another kind."""
import subprocess

from conftest import BUILD, ROOT
from test_cuda import device, emulator  # noqa: F401 (fixtures)


def test_gpu_instances(device):  # noqa: F811
    done = subprocess.run([BUILD / "tests" / "unit" / "test_serve_cuda"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, env={**device.env, "EMULATED_DEVICES": "3", "EMULATED_ARCH": "75,75,80"})
    assert done.returncode == 0, done.stdout
    assert "SKIPPED" not in done.stdout or not device.is_emulated, done.stdout
