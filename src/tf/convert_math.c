/* convert_math.c -- ops that work element by element. */
#include <math.h>

#include "tf/convert.h"

static bool is_float(const graph_value *v)
{
	return v->dtype == OG_F32 || v->dtype == OG_F64 || v->dtype == OG_F16 || v->dtype == OG_BF16;
}

/* A constant of the type of x. */
static graph_value *like(convert *c, const graph_value *x, double number)
{
	return c->status == OG_OK ? convert_number(c, x->dtype, number) : c->none;
}

static graph_value *erfc_of(convert *c)
{
	graph_value *x = convert_in(c, 0);
	return MAKE("Sub", like(c, x, 1), MAKE("Erf", x));
}

static graph_value *square(convert *c)
{
	graph_value *x = convert_in(c, 0);
	return MAKE("Mul", x, x);
}

static graph_value *squared_difference(convert *c)
{
	graph_value *d = MAKE("Sub", convert_in(c, 0), convert_in(c, 1));
	return MAKE("Mul", d, d);
}

static graph_value *rsqrt(convert *c) { return MAKE("Reciprocal", MAKE("Sqrt", convert_in(c, 0))); }

/* Halves go to the even neighbour, in both. */
static graph_value *nearest(convert *c)
{
	graph_value *x = convert_in(c, 0);
	return is_float(x) ? MAKE("Round", x) : x;
}

static graph_value *relu6(convert *c)
{
	graph_value *x = convert_in(c, 0);
	return MAKE("Clip", x, like(c, x, 0), like(c, x, 6));
}

static graph_value *leaky_relu(convert *c)
{
	BEGIN("LeakyRelu", convert_in(c, 0));
	convert_set_float(c, "alpha", convert_float(c, "alpha", 0.2f));
	return convert_done(c);
}

static graph_value *clip_by_value(convert *c)
{
	graph_value *x = convert_in(c, 0), *low = convert_in(c, 1), *high = convert_in(c, 2);
	if (low->rank == 0 && high->rank == 0) return MAKE("Clip", x, low, high);
	return MAKE("Min", MAKE("Max", x, low), high);
}

/* ---- division ---- */

/* Rounds down; integers by what remains, which has the divisor's sign. */
static graph_value *floor_div(convert *c)
{
	graph_value *x = convert_in(c, 0), *y = convert_in(c, 1);
	if (is_float(x)) return MAKE("Floor", MAKE("Div", x, y));
	return MAKE("Div", MAKE("Sub", x, MAKE("Mod", x, y)), y);
}

static graph_value *remainder_of(convert *c, graph_value *x, graph_value *y, bool sign_of_dividend)
{
	BEGIN("Mod", x, y);
	if (sign_of_dividend) convert_set_int(c, "fmod", 1);
	return convert_done(c);
}

static graph_value *truncate_mod(convert *c) { return remainder_of(c, convert_in(c, 0), convert_in(c, 1), true); }

/* ONNX has this of integers only. Of floats: the exact remainder, moved by y where its sign is not that of y. */
static graph_value *floor_mod(convert *c)
{
	graph_value *x = convert_in(c, 0), *y = convert_in(c, 1);
	if (!is_float(x)) return remainder_of(c, x, y, false);
	graph_value *r = remainder_of(c, x, y, true), *zero = like(c, x, 0);
	graph_value *other_sign = MAKE("Xor", MAKE("Less", r, zero), MAKE("Less", y, zero));
	graph_value *moves = MAKE("And", other_sign, MAKE("Not", MAKE("Equal", r, zero)));
	return MAKE("Where", moves, MAKE("Add", r, y), r);
}

/* f(x, y), but 0 where `of` is 0. */
static graph_value *zero_where_zero(convert *c, graph_value *f, graph_value *of)
{
	graph_value *zero = like(c, of, 0);
	return MAKE("Where", MAKE("Equal", of, zero), zero, f);
}

static graph_value *div_no_nan(convert *c)
{
	graph_value *x = convert_in(c, 0), *y = convert_in(c, 1);
	return zero_where_zero(c, MAKE("Div", x, y), y);
}

