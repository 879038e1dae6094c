/* extreme.h -- where the greatest or least element along an axis is: ArgMax, ArgMin, Hardmax. */
#ifndef OPS_EXTREME_H
#define OPS_EXTREME_H

#include "ops/axis.h"
#include "ops/number.h"

#if OP_BASE

enum { EXTREME_AXIS, EXTREME_KEEPDIMS, EXTREME_LAST };

/* True when element a of t goes before element b: greater, or with sign -1 less. NaN goes before all others. */
OG_INLINE int extreme_before(const og_tensor *t, int sign, int64_t a, int64_t b)
{
	if (t->dtype == OG_U64) {
		uint64_t p = ((const uint64_t *)t->data)[a], q = ((const uint64_t *)t->data)[b];
		return sign > 0 ? p > q : p < q;
	}
	if (!number_is_float(t->dtype)) {
		int64_t p = number_get_int(t, a), q = number_get_int(t, b);
		return sign > 0 ? p > q : p < q;
	}
	double p = number_get(t, a), q = number_get(t, b);
	if (isnan(p) || isnan(q)) return isnan(p) && !isnan(q);
	return sign > 0 ? p > q : p < q;
}

/* Index along the axis of the first (or last) of the extreme elements among n, `step` apart from `at` on. */
OG_INLINE int64_t extreme_index(const og_tensor *t, int sign, int last, int64_t at, int64_t step, int64_t n)
{
	int64_t best = 0;
	for (int64_t i = 1; i < n; i++) {
		int64_t a = at + i * step, b = at + best * step;
		if (extreme_before(t, sign, a, b) || (last && !extreme_before(t, sign, b, a))) best = i;
	}
	return best;
}

OG_INLINE og_status extreme_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	int keep = c->attr[EXTREME_KEEPDIMS].i != 0, axis = 0;
	if (x->rank < 0) return OG_OK;
	if (x->rank > 0) OP_TRY(dims_axis(c, &axis, c->attr[EXTREME_AXIS].i, x->rank));
	if (x->rank > 0 && x->dims[axis] == 0)
		return c->host->fail(OG_BAD_FILE, "axis %d has no elements to choose from", axis);
	y->rank = 0;
	for (int k = 0; k < x->rank; k++)
		if (k != axis) y->dims[y->rank++] = x->dims[k];
		else if (keep) y->dims[y->rank++] = 1;
	return OG_OK;
}

typedef struct extreme_task { const og_tensor *x, *y; axis_split s; int sign, last; } extreme_task;

/* Item: one line along the axis. */
OG_INLINE void extreme_lines(void *arg, int64_t begin, int64_t end)
{
	const extreme_task *t = (const extreme_task *)arg;
	int64_t step = t->s.inner;
	for (int64_t k = begin; k < end; k++)
		number_put_int(t->y, k, extreme_index(t->x, t->sign, t->last, k / step * t->s.n * step + k % step, step,
		                                      t->s.n));
}

OG_INLINE og_status extreme_define(const og_call *c, int sign)
{
	const og_tensor *x = c->in[0];
	axis_split one = { 1, 1, 1 };
	extreme_task t = { x, c->out[0], one, sign, c->attr[EXTREME_LAST].i != 0 };
	if (x->rank > 0) t.s = axis_of(x, og_axis(c->attr[EXTREME_AXIS].i, x->rank));
	c->host->parallel(c, t.s.outer * t.s.inner, 1, extreme_lines, &t);
	return OG_OK;
}

#endif
#endif
