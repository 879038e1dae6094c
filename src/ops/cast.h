/* cast.h -- converting a tensor to another element type: what Cast and CastLike share.
 *
 * Elements go through a small block of int64 (from integers) or double (from floats), both of which hold every
 * value of their kind, so that there is one loop for each type and not one for each pair. */
#ifndef OPS_CAST_H
#define OPS_CAST_H

#include "ops/move.h"

#if OP_BASE

enum { CAST_BLOCK = 256 };
enum { CAST_UP, CAST_DOWN, CAST_NEAREST };           /* how a value becomes a power of two (f8e8m0) */
#define CAST_ROUNDINGS "up|down|nearest"

typedef struct cast { const og_tensor *x, *y; int saturate, round; } cast;

/* X(NAME, C type, smallest, largest) */
#define CAST_INTS(X) \
	X(U8, uint8_t, 0, UINT8_MAX) X(I8, int8_t, INT8_MIN, INT8_MAX) X(U16, uint16_t, 0, UINT16_MAX) \
	X(I16, int16_t, INT16_MIN, INT16_MAX) X(U32, uint32_t, 0, UINT32_MAX) X(I32, int32_t, INT32_MIN, INT32_MAX) \
	X(U64, uint64_t, 0, UINT64_MAX) X(I64, int64_t, INT64_MIN, INT64_MAX)
#define CAST_FLOATS(X) X(F32, float) X(F64, double)

OG_INLINE void cast_read_ints(int64_t *to, const og_tensor *t, int64_t first, int64_t n)
{
	switch (t->dtype) {
#define X(NAME, T, low, high) \
	case OG_##NAME: for (int64_t i = 0; i < n; i++) to[i] = (int64_t)((const T *)t->data)[first + i]; break;
	CAST_INTS(X)
#undef X
	default: number_read_int(to, t, first, 1, n);
	}
}

/* From int64 blocks; those of a u64 tensor hold its bits. */
OG_INLINE void cast_write_ints(const og_tensor *t, int64_t first, const int64_t *from, int64_t n, int is_u64)
{
	switch (t->dtype) {
#define X(NAME, T, low, high) \
	case OG_##NAME: for (int64_t i = 0; i < n; i++) ((T *)t->data)[first + i] = (T)from[i]; break;
	CAST_INTS(X)
#undef X
#define X(NAME, T) \
	case OG_##NAME: \
		for (int64_t i = 0; i < n; i++) \
			((T *)t->data)[first + i] = is_u64 ? (T)(uint64_t)from[i] : (T)from[i]; \
		break;
	CAST_FLOATS(X)
#undef X
	default:
		if (!number_is_float(t->dtype)) number_write_int(t, first, 1, from, n);
		else for (int64_t i = 0; i < n; i++)
			number_put(t, first + i, is_u64 ? (double)(uint64_t)from[i] : (double)from[i]);
	}
}

/* ---- float32 and the 16-bit floats, which networks cast while they run ------------------------- */

OG_INLINE float cast_from_half(uint16_t h)
{
	uint32_t u = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
	float x;
	memcpy(&x, &u, sizeof x);
	x *= 0x1p112f;                                       /* the difference of the exponents' biases */
	memcpy(&u, &x, sizeof u);
	if ((h & 0x7c00) == 0x7c00) u |= 0x7f800000;
	u |= sign;
	memcpy(&x, &u, sizeof x);
	return x;
}

OG_INLINE uint16_t cast_to_half(float x)
{
	uint32_t u, sign;
	memcpy(&u, &x, sizeof u);
	sign = u >> 16 & 0x8000;
	u &= 0x7fffffff;
	if (u > 0x7f800000) return (uint16_t)(sign | 0x7e00);
	if (u >= 0x47800000) return (uint16_t)(sign | 0x7c00);
	if (u < 0x38800000) {                                /* denormal: their step is that of floats above 0.5 */
		memcpy(&x, &u, sizeof x);
		x += 0.5f;
		memcpy(&u, &x, sizeof u);
		return (uint16_t)(sign | (u - 0x3f000000));
	}
	return (uint16_t)(sign | (u - 0x38000000 + 0xfff + (u >> 13 & 1)) >> 13);
}

OG_INLINE float cast_from_bfloat(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float x;
	memcpy(&x, &u, sizeof x);
	return x;
}

