/* test_plan.c -- plans and sessions: memory, files, sharing, and nothing allocated while running. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "opgraft.h"

static const char lenet5[] = "models/lenet5_swish4.onnx";
enum { PIXELS = 28 * 28, CLASSES = 10 };

static og_plan *build(const char *path, int batch, int threads, int no_fuse)
{
	og_model *m;
	og_plan *p;
	og_binding b = { .name = "N", .rank = 1, .dims = { batch } };
	og_build_options o = { .size = sizeof o, .bindings = &b, .n_bindings = 1, .threads = threads, .no_fuse = no_fuse };
	assert_int_equal(og_model_load(&m, path), OG_OK);
	assert_int_equal(og_plan_build(&p, m, &o), OG_OK);
	og_model_free(m);
	return p;
}

static void fill(float *x, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		x[i] = (float)(seed >> 8) * 0x1p-24f;
	}
}

static void run(const og_plan *p, const float *x, float *y)
{
	og_session *s;
	const void *in[] = { x };
	void *out[] = { y };
	assert_int_equal(og_session_create(&s, p, 0), OG_OK);
	assert_int_equal(og_session_run(s, in, out), OG_OK);
	og_session_free(s);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void test_activations_near_bound(void **state)
{
	(void)state;
	for (int batch = 1; batch <= 64; batch *= 8)
		for (int no_fuse = 0; no_fuse < 2; no_fuse++) {
			og_memory m;
			og_plan *p = build(lenet5, batch, 1, no_fuse);
			og_plan_memory(p, &m);
			assert_true(m.activations > 0 && m.activations_bound > 0);
			assert_true((double)m.activations <= 1.05 * (double)m.activations_bound);
			og_plan_free(p);
		}
}

/* Values that are alive together must not share memory: the plan's answers are those of fresh memory. */
static void test_fused_and_unfused_agree(void **state)
{
	(void)state;
	enum { BATCH = 7 };
	static float x[BATCH * PIXELS], a[BATCH * CLASSES], b[BATCH * CLASSES];
	og_plan *fused = build(lenet5, BATCH, 2, 0), *plain = build(lenet5, BATCH, 2, 1);
	fill(x, BATCH * PIXELS, 1);
	run(fused, x, a);
	run(plain, x, b);
	for (int i = 0; i < BATCH * CLASSES; i++) assert_float_equal(a[i], b[i], 1e-5f);
	og_plan_free(fused);
	og_plan_free(plain);
}

static void test_running_allocates_nothing(void **state)
{
	(void)state;
	static float x[8 * PIXELS], y[8 * CLASSES];
	for (int no_fuse = 0; no_fuse < 2; no_fuse++) {
		og_session *s;
		og_plan *p = build(lenet5, 8, 2, no_fuse);
		const void *in[] = { x };
		void *out[] = { y };
		assert_int_equal(og_session_create(&s, p, 2), OG_OK);
		uint64_t before = base_allocations();
		for (int i = 0; i < 5; i++) assert_int_equal(og_session_run(s, in, out), OG_OK);
		assert_true(base_allocations() == before);
		og_session_free(s);
		og_plan_free(p);
	}
}

/* ---- sharing a plan ---------------------------------------------------------------------------- */

typedef struct worker { const og_plan *plan; const float *x; float y[4 * CLASSES]; og_status status; } worker;

static void *work(void *arg)
{
	worker *w = arg;
	og_session *s;
	const void *in[] = { w->x };
	void *out[] = { w->y };
	w->status = og_session_create(&s, w->plan, 2);
	for (int i = 0; i < 20 && w->status == OG_OK; i++) {
		memset(w->y, 0, sizeof w->y);
		w->status = og_session_run(s, in, out);
	}
	if (w->status == OG_OK) og_session_free(s);
	return NULL;
}

