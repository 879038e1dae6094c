/* test_schema.c -- the table of ops, declarations, attributes, shape inference and the plain interpreter, on small
 * graphs of built-in ops and of ops defined here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "schema/schema.h"

/* ---- ops of the domain "test" --------------------------------------------------------------- */

static void mix_ref(size_t n, void *yp, const void *const *x, const float *attr)
{
	const double *a = x[0], *b = x[1];
	double *y = yp;
	for (size_t i = 0; i < n; i++) y[i] = a[i] + (double)attr[0] * b[i];
}

static void mix_i32(size_t n, void *yp, const void *const *x, const float *attr)
{
	const int32_t *a = x[0], *b = x[1];
	int32_t *y = yp;
	for (size_t i = 0; i < n; i++) y[i] = a[i] + (int32_t)attr[0] * b[i];
}

static og_map_fn *const mix_other[OG_DTYPE_COUNT] = { [OG_I32] = mix_i32 };

static const og_attr mix_attrs[] = {
	OG_RANGE("scale", 1.0, -4.0, 4.0), OG_ENUM("mode", "soft|hard", 1), OG_INTS("list"), OG_STR("word"),
	{ .name = "must", .type = OG_ATTR_INT, .required = 1 }, { .name = NULL },
};

/* a + scale * b, b 10 where it is left out. i64 has no form of its own and goes through double. */
static const og_op op_mix = {
	.abi = OG_OP_ABI, .name = "Mix", .domain = "test", .since = 1, .inputs = "a:T, b:T?=10", .outputs = "y:T",
	.types = "T=f32 f64 f16 bf16 i32 i64", .map_inputs = 2, .map_attrs = 1, .ref = mix_ref, .other = mix_other,
	.attrs = mix_attrs,
};
static const og_op op_mix_3 = {
	.abi = OG_OP_ABI, .name = "Mix", .domain = "test", .since = 3, .inputs = "a, b", .outputs = "y", .ref = mix_ref,
	.map_inputs = 2,
};

static void positive_ref(size_t n, void *yp, const void *const *x, const float *attr)
{
	const double *a = x[0];
	uint8_t *y = yp;
	(void)attr;
	for (size_t i = 0; i < n; i++) y[i] = a[i] > 0;
}

static const og_op op_positive = {
	.abi = OG_OP_ABI, .name = "Positive", .domain = "test", .since = 1, .inputs = "x:T", .outputs = "y:bool",
	.types = "T=f32 f16", .map_inputs = 1, .ref = positive_ref,
};

/* The positive elements: the shape depends on the data. */
static og_status pick_shape(og_infer *c)
{
	c->out[0].rank = 1;
	c->out[0].dims[0] = og_dim_do(c, OG_DIM_UNKNOWN, 0, 0);
	const og_tensor *x = c->in[0].value;
	if (!x) return OG_OK;
	c->out[0].dims[0] = 0;
	for (int64_t k = 0; k < og_count(x); k++) c->out[0].dims[0] += ((float *)x->data)[k] > 0;
	return OG_OK;
}

static og_status pick_eval(const og_call *c)
{
	float *y = c->out[0]->data, *sum = c->workspace;
	sum[0] = 0;
	for (int64_t k = 0; k < og_count(c->in[0]); k++) {
		float x = ((float *)c->in[0]->data)[k];
		if (x == 13) return (c->host->fail)(OG_UNSUPPORTED, "13 is refused");
		if (x > 0) *y++ = x, sum[0] += x;
	}
	if (c->out[1]) *(float *)c->out[1]->data = sum[0];
	return OG_OK;
}

static og_status pick_both(og_infer *c)
{
	c->out[1].rank = 0;
	return pick_shape(c);
}

static size_t pick_workspace(const og_call *c) { return (void)c, sizeof(float); }

static const og_op op_pick = {
	.abi = OG_OP_ABI, .name = "Pick", .domain = "test", .since = 1, .inputs = "x:T", .outputs = "y:T, sum:f32?",
	.types = "T=f32", .shape = pick_both, .eval = pick_eval, .workspace = pick_workspace,
};

static const og_op *const test_ops[] = { &op_mix, &op_mix_3, &op_positive, &op_pick };

static int add_test_ops(void **state)
{
	(void)state;
	return schema_add(test_ops, 4, "test_schema.c") == OG_OK ? 0 : -1;
}

/* ---- building ------------------------------------------------------------------------------- */

static og_model *start(void)
{
	og_model *m = graph_model_create();
	assert_non_null(m);
	assert_int_equal(graph_opset_require(m, "", 17), OG_OK);
	assert_int_equal(graph_opset_require(m, "test", 1), OG_OK);
	assert_int_equal(graph_opset_require(m, OG_DOMAIN, 1), OG_OK);
	return m;
}

static graph_value *value(graph *g, const char *name)
{
	graph_value *v = graph_value_lookup(g, name);
	if (!v) assert_int_equal(graph_value_add(&v, g, name, OG_NONE, -1, NULL), OG_OK);
	return v;
}

