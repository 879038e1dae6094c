/* test_winograd.c -- Winograd convolutions against sums in double, for every instruction set of this machine; docs/winograd.md
 * states the error. */
#include "conv_trial.h"

/* A tactic; along an axis: outputs of a tile, cells that it needs, and the distance of windows; the error that is stated, of depth C:
 * first + more sqrt(C). */
typedef struct form { const char *tactic; int64_t outputs, cells, stride; double first, more; } form;
static const form forms[] = {
	{ "conv.winograd", 4, 6, 1, 2e-7, 1e-7 },
	{ "conv.winograd2x2", 2, 4, 1, 1e-7, 0.35e-7 },
	{ "conv.winograd.s2", 4, 9, 2, 1.5e-7, 0.6e-7 },
};
enum { FORMS = sizeof forms / sizeof *forms };

static void make_conv(trial *t, const form *f, int64_t images, int64_t channels, int64_t high, int64_t wide, int64_t outputs)
{
	const int64_t strides[2] = { f->stride, f->stride };
	int64_t pads[4];
	for (int i = 0; i < 4; i++) pads[i] = chance(40) ? 1 : pick(0, 2);
	for (int a = 0; a < 2; a++)                      /* of one output at least */
		if ((a ? wide : high) + pads[a] + pads[a + 2] < 3) pads[a] = pads[a + 2] = 1;
	make_square(t, strides, pads, 3, (int64_t[]){ images, channels, high, wide }, outputs);
}