static graph_value *mul_no_nan(convert *c)
{
	graph_value *x = convert_in(c, 0), *y = convert_in(c, 1);
	return zero_where_zero(c, MAKE("Mul", x, y), y);
}

static graph_value *xdivy(convert *c)
{
	graph_value *x = convert_in(c, 0);
	return zero_where_zero(c, MAKE("Div", x, convert_in(c, 1)), x);
}

static graph_value *xlogy(convert *c)
{
	graph_value *x = convert_in(c, 0);
	return zero_where_zero(c, MAKE("Mul", x, MAKE("Log", convert_in(c, 1))), x);
}

/* The angle of the point (x, y): that of y / x, half a turn more or less where x is negative. */
static graph_value *atan2_of(convert *c)
{
	graph_value *y = convert_in(c, 0), *x = convert_in(c, 1), *zero = like(c, x, 0);
	graph_value *half = MAKE("Where", MAKE("Less", y, zero), like(c, x, -M_PI), like(c, x, M_PI));
	graph_value *angle = MAKE("Atan", MAKE("Div", y, x));
	angle = MAKE("Where", MAKE("Less", x, zero), MAKE("Add", angle, half), angle);
	return MAKE("Where", MAKE("And", MAKE("Equal", x, zero), MAKE("Equal", y, zero)), zero, angle);
}

/* ---- near zero ---- */

/* near where |x| < 1/2, else far. */
static graph_value *near_or_far(convert *c, graph_value *x, graph_value *near, graph_value *far)
{
	return MAKE("Where", MAKE("Less", MAKE("Abs", x), like(c, x, 0.5)), near, far);
}

/* log(1 + x): with u = 1 + x rounded, x * log(u) / (u - 1) takes the rounding back (Kahan). */
static graph_value *log1p_of(convert *c)
{
	graph_value *x = convert_in(c, 0), *one = like(c, x, 1);
	graph_value *u = MAKE("Add", x, one), *log_u = MAKE("Log", u), *d = MAKE("Sub", u, one);
	graph_value *tiny = MAKE("Equal", d, like(c, x, 0));
	graph_value *near = MAKE("Mul", x, MAKE("Div", log_u, MAKE("Where", tiny, one, d)));
	return near_or_far(c, x, MAKE("Where", tiny, x, near), log_u);
}

/* exp(x) - 1, in the same way: (u - 1) * x / log(u) with u = exp(x) rounded. */
static graph_value *expm1_of(convert *c)
{
	graph_value *x = convert_in(c, 0), *one = like(c, x, 1);
	graph_value *u = MAKE("Exp", x), *log_u = MAKE("Log", u), *d = MAKE("Sub", u, one);
	graph_value *tiny = MAKE("Equal", d, like(c, x, 0));
	graph_value *near = MAKE("Mul", d, MAKE("Div", x, MAKE("Where", tiny, one, log_u)));
	return near_or_far(c, x, MAKE("Where", tiny, x, near), d);
}

/* ---- logic, types ---- */

static graph_value *not_equal(convert *c) { return MAKE("Not", MAKE("Equal", convert_in(c, 0), convert_in(c, 1))); }

static graph_value *is_finite(convert *c)
{
	graph_value *x = convert_in(c, 0);
	return MAKE("Not", MAKE("Or", MAKE("IsNaN", x), MAKE("IsInf", x)));
}

/* Its condition may be a vector: a row of x or y for each element. */
static graph_value *select_rows(convert *c)
{
	graph_value *which = convert_in(c, 0), *x = convert_in(c, 1), *y = convert_in(c, 2);
	if (which->rank == 1)
		for (int k = 1; k < convert_rank(c, x); k++) which = convert_unsqueeze(c, which, k);
	return MAKE("Where", which, x, y);
}

static graph_value *cast(convert *c)
{
	og_dtype to = convert_type(c, "DstT", OG_F32);
	return c->status == OG_OK ? convert_cast(c, convert_in(c, 0), to) : c->none;
}

/* The bias goes along the channels: the last dimension, or the one behind the batch. A convolution before it
 * takes it in, if nothing else reads that. */
