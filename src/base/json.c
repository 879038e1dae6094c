/* json.c -- writing and reading JSON. */
#include "base/json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes of the UTF-8 character at s, of which n bytes are there; 0 when it is malformed, overlong, a surrogate or
 * beyond U+10FFFF. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	if (s[0] < 0x80) return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
	size_t length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (n < length) return 0;
	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80) return 0;
	if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
	if (s[0] == 0xed && s[1] > 0x9f) return 0;
	if (s[0] == 0xf0 && s[1] < 0x90) return 0;
	if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
	return length;
}

/* ---- writer --------------------------------------------------------------------------------- */

static void start_item(json *j)
{
	if (j->need_comma) text_add(&j->out, ",");
	j->need_comma = true;
}

void json_begin(json *j, char bracket)
{
	start_item(j);
	text_addn(&j->out, &bracket, 1);
	j->need_comma = false;
}

void json_end(json *j, char bracket)
{
	text_addn(&j->out, &bracket, 1);
	j->need_comma = true;
}

static void write_string(json *j, const char *s)
{
	static const char escaped[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	size_t n = strlen(s);
	text_add(&j->out, "\"");
	while (n > 0) {
		size_t length = utf8_length((const unsigned char *)s, n);
		const char *e = strchr(escaped, *s);
		if (length == 0) text_add(&j->out, "\xef\xbf\xbd");
		else if (e) text_printf(&j->out, "\\%c", letter[e - escaped]);
		else if ((unsigned char)*s < 0x20) text_printf(&j->out, "\\u%04x", (unsigned)*s);
		else text_addn(&j->out, s, length);
		if (length == 0) length = 1;
		s += length;
		n -= length;
	}
	text_add(&j->out, "\"");
}

void json_key(json *j, const char *key)
{
	start_item(j);
	write_string(j, key);
	text_add(&j->out, ":");
	j->need_comma = false;
}

void json_string(json *j, const char *s)
{
	start_item(j);
	write_string(j, s);
}

void json_number(json *j, double value)
{
	char s[40];
	if (!isfinite(value)) {
		json_null(j);
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, value);
		if (strtod(s, NULL) == value) break;
	}
	for (char *c = s; *c; c++)           /* the decimal point of the locale */
		if (!strchr("+-0123456789e", *c)) *c = '.';
	start_item(j);
	text_add(&j->out, s);
}

void json_int(json *j, int64_t value)
{
	start_item(j);
	text_printf(&j->out, "%lld", (long long)value);
}

void json_bool(json *j, bool value)
{
	start_item(j);
	text_add(&j->out, value ? "true" : "false");
}

void json_null(json *j)
{
	start_item(j);
	text_add(&j->out, "null");
}

void json_put_string(json *j, const char *key, const char *value)
{
	json_key(j, key);
	json_string(j, value);
}

void json_put_number(json *j, const char *key, double value)
{
	json_key(j, key);
	json_number(j, value);
}

void json_put_int(json *j, const char *key, int64_t value)
{
	json_key(j, key);
	json_int(j, value);
}

void json_put_bool(json *j, const char *key, bool value)
{
	json_key(j, key);
	json_bool(j, value);
}

void json_put(json *j, const char *key, char bracket)
{
	json_key(j, key);
	json_begin(j, bracket);
}

/* ---- reader --------------------------------------------------------------------------------- */

enum { DEEPEST = 100 };

typedef struct reader {
	arena *a;
	const char *start, *at, *end;
	int depth;
} reader;

static og_status wrong(const reader *r, const char *what)
{
	size_t line = 1, column = 1;
	for (const char *c = r->start; c < r->at; c++) {
		column++;
		if (*c == '\n') {
			line++;
			column = 1;
		}
	}
	return base_fail(OG_BAD_FILE, "JSON, line %zu, column %zu: %s", line, column, what);
}

static void skip_space(reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

static bool take(reader *r, char c)
{
	skip_space(r);
	if (r->at == r->end || *r->at != c) return false;
	r->at++;
	return true;
}

static bool take_word(reader *r, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0) return false;
	r->at += n;
	return true;
}

/* Four hexadecimal digits; -1 when they are not there. */
static int32_t read_hex(reader *r)
{
	int32_t code = 0;
	if (r->end - r->at < 4) return -1;
	for (int i = 0; i < 4; i++) {
		char c = *r->at++;
		int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
		          : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
		if (digit < 0) return -1;
		code = code * 16 + digit;
	}
	return code;
}

static char *put_utf8(char *to, int32_t code)
{
	if (code < 0x80) {
		*to++ = (char)code;
	} else if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
		*to++ = (char)(0x80 | (code & 63));
	} else if (code < 0x10000) {
		*to++ = (char)(0xe0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 63));
		*to++ = (char)(0x80 | (code & 63));
	} else {
		*to++ = (char)(0xf0 | code >> 18);
		*to++ = (char)(0x80 | (code >> 12 & 63));
		*to++ = (char)(0x80 | (code >> 6 & 63));
		*to++ = (char)(0x80 | (code & 63));
	}
	return to;
}

/* What follows "\u": a character, or the first half of a surrogate pair and its second. Half a pair alone reads as
 * U+FFFD. */
static og_status read_unicode(reader *r, char **to)
{
	int32_t code = read_hex(r);
	if (code < 0) return wrong(r, "\\u needs four hexadecimal digits");
	if (code == 0) return wrong(r, "a string must not hold the character 0");
	if (code >= 0xd800 && code < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
		const char *back = r->at;
		r->at += 2;
		int32_t low = read_hex(r);
		if (low < 0) return wrong(r, "\\u needs four hexadecimal digits");
		if (low >= 0xdc00 && low < 0xe000) code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		else r->at = back;
	}
	if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
	*to = put_utf8(*to, code);
	return OG_OK;
}

