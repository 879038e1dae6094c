/* test_body.c -- op files' bodies: each computes what its op does, as a function of a file and in place of a node; and
 * what a body may be written with. */
#include <math.h>

#pragma GCC diagnostic ignored "-Wunused-function"        /* cases are read here, and run in a graph */
#include "op_case.h"
#include "surgery/body.h"

#define OK(call) do { \
	og_status ok_ = (call); \
	if (ok_ != OG_OK) fail_msg("%s: %s", #call, base_error()); \
} while (0)

#define UNARY .abi = OG_OP_ABI, .domain = "test", .since = 1, .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f64 f16"

static const og_op *op;                  /* that the test is about */

/* A network of one node that takes the case's inputs. */
static og_model *network(const op_case *c, int n_out, int64_t opset)
{
	og_model *m = graph_model_create();
	graph_node *n;
	assert_non_null(m);
	OK(graph_opset_require(m, "", opset));
	OK(graph_node_add(&n, m->main, NULL, op->domain, op->name, "node", c->n_in, n_out));
	n->op = op;
	for (int k = 0; k < c->n_in; k++) {
		graph_value *value;
		char name[16];
		if (!c->inputs[k]) continue;
		snprintf(name, sizeof name, "in%d", k);
		OK(graph_value_add(&value, m->main, name, c->in[k].dtype, c->in[k].rank, c->in[k].dims));
		OK(graph_input_add(m->main, value));
		OK(graph_set_input(n, k, value));
	}
	for (int k = 0; k < n_out; k++) {
		graph_value *value;
		OK(graph_value_add(&value, m->main, NULL, OG_NONE, -1, NULL));
		OK(graph_set_output(n, k, value));
		OK(graph_output_add(m->main, value));
	}
	for (int k = 0; op->attrs && op->attrs[k].name; k++) {
		const og_attr *d = &op->attrs[k];
		const og_attr_value *given = &c->attr[k];
		if (!given->present) continue;
		if (d->type == OG_ATTR_INT) OK(graph_attr_set_int(n, d->name, given->i));
		else if (d->type == OG_ATTR_FLOAT) OK(graph_attr_set_float(n, d->name, given->f));
		else if (d->type == OG_ATTR_INTS) OK(graph_attr_set_ints(n, d->name, given->ints, (size_t)given->n));
		else OK(graph_attr_set_string(n, d->name, c->word[k]));
	}
	OK(schema_infer(m->main));
	return m;
}

/* Runs it by the ops' definitions. */
static void run(og_tensor **out, const op_case *c, const og_model *m, arena *a)
{
	const og_tensor *in[CASE_ARGS];
	int n = 0;
	for (int k = 0; k < c->n_in; k++)
		if (c->inputs[k]) in[n++] = c->inputs[k];
	OK(schema_run_graph(m->main, in, out, a, NULL, NULL, NULL));
}

static void compare(const op_case *c, const og_tensor *got, const og_tensor *want, const char *how, int64_t opset)
{
	double scale = 1e-30, error = 0;
	assert_int_equal(got->dtype, want->dtype);
	assert_int_equal(got->rank, want->rank);
	assert_memory_equal(got->dims, want->dims, (size_t)want->rank * sizeof want->dims[0]);
	for (int64_t k = 0; k < og_count(want); k++) {
		double x = graph_tensor_double(got, k), y = graph_tensor_double(want, k);
		assert_true(isfinite(x) && isfinite(y));
		scale = fmax(scale, fabs(y));
		error = fmax(error, fabs(x - y));
	}
	if (error > (want->dtype == OG_F16 ? 4e-3 : 1e-6) * scale)
		fail_msg("%s %s in opset %lld, '%.30s': error %g of %g",
		         op->name, how, (long long)opset, c->text, error, scale);
}

/* The op on a case by its own definition, by its function and by its primitives. False: the body needs a later
 * opset. */
