/* dtype.c -- element types: names, sizes, and the two 16-bit floats. */
#include "base/base.h"

static const char *const names[OG_DTYPE_COUNT] = {
#define X(NAME, number, text, bits, ctype) [OG_##NAME] = #text,
	OG_DTYPE_MAP(X)
#undef X
};

static const unsigned char bits_of[OG_DTYPE_COUNT] = {
#define X(NAME, number, text, bits, ctype) [OG_##NAME] = bits,
	OG_DTYPE_MAP(X)
#undef X
};

const char *base_dtype_name(og_dtype t)
{
	return t > OG_NONE && t < OG_DTYPE_COUNT ? names[t] : "?";
}

og_dtype base_dtype_find(const char *s, size_t n)
{
	for (int t = OG_NONE + 1; t < OG_DTYPE_COUNT; t++)
		if (n > 0 && names[t][0] == *s && !strncmp(names[t], s, n) && !names[t][n]) return (og_dtype)t;
	return OG_NONE;
}

size_t base_dtype_span(og_dtype t, uint64_t count)
{
	uint64_t bits;
	if (t <= OG_NONE || t >= OG_DTYPE_COUNT || bits_of[t] == 0) return SIZE_MAX;
	if (bits_of[t] < 8) return (size_t)(count / (8u / bits_of[t]) + (count % (8u / bits_of[t]) != 0));
	if (__builtin_mul_overflow(count, bits_of[t] / 8u, &bits) || bits > SIZE_MAX) return SIZE_MAX;
	return (size_t)bits;
}

bool base_count(const int64_t *dims, int rank, int64_t *out)
{
	int64_t product = 1;
	bool empty = false;
	for (int i = 0; i < rank; i++) {
		if (dims[i] < 0) return false;
		if (dims[i] == 0) empty = true;
		/* A product of some of the dimensions must not overflow either, in whatever order they come. */
		else if (__builtin_mul_overflow(product, dims[i], &product)) return false;
	}
	*out = empty ? 0 : product;
	return true;
}

static uint32_t float_bits(float f)
{
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return u;
}

static float bits_float(uint32_t u)
{
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

float base_half_to_float(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 0x3ff;
	if (exponent == 31) return bits_float(sign | 0x7f800000u | fraction << 13);
	if (exponent > 0) return bits_float(sign | (exponent + 112) << 23 | fraction << 13);
	float tiny = (float)fraction * 0x1p-24f;             /* a denormal half is a normal float */
	return bits_float(float_bits(tiny) | sign);
}

uint16_t base_float_to_half(float f)
{
	uint32_t u = float_bits(f), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffffu, rounded;
	if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
	if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00);      /* 65520 and more round to infinity */
	if (magnitude >= 0x38800000u) {                                      /* 2^-14 and more: normal halves */
		rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
		return (uint16_t)(sign | (rounded - (112u << 23)) >> 13);
	}
	/* Adding one half puts a denormal half's last bit, worth 2^-24, at the float's last bit, rounded to even. */
	rounded = float_bits(bits_float(magnitude) + 0.5f) - float_bits(0.5f);
	return (uint16_t)(sign | rounded);
}

float base_bfloat_to_float(uint16_t b) { return bits_float((uint32_t)b << 16); }

uint16_t base_float_to_bfloat(float f)
{
	uint32_t u = float_bits(f);
	if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);      /* stays a NaN */
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
