/* tensorrt.h -- what the files of the TensorRT bridge share: tensorrt.c has what the library exports, and the log;
 * tensorrt_fields.c attributes as plugin fields; tensorrt_shapes.c shapes and formats; tensorrt_plugin.c the plugin. */
#ifndef TENSORRT_H
#define TENSORRT_H

#include <stdatomic.h>

#include "bridge/device.h"
#include "bridge/tensorrt_abi.h"

/* Says it through TensorRT's logger, if there is one. */
void tensorrt_log(trt_severity, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says base_error() as an error: "LAYER: sentence". layer may be NULL. */
void tensorrt_log_failure(const char *layer);

/* What stays the same over a plugin's clones: they share it, and it never changes. */
typedef struct tensorrt_settings {
	atomic_int users;
	arena *memory;               /* of all that is here, this struct included */
	const library_op *l;
	og_attr_value *attr;
	trt_fields fields;           /* the attributes that were given, for the engine file */
	const char *text;            /* "OgSwish(beta=1.5)" */
	const char *timing_id;       /* that and a hash of the op's source: equal ids take equally long on equal tensors */
	bool keeps_zero;             /* a formula that makes 0 of 0: padding that holds zeros stays so */
} tensorrt_settings;

/* Field names, types and defaults of an op, in the arena. */
og_status tensorrt_field_names(trt_fields *out, arena *, const library_op *);
/* OG_USAGE names the op, the attribute and what it takes. given may be NULL. One user. */
og_status tensorrt_settings_new(tensorrt_settings **out, const library_op *, const trt_fields *given);
void tensorrt_settings_release(tensorrt_settings *);

/* TensorRT's type as ours; OG_NONE. And back; -1. */
og_dtype tensorrt_dtype(int32_t type);
int32_t tensorrt_type(og_dtype);
/* TensorRT's names, "HALF" and "HWC8"; "?". */
const char *tensorrt_type_name(int32_t type);
const char *tensorrt_format_name(int32_t format);

/* Types of the outputs for types of the inputs, by the op's declaration and shape rule. */
og_status tensorrt_output_types(const tensorrt_settings *, og_dtype *out, int n_out, const og_dtype *in, int n_in);
/* The op's shape rule in TensorRT's expressions. */
og_status tensorrt_output_shapes(const tensorrt_settings *, const og_dtype *types, trt_dims_expr *out, int n_out,
                                 const trt_dims_expr *in, int n_in, trt_expr_builder *);
/* May the tensor at `position` have its type and format, given those before it? With the last one, is there a kernel? */
bool tensorrt_format_ok(const tensorrt_settings *, int position, const trt_range *in_out, int n_in, int n_out);

/* Inputs and outputs of one call, without data, as device.h wants them: a tensor in a packed format is a vector. */
typedef struct tensorrt_call {
	og_call call;
	og_tensor tensor[2 * LIBRARY_MAX_ARGS];
	const og_tensor *in[LIBRARY_MAX_ARGS];
	og_tensor *out[LIBRARY_MAX_ARGS];
} tensorrt_call;
/* Starts with tensors that tensorrt_call_set then fills, inputs first. OG_UNSUPPORTED: an unknown type, format or size, or
 * too many. */
og_status tensorrt_call_start(tensorrt_call *, const tensorrt_settings *, int n_in, int n_out);
og_status tensorrt_call_set(tensorrt_call *, int position, const trt_tensor *, const trt_dims *);

/* A plugin; it takes over the settings, also when memory is short (NULL). */
trt_plugin *tensorrt_plugin_new(tensorrt_settings *);
#define TENSORRT_VERSION "1"     /* of every plugin: what the ONNX parser looks for unless a node says otherwise */

#endif