static bool check_case(const op_case *c, int n_out, int64_t opset)
{
	og_tensor *want[CASE_ARGS], *got[CASE_ARGS];
	arena *a = arena_create();
	og_model *m = network(c, n_out, opset);
	assert_non_null(a);
	run(want, c, m, a);
	og_status status = surgery_settle(m);
	if (status != OG_UNSUPPORTED) {
		OK(status);
		m->main->first->op = NULL;       /* now nothing but the function says what it is */
		OK(graph_verify(m));
		run(got, c, m, a);
		for (int k = 0; k < n_out; k++) compare(c, got[k], want[k], "as a function", opset);
		OK(surgery_ungraft(m, NULL, &(surgery_options){ .for_file = true }, NULL));
		assert_int_equal(m->n_functions, 0);
		run(got, c, m, a);
		for (int k = 0; k < n_out; k++) compare(c, got[k], want[k], "with its function unfolded", opset);
		graph_model_destroy(m);
		m = network(c, n_out, opset);
		OK(surgery_ungraft(m, NULL, &(surgery_options){ .for_file = true }, NULL));
		OK(graph_verify(m));
		for (const graph_node *n = m->main->first; n; n = n->next) {
			assert_string_equal(n->domain, "");
			assert_string_not_equal(n->type, "CastLike");
		}
		run(got, c, m, a);
		for (int k = 0; k < n_out; k++) compare(c, got[k], want[k], "taken apart", opset);
	}
	graph_model_destroy(m);
	arena_destroy(a);
	return status == OG_OK;
}

/* Attributes stand behind ';' in op files' cases, where op_case.h has ','. */
static char *with_commas(const char *cases)
{
	static char copy[1024];
	bool attributes = false;
	assert_true(strlen(cases) < sizeof copy);
	strcpy(copy, cases);
	for (char *p = copy; *p; p++) {
		if (*p == ';' && attributes) *p = ',';
		attributes = *p == '|' ? false : attributes || *p == ';';
	}
	return copy;
}

static int check_op(const og_op *o, int n_out)
{
	static const int64_t opsets[] = { 7, 9, 11, 12, 13, 14, 15, 17, 18, 21, 24, 26 };
	static const og_dtype types[] = { OG_F32, OG_F64, OG_F16 };
	int runs = 0;
	op = o;
	for (const char *s = with_commas(o->cases ? o->cases : ""); *s;) {
		const char *rest = s;
		for (size_t t = 0; t < sizeof types / sizeof *types; t++)
			for (size_t k = 0; k < sizeof opsets / sizeof *opsets; k++) {
				op_case c = { .as = types[t], .seed = 7 };
				case_read(&c, o, s, &rest);
				runs += check_case(&c, n_out, opsets[k]);
				case_free(&c);
			}
		s = rest;
	}
	return runs;
}

/* ---- the bodies of op files ------------------------------------------------------------------- */

static void test_bodies_of_op_files(void **state)
{
	(void)state;
	int checked = 0;
	for (size_t i = 0; i < schema_count(); i++) {
		og_op copy = *schema_at(i);
		if (!copy.body) continue;
		copy.domain = "test";            /* as if ONNX did not have it */
		if (check_op(&copy, 1) == 0) fail_msg("%s: its body goes with no opset", copy.name);
		checked++;
	}
	assert_true(checked > 20);
}

/* ---- what a body may be written with ------------------------------------------------------------ */

static double number(const og_tensor *t, int64_t k) { return graph_tensor_double(t, k); }

static og_status same_shape(og_infer *c)
{
	for (int k = 0; k < c->n_out; k++) {
		c->out[k].rank = c->in[0].rank;
		memcpy(c->out[k].dims, c->in[0].dims, sizeof c->out[k].dims);
	}
	return OG_OK;
}

