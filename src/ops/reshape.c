#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
/* Whether a 0 in the shape is a size; it takes the input's dimension otherwise. */
static int reshape_allows_zero(const og_infer *c) { return c->op->since >= 14 && c->attr[0].i != 0; }

/* The dimension that -1 stands for: what remains of the input's elements. Dimensions that were taken from the
 * input (mask `taken`) cancel, symbols or not; `given` is the product of the other ones. */
static og_status reshape_rest(og_infer *c, const og_shape *x, unsigned taken, int64_t given, og_dim *rest)
{
	og_dim known = 1, symbols = 1;
	for (int d = 0; d < x->rank; d++)
		if (!(taken >> d & 1)) OP_TRY(dims_mul(c, x->dims[d] < 0 ? &symbols : &known, x->dims[d]));
	if (given == 0)
		return c->host->fail(OG_BAD_FILE, "Reshape can't tell what -1 stands for beside a dimension of 0");
	*rest = known;
	if (symbols == 1) return dims_divide(c, rest, given, "an input");
	if (known % given == 0) {
		*rest = known / given;
		return dims_mul(c, rest, symbols);
	}
	OP_TRY(dims_mul(c, rest, symbols));
	return dims_divide(c, rest, given, "an input");
}

static og_status reshape_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	list shape = list_of_input(c, 1);
	og_dim given = 1, from = 1, to = 1;
	unsigned taken = 0;
	int open = -1;
	if (shape.n < 0) return dims_of_rank(c, y, list_length(c, 1));
	OP_TRY(dims_of_rank(c, y, shape.n));
	for (int d = 0; d < y->rank; d++) {
		int64_t n = list_at(&shape, d);
		if (n < -1 || (n == -1 && open >= 0))
			return c->host->fail(OG_BAD_FILE, "Reshape asks for %s", n == -1 ? "-1 twice" : "a dimension below -1");
		if (n == -1) {
			open = d;
		} else if (n == 0 && !reshape_allows_zero(c)) {
			if (x->rank < 0) continue;
			if (d >= x->rank)
				return c->host->fail(OG_BAD_FILE, "Reshape takes dimension %d of an input that has %d", d, x->rank);
			y->dims[d] = x->dims[d];
			taken |= 1u << d;
		} else {
			y->dims[d] = n;
			OP_TRY(dims_mul(c, &given, n));
		}
	}
	if (x->rank < 0) return OG_OK;
	if (open >= 0) OP_TRY(reshape_rest(c, x, taken, given, &y->dims[open]));
	OP_TRY(dims_product(c, &from, x->dims, x->rank));
	OP_TRY(dims_product(c, &to, y->dims, y->rank));
	if (from >= 0 && to >= 0 && from != to)
		return c->host->fail(OG_BAD_FILE, "Reshape makes %lld elements of %lld", (long long)to, (long long)from);
	return OG_OK;
}
#endif

OP(reshape_5, .name = "Reshape", .since = 5, .doc = "The same elements in another shape.",
   .inputs = "data:T, shape:i64!", .outputs = "reshaped:T", .flags = OG_VIEW_OF_INPUT | OG_SHARED_BITS,
   .shape = reshape_shape, .eval = move_all)
OP(reshape_14, .name = "Reshape", .since = 14, .doc = "The same elements in another shape.",
   .inputs = "data:T, shape:i64!", .outputs = "reshaped:T", ATTRS(OG_INT("allowzero", 0)),
   .flags = OG_VIEW_OF_INPUT | OG_SHARED_BITS, .shape = reshape_shape, .eval = move_all)
