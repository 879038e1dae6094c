/* test_tf_read.c -- the reader of TensorFlow's files: graphs written in text form here, files of the real TensorFlow
 * (tests/tensorflow/read), and both damaged. Files are found from the folder of the repository. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "tf/tf_private.h"

#define CASES "tests/tensorflow/read/"

static og_model *holder;
static tf_graph *graph_read;

static void forget(void)
{
	tf_graph_destroy(graph_read);
	graph_model_destroy(holder);
	graph_read = NULL;
	holder = NULL;
}

static int tear_down(void **state)
{
	(void)state;
	forget();
	return 0;
}

static og_status read_bytes(const void *data, size_t n, const tf_options *o)
{
	forget();
	holder = graph_model_create();
	assert_non_null(holder);
	base_fail(OG_OK, "%s", "");
	og_status status = tf_read_memory(&graph_read, holder, data, n, "graph", o);
	assert_true((status == OG_OK) == (graph_read != NULL));
	if (status != OG_OK) assert_true(strlen(base_error()) > 10 && !strchr(base_error(), '\n'));
	return status;
}

static og_status read_text(const char *s) { return read_bytes(s, strlen(s), NULL); }

#define OK(call) do { og_status status_ = (call); if (status_ != OG_OK) fail_msg("%d: %s", status_, base_error()); } while (0)

/* Reading fails with that status and a sentence that has each of the words. */
static void expect(og_status status, const char *s, const char *word, const char *other)
{
	og_status got = read_text(s);
	if (got != status || !strstr(base_error(), word) || !strstr(base_error(), other))
		fail_msg("%d: '%s' does not say '%s' and '%s'", got, base_error(), word, other);
}

/* A node in text form, with inputs and attributes as they are written. */
#define NODE(name, op, more) "node { name: '" name "' op: '" op "' " more " }\n"
#define IN(name) "input: '" name "' "
#define TYPE(key, type) "attr { key: '" key "' value { type: " type " } } "
#define ATTR(key, value) "attr { key: '" key "' value { " value " } } "
#define X NODE("x", "Placeholder", TYPE("dtype", "DT_FLOAT"))
#define VALUE(tensor) X NODE("c", "Const", ATTR("value", "tensor { " tensor " }")) NODE("y", "AddV2", IN("x") IN("c"))

static const og_tensor *constant(const char *name)
{
	const tf_node *n = tf_find(graph_read, name);
	assert_non_null(n);
	const og_tensor *t = tf_constant((tf_value){ n, 0 });
	assert_non_null(t);
	return t;
}

static const og_tensor *value(const char *s)
{
	OK(read_text(s));
	return constant("c");
}

/* Data that lies in a file may be unaligned. */
static float float_at(const og_tensor *t, int64_t k)
{
	float x;
	memcpy(&x, (const uint8_t *)t->data + (size_t)k * sizeof x, sizeof x);
	return x;
}

/* ---- text form ---------------------------------------------------------------------------------- */

