/* check_tensorrt_abi.cpp -- see check_tensorrt_abi.sh. The lists of tensorrt_abi.h and runtime_tensorrt.h are what is compared: nothing is
 * listed twice here but the names of struct members. */
#include <cstdio>
#include <cstring>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "NvInferRuntime.h"
#ifdef WITH_PARSER
#include "NvInfer.h"
#include "NvOnnxParser.h"
#endif

extern "C" {
#include "bridge/tensorrt_abi.h"
#include "kit/runtime_tensorrt.h"
}

using namespace nvinfer1;

static int wrong, compared;

static void same(const char *of, const char *what, long ours, long theirs)
{
	compared++;
	if (ours == theirs) return;
	wrong++;
	printf("%s %s: %ld here, %ld in the SDK\n", of, what, ours, theirs);
}

/* Where a virtual function lies in its class's table: what a pointer to it holds [itanium 2.3], 1 added or not. */
template <typename F> static long place(F function)
{
	ptrdiff_t words[2];
	static_assert(sizeof function == sizeof words, "a pointer to a member is two words");
	memcpy(words, &function, sizeof words);
	return words[0] & ~(ptrdiff_t)1;
}

/* The kind that an interface says it has; its function looks at no object. */
template <typename T> static const char *kind()
{
	alignas(16) static char nothing[64];
	return reinterpret_cast<T *>(nothing)->T::getInterfaceInfo().kind;
}

static void same_text(const char *of, const char *ours, const char *theirs)
{
	compared++;
	if (!strcmp(ours, theirs)) return;
	wrong++;
	printf("%s: \"%s\" here, \"%s\" in the SDK\n", of, ours, theirs);
}

