/* diff_out.h -- a comparison of models as text, JSON and a page. */
#ifndef DIFF_OUT_H
#define DIFF_OUT_H

#include "surgery/diff.h"

og_status diff_text_print(text *, diff *);
og_status diff_json_print(text *, diff *);
og_status diff_page_print(text *, diff *);

/* Regions of a graph that read the same way, such as the 49 places of a graft: "4 nodes (Neg, Exp, Add, Div) became
 * 1 Swish". */
enum { DIFF_PLACES = 6 };
typedef struct diff_group { const char *words; size_t first[DIFF_PLACES], n; } diff_group;      /* first: rows */
typedef struct diff_groups { diff_group **groups; size_t n, cap; } diff_groups;
og_status diff_groups_make(diff_groups *, diff *, const diff_graph *);      /* in the diff's arena */

/* ---- words that the three share ------------------------------------------------------------------ */

/* "16 nodes became 4, 1 node added; 9 are equal", without the end of the line. */
void diff_text_summary(text *, const diff *);
/* "4 nodes (Neg, Exp, Add, Div)", "Relu". */
void diff_text_side(text *, const diff *, const diff_side *);
/* "conv1, mask -> act1": what goes in and comes out; long lists end in "...". */
void diff_text_ends(text *, const diff_side *, size_t width);
/* The numbers that a node is set to, up to three: " {beta=1.5}"; nothing when it has none. */
void diff_text_settings(text *, const graph_node *);
/* s in at most `width` characters, cut in its middle. */
void diff_text_short(text *, const char *s, size_t width);
/* "0.00123", "1.5e-07", "inf" */
void diff_text_number(text *, double);
/* 1234567 -> "1,234,567" */
void diff_text_count(text *, int64_t);

#endif
