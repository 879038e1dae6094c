/* runtime_tensorrt.h -- what runtime_tensorrt.c calls of TensorRT's builder and of its ONNX parser: facts from NvInfer.h, NvInferImpl.h and
 * NvInferRuntimeCommon.h in include/ of https://github.com/NVIDIA/TensorRT, and NvOnnxParser.h, which lies there from release 11 on and
 * before in https://github.com/onnx/onnx-tensorrt. tools/check_tensorrt_abi.sh compares them with such headers.
 *
 * Release 11 removed functions that lay in front of those used here, in all of them at once. Its parser calls itself version 0.1 as that of
 * release 10 does, so the library's version tells. TensorRT-RTX counts otherwise: 1.7 is like release 11, and its parser's version is 0.2. */
#ifndef RUNTIME_TENSORRT_H
#define RUNTIME_TENSORRT_H

/* Least getInferLibVersion() of TensorRT, and getNvOnnxParserVersion() of TensorRT-RTX, that is like release 11. */
enum { RUNTIME_TRT_11 = 110000, RUNTIME_RTX_11_PARSER = 200 };

/* Places in the tables of virtual functions [itanium: see bridge/tensorrt_abi.h].
 * X(name, class, function, place up to release 10, place from 11 on) */
#define RUNTIME_TRT_PLACES(X) \
	X(network_create, apiv::VBuilder, createNetworkV2, 8, 6) \
	X(parser_parse, nvonnxparser::IParser, parse, 0, 0) \
	X(parser_errors, nvonnxparser::IParser, getNbErrors, 5, 3) \
	X(parser_error, nvonnxparser::IParser, getError, 6, 4) \
	X(error_code, nvonnxparser::IParserError, code, 0, 0) \
	X(error_desc, nvonnxparser::IParserError, desc, 1, 1) \
	X(error_operator, nvonnxparser::IParserError, nodeOperator, 7, 7) \
	X(registry_load, IPluginRegistry, loadLibrary, 10, 6)
/* Of what `delete` calls. X(name, class, place up to release 10, place from 11 on) */
#define RUNTIME_TRT_DESTRUCTORS(X) \
	X(network_destroy, INetworkDefinition, 1, 1) \
	X(parser_destroy, nvonnxparser::IParser, 9, 7)

/* NetworkDefinitionCreationFlag::kSTRONGLY_TYPED, a bit's number */
enum { RUNTIME_TRT_10_TYPED = 1, RUNTIME_TRT_11_TYPED = 0 };

/* nvonnxparser::ErrorCode. X(name, number, what it does not take) */
#define RUNTIME_TRT_REFUSALS(X) \
	X(UNSUPPORTED_NODE, 8, "does not import %s") \
	X(UNSUPPORTED_NODE_ATTR, 9, "does not import %s with these attributes") \
	X(UNSUPPORTED_NODE_INPUT, 10, "does not import %s with these inputs") \
	X(UNSUPPORTED_NODE_DATATYPE, 11, "does not import %s on this type") \
	X(UNSUPPORTED_NODE_DYNAMIC, 12, "does not import %s of sizes that are not known") \
	X(UNSUPPORTED_NODE_SHAPE, 13, "does not import %s of these shapes")

typedef void (*runtime_trt_function)(void);
typedef struct runtime_trt_object { const runtime_trt_function *table; } runtime_trt_object;
/* IBuilder calls a second object, VBuilder, which lies behind its own table. */
typedef struct runtime_trt_builder { const runtime_trt_function *table; runtime_trt_object *does; } runtime_trt_builder;

#endif
