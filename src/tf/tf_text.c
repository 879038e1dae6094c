/* tf_text.c -- protobuf's text form, turned into the binary form by the table of fields, so that there is one reader.
 * https://protobuf.dev/reference/protobuf/textformat-spec */
#include "tf/tf_private.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_NESTING = 100, MAX_NUMBER = 63, SAMPLE = 4096 };

typedef struct text_reader {
	const char *start, *p, *end;
	wire_out out;
	text word;                           /* the latest string */
	int depth;                           /* messages around the place */
} text_reader;

/* ---- places and words -------------------------------------------------------------------------- */

static og_status __attribute__((format(printf, 3, 4))) fail_at(const text_reader *r, const char *at, const char *format, ...)
{
	char what[512];
	size_t line = 1;
	const char *row = r->start;
	va_list args;
	va_start(args, format);
	if (vsnprintf(what, sizeof what, format, args) < 0) what[0] = '\0';
	va_end(args);
	for (const char *p = r->start; p < at; p++) {
		if (*p != '\n') continue;
		line++;
		row = p + 1;
	}
	return base_fail(OG_BAD_FILE, "line %zu, column %zu: %s", line, (size_t)(at - row) + 1, what);
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Passes over blanks and comments; what stands behind them, '\0' at the end. */
static char next(text_reader *r)
{
	for (; r->p < r->end; r->p++) {
		if (*r->p == '#')
			while (r->p < r->end && *r->p != '\n') r->p++;
		if (r->p == r->end || !strchr(" \t\r\n\v\f", *r->p) || !*r->p) break;
	}
	return r->p < r->end ? *r->p : '\0';
}

static bool take(text_reader *r, char c)
{
	bool is = next(r) == c && r->p < r->end;
	r->p += is;
	return is;
}

static size_t word_length(text_reader *r)
{
	size_t n = 0, left = (next(r), (size_t)(r->end - r->p));
	if (left > 0 && is_letter(*r->p))
		while (n < left && (is_letter(r->p[n]) || is_digit(r->p[n]))) n++;
	return n;
}

static og_status expected(text_reader *r, const char *what)
{
	char c = next(r);
	size_t n = word_length(r);
	if (r->p == r->end) return fail_at(r, r->p, "expected %s, but the text ends", what);
	if (n > 0) return fail_at(r, r->p, "expected %s, but found '%.*s'", what, n > 40 ? 40 : (int)n, r->p);
	if (c >= ' ' && c <= '~') return fail_at(r, r->p, "expected %s, but found '%c'", what, c);
	return fail_at(r, r->p, "expected %s, but found byte 0x%02x", what, (unsigned char)c);
}

/* ---- strings ------------------------------------------------------------------------------------ */

static void add_utf8(text *t, uint32_t c)
{
	char s[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t k = n - 1; k > 0; k--, c >>= 6) s[k] = (char)(0x80 | (c & 0x3f));
	s[0] = (char)(n == 1 ? c : ((0xf00u >> n) & 0xff) | c);
	text_addn(t, s, n);
}

/* Up to `most` digits of a base at the place. */
static uint32_t take_digits(text_reader *r, unsigned base, int most, int *taken)
{
	uint32_t value = 0;
	for (*taken = 0; *taken < most && r->p < r->end; r->p++, (*taken)++) {
		unsigned digit = is_digit(*r->p) ? (unsigned)(*r->p - '0')
		               : is_letter(*r->p) && *r->p != '_' ? (unsigned)((*r->p | 0x20) - 'a') + 10 : base;
		if (digit >= base) break;
		value = value * base + digit;
	}
	return value;
}

/* What stands behind a backslash. */
static og_status read_escape(text_reader *r)
{
	static const char letters[] = "abfnrtv?\\'\"", meant[] = "\a\b\f\n\r\t\v?\\'\"";
	const char *start = r->p - 1;
	int n;
	if (r->p == r->end) return fail_at(r, start, "the text ends inside a string");
	const char *simple = *r->p ? strchr(letters, *r->p) : NULL;
	if (simple) {
		text_addn(&r->word, &meant[simple - letters], 1);
		r->p++;
		return OG_OK;
	}
	char kind = *r->p;
	if (kind >= '0' && kind <= '7') {
		uint32_t value = take_digits(r, 8, 3, &n);
		if (value > 0xff) return fail_at(r, start, "an escape stands for one byte, up to \\377");
		text_addn(&r->word, &(char){ (char)value }, 1);
		return OG_OK;
	}
	if (kind != 'x' && kind != 'X' && kind != 'u' && kind != 'U')
		return fail_at(r, start, "a string has no escape '\\%c'", kind);
	r->p++;
	int most = kind == 'u' ? 4 : kind == 'U' ? 8 : 2;
	uint32_t value = take_digits(r, 16, most, &n);
	if (n == 0 || (most > 2 && (n < most || value > 0x10ffff)))
		return fail_at(r, start, "the escape '\\%c' lacks its digits or means no character", kind);
	if (most == 2) text_addn(&r->word, &(char){ (char)value }, 1);
	else add_utf8(&r->word, value);
	return OG_OK;
}

/* One quoted string or several on end, into r->word. */
static og_status read_string(text_reader *r)
{
	if (next(r) != '"' && next(r) != '\'') return expected(r, "a string");
	r->word.length = 0;
	while (next(r) == '"' || next(r) == '\'') {
		const char *start = r->p++;
		for (;;) {
			const char *from = r->p;
			while (r->p < r->end && *r->p != *start && *r->p != '\\' && *r->p != '\n') r->p++;
			text_addn(&r->word, from, (size_t)(r->p - from));
			if (r->p == r->end || *r->p == '\n') return fail_at(r, start, "this string does not end");
			if (*r->p++ == *start) break;
			TRY(read_escape(r));
		}
	}
	return r->word.failed ? base_no_memory() : OG_OK;
}

/* ---- numbers ------------------------------------------------------------------------------------ */

/* A sign and all that may be part of a number, NUL-terminated. */
static og_status read_number(text_reader *r, char s[static MAX_NUMBER + 1])
{
	size_t n = 0, sign = take(r, '-');
	s[0] = '-';
	next(r);
	while (r->p + n < r->end && n < MAX_NUMBER - 1 && (is_letter(r->p[n]) || is_digit(r->p[n]) || r->p[n] == '.' ||
	       ((r->p[n] == '+' || r->p[n] == '-') && n > 0 && (r->p[n - 1] | 0x20) == 'e'))) n++;
	if (n == 0) return expected(r, "a number");
	memcpy(s + sign, r->p, n);
	s[sign + n] = '\0';
	return OG_OK;
}

/* Ints of 64 bits with a sign or without; decimal, 0x or, with a leading 0, octal. */
static og_status read_int(text_reader *r, uint64_t *out)
{
	char s[MAX_NUMBER + 1], *end;
	TRY(read_number(r, s));
	bool negative = *s == '-';
	errno = 0;
	*out = negative ? (uint64_t)strtoll(s, &end, 0) : strtoull(s, &end, 0);
	if (*end || end == s || is_letter(s[negative])) return fail_at(r, r->p, "'%s' is not an integer", s);
	if (errno) return fail_at(r, r->p, "'%s' does not fit 64 bits", s);
	r->p += strlen(s) - negative;
	return OG_OK;
}

static bool is_word(const char *s, const char *word)
{
	while (*s && (*s | 0x20) == *word) s++, word++;
	return !*s && !*word;
}

static og_status read_real(text_reader *r, double *d, float *f)
{
	char s[MAX_NUMBER + 1], *end;
	TRY(read_number(r, s));
	size_t length = strlen(s), negative = *s == '-';
	if (is_word(s + negative, "inf") || is_word(s + negative, "infinity")) {
		*d = negative ? -HUGE_VAL : HUGE_VAL;
		*f = (float)*d;
	} else if (is_word(s + negative, "nan")) {
		*d = (double)NAN;
		*f = NAN;
	} else {
		char *point = strchr(s, '.');
		if ((s[length - 1] | 0x20) == 'f') s[length - 1] = '\0';
		if (point) *point = localeconv()->decimal_point[0];
		*d = strtod(s, &end);
		*f = strtof(s, NULL);
		if (point) *point = '.';
		if (*end || end == s || s[strspn(s, "0123456789.eE+-")]) return fail_at(r, r->p, "'%s' is not a number", s);
	}
	r->p += length - negative;
	return OG_OK;
}

static og_status read_bool(text_reader *r, uint64_t *out)
{
	static const char *const words[] = { "false", "true", "False", "True", "f", "t" };
	size_t n = word_length(r);
	if (n == 0) {
		const char *start = r->p;
		TRY(read_int(r, out));
		return *out < 2 ? OG_OK : fail_at(r, start, "expected true or false");
	}
	for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
		if (strlen(words[k]) != n || memcmp(words[k], r->p, n) != 0) continue;
		*out = k & 1;
		r->p += n;
		return OG_OK;
	}
	return expected(r, "true or false");
}