static graph_value *input(graph *g, const char *name, og_dtype dtype, int rank, const og_dim *dims)
{
	graph_value *v;
	assert_int_equal(graph_value_add(&v, g, name, dtype, rank, dims), OG_OK);
	assert_int_equal(graph_input_add(g, v), OG_OK);
	return v;
}

static void output(graph *g, const char *name) { assert_int_equal(graph_output_add(g, value(g, name)), OG_OK); }

static void constant(graph *g, const char *name, og_dtype dtype, int rank, const int64_t *dims, const void *data)
{
	graph_value *v;
	og_tensor *t = graph_tensor_new(g->model->a, dtype, rank, dims);
	memcpy(t->data, data, base_dtype_span(dtype, (uint64_t)og_count(t)));
	assert_int_equal(graph_constant_add(&v, g, name, t), OG_OK);
}

static int count_words(const char *s)
{
	int n = 0;
	for (; *s; s++) n += *s != ' ' && (s[1] == ' ' || !s[1]);
	return n;
}

/* "domain::Type" on values by name, separated by spaces; "-": absent. */
static graph_node *node(graph *g, const char *type, const char *ins, const char *outs)
{
	char domain[32] = "", word[32];
	const char *colons = strstr(type, "::");
	graph_node *n;
	if (colons) snprintf(domain, sizeof domain, "%.*s", (int)(colons - type), type);
	assert_int_equal(graph_node_add(&n, g, NULL, domain, colons ? colons + 2 : type, "", count_words(ins),
	                                count_words(outs)), OG_OK);
	for (int k = 0, at; sscanf(ins, "%31s%n", word, &at) == 1; ins += at, k++)
		if (strcmp(word, "-") != 0) assert_int_equal(graph_set_input(n, k, value(g, word)), OG_OK);
	for (int k = 0, at; sscanf(outs, "%31s%n", word, &at) == 1; outs += at, k++)
		if (strcmp(word, "-") != 0) assert_int_equal(graph_set_output(n, k, value(g, word)), OG_OK);
	return n;
}

static graph_node *mix(graph *g, const char *ins, const char *outs)
{
	graph_node *n = node(g, "test::Mix", ins, outs);
	assert_int_equal(graph_attr_set_int(n, "must", 1), OG_OK);
	return n;
}

static void says(const char *words)
{
	if (!strstr(base_error(), words)) fail_msg("'%s' does not say '%s'", base_error(), words);
}

static void has_type(const graph *g, const char *name, const char *type)
{
	const graph_value *v = graph_value_find(g, name);
	text t = { 0 };
	graph_print_type(&t, g->model, v->dtype, v->rank, v->dims);
	char *s = text_take(&t);
	if (strcmp(s, type) != 0) fail_msg("%s is %s, not %s", name, s, type);
	base_free(s);
}

static void infer(og_model *m)
{
	schema_resolve(m);
	if (schema_infer(m->main) != OG_OK) fail_msg("%s", base_error());
	assert_int_equal(graph_verify(m), OG_OK);
}

static og_status count_values(void *arg, const graph_value *v, const og_tensor *t)
{
	assert_non_null(v);
	assert_non_null(t);
	++*(int *)arg;
	return OG_OK;
}

/* Runs a graph with up to four inputs and outputs. */
static void run(og_model *m, arena *a, og_tensor **out, const og_tensor *x, const og_tensor *y)
{
	const og_tensor *in[4] = { x, y };
	int made = 0;
	schema_resolve(m);
	if (schema_run_graph(m->main, in, out, a, NULL, count_values, &made) != OG_OK) fail_msg("%s", base_error());
	assert_true(made >= (int)m->main->n_nodes);
}

static void is_f32(const og_tensor *t, int64_t n, const float *expected)
{
	assert_int_equal(t->dtype, OG_F32);
	assert_int_equal(og_count(t), n);
	for (int64_t k = 0; k < n; k++) {
		double difference = fabs((double)((float *)t->data)[k] - (double)expected[k]);
		if (!(difference < 1e-5)) fail_msg("element %d is %g, not %g", (int)k, (double)((float *)t->data)[k],
		                                   (double)expected[k]);
	}
}

/* ---- the table ------------------------------------------------------------------------------ */

static void test_table(void **state)
{
	(void)state;
	assert_true(schema_count() >= 4);
	for (size_t k = 0; k + 1 < schema_count(); k++) {
		const og_op *a = schema_at(k), *b = schema_at(k + 1);
		int order = strcmp(schema_domain(a), schema_domain(b));
		if (order == 0) order = strcmp(a->name, b->name);
		assert_true(order < 0 || (order == 0 && a->since < b->since));
	}
	assert_null(schema_at(schema_count()));
	assert_ptr_equal(schema_find("test", "Mix", 2), &op_mix);
	assert_ptr_equal(schema_find("test", "Mix", 3), &op_mix_3);
	assert_ptr_equal(schema_find("test", "Mix", 99), &op_mix_3);
	assert_null(schema_find("test", "Mix", 0));
	assert_null(schema_find("test", "Mi", 1));
	assert_null(schema_find("", "Mix", 1));
	assert_non_null(schema_find("ai.onnx", "Relu", 17));
	assert_ptr_equal(schema_find(NULL, "Relu", 17), schema_find("", "Relu", 17));
	assert_ptr_equal(schema_find_any("Mix"), &op_mix_3);
	assert_ptr_equal(schema_find_any("test::Mix"), &op_mix_3);
	assert_ptr_equal(schema_find_any("ai.onnx::Relu"), schema_find("", "Relu", INT64_MAX));
	assert_null(schema_find_any("Nothing"));
	size_t before = schema_count();
	assert_int_equal(schema_add(test_ops, 4, "again"), OG_OK);
	assert_int_equal(schema_count(), before);
}

