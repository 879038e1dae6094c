/* cluster.h -- into which pieces a network falls when one runtime takes some of its nodes and another has to take the rest.
 *
 * Nodes are numbers here. The pieces of a cut can run one after the other: no piece reads from one behind it, so a piece is
 * convex, and all nodes of a piece are for the same runtime. Two pieces in a row for one runtime would be one piece, so pieces
 * take turns, and the fewest there can be follow from the longest path when a step costs 1 where the runtime changes. That
 * bound is reached: the cut has the fewest pieces of all cuts, in O(nodes + edges). */
#ifndef CLUSTER_H
#define CLUSTER_H

#include "base/base.h"

/* `whole`: what goes along it cannot pass between pieces. */
typedef struct cluster_edge { int from, to; bool whole; } cluster_edge;
typedef struct cluster_net { int n; cluster_edge *edges; size_t n_edges; } cluster_net;

/* Nodes that have to stay in one piece, which are all nodes on a cycle when whole edges are taken in both directions, make one
 * unit. Writes the unit of each node and their number; the net becomes that of the units, numbered so that edges lead to
 * higher numbers. */
og_status cluster_units(cluster_net *, int *unit, int *n_units);
/* The piece of each node of a net whose edges lead to higher numbers, and the number of pieces, which take turns. Where
 * a node may be in several, it is where it has most of its neighbours. */
og_status cluster_pieces(const cluster_net *, const bool *taken, int *piece, int *n_pieces);

#endif
