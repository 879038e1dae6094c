/* text_words.c -- reading the text form: marks, words and strings, and failing with the place. */
#include "graph/text_read.h"

#include <stdio.h>

/* ---- failing: one sentence with the place ----------------------------------------------------- */

typedef struct place { size_t line, column; } place;

static place place_of(const graph_reader *r, const char *at)
{
	place where = { 1, 1 };
	for (const char *c = r->start; c < at; c++) {
		where.column++;
		if (*c == '\n') where = (place){ where.line + 1, 1 };
	}
	return where;
}

og_status graph_fail_at(const graph_reader *r, const char *at, const char *format, ...)
{
	char what[512];
	place where = place_of(r, at);
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return base_fail(OG_BAD_FILE, "line %zu, column %zu: %s", where.line, where.column, what);
}

/* Puts the place in front of a sentence made by the graph's functions. */
og_status graph_placed(const graph_reader *r, const char *at, og_status status)
{
	if (status == OG_OK || status == OG_NO_MEMORY) return status;
	place where = place_of(r, at);
	return base_fail_in(OG_BAD_FILE, "line %zu, column %zu", where.line, where.column);
}

/* ---- characters and words --------------------------------------------------------------------- */

/* Over blanks, newlines and comments; what comes then, '\0' at the end. */
char graph_next(graph_reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r' || *r->p == '#')) {
		if (*r->p == '#') while (r->p < r->end && *r->p != '\n') r->p++;
		else r->p++;
	}
	return r->p < r->end ? *r->p : '\0';
}

og_status graph_expected(graph_reader *r, const char *what)
{
	char c = graph_next(r);
	if (r->p == r->end) return graph_fail_at(r, r->p, "expected %s, but the text ends", what);
	if (c >= ' ' && c <= '~') return graph_fail_at(r, r->p, "expected %s, but found '%c'", what, c);
	return graph_fail_at(r, r->p, "expected %s, but found byte 0x%02x", what, (unsigned char)c);
}

bool graph_take(graph_reader *r, const char *mark)
{
	size_t n = strlen(mark);
	graph_next(r);
	if ((size_t)(r->end - r->p) < n || memcmp(r->p, mark, n)) return false;
	r->p += n;
	return true;
}

og_status graph_need(graph_reader *r, const char *mark)
{
	char what[8];
	if (graph_take(r, mark)) return OG_OK;
	snprintf(what, sizeof what, "'%s'", mark);
	return graph_expected(r, what);
}

size_t graph_word(graph_reader *r)
{
	size_t n = 0;
	if (graph_is_letter(graph_next(r)))
		while (r->p + n < r->end && graph_is_word(r->p[n])) n++;
	return n;
}

bool graph_is(graph_reader *r, const char *keyword)
{
	size_t n = graph_word(r);
	return n == strlen(keyword) && !memcmp(r->p, keyword, n);
}

bool graph_take_word(graph_reader *r, const char *keyword)
{
	if (!graph_is(r, keyword)) return false;
	r->p += strlen(keyword);
	return true;
}

og_status graph_keep(graph_reader *r, const char *s, size_t n)
{
	r->word.length = 0;
	text_addn(&r->word, s, n);
	return r->word.failed ? base_no_memory() : OG_OK;
}

int graph_hex_digit(char c)
{
	if (graph_is_digit(c)) return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind a backslash. */
static og_status read_escape(graph_reader *r)
{
	static const char letters[] = "n\nt\t\"\"\\\\";
	char c = r->p < r->end ? *r->p : '\0', byte;

	for (const char *l = letters; *l; l += 2) {
		if (c != *l) continue;
		r->p++;
		text_addn(&r->word, l + 1, 1);
		return OG_OK;
	}
	if (c != 'x' || r->end - r->p < 3 || graph_hex_digit(r->p[1]) < 0 || graph_hex_digit(r->p[2]) < 0)
		return graph_fail_at(r, r->p - 1, "unknown escape; there are \\n, \\t, \\\", \\\\ and \\x with two digits");
	byte = (char)(graph_hex_digit(r->p[1]) * 16 + graph_hex_digit(r->p[2]));
	r->p += 3;
	text_addn(&r->word, &byte, 1);
	return OG_OK;
}

/* A string into r->word; it may hold NULs. */
og_status graph_read_string(graph_reader *r)
{
	const char *start = r->p;

	TRY(graph_need(r, "\""));
	TRY(graph_keep(r, "", 0));
	while (r->p < r->end && *r->p != '"' && *r->p != '\n') {
		if (*r->p++ == '\\') TRY(read_escape(r));
		else text_addn(&r->word, r->p - 1, 1);
	}
	if (r->p == r->end || *r->p == '\n')
		return graph_fail_at(r, start, "this string has no end; close it with a quote on its line");
	r->p++;
	return r->word.failed ? base_no_memory() : OG_OK;
}

/* A string without NULs into r->word. */
og_status graph_read_text(graph_reader *r)
{
	const char *start = (graph_next(r), r->p);

	TRY(graph_read_string(r));
	if (strlen(r->word.data) != r->word.length) return graph_fail_at(r, start, "a name cannot hold \\x00; take it out");
	return OG_OK;
}

/* A word or a quoted string that is not empty, into r->word. */
og_status graph_read_name(graph_reader *r, const char *what)
{
	size_t n = graph_word(r);
	const char *start = r->p;

	if (n == 1 && *r->p == '_')
		return graph_fail_at(r, start, "expected %s; '_' stands for an absent value, quote it", what);
	if (n > 0) {
		r->p += n;
		return graph_keep(r, start, n);
	}
	if (graph_next(r) != '"') return graph_expected(r, what);
	TRY(graph_read_text(r));
	return r->word.length ? OG_OK : graph_fail_at(r, start, "expected %s, but this name is empty", what);
}

/* A copy of r->word that lasts. */
const char *graph_kept(const graph_reader *r) { return arena_strndup(r->m->a, r->word.data, r->word.length); }
