"""`opgraft demo lenet5`: what it finds is what ONNX Runtime finds; its text, its JSON, its page, bad digits."""
import base64
import gzip
import html.parser
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import onnx
import pytest
from onnx import helper

from conftest import BUILD, LENET5, MODELS, OPGRAFT, ROOT, Done, digits, ok, onnxruntime_infer, refused
from digits import enlarge, read_idx, write_idx

RELU, SWISH4, SWISH2 = LENET5
LIMIT = 30 if BUILD == ROOT / "build" else 300      # seconds; a sanitizer's build takes its time


def demo(*args, cwd, seconds=0, **variables):
    """Runs the demo in folder cwd, where it leaves its page."""
    given = dict(os.environ, OPGRAFT_MODELS=str(MODELS), OPGRAFT_ONNXRUNTIME=sys.prefix)
    given.update(variables)
    options = ["--seconds", seconds] if seconds is not None else []
    done = subprocess.run([OPGRAFT, "demo", "lenet5", *map(str, options), *map(str, args)], cwd=cwd, env=given,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * LIMIT)
    return Done(done.returncode, done.stdout, done.stderr)


def told(*args, cwd, **options):
    done = demo(*args, "--json", cwd=cwd, **options)
    assert done.status == 0 and done.err == "", done.err
    return json.loads(done.out)


