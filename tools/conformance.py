#!/usr/bin/env python3
"""Run the ONNX node tests through `opgraft check` and write docs/conformance.md.

    python3 tools/conformance.py [--build build] [--out docs/conformance.md] [--cases]

Needs the onnx wheel of tests/requirements.txt, which carries the tests as files.
"""
import argparse
import collections
import concurrent.futures
import pathlib
import subprocess

import onnx
import onnx.backend.test

ROOT = pathlib.Path(__file__).resolve().parent.parent
NODE_TESTS = pathlib.Path(onnx.backend.test.__file__).parent / "data" / "node"
TIMEOUT = 20
PASS, FAIL, UNSUPPORTED, BROKEN = "pass", "fail", "unsupported", "broken"
OUTCOMES = {0: PASS, 1: FAIL, 4: UNSUPPORTED}       # any other exit status: broken

Case = collections.namedtuple("Case", "name op ops outcome message")


def op_name(node):
    return f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def op_types(model):
    """Every op type that occurs in the model, its subgraphs and its functions."""
    found, open_lists = set(), [model.graph.node] + [function.node for function in model.functions]
    while open_lists:
        for node in open_lists.pop():
            found.add(node.op_type)
            for attribute in node.attribute:
                open_lists += [graph.node for graph in [attribute.g, *attribute.graphs] if graph.node]
    return found


def run_case(opgraft, folder):
    """One process for one test case."""
    model = onnx.load(folder / "model.onnx")
    # a test of an op's expansion into primitives counts for the op
    plain = folder.with_name(folder.name.split("_expanded")[0])
    main = onnx.load(plain / "model.onnx") if plain != folder and plain.exists() else model
    try:
        done = subprocess.run([opgraft, "check", folder / "model.onnx", "--against", folder],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=TIMEOUT)
        outcome = OUTCOMES.get(done.returncode, BROKEN)
        message = done.stderr.strip() or done.stdout.strip()
        if outcome == BROKEN:
            message = f"exit status {done.returncode}: {message}"
    except subprocess.TimeoutExpired:
        outcome, message = BROKEN, f"still running after {TIMEOUT} s"
    return Case(folder.name, op_name(main.graph.node[0]), op_types(model), outcome, message)


def run_all(opgraft, threads=2):
    """Every node test of the wheel, in the order of names."""
    folders = sorted(path.parent for path in NODE_TESTS.glob("*/model.onnx"))
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda folder: run_case(opgraft, folder), folders))


def report(cases):
    """The text of docs/conformance.md: nothing in it depends on the machine or the day."""
    total = collections.Counter(case.outcome for case in cases)
    by_op = collections.defaultdict(collections.Counter)
    for case in cases:
        by_op[case.op][case.outcome] += 1
    whole = sum(1 for count in by_op.values() if set(count) == {PASS})
    lines = [
        "# Conformance",
        "",
        f"The {len(cases):,} node tests of `onnx` {onnx.__version__}: `opgraft check model.onnx --against DIR`,",
        "each with rtol 1e-3 and atol 1e-7. Written by `make docs` (`tools/conformance.py`); `make test` runs all.",
        "",
        "| outcome | tests |",
        "|---|---|",
        f"| pass | {total[PASS]:,} |",
        f"| fail (another answer) | {total[FAIL]:,} |",
        f"| unsupported (refused, naming the op) | {total[UNSUPPORTED]:,} |",
        f"| broken (crash, hang, any other exit status) | {total[BROKEN]:,} |",
        "",
        f"Of {len(by_op)} ops tested, {whole} pass every test.",
        "",
        "## By op",
        "A test of an op's expansion into other ops (`_expanded` in its name) counts for that op.",
        "",
        "| op | pass | fail | unsupported |",
        "|---|---|---|---|",
    ]
    for op, count in sorted(by_op.items()):
        lines.append(f"| {op} | {count[PASS]} | {count[FAIL] + count[BROKEN]} | {count[UNSUPPORTED]} |")
    wrong = [case for case in cases if case.outcome in (FAIL, BROKEN)]
    if wrong:
        lines += ["", "## Failing", ""]
        lines += [f"- `{case.name}` ({case.outcome})" for case in wrong]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", metavar="DIR", help="where opgraft is")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "conformance.md", metavar="FILE")
    parser.add_argument("--cases", action="store_true", help="print what became of every case instead")
    options = parser.parse_args()
    cases = run_all(options.build / "opgraft")
    if options.cases:
        for case in cases:
            print(f"{case.outcome}\t{case.op}\t{case.name}\t{case.message if case.outcome != PASS else ''}")
    else:
        options.out.write_text(report(cases))
    total = collections.Counter(case.outcome for case in cases)
    print(", ".join(f"{total[outcome]} {outcome}" for outcome in (PASS, FAIL, UNSUPPORTED, BROKEN)))


if __name__ == "__main__":
    main()
