/* axis.h -- a tensor seen along an axis, and the element of a broadcast operand that goes with one of it. */
#ifndef OPS_AXIS_H
#define OPS_AXIS_H

#include "ops/dims.h"

#if OP_BASE || OP_CPU

/* Element (o, i, k) of [outer, n, inner] lies at (o * n + i) * inner + k. */
typedef struct axis_split { int64_t outer, n, inner; } axis_split;

OG_INLINE axis_split axis_of(const og_tensor *t, int axis)
{
	axis_split s = { og_span(t, 0, axis), t->dims[axis], og_span(t, axis + 1, t->rank) };
	return s;
}

/* All axes from `axis` on as one. axis == rank: rows of one element. */
OG_INLINE axis_split axis_tail(const og_tensor *t, int axis)
{
	axis_split s = { og_span(t, 0, axis), og_span(t, axis, t->rank), 1 };
	return s;
}

/* How ops like Softmax see their input: before opset 13 every axis from `axis` on is one, then `axis` alone. */
OG_INLINE axis_split axis_rows(const og_call *c, int64_t axis)
{
	const og_tensor *x = c->in[0];
	int at = og_axis(axis, x->rank);
	axis_split scalar = { 1, 1, 1 };
	if (c->op->since < 13) return axis_tail(x, at < 0 ? x->rank : at);
	return at < 0 ? scalar : axis_of(x, at);
}

/* True when b's element goes with x's one by one, its dims being the last of x's (leading ones aside). */
OG_INLINE int axis_is_tail(const og_tensor *x, const og_tensor *b)
{
	int lead = 0;
	while (lead < b->rank && b->dims[lead] == 1) lead++;
	if (b->rank - lead > x->rank) return 0;
	for (int k = lead; k < b->rank; k++)
		if (b->dims[k] != x->dims[x->rank - b->rank + k]) return 0;
	return 1;
}

#endif

#if OP_BASE

/* Index of the element of b, which broadcasts to x, that goes with element k of x. */
OG_INLINE int64_t axis_broadcast(const og_tensor *x, const og_tensor *b, int64_t k)
{
	int64_t at = 0, step = 1;
	for (int i = b->rank - 1, j = x->rank - 1; i >= 0 && j >= 0; i--, j--) {
		if (b->dims[i] != 1) at += k % x->dims[j] * step;
		step *= b->dims[i];
		k /= x->dims[j];
	}
	return at;
}

/* Output 0 has the shape of input 0; attribute 0 is an axis of it, or (before opset 13) its rank. */
OG_INLINE og_status axis_shape(og_infer *c)
{
	int64_t axis = c->attr[0].i;
	int rank = c->in[0].rank, at;
	if (rank < 0) return OG_OK;
	if (rank > 0 && !(c->op->since < 13 && axis == rank)) OP_TRY(dims_axis(c, &at, axis, rank));
	dims_copy(&c->out[0], &c->in[0]);
	return OG_OK;
}

/* Elements of the dims from `from` on, all known; for counting work. */
OG_INLINE double axis_elements(const og_shape *s, int from)
{
	double n = 1.0;
	for (int k = from; k < s->rank; k++) n *= (double)s->dims[k];
	return n;
}

/* Input k, where it is there and known, must be a vector of n. */
OG_INLINE og_status axis_vector(const og_infer *c, int k, og_dim n)
{
	const og_shape *b = &c->in[k];
	if (k >= c->n_in || b->rank < 0 || (b->rank == 1 && (b->dims[0] < 0 || n < 0 || b->dims[0] == n))) return OG_OK;
	return c->host->fail(OG_BAD_FILE, "input %d must be a vector of %lld but has rank %d and first dimension %lld; "
	                     "correct the model", k, (long long)n, b->rank,
	                     (long long)(b->rank > 0 ? b->dims[0] : 1));
}

/* Input k, where it is there and known, must broadcast to the shape of input 0. */
OG_INLINE og_status axis_operand(const og_infer *c, int k)
{
	const og_shape *x = &c->in[0], *b = &c->in[k];
	if (k >= c->n_in || x->rank < 0 || b->rank < 0) return OG_OK;
	for (int i = 0; i < b->rank; i++) {
		int j = x->rank - b->rank + i;
		og_dim want = j < 0 ? 1 : x->dims[j];
		if (b->dims[i] < 0 || want < 0 || b->dims[i] == 1 || b->dims[i] == want) continue;
		return c->host->fail(OG_BAD_FILE, "input %d has %lld entries on axis %d where input 0 has %lld; give it a "
		                     "shape that broadcasts", k, (long long)b->dims[i], i, (long long)want);
	}
	return OG_OK;
}

#endif
#endif
