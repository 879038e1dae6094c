/* convert_resize.c -- images in another size. */
#include "tf/convert.h"

/* How often the wanted size holds the input's, if that is a whole number for whatever size: 0 if not. */
static int64_t whole_factor(convert *c, og_dim from, og_dim to)
{
	og_dim times;
	if (from == GRAPH_DIM_UNKNOWN || to == GRAPH_DIM_UNKNOWN || from == 0) return 0;
	times = graph_dim_do(c->m, OG_DIM_FLOOR_DIV, to, from);
	return times > 0 && graph_dim_do(c->m, OG_DIM_PROD, times, from) == to ? times : 0;
}

/* Scales where both axes grow by whole factors, else sizes. */
static graph_value *scales_of(convert *c, const graph_value *x, graph_value *size)
{
	og_dim to[CONVERT_MAX_LIST];
	int n;
	if (c->status != OG_OK || !convert_sizes(size, to, &n) || n != 2) return NULL;
	int64_t four = 4, high = whole_factor(c, x->dims[2], to[0]), wide = whole_factor(c, x->dims[3], to[1]);
	if (!high || !wide) return NULL;
	graph_value *scales;
	og_tensor *t = graph_tensor_new(c->m->a, OG_F32, 1, &four);
	if (t) memcpy(t->data, (const float[]){ 1, 1, (float)high, (float)wide }, sizeof(float[4]));
	convert_failed(c, t ? graph_constant_add(&scales, c->g, NULL, t) : base_no_memory());
	return c->status == OG_OK ? scales : c->none;
}

static graph_value *resize(convert *c, const char *mode)
{
	graph_value *image = convert_in(c, 0), *size = convert_in(c, 1), *x;
	bool corners = convert_bool(c, "align_corners", false), half = convert_bool(c, "half_pixel_centers", false);
	bool nearest = !strcmp(mode, "nearest");
	if (convert_rank(c, image) != 4) return convert_wrong(c, "its image has %d dimensions, not 4", image->rank);
	x = convert_channels_first(c, nearest ? image : convert_cast(c, image, OG_F32));
	graph_value *scales = scales_of(c, x, size);
	if (scales) {
		BEGIN("Resize", x, NULL, scales);
	} else {
		graph_value *outer = convert_slice(c, convert_shape(c, x), 0, 0, 2);
		BEGIN("Resize", x, NULL, NULL, convert_concat(c, (graph_value *[]){ outer, convert_cast(c, size, OG_I64) }, 2, 0));
	}
	convert_set_string(c, "mode", mode);
	convert_set_string(c, "coordinate_transformation_mode", corners ? "align_corners" : half ? "half_pixel" : "asymmetric");
	/* with centers the curve is another one, and pixels beyond the border count for nothing */
	if (!strcmp(mode, "cubic")) {
		convert_set_float(c, "cubic_coeff_a", half ? -0.5f : -0.75f);
		convert_set_int(c, "exclude_outside", half);
	}
	/* a place between two goes to the upper one with centers and corners, is cut off without */
	if (nearest) convert_set_string(c, "nearest_mode", corners || half ? "round_prefer_ceil" : "floor");
	return convert_channels_last(c, convert_done(c));
}

static graph_value *resize_bilinear(convert *c) { return resize(c, "linear"); }
static graph_value *resize_nearest(convert *c) { return resize(c, "nearest"); }

/* TensorFlow takes the places' fractions to the nearest of 1024 (so a result may differ by 1e-3 where they are no such ones). */
static graph_value *resize_bicubic(convert *c) { return resize(c, "cubic"); }

const convert_op convert_resize_ops[] = {
	{ "ResizeBicubic", .build = resize_bicubic },
	{ "ResizeBilinear", .build = resize_bilinear }, { "ResizeNearestNeighbor", .build = resize_nearest },
	{ .type = NULL },
};
