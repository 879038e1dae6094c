/* test_winograd_samples.c -- conv.samples.winograd against sums in double, for every instruction set of this machine.
 * Data is uniform in [-1, 1], for which docs/winograd.md states the error. Samples that are not there hold NaN. */
#include "conv_trial.h"

static const char tactic[] = "conv.samples.winograd";

/* ---- one node ------------------------------------------------------------------------------- */

/* Channels and outputs are those of a group; high and wide: of the output. */
static void make_conv(trial *t, int64_t images, int64_t groups, int64_t channels, int64_t outputs, int64_t kernel_high,
                      int64_t kernel_wide, int64_t high, int64_t wide)
{
	int64_t dilations[2] = { pick(1, 10) < 8 ? 1 : 2, 1 }, pads[4];
	int64_t in[2] = { high + (kernel_high - 1) * dilations[0], wide + kernel_wide - 1 };
	for (int i = 0; i < 4; i++) {
		pads[i] = pick(0, 2) ? pick(0, kernel_wide - 1) : 0;
		if (in[i % 2] <= pads[i]) pads[i] = 0;
		in[i % 2] -= pads[i];
	}
	begin_conv(t, (int64_t[]){ 1, 1 }, dilations, pads, groups);
	t->loading = true;
	t->layout[0] = LAYOUT_SAMPLES;
	t->in[0] = make_tensor(4, (int64_t[]){ images, groups * channels, in[0], in[1] });
	t->in[1] = make_tensor(4, (int64_t[]){ groups * outputs, channels, kernel_high, kernel_wide });
	if (pick(0, 1)) t->in[2] = make_tensor(1, &t->in[1].dims[0]);
	t->out[0] = make_tensor(4, (int64_t[]){ images, groups * outputs, high, wide });
	t->tail = (program){ .n_operands = 1, .n_regs = 2, .n_steps = 1, .operand = { -1 }, .result = 1 };
	t->tail.step[0] = (program_step){ .op = find_op("Relu"), .out = 1 };
	if (pick(0, 1)) t->node.tail = &t->tail;
}

/* The stated error, root of the mean square, of an output before its tail. */
static double stated_error(const trial *t)
{
	const int64_t *w = t->in[1].dims;
	double products = (double)(w[1] * w[2]);
	return (4e-7 + 1.2e-7 * sqrt(products)) * sqrt(products * (double)w[3]) / 3;
}

/* ---- tests ---------------------------------------------------------------------------------- */

/* Any threads have the same bits. */
static void test_random(void **unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		trial t;
		state = (uint64_t)i;
		bool many = pick(1, 10) == 1;
		make_conv(&t, pick(2, 40), pick(0, 3) ? 1 : pick(2, 3), pick(1, many ? 60 : 8), pick(1, many ? 40 : 20),
		          pick(1, 5), pick(3, 7), pick(1, 16), pick(1, 30));
		run_conv(&t, tactic, 3);
		check_conv(&t, stated_error(&t) + (double)FLT_EPSILON);
		end_trial(&t);
	}
}

/* What is not finite reaches the outputs of its sample whose tile reads it, and nothing else. */
static void test_not_finite(void **unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		trial t;
		state = (uint64_t)i;
		make_conv(&t, pick(2, 20), 1, pick(1, 4), pick(1, 9), pick(1, 5), pick(3, 7), pick(3, 12), pick(3, 20));
		t.node.tail = NULL;
		const int64_t *in = t.in[0].dims, *d = t.out[0].dims, *w = t.in[1].dims;
		const int64_t *pads = list_of(&t, "pads"), *dilations = list_of(&t, "dilations");
		int64_t n = pick(0, in[0] - 1), c = pick(0, in[1] - 1), y = pick(0, in[2] - 1), x = pick(0, in[3] - 1);
		int64_t wide = 10 - w[3];
		float *clean = exactly(bytes_of(&t.out[0]));
		run_conv(&t, tactic, 1);
		memcpy(clean, t.out[0].data, bytes_of(&t.out[0]));
		((float *)t.in[0].data)[((n * in[1] + c) * in[2] + y) * in[3] + x] = pick(0, 1) ? (float)NAN : HUGE_VALF;
		run_conv(&t, tactic, 1);
		for (int64_t at = 0; at < og_count(&t.out[0]); at++) {
			int64_t down = y + pads[0] - at / d[3] % d[2], column = at % d[3], right = x + pads[1] - column;
			bool row = down >= 0 && down % dilations[0] == 0 && down / dilations[0] < w[2];
			bool tile = x + pads[1] >= column / wide * wide && x + pads[1] < column / wide * wide + 9;
			float out = ((const float *)t.out[0].data)[at];
			if (at / d[3] / d[2] / d[1] != n || !row || !tile) assert_memory_equal(&out, &clean[at], sizeof out);
			else if (right >= 0 && right < w[3]) assert_false(isfinite(out));
		}
		base_free(clean);
		end_trial(&t);
	}
}

static void test_refusals(void **unused)
{
	(void)unused;
	for (int64_t wide = 2; wide <= 8; wide += 6) {
		trial t;
		make_conv(&t, 16, 1, 2, 3, 3, wide, 9, 9);
		refuse(&t, tactic);
	}
	for (int a = 0; a < 2; a++) {
		trial t;
		make_conv(&t, 16, 1, 2, 3, 3, 3, 9, 9);
		t.ints[attr_index(&t, "strides")][a] = 2;
		t.out[0].dims[2 + a] = 5;
		refuse(&t, tactic);
	}
	trial t;
	make_conv(&t, 16, 1, 2, 3, 3, 3, 9, 9);
	t.ints[attr_index(&t, "dilations")][1] = 2;
	t.out[0].dims[3] -= 2;
	refuse(&t, tactic);
	make_conv(&t, 1, 1, 2, 3, 3, 3, 9, 9);
	refuse(&t, tactic);
}

static void test_memory(void **unused)
{
	(void)unused;
	trial t;
	state = 3;
	make_conv(&t, 16, 1, 2, 3, 3, 5, 9, 9);
	check_allocations(&t, tactic);
	end_trial(&t);
}

static int run_group(const char *isa)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_not_finite), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_memory),
	};
	if (cpu_backend.lanes() == 1) return 0;          /* nothing lies by samples */
	return cmocka_run_group_tests_name(isa, tests, NULL, NULL);
}

int main(void) { return run_for_each_isa(run_group); }