static og_status read_type(text_reader *r, uint64_t *out)
{
	size_t n = word_length(r);
	if (n == 0) return read_int(r, out);
	*out = tf_type_find(r->p, n);
	if (*out == 0 && (n != 10 || memcmp(r->p, "DT_INVALID", n) != 0)) return expected(r, "a DataType such as DT_FLOAT");
	r->p += n;
	return OG_OK;
}

/* ---- fields ------------------------------------------------------------------------------------- */

static og_status read_message(text_reader *, tf_message, char close);

static og_status read_scalar(text_reader *r, const tf_field *f)
{
	uint64_t i = 0;
	double d;
	float x;
	switch (f->kind) {
	case TF_IS_STRING: case TF_IS_STRINGS: {
		TRY(read_string(r));
		const char *copy = arena_strndup(r->out.a, r->word.data ? r->word.data : "", r->word.length);
		NEED(copy);
		wire_put_bytes(&r->out, f->number, copy, r->word.length);
		return OG_OK;
	}
	case TF_IS_FLOAT: case TF_IS_FLOATS:
		TRY(read_real(r, &d, &x));
		wire_put_float(&r->out, f->number, x);
		return OG_OK;
	case TF_IS_DOUBLES:
		TRY(read_real(r, &d, &x));
		wire_put_bytes(&r->out, f->number, &d, sizeof d);        /* a packed run of one */
		return OG_OK;
	case TF_IS_BOOL: case TF_IS_BOOLS: TRY(read_bool(r, &i)); break;
	case TF_IS_TYPE: case TF_IS_TYPES: TRY(read_type(r, &i)); break;
	default: TRY(read_int(r, &i)); break;
	}
	wire_put_int(&r->out, f->number, i);
	return OG_OK;
}

