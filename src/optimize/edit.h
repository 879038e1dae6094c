/* edit.h -- small edits that several passes make. */
#ifndef EDIT_H
#define EDIT_H

#include "optimize/optimize.h"

/* True for a node that is ONNX's own op of that type, known to Opgraft. */
bool edit_is(const graph_node *, const char *type);
/* True for one formula on float32 in and out, with known shapes. */
bool edit_elementwise(const graph_node *);
/* Lets every reader of the node's output 0 read v instead and removes the node. *done is false, and nothing changed, where a graph
 * output would lose its name. */
og_status edit_bypass(graph_node *, graph_value *v, bool *done);
/* Removes a node and those of its outputs that nobody reads. */
void edit_remove(graph_node *);
/* True when v is read by one node only (however often) and is no graph output. */
bool edit_private(const graph_value *v, const graph_node *reader);
/* A new float32 constant; its data is cleared and may be written. */
og_status edit_constant(graph_value **out, float **data, graph *, const char *stem, int rank, const int64_t *dims);
bool edit_same_type(const graph_value *, const graph_value *);

/* Replaces nodes (in order; the last one's output 0 is the result, no other value is read outside) by one Fused node at the
 * place of the last. */
og_status edit_fuse(graph_node *const *nodes, int n);

#endif
