/* Scatter, the older name, is ScatterElements without a reduction. */
#include "ops/dims.h"
#include "ops/index.h"

#if OP_BASE
static og_status scatter_elements_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *indices = &c->in[1], *updates = &c->in[2];
	int axis;
	dims_copy(&c->out[0], x);
	if (x->rank < 0) return OG_OK;
	OP_TRY(dims_axis(c, &axis, c->attr[0].i, x->rank));
	if ((indices->rank >= 0 && indices->rank != x->rank) || (updates->rank >= 0 && updates->rank != x->rank))
		return c->host->fail(OG_BAD_FILE, "%s has data of %d dimensions, indices of %d and updates of %d", c->op->name,
		                     x->rank, indices->rank, updates->rank);
	for (int d = 0; d < x->rank && indices->rank >= 0; d++) {
		og_dim n = indices->dims[d];
		if (updates->rank >= 0) OP_TRY(dims_same(c, &n, updates->dims[d], d));
		if (d != axis && x->dims[d] >= 0 && n > x->dims[d])
			return c->host->fail(OG_BAD_FILE, "%s has more indices than data in dimension %d", c->op->name, d);
	}
	return OG_OK;
}

static og_status scatter_elements_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *indices = c->in[1];
	int axis = og_axis(c->attr[0].i, x->rank), last = x->rank - 1;
	int how = c->op->since >= 16 ? (int)c->attr[1].i : INDEX_NONE;
	int64_t dim = x->dims[axis], across = axis == last ? 0 : 1, along = og_span(x, axis + 1, x->rank), n;
	size_t size;
	OP_TRY(move_size(c, x, &size));
	OP_TRY(index_check(c, indices, dim));
	OP_TRY(index_can_reduce(c, how, x->dtype));
	OP_TRY(move_all(c));
	if (og_count(indices) == 0) return OG_OK;
	n = indices->dims[last];
	for (int64_t line = 0; line < og_count(indices) / n; line++) {
		int64_t base = index_line(x, indices, axis, line);
		for (int64_t k = line * n; k < (line + 1) * n; k++) {
			int64_t at = base + (k - line * n) * across + index_at(indices, k, dim) * along;
			index_update(how, c->out[0], at, c->in[2], k, 1, size);
		}
	}
	return OG_OK;
}
#endif

OP(scatter, .name = "Scatter", .since = 9, .doc = "The data with the indexed elements along an axis replaced.",
   .inputs = "data:T, indices:I, updates:T", .outputs = "output:T", .types = "I=i32 i64", ATTRS(OG_INT("axis", 0)),
   .flags = OG_SHARED_BITS, .shape = scatter_elements_shape, .eval = scatter_elements_eval)
OP(scatter_elements_11, .name = "ScatterElements", .since = 11,
   .doc = "The data with the indexed elements along an axis replaced.",
   .inputs = "data:T, indices:I, updates:T", .outputs = "output:T", .types = "I=i32 i64", ATTRS(OG_INT("axis", 0)),
   .flags = OG_SHARED_BITS, .shape = scatter_elements_shape, .eval = scatter_elements_eval)
OP(scatter_elements_16, .name = "ScatterElements", .since = 16,
   .doc = "The data with the indexed elements along an axis replaced or combined.",
   .inputs = "data:T, indices:I, updates:T", .outputs = "output:T", .types = "I=i32 i64",
   ATTRS(OG_INT("axis", 0), OG_ENUM("reduction", INDEX_REDUCTIONS, INDEX_NONE)),
   .shape = scatter_elements_shape, .eval = scatter_elements_eval)
