/* onnxruntime_abi.h -- what of ONNX Runtime's C interface is used here, in both directions: to call it, and to be called as a
 * custom op. No header of it is needed.
 *
 * OrtApi is a struct of function pointers that only ever grows at its end, so a function's place in it is part of the ABI; so are
 * the order of OrtCustomOp's fields and the numbers of its enums. Source of both: the public header
 * include/onnxruntime/core/session/onnxruntime_c_api.h (structs OrtApi and OrtCustomOp, which say that they only grow). */
#ifndef ONNXRUNTIME_ABI_H
#define ONNXRUNTIME_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef struct ort_base { const void *const *(*get_api)(uint32_t version); const char *(*version)(void); } ort_base;

/* Names here are those of OrtApi. A status is NULL when all is well and is else ended by ReleaseStatus. */

/* To run a model. X(name, place in OrtApi, result, arguments) */
#define ORT_RUN_MAP(X) \
	X(GetErrorMessage,          2, const char *, (const void *status)) \
	X(CreateEnv,                3, void *, (int severity, const char *name, void **out)) \
	X(CreateSession,            7, void *, (const void *env, const char *path, const void *options, void **out)) \
	X(Run,                      9, void *, (void *session, const void *options, const char *const *in_names, \
	                                        const void *const *in, size_t n_in, const char *const *out_names, size_t n_out, void **out)) \
	X(CreateSessionOptions,    10, void *, (void **out)) \
	X(SetSessionGraphOptimizationLevel, 23, void *, (void *options, int level)) \
	X(SetIntraOpNumThreads,    24, void *, (void *options, int threads)) \
	X(SetInterOpNumThreads,    25, void *, (void *options, int threads)) \
	X(SessionGetInputCount,    30, void *, (const void *session, size_t *out)) \
	X(SessionGetOutputCount,   31, void *, (const void *session, size_t *out)) \
	X(SessionGetInputName,     36, void *, (const void *session, size_t k, void *allocator, char **out)) \
	X(SessionGetOutputName,    37, void *, (const void *session, size_t k, void *allocator, char **out)) \
	X(CreateTensorWithDataAsOrtValue, 49, void *, (const void *info, void *data, size_t bytes, const int64_t *dims, size_t rank, \
	                                        int type, void **out)) \
	X(GetTensorMutableData,    51, void *, (void *value, void **out)) \
	X(GetTensorElementType,    60, void *, (const void *shape, int *out)) \
	X(GetDimensionsCount,      61, void *, (const void *shape, size_t *out)) \
	X(GetDimensions,           62, void *, (const void *shape, int64_t *dims, size_t rank)) \
	X(GetTensorTypeAndShape,   65, void *, (const void *value, void **out)) \
	X(CreateCpuMemoryInfo,     69, void *, (int allocator, int type, void **out)) \
	X(AllocatorFree,           76, void *, (void *allocator, void *p)) \
	X(GetAllocatorWithDefaultOptions, 78, void *, (void **out)) \
	X(ReleaseEnv,              92, void, (void *)) \
	X(ReleaseStatus,           93, void, (void *)) \
	X(ReleaseMemoryInfo,       94, void, (void *)) \
	X(ReleaseSession,          95, void, (void *)) \
	X(ReleaseValue,            96, void, (void *)) \
	X(ReleaseTensorTypeAndShapeInfo, 99, void, (void *)) \
	X(ReleaseSessionOptions,  100, void, (void *)) \
	X(RegisterCustomOpsLibrary_V2, 228, void *, (void *options, const char *path))
enum { ORT_RUN_VERSION = 14 };           /* an API version that has all of them */

/* To be a custom op. `info`: OrtKernelInfo, `c`: OrtKernelContext or OrtShapeInferContext, `shape`:
 * OrtTensorTypeAndShapeInfo. */
