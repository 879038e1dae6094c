/* ConvTranspose: every input cell adds its multiple of the weights to a window of the output. */
#include "ops/axis.h"
#include "ops/number.h"
#include "ops/window.h"

#if OP_BASE

enum {
	CONV_TRANSPOSE_GROUP = WINDOW_OWN_ATTRS, CONV_TRANSPOSE_OUTPUT_PADDING, CONV_TRANSPOSE_OUTPUT_SHAPE,
	CONV_TRANSPOSE_STRIP = 256
};

/* x [N, C, in...], weights [C, M / groups, kernel...], y [N, M, out...]. In `w` the windows are those of the
 * convolution that this one transposes: input cell i touches output i * stride - begin + k * dilation. */
typedef struct conv_transpose {
	window w;
	const og_tensor *x, *weights, *bias, *y;
	int64_t channels, outputs, groups;           /* the first two of one group */
} conv_transpose;

static og_status conv_transpose_axis(og_infer *c, const window *w, int k, int axes, og_dim *out)
{
	int axis = WINDOW_AXES - axes + k;
	int64_t mode = c->attr[WINDOW_AUTO_PAD].i, pads = w->begin[axis] + w->end[axis];
	const og_attr_value *extra = &c->attr[CONV_TRANSPOSE_OUTPUT_PADDING];
	const og_attr_value *asked = &c->attr[CONV_TRANSPOSE_OUTPUT_SHAPE];
	og_dim extent = c->in[1].dims[2 + k];
	if (extent == 0) return c->host->fail(OG_BAD_FILE, "a kernel of size 0 has no output");
	*out = c->in[0].dims[2 + k];
	if (asked->n > 0) *out = asked->ints[asked->n - axes + k];
	else if (mode == WINDOW_SAME_UPPER || mode == WINDOW_SAME_LOWER) return dims_mul(c, out, w->stride[axis]);
	else if (*out != 0) {
		OP_TRY(dims_shift(c, out, -1));
		OP_TRY(dims_mul(c, out, w->stride[axis]));
		OP_TRY(dims_shift(c, &extent, -1));
		OP_TRY(dims_mul(c, &extent, w->dilation[axis]));
		OP_TRY(dims_add(c, out, extent));
		OP_TRY(dims_shift(c, out, 1 + (extra->n > 0 ? extra->ints[k] : 0)));
		OP_TRY(dims_shift(c, out, -pads));
	}
	return OG_OK;
}

static og_status conv_transpose_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *weights = &c->in[1];
	og_shape *y = &c->out[0];
	int64_t groups = c->attr[CONV_TRANSPOSE_GROUP].i, asked = c->attr[CONV_TRANSPOSE_OUTPUT_SHAPE].n;
	int axes = x->rank - 2;
	window w;
	if (x->rank < 0 || weights->rank < 0) return OG_OK;
	OP_TRY(window_check(c));
	OP_TRY(window_list(c, CONV_TRANSPOSE_OUTPUT_PADDING, axes, 0));
	OP_TRY(window_list(c, CONV_TRANSPOSE_OUTPUT_SHAPE, asked == x->rank ? asked : axes, 0));
	if (weights->rank != x->rank || groups < 1 ||
	    (x->dims[1] >= 0 && ((weights->dims[0] >= 0 && weights->dims[0] != x->dims[1]) || x->dims[1] % groups != 0)))
		return c->host->fail(OG_BAD_FILE, "weights of rank %d in %lld groups do not fit an input of rank "
		                     "%d with %lld channels; correct group or the weights", weights->rank, (long long)groups,
		                     x->rank, (long long)x->dims[1]);
	window_attributes(&w, c->attr, axes);
	y->rank = x->rank;
	y->dims[0] = x->dims[0];
	y->dims[1] = weights->dims[1];
	OP_TRY(dims_mul(c, &y->dims[1], groups));
	OP_TRY(axis_vector(c, 2, y->dims[1]));
	for (int k = 0; k < axes; k++) OP_TRY(conv_transpose_axis(c, &w, k, axes, &y->dims[2 + k]));
	return OG_OK;
}

static double conv_transpose_flops(const og_infer *c)
{
	return 2.0 * axis_elements(&c->in[0], 0) * axis_elements(&c->in[1], 1);
}

/* Where auto_pad or output_shape decides, the padding is what is left over. */
static void conv_transpose_windows(window *w, const og_call *c)
{
	int axes = c->in[0]->rank - 2;
	int64_t mode = c->attr[WINDOW_AUTO_PAD].i;
	const og_attr_value *extra = &c->attr[CONV_TRANSPOSE_OUTPUT_PADDING];
	window_attributes(w, c->attr, axes);
	for (int k = 0; k < axes; k++) {
		int a = WINDOW_AXES - axes + k;
		w->in[a] = c->in[0]->dims[2 + k];
		w->out[a] = c->out[0]->dims[2 + k];
		w->kernel[a] = c->in[1]->dims[2 + k];
		if (c->attr[CONV_TRANSPOSE_OUTPUT_SHAPE].n > 0 || mode == WINDOW_SAME_UPPER || mode == WINDOW_SAME_LOWER)
			window_same(w, a, (w->in[a] - 1) * w->stride[a] + window_extent(w, a) +
			            (extra->n > 0 ? extra->ints[k] : 0) - w->out[a], mode == WINDOW_SAME_UPPER);
	}
}

