/* graph.h -- a network as nodes and values.
 *
 * A model owns everything through one arena. A graph is a list of nodes in topological order; a node reads
 * and writes values; a value knows its producer and its uses, uses inside the bodies of If/Loop/Scan/Fused
 * included. Every change goes through the functions below, which keep both directions right and drop the
 * `source` bytes of what they touch, so that the ONNX writer can copy the bytes of what was not touched.
 *
 * Names are NUL-terminated and never change in place; they live as long as the model. Functions that can run out
 * of memory return NULL or OG_NO_MEMORY with the sentence set, and leave a graph that is whole. */
#ifndef GRAPH_H
#define GRAPH_H

#include "base/base.h"
#include "base/file.h"
#include "opgraft/op_abi.h"

typedef struct og_model og_model;
typedef struct graph graph;
typedef struct graph_node graph_node;
typedef struct graph_value graph_value;
typedef struct graph_attr graph_attr;

/* Bytes of the file that an object was read from; p == NULL when it was made or changed here. */
typedef base_bytes graph_bytes;

typedef struct graph_use { graph_node *node; int input; } graph_use;

struct graph_value {
	const char *name;                    /* unique in its graph; "" never: an absent input is a NULL value */
	graph *owner;
	og_dtype dtype;                      /* OG_NONE: unknown */
	int rank;                            /* -1: unknown */
	og_dim dims[OG_MAX_RANK];            /* see graph_dim_*; below 0: a symbol or GRAPH_DIM_UNKNOWN */
	const og_tensor *constant;           /* initializer or folded; its data may be unaligned; NULL: not constant */
	graph_node *producer;                /* NULL: graph input, constant, or function parameter */
	int output;                          /* which output of the producer */
	graph_use *uses; size_t n_uses, cap_uses;    /* inner graphs' nodes too; in no order that means anything */
	bool is_input, is_output;            /* of its graph (a constant may be an input as well: its default) */
	graph_bytes source;                  /* TensorProto of a constant */
	graph_bytes info;                    /* ValueInfoProto: of inputs, outputs, value_info */
	const char *doc;
	void *file;                          /* the reader's, kept through changes and copies */
	void *mark;                          /* scratch of the running pass */
	graph_value *prev, *next;            /* all values of the graph */
};

/* An attribute as it stands on a node. `type` GRAPH_ATTR_OPAQUE: kept by its bytes only. */
enum { GRAPH_ATTR_OPAQUE = 100 };
struct graph_attr {
	const char *name;
	int type;                            /* og_attr_type without OG_ATTR_ENUM, or GRAPH_ATTR_OPAQUE */
	int64_t i; float f;
	const char *s; size_t n;             /* string (may hold NULs; one is added), or length of a list */
	const int64_t *ints; const float *floats; const char *const *strings;
	const og_tensor *t; const char *t_name;
	graph *g;
	const char *ref;                     /* inside a function: takes the value of this attribute of the caller */
	graph_bytes source;
};

struct graph_node {
	const char *name;                    /* may be "" */
	const char *type, *domain;           /* "Conv", "" (never NULL) */
	const og_op *op;                     /* NULL: not known to Opgraft, or not resolved yet */
	graph *owner;
	graph_value **in; int n_in;          /* NULL entries: optional inputs left out */
	graph_value **out; int n_out;        /* NULL entries: outputs not wanted */
	size_t *slots;                       /* in[k]->uses[slots[k]] is this use: keeps removing it O(1) */
	graph_attr *attrs; int n_attrs;
	size_t cap_in, cap_slots, cap_out, cap_attrs;
	const char *doc;
	graph_bytes source;                  /* NodeProto */
	void *file;                          /* the reader's: fields that the node has no word for; kept through changes */
	void *mark;
	size_t order;                        /* scratch of graph_sort and graph_verify */
	graph_node *prev, *next;
};

struct graph {
	og_model *model;
	graph *parent;                       /* of a body: the graph that its node is in; else NULL */
	graph_node *holder;                  /* of a body: the node that has it as attribute */
	const char *name, *doc;
	graph_node *first, *last; size_t n_nodes;
	graph_value *first_value, *last_value;
	graph_value **inputs; int n_inputs;
	graph_value **outputs; int n_outputs;    /* values of this graph, not of one around it */
	size_t cap_inputs, cap_outputs;
	map by_name;                         /* values */
	graph *next_made;                    /* chain of og_model.made */
	graph_bytes source;                  /* GraphProto; p == NULL once anything in it changed */
	void *file;                          /* the reader's: fields that the graph has no word for */
};

typedef struct graph_opset { const char *domain; int64_t version; } graph_opset;
typedef struct graph_symbol { const char *name; int64_t min, opt, max; } graph_symbol;   /* 0: not said */