/* The stated error, root of the mean square, of an output before its tail. */
static double stated_error(const form *f, int64_t channels)
{
	return (f->first + f->more * sqrt((double)channels)) * sqrt((double)channels);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_random(void **unused)
{
	(void)unused;
	for (int i = 0; i < 180; i++) {
		trial t;
		const form *f = &forms[i % FORMS];
		state = (uint64_t)i;
		int64_t most = chance(50) ? 12 : 40;
		int64_t channels = pick(2, chance(50) ? 20 : 70), outputs = pick(2, chance(50) ? 20 : 70);
		make_conv(&t, f, chance(5) ? 0 : pick(1, 3), channels, pick(1, most), pick(1, most), outputs);
		if (chance(50)) add_tail(&t);
		run_conv(&t, f->tactic, 3);
		check_conv(&t, stated_error(f, channels) + (double)FLT_EPSILON);
		end_trial(&t);
	}
}

/* An image has the same bits alone and among others, whose tiles share its blocks. */
static void test_samples(void **unused)
{
	(void)unused;
	for (int k = 0; k < FORMS; k++) {
		trial t;
		state = 5;
		make_conv(&t, &forms[k], 5, 20, 9, 6, 30);
		run_conv(&t, forms[k].tactic, 1);
		trial alone = t;
		size_t in = bytes_of(&t.in[0]) / 5, out = bytes_of(&t.out[0]) / 5;
		alone.in[0].dims[0] = alone.out[0].dims[0] = 1;
		alone.out[0].data = exactly(out);
		for (size_t n = 0; n < 5; n++) {
			alone.in[0].data = (char *)t.in[0].data + n * in;
			run_conv(&alone, forms[k].tactic, 1);
			assert_memory_equal(alone.out[0].data, (char *)t.out[0].data + n * out, out);
		}
		base_free(alone.out[0].data);
		end_trial(&t);
	}
}

/* What is not finite makes NaN of its tile, of all outputs, and of nothing else. */
static void test_not_finite(void **unused)
{
	(void)unused;
	for (int i = 0; i < 30; i++) {
		trial t;
		const form *f = &forms[i % FORMS];
		state = (uint64_t)i;
		make_conv(&t, f, 2, pick(2, 40), pick(8, 30), pick(8, 30), pick(2, 40));
		const int64_t *in = t.in[0].dims, *d = t.out[0].dims, *pads = list_of(&t, "pads");
		int64_t n = pick(0, 1), c = pick(0, in[1] - 1), y = pick(0, in[2] - 1), x = pick(0, in[3] - 1);
		float *clean = exactly(bytes_of(&t.out[0]));
		run_conv(&t, f->tactic, 1);
		memcpy(clean, t.out[0].data, bytes_of(&t.out[0]));
		((float *)t.in[0].data)[((n * in[1] + c) * in[2] + y) * in[3] + x] = chance(50) ? (float)NAN : HUGE_VALF;
		run_conv(&t, f->tactic, 1);
		for (int64_t at = 0; at < og_count(&t.out[0]); at++) {
			int64_t row = at / d[3] % d[2], column = at % d[3];
			int64_t top = row / f->outputs * f->outputs * f->stride - pads[0];
			int64_t left = column / f->outputs * f->outputs * f->stride - pads[1];
			bool hit = at / d[3] / d[2] / d[1] == n && y >= top && y < top + f->cells && x >= left && x < left + f->cells;
			float out = ((const float *)t.out[0].data)[at];
			int64_t down = y - (row * f->stride - pads[0]), right = x - (column * f->stride - pads[1]);
			if (!hit) assert_memory_equal(&out, &clean[at], sizeof out);
			else if (down >= 0 && down < 3 && right >= 0 && right < 3) assert_false(isfinite(out));
		}
		base_free(clean);
		end_trial(&t);
	}
}

static void test_refusals(void **unused)
{
	(void)unused;
	trial t;
	state = 1;
	make_conv(&t, &forms[0], 1, 1, 9, 9, 8);
	refuse(&t, forms[0].tactic);
	make_conv(&t, &forms[0], 1, 8, 9, 9, 1);
	refuse(&t, forms[0].tactic);
	for (int a = 0; a < 2; a++) {
		make_conv(&t, &forms[0], 1, 8, 9, 9, 8);
		t.ints[attr_index(&t, "strides")][a] = 2;
		t.out[0].dims[2 + a] = (t.out[0].dims[2 + a] + 1) / 2;
		refuse(&t, forms[0].tactic);
		make_conv(&t, &forms[0], 1, 8, 9, 9, 8);
		t.ints[attr_index(&t, "dilations")][a] = 2;
		t.out[0].dims[2 + a] -= 2;
		refuse(&t, forms[0].tactic);
		make_conv(&t, &forms[0], 1, 8, 9, 9, 8);
		t.in[1].dims[2 + a] = 2;
		t.out[0].dims[2 + a]++;
		refuse(&t, forms[0].tactic);
	}
	make_conv(&t, &forms[0], 1, 8, 9, 9, 8);
	set_number(&t, "group", 2);
	t.in[1].dims[1] = 4;
	refuse(&t, forms[0].tactic);
	make_conv(&t, &forms[0], 1, 8, 9, 9, 8);                    /* a plan file may say anything */
	base_free(t.in[1].data);
	t.in[1].data = NULL;
	t.in[0].dims[1] = t.in[1].dims[1] = (int64_t)1 << 57;
	refuse(&t, forms[0].tactic);
	make_conv(&t, &forms[2], 1, 8, 9, 9, 8);
	t.ints[attr_index(&t, "strides")][1] = 1;
	t.out[0].dims[3] = 2 * t.out[0].dims[3] - 1;
	refuse(&t, forms[2].tactic);
}

static void test_loading(void **unused)
{
	(void)unused;
	trial t;
	state = 2;
	make_conv(&t, &forms[0], 1, 20, 9, 9, 20);
	t.loading = true;
	run_conv(&t, forms[0].tactic, 3);
	check_conv(&t, stated_error(&forms[0], 20) + (double)FLT_EPSILON);
	end_trial(&t);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int run_group(const char *isa)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_samples), cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_loading),
	};
	return cmocka_run_group_tests_name(isa, tests, NULL, NULL);
}

int main(void) { return run_for_each_isa(run_group); }
