#include "ops/dims.h"
#include "ops/index.h"

#if OP_BASE
static og_status gather_elements_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *indices = &c->in[1];
	int axis;
	dims_copy(&c->out[0], indices);
	if (x->rank < 0 || indices->rank < 0) return OG_OK;
	OP_TRY(dims_axis(c, &axis, c->attr[0].i, x->rank));
	if (indices->rank != x->rank)
		return c->host->fail(OG_BAD_FILE, "GatherElements has data of %d dimensions and indices of %d", x->rank,
		                     indices->rank);
	for (int d = 0; d < x->rank; d++)
		if (d != axis && x->dims[d] >= 0 && indices->dims[d] > x->dims[d])
			return c->host->fail(OG_BAD_FILE, "GatherElements has more indices than data in dimension %d", d);
	return OG_OK;
}

typedef struct gather_elements { const og_tensor *x, *indices; og_tensor *y; int axis; size_t size; } gather_elements;

static void gather_elements_lines(void *arg, int64_t begin, int64_t end)
{
	const gather_elements *g = (const gather_elements *)arg;
	int last = g->x->rank - 1;
	int64_t n = g->indices->dims[last], size = (int64_t)g->size, dim = g->x->dims[g->axis];
	int64_t across = g->axis == last ? 0 : 1, along = og_span(g->x, g->axis + 1, g->x->rank);
	for (int64_t line = begin; line < end; line++) {
		int64_t base = index_line(g->x, g->indices, g->axis, line);
		for (int64_t k = 0; k < n; k++) {
			int64_t from = base + k * across + index_at(g->indices, line * n + k, dim) * along;
			move_element((char *)g->y->data + (line * n + k) * size, (const char *)g->x->data + from * size, g->size);
		}
	}
}

static og_status gather_elements_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *indices = c->in[1];
	gather_elements g = { x, indices, c->out[0], og_axis(c->attr[0].i, x->rank), 0 };
	int64_t n;
	OP_TRY(move_size(c, x, &g.size));
	OP_TRY(index_check(c, indices, x->dims[g.axis]));
	if (og_count(indices) == 0) return OG_OK;
	n = indices->dims[indices->rank - 1];
	c->host->parallel(c, og_count(indices) / n, move_grain(g.size * (size_t)n), gather_elements_lines, &g);
	return OG_OK;
}
#endif

OP(gather_elements, .name = "GatherElements", .since = 11,
   .doc = "The element at each index's own place, its coordinate along an axis replaced by the index.",
   .inputs = "data:T, indices:I", .outputs = "output:T", .types = "I=i32 i64", ATTRS(OG_INT("axis", 0)),
   .flags = OG_SHARED_BITS, .shape = gather_elements_shape, .eval = gather_elements_eval)
