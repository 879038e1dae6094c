#include "ops/dims.h"
#include "ops/index.h"

#if OP_BASE
static og_status reverse_sequence_shape(og_infer *c)
{
	int64_t batch = c->attr[0].i, time = c->attr[1].i;
	if (batch < 0 || batch > 1 || time != 1 - batch || (c->in[0].rank >= 0 && c->in[0].rank < 2))
		return c->host->fail(OG_BAD_FILE, "ReverseSequence has batch axis %lld and time axis %lld; one must be 0, "
		                     "the other 1", (long long)batch, (long long)time);
	if (c->in[1].rank >= 0 && c->in[1].rank != 1)
		return c->host->fail(OG_BAD_FILE, "ReverseSequence has lengths of %d dimensions, not 1", c->in[1].rank);
	if (c->in[0].rank >= 0 && c->in[1].rank == 1) {
		og_dim n = c->in[1].dims[0];
		OP_TRY(dims_same(c, &n, c->in[0].dims[batch], 0));
	}
	dims_copy(&c->out[0], &c->in[0]);
	return OG_OK;
}

static og_status reverse_sequence_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *lengths = c->in[1];
	int batch = (int)c->attr[0].i;
	int64_t batches = x->dims[batch], times = x->dims[1 - batch], block;
	size_t size;
	OP_TRY(move_size(c, x, &size));
	if (og_count(x) == 0) return OG_OK;
	block = og_span(x, 2, x->rank) * (int64_t)size;
	for (int64_t b = 0; b < batches; b++) {
		int64_t n = index_at(lengths, b, 0);
		if (n < 0 || n > times)
			return c->host->fail(OG_BAD_FILE, "ReverseSequence reverses %lld of %lld elements", (long long)n,
			                     (long long)times);
		for (int64_t t = 0; t < times; t++) {
			int64_t from = t < n ? n - 1 - t : t;
			int64_t at = batch == 0 ? b * times + t : t * batches + b;
			int64_t source = batch == 0 ? b * times + from : from * batches + b;
			move_element((char *)c->out[0]->data + at * block, (const char *)x->data + source * block, (size_t)block);
		}
	}
	return OG_OK;
}
#endif

OP(reverse_sequence, .name = "ReverseSequence", .since = 10,
   .doc = "Each sequence of a batch reversed over its own length.",
   .inputs = "input:T, sequence_lens:i64", .outputs = "Y:T", ATTRS(OG_INT("batch_axis", 1), OG_INT("time_axis", 0)),
   .flags = OG_SHARED_BITS, .shape = reverse_sequence_shape, .eval = reverse_sequence_eval)