/* Every declaration reads, and an op that is to be run has a definition. */
static void test_built_in_declarations(void **state)
{
	(void)state;
	for (size_t k = 0; k < schema_count(); k++) {
		const og_op *op = schema_at(k);
		bool has_body = op->attrs && op->attrs[0].name && op->attrs[0].type == OG_ATTR_GRAPH;
		if (!has_body && schema_declared(op) != OG_OK) fail_msg("%s", base_error());
		assert_true(op->map_attrs <= OG_MAX_MAP_ATTRS && op->map_inputs <= OG_MAX_IN);
	}
}

static void refused(const og_op *op, og_status status, const char *words)
{
	assert_int_equal(schema_add(&op, 1, "lib.so"), status);
	says("lib.so");
	says(words);
}

static void test_bad_ops(void **state)
{
	(void)state;
	static const char *const wrong[] = { "x:", "x:f32 y", ":T", "x...,y", "x=", "x:T,", "x:Q", "x:P", "x:Z" };
	og_op op = op_positive;
	op.name = "Other";
	op.types = "Q=f32 f33; P=";
	for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
		op.inputs = wrong[k];
		refused(&op, OG_BAD_FILE, "op Other");
	}
	op = op_positive;
	op.abi = 77;
	refused(&op, OG_UNSUPPORTED, "version 77");
	op = op_positive;
	refused(&op, OG_USAGE, "there already");
	op.name = "Nothing";
	op.ref = NULL;
	refused(&op, OG_BAD_FILE, "neither");
	op = op_mix;
	op.name = "Odd";
	op.map_inputs = 3;
	refused(&op, OG_BAD_FILE, "takes 3 inputs in MAP, and .inputs lists 2");
	og_attr attrs[] = { OG_RANGE("scale", 9.0, -4.0, 4.0), { .name = NULL } };
	op = op_mix;
	op.name = "Odd";
	op.attrs = attrs;
	refused(&op, OG_BAD_FILE, "must be in [-4, 4]");
	attrs[0] = (og_attr)OG_FLOAT("a", 0);
	refused(&op, OG_BAD_FILE, "an argument and an attribute are both called 'a'");
}

static void test_declarations(void **state)
{
	(void)state;
	schema_args in, out;
	og_op op = { .name = "X", .inputs = "data, lo:T?=-inf, axes:i64?!, other:T2, rest:T...",
	             .outputs = "y:T2, z:bool, w", .types = "T=f32 f64; T2=i8" };
	assert_int_equal(schema_inputs(&in, &op), OG_OK);
	assert_int_equal(schema_outputs(&out, &op), OG_OK);
	assert_int_equal(in.n, 5);
	assert_string_equal(in.arg[1].name, "lo");
	assert_int_equal(in.arg[0].types, 1 << OG_F32 | 1 << OG_F64);
	assert_int_equal(in.arg[0].variable, in.arg[4].variable);
	assert_int_equal(in.arg[3].variable, out.arg[0].variable);
	assert_true(in.arg[0].variable != in.arg[3].variable);
	assert_int_equal(out.arg[2].variable, in.arg[0].variable);
	assert_true(in.arg[1].optional && in.arg[1].has_default && isinf(in.arg[1].value) && in.arg[1].value < 0);
	assert_true(in.arg[2].optional && in.arg[2].value_needed && in.arg[2].variable == -1);
	assert_int_equal(in.arg[2].types, 1 << OG_I64);
	assert_true(in.arg[4].variadic && !in.arg[4].optional);
	assert_int_equal(out.arg[1].types, 1 << OG_BOOL);
	op.types = NULL;
	op.inputs = "";
	assert_int_equal(schema_inputs(&in, &op), OG_OK);
	assert_int_equal(in.n, 0);
	assert_int_equal(schema_outputs(&out, &op), OG_OK);
	assert_true(out.arg[0].types >> OG_STRING & 1 && out.arg[0].types >> OG_I2 & 1 && !(out.arg[0].types & 1));
}

static void test_resolve(void **state)
{
	(void)state;
	og_model *m = start();
	graph_node *n = mix(m->main, "a b", "y"), *unknown = node(m->main, "other::Mix", "y", "z");
	graph_node *relu = node(m->main, "ai.onnx::Relu", "z", "w");
	schema_resolve(m);
	assert_ptr_equal(n->op, &op_mix);
	assert_null(unknown->op);
	assert_non_null(relu->op);
	assert_int_equal(graph_opset_require(m, "test", 5), OG_OK);
	graph_node *later = mix(m->main, "a b", "u");
	schema_resolve(m);
	assert_ptr_equal(n->op, &op_mix);    /* an op once found stays */
	assert_ptr_equal(later->op, &op_mix_3);
	graph_model_destroy(m);
}

