/* diff_lanes.h -- the edges of a graph beside its nodes, one below the other: a value has a lane from where it is
 * made to where it was last read. */
#ifndef DIFF_LANES_H
#define DIFF_LANES_H

#include "graph/graph.h"

enum { DIFF_LANES = 8, DIFF_LANE_WIDTH = 14 };   /* lanes at most: further values are not drawn; pixels */

typedef struct diff_lanes {
	const graph *g;
	const graph_value *value[DIFF_LANES];        /* NULL: free */
	size_t readers[DIFF_LANES];                  /* that still come */
	bool *drawn;                                 /* nodes, by order */
	int used;                                    /* lanes ever in use */
} diff_lanes;

/* Lanes above the first node: those of the inputs. `drawn` is made in the arena. */
og_status diff_lanes_begin(diff_lanes *, arena *, const graph *);
/* Goes past a node, drawing it (t NULL: not) in `lanes` lanes of width. */
void diff_lanes_step(text *t, diff_lanes *, const graph_node *, int lanes);
/* Lanes that pass a place without a node. */
void diff_lanes_pass(text *t, const diff_lanes *, int lanes);

#endif