/* '}' or '>' when a message begins here, whose mark is passed over; else '\0'. */
static char take_opening(text_reader *r)
{
	return take(r, '{') ? '}' : take(r, '<') ? '>' : '\0';
}

static og_status read_value(text_reader *r, const tf_field *f)
{
	bool is_message = f->kind == TF_IS_ONE || f->kind == TF_IS_MANY;
	char c = next(r);
	if (!is_message) return c == '{' || c == '<' ? expected(r, "a value") : read_scalar(r, f);
	char close = take_opening(r);
	if (!close) return expected(r, "'{'");
	wire_mark mark = wire_begin(&r->out, f->number);
	TRY(read_message(r, f->of, close));
	wire_end(&r->out, mark);
	return OG_OK;
}

/* A value of a field that we do not know. */
static og_status skip_value(text_reader *r)
{
	char close = take_opening(r), c = next(r);
	if (close) return read_message(r, TF_M_NONE, close);
	if (c == '"' || c == '\'') return read_string(r);
	char s[MAX_NUMBER + 1];
	TRY(read_number(r, s));
	r->p += strlen(s) - (*s == '-');
	return OG_OK;
}

static og_status read_values(text_reader *r, const tf_field *f)
{
	if (!take(r, '[')) return f->number ? read_value(r, f) : skip_value(r);
	if (f->number && !f->many) return fail_at(r, r->p - 1, "this field holds one value and no list");
	if (take(r, ']')) return OG_OK;
	do TRY(f->number ? read_value(r, f) : skip_value(r));
	while (take(r, ','));
	return take(r, ']') ? OG_OK : expected(r, "',' or ']'");
}

