/* opgraft/half.h -- f16 and bf16 as bits, to float and back by rounding to nearest even. In C; kernels have device.h. */
#ifndef OPGRAFT_HALF_H
#define OPGRAFT_HALF_H

#include "opgraft/op_abi.h"
#include <string.h>

OG_INLINE uint32_t og_float_bits(float f)
{
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return u;
}

OG_INLINE float og_bits_float(uint32_t u)
{
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

OG_INLINE float og_half_to_float(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 0x3ff;
	if (exponent == 31) return og_bits_float(sign | 0x7f800000u | fraction << 13);
	if (exponent > 0) return og_bits_float(sign | (exponent + 112) << 23 | fraction << 13);
	return og_bits_float(og_float_bits((float)fraction * 0x1p-24f) | sign);      /* a denormal half is a normal float */
}

OG_INLINE uint16_t og_float_to_half(float f)
{
	uint32_t u = og_float_bits(f), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffffu;
	if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
	if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00);      /* 65520 and more round to infinity */
	if (magnitude >= 0x38800000u)                                        /* 2^-14 and more: normal halves */
		return (uint16_t)(sign | (magnitude + 0xfff + (magnitude >> 13 & 1) - (112u << 23)) >> 13);
	/* Adding one half puts a denormal half's last bit, worth 2^-24, at the float's last bit, rounded to even. */
	return (uint16_t)(sign | (og_float_bits(og_bits_float(magnitude) + 0.5f) - og_float_bits(0.5f)));
}

OG_INLINE float og_bfloat_to_float(uint16_t b) { return og_bits_float((uint32_t)b << 16); }

OG_INLINE uint16_t og_float_to_bfloat(float f)
{
	uint32_t u = og_float_bits(f);
	if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);      /* stays a NaN */
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#endif