/* ---- attributes ----------------------------------------------------------------------------- */

static void bad_attribute(graph_node *n, arena *a, const char *words)
{
	const og_attr_value *v;
	assert_int_equal(schema_attributes(&v, a, n), OG_BAD_FILE);
	says("'y' (test::Mix)");
	says(words);
}

static void test_attributes(void **state)
{
	(void)state;
	arena *a = arena_create();
	og_model *m = start();
	const og_attr_value *v;
	graph_node *n = node(m->main, "test::Mix", "a b", "y");
	schema_resolve(m);
	bad_attribute(n, a, "'must' is missing");
	graph_attr_set_int(n, "must", 7);
	assert_int_equal(schema_attributes(&v, a, n), OG_OK);
	assert_true(!v[0].present && v[0].f == 1 && !v[1].present && v[1].i == 1 && v[2].n == 0 && !v[2].ints);
	assert_true(v[4].present && v[4].i == 7 && v[4].f == 7);
	graph_attr_set_float(n, "scale", -4);
	graph_attr_set_string(n, "mode", "soft");
	graph_attr_set_ints(n, "list", (int64_t[]){ 4, 5 }, 2);
	graph_attr_set_string(n, "word", "hello");
	graph_attr_set_string(n, "plugin_namespace", "");
	assert_int_equal(schema_attributes(&v, a, n), OG_OK);
	assert_true(v[0].present && v[0].f == -4 && v[1].present && v[1].i == 0 && v[1].f == 0);
	assert_true(v[2].n == 2 && v[2].ints[1] == 5 && v[3].n == 5);
	assert_string_equal(v[3].s, "hello");
	graph_attr_set_float(n, "scale", 4.5f);
	bad_attribute(n, a, "4.5, but must be in [-4, 4]");
	graph_attr_set_float(n, "scale", NAN);
	bad_attribute(n, a, "'scale'");
	graph_attr_set_int(n, "scale", 1);
	bad_attribute(n, a, "'scale' is of the wrong type");
	graph_attr_remove(n, "scale");
	graph_attr_set_string(n, "mode", "sof");
	bad_attribute(n, a, "must be one of soft|hard");
	graph_attr_remove(n, "mode");
	graph_attr_set_int(n, "scales", 1);
	bad_attribute(n, a, "no attribute 'scales'");
	graph_model_destroy(m);
	arena_destroy(a);
}

/* ---- inference ------------------------------------------------------------------------------ */

static void test_infer_broadcast(void **state)
{
	(void)state;
	og_model *m = start();
	graph *g = m->main;
	og_dim n = graph_dim_symbol(m, "N");
	input(g, "a", OG_F32, 3, (og_dim[]){ n, 1, 4 });
	input(g, "b", OG_F32, 2, (og_dim[]){ 3, 1 });
	input(g, "c", OG_NONE, -1, NULL);
	mix(g, "a b", "y");
	mix(g, "y c", "u");
	mix(g, "y y", "w");
	node(g, "test::Positive", "w", "p");
	node(g, "other::Thing", "p", "q");
	output(g, "q");
	infer(m);
	has_type(g, "y", "f32[N,3,4]");
	has_type(g, "u", "f32[*]");
	has_type(g, "p", "bool[N,3,4]");
	has_type(g, "q", "?");
	graph_model_destroy(m);
}

static void fails_infer(og_model *m, og_status status, const char *words)
{
	schema_resolve(m);
	assert_int_equal(schema_infer(m->main), status);
	says(words);
	graph_model_destroy(m);
}

static void test_infer_faults(void **state)
{
	(void)state;
	og_model *m = start();
	input(m->main, "a", OG_F32, 2, (og_dim[]){ 3, 4 });
	input(m->main, "b", OG_F32, 1, (og_dim[]){ 3 });
	mix(m->main, "a b", "y");
	fails_infer(m, OG_BAD_FILE, "node that makes 'y' (test::Mix): dimensions 4 and 3 do not broadcast");
	m = start();
	input(m->main, "a", OG_F32, 0, NULL);
	input(m->main, "b", OG_F64, 0, NULL);
	mix(m->main, "a b", "y");
	fails_infer(m, OG_BAD_FILE, "input 'b' is f64, but must be f32");
	m = start();
	input(m->main, "a", OG_U8, 0, NULL);
	mix(m->main, "a a", "y");
	fails_infer(m, OG_UNSUPPORTED, "input 'a' of type u8");
	m = start();
	mix(m->main, "- a", "y");
	fails_infer(m, OG_BAD_FILE, "input 'a' of Mix is missing");
	m = start();
	input(m->main, "a", OG_F32, 0, NULL);
	mix(m->main, "a a a", "y");
	fails_infer(m, OG_BAD_FILE, "at most 2 inputs, not 3");
	m = start();
	input(m->main, "a", OG_F32, 0, NULL);
	mix(m->main, "a a", "y z");
	fails_infer(m, OG_BAD_FILE, "at most 1 outputs, not 2");
	m = start();
	input(m->main, "a", OG_F32, 2, (og_dim[]){ 3, 4 });
	graph_value *y;
	graph_value_add(&y, m->main, "y", OG_F32, 2, (og_dim[]){ 3, 5 });
	mix(m->main, "a a", "y");
	fails_infer(m, OG_BAD_FILE, "output 'y' is f32[3,4], but the file says f32[3,5]");
}

