#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status space_to_depth_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	int64_t block = c->attr[0].i, area;
	if (x->rank < 0) return dims_of_rank(c, y, 4);
	if (x->rank != 4 || block < 1 || __builtin_mul_overflow(block, block, &area))
		return c->host->fail(OG_BAD_FILE, "SpaceToDepth takes 4 dimensions and a positive block, not %d and %lld",
		                     x->rank, (long long)block);
	dims_copy(y, x);
	OP_TRY(dims_mul(c, &y->dims[1], area));
	OP_TRY(dims_divide(c, &y->dims[2], block, "a height"));
	return dims_divide(c, &y->dims[3], block, "a width");
}

static og_status space_to_depth_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *y = c->out[0];
	int64_t block = c->attr[0].i, depth = x->dims[1], height = y->dims[2], width = y->dims[3];
	move m = { .to = (char *)y->data, .from = (const char *)x->data };
	OP_TRY(move_size(c, x, &m.size));
	int64_t size = (int64_t)m.size, plane = height * width * size, row = width * block * size;
	move_axis(&m, x->dims[0], depth * block * block * plane, depth * block * block * plane);
	move_axis(&m, block, block * depth * plane, row);
	move_axis(&m, block, depth * plane, size);
	move_axis(&m, depth, plane, block * block * plane);
	move_axis(&m, height, width * size, block * row);
	move_axis(&m, width, size, block * size);
	move_run(c, &m);
	return OG_OK;
}
#endif

OP(space_to_depth, .name = "SpaceToDepth", .since = 1, .doc = "Moves blocks of the plane into depth.",
   .inputs = "input:T", .outputs = "output:T",
   ATTRS({ .name = "blocksize", .type = OG_ATTR_INT, .required = 1 }),
   .flags = OG_SHARED_BITS, .shape = space_to_depth_shape, .eval = space_to_depth_eval)