static og_status read_escape(reader *r, char **to)
{
	static const char letter[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
	const char *e = r->at < r->end && *r->at ? strchr(letter, *r->at) : NULL;
	if (e) {
		*(*to)++ = meaning[e - letter];
		r->at++;
		return OG_OK;
	}
	if (r->at == r->end || *r->at != 'u') return wrong(r, "unknown escape in a string");
	r->at++;
	return read_unicode(r, to);
}

/* A string, its opening quote taken. The text read is never longer than the text written. */
static og_status read_string(reader *r, const char **out)
{
	const char *close = r->at;
	while (close < r->end && *close != '"') close += *close == '\\' && close + 1 < r->end ? 2 : 1;
	if (close >= r->end) return wrong(r, "this string has no end");
	char *s = arena_alloc(r->a, (size_t)(close - r->at) + 1), *to = s;
	NEED(s);
	while (r->at < close) {
		if (*r->at == '\\') {
			r->at++;
			TRY(read_escape(r, &to));
			continue;
		}
		size_t length = utf8_length((const unsigned char *)r->at, (size_t)(close - r->at));
		if (length == 0) return wrong(r, "a string is not UTF-8");
		if ((unsigned char)*r->at < 0x20) return wrong(r, "a control character in a string must be escaped");
		memcpy(to, r->at, length);
		to += length;
		r->at += length;
	}
	r->at = close + 1;
	*out = s;
	return OG_OK;
}

static bool skip_digits(reader *r)
{
	const char *from = r->at;
	while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
	return r->at > from;
}

static og_status read_number(reader *r, json_value *v)
{
	const char *from = r->at;
	if (*r->at == '-') r->at++;
	if (r->at < r->end && *r->at == '0') r->at++;
	else if (!skip_digits(r)) return wrong(r, "a value is expected here");
	if (r->at < r->end && *r->at == '.') {
		r->at++;
		if (!skip_digits(r)) return wrong(r, "a digit must follow the decimal point");
	}
	if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
		r->at++;
		if (r->at < r->end && (*r->at == '+' || *r->at == '-')) r->at++;
		if (!skip_digits(r)) return wrong(r, "a digit must follow the exponent sign");
	}
	char *s = arena_strndup(r->a, from, (size_t)(r->at - from));
	NEED(s);
	char *point = strchr(s, '.');
	if (point) *point = localeconv()->decimal_point[0];
	v->kind = JSON_NUMBER;
	v->number = strtod(s, NULL);
	return OG_OK;
}

static og_status read_value(reader *r, json_value *v);

static og_status read_member(reader *r, json_value *item)
{
	if (!take(r, '"')) return wrong(r, "a key in quotes is expected here");
	const char *key;
	TRY(read_string(r, &key));
	if (!take(r, ':')) return wrong(r, "':' is expected here");
	TRY(read_value(r, item));
	item->key = key;
	return OG_OK;
}

/* An array or object, its opening bracket taken. */
static og_status read_items(reader *r, json_value *v, json_kind kind)
{
	char close = kind == JSON_ARRAY ? ']' : '}';
	size_t capacity = 0;
	v->kind = kind;
	if (take(r, close)) return OG_OK;
	if (++r->depth > DEEPEST) return wrong(r, "nested too deeply");
	do {
		json_value *items = arena_grow(r->a, v->items, v->count, &capacity, v->count + 1, sizeof *items);
		NEED(items);
		v->items = items;
		TRY(kind == JSON_ARRAY ? read_value(r, &items[v->count]) : read_member(r, &items[v->count]));
		v->count++;
	} while (take(r, ','));
	r->depth--;
	if (take(r, close)) return OG_OK;
	return wrong(r, kind == JSON_ARRAY ? "',' or ']' is expected here" : "',' or '}' is expected here");
}

static og_status read_value(reader *r, json_value *v)
{
	*v = (json_value){ .kind = JSON_NULL };
	skip_space(r);
	if (r->at == r->end) return wrong(r, "the text ends too early");
	if (take(r, '{')) return read_items(r, v, JSON_OBJECT);
	if (take(r, '[')) return read_items(r, v, JSON_ARRAY);
	if (take(r, '"')) {
		v->kind = JSON_STRING;
		return read_string(r, &v->string);
	}
	if (take_word(r, "null")) return OG_OK;
	if (*r->at == 't' || *r->at == 'f') {
		v->kind = JSON_BOOL;
		v->boolean = *r->at == 't';
		return take_word(r, "true") || take_word(r, "false") ? OG_OK : wrong(r, "a value is expected here");
	}
	return read_number(r, v);
}

og_status json_parse(const json_value **out, arena *a, const char *s, size_t n)
{
	reader r = { .a = a, .start = s, .at = s, .end = s + n };
	json_value *root = arena_alloc(a, sizeof *root);
	NEED(root);
	TRY(read_value(&r, root));
	skip_space(&r);
	if (r.at < r.end) return wrong(&r, "nothing may follow the value");
	*out = root;
	return OG_OK;
}

const json_value *json_member(const json_value *object, const char *key)
{
	if (!object || object->kind != JSON_OBJECT) return NULL;
	for (size_t i = 0; i < object->count; i++)
		if (strcmp(object->items[i].key, key) == 0) return &object->items[i];
	return NULL;
}
