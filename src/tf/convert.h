/* convert.h -- from a TensorFlow graph to a graph of ONNX's ops.
 *
 * The nodes are converted in order. A converter is a function that builds the values of a node's outputs from
 * those of its inputs, as an expression: MAKE("Mul", x, MAKE("Sigmoid", x)). It need not check anything: the
 * first failure stays in c->status, from then on nothing is built, and every call returns c->none, a value
 * without type that is in no graph.
 *
 * What is built knows its type at once (the ops' shape rules are asked), and a node of constants becomes a
 * constant at once. Sizes that a graph computes (Shape, StridedSlice, Pack, ...) are followed as symbols as
 * well: Reshape to [Shape(x)[0], 1024] is one node with a constant. */
#ifndef CONVERT_H
#define CONVERT_H

#include "tf/tf_graph.h"

enum { CONVERT_OPSET = 17, CONVERT_MAX_LIST = 256 };

/* What the user says of an input; a dimension of -1 stays as it is. */
typedef struct convert_fixed { const char *name; tf_shape shape; } convert_fixed;

/* Converts the whole graph into m, which is empty but for what tf_read put there. Values are called as
 * TensorFlow's: "conv1" is output 0 of that node, "split:1" output 1; what lies within a node "conv1:Transpose".
 * OG_UNSUPPORTED names op and node, and what to do; OG_BAD_FILE: types and shapes contradict each other;
 * OG_USAGE: a fixed shape fits no input. */
og_status convert_graph(og_model *m, tf_graph *from, const convert_fixed *fixed, int n_fixed);

/* The k-th op that there is a converter for, in order of names; NULL: there are no more. */
const char *convert_op_name(size_t k);

/* ---- for converters ------------------------------------------------------------------------------ */

typedef struct convert {
	og_model *m;
	graph *g;                            /* into which nodes are built: the model's, or a body of it */
	graph **scopes;                      /* by scope of tf_node; NULL: not begun */
	tf_graph *from;
	tf_node *node;                       /* what is being converted */
	graph_node *begun;                   /* between convert_begin and convert_done */
	graph_value *none;
	og_status status;
} convert;

/* Makes the node's outputs and returns output 0. */
typedef graph_value *convert_fn(convert *);

/* One TensorFlow op: what converts it, or the op of ONNX that is the same, which takes the inputs as they are. */
typedef struct convert_op { const char *type; convert_fn *build; const char *onnx; } convert_op;

/* X(group): each file has a table of the ops that it converts, ended by a NULL type. */
#define CONVERT_GROUPS(X) X(math) X(reduce) X(shape) X(slice) X(move) X(conv) X(space) X(pool) X(resize) \
	X(detect) X(quantize) X(control)
#define X(group) extern const convert_op convert_##group##_ops[];
CONVERT_GROUPS(X)
#undef X

