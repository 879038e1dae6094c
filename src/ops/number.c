/* number.c -- elements of any numeric type as double or int64. */
#include "ops/number.h"

#if OP_BASE

/* X(NAME, C type, smallest, largest): whole-byte integers that fit an int64; U64 is apart. */
#define NUMBER_INT_MAP(X) \
	X(U8, uint8_t, 0, UINT8_MAX) X(I8, int8_t, INT8_MIN, INT8_MAX) X(U16, uint16_t, 0, UINT16_MAX) \
	X(I16, int16_t, INT16_MIN, INT16_MAX) X(U32, uint32_t, 0, UINT32_MAX) \
	X(I32, int32_t, INT32_MIN, INT32_MAX) X(I64, int64_t, INT64_MIN, INT64_MAX) X(BOOL, uint8_t, 0, 1)

const number_format *number_narrow(og_dtype t)
{
	static const number_format formats[OG_DTYPE_COUNT] = {
		[OG_F16] = { 10, 15, 0x7bff, 0x7c00, 0x7e00, 0x8000 },
		[OG_BF16] = { 7, 127, 0x7f7f, 0x7f80, 0x7fc0, 0x8000 },
		[OG_F8E4M3FN] = { 3, 7, 0x7e, 0, 0x7f, 0x80 },
		[OG_F8E4M3FNUZ] = { 3, 8, 0x7f, 0, 0x80, 0x80 },
		[OG_F8E5M2] = { 2, 15, 0x7b, 0x7c, 0x7e, 0x80 },
		[OG_F8E5M2FNUZ] = { 2, 16, 0x7f, 0, 0x80, 0x80 },
		[OG_F4E2M1] = { 1, 1, 0x7, 0, 0x7, 0x8 },
	};
	return (unsigned)t < OG_DTYPE_COUNT && formats[t].sign ? &formats[t] : NULL;
}

int number_is_float(og_dtype t)
{
	return t == OG_F32 || t == OG_F64 || t == OG_F8E8M0 || number_narrow(t) != NULL;
}

double number_decode(const number_format *f, unsigned bits)
{
	unsigned code = bits & (f->sign - 1), fraction = code & ((1u << f->mantissa) - 1);
	int exponent = (int)(code >> f->mantissa);
	double x;
	if (f->nan == f->sign && bits == f->sign) return (double)NAN;
	if (code > f->largest) x = f->infinity && code == f->infinity ? (double)INFINITY : (double)NAN;
	else if (exponent == 0) x = ldexp((double)fraction, 1 - f->bias - f->mantissa);
	else x = ldexp((double)(fraction + (1u << f->mantissa)), exponent - f->bias - f->mantissa);
	return bits & f->sign ? -x : x;
}

unsigned number_encode(const number_format *f, double x, int saturate)
{
	unsigned sign = signbit(x) ? f->sign : 0, code, above = f->infinity ? f->infinity : f->nan;
	int exponent;
	double q;
	if (isnan(x)) return f->nan == f->sign ? f->sign : sign | f->nan;
	x = fabs(x);
	if (x == 0) code = 0;
	else if (isinf(x)) code = f->largest + 1;
	else {
		(void)frexp(x, &exponent);                   /* x < 2^exponent */
		if (exponent < 2 - f->bias) exponent = 2 - f->bias;
		if (exponent > f->bias + 2) exponent = f->bias + 2;
		q = nearbyint(ldexp(x, f->mantissa + 1 - exponent));
		code = q > (double)(4u << f->mantissa) ? f->largest + 1
		     : ((unsigned)(exponent - 2 + f->bias) << f->mantissa) + (unsigned)q;
	}
	if (code > f->largest) code = saturate || above == f->largest ? f->largest : above;
	if (f->nan == f->sign) return code == 0 ? 0 : code == f->sign ? f->sign : sign | code;
	return sign | code;
}

/* ---- one element ----------------------------------------------------------------------------- */

int64_t number_get_any_int(const og_tensor *t, int64_t k)
{
	int width = number_packed_width(t->dtype);
	const number_format *f = number_narrow(t->dtype);
	switch (t->dtype) {
#define X(NAME, T, low, high) case OG_##NAME: return (int64_t)((const T *)t->data)[k];
	NUMBER_INT_MAP(X)
#undef X
	case OG_U64: return (int64_t)((const uint64_t *)t->data)[k];
	case OG_F32: return number_whole((double)((const float *)t->data)[k]);
	case OG_F64: return number_whole(((const double *)t->data)[k]);
	default: break;
	}
	if (f) return number_whole(number_decode(f, number_bits(t, k)));
	if (width) {
		int64_t x = number_packed_get(t, k, width), half = (int64_t)1 << (width - 1);
		return (t->dtype == OG_I4 || t->dtype == OG_I2) && x >= half ? x - 2 * half : x;
	}
	return 0;
}

