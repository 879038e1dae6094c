/* tensorrt_abi.h -- how TensorRT and its plugins talk, as C: both for writing a plugin and for driving one.
 *
 * Facts only, each from a public source; tools/check_tensorrt_abi.sh compares them with the headers of an SDK.
 *   [itanium]   Itanium C++ ABI, https://itanium-cxx-abi.github.io/cxx-abi/abi.html: 2.5 virtual tables, 2.9 type
 *               information, 3.1 calls; what GCC and Clang follow on Linux, x86-64 and aarch64 alike
 *   [base] [pluginbase] [runtime] [plugin] [impl]   NvInferRuntimeBase.h, NvInferPluginBase.h, NvInferRuntime.h,
 *               NvInferRuntimePlugin.h, NvInferImpl.h in include/ of https://github.com/NVIDIA/TensorRT, 10.0 to 11.1
 *   [trtexec]   samples/trtexec/README.md there: what a plugin library exports
 *
 * An object begins with a pointer to its table of functions, each of which takes the object as its first argument. In
 * front of the table lie two words: the distance to the top of the whole object, and type information. A virtual
 * destructor is two functions, one that ends the object's life and one that frees it as well. [itanium 2.5]
 * An InterfaceInfo is 16 bytes of class INTEGER: it comes back in two registers, as a C struct does. [itanium 3.1.4]
 *
 * Names of functions are TensorRT's, so that its manual can be read beside this. */
#ifndef TENSORRT_ABI_H
#define TENSORRT_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- numbers -------------------------------------------------------------------------------- */

/* DataType [base]. X(name, number, our type) */
#define TRT_TYPES(X) \
	X(FLOAT, 0, OG_F32)  X(HALF, 1, OG_F16)   X(INT8, 2, OG_I8)     X(INT32, 3, OG_I32) \
	X(BOOL, 4, OG_BOOL)  X(UINT8, 5, OG_U8)   X(FP8, 6, OG_F8E4M3FN) X(BF16, 7, OG_BF16) \
	X(INT64, 8, OG_I64)  X(INT4, 9, OG_I4)
#define X(name, number, ours) TRT_##name = number,
typedef enum trt_type { TRT_TYPES(X) } trt_type;
#undef X

/* TensorFormat [runtime]: a channel dimension, `channel` places before the end, is rounded up to a multiple of `lanes`,
 * and wanders to the end, whole or lane by lane. LINEAR has none. Those of the DLA, padded per row, are left out.
 * X(name, number, lanes, channel) */
#define TRT_FORMATS(X) \
	X(LINEAR, 0, 1, 0)  X(CHW2, 1, 2, 3)    X(HWC8, 2, 8, 3)    X(CHW4, 3, 4, 3)   X(CHW16, 4, 16, 3) \
	X(CHW32, 5, 32, 3)  X(DHWC8, 6, 8, 4)   X(CDHW32, 7, 32, 4) X(HWC, 8, 1, 3)    X(HWC16, 11, 16, 3) \
	X(DHWC, 12, 1, 4)
#define X(name, number, lanes, channel) TRT_##name = number,
typedef enum trt_format { TRT_FORMATS(X) } trt_format;
#undef X

/* PluginFieldType [pluginbase]. X(name, number, C type) */
#define TRT_FIELDS(X) \
	X(FLOAT16, 0, uint16_t) X(FLOAT32, 1, float)   X(FLOAT64, 2, double) X(INT8, 3, int8_t) X(INT16, 4, int16_t) \
	X(INT32, 5, int32_t)    X(CHAR, 6, char)       X(DIMS, 7, trt_dims)  X(UNKNOWN, 8, char) X(BF16, 9, uint16_t) \
	X(INT64, 10, int64_t)
#define X(name, number, ctype) TRT_FIELD_##name = number,
typedef enum trt_field_type { TRT_FIELDS(X) } trt_field_type;
#undef X

/* DimensionOperation [runtime]. X(name, number, our operation) */
#define TRT_DIM_OPS(X) \
	X(SUM, 0, OG_DIM_SUM)     X(PROD, 1, OG_DIM_PROD)   X(MAX, 2, OG_DIM_MAX)     X(MIN, 3, OG_DIM_MIN) \
	X(SUB, 4, OG_DIM_SUB)     X(EQUAL, 5, OG_DIM_EQUAL) X(LESS, 6, OG_DIM_LESS)   X(FLOOR_DIV, 7, OG_DIM_FLOOR_DIV) \
	X(CEIL_DIV, 8, OG_DIM_CEIL_DIV)
