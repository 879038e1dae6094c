/* LRN: every element divided by a power of the sum of squares of its neighbours along the channels. */
#include "ops/dims.h"
#include "ops/number.h"

#if OP_BASE
enum { LRN_ALPHA, LRN_BETA, LRN_BIAS, LRN_SIZE };

static og_status lrn_shape(og_infer *c)
{
	if (c->in[0].rank < 0) return OG_OK;
	if (c->in[0].rank < 2 || c->attr[LRN_SIZE].i < 1)
		return c->host->fail(OG_BAD_FILE, "size is %lld and the input has rank %d; size must be positive and the "
		                     "input [N, C, ...]", (long long)c->attr[LRN_SIZE].i, c->in[0].rank);
	dims_copy(&c->out[0], &c->in[0]);
	return OG_OK;
}

/* Item: one channel of one sample. */
static void lrn_channels(void *arg, int64_t begin, int64_t end)
{
	const og_call *c = *(const og_call *const *)arg;
	const og_tensor *x = c->in[0];
	int64_t channels = x->dims[1], inner = og_span(x, 2, x->rank), size = c->attr[LRN_SIZE].i;
	for (int64_t item = begin; item < end; item++) {
		int64_t ch = item % channels, from = ch - (size - 1) / 2, to = ch + size / 2 + 1;
		if (from < 0) from = 0;
		if (to > channels) to = channels;
		for (int64_t i = 0; i < inner; i++) {
			double sum = 0.0, scale;
			for (int64_t k = from - ch; k < to - ch; k++) {
				double neighbour = number_get(x, (item + k) * inner + i);
				sum += neighbour * neighbour;
			}
			scale = pow((double)c->attr[LRN_BIAS].f + (double)c->attr[LRN_ALPHA].f / (double)size * sum,
			            (double)c->attr[LRN_BETA].f);
			number_put(c->out[0], item * inner + i, number_get(x, item * inner + i) / scale);
		}
	}
}

static og_status lrn_eval(const og_call *c)
{
	c->host->parallel(c, og_span(c->in[0], 0, 2), 1, lrn_channels, &c);
	return OG_OK;
}
#endif

OP(lrn, .name = "LRN", .since = 1, .doc = "Local response normalization across channels.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("alpha", 1e-4), OG_FLOAT("beta", 0.75), OG_FLOAT("bias", 1.0),
         { .name = "size", .type = OG_ATTR_INT, .required = 1 }),
   .flags = OG_PER_SAMPLE,
   .shape = lrn_shape, .eval = lrn_eval, .cases = "f32[2,5,3,3]; size=3 | f32[1,4,2,2]; size=4, alpha=0.1, bias=2")
