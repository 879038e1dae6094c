/* convert_detect.c -- what detection networks have: boxes that suppress each other, and images cut out along boxes. */
#include "tf/convert.h"

/* ---- suppression ---- */

static graph_value *row(convert *c, graph_value *v) { return convert_unsqueeze(c, v, 0); }

/* A number of the node's input k as f32[1] or i64[1]; NULL where the op has no such input. */
static graph_value *limit(convert *c, int k, og_dtype dtype)
{
	if (k >= c->node->n_in) return NULL;
	return convert_reshape_to(c, convert_cast(c, convert_in(c, k), dtype), &(og_dim){ 1 }, 1);
}

/* The boxes that stay, i64[?]: boxes f32[n,4], scores f32[n], and limits by the place of their inputs (0: there is none). */
static graph_value *suppress(convert *c, int at_iou, int at_score)
{
	graph_value *boxes = convert_cast(c, row(c, convert_in(c, 0)), OG_F32);
	graph_value *scores = convert_cast(c, row(c, row(c, convert_in(c, 1))), OG_F32), *most = limit(c, 2, OG_I64), *iou;
	if (at_iou) iou = limit(c, at_iou, OG_F32);
	else iou = convert_reshape_to(c, convert_number(c, OG_F32, (double)convert_float(c, "iou_threshold", 0.5f)), &(og_dim){ 1 }, 1);
	graph_value *found = MAKE("NonMaxSuppression", boxes, scores, most, iou, at_score ? limit(c, at_score, OG_F32) : NULL);
	BEGIN("Gather", found, convert_index(c, 2));         /* of batch, class, box */
	convert_set_int(c, "axis", 1);
	return convert_done(c);
}

static graph_value *suppression(convert *c) { return convert_cast(c, suppress(c, 0, 0), OG_I32); }
static graph_value *suppression_2(convert *c) { return convert_cast(c, suppress(c, 3, 0), OG_I32); }
static graph_value *suppression_3(convert *c) { return convert_cast(c, suppress(c, 3, 4), OG_I32); }

/* Filled up with zeros to the number that was asked for, where the node wants that. */
static graph_value *filled_up(convert *c, graph_value *v)
{
	if (!convert_bool(c, "pad_to_max_output_size", false) || c->status != OG_OK) return v;
	graph_value *most = limit(c, 2, OG_I64), *zeros = MAKE("Expand", convert_number(c, v->dtype, 0), most);
	return MAKE("Slice", convert_concat(c, (graph_value *[]){ v, zeros }, 2, 0), convert_list(c, &(int64_t){ 0 }, 1), most);
}

static graph_value *count(convert *c, graph_value *v)
{
	return convert_cast(c, convert_squeeze(c, convert_shape(c, v), 0), OG_I32);
}

static graph_value *suppression_4(convert *c)
{
	graph_value *stay = suppress(c, 3, 4);
	convert_output(c, 1, count(c, stay));
	return filled_up(c, convert_cast(c, stay, OG_I32));
}

/* Scores do not fade: with a sigma of 0 they are those that came in. */
static graph_value *suppression_5(convert *c)
{
	const og_tensor *sigma = c->node->n_in > 5 ? tf_constant(c->node->in[5]) : NULL;
	if (!sigma || og_count(sigma) != 1 || graph_tensor_double(sigma, 0) != 0)
		return convert_refuse(c, "a suppression that only lowers scores can't be taken; its soft_nms_sigma has to be a constant 0");
	graph_value *stay = suppress(c, 3, 4);
	convert_output(c, 1, filled_up(c, MAKE("Gather", convert_in(c, 1), stay)));
	convert_output(c, 2, count(c, stay));
	return filled_up(c, convert_cast(c, stay, OG_I32));
}

/* ---- images along boxes ---- */

/* One axis of the pieces: where each row (or column) of each piece lies in the image. */
typedef struct grid {
	graph_value *low, *high;             /* i64[boxes, size]: neighbours in the image */
	graph_value *part;                   /* f32[boxes, size]: how far from the lower to the upper */
	graph_value *inside;                 /* bool[boxes, size] */
	graph_value *length;                 /* i64[]: of the image */
} grid;

static graph_value *column(convert *c, graph_value *boxes, int k) { return convert_slice(c, boxes, 1, k, k + 1); }

