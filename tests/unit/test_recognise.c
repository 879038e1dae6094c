/* test_recognise.c -- the recogniser on ops that a program adds, on graphs without types, and when memory is short. What it
 * finds among spellings of built-in ops is tests/test_recognise.py's matter. */
#include "graph_text.h"

#include <math.h>

#include "schema/schema.h"
#include "surgery/match.h"

/* ---- ops of the domain "test" ------------------------------------------------------------------ */

/* x * (bias + scale * tanh(x)), or with the sine for the tangent */
static void wave_ref(size_t n, void *yp, const void *const *x, const float *attr)
{
	const double *a = x[0];
	double *y = yp;
	for (size_t i = 0; i < n; i++) y[i] = a[i] * ((double)attr[0] + (double)attr[2] * (attr[1] > 0 ? sin(a[i]) : tanh(a[i])));
}

static const og_attr wave_attrs[] = {
	OG_FLOAT("bias", 0.5), OG_ENUM("form", "tangent|sine", 0), OG_RANGE("scale", 1.0, 0.125, 8.0), { .name = NULL },
};

static const og_op op_wave = {
	.abi = OG_OP_ABI, .name = "Wave", .domain = "test", .since = 1, .inputs = "x:T", .outputs = "y:T",
	.types = "T=f32 f16", .map_inputs = 1, .map_attrs = 3, .ref = wave_ref, .attrs = wave_attrs,
	.body = "Mul(x, Tanh(x))",
};

/* |x| to a power that is a whole number: 2 or 3 */
static void power_ref(size_t n, void *yp, const void *const *x, const float *attr)
{
	const double *a = x[0];
	double *y = yp;
	for (size_t i = 0; i < n; i++) y[i] = attr[0] > 2 ? fabs(a[i] * a[i] * a[i]) : a[i] * a[i];
}

static const og_attr power_attrs[] = {
	{ .name = "power", .type = OG_ATTR_INT, .value = 2, .low = 2, .high = 3 }, { .name = NULL },
};

static const og_op op_power = {
	.abi = OG_OP_ABI, .name = "Power", .domain = "test", .since = 1, .inputs = "x:T", .outputs = "y:T", .types = "T=f32",
	.map_inputs = 1, .map_attrs = 1, .ref = power_ref, .attrs = power_attrs, .body = "Mul(x, x)",
};

static const og_op *const ops[] = { &op_wave, &op_power };

static int add_ops(void **state)
{
	(void)state;
	return schema_add(ops, 2, "test_recognise.c") != OG_OK;
}

/* ---- recognising a text ------------------------------------------------------------------------- */

typedef struct found { og_model *m; match_list l; } found;

static og_status find(found *f, const char *model, const og_op *op)
{
	recogniser *r = NULL;
	*f = (found){ .m = parse(model) };
	schema_resolve(f->m);
	og_status status = schema_infer(f->m->main);
	f->l.a = arena_create();
	assert_non_null(f->l.a);
	if (status == OG_OK) status = recognise_create(&r, op);
	if (status == OG_OK) status = recognise_graph(&f->l, r, f->m->main);
	recognise_destroy(r);
	return status;
}

static void forget(found *f)
{
	arena_destroy(f->l.a);
	graph_model_destroy(f->m);
}

static const pattern_bind *bind_of(const match *m, const char *name)
{
	for (int k = 0; k < m->r->right->n_binds; k++)
		if (strcmp(m->r->right->binds[k].name, name) == 0) return &m->r->right->binds[k];
	fail_msg("no attribute %s", name);
	return NULL;
}

/* ---- tests --------------------------------------------------------------------------------------- */

#define CONSTANTS "const a: f32[] = {3} const b: f32[] = {-0.75} const c: f32[] = {2}\n"

static void test_attributes_of_an_added_op(void **state)
{
	found f;
	(void)state;
	OK(find(&f, "model {\"\" 20} graph \"g\" { in x: f32[4,5] " CONSTANTS
	            "s = Sin(x) t = Mul(s, a) u = Add(t, b) y = Mul(u, x) out y }", &op_wave));
	assert_int_equal(f.l.n, 1);
	const match *m = f.l.matches[0];
	assert_string_equal(m->r->how, "meaning");
	assert_string_equal(m->r->right->type, "Wave");
	assert_string_equal(m->r->right->domain, "test");
	assert_null(m->r->left);
	assert_ptr_equal(m->bound[0].value, graph_value_find(f.m->main, "x"));
	assert_ptr_equal(m->outputs[0], graph_value_find(f.m->main, "y"));
	assert_int_equal(m->n_nodes, 4);
	assert_ptr_equal(m->nodes[0], m->outputs[0]->producer);
	assert_true(bind_of(m, "bias")->number == -0.75);
	assert_true(bind_of(m, "scale")->number == 3);
	assert_int_equal(bind_of(m, "form")->kind, BIND_STRING);
	assert_string_equal(bind_of(m, "form")->string, "sine");
	assert_true(m->error <= 4e-6);
	forget(&f);
}