/* What was declared more precisely stays; what is inferred more precisely is taken. */
static void test_infer_merge(void **state)
{
	(void)state;
	og_model *m = start();
	graph *g = m->main;
	graph_value *y;
	og_dim n = graph_dim_symbol(m, "N"), batch = graph_dim_symbol(m, "batch");
	input(g, "a", OG_F32, 4, (og_dim[]){ n, 3, GRAPH_DIM_UNKNOWN, n });
	graph_value_add(&y, g, "y", OG_NONE, 4, (og_dim[]){ 8, GRAPH_DIM_UNKNOWN, batch, batch });
	mix(g, "a a", "y");
	infer(m);
	has_type(g, "y", "f32[8,3,batch,batch]");
	graph_model_destroy(m);
}

/* A shape that the graph computes: Shape, Gather, Concat, Reshape. */
static void test_infer_computed_shape(void **state)
{
	(void)state;
	og_model *m = start();
	graph *g = m->main;
	input(g, "x", OG_F32, 4, (og_dim[]){ 2, 3, 4, 5 });
	constant(g, "zero", OG_I64, 1, (int64_t[]){ 1 }, (int64_t[]){ 0 });
	constant(g, "rest", OG_I64, 1, (int64_t[]){ 1 }, (int64_t[]){ -1 });
	node(g, "Shape", "x", "s");
	graph_attr_set_int(node(g, "Gather", "s zero", "n"), "axis", 0);
	graph_attr_set_int(node(g, "Concat", "n rest", "to"), "axis", 0);
	node(g, "Reshape", "x to", "y");
	output(g, "y");
	infer(m);
	has_type(g, "s", "i64[4]");
	has_type(g, "y", "f32[2,60]");
	graph_model_destroy(m);
}

static void test_infer_real_ops(void **state)
{
	(void)state;
	static const float weights[8 * 3 * 5 * 5];
	og_model *m = start();
	graph *g = m->main;
	og_dim n = graph_dim_symbol(m, "N");
	input(g, "x", OG_F32, 4, (og_dim[]){ n, 3, 28, 28 });
	constant(g, "w", OG_F32, 4, (int64_t[]){ 8, 3, 5, 5 }, weights);
	node(g, "Conv", "x w", "c");
	node(g, "Relu", "c", "r");
	graph_attr_set_int(node(g, "Flatten", "r", "f"), "axis", 1);
	output(g, "f");
	infer(m);
	has_type(g, "c", "f32[N,8,24,24]");
	has_type(g, "f", "f32[N,4608]");
	graph_model_destroy(m);
}

/* ---- running -------------------------------------------------------------------------------- */

static void test_run_elementwise(void **state)
{
	(void)state;
	arena *a = arena_create();
	og_model *m = start();
	graph *g = m->main;
	og_tensor *out[4];
	float x[600], y[600];
	input(g, "a", OG_F32, 3, (og_dim[]){ 2, 100, 3 });
	input(g, "b", OG_F32, 2, (og_dim[]){ 100, 1 });
	graph_attr_set_float(mix(g, "a b", "y"), "scale", 2);
	mix(g, "y", "z");                    /* b left out is 10 */
	node(g, "test::Positive", "z", "p");
	output(g, "z");
	output(g, "p");
	float b[100];
	for (int k = 0; k < 100; k++) b[k] = (float)k;
	for (int k = 0; k < 600; k++) {
		x[k] = (float)(k % 7) - 500 + (float)k;
		y[k] = x[k] + 2 * b[k / 3 % 100] + 10;
	}
	run(m, a, out, &(og_tensor){ .dtype = OG_F32, .rank = 3, .dims = { 2, 100, 3 }, .data = x },
	    &(og_tensor){ .dtype = OG_F32, .rank = 2, .dims = { 100, 1 }, .data = b });
	is_f32(out[0], 600, y);
	assert_int_equal(out[0]->rank, 3);
	assert_int_equal(out[1]->dtype, OG_BOOL);
	for (int k = 0; k < 600; k++) assert_int_equal(((uint8_t *)out[1]->data)[k], y[k] > 0);
	graph_model_destroy(m);
	arena_destroy(a);
}

