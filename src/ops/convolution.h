/* convolution.h -- the shape rule and plain definition that Conv and ConvInteger share. */
#ifndef OPS_CONVOLUTION_H
#define OPS_CONVOLUTION_H

#include "ops/axis.h"
#include "ops/number.h"
#include "ops/window.h"

#if OP_BASE

enum { CONVOLUTION_GROUP = WINDOW_OWN_ATTRS };
enum { CONVOLUTION_STRIP = 256, CONVOLUTION_BLOCK = 4 };

/* x [N, C, cells...], weights [M, C / groups, kernel...], bias [M], y [N, M, windows...]. */
typedef struct convolution {
	window w;
	const og_tensor *x, *weights, *bias, *y;
	const og_tensor *weight_zero;        /* subtracted from weights: one, or one for each output channel; NULL */
	double x_zero;                       /* subtracted from x; padding is 0 afterwards */
	int64_t channels, outputs;           /* of one group */
	int64_t groups, blocks;              /* blocks of CONVOLUTION_BLOCK output channels in a group */
} convolution;

/* Shape rule. Inputs 0 and 1 are x and weights, attribute CONVOLUTION_GROUP is the number of groups. */
OG_INLINE og_status convolution_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *weights = &c->in[1];
	int64_t groups = c->attr[CONVOLUTION_GROUP].i;
	og_dim channels;
	if (x->rank < 0 || weights->rank < 0) return OG_OK;
	if (weights->rank != x->rank)
		return c->host->fail(OG_BAD_FILE, "input X has rank %d but its weights have rank %d; they must be equal",
		                     x->rank, weights->rank);
	if (x->rank < 3) return window_check(c);
	channels = weights->dims[1];
	OP_TRY(dims_mul(c, &channels, groups < 1 ? 1 : groups));
	if (groups < 1 || (channels >= 0 && x->dims[1] >= 0 && channels != x->dims[1]) ||
	    (weights->dims[0] >= 0 && weights->dims[0] % groups != 0))
		return c->host->fail(OG_BAD_FILE, "%lld groups with weights [%lld, %lld, ...] do not fit an input of %lld "
		                     "channels; correct group or the weights", (long long)groups,
		                     (long long)weights->dims[0], (long long)weights->dims[1], (long long)x->dims[1]);
	for (int k = 0; k < c->attr[WINDOW_KERNEL].n && k + 2 < x->rank; k++)
		if (weights->dims[k + 2] >= 0 && c->attr[WINDOW_KERNEL].ints[k] != weights->dims[k + 2])
			return c->host->fail(OG_BAD_FILE, "kernel_shape says %lld where the weights have %lld; correct one",
			                     (long long)c->attr[WINDOW_KERNEL].ints[k],
			                     (long long)weights->dims[k + 2]);
	return window_shape(c, 0, weights->dims[0], weights, 0);
}

OG_INLINE double convolution_flops(const og_infer *c)
{
	return 2.0 * axis_elements(&c->out[0], 0) * axis_elements(&c->in[1], 1);
}

/* Adds the products of one kernel row (its first weight at weight_at, its cells from row_at on) to the windows
 * [from, to) of the innermost axis, for `n` output channels. */
static void convolution_taps(const convolution *c, int64_t row_at, int64_t m, int64_t weight_at, int n,
                             int64_t from, int64_t to, double sum[][CONVOLUTION_STRIP])
{
	const window *w = &c->w;
	int64_t per_output = og_span(c->weights, 1, c->weights->rank);
	double row[CONVOLUTION_STRIP];
	for (int64_t k = 0; k < w->kernel[2]; k++) {
		int64_t first = from, last = to;
		window_span(w, 2, k, 0, w->in[2], &first, &last);
		if (first >= last) continue;
		number_read(row, c->x, row_at + first * w->stride[2] - w->begin[2] + k * w->dilation[2], w->stride[2],
		            last - first);
		for (int64_t i = 0; c->x_zero != 0 && i < last - first; i++) row[i] -= c->x_zero;
		for (int b = 0; b < n; b++) {
			double weight = number_get(c->weights, weight_at + b * per_output + k), *y = sum[b] + first - from;
			if (c->weight_zero) weight -= number_get(c->weight_zero, og_count(c->weight_zero) > 1 ? m + b : 0);
			for (int64_t i = 0; i < last - first; i++) y[i] += weight * row[i];
		}
	}
}