def refusal(status, *args, cwd, **variables):
    done = demo(*args, cwd=cwd, **variables)
    assert done.status == status, f"exit status {done.status}, not {status}\n{done.out}{done.err}"
    assert done.out == "" and done.err.count("\n") == 1 and done.err.startswith("opgraft: "), done
    assert sorted(path.name for path in cwd.glob("*.html*")) == []
    return done.err


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The whole demo as a user runs it: its text, the page, the seconds it took."""
    folder = tmp_path_factory.mktemp("story")
    start = time.monotonic()
    done = demo(cwd=folder, seconds=None)
    assert done.status == 0 and done.err == "", done.err
    return done.out, (folder / "lenet5.html").read_text(), time.monotonic() - start


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return told(cwd=tmp_path_factory.mktemp("facts"))


def mapped_to_swish():
    """The ReLU network with every Relu node made a Sigmoid and a Mul."""
    model = onnx.load(RELU)
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Relu":
            (x,), (y,) = node.input, node.output
            nodes += [helper.make_node("Sigmoid", [x], [y + "_s"]), helper.make_node("Mul", [x, y + "_s"], [y])]
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def right(model, images, labels):
    return int((onnxruntime_infer(model, {"image": images}, "logits").argmax(1) == labels).sum())


def accuracy(facts):
    return {row["network"]: row["right"] for row in facts["accuracy"]}


# ---- what it finds -------------------------------------------------------------------------------

def test_accuracy_is_what_onnxruntime_finds(facts):
    images, labels = digits()
    got = accuracy(facts)
    assert {row["of"] for row in facts["accuracy"]} == {355} and facts["digits"]["count"] == 355
    assert abs(got["relu"] - right(RELU, images, labels)) <= 1
    assert abs(got["relu_mapped"] - right(mapped_to_swish(), images, labels)) <= 1
    for network in ("swish_unfused", "swish_fused"):
        assert abs(got[network] - right(SWISH4, images, labels)) <= 1


def test_mapping_without_training_drops(facts):
    assert accuracy(facts)["relu_mapped"] < accuracy(facts)["relu"]
    assert facts["map"] == {"rule": "Relu=Swish", "nodes": 4}


def test_shown_digits_are_read_as_onnxruntime_reads_them(facts):
    images, labels = digits()
    read = onnxruntime_infer(SWISH4, {"image": images}, "logits").argmax(1)
    assert [digit["label"] for digit in facts["shown"]] == list(range(10))
    for digit in facts["shown"]:
        assert digit["label"] == labels[digit["index"]] and digit["read"] == read[digit["index"]]


def test_graft_and_fusion(facts):
    assert facts["graft"] == {"rule": "Div(x, Add(Exp(Neg(x)), 1)) -> Swish(x)", "places": 4, "nodes_before": 16,
                              "nodes_after": 4}
    unfused, fused = ([step for step in facts[name] if step != "reorder"] for name in ("steps_unfused", "steps_fused"))
    assert len(unfused) == 23 and facts["steps_unfused"].count("Exp") == 4
    assert len(fused) == 7 and facts["steps_fused"].count("Conv + Swish") == 2


@pytest.mark.parametrize("pair", ["fused_and_unfused", "fused_and_onnxruntime"])
def test_answers_are_equal(facts, pair):
    assert facts[pair]["decisions_equal"] == facts[pair]["of"] == 355
    assert 0 <= facts[pair]["max_rel"] < 1e-5


def test_times_and_ratios_belong_together(facts):
    medians = {}
    for result in facts["results"]:
        assert 0 < result["p10_ms"] <= result["median_ms"] <= result["p90_ms"] and result["runs"] >= 5
        medians[result["network"], result["batch"], result["threads"]] = result["median_ms"]
    networks = {"relu", "swish_unfused", "swish_fused", "onnxruntime_relu", "onnxruntime_swish"}
    groups = [(1, 1), (64, 1), (1024, 1)] + [(1024, 2)] * (len(os.sched_getaffinity(0)) > 1)
    assert set(medians) == {(network, *group) for network in networks for group in groups}
    assert len(facts["ratios"]) == 3 * len(groups)
    for ratio in facts["ratios"]:
        group = ratio["batch"], ratio["threads"]
        assert ratio["network"] == "swish_fused"
        want = medians[(ratio["against"], *group)] / medians[("swish_fused", *group)]
        assert ratio["times_faster"] == pytest.approx(want, rel=1e-3)


# ---- how it is told ------------------------------------------------------------------------------

def test_text_fits_and_is_quick(story):
    text, _, seconds = story
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80 and not any(line.endswith(" ") for line in lines)
    assert "\x1b" not in text and "\r" not in text and "\t" not in text
    assert seconds < LIMIT


def test_text_tells_the_story(story):
    text = " ".join(story[0].split())
    assert re.search(r"trained with ReLU +353 of 355 +99\.44%", text)
    assert re.search(r"every ReLU made a Swish +350 of 355 +98\.59%", text)
    assert "3 more digits" in text
    assert "Div(x, Add(Exp(Neg(x)), 1)) -> Swish(x)" in text and "16 nodes in 4 places into 4" in text
    steps = [int(n) for n in re.findall(r"(\d+) steps", text)]         # those that change a layout among them
    assert max(steps) >= 23 and 7 <= min(steps) < 12 and "all 355 digits alike" in text
    for label in range(10):
        assert f"read as {label}" in text
    assert "lenet5.html" in text


def test_without_onnxruntime_one_line_says_how_to_get_it(tmp_path):
    done = demo(cwd=tmp_path, OPGRAFT_ONNXRUNTIME=str(tmp_path / "nothing"), VIRTUAL_ENV="", HOME="")
    assert done.status == 0, done.err
    if "ONNX Runtime, Swish" in done.out:
        pytest.skip("an ONNX Runtime of the system is found")
    assert "pip install onnxruntime" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert "pip install onnxruntime" in (tmp_path / "lenet5.html").read_text()


def test_quiet_writes_the_page_only(tmp_path):
    assert demo("-q", "--report", "page.html", cwd=tmp_path) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


# ---- the page ------------------------------------------------------------------------------------

class Page(html.parser.HTMLParser):
    VOID = {"meta", "img", "br", "link", "input", "hr"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.words.append(data)


def stands_alone(text):
    """A parsed page, of which it is sure that it fetches nothing and runs nothing."""
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>") and page.tags[:2] == ["html", "head"]
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on") and name not in ("href", "srcset", "action")
        assert name != "src" or value.startswith("data:image/png;base64,")
    assert "url(" not in text and "@import" not in text and "://" not in text
    assert "prefers-color-scheme" in text and "@media print" in text
    assert "svg" in page.tags and "table" in page.tags
    return page


def decode_png(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + body)
        parts[kind] = body
        at += 12 + length
    width, height, *form = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert form == [8, 0, 0, 0, 0] and b"IEND" in parts
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert (rows[:, 0] == 0).all()
    return rows[:, 1:]


def test_page_stands_alone_and_shows_the_digits(story):
    page = stands_alone(story[1])
    pictures = [decode_png(base64.b64decode(value.split(",")[1], validate=True))
                for _, name, value in page.attributes if name == "src"]
    images, labels = digits()
    for label, picture in enumerate(pictures[:10]):
        ink = images[np.argmax(labels == label), 0]
        assert np.abs(picture - 255 * (1 - ink)).max() <= 1
    assert len(pictures) == 10 + 355 - right(SWISH4, images, labels)
    words = " ".join(" ".join(page.words).split())
    for part in ("353 of 355", "350 of 355", "Conv + Swish", "batch 1024", "Opgraft 0.", "UTC", "CC BY 4.0"):
        assert part in words, part


def test_bench_writes_such_a_page(tmp_path):
    path = tmp_path / "bench.html"
    odd = tmp_path / "a<b>&.onnx"
    shutil.copy(SWISH4, odd)
    plain = ok("bench", RELU, odd, "--batch", "1,2", "--threads", "1", "--seconds", "0", "--report", path)
    assert "lenet5_relu.onnx" in plain
    page = stands_alone(path.read_text())
    assert page.tags.count("svg") > 2 and page.tags.count("rect") == 4 and page.tags.count("tr") > 5
    assert "a<b>&.onnx" in page.words


def test_a_page_that_cannot_be_written_is_status_5(tmp_path):
    report = tmp_path / "nothing" / "page.html"
    assert "page.html" in refusal(5, "--report", report, cwd=tmp_path)
    assert "page.html" in refused(5, "bench", RELU, "--report", report)


# ---- where it looks, and bad digits --------------------------------------------------------------

def test_models_are_found_beside_the_command(tmp_path):
    (tmp_path / "bin").mkdir()
    shutil.copy(OPGRAFT, tmp_path / "bin")
    env = {name: value for name, value in os.environ.items() if name != "OPGRAFT_MODELS"}
    options = dict(env=env, cwd=tmp_path / "bin", capture_output=True, text=True, timeout=2 * LIMIT)
    command = [tmp_path / "bin" / "opgraft", "demo", "lenet5", "-q", "--seconds", "0"]
    lost = subprocess.run(command, **options)
    assert lost.returncode == 5 and "../share/opgraft/models" in lost.stderr and "OPGRAFT_MODELS" in lost.stderr
    shutil.copytree(MODELS, tmp_path / "share" / "opgraft" / "models")
    assert subprocess.run(command, **options).returncode == 0


def test_a_folder_without_models_is_status_5(tmp_path):
    assert "OPGRAFT_MODELS" in refusal(5, cwd=tmp_path, OPGRAFT_MODELS=str(tmp_path))


def damaged(folder, images=None, labels=None):
    """The models with other digits: functions of the whole bytes."""
    shutil.copytree(MODELS, folder)
    for name, change in (("digits-images.idx3", images), ("digits-labels.idx1", labels)):
        path = folder / name
        if change:
            path.write_bytes(change(path.read_bytes()))
    return folder


@pytest.mark.parametrize("images, labels", [
    (lambda raw: raw[:-1], None), (lambda raw: raw + b"\0", None), (lambda raw: b"", None),
    (lambda raw: raw[:10], None),
    (lambda raw: raw[:4] + struct.pack(">I", 354) + raw[8:], None),
    (lambda raw: raw[:4] + b"\xff\xff\xff\xff" + raw[8:], None),
    (lambda raw: raw[:4] + b"\0\0\0\0" + raw[8:], None),
    (lambda raw: raw[:8] + struct.pack(">II", 16, 4) + raw[16:], None),
    (lambda raw: raw[:8] + struct.pack(">II", 1 << 31, 1 << 31) + raw[16:], None),
    (lambda raw: b"\0\0\x0d\3" + raw[4:], None), (lambda raw: raw[:-1] + b"\x11", None), (gzip.compress, None),
    (None, lambda raw: raw[:-1]), (None, lambda raw: raw[:4] + struct.pack(">I", 354) + raw[8:-1]),
    (None, lambda raw: raw[:-1] + b"\x0a"), (None, lambda raw: b"\0\0\x08\3" + raw[4:])],
    ids=["cut", "longer", "empty", "no-header", "counts-less", "counts-more", "counts-none", "not-square", "overflow",
         "floats", "too-black", "gzip", "labels-cut", "a-label-less", "label-10", "labels-rank"])
def test_damaged_digits_are_status_3(tmp_path, images, labels):
    folder = damaged(tmp_path / "models", images, labels)
    sentence = refusal(3, cwd=tmp_path, OPGRAFT_MODELS=str(folder))
    assert ("digits-images" if images else "digits-labels") in sentence


def test_missing_digits_are_status_5(tmp_path):
    folder = damaged(tmp_path / "models")
    (folder / "digits-labels.idx1").unlink()
    assert "digits-labels.idx1" in refusal(5, cwd=tmp_path, OPGRAFT_MODELS=str(folder))


def test_another_network_is_status_3(tmp_path):
    folder = damaged(tmp_path / "models")
    model = onnx.load(folder / "lenet5_relu.onnx")
    del model.graph.node[-1]
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(model.graph.node[-1].output[0], 1, None))
    onnx.save(model, folder / "lenet5_relu.onnx")
    assert "lenet5_relu.onnx" in refusal(3, cwd=tmp_path, OPGRAFT_MODELS=str(folder))


# ---- MNIST's own files ---------------------------------------------------------------------------

def mnist(folder, count, images="t10k-images-idx3-ubyte", labels="t10k-labels-idx1-ubyte"):
    """A stand-in of MNIST's form: the digits here as bytes of 28 x 28, over and over. Returns what the files hold."""
    folder.mkdir(exist_ok=True)
    large = (enlarge(read_idx(MODELS / "digits-images.idx3")) * 255 // 1600).astype(np.uint8)
    index = np.arange(count) % 355
    write_idx(folder / images, large[index])
    known = read_idx(MODELS / "digits-labels.idx1")[index]
    write_idx(folder / labels, known)
    return large[index][:, None].astype(np.float32) / np.float32(255), known


@pytest.mark.parametrize("images, labels", [("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
                                            ("train-images.idx3-ubyte", "train-labels.idx1-ubyte")])
def test_mnist_is_read_whole(tmp_path, images, labels):
    pixels, known = mnist(tmp_path / "mnist", 100, images, labels)
    facts = told("--mnist", "mnist", cwd=tmp_path)
    assert facts["digits"]["count"] == 100 and images in facts["digits"]["source"]
    assert abs(accuracy(facts)["relu"] - right(RELU, pixels, known)) <= 1
    assert abs(accuracy(facts)["swish_fused"] - right(SWISH4, pixels, known)) <= 1


def test_of_10000_images_the_odd_are_read(tmp_path):
    pixels, known = mnist(tmp_path / "mnist", 10_000)
    facts = told("--mnist", "mnist", cwd=tmp_path)
    assert facts["digits"]["count"] == 5_000
    assert "odd" in facts["digits"]["remark"] and "even" in facts["digits"]["remark"]
    assert abs(accuracy(facts)["swish_fused"] - right(SWISH4, pixels[1::2], known[1::2])) <= 1


def test_compressed_mnist_says_gunzip(tmp_path):
    mnist(tmp_path / "mnist", 10)
    for path in list((tmp_path / "mnist").iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert "gunzip" in refusal(5, "--mnist", "mnist", cwd=tmp_path)


def test_a_folder_without_mnist_is_status_5(tmp_path):
    assert "t10k-images-idx3-ubyte" in refusal(5, "--mnist", tmp_path, cwd=tmp_path)
    mnist(tmp_path / "mnist", 10)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    assert "t10k-labels-idx1-ubyte" in refusal(5, "--mnist", "mnist", cwd=tmp_path)
