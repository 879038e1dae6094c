/* test_strassen.c -- Strassen's products in 1 x 1 convolutions against sums in double, for every instruction set of this machine;
 * docs/winograd.md states the error. */
#include "conv_trial.h"

static const char tactic[] = "conv.strassen";

/* Channels and outputs in pairs of blocks. */
static void make_conv(trial *t, int64_t images, int64_t pairs, int64_t high, int64_t wide, int64_t output_pairs)
{
	const int64_t pair = 2 * cpu_backend.lanes();
	int64_t strides[2];
	for (int a = 0; a < 2; a++) strides[a] = chance(70) ? 1 : pick(1, 3);
	if ((high - 1) / strides[0] + (wide - 1) / strides[1] == 0) strides[0] = strides[1] = 1;
	make_square(t, strides, (int64_t[4]){ 0 }, 1, (int64_t[]){ images, pairs * pair, high, wide }, output_pairs * pair);
}

/* The stated error, root of the mean square, of an output before its tail. */
static double stated_error(int64_t channels)
{
	return (1e-7 + 0.4e-7 * sqrt((double)channels)) * sqrt((double)channels) / 3;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_random(void **unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		trial t;
		state = (uint64_t)i;
		int64_t most = chance(50) ? 5 : 16;
		make_conv(&t, pick(1, 3), pick(1, 4), pick(1, most), pick(2, most), pick(1, 5));
		if (chance(50)) add_tail(&t);
		run_conv(&t, tactic, 3);
		check_conv(&t, stated_error(t.in[0].dims[1]) + (double)FLT_EPSILON);
		end_trial(&t);
	}
}

/* What is not finite spoils its own cell and the partner half an image away, and nothing else. */
static void test_not_finite(void **unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		trial t;
		state = (uint64_t)i;
		make_conv(&t, 2, pick(1, 3), pick(1, 9), pick(2, 9), pick(1, 3));
		const int64_t *in = t.in[0].dims, *d = t.out[0].dims, *strides = list_of(&t, "strides");
		const int64_t windows = d[2] * d[3], half = windows / 2, n = pick(0, 1), hit = pick(0, windows - 1);
		const int64_t y = hit / d[3] * strides[0], x = hit % d[3] * strides[1];
		float *clean = exactly(bytes_of(&t.out[0]));
		run_conv(&t, tactic, 1);
		memcpy(clean, t.out[0].data, bytes_of(&t.out[0]));
		((float *)t.in[0].data)[((n * in[1] + pick(0, in[1] - 1)) * in[2] + y) * in[3] + x] = chance(50) ? (float)NAN : HUGE_VALF;
		run_conv(&t, tactic, 1);
		for (int64_t at = 0; at < og_count(&t.out[0]); at++) {
			float out = ((const float *)t.out[0].data)[at];
			int64_t window = at % windows;
			bool same = at / windows / d[1] == n, partner = window == hit + half || window == hit - half || windows % 2;
			if (same && window == hit) assert_false(isfinite(out));
			else if (!same || !partner) assert_memory_equal(&out, &clean[at], sizeof out);
		}
		base_free(clean);
		end_trial(&t);
	}
}

static void test_refusals(void **unused)
{
	(void)unused;
	trial t;
	const int64_t lanes = cpu_backend.lanes();
	state = 1;
	make_conv(&t, 1, 1, 1, 2, 1);                    /* one window has no partner */
	t.in[0].dims[3] = t.out[0].dims[3] = 1;
	refuse(&t, tactic);
	for (int k = 0; k < 2; k++) {                    /* halves that are not whole blocks */
		make_conv(&t, 1, 2, 4, 4, 2);
		if (k) t.in[0].dims[1] = t.in[1].dims[1] = 3 * lanes;
		else t.in[1].dims[0] = t.out[0].dims[1] = 3 * lanes;
		refuse(&t, tactic);
	}
	make_conv(&t, 1, 2, 4, 4, 2);
	t.ints[attr_index(&t, "pads")][1] = 1;
	t.out[0].dims[3]++;
	refuse(&t, tactic);
	make_conv(&t, 1, 2, 4, 4, 2);
	t.in[1].dims[3] = 2;
	t.out[0].dims[3]--;
	refuse(&t, tactic);
	make_conv(&t, 1, 2, 4, 4, 2);
	set_number(&t, "group", 2);
	refuse(&t, tactic);
	make_conv(&t, 1, 1, 4, 4, 1);                    /* a plan file may say anything */
	base_free(t.in[1].data);
	t.in[1].data = NULL;
	t.in[0].dims[1] = t.in[1].dims[1] = (int64_t)1 << 57;
	refuse(&t, tactic);
}

static void test_loading(void **unused)
{
	(void)unused;
	trial t;
	state = 2;
	make_conv(&t, 1, 2, 5, 5, 2);
	t.loading = true;
	run_conv(&t, tactic, 3);
	check_conv(&t, stated_error(t.in[0].dims[1]) + (double)FLT_EPSILON);
	end_trial(&t);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int run_group(const char *isa)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_not_finite), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_loading),
	};
	return cmocka_run_group_tests_name(isa, tests, NULL, NULL);
}

int main(void) { return run_for_each_isa(run_group); }
