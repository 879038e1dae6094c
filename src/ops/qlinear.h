/* qlinear.h -- what QLinearMatMul and QLinearConv share: which inputs are the operands, and from sums of products of
 * quantized numbers to quantized results. */
#ifndef OPS_QLINEAR_H
#define OPS_QLINEAR_H

#include "ops/axis.h"
#include "ops/number.h"

#if OP_BASE

enum {
	QLINEAR_A, QLINEAR_A_SCALE, QLINEAR_A_ZERO, QLINEAR_B, QLINEAR_B_SCALE, QLINEAR_B_ZERO, QLINEAR_Y_SCALE,
	QLINEAR_Y_ZERO
};

/* The question of the op that has the operands as its two inputs; *in holds them. */
OG_INLINE og_infer qlinear_plain(const og_infer *c, og_shape in[2])
{
	og_infer plain = *c;
	in[0] = c->in[QLINEAR_A];
	in[1] = c->in[QLINEAR_B];
	plain.in = in;
	plain.n_in = 2;
	return plain;
}

/* The entry of a scale or zero point that goes with row, column or channel i: there is one, or one for each. */
OG_INLINE double qlinear_entry(const og_tensor *t, int64_t i)
{
	return number_get(t, og_count(t) > 1 ? i : 0);
}

/* Element k of y from a sum of products; i and j choose the scales of the operands. */
OG_INLINE void qlinear_put(const og_call *c, int64_t k, double sum, int64_t i, int64_t j)
{
	const og_tensor *y = c->out[0];
	/* the factor is float32's, so that ties are the same ties everywhere */
	float by = (float)(qlinear_entry(c->in[QLINEAR_A_SCALE], i) * qlinear_entry(c->in[QLINEAR_B_SCALE], j)) /
	           (float)number_get(c->in[QLINEAR_Y_SCALE], 0);
	double q = sum * (double)by, zero = number_get(c->in[QLINEAR_Y_ZERO], 0);
	number_put(y, k, number_is_float(y->dtype) ? q + zero : nearbyint(q) + zero);
}

/* Input k must have one entry, or n. */
OG_INLINE og_status qlinear_check(const og_call *c, int k, int64_t n)
{
	int64_t count = og_count(c->in[k]);
	if (count == 1 || count == n) return OG_OK;
	return c->host->fail(OG_UNSUPPORTED, "%s has %lld entries as input %d; give one, or one for each of %lld",
	                     c->op->name, (long long)count, k, (long long)n);
}

#endif
#endif