static og_tensor *run_mix(arena *a, og_dtype dtype, const void *x, const void *y, int64_t n)
{
	og_model *m = start();
	og_tensor *out[4];
	input(m->main, "a", dtype, 1, &n);
	if (y) input(m->main, "b", dtype, 0, NULL);
	mix(m->main, y ? "a b" : "a", "y");
	output(m->main, "y");
	og_tensor tx = { .dtype = dtype, .rank = 1, .dims = { n }, .data = (void *)(uintptr_t)x };
	og_tensor ty = { .dtype = dtype, .data = (void *)(uintptr_t)y };
	run(m, a, out, &tx, &ty);
	assert_int_equal(out[0]->dtype, dtype);
	graph_model_destroy(m);
	return out[0];
}

static void test_run_types(void **state)
{
	(void)state;
	arena *a = arena_create();
	og_tensor *t = run_mix(a, OG_I32, (int32_t[]){ 1, -2, 1 << 30 }, (int32_t[]){ 5 }, 3);
	assert_memory_equal(t->data, ((int32_t[]){ 6, 3, (1 << 30) + 5 }), 12);
	t = run_mix(a, OG_I32, (int32_t[]){ 1, -2 }, NULL, 2);
	assert_memory_equal(t->data, ((int32_t[]){ 11, 8 }), 8);
	t = run_mix(a, OG_I64, (int64_t[]){ 1, -2, INT64_MAX }, (int64_t[]){ 5000 }, 3);
	assert_memory_equal(t->data, ((int64_t[]){ 5001, 4998, INT64_MAX }), 24);
	t = run_mix(a, OG_F16, (uint16_t[]){ 0x3c00, 0x7bff }, (uint16_t[]){ 0x7bff }, 2);
	assert_memory_equal(t->data, ((uint16_t[]){ 0x7bff, 0x7c00 }), 4);
	t = run_mix(a, OG_BF16, (uint16_t[]){ 0x3f80 }, (uint16_t[]){ 0x3f80 }, 1);
	assert_int_equal(*(uint16_t *)t->data, 0x4000);
	t = run_mix(a, OG_F64, (double[]){ 0.1 }, (double[]){ 0.2 }, 1);
	assert_true(*(double *)t->data == 0.1 + 0.2);
	t = run_mix(a, OG_F32, NULL, NULL, 0);
	assert_int_equal(og_count(t), 0);
	arena_destroy(a);
}

static void test_run_data_dependent(void **state)
{
	(void)state;
	arena *a = arena_create();
	og_model *m = start();
	og_tensor *out[4];
	const og_tensor *in[1];
	og_dim n = graph_dim_symbol(m, "N");
	input(m->main, "x", OG_F32, 1, &n);
	node(m->main, "test::Pick", "x", "y s");
	node(m->main, "test::Pick", "y", "z");
	output(m->main, "z");
	output(m->main, "s");
	infer(m);
	has_type(m->main, "z", "f32[?]");
	_Alignas(4) char raw[17] = { 0 };
	memcpy(raw + 1, (float[]){ 1, -1, 2.5f, 0 }, 16);
	og_tensor x = { .dtype = OG_F32, .rank = 1, .dims = { 4 }, .data = raw + 1 };        /* unaligned on purpose */
	run(m, a, out, &x, NULL);
	is_f32(out[0], 2, (float[]){ 1, 2.5f });
	is_f32(out[1], 1, (float[]){ 3.5f });
	memcpy(raw + 1, (float[]){ 13, 0, 0, 0 }, 16);
	in[0] = &x;
	assert_int_equal(schema_run_graph(m->main, in, out, a, NULL, NULL, NULL), OG_UNSUPPORTED);
	says("node that makes 'y' (test::Pick): 13 is refused");
	graph_model_destroy(m);
	arena_destroy(a);
}

static void test_run_faults(void **state)
{
	(void)state;
	arena *a = arena_create();
	og_model *m = start();
	og_tensor *out[4], x = { .dtype = OG_F64, .data = (double[]){ 1 } };
	const og_tensor *in[1] = { NULL };
	input(m->main, "x", OG_F32, 0, NULL);
	node(m->main, "ai.onnx.ml::Foo", "x", "y");
	output(m->main, "y");
	schema_resolve(m);
	assert_int_equal(schema_run_graph(m->main, in, out, a, NULL, NULL, NULL), OG_USAGE);
	says("input 'x' is not given");
	in[0] = &x;
	assert_int_equal(schema_run_graph(m->main, in, out, a, NULL, NULL, NULL), OG_USAGE);
	says("input 'x' is f64, but the graph takes f32");
	x.dtype = OG_F32;
	assert_int_equal(schema_run_graph(m->main, in, out, a, NULL, NULL, NULL), OG_UNSUPPORTED);
	says("ai.onnx.ml::Foo");
	graph_model_destroy(m);
	arena_destroy(a);
}

/* ---- bodies --------------------------------------------------------------------------------- */

static graph *body_of(graph_node *n, const char *name)
{
	graph *g = graph_create(n->owner->model, n->owner, name);
	assert_non_null(g);
	assert_int_equal(graph_attr_set_graph(n, name, g), OG_OK);
	return g;
}

