/* tf_fields.h -- the messages and fields of TensorFlow's files that Opgraft knows: the one place for their numbers, by which
 * both the binary form and the text form are read.
 * The numbers are those of the .proto files under https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core
 * (framework/: graph, node_def, attr_value, tensor, tensor_shape, function, op_def, versions, tensor_slice; protobuf/:
 * saved_model, meta_graph, saver, tensor_bundle, saved_object_graph, trackable_object_graph). Other fields are passed over. */
#ifndef TF_FIELDS_H
#define TF_FIELDS_H

#include "base/wire.h"

/* What a field holds. X(kind, how it stands on the wire, may it stand more than once) */
#define TF_FIELD_KINDS(X) \
	X(STRING, BYTES, false) X(STRINGS, BYTES, true) X(INT, INT, false) X(INTS, INTS, true) X(BOOL, INT, false) \
	X(BOOLS, INTS, true) X(TYPE, INT, false) X(TYPES, INTS, true) X(FLOAT, FLOAT, false) X(FLOATS, FLOATS, true) \
	X(DOUBLES, DOUBLES, true) X(WORD, FLOAT, false) X(ONE, MESSAGE, false) X(MANY, BYTES, true)

/* X(MESSAGE, its name in the .proto files); an entry is that of a map */
#define TF_MESSAGES(X) \
	X(NONE, no message) \
	X(SAVED_MODEL, SavedModel) X(META_GRAPH, MetaGraphDef) X(META_INFO, MetaInfoDef) X(OP_LIST, OpList) X(OP, OpDef) \
	X(ARG, OpDef.ArgDef) X(GRAPH, GraphDef) X(NODE, NodeDef) X(ATTR_ENTRY, attribute) X(ATTR, AttrValue) \
	X(LIST, AttrValue.ListValue) X(FUNC, NameAttrList) X(TENSOR, TensorProto) X(SHAPE, TensorShapeProto) \
	X(DIM, TensorShapeProto.Dim) X(LIBRARY, FunctionDefLibrary) X(FUNCTION, FunctionDef) X(RET, FunctionDef.ret) \
	X(VERSIONS, VersionDef) X(SAVER, SaverDef) X(SIGNATURE_ENTRY, signature_def) X(SIGNATURE, SignatureDef) \
	X(PORT_ENTRY, SignatureDef entry) X(PORT, TensorInfo) X(BUNDLE_HEADER, BundleHeaderProto) \
	X(BUNDLE_ENTRY, BundleEntryProto) X(SLICE, TensorSliceProto) X(EXTENT, TensorSliceProto.Extent) \
	X(OBJECTS, SavedObjectGraph) X(CONCRETE_ENTRY, concrete_functions) X(CONCRETE, SavedConcreteFunction) \
	X(TRACKED_OBJECTS, TrackableObjectGraph) X(TRACKED, TrackableObject) X(TRACKED_TENSOR, SerializedTensor)

