/* conv_trial.h -- one convolution by one fast tactic, of random shape and data, against a sum in double. Data is uniform in
 * [-1, 1). Lanes that are not there hold NaN. */
#ifndef CONV_TRIAL_H
#define CONV_TRIAL_H

#include "cpu_case.h"

/* ---- the node ------------------------------------------------------------------------------- */

/* Strides and dilations are for two axes, pads in front of both and behind both; tensors are not there yet. Inputs 1 and 2 are
 * known. */
static inline void begin_conv(trial *t, const int64_t strides[2], const int64_t dilations[2], const int64_t pads[4],
                              int64_t groups)
{
	begin_trial(t, find_op("Conv"));
	set_list(t, "strides", strides, 2);
	set_list(t, "dilations", dilations, 2);
	set_list(t, "pads", pads, 4);
	set_number(t, "group", (double)groups);
	t->node.n_in = t->node.n_anchor_in = 3;
	t->constant = 6;
}

/* [images, channels, high, wide] by that many outputs of kernel x kernel, of one group and no dilation. */
static inline void make_square(trial *t, const int64_t strides[2], const int64_t pads[4], int64_t kernel, const int64_t in[4],
                               int64_t outputs)
{
	begin_conv(t, strides, (int64_t[]){ 1, 1 }, pads, 1);
	t->in[0] = make_tensor(4, in);
	t->in[1] = make_tensor(4, (int64_t[]){ outputs, in[1], kernel, kernel });
	if (chance(60)) t->in[2] = make_tensor(1, &outputs);
	t->out[0] = make_tensor(4, (int64_t[]){ in[0], outputs, (in[2] + pads[0] + pads[2] - kernel) / strides[0] + 1,
	                                        (in[3] + pads[1] + pads[3] - kernel) / strides[1] + 1 });
}

/* Relu(y + operand), where the operand has the output's shape or is an element for each output or one for all. */
static inline void add_tail(trial *t)
{
	const int64_t *y = t->out[0].dims;
	const int operand = t->node.n_in++, kind = (int)pick(0, 2);
	t->in[operand] = make_tensor(4, (int64_t[]){ kind ? 1 : y[0], kind == 2 ? 1 : y[1], kind ? 1 : y[2], kind ? 1 : y[3] });
	t->tail = (program){ .n_operands = 2, .n_regs = 3, .n_steps = 2, .operand = { -1, operand }, .result = 2 };
	t->tail.step[0] = (program_step){ .op = find_op("Add"), .in = { 0, 1 }, .out = 2 };
	t->tail.step[1] = (program_step){ .op = find_op("Relu"), .in = { 2 }, .out = 2 };
	t->node.tail = &t->tail;
}

/* Runs by the tactic, with the same bits for 1 to `threads` threads. A plain input makes an output by channels. */
static inline void run_conv(const trial *t, const char *tactic, int threads)
{
	ran how;
	assert_int_equal(run_by_threads(t, tactic, threads, &how), OG_OK);
	assert_string_equal(how.tactic, tactic);
	assert_int_equal(how.layout, t->layout[0] == LAYOUT_PLAIN ? LAYOUT_CHANNELS : t->layout[0]);
}

/* The tactic is not for this node. Ends the trial. */
static inline void refuse(trial *t, const char *tactic)
{
	assert_int_equal(run_trial(t, tactic, 2, NULL), OG_UNSUPPORTED);
	end_trial(t);
}

/* ---- the definition ------------------------------------------------------------------------- */

/* Element (n, k, y, x) of the output before the tail. */
static inline double define_sum(const trial *t, int64_t n, int64_t k, int64_t y, int64_t x)
{
	const int64_t *d = t->in[0].dims, *w = t->in[1].dims, *strides = list_of(t, "strides");
	const int64_t *pads = list_of(t, "pads"), *dilations = list_of(t, "dilations");
	const int64_t first = k / (w[0] / (d[1] / w[1])) * w[1];             /* channel of the group */
	double sum = t->in[2].data ? (double)((const float *)t->in[2].data)[k] : 0.0;
	for (int64_t c = 0; c < w[1]; c++) {
		const float *plane = (const float *)t->in[0].data + (n * d[1] + first + c) * d[2] * d[3];
		const float *weights = (const float *)t->in[1].data + (k * w[1] + c) * w[2] * w[3];
		for (int64_t i = 0; i < w[2] * w[3]; i++) {
			int64_t row = y * strides[0] - pads[0] + i / w[3] * dilations[0];
			int64_t column = x * strides[1] - pads[1] + i % w[3] * dilations[1];
			if (row < 0 || row >= d[2] || column < 0 || column >= d[3]) continue;
			sum += (double)plane[row * d[3] + column] * (double)weights[i];
		}
	}
	return sum;
}

/* With the tail: Relu of it, or of its sum with the operand. */
static inline double define(const trial *t, int64_t n, int64_t k, int64_t y, int64_t x)
{
	const og_tensor *operand = &t->in[t->node.n_anchor_in];
	const int64_t *d = operand->dims;
	double sum = define_sum(t, n, k, y, x);
	if (!t->node.tail) return sum;
	if (t->tail.n_operands == 2)
		sum += (double)((const float *)operand->data)[((n % d[0] * d[1] + k % d[1]) * d[2] + y % d[2]) * d[3] + x % d[3]];
	return sum > 0 ? sum : 0;
}

/* Errors against the definition: their root mean square is at most the stated one, each of them is 16 times that. */
static inline void check_conv(const trial *t, double stated)
{
	const float *out = t->out[0].data;
	const int64_t *d = t->out[0].dims, count = og_count(&t->out[0]);
	double squares = 0;
	for (int64_t i = 0; i < count; i++) {
		double wanted = define(t, i / d[3] / d[2] / d[1], i / d[3] / d[2] % d[1], i / d[3] % d[2], i % d[3]);
		double error = fabs((double)out[i] - wanted);
		if (!(error <= 16 * stated))
			fail_msg("element %lld is %g and not %g (+-%g)", (long long)i, (double)out[i], wanted, 16 * stated);
		squares += error * error;
	}
	double error = sqrt(squares / (double)count);
	if (count >= 1000 && error > stated) fail_msg("the error is %g and not %g", error, stated);
}

#endif