/* A model function (ONNX FunctionProto). Its graph's inputs and outputs have neither type nor shape. */
typedef struct graph_function {
	const char *name, *domain;
	graph *body;
	const char *const *attributes; int n_attributes;   /* names without default */
	graph_attr *defaults; int n_defaults;
	graph_opset *opsets; int n_opsets;
	graph_bytes source;
	void *file;
} graph_function;

struct og_model {
	arena *a;
	graph *main;
	graph *made;                         /* every graph ever made here, the latest first: for their maps */
	graph_function *functions; int n_functions;
	graph_opset *opsets; int n_opsets;
	size_t cap_functions, cap_opsets;
	int64_t ir_version;
	const char *path;                    /* where it was read from; NULL */
	graph_symbol *symbols; int n_symbols; size_t cap_symbols;
	map symbol_index;
	file_map *files; size_t n_files, cap_files;        /* mapped; closed with the model */
	const og_model *lender;              /* of a copy: the model whose bytes it shares; else NULL */
	graph_bytes source;                  /* ModelProto; p == NULL once anything changed */
	void *file;                          /* the reader's */
	unsigned next_name;                  /* for graph_fresh_name */
};

/* ---- models --------------------------------------------------------------------------------- */
og_model *graph_model_create(void);                 /* with an empty main graph; NULL: no memory */
void graph_model_destroy(og_model *);               /* NULL is fine */
int64_t graph_opset_version(const og_model *, const char *domain);        /* 0: not imported */
og_status graph_opset_require(og_model *, const char *domain, int64_t version);  /* adds or raises */
graph_function *graph_function_find(const og_model *, const char *domain, const char *name);
/* A function with an empty body; OG_USAGE when there is one. Moves the others: pointers to functions end here. */
og_status graph_function_add(graph_function **out, og_model *, const char *domain, const char *name);
/* Deep copy of a model into a new one. What never changes in place is shared (names, lists, constants' data,
 * source bytes, `file`): `from` must outlive it. */
og_status graph_model_copy(og_model **out, const og_model *from);
/* The data will not be read soon: where it lies in a mapped file of the model, or of one it was copied from, its memory goes
 * back to the system until it is read again. */
void graph_tensor_forget(const og_model *, const og_tensor *);

/* ---- dimensions ----------------------------------------------------------------------------- */
/* 0 or more: a size. GRAPH_DIM_UNKNOWN: nothing known. Below that: symbol number -2 - dim. A symbol's name may be
 * an expression: "(N*16)", "floor((H+1)/2)", "(-3)" (sizes below 0 come up on the way to a result). */
#define GRAPH_DIM_UNKNOWN ((og_dim)-1)
og_dim graph_dim_symbol(og_model *, const char *name);      /* finds or adds; GRAPH_DIM_UNKNOWN when memory is short */
const char *graph_dim_name(const og_model *, og_dim);       /* symbol's name; NULL when it is no symbol */
/* The same operations that shape rules have; symbolic results are symbols named by their expression in one normal
 * form, so that equal expressions are the same symbol. GRAPH_DIM_UNKNOWN for what cannot be said (division by 0,
 * sizes that do not broadcast, expressions that grow too long). EQUAL and LESS give 1, 0 or unknown. */
og_dim graph_dim_do(og_model *, og_dim_op, og_dim a, og_dim b);
/* Text of a type: "f32[N,3,224,224]", "f32[?]", rank 0 "f32[]", unknown rank "f32[*]", nothing known "?". */
void graph_print_type(text *, const og_model *, og_dtype, int rank, const og_dim *dims);

/* ---- building and changing ------------------------------------------------------------------ */
graph *graph_create(og_model *, graph *parent, const char *name);
/* A new value; name NULL: a fresh one; a taken name: fails with OG_USAGE. */
og_status graph_value_add(graph_value **out, graph *, const char *name, og_dtype, int rank, const og_dim *dims);
graph_value *graph_value_find(const graph *, const char *name);           /* this graph only */
graph_value *graph_value_lookup(const graph *, const char *name);         /* and the graphs around it */
og_status graph_value_rename(graph_value *, const char *name);
void graph_value_remove(graph_value *);             /* must have no producer and no use and be no output */
/* A constant value; data is borrowed (it must live as long as the model: see arena_aligned). */
og_status graph_constant_add(graph_value **out, graph *, const char *name, const og_tensor *);
/* Makes a value constant and sets its type; t is copied into the arena, not its data. A producer loses this output. */
og_status graph_constant_set(graph_value *, const og_tensor *);
og_status graph_input_add(graph *, graph_value *);                        /* OG_USAGE when it is one or is computed */
og_status graph_output_add(graph *, graph_value *);
/* Takes the k-th out of the list; the value stays. */
void graph_input_remove(graph *, int k);
void graph_output_remove(graph *, int k);
/* The output list keeps its names: puts another value behind output k; the two values swap names. OG_USAGE when
 * v is an input or output, whose name must stay as well: put an Identity between. */
