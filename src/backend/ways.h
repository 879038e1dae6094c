/* ways.h -- the ways of a backend to run a node, compared by what they cost. */
#ifndef WAYS_H
#define WAYS_H

#include "backend/layout.h"

/* Prepares way number k for the node: fills *out, cost included, or returns OG_NO and no sentence when it is not for
 * this node. */
typedef og_status ways_prepare_fn(backend_kernel *out, int k, const backend_node *, int threads, arena *);

typedef struct ways_table {
	int n;
	ways_prepare_fn *prepare;            /* cheap: it is done for each of them */
	int (*lanes)(void);                  /* the backend's */
	double reorder, reorder_byte;        /* nanoseconds of a reorder: of any, and more for each byte */
} ways_table;

typedef struct ways_found { int way; double cost; } ways_found;
/* The ways that can run the node, by rising cost with the reorders of their inputs; where costs are equal the first
 * wins. Returns how many; found has room for w->n. -1 and the sentence when memory runs out. */
int ways_by_cost(ways_found *found, const ways_table *w, const backend_node *, int threads);

#endif
