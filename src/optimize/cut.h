/* cut.h -- the cheapest way to set yes-or-no questions that depend on each other: a minimum cut.
 *
 * A vertex is a question. An edge from x to y costs its capacity when x is yes and y is no. CUT_YES is yes and CUT_NO is no,
 * whatever it costs. */
#ifndef CUT_H
#define CUT_H

#include "base/base.h"

enum { CUT_YES, CUT_NO };
#define CUT_NEVER (INT64_MAX / 4)            /* the capacity of an edge that must not be cut */

typedef struct cut_edges { int to, next; int64_t room; } cut_edges;     /* edge e and its reverse e ^ 1; next of the same vertex */
typedef struct cut {
	arena *a;                            /* the caller's */
	int n_vertices, n_edges;
	int *head; size_t cap_vertices;      /* first edge of each vertex, -1 */
	cut_edges *edge; size_t cap_edges;
	int *level;                          /* after cut_solve */
} cut;

og_status cut_start(cut *, arena *);         /* with the two vertices that are given */
og_status cut_vertex(cut *, int *out);
og_status cut_edge(cut *, int from, int to, int64_t capacity);
og_status cut_solve(cut *);
/* Whether the answer is yes; of several cheapest ways the one with the fewest. */
bool cut_is_yes(const cut *, int vertex);

#endif