og_status graph_output_set(graph *, int k, graph_value *v);
/* A node in front of `before` (NULL: at the end) with n_in inputs and n_out outputs, all NULL. */
og_status graph_node_add(graph_node **out, graph *, graph_node *before, const char *domain, const char *type,
                         const char *name, int n_in, int n_out);
void graph_node_remove(graph_node *);               /* its bodies too; the output values stay, without producer */
void graph_clear(graph *);                          /* removes every node */
void graph_node_move(graph_node *, graph_node *before);
og_status graph_set_input(graph_node *, int k, graph_value *);            /* grows n_in when needed */
og_status graph_set_output(graph_node *, int k, graph_value *);           /* v must have no producer */
/* Node uses, inner graphs too; not graph outputs, and not the node that makes `by` (it may wrap `of`). */
og_status graph_replace_uses(graph_value *of, graph_value *by);
char *graph_fresh_name(graph *, const char *stem);  /* "stem_7": in no graph of the model and never given before */
void graph_touch(graph *);                          /* this graph and its holders no longer equal their bytes */

/* What to call a node: its name, the name of its first output where it has none, its type where it has neither. */
const char *graph_node_label(const graph_node *);
graph_attr *graph_attr_find(const graph_node *, const char *name);        /* NULL when absent */
og_status graph_attr_set_int(graph_node *, const char *name, int64_t);
og_status graph_attr_set_float(graph_node *, const char *name, float);
og_status graph_attr_set_string(graph_node *, const char *name, const char *);
og_status graph_attr_set_ints(graph_node *, const char *name, const int64_t *, size_t n);      /* copied */
og_status graph_attr_set_floats(graph_node *, const char *name, const float *, size_t n);      /* copied */
og_status graph_attr_set_tensor(graph_node *, const char *name, const og_tensor *);            /* data borrowed */
og_status graph_attr_set_strings(graph_node *, const char *name, const char *const *, size_t n);   /* copied */
og_status graph_attr_set_graph(graph_node *, const char *name, graph *);  /* takes it from the node that held it */
/* Adds the attribute, or replaces the one of that name; all that it points to must live as long as the model. */
og_status graph_attr_put(graph_node *, const graph_attr *);
void graph_attr_remove(graph_node *, const char *name);
/* True when both are of one type and hold the same number, string or list, by bits; names and references do not count. False
 * for tensors, bodies and opaque attributes. */
bool graph_attr_same_plain(const graph_attr *, const graph_attr *);
/* Name, type and value, all copied but tensors' data. What a body takes from around it is found by name when
 * `to` is of another model; OG_USAGE when it is not there. */
og_status graph_attr_copy(graph_node *to, const graph_attr *from);

#define GRAPH_MAX_NESTING 64         /* bodies in bodies; readers refuse deeper ones */
/* Puts nodes in topological order, in bodies too; fails with OG_BAD_FILE naming a node on the cycle. A node that is
 * needed by one in front of it moves in front of that one; the others keep their order. O(nodes + uses). */
og_status graph_sort(graph *);
/* Checks every invariant above, all inner graphs and functions included; OG_BAD_FILE with the first fault. */
og_status graph_verify(const og_model *);

/* ---- text form ------------------------------------------------------------------------------ */
og_status graph_print(text *, const og_model *);    /* whole model; reads back equal */
og_status graph_parse(og_model **out, const char *s, size_t n);           /* OG_BAD_FILE with line and column */
/* True when both compute the same by structure: same nodes in the same order, attributes, constants (bits), names;
 * types of inputs and outputs, and of other values where both know them. Else false and a sentence set.
 * Docs, source bytes and unused values count for nothing. */
bool graph_equal(const og_model *, const og_model *);

/* ---- constants ------------------------------------------------------------------------------ */
/* Element k of a constant as double or int64: any dtype of whole bytes, halves too; NaN or 0 for others. Numbers
 * outside int64 saturate. */
double graph_tensor_double(const og_tensor *, int64_t k);
int64_t graph_tensor_int(const og_tensor *, int64_t k);
/* The same type, shape and bits. */
bool graph_tensor_same(const og_tensor *, const og_tensor *);
/* Copies a tensor so that its data is aligned to 64 bytes, into the arena; data NULL stays NULL. NULL: no memory. */
og_tensor *graph_tensor_copy(arena *, const og_tensor *);
og_tensor *graph_tensor_new(arena *, og_dtype, int rank, const int64_t *dims);   /* cleared data; no strings */

#endif
