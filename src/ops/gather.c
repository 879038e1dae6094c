#include "ops/dims.h"
#include "ops/index.h"

#if OP_BASE
static og_status gather_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *indices = &c->in[1];
	og_shape *y = &c->out[0];
	int axis;
	if (x->rank < 0) return OG_OK;
	OP_TRY(dims_axis(c, &axis, c->attr[0].i, x->rank));
	if (indices->rank < 0) return OG_OK;
	OP_TRY(dims_of_rank(c, y, x->rank + indices->rank - 1));
	y->rank = 0;
	for (int d = 0; d < axis; d++) y->dims[y->rank++] = x->dims[d];
	for (int d = 0; d < indices->rank; d++) y->dims[y->rank++] = indices->dims[d];
	for (int d = axis + 1; d < x->rank; d++) y->dims[y->rank++] = x->dims[d];
	return OG_OK;
}

typedef struct gather { const og_tensor *x, *indices; og_tensor *y; int64_t count, n, block; } gather;

static void gather_blocks(void *arg, int64_t begin, int64_t end)
{
	const gather *g = (const gather *)arg;
	for (int64_t k = begin; k < end; k++) {
		int64_t from = k / g->count * g->n + index_at(g->indices, k % g->count, g->n);
		move_element((char *)g->y->data + k * g->block, (const char *)g->x->data + from * g->block, (size_t)g->block);
	}
}

static og_status gather_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	int axis = og_axis(c->attr[0].i, x->rank);
	gather g = { x, c->in[1], c->out[0], og_count(c->in[1]), x->dims[axis], 0 };
	size_t size;
	OP_TRY(move_size(c, x, &size));
	OP_TRY(index_check(c, g.indices, g.n));
	g.block = og_span(x, axis + 1, x->rank) * (int64_t)size;
	if (og_count(g.y) == 0) return OG_OK;
	c->host->parallel(c, og_span(x, 0, axis) * g.count, move_grain((size_t)g.block), gather_blocks, &g);
	return OG_OK;
}
#endif

OP(gather, .name = "Gather", .since = 1, .doc = "The slices of `data` along an axis that `indices` name.",
   .inputs = "data:T, indices:I", .outputs = "output:T", .types = "I=i32 i64", ATTRS(OG_INT("axis", 0)),
   .flags = OG_SHARED_BITS, .shape = gather_shape, .eval = gather_eval)
