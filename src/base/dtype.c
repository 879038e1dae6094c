/* dtype.c -- element types: names, sizes, and the two 16-bit floats. */
#include "base/base.h"
#include "opgraft/half.h"

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

/* Op libraries have the same conversions, in a header of the op kit. */
float base_half_to_float(uint16_t h) { return og_half_to_float(h); }
uint16_t base_float_to_half(float f) { return og_float_to_half(f); }
float base_bfloat_to_float(uint16_t b) { return og_bfloat_to_float(b); }
uint16_t base_float_to_bfloat(float f) { return og_float_to_bfloat(f); }