/* F(MESSAGE, field, number, kind, the message that it holds) */
#define TF_FIELDS(F) \
	F(SAVED_MODEL, meta_graphs,      2, MANY, META_GRAPH) \
	\
	F(META_GRAPH, meta_info_def,     1, ONE, META_INFO)        F(META_GRAPH, graph_def,         2, ONE, GRAPH) \
	F(META_GRAPH, saver_def,         3, ONE, SAVER)            F(META_GRAPH, signature_def,     5, MANY, SIGNATURE_ENTRY) \
	F(META_GRAPH, object_graph_def,  7, ONE, OBJECTS) \
	\
	F(META_INFO, stripped_op_list,   2, ONE, OP_LIST)          F(META_INFO, tags,               4, STRINGS, NONE) \
	\
	F(OP_LIST, op,                   1, MANY, OP) \
	\
	F(OP, name,                      1, STRING, NONE)          F(OP, input_arg,                 2, MANY, ARG) \
	F(OP, output_arg,                3, MANY, ARG) \
	\
	F(ARG, name,                     1, STRING, NONE)          F(ARG, number_attr,              5, STRING, NONE) \
	F(ARG, type_list_attr,           6, STRING, NONE) \
	\
	F(GRAPH, node,                   1, MANY, NODE)            F(GRAPH, library,                2, ONE, LIBRARY) \
	F(GRAPH, version,                3, INT, NONE)             F(GRAPH, versions,               4, ONE, VERSIONS) \
	\
	F(NODE, name,                    1, STRING, NONE)          F(NODE, op,                      2, STRING, NONE) \
	F(NODE, input,                   3, STRINGS, NONE)         F(NODE, attr,                    5, MANY, ATTR_ENTRY) \
	\
	F(ATTR_ENTRY, key,               1, STRING, NONE)          F(ATTR_ENTRY, value,             2, ONE, ATTR) \
	\
	F(ATTR, list,                    1, ONE, LIST)             F(ATTR, s,                       2, STRING, NONE) \
	F(ATTR, i,                       3, INT, NONE)             F(ATTR, f,                       4, FLOAT, NONE) \
	F(ATTR, b,                       5, BOOL, NONE)            F(ATTR, type,                    6, TYPE, NONE) \
	F(ATTR, shape,                   7, ONE, SHAPE)            F(ATTR, tensor,                  8, ONE, TENSOR) \
	F(ATTR, placeholder,             9, STRING, NONE)          F(ATTR, func,                   10, ONE, FUNC) \
	\
	F(LIST, s,                       2, STRINGS, NONE)         F(LIST, i,                       3, INTS, NONE) \
	F(LIST, f,                       4, FLOATS, NONE)          F(LIST, b,                       5, BOOLS, NONE) \
	F(LIST, type,                    6, TYPES, NONE)           F(LIST, shape,                   7, MANY, SHAPE) \
	F(LIST, tensor,                  8, MANY, TENSOR)          F(LIST, func,                    9, MANY, FUNC) \
	\
	F(FUNC, name,                    1, STRING, NONE)          F(FUNC, attr,                    2, MANY, ATTR_ENTRY) \
	\
	F(TENSOR, dtype,                 1, TYPE, NONE)            F(TENSOR, tensor_shape,          2, ONE, SHAPE) \
	F(TENSOR, tensor_content,        4, STRING, NONE)          F(TENSOR, float_val,             5, FLOATS, NONE) \
	F(TENSOR, double_val,            6, DOUBLES, NONE)         F(TENSOR, int_val,               7, INTS, NONE) \
	F(TENSOR, string_val,            8, STRINGS, NONE)         F(TENSOR, scomplex_val,          9, FLOATS, NONE) \
	F(TENSOR, int64_val,            10, INTS, NONE)            F(TENSOR, bool_val,             11, BOOLS, NONE) \
	F(TENSOR, dcomplex_val,         12, DOUBLES, NONE)         F(TENSOR, half_val,             13, INTS, NONE) \
	F(TENSOR, uint32_val,           16, INTS, NONE)            F(TENSOR, uint64_val,           17, INTS, NONE) \
	F(TENSOR, float8_val,           18, STRING, NONE) \
	\
	F(SHAPE, dim,                    2, MANY, DIM)             F(SHAPE, unknown_rank,           3, BOOL, NONE) \
	\
	F(DIM, size,                     1, INT, NONE) \
	\
	F(LIBRARY, function,             1, MANY, FUNCTION) \
	\
	F(FUNCTION, signature,           1, ONE, OP)               F(FUNCTION, node_def,            3, MANY, NODE) \
	F(FUNCTION, ret,                 4, MANY, RET) \
	\
	F(RET, key,                      1, STRING, NONE)          F(RET, value,                    2, STRING, NONE) \
	\
	F(VERSIONS, producer,            1, INT, NONE) \
	\
	F(SAVER, restore_op_name,        3, STRING, NONE) \
	\
	F(SIGNATURE_ENTRY, key,          1, STRING, NONE)          F(SIGNATURE_ENTRY, value,        2, ONE, SIGNATURE) \
	\
	F(SIGNATURE, inputs,             1, MANY, PORT_ENTRY)      F(SIGNATURE, outputs,            2, MANY, PORT_ENTRY) \
	\
	F(PORT_ENTRY, key,               1, STRING, NONE)          F(PORT_ENTRY, value,             2, ONE, PORT) \
	\
	F(PORT, name,                    1, STRING, NONE)          F(PORT, dtype,                   2, TYPE, NONE) \
	F(PORT, tensor_shape,            3, ONE, SHAPE) \
	\
	F(BUNDLE_HEADER, num_shards,     1, INT, NONE)             F(BUNDLE_HEADER, endianness,     2, INT, NONE) \
	\
	F(BUNDLE_ENTRY, dtype,           1, TYPE, NONE)            F(BUNDLE_ENTRY, shape,           2, ONE, SHAPE) \
	F(BUNDLE_ENTRY, shard_id,        3, INT, NONE)             F(BUNDLE_ENTRY, offset,          4, INT, NONE) \
	F(BUNDLE_ENTRY, size,            5, INT, NONE)             F(BUNDLE_ENTRY, crc32c,          6, WORD, NONE) \
	F(BUNDLE_ENTRY, slices,          7, MANY, SLICE) \
	\
	F(SLICE, extent,                 1, MANY, EXTENT) \
	\
	F(EXTENT, start,                 1, INT, NONE)             F(EXTENT, length,                2, INT, NONE) \
	\
	F(OBJECTS, concrete_functions,   2, MANY, CONCRETE_ENTRY) \
	\
	F(CONCRETE_ENTRY, key,           1, STRING, NONE)          F(CONCRETE_ENTRY, value,         2, ONE, CONCRETE) \
	\
	F(CONCRETE, bound_inputs,        2, INTS, NONE) \
	\
	F(TRACKED_OBJECTS, nodes,        1, MANY, TRACKED) \
	\
	F(TRACKED, attributes,           2, MANY, TRACKED_TENSOR) \
	\
	F(TRACKED_TENSOR, name,          1, STRING, NONE)          F(TRACKED_TENSOR, checkpoint_key, 3, STRING, NONE)

