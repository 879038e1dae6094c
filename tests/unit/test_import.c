/* Importing TensorFlow graphs when memory is short: each allocation fails in turn (thinned out). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "opgraft.h"

enum { TRIALS = 100 };

static void each_allocation_fails(void **state)
{
	const char *path = *state;
	og_model *m;
	uint64_t before = base_allocations();
	assert_int_equal(og_model_import_tensorflow(&m, path, NULL), OG_OK);
	uint64_t all = base_allocations() - before, failed = 0;
	og_model_free(m);
	for (uint64_t n = 1; n <= all; n += 1 + all / TRIALS) {
		base_fail_allocation(n);
		og_status status = og_model_import_tensorflow(&m, path, NULL);
		base_fail_allocation(0);
		assert_true(status == OG_OK || (status == OG_NO_MEMORY && !m));
		failed += status == OG_NO_MEMORY;
		og_model_free(m);
	}
	assert_true(failed > 0);
}

/* What the kinds of options mean; the command's tests are in test_import.py. */
static void options_are_taken(void **state)
{
	const char *path = *state;
	const char *outputs[] = { "Reshape.0/y0" };
	og_model *m;
	og_import_options o = { .size = sizeof o, .outputs = outputs, .n_outputs = 1 };
	assert_int_equal(og_model_import_tensorflow(&m, path, &o), OG_OK);
	assert_int_equal(og_model_outputs(m), 1);
	og_model_free(m);
	const og_binding input = { .name = "Reshape.0/x0", .rank = OG_MAX_RANK + 1 };
	o.inputs = &input;
	o.n_inputs = 1;
	assert_int_equal(og_model_import_tensorflow(&m, path, &o), OG_USAGE);
	assert_null(m);
	assert_string_equal(og_import_tensorflow_op(0), "Abs");
	assert_null(og_import_tensorflow_op(1000));
}

int main(void)
{
	static char images[] = "tests/import/images.pb", shapes[] = "tests/import/shapes.pb", control[] = "tests/import/control.pb";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(each_allocation_fails, images),
		cmocka_unit_test_prestate(each_allocation_fails, shapes),
		cmocka_unit_test_prestate(each_allocation_fails, control),
		cmocka_unit_test_prestate(options_are_taken, shapes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
