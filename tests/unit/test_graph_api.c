/* test_graph_api.c -- opgraft/graph.h: everyday edits, misuse, short memory, and calls at random. */
#include "graph_text.h"
#include "opgraft/graph.h"

#include <stdio.h>
#include <stdlib.h>

#define REFUSED(call) do { \
	og_status refused_ = (call); \
	if (refused_ != OG_USAGE) fail_msg("%s: %s instead of USAGE (%s)", #call, og_status_name(refused_), og_error()); \
	if (!og_error()[0] || strchr(og_error(), '\n')) fail_msg("%s: not a sentence: %s", #call, og_error()); \
} while (0)

static og_model *load(const char *s)
{
	og_model *m;
	OK(og_model_load_memory(&m, s, strlen(s), NULL));
	return m;
}

static const char chain[] =
	"model ir=8 {\"\" 17}\n"
	"graph \"chain\" {\n"
	"  in x: f32[N,8]\n"
	"  const w: f32[8,4] = {1,2,3,4, 1,2,3,4, 1,2,3,4, 1,2,3,4, 1,2,3,4, 1,2,3,4, 1,2,3,4, 1,2,3,4}\n"
	"  const two: f32[] = {2}\n"
	"  a = Relu(x) \"first\"\n"
	"  d = Dropout(a) \"drop\"\n"
	"  p = MatMul(d, w) \"product\"\n"
	"  y = LeakyRelu(p) {alpha=0.5} \"last\"\n"
	"  out y\n"
	"}\n";

static const char nested[] =
	"model ir=8 {\"\" 17, \"my\" 1}\n"
	"graph \"nested\" {\n"
	"  in c: bool[]\n"
	"  in x: f32[4]\n"
	"  v: f32[4] = Exp(x)\n"
	"  y: f32[4] = If(c) {then_branch=graph \"then\" {\n"
	"    t: f32[4] = Neg(v)\n"
	"    dead: f32[4] = Relu(v)\n"
	"    out t\n"
	"  }, else_branch=graph \"else\" {\n"
	"    e: f32[4] = my::Twice(x)\n"
	"    out e\n"
	"  }} \"branch\"\n"
	"  out y\n"
	"}\n"
	"function \"my\"::\"Twice\"(by=2.0) {\"\" 17} {\n"
	"  in a\n"
	"  s = Constant() {value_float=@float by}\n"
	"  b = Mul(a, s)\n"
	"  out b\n"
	"}\n"
	"function \"my\"::\"Never\"() {\"\" 17} {\n"
	"  in a\n"
	"  b = Neg(a)\n"
	"  out b\n"
	"}\n";

/* ---- looking ----------------------------------------------------------------------------------- */

static void test_looking(void **state)
{
	(void)state;
	og_model *m = load(chain);
	og_graph *g = og_model_graph(m);
	const char *const types[] = { "Relu", "Dropout", "MatMul", "LeakyRelu" };
	int k = 0;
	for (og_node *n = og_graph_first_node(g); n; n = og_node_next(n)) assert_string_equal(og_node_type(n), types[k++]);
	assert_int_equal(k, og_graph_nodes(g));
	og_node *product = og_graph_find_node(g, "product");
	og_value *w = og_node_input(product, 1);
	assert_string_equal(og_value_name(w), "w");
	assert_int_equal(og_value_constant(w)->dims[1], 4);
	assert_ptr_equal(og_value_producer(og_node_input(product, 0)), og_graph_find_node(g, "drop"));
	int input = -1;
	assert_int_equal(og_value_uses(w), 1);
	assert_ptr_equal(og_value_user(w, 0, &input), product);
	assert_int_equal(input, 1);
	og_value_info info;
	OK(og_value_type(og_graph_find_value(g, "p"), &info));
	assert_int_equal(info.rank, 2);
	assert_string_equal(info.dim_names[0], "N");
	assert_int_equal(info.dims[1], 4);
	assert_int_equal(og_model_opset(m, ""), 17);
	assert_int_equal(og_model_opset(m, "ai.onnx"), 17);
	float alpha = 0;
	int64_t axis = 7;
	OK(og_node_get_float(og_graph_find_node(g, "last"), "alpha", &alpha));
	assert_true(alpha == 0.5f);
	assert_int_equal(og_node_get_int(og_graph_find_node(g, "last"), "axis", &axis), OG_NO);
	assert_int_equal(axis, 7);
	REFUSED(og_node_get_int(og_graph_find_node(g, "last"), "alpha", &axis));
	assert_non_null(strstr(og_error(), "a float, not an integer"));
	og_model_free(m);
}

static void test_bodies_and_functions(void **state)
{
	(void)state;
	og_model *m = load(nested);
	og_node *branch = og_graph_find_node(og_model_graph(m), "branch");
	og_graph *then = NULL;
	OK(og_node_get_graph(branch, "then_branch", &then));
	assert_ptr_equal(og_graph_holder(then), branch);
	assert_int_equal(og_graph_nodes(then), 2);
	assert_int_equal(og_model_functions(m), 2);
	const char *domain, *name;
	og_graph *body = og_model_function(m, 0, &domain, &name);
	assert_string_equal(domain, "my");
	assert_string_equal(name, "Twice");
	og_attribute_type type;
	assert_string_equal(og_node_attribute(og_graph_first_node(body), 0, &type), "value_float");
	assert_int_equal(type, OG_ATTRIBUTE_REFERENCE);
	OK(og_model_finish(m));
	assert_int_equal(og_graph_nodes(then), 1);
	assert_int_equal(og_model_functions(m), 1);
	og_model_free(m);
}

/* ---- everyday edits ---------------------------------------------------------------------------- */

static void test_removing_and_inserting(void **state)
{
	(void)state;
	og_model *m = load(chain);
	og_graph *g = og_model_graph(m);
	OK(og_node_bypass(og_graph_find_node(g, "drop")));
	og_value *a = og_graph_find_value(g, "a"), *scaled;
	OK(og_compute(&scaled, g, "Mul", "scaled", 2, (og_value *[]){ a, og_graph_find_value(g, "two") }));
	OK(og_value_replace(a, scaled));     /* the Mul itself goes on reading a */
	OK(og_node_bypass(og_graph_find_node(g, "last")));
	OK(og_model_finish(m));
	og_model *want = load("model ir=8 {\"\" 17}\n"
	                      "graph \"chain\" {\n"
	                      "  in x: f32[N,8]\n"
	                      "  const w: f32[8,4] = {1,2,3,4, 1,2,3,4, 1,2,3,4, 1,2,3,4, 1,2,3,4, 1,2,3,4, 1,2,3,4, 1,2,3,4}\n"
	                      "  const two: f32[] = {2}\n"
	                      "  a: f32[N,8] = Relu(x) \"first\"\n"
	                      "  scaled: f32[N,8] = Mul(a, two) \"scaled\"\n"
	                      "  y: f32[N,4] = MatMul(scaled, w) \"product\"\n"
	                      "  out y\n"
	                      "}\n");
	if (!graph_equal(m, want)) fail_msg("%s", og_error());
	og_model_free(m);
	og_model_free(want);
}

static void test_an_output_keeps_its_name(void **state)
{
	(void)state;
	og_model *m = load(chain);
	og_graph *g = og_model_graph(m);
	OK(og_value_replace(og_graph_find_value(g, "y"), og_graph_find_value(g, "x")));      /* an input: needs an Identity */
	OK(og_model_finish(m));
	assert_string_equal(og_value_name(og_graph_output(g, 0)), "y");
	assert_string_equal(og_node_type(og_graph_first_node(g)), "Identity");
	assert_int_equal(og_graph_nodes(g), 1);
	og_value_info info;
	OK(og_value_type(og_graph_output(g, 0), &info));
	assert_int_equal(info.dims[1], 8);   /* it was 4 */
	og_model_free(m);
}

static void test_isolating_a_part(void **state)
{
	(void)state;
	og_model *m = load(chain);
	OK(og_extract(m, (const char *const[]){ "d" }, 1, (const char *const[]){ "p" }, 1));
	OK(og_model_verify(m));
	og_graph *g = og_model_graph(m);
	assert_int_equal(og_graph_nodes(g), 1);
	assert_string_equal(og_value_name(og_graph_input(g, 0)), "d");
	assert_string_equal(og_value_name(og_graph_output(g, 0)), "p");
	assert_null(og_graph_find_value(g, "two"));
	REFUSED(og_extract(m, (const char *const[]){ "w" }, 1, NULL, 0));
	REFUSED(og_extract(m, NULL, 1, NULL, 0));
	og_model_free(m);
}

static void test_folding(void **state)
{
	(void)state;
	og_model *m = load("model ir=8 {\"\" 17}\n"
	                   "graph \"fold\" {\n"
	                   "  in x: f32[2,3,4]\n"
	                   "  const one: i64[] = {1}\n"
	                   "  const zero: i64[1] = {0}\n"
	                   "  s = Shape(x)\n"
	                   "  n = Gather(s, one)\n"
	                   "  u = Unsqueeze(n, zero)\n"
	                   "  minus = Constant() {value_ints=[-1]}\n"
	                   "  to = Concat(u, minus) {axis=0}\n"
	                   "  y = Reshape(x, to)\n"
	                   "  out y\n"
	                   "}\n");
	OK(og_model_fold_constants(m));
	OK(og_model_finish(m));
	og_graph *g = og_model_graph(m);
	assert_int_equal(og_graph_nodes(g), 1);
	const og_tensor *to = og_value_constant(og_graph_find_value(g, "to"));
	int64_t dims[2];
	memcpy(dims, to->data, sizeof dims);
	assert_int_equal(dims[0], 3);
	assert_int_equal(dims[1], -1);
	og_model_free(m);
}

static void test_types_are_found_anew(void **state)
{
	(void)state;
	og_model *m = load(chain);
	og_graph *g = og_model_graph(m);
	OK(og_value_set_type(og_graph_input(g, 0), OG_F32, 2, (const int64_t[]){ -1, 8 }, (const char *const[]){ "batch", NULL }));
	OK(og_node_set_type(og_graph_find_node(g, "last"), "com.example", "Thing"));
	OK(og_model_finish(m));
	og_value_info info;
	OK(og_value_type(og_graph_find_value(g, "p"), &info));
	assert_string_equal(info.dim_names[0], "N");         /* a symbol that was there keeps its name */
	OK(og_value_type(og_graph_find_value(g, "y"), &info));
	assert_int_equal(info.dims[1], 4);   /* what an unknown op makes keeps its type */
	OK(og_value_set_type(og_graph_input(g, 0), OG_F32, 2, (const int64_t[]){ 5, 8 }, NULL));
	OK(og_model_infer(m));
	OK(og_value_type(og_graph_find_value(g, "p"), &info));
	assert_int_equal(info.dims[0], 5);
	float eye[9] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
	const og_tensor unit = { .dtype = OG_F32, .rank = 2, .dims = { 3, 3 }, .data = eye };
	OK(og_value_set_constant(og_graph_find_value(g, "w"), &unit));
	assert_int_equal(og_model_infer(m), OG_BAD_FILE);
	assert_non_null(strstr(og_error(), "product"));
	og_model_free(m);
}

static void test_building_a_body(void **state)
{
	(void)state;
	og_model *m;
	og_value *c, *x, *y, *t, *e;
	og_graph *then, *other;
	OK(og_model_create(&m, "made", 18));
	og_graph *g = og_model_graph(m);
	OK(og_value_add(&c, g, "c"));
	OK(og_value_set_type(c, OG_BOOL, 0, NULL, NULL));
	OK(og_graph_add_input(g, c));
	OK(og_value_add(&x, g, "x"));
	OK(og_value_set_type(x, OG_F32, 1, (const int64_t[]){ 3 }, NULL));
	OK(og_graph_add_input(g, x));
	OK(og_compute(&y, g, "If", "y", 1, &c));
	OK(og_node_add_graph(&then, og_value_producer(y), "then_branch"));
	OK(og_node_add_graph(&other, og_value_producer(y), "else_branch"));
	OK(og_compute(&t, then, "Neg", "t", 1, &x));
	OK(og_compute(&e, other, "Exp", "e", 1, &x));
	OK(og_graph_add_output(then, t));
	OK(og_graph_add_output(other, e));
	OK(og_graph_add_output(g, y));
	OK(og_model_finish(m));
	og_value_info info;
	OK(og_value_type(y, &info));
	assert_int_equal(info.dims[0], 3);
	REFUSED(og_node_set_input(og_value_producer(e), 0, t));          /* of the other body */
	REFUSED(og_graph_add_output(g, t));
	REFUSED(og_value_add(NULL, then, "x"));          /* would hide what is read there */
	REFUSED(og_value_rename(x, "t"));    /* would be hidden */
	OK(og_node_remove_attribute(og_value_producer(y), "then_branch"));
	REFUSED(og_value_add(NULL, then, "more"));
	REFUSED(og_value_rename(t, "more"));
	assert_null(og_graph_first_node(then));
	og_model_free(m);
}

static void test_attributes(void **state)
{
	(void)state;
	og_model *m = load(chain);
	og_node *n = og_graph_first_node(og_model_graph(m));
	float numbers[2] = { 1, 2 };
	const og_tensor *t;
	const int64_t *ints;
	const float *floats;
	const char *s;
	const char *const *strings;
	size_t count;
	OK(og_node_set_int(n, "i", -3));
	OK(og_node_set_ints(n, "is", (const int64_t[]){ 1, 2, 3 }, 3));
	OK(og_node_set_floats(n, "fs", numbers, 2));
	OK(og_node_set_string(n, "s", "words"));
	OK(og_node_set_strings(n, "ss", (const char *const[]){ "a", "b" }, 2));
	OK(og_node_set_tensor(n, "t", &(og_tensor){ .dtype = OG_F32, .rank = 1, .dims = { 2 }, .data = numbers }));
	numbers[0] = 9;                      /* all was copied */
	OK(og_node_get_ints(n, "is", &ints, &count));
	assert_int_equal(count, 3);
	OK(og_node_get_floats(n, "fs", &floats, &count));
	assert_true(floats[0] == 1 && count == 2);
	OK(og_node_get_string(n, "s", &s));
	assert_string_equal(s, "words");
	OK(og_node_get_strings(n, "ss", &strings, &count));
	assert_string_equal(strings[1], "b");
	OK(og_node_get_tensor(n, "t", &t));
	assert_true(*(float *)t->data == 1);
	assert_int_equal(og_node_attributes(n), 6);
	OK(og_node_set_string(n, "i", "another type"));
	OK(og_node_remove_attribute(n, "t"));
	OK(og_node_remove_attribute(n, "t"));
	assert_int_equal(og_node_attributes(n), 5);
	og_model_free(m);
}

/* ---- misuse ------------------------------------------------------------------------------------ */

static void test_nothing_is_refused(void **state)
{
	(void)state;
	og_value_info info;
	REFUSED(og_model_create(NULL, "x", 17));
	og_model *m;
	REFUSED(og_model_create(&m, "x", 3));
	REFUSED(og_model_copy(&m, NULL));
	REFUSED(og_model_finish(NULL));
	REFUSED(og_model_fold_constants(NULL));
	REFUSED(og_model_require_opset(NULL, "", 17));
	REFUSED(og_extract(NULL, NULL, 0, NULL, 0));
	REFUSED(og_graph_add_input(NULL, NULL));
	REFUSED(og_graph_remove_output(NULL, 0));
	REFUSED(og_value_add(NULL, NULL, "x"));
	REFUSED(og_value_type(NULL, &info));
	REFUSED(og_value_replace(NULL, NULL));
	REFUSED(og_value_remove(NULL));
	REFUSED(og_constant_add(NULL, NULL, NULL, NULL));
	REFUSED(og_node_add(NULL, NULL, "", "Relu", "", 0, NULL, 0, NULL));
	REFUSED(og_node_set_input(NULL, 0, NULL));
	REFUSED(og_node_bypass(NULL));
	REFUSED(og_node_set_int(NULL, "x", 1));
	assert_null(og_model_graph(NULL));
	assert_null(og_graph_first_node(NULL));
	assert_null(og_node_next(NULL));
	assert_null(og_value_next(NULL));
	assert_null(og_value_user(NULL, 0, NULL));
	assert_string_equal(og_node_type(NULL), "");
	assert_string_equal(og_node_attribute(NULL, 0, NULL), "");
	assert_int_equal(og_graph_nodes(NULL), 0);
	assert_int_equal(og_model_functions(NULL), 0);
}

static void test_what_is_not_there(void **state)
{
	(void)state;
	og_model *m = load(chain), *other = load(chain);
	og_graph *g = og_model_graph(m);
	og_node *drop = og_graph_find_node(g, "drop"), *last = og_graph_find_node(g, "last");
	og_value *d = og_graph_find_value(g, "d"), *x = og_graph_find_value(g, "x");
	og_value *foreign = og_graph_find_value(og_model_graph(other), "a");
	REFUSED(og_node_set_input(last, 0, foreign));
	REFUSED(og_node_set_output(last, 1, foreign));
	REFUSED(og_value_replace(d, foreign));
	REFUSED(og_graph_add_output(g, foreign));
	REFUSED(og_node_set_input(last, -1, d));
	REFUSED(og_node_set_input(last, 5000, d));
	REFUSED(og_node_set_output(last, 0, d));         /* made by another */
	REFUSED(og_node_set_output(last, 0, x));         /* an input */
	REFUSED(og_graph_add_input(g, d));
	REFUSED(og_graph_add_output(g, og_graph_output(g, 0)));
	REFUSED(og_graph_remove_input(g, 1));
	REFUSED(og_value_remove(d));
	REFUSED(og_value_rename(d, "a"));
	REFUSED(og_value_rename(d, ""));
	REFUSED(og_value_add(NULL, g, "a"));
	REFUSED(og_value_set_type(d, OG_F32, 9, NULL, NULL));
	REFUSED(og_value_set_type(og_graph_find_value(g, "w"), OG_F32, 0, NULL, NULL));
	REFUSED(og_value_set_constant(d, &(og_tensor){ .dtype = OG_F32, .rank = 1, .dims = { 4 } }));
	REFUSED(og_value_set_constant(d, &(og_tensor){ .dtype = OG_F32, .rank = 99 }));
	REFUSED(og_node_add(NULL, g, "", "", "", 0, NULL, 0, NULL));
	REFUSED(og_node_add(NULL, g, "", "Relu", "", 1, NULL, 0, NULL));
	OK(og_node_bypass(drop));
	REFUSED(og_node_bypass(drop));
	REFUSED(og_node_set_name(drop, "again"));
	REFUSED(og_value_rename(d, "again"));
	assert_null(og_node_next(drop));
	assert_string_equal(og_value_name(d), "");
	OK(og_model_finish(m));
	og_model_free(m);
	og_model_free(other);
}

static void test_a_cycle_is_told(void **state)
{
	(void)state;
	og_model *m = load(chain);
	og_graph *g = og_model_graph(m);
	OK(og_node_set_input(og_graph_find_node(g, "first"), 0, og_graph_find_value(g, "p")));
	assert_int_equal(og_model_finish(m), OG_BAD_FILE);
	assert_non_null(strstr(og_error(), "cycle"));
	og_model_free(m);
}

/* ---- short memory, and calls at random ------------------------------------------------------------- */

/* Whatever is called, both directions of every link stay right: only what a user may leave undone is found. */
static void check_links(og_model *m)
{
	static const char *const undone[] = { "no node makes value", "is on a cycle", NULL };
	og_status status = og_model_sort(m);
	if (status == OG_OK) status = og_model_verify(m);
	bool may_be = status == OG_OK;
	for (int i = 0; undone[i] && !may_be; i++) may_be = strstr(og_error(), undone[i]) != NULL;
	if (!may_be) fail_msg("%s", og_error());
}

static og_status everything(og_model *m)
{
	og_graph *g = og_model_graph(m), *body;
	og_value *v, *branch;
	float one = 1;
	TRY(og_constant_add(&v, g, NULL, &(og_tensor){ .dtype = OG_F32, .data = &one }));
	TRY(og_compute(&v, g, "Add", "more", 2, (og_value *[]){ og_graph_find_value(g, "a"), v }));
	TRY(og_value_replace(og_graph_find_value(g, "a"), v));
	TRY(og_node_bypass(og_graph_find_node(g, "drop")));
	TRY(og_node_set_ints(og_value_producer(v), "list", (const int64_t[]){ 1, 2 }, 2));
	TRY(og_node_remove_attribute(og_value_producer(v), "list"));
	TRY(og_value_rename(og_graph_find_value(g, "p"), "product"));
	TRY(og_compute(&branch, g, "Thing", NULL, 1, &v));
	TRY(og_node_add_graph(&body, og_value_producer(branch), "body"));
	TRY(og_compute(&v, body, "Neg", NULL, 1, &v));
	TRY(og_graph_add_output(body, v));
	TRY(og_graph_add_output(g, branch));
	TRY(og_model_fold_constants(m));
	TRY(og_model_finish(m));
	return og_extract(m, NULL, 0, (const char *const[]){ "product" }, 1);
}

static void test_short_memory(void **state)
{
	(void)state;
	og_status status = OG_NO_MEMORY;
	for (uint64_t n = 1; status != OG_OK; n++) {
		og_model *m = load(chain);
		base_fail_allocation(n);
		status = everything(m);
		base_fail_allocation(0);
		if (status != OG_OK) assert_int_equal(status, OG_NO_MEMORY);
		check_links(m);
		og_model_free(m);
	}
}

static void test_diff_with_short_memory(void **state)
{
	(void)state;
	for (int format = OG_TEXT; format <= OG_HTML; format++) {
		og_status status = OG_NO_MEMORY;
		for (uint64_t n = 1; status != OG_NO; n++) {
			og_model *a = load(nested), *b = load(chain);
			char *out;
			base_fail_allocation(n);
			status = og_diff(&out, a, b, (og_format)format);
			base_fail_allocation(0);
			if (status != OG_NO) {
				assert_int_equal(status, OG_NO_MEMORY);
				assert_null(out);
			}
			og_text_free(out);
			og_model_free(a);
			og_model_free(b);
		}
	}
}

enum { HANDLES = 64 };
typedef struct pool {
	og_graph *graphs[HANDLES]; og_node *nodes[HANDLES]; og_value *values[HANDLES];
	uint64_t random;
} pool;

static unsigned pick(pool *p, unsigned n)
{
	p->random = p->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(p->random >> 33) % n;
}

static og_value *any_value(pool *p) { return p->values[pick(p, HANDLES)]; }
static og_node *any_node(pool *p) { return p->nodes[pick(p, HANDLES)]; }
static og_graph *any_graph(pool *p) { return p->graphs[pick(p, HANDLES)]; }

static void gather(pool *p, og_graph *g)
{
	p->graphs[pick(p, HANDLES)] = g;
	for (og_node *n = og_graph_first_node(g); n; n = og_node_next(n)) {
		p->nodes[pick(p, HANDLES)] = n;
		for (int k = 0; k < og_node_attributes(n); k++) {
			og_graph *body;
			og_attribute_type type;
			const char *name = og_node_attribute(n, k, &type);
			if (type == OG_ATTRIBUTE_GRAPH && og_node_get_graph(n, name, &body) == OG_OK) gather(p, body);
		}
	}
	for (og_value *v = og_graph_first_value(g); v; v = og_value_next(v)) p->values[pick(p, HANDLES)] = v;
}

static void random_call(pool *p)
{
	static const char *const names[] = { "a", "t", "v", "x", "new", "other", NULL };
	const char *name = names[pick(p, 7)];
	float number = 1;
	og_value *v = any_value(p), *w = any_value(p);
	og_node *n = any_node(p);
	og_graph *g = any_graph(p);
	og_value *in[] = { v, w };
	switch (pick(p, 17)) {
	case 0: og_value_add(&p->values[pick(p, HANDLES)], g, name); break;
	case 1: og_compute(&p->values[pick(p, HANDLES)], g, pick(p, 2) ? "Relu" : "Add", name, 1 + (int)pick(p, 2), in); break;
	case 2: og_constant_add(&p->values[pick(p, HANDLES)], g, name, &(og_tensor){ .dtype = OG_F32, .data = &number }); break;
	case 3: og_value_replace(v, w); break;
	case 4: og_value_rename(v, name); break;
	case 5: og_value_remove(v); break;
	case 6: og_node_set_input(n, (int)pick(p, 3), v); break;
	case 7: og_node_set_output(n, (int)pick(p, 3), v); break;
	case 8: og_node_remove(n); break;
	case 9: og_node_bypass(n); break;
	case 10: og_graph_add_input(g, v); break;
	case 11: og_graph_add_output(g, v); break;
	case 12: og_graph_remove_input(g, (int)pick(p, 3)); break;
	case 13: og_graph_remove_output(g, (int)pick(p, 3)); break;
	case 14: og_node_add_graph(&p->graphs[pick(p, HANDLES)], n, pick(p, 2) ? "then_branch" : "body"); break;
	case 15: og_value_set_constant(v, &(og_tensor){ .dtype = OG_F32, .data = &number }); break;
	default: p->nodes[pick(p, HANDLES)] = og_value_producer(v); break;
	}
}

static void test_calls_at_random(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		og_model *m = load(nested), *other = load(chain);
		pool p = { .random = seed };
		for (int i = 0; i < 4; i++) {
			gather(&p, og_model_graph(m));
			gather(&p, og_model_graph(other));
		}
		gather(&p, og_model_function(m, 0, NULL, NULL));
		for (int i = 0; i < 200; i++) random_call(&p);
		check_links(m);
		check_links(other);
		og_model_finish(m);
		check_links(m);
		og_model_free(m);
		og_model_free(other);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_looking),
		cmocka_unit_test(test_bodies_and_functions),
		cmocka_unit_test(test_removing_and_inserting),
		cmocka_unit_test(test_an_output_keeps_its_name),
		cmocka_unit_test(test_isolating_a_part),
		cmocka_unit_test(test_folding),
		cmocka_unit_test(test_types_are_found_anew),
		cmocka_unit_test(test_building_a_body),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_nothing_is_refused),
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_a_cycle_is_told),
		cmocka_unit_test(test_short_memory),
		cmocka_unit_test(test_diff_with_short_memory),
		cmocka_unit_test(test_calls_at_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
