"""The node tests of the onnx wheel through the command line."""
import re

import pytest

import conformance
from conftest import OPGRAFT, ROOT

FLOOR = 1568
KNOWN_MISMATCHES = set()


@pytest.fixture(scope="module")
def cases():
    return conformance.run_all(OPGRAFT)


def by_outcome(cases, outcome):
    return {case.name: case.message for case in cases if case.outcome == outcome}


def test_all_are_run(cases):
    assert len(cases) == 1765


def test_none_crashes_or_hangs(cases):
    assert by_outcome(cases, conformance.BROKEN) == {}


def test_none_differs(cases):
    assert by_outcome(cases, conformance.FAIL).keys() == KNOWN_MISMATCHES


def test_enough_pass(cases):
    assert len(by_outcome(cases, conformance.PASS)) >= FLOOR


def test_every_refusal_names_its_op(cases):
    """Or the opset, where that is what is too new."""
    silent = {case.name: case.message for case in cases if case.outcome == conformance.UNSUPPORTED
              and "opset import" not in case.message and not any(re.search(rf"\b{op}\b", case.message) for op in case.ops)}
    assert silent == {}


def test_the_page_is_up_to_date(cases):
    """Else: make docs."""
    assert (ROOT / "docs" / "conformance.md").read_text() == conformance.report(cases)