#define X(name, number, ours) TRT_DIM_##name = number,
typedef enum trt_dim_op { TRT_DIM_OPS(X) } trt_dim_op;
#undef X

/* ILogger::Severity [runtime] */
#define TRT_SEVERITIES(X) X(INTERNAL_ERROR, 0) X(ERROR, 1) X(WARNING, 2) X(INFO, 3) X(VERBOSE, 4)
#define X(name, number) TRT_##name = number,
typedef enum trt_severity { TRT_SEVERITIES(X) } trt_severity;
#undef X

enum { TRT_PHASE_BUILD, TRT_PHASE_RUNTIME };                     /* TensorRTPhase [pluginbase] */
enum { TRT_CAPABILITY_CORE, TRT_CAPABILITY_BUILD, TRT_CAPABILITY_RUNTIME };      /* PluginCapabilityType [pluginbase] */
enum { TRT_LANGUAGE_CPP, TRT_LANGUAGE_PYTHON };                  /* APILanguage [base] */
enum { TRT_MAX_DIMS = 8, TRT_FORMAT_COMBINATIONS = 100 };        /* Dims::MAX_DIMS [base]; usual limit [runtime] */

/* ---- data ------------------------------------------------------------------------------------ */

/* Dims64 [base]; a d of -1 is not known */
typedef struct trt_dims { int32_t nbDims; int64_t d[TRT_MAX_DIMS]; } trt_dims;
/* InterfaceInfo [base] */
typedef struct trt_info { const char *kind; int32_t major, minor; } trt_info;
/* PluginTensorDesc [plugin]: type and format are a trt_type and a trt_format, but may be numbers that we don't know */
typedef struct trt_tensor { trt_dims dims; int32_t type, format; float scale; } trt_tensor;
/* DynamicPluginTensorDesc [runtime] */
typedef struct trt_range { trt_tensor desc; trt_dims min, max, opt; } trt_range;
/* PluginField, PluginFieldCollection [pluginbase]; length counts elements of that type */
typedef struct trt_field { const char *name; const void *data; int32_t type, length; } trt_field;
typedef struct trt_fields { int32_t nbFields; const trt_field *fields; } trt_fields;

/* ---- interfaces ------------------------------------------------------------------------------ */

/* What lies in front of a table. Our tables have distance 0 and no type: TensorRT asks getInterfaceInfo what an object
 * of a plugin library is, as its Python API does (python/src/infer/pyPlugin.cpp), and dynamic_casts none of them. */
typedef struct trt_prefix { ptrdiff_t offset_to_top; const void *type; } trt_prefix;

/* Each list has an interface's own functions in order: X(result, name, (arguments)). */
#define TRT_FUNCTION(result, name, arguments) result (*name) arguments;
/* IVersionedInterface [base], in front of all but the last four interfaces */
#define TRT_VERSIONED(X) \
	X(int32_t, getAPILanguage, (void *self)) \
	X(trt_info, getInterfaceInfo, (void *self)) \
	TRT_DESTRUCTOR(X)
#define TRT_DESTRUCTOR(X) X(void, end, (void *self)) X(void, destroy, (void *self))

/* An interface: struct trt_NAME is an object, trt_NAME_table its table. */
#define TRT_INTERFACE(name, HEAD, OWN) \
	typedef struct trt_##name##_table { HEAD(TRT_FUNCTION) OWN(TRT_FUNCTION) } trt_##name##_table; \
	struct trt_##name { const trt_##name##_table *table; };
#define TRT_NO_HEAD(X)

typedef struct trt_creator trt_creator;
typedef struct trt_plugin trt_plugin;
typedef struct trt_core trt_core;
typedef struct trt_build trt_build;
typedef struct trt_runtime trt_runtime;
typedef struct trt_logger trt_logger;
typedef struct trt_logger_finder trt_logger_finder;
typedef struct trt_logger_10 trt_logger_10;
typedef struct trt_logger_finder_10 trt_logger_finder_10;
typedef struct trt_context trt_context;
typedef struct trt_dim_value trt_dim_value;
typedef struct trt_dim_maker trt_dim_maker;

