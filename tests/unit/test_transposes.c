/* test_transposes.c -- optimize_move_transposes where sizes are not known, in bodies, and where memory runs out. The rest is in
 * tests/passes/ and tests/test_transposes.py. */
#include "graph_text.h"

#include <stdlib.h>
#include <string.h>

#include "optimize/optimize.h"
#include "schema/schema.h"

/* The graph behind the pass, which must be whole, between `graph "g" {` and its end. */
static char *moved(const char *s)
{
	og_model *m = parse(s);
	schema_resolve(m);
	OK(schema_infer(m->main));
	OK(optimize_move_transposes(m, &(optimize_options){ 0 }));
	OK(graph_verify(m));
	schema_resolve(m);
	OK(schema_infer(m->main));
	char *t = print(m);
	graph_model_destroy(m);
	return t;
}

static void expect(const char *s, const char *const *lines, size_t n)
{
	char *t = moved(s);
	for (size_t k = 0; k < n; k++)
		if (!strstr(t, lines[k])) fail_msg("no '%s' in\n%s", lines[k], t);
	base_free(t);
}

#define EXPECT(s, ...) do { \
	static const char *const lines_[] = { __VA_ARGS__ }; \
	expect(s, lines_, sizeof lines_ / sizeof *lines_); \
} while (0)

#define MODEL "model ir=8 {\"\" 17}\ngraph \"g\" {\n"

static int count(const char *s, const char *what)
{
	int n = 0;
	for (; (s = strstr(s, what)); s++) n++;
	return n;
}

static const char network[] = MODEL
	"  in x: f32[N,H,W,3]\n"
	"  const w: f32[3,3,1,1] = {1, 2, 3, 4, 5, 6, 7, 8, 9}\n"
	"  const b: f32[3] = {1, 2, 3}\n"
	"  const pads: i64[8] = {0, 1, 1, 0, 0, 1, 1, 0}\n"
	"  const axes: i64[2] = {1, 2}\n"
	"  a: ? = Transpose(x) {perm=[0, 3, 1, 2]}\n"
	"  c: ? = Conv(a, w)\n"
	"  d: ? = Transpose(c) {perm=[0, 2, 3, 1]}\n"
	"  e: ? = Add(d, b)\n"
	"  f: ? = Pad(e, pads)\n"
	"  g: ? = Transpose(f) {perm=[0, 3, 1, 2]}\n"
	"  h: ? = Conv(g, w)\n"
	"  i: ? = Transpose(h) {perm=[0, 2, 3, 1]}\n"
	"  s: ? = Shape(i)\n"
	"  r: ? = ReduceMean(i) {axes=[1, 2], keepdims=0}\n"
	"  u: ? = Unsqueeze(r, axes)\n"
	"  v: ? = Transpose(u) {perm=[0, 3, 1, 2]}\n"
	"  y: ? = Conv(v, w)\n"
	"  out s\n"
	"  out y\n"
	"}\n";

static void test_sizes_that_are_not_known(void **state)
{
	(void)state;
	char *t = moved(network);
	if (count(t, "= Transpose(") != 1) fail_msg("not one Transpose in\n%s", t);
	base_free(t);
	EXPECT(network, "= Pad(", "{0, 0, 1, 1, 0, 0, 1, 1}", "{axes=[2, 3], keepdims=0}", "s: i64[4] = Gather(", "{0, 2, 3, 1}");
}

static void test_a_body_reads_what_it_read(void **state)
{
	(void)state;
	EXPECT(MODEL
	       "  in x: f32[2,3,4]\n"
	       "  in c: bool[]\n"
	       "  a: ? = Transpose(x) {perm=[0, 2, 1]}\n"
	       "  b: ? = Relu(a)\n"
	       "  d: ? = Transpose(b) {perm=[0, 2, 1]}\n"
	       "  y: ? = If(c) {then_branch=graph \"t\" {\n    p: ? = Neg(b)\n    out p\n  }, else_branch=graph \"e\" {\n"
	       "    q: ? = Identity(b)\n    out q\n  }}\n"
	       "  out d\n"
	       "  out y\n"
	       "}\n", "d: f32[2,3,4] = Relu(x)", "b: f32[2,4,3] = Transpose(d) {perm=[0, 2, 1]}", "= Neg(b)");
}

/* An input that has a default is what the caller gives. */
static void test_a_default_is_no_constant(void **state)
{
	(void)state;
	EXPECT(MODEL
	       "  in x: f32[2,3]\n"
	       "  in d: f32[3,2] = {1, 2, 3, 4, 5, 6}\n"
	       "  a: ? = Transpose(x) {perm=[1, 0]}\n"
	       "  b: ? = Sub(a, d)\n"
	       "  y: ? = Transpose(b) {perm=[1, 0]}\n"
	       "  out y\n"
	       "}\n", "Transpose(d)", "y: f32[2,3] = Sub(x, ");
}

static void test_memory_that_runs_out(void **state)
{
	(void)state;
	uint64_t n = 1;
	for (bool done = false; !done; n++) {
		og_model *m = parse(network);
		schema_resolve(m);
		OK(schema_infer(m->main));
		base_fail_allocation(n);
		og_status status = optimize_move_transposes(m, &(optimize_options){ 0 });
		base_fail_allocation(0);
		done = status == OG_OK;
		if (!done) assert_int_equal(status, OG_NO_MEMORY);
		graph_model_destroy(m);
	}
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_that_are_not_known),
		cmocka_unit_test(test_a_body_reads_what_it_read),
		cmocka_unit_test(test_a_default_is_no_constant),
		cmocka_unit_test(test_memory_that_runs_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
