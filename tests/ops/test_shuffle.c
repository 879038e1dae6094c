#include "opgraft/op.h"

#if OP_BASE
static og_status test_shuffle_shape(og_infer *c)
{
	if (c->in[0].rank < 0) return OG_OK;
	if (c->in[0].rank < 2 || (c->in[0].dims[1] >= 0 && c->in[0].dims[1] % c->attr[0].i))
		return (c->host->fail)(OG_BAD_FILE, "TestShuffle: the channels are not groups of one size");
	c->out[0].rank = c->in[0].rank;
	for (int d = 0; d < c->in[0].rank; d++) c->out[0].dims[d] = c->in[0].dims[d];
	return OG_OK;
}
static og_status test_shuffle_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	int64_t g = c->attr[0].i, inner = og_span(x, 2, x->rank), width = x->dims[1] / g;
	size_t bytes = og_dtype_bytes(x->dtype) * (size_t)inner;
	for (int64_t n = 0; n < x->dims[0]; n++)
		for (int64_t k = 0; k < x->dims[1]; k++)
			memcpy((char *)c->out[0]->data + (size_t)(n * x->dims[1] + k % width * g + k / width) * bytes,
			       (const char *)x->data + (size_t)(n * x->dims[1] + k) * bytes, bytes);
	return OG_OK;
}
static og_status test_shuffle_grid(const og_call *c, int tactic, og_grid *g)
{
	int64_t blocks = (og_count(c->out[0]) + 255) / 256;
	(void)tactic;
	*g = (og_grid){ .blocks = { (uint32_t)(blocks < 1 << 20 ? blocks : 1 << 20), 1, 1 }, .threads = { 256, 1, 1 } };
	return OG_OK;
}
#endif

#if OP_DEVICE
KERNEL(test_shuffle)
{
	const T *x = og_in<T>(c, 0);
	T *y = og_out<T>(c, 0);
	const long long channels = c.in[0].dims[1], g = c.attr[0].i, width = channels / g, inner = og_span(c.in[0], 2, c.in[0].rank);
	for (long long i = og_first(); i < og_count(c.out[0]); i += og_stride()) {
		const long long k = i / inner % channels;
		y[i] = x[i + (k % g * width + k / g - k) * inner];
	}
}
#endif

OP(test_shuffle, .name = "TestShuffle", .domain = OG_DOMAIN, .since = 1, .doc = "Channels of groups, interleaved.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f16 bf16", ATTRS(OG_INT("groups", 2)),
   .shape = test_shuffle_shape, .eval = test_shuffle_eval, .device = "test_shuffle", .grid = test_shuffle_grid,
   .cases = "f32[2,6,5]")