/* IDimensionExpr and IExprBuilder [runtime]: objects with a destructor only, which call what they point to,
 * VDimensionExpr and VExprBuilder [impl]. */
typedef struct trt_dim { const void *table; trt_dim_value *value; } trt_dim;
/* DimsExprs [runtime] */
typedef struct trt_dims_expr { int32_t nbDims; const trt_dim *d[TRT_MAX_DIMS]; } trt_dims_expr;
typedef struct trt_expr_builder { const void *table; trt_dim_maker *maker; } trt_expr_builder;

#define TRT_DIM_VALUE(X) \
	X(bool, isConstant, (trt_dim_value *)) \
	X(int64_t, getConstantValue, (trt_dim_value *)) \
	X(bool, isSizeTensor, (trt_dim_value *))
TRT_INTERFACE(dim_value, TRT_DESTRUCTOR, TRT_DIM_VALUE)
#define TRT_DIM_MAKER(X) \
	X(const trt_dim *, constant, (trt_dim_maker *, int64_t value)) \
	X(const trt_dim *, operation, (trt_dim_maker *, int32_t op, const trt_dim *first, const trt_dim *second)) \
	X(const trt_dim *, declareSizeTensor, (trt_dim_maker *, int32_t output, const trt_dim *opt, const trt_dim *upper))
TRT_INTERFACE(dim_maker, TRT_DESTRUCTOR, TRT_DIM_MAKER)

/* IPluginCreatorV3One [runtime], kind "PLUGIN CREATOR_V3ONE" 1.0 */
#define TRT_CREATOR(X) \
	X(trt_plugin *, createPlugin, (trt_creator *, const char *layer, const trt_fields *, int32_t phase)) \
	X(const trt_fields *, getFieldNames, (trt_creator *)) \
	X(const char *, getPluginName, (trt_creator *)) \
	X(const char *, getPluginVersion, (trt_creator *)) \
	X(const char *, getPluginNamespace, (trt_creator *))
TRT_INTERFACE(creator, TRT_VERSIONED, TRT_CREATOR)
#define TRT_CREATOR_KIND "PLUGIN CREATOR_V3ONE"

/* IPluginV3 [pluginbase], kind "PLUGIN" 1.0. The capabilities belong to the plugin and are not destroyed. */
#define TRT_PLUGIN(X) \
	X(void *, getCapabilityInterface, (trt_plugin *, int32_t capability)) \
	X(trt_plugin *, clone, (trt_plugin *))
TRT_INTERFACE(plugin, TRT_VERSIONED, TRT_PLUGIN)
#define TRT_PLUGIN_KIND "PLUGIN"

/* IPluginV3OneCore [runtime], 1.0 */
#define TRT_CORE(X) \
	X(const char *, getPluginName, (trt_core *)) \
	X(const char *, getPluginVersion, (trt_core *)) \
	X(const char *, getPluginNamespace, (trt_core *))
TRT_INTERFACE(core, TRT_VERSIONED, TRT_CORE)
#define TRT_CORE_KIND "PLUGIN_V3ONE_CORE"

/* IPluginV3OneBuild [runtime], 1.0; version 2.0 (release 10.7) has getAliasedInput(int32_t output) behind these */
#define TRT_BUILD(X) \
	X(int32_t, configurePlugin, (trt_build *, const trt_range *in, int32_t n_in, const trt_range *out, int32_t n_out)) \
	X(int32_t, getOutputDataTypes, (trt_build *, int32_t *out, int32_t n_out, const int32_t *in, int32_t n_in)) \
	X(int32_t, getOutputShapes, (trt_build *, const trt_dims_expr *in, int32_t n_in, const trt_dims_expr *shape_in, \
	                             int32_t n_shape_in, trt_dims_expr *out, int32_t n_out, trt_expr_builder *)) \
	X(bool, supportsFormatCombination, (trt_build *, int32_t position, const trt_range *in_out, int32_t n_in, \
	                                    int32_t n_out)) \
	X(int32_t, getNbOutputs, (trt_build *)) \
	X(size_t, getWorkspaceSize, (trt_build *, const trt_range *in, int32_t n_in, const trt_range *out, int32_t n_out)) \
	X(int32_t, getValidTactics, (trt_build *, int32_t *tactics, int32_t n)) \
	X(int32_t, getNbTactics, (trt_build *)) \
	X(const char *, getTimingCacheID, (trt_build *)) \
	X(int32_t, getFormatCombinationLimit, (trt_build *)) \
	X(const char *, getMetadataString, (trt_build *))
