/* library.h -- what the bridges inside an op library share: its ops with their declarations read, attribute values, shape
 * rules on known sizes, and a host for eval and kernels.
 *
 * This folder's library.c, tensorrt.c, onnxruntime.c, device.c go into every op library (.so), from libopgraft_kit.a; what else they
 * need comes out of libopgraft.a one object at a time, so they call nothing that pulls in the table of built-in ops: of src/base
 * anything, of src/schema args.c and question.c, of src/cuda driver.c and op_kernel.c. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include "opgraft/op_abi.h"
#include "schema/schema.h"

/* This library: its file is written by `opgraft op build`. What is exported has default visibility here too, since
 * the strictest of all declarations counts. */
__attribute__((visibility("default"))) extern const og_library og_op_library;

/* An op and its declaration, read once. */
typedef struct library_op {
	const og_op *op;
	schema_args in, out;
	int n_attrs;
} library_op;

/* Reads all declarations, once and from any thread. OG_OK or the first fault. */
og_status library_open(void);
size_t library_count(void);
const library_op *library_at(size_t k);

/* Attribute values at their defaults: n_attrs of them into out. Lists and strings are empty. */
void library_defaults(og_attr_value *out, const library_op *);
/* Sets a number after checking type and range; OG_USAGE with a sentence that names op, attribute and legal range. */
og_status library_set_number(og_attr_value *out, const library_op *, int k, double value);
og_status library_set_word(og_attr_value *out, const library_op *, int k, const char *word);     /* of an enum, or a string (borrowed) */

enum { LIBRARY_MAX_ARGS = 64 };             /* inputs or outputs of one node: the variadic ones count */
/* Runs the op's shape rule and declaration: dims of in[] are all known (0 or more). Fills dtype, rank, dims of
 * out[]. An input that is left out has dtype OG_NONE. */
og_status library_infer(const library_op *, const og_attr_value *, int n_in, const og_shape *in, int n_out, og_shape *out);
/* The same with dimensions of the caller's making: c->host, op, attr, n_in, n_out and context are set, in[] and
 * c->out have LIBRARY_MAX_ARGS slots. What is not known stays as c->host->dim says. */
og_status library_ask(const library_op *, og_infer *c, og_shape *in);
extern const og_host library_host;          /* one thread; fail keeps the sentence: base_error() */

#endif
