/* private.h -- what the reader's and the writer's files share. */
#ifndef ONNX_PRIVATE_H
#define ONNX_PRIVATE_H

#include "onnx/fields.h"
#include "onnx/onnx.h"

/* ---- what the reader leaves for the writer: the `file` of each object ------------------------- */
/* Unlike `source` these stay when an object changes, so that fields without a word in the graph go on. `file` of a
 * node, graph or function: graph_bytes, its message. */

typedef struct onnx_value_file {
	graph_bytes tensor;                  /* TensorProto; SparseTensorProto when `sparse` */
	graph_bytes info;                    /* ValueInfoProto */
	const og_tensor *constant;           /* what `tensor` holds: a value may be given another constant later */
	bool sparse;
} onnx_value_file;

typedef struct onnx_model_file {
	graph_bytes bytes;                   /* ModelProto */
	const char *beside;                  /* external data lies in the folder of this path; NULL: nowhere */
	bool external;                       /* there is such data */
} onnx_model_file;

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct onnx_reader {
	arena *a;                            /* the model's, or that of a lone tensor */
	arena *temporary;                    /* ends with the reading; NULL for a lone tensor */
	og_model *m;                         /* NULL for a lone tensor */
	onnx_model_file *file;               /* NULL for a lone tensor */
	const uint8_t *base;
	map external;                        /* location -> 1 + its number in m->files, as a pointer */
	int depth;                           /* graphs around the one being read */
} onnx_reader;

/* More attributes on a node, or functions in a model, are refused: both are looked up one by one. */
enum { ONNX_MAX_ATTRS = 1024, ONNX_MAX_FUNCTIONS = 10000 };

/* A name in the arena. OG_BAD_FILE: it holds a NUL byte, which no name of ours can. */
og_status onnx_name(const char **out, arena *, graph_bytes);
/* Its bytes for the writer. NULL: memory is short. */
graph_bytes *onnx_remember(onnx_reader *, graph_bytes);
/* Puts a message's place in front of the sentence made so far: "node 17 ('conv1')". `message`: what `b` is. */
og_status onnx_fail_in(og_status, const char *what, size_t k, onnx_message message, graph_bytes b);

/* Does the tensor keep its data in another file, and in which (*location may be NULL)? */
bool onnx_tensor_is_external(graph_bytes tensor, graph_bytes *location);
/* A TensorProto. The data stays in the map where it can, else goes to r->a; of strings it is NULL. */
og_status onnx_decode_tensor(onnx_reader *, og_tensor *out, graph_bytes *name, graph_bytes tensor);
/* SparseTensorProto as a constant without data: it is only kept. `name`: of its values. */
og_status onnx_decode_sparse(onnx_reader *, og_tensor *out, graph_bytes *name, graph_bytes tensor);

/* Each message of a graph or function with that field number, in order. */
typedef struct onnx_parts {
	onnx_message owner;
	graph_bytes bytes;                   /* of the owner */
	uint32_t number;
	onnx_message part;                   /* what the field holds; ONNX_MESSAGE_COUNT: a string */
	const char *what;                    /* in sentences: "node" */
} onnx_parts;
typedef og_status onnx_part_fn(onnx_reader *, graph *, graph_bytes part, void *state);
og_status onnx_each_part(onnx_reader *, graph *, const onnx_parts *, onnx_part_fn *, void *state);

/* The nodes of a graph whose inputs, constants and typed values are there; then its outputs' names are known. */
og_status onnx_read_nodes(onnx_reader *, graph *, const onnx_parts *);
/* Their inputs and attributes, bodies included. */
og_status onnx_fill_nodes(onnx_reader *, graph *, const onnx_parts *);
/* An attribute that stands on no node (a function's default) or on `holder`. */
og_status onnx_read_attr(onnx_reader *, graph_attr *out, graph_node *holder, graph_bytes);
og_status onnx_read_graph(onnx_reader *, graph *, graph_bytes);

/* ---- writing -------------------------------------------------------------------------------- */

/* A constant's data that goes to the external file. */
typedef struct onnx_payload { const void *p; size_t n; uint64_t offset; } onnx_payload;

typedef struct onnx_writer {
	wire_out out;
	const og_model *m;
	bool reencode;                       /* no message is copied */
	bool moving;                         /* tensors may change their place: no message that may hold one is copied */
	bool external;                       /* larger constants go to the external file */
	bool same_folder;                    /* external data that is there already stays */
	const char *data_name;               /* of the external file; NULL: there can be none */
	onnx_payload *payloads; size_t n_payloads, cap_payloads;
	uint64_t data_size;
	og_status status;                    /* of the first thing that cannot be written; the sentence is set */
} onnx_writer;

/* A TensorProto or SparseTensorProto to be. */
typedef struct onnx_tensor_out {
	const char *name;
	const og_tensor *t;
	graph_bytes source;                  /* p != NULL: it is these bytes */
	graph_bytes file;                    /* it was read from these, and then perhaps renamed; p == NULL: made here */
	bool movable;                        /* may go to the external file */
} onnx_tensor_out;

void onnx_put_tensor(onnx_writer *, uint32_t number, const onnx_tensor_out *);
/* The fields of a tensor that is not copied; of o->file only what says neither shape nor numbers. move: its data goes
 * to the external file. */
void onnx_put_tensor_fields(onnx_writer *, const onnx_tensor_out *, bool move);
void onnx_put_sparse(onnx_writer *, uint32_t number, const onnx_tensor_out *);
void onnx_put_attr(onnx_writer *, uint32_t number, const graph_attr *);
void onnx_put_nodes(onnx_writer *, uint32_t number, const graph *);
/* Types of the values that are neither inputs nor outputs. `all`: also those that the file did not have. */
void onnx_put_infos(onnx_writer *, uint32_t number, const graph *, bool all);
void onnx_put_graph(onnx_writer *, uint32_t number, const graph *);
/* A function as MODEL_functions. */
void onnx_put_function(onnx_writer *, const graph_function *);
void onnx_put_opset(onnx_writer *, uint32_t number, const graph_opset *, onnx_message owner, graph_bytes from);

#endif