/* Windows [from, to) of row (d, h) of output channels m to m + n - 1 of one sample. */
static void convolution_strip(const convolution *c, int64_t sample, int64_t m, int n, int64_t d, int64_t h,
                              int64_t from, int64_t to)
{
	const window *w = &c->w;
	int64_t group = m / c->outputs, kd0, kd1, kh0, kh1;
	double sum[CONVOLUTION_BLOCK][CONVOLUTION_STRIP];
	for (int b = 0; b < n; b++) {
		double start = c->bias ? number_get(c->bias, m + b) : 0.0;
		for (int64_t i = 0; i < to - from; i++) sum[b][i] = start;
	}
	window_taps(w, 0, d, w->in[0], &kd0, &kd1);
	window_taps(w, 1, h, w->in[1], &kh0, &kh1);
	for (int64_t ch = 0; ch < c->channels; ch++) {
		int64_t plane = sample * c->groups * c->channels + group * c->channels + ch;
		for (int64_t kd = kd0; kd < kd1; kd++)
			for (int64_t kh = kh0; kh < kh1; kh++) {
				int64_t z = d * w->stride[0] - w->begin[0] + kd * w->dilation[0];
				int64_t y = h * w->stride[1] - w->begin[1] + kh * w->dilation[1];
				int64_t kernel_row = ((m * c->channels + ch) * w->kernel[0] + kd) * w->kernel[1] + kh;
				convolution_taps(c, ((plane * w->in[0] + z) * w->in[1] + y) * w->in[2], m, kernel_row * w->kernel[2],
				                 n, from, to, sum);
			}
	}
	for (int b = 0; b < n; b++) {
		int64_t plane = sample * c->groups * c->outputs + m + b;
		number_write(c->y, ((plane * w->out[0] + d) * w->out[1] + h) * w->out[2] + from, 1, sum[b], to - from);
	}
}

/* Item: one output row of one block of output channels. */
static void convolution_rows(void *arg, int64_t begin, int64_t end)
{
	const convolution *c = (const convolution *)arg;
	const window *w = &c->w;
	for (int64_t item = begin; item < end; item++) {
		int64_t h = item % w->out[1], d = item / w->out[1] % w->out[0], rest = item / w->out[1] / w->out[0];
		int64_t at = rest % c->blocks * CONVOLUTION_BLOCK, group = rest / c->blocks % c->groups;
		int64_t sample = rest / c->blocks / c->groups, left = c->outputs - at;
		int n = left < CONVOLUTION_BLOCK ? (int)left : CONVOLUTION_BLOCK;
		for (int64_t from = 0; from < w->out[2]; from += CONVOLUTION_STRIP) {
			int64_t to = from + CONVOLUTION_STRIP < w->out[2] ? from + CONVOLUTION_STRIP : w->out[2];
			convolution_strip(c, sample, group * c->outputs + at, n, d, h, from, to);
		}
	}
}

/* Runs it: the caller has set x, weights, bias, y and the zero points. */
OG_INLINE og_status convolution_run(const og_call *call, convolution *c)
{
	window_of(&c->w, call->attr, c->x, c->y, c->weights);
	c->groups = call->attr[CONVOLUTION_GROUP].i;
	c->channels = c->weights->dims[1];
	c->outputs = c->weights->dims[0] / c->groups;
	c->blocks = (c->outputs + CONVOLUTION_BLOCK - 1) / CONVOLUTION_BLOCK;
	call->host->parallel(call, c->y->dims[0] * c->groups * c->blocks * c->w.out[0] * c->w.out[1], 1,
	                     convolution_rows, c);
	return OG_OK;
}

#endif
#endif
