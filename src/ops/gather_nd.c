#include "ops/dims.h"
#include "ops/index.h"

#if OP_BASE
static int64_t gather_nd_batch(const og_op *op, const og_attr_value *attr) { return op->since >= 12 ? attr[0].i : 0; }

static og_status gather_nd_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *indices = &c->in[1];
	og_shape *y = &c->out[0];
	int64_t batch = gather_nd_batch(c->op, c->attr), depth, rank;
	if (x->rank < 0 || indices->rank < 0) return OG_OK;
	depth = indices->rank > 0 ? indices->dims[indices->rank - 1] : 0;
	if (depth < 0) return OG_OK;
	if (batch < 0 || batch >= indices->rank || depth < 1 || batch + depth > x->rank)
		return c->host->fail(OG_BAD_FILE, "GatherND has %lld coordinates and %lld batch dimensions for data of %d "
		                     "dimensions and indices of %d", (long long)depth, (long long)batch, x->rank,
		                     indices->rank);
	rank = indices->rank - 1 + x->rank - batch - depth;
	OP_TRY(dims_of_rank(c, y, rank));
	y->rank = 0;
	for (int d = 0; d < indices->rank - 1; d++) {
		y->dims[y->rank] = indices->dims[d];
		if (d < batch) OP_TRY(dims_same(c, &y->dims[d], x->dims[d], d));
		y->rank++;
	}
	for (int d = (int)(batch + depth); d < x->rank; d++) y->dims[y->rank++] = x->dims[d];
	return OG_OK;
}

static og_status gather_nd_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *indices = c->in[1];
	int batch = (int)gather_nd_batch(c->op, c->attr), depth = (int)indices->dims[indices->rank - 1];
	int64_t tuples = og_span(indices, 0, indices->rank - 1), batches = og_span(x, 0, batch), block;
	size_t size;
	OP_TRY(move_size(c, x, &size));
	block = og_span(x, batch + depth, x->rank) * (int64_t)size;
	for (int64_t k = 0; k < tuples; k++) {
		int64_t from = k / (tuples / batches);
		for (int j = 0; j < depth; j++) {
			int64_t dim = x->dims[batch + j], i = index_at(indices, k * depth + j, dim);
			if (i < 0 || i >= dim) return index_refuse(c, i, dim);
			from = from * dim + i;
		}
		if (block == 0) continue;
		move_element((char *)c->out[0]->data + k * block, (const char *)x->data + from * block, (size_t)block);
	}
	return OG_OK;
}
#endif

OP(gather_nd_11, .name = "GatherND", .since = 11, .doc = "The slices of `data` at the coordinates in `indices`.",
   .inputs = "data:T, indices:i64", .outputs = "output:T", .flags = OG_SHARED_BITS, .shape = gather_nd_shape,
   .eval = gather_nd_eval)
OP(gather_nd_12, .name = "GatherND", .since = 12, .doc = "The slices of `data` at the coordinates in `indices`.",
   .inputs = "data:T, indices:i64", .outputs = "output:T", ATTRS(OG_INT("batch_dims", 0)), .flags = OG_SHARED_BITS,
   .shape = gather_nd_shape, .eval = gather_nd_eval)
