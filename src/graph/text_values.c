/* text_values.c -- reading the text form: numbers, types and the data of constants. */
#include "graph/text_read.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_NUMBER = 63 };            /* characters of one */

/* ---- numbers ---------------------------------------------------------------------------------- */

/* All that may be part of a number, into s. */
static og_status read_number_text(graph_reader *r, char s[static MAX_NUMBER + 1])
{
	size_t n = 0;

	graph_next(r);
	while (r->p + n < r->end && (graph_is_word(r->p[n]) || r->p[n] == '-' || r->p[n] == '+')) n++;
	if (n == 0) return graph_expected(r, "a number");
	if (n > MAX_NUMBER) return graph_fail_at(r, r->p, "this number is too long; it may have %d characters", MAX_NUMBER);
	memcpy(s, r->p, n);
	s[n] = '\0';
	r->p += n;
	return OG_OK;
}

og_status graph_read_int(graph_reader *r, int64_t *out)
{
	char s[MAX_NUMBER + 1], *end;
	const char *start = (graph_next(r), r->p);

	TRY(read_number_text(r, s));
	errno = 0;
	*out = strtoll(s, &end, 10);
	if (*end) return graph_fail_at(r, start, "'%s' is not an integer", s);
	return errno ? graph_fail_at(r, start, "'%s' does not fit 64 bits", s) : OG_OK;
}

static og_status read_u64(graph_reader *r, uint64_t *out)
{
	char s[MAX_NUMBER + 1], *end;
	const char *start = (graph_next(r), r->p);

	TRY(read_number_text(r, s));
	errno = 0;
	*out = strtoull(s, &end, 10);
	if (*end || *s == '-') return graph_fail_at(r, start, "'%s' is not an integer of 0 or more", s);
	return errno ? graph_fail_at(r, start, "'%s' does not fit 64 bits", s) : OG_OK;
}

/* Decimals, inf, -inf, nan: as a double, and rounded straight to float. */
static og_status real_of(const graph_reader *r, const char *start, char s[static MAX_NUMBER + 1], double *d, float *f)
{
	char *end, *point = strchr(s, '.');
	bool negative = *s == '-';

	if (!strcmp(s + negative, "inf") || !strcmp(s, "nan")) {
		*d = *s == 'n' ? (double)NAN : negative ? -HUGE_VAL : HUGE_VAL;
		*f = (float)*d;
		return OG_OK;
	}
	if (s[strspn(s, "0123456789.eE+-")]) return graph_fail_at(r, start, "'%s' is not a number", s);
	if (point) *point = localeconv()->decimal_point[0];
	*d = strtod(s, &end);
	*f = strtof(s, NULL);
	if (point) *point = '.';
	return *end || end == s ? graph_fail_at(r, start, "'%s' is not a number", s) : OG_OK;
}

static og_status too_large(const graph_reader *r, const char *start, const char *s, og_dtype t)
{
	return graph_fail_at(r, start, "'%s' is too large for %s", s, base_dtype_name(t));
}

