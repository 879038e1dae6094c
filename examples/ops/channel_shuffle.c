/* Channel shuffle of ShuffleNet: an op that is no formula. It says its shape rule, a definition in C, and a CUDA kernel. */
#include "opgraft/op.h"

#if OP_BASE
static og_status channel_shuffle_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	int64_t groups = c->attr[0].i;
	if (x->rank < 0) return OG_OK;
	if (x->rank < 2) return c->host->fail(OG_BAD_FILE, "ChannelShuffle takes [N, C, ...], not %d dimensions", x->rank);
	if (x->dims[1] >= 0 && x->dims[1] % groups)
		return c->host->fail(OG_BAD_FILE, "ChannelShuffle: %lld channels are not %lld groups of one size",
		                     (long long)x->dims[1], (long long)groups);
	c->out[0].rank = x->rank;
	for (int d = 0; d < x->rank; d++) c->out[0].dims[d] = x->dims[d];
	return OG_OK;
}

/* Channel k of the input, place k % width of group k / width, goes to place k / width of group k % width. */
static og_status channel_shuffle_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	int64_t channels = x->dims[1], groups = c->attr[0].i, width = channels / groups;
	size_t bytes = og_dtype_bytes(x->dtype) * (size_t)og_span(x, 2, x->rank);
	const char *from = x->data;
	char *to = c->out[0]->data;
	for (int64_t n = 0; n < x->dims[0]; n++)
		for (int64_t k = 0; k < channels; k++)
			memcpy(to + (size_t)(n * channels + k % width * groups + k / width) * bytes,
			       from + (size_t)(n * channels + k) * bytes, bytes);
	return OG_OK;
}

static og_status channel_shuffle_grid(const og_call *c, int tactic, og_grid *g)
{
	int64_t blocks = (og_count(c->out[0]) + 255) / 256;
	(void)tactic;
	*g = (og_grid){ .blocks = { (uint32_t)(blocks < 1 << 20 ? blocks : 1 << 20), 1, 1 }, .threads = { 256, 1, 1 } };
	return OG_OK;
}
#endif

#if OP_DEVICE
KERNEL(channel_shuffle)
{
	const T *x = og_in<T>(c, 0);
	T *y = og_out<T>(c, 0);
	const long long channels = c.in[0].dims[1], groups = c.attr[0].i, width = channels / groups;
	const long long inner = og_span(c.in[0], 2, c.in[0].rank);
	for (long long i = og_first(); i < og_count(c.out[0]); i += og_stride()) {
		const long long k = i / inner % channels;                    /* the channel that element i of the output is in */
		y[i] = x[i + (k % groups * width + k / groups - k) * inner];
	}
}
#endif

OP(channel_shuffle, .name = "ChannelShuffle", .domain = "examples", .since = 1,
   .doc = "Channels of groups, interleaved.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   ATTRS({ .name = "groups", .type = OG_ATTR_INT, .value = 2, .low = 1, .high = 65536 }), .flags = OG_SHARED_BITS,
   .shape = channel_shuffle_shape, .eval = channel_shuffle_eval,
   .device = "channel_shuffle", .grid = channel_shuffle_grid,
   .cases = "f32[2,6,5] | f16[1,8,3,3]; groups=4 | f32[2,4]; groups=1 | f32[0,2,3]")