static void test_spellings(void **state)
{
	const og_tensor *t = value("# a comment\n" VALUE("dtype: DT_FLOAT tensor_shape < dim: { size: 0x6 }; dim { size: 02, } > , float_val: "
	                           "[1, -2.5e1, inf, -Infinity, nan, 3f] # and more\n float_val: 1.5F float_val: - 4"));
	float f[12];
	(void)state;
	assert_true(t->dtype == OG_F32 && t->rank == 2 && t->dims[0] == 6 && t->dims[1] == 2);
	memcpy(f, t->data, sizeof f);
	assert_true(f[0] == 1 && f[1] == -25 && f[2] == INFINITY && f[3] == -INFINITY && isnan(f[4]) && f[5] == 3 && f[6] == 1.5f);
	for (int k = 7; k < 12; k++) assert_true(f[k] == -4);
	t = value(VALUE("dtype: DT_STRING tensor_shape { dim { size: 3 } } string_val: 'a\\n\\x41\\101\\0' \"b'\" "
	                "string_val: '\\u20ac\\U0001F600' # [x]\n string_val: ''"));
	const base_bytes *s = t->data;
	assert_true(s[0].n == 7 && memcmp(s[0].p, "a\nAA\0b'", 7) == 0);
	assert_true(s[1].n == 7 && memcmp(s[1].p, "\xe2\x82\xac\xf0\x9f\x98\x80", 7) == 0 && s[2].n == 0);
	OK(read_text(X NODE("y", "Relu", IN("x") "unknown: 5 other { a: 'b' c < d: [1, 2] > } [some.ext/x]: { } e: [{}, {f: -inf}] "
	             ATTR("l", "list { i: [1, -2] i: 3 }") ATTR("e", "list { }") ATTR("b", "b: true"))));
	const int64_t *ints;
	const float *floats;
	size_t n = 0;
	bool b = false;
	const tf_node *y = tf_find(graph_read, "y");
	OK(tf_ints(y, "l", &ints, &n));
	assert_true(n == 3 && ints[0] == 1 && ints[1] == -2 && ints[2] == 3);
	OK(tf_floats(y, "e", &floats, &n));
	OK(tf_bool(y, "b", &b));
	assert_true(n == 0 && b);
	assert_int_equal(tf_int(y, "b", &(int64_t){ 0 }), OG_BAD_FILE);
	assert_non_null(strstr(base_error(), "node 'y' (Relu): attribute 'b' is a bool where an integer is expected"));
}

static void test_bad_text(void **state)
{
	(void)state;
	expect(OG_BAD_FILE, "node { name: 'x' ", "line 1, column 18", "the text ends");
	expect(OG_BAD_FILE, "node {\n name 'x' }", "line 2, column 7", "':' or '{'");
	expect(OG_BAD_FILE, "node { name: 'x\n' }", "line 1, column 14", "does not end");
	expect(OG_BAD_FILE, "node { name: 'x' name: 'y' }", "'name' stands there twice", "column 18");
	expect(OG_BAD_FILE, "node { name: x }", "expected a string", "'x'");
	expect(OG_BAD_FILE, "node: 5", "expected '{'", "");
	expect(OG_BAD_FILE, "node { name: ['x'] }", "no list", "");
	expect(OG_BAD_FILE, "node { name: '\\400' }", "one byte", "");
	expect(OG_BAD_FILE, "node { name: '\\q' }", "escape", "");
	expect(OG_BAD_FILE, "node { name: '\\u12' }", "digits", "");
	expect(OG_BAD_FILE, "node { name: { } }", "expected a value", "");
	expect(OG_BAD_FILE, "node } ", "line 1", "':' or '{'");
	expect(OG_BAD_FILE, "node { > ", "'>'", "");
	expect(OG_BAD_FILE, X NODE("y", "A", ATTR("T", "type: DT_NOTHING")), "DataType", "line 2");
	expect(OG_BAD_FILE, X NODE("y", "A", ATTR("i", "i: 1.5")), "'1.5' is not an integer", "");
	expect(OG_BAD_FILE, X NODE("y", "A", ATTR("i", "i: 99999999999999999999")), "64 bits", "");
	expect(OG_BAD_FILE, X NODE("y", "A", ATTR("f", "f: 1.5.2")), "not a number", "");
	expect(OG_BAD_FILE, X NODE("y", "A", ATTR("b", "b: 2")), "true or false", "");
	expect(OG_BAD_FILE, X NODE("y", "A", ATTR("l", "list { i: [1 2] }")), "',' or ']'", "");
	expect(OG_BAD_FILE, "a { b { c: \xe9 } }", "byte 0xe9", "");
	char deep[1024] = "";
	for (int k = 0; k < 120; k++) strcat(deep, "a { ");
	expect(OG_BAD_FILE, deep, "nested", "100");
}

/* ---- tensors ------------------------------------------------------------------------------------ */