/* The input cell whose tap k touches output o of the axis; -1: none. */
static int64_t conv_transpose_source(const window *w, int axis, int64_t o, int64_t k)
{
	int64_t at = o + w->begin[axis] - k * w->dilation[axis];
	return at >= 0 && at % w->stride[axis] == 0 && at / w->stride[axis] < w->in[axis] ? at / w->stride[axis] : -1;
}

/* Adds input row `row` (an element index) times kernel row `weight` to sum, which holds outputs [from, to). */
static void conv_transpose_row(const conv_transpose *t, int64_t row, int64_t weight, int64_t from, int64_t to,
                               double *sum)
{
	const window *w = &t->w;
	double x[CONV_TRANSPOSE_STRIP];
	for (int64_t k = 0; k < w->kernel[2]; k++) {
		int64_t first = 0, last = w->in[2], at;
		double scale = number_get(t->weights, weight + k);
		window_span(w, 2, k, from, to, &first, &last);
		if (first >= last) continue;
		number_read(x, t->x, row + first, 1, last - first);
		at = first * w->stride[2] - w->begin[2] + k * w->dilation[2] - from;
		for (int64_t i = 0; i < last - first; i++) sum[at + i * w->stride[2]] += scale * x[i];
	}
}

static void conv_transpose_strip(const conv_transpose *t, int64_t plane, int64_t d, int64_t h, int64_t from, int64_t to)
{
	const window *w = &t->w;
	int64_t m = plane % (t->groups * t->outputs), sample = plane / (t->groups * t->outputs), group = m / t->outputs;
	double sum[CONV_TRANSPOSE_STRIP], start = t->bias ? number_get(t->bias, m) : 0.0;
	for (int64_t i = 0; i < to - from; i++) sum[i] = start;
	for (int64_t ch = group * t->channels; ch < (group + 1) * t->channels; ch++)
		for (int64_t kd = 0; kd < w->kernel[0]; kd++) {
			int64_t z = conv_transpose_source(w, 0, d, kd), in = sample * t->groups * t->channels + ch;
			for (int64_t kh = 0; z >= 0 && kh < w->kernel[1]; kh++) {
				int64_t y = conv_transpose_source(w, 1, h, kh);
				int64_t kernel_row = ((ch * t->outputs + m % t->outputs) * w->kernel[0] + kd) * w->kernel[1] + kh;
				if (y < 0) continue;
				conv_transpose_row(t, ((in * w->in[0] + z) * w->in[1] + y) * w->in[2], kernel_row * w->kernel[2],
				                   from, to, sum);
			}
		}
	number_write(t->y, ((plane * w->out[0] + d) * w->out[1] + h) * w->out[2] + from, 1, sum, to - from);
}

/* Item: one output row. */
static void conv_transpose_rows(void *arg, int64_t begin, int64_t end)
{
	const conv_transpose *t = (const conv_transpose *)arg;
	const window *w = &t->w;
	for (int64_t item = begin; item < end; item++)
		for (int64_t from = 0; from < w->out[2]; from += CONV_TRANSPOSE_STRIP) {
			int64_t to = from + CONV_TRANSPOSE_STRIP < w->out[2] ? from + CONV_TRANSPOSE_STRIP : w->out[2];
			conv_transpose_strip(t, item / w->out[1] / w->out[0], item / w->out[1] % w->out[0], item % w->out[1],
			                     from, to);
		}
}

static og_status conv_transpose_eval(const og_call *c)
{
	conv_transpose t = { .x = c->in[0], .weights = c->in[1], .bias = c->n_in > 2 ? c->in[2] : NULL, .y = c->out[0] };
	conv_transpose_windows(&t.w, c);
	t.groups = c->attr[CONV_TRANSPOSE_GROUP].i;
	t.channels = t.weights->dims[0] / t.groups;
	t.outputs = t.weights->dims[1];
	c->host->parallel(c, t.y->dims[0] * t.groups * t.outputs * t.w.out[0] * t.w.out[1], 1, conv_transpose_rows, &t);
	return OG_OK;
}

#endif

OP(conv_transpose, .name = "ConvTranspose", .since = 1,
   .doc = "Transposed convolution over one to three spatial axes, with groups.",
   .inputs = "X:T, W:T, B:T?", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(WINDOW_ATTRS, OG_INT("group", 1), OG_INTS("output_padding"), OG_INTS("output_shape")),
   .flags = OG_PER_SAMPLE,
   .shape = conv_transpose_shape, .eval = conv_transpose_eval, .flops = conv_transpose_flops,
   .cases = "f32[1,2,3,4] f32[2,3,3,3] f32[3] | f32[1,2,3,3] f32[2,2,2,3]; strides=[3,2], pads=[1,0,0,1]"
            " | f32[1,4,5] f32[4,2,3]; group=2, strides=[2], output_padding=[1] | f32[1,1,3] f32[1,1,3]; dilations=[2]")
