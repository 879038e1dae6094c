"""The operator kit: op files written, built into libraries, held to the contract, used by networks. And op files with bugs, each of
which `op test` has to catch with a message that says what to mend."""
import json
import os
import shutil
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conftest import BUILD, LENET5, infer, ok, ok_json, refused, run

KINDS = {"elementwise": [], "rowwise": ["--rowwise"], "general": ["--general"]}

BLEND = """#include "opgraft/op.h"

EXPR v blend_f(v a, v b, float share) { return v_fma(b - a, v_splat(share), a); }
MAP(blend_f, 2, 1)
OP(blend, .name = "Blend", .domain = "test.ops", .since = 2, .doc = "a, mixed with b.",
   .inputs = "a:T, b:T", .outputs = "y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_RANGE("share", 0.5, 0.0, 1.0)), MAPS(blend_f), .ulp = INFINITY,
   .body = "Add(a, Mul(Sub(b, a), share))", .cases = "f32[2,3] f32[2,3] | f32[2,3,4] f32[3,1]; share=0.25 | f32[0,3] f32[3]")
"""

MEDIAN = """#include "opgraft/op.h"

#if OP_BASE
static og_status median_shape(og_infer *c)
{
	if (c->in[0].rank < 0) return OG_OK;
	if (c->in[0].rank == 0) return (c->host->fail)(OG_BAD_FILE, "Median needs rows");
	c->out[0].rank = c->in[0].rank - 1;
	memcpy(c->out[0].dims, c->in[0].dims, sizeof c->in[0].dims);
	return OG_OK;
}

static size_t median_workspace(const og_call *c) { return (size_t)c->in[0]->dims[c->in[0]->rank - 1] * sizeof(float); }

/* The lower median of each row; sorted in the workspace. */
static og_status median_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	int64_t n = x->dims[x->rank - 1], rows = og_span(x, 0, x->rank - 1);
	float *sorted = (float *)c->workspace;
	for (int64_t row = 0; row < rows; row++) {
		for (int64_t i = 0; i < n; i++) {
			float new = ((const float *)x->data)[row * n + i];
			int64_t at = i;
			for (; at > 0 && sorted[at - 1] > new; at--) sorted[at] = sorted[at - 1];
			sorted[at] = new;
		}
		((float *)c->out[0]->data)[row] = n ? sorted[(n - 1) / 2] : 0.0f;
	}
	return OG_OK;
}
#endif

OP(median, .name = "Median", .domain = "test.ops", .since = 1, .doc = "The lower median of each row.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32", .shape = median_shape, .eval = median_eval,
   .workspace = median_workspace, .cases = "f32[2,3,5] | f32[4] | f32[3,0]")
"""


def build(folder, name, text, *options, status=0):
    """Writes the op file and builds it without GPU code, which takes seconds; returns the library and what was printed."""
    (folder / f"{name}.c").write_text(text)
    done = run("op", "build", f"{name}.c", "-o", f"lib{name}.so", "--no-cuda", *options, cwd=folder)
    assert done.status == status, done.err
    return folder / f"lib{name}.so", done


def results(library, *options):
    """{op: {check: (passed, words)}} of `op test`, whose exit status goes with it."""
    done = run("op", "test", library, "--json", *options)
    report = json.loads(done.out)
    assert report["passed"] == (done.status == 0)
    return {op["name"]: {c["check"]: (c["passed"], c["words"]) for c in op["checks"]} for op in report["ops"]}


