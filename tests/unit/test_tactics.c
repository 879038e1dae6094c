/* test_tactics.c -- choosing by time and bytes, with a device of known speeds and a clock of its own; the file of times. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "plan/tactics.h"
#include "plan/timing_cache.h"
#include "schema/schema.h"

/* ---- a device with three tactics ------------------------------------------------------------- */

typedef struct speed { const char *tactic; double guess, seconds; backend_layout in, out; size_t packed; } speed;
static const speed speeds[] = {                      /* by rising guess */
	{ "slow", 1e6, 2e-3, LAYOUT_PLAIN, LAYOUT_PLAIN, 1000 },
	{ "quick", 2e6, 2e-4, LAYOUT_PLAIN, LAYOUT_PLAIN, 1300 },
	{ "far", 2.4e6, 1e-4, LAYOUT_CHANNELS, LAYOUT_PLAIN, 1300 },         /* the reorder costs more than it brings */
	{ "hopeless", 1e7, 1e-2, LAYOUT_PLAIN, LAYOUT_PLAIN, 400 },
	{ "ahead", 2.2e6, 2.2e-4, LAYOUT_PLAIN, LAYOUT_CHANNELS, 1300 },      /* what reads it can be far without a reorder */
};
enum { SPEEDS = 5 };
static int n_speeds = SPEEDS - 1;
static const double reorder_seconds = 1e-3;
static int runs[SPEEDS + 1];

static double clock_seconds;             /* goes on while a kernel runs, and at no other time */
static double now(void) { return clock_seconds; }

static og_status run(const backend_kernel *k, const backend_run *r)
{
	(void)r;
	const speed *s = k->state;
	runs[s ? s - speeds : SPEEDS]++;
	clock_seconds += s ? s->seconds : reorder_seconds;
	return OG_OK;
}

static og_status pack(const backend_kernel *k, void *packed)
{
	memset(packed, 0, k->packed_bytes);
	return OG_OK;
}

static int tactics_of(const char **names, int most, const backend_node *n, int threads)
{
	(void)threads;
	if (!n->op) {
		names[0] = "reorder";
		return 1;
	}
	int i = 0;
	for (; i < n_speeds && i < most; i++) names[i] = speeds[i].tactic;
	return i;
}

static og_status prepare(backend_kernel *out, const backend_node *n, const char *tactic, int threads, arena *a)
{
	(void)threads;
	*out = (backend_kernel){ .tactic = "reorder", .run = run, .cost = 10 };
	for (int i = 0; n->op && i < SPEEDS; i++) {
		if (strcmp(speeds[i].tactic, tactic ? tactic : "slow")) continue;
		backend_layout *in = arena_alloc(a, sizeof *in);
		NEED(in);
		*in = speeds[i].in;
		*out = (backend_kernel){ .tactic = speeds[i].tactic, .run = run, .cost = speeds[i].guess,
		                         .pack = pack, .packed_bytes = speeds[i].packed, .in_layout = in, .out_layout = speeds[i].out, .state = (void *)(uintptr_t)&speeds[i] };
	}
	return OG_OK;
}

static const char *features(void) { return "none"; }
static const char *machine(void) { return "a test"; }
static void cool(const void *p, size_t n) { (void)p; (void)n; }
static int lanes(void) { return 8; }
static const backend device = { .name = "test", .features = features, .machine = machine, .cool = cool, .now = now,
                                .lanes = lanes, .tactics = tactics_of, .prepare = prepare };

/* ---- choosing -------------------------------------------------------------------------------- */

static const char *choose(og_timing timing, const char *cache, int64_t height, double byte_ns)
{
	tactics *t;
	og_plan *p = plan_create(&device, 1);
	og_tensor in = { .dtype = OG_F32, .rank = 4, .dims = { 1, 8, height, 4 } }, out = in;
	backend_layout layout = LAYOUT_PLAIN;
	plan_step s = { .name = "x", .label = "Relu", .n_in = 1, .n_out = 1, .n_anchor_in = 1, .in_types = &in, .out_types = &out,
	                .in_layouts = &layout, .op = schema_find("", "Relu", 14) };
	memset(runs, 0, sizeof runs);
	assert_int_equal(tactics_open(&t, &device, 1, timing, cache, 0), OG_OK);
	if (byte_ns) tactics_count_bytes(t, byte_ns);
	assert_int_equal(tactics_choose(t, p, &s, NULL), OG_OK);
	assert_int_equal(s.n_ways, n_speeds);
	for (int i = 0; i < n_speeds; i++) assert_int_equal(s.ways[i].bytes, speeds[i].packed);
	assert_true(p->byte_ns == byte_ns);
	assert_int_equal(tactics_close(t, true), OG_OK);
	const char *tactic = s.kernel.tactic;
	og_plan_free(p);
	return tactic;
}

static void test_the_fastest_is_chosen(void **state)
{
	(void)state;
	assert_string_equal(choose(OG_TIMING_ON, NULL, 4, 0), "quick");
	assert_true(runs[0] > 0 && runs[1] > 0 && runs[2] > 0 && runs[SPEEDS] > 0);
	assert_int_equal(runs[3], 0);                    /* hopeless */
}

