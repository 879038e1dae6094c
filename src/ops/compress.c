#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
/* Without an axis the input counts as flat. The condition may be shorter than the axis; what is beyond it goes. */
static og_status compress_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	const og_tensor *keep = c->in[1].value;
	og_shape *y = &c->out[0];
	og_dim n, kept = 0;
	int axis = 0;
	OP_TRY(dims_of_rank(c, y, c->attr[0].present ? x->rank : 1));
	if (x->rank < 0) return OG_OK;
	if (c->attr[0].present) {
		OP_TRY(dims_axis(c, &axis, c->attr[0].i, x->rank));
		dims_copy(y, x);
		n = x->dims[axis];
	} else {
		OP_TRY(dims_product(c, &n, x->dims, x->rank));
	}
	y->dims[axis] = dims_unknown(c);
	if (!keep) return OG_OK;
	for (int64_t k = 0; k < og_count(keep); k++) kept += ((const uint8_t *)keep->data)[k] != 0;
	if (n >= 0 && og_count(keep) > n)
		return c->host->fail(OG_BAD_FILE, "Compress has a condition of %lld for %lld elements",
		                     (long long)og_count(keep), (long long)n);
	y->dims[axis] = kept;
	return OG_OK;
}

static og_status compress_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *keep = c->in[1];
	int axis = c->attr[0].present ? og_axis(c->attr[0].i, x->rank) : 0;
	int64_t outer = c->attr[0].present ? og_span(x, 0, axis) : 1, n = og_count(keep), dim, block;
	char *to = (char *)c->out[0]->data;
	size_t size;
	OP_TRY(move_size(c, x, &size));
	dim = c->attr[0].present ? x->dims[axis] : og_count(x);
	block = (c->attr[0].present ? og_span(x, axis + 1, x->rank) : 1) * (int64_t)size;
	if (og_count(c->out[0]) == 0) return OG_OK;
	for (int64_t line = 0; line < outer; line++) {
		for (int64_t k = 0; k < n; k++) {
			if (!((const uint8_t *)keep->data)[k]) continue;
			move_element(to, (const char *)x->data + (line * dim + k) * block, (size_t)block);
			to += block;
		}
	}
	return OG_OK;
}
#endif

OP(compress, .name = "Compress", .since = 9, .doc = "The slices along an axis for which the condition is true.",
   .inputs = "input:T, condition:bool!", .outputs = "output:T", ATTRS(OG_INT("axis", 0)), .flags = OG_SHARED_BITS,
   .shape = compress_shape, .eval = compress_eval)