/* ---- failing ---- */
/* "node 'x' (Conv2D): " and the sentence, with OG_UNSUPPORTED or OG_BAD_FILE; returns c->none. */
graph_value *convert_refuse(convert *, const char *format, ...) __attribute__((format(printf, 2, 3)));
graph_value *convert_wrong(convert *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Keeps a failure that something else told. */
void convert_failed(convert *, og_status);

/* ---- the node: inputs, outputs, attributes ---- */
graph_value *convert_in(convert *, int k);
graph_value *convert_value(convert *, tf_value);                 /* that of any node in front of this one */
void convert_output(convert *, int k, graph_value *);            /* for outputs behind the first */
int64_t convert_int(convert *, const tf_node *, const char *name, int64_t otherwise);
float convert_float(convert *, const char *name, float otherwise);
bool convert_bool(convert *, const char *name, bool otherwise);
const char *convert_string(convert *, const tf_node *, const char *name, const char *otherwise);
og_dtype convert_type(convert *, const char *name, og_dtype otherwise);
/* Copies a list of at most CONVERT_MAX_LIST; 0: absent or empty. */
int convert_int_list(convert *, const tf_node *, const char *name, int64_t *out);
/* Elements of an input that has to be a constant of integers, at most CONVERT_MAX_LIST; `what` names it in
 * sentences. */
int convert_const_list(convert *, int k, const char *what, int64_t *out);
int64_t convert_const_int(convert *, int k, const char *what);   /* one element */
/* An axis given as a constant input, from 0; for a value of that rank, which has to be known. */
int convert_const_axis(convert *, int k, int rank);
/* Rank of a value; where it is not known the node is refused and 0 returned. */
int convert_rank(convert *, const graph_value *);
/* Brings an axis into [0, rank); wrong otherwise. */
int convert_axis(convert *, int64_t axis, int rank);

/* How many inputs of nodes and outputs of the graph a node's outputs are. */
int convert_readers(const tf_node *);

/* ---- building ---- */
/* A node with n inputs (NULL: left out), to which attributes may be added until convert_done, which returns
 * output 0. */
void convert_begin(convert *, const char *type, graph_value *const *in, int n);
void convert_set_int(convert *, const char *name, int64_t);
void convert_set_float(convert *, const char *name, float);
void convert_set_string(convert *, const char *name, const char *);
void convert_set_ints(convert *, const char *name, const int64_t *, int n);
graph_value *convert_done(convert *);
/* The same for a node of n_out outputs, all of them to out[]. */
void convert_done_all(convert *, graph_value **out, int n_out);
#define BEGIN(type, ...) \
	convert_begin(c, type, (graph_value *[]){ __VA_ARGS__ }, \
	              (int)(sizeof((graph_value *[]){ __VA_ARGS__ }) / sizeof(graph_value *)))
#define MAKE(type, ...) (BEGIN(type, __VA_ARGS__), convert_done(c))

graph_value *convert_loop_variable(convert *);                   /* of a LoopVariable, which only the reader makes */
/* The graph of a scope, which is begun if it has not been; NULL: no memory. */
graph *convert_scope(convert *, int scope);
/* Constants are the model's own graph's: bodies read them from there. */
graph_value *convert_list(convert *, const int64_t *, int n);    /* constant i64[n] */
graph_value *convert_index(convert *, int64_t);                  /* constant i64[] */
graph_value *convert_number(convert *, og_dtype, double);        /* constant scalar */
graph_value *convert_cast(convert *, graph_value *, og_dtype);   /* nothing where it is of that type */
/* Nothing where perm changes nothing; two in a row are one. */
graph_value *convert_transpose(convert *, graph_value *, const int *perm, int n);
/* [N, spatial..., C] to [N, C, spatial...] and back. */
graph_value *convert_channels_first(convert *, graph_value *);
graph_value *convert_channels_last(convert *, graph_value *);
graph_value *convert_squeeze(convert *, graph_value *, int axis);
graph_value *convert_unsqueeze(convert *, graph_value *, int axis);
graph_value *convert_slice(convert *, graph_value *, int axis, int64_t from, int64_t to);
graph_value *convert_concat(convert *, graph_value *const *, int n, int axis);
graph_value *convert_shape(convert *, graph_value *);            /* i64 */
/* n pieces along an axis; sizes NULL: equal ones. */
void convert_split(convert *, graph_value *, int axis, const int64_t *sizes, graph_value **out, int n);
/* Gives the convolution that made x, converted from that node, a constant bias; x is then this node's. NULL: it
 * can't be. */
graph_value *convert_bias_into(convert *, const tf_node *, graph_value *x, graph_value *bias);
/* Reshapes to sizes that a value of integers has; to a list, in which GRAPH_DIM_UNKNOWN may stand once for the rest. */
graph_value *convert_reshape(convert *, graph_value *, graph_value *shape);
graph_value *convert_reshape_to(convert *, graph_value *, const og_dim *dims, int n);

/* ---- sizes that are known (convert_sizes.c) ---- */
/* Elements of a value of integers with at most CONVERT_MAX_LIST: numbers, symbols or GRAPH_DIM_UNKNOWN. False:
 * it is no such value, or nothing is known of it. */
bool convert_sizes(const graph_value *, og_dim *dims, int *n);
/* What a new node makes of sizes; where all of them are numbers, its output becomes a constant and the node goes. */
void convert_follow(convert *, graph_node *);

/* What is known of a value beyond the graph; graph_value.mark while a graph is converted. */
typedef struct convert_note {
	const tf_node *maker;
	og_dim *sizes; int n_sizes;          /* NULL: none are known */
} convert_note;
const tf_node *convert_maker(const graph_value *);               /* the node that it was built for; NULL: none */
void convert_take_over(const convert *, graph_value *);          /* from now on it belongs to this node */

#endif
