/* normalize.h -- rows of contiguous elements brought to mean 0 and variance 1 (or only the latter), then scaled and
 * shifted: LayerNormalization, InstanceNormalization, GroupNormalization, RMSNormalization. */
#ifndef OPS_NORMALIZE_H
#define OPS_NORMALIZE_H

#include "ops/axis.h"
#include "ops/number.h"
#include "ops/reduce.h"

#if OP_BASE || OP_CPU

/* Element k of the output is scaled by element k / inner % count of `scale`, or if inner is 0 by the one that broadcasts
 * to it; so is shift (NULL: none). Mean and inverse of the deviation of each row go to `mean` and `inverse` (NULL: not
 * wanted). */
typedef struct normalize {
	const og_tensor *x, *scale, *shift, *y, *mean, *inverse;
	int64_t rows, n, inner, count;
	double epsilon;
	int centred;                         /* the mean is taken away */
} normalize;

/* The common scales: for each element of a row, or by broadcast. */
OG_INLINE void normalize_tail(normalize *t)
{
	int64_t n = og_count(t->scale);
	int one_by_one = t->n > 0 && t->n % (n > 0 ? n : 1) == 0 && axis_is_tail(t->x, t->scale) &&
	                 (!t->shift || (og_count(t->shift) == n && axis_is_tail(t->x, t->shift)));
	t->inner = one_by_one;
	t->count = n;
}

#endif

/* ---- definition ------------------------------------------------------------------------------- */
#if OP_BASE

OG_INLINE double normalize_operand(const normalize *t, const og_tensor *b, int64_t k)
{
	return number_get(b, t->inner ? k / t->inner % t->count : axis_broadcast(t->x, b, k));
}

/* Item: one row. */
OG_INLINE void normalize_rows(void *arg, int64_t begin, int64_t end)
{
	const normalize *t = (const normalize *)arg;
	for (int64_t row = begin; row < end; row++) {
		double mean = 0.0, square = 0.0, inverse;
		for (int64_t k = row * t->n; t->centred && k < (row + 1) * t->n; k++) mean += number_get(t->x, k);
		mean /= (double)t->n;
		for (int64_t k = row * t->n; k < (row + 1) * t->n; k++) {
			double d = number_get(t->x, k) - mean;
			square += d * d;
		}
		inverse = 1.0 / sqrt(square / (double)t->n + t->epsilon);
		for (int64_t k = row * t->n; k < (row + 1) * t->n; k++) {
			double y = (number_get(t->x, k) - mean) * inverse * normalize_operand(t, t->scale, k);
			number_put(t->y, k, t->shift ? y + normalize_operand(t, t->shift, k) : y);
		}
		if (t->mean) number_put(t->mean, row, mean);
		if (t->inverse) number_put(t->inverse, row, inverse);
	}
}

OG_INLINE og_status normalize_define(const og_call *c, normalize *t)
{
	if (t->n > 0 && t->y) c->host->parallel(c, t->rows, 1, normalize_rows, t);
	return OG_OK;
}

#endif

/* ---- float32 kernel --------------------------------------------------------------------------- */
#if OP_CPU

EXPR v normalize_plus(v a, v b) { return a + b; }
EXPR v normalize_add_square(v sum, v x) { return sum + x * x; }
REDUCE_FOLD(normalize_sum, 0.0f, normalize_plus, normalize_plus)
REDUCE_FOLD(normalize_square, 0.0f, normalize_add_square, normalize_plus)

/* y = y * by * scale + shift over n elements that share a scale, or (`step` 1) have one each */
OG_INLINE void normalize_apply(float *y, int64_t n, float by, const float *scale, const float *shift, int step)
{
	for (int64_t i = 0; i < n; i += OG_LANES) {
		size_t left = n - i < OG_LANES ? (size_t)(n - i) : OG_LANES;
		v x = v_load_n(y + i, left) * by * (step ? v_load_n(scale + i, left) : v_splat(*scale));
		if (shift) x = x + (step ? v_load_n(shift + i, left) : v_splat(*shift));
		v_store_n(y + i, x, left);
	}
}

/* Item: one row, in three passes: less its mean, its squares, scaled. */
OG_INLINE void normalize_rows(void *arg, int64_t begin, int64_t end)
{
	const normalize *t = (const normalize *)arg;
	const float *scale = (const float *)t->scale->data, *shift = t->shift ? (const float *)t->shift->data : NULL;
	for (int64_t row = begin; row < end; row++) {
		const float *x = (const float *)t->x->data + row * t->n;
		float *y = (float *)t->y->data + row * t->n;
		float mean = t->centred ? normalize_sum_row(x, t->n) / (float)t->n : 0.0f, inverse;
		int64_t step = t->inner == 1 ? t->count : t->inner;      /* a run of elements with one scale, or one each */
		for (int64_t i = 0; i < t->n; i += OG_LANES) {
			size_t left = t->n - i < OG_LANES ? (size_t)(t->n - i) : OG_LANES;
			v_store_n(y + i, v_load_n(x + i, left) - mean, left);
		}
		inverse = 1.0f / sqrtf(normalize_square_row(y, t->n) / (float)t->n + (float)t->epsilon);
		for (int64_t i = 0; i < t->n; i += step) {
			int64_t k = t->inner == 1 ? 0 : (row * t->n + i) / t->inner % t->count;
			normalize_apply(y + i, t->n - i < step ? t->n - i : step, inverse, scale + k, shift ? shift + k : NULL,
			                t->inner == 1);
		}
		if (t->mean) ((float *)t->mean->data)[row] = mean;
		if (t->inverse) ((float *)t->inverse->data)[row] = inverse;
	}
}

/* True when the kernel can serve the task; all tensors are float32. */
OG_INLINE int normalize_fast(const og_call *c, normalize *t)
{
	if (t->inner == 0 || t->n == 0 || !t->y || (t->mean && t->mean->dtype != OG_F32) ||
	    (t->inverse && t->inverse->dtype != OG_F32)) return 0;
	c->host->parallel(c, t->rows, reduce_grain(t->n), normalize_rows, t);
	return 1;
}

#endif
#endif