static void test_tensors(void **state)
{
	(void)state;
	const og_tensor *t = value(VALUE("dtype: DT_INT64 tensor_shape { dim { size: 2 } } tensor_content: '\\1\\0\\0\\0\\0\\0\\0\\0\\377\\377"
	                                 "\\377\\377\\377\\377\\377\\377'"));
	assert_true(graph_tensor_int(t, 0) == 1 && graph_tensor_int(t, 1) == -1);
	t = value(VALUE("dtype: DT_QINT8 tensor_shape { dim { size: 3 } } int_val: [-5, 7]"));
	assert_true(t->dtype == OG_I8 && memcmp(t->data, "\xfb\7\7", 3) == 0);
	t = value(VALUE("dtype: DT_COMPLEX64 tensor_shape { dim { size: 2 } } scomplex_val: [1, 2]"));
	assert_true(t->dtype == OG_C64 && float_at(t, 3) == 2);
	t = value(VALUE("dtype: DT_FLOAT_REF"));
	assert_true(t->dtype == OG_F32 && t->rank == 0 && float_at(t, 0) == 0);
	OK(read_text(VALUE("dtype: DT_RESOURCE")));
	assert_null(tf_constant((tf_value){ tf_find(graph_read, "c"), 0 }));
#define SHAPE(n) "tensor_shape { dim { size: " n " } } "
	expect(OG_BAD_FILE, VALUE("dtype: DT_FLOAT " SHAPE("2") "tensor_content: 'abcd'"), "tensor_content has 4 bytes", "needs 8");
	expect(OG_BAD_FILE, VALUE("dtype: DT_FLOAT " SHAPE("1") "float_val: [1, 2]"), "node 'c' (Const): attribute 'value': it holds 2",
	       "room for 1");
	expect(OG_BAD_FILE, VALUE("dtype: DT_FLOAT " SHAPE("-1")), "dimensions", "");
	expect(OG_BAD_FILE, VALUE("dtype: DT_FLOAT tensor_shape { dim { size: 4611686018427387904 } dim { size: 4 } }"), "overflow", "");
	expect(OG_BAD_FILE, VALUE("dtype: DT_FLOAT tensor_shape { unknown_rank: true }"), "unknown shape", "");
	expect(OG_BAD_FILE, VALUE("dtype: DT_STRING tensor_content: 'a'"), "strings", "");
	expect(OG_BAD_FILE, VALUE("dtype: DT_COMPLEX64 scomplex_val: 1"), "half", "");
	expect(OG_UNSUPPORTED, VALUE("dtype: DT_FLOAT " SHAPE("1000000000000") "float_val: 1"), "repeated", "MiB");
	expect(OG_UNSUPPORTED, VALUE("dtype: DT_FLOAT tensor_shape { dim: [{}, {}, {}, {}, {}, {}, {}, {}, {}] }"), "9 dimensions", "");
}

/* ---- graphs ------------------------------------------------------------------------------------- */

static void test_bad_graphs(void **state)
{
	(void)state;
	expect(OG_BAD_FILE, X X, "two nodes", "'x'");
	expect(OG_BAD_FILE, X NODE("y", "Relu", IN("z")), "node 'y': its input 'z' is no node", "");
	expect(OG_BAD_FILE, X NODE("y", "Relu", IN("x:a")), "'x:a' names no output", "");
	expect(OG_BAD_FILE, X "node { name: 'y' }", "no op", "'y'");
	expect(OG_BAD_FILE, X "node { op: 'y' }", "node 1: it has no name", "");
	expect(OG_BAD_FILE, X NODE("a", "Add", IN("x") IN("b")) NODE("b", "Relu", IN("a")) NODE("y", "Neg", IN("b")), "cycle", "needs its own");
	expect(OG_UNSUPPORTED, X NODE("a", "Merge", IN("x") IN("b")) NODE("b", "NextIteration", IN("a")) NODE("y", "Exit", IN("a")), "loop",
	       "'b' (NextIteration)");
	expect(OG_BAD_FILE, X, "name the outputs", "");
	expect(OG_BAD_FILE, X NODE("v", "VariableV2", "") NODE("y", "Add", IN("x") IN("v")), "'v' (VariableV2)", "freeze");
	expect(OG_BAD_FILE, X NODE("y", "PartitionedCall", IN("x") ATTR("f", "func { name: 'f' }")), "'f', which is not in the file", "");
	expect(OG_BAD_FILE, X NODE("y", "PartitionedCall", IN("x")), "which function", "");
	expect(OG_BAD_FILE, X NODE("y", "A", IN("x") TYPE("T", "1") TYPE("T", "1")), "twice", "'T'");
}

