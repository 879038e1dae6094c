/* schema.h -- the table of ops, derived from the op files, and what it says of a node: which op it is, its
 * attributes, its output types and shapes, its outputs on given inputs (the definition, not the fast way). */
#ifndef SCHEMA_H
#define SCHEMA_H

#include "graph/graph.h"

/* ---- the table ------------------------------------------------------------------------------ */
/* Newest op of that name and domain with since <= version; NULL. Domain "" or NULL: ONNX's own. */
const og_op *schema_find(const char *domain, const char *name, int64_t version);
/* For what people type, a name or what the op is called: our own domain first, then ONNX's newest. "domain::Name" works too. */
const og_op *schema_find_any(const char *name);
size_t schema_count(void);
const og_op *schema_at(size_t k);                   /* in order of domain, name, since */
const char *schema_domain(const og_op *);           /* never NULL */
const char *schema_called(const og_op *);           /* what people call it: "Swish" of OgSwish */
/* Adds the ops of a library; the array must stay. Fails when one's abi differs or its declaration is malformed. */
og_status schema_add(const og_op *const *ops, size_t n, const char *from);

/* A declared argument, parsed from og_op.inputs / outputs. */
typedef struct schema_arg {
	char name[32];
	uint32_t types;                              /* bit 1 << dtype of each allowed one */
	int variable;                                /* arguments with the same number have the same type; -1: fixed */
	bool optional, variadic, value_needed;
	bool has_default; double value;              /* when left out, for a formula */
} schema_arg;
#define SCHEMA_MAX_ARGS 16
typedef struct schema_args { int n; schema_arg arg[SCHEMA_MAX_ARGS]; } schema_args;
og_status schema_inputs(schema_args *out, const og_op *);
og_status schema_outputs(schema_args *out, const og_op *);
/* Both lists, with types of one numbering. */
og_status schema_arguments(schema_args *inputs, schema_args *outputs, const og_op *);
const schema_arg *schema_arg_at(const schema_args *, int k);      /* the variadic one for the rest; NULL: too many */
/* Checks a declaration against itself: OG_BAD_FILE (another abi: OG_UNSUPPORTED) with the first fault. */
og_status schema_declared(const og_op *);
int schema_attr_count(const og_op *);
og_status schema_attr_check(const og_attr *, double value);          /* OG_BAD_FILE with a sentence: outside its range */
int64_t schema_attr_word(const og_attr *, const char *word);         /* index among an enum's words; -1 and a sentence */
/* The declaration's and the shape rule's answer, without a graph: checks counts and types of the inputs, gives outputs their
 * types and runs the rule; an op without one makes the broadcast of all inputs. in[] and c->out have a slot for each declared
 * argument at least; what c->host->dim makes of dimensions is the caller's. c->in is set to in. */
og_status schema_ask(const schema_args *inputs, const schema_args *outputs, og_infer *c, og_shape *in, const bool *present);

/* ---- nodes ---------------------------------------------------------------------------------- */
/* Sets node->op of every node that has none yet (functions and bodies too) from the opset imports. Unknown ops stay
 * NULL. */
void schema_resolve(og_model *);
/* True when the node can be run by its definition: by an op, as control flow, or by a function of its model. */
bool schema_is_known(const graph_node *);
/* Attribute values in the op's declared order; checks types, ranges, words and unknown names. */
og_status schema_attributes(const og_attr_value **out, arena *, const graph_node *);
/* Checks counts and types of arguments, then sets type and shape of the node's outputs. What is not known stays
 * unknown; what contradicts a declared shape is OG_BAD_FILE naming node and value. */
og_status schema_infer_node(graph_node *);
/* The whole graph, bodies included. Inputs that have a constant value are seen by shape rules. */
og_status schema_infer(graph *);

/* For a node that a plan file describes: OG_OK when attributes, counts and types of inputs are legal and the op then makes
 * exactly these outputs. Dtype OG_NONE: absent; data: where the value is known; all shapes are known. Dimensions are
 * reckoned in `scratch`, a model for nothing else. */
og_status schema_check(og_model *scratch, const og_op *, const og_attr_value *, int n_in, const og_tensor *in, int n_out,
                       const og_tensor *out);

/* ---- the definition ------------------------------------------------------------------------- */
/* Runs one node on tensors by its plain definition: formulas in double, sums in double. in[] are aligned; outputs
 * are made in the arena with their real shapes. Data-dependent shapes are fine here. Control flow and Fused run
 * their bodies; `outer` resolves values of the graphs around (NULL when there are none). */
typedef struct schema_scope schema_scope;
og_status schema_run_node(const graph_node *, const og_tensor *const *in, og_tensor **out, arena *,
                          const schema_scope *outer);
/* Runs a whole graph by definition: the plain interpreter. inputs in the graph's order; outputs in the arena.
 * `watch` (may be NULL) is called with every value made. */
og_status schema_run_graph(const graph *, const og_tensor *const *inputs, og_tensor **outputs, arena *,
                           const schema_scope *outer,
                           og_status (*watch)(void *arg, const graph_value *, const og_tensor *), void *arg);
/* Host table for calls that have no thread pool. */
extern const og_host schema_host;

#endif