def tool(*args):
    return subprocess.run(list(map(str, args)), check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """A library of an elementwise op of two inputs and of one with a workspace, and one from `op new`."""
    folder = tmp_path_factory.mktemp("kit")
    (folder / "blend.c").write_text(BLEND)
    (folder / "median.c").write_text(MEDIAN)
    ok("op", "build", "blend.c", "median.c", "-o", "libtwo.so", "--no-cuda", "-q", cwd=folder)
    ok("op", "new", "Wave", cwd=folder)
    ok("op", "build", "wave.c", "-o", "libwave.so", "--no-cuda", "-q", cwd=folder)
    return folder


# ---- writing -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", KINDS)
def test_a_new_op_file_builds_and_passes(kind, tmp_path):
    out = ok("op", "new", "MyNewOp", *KINDS[kind], cwd=tmp_path)
    assert "my_new_op.c is written" in out
    done = run("op", "build", "my_new_op.c", "-o", "lib.so", "--no-cuda", cwd=tmp_path)
    assert done.status == 0, done.err
    assert "warning" not in done.err, done.err
    assert "opgraft::MyNewOp, version 1" in done.out
    for op in results(tmp_path / "lib.so").values():
        assert all(passed for passed, _ in op.values()), op


def test_a_file_that_is_there_stays(tmp_path):
    (tmp_path / "wave.c").write_text("mine")
    assert "is there already" in refused(2, "op", "new", "Wave", "-o", tmp_path / "wave.c")
    assert (tmp_path / "wave.c").read_text() == "mine"


@pytest.mark.parametrize("name", ["Swish", "Gelu", "TRT_Scale", "ScaledTanh"])
def test_a_name_that_tensorrt_keeps_for_itself_is_told(name, tmp_path):
    note = ok_json("op", "new", name, "-o", tmp_path / "op.c")["note"]
    assert "TensorRT" in note and f'.called = "{name}"' in note


def test_a_plain_name_has_no_note(tmp_path):
    assert "note" not in ok_json("op", "new", "Snail", "-o", tmp_path / "op.c")


@pytest.mark.parametrize("name", ["", "9lives", "a-b", "x" * 65, "π"])
def test_a_bad_name_is_refused(name, tmp_path):
    assert "name" in refused(2, "op", "new", name, "-o", tmp_path / "op.c")
    assert not (tmp_path / "op.c").exists()


# ---- building ------------------------------------------------------------------------------------------------------

def test_a_library_needs_and_shows_little(libraries):
    library = libraries / "libtwo.so"
    needed = {line.split("[")[1].split("]")[0].split(".so")[0] for line in tool("readelf", "-d", library).splitlines() if "NEEDED" in line}
    assert needed <= {"libc", "libm", "libdl", "libpthread", "ld-linux-x86-64"}
    shown = {line.split()[-1] for line in tool("nm", "-D", "--defined-only", library).splitlines()}
    assert "og_op_library" in shown
    assert shown <= {"og_op_library", "getCreators", "setLoggerFinder", "RegisterCustomOps"}
    inside = {line.split()[-1] for line in tool("nm", library).splitlines()}
    assert {"og_op_blend", "og_op_median"} <= inside
    assert [name for name in inside if name.startswith("og_op_") and name not in ("og_op_blend", "og_op_median", "og_op_library")] == []
    size = library.stat().st_size
    print(f"{size / 1024:.0f} KiB")
    assert size < (256 << 10) or "asan" in str(BUILD)


def test_the_same_files_give_the_same_bytes(libraries, tmp_path):
    first, _ = build(tmp_path, "wave", (libraries / "wave.c").read_text())
    assert first.read_bytes() == (libraries / "libwave.so").read_bytes()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_both_compilers_build(compiler, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler} here")
    library, done = build(tmp_path, "blend", BLEND, "--cc", compiler)
    assert done.err == "" or "CUDA" in done.err
    assert results(library)["Blend"]["levels"][0]


FORMULA = """#include "opgraft/op.h"

EXPR v op_f(v x, float beta) {{ {body} }}
MAP(op_f, 1, 1)
OP(op, .name = "Op", .domain = "test.ops", .since = 1, .doc = "x.",
   .inputs = {inputs}, .outputs = "y:T", .types = {types}, ATTRS({attr}), MAPS(op_f){more})
"""


def formula(body="return x * beta;", inputs='"x:T"', types='"T=f32"', attr='OG_RANGE("beta", 1, 0, 2)', more=""):
    return FORMULA.format(body=body, inputs=inputs, types=types, attr=attr, more=more)


@pytest.mark.parametrize("text, line, words", [
    (formula("return x * ;"), 3, "as plain C: expected expression"),
    (formula("return x > 0.0f ? x : x * beta;"), 3, "for vectors of 8"),
    (formula("return expf(x) * beta;"), 3, "for vectors of 8"),
    (formula().replace("MAPS(op_f)", "MAPS(other)"), 5, "other"),
    (formula().replace(".since", ".sinc"), 5, "sinc"),
    (formula().replace("MAP(op_f, 1, 1)", "MAP(op_f, 2, 1)"), 4, "as plain C|for floats|for doubles"),
    ("OP(, .name)\n", 1, "symbol"),
    (formula() + formula(), 11, "is at op.c:5 already"),
], ids=range(8))
def test_the_compilers_errors_name_the_line(text, line, words, tmp_path):
    _, done = build(tmp_path, "op", text, status=3)
    sentence = done.err.rstrip().splitlines()[-1]
    assert any(word in sentence for word in words.split("|")), done.err
    if "MAP(op_f, 2" not in text:
        assert f"op.c:{line}: " in sentence, done.err
    assert not (tmp_path / "libop.so").exists()


@pytest.mark.parametrize("text, words", [
    (formula(inputs='"x:"'), "no type after ':'"),
    (formula(inputs='"x:T, y:T"'), "takes 1 inputs in MAP, and .inputs lists 2"),
    (formula(types='"T=f33"'), "a type that is not known in its declaration near 'f33'"),
    (formula(attr='OG_RANGE("beta", 5, 0, 1)'), "attribute 'beta' is 5, but must be in [0, 1]"),
    (formula(attr='OG_ENUM("mode", "a|b", 2)'), "none of the words"),
    (formula(attr='OG_FLOAT("x", 2)'), "both called 'x'"),
    (formula(attr='OG_FLOAT("plugin_version", 2)'), "TensorRT's"),
    (formula(attr='OG_FLOATS("beta")'), "numbers and enums only"),
    (formula(more=', .body = "Mul(x, beta"'), "expected"),
    (formula(more=', .body = "Mull(x, beta)"'), "'Mull'"),
    (formula(more=', .body = "Mul(x, gamma)"'), "'gamma'"),
    (formula(more=', .spellings = "Mul(x, 2) -> "'), ".spellings"),
    (formula(more=', .cases = "f32[2,3; beta=1"'), ".cases"),
    (formula(more=', .cases = "f32[2]; beta=7"'), "must be in [0, 2]"),
    (formula(more=', .cases = "f32[2]; gamma=1"'), "no attribute of the op"),
    (formula().replace('"Op"', '"OgSwish"').replace('"test.ops"', "OG_DOMAIN"), "is there already"),
], ids=range(16))
def test_errors_of_a_declaration_name_the_entry(text, words, tmp_path):
    (tmp_path / "op.c").write_text(text)
    done = run("op", "build", "op.c", "-o", "libop.so", "--no-cuda", cwd=tmp_path)
    assert done.status in (2, 3) and done.err.startswith("opgraft: op.c:5: "), done.err
    assert words in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "libop.so").exists()


