"""One file a case: a graph, a pass, and the graph after it, all in the text form (docs/graph-text.md).

OPGRAFT_WRITE_CASES=1 writes what comes out into the files: read the difference before it is committed.
"""
import os
import re

import pytest

from conftest import ROOT, ok

CASES = sorted((ROOT / "tests" / "passes").glob("*.txt"))
FORM = re.compile(r"# (?P<title>.*)\n--- input\n(?P<input>.*)--- after (?P<name>\w+)\n(?P<want>.*)", re.DOTALL)


def graph_after(dump, name):
    """The graph that `build --dump` printed after one pass."""
    parts = re.split(r"^# after (\w+)\n", dump, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))[name].strip() + "\n"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_pass(path, tmp_path):
    case = FORM.fullmatch(path.read_text())
    assert case, "a case is a title, --- input, --- after PASS"
    model = tmp_path / "input.txt"
    model.write_text(case["input"])
    found = graph_after(ok("build", model, "--dump"), case["name"])
    if os.environ.get("OPGRAFT_WRITE_CASES"):
        path.write_text(f"# {case['title']}\n--- input\n{case['input']}--- after {case['name']}\n{found}")
    else:
        assert found == case["want"]


def test_there_are_cases():
    assert len(CASES) >= 15
