/* fields.c -- the table of ONNX's messages, made of fields.h. */
#include "onnx/fields.h"

static const wire_message messages[ONNX_MESSAGE_COUNT] = {
#define X(MESSAGE, its_name) [ONNX_##MESSAGE].name = #its_name,
	ONNX_MESSAGES(X)
#undef X
#define F(MESSAGE, field, number, kind) [ONNX_##MESSAGE].fields[number] = { #field, WIRE_##kind },
	ONNX_FIELDS(F)
#undef F
};

wire_reader onnx_open(onnx_message message, graph_bytes b, const uint8_t *base)
{
	return wire_open(&messages[message], b, base);
}

graph_bytes onnx_find(onnx_message message, graph_bytes b, uint32_t number)
{
	return wire_find(&messages[message], b, number);
}

const char *onnx_field_name(onnx_message message, uint32_t number)
{
	return wire_field_name(&messages[message], number);
}

wire_kept onnx_keep(onnx_message message, graph_bytes from, uint32_t own)
{
	return wire_keep(&messages[message], from, own);
}
