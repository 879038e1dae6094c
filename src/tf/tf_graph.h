/* tf_graph.h -- a TensorFlow graph as it was read: flat, pruned, with its weights.
 *
 * Whatever the file was (GraphDef as binary or as text, MetaGraphDef with its checkpoint, SavedModel folder), what comes
 * out is one list of nodes in topological order, which holds those that the outputs need and no others:
 *   - Calls of functions (PartitionedCall, StatefulPartitionedCall, a node whose op is a function's name) are replaced by the
 *     function's nodes, named "call/inner". Attributes that a body takes from its caller have their values.
 *   - Variables are constants: VarHandleOp, VariableV2 and Variable have become Const with the checkpoint's tensor, what
 *     reads a resource (ReadVariableOp) has become Identity. Other ops that take a resource (ResourceGather) see a Const.
 *   - Inputs are nodes of op Placeholder, also where the user cut the graph at another node; their attributes "dtype" and
 *     "shape" are there where the file says them. A PlaceholderWithDefault that is no input has become Identity.
 *   - Switch and Merge whose condition is known have become Identity, and the branch that is never taken is gone.
 *   - Functional branches and loops (If, While and their stateless forms) have their bodies' nodes in the same list, in front of them:
 *       If     reads the condition, what the first body (inner) makes, what the second (inner + 1) makes; bodies read what is around them.
 *       While  reads a first condition, n first values, n nodes LoopVariable of its body (inner), each of which reads its first value and has
 *              the attribute "shape" where the file says how it may change, then the body's condition to go on and its n next values.
 *     What a loop hands through unchanged is none of the n: the body reads it where it is.
 *   - Control inputs are gone: nothing that a value depends on comes through them.
 * Types are ONNX's: a TensorFlow type that ONNX has no word for (resource, variant, 4-bit ones) is OG_NONE. Quantised integers
 * are the integers that hold them. Attributes that have their default may be absent from a file: whoever asks says the default. */
#ifndef TF_GRAPH_H
#define TF_GRAPH_H

#include "graph/graph.h"

typedef struct tf_graph tf_graph;
typedef struct tf_node tf_node;
typedef struct tf_attr tf_attr;

typedef struct tf_value { const tf_node *node; int output; } tf_value;

/* rank -1: unknown; a dimension of -1: unknown. A shape of more than OG_MAX_RANK dimensions reads as one of unknown rank. */
typedef struct tf_shape { int rank; int64_t dims[OG_MAX_RANK]; } tf_shape;

/* A function by name, with the values of its attributes. */
typedef struct tf_func { const char *name; const tf_attr *attrs; int n_attrs; } tf_func;

typedef enum tf_kind {
	TF_NOTHING,                          /* only of an empty list, whose kind the file does not say */
	TF_STRING, TF_INT, TF_FLOAT, TF_BOOL, TF_TYPE, TF_SHAPE, TF_TENSOR, TF_FUNC
} tf_kind;

/* An attribute: n elements of one kind; n is 1 where it is no list. */
struct tf_attr {
	const char *name;
	tf_kind kind;
	bool is_list;
	size_t n;
	union {
		const graph_bytes *strings;      /* may hold NULs; a NUL that n does not count follows each */
		const int64_t *ints;             /* of TF_BOOL too: 0 or 1 */
		const float *floats;
		const og_dtype *types;
		const tf_shape *shapes;
		const og_tensor *tensors;        /* strings: data is an array of graph_bytes, one for each element */
		const tf_func *funcs;
	};
};

struct tf_node {
	const char *name;                    /* unique; never "" */
	const char *op;                      /* "Conv2D" */
	const tf_value *in; int n_in;        /* all of them are nodes further in front */
	const tf_attr *attrs; int n_attrs;   /* in no order that means anything; no name twice */
	void *mark;                          /* the converter's, NULL at first */
	int scope;                           /* 0: it is in the main graph, else in that body; inputs may be of scopes around */
	int inner;                           /* of If and While: its first body */
};

/* An input or output of the whole graph. */
typedef struct tf_port {
	const char *name;                    /* key of the signature, what the user called it, or the node's name; no name twice */
	tf_value value;
	og_dtype dtype;                      /* as the signature or the placeholder says; OG_NONE: not said */
	tf_shape shape;
} tf_port;

