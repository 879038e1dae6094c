"""What the documents show is true: terminal sessions are run again, examples are compiled, links lead somewhere.

A block marked `console` holds commands ("$ ...") and their output. Output is compared line by line with numbers and
times masked; a line "..." stands for any lines. OPGRAFT_WRITE_README=1 puts the real output in instead, where it fits
between dots and whole where there are none."""
import os
import re
import subprocess
import sys

import pytest

from conftest import BUILD, ROOT

pytestmark = pytest.mark.skipif(BUILD != ROOT / "build", reason="another build is being tested")

README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*.md")])
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
C = re.compile(r"^```c\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOTS = "..."
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT}/include"]
LIBS = ["-lm", "-ldl", "-pthread"]


# ---- sessions ------------------------------------------------------------------------------------

def mask(line):
    """The line without what differs from run to run and from machine to machine."""
    line = re.sub(r"\b(conv|matmul)\.\w+", "TACTIC", line)
    line = re.sub(r"\b[\d.]+x (faster|slower)\b|\bequal\b", "RATIO", line)
    line = re.sub(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?(?:x| [num]?s\b)?", "#", line)
    line = re.sub(r"\s+", " ", line.replace("threads", "thread")).rstrip()
    return re.sub(r"(\S+(?: \S+)?)( \1)+", r"\1", line)      # as many columns as there are thread counts


def commands(block):
    """Of a session's text: (command, lines of output) for each."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0][:-1] + line.lstrip(), found[-1][1])
        else:
            found[-1][1].append(line)
    return found


def fit(shown, real):
    """The real lines in place of the shown ones, dots kept; None when they do not fit."""
    if DOTS not in shown:
        return real if list(map(mask, shown)) == list(map(mask, real)) else None
    masked, at, result = list(map(mask, real)), 0, []
    parts = [list(map(mask, part.splitlines())) for part in ("\n" + "\n".join(shown) + "\n").split(f"\n{DOTS}\n")]
    for k, part in enumerate(parts):
        part = part[1:] if k == 0 else part                   # of the newline that was put before
        places = [i for i in range(at, len(real) - len(part) + 1) if masked[i:i + len(part)] == part]
        if k == 0:
            places = [i for i in places if i == 0]
        if k == len(parts) - 1:
            places = [i for i in places if i + len(part) == len(real)] if part else [at]
        if not places:
            return None
        result += [DOTS] * (k > 0) + real[places[0]:places[0] + len(part)]
        at = places[0] + len(part)
    return result


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    """Runs a command in a folder where models/ is, the same for all; returns the lines that it prints."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "models").symlink_to(ROOT / "models")
    environment = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "OPGRAFT_ONNXRUNTIME": sys.prefix}

    def run(command):
        done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200)
        return [line.rstrip() for line in done.stdout.splitlines()]
    return run


def test_the_terminal_sessions_are_real(terminal):
    text, wrong = README.read_text(), []
    for match in CONSOLE.finditer(text):
        lines = []
        for command, shown in commands(match[1]):
            real = terminal(command)
            got = fit(shown, real)
            if got is None:
                wrong.append(f"$ {command}\n" + "\n".join(real))
            lines += [f"$ {command}", *(real if got is None else got)]
        if os.environ.get("OPGRAFT_WRITE_README"):
            README.write_text(README.read_text().replace(match[0], "```console\n" + "\n".join(lines) + "\n```"))
    if not os.environ.get("OPGRAFT_WRITE_README"):
        assert wrong == [], "not what is shown; OPGRAFT_WRITE_README=1 writes:\n" + "\n".join(wrong)


@pytest.mark.parametrize("shown, real, fits", [
    (["a 1", "b"], ["a 2", "b"], True), (["a"], ["a", "b"], False), (["a", "..."], ["a", "b", "c"], True),
    (["...", "c"], ["a", "b", "c"], True), (["...", "b"], ["a", "b", "c"], False), (["a", "...", "c"], ["a", "c"], True),
    (["...", "b", "...", "a", "..."], ["a", "b", "c"], False), (["...", "b", "..."], ["a", "b", "c"], True),
    (["b", "..."], ["a", "b"], False), ([], [], True), (["..."], ["x"], True)])
def test_dots_stand_for_any_lines(shown, real, fits):
    assert (fit(shown, real) is not None) == fits


# ---- programs ------------------------------------------------------------------------------------

SURROUNDINGS = """#include <opgraft.h>
#include <stdio.h>

static int largest(const float *x, int n)
{
	int best = 0;
	for (int i = 1; i < n; i++)
		if (x[i] > x[best]) best = i;
	return best;
}

int main(void)
{
	static float image[28 * 28], logits[10];
	og_model *model;
	og_plan *plan;
	og_session *session;
%s
	og_session_free(session);
	og_plan_free(plan);
	og_model_free(model);
	return 0;
}
"""


def build_and_run(folder, source, *args):
    """With the static library; returns what it prints."""
    subprocess.run(["cc", *FLAGS, source, BUILD / "libopgraft.a", "-o", folder / "program", *LIBS], check=True)
    return subprocess.run([folder / "program", *map(str, args)], cwd=ROOT, check=True, capture_output=True, text=True,
                          timeout=60).stdout


def test_the_five_lines_of_c(tmp_path):
    (example,) = C.findall(README.read_text())
    assert len(example.splitlines()) == 5
    (tmp_path / "five.c").write_text(SURROUNDINGS % example)
    assert re.fullmatch(r"it is a \d\n", build_and_run(tmp_path, tmp_path / "five.c"))


def test_the_example_program_reads_digits(tmp_path):
    import numpy as np
    from conftest import digits
    images, labels = digits()
    np.save(tmp_path / "digits.npy", images[:40])
    read = build_and_run(tmp_path, ROOT / "examples" / "run.c", ROOT / "models" / "lenet5_swish4.onnx",
                         tmp_path / "digits.npy")
    assert sum(int(line) == label for line, label in zip(read.split(), labels[:40], strict=True)) >= 39


def test_the_op_of_contributing_compiles_in_every_view(tmp_path):
    from test_house import VIEWS
    (example,) = C.findall((ROOT / "CONTRIBUTING.md").read_text())
    (tmp_path / "example.c").write_text(example)
    for flags in VIEWS.values():
        subprocess.run(["cc", *FLAGS, "-Wno-psabi", f"-I{ROOT}/src", *flags, "-fsyntax-only", tmp_path / "example.c"],
                       check=True)


# ---- documents -----------------------------------------------------------------------------------

def test_links_lead_somewhere():
    broken = []
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
            if not re.match(r"https?://", target) and not (document.parent / target).exists():
                broken.append(f"{document.relative_to(ROOT)}: {target}")
    assert broken == []


def test_the_readme_is_short_and_says_how_to_begin():
    text = README.read_text()
    assert len(text.splitlines()) < 190
    assert "make demo" in text and "make test" in text


def test_contributing_names_every_folder():
    from test_house import FOLDERS
    text = (ROOT / "CONTRIBUTING.md").read_text()
    places = [text.find(f"src/{name}/") for name in FOLDERS]
    assert min(places) >= 0 and places == sorted(places), "the folders in their order"
    assert [path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")
            and path.name != "build" and f"{path.name}/" not in text] == []