static graph_value *bias_add(convert *c)
{
	graph_value *x = convert_in(c, 0), *bias = convert_in(c, 1);
	const char *format = convert_string(c, c->node, "data_format", "NHWC");
	graph_value *taken = c->status == OG_OK ? convert_bias_into(c, c->node->in[0].node, x, bias) : NULL;
	if (taken) return taken;
	if (!*format || format[1] != 'C') return MAKE("Add", x, bias);
	for (int k = 2; k < convert_rank(c, x); k++) bias = convert_unsqueeze(c, bias, k - 1);
	return MAKE("Add", x, bias);
}

const convert_op convert_math_ops[] = {
	{ "Abs", .onnx = "Abs" }, { "Acos", .onnx = "Acos" }, { "Acosh", .onnx = "Acosh" }, { "Add", .onnx = "Add" },
	{ "AddN", .onnx = "Sum" }, { "AddV2", .onnx = "Add" }, { "Asin", .onnx = "Asin" }, { "Asinh", .onnx = "Asinh" },
	{ "Atan", .onnx = "Atan" }, { "Atan2", .build = atan2_of }, { "Atanh", .onnx = "Atanh" }, { "BiasAdd", .build = bias_add },
	{ "BiasAddV1", .build = bias_add }, { "Cast", .build = cast }, { "Ceil", .onnx = "Ceil" },
	{ "ClipByValue", .build = clip_by_value }, { "Cos", .onnx = "Cos" }, { "Cosh", .onnx = "Cosh" },
	{ "Div", .onnx = "Div" }, { "DivNoNan", .build = div_no_nan }, { "Elu", .onnx = "Elu" },
	{ "Equal", .onnx = "Equal" }, { "Erf", .onnx = "Erf" }, { "Erfc", .build = erfc_of }, { "Exp", .onnx = "Exp" },
	{ "Expm1", .build = expm1_of }, { "Floor", .onnx = "Floor" }, { "FloorDiv", .build = floor_div },
	{ "FloorMod", .build = floor_mod }, { "Greater", .onnx = "Greater" },
	{ "GreaterEqual", .onnx = "GreaterOrEqual" }, { "Inv", .onnx = "Reciprocal" },
	{ "IsFinite", .build = is_finite }, { "IsInf", .onnx = "IsInf" }, { "IsNan", .onnx = "IsNaN" },
	{ "LeakyRelu", .build = leaky_relu }, { "Less", .onnx = "Less" }, { "LessEqual", .onnx = "LessOrEqual" },
	{ "Log", .onnx = "Log" }, { "Log1p", .build = log1p_of }, { "LogicalAnd", .onnx = "And" },
	{ "LogicalNot", .onnx = "Not" }, { "LogicalOr", .onnx = "Or" }, { "Maximum", .onnx = "Max" },
	{ "Minimum", .onnx = "Min" }, { "Mod", .build = truncate_mod }, { "Mul", .onnx = "Mul" },
	{ "MulNoNan", .build = mul_no_nan }, { "Neg", .onnx = "Neg" }, { "NotEqual", .build = not_equal },
	{ "Pow", .onnx = "Pow" }, { "RealDiv", .onnx = "Div" }, { "Reciprocal", .onnx = "Reciprocal" },
	{ "Relu", .onnx = "Relu" }, { "Relu6", .build = relu6 }, { "Rint", .build = nearest },
	{ "Round", .build = nearest }, { "Rsqrt", .build = rsqrt }, { "Select", .build = select_rows },
	{ "SelectV2", .onnx = "Where" }, { "Selu", .onnx = "Selu" }, { "Sigmoid", .onnx = "Sigmoid" },
	{ "Sign", .onnx = "Sign" }, { "Sin", .onnx = "Sin" }, { "Sinh", .onnx = "Sinh" },
	{ "Softplus", .onnx = "Softplus" }, { "Softsign", .onnx = "Softsign" }, { "Sqrt", .onnx = "Sqrt" },
	{ "Square", .build = square }, { "SquaredDifference", .build = squared_difference }, { "Sub", .onnx = "Sub" },
	{ "Tan", .onnx = "Tan" }, { "Tanh", .onnx = "Tanh" }, { "TruncateDiv", .onnx = "Div" },
	{ "TruncateMod", .build = truncate_mod }, { "Xdivy", .build = xdivy }, { "Xlogy", .build = xlogy },
	{ .type = NULL },
};
