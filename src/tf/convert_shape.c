/* convert_shape.c -- ops that hand on what they get, that ask for shapes, and that change shapes. */
#include "tf/convert.h"

static graph_value *same(convert *c) { return convert_in(c, 0); }

static graph_value *same_all(convert *c)
{
	for (int k = 1; k < c->node->n_in; k++) convert_output(c, k, convert_in(c, k));
	return convert_in(c, 0);
}

/* ---- asking ---- */

static graph_value *shape(convert *c)
{
	return convert_cast(c, convert_shape(c, convert_in(c, 0)), convert_type(c, "out_type", OG_I32));
}

static graph_value *shape_n(convert *c)
{
	og_dtype type = convert_type(c, "out_type", OG_I32);
	for (int k = c->node->n_in - 1; k > 0; k--)
		convert_output(c, k, convert_cast(c, convert_shape(c, convert_in(c, k)), type));
	return convert_cast(c, convert_shape(c, convert_in(c, 0)), type);
}

static graph_value *size(convert *c)
{
	BEGIN("ReduceProd", convert_shape(c, convert_in(c, 0)));
	convert_set_int(c, "keepdims", 0);
	return convert_cast(c, convert_done(c), convert_type(c, "out_type", OG_I32));
}

static graph_value *rank(convert *c) { return convert_number(c, OG_I32, convert_rank(c, convert_in(c, 0))); }

/* ---- changing ---- */

static graph_value *reshape(convert *c) { return convert_reshape(c, convert_in(c, 0), convert_in(c, 1)); }

static graph_value *squeeze(convert *c)
{
	int64_t axes[CONVERT_MAX_LIST];
	graph_value *x = convert_in(c, 0);
	int n = convert_int_list(c, c->node, "squeeze_dims", axes);
	bool open = x->rank < 0;
	for (int k = 0; k < n && x->rank >= 0; k++) axes[k] = convert_axis(c, axes[k], x->rank);
	if (n) return MAKE("Squeeze", x, convert_list(c, axes, n));
	for (int k = 0; k < x->rank; k++) {
		open = open || x->dims[k] < 0;
		if (x->dims[k] == 1) axes[n++] = k;
	}
	if (open)
		return convert_refuse(c, "which dimensions are 1 is not known; give the inputs' shapes with --input NAME:SHAPE");
	return n ? MAKE("Squeeze", x, convert_list(c, axes, n)) : x;
}

static graph_value *expand_dims(convert *c)
{
	graph_value *x = convert_in(c, 0);
	return convert_unsqueeze(c, x, convert_const_axis(c, 1, convert_rank(c, x) + 1));
}

static graph_value *pack(convert *c)
{
	graph_value *in[CONVERT_MAX_LIST];
	int n = c->node->n_in;
	if (n > CONVERT_MAX_LIST) return convert_refuse(c, "it has more than %d inputs", CONVERT_MAX_LIST);
	int axis = convert_axis(c, convert_int(c, c->node, "axis", 0), convert_rank(c, convert_in(c, 0)) + 1);
	for (int k = 0; k < n; k++) in[k] = convert_unsqueeze(c, convert_in(c, k), axis);
	return convert_concat(c, in, n, axis);
}

static graph_value *unpack(convert *c)
{
	graph_value *x = convert_in(c, 0), *out[CONVERT_MAX_LIST];
	int axis = convert_axis(c, convert_int(c, c->node, "axis", 0), convert_rank(c, x));
	int64_t n = convert_int(c, c->node, "num", 0);
	if (n < 1 || n > CONVERT_MAX_LIST)
		return convert_refuse(c, "it makes %lld outputs; 1 to %d can be taken", (long long)n, CONVERT_MAX_LIST);
	convert_split(c, x, axis, NULL, out, (int)n);
	for (int k = 0; k < n; k++) convert_output(c, k, convert_squeeze(c, out[k], axis));
	return c->status == OG_OK ? convert_value(c, (tf_value){ c->node, 0 }) : c->none;
}

/* A value repeated to a shape. */
static graph_value *filled(convert *c, graph_value *value, graph_value *sizes)
{
	return MAKE("Expand", value, convert_cast(c, sizes, OG_I64));
}

static graph_value *fill(convert *c) { return filled(c, convert_in(c, 1), convert_in(c, 0)); }
static graph_value *broadcast_to(convert *c) { return filled(c, convert_in(c, 0), convert_in(c, 1)); }

static graph_value *all_like(convert *c, double number)
{
	graph_value *x = convert_in(c, 0);
	return c->status == OG_OK ? filled(c, convert_number(c, x->dtype, number), convert_shape(c, x)) : c->none;
}

static graph_value *zeros_like(convert *c) { return all_like(c, 0); }
static graph_value *ones_like(convert *c) { return all_like(c, 1); }

const convert_op convert_shape_ops[] = {
	{ "BroadcastTo", .build = broadcast_to }, { "CheckNumerics", .build = same }, { "EnsureShape", .build = same },
	{ "ExpandDims", .build = expand_dims }, { "Fill", .build = fill }, { "Identity", .build = same },
	{ "IdentityN", .build = same_all }, { "OnesLike", .build = ones_like }, { "Pack", .build = pack },
	{ "PlaceholderWithDefault", .build = same }, { "PreventGradient", .build = same }, { "Print", .build = same },
	{ "Range", .onnx = "Range" }, { "Rank", .build = rank }, { "Reshape", .build = reshape },
	{ "Shape", .build = shape }, { "ShapeN", .build = shape_n }, { "Size", .build = size },
	{ "Snapshot", .build = same }, { "Squeeze", .build = squeeze }, { "StopGradient", .build = same },
	{ "Unpack", .build = unpack }, { "ZerosLike", .build = zeros_like }, { .type = NULL },
};
