#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status tile_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	list repeats = list_of_input(c, 1);
	if (x->rank < 0 || repeats.n < 0) return dims_of_rank(c, y, x->rank);
	if (repeats.n != x->rank)
		return c->host->fail(OG_BAD_FILE, "Tile lists %lld repeats for %d dimensions", (long long)repeats.n, x->rank);
	dims_copy(y, x);
	for (int d = 0; d < y->rank; d++) {
		int64_t n = list_at(&repeats, d);
		if (n < 0) return c->host->fail(OG_BAD_FILE, "Tile repeats dimension %d %lld times", d, (long long)n);
		OP_TRY(dims_mul(c, &y->dims[d], n));
	}
	return OG_OK;
}

static og_status tile_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	og_tensor *y = c->out[0];
	move m = { .to = (char *)y->data, .from = (const char *)x->data };
	OP_TRY(move_size(c, x, &m.size));
	if (og_count(y) == 0) return OG_OK;
	for (int d = 0; d < y->rank; d++) {
		int64_t to = og_span(y, d + 1, y->rank) * (int64_t)m.size, from = og_span(x, d + 1, x->rank) * (int64_t)m.size;
		move_axis(&m, y->dims[d] / x->dims[d], to * x->dims[d], 0);
		move_axis(&m, x->dims[d], to, from);
	}
	move_run(c, &m);
	return OG_OK;
}
#endif

OP(tile, .name = "Tile", .since = 6, .doc = "The input repeated along each dimension.",
   .inputs = "input:T, repeats:i64!", .outputs = "output:T", .flags = OG_SHARED_BITS, .shape = tile_shape,
   .eval = tile_eval)
