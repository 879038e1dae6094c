#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status squeeze_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	list axes = c->op->since >= 13 ? list_of_input(c, 1) : list_of_attr(&c->attr[0]);
	unsigned gone = 0;
	if (x->rank < 0) return OG_OK;
	if (axes.n == LIST_UNKNOWN) return dims_of_rank(c, y, list_length(c, 1) < 0 ? -1 : x->rank - list_length(c, 1));
	if (axes.n == LIST_ABSENT) {
		for (int d = 0; d < x->rank; d++) {
			if (x->dims[d] < 0) return OG_OK;
			if (x->dims[d] == 1) gone |= 1u << d;
		}
	}
	if (axes.n >= 0) OP_TRY(list_axes(c, &axes, x->rank, &gone));
	y->rank = 0;
	for (int d = 0; d < x->rank; d++) {
		if (!(gone >> d & 1)) y->dims[y->rank++] = x->dims[d];
		else if (x->dims[d] > 1 || x->dims[d] == 0)
			return c->host->fail(OG_BAD_FILE, "Squeeze removes axis %d, which has %lld elements", d,
			                     (long long)x->dims[d]);
	}
	return OG_OK;
}
#endif

OP(squeeze_1, .name = "Squeeze", .since = 1, .doc = "Leaves out dimensions of 1.", .inputs = "data:T",
   .outputs = "squeezed:T", ATTRS(OG_INTS("axes")), .flags = OG_VIEW_OF_INPUT | OG_SHARED_BITS, .shape = squeeze_shape,
   .eval = move_all)
OP(squeeze_13, .name = "Squeeze", .since = 13, .doc = "Leaves out dimensions of 1.", .inputs = "data:T, axes:i64?!",
   .outputs = "squeezed:T", .flags = OG_VIEW_OF_INPUT | OG_SHARED_BITS, .shape = squeeze_shape, .eval = move_all)
