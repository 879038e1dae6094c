/* fields.h -- the messages and fields of ONNX files that Opgraft knows: the one place for their numbers.
 * Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), IR version 13.
 * A field that is not listed is kept by its bytes, as is one that is listed and that the graph has no word for. */
#ifndef ONNX_FIELDS_H
#define ONNX_FIELDS_H

#include "base/wire.h"
#include "graph/graph.h"

/* X(MESSAGE, its name in onnx.proto) */
#define ONNX_MESSAGES(X) \
	X(MODEL, ModelProto) X(OPSET, OperatorSetIdProto) X(FUNCTION, FunctionProto) X(GRAPH, GraphProto) \
	X(NODE, NodeProto) X(ATTR, AttributeProto) X(TENSOR, TensorProto) X(SPARSE, SparseTensorProto) \
	X(ENTRY, StringStringEntryProto) X(VALUE, ValueInfoProto) X(TYPE, TypeProto) X(TYPE_TENSOR, TypeProto.Tensor) \
	X(SHAPE, TensorShapeProto) X(DIM, TensorShapeProto.Dimension)

/* F(MESSAGE, field, number, kind); the kinds are in base/wire.h */
#define ONNX_FIELDS(F) \
	F(MODEL, ir_version,        1, INT)     F(MODEL, producer_name,     2, BYTES) \
	F(MODEL, producer_version,  3, BYTES)   F(MODEL, domain,            4, BYTES) \
	F(MODEL, model_version,     5, INT)     F(MODEL, doc_string,        6, BYTES) \
	F(MODEL, graph,             7, MESSAGE) F(MODEL, opset_import,      8, BYTES) \
	F(MODEL, metadata_props,   14, BYTES)   F(MODEL, training_info,    20, BYTES) \
	F(MODEL, functions,        25, BYTES)   F(MODEL, configuration,    26, BYTES) \
	\
	F(OPSET, domain,            1, BYTES)   F(OPSET, version,           2, INT) \
	\
	F(FUNCTION, name,           1, BYTES)   F(FUNCTION, input,          4, BYTES) \
	F(FUNCTION, output,         5, BYTES)   F(FUNCTION, attribute,      6, BYTES) \
	F(FUNCTION, node,           7, BYTES)   F(FUNCTION, doc_string,     8, BYTES) \
	F(FUNCTION, opset_import,   9, BYTES)   F(FUNCTION, domain,        10, BYTES) \
	F(FUNCTION, attribute_proto, 11, BYTES) F(FUNCTION, value_info,    12, BYTES) \
	F(FUNCTION, overload,      13, BYTES)   F(FUNCTION, metadata_props, 14, BYTES) \
	\
	F(GRAPH, node,              1, BYTES)   F(GRAPH, name,              2, BYTES) \
	F(GRAPH, initializer,       5, BYTES)   F(GRAPH, doc_string,       10, BYTES) \
	F(GRAPH, input,            11, BYTES)   F(GRAPH, output,           12, BYTES) \
	F(GRAPH, value_info,       13, BYTES)   F(GRAPH, quantization_annotation, 14, BYTES) \
	F(GRAPH, sparse_initializer, 15, BYTES) F(GRAPH, metadata_props,   16, BYTES) \
	\
	F(NODE, input,              1, BYTES)   F(NODE, output,             2, BYTES) \
	F(NODE, name,               3, BYTES)   F(NODE, op_type,            4, BYTES) \
	F(NODE, attribute,          5, BYTES)   F(NODE, doc_string,         6, BYTES) \
	F(NODE, domain,             7, BYTES)   F(NODE, overload,           8, BYTES) \
	F(NODE, metadata_props,     9, BYTES)   F(NODE, device_configurations, 10, BYTES) \
	\
	F(ATTR, name,               1, BYTES)   F(ATTR, f,                  2, FLOAT) \
	F(ATTR, i,                  3, INT)     F(ATTR, s,                  4, BYTES) \
	F(ATTR, t,                  5, MESSAGE) F(ATTR, g,                  6, MESSAGE) \
	F(ATTR, floats,             7, FLOATS)  F(ATTR, ints,               8, INTS) \
	F(ATTR, strings,            9, BYTES)   F(ATTR, tensors,           10, BYTES) \
	F(ATTR, graphs,            11, BYTES)   F(ATTR, doc_string,        13, BYTES) \
	F(ATTR, tp,                14, MESSAGE) F(ATTR, type_protos,       15, BYTES) \
	F(ATTR, type,              20, INT)     F(ATTR, ref_attr_name,     21, BYTES) \
	F(ATTR, sparse_tensor,     22, MESSAGE) F(ATTR, sparse_tensors,    23, BYTES) \
	\
	F(TENSOR, dims,             1, INTS)    F(TENSOR, data_type,        2, INT) \
	F(TENSOR, segment,          3, MESSAGE) F(TENSOR, float_data,       4, FLOATS) \
	F(TENSOR, int32_data,       5, INTS)    F(TENSOR, string_data,      6, BYTES) \
	F(TENSOR, int64_data,       7, INTS)    F(TENSOR, name,             8, BYTES) \
	F(TENSOR, raw_data,         9, BYTES)   F(TENSOR, double_data,     10, DOUBLES) \
	F(TENSOR, uint64_data,     11, INTS)    F(TENSOR, doc_string,      12, BYTES) \
	F(TENSOR, external_data,   13, BYTES)   F(TENSOR, data_location,   14, INT) \
	F(TENSOR, metadata_props,  16, BYTES) \
	\
	F(SPARSE, values,           1, MESSAGE) F(SPARSE, indices,          2, MESSAGE) \
	F(SPARSE, dims,             3, INTS) \
	\
	F(ENTRY, key,               1, BYTES)   F(ENTRY, value,             2, BYTES) \
	\
	F(VALUE, name,              1, BYTES)   F(VALUE, type,              2, MESSAGE) \
	F(VALUE, doc_string,        3, BYTES)   F(VALUE, metadata_props,    4, BYTES) \
	\
	F(TYPE, tensor_type,        1, MESSAGE) F(TYPE, sequence_type,      4, MESSAGE) \
	F(TYPE, map_type,           5, MESSAGE) F(TYPE, denotation,         6, BYTES) \
	F(TYPE, sparse_tensor_type, 8, MESSAGE) F(TYPE, optional_type,      9, MESSAGE) \
	\
	F(TYPE_TENSOR, elem_type,   1, INT)     F(TYPE_TENSOR, shape,       2, MESSAGE) \
	\
	F(SHAPE, dim,               1, BYTES) \
	\
	F(DIM, dim_value,           1, INT)     F(DIM, dim_param,           2, BYTES) \
	F(DIM, denotation,          3, BYTES)

typedef enum onnx_message {
#define X(MESSAGE, name) ONNX_##MESSAGE,
	ONNX_MESSAGES(X)
#undef X
	ONNX_MESSAGE_COUNT
} onnx_message;

enum {
#define F(MESSAGE, field, number, kind) MESSAGE##_##field = number,
	ONNX_FIELDS(F)
#undef F
};

/* AttributeProto.type. X(what it is here, number) */
#define ONNX_ATTR_TYPES(X) \
	X(OG_ATTR_FLOAT, 1) X(OG_ATTR_INT, 2) X(OG_ATTR_STRING, 3) X(OG_ATTR_TENSOR, 4) X(OG_ATTR_GRAPH, 5) \
	X(OG_ATTR_FLOATS, 6) X(OG_ATTR_INTS, 7) X(OG_ATTR_STRINGS, 8)

wire_reader onnx_open(onnx_message, graph_bytes, const uint8_t *base);
/* The first field of that number in a message that wire_next has already been through; p == NULL: none. */
graph_bytes onnx_find(onnx_message, graph_bytes, uint32_t number);
const char *onnx_field_name(onnx_message, uint32_t number);     /* "" when unknown */
wire_kept onnx_keep(onnx_message, graph_bytes from, uint32_t own);

#endif