def test_a_failed_build_leaves_all_as_it_was(tmp_path):
    (tmp_path / "libop.so").write_text("the old one")
    (tmp_path / "work").mkdir()
    (tmp_path / "op.c").write_text(formula("return x * ;"))
    env = {**os.environ, "TMPDIR": str(tmp_path / "work")}
    assert run("op", "build", "op.c", "-o", "libop.so", cwd=tmp_path, env=env).status == 3
    assert (tmp_path / "libop.so").read_text() == "the old one"
    (tmp_path / "op.c").write_text(formula())
    ok("op", "build", "op.c", "-o", "libop.so", "--no-cuda", "-q", cwd=tmp_path, env=env)
    assert list((tmp_path / "work").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["libop.so", "op.c", "work"]


def test_what_is_made_on_the_way_can_be_kept(tmp_path):
    build(tmp_path, "op", formula(), "--keep", tmp_path / "kept")
    assert {"library.c", "lib.so", "exports"} <= {path.name for path in (tmp_path / "kept").iterdir()}


def test_two_files_with_one_formula(tmp_path):
    (tmp_path / "a.c").write_text(formula())
    (tmp_path / "b.c").write_text(formula().replace("OP(op,", "OP(other,").replace('"Op"', '"Other"'))
    done = run("op", "build", "a.c", "b.c", "-o", "lib.so", "--no-cuda", cwd=tmp_path)
    assert done.status == 3 and "names of their own" in done.err and "op_f" in done.err


def test_usage(tmp_path):
    assert "an op file is needed" in refused(2, "op", "build", "-o", "x.so")
    assert "-o LIB.so is needed" in refused(2, "op", "build", "x.c")
    assert "cannot be opened" in refused(5, "op", "build", tmp_path / "none.c", "-o", tmp_path / "x.so")
    (tmp_path / "empty.c").write_text("int x;\n")
    assert "has no OP(" in refused(3, "op", "build", tmp_path / "empty.c", "-o", tmp_path / "x.so")
    (tmp_path / "op.c").write_text(formula())
    assert "'nocc' does not start" in refused(5, "op", "build", tmp_path / "op.c", "-o", tmp_path / "x.so", "--cc", "nocc")
    assert "is one of the op files" in refused(2, "op", "build", tmp_path / "op.c", "-o", tmp_path / "op.c")
    assert "what to do is needed" in refused(2, "op")
    assert "not one of its parts" in refused(2, "op", "grow")


@pytest.mark.parametrize("part", ["new", "build", "test", "list"])
def test_help_teaches_each_part(part):
    text = ok("op", part, "--help")
    assert text.startswith(f"opgraft op {part} ") and "Examples:" in text
    assert max(map(len, text.splitlines())) <= 80


# ---- what a library holds ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("verb", [("op", "list"), ("info",)])
def test_a_library_is_described(verb, libraries):
    report = ok_json(*verb, libraries / "libtwo.so")
    blend, median = report["ops"]
    assert (blend["name"], blend["domain"], blend["since"], blend["elementwise"]) == ("Blend", "test.ops", 2, True)
    assert blend["attributes"] == [{"name": "share", "type": "float", "default": 0.5, "low": 0, "high": 1}]
    assert (blend["levels"], median["levels"]) == (["scalar", "avx2", "avx512"], [])
    assert (median["inputs"], median["outputs"], median["types"], median["elementwise"]) == ("x:T", "y:T", "T=f32", False)
    text = ok(*verb, libraries / "libtwo.so")
    assert "test.ops::Blend, version 2, elementwise" in text and "share" in text and "from 0 to 1" in text


def test_all_ops_are_listed():
    names = {(op["domain"], op["name"]) for op in ok_json("op", "list")["ops"]}
    assert {("", "Conv"), ("opgraft", "OgSwish")} <= names


# ---- testing -------------------------------------------------------------------------------------------------------

def test_good_ops_pass(libraries):
    found = results(libraries / "libtwo.so")
    assert {"levels", "nan", "strips", "attributes", "shapes", "body", "network"} <= set(found["Blend"])
    assert {"shapes", "memory", "threads", "network"} <= set(found["Median"])
    assert [(op, check) for op in found for check, (passed, _) in found[op].items() if not passed] == []
    assert set(results(libraries / "libtwo.so", "--op", "Median")) == {"Median"}
    assert "holds no op called 'Nope'" in refused(2, "op", "test", libraries / "libtwo.so", "--op", "Nope")


@pytest.mark.parametrize("text, check, words", [
    (formula("return v_sel(x > 0.0f, x, 0.0f) * beta;", attr='OG_RANGE("beta", 1, 0.5, 2)'), "nan", "OG_STOPS_NAN"),
    (formula("return v_exp(x) / (v_exp(x) + 1.0f) * beta;"), "precision", "overflows"),
    (formula("return (x + 1.5f) * (x + 0.25f) * beta;"), "precision", "say .ulp = "),
    (formula("(void)beta; return x * 2.0f;"), "attributes", "'beta' changes no result"),
    (formula(more=', .body = "Add(x, beta)"'), "body", "they must compute the same"),
    (formula().replace("MAP(op_f, 1, 1)", "MAP(op_f, 1, 0)").replace("(v x, float beta) { return x * beta;", "(v x) { return x;"),
     "attributes", "is not given attribute 'beta'"),
    ("""#include "opgraft/op.h"
#if OG_LANES == 8 && OP_CPU
EXPR v op_f(v x) { return x * 1.0000001f; }
#else
EXPR v op_f(v x) { return x; }
#endif
MAP(op_f, 1, 0)
OP(op, .name = "Op", .domain = "test.ops", .since = 1, .doc = "x.", .inputs = "x:T", .outputs = "y:T", .types = "T=f32", MAPS(op_f))
""", "levels", "avx2 gives"),
], ids=["nan", "overflow", "ulp", "ignored", "body", "not_given", "levels"])
def test_a_formulas_bug_is_caught(text, check, words, tmp_path):
    library, _ = build(tmp_path, "op", text)
    passed, said = results(library)["Op"][check]
    assert not passed and words in said, said


GENERAL = """#include "opgraft/op.h"

#if OP_BASE
static og_status like_x(og_infer *c)
{
	if (c->in[0].rank < 0) return OG_OK;
	c->out[0].rank = c->in[0].rank;
	memcpy(c->out[0].dims, c->in[0].dims, sizeof c->in[0].dims);
	return OG_OK;
}
static og_status half(og_infer *c)
{
	like_x(c);
	if (c->in[0].rank > 0) c->out[0].dims[0] = og_dim_do(c, OG_DIM_FLOOR_DIV, c->in[0].dims[0], 2);
	return OG_OK;
}
static og_status needs_rank(og_infer *c)
{
	if (c->in[0].rank < 1) return (c->host->fail)(OG_BAD_FILE, "rank 1 at least");
	return like_x(c);
}
static og_status by_hand(og_infer *c)
{
	if (c->in[0].rank < 1) return OG_OK;
	like_x(c);
	c->out[0].dims[0] = c->in[0].dims[0] * 2 + 1;
	return OG_OK;
}
#define X ((const float *)c->in[0]->data)
#define Y ((float *)c->out[0]->data)
#define N og_count(c->in[0])
static og_status copy(const og_call *c) { for (int64_t i = 0; i < N; i++) Y[i] = X[i]; return OG_OK; }
static og_status reads_behind(const og_call *c) { for (int64_t i = 0; i < N; i++) Y[i] = X[i] + X[i + 1]; return OG_OK; }
static og_status reads_before(const og_call *c) { for (int64_t i = 0; i < N; i++) Y[i] = X[i] + X[i - 1]; return OG_OK; }
static og_status leaves_last(const og_call *c) { for (int64_t i = 0; i + 1 < N; i++) Y[i] = X[i]; return OG_OK; }
static og_status writes_input(const og_call *c) { for (int64_t i = 0; i < N; i++) Y[i] = ((float *)c->in[0]->data)[i] *= 2; return OG_OK; }
static og_status reads_output(const og_call *c) { for (int64_t i = 0; i < N; i++) Y[i] += X[i]; return OG_OK; }
static og_status by_step(const og_call *c) { for (int64_t i = 0; i < N; i++) Y[i] = X[i / c->attr[0].i]; return OG_OK; }
static og_status late(const og_call *c) { (void)c; return (c->host->fail)(OG_UNSUPPORTED, "not today"); }
static og_status scaled(const og_call *c)
{
	for (int64_t i = 0; i < N; i++) Y[i] = X[i] * *(const float *)c->in[1]->data;
	return OG_OK;
}
static og_status leaves(const og_call *c) { (void)c; exit(0); }
static size_t one_each(const og_call *c) { return (size_t)N * 4; }
static og_status overruns(const og_call *c)
{
	float *w = (float *)c->workspace;
	for (int64_t i = 0; i <= N; i++) w[i] = 1;
	return copy(c);
}
static void sum_some(void *arg, int64_t begin, int64_t end)
{
	const og_call *c = (const og_call *)arg;
	float sum = 0;
	for (int64_t i = begin; i < end; i++) Y[i] = sum += X[i];
}
static og_status by_cut(const og_call *c)
{
	c->host->parallel(c, N, 1, sum_some, (void *)c);
	return OG_OK;
}
#endif
KERNELS(wrong_kernel)
#if OP_CPU
og_status OG_VIEW(wrong_kernel)(const og_call *c)
{
	for (int64_t i = 0; i < og_count(c->in[0]); i++) ((float *)c->out[0]->data)[i] = ((const float *)c->in[0]->data)[i] * 1.01f;
	return OG_OK;
}
#endif
"""

# name: (fields, check, words)
BUGS = {
    "ReadsBehind": (".shape = like_x, .eval = reads_behind", "memory", "touches byte 24 of input 'x', which has 24"),
    "ReadsBefore": (".shape = like_x, .eval = reads_before", "memory", "4 bytes before input 'x'"),
    "LeavesLast": (".shape = like_x, .eval = leaves_last", "memory", "element 5 of output 'y' (f32[2,3] by the shape rule) is never written"),
    "TooSmall": (".shape = half, .eval = copy", "memory", "of output 'y', which has 12; mend the index, or the shape rule"),
    "WritesInput": (".shape = like_x, .eval = writes_input", "memory", "writes to input 'x', which it may only read"),
    "ReadsOutput": (".shape = like_x, .eval = reads_output", "memory", "write before reading"),
    "Divides": ('.shape = like_x, .eval = by_step, ATTRS(OG_INT("step", 1))', "memory", "step=0, eval: it divides an integer by zero; give the attribute a range"),
    "Late": (".shape = like_x, .eval = late", "memory", "not today; refuse it in the shape rule"),
    "Overruns": (".shape = like_x, .eval = overruns, .workspace = one_each", "memory", "byte 24 of its workspace, and .workspace asks for 24"),
    "ByCut": (".shape = like_x, .eval = by_cut", "threads", "sums may not run across the cut"),
    "NeedsRank": (".shape = needs_rank, .eval = copy", "shapes", "leave out[k].rank at -1"),
    "ByHand": (".shape = by_hand, .eval = copy", "shapes", "use og_dim_do"),
    "WrongKernel": (".shape = like_x, .eval = copy, CPU(wrong_kernel)", "kernels", "by eval, which is the definition"),
    "WrongBody": ('.shape = like_x, .eval = copy, .body = "Neg(x)"', "body", "definition: they must compute the same"),
    "BodyShape": ('.shape = like_x, .eval = copy, .body = "Unsqueeze(x, 0)"', "body", ""),
    "Exits": (".shape = like_x, .eval = leaves", "memory", "it may not call exit"),
    "LeftOut": ('.shape = like_x, .eval = scaled', "memory", "at NULL: inputs and outputs that are left out are NULL"),
}


@pytest.fixture(scope="module")
def bugs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bugs")
    text = GENERAL
    for name, (fields, _, _) in BUGS.items():
        inputs, cases = ("x:T, s:T?", "f32[7]") if name == "LeftOut" else ("x:T", "f32[2,3] | f32[7]")
        text += (f'OP(bug_{name.lower()}, .name = "{name}", .domain = "test.ops", .since = 1, .doc = "A bug.", .inputs = "{inputs}", '
                 f'.outputs = "y:T", .types = "T=f32", {fields}, .cases = "{cases}")\n')
    library, _ = build(folder, "bugs", text)
    return results(library)


@pytest.mark.parametrize("name", BUGS)
def test_a_general_ops_bug_is_caught(name, bugs):
    _, check, words = BUGS[name]
    passed, said = bugs[name][check]
    assert not passed and words in said, said


def test_a_library_that_crashes_when_it_is_loaded(tmp_path):
    text = formula() + '\n#if OP_BASE\n__attribute__((constructor)) static void fall(void) { *(volatile int *)8 = 1; }\n#endif\n'
    _, done = build(tmp_path, "op", text, status=3)
    assert "crashes (signal 11) when it is loaded" in done.err and not (tmp_path / "libop.so").exists()


def test_the_report_fits_a_terminal(libraries):
    done = run("op", "test", libraries / "libwave.so")
    assert done.status == 0 and max(map(len, done.out.splitlines())) <= 80
    assert done.out.splitlines()[-1].endswith("checks passed")
    assert ok("op", "test", libraries / "libwave.so", "-q") == ""


# ---- networks ------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def waves(libraries):
    """LeNet-5 with Wave for Relu."""
    ok("graft", LENET5[0], "-o", libraries / "waves.onnx", "--map", "Relu=Wave,beta=0.5", "--ops", libraries / "libwave.so")
    return libraries / "waves.onnx"


def test_a_librarys_op_is_fused_as_a_built_in_one(libraries, waves):
    steps = ok("profile", waves, "--ops", libraries / "libwave.so")
    assert steps.count("Conv + Wave") == 2 and steps.count("Gemm + Wave") == 2
    assert "+" not in ok("profile", waves, "--ops", libraries / "libwave.so", "--no-fuse")


def test_it_computes_what_its_body_does(libraries, waves, tmp_path):
    x = np.random.default_rng(1).random((1, 1, 28, 28), np.float32)
    model = onnx.load(waves)
    name = model.graph.input[0].name
    with_library = infer(tmp_path, waves, {name: x}, model.graph.output[0].name, "--ops", libraries / "libwave.so")
    by_body = infer(tmp_path, waves, {name: x}, model.graph.output[0].name)
    assert np.abs(with_library - by_body).max() <= 1e-5 * np.abs(by_body).max()
    ok("check", waves, "--ops", libraries / "libwave.so")


def test_a_plan_loads_no_library_by_itself(libraries, waves, tmp_path):
    wave = libraries / "libwave.so"
    ok("build", waves, "--ops", wave, "-o", tmp_path / "net.plan", "-q")
    sentence = refused(5, "run", tmp_path / "net.plan")
    assert "opgraft::Wave" in sentence and "--ops" in sentence
    ok("run", tmp_path / "net.plan", "--ops", wave)
    other, _ = build(tmp_path, "wave", (libraries / "wave.c").read_text().replace("v_tanh(beta * x)", "v_tanh(x * beta)"))
    assert "whose op file was another when the plan was built" in refused(3, "run", tmp_path / "net.plan", "--ops", other)
    assert "is there already" in refused(2, "run", tmp_path / "net.plan", "--ops", wave, "--ops", other)
    ok("run", tmp_path / "net.plan", "--ops", wave, "--ops", wave)


def one_node(path, name, n_inputs, **attributes):
    x = [helper.make_tensor_value_info(f"x{k}", TensorProto.FLOAT, [3, 5]) for k in range(n_inputs)]
    node = helper.make_node(name, [value.name for value in x], ["y"], domain="test.ops", **attributes)
    graph = helper.make_graph([node], "one", x, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("test.ops", 2)]), path)