struct tf_graph {
	arena *a;                            /* of the graph, which it ends with; tensors live in the model */
	const char *path;                    /* as given, for sentences */
	const char *signature;               /* key of the signature in use; NULL: there is none */
	tf_node *nodes; size_t n_nodes;
	/* By a signature or by the user, else: all placeholders that are needed; all nodes that no other reads or waits for, in
	 * the order of the file, and of them those that depend on a placeholder if any does. */
	tf_port *inputs; int n_inputs;
	tf_port *outputs; int n_outputs;
	int *around; int n_scopes;           /* the scope around each; around[0] is 0 */
	int producer;                        /* version of the GraphDef's format; 0: not said */
	map by_name;                         /* of nodes: tf_find's */
};

/* A placeholder that always has one value: a scalar. */
typedef struct tf_fixed { const char *name; double value; } tf_fixed;

/* What to read of a file that has more than one graph. Zeros stand for the usual. */
typedef struct tf_options {
	const char *tag;                     /* of the MetaGraph in a SavedModel; NULL: "serve" */
	const char *signature;               /* NULL: "serving_default" */
	/* Inputs and outputs by the name of a node ("conv1"), of one of its outputs ("split:1") or by the signature's keys;
	 * n 0: those of the signature, or as told above. What lies before an input is cut away; the sequence is kept. */
	const char *const *inputs; int n_inputs;
	const char *const *outputs; int n_outputs;
	const tf_fixed *values; int n_values;
} tf_options;

/* Reads a GraphDef (binary .pb, text .pbtxt; found out from the content), a MetaGraphDef (.meta) or a SavedModel folder.
 * The data of tensors lies in `holder` (mapped files, arena): it lives as long as that model and may become its constants
 * without a copy; it may be unaligned. o NULL: the usual. On failure *out is NULL.
 * OG_MISSING: a file cannot be opened, an input, output, placeholder to fix, signature or tag is not there (the sentence lists what is).
 * OG_BAD_FILE: damaged, contradictory, cyclic, a variable without value. OG_UNSUPPORTED: what Opgraft does not read
 * (loops of TensorFlow 1, tensors of more than OG_MAX_RANK dimensions, compressed checkpoints). */
og_status tf_read(tf_graph **out, og_model *holder, const char *path, const tf_options *o);
/* A GraphDef in memory that must outlive holder. `name` stands for it in sentences. */
og_status tf_read_memory(tf_graph **out, og_model *holder, const void *data, size_t n, const char *name, const tf_options *o);
void tf_graph_destroy(tf_graph *);       /* NULL is fine */

/* ---- looking things up ------------------------------------------------------------------------ */

const tf_node *tf_find(const tf_graph *, const char *name);               /* NULL: there is none */
const tf_attr *tf_attr_find(const tf_node *, const char *name);           /* NULL: absent */

/* Each leaves *out as it is when the node has no such attribute: set the default before. OG_BAD_FILE, with node and
 * attribute, when it is of another kind. Strings end with a NUL; one that holds another NUL is refused. */
og_status tf_int(const tf_node *, const char *name, int64_t *out);
og_status tf_float(const tf_node *, const char *name, float *out);
og_status tf_bool(const tf_node *, const char *name, bool *out);
og_status tf_string(const tf_node *, const char *name, const char **out);
og_status tf_type(const tf_node *, const char *name, og_dtype *out);
og_status tf_shape_of(const tf_node *, const char *name, const tf_shape **out);
og_status tf_tensor(const tf_node *, const char *name, const og_tensor **out);
/* Lists; an empty one gives *n = 0. */
og_status tf_ints(const tf_node *, const char *name, const int64_t **out, size_t *n);
og_status tf_floats(const tf_node *, const char *name, const float **out, size_t *n);
og_status tf_types(const tf_node *, const char *name, const og_dtype **out, size_t *n);

/* The tensor that a value always has: that of a Const, also through Identity, StopGradient and their like; NULL: it is
 * none, or is computed. */
const og_tensor *tf_constant(tf_value);

#endif