/* The name of a field. One in brackets is an extension or a type by its address, which nothing here has. */
static og_status read_name(text_reader *r, tf_message message, tf_field *f, const char **name, int *length)
{
	size_t n = word_length(r);
	*f = (tf_field){ 0 };
	if (n == 0 && take(r, '[')) {
		while (r->p + n < r->end && (is_letter(r->p[n]) || is_digit(r->p[n]) || strchr("./-", r->p[n])) && r->p[n]) n++;
		*name = r->p;
		*length = (int)(n > 64 ? 64 : n);
		r->p += n;
		return take(r, ']') ? OG_OK : expected(r, "']'");
	}
	if (n == 0) return expected(r, "the name of a field");
	*f = tf_field_find(message, r->p, n);
	*name = r->p;
	*length = (int)(n > 64 ? 64 : n);
	r->p += n;
	return OG_OK;
}

/* All fields up to the closing mark; '\0': the end of the text. */
static og_status read_message(text_reader *r, tf_message message, char close)
{
	uint32_t seen = 0;
	if (++r->depth > MAX_NESTING) return fail_at(r, r->p, "messages are nested more than %d deep", MAX_NESTING);
	while (next(r) != close || (close == '\0' && r->p < r->end)) {
		tf_field f;
		const char *name = "";
		int length = 0;
		TRY(read_name(r, message, &f, &name, &length));
		bool colon = take(r, ':');
		char c = next(r);
		if (!colon && c != '{' && c != '<') return expected(r, "':' or '{'");
		if (f.number && !f.many && seen >> f.number & 1) return fail_at(r, name, "'%.*s' stands there twice", length, name);
		seen |= 1u << f.number;
		TRY(read_values(r, &f));
		if (!take(r, ',')) take(r, ';');
	}
	r->p += close != '\0';
	r->depth--;
	return OG_OK;
}

static og_status gather(const wire_out *out, arena *a, base_bytes *bytes)
{
	if (out->failed || out->size > SIZE_MAX) return base_no_memory();
	uint8_t *to = arena_aligned(a, (size_t)out->size, 64);
	NEED(to);
	*bytes = (base_bytes){ to, (size_t)out->size };
	for (size_t k = 0; k < out->n; to += out->pieces[k++].n) memcpy(to, out->pieces[k].p, out->pieces[k].n);
	return OG_OK;
}

og_status tf_text_encode(base_bytes *out, arena *a, tf_message message, base_bytes from)
{
	arena *temporary = arena_create();
	NEED(temporary);
	text_reader r = { .start = (const char *)from.p, .p = (const char *)from.p, .out.a = temporary };
	r.end = r.start + from.n;
	if (from.n >= 3 && memcmp(from.p, "\xef\xbb\xbf", 3) == 0) r.p += 3;     /* byte order mark */
	og_status status = read_message(&r, message, '\0');
	if (status == OG_OK) status = gather(&r.out, a, out);
	text_free(&r.word);
	arena_destroy(temporary);
	return status;
}

bool tf_text_is(base_bytes b)
{
	size_t n = b.n < SAMPLE ? b.n : SAMPLE;
	for (size_t k = 0; k < n; k++)
		if ((b.p[k] < 0x20 && !(b.p[k] >= '\t' && b.p[k] <= '\r')) || b.p[k] == 0x7f) return false;
	return n > 0;
}