def test_nodes_of_library_ops(libraries, tmp_path):
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 3, 5)).astype(np.float32)
    two = libraries / "libtwo.so"
    one_node(tmp_path / "blend.onnx", "Blend", 2, share=0.25)
    got = infer(tmp_path, tmp_path / "blend.onnx", {"x0": a, "x1": b}, "y", "--ops", two)
    assert np.allclose(got, a + (b - a) * 0.25, rtol=1e-6, atol=1e-7)
    one_node(tmp_path / "median.onnx", "Median", 1)
    assert (infer(tmp_path, tmp_path / "median.onnx", {"x0": a}, "y", "--ops", two) == np.sort(a)[:, 2]).all()
    assert "--ops" in refused(4, "run", tmp_path / "median.onnx")
    one_node(tmp_path / "range.onnx", "Blend", 2, share=1.5)
    assert "must be in [0, 1]" in refused(3, "run", tmp_path / "range.onnx", "--ops", two)


def test_it_is_found(libraries, waves):
    assert len(ok_json("find", waves, "--op", "Wave", "--ops", libraries / "libwave.so")["matches"]) == 4


# ---- what is no library --------------------------------------------------------------------------------------------

def test_another_abi_is_refused(tmp_path):
    (tmp_path / "old.c").write_text('struct { unsigned abi, n_ops, n_images; const void *ops, *images; const char *version; }\n'
                                    'og_op_library = { 1, 0, 0, 0, 0, "0.0.1" };\n')
    tool("cc", "-shared", "-fPIC", "-o", tmp_path / "old.so", tmp_path / "old.c")
    sentence = refused(4, "run", LENET5[0], "--ops", tmp_path / "old.so")
    assert "version 1 of opgraft/op.h" in sentence and "opgraft op build" in sentence
    (tmp_path / "plain.c").write_text("int x;\n")
    tool("cc", "-shared", "-fPIC", "-o", tmp_path / "plain.so", tmp_path / "plain.c")
    for verb in (("op", "list"), ("op", "test"), ("info",)):
        assert "og_op_library" in refused(3, *verb, tmp_path / "plain.so")
    (tmp_path / "text.so").write_text("no library")
    assert "no library that loads" in refused(3, "op", "list", tmp_path / "text.so")
    assert "there is no such op library" in refused(5, "op", "list", tmp_path / "none.so")


def test_the_kit_is_looked_for_where_one_says(tmp_path):
    (tmp_path / "op.c").write_text(formula())
    env = {**os.environ, "OPGRAFT_HOME": str(tmp_path)}
    done = run("op", "build", "op.c", "-o", "lib.so", cwd=tmp_path, env=env)
    assert done.status == 5 and "OPGRAFT_HOME" in done.err
    env["OPGRAFT_HOME"] = str(BUILD)
    ok("op", "build", "op.c", "-o", "lib.so", "--no-cuda", cwd=tmp_path, env=env)
