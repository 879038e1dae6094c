#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status unsqueeze_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	list axes = c->op->since >= 13 ? list_of_input(c, 1) : list_of_attr(&c->attr[0]);
	unsigned new_axes;
	int from = 0;
	if (x->rank < 0) return OG_OK;
	if (axes.n < 0) return dims_of_rank(c, y, list_length(c, 1) < 0 ? -1 : x->rank + list_length(c, 1));
	OP_TRY(dims_of_rank(c, y, x->rank + axes.n));
	OP_TRY(list_axes(c, &axes, y->rank, &new_axes));
	for (int d = 0; d < y->rank; d++) y->dims[d] = new_axes >> d & 1 ? 1 : x->dims[from++];
	return OG_OK;
}
#endif

OP(unsqueeze_1, .name = "Unsqueeze", .since = 1, .doc = "Puts in dimensions of 1.", .inputs = "data:T",
   .outputs = "expanded:T",
   ATTRS({ .name = "axes", .type = OG_ATTR_INTS, .required = 1 }),
   .flags = OG_VIEW_OF_INPUT | OG_SHARED_BITS, .shape = unsqueeze_shape, .eval = move_all)
OP(unsqueeze_13, .name = "Unsqueeze", .since = 13, .doc = "Puts in dimensions of 1.", .inputs = "data:T, axes:i64!",
   .outputs = "expanded:T", .flags = OG_VIEW_OF_INPUT | OG_SHARED_BITS, .shape = unsqueeze_shape, .eval = move_all)
