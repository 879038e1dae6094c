#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
/* Which axis of the input is axis d of the output. */
static int transpose_axis(const og_attr_value *perm, int rank, int d)
{
	return perm->present ? (int)perm->ints[d] : rank - 1 - d;
}

static og_status transpose_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	const og_attr_value *perm = &c->attr[0];
	unsigned seen = 0;
	if (x->rank < 0) return dims_of_rank(c, &c->out[0], perm->present ? perm->n : -1);
	if (perm->present && perm->n != x->rank)
		return c->host->fail(OG_BAD_FILE, "Transpose permutes %lld dimensions, but there are %d", (long long)perm->n,
		                     x->rank);
	c->out[0].rank = x->rank;
	for (int d = 0; d < x->rank; d++) {
		int64_t from = perm->present ? perm->ints[d] : transpose_axis(perm, x->rank, d);
		if (from < 0 || from >= x->rank || seen >> from & 1)
			return c->host->fail(OG_BAD_FILE, "Transpose's perm is no permutation: entry %d is %lld", d,
			                     (long long)from);
		seen |= 1u << from;
		c->out[0].dims[d] = x->dims[from];
	}
	return OG_OK;
}

static og_status transpose_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	og_tensor *y = c->out[0];
	move m = { .to = (char *)y->data, .from = (const char *)x->data };
	OP_TRY(move_size(c, x, &m.size));
	for (int d = 0; d < y->rank; d++) {
		int from = transpose_axis(&c->attr[0], x->rank, d);
		move_axis(&m, y->dims[d], og_span(y, d + 1, y->rank) * (int64_t)m.size,
		          og_span(x, from + 1, x->rank) * (int64_t)m.size);
	}
	move_run(c, &m);
	return OG_OK;
}
#endif

OP(transpose, .name = "Transpose", .since = 1, .doc = "Permutes the dimensions; reverses them when not told how.",
   .inputs = "data:T", .outputs = "transposed:T", ATTRS(OG_INTS("perm")), .flags = OG_SHARED_BITS,
   .shape = transpose_shape, .eval = transpose_eval)
