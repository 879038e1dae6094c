/* number.h -- elements of any numeric type as double or int64, for plain definitions.
 *
 * Reading is exact, except that 64-bit integers lose bits as double: use the _int forms for integers.
 * Writing a double rounds to nearest even for floats of any width; for integers it drops the fraction and
 * clamps (NaN gives 0). Types below one byte are packed, the first element in the low bits. number.c is the one
 * file beside the ops that is no op. */
#ifndef OPS_NUMBER_H
#define OPS_NUMBER_H

#include "opgraft/op.h"

#if OP_BASE

/* A float type narrower than C's: codes of magnitude, the sign bit left out. A code above `largest` is
 * infinity or NaN. `nan` is written for NaN; the types with nan == sign have one NaN and no -0. */
typedef struct number_format {
	int mantissa, bias;
	unsigned largest, infinity, nan, sign;       /* infinity 0: has none */
} number_format;

/* NULL for the other types. */
const number_format *number_narrow(og_dtype);
int number_is_float(og_dtype);
double number_decode(const number_format *, unsigned bits);
/* Rounds once. Too large: the largest code if `saturate` or if there is nothing above it, else infinity or NaN. */
unsigned number_encode(const number_format *, double x, int saturate);

/* Bits of one element of a type below one byte; 0 for the others. */
OG_INLINE int number_packed_width(og_dtype t)
{
	return t == OG_U4 || t == OG_I4 || t == OG_F4E2M1 ? 4 : t == OG_U2 || t == OG_I2 ? 2 : 0;
}

OG_INLINE unsigned number_packed_get(const og_tensor *t, int64_t k, int width)
{
	int per = 8 / width;
	return (unsigned)((const uint8_t *)t->data)[k / per] >> (int)(k % per) * width & ((1u << width) - 1);
}

/* Writes one byte that holds other elements too: not for two threads at once. */
OG_INLINE void number_packed_put(const og_tensor *t, int64_t k, int width, unsigned bits)
{
	int per = 8 / width, shift = (int)(k % per) * width;
	uint8_t *p = (uint8_t *)t->data + k / per;
	unsigned mask = (1u << width) - 1;
	*p = (uint8_t)((*p & ~(mask << shift)) | (bits & mask) << shift);
}

/* Bits of a narrow float at k. */
OG_INLINE unsigned number_bits(const og_tensor *t, int64_t k)
{
	if (t->dtype == OG_F4E2M1) return number_packed_get(t, k, 4);
	return og_dtype_bytes(t->dtype) == 2 ? ((const uint16_t *)t->data)[k] : ((const uint8_t *)t->data)[k];
}

/* The whole number towards zero, clamped. */
OG_INLINE int64_t number_whole(double x)
{
	if (!(x > -0x1p63)) return isnan(x) ? 0 : INT64_MIN;
	return x >= 0x1p63 ? INT64_MAX : (int64_t)x;
}

/* ---- one element ----------------------------------------------------------------------------- */

/* Of any type but the one that is handled before the call. */
int64_t number_get_any_int(const og_tensor *, int64_t k);
double number_get_any(const og_tensor *, int64_t k);
void number_put_any(const og_tensor *, int64_t k, double x);

/* Integers exactly (a u64 above INT64_MAX as the same bits); floats as number_whole. */
OG_INLINE int64_t number_get_int(const og_tensor *t, int64_t k)
{
	return t->dtype == OG_I64 ? ((const int64_t *)t->data)[k] : number_get_any_int(t, k);
}

OG_INLINE double number_get(const og_tensor *t, int64_t k)
{
	return t->dtype == OG_F32 ? (double)((const float *)t->data)[k] : number_get_any(t, k);
}

OG_INLINE void number_put(const og_tensor *t, int64_t k, double x)
{
	if (t->dtype == OG_F32) ((float *)t->data)[k] = (float)x;
	else number_put_any(t, k, x);
}

/* Integers keep the low bits; floats round. Bool: not 0. */
void number_put_int(const og_tensor *, int64_t k, int64_t x);

/* ---- rows ------------------------------------------------------------------------------------- */

/* to[i] = element first + i * stride, i < n. */
void number_read(double *to, const og_tensor *, int64_t first, int64_t stride, int64_t n);
void number_read_int(int64_t *to, const og_tensor *, int64_t first, int64_t stride, int64_t n);
/* Element first + i * stride = from[i], i < n. */
void number_write(const og_tensor *, int64_t first, int64_t stride, const double *from, int64_t n);
void number_write_int(const og_tensor *, int64_t first, int64_t stride, const int64_t *from, int64_t n);

#endif
#endif
