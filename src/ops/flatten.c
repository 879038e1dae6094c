#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status flatten_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	int64_t axis = c->attr[0].i;
	if (x->rank < 0) return dims_of_rank(c, y, 2);
	if (axis < 0) axis += x->rank;
	if (axis < 0 || axis > x->rank)
		return c->host->fail(OG_BAD_FILE, "Flatten has axis %lld, but there are %d dimensions", (long long)c->attr[0].i,
		                     x->rank);
	y->rank = 2;
	OP_TRY(dims_product(c, &y->dims[0], x->dims, (int)axis));
	return dims_product(c, &y->dims[1], x->dims + axis, x->rank - (int)axis);
}
#endif

OP(flatten, .name = "Flatten", .since = 1, .doc = "A matrix: the dimensions before `axis` by those from it on.",
   .inputs = "input:T", .outputs = "output:T", ATTRS(OG_INT("axis", 1)), .flags = OG_VIEW_OF_INPUT | OG_SHARED_BITS,
   .shape = flatten_shape, .eval = move_all)