static void test_if(void **state)
{
	(void)state;
	arena *a = arena_create();
	og_model *m = start();
	og_tensor *out[4], cond = { .dtype = OG_BOOL, .data = (uint8_t[]){ 1 } };
	float data[2] = { 1, 2 };
	og_tensor x = { .dtype = OG_F32, .rank = 1, .dims = { 2 }, .data = data };
	input(m->main, "c", OG_BOOL, 0, NULL);
	input(m->main, "x", OG_F32, 1, (og_dim[]){ 2 });
	graph_node *n = node(m->main, "If", "c", "y");
	graph *yes = body_of(n, "then_branch"), *no = body_of(n, "else_branch");
	graph_value *p, *q;
	graph_value_add(&p, yes, "p", OG_NONE, -1, NULL);
	graph_value_add(&q, no, "q", OG_NONE, -1, NULL);
	mix(yes, "x x", "p");                /* x is of the graph around */
	mix(no, "x", "q");
	graph_output_add(yes, p);
	graph_output_add(no, q);
	output(m->main, "y");
	infer(m);
	has_type(m->main, "y", "f32[2]");
	run(m, a, out, &cond, &x);
	is_f32(out[0], 2, (float[]){ 2, 4 });
	*(uint8_t *)cond.data = 0;
	run(m, a, out, &cond, &x);
	is_f32(out[0], 2, (float[]){ 11, 12 });
	graph_model_destroy(m);
	arena_destroy(a);
}

/* Three rounds: s = s + x; scanned: s. */
static void test_loop(void **state)
{
	(void)state;
	arena *a = arena_create();
	og_model *m = start();
	og_tensor *out[4];
	og_tensor x = { .dtype = OG_F32, .rank = 1, .dims = { 2 }, .data = (float[]){ 1, 2 } };
	input(m->main, "x", OG_F32, 1, (og_dim[]){ 2 });
	constant(m->main, "rounds", OG_I64, 0, NULL, (int64_t[]){ 3 });
	graph_node *n = node(m->main, "Loop", "rounds - x", "last all");
	graph *body = body_of(n, "body");
	input(body, "k", OG_NONE, -1, NULL);
	input(body, "go", OG_NONE, -1, NULL);
	input(body, "s", OG_F32, -1, NULL);
	graph_value *sum;
	graph_value_add(&sum, body, "sum", OG_F32, -1, NULL);
	mix(body, "s x", "sum");
	node(body, "Identity", "sum", "scan");
	node(body, "Identity", "go", "on");
	output(body, "on");
	output(body, "sum");
	output(body, "scan");
	output(m->main, "last");
	output(m->main, "all");
	infer(m);
	run(m, a, out, &x, NULL);
	is_f32(out[0], 2, (float[]){ 4, 8 });
	is_f32(out[1], 6, (float[]){ 2, 4, 3, 6, 4, 8 });
	assert_int_equal(out[1]->rank, 2);
	graph_model_destroy(m);
	arena_destroy(a);
}

static void test_fused(void **state)
{
	(void)state;
	arena *a = arena_create();
	og_model *m = start();
	og_tensor *out[4];
	graph_value *x = input(m->main, "x", OG_F32, 1, (og_dim[]){ 2 });
	graph_node *n = node(m->main, "opgraft::Fused", "x x", "y");
	graph *body = body_of(n, "body");
	input(body, "p", OG_NONE, -1, NULL);
	input(body, "q", OG_NONE, -1, NULL);
	mix(body, "p q", "r");
	node(body, "Relu", "r", "s");
	output(body, "s");
	output(m->main, "y");
	infer(m);
	has_type(m->main, "y", "f32[2]");
	has_type(body, "r", "f32[2]");
	run(m, a, out, &(og_tensor){ .dtype = OG_F32, .rank = 1, .dims = { 2 }, .data = (float[]){ 1, -2 } }, NULL);
	is_f32(out[0], 2, (float[]){ 2, 0 });
	x->dims[0] = n->out[0]->dims[0] = 5; /* the body's types follow */
	infer(m);
	has_type(body, "s", "f32[5]");
	graph_model_destroy(m);
	arena_destroy(a);
}

/* A function whose body refers to an attribute of the call, which may be left out, as may its second argument. */
static void test_function(void **state)
{
	(void)state;
	arena *a = arena_create();
	og_model *m = start();
	og_tensor *out[4];
	graph_function *f;
	assert_int_equal(graph_function_add(&f, m, "mine", "Twice"), OG_OK);
	graph_attr fallback = { .name = "factor", .type = OG_ATTR_FLOAT, .f = 3 };
	f->defaults = &fallback;
	f->n_defaults = 1;
	input(f->body, "u", OG_NONE, -1, NULL);
	input(f->body, "v", OG_NONE, -1, NULL);
	graph_node *inner = mix(f->body, "u v", "w");
	graph_attr ref = { .name = "scale", .type = OG_ATTR_FLOAT, .ref = "factor" };
	assert_int_equal(graph_attr_put(inner, &ref), OG_OK);
	output(f->body, "w");
	input(m->main, "x", OG_F32, 1, (og_dim[]){ 2 });
	input(m->main, "d", OG_F64, 2, (og_dim[]){ 1, 1 });
	node(m->main, "mine::Twice", "x x", "y");
	graph_attr_set_float(node(m->main, "mine::Twice", "x", "z"), "factor", 0.5f);
	node(m->main, "mine::Twice", "d d", "e");
	output(m->main, "y");
	output(m->main, "z");
	output(m->main, "e");
	infer(m);
	has_type(m->main, "y", "f32[2]");
	has_type(m->main, "z", "f32[2]");
	has_type(m->main, "e", "f64[1,1]");
	has_type(f->body, "w", "?");
	run(m, a, out, &(og_tensor){ .dtype = OG_F32, .rank = 1, .dims = { 2 }, .data = (float[]){ 1, -2 } },
	    &(og_tensor){ .dtype = OG_F64, .rank = 2, .dims = { 1, 1 }, .data = (double[]){ 2 } });
	is_f32(out[0], 2, (float[]){ 4, -8 });
	is_f32(out[1], 2, (float[]){ 6, 3 });
	assert_true(*(double *)out[2]->data == 8);
	graph_model_destroy(m);
	arena_destroy(a);
}

