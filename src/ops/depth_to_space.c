#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status depth_to_space_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	int64_t block = c->attr[0].i, area;
	if (x->rank < 0) return dims_of_rank(c, y, 4);
	if (x->rank != 4 || block < 1 || __builtin_mul_overflow(block, block, &area))
		return c->host->fail(OG_BAD_FILE, "DepthToSpace takes 4 dimensions and a positive block, not %d and %lld",
		                     x->rank, (long long)block);
	dims_copy(y, x);
	OP_TRY(dims_divide(c, &y->dims[1], area, "a depth"));
	OP_TRY(dims_mul(c, &y->dims[2], block));
	return dims_mul(c, &y->dims[3], block);
}

static og_status depth_to_space_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *y = c->out[0];
	int64_t block = c->attr[0].i, depth = y->dims[1], height = x->dims[2], width = x->dims[3];
	int crd = c->op->since >= 11 && c->attr[1].i == 1;
	move m = { .to = (char *)y->data, .from = (const char *)x->data };
	OP_TRY(move_size(c, x, &m.size));
	int64_t size = (int64_t)m.size, plane = height * width * size, row = width * block * size;
	/* the input's depth is (block row, block column, depth), or (depth, block row, block column) */
	int64_t by_depth = crd ? block * block * plane : plane, by_column = crd ? plane : depth * plane;
	move_axis(&m, x->dims[0], depth * block * block * plane, depth * block * block * plane);
	move_axis(&m, depth, block * block * plane, by_depth);
	move_axis(&m, height, block * row, width * size);
	move_axis(&m, block, row, block * by_column);
	move_axis(&m, width, block * size, size);
	move_axis(&m, block, size, by_column);
	move_run(c, &m);
	return OG_OK;
}
#endif

OP(depth_to_space_1, .name = "DepthToSpace", .since = 1, .doc = "Moves depth into blocks of the plane.",
   .inputs = "input:T", .outputs = "output:T",
   ATTRS({ .name = "blocksize", .type = OG_ATTR_INT, .required = 1 }),
   .flags = OG_SHARED_BITS, .shape = depth_to_space_shape, .eval = depth_to_space_eval)
OP(depth_to_space_11, .name = "DepthToSpace", .since = 11, .doc = "Moves depth into blocks of the plane.",
   .inputs = "input:T", .outputs = "output:T",
   ATTRS({ .name = "blocksize", .type = OG_ATTR_INT, .required = 1 },
         OG_ENUM("mode", "DCR|CRD", 0)),
   .flags = OG_SHARED_BITS, .shape = depth_to_space_shape, .eval = depth_to_space_eval)