/* "slow" has 300 bytes less than "quick" and takes 1.8 ms more, which is worth it where a byte counts 6 us. */
static void test_bytes_count(void **state)
{
	(void)state;
	assert_string_equal(choose(OG_TIMING_ON, NULL, 4, 5900), "quick");
	assert_string_equal(choose(OG_TIMING_ON, NULL, 4, 6100), "slow");
}

/* Without times too: "hopeless" is guessed to take 9 ms more than "slow" and has 600 bytes less. */
static void test_bytes_count_beside_guesses(void **state)
{
	(void)state;
	assert_string_equal(choose(OG_TIMING_OFF, NULL, 4, 14900), "slow");
	assert_string_equal(choose(OG_TIMING_OFF, NULL, 4, 15100), "hopeless");
}

/* What its bytes make hopeless is not timed; what is slow is, where it is small. */
static void test_bytes_decide_what_is_timed(void **state)
{
	(void)state;
	assert_string_equal(choose(OG_TIMING_ON, NULL, 4, 1e5), "hopeless");
	assert_true(runs[0] > 0 && runs[3] > 0);
	assert_int_equal(runs[1], 0);
	assert_int_equal(runs[2], 0);
}

/* Of a network whose weights fit the caches bytes count nothing, unless the caller wants it. */
static void test_what_bytes_count_by_themselves(void **state)
{
	(void)state;
	const size_t bytes[] = { 0, 1 << 20, 1 << 30 };
	const double expected[] = { 0, 0, 0.015 };
	for (int i = 0; i < 3; i++) {
		tactics *t;
		og_plan *p = plan_create(&device, 1);
		og_tensor type = { .dtype = OG_F32, .rank = 1, .dims = { 8 } };
		backend_layout layout = LAYOUT_PLAIN;
		plan_step s = { .name = "x", .label = "Relu", .n_in = 1, .n_out = 1, .n_anchor_in = 1, .in_types = &type, .out_types = &type,
		                .in_layouts = &layout, .op = schema_find("", "Relu", 14) };
		assert_int_equal(tactics_open(&t, &device, 1, OG_TIMING_OFF, NULL, bytes[i]), OG_OK);
		assert_int_equal(tactics_choose(t, p, &s, NULL), OG_OK);
		assert_true(fabs(p->byte_ns - expected[i]) < 1e-9);
		assert_int_equal(tactics_close(t, false), OG_OK);
		og_plan_free(p);
	}
}

/* Of a step whose output a second one reads, or the caller. */
static const char *choose_before(og_timing timing, bool plain)
{
	tactics *t;
	og_plan *p = plan_create(&device, 1);
	backend_layout layout = LAYOUT_PLAIN;
	int number[] = { 0, 1, 2 };
	plan_value values[3];
	for (int i = 0; i < 3; i++)
		values[i] = (plan_value){ .type = { .dtype = OG_F32, .rank = 4, .dims = { 1, 8, 4, 4 } }, .place = PLAN_ARENA };
	p->values = values;
	p->n_values = 3;
	plan_step s = { .name = "x", .label = "Relu", .n_in = 1, .n_out = 1, .n_anchor_in = 1, .in = &number[0], .out = &number[1],
	                .in_types = &values[0].type, .out_types = &values[1].type, .in_layouts = &layout,
	                .op = schema_find("", "Relu", 14) };
	plan_step reader = s;
	reader.in = &number[1];
	reader.out = &number[2];
	tactics_readers readers = { .step = { &reader }, .n = !plain, .plain = plain };
	n_speeds = SPEEDS;
	assert_int_equal(tactics_open(&t, &device, 1, timing, NULL, 0), OG_OK);
	assert_int_equal(tactics_choose(t, p, &s, &readers), OG_OK);
	assert_int_equal(tactics_close(t, true), OG_OK);
	n_speeds = SPEEDS - 1;
	const char *tactic = s.kernel.tactic;
	og_plan_free(p);
	return tactic;
}

static void test_steps_behind_count(void **state)
{
	(void)state;
	assert_string_equal(choose_before(OG_TIMING_ON, false), "ahead");
	assert_string_equal(choose_before(OG_TIMING_ON, true), "quick");
}

static void test_without_timing_nothing_runs(void **state)
{
	(void)state;
	assert_string_equal(choose(OG_TIMING_OFF, "/nowhere/at/all", 4, 0), "slow");
	assert_string_equal(choose(OG_TIMING_CACHED, NULL, 4, 0), "slow");
	for (int i = 0; i <= SPEEDS; i++) assert_int_equal(runs[i], 0);
}

static void test_times_are_kept(void **state)
{
	const char *path = *state;
	assert_string_equal(choose(OG_TIMING_CACHED, path, 4, 0), "slow");
	assert_string_equal(choose(OG_TIMING_ON, path, 4, 0), "quick");
	assert_string_equal(choose(OG_TIMING_ON, path, 4, 0), "quick");
	for (int i = 0; i <= SPEEDS; i++) assert_int_equal(runs[i], 0);
	assert_string_equal(choose(OG_TIMING_CACHED, path, 4, 0), "quick");
	assert_string_equal(choose(OG_TIMING_CACHED, path, 4, 6100), "slow");         /* times are kept, choices are not */
	assert_string_equal(choose(OG_TIMING_CACHED, path, 5, 0), "slow");           /* another shape */
}