static void test_function_of_itself(void **state)
{
	(void)state;
	og_model *m = start();
	graph_function *f;
	assert_int_equal(graph_function_add(&f, m, "mine", "Forever"), OG_OK);
	input(f->body, "u", OG_NONE, -1, NULL);
	node(f->body, "mine::Forever", "u", "w");
	output(f->body, "w");
	input(m->main, "x", OG_F32, 0, NULL);
	node(m->main, "mine::Forever", "x", "y");
	fails_infer(m, OG_BAD_FILE, "function Forever calls itself");
}

/* Each of many functions calls the next one twice: 2^20 calls must not be followed. */
static void test_many_calls(void **state)
{
	(void)state;
	og_model *m = start();
	char name[32] = "mine::F0";
	for (int k = 0; k < 20; k++) {
		graph_function *f;
		assert_int_equal(graph_function_add(&f, m, "mine", name + 6), OG_OK);
		snprintf(name, sizeof name, k < 19 ? "mine::F%d" : "Relu", k + 1);
		input(f->body, "u", OG_NONE, -1, NULL);
		node(f->body, name, "u", "v");
		node(f->body, name, "v", "w");
		output(f->body, "w");
	}
	input(m->main, "x", OG_F32, 0, NULL);
	node(m->main, "mine::F0", "x", "y");
	fails_infer(m, OG_BAD_FILE, "functions are called more than");
}

/* ---- short memory --------------------------------------------------------------------------- */

/* Infers and runs with the n-th allocation failing, for every n until none does. */
static void test_every_allocation_failing(void **state)
{
	(void)state;
	og_status status = OG_NO_MEMORY;
	uint64_t n = 0;
	while (status != OG_OK) {
		og_model *m = start();
		og_tensor *out[4];
		og_tensor x = { .dtype = OG_F32, .rank = 1, .dims = { 2 }, .data = (float[]){ 1, -2 } };
		const og_tensor *in[1] = { &x };
		graph_function *f;
		input(m->main, "x", OG_F32, 1, (og_dim[]){ 2 });
		assert_int_equal(graph_function_add(&f, m, "mine", "Twice"), OG_OK);
		input(f->body, "u", OG_NONE, -1, NULL);
		mix(f->body, "u u", "w");
		output(f->body, "w");
		node(m->main, "mine::Twice", "x", "y");
		node(m->main, "Shape", "y", "s");
		node(m->main, "Reshape", "y s", "z");
		output(m->main, "z");
		schema_resolve(m);
		base_fail_allocation(++n);
		arena *a = arena_create();
		status = a ? schema_infer(m->main) : OG_NO_MEMORY;
		if (status == OG_OK) status = schema_run_graph(m->main, in, out, a, NULL, NULL, NULL);
		base_fail_allocation(0);
		assert_true(status == OG_OK || status == OG_NO_MEMORY);
		if (status == OG_OK) is_f32(out[0], 2, (float[]){ 2, -4 });
		arena_destroy(a);
		graph_model_destroy(m);
		assert_true(n < 200);
	}
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table), cmocka_unit_test(test_built_in_declarations), cmocka_unit_test(test_bad_ops),
		cmocka_unit_test(test_declarations), cmocka_unit_test(test_resolve), cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_infer_broadcast), cmocka_unit_test(test_infer_faults), cmocka_unit_test(test_infer_merge),
		cmocka_unit_test(test_infer_computed_shape), cmocka_unit_test(test_infer_real_ops),
		cmocka_unit_test(test_run_elementwise), cmocka_unit_test(test_run_types),
		cmocka_unit_test(test_run_data_dependent), cmocka_unit_test(test_run_faults), cmocka_unit_test(test_if),
		cmocka_unit_test(test_loop), cmocka_unit_test(test_fused), cmocka_unit_test(test_function),
		cmocka_unit_test(test_function_of_itself), cmocka_unit_test(test_many_calls),
		cmocka_unit_test(test_every_allocation_failing),
	};
	return cmocka_run_group_tests(tests, add_test_ops, NULL);
}