TRT_INTERFACE(build, TRT_VERSIONED, TRT_BUILD)
#define TRT_BUILD_KIND "PLUGIN_V3ONE_BUILD"

/* IPluginV3OneRuntime [runtime], 1.0. stream: a CUstream. */
#define TRT_RUNTIME(X) \
	X(int32_t, setTactic, (trt_runtime *, int32_t tactic)) \
	X(int32_t, onShapeChange, (trt_runtime *, const trt_tensor *in, int32_t n_in, const trt_tensor *out, int32_t n_out)) \
	X(int32_t, enqueue, (trt_runtime *, const trt_tensor *in_desc, const trt_tensor *out_desc, const void *const *in, \
	                     void *const *out, void *workspace, void *stream)) \
	X(trt_plugin *, attachToContext, (trt_runtime *, trt_context *)) \
	X(const trt_fields *, getFieldsToSerialize, (trt_runtime *))
TRT_INTERFACE(runtime, TRT_VERSIONED, TRT_RUNTIME)
#define TRT_RUNTIME_KIND "PLUGIN_V3ONE_RUNTIME"

/* IPluginResourceContext [runtime]; both results may be NULL */
#define TRT_CONTEXT(X) \
	X(void *, getGpuAllocator, (trt_context *)) \
	X(void *, getErrorRecorder, (trt_context *)) \
	TRT_DESTRUCTOR(X)
TRT_INTERFACE(context, TRT_NO_HEAD, TRT_CONTEXT)

/* ILogger and ILoggerFinder [runtime]. Release 11 made both versioned interfaces, which moved their functions;
 * TensorRT-RTX 1.7.1 has the new form. The type information of the finder tells which it is: it descends from a class
 * of this name. */
#define TRT_LOGGER(X) X(void, log, (trt_logger *, int32_t severity, const char *message))
TRT_INTERFACE(logger, TRT_VERSIONED, TRT_LOGGER)
#define TRT_LOGGER_FINDER(X) X(trt_logger *, findLogger, (trt_logger_finder *))
TRT_INTERFACE(logger_finder, TRT_VERSIONED, TRT_LOGGER_FINDER)
#define TRT_LOGGER_FINDER_TYPE "N8nvinfer15v_1_013ILoggerFinderE"

#define TRT_LOGGER_10(X) X(void, log, (trt_logger_10 *, int32_t severity, const char *message)) TRT_DESTRUCTOR(X)
TRT_INTERFACE(logger_10, TRT_NO_HEAD, TRT_LOGGER_10)
#define TRT_LOGGER_FINDER_10(X) X(trt_logger_10 *, findLogger, (trt_logger_finder_10 *)) TRT_DESTRUCTOR(X)
TRT_INTERFACE(logger_finder_10, TRT_NO_HEAD, TRT_LOGGER_FINDER_10)
#define TRT_LOGGER_FINDER_10_TYPE "N8nvinfer113ILoggerFinderE"

/* std::type_info and the descendants of it that a class with bases has [itanium 2.9.5]. The type information of a type
 * information (in its table's prefix) tells which it is, by the names below. */
typedef struct trt_class { const void *table; const char *name; } trt_class;
typedef struct trt_class_one_base { trt_class self; const trt_class *base; } trt_class_one_base;
typedef struct trt_class_bases {
	trt_class self;
	unsigned flags, n;
	struct { const trt_class *base; long offset_flags; } base[];
} trt_class_bases;
#define TRT_CLASS_ONE_BASE_TYPE "N10__cxxabiv120__si_class_type_infoE"
#define TRT_CLASS_BASES_TYPE "N10__cxxabiv121__vmi_class_type_infoE"

/* ---- what a plugin library exports [trtexec] ---------------------------------------------------- */

/* "getCreators": the array and all in it stay as long as the library. */
typedef trt_creator *const *trt_get_creators(int32_t *count);
/* "setLoggerFinder": called before getCreators with one of the two finders. Libraries may lack it. */
typedef void trt_set_logger_finder(void *finder);

#endif