#define ARGS(args, outs) "signature { name: 'f' " args outs " } "
#define ARG_IN(name) "input_arg { name: '" name "' } "
#define ARG_OUT(name) "output_arg { name: '" name "' } "
#define RET(name, is) "ret { key: '" name "' value: '" is "' } "
#define DEF(name, op, more) "node_def { name: '" name "' op: '" op "' " more " } "
#define LIBRARY(body) "library { function { " body " } } "
#define CALL(name, more) NODE(name, "f", IN("x") more)

static void test_functions(void **state)
{
	(void)state;
	/* attributes of the caller, a control input, an argument that is returned, calls twice and in each other */
	OK(read_text(X LIBRARY(ARGS(ARG_IN("a"), ARG_OUT("p") ARG_OUT("q")) RET("q", "r:activations:0") RET("p", "a")
	             DEF("r", "LeakyRelu", IN("a") IN("^s") "attr { key: 'alpha' value { placeholder: 'k' } } ") DEF("s", "Neg", IN("a")))
	             CALL("one", ATTR("k", "f: 0.25")) NODE("two", "PartitionedCall", IN("one:1")
	             ATTR("f", "func { name: 'f' attr { key: 'k' value { f: 4 } } }")) NODE("y", "Sub", IN("two:1") IN("two"))));
	float alpha = 0;
	const tf_node *y = tf_find(graph_read, "y"), *inner = tf_find(graph_read, "two/r");
	assert_int_equal(graph_read->n_nodes, 4);
	OK(tf_float(inner, "alpha", &alpha));
	assert_true(alpha == 4 && y->in[0].node == inner && y->in[1].node == tf_find(graph_read, "one/r"));
	OK(tf_float(y->in[1].node, "alpha", &alpha));
	assert_true(alpha == 0.25f);
	/* a node of the main graph may already have the name of an inner one */
	OK(read_text(X LIBRARY(ARGS(ARG_IN("a"), ARG_OUT("p")) RET("p", "r:y") DEF("r", "Relu", IN("a"))) CALL("one", "")
	             NODE("one/r", "Neg", IN("x")) NODE("y", "Add", IN("one/r") IN("one"))));
	assert_string_equal(tf_find(graph_read, "y")->in[0].node->op, "Neg");
	assert_string_equal(tf_find(graph_read, "y")->in[1].node->name, "one/r_1");

	expect(OG_BAD_FILE, X LIBRARY(ARGS(ARG_IN("a"), ARG_OUT("p")) RET("p", "r:p") DEF("r", "f", IN("a"))) CALL("y", ""), "circle", "");
	expect(OG_BAD_FILE, X LIBRARY(ARGS(ARG_IN("a") ARG_IN("b"), ARG_OUT("p")) RET("p", "a")) CALL("y", ""), "2 inputs, with 1", "'y' (f)");
	expect(OG_BAD_FILE, X LIBRARY(ARGS(ARG_IN("a"), ARG_OUT("p"))) CALL("y", ""), "function 'f'", "returns as 'p'");
	expect(OG_BAD_FILE, X LIBRARY(ARGS(ARG_IN("a"), ARG_OUT("p")) RET("p", "b:0")) CALL("y", ""), "'b:0' is no node of the function", "");
	expect(OG_BAD_FILE, X LIBRARY(ARGS(ARG_IN("a"), ARG_OUT("p")) RET("p", "a")) CALL("z", "") NODE("y", "Relu", IN("z:1")), "output 1 of 'z'",
	       "which has 1");
	expect(OG_BAD_FILE, X LIBRARY(ARGS(ARG_IN("a"), ARG_OUT("p")) RET("p", "r:z:0") DEF("r", "TopKV2", IN("a") IN("a"))) CALL("y", ""),
	       "'z:0'", "TopKV2");
	expect(OG_BAD_FILE, X LIBRARY(ARGS(ARG_IN("a"), ARG_OUT("p")) RET("p", "r:y:0") DEF("r", "Relu", IN("a")
	       "attr { key: 'T' value { placeholder: 'T' } } ")) CALL("y", ""), "node 'y/r' (Relu): attribute 'T'", "caller's 'T'");
	expect(OG_UNSUPPORTED, X LIBRARY(ARGS(ARG_IN("a"), ARG_OUT("p") ARG_OUT("q")) RET("p", "r:u:0") RET("q", "r:v:0")
	       DEF("r", "Unheard", IN("a"))) CALL("y", ""), "more than one output", "Unheard");
	expect(OG_UNSUPPORTED, X LIBRARY(ARGS("input_arg { name: 'a' number_attr: 'N' } ", ARG_OUT("p")) RET("p", "a")) CALL("y", ""), "list", "");
}

