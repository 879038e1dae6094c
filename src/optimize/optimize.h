/* optimize.h -- passes over a graph with known shapes, and the pipeline that lists them.
 *
 * A pass is one function in one file. It may assume a verified graph with inferred types, and leaves one. */
#ifndef OPTIMIZE_H
#define OPTIMIZE_H

#include "graph/graph.h"

typedef struct optimize_options {
	bool no_fuse;                        /* leave out the passes that fuse nodes */
	/* True when `anchor` (a node with known shapes) may take elementwise node `tail` into its epilogue, `chain` the nodes taken
	 * already; the plan asks its backend. NULL: nothing is fused behind anchors. */
	bool (*takes_tail)(void *arg, const graph_node *anchor, const graph_node *tail);
	void *takes_arg;
	void (*dump)(void *arg, const char *pass, const char *text);
	void *dump_arg;
} optimize_options;

/* Runs the pipeline (pipeline.c: the list of passes on one page), with the verifier between passes in debug builds. */
og_status optimize_run(og_model *, const optimize_options *);

/* X(name, when fused only, what it does) */
#define OPTIMIZE_PASSES(X) \
	X(inline_functions, false, "model functions are replaced by their bodies") \
	X(fold_constants,   false, "nodes whose inputs are constant become constants") \
	X(move_transposes,  false, "transposes move through the nodes around them until they cancel each other") \
	X(remove_identity,  false, "Identity, Dropout, and reshapes, casts, pads, transposes, products that change nothing") \
	X(join_concats,     false, "a Concat inside a Concat along the same axis goes into it") \
	X(fold_transposes,  false, "a Transpose before a flatten and a product goes into the product's weights") \
	X(fold_batchnorm,   true,  "BatchNormalization and arithmetic by channel go into the convolution or product before them") \
	X(spell_batchnorm,  true,  "a BatchNormalization that is left becomes Mul and Add, which fuse") \
	X(name_ops,         true,  "spellings of an op become the op, by rules") \
	X(share_nodes,      true,  "equal nodes on equal inputs become one") \
	X(remove_dead,      false, "nodes whose results nobody uses") \
	X(fuse_tails,       true,  "elementwise nodes go into the epilogue of the convolution or product before them") \
	X(fuse_chains,      true,  "elementwise nodes that feed each other run in one pass over strips")

#define X(name, fused, what) og_status optimize_##name(og_model *, const optimize_options *);
OPTIMIZE_PASSES(X)
#undef X

#endif