static grid grid_of(convert *c, graph_value *shape, int axis, int64_t size)
{
	graph_value *boxes = convert_in(c, 1), *from = column(c, boxes, axis - 1), *to = column(c, boxes, axis + 1), *at;
	grid g = { .length = convert_squeeze(c, convert_slice(c, shape, 0, axis, (int64_t)axis + 1), 0) };
	graph_value *last = MAKE("Sub", g.length, convert_index(c, 1)), *end = convert_cast(c, last, OG_F32), *zero = convert_number(c, OG_F32, 0);
	if (size > 1) {
		graph_value *step = MAKE("Div", MAKE("Mul", MAKE("Sub", to, from), end), convert_number(c, OG_F32, (double)(size - 1)));
		graph_value *places = MAKE("Range", zero, convert_number(c, OG_F32, (double)size), convert_number(c, OG_F32, 1));
		at = MAKE("Add", MAKE("Mul", from, end), MAKE("Mul", row(c, places), step));
	} else {
		at = MAKE("Mul", MAKE("Mul", MAKE("Add", from, to), convert_number(c, OG_F32, 0.5)), end);
	}
	g.inside = MAKE("And", MAKE("GreaterOrEqual", at, zero), MAKE("LessOrEqual", at, end));
	graph_value *low = MAKE("Floor", at), *kept = MAKE("Clip", at, zero, end);
	bool nearest = !strcmp(convert_string(c, c->node, "method", "bilinear"), "nearest");
	g.part = MAKE("Sub", at, low);
	if (nearest) kept = MAKE("Floor", MAKE("Add", kept, convert_number(c, OG_F32, 0.5)));
	g.low = convert_cast(c, MAKE("Floor", kept), OG_I64);
	g.high = nearest ? g.low : convert_cast(c, MAKE("Ceil", kept), OG_I64);
	return g;
}

/* Pixels [boxes, rows, columns, channels] of image rows y[boxes, rows], columns x[boxes, columns]. */
static graph_value *pixels(convert *c, graph_value *flat, graph_value *first, const grid *y, graph_value *ys, const grid *x, graph_value *xs)
{
	graph_value *rows = MAKE("Mul", MAKE("Add", MAKE("Mul", first, y->length), ys), x->length);
	return MAKE("Gather", flat, MAKE("Add", convert_unsqueeze(c, rows, 2), convert_unsqueeze(c, xs, 1)));
}

static graph_value *between(convert *c, graph_value *a, graph_value *b, graph_value *part)
{
	return MAKE("Add", a, MAKE("Mul", MAKE("Sub", b, a), part));
}

static graph_value *crop_and_resize(convert *c)
{
	int64_t size[CONVERT_MAX_LIST];
	graph_value *image = convert_in(c, 0), *shape = convert_shape(c, image), *v;
	if (convert_const_list(c, 3, "crop size", size) != 2 || convert_rank(c, image) != 4) return convert_wrong(c, "it needs images and a size of two numbers");
	grid y = grid_of(c, shape, 1, size[0]), x = grid_of(c, shape, 2, size[1]);
	graph_value *channels = convert_slice(c, shape, 0, 3, 4), *first = convert_unsqueeze(c, convert_cast(c, convert_in(c, 2), OG_I64), 1);
	graph_value *flat = MAKE("Reshape", convert_cast(c, image, OG_F32), convert_concat(c, (graph_value *[]){ convert_list(c, &(int64_t){ -1 }, 1), channels }, 2, 0));
	v = pixels(c, flat, first, &y, y.low, &x, x.low);
	if (c->status == OG_OK && x.low != x.high) {
		graph_value *px = convert_unsqueeze(c, convert_unsqueeze(c, x.part, 1), 3), *py = convert_unsqueeze(c, convert_unsqueeze(c, y.part, 2), 3);
		graph_value *top = between(c, v, pixels(c, flat, first, &y, y.low, &x, x.high), px);
		v = between(c, top, between(c, pixels(c, flat, first, &y, y.high, &x, x.low), pixels(c, flat, first, &y, y.high, &x, x.high), px), py);
	}
	graph_value *inside = MAKE("And", convert_unsqueeze(c, y.inside, 2), convert_unsqueeze(c, x.inside, 1));
	graph_value *outside = convert_number(c, OG_F32, (double)convert_float(c, "extrapolation_value", 0));
	return MAKE("Where", convert_unsqueeze(c, inside, 3), v, outside);
}

const convert_op convert_detect_ops[] = {
	{ "CropAndResize", .build = crop_and_resize }, { "NonMaxSuppression", .build = suppression },
	{ "NonMaxSuppressionV2", .build = suppression_2 }, { "NonMaxSuppressionV3", .build = suppression_3 },
	{ "NonMaxSuppressionV4", .build = suppression_4 }, { "NonMaxSuppressionV5", .build = suppression_5 },
	{ .type = NULL },
};