/* Each function calls the one before it twice: 2^40 nodes are refused in a moment. */
static void test_functions_that_grow(void **state)
{
	text t = { 0 };
	(void)state;
	text_add(&t, X "library {");
	for (int k = 0; k < 40; k++)
		text_printf(&t, "function { signature { name: 'f%d' " ARG_IN("a") ARG_OUT("p") "} " RET("p", "v:p")
		            DEF("u", "f%d", IN("a")) DEF("v", "f%d", IN("u:p")) "}", k, k - 1, k - 1);
	text_add(&t, "function { signature { name: 'f-1' " ARG_IN("a") ARG_OUT("p") "} " RET("p", "a") "} }" NODE("y", "f39", IN("x")));
	expect(OG_UNSUPPORTED, t.data, "all calls of functions replaced", "");
	text_free(&t);
}

static void test_inputs(void **state)
{
	const char *s = X NODE("d", "PlaceholderWithDefault", IN("x") TYPE("dtype", "DT_FLOAT")) NODE("y", "Relu", IN("d")) NODE("z", "Neg", IN("y"));
	const char *d = "d", *y = "y", *outs[] = { "z", "y:0" };
	(void)state;
	OK(read_text(s));
	assert_string_equal(tf_find(graph_read, "d")->op, "Identity");
	assert_int_equal(graph_read->n_inputs, 1);
	OK(read_bytes(s, strlen(s), &(tf_options){ .inputs = &d, .n_inputs = 1, .outputs = outs, .n_outputs = 2 }));
	assert_true(graph_read->n_inputs == 1 && graph_read->n_outputs == 2 && graph_read->n_nodes == 3);
	assert_true(graph_read->inputs[0].dtype == OG_F32 && graph_read->inputs[0].shape.rank == -1);
	assert_string_equal(graph_read->inputs[0].value.node->op, "Placeholder");
	assert_string_equal(graph_read->outputs[1].name, "y:0");
	OK(read_bytes(s, strlen(s), &(tf_options){ .inputs = &d, .n_inputs = 1, .outputs = &d, .n_outputs = 1 }));
	assert_true(graph_read->n_nodes == 1 && graph_read->outputs[0].value.node == graph_read->inputs[0].value.node);
	OK(read_bytes(s, strlen(s), &(tf_options){ .inputs = &y, .n_inputs = 1 }));
	assert_true(graph_read->n_nodes == 2 && graph_read->outputs[0].value.node == tf_find(graph_read, "z"));
}

#define CONDITION(is) NODE("c", "Const", ATTR("value", "tensor { dtype: DT_BOOL bool_val: " is " }")) \
	NODE("learning", "PlaceholderWithDefault", IN("c")) NODE("pred", "Identity", IN("learning"))
