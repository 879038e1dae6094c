/* opgraft/graph.h -- a network's nodes and values: to look at, to change, to make from nothing.
 *
 *     og_graph *g = og_model_graph(model);
 *     for (og_node *n = og_graph_first_node(g), *next; n; n = next) {
 *         next = og_node_next(n);
 *         if (!strcmp(og_node_type(n), "Dropout")) og_node_bypass(n);
 *     }
 *     og_model_finish(model);
 *     og_model_save(model, "out.onnx");
 *
 * A model owns its graphs, nodes and values: handles are never freed by the caller and end with the model. What was
 * removed may still be handed in: it is answered with OG_USAGE. A node reads and writes values; a value has at most one node
 * that makes it and any number that read it. Names of values are unique in their graph; nodes need none.
 *
 * Misuse (NULL, something of another model, something removed, an index that is not there) gives OG_USAGE and a sentence in
 * og_error(); functions that return a pointer, name or count return NULL, "" or 0 then. A change that fails has changed
 * nothing, unless said otherwise. Strings and arrays that are handed in are copied; those handed out belong to the model
 * and stay as they are until it ends, but for counts and order after a change.
 *
 * Nodes may be in any order while a network is changed, and types of values may be wrong: og_model_finish sorts and infers.
 * A model may be used by one thread at a time. Time is O(1) where nothing is said. */
#ifndef OPGRAFT_GRAPH_H
#define OPGRAFT_GRAPH_H

#include "opgraft.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct og_graph og_graph;
typedef struct og_node og_node;
typedef struct og_value og_value;

/* ---- models ---------------------------------------------------------------------------------------------------- */

/* A model with an empty main graph that imports ONNX's own ops of version `opset` (7 to 26), to be ended by og_model_free. */
OG_API og_status og_model_create(og_model **out, const char *name, int opset);
/* A model of its own with the same contents. Weights and file are shared: `from` must outlive it. O(size of the graph). */
OG_API og_status og_model_copy(og_model **out, const og_model *from);
OG_API og_graph *og_model_graph(og_model *model);
/* The version of a domain ("" is ONNX's own) that the model imports; 0: none. */
OG_API int og_model_opset(const og_model *model, const char *domain);
/* Imports a domain, in at least this version. Nothing is converted: the nodes there must mean the same in both. */
OG_API og_status og_model_require_opset(og_model *model, const char *domain, int version);
/* Model functions: their number, and body and name of the k-th; name and domain may be NULL. */
OG_API int og_model_functions(const og_model *model);
OG_API og_graph *og_model_function(og_model *model, int k, const char **domain, const char **name);

/* Puts nodes in an order in which each has its inputs, bodies and functions too; nodes that are in order stay. OG_BAD_FILE: a
 * cycle, with a node on it. O(nodes + uses), as are the next four. */
OG_API og_status og_model_sort(og_model *model);
/* Removes nodes that nobody needs, then constants, values and functions that nothing uses. Graph inputs stay. */
OG_API og_status og_model_clean_up(og_model *model);
/* Finds types and shapes anew from the inputs on. What nodes of unknown ops make keeps its type. OG_BAD_FILE: nodes contradict
 * each other, with node and reason; types are then as far as it came. */
OG_API og_status og_model_infer(og_model *model);
/* Checks that the graph is whole: every value that is read is made, given or constant, nodes are in order, names are
 * unique. OG_BAD_FILE with the first fault. */
OG_API og_status og_model_verify(const og_model *model);
/* Clean up, sort, infer and verify: what a changed network needs before it is saved or run. */
OG_API og_status og_model_finish(og_model *model);
/* Computes now what depends on constants only, Shape of known shapes included, and makes it constant: main graph. Nodes
 * and constants that this leaves over go with og_model_clean_up. */
OG_API og_status og_model_fold_constants(og_model *model);

/* ---- graphs ---------------------------------------------------------------------------------------------------- */

OG_API const char *og_graph_name(const og_graph *graph);
/* Of the body of an If, Loop or Scan: the node that has it; NULL for the main graph and functions. */
OG_API og_node *og_graph_holder(const og_graph *graph);
OG_API size_t og_graph_nodes(const og_graph *graph);
/* Nodes in order, values in no order that means anything. Take the next one before removing one. */
OG_API og_node *og_graph_first_node(const og_graph *graph);
OG_API og_value *og_graph_first_value(const og_graph *graph);
OG_API og_node *og_node_next(const og_node *node);
OG_API og_value *og_value_next(const og_value *value);
/* By name, in this graph only; NULL: none. Nodes: the first of that name, O(nodes). */
OG_API og_node *og_graph_find_node(const og_graph *graph, const char *name);
OG_API og_value *og_graph_find_value(const og_graph *graph, const char *name);