/* x / sqrt(mean of x^2 over the axes (here: the last) + epsilon) */
static og_status rms(const og_call *c)
{
	int64_t row = c->in[0]->dims[c->in[0]->rank - 1], n = og_count(c->in[0]);
	for (int64_t i = 0; i < n; i += row) {
		double sum = 0;
		for (int64_t k = i; k < i + row; k++) sum += number(c->in[0], k) * number(c->in[0], k);
		for (int64_t k = i; k < i + row; k++)
			number_put(c->out[0], k, number(c->in[0], k) / sqrt(sum / (double)row + (double)c->attr[1].f));
	}
	return OG_OK;
}

static og_status softmax_of_scaled(const og_call *c)
{
	int64_t row = c->in[0]->dims[c->in[0]->rank - 1], n = og_count(c->in[0]);
	for (int64_t i = 0; i < n; i += row) {
		double sum = 0;
		for (int64_t k = i; k < i + row; k++) sum += exp(number(c->in[0], k) * (double)c->attr[1].f);
		for (int64_t k = i; k < i + row; k++)
			number_put(c->out[0], k, exp(number(c->in[0], k) * (double)c->attr[1].f) / sum);
	}
	return OG_OK;
}

static og_status clip_above(const og_call *c)
{
	for (int64_t k = 0; k < og_count(c->in[0]); k++) {
		double x = number(c->in[0], k), high = c->n_in > 1 && c->in[1] ? number(c->in[1], 0) : 1.5;
		number_put(c->out[0], k, x < high ? x : high);
	}
	return OG_OK;
}

static og_status sine_and_square(const og_call *c)
{
	for (int64_t k = 0; k < og_count(c->in[0]); k++) {
		double x = number(c->in[0], k);
		number_put(c->out[0], k, fabs(x) + 1);
		number_put(c->out[1], k, (fabs(x) + 1) * (double)c->attr[0].i);
	}
	return OG_OK;
}

static og_status by_mode(const og_call *c)
{
	for (int64_t k = 0; k < og_count(c->in[0]); k++) {
		double x = number(c->in[0], k);
		double y = c->attr[0].i == 0 ? x + 1 : c->attr[0].i == 1 ? x - 1 : x * (double)c->attr[1].f;
		number_put(c->out[0], k, y);
	}
	return OG_OK;
}

/* Each form of writing what changed from attributes to inputs over the opsets. */
static void test_axes(void **state)
{
	(void)state;
	static const og_attr attrs[] = { OG_INTS("axes"), OG_FLOAT("epsilon", 0.5), { 0 } };
	og_op o = { UNARY, .name = "Rms", .attrs = attrs, .shape = same_shape, .eval = rms,
	            .cases = "f32[2,3,4]; axes=[2] | f32[5]; axes=[0] | f32[2,3]; axes=[-1], epsilon=0.25" };
	o.body = "Div(x, Sqrt(Add(ReduceMean(Mul(x, x), axes=axes, keepdims=1), epsilon)))";
	assert_true(check_op(&o, 1) > 60);
	o.body = "Div(x, Sqrt(Add(ReduceMean(Mul(x, x), axes), epsilon)))";
	assert_true(check_op(&o, 1) > 60);
	o.body = "Div(x, Sqrt(Add(m, epsilon))) where m = ReduceMean(Mul(x, x), axes=[-1])";
	assert_true(check_op(&o, 1) > 60);
	static const og_attr axis[] = { OG_INT("axis", -1), OG_FLOAT("scale", 1.5), { 0 } };
	o = (og_op){ UNARY, .name = "ScaledSoftmax", .attrs = axis, .shape = same_shape, .eval = softmax_of_scaled,
	             .cases = "f32[2,3]; axis=1 | f32[4,2]; axis=1, scale=-0.5",
	             .body = "Softmax(Mul(x, scale), axis=axis)" };
	assert_true(check_op(&o, 1) > 40);
}

