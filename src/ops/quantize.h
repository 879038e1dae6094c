/* quantize.h -- what QuantizeLinear and DequantizeLinear share: which scale and zero point goes with an element. */
#ifndef OPS_QUANTIZE_H
#define OPS_QUANTIZE_H

#include "ops/axis.h"
#include "ops/number.h"

#if OP_BASE

enum { QUANTIZE_AXIS, QUANTIZE_BLOCK, QUANTIZE_OUTPUT, QUANTIZE_OWN_ATTRS };
#define QUANTIZE_ATTRS OG_INT("axis", 1), OG_INT("block_size", 0), OG_INT("output_dtype", 0)
#define QUANTIZE_INTEGERS "i8 u8 i16 u16 i4 u4 i2 u2"
#define QUANTIZE_FLOATS "f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz f4e2m1"

/* Shape of input 0; the scale (input 1) is one number, one for each index of the axis, or one for each block of
 * block_size along it. The zero point (input 2) has the scale's shape. `given` is the output's type unless the attribute
 * names one. */
OG_INLINE og_status quantize_shape(og_infer *c, og_dtype given)
{
	const og_shape *x = &c->in[0], *scale = &c->in[1], *zero = &c->in[2];
	int64_t asked = c->attr[QUANTIZE_OUTPUT].i, block = c->attr[QUANTIZE_BLOCK].i;
	int axis, single = scale->rank == 0 || (scale->rank == 1 && scale->dims[0] == 1);
	c->out[0].dtype = asked > 0 && asked < OG_DTYPE_COUNT ? (og_dtype)asked : given;
	if (x->rank < 0) return OG_OK;
	dims_copy(&c->out[0], x);
	if (single) return dims_one(c, 2);
	if (scale->rank < 0) return OG_OK;
	OP_TRY(dims_axis(c, &axis, c->attr[QUANTIZE_AXIS].i, x->rank));
	if (block < 0 || scale->rank != (block ? x->rank : 1))
		return c->host->fail(OG_BAD_FILE, "a scale of rank %d does not go with block_size %lld; correct the model",
		                     scale->rank, (long long)block);
	for (int k = 0; k < scale->rank; k++) {
		og_dim want = block ? x->dims[k] : x->dims[axis];
		if (block && k == axis) want = og_dim_do(c, OG_DIM_CEIL_DIV, want, block);
		OP_TRY(dims_same(c, &want, scale->dims[k], k));
		if (c->n_in > 2 && zero->rank == scale->rank) OP_TRY(dims_same(c, &want, zero->dims[k], k));
	}
	if (c->n_in > 2 && zero->rank >= 0 && zero->rank != scale->rank)
		return c->host->fail(OG_BAD_FILE, "the zero point has rank %d and the scale %d; give both the same shape",
		                     zero->rank, scale->rank);
	return OG_OK;
}

/* Index into scale and zero point for element k of input 0. */
OG_INLINE int64_t quantize_index(const og_call *c, int64_t k)
{
	const og_tensor *x = c->in[0], *scale = c->in[1];
	int axis = og_axis(c->attr[QUANTIZE_AXIS].i, x->rank);
	int64_t block = c->attr[QUANTIZE_BLOCK].i, at, inner;
	if (og_count(scale) == 1 || axis < 0) return 0;
	inner = og_span(x, axis + 1, x->rank);
	at = k / inner % x->dims[axis];
	if (scale->rank == 1 && !block) return at;
	return (k / inner / x->dims[axis] * scale->dims[axis] + at / block) * inner + k % inner;
}

#endif
#endif