OG_API int og_graph_inputs(const og_graph *graph);
OG_API int og_graph_outputs(const og_graph *graph);
OG_API og_value *og_graph_input(const og_graph *graph, int k);
OG_API og_value *og_graph_output(const og_graph *graph, int k);
/* Makes a value the last input or output. An input must not be made by a node, and of the main graph must have a dtype
 * before the model is saved. A constant that becomes an input is its default. */
OG_API og_status og_graph_add_input(og_graph *graph, og_value *value);
OG_API og_status og_graph_add_output(og_graph *graph, og_value *value);
/* Takes one out of the list; the value stays. */
OG_API og_status og_graph_remove_input(og_graph *graph, int k);
OG_API og_status og_graph_remove_output(og_graph *graph, int k);

/* ---- values ---------------------------------------------------------------------------------------------------- */

OG_API const char *og_value_name(const og_value *value);
OG_API og_graph *og_value_graph(const og_value *value);
/* Name, dtype and shape as they are known; see og_value_info in opgraft.h. */
OG_API og_status og_value_type(const og_value *value, og_value_info *out);
OG_API int og_value_is_input(const og_value *value);
OG_API int og_value_is_output(const og_value *value);
/* The node that makes it; NULL: an input, a constant, or nothing yet. */
OG_API og_node *og_value_producer(const og_value *value);
/* Reads of it, nodes in bodies included: their number, and node and input of the k-th. A change of uses changes their order. */
OG_API size_t og_value_uses(const og_value *value);
OG_API og_node *og_value_user(const og_value *value, size_t k, int *input);
/* Its numbers when it is an initializer; NULL otherwise (also for one made by a Constant node, until constants are folded).
 * The data may lie anywhere in a file: read it by memcpy. NULL data: strings. */
OG_API const og_tensor *og_value_constant(const og_value *value);

/* A new value of unknown type that nothing makes yet. name NULL: a new one is found. OG_USAGE: the name is taken. */
OG_API og_status og_value_add(og_value **out, og_graph *graph, const char *name);
/* Sets what is known. dim_names (may be NULL) has a name for each symbolic dimension, where dims[i] is then ignored; a
 * negative dimension without name is unknown. rank -1: unknown shape. Not for constants. */
OG_API og_status og_value_set_type(og_value *value, og_dtype dtype, int rank, const int64_t *dims, const char *const *dim_names);
/* A new constant; its data is copied. */
OG_API og_status og_constant_add(og_value **out, og_graph *graph, const char *name, const og_tensor *tensor);
/* Makes a value constant, whatever was it before; the data is copied. A node that made it makes it no more. */
OG_API og_status og_value_set_constant(og_value *value, const og_tensor *tensor);
/* OG_USAGE: the name is taken, in this graph or by a value that bodies in it use. O(uses). */
OG_API og_status og_value_rename(og_value *value, const char *name);
/* Everybody that reads `of` reads `by` instead; where `of` is a graph output, `by` is made that output under the same name, by
 * an Identity where `by` is an input or output itself. The node that makes `by` goes on reading `of`, so that one can be
 * put behind a value. `by` must be of the same graph, or of one around it when `of` is no output. O(uses). */
OG_API og_status og_value_replace(og_value *of, og_value *by);
/* Removes a value that nothing makes, reads or gives out; an input is taken out of the list. O(inputs). */
OG_API og_status og_value_remove(og_value *value);

/* ---- nodes ----------------------------------------------------------------------------------------------------- */

OG_API const char *og_node_name(const og_node *node);
OG_API const char *og_node_type(const og_node *node);
OG_API const char *og_node_domain(const og_node *node);        /* "" is ONNX's own */
OG_API og_graph *og_node_graph(const og_node *node);
OG_API int og_node_inputs(const og_node *node);
OG_API int og_node_outputs(const og_node *node);
/* NULL also for an optional one that is left out. */
OG_API og_value *og_node_input(const og_node *node, int k);
OG_API og_value *og_node_output(const og_node *node, int k);