static float float_of_bits(uint32_t bits)
{
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

/* A number of an attribute: an integer, or a float when it has a point or exponent, is inf or nan, or 0x and bits. */
og_status graph_read_number(graph_reader *r, bool *is_float, int64_t *i, float *f)
{
	char s[MAX_NUMBER + 1];
	const char *start = (graph_next(r), r->p);
	double d;

	*is_float = true;
	TRY(read_number_text(r, s));
	if (s[0] == '0' && s[1] == 'x') {
		if (strlen(s) != 10 || strspn(s + 2, "0123456789abcdefABCDEF") != 8)
			return graph_fail_at(r, start, "'%s' is not 0x and the 8 digits of a float's bits", s);
		*f = float_of_bits((uint32_t)strtoul(s, NULL, 16));
		return OG_OK;
	}
	if (strpbrk(s, ".enfEN")) {
		TRY(real_of(r, start, s, &d, f));
		return isinf(*f) && !strstr(s, "inf") ? too_large(r, start, s, OG_F32) : OG_OK;
	}
	*is_float = false;
	r->p = start;
	return graph_read_int(r, i);
}

/* ---- types and data --------------------------------------------------------------------------- */

/* A symbol: a string, or all up to the ',' or ']' or blank behind it, parentheses counted. */
og_status graph_read_symbol(graph_reader *r, og_dim *out)
{
	char first = graph_next(r);
	const char *start = r->p;
	int depth = 0;

	if (first == '"') {
		TRY(graph_read_text(r));
	} else {
		if (!graph_is_letter(first) && first != '(') return graph_expected(r, "a size, a symbol or '?'");
		for (; r->p < r->end; r->p++) {
			if (!graph_is_word(*r->p) && !memchr("()+-*/,", *r->p, 7)) break;
			if (*r->p == ',' && depth == 0) break;
			depth += (*r->p == '(') - (*r->p == ')');
			if (depth < 0) break;
		}
		if (depth) return graph_fail_at(r, start, "the parentheses of this size do not match");
		TRY(graph_keep(r, start, (size_t)(r->p - start)));
	}
	if (r->word.length == 0) return graph_fail_at(r, start, "a symbol cannot have an empty name");
	*out = graph_dim_symbol(r->m, r->word.data);
	return *out == GRAPH_DIM_UNKNOWN ? base_no_memory() : OG_OK;
}

static og_status read_dim(graph_reader *r, og_dim *out)
{
	char first = graph_next(r);
	const char *start = r->p;

	*out = GRAPH_DIM_UNKNOWN;
	if (graph_take(r, "?")) return OG_OK;
	if (!graph_is_digit(first) && first != '-') return graph_read_symbol(r, out);
	TRY(graph_read_int(r, out));
	return *out < 0 ? graph_fail_at(r, start, "a size cannot be below 0") : OG_OK;
}

og_status graph_read_type(graph_reader *r, graph_type *t)
{
	size_t n = graph_word(r);
	const char *start = r->p;

	*t = (graph_type){ .rank = -1 };
	if (n > 0) {
		t->dtype = base_dtype_find(start, n);
		if (t->dtype == OG_NONE)
			return graph_fail_at(r, start, "'%.*s' is not an element type", n > 99 ? 99 : (int)n, start);
		r->p += n;
		TRY(graph_need(r, "["));
	} else {
		if (!graph_take(r, "?")) return graph_expected(r, "a type");
		if (!graph_take(r, "[")) return OG_OK;
	}
	if (graph_take(r, "*")) return graph_need(r, "]");
	for (t->rank = 0; !graph_take(r, "]"); t->rank++) {
		if (t->rank > 0) TRY(graph_need(r, ","));
		if (t->rank == OG_MAX_RANK)
			return graph_fail_at(r, start, "this type has more than %d dimensions", OG_MAX_RANK);
		TRY(read_dim(r, &t->dims[t->rank]));
	}
	return OG_OK;
}

static og_status store_int(graph_reader *r, og_dtype t, void *to)
{
	static const struct { int64_t low, high; } range[OG_DTYPE_COUNT] = {
		[OG_I8] = { INT8_MIN, INT8_MAX }, [OG_I16] = { INT16_MIN, INT16_MAX }, [OG_I32] = { INT32_MIN, INT32_MAX },
		[OG_I64] = { INT64_MIN, INT64_MAX }, [OG_U8] = { 0, UINT8_MAX }, [OG_U16] = { 0, UINT16_MAX },
		[OG_U32] = { 0, UINT32_MAX }, [OG_BOOL] = { 0, 1 },
	};
	const char *start = (graph_next(r), r->p);
	int64_t i;

	TRY(graph_read_int(r, &i));
	if (i < range[t].low || i > range[t].high)
		return graph_fail_at(r, start, "%lld does not fit %s", (long long)i, base_dtype_name(t));
	memcpy(to, &i, og_dtype_bytes(t));           /* the low bytes come first */
	return OG_OK;
}

static og_status store_real(graph_reader *r, og_dtype t, void *to)
{
	char s[MAX_NUMBER + 1];
	const char *start = (graph_next(r), r->p);
	double d;
	float f;

	TRY(read_number_text(r, s));
	TRY(real_of(r, start, s, &d, &f));
	uint16_t half = t == OG_F16 ? base_float_to_half(f) : base_float_to_bfloat(f);
	if (t == OG_F16) f = base_half_to_float(half);
	if (t == OG_BF16) f = base_bfloat_to_float(half);
	if (!strstr(s, "inf") && (t == OG_F64 ? isinf(d) : isinf(f))) return too_large(r, start, s, t);
	if (isnan(d)) {
		static const uint64_t nan = 0x7ff8000000000000u;
		memcpy(&d, &nan, sizeof d);
		f = float_of_bits(0x7fc00000u);
		half = t == OG_F16 ? 0x7e00 : 0x7fc0;
	}
	if (t == OG_F64) memcpy(to, &d, sizeof d);
	else if (t == OG_F32) memcpy(to, &f, sizeof f);
	else memcpy(to, &half, sizeof half);
	return OG_OK;
}

static og_status read_element(graph_reader *r, og_dtype t, void *to)
{
	uint64_t u;

	switch (t) {
	case OG_F16: case OG_BF16: case OG_F32: case OG_F64:
		return store_real(r, t, to);
	case OG_U64:
		TRY(read_u64(r, &u));
		memcpy(to, &u, sizeof u);
		return OG_OK;
	case OG_I8: case OG_I16: case OG_I32: case OG_I64: case OG_U8: case OG_U16: case OG_U32: case OG_BOOL:
		return store_int(r, t, to);
	default:
		return graph_fail_at(r, r->p, "elements of type %s cannot be listed; write hex and their bytes",
		                     base_dtype_name(t));
	}
}

static og_status read_elements(graph_reader *r, og_tensor *t, int64_t count)
{
	for (int64_t k = 0; k < count; k++) {
		if (k > 0) TRY(graph_need(r, ","));
		if (graph_next(r) == '}')
			return graph_fail_at(r, r->p, "%lld elements are listed, the type has %lld",
			                     (long long)k, (long long)count);
		TRY(read_element(r, t->dtype, (uint8_t *)t->data + (uint64_t)k * og_dtype_bytes(t->dtype)));
	}
	if (graph_next(r) == ',')
		return graph_fail_at(r, r->p, "more than the %lld elements of the type are listed", (long long)count);
	return graph_need(r, "}");
}

static og_status read_hex(graph_reader *r, og_tensor *t, size_t bytes)
{
	const char *start = (graph_next(r), r->p);

	for (size_t i = 0; i < bytes; i++, r->p += 2) {
		if (r->end - r->p < 2 || graph_hex_digit(r->p[0]) < 0 || graph_hex_digit(r->p[1]) < 0)
			return graph_fail_at(r, start, "%zu bytes of hex are needed here, but there are %zu", bytes, i);
		((uint8_t *)t->data)[i] = (uint8_t)(graph_hex_digit(r->p[0]) * 16 + graph_hex_digit(r->p[1]));
	}
	if (r->p < r->end && graph_hex_digit(*r->p) >= 0)
		return graph_fail_at(r, start, "there are more than the %zu bytes of hex needed", bytes);
	return OG_OK;
}

/* Behind a type: {elements}, hex and digits, or opaque. */
og_status graph_read_data(graph_reader *r, const graph_type *ty, og_tensor **out)
{
	const char *start = (graph_next(r), r->p);
	bool opaque = graph_take_word(r, "opaque"), hex = !opaque && graph_take_word(r, "hex");
	int64_t count;

	if (ty->dtype == OG_NONE || ty->rank < 0) return graph_fail_at(r, start, "a constant needs its type and shape");
	for (int i = 0; i < ty->rank; i++)
		if (ty->dims[i] < 0) return graph_fail_at(r, start, "a constant's sizes must be numbers");
	if (!base_count(ty->dims, ty->rank, &count)) return graph_fail_at(r, start, "this constant has too many elements");
	if (opaque) {
		NEED(*out = arena_alloc(r->m->a, sizeof **out));
		**out = (og_tensor){ .dtype = ty->dtype, .rank = ty->rank };
		memcpy((*out)->dims, ty->dims, sizeof (*out)->dims);
		return OG_OK;
	}
	if (!hex) TRY(graph_need(r, "{"));
	size_t bytes = base_dtype_span(ty->dtype, (uint64_t)count), left = (size_t)(r->end - r->p);
	if (ty->dtype == OG_STRING) return graph_fail_at(r, start, "strings are not kept in the text; write opaque");
	if (bytes == SIZE_MAX || (hex ? bytes : (uint64_t)count) > left)
		return graph_fail_at(r, start, "the text is too short for the %lld elements of this constant",
		                     (long long)count);
	NEED(*out = graph_tensor_new(r->m->a, ty->dtype, ty->rank, ty->dims));
	return hex ? read_hex(r, *out, bytes) : read_elements(r, *out, count);
}
