/* DeformConv: a convolution whose taps are moved by offsets of their own and read between cells, 0 outside. */
#include "ops/convolution.h"
#include "ops/move.h"

#if OP_BASE
enum { DEFORM_CONV_OFFSET_GROUP = CONVOLUTION_GROUP + 1 };
enum { DEFORM_CONV_OFFSET = 2, DEFORM_CONV_BIAS, DEFORM_CONV_MASK };

/* Input k, where it is given, must be [N, offset groups * taps * per_tap, windows...]. */
static og_status deform_conv_input(og_infer *c, int k, int64_t per_tap)
{
	const og_shape *t = &c->in[k], *weights = &c->in[1], *y = &c->out[0];
	og_dim channels = per_tap;
	if (k >= c->n_in || t->rank < 0) return OG_OK;
	if (t->rank != 4)
		return c->host->fail(OG_BAD_FILE, "DeformConv has an input %d of %d dimensions, not 4", k, t->rank);
	OP_TRY(dims_mul(c, &channels, c->attr[DEFORM_CONV_OFFSET_GROUP].i));
	for (int d = 2; d < 4; d++) OP_TRY(dims_mul(c, &channels, weights->dims[d]));
	for (int d = 0; d < 4; d++) {
		og_dim want = d == 1 ? channels : y->dims[d];
		OP_TRY(dims_same(c, &want, t->dims[d], d));
	}
	return OG_OK;
}

static og_status deform_conv_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *weights = &c->in[1];
	int64_t groups = c->attr[DEFORM_CONV_OFFSET_GROUP].i;
	if (x->rank < 0 || weights->rank < 0) return OG_OK;
	if (x->rank != 4)
		return c->host->fail(OG_UNSUPPORTED, "DeformConv of %d dimensions is not supported; only 4 are", x->rank);
	if (groups < 1 || (x->dims[1] >= 0 && x->dims[1] % groups != 0))
		return c->host->fail(OG_BAD_FILE, "DeformConv can't share %lld channels among %lld groups of offsets",
		                     (long long)x->dims[1], (long long)groups);
	OP_TRY(convolution_shape(c));
	OP_TRY(axis_vector(c, DEFORM_CONV_BIAS, weights->dims[0]));
	OP_TRY(deform_conv_input(c, DEFORM_CONV_OFFSET, 2));
	return deform_conv_input(c, DEFORM_CONV_MASK, 1);
}

/* The plane of x that starts at `at`, at (y, z). */
static double deform_conv_read(const og_tensor *x, int64_t at, double row, double column)
{
	int64_t height = x->dims[2], width = x->dims[3], i, j;
	double sum = 0.0;
	if (!(row > -1 && row < (double)height && column > -1 && column < (double)width)) return 0.0;
	i = (int64_t)floor(row);
	j = (int64_t)floor(column);
	for (int corner = 0; corner < 4; corner++) {
		int64_t r = i + corner / 2, k = j + corner % 2;
		if (r >= 0 && r < height && k >= 0 && k < width)
			sum += (1 - fabs(row - (double)r)) * (1 - fabs(column - (double)k)) * number_get(x, at + r * width + k);
	}
	return sum;
}

typedef struct deform_conv_task { const og_call *call; window w; int64_t channels, outputs, shared; } deform_conv_task;

/* Item: one element of the output. */
static void deform_conv_elements(void *arg, int64_t begin, int64_t end)
{
	const deform_conv_task *t = (const deform_conv_task *)arg;
	const og_tensor *x = t->call->in[0], *weights = t->call->in[1], *offset = t->call->in[DEFORM_CONV_OFFSET];
	const og_tensor *bias = move_in(t->call, DEFORM_CONV_BIAS), *mask = move_in(t->call, DEFORM_CONV_MASK);
	const og_tensor *y = t->call->out[0];
	const window *w = &t->w;
	int64_t windows = w->out[1] * w->out[2], taps = w->kernel[1] * w->kernel[2], groups = x->dims[1] / t->shared;
	for (int64_t item = begin; item < end; item++) {
		int64_t at = item % windows, m = item / windows % y->dims[1], sample = item / windows / y->dims[1];
		int64_t first = m / t->outputs * t->channels;
		double sum = bias ? number_get(bias, m) : 0.0;
		for (int64_t k = 0; k < t->channels * taps; k++) {
			int64_t channel = first + k / taps, tap = k % taps;
			int64_t moved = (sample * groups + channel / t->shared) * taps + tap;
			double row = (double)(at / w->out[2] * w->stride[1] - w->begin[1] + tap / w->kernel[2] * w->dilation[1]);
			double column = (double)(at % w->out[2] * w->stride[2] - w->begin[2] + tap % w->kernel[2] * w->dilation[2]);
			row += number_get(offset, 2 * moved * windows + at);
			column += number_get(offset, (2 * moved + 1) * windows + at);
			sum += number_get(weights, m * t->channels * taps + k) *
			       (mask ? number_get(mask, moved * windows + at) : 1.0) *
			       deform_conv_read(x, (sample * x->dims[1] + channel) * x->dims[2] * x->dims[3], row, column);
		}
		number_put(y, item, sum);
	}
}

static og_status deform_conv_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *weights = c->in[1], *y = c->out[0];
	deform_conv_task t = { .call = c, .channels = weights->dims[1] };
	if (og_count(y) == 0) return OG_OK;
	t.outputs = weights->dims[0] / c->attr[CONVOLUTION_GROUP].i;
	t.shared = x->dims[1] / c->attr[DEFORM_CONV_OFFSET_GROUP].i;
	if (t.shared == 0) t.shared = 1;             /* no channels */
	window_of(&t.w, c->attr, x, y, weights);
	c->host->parallel(c, og_count(y), 1, deform_conv_elements, &t);
	return OG_OK;
}
#endif

OP(deform_conv, .name = "DeformConv", .since = 19, .doc = "Convolution whose taps are moved by offsets of their own.",
   .inputs = "X:T, W:T, offset:T, B:T?, mask:T?", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_INTS("kernel_shape"), OG_INTS("strides"), OG_INTS("pads"), OG_ENUM("auto_pad", "NOTSET", WINDOW_NOTSET),
         OG_INTS("dilations"), OG_INT("group", 1), OG_INT("offset_group", 1)),
   .shape = deform_conv_shape, .eval = deform_conv_eval, .flops = convolution_flops)
