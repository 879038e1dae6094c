/* onnx.h -- ONNX files <-> models, losing nothing. IR versions 3 to 13, opsets 7 to 26. */
#ifndef ONNX_H
#define ONNX_H

#include "graph/graph.h"

/* ---- reading -------------------------------------------------------------------------------- */

/* Maps the file and makes a model over it: tensor data, and what the graph has no word for, stay in the map, which
 * the model keeps. The model passes graph_verify; its nodes are in topological order and not resolved yet.
 * OG_MISSING: the file, or one with its external data, cannot be opened. OG_BAD_FILE: damaged or contradictory;
 * the sentence names the file, the place and what is wrong. OG_UNSUPPORTED: a version, or a tensor, that is too
 * new or too large for us. */
og_status onnx_read(og_model **out, const char *path);
/* The same from memory that must outlive the model. External data is looked for in `folder`; NULL: refused. */
og_status onnx_read_memory(og_model **out, const void *data, size_t n, const char *folder);

/* Reads a file that holds one tensor (TensorProto: the inputs and outputs of ONNX's tests) into the arena; of strings
 * only the shape. *name (may be NULL) becomes its name, "" when it has none. */
og_status onnx_read_tensor(og_tensor *out, arena *, const char *path, const char **name);
og_status onnx_read_tensor_memory(og_tensor *out, arena *, const void *data, size_t n, const char **name);

/* ---- writing -------------------------------------------------------------------------------- */

typedef struct onnx_write_options {
	bool external;                       /* constants of 1 KiB and more go to an external file */
	bool reencode;                       /* for tests: make every message anew, also those that were not touched */
	uint64_t limit;                      /* for tests: bytes of the largest model file; 0: protobuf's 2 GiB less one */
} onnx_write_options;

/* Writes the model, replacing the file whole. A model that was not changed since it was read gives the same bytes; of
 * one that was changed, each node, tensor, type and function that was not touched keeps its bytes, and fields come in
 * the order of their numbers. A file that would pass the limit gets its larger constants in "PATH.data" beside it.
 * External data that lies in the same folder stays where it is, else it is copied to "PATH.data".
 * options NULL: none. OG_UNSUPPORTED: it does not fit a file whatever is moved out. */
og_status onnx_write(og_model *, const char *path, const onnx_write_options *);
/* The same into memory, to be freed with base_free; external data keeps its reference. */
og_status onnx_write_memory(og_model *, uint8_t **data, size_t *n, const onnx_write_options *);
/* A file of one tensor; name may be NULL. Strings are refused. */
og_status onnx_write_tensor(const og_tensor *, const char *name, const char *path);

#endif
