#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status expand_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	list shape = list_of_input(c, 1);
	if (x->rank < 0) return OG_OK;
	if (shape.n < 0) {
		int64_t n = list_length(c, 1);
		return dims_of_rank(c, y, n < 0 || n > x->rank ? n : x->rank);
	}
	OP_TRY(dims_of_rank(c, y, shape.n > x->rank ? shape.n : x->rank));
	for (int d = 0; d < y->rank; d++) {
		int from = d - (y->rank - x->rank);
		int64_t at = d - (y->rank - shape.n), n = at >= 0 ? list_at(&shape, at) : 1;
		og_dim have = from >= 0 ? x->dims[from] : 1;
		if (n < 0 || (have > 1 && n != 1 && n != have) || (have == 0 && n > 1))
			return c->host->fail(OG_BAD_FILE, "Expand can't make dimension %d, which is %lld, into %lld", d,
			                     (long long)have, (long long)n);
		y->dims[d] = n == 1 ? have : n;
	}
	return OG_OK;
}

static og_status expand_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	og_tensor *y = c->out[0];
	move m = { .to = (char *)y->data, .from = (const char *)x->data };
	OP_TRY(move_size(c, x, &m.size));
	for (int d = 0; d < y->rank; d++) {
		int from = d - (y->rank - x->rank);
		int64_t step = from < 0 || x->dims[from] == 1 ? 0 : og_span(x, from + 1, x->rank) * (int64_t)m.size;
		move_axis(&m, y->dims[d], og_span(y, d + 1, y->rank) * (int64_t)m.size, step);
	}
	move_run(c, &m);
	return OG_OK;
}
#endif

OP(expand, .name = "Expand", .since = 8, .doc = "Repeats dimensions of 1 so that the shape is the broadcast of both.",
   .inputs = "input:T, shape:i64!", .outputs = "output:T", .flags = OG_SHARED_BITS, .shape = expand_shape,
   .eval = expand_eval)