#define ORT_OP_MAP(X) \
	X(CreateStatus,             0, void *, (int code, const char *message)) \
	X(CreateCustomOpDomain,    26, void *, (const char *domain, void **out)) \
	X(CustomOpDomain_Add,      27, void *, (void *domain, const void *op)) \
	X(AddCustomOpDomain,       28, void *, (void *options, void *domain)) \
	X(GetTensorMutableData,    51, void *, (void *value, void **out)) \
	X(CreateTensorTypeAndShapeInfo, 57, void *, (void **out)) \
	X(SetTensorElementType,    58, void *, (void *shape, int type)) \
	X(SetDimensions,           59, void *, (void *shape, const int64_t *dims, size_t rank)) \
	X(GetTensorElementType,    60, void *, (const void *shape, int *out)) \
	X(GetDimensionsCount,      61, void *, (const void *shape, size_t *out)) \
	X(GetDimensions,           62, void *, (const void *shape, int64_t *dims, size_t rank)) \
	X(GetSymbolicDimensions,   63, void *, (const void *shape, const char **names, size_t rank)) \
	X(GetTensorTypeAndShape,   65, void *, (const void *value, void **out)) \
	X(KernelInfoGetAttribute_float,  85, void *, (const void *info, const char *name, float *out)) \
	X(KernelInfoGetAttribute_int64,  86, void *, (const void *info, const char *name, int64_t *out)) \
	X(KernelInfoGetAttribute_string, 87, void *, (const void *info, const char *name, char *out, size_t *size)) \
	X(KernelContext_GetInputCount,   88, void *, (const void *c, size_t *out)) \
	X(KernelContext_GetOutputCount,  89, void *, (const void *c, size_t *out)) \
	X(KernelContext_GetInput,        90, void *, (const void *c, size_t k, const void **out)) \
	X(KernelContext_GetOutput,       91, void *, (void *c, size_t k, const int64_t *dims, size_t rank, void **out)) \
	X(ReleaseStatus,           93, void, (void *)) \
	X(ReleaseTensorTypeAndShapeInfo, 99, void, (void *)) \
	X(KernelInfoGetAttributeArray_float, 162, void *, (const void *info, const char *name, float *out, size_t *n)) \
	X(KernelInfoGetAttributeArray_int64, 163, void *, (const void *info, const char *name, int64_t *out, size_t *n)) \
	X(KernelContext_GetGPUComputeStream, 193, void *, (const void *c, void **out)) \
	X(KernelInfo_GetNodeName,  244, void *, (const void *info, char *out, size_t *size)) \
	X(ShapeInferContext_GetInputCount,     267, void *, (const void *c, size_t *out)) \
	X(ShapeInferContext_GetInputTypeShape, 268, void *, (const void *c, size_t k, void **shape)) \
	X(ShapeInferContext_GetAttribute,      269, void *, (const void *c, const char *name, const void **out)) \
	X(ShapeInferContext_SetOutputTypeShape, 270, void *, (const void *c, size_t k, const void *shape)) \
	X(SetSymbolicDimensions,   271, void *, (void *shape, const char **names, size_t rank)) \
	X(ReadOpAttr,              272, void *, (const void *attribute, int type, void *data, size_t bytes, size_t *size)) \
	X(KernelContext_ParallelFor, 274, void *, (const void *c, void (*item)(void *arg, size_t k), size_t n, size_t batches, void *arg))
enum { ORT_OP_VERSION = 18 };            /* the first API version that has all of them and every field of ort_custom_op */

enum { ORT_FAIL = 1, ORT_INVALID_ARGUMENT = 2, ORT_NOT_IMPLEMENTED = 9 };                         /* OrtErrorCode */
enum { ORT_REQUIRED, ORT_OPTIONAL, ORT_VARIADIC };                        /* OrtCustomOpInputOutputCharacteristic */
enum { ORT_MEMORY_CPU_INPUT = -2, ORT_MEMORY_DEFAULT = 0 };                                           /* OrtMemType */
enum { ORT_ATTR_INT = 1, ORT_ATTR_INTS, ORT_ATTR_FLOAT, ORT_ATTR_FLOATS, ORT_ATTR_STRING };       /* OrtOpAttrType */
/* Element types (ONNXTensorElementDataType) have the numbers of og_dtype. */

/* OrtCustomOp as of API version 18. The memory is ours and lives as long as the process. */
typedef struct ort_custom_op ort_custom_op;
struct ort_custom_op {
	uint32_t version;
	void *(*create)(const ort_custom_op *, const void *api, const void *info);
	const char *(*name)(const ort_custom_op *);
	const char *(*provider)(const ort_custom_op *);              /* NULL: CPU */
	int (*input_type)(const ort_custom_op *, size_t k);
	size_t (*input_count)(const ort_custom_op *);
	int (*output_type)(const ort_custom_op *, size_t k);
	size_t (*output_count)(const ort_custom_op *);
	void (*compute)(void *kernel, void *c);
	void (*destroy)(void *kernel);
	int (*input_characteristic)(const ort_custom_op *, size_t k);
	int (*output_characteristic)(const ort_custom_op *, size_t k);
	int (*input_memory)(const ort_custom_op *, size_t k);
	int (*variadic_input_least)(const ort_custom_op *);
	int (*variadic_input_same)(const ort_custom_op *);
	int (*variadic_output_least)(const ort_custom_op *);
	int (*variadic_output_same)(const ort_custom_op *);
	void *(*create_2)(const ort_custom_op *, const void *api, const void *info, void **kernel);
	void *(*compute_2)(void *kernel, void *c);                   /* these two return a status; used when not NULL */
	void *(*infer)(const ort_custom_op *, void *c);
	int (*first_version)(const ort_custom_op *);
	int (*last_version)(const ort_custom_op *);
	size_t (*may_inplace)(int **in, int **out);                  /* pairs: this input's memory may be this output's */
	void (*release_may_inplace)(int *in, int *out);
	size_t (*aliases)(int **in, int **out);
	void (*release_aliases)(int *in, int *out);
};

#endif
