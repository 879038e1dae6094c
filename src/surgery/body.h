/* body.h -- what an op is made of, as its op file's body says, as nodes: in an ONNX function or in place of a node. */
#ifndef BODY_H
#define BODY_H

#include "surgery/pattern.h"

/* One reading of a body. "EXPRESSION; mode=tanh | EXPRESSION; mode=none" has two, for nodes of either mode. */
typedef struct body_reading {
	const og_op *op;
	const char *from, *end;              /* its text in the op's body */
	int number;                          /* which of the readings it is */
	rule *r;                             /* set by body_parse */
	pattern *root;                       /* the first output; ->next the others */
} body_reading;

/* The first reading whose conditions a node's attributes meet; node NULL: all at their defaults. OG_NO: the op has none
 * (for them). OG_USAGE: the body is malformed; the sentence names op and column. */
og_status body_choose(body_reading *out, arena *, const og_op *, const graph_node *);
og_status body_parse(body_reading *, arena *);

/* Where its nodes come. */
typedef struct body_place {
	graph *g;
	graph_node *before;                  /* NULL: the end */
	int64_t opset;                       /* ONNX's there */
	const graph_node *node;              /* whose attributes become constants; NULL: they are attributes of a function */
	uint64_t absent;                     /* bit k: attribute k is given by no call of the function */
	graph_value *const *in; int n_in;    /* by the op's inputs; NULL: left out */
	og_dtype dtype;                      /* of constants among tensors; OG_NONE: the first input's, by CastLike */
} body_place;

/* Makes the nodes; out[k] gets a value of the graph for each output of the op, n_out of them. OG_UNSUPPORTED: the opset
 * lacks what the body is written with. */
og_status body_build(graph_value **out, int n_out, const body_reading *, const body_place *);

/* A declared attribute's default as it stands on a node: true and *out, without a name, when it has one. */
bool body_default(graph_attr *out, arena *, const og_attr *);

#endif
