"""docs/write-an-op.md from top to bottom: its files are written, its commands run in one folder, what they print is compared.

A C or Python block that begins with the name of a file in a comment is that file, until a later block replaces it.
OPGRAFT_WRITE_README=1 puts the real output in."""
import os
import re
import subprocess
import sys

import pytest

from conftest import BUILD, ROOT, ok
from test_readme import commands, fit

pytestmark = pytest.mark.skipif(BUILD != ROOT / "build", reason="another build is being tested")

PAGE = ROOT / "docs" / "write-an-op.md"
BLOCK = re.compile(r"^```(console|c|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"(?:/\*|#) (\w+\.(?:c|py))\b")


def files(text):
    """{name: its last form} of the files on the page."""
    return {NAME.match(body)[1]: body for kind, body in BLOCK.findall(text) if kind != "console" and NAME.match(body)}


def settled(lines):
    """Without what hangs on the machine: the verdict, the compiler's words, its instruction sets, and how wide times are."""
    lines = [re.sub("(the compiler refuses it) .*", r"\1", re.sub(r"\bscalar(, avx\w+)+", "scalar", line)) for line in lines]
    end = next((k for k, line in enumerate(lines) if re.match("keep it|leave it out", line)), len(lines))
    return [re.sub(r"(\d\S* [num]?s)( +\d\S* [num]?s)*", "1 s", line) for line in lines[:end]] + ["VERDICT"] * (end < len(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tutorial")
    for name in ("models", "examples"):
        (path / name).symlink_to(ROOT / name)
    return path


def terminal(folder, command):
    paths = [str(BUILD), os.path.dirname(sys.executable), os.environ["PATH"]]
    environment = {**os.environ, "PATH": ":".join(paths), "OPGRAFT_ONNXRUNTIME": sys.prefix, "LC_ALL": "C", "CC": "cc"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200)
    return [line.rstrip() for line in done.stdout.splitlines()]


def test_the_page_from_top_to_bottom(folder):
    text, wrong = PAGE.read_text(), []
    rewrite = os.environ.get("OPGRAFT_WRITE_README")
    new = text
    for match in BLOCK.finditer(text):
        kind, body = match.groups()
        if kind != "console":
            if NAME.match(body):
                (folder / NAME.match(body)[1]).write_text(body)
            continue
        lines = []
        for command, shown in commands(body):
            real = terminal(folder, command)
            if fit(settled(shown), settled(real)) is None:
                wrong.append(f"$ {command}\n" + "\n".join(real))
            lines += [f"$ {command}", *real]
        new = new.replace(match[0], "```console\n" + "\n".join(lines) + "\n```", 1)
    if rewrite:
        PAGE.write_text(new)
    else:
        assert wrong == [], "not what is shown; OPGRAFT_WRITE_README=1 writes:\n" + "\n".join(wrong)


def test_the_page_shows_what_it_says():
    """The bug is caught, the mended file passes, the operator is fused, and the verdict has all runtimes."""
    sessions = [body for kind, body in BLOCK.findall(PAGE.read_text()) if kind == "console"]
    tests = [body for body in sessions if "op test libsmish.so" in body]
    assert "FAILED" in tests[0] and "double precision" in tests[0]
    assert "FAILED" not in tests[1] and "checks passed" in tests[1]
    assert any("Conv + Smish" in body for body in sessions)
    (verdict,) = [body for body in sessions if "op bench" in body]
    assert all(name in verdict for name in ("Opgraft", "ONNX Runtime", "TensorRT", "with the library")) and "keep it" in verdict


def test_the_tensorrt_part_with_tensorrt_rtx(tensorrt, tmp_path):
    """Its bindings have another name than those of TensorRT; all else is as on the page."""
    page = files(PAGE.read_text())
    (tmp_path / "smish.c").write_text(page["smish.c"])
    ok("op", "build", tmp_path / "smish.c", "-o", tmp_path / "libsmish.so", "--no-cuda", "-q")
    ok("graft", ROOT / "models" / "lenet5_relu.onnx", "-o", tmp_path / "grafted.onnx", "--map", "Relu=Smish", "--ops", tmp_path / "libsmish.so", "-q")
    script = page["with_tensorrt.py"].replace("import tensorrt as trt", f"import os\nimport tensorrt_rtx_bindings as trt\nos.chdir({str(tmp_path)!r})")
    (tmp_path / "with_tensorrt.py").write_text(script)
    done = tensorrt.run(tmp_path / "with_tensorrt.py")
    assert done.status == 0, done.err
    assert re.search(r"^4 plugins in \d+ layers$", done.out, re.MULTILINE), done.out
    assert (tmp_path / "net.engine").stat().st_size > 0