/* A new node at the end of the graph. domain "" or NULL is ONNX's own; name may be NULL; in and out may hold NULL where
 * something is left out. Outputs are values that nothing makes. The model must import the domain when it is saved. */
OG_API og_status og_node_add(og_node **out, og_graph *graph, const char *domain, const char *type, const char *name,
                             int n_in, og_value *const *in, int n_out, og_value *const *outputs);
/* The common case: a node of ONNX's own with one output, a new value. Both get the name; NULL: the value a new one, the
 * node none. */
OG_API og_status og_compute(og_value **out, og_graph *graph, const char *type, const char *name, int n_in,
                            og_value *const *in);
OG_API og_status og_node_set_name(og_node *node, const char *name);
OG_API og_status og_node_set_type(og_node *node, const char *domain, const char *type);
/* k at most 1,023; inputs and outputs in between are left out. value NULL: left out. An input may be a value of a graph around
 * the node's; an output must be of the node's graph, and nothing else may make it. */
OG_API og_status og_node_set_input(og_node *node, int k, og_value *value);
OG_API og_status og_node_set_output(og_node *node, int k, og_value *value);
/* Removes a node, bodies included. Its outputs stay as values that nothing makes. */
OG_API og_status og_node_remove(og_node *node);
/* Removes a node and lets those that read its output 0 read its input 0 instead. OG_USAGE when other outputs are read. */
OG_API og_status og_node_bypass(og_node *node);

/* ---- attributes ------------------------------------------------------------------------------------------------ */

typedef enum og_attribute_type {
	OG_ATTRIBUTE_NONE, OG_ATTRIBUTE_INT, OG_ATTRIBUTE_FLOAT, OG_ATTRIBUTE_STRING, OG_ATTRIBUTE_INTS, OG_ATTRIBUTE_FLOATS,
	OG_ATTRIBUTE_STRINGS, OG_ATTRIBUTE_TENSOR, OG_ATTRIBUTE_GRAPH,
	OG_ATTRIBUTE_REFERENCE,              /* in a function: the caller's attribute */
	OG_ATTRIBUTE_OTHER                   /* kept as it is in the file */
} og_attribute_type;

/* Attributes that stand on the node, which has no others: an op's defaults are not among them. type may be NULL. */
OG_API int og_node_attributes(const og_node *node);
OG_API const char *og_node_attribute(const og_node *node, int k, og_attribute_type *type);
/* OG_NO: there is none of that name (*out is unchanged, so it may hold a default); OG_USAGE: it has another type. */
OG_API og_status og_node_get_int(const og_node *node, const char *name, int64_t *out);
OG_API og_status og_node_get_float(const og_node *node, const char *name, float *out);
OG_API og_status og_node_get_string(const og_node *node, const char *name, const char **out);
OG_API og_status og_node_get_ints(const og_node *node, const char *name, const int64_t **out, size_t *n);
OG_API og_status og_node_get_floats(const og_node *node, const char *name, const float **out, size_t *n);
OG_API og_status og_node_get_strings(const og_node *node, const char *name, const char *const **out, size_t *n);
OG_API og_status og_node_get_tensor(const og_node *node, const char *name, const og_tensor **out);
OG_API og_status og_node_get_graph(const og_node *node, const char *name, og_graph **out);
/* Adds an attribute, or replaces the one of that name, whatever its type. All is copied. */
OG_API og_status og_node_set_int(og_node *node, const char *name, int64_t value);
OG_API og_status og_node_set_float(og_node *node, const char *name, float value);
OG_API og_status og_node_set_string(og_node *node, const char *name, const char *value);
OG_API og_status og_node_set_ints(og_node *node, const char *name, const int64_t *values, size_t n);
OG_API og_status og_node_set_floats(og_node *node, const char *name, const float *values, size_t n);
OG_API og_status og_node_set_strings(og_node *node, const char *name, const char *const *values, size_t n);
OG_API og_status og_node_set_tensor(og_node *node, const char *name, const og_tensor *value);
/* A new, empty body, which sees the values of the graphs around it. */
OG_API og_status og_node_add_graph(og_graph **out, og_node *node, const char *name);
/* Fine when there is none. */
OG_API og_status og_node_remove_attribute(og_node *node, const char *name);

#ifdef __cplusplus
}
#endif
#endif