OG_INLINE uint16_t cast_to_bfloat(float x)
{
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)((u >> 16 & 0x8000) | 0x7fc0);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Elements [begin, end) when the pair is one of these; false when not. */
OG_INLINE int cast_halves(const cast *k, int64_t begin, int64_t end)
{
	const og_tensor *x = k->x, *y = k->y;
#define CAST_PAIR(from, S, to, T, convert) \
	if (x->dtype == from && y->dtype == to) { \
		for (int64_t i = begin; i < end; i++) ((T *)y->data)[i] = convert(((const S *)x->data)[i]); \
		return 1; \
	}
	CAST_PAIR(OG_F16, uint16_t, OG_F32, float, cast_from_half)
	CAST_PAIR(OG_F32, float, OG_F16, uint16_t, cast_to_half)
	CAST_PAIR(OG_BF16, uint16_t, OG_F32, float, cast_from_bfloat)
	CAST_PAIR(OG_F32, float, OG_BF16, uint16_t, cast_to_bfloat)
#undef CAST_PAIR
	return 0;
}

/* ---- everything else ----------------------------------------------------------------------------- */

/* The exponent byte of f8e8m0: a power of two, the sign dropped. */
OG_INLINE uint8_t cast_power(double x, int saturate, int round)
{
	int exponent;
	double fraction;
	if (isnan(x)) return 255;
	x = fabs(x);
	if (isinf(x)) return saturate ? 254 : 255;
	if (x == 0) return 0;
	fraction = frexp(x, &exponent);                      /* x = fraction * 2^exponent, 0.5 <= fraction < 1 */
	exponent--;
	if (round == CAST_UP ? fraction > 0.5 : round == CAST_NEAREST && fraction >= 0.75) exponent++;
	if (exponent < -127) return 0;
	return exponent > 127 ? (saturate ? 254 : 255) : (uint8_t)(exponent + 127);
}

/* A float out of range is clamped to a whole-byte integer, but gives a packed one its low bits; NaN is 0, and -0 in
 * f4e2m1, which has none. */
OG_INLINE unsigned cast_pack(og_dtype t, double x)
{
	if (t != OG_F4E2M1) return (unsigned)number_whole(x);
	return isnan(x) ? 8 : number_encode(number_narrow(t), x, 1);
}

OG_INLINE void cast_write_floats(const cast *k, int64_t first, const double *from, int64_t n)
{
	const og_tensor *t = k->y;
	const number_format *narrow = number_narrow(t->dtype);
	int width = number_packed_width(t->dtype);
	switch (t->dtype) {
#define X(NAME, T, low, high) \
	case OG_##NAME: \
		for (int64_t i = 0; i < n; i++) \
			((T *)t->data)[first + i] = from[i] >= (double)high ? high : from[i] > (double)low ? (T)from[i] \
			                          : isnan(from[i]) ? 0 : low; \
		return;
	CAST_INTS(X)
#undef X
	default: break;
	}
	if (t->dtype == OG_F8E8M0) {
		for (int64_t i = 0; i < n; i++) ((uint8_t *)t->data)[first + i] = cast_power(from[i], k->saturate, k->round);
	} else if (width) {
		for (int64_t i = 0; i < n; i++) number_packed_put(t, first + i, width, cast_pack(t->dtype, from[i]));
	} else if (narrow && og_dtype_bytes(t->dtype) == 1) {
		for (int64_t i = 0; i < n; i++)
			((uint8_t *)t->data)[first + i] = (uint8_t)number_encode(narrow, from[i], k->saturate);
	} else {
		number_write(t, first, 1, from, n);
	}
}

OG_INLINE void cast_range(void *arg, int64_t begin, int64_t end)
{
	const cast *k = (const cast *)arg;
	union { int64_t i[CAST_BLOCK]; double f[CAST_BLOCK]; } block;
	if (cast_halves(k, begin, end)) return;
	for (int64_t n; begin < end; begin += n) {
		n = end - begin < CAST_BLOCK ? end - begin : CAST_BLOCK;
		if (number_is_float(k->x->dtype)) {
			number_read(block.f, k->x, begin, 1, n);
			cast_write_floats(k, begin, block.f, n);
		} else {
			cast_read_ints(block.i, k->x, begin, n);
			cast_write_ints(k->y, begin, block.i, n, k->x->dtype == OG_U64);
		}
	}
}

OG_INLINE int cast_takes(og_dtype t)
{
	return (og_dtype_bytes(t) && t != OG_C64 && t != OG_C128) || number_packed_width(t);
}

OG_INLINE og_status cast_run(const og_call *c, int saturate, int round)
{
	cast k = { c->in[0], c->out[0], saturate, round };
	if (!cast_takes(k.x->dtype) || !cast_takes(k.y->dtype))
		return c->host->fail(OG_UNSUPPORTED, "%s to or from strings and complex numbers is not supported", c->op->name);
	if (k.x->dtype == k.y->dtype) return move_all(c);
	if (number_packed_width(k.y->dtype)) cast_range(&k, 0, og_count(k.x));   /* elements share bytes */
	else c->host->parallel(c, og_count(k.x), MOVE_GRAIN / 8, cast_range, &k);
	return OG_OK;
}

#endif
#endif
