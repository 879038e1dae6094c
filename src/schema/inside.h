/* inside.h -- what the files of src/schema share and nobody else sees. */
#ifndef SCHEMA_INSIDE_H
#define SCHEMA_INSIDE_H

#include "schema/schema.h"

/* The surroundings of a node: what is known of the values of its graph, the graphs around it, and in a model function
 * the call, whose attributes the body refers to. Inference keeps small known values in it, the interpreter all. */
struct schema_scope {
	arena *a;                            /* of values */
	const graph *g;
	const schema_scope *outer;           /* of the graph around g; NULL */
	const schema_scope *call_scope;      /* of the function's call */
	const graph_node *call;              /* of the function; NULL: g is no function's body */
	const graph_function *function;
	int depth;                           /* bodies and functions around this graph */
	int64_t *calls, own_calls;           /* of functions, inferred so far from the outermost graph */
	map values;                          /* name -> const og_tensor *, of values of g; freed by schema_scope_end */
};
enum { SCHEMA_DEEPEST = 64, SCHEMA_MOST_CALLS = 1 << 16 };

/* Starts the scope of a body (outer: the scope that the holder is in) or of a function (call and its scope in
 * `outer`). OG_BAD_FILE when nested too deeply, or when a function calls itself. */
og_status schema_scope_begin(schema_scope *, arena *, const graph *, const schema_scope *outer);
og_status schema_scope_call(schema_scope *, arena *, const graph_function *, const graph_node *call,
                            const schema_scope *outer);
void schema_scope_end(schema_scope *);
og_status schema_scope_set(schema_scope *, const graph_value *, const og_tensor *);
/* The tensor of a value as far as it is known, a constant's too (its data may be unaligned); NULL. */
const og_tensor *schema_scope_get(const schema_scope *, const graph_value *);
/* True when v is an argument that the call of its function leaves out: then its nodes see no input there either. */
bool schema_is_left_out(const graph_value *, const schema_scope *);
/* True when the data can be read as an array of its type. */
bool schema_is_aligned(const og_tensor *);

/* The attribute as it holds here: references to a function's attributes are followed. NULL: absent. */
const graph_attr *schema_attribute(const graph_node *, const char *name, const schema_scope *);
og_status schema_attributes_in(const og_attr_value **out, arena *, const graph_node *, const schema_scope *);

/* "node 'n3' (ai.onnx.ml::Foo)", for sentences; a node without a name is called by its first output. */
enum { SCHEMA_WORDS = 256 };
const char *schema_node_words(char words[SCHEMA_WORDS], const graph_node *);

/* The op's question about shapes: in and out have a slot for every declared argument at least. */
typedef struct schema_question {
	schema_args inputs, outputs;
	og_infer c;
	og_shape *in, *out;
	bool *present;                       /* per input: the argument is given */
} schema_question;
/* Makes the slots, in the arena; the caller fills `in`, then asks, then reads `out`. `attr` may come later (c.attr). */
og_status schema_question_begin(schema_question *, arena *, const graph_node *, const og_attr_value *attr);
/* True when the op reads no data of its input. */
bool schema_reads_shape_only(const og_op *);
/* Checks counts and types, gives outputs their types and runs the shape rule. */
og_status schema_question_ask(schema_question *, const graph_node *);

/* Infers and runs in a scope. */
og_status schema_infer_body(graph *, schema_scope *);
og_status schema_run_body(const graph *, const og_tensor *const *inputs, og_tensor **outputs, schema_scope *,
                          og_status (*watch)(void *arg, const graph_value *, const og_tensor *), void *arg);
/* Sets what is known of an output of the node; OG_BAD_FILE when it contradicts what is known already. */
og_status schema_merge(const graph_node *, int output, og_dtype, int rank, const og_dim *dims);

/* Elementwise ops by their formula in double; outputs have their shapes. */
og_status schema_run_map(const og_call *, const schema_args *inputs, bool is_test);

/* Ops that have a body: If, Loop, Scan, Fused, and calls of model functions. */
typedef struct schema_control {
	const char *domain, *name;
	og_status (*infer)(graph_node *, const schema_scope *, arena *);
	og_status (*run)(const graph_node *, const og_tensor *const *in, og_tensor **out, const schema_scope *, arena *);
} schema_control;
const schema_control *schema_control_find(const graph_node *);    /* NULL: an ordinary node */

#endif