#define BRANCHES NODE("s", "Switch", IN("x") IN("pred")) NODE("no", "Neg", IN("s")) NODE("yes", "Exp", IN("s:1")) \
	NODE("m", "Merge", IN("no") IN("yes")) NODE("y", "Relu", IN("m"))

static void test_conditions(void **state)
{
	(void)state;
	for (int yes = 0; yes < 2; yes++) {
		OK(read_text(yes ? X CONDITION("true") BRANCHES : X CONDITION("false") BRANCHES));
		const tf_node *y = tf_find(graph_read, "y"), *m = y->in[0].node, *taken = m->in[0].node;
		assert_int_equal(graph_read->n_nodes, 5);
		assert_string_equal(m->op, "Identity");
		assert_string_equal(taken->op, yes ? "Exp" : "Neg");
		assert_string_equal(taken->in[0].node->op, "Identity");
		assert_true(taken->in[0].output == 0 && m->n_in == 1 && taken->in[0].node->n_in == 1);
	}
	/* an output that is a Switch's own; one that has no value; a condition that is not known */
	const char *s = X CONDITION("true") BRANCHES, *outs[] = { "s:1", "s:0" };
	OK(read_bytes(s, strlen(s), &(tf_options){ .outputs = outs, .n_outputs = 1 }));
	assert_true(graph_read->outputs[0].value.output == 0 && graph_read->n_nodes == 2);
	assert_int_equal(read_bytes(s, strlen(s), &(tf_options){ .outputs = outs + 1, .n_outputs = 1 }), OG_BAD_FILE);
	assert_non_null(strstr(base_error(), "'s:0' has never a value"));
	OK(read_text(X NODE("pred", "Placeholder", TYPE("dtype", "DT_BOOL")) BRANCHES));
	assert_string_equal(tf_find(graph_read, "m")->op, "Merge");
}

/* ---- checkpoints -------------------------------------------------------------------------------- */

static void test_checksum(void **state)
{
	tf_crc crc;
	(void)state;
	tf_crc_prepare(&crc);
	assert_true(tf_crc32c(&crc, (base_bytes){ (const uint8_t *)"123456789", 9 }) == 0xe3069283u);
	assert_true(tf_crc32c(&crc, (base_bytes){ (const uint8_t *)"123456789abcdefghijk" + 9, 0 }) == 0);
}

/* Parts of a variable that is kept in three, by places that are not those of the parts. */
static void test_parts(void **state)
{
	static const struct { const char *slice; int64_t from, rows, column, columns; } cases[] = {
		{ "", 0, 200, 0, 3 }, { "200 3 -:-", 0, 200, 0, 3 }, { "200 3 67,67:-", 67, 67, 0, 3 }, { "200 3 60,20:-", 60, 20, 0, 3 },
		{ "200 3 130,70:1,2", 130, 70, 1, 2 }, { "200 3 -:2,1", 0, 200, 2, 1 }, { "200 3 5,0:-", 5, 0, 0, 3 },
	};
	static const char *const bad[] = { "200 3 190,20:-", "200 3 -", "200 3 a:b", "200 3 -5,2:-", "200 3 0,3;-", "200 3 -:-:-" };
	og_tensor t, all;
	tf_bundle *b;
	tf_graph g = { .a = arena_create() };
	tf_reader r = { .g = &g, .holder = graph_model_create(), .temporary = arena_create() };
	(void)state;
	assert_true(g.a && r.holder && r.temporary);
	OK(tf_bundle_open(&b, &r, CASES "variables_ref/variables/variables"));
	OK(tf_bundle_read(b, &all, "table", ""));
	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		OK(tf_bundle_read(b, &t, "table", cases[k].slice));
		assert_true(t.rank == 2 && t.dims[0] == cases[k].rows && t.dims[1] == cases[k].columns);
		for (int64_t i = 0; i < cases[k].rows; i++)
			for (int64_t j = 0; j < cases[k].columns; j++)
				assert_true(float_at(&t, i * cases[k].columns + j) == float_at(&all, (cases[k].from + i) * 3 + cases[k].column + j));
	}
	OK(tf_bundle_read(b, &t, "layer/w", "4 3 1,2:-"));       /* a part of what is kept whole */
	assert_true(t.dims[0] == 2 && t.dims[1] == 3);
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) assert_int_equal(tf_bundle_read(b, &t, "table", bad[k]), OG_BAD_FILE);
	assert_int_equal(tf_bundle_read(b, &t, "tables", ""), OG_NO);
	assert_int_equal(tf_bundle_read(b, &t, "", ""), OG_NO);
	tf_bundle_close(b);
	graph_model_destroy(r.holder);
	arena_destroy(r.temporary);
	arena_destroy(g.a);
}