/* DataType. X(number, name behind "DT_", what it is here). Resources, variants and types that ONNX lacks are OG_NONE. */
#define TF_TYPES(X) \
	X(1, FLOAT, OG_F32) X(2, DOUBLE, OG_F64) X(3, INT32, OG_I32) X(4, UINT8, OG_U8) X(5, INT16, OG_I16) X(6, INT8, OG_I8) \
	X(7, STRING, OG_STRING) X(8, COMPLEX64, OG_C64) X(9, INT64, OG_I64) X(10, BOOL, OG_BOOL) X(11, QINT8, OG_I8) \
	X(12, QUINT8, OG_U8) X(13, QINT32, OG_I32) X(14, BFLOAT16, OG_BF16) X(15, QINT16, OG_I16) X(16, QUINT16, OG_U16) \
	X(17, UINT16, OG_U16) X(18, COMPLEX128, OG_C128) X(19, HALF, OG_F16) X(20, RESOURCE, OG_NONE) X(21, VARIANT, OG_NONE) \
	X(22, UINT32, OG_U32) X(23, UINT64, OG_U64) X(24, FLOAT8_E5M2, OG_F8E5M2) X(25, FLOAT8_E4M3FN, OG_F8E4M3FN) \
	X(26, FLOAT8_E4M3FNUZ, OG_F8E4M3FNUZ) X(27, FLOAT8_E4M3B11FNUZ, OG_NONE) X(28, FLOAT8_E5M2FNUZ, OG_F8E5M2FNUZ) \
	X(29, INT4, OG_NONE) X(30, UINT4, OG_NONE) X(31, INT2, OG_NONE) X(32, UINT2, OG_NONE)
enum { TF_TYPE_REF = 100 };              /* added to the number for a reference to a variable of TensorFlow 1 */

typedef enum tf_field_kind {
#define X(kind, wire, many) TF_IS_##kind,
	TF_FIELD_KINDS(X)
#undef X
} tf_field_kind;

typedef enum tf_message {
#define X(MESSAGE, name) TF_M_##MESSAGE,
	TF_MESSAGES(X)
#undef X
	TF_MESSAGE_COUNT
} tf_message;

enum {
#define F(MESSAGE, field, number, kind, of) TF_##MESSAGE##_##field = number,
	TF_FIELDS(F)
#undef F
};

typedef struct tf_field { uint32_t number; tf_field_kind kind; tf_message of; bool many; } tf_field;

wire_reader tf_open(tf_message, base_bytes, const uint8_t *base);
/* What stands under that name in a message; number 0: it is not known. */
tf_field tf_field_find(tf_message, const char *name, size_t n);
/* The number of a DataType by its name, such as "DT_FLOAT" or "DT_FLOAT_REF"; 0: there is none. */
uint32_t tf_type_find(const char *name, size_t n);
og_dtype tf_dtype(uint64_t number);      /* references are what they refer to; OG_NONE: nothing that we hold */

#endif
