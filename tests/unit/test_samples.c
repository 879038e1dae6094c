/* test_samples.c -- plans in slabs: every allocation failing, every thread count, damage. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "plan/plan.h"

static const char lenet5[] = "models/lenet5_swish2.onnx";
enum { BATCH = 39, PIXELS = 28 * 28, CLASSES = 10, THREADS = 4 };
static const char *const forms[] = { "slabs", "samples" };
static float x[BATCH * PIXELS], want[BATCH * CLASSES], got[BATCH * CLASSES];

static og_model *load(void)
{
	og_model *m;
	uint32_t seed = 1;
	assert_int_equal(og_model_load(&m, lenet5), OG_OK);
	for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
		seed = seed * 1664525u + 1013904223u;
		x[i] = (float)(seed >> 8) * 0x1p-24f;
	}
	return m;
}

static og_status build(og_plan **out, const og_model *m, const char *form)
{
	og_binding b = { .name = "N", .rank = 1, .dims = { BATCH } };
	og_build_options o = { .size = sizeof o, .bindings = &b, .n_bindings = 1, .threads = THREADS, .timing = OG_TIMING_OFF,
	                       .batching = form };
	return og_plan_build(out, m, &o);
}

static og_status run(const og_plan *p, int threads, float *y)
{
	og_session *s;
	const void *in[] = { x };
	void *out[] = { y };
	TRY(og_session_create(&s, p, threads));
	uint64_t before = base_allocations();
	og_status status = og_session_run(s, in, out);
	assert_true(base_allocations() == before);
	og_session_free(s);
	return status;
}

static void test_threads(void **state)
{
	(void)state;
	og_model *m = load();
	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
		og_plan *p;
		assert_int_equal(build(&p, m, forms[f]), OG_OK);
		assert_true(p->slab > 0 && p->slab < BATCH && p->batch == BATCH);
		assert_int_equal(run(p, 1, want), OG_OK);
		for (int i = 0; i < 20; i++) {
			memset(got, 0xff, sizeof got);
			assert_int_equal(run(p, 1 + i % THREADS, got), OG_OK);
			assert_memory_equal(got, want, sizeof want);
		}
		og_plan_free(p);
	}
	og_model_free(m);
}

static void test_memory(void **state)
{
	(void)state;
	og_model *m = load();
	const char *sample = getenv("OPGRAFT_SAMPLE");       /* thins out the loop */
	uint64_t step = sample && atoi(sample) > 1 ? (uint64_t)atoi(sample) : 1;
	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
		og_status status = OG_NO_MEMORY;
		for (uint64_t n = 1; status != OG_OK; n += step) {
			og_plan *p = NULL;
			base_fail_allocation(n);
			status = build(&p, m, forms[f]);
			if (status == OG_OK) status = run(p, 0, got);
			base_fail_allocation(0);
			assert_true(status == OG_OK || status == OG_NO_MEMORY);
			og_plan_free(p);
		}
	}
	og_model_free(m);
}

/* A file whose numbers of samples were changed, with a checksum that fits, is refused or still keeps to its buffers. */
static void test_damage(void **state)
{
	(void)state;
	const char *path = "build/test_samples.plan";
	og_model *m = load();
	og_plan *p;
	assert_int_equal(build(&p, m, "samples"), OG_OK);
	assert_int_equal(og_plan_save(p, path), OG_OK);
	int64_t batch = p->batch, slab = p->slab;
	og_plan_free(p);
	file_map f;
	assert_int_equal(file_open(&f, path), OG_OK);
	uint8_t *copy = base_alloc_aligned(f.size, 64);
	assert_non_null(copy);
	enum { BATCH_AT = 128 + 8, SLAB_AT = BATCH_AT + 8, CHECKSUM_AT = 24 };
	int64_t there[2];
	memcpy(there, f.data + BATCH_AT, sizeof there);
	assert_true(there[0] == batch && there[1] == slab);
	const int64_t wrong[][2] = { { batch, 0 }, { 0, slab }, { slab - 1, slab }, { batch, slab + 1 }, { batch, 1 }, { -1, slab },
	                             { batch, batch }, { INT32_MAX + INT64_C(1), slab } };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (!memcmp(wrong[i], there, sizeof there)) continue;    /* with one lane */
		memcpy(copy, f.data, f.size);
		memcpy(copy + BATCH_AT, wrong[i], sizeof wrong[i]);
		uint64_t sum = plan_checksum(copy, f.size);
		memcpy(copy + CHECKSUM_AT, &sum, sizeof sum);
		assert_int_equal(plan_load_memory(&p, copy, f.size, "damaged"), OG_BAD_FILE);
	}
	base_free(copy);
	file_close(&f);
	remove(path);
	og_model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads), cmocka_unit_test(test_memory), cmocka_unit_test(test_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
