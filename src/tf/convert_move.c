/* convert_move.c -- ops that move elements: transposing, joining, repeating, padding. */
#include "tf/convert.h"

static graph_value *transpose(convert *c)
{
	int64_t list[CONVERT_MAX_LIST];
	int perm[OG_MAX_RANK], n = convert_const_list(c, 1, "permutation", list);
	unsigned seen = 0;
	graph_value *x = convert_in(c, 0);
	if (c->status != OG_OK) return c->none;
	if (n > OG_MAX_RANK || (x->rank >= 0 && x->rank != n))
		return convert_wrong(c, "it permutes %d dimensions of %d", n, x->rank);
	for (int k = 0; k < n; k++) {
		perm[k] = convert_axis(c, list[k], n);
		seen |= 1u << perm[k];
	}
	if (seen != (1u << n) - 1) return convert_wrong(c, "its permutation names a dimension twice");
	return convert_transpose(c, x, perm, n);
}

/* Values from input `first` on, along an axis given by an input. */
static graph_value *join(convert *c, int first, int n, int axis_input)
{
	graph_value *in[CONVERT_MAX_LIST];
	if (n < 1 || n > CONVERT_MAX_LIST)
		return convert_refuse(c, "it has %d inputs; 1 to %d can be taken", n, CONVERT_MAX_LIST);
	for (int k = 0; k < n; k++) in[k] = convert_in(c, first + k);
	return convert_concat(c, in, n, convert_const_axis(c, axis_input, convert_rank(c, in[0])));
}

static graph_value *concat(convert *c) { return join(c, 1, c->node->n_in - 1, 0); }
static graph_value *concat_v2(convert *c) { return join(c, 0, c->node->n_in - 1, c->node->n_in - 1); }

static graph_value *tile(convert *c)
{
	return MAKE("Tile", convert_in(c, 0), convert_cast(c, convert_in(c, 1), OG_I64));
}

/* What goes out at one end comes in at the other. */
static graph_value *roll(convert *c)
{
	int64_t shifts[CONVERT_MAX_LIST], axes[CONVERT_MAX_LIST];
	int n = convert_const_list(c, 1, "shift", shifts);
	graph_value *x = convert_in(c, 0);
	if (convert_const_list(c, 2, "axis", axes) != n) return convert_wrong(c, "it has not as many shifts as axes");
	for (int k = 0; k < n && c->status == OG_OK; k++) {
		int axis = convert_axis(c, axes[k], convert_rank(c, x));
		if (c->status == OG_OK && x->dims[axis] < 0) return convert_refuse(c, "the size of the axis that it turns is not known");
		int64_t size = c->status == OG_OK ? x->dims[axis] : 0, by = size ? ((shifts[k] % size) + size) % size : 0;
		if (!by) continue;
		graph_value *part[2] = { convert_slice(c, x, axis, size - by, size), convert_slice(c, x, axis, 0, size - by) };
		x = convert_concat(c, part, 2, axis);
	}
	return x;
}

/* Diagonals up to a number below and above the main one; a negative number: all of them. */
static graph_value *band(convert *c)
{
	graph_value *x = convert_in(c, 0);
	int64_t below = convert_const_int(c, 1, "band below"), above = convert_const_int(c, 2, "band above");
	if (below >= 0) x = MAKE("Trilu", x, convert_index(c, -below));
	if (above < 0) return x;
	BEGIN("Trilu", x, convert_index(c, above));
	convert_set_int(c, "upper", 0);
	return convert_done(c);
}

/* ONNX has it for the first two dimensions. */
static graph_value *reverse_sequence(convert *c)
{
	int64_t along = convert_int(c, c->node, "seq_dim", 0), batch = convert_int(c, c->node, "batch_dim", 0);
	if (along + batch != 1 || along * batch != 0)
		return convert_refuse(c, "sequences along dimension %lld of batches along %lld can't be taken; they have to be 0 and 1", (long long)along,
		                      (long long)batch);
	BEGIN("ReverseSequence", convert_in(c, 0), convert_cast(c, convert_in(c, 1), OG_I64));
	convert_set_int(c, "time_axis", along);
	convert_set_int(c, "batch_axis", batch);
	return convert_done(c);
}

/* ---- padding ---- */

/* [[before, after], ...] as ONNX wants it: all that comes before, then all that comes after. */
static graph_value *pad_amounts(convert *c)
{
	graph_value *pairs = convert_transpose(c, convert_cast(c, convert_in(c, 1), OG_I64), (const int[]){ 1, 0 }, 2);
	return convert_reshape_to(c, pairs, &(og_dim){ GRAPH_DIM_UNKNOWN }, 1);
}

static graph_value *pad(convert *c)
{
	graph_value *x = convert_in(c, 0), *amounts = pad_amounts(c);
	return c->node->n_in > 2 ? MAKE("Pad", x, amounts, convert_in(c, 2)) : MAKE("Pad", x, amounts);
}

/* The border is repeated too, which ONNX's reflection does not do: the turned ends are put on both sides. */
static graph_value *pad_symmetric(convert *c, graph_value *x)
{
	int64_t pairs[CONVERT_MAX_LIST];
	int n = convert_const_list(c, 1, "paddings", pairs) / 2;
	graph_value *back = convert_list(c, &(int64_t){ -1 }, 1), *last = back;
	graph_value *before_first = convert_list(c, &(int64_t){ INT64_MIN }, 1);
	for (int axis = 0; axis < n && c->status == OG_OK; axis++) {
		graph_value *part[3], *along = convert_list(c, &(int64_t){ axis }, 1);
		int64_t before = pairs[2 * axis], after = pairs[2 * axis + 1];
		int k = 0;
		if (before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX)
			return convert_wrong(c, "it pads by an amount outside 0 to %d", INT32_MAX);
		if (before)
			part[k++] = MAKE("Slice", x, convert_list(c, &(int64_t){ before - 1 }, 1), before_first, along, back);
		part[k++] = x;
		if (after) part[k++] = MAKE("Slice", x, last, convert_list(c, &(int64_t){ -after - 1 }, 1), along, back);
		x = convert_concat(c, part, k, axis);
	}
	return x;
}

static graph_value *mirror_pad(convert *c)
{
	graph_value *x = convert_in(c, 0);
	const char *mode = convert_string(c, c->node, "mode", "REFLECT");
	if (strcmp(mode, "REFLECT")) return pad_symmetric(c, x);
	BEGIN("Pad", x, pad_amounts(c));
	convert_set_string(c, "mode", "reflect");
	return convert_done(c);
}

const convert_op convert_move_ops[] = {
	{ "Concat", .build = concat }, { "ConcatV2", .build = concat_v2 }, { "MatrixBandPart", .build = band },
	{ "MirrorPad", .build = mirror_pad }, { "Pad", .build = pad }, { "PadV2", .build = pad },
	{ "ReverseSequence", .build = reverse_sequence }, { "Roll", .build = roll }, { "Tile", .build = tile },
	{ "Transpose", .build = transpose }, { .type = NULL },
};
