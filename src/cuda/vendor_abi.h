/* vendor_abi.h -- what we use of cuDNN 9 and of cuBLASLt 12 and 13, opened by name: no header of theirs, nothing linked. Facts from their
 * references: docs.nvidia.com/deeplearning/cudnn/backend (graph API) and docs.nvidia.com/cuda/cublas (cuBLASLt). Handles and
 * descriptors are pointers; every function returns 0 for success. tools/check_vendor_abi.sh compares this with their headers. */
#ifndef VENDOR_ABI_H
#define VENDOR_ABI_H

#include <stddef.h>
#include <stdint.h>

/* X(name, arguments) */
#define CUDNN_MAP(X) \
	X(cudnnCreate, (void **handle)) \
	X(cudnnSetStream, (void *handle, void *stream)) \
	X(cudnnBackendCreateDescriptor, (int kind, void **descriptor)) \
	X(cudnnBackendDestroyDescriptor, (void *descriptor)) \
	X(cudnnBackendSetAttribute, (void *descriptor, int attribute, int type, int64_t count, const void *values)) \
	X(cudnnBackendGetAttribute, (void *descriptor, int attribute, int type, int64_t most, int64_t *count, void *values)) \
	X(cudnnBackendFinalize, (void *descriptor)) \
	X(cudnnBackendExecute, (void *handle, void *plan, void *variant_pack))

/* X(name, value): enumerators as they are called there */
#define CUDNN_NUMBERS(X) \
	X(CUDNN_DATA_FLOAT, 0) X(CUDNN_DATA_HALF, 2) X(CUDNN_DATA_BFLOAT16, 9) \
	X(CUDNN_CROSS_CORRELATION, 1) X(CUDNN_POINTWISE_ADD, 0) X(CUDNN_POINTWISE_RELU_FWD, 100) X(CUDNN_HEUR_MODE_A, 3) \
	X(CUDNN_BACKEND_POINTWISE_DESCRIPTOR, 0) X(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, 1) X(CUDNN_BACKEND_ENGINE_DESCRIPTOR, 2) \
	X(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, 3) X(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, 4) X(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, 5) \
	X(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, 10) X(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, 13) \
	X(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, 15) X(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, 16) X(CUDNN_BACKEND_TENSOR_DESCRIPTOR, 17) \
	X(CUDNN_TYPE_HANDLE, 0) X(CUDNN_TYPE_DATA_TYPE, 1) X(CUDNN_TYPE_BOOLEAN, 2) X(CUDNN_TYPE_INT64, 3) X(CUDNN_TYPE_FLOAT, 4) \
	X(CUDNN_TYPE_VOID_PTR, 6) X(CUDNN_TYPE_CONVOLUTION_MODE, 7) X(CUDNN_TYPE_HEUR_MODE, 8) X(CUDNN_TYPE_NUMERICAL_NOTE, 11) \
	X(CUDNN_TYPE_POINTWISE_MODE, 14) X(CUDNN_TYPE_BACKEND_DESCRIPTOR, 15) \
	X(CUDNN_ATTR_POINTWISE_MODE, 0) X(CUDNN_ATTR_POINTWISE_MATH_PREC, 1) \
	X(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, 100) X(CUDNN_ATTR_CONVOLUTION_CONV_MODE, 101) X(CUDNN_ATTR_CONVOLUTION_DILATIONS, 102) \
	X(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, 103) X(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, 104) \
	X(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 105) X(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 106) \
	X(CUDNN_ATTR_ENGINEHEUR_MODE, 200) X(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, 201) X(CUDNN_ATTR_ENGINEHEUR_RESULTS, 202) \
	X(CUDNN_ATTR_ENGINECFG_ENGINE, 300) X(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, 400) X(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 401) \
	X(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 402) \
	X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 700) X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 701) \
	X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, 702) X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, 703) \
	X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, 704) X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, 705) \
	X(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, 750) X(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, 751) \
	X(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, 752) X(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, 753) \
	X(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, 800) X(CUDNN_ATTR_OPERATIONGRAPH_OPS, 801) \
	X(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 900) X(CUDNN_ATTR_TENSOR_DATA_TYPE, 901) X(CUDNN_ATTR_TENSOR_DIMENSIONS, 902) \
	X(CUDNN_ATTR_TENSOR_STRIDES, 903) X(CUDNN_ATTR_TENSOR_UNIQUE_ID, 906) X(CUDNN_ATTR_TENSOR_IS_VIRTUAL, 907) \
	X(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, 1000) X(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, 1001) X(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, 1003) \
	X(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, 1303) \
	X(CUDNN_NUMERICAL_NOTE_TENSOR_CORE, 0) X(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, 1) \
	X(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, 2) X(CUDNN_NUMERICAL_NOTE_FFT, 3) X(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, 4) \
	X(CUDNN_NUMERICAL_NOTE_WINOGRAD, 5) X(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13, 8)

typedef struct cublas_choice {               /* cublasLtMatmulHeuristicResult_t */
	uint64_t algorithm[8];
	size_t workspace;
	int state;
	float waves;
	int reserved[4];
} cublas_choice;

#define CUBLAS_MAP(X) \
	X(cublasLtCreate, (void **handle)) \
	X(cublasLtMatmulDescCreate, (void **description, int compute, int scale)) \
	X(cublasLtMatmulDescSetAttribute, (void *description, int attribute, const void *value, size_t bytes)) \
	X(cublasLtMatmulDescDestroy, (void *description)) \
	X(cublasLtMatrixLayoutCreate, (void **layout, int type, uint64_t rows, uint64_t columns, int64_t step)) \
	X(cublasLtMatrixLayoutDestroy, (void *layout)) \
	X(cublasLtMatmulPreferenceCreate, (void **preference)) \
	X(cublasLtMatmulPreferenceSetAttribute, (void *preference, int attribute, const void *value, size_t bytes)) \
	X(cublasLtMatmulPreferenceDestroy, (void *preference)) \
	X(cublasLtMatmulAlgoGetHeuristic, (void *handle, void *description, void *a, void *b, void *c, void *d, void *preference, int most, \
	                                   cublas_choice *choices, int *count)) \
	X(cublasLtMatmul, (void *handle, void *description, const void *alpha, const void *a, void *a_layout, const void *b, void *b_layout, \
	                   const void *beta, const void *c, void *c_layout, void *d, void *d_layout, const uint64_t *algorithm, void *workspace, \
	                   size_t bytes, void *stream))

#define CUBLAS_NUMBERS(X) \
	X(CUDA_R_32F, 0) X(CUDA_R_16F, 2) X(CUDA_R_16BF, 14) X(CUBLAS_COMPUTE_32F, 68) X(CUBLAS_COMPUTE_32F_FAST_TF32, 77) X(CUBLAS_OP_T, 1) \
	X(CUBLASLT_MATMUL_DESC_TRANSA, 3) X(CUBLASLT_MATMUL_DESC_EPILOGUE, 7) X(CUBLASLT_MATMUL_DESC_BIAS_POINTER, 8) \
	X(CUBLASLT_EPILOGUE_BIAS, 4) X(CUBLASLT_EPILOGUE_RELU_BIAS, 6) \
	X(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 1) X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 5) \
	X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 8)

#define X(name, value) OG_##name = value,
enum { CUDNN_NUMBERS(X) };
enum { CUBLAS_NUMBERS(X) };
#undef X
#define X(name, arguments) int (*name) arguments;
typedef struct cudnn_api { CUDNN_MAP(X) } cudnn_api;
typedef struct cublas_api { CUBLAS_MAP(X) } cublas_api;
#undef X

#endif
