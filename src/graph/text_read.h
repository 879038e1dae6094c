/* text_read.h -- what the readers of the text form share: a place in the text, and what stands there. A function that
 * fails leaves one sentence that begins with line and column. */
#ifndef GRAPH_TEXT_READ_H
#define GRAPH_TEXT_READ_H

#include "graph/graph.h"

typedef struct graph_reader {
	const char *start, *p, *end;
	og_model *m;
	text word;                           /* the latest name or string; NUL-terminated */
	int depth;                           /* of bodies */
} graph_reader;

/* ---- words (text_words.c) ---------------------------------------------------------------------- */
static inline bool graph_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool graph_is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static inline bool graph_is_word(char c) { return graph_is_letter(c) || graph_is_digit(c) || c == '.'; }
int graph_hex_digit(char c);                                 /* -1: none */

og_status graph_fail_at(const graph_reader *, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts the place in front of a sentence that the graph's functions made. */
og_status graph_placed(const graph_reader *, const char *at, og_status);
/* Fails with "expected WHAT, but found ...". */
og_status graph_expected(graph_reader *, const char *what);

/* All of these pass over blanks, newlines and comments first. */
char graph_next(graph_reader *);                             /* what stands there; '\0' at the end */
bool graph_take(graph_reader *, const char *mark);           /* passes over it if it stands there */
og_status graph_need(graph_reader *, const char *mark);      /* fails if it does not */
size_t graph_word(graph_reader *);                           /* length of the word there; 0: none */
bool graph_is(graph_reader *, const char *word);
bool graph_take_word(graph_reader *, const char *word);
/* Into r->word: */
og_status graph_read_string(graph_reader *);                 /* a quoted string, which may hold NULs */
og_status graph_read_text(graph_reader *);                   /* one without */
og_status graph_read_name(graph_reader *, const char *what); /* a word, or a quoted string that is not empty */
og_status graph_keep(graph_reader *, const char *s, size_t n);       /* these n bytes */
const char *graph_kept(const graph_reader *);                /* a copy of r->word in the arena; NULL: no memory */

/* ---- values (text_values.c) -------------------------------------------------------------------- */
typedef struct graph_type { og_dtype dtype; int rank; og_dim dims[OG_MAX_RANK]; } graph_type;

og_status graph_read_int(graph_reader *, int64_t *out);
/* A number of an attribute: an integer, or a float when it has a point or exponent, is inf or nan, or 0x and bits. */
og_status graph_read_number(graph_reader *, bool *is_float, int64_t *i, float *f);
og_status graph_read_symbol(graph_reader *, og_dim *out);
og_status graph_read_type(graph_reader *, graph_type *out);
/* The data of a constant of that type: {elements}, hex and digits, or opaque. */
og_status graph_read_data(graph_reader *, const graph_type *, og_tensor **out);

#endif