static void test_limits(void **state)
{
	(void)state;
	og_op o = { UNARY, .name = "Above",
	            .shape = same_shape, .eval = clip_above, .cases = "f32[2,3] f32[]{0.5} | f32[3] | f32[3] -",
	            .body = "Min(x, high)" };
	o.inputs = "x:T, high:T?=1.5";
	assert_true(check_op(&o, 1) > 100);
}

static void test_several_outputs(void **state)
{
	(void)state;
	static const og_attr attrs[] = { OG_INT("times", 3), { 0 } };
	og_op o = { UNARY, .name = "Two", .attrs = attrs, .shape = same_shape, .eval = sine_and_square,
	            .cases = "f32[2,3] | f32[2]; times=2", .body = "a, Mul(a, times) where a = Add(Abs(x), 1)" };
	o.outputs = "y:T, z:T";
	assert_true(check_op(&o, 2) > 30);
}

static void test_alternatives(void **state)
{
	(void)state;
	static const og_attr attrs[] = { OG_ENUM("mode", "more|less|times", 0), OG_FLOAT("by", 2), { 0 } };
	og_op o = { UNARY, .name = "Mode", .attrs = attrs, .shape = same_shape, .eval = by_mode,
	            .cases = "f32[2,3] | f32[4]; mode=more | f32[4]; mode=less | f32[4]; mode=times | f32[4]; mode=times, by=0.75",
	            .body = "Add(x, 1); mode=more | Sub(x, 1); mode=less | Mul(x, by)" };
	assert_true(check_op(&o, 1) > 100);
}

/* A file can hold one function of an op: nodes that need different ones are refused, by name. */
static void test_one_function_for_all_nodes(void **state)
{
	(void)state;
	static const og_attr attrs[] = { OG_ENUM("mode", "more|less", 0), { 0 } };
	og_op o = { UNARY, .name = "Mode", .attrs = attrs, .shape = same_shape, .eval = by_mode, .cases = "f32[2]",
	            .body = "Add(x, 1); mode=more | Sub(x, 1); mode=less" };
	op_case c = { .as = OG_F32 };
	const char *rest;
	graph_node *n;
	graph_value *value;
	op = &o;
	case_read(&c, op, op->cases, &rest);
	og_model *m = network(&c, 1, 17);
	OK(graph_node_add(&n, m->main, NULL, "test", "Mode", "second", 1, 1));
	n->op = op;
	OK(graph_set_input(n, 0, m->main->first->out[0]));
	OK(graph_value_add(&value, m->main, "y", OG_NONE, -1, NULL));
	OK(graph_set_output(n, 0, value));
	OK(graph_attr_set_string(n, "mode", "more"));
	OK(surgery_settle(m));               /* both the same, one by default */
	OK(graph_attr_set_string(n, "mode", "less"));
	assert_int_equal(surgery_settle(m), OG_UNSUPPORTED);
	assert_non_null(strstr(base_error(), "'node' and 'second'"));
	graph_model_destroy(m);
	case_free(&c);
}

/* A function that somebody else wrote under the op's name is not replaced. */
static void test_a_function_of_the_same_name(void **state)
{
	(void)state;
	og_op o = { UNARY, .name = "Plus", .doc = "One more.", .shape = same_shape, .eval = by_mode, .cases = "f32[2]",
	            .body = "Add(x, 1)" };
	op_case c = { .as = OG_F32 };
	const char *rest;
	graph_function *f;
	op = &o;
	case_read(&c, op, op->cases, &rest);
	og_model *m = network(&c, 1, 17);
	OK(graph_function_add(&f, m, "test", "Plus"));
	assert_int_equal(surgery_settle(m), OG_UNSUPPORTED);
	assert_non_null(strstr(base_error(), "test::Plus"));
	f->body->doc = "One more.";          /* an earlier one of the op's own */
	OK(surgery_settle(m));
	assert_int_equal(m->functions[0].body->n_nodes, 3);
	graph_model_destroy(m);
	case_free(&c);
}