double number_get_any(const og_tensor *t, int64_t k)
{
	const number_format *f;
	unsigned bits;
	if (t->dtype == OG_F32) return (double)((const float *)t->data)[k];
	if (t->dtype == OG_F64) return ((const double *)t->data)[k];
	if (t->dtype == OG_U64) return (double)((const uint64_t *)t->data)[k];
	if (t->dtype == OG_F8E8M0) {
		bits = ((const uint8_t *)t->data)[k];
		return bits == 255 ? (double)NAN : ldexp(1.0, (int)bits - 127);
	}
	f = number_narrow(t->dtype);
	return f ? number_decode(f, number_bits(t, k)) : (double)number_get_any_int(t, k);
}

void number_put_any(const og_tensor *t, int64_t k, double x)
{
	const number_format *f = number_narrow(t->dtype);
	int width = number_packed_width(t->dtype), exponent;
	switch (t->dtype) {
	case OG_F32: ((float *)t->data)[k] = (float)x; return;
	case OG_F64: ((double *)t->data)[k] = x; return;
	case OG_BOOL: ((uint8_t *)t->data)[k] = x != 0; return;
	case OG_F4E2M1: number_packed_put(t, k, 4, number_encode(f, x, 1)); return;
	case OG_U64:
		((uint64_t *)t->data)[k] = !(x > 0) ? 0 : x >= 0x1p64 ? UINT64_MAX : (uint64_t)x;
		return;
	case OG_F8E8M0:                              /* the next power of two at or above */
		x = fabs(x);
		if (x > 0x1p-127 && x <= 0x1p127) exponent = frexp(x, &exponent) > 0.5 ? exponent : exponent - 1;
		else exponent = isnan(x) ? 128 : x > 1 ? 127 : -127;
		((uint8_t *)t->data)[k] = (uint8_t)(exponent + 127);
		return;
	default: break;
	}
	if (f && f->sign == 0x8000) ((uint16_t *)t->data)[k] = (uint16_t)number_encode(f, x, 0);
	else if (f) ((uint8_t *)t->data)[k] = (uint8_t)number_encode(f, x, 1);
	else {
		int64_t low = 0, high = 0, n = number_whole(x);
		int is_signed = t->dtype == OG_I4 || t->dtype == OG_I2;
		switch (t->dtype) {
#define X(NAME, T, smallest, largest) case OG_##NAME: low = smallest; high = largest; break;
		NUMBER_INT_MAP(X)
#undef X
		default:
			if (!width) break;
			low = is_signed ? -(1 << (width - 1)) : 0;
			high = low + (1 << width) - 1;
		}
		number_put_int(t, k, n < low ? low : n > high ? high : n);
	}
}

void number_put_int(const og_tensor *t, int64_t k, int64_t x)
{
	int width = number_packed_width(t->dtype);
	switch (t->dtype) {
	case OG_BOOL: ((uint8_t *)t->data)[k] = x != 0; return;
#define X(NAME, T, low, high) case OG_##NAME: ((T *)t->data)[k] = (T)x; return;
	X(U8, uint8_t,,) X(I8, int8_t,,) X(U16, uint16_t,,) X(I16, int16_t,,)
	X(U32, uint32_t,,) X(I32, int32_t,,) X(I64, int64_t,,) X(U64, uint64_t,,)
#undef X
	default: break;
	}
	if (width && t->dtype != OG_F4E2M1) number_packed_put(t, k, width, (unsigned)x);
	else if (number_is_float(t->dtype)) number_put(t, k, (double)x);
}

/* ---- rows ------------------------------------------------------------------------------------- */

void number_read(double *to, const og_tensor *t, int64_t first, int64_t stride, int64_t n)
{
	if (t->dtype == OG_F32) {
		const float *p = (const float *)t->data;
		for (int64_t i = 0; i < n; i++) to[i] = (double)p[first + i * stride];
	} else if (t->dtype == OG_F64) {
		const double *p = (const double *)t->data;
		for (int64_t i = 0; i < n; i++) to[i] = p[first + i * stride];
	} else {
		for (int64_t i = 0; i < n; i++) to[i] = number_get(t, first + i * stride);
	}
}

void number_read_int(int64_t *to, const og_tensor *t, int64_t first, int64_t stride, int64_t n)
{
	for (int64_t i = 0; i < n; i++) to[i] = number_get_int(t, first + i * stride);
}

void number_write(const og_tensor *t, int64_t first, int64_t stride, const double *from, int64_t n)
{
	if (t->dtype == OG_F32) {
		float *p = (float *)t->data;
		for (int64_t i = 0; i < n; i++) p[first + i * stride] = (float)from[i];
	} else {
		for (int64_t i = 0; i < n; i++) number_put(t, first + i * stride, from[i]);
	}
}

void number_write_int(const og_tensor *t, int64_t first, int64_t stride, const int64_t *from, int64_t n)
{
	for (int64_t i = 0; i < n; i++) number_put_int(t, first + i * stride, from[i]);
}

#endif
