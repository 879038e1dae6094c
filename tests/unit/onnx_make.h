/* onnx_make.h -- ONNX files put together field by field, sound and unsound ones. All lies in one arena, `made`. */
#ifndef ONNX_MAKE_H
#define ONNX_MAKE_H

#include "onnx/fields.h"
#include "onnx/onnx.h"

static arena *made;

static graph_bytes gather(const wire_out *o)
{
	uint8_t *p = arena_alloc(made, (size_t)o->size), *to = p;
	for (size_t k = 0; k < o->n; to += o->pieces[k++].n) memcpy(to, o->pieces[k].p, o->pieces[k].n);
	return (graph_bytes){ p, (size_t)o->size };
}

static graph_bytes join(size_t n, const graph_bytes *parts)
{
	wire_out o = { .a = made };
	for (size_t k = 0; k < n; k++) wire_put_whole(&o, parts[k]);
	return gather(&o);
}

#define JOIN(...) join(sizeof((graph_bytes[]){ __VA_ARGS__ }) / sizeof(graph_bytes), (graph_bytes[]){ __VA_ARGS__ })

/* One field: an integer, bytes (a message), a string. */
static graph_bytes I(uint32_t number, uint64_t value)
{
	wire_out o = { .a = made };
	wire_put_int(&o, number, value);
	return gather(&o);
}

static graph_bytes B(uint32_t number, graph_bytes b)
{
	wire_out o = { .a = made };
	wire_put_bytes(&o, number, b.p, b.n);
	return gather(&o);
}

static graph_bytes S(uint32_t number, const char *s)
{
	return B(number, (graph_bytes){ (const uint8_t *)s, strlen(s) });
}

static inline graph_bytes raw(const void *p, size_t n) { return (graph_bytes){ p, n }; }

#define M(field, ...) B(field, JOIN(__VA_ARGS__))

/* A node with one input and one output. */
static inline graph_bytes node(const char *type, const char *in, const char *out)
{
	return M(GRAPH_node, S(NODE_input, in), S(NODE_output, out), S(NODE_op_type, type));
}

/* An input, output or value_info of that TypeProto.Tensor. */
static inline graph_bytes typed(uint32_t number, const char *name, graph_bytes type)
{
	return M(number, S(VALUE_name, name), M(VALUE_type, B(TYPE_tensor_type, type)));
}

/* One of f32[N,3]. */
static inline graph_bytes value(uint32_t number, const char *name)
{
	graph_bytes shape = JOIN(M(SHAPE_dim, S(DIM_dim_param, "N")), M(SHAPE_dim, I(DIM_dim_value, 3)));
	return typed(number, name, JOIN(I(TYPE_TENSOR_elem_type, OG_F32), B(TYPE_TENSOR_shape, shape)));
}

/* A model of IR version 8 and opset 13 around the fields of a graph. */
static inline graph_bytes model_of(graph_bytes graph_fields)
{
	return JOIN(I(MODEL_ir_version, 8), B(MODEL_graph, graph_fields),
	            M(MODEL_opset_import, S(OPSET_domain, ""), I(OPSET_version, 13)));
}

/* x -> Relu -> y with more fields of the graph behind the node. */
static inline graph_bytes relu_with(graph_bytes more)
{
	return model_of(JOIN(node("Relu", "x", "y"), S(GRAPH_name, "g"), more, value(GRAPH_input, "x"),
	                     value(GRAPH_output, "y")));
}

/* An initializer called w. */
#define TENSOR(...) M(GRAPH_initializer, __VA_ARGS__, S(TENSOR_name, "w"))

#endif