static void test_malformed_bodies(void **state)
{
	(void)state;
	static const struct { const char *body, *says, *place; } cases[] = {
		{ "Add(x, ", "op Bad", "column" },
		{ "Add(x, 1) | Add(x", "", "" },                                     /* never read: the first always holds */
		{ "Add(x, 1); mode=b | Sub(x 1)", "op Bad", "column 27" },
		{ "Add(x, z)", "'z' is neither an input nor an attribute", "column 8" },
		{ "Add(x, Nonsense(x))", "'Nonsense' is no op of ONNX", "column 8" },
		{ "Add(x, 1); kind=a", "no attribute of this name", "column 12" },
		{ "Add(x, 1); mode", "attribute=value", "column 12" },
		{ "Softmax(x, axis=by)", "'axis' is an attribute of another type", "column 12" },
		{ "Softmax(x, axis=1.5)", "'axis' is an attribute of another type", "column 12" },
		{ "Softmax(x, wide=1)", "'wide' is no attribute", "column 12" },
		{ "Mul(x, mode)", "'mode' is an attribute without numbers", "column 8" },
		{ "Relu(x, x)", "more inputs than", "column 1" },
		{ "Relu(x), Relu(x)", "", "" },                                      /* further ones are not asked for */
		{ "opgraft::OgSwish(x)", "'OgSwish' is no op of ONNX", "column" },
	};
	static const og_attr attrs[] = { OG_ENUM("mode", "a|b", 0), OG_FLOAT("by", 2), { 0 } };
	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		og_op o = { UNARY, .name = "Bad", .attrs = attrs, .shape = same_shape, .eval = by_mode, .cases = "f32[2]",
		            .body = cases[k].body };
		op_case c = { .as = OG_F32 };
		const char *rest;
		op = &o;
		case_read(&c, op, op->cases, &rest);
		og_model *m = network(&c, 1, 17);
		og_status status = surgery_settle(m);
		if (*cases[k].says) {
			if (status != OG_USAGE || !strstr(base_error(), cases[k].says) || !strstr(base_error(), cases[k].place))
				fail_msg("'%s': status %d, '%s'", cases[k].body, status, base_error());
			assert_non_null(strstr(base_error(), "op Bad"));
		} else if (status != OG_OK) {
			fail_msg("'%s': status %d, '%s'", cases[k].body, status, base_error());
		}
		graph_model_destroy(m);
		case_free(&c);
	}
}

static void test_memory_that_runs_out(void **state)
{
	(void)state;
	static const og_attr attrs[] = { OG_INTS("axes"), OG_FLOAT("epsilon", 0.5), { 0 } };
	og_op o = { UNARY, .name = "Rms", .attrs = attrs, .shape = same_shape, .eval = rms, .cases = "f32[2,3]; axes=[-1]",
	            .body = "Div(x, Sqrt(Add(ReduceMean(Mul(x, x), axes=axes), epsilon)))" };
	const surgery_options options = { .for_file = true };
	const char *rest;
	uint64_t n = 1;
	op = &o;
	for (bool done = false; !done; n++) {
		op_case c = { .as = OG_F32 };
		case_read(&c, op, op->cases, &rest);
		og_model *m = network(&c, 1, 17);
		og_found *found = NULL;
		base_fail_allocation(n);
		og_status status = surgery_settle(m);
		if (status == OG_OK) status = surgery_ungraft(m, NULL, &options, &found);
		base_fail_allocation(0);
		done = status == OG_OK;
		if (!done) assert_int_equal(status, OG_NO_MEMORY);
		og_found_free(found);
		graph_model_destroy(m);
		case_free(&c);
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies_of_op_files),
		cmocka_unit_test(test_axes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_several_outputs),
		cmocka_unit_test(test_alternatives),
		cmocka_unit_test(test_one_function_for_all_nodes),
		cmocka_unit_test(test_a_function_of_the_same_name),
		cmocka_unit_test(test_malformed_bodies),
		cmocka_unit_test(test_memory_that_runs_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
