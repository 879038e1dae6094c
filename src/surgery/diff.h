/* diff.h -- what differs between two models, as data: src/report makes text, JSON and a page of it.
 *
 * Nodes are paired by names that say something, by output names, by the weights that they use, and from there along the
 * edges; a name that only counts ("Relu_17") is asked last, as one node more shifts all of those behind it. What has no
 * pair falls into regions: nodes that hang together, of both sides where they make the same values. */
#ifndef DIFF_H
#define DIFF_H

#include "graph/graph.h"

typedef enum diff_kind {
	DIFF_NAME = 1,                       /* of a node */
	DIFF_ATTRIBUTE = 2,
	DIFF_INPUT = 4,                      /* a node reads another value */
	DIFF_OUTPUT = 8,                     /* a value was renamed, or a node has one output more or less */
	DIFF_TYPE = 16,                      /* dtype or shape of a value */
	DIFF_WEIGHT = 32,                    /* a constant that it reads holds other numbers: said in the list of weights */
	DIFF_FACT = 64                       /* of a whole model, graph or function: opsets, metadata, inputs and outputs */
} diff_kind;

typedef struct diff_change {
	diff_kind kind;
	const char *name;                    /* of the attribute, argument, value or fact */
	const char *from, *to;               /* in short words; NULL: not there */
	const graph_attr *a, *b;             /* of DIFF_ATTRIBUTE; NULL: not there */
} diff_change;

/* Nodes of one side of a region, in order, and the values that go in and come out; constants are not listed. */
typedef struct diff_side {
	const graph_node **nodes; size_t n;
	const graph_value **in; size_t n_in;
	const graph_value **out; size_t n_out;
} diff_side;

/* Nodes without a pair that hang together. One side empty: added or removed; else one replaced the other. */
typedef struct diff_region {
	diff_side a, b;
	bool same_ends;                      /* both sides lie between the same values */
} diff_region;

/* One line of both graphs side by side: two nodes that are one, or a region. */
typedef struct diff_row {
	const graph_node *a, *b;
	const diff_region *region;           /* NULL: a pair */
	const diff_change *changes; size_t n_changes;
	unsigned kinds;                      /* of the changes, ORed; 0: equal, or a region */
	double weight;                       /* of DIFF_WEIGHT: the largest relative difference */
} diff_row;

/* A constant, or a tensor that is an attribute, that is not the same in both. */
typedef struct diff_weight {
	const char *name_a, *name_b;         /* NULL: not there */
	const og_tensor *a, *b;              /* NULL: not there */
	bool measured;                       /* same shape, both numbers: what follows holds */
	int64_t count, differ;               /* elements, and how many are not the same number */
	double max_abs;                      /* largest |a - b|; NaN where one side is no number */
	double relative;                     /* |a - b| over |a|, both as L2 norms; infinite when a is all 0 */
} diff_weight;

typedef struct diff_graph {
	const char *path;                    /* "": the main graph; "loop1.body"; "domain::Function" */
	const graph *a, *b;                  /* NULL: not there */
	diff_row *rows; size_t n_rows;       /* in the order of a, what b has more in between */
	diff_change *facts; size_t n_facts, cap_facts;
	diff_weight *weights; size_t n_weights, cap_weights;
} diff_graph;

typedef struct diff_totals {
	size_t nodes_a, nodes_b;
	size_t equal, changed, renamed;      /* pairs: the same; other attributes or inputs; another name only */
	size_t added, removed;               /* nodes */
	size_t replacements, from, to;       /* regions of both sides; their nodes */
	size_t retyped;                      /* values of another dtype or shape */
	size_t values_renamed;
	size_t weights, weights_added, weights_removed, weights_renamed, weights_equal;
	size_t facts, functions;             /* functions: added, removed or changed */
} diff_totals;

typedef struct diff {
	arena *arena;
	const og_model *a, *b;
	diff_change *facts; size_t n_facts, cap_facts;
	diff_graph *graphs; size_t n_graphs, cap_graphs;     /* the main graph first; bodies and functions that differ */
	diff_totals totals;                  /* over all graphs */
	bool equal;
} diff;

/* Compares two different models (not one with itself). Writes the scratch marks of both and nothing else. Time O(n log n)
 * in nodes, plus reading the weights once, twice where they differ; memory in proportion to the nodes. */
og_status diff_models(diff **out, const og_model *a, const og_model *b);
void diff_free(diff *);                  /* NULL is fine */

/* What people call a node's type: "Conv", "Swish" (of opgraft::OgSwish), "com.example::Thing". */
const char *diff_called(const diff *, const graph_node *);
/* A node's name, or that of its first output. */
const char *diff_label(const graph_node *);
/* "f32[N,3]" in the diff's arena; NULL: no memory. */
const char *diff_type_text(diff *, const og_model *, og_dtype, int rank, const og_dim *dims);

/* ---- inside --------------------------------------------------------------------------------- */

og_status diff_change_put(diff *, diff_change **list, size_t *n, size_t *cap, const diff_change *);
/* How a pair differs, in *row; bodies that differ, and tensors that are attributes, go to the lists of d and g. */
og_status diff_node_compare(diff *, diff_graph *g, diff_row *row);
/* What differs between two lists of attributes: of nodes, or the defaults of functions. */
og_status diff_attrs_compare(diff *, diff_graph *g, diff_row *row, const graph_attr *a, int n_a, const graph_attr *b, int n_b);
/* Dtype or shape differ; what one of them does not know counts only if `strict`. */
bool diff_types_differ(const graph_value *, const graph_value *, bool strict);
/* Compares two bodies; adds them to d->graphs when they differ. */
og_status diff_graphs_compare(diff *, const char *path, const graph *a, const graph *b, bool *differ);
/* The rows of two graphs that are paired: regions and pairs in their order, pairs not compared yet. */
og_status diff_rows_make(diff *, diff_graph *);

/* Sets mark of every node and value of graph a that has a pair to the one of b, and the other way round. Marks must be
 * clear; those of the graphs around are set already. */
og_status diff_pair_graphs(const graph *a, const graph *b);
/* Adds a weight to the list when the tensors are not the same numbers; `bytes_a`: of tensors whose data the reader
 * leaves in the file. */
og_status diff_weights_compare(diff *, diff_graph *, diff_weight *, graph_bytes bytes_a, graph_bytes bytes_b);
og_status diff_weights_put(diff *, diff_graph *, const diff_weight *);
bool diff_weights_same(const og_tensor *, const og_tensor *);

#endif
