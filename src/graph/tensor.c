/* tensor.c -- constants: reading elements, copying. Data of files may be unaligned, so it is read by memcpy. */
#include "graph/graph.h"

#include <math.h>

/* An 8-bit float with that many mantissa bits; finite: has no infinity (FN), unsigned zero only (UZ: 0x80 is NaN). */
static double small_float(uint8_t bits, int mantissa, int bias, bool has_inf, bool unsigned_zero)
{
	int top = (1 << (7 - mantissa)) - 1, exponent = (bits & 0x7f) >> mantissa;
	int fraction = bits & ((1 << mantissa) - 1), all = (1 << mantissa) - 1;
	double sign = bits & 0x80 ? -1.0 : 1.0;

	if (unsigned_zero) {
		if (bits == 0x80) return NAN;
	} else if (exponent == top && has_inf) {
		return fraction ? NAN : sign * HUGE_VAL;
	} else if (exponent == top && fraction == all) {
		return NAN;
	}
	if (exponent == 0) return sign * ldexp(fraction, 1 - bias - mantissa);
	return sign * ldexp(fraction + (1 << mantissa), exponent - bias - mantissa);
}

double graph_tensor_double(const og_tensor *t, int64_t k)
{
	const uint8_t *at = (const uint8_t *)t->data + (uint64_t)k * og_dtype_bytes(t->dtype);

#define READ(T, conversion) do { T x; memcpy(&x, at, sizeof x); return (double)conversion; } while (0)
	switch (t->dtype) {
	case OG_F32: READ(float, x);
	case OG_F64: READ(double, x);
	case OG_F16: READ(uint16_t, base_half_to_float(x));
	case OG_BF16: READ(uint16_t, base_bfloat_to_float(x));
	case OG_I8: READ(int8_t, x);
	case OG_I16: READ(int16_t, x);
	case OG_I32: READ(int32_t, x);
	case OG_I64: READ(int64_t, x);
	case OG_U8: READ(uint8_t, x);
	case OG_U16: READ(uint16_t, x);
	case OG_U32: READ(uint32_t, x);
	case OG_U64: READ(uint64_t, x);
	case OG_BOOL: READ(uint8_t, (x != 0));
	case OG_F8E4M3FN: return small_float(*at, 3, 7, false, false);
	case OG_F8E4M3FNUZ: return small_float(*at, 3, 8, false, true);
	case OG_F8E5M2: return small_float(*at, 2, 15, true, false);
	case OG_F8E5M2FNUZ: return small_float(*at, 2, 16, false, true);
	case OG_F8E8M0: return *at == 0xff ? NAN : ldexp(1.0, *at - 127);
	default: return NAN;
	}
#undef READ
}

int64_t graph_tensor_int(const og_tensor *t, int64_t k)
{
	const uint8_t *data = t->data;

	/* 64-bit integers do not all fit a double. */
	if (t->dtype == OG_I64) {
		int64_t x;
		memcpy(&x, data + (uint64_t)k * sizeof x, sizeof x);
		return x;
	}
	if (t->dtype == OG_U64) {
		uint64_t x;
		memcpy(&x, data + (uint64_t)k * sizeof x, sizeof x);
		return x > INT64_MAX ? INT64_MAX : (int64_t)x;
	}
	double x = graph_tensor_double(t, k);
	if (isnan(x)) return 0;
	if (x >= 0x1p63) return INT64_MAX;
	return x < -0x1p63 ? INT64_MIN : (int64_t)x;
}

og_tensor *graph_tensor_new(arena *a, og_dtype dtype, int rank, const int64_t *dims)
{
	og_tensor *t = arena_alloc(a, sizeof *t);
	int64_t count;

	if (!t || !base_count(dims, rank, &count)) return NULL;
	t->dtype = dtype;
	t->rank = rank;
	for (int i = 0; i < rank; i++) t->dims[i] = dims[i];
	size_t bytes = base_dtype_span(dtype, (uint64_t)count);
	t->data = bytes == SIZE_MAX ? NULL : arena_aligned(a, bytes ? bytes : 1, 64);
	if (!t->data) return NULL;
	memset(t->data, 0, bytes);
	return t;
}

void graph_tensor_forget(const og_model *m, const og_tensor *t)
{
	size_t bytes = t->data ? base_dtype_span(t->dtype, (uint64_t)og_count(t)) : 0;
	for (; m && bytes != SIZE_MAX; m = m->lender)
		for (size_t i = 0; i < m->n_files; i++) file_forget(&m->files[i], t->data, bytes);
}

og_tensor *graph_tensor_copy(arena *a, const og_tensor *from)
{
	og_tensor *t;

	if (!from->data) {
		t = arena_alloc(a, sizeof *t);
		if (t) *t = *from;
		return t;
	}
	t = graph_tensor_new(a, from->dtype, from->rank, from->dims);
	if (t) memcpy(t->data, from->data, base_dtype_span(t->dtype, (uint64_t)og_count(t)));
	return t;
}