/* ---- the file -------------------------------------------------------------------------------- */

static uint64_t get(const char *path, const char *what)
{
	timing_cache *c = timing_cache_create();
	assert_int_equal(timing_cache_read(c, path), OG_OK);
	uint64_t ns = timing_cache_get(c, what);
	timing_cache_free(c);
	return ns;
}

static void put(const char *path, const char *what, uint64_t ns)
{
	timing_cache *c = timing_cache_create();
	assert_int_equal(timing_cache_put(c, what, ns), OG_OK);
	assert_int_equal(timing_cache_write(c, path), OG_OK);
	timing_cache_free(c);
}

static void test_two_writers(void **state)
{
	const char *path = *state;
	timing_cache *a = timing_cache_create(), *b = timing_cache_create();
	assert_int_equal(timing_cache_read(a, path), OG_OK);
	assert_int_equal(timing_cache_read(b, path), OG_OK);
	timing_cache_put(a, "one", 1);
	timing_cache_put(b, "two", 2);
	assert_int_equal(timing_cache_write(a, path), OG_OK);
	assert_int_equal(timing_cache_write(b, path), OG_OK);
	timing_cache_free(a);
	timing_cache_free(b);
	assert_int_equal(get(path, "one"), 1);
	assert_int_equal(get(path, "two"), 2);
	put(path, "one", 3);
	assert_int_equal(get(path, "one"), 3);
}

/* Whatever byte is damaged, the times of other lines are known and none is wrong. */
static void test_damaged_lines(void **state)
{
	const char *path = *state;
	char bytes[512];
	put(path, "one", 111);
	put(path, "two", 222);
	FILE *f = fopen(path, "rb");
	size_t n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	size_t line = (size_t)((char *)memchr(bytes, '\n', n) - bytes) + 1;
	for (size_t i = 0; i < n; i++) {
		char kept = bytes[i];
		bytes[i] = kept == '1' ? '2' : '1';
		f = fopen(path, "wb");
		fwrite(bytes, 1, n, f);
		fclose(f);
		bytes[i] = kept;
		uint64_t one = get(path, "one"), two = get(path, "two");
		assert_true(one == 0 || one == 111);
		assert_true(two == 0 || two == 222);
		assert_true(one == 111 || i < line);
		assert_true(two == 222 || i + 1 >= line);
	}
	f = fopen(path, "wb");
	fwrite(bytes, 1, n - 1, f);                       /* cut short, without newline */
	fclose(f);
	assert_int_equal(get(path, "one"), 111);
	put(path, "three", 333);
	assert_int_equal(get(path, "one"), 111);
	assert_int_equal(get(path, "three"), 333);
}

static void test_its_size_is_bounded(void **state)
{
	const char *path = *state;
	char what[32];
	struct stat st;
	timing_cache *c = timing_cache_create();
	for (int i = 0; i < TIMING_CACHE_MOST + 100; i++) {
		snprintf(what, sizeof what, "%d", i);
		assert_int_equal(timing_cache_put(c, what, (uint64_t)i + 1), OG_OK);
	}
	assert_int_equal(timing_cache_write(c, path), OG_OK);
	timing_cache_free(c);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= 1 << 20);
	assert_int_equal(get(path, "99"), 0);            /* the oldest went */
	assert_int_equal(get(path, "100"), 101);
	assert_int_equal(get(path, what), TIMING_CACHE_MOST + 100);
}

static void test_folders_are_made(void **state)
{
	char path[300];
	snprintf(path, sizeof path, "%s.d/a/b", (const char *)*state);
	put(path, "one", 1);
	assert_int_equal(get(path, "one"), 1);
	unlink(path);
}

static int setup(void **state)
{
	static char path[256];
	const char *folder = getenv("TMPDIR");
	snprintf(path, sizeof path, "%s/test_tactics.%d", folder ? folder : "/tmp", (int)getpid());
	unlink(path);
	*state = path;
	return 0;
}

static int teardown(void **state)
{
	char path[300];
	unlink(*state);
	snprintf(path, sizeof path, "%s.d/a", (const char *)*state);
	rmdir(path);
	snprintf(path, sizeof path, "%s.d", (const char *)*state);
	rmdir(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_fastest_is_chosen),
		cmocka_unit_test(test_bytes_count),
		cmocka_unit_test(test_bytes_count_beside_guesses),
		cmocka_unit_test(test_bytes_decide_what_is_timed),
		cmocka_unit_test(test_what_bytes_count_by_themselves),
		cmocka_unit_test(test_steps_behind_count),
		cmocka_unit_test(test_without_timing_nothing_runs),
		cmocka_unit_test_setup_teardown(test_times_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_writers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_its_size_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folders_are_made, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
