/* test_winograd_rows.c -- convolutions 7 wide and two apart on plain inputs, by Winograd along rows, against sums in double, for
 * every instruction set of this machine that has them; docs/winograd.md states the error. */
#include "conv_trial.h"

static const char tactic[] = "conv.winograd.rows";

/* Kernels 7 wide and `tall` high; windows two cells apart along a row. */
static void make_conv(trial *t, const int64_t in[4], int64_t outputs, int64_t tall)
{
	const int64_t strides[2] = { pick(1, 3), 2 }, dilations[2] = { chance(70) ? 1 : 2, 1 };
	int64_t pads[4];
	for (int i = 0; i < 4; i++) pads[i] = chance(40) ? 3 : pick(0, 8);
	int64_t extent = (tall - 1) * dilations[0] + 1;
	if (in[2] + pads[0] + pads[2] < extent) pads[0] = extent;
	if (in[3] + pads[1] + pads[3] < 7) pads[1] = pads[3] = 3;
	begin_conv(t, strides, dilations, pads, 1);
	t->in[0] = make_tensor(4, in);
	t->in[1] = make_tensor(4, (int64_t[]){ outputs, in[1], tall, 7 });
	if (chance(60)) t->in[2] = make_tensor(1, &outputs);
	t->out[0] = make_tensor(4, (int64_t[]){ in[0], outputs, (in[2] + pads[0] + pads[2] - extent) / strides[0] + 1,
	                                        (in[3] + pads[1] + pads[3] - 7) / 2 + 1 });
}

/* The stated error, root of the mean square, of an output before its tail; depth: channels times vertical taps. */
static double stated_error(double depth)
{
	return (1.5e-7 + 0.7e-7 * sqrt(depth)) * sqrt(7 * depth) / 3;
}

/* Relu alone, which the transform does. */
static void add_relu(trial *t)
{
	t->tail = (program){ .n_operands = 1, .n_regs = 2, .n_steps = 1, .operand = { -1 }, .result = 1 };
	t->tail.step[0] = (program_step){ .op = find_op("Relu"), .in = { 0 }, .out = 1 };
	t->node.tail = &t->tail;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_random(void **unused)
{
	(void)unused;
	for (int i = 0; i < 120; i++) {
		trial t;
		state = (uint64_t)i;
		int64_t channels = pick(1, chance(70) ? 4 : 16), tall = chance(50) ? 7 : pick(1, 8), most = chance(50) ? 20 : 90;
		make_conv(&t, (int64_t[]){ pick(1, 3), channels, pick(1, most), pick(1, most) }, pick(2, 70), tall);
		if (chance(50)) add_tail(&t);
		else if (chance(50)) add_relu(&t);
		run_conv(&t, tactic, 3);
		check_conv(&t, stated_error((double)(channels * tall)) + (double)FLT_EPSILON);
		end_trial(&t);
	}
}

/* What is not finite makes NaN of tiles that read its cell, of all outputs, and of nothing else. */
static void test_not_finite(void **unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		trial t;
		state = (uint64_t)i;
		make_conv(&t, (int64_t[]){ 2, pick(1, 3), pick(8, 30), pick(8, 60) }, pick(2, 40), 7);
		const int64_t *in = t.in[0].dims, *d = t.out[0].dims, *pads = list_of(&t, "pads");
		const int64_t *strides = list_of(&t, "strides"), *dilations = list_of(&t, "dilations");
		int64_t n = pick(0, 1), c = pick(0, in[1] - 1), y = pick(0, in[2] - 1), x = pick(0, in[3] - 1);
		float *clean = exactly(bytes_of(&t.out[0]));
		run_conv(&t, tactic, 1);
		memcpy(clean, t.out[0].data, bytes_of(&t.out[0]));
		((float *)t.in[0].data)[((n * in[1] + c) * in[2] + y) * in[3] + x] = chance(50) ? (float)NAN : HUGE_VALF;
		run_conv(&t, tactic, 1);
		for (int64_t at = 0; at < og_count(&t.out[0]); at++) {
			int64_t down = y - (at / d[3] % d[2] * strides[0] - pads[0]), column = at % d[3];
			int64_t right = x - (column * 2 - pads[1]), along = x - (column / 4 * 8 - pads[1]);
			bool row = at / d[3] / d[2] / d[1] == n && down % dilations[0] == 0 && down >= 0 && down / dilations[0] < 7;
			float out = ((const float *)t.out[0].data)[at];
			if (!row || along < 0 || along >= 13) assert_memory_equal(&out, &clean[at], sizeof out);
			else if (right >= 0 && right < 7) assert_false(isfinite(out));
		}
		base_free(clean);
		end_trial(&t);
	}
}

static void test_refusals(void **unused)
{
	(void)unused;
	static const int64_t in[4] = { 1, 3, 20, 20 };
	trial t;
	state = 1;
	make_conv(&t, (int64_t[]){ 1, 17, 20, 20 }, 8, 7);          /* many channels */
	refuse(&t, tactic);
	make_conv(&t, in, 1, 7);
	refuse(&t, tactic);
	make_square(&t, (int64_t[]){ 1, 1 }, (int64_t[4]){ 0 }, 7, in, 8);
	refuse(&t, tactic);
	make_square(&t, (int64_t[]){ 2, 2 }, (int64_t[4]){ 0 }, 5, in, 8);
	refuse(&t, tactic);
	make_conv(&t, in, 8, 7);                                    /* a plan file may say anything */
	base_free(t.in[1].data);
	t.in[1].data = NULL;
	t.in[1].dims[2] = (int64_t)1 << 57;
	refuse(&t, tactic);
}

static void test_loading(void **unused)
{
	(void)unused;
	trial t;
	state = 2;
	make_conv(&t, (int64_t[]){ 1, 3, 20, 20 }, 20, 7);
	t.loading = true;
	run_conv(&t, tactic, 3);
	check_conv(&t, stated_error(21) + (double)FLT_EPSILON);
	check_allocations(&t, tactic);
	end_trial(&t);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int run_group(const char *isa)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_not_finite), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_loading),
	};
	return strcmp(isa, "scalar") ? cmocka_run_group_tests_name(isa, tests, NULL, NULL) : 0;
}

int main(void) { return run_for_each_isa(run_group); }
