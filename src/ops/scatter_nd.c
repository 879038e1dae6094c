#include "ops/dims.h"
#include "ops/index.h"

#if OP_BASE
static og_status scatter_nd_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *indices = &c->in[1], *updates = &c->in[2];
	og_dim depth;
	dims_copy(&c->out[0], x);
	if (x->rank < 0 || indices->rank < 0) return OG_OK;
	depth = indices->rank > 0 ? indices->dims[indices->rank - 1] : 0;
	if (depth >= 0 && (depth < 1 || depth > x->rank))
		return c->host->fail(OG_BAD_FILE, "ScatterND has %lld coordinates for %d dimensions", (long long)depth,
		                     x->rank);
	if (updates->rank < 0 || depth < 0) return OG_OK;
	if (updates->rank != indices->rank - 1 + x->rank - depth)
		return c->host->fail(OG_BAD_FILE, "ScatterND has updates of %d dimensions", updates->rank);
	for (int d = 0; d < updates->rank; d++) {
		og_dim n = updates->dims[d];
		int own = d < indices->rank - 1;
		OP_TRY(dims_same(c, &n, own ? indices->dims[d] : x->dims[d - (indices->rank - 1) + depth], d));
	}
	return OG_OK;
}

static og_status scatter_nd_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *indices = c->in[1];
	int depth = (int)indices->dims[indices->rank - 1], how = c->op->since >= 16 ? (int)c->attr[0].i : INDEX_NONE;
	int64_t tuples = og_span(indices, 0, indices->rank - 1), block = og_span(x, depth, x->rank);
	size_t size;
	OP_TRY(move_size(c, x, &size));
	OP_TRY(index_can_reduce(c, how, x->dtype));
	OP_TRY(move_all(c));
	for (int64_t k = 0; k < tuples; k++) {
		int64_t at = 0;
		for (int j = 0; j < depth; j++) {
			int64_t i = index_at(indices, k * depth + j, x->dims[j]);
			if (i < 0 || i >= x->dims[j]) return index_refuse(c, i, x->dims[j]);
			at = at * x->dims[j] + i;
		}
		if (block) index_update(how, c->out[0], at * block, c->in[2], k * block, block, size);
	}
	return OG_OK;
}
#endif

OP(scatter_nd_11, .name = "ScatterND", .since = 11, .doc = "The data with the slices at given coordinates replaced.",
   .inputs = "data:T, indices:i64, updates:T", .outputs = "output:T", .flags = OG_SHARED_BITS,
   .shape = scatter_nd_shape, .eval = scatter_nd_eval)
OP(scatter_nd_16, .name = "ScatterND", .since = 16,
   .doc = "The data with the slices at given coordinates replaced or combined.",
   .inputs = "data:T, indices:i64, updates:T", .outputs = "output:T",
   ATTRS(OG_ENUM("reduction", INDEX_REDUCTIONS, INDEX_NONE)), .shape = scatter_nd_shape, .eval = scatter_nd_eval)
