/* convert_quantize.c -- rounding to few levels while still computing in float, as networks have it that were trained to be quantised. */
#include "tf/convert.h"

/* low and high of the range, moved so that 0 is a level; all are f32[] or f32[channels]. */
typedef struct levels { graph_value *low, *high, *step, *per_step; } levels;

static levels levels_of(convert *c, graph_value *min, graph_value *max)
{
	int64_t bits = convert_int(c, c->node, "num_bits", 8);
	if (bits < 2 || bits > 16) convert_wrong(c, "it has %lld bits", (long long)bits);
	double least = convert_bool(c, "narrow_range", false) ? 1 : 0, most = c->status == OG_OK ? (double)((1 << bits) - 1) : 1;
	graph_value *first = convert_number(c, OG_F32, least), *last = convert_number(c, OG_F32, most);
	graph_value *count = convert_number(c, OG_F32, most - least), *width = MAKE("Sub", max, min);
	levels l = { .step = MAKE("Div", width, count), .per_step = MAKE("Div", count, width) };
	graph_value *zero = MAKE("Sub", first, MAKE("Div", min, l.step));
	zero = MAKE("Floor", MAKE("Add", MAKE("Min", MAKE("Max", zero, first), last), convert_number(c, OG_F32, 0.5)));
	l.low = MAKE("Mul", MAKE("Sub", first, zero), l.step);
	l.high = MAKE("Mul", MAKE("Sub", last, zero), l.step);
	return l;
}

static graph_value *rounded(convert *c, graph_value *min, graph_value *max)
{
	levels l = levels_of(c, min, max);
	graph_value *above = MAKE("Sub", MAKE("Max", MAKE("Min", convert_in(c, 0), l.high), l.low), l.low);
	graph_value *level = MAKE("Floor", MAKE("Add", MAKE("Mul", above, l.per_step), convert_number(c, OG_F32, 0.5)));
	return MAKE("Add", MAKE("Mul", level, l.step), l.low);
}

static graph_value *fake_quant(convert *c) { return rounded(c, convert_in(c, 1), convert_in(c, 2)); }

static graph_value *fake_quant_fixed(convert *c)
{
	double min = (double)convert_float(c, "min", -6), max = (double)convert_float(c, "max", 6);
	return rounded(c, convert_number(c, OG_F32, min), convert_number(c, OG_F32, max));
}

const convert_op convert_quantize_ops[] = {
	{ "FakeQuantWithMinMaxArgs", .build = fake_quant_fixed }, { "FakeQuantWithMinMaxVars", .build = fake_quant },
	{ "FakeQuantWithMinMaxVarsPerChannel", .build = fake_quant }, { .type = NULL },
};