static void test_sessions_share_a_plan(void **state)
{
	(void)state;
	static float x[4 * PIXELS], y[4 * CLASSES];
	enum { N = 4 };
	static worker w[N];
	pthread_t thread[N];
	og_plan *p = build(lenet5, 4, 2, 0);
	fill(x, 4 * PIXELS, 2);
	run(p, x, y);
	for (int i = 0; i < N; i++) {
		w[i] = (worker){ .plan = p, .x = x };
		assert_int_equal(pthread_create(&thread[i], NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < N; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(w[i].status, OG_OK);
		assert_memory_equal(w[i].y, y, sizeof y);
	}
	og_plan_free(p);
}

static void test_threads_change_no_bit(void **state)
{
	(void)state;
	static float x[16 * PIXELS], one[16 * CLASSES], many[16 * CLASSES];
	og_plan *p = build(lenet5, 16, 4, 0);
	fill(x, 16 * PIXELS, 3);
	for (int threads = 1; threads <= 4; threads++) {
		og_session *s;
		const void *in[] = { x };
		void *out[] = { threads == 1 ? one : many };
		assert_int_equal(og_session_create(&s, p, threads), OG_OK);
		assert_int_equal(og_session_run(s, in, out), OG_OK);
		if (threads > 1) assert_memory_equal(one, many, sizeof one);
		og_session_free(s);
	}
	og_plan_free(p);
}

/* ---- files ------------------------------------------------------------------------------------- */

static uint8_t *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	*n = (size_t)ftell(f);
	rewind(f);
	uint8_t *p = malloc(*n);
	assert_non_null(p);
	assert_int_equal(fread(p, 1, *n, f), *n);
	fclose(f);
	return p;
}

static void spill(const char *path, const uint8_t *p, size_t n)
{
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static char path[64];

static int make_path(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/opgraft-plan-%ld", (long)getpid());
	return 0;
}

static int remove_path(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static void test_a_loaded_plan_gives_the_same_bits(void **state)
{
	(void)state;
	static float x[3 * PIXELS], a[3 * CLASSES], b[3 * CLASSES];
	og_memory ma, mb;
	fill(x, 3 * PIXELS, 4);
	for (int no_fuse = 0; no_fuse < 2; no_fuse++) {
		og_plan *built = build(lenet5, 3, 2, no_fuse), *loaded;
		assert_int_equal(og_plan_save(built, path), OG_OK);
		assert_int_equal(og_plan_load(&loaded, path), OG_OK);
		run(built, x, a);
		run(loaded, x, b);
		assert_memory_equal(a, b, sizeof a);
		og_plan_memory(built, &ma);
		og_plan_memory(loaded, &mb);
		assert_memory_equal(&ma, &mb, sizeof ma);
		og_plan_free(built);
		og_plan_free(loaded);
	}
}

static void refused(og_status status, const char *word)
{
	og_plan *p;
	assert_int_equal(og_plan_load(&p, path), status);
	assert_null(p);
	assert_non_null(strstr(og_error(), path));
	assert_non_null(strstr(og_error(), word));
}

static void test_damaged_plans_are_refused(void **state)
{
	(void)state;
	size_t n;
	og_plan *p = build(lenet5, 1, 1, 0);
	assert_int_equal(og_plan_save(p, path), OG_OK);
	og_plan_free(p);
	uint8_t *whole = slurp(path, &n);
	for (size_t at = 0; at < n; at += at < 4096 ? 13 : 4999) {       /* one bit, anywhere */
		whole[at] ^= 0x10;
		spill(path, whole, n);
		refused(OG_BAD_FILE, "plan");
		whole[at] ^= 0x10;
	}
	for (size_t length = 0; length < n; length += length < 256 ? 31 : 9973) {
		spill(path, whole, length);
		refused(OG_BAD_FILE, "plan");
	}
	spill(path, (const uint8_t *)"not a plan at all", 17);
	refused(OG_BAD_FILE, "not an Opgraft plan");
	free(whole);
}

static void test_a_plan_of_another_version_or_machine(void **state)
{
	(void)state;
	size_t n;
	og_plan *p = build(lenet5, 1, 1, 0);
	assert_int_equal(og_plan_save(p, path), OG_OK);
	og_plan_free(p);
	uint8_t *whole = slurp(path, &n);
	whole[8]++;
	spill(path, whole, n);
	refused(OG_BAD_FILE, "build it again");
	free(whole);
	unlink(path);
	refused(OG_MISSING, "");
}

static void test_a_plan_is_never_half_written(void **state)
{
	(void)state;
	og_plan *p = build(lenet5, 1, 1, 0);
	assert_int_equal(og_plan_save(p, "/nonexistent/folder/x.plan"), OG_MISSING);
	og_plan_free(p);
}

/* ---- options ----------------------------------------------------------------------------------- */

static void test_bad_options(void **state)
{
	(void)state;
	og_model *m;
	og_plan *p = NULL;
	og_session *s;
	og_binding wrong = { .name = "image", .rank = 4, .dims = { 1, 3, 28, 28 } }, unknown = { .name = "M", .rank = 1, .dims = { 2 } };
	assert_int_equal(og_model_load(&m, lenet5), OG_OK);
	og_build_options o = { .size = sizeof o, .bindings = &wrong, .n_bindings = 1 };
	assert_int_equal(og_plan_build(&p, m, &o), OG_USAGE);
	assert_non_null(strstr(og_error(), "'image' is f32[N,1,28,28]"));
	o.bindings = &unknown;
	assert_int_equal(og_plan_build(&p, m, &o), OG_USAGE);
	assert_non_null(strstr(og_error(), "'M'"));
	o = (og_build_options){ .size = sizeof o, .device = "tpu" };
	assert_int_equal(og_plan_build(&p, m, &o), OG_MISSING);
	o = (og_build_options){ .size = sizeof o, .precision = "fp8" };
	assert_int_equal(og_plan_build(&p, m, &o), OG_UNSUPPORTED);
	o = (og_build_options){ .size = sizeof o, .threads = 2 };
	assert_int_equal(og_plan_build(&p, m, &o), OG_OK);
	assert_int_equal(og_session_create(&s, p, 3), OG_USAGE);
	assert_int_equal(og_session_create(&s, p, 1), OG_OK);
	const void *in[] = { NULL };
	void *out[] = { NULL };
	assert_int_equal(og_session_run(s, in, out), OG_USAGE);
	og_session_free(s);
	og_plan_free(p);
	og_model_free(m);
}

/* A shape that an input decides is bound at build and checked at every run. */
static void test_bound_inputs(void **state)
{
	(void)state;
	static const char source[] =
		"model ir=8 {\"\" 17}\ngraph \"g\" {\nin x: f32[2,3]\nin s: i64[2]\ny: ? = Reshape(x, s)\nout y\n}\n";
	og_model *m;
	og_plan *p;
	og_session *session;
	int64_t shape[2] = { 3, -1 };
	og_tensor value = { .dtype = OG_I64, .rank = 1, .dims = { 2 }, .data = shape };
	og_binding b = { .name = "s", .value = &value };
	og_build_options o = { .size = sizeof o, .bindings = &b, .n_bindings = 1 };
	og_value_info info;
	assert_int_equal(og_model_load_memory(&m, source, sizeof source - 1, NULL), OG_OK);
	assert_int_equal(og_plan_build(&p, m, NULL), OG_UNSUPPORTED);
	assert_non_null(strstr(og_error(), "'y'"));
	assert_int_equal(og_plan_build(&p, m, &o), OG_OK);
	assert_int_equal(og_plan_output(p, 0, &info), OG_OK);
	assert_true(info.rank == 2 && info.dims[0] == 3 && info.dims[1] == 2);
	assert_non_null(og_plan_bound(p, 1));
	assert_int_equal(og_session_create(&session, p, 1), OG_OK);
	float x[6] = { 1, 2, 3, 4, 5, 6 }, y[6] = { 0 };
	const void *in[] = { x, shape };
	void *out[] = { y };
	assert_int_equal(og_session_run(session, in, out), OG_OK);
	assert_memory_equal(x, y, sizeof x);
	int64_t other[2] = { 6, 1 };
	in[1] = other;
	assert_int_equal(og_session_run(session, in, out), OG_USAGE);
	assert_non_null(strstr(og_error(), "'s'"));
	og_session_free(session);
	og_plan_free(p);
	og_model_free(m);
}

/* ---- memory running out -------------------------------------------------------------------------- */

static og_status whole_story(void)
{
	static float x[2 * PIXELS], y[2 * CLASSES];
	const void *in[] = { x };
	void *out[] = { y };
	og_model *m = NULL;
	og_plan *built = NULL, *loaded = NULL;
	og_session *s = NULL;
	og_binding b = { .name = "N", .rank = 1, .dims = { 2 } };
	/* tactics that are timed may be others the next time, and with them the number of allocations */
	og_build_options o = { .size = sizeof o, .bindings = &b, .n_bindings = 1, .threads = 2, .timing = OG_TIMING_OFF };
	og_status status = og_model_load(&m, lenet5);
	if (status == OG_OK) status = og_plan_build(&built, m, &o);
	if (status == OG_OK) status = og_plan_save(built, path);
	if (status == OG_OK) status = og_plan_load(&loaded, path);
	if (status == OG_OK) status = og_session_create(&s, loaded, 2);
	if (status == OG_OK) status = og_session_run(s, in, out);
	og_session_free(s);
	og_plan_free(loaded);
	og_plan_free(built);
	og_model_free(m);
	return status;
}

static void test_every_allocation_may_fail(void **state)
{
	(void)state;
	uint64_t before = base_allocations();
	assert_int_equal(whole_story(), OG_OK);
	uint64_t count = base_allocations() - before;
	assert_true(count > 50);
	for (uint64_t n = 1; n <= count; n++) {
		uint64_t start = base_allocations();
		base_fail_allocation(n);
		og_status status = whole_story();
		base_fail_allocation(0);
		/* how many blocks an arena takes depends a little on where they lie */
		if (status != OG_NO_MEMORY && base_allocations() - start >= n) fail_msg("allocation %llu of %llu: status %d, %s", (unsigned long long)n, (unsigned long long)count, status, og_error());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_activations_near_bound),
		cmocka_unit_test(test_fused_and_unfused_agree),
		cmocka_unit_test(test_running_allocates_nothing),
		cmocka_unit_test(test_sessions_share_a_plan),
		cmocka_unit_test(test_threads_change_no_bit),
		cmocka_unit_test(test_a_loaded_plan_gives_the_same_bits),
		cmocka_unit_test(test_damaged_plans_are_refused),
		cmocka_unit_test(test_a_plan_of_another_version_or_machine),
		cmocka_unit_test(test_a_plan_is_never_half_written),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_bound_inputs),
		cmocka_unit_test(test_every_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, make_path, remove_path);
}
