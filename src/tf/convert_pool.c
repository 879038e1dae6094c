/* convert_pool.c -- pools and normalisations over channels. */
#include "tf/convert_window.h"

static graph_value *pool_of(convert *c, const char *type, const int64_t *kernel, int n_kernel, const int64_t *strides,
                            int n_strides)
{
	convert_window w;
	graph_value *x = convert_in(c, 0);
	convert_window_begin(c, &w, c->node, convert_rank(c, x));
	if (c->status != OG_OK) return c->none;
	convert_window_spatial(c, &w, "ksize", kernel, n_kernel, w.kernel);
	if (n_strides) convert_window_spatial(c, &w, "strides", strides, n_strides, w.stride);
	if (w.last) x = convert_channels_first(c, x);
	convert_window_pad(c, &w, c->node, x);
	BEGIN(type, x);
	convert_window_set(c, &w);
	x = convert_done(c);
	return w.last ? convert_channels_last(c, x) : x;
}

static graph_value *pool(convert *c, const char *type)
{
	int64_t kernel[CONVERT_MAX_LIST];
	int n = convert_int_list(c, c->node, "ksize", kernel);
	return pool_of(c, type, kernel, n, NULL, 0);
}

static graph_value *max_pool(convert *c) { return pool(c, "MaxPool"); }
static graph_value *average_pool(convert *c) { return pool(c, "AveragePool"); }

/* Sizes and strides are inputs. */
static graph_value *max_pool_v2(convert *c)
{
	int64_t kernel[CONVERT_MAX_LIST], strides[CONVERT_MAX_LIST];
	int n = convert_const_list(c, 1, "ksize", kernel), m = convert_const_list(c, 2, "strides", strides);
	return pool_of(c, "MaxPool", kernel, n, strides, m);
}

/* ---- normalisation ---- */

/* With the batch's own statistics, as while training. */
static graph_value *normalise_by_batch(convert *c, graph_value *x, graph_value *scale, graph_value *offset, float epsilon)
{
	int64_t axes[OG_MAX_RANK];
	int n = 0, rank = convert_rank(c, x);
	for (int k = 0; k < rank; k++)
		if (k != 1) axes[n++] = k;
	BEGIN("ReduceMean", x);
	convert_set_ints(c, "axes", axes, n);
	graph_value *mean = convert_done(c), *d = MAKE("Sub", x, mean);
	BEGIN("ReduceMean", MAKE("Mul", d, d));
	convert_set_ints(c, "axes", axes, n);
	graph_value *variance = convert_done(c);
	if (c->status != OG_OK) return c->none;
	for (int k = 2; k < rank; k++) {
		scale = convert_unsqueeze(c, scale, k - 1);
		offset = convert_unsqueeze(c, offset, k - 1);
	}
	graph_value *spread = MAKE("Sqrt", MAKE("Add", variance, convert_number(c, variance->dtype, (double)epsilon)));
	graph_value *scaled = MAKE("Mul", MAKE("Div", d, spread), convert_cast(c, scale, d->dtype));
	return MAKE("Add", scaled, convert_cast(c, offset, d->dtype));
}

static graph_value *batch_norm(convert *c)
{
	graph_value *x = convert_in(c, 0), *scale = convert_in(c, 1), *offset = convert_in(c, 2);
	const char *format = convert_string(c, c->node, "data_format", "NHWC");
	bool last = *format && format[1] != 'C';
	float epsilon = convert_float(c, "epsilon", 1e-4f);
	bool training = convert_bool(c, "is_training", true);
	if (last) x = convert_channels_first(c, x);
	if (training) {
		x = normalise_by_batch(c, x, scale, offset, epsilon);
	} else {
		graph_value *mean = convert_in(c, 3), *variance = convert_in(c, 4);
		BEGIN("BatchNormalization", x, scale, offset, mean, variance);
		convert_set_float(c, "epsilon", epsilon);
		x = convert_done(c);
		convert_output(c, 1, mean);
		convert_output(c, 2, variance);
	}
	return last ? convert_channels_last(c, x) : x;
}

/* TensorFlow's alpha is for each channel in the window, ONNX's for all of them. */
static graph_value *local_response(convert *c)
{
	int64_t radius = convert_int(c, c->node, "depth_radius", 5);
	if (radius < 0 || radius > INT32_MAX) return convert_wrong(c, "its radius is %lld", (long long)radius);
	int64_t size = 2 * radius + 1;
	BEGIN("LRN", convert_channels_first(c, convert_in(c, 0)));
	convert_set_int(c, "size", size);
	convert_set_float(c, "alpha", convert_float(c, "alpha", 1) * (float)size);
	convert_set_float(c, "beta", convert_float(c, "beta", 0.5f));
	convert_set_float(c, "bias", convert_float(c, "bias", 1));
	return convert_channels_last(c, convert_done(c));
}

const convert_op convert_pool_ops[] = {
	{ "AvgPool", .build = average_pool }, { "AvgPool3D", .build = average_pool },
	{ "FusedBatchNorm", .build = batch_norm }, { "FusedBatchNormV2", .build = batch_norm },
	{ "FusedBatchNormV3", .build = batch_norm }, { "LRN", .build = local_response },
	{ "MaxPool", .build = max_pool }, { "MaxPool3D", .build = max_pool }, { "MaxPoolV2", .build = max_pool_v2 },
	{ .type = NULL },
};