static void test_a_whole_number(void **state)
{
	found f;
	(void)state;
	OK(find(&f, "model {\"\" 20} graph \"g\" { in x: f32[4,5] s = Mul(x, x) t = Abs(x) y = Mul(s, t) out y }", NULL));
	assert_int_equal(f.l.n, 1);
	assert_ptr_equal(f.l.matches[0]->r->right->op, &op_power);
	assert_true(bind_of(f.l.matches[0], "power")->number == 3);
	forget(&f);
}

/* An attribute that its range does not allow is no match, nor is a type that the op does not take. */
static void test_ranges_and_types(void **state)
{
	found f;
	(void)state;
	OK(find(&f, "model {\"\" 20} graph \"g\" { in x: f32[4,5] const a: f32[] = {9} const b: f32[] = {0.5}\n"
	            "s = Tanh(x) t = Mul(s, a) u = Add(t, b) y = Mul(u, x) out y }", &op_wave));
	assert_int_equal(f.l.n, 0);
	forget(&f);
	OK(find(&f, "model {\"\" 20} graph \"g\" { in x: f64[4,5] const a: f64[] = {3} const b: f64[] = {0.5}\n"
	            "s = Tanh(x) t = Mul(s, a) u = Add(t, b) y = Mul(u, x) out y }", &op_wave));
	assert_int_equal(f.l.n, 0);
	forget(&f);
}

/* As in a function's body: the type is not known, but an op in the region takes floating-point types only. */
static void test_unknown_types(void **state)
{
	found f;
	(void)state;
	OK(find(&f, "model {\"\" 20} graph \"g\" { in x: ? s = Sigmoid(x) y = Mul(x, s) out y }", NULL));
	assert_int_equal(f.l.n, 1);
	forget(&f);
	OK(find(&f, "model {\"\" 20} graph \"g\" { in x: ? const z: i32[] = {0} s = Abs(x) t = Mul(x, s) y = Mul(t, s) out y }", NULL));
	assert_int_equal(f.l.n, 0);
	forget(&f);
}

/* Marks of values are another pass's: they are as they were. */
static void test_marks_stay(void **state)
{
	og_model *m = parse("model {\"\" 20} graph \"g\" { in x: f32[4] s = Sigmoid(x) y = Mul(x, s) out y }");
	match_list l = { .a = arena_create() };
	recogniser *r;
	int mark;
	(void)state;
	schema_resolve(m);
	OK(schema_infer(m->main));
	for (graph_value *v = m->main->first_value; v; v = v->next) v->mark = &mark;
	OK(recognise_create(&r, NULL));
	OK(recognise_graph(&l, r, m->main));
	OK(recognise_graph(&l, r, m->main));
	assert_int_equal(l.n, 2);
	for (graph_value *v = m->main->first_value; v; v = v->next) assert_ptr_equal(v->mark, &mark);
	recognise_destroy(r);
	arena_destroy(l.a);
	graph_model_destroy(m);
}

static void test_memory_runs_out(void **state)
{
	const char *two = "model {\"\" 20} graph \"g\" { in x: f32[4,5] in z: f32[4,5] " CONSTANTS
	                   "s = Sin(x) t = Mul(s, a) u = Add(t, b) y = Mul(u, x) v = Tanh(z) w = Mul(v, a) q = Add(w, c) k = Mul(q, x) out y out k }";
	int failed = 0;
	(void)state;
	for (uint64_t n = 1;; n++, failed++) {
		og_model *m = parse(two);
		match_list l = { .a = arena_create() };
		recogniser *r = NULL;
		schema_resolve(m);
		OK(schema_infer(m->main));
		base_fail_allocation(n);
		og_status status = recognise_create(&r, &op_wave);
		if (status == OG_OK) status = recognise_graph(&l, r, m->main);
		base_fail_allocation(0);
		recognise_destroy(r);
		arena_destroy(l.a);
		graph_model_destroy(m);
		if (status == OG_OK) break;
		assert_int_equal(status, OG_NO_MEMORY);
	}
	assert_true(failed > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attributes_of_an_added_op), cmocka_unit_test(test_a_whole_number),
		cmocka_unit_test(test_ranges_and_types), cmocka_unit_test(test_unknown_types), cmocka_unit_test(test_marks_stay),
		cmocka_unit_test(test_memory_runs_out),
	};
	return cmocka_run_group_tests(tests, add_ops, NULL);
}
