/* test_edits.c -- finding and grafting through the public interface: a dry run's edits are the graft, nothing is found twice, and
 * memory that runs out anywhere is a status. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/base.h"
#include "opgraft.h"

static const char network[] =
	"model ir=8 {\"\" 20}\n"
	"graph \"g\" {\n"
	"  in x: f32[N,4]\n"
	"  in c: bool[]\n"
	"  const b: f32[] = {1.5}\n"
	"  m = Mul(x, b)\n  s = Sigmoid(m)\n  a = Mul(s, x) \"first\"\n"
	"  e = Exp(a)\n  t = Sin(e)\n  u = Cos(e)\n  v: f32[N,4] = Add(t, u)\n"
	"  y: f32[N,4] = If(c) {then_branch=graph \"p\" {\n    g = Sigmoid(v)\n    h = Mul(v, g)\n    out h\n  }, "
	"else_branch=graph \"q\" {\n    k = Relu(v)\n    out k\n  }} \"if1\"\n"
	"  out y\n"
	"}\n";

static const char rules[] = "Sin(x), Cos(x) -> Cos(Sub(x, 1.5)), Sin(z) where z = Add(x, 1.5)\n"
                            "Mul(x, Sigmoid(Mul(x, b))) -> Swish(x, beta=b)\nRelu(x) -> Clip(x, min=0)\n";

static og_model *load(void)
{
	og_model *m;
	assert_int_equal(og_model_load_memory(&m, network, strlen(network), NULL), OG_OK);
	return m;
}

static char *print(const og_model *m)
{
	char *printed;
	assert_int_equal(og_model_print(&printed, m), OG_OK);
	return printed;
}

static void test_find_changes_nothing(void **state)
{
	(void)state;
	og_model *m = load();
	char *before = print(m);
	og_graft_options o = { .size = sizeof o, .op = "Swish" };
	for (int i = 0; i < 2; i++) {
		og_found *found;
		assert_int_equal(og_find(&found, m, &o), OG_OK);
		assert_int_equal(found->n_matches, 2);
		assert_string_equal(found->matches[0].output, "a");
		assert_string_equal(found->matches[0].nodes[0], "first");
		assert_string_equal(found->matches[0].graph, "");
		assert_string_equal(found->matches[0].attributes[0].name, "beta");
		assert_true(found->matches[0].attributes[0].value == 1.5);
		assert_string_equal(found->matches[1].graph, "if1.then_branch");
		og_found_free(found);
	}
	char *after = print(m);
	assert_string_equal(before, after);
	og_text_free(before);
	og_text_free(after);
	og_model_free(m);
}

static void test_a_dry_run_is_the_graft(void **state)
{
	(void)state;
	og_model *direct = load(), *planned = load();
	og_found *found;
	char *edits;
	og_graft_options o = { .size = sizeof o, .rules = rules, .dry_run = 1 };
	assert_int_equal(og_graft(&found, planned, &o), OG_OK);
	assert_int_equal(found->n_matches, 3);
	assert_int_equal(og_found_edits(&edits, found), OG_OK);
	og_found_free(found);
	o.dry_run = 0;
	assert_int_equal(og_graft(NULL, direct, &o), OG_OK);
	assert_int_equal(og_graft(&found, planned, &(og_graft_options){ .size = sizeof o, .edits = edits }), OG_OK);
	assert_int_equal(found->n_matches, 3);
	assert_string_equal(found->matches[2].how, "edit");
	og_found_free(found);
	char *a = print(direct), *b = print(planned);
	assert_string_equal(a, b);
	og_text_free(a);
	og_text_free(b);
	og_text_free(edits);
	og_model_free(direct);
	og_model_free(planned);
}

static void test_options_of_an_older_caller(void **state)
{
	(void)state;
	og_model *m = load();
	og_found *found;
	og_graft_options o = { .size = offsetof(og_graft_options, skip), .map = "Relu=Swish", .skip = "*", .edits = "nonsense" };
	assert_int_equal(og_graft(&found, m, &o), OG_OK);
	og_found_free(found);
	assert_int_equal(og_graft(&found, m, &o), OG_NO);
	og_found_free(found);
	assert_int_equal(og_graft(NULL, m, NULL), OG_USAGE);
	assert_int_equal(og_graft(NULL, m, &(og_graft_options){ .size = sizeof o, .op = "Swish", .map = "Relu=Swish" }), OG_USAGE);
	assert_int_equal(og_find(NULL, m, &(og_graft_options){ .size = sizeof o, .map = "Relu=Swish" }), OG_USAGE);
	og_model_free(m);
}

/* Each way once with every allocation failing in turn: a status and nothing leaked; at last it works. */
static void fail_each(const og_graft_options *o, int find)
{
	og_status status = OG_NO_MEMORY;
	for (uint64_t n = 1; status != OG_OK; n++) {
		og_model *m = load();
		og_found *found = NULL;
		char *json = NULL;
		base_fail_allocation(n);
		status = find ? og_find(&found, m, o) : og_graft(&found, m, o);
		if (status == OG_OK) status = og_found_edits(&json, found);
		base_fail_allocation(0);
		assert_true(status == OG_OK || status == OG_NO_MEMORY);
		og_text_free(json);
		og_found_free(found);
		og_model_free(m);
		assert_true(n < 1000000);
	}
}

static void test_failing_allocations(void **state)
{
	(void)state;
	og_model *m = load();
	og_found *found;
	char *edits;
	og_graft_options dry = { .size = sizeof dry, .rules = rules, .dry_run = 1 };
	assert_int_equal(og_graft(&found, m, &dry), OG_OK);
	assert_int_equal(og_found_edits(&edits, found), OG_OK);
	og_found_free(found);
	og_model_free(m);
	fail_each(&(og_graft_options){ .size = sizeof dry, .op = "Swish" }, 1);
	fail_each(&(og_graft_options){ .size = sizeof dry }, 1);
	fail_each(&dry, 0);
	fail_each(&(og_graft_options){ .size = sizeof dry, .rules = rules, .keep_interior = 1 }, 0);
	fail_each(&(og_graft_options){ .size = sizeof dry, .map = "Relu=Swish;Sin=Cos" }, 0);
	fail_each(&(og_graft_options){ .size = sizeof dry, .edits = edits }, 0);
	og_text_free(edits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find_changes_nothing),
		cmocka_unit_test(test_a_dry_run_is_the_graft),
		cmocka_unit_test(test_options_of_an_older_caller),
		cmocka_unit_test(test_failing_allocations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