#define SIZE(ours, theirs) same(#theirs, "size", sizeof(ours), sizeof(theirs));
#define FIELD(ours, ours_name, theirs, theirs_name) \
	same(#theirs, #theirs_name, offsetof(ours, ours_name), offsetof(theirs, theirs_name));

static void numbers()
{
#define X(name, number, ours) same("DataType", #name, number, (long)DataType::k##name);
	TRT_TYPES(X)
#undef X
#define X(name, number, lanes, channel) same("TensorFormat", #name, number, (long)TensorFormat::k##name);
	TRT_FORMATS(X)
#undef X
#define X(name, number, ctype) same("PluginFieldType", #name, number, (long)PluginFieldType::k##name);
	TRT_FIELDS(X)
#undef X
#define X(name, number, ours) same("DimensionOperation", #name, number, (long)DimensionOperation::k##name);
	TRT_DIM_OPS(X)
#undef X
#define X(name, number) same("ILogger::Severity", #name, number, (long)ILogger::Severity::k##name);
	TRT_SEVERITIES(X)
#undef X
	same("TensorRTPhase", "kBUILD", TRT_PHASE_BUILD, (long)TensorRTPhase::kBUILD);
	same("TensorRTPhase", "kRUNTIME", TRT_PHASE_RUNTIME, (long)TensorRTPhase::kRUNTIME);
	same("PluginCapabilityType", "kCORE", TRT_CAPABILITY_CORE, (long)PluginCapabilityType::kCORE);
	same("PluginCapabilityType", "kBUILD", TRT_CAPABILITY_BUILD, (long)PluginCapabilityType::kBUILD);
	same("PluginCapabilityType", "kRUNTIME", TRT_CAPABILITY_RUNTIME, (long)PluginCapabilityType::kRUNTIME);
	same("APILanguage", "kCPP", TRT_LANGUAGE_CPP, (long)APILanguage::kCPP);
	same("APILanguage", "kPYTHON", TRT_LANGUAGE_PYTHON, (long)APILanguage::kPYTHON);
	same("Dims", "MAX_DIMS", TRT_MAX_DIMS, Dims::MAX_DIMS);
	same("IPluginV3OneBuild", "format limit", TRT_FORMAT_COMBINATIONS,
	     IPluginV3OneBuild::kDEFAULT_FORMAT_COMBINATION_LIMIT);
}

static void structs()
{
	SIZE(trt_dims, Dims)
	FIELD(trt_dims, nbDims, Dims, nbDims)
	FIELD(trt_dims, d, Dims, d)
	SIZE(trt_info, InterfaceInfo)
	FIELD(trt_info, kind, InterfaceInfo, kind)
	FIELD(trt_info, major, InterfaceInfo, major)
	FIELD(trt_info, minor, InterfaceInfo, minor)
	SIZE(trt_tensor, PluginTensorDesc)
	FIELD(trt_tensor, dims, PluginTensorDesc, dims)
	FIELD(trt_tensor, type, PluginTensorDesc, type)
	FIELD(trt_tensor, format, PluginTensorDesc, format)
	FIELD(trt_tensor, scale, PluginTensorDesc, scale)
	SIZE(trt_range, DynamicPluginTensorDesc)
	FIELD(trt_range, desc, DynamicPluginTensorDesc, desc)
	FIELD(trt_range, min, DynamicPluginTensorDesc, min)
	FIELD(trt_range, max, DynamicPluginTensorDesc, max)
	FIELD(trt_range, opt, DynamicPluginTensorDesc, opt)
	SIZE(trt_field, PluginField)
	FIELD(trt_field, name, PluginField, name)
	FIELD(trt_field, data, PluginField, data)
	FIELD(trt_field, type, PluginField, type)
	FIELD(trt_field, length, PluginField, length)
	SIZE(trt_fields, PluginFieldCollection)
	FIELD(trt_fields, nbFields, PluginFieldCollection, nbFields)
	FIELD(trt_fields, fields, PluginFieldCollection, fields)
	SIZE(trt_dims_expr, DimsExprs)
	FIELD(trt_dims_expr, nbDims, DimsExprs, nbDims)
	FIELD(trt_dims_expr, d, DimsExprs, d)
	SIZE(trt_dim, IDimensionExpr)
	SIZE(trt_expr_builder, IExprBuilder)
}

/* A destructor has no pointer; that it takes two places shows in those behind it. */
#undef TRT_DESTRUCTOR
#define TRT_DESTRUCTOR(X)
#define PLACES(table, type, LIST) { using T = type; using O = table; LIST(PLACE) }
#define PLACE(result, function, arguments) \
	same(typeid(T).name(), #function, offsetof(O, function), place(&T::function));

/* TensorRT 10 has loggers that are no versioned interfaces. */
template <typename Logger, typename Finder> static void loggers()
{
	if constexpr (std::is_base_of_v<IVersionedInterface, Finder>) {
		PLACES(trt_logger_table, Logger, TRT_LOGGER)
		PLACES(trt_logger_finder_table, Finder, TRT_LOGGER_FINDER)
		same_text("ILoggerFinder", TRT_LOGGER_FINDER_TYPE, typeid(Finder).name());
	} else {
		PLACES(trt_logger_10_table, Logger, TRT_LOGGER_10)
		PLACES(trt_logger_finder_10_table, Finder, TRT_LOGGER_FINDER_10)
		same_text("ILoggerFinder", TRT_LOGGER_FINDER_10_TYPE, typeid(Finder).name());
	}
}

static void interfaces()
{
	PLACES(trt_plugin_table, IPluginV3, TRT_VERSIONED)
	PLACES(trt_plugin_table, IPluginV3, TRT_PLUGIN)
	PLACES(trt_creator_table, IPluginCreatorV3One, TRT_CREATOR)
	PLACES(trt_core_table, IPluginV3OneCore, TRT_CORE)
	PLACES(trt_build_table, IPluginV3OneBuild, TRT_BUILD)
	PLACES(trt_runtime_table, IPluginV3OneRuntime, TRT_RUNTIME)
	PLACES(trt_context_table, IPluginResourceContext, TRT_CONTEXT)
	PLACES(trt_dim_value_table, apiv::VDimensionExpr, TRT_DIM_VALUE)
	PLACES(trt_dim_maker_table, apiv::VExprBuilder, TRT_DIM_MAKER)
	loggers<ILogger, ILoggerFinder>();
	same_text("IPluginV3", TRT_PLUGIN_KIND, kind<IPluginV3>());
	same_text("IPluginCreatorV3One", TRT_CREATOR_KIND, kind<IPluginCreatorV3One>());
	same_text("IPluginV3OneCore", TRT_CORE_KIND, kind<IPluginV3OneCore>());
	same_text("IPluginV3OneBuild", TRT_BUILD_KIND, kind<IPluginV3OneBuild>());
	same_text("IPluginV3OneRuntime", TRT_RUNTIME_KIND, kind<IPluginV3OneRuntime>());
}

#ifdef WITH_PARSER
enum { SLOTS = 32 };
static long called;
template <int slot> static void note() { called = slot; }
template <int... slot> static const runtime_trt_function *notes(std::integer_sequence<int, slot...>)
{
	static const runtime_trt_function table[] = { note<slot>... };
	return table;
}

/* The place that `delete` calls, of a class without constructor: of an object whose functions only say which they are. */
template <typename T> static long destructor()
{
	runtime_trt_object nothing = { notes(std::make_integer_sequence<int, SLOTS>()) };
	called = -1;
	delete reinterpret_cast<T *>(&nothing);
	return called;
}

static void parser()
{
	const bool eleven = NV_TENSORRT_VERSION >= RUNTIME_TRT_11;
	same("IBuilder", "size", sizeof(runtime_trt_builder), sizeof(IBuilder));
	same("NetworkDefinitionCreationFlag", "kSTRONGLY_TYPED", eleven ? RUNTIME_TRT_11_TYPED : RUNTIME_TRT_10_TYPED,
	     (long)NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#define X(name, number, sentence) same("ErrorCode", #name, number, (long)nvonnxparser::ErrorCode::k##name);
	RUNTIME_TRT_REFUSALS(X)
#undef X
#define X(name, type, function, ten, later) same(#type, #function, eleven ? later : ten, place(&type::function) / (long)sizeof(void *));
	RUNTIME_TRT_PLACES(X)
#undef X
#define X(name, type, ten, later) same(#type, "destructor", eleven ? later : ten, destructor<type>());
	RUNTIME_TRT_DESTRUCTORS(X)
#undef X
}
#else
static void parser() { printf("the parser is not compared: there is no NvOnnxParser.h\n"); }
#endif

int main()
{
	numbers();
	structs();
	interfaces();
	parser();
	printf("TensorRT %d.%d.%d: %d facts compared, %d differ\n", NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR,
	       NV_TENSORRT_PATCH, compared, wrong);
	return wrong != 0;
}
