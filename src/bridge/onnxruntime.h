/* onnxruntime.h -- what the two files of the ONNX Runtime bridge share. */
#ifndef ONNXRUNTIME_H
#define ONNXRUNTIME_H

#include "bridge/library.h"
#include "bridge/onnxruntime_abi.h"

typedef struct ort_api {
#define X(name, place, result, arguments) result (*name) arguments;
	ORT_OP_MAP(X)
#undef X
} ort_api;

/* A custom op of ONNX Runtime: an op of the library on one choice of types and one provider. */
typedef struct ort_op {
	ort_custom_op base;                  /* first: ONNX Runtime hands this back */
	const ort_api *api;
	const library_op *l;
	og_dtype in[SCHEMA_MAX_ARGS], out[SCHEMA_MAX_ARGS];      /* of the declared arguments */
	bool cuda;
} ort_op;

/* A status for ONNX Runtime with this thread's sentence; NULL for OG_OK. */
void *ort_status(const ort_api *, og_status);

/* The attributes of a node whose shapes are asked for (c: OrtShapeInferContext), checked; n_attrs of them into out, lists
 * and strings in the arena. */
og_status ort_infer_attributes(og_attr_value *out, const ort_op *, const void *c, arena *);

/* The kernel functions of ort_custom_op. */
void *ort_kernel_create(const ort_custom_op *, const void *api, const void *info, void **kernel);
void *ort_kernel_compute(void *kernel, void *c);
void ort_kernel_destroy(void *kernel);

#endif