/* ---- damage ------------------------------------------------------------------------------------- */

/* Reads from memory of just that size, so that a sanitizer sees each byte read beside it. */
static og_status try_copy(const uint8_t *p, size_t n, tf_message message)
{
	uint8_t *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, p, n);
	forget();
	holder = graph_model_create();
	base_fail(OG_OK, "%s", "");
	og_status status = tf_read_bytes(&graph_read, holder, "graph", (base_bytes){ copy, n }, message, NULL, NULL);
	assert_true((status == OG_OK) == (graph_read != NULL));
	if (status != OG_OK) assert_true(strlen(base_error()) > 10 && !strchr(base_error(), '\n'));
	assert_true(status == OG_OK || status == OG_BAD_FILE || status == OG_UNSUPPORTED || status == OG_MISSING);
	forget();
	free(copy);
	return status;
}

static const struct { const char *path; tf_message message; size_t stride; } files[] = {
	{ CASES "frozen.pb", TF_M_GRAPH, 1 }, { CASES "library.pb", TF_M_GRAPH, 1 }, { CASES "frozen.pbtxt", TF_M_GRAPH, 11 },
	{ CASES "functions/saved_model.pb", TF_M_SAVED_MODEL, 13 },
};

static void test_damage(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x08, 0x80, 0xff };
	(void)state;
	for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
		file_map file;
		OK(file_open(&file, files[k].path));
		uint8_t *p = malloc(file.size);
		assert_non_null(p);
		memcpy(p, file.data, file.size);
		for (size_t i = 0; i < file.size; i += files[k].stride) {
			try_copy(p, i, files[k].message);
			for (size_t f = 0; f < sizeof flips; f++) {
				p[i] ^= flips[f];
				try_copy(p, file.size, files[k].message);
				p[i] ^= flips[f];
			}
		}
		free(p);
		file_close(&file);
	}
}

static void test_every_allocation_failing(void **state)
{
	static const char *const paths[] = {
		CASES "frozen.pb", CASES "frozen.pbtxt", CASES "functions", CASES "variables_ref", CASES "keras", CASES "checkpoint/model.meta",
	};
	(void)state;
	for (size_t k = 0; k < sizeof paths / sizeof *paths; k++) {
		og_status status = OG_NO_MEMORY;
		for (uint64_t n = 1; status != OG_OK; n++) {
			forget();
			holder = graph_model_create();
			assert_non_null(holder);
			base_fail_allocation(n);
			status = tf_read(&graph_read, holder, paths[k], NULL);
			base_fail_allocation(0);
			if (status != OG_OK && status != OG_NO_MEMORY) fail_msg("%s: allocation %llu: %s", paths[k], (unsigned long long)n, base_error());
			assert_true(n < 2000 && (status == OG_OK) == (graph_read != NULL));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings), cmocka_unit_test(test_bad_text), cmocka_unit_test(test_tensors),
		cmocka_unit_test(test_bad_graphs), cmocka_unit_test(test_functions), cmocka_unit_test(test_functions_that_grow),
		cmocka_unit_test(test_inputs), cmocka_unit_test(test_conditions), cmocka_unit_test(test_checksum), cmocka_unit_test(test_parts), cmocka_unit_test(test_damage),
		cmocka_unit_test(test_every_allocation_failing),
	};
	return cmocka_run_group_tests(tests, NULL, tear_down);
}
