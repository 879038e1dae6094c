"""docs/resnet50.md and docs/import-speed.md say what the facts beside them say: their generated parts are made anew."""
import json
import re
import sys

import pytest

from conftest import MODELS, ROOT, ok, ok_json

sys.path.insert(0, str(ROOT / "tools"))
import compare_import  # noqa: E402
import resnet50_tensorflow as tool  # noqa: E402


@pytest.fixture(scope="module")
def facts():
    return json.loads(tool.FACTS.read_text())


def test_the_page_has_the_facts(facts):
    assert tool.render(tool.PAGE.read_text(), facts) == tool.PAGE.read_text()


def test_every_part_of_the_page_is_generated(facts):
    assert set(re.findall(r"<!-- (\w+) -->", tool.PAGE.read_text())) - {"end"} == set(tool.parts(facts))


def test_the_page_about_import_has_the_facts():
    page = ROOT / "docs" / "import-speed.md"
    assert compare_import.page(json.loads(page.with_suffix(".json").read_text())) == page.read_text()


def test_answers_of_the_timed_networks_agree(facts):
    assert {(r["form"], r["runtime"], r["threads"]) for r in facts["time"]} == {(f, r, n) for f in tool.CASES for r in tool.CASES[f] for n in (1, 2)}
    assert all(r["error"] < 1e-4 and r["least_ms"] <= r["median_ms"] <= r["most_ms"] for r in facts["time"])


def test_every_activation_is_a_plugin(facts):
    assert [r["plugins"] for r in facts["tensorrt"]] == [0, 0, 49] and {r["convolutions"] for r in facts["tensorrt"]} == {53}


def test_options_of_the_commands_exist(facts):
    """The page's commands are run by the tool alone, which needs TensorFlow; here: that this build knows what they ask for."""
    for runs in tool.COMMANDS.values():
        for line in runs:
            command = re.split(r" \| ", line)[0].split()
            verbs = command[1:3] if command[1] == "op" else command[1:2]
            text = ok(*verbs, "--help")
            assert all(re.search(rf"(?<![\w-]){option}(?![\w-])", text) for option in command if option.startswith("-")), line


def test_a_grafted_activation_changes_the_answers_of_lenet5(tmp_path, facts):
    """The page's table of LeNet-5, from this build."""
    ok("graft", MODELS / "lenet5_relu.onnx", "-o", tmp_path / "swish.onnx", "--map", "Relu=Swish")
    assert ok_json("info", tmp_path / "swish.onnx")["ops"] == {**{k: n for k, n in ok_json("info", MODELS / "lenet5_relu.onnx")["ops"].items() if k != "Relu"},
                                                               "opgraft::Swish": 4}
    assert {r["network"]: r["right"] for r in facts["accuracy"]["lenet5"]} == {"relu": 353, "relu_mapped": 350, "swish_unfused": 353, "swish_fused": 353}
