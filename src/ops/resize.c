/* Coordinates, kernels and passes are in resample.h; here are the three ways to say the size. */
#include "ops/resample.h"

#if OP_BASE
enum { RESIZE_STRETCH, RESIZE_NOT_LARGER, RESIZE_NOT_SMALLER };
enum {
	RESIZE_MODE, RESIZE_TRANSFORM, RESIZE_ROUNDING, RESIZE_CUBIC_A, RESIZE_EXCLUDE_OUTSIDE, RESIZE_EXTRAPOLATION,
	RESIZE_ANTIALIAS, RESIZE_AXES, RESIZE_POLICY
};

typedef struct resize_inputs { const og_tensor *scales, *sizes; } resize_inputs;

/* An empty list says as much as none. Returns NULL, or what is wrong. */
static const char *resize_given(resize_inputs *in)
{
	if (in->scales && og_count(in->scales) == 0) in->scales = NULL;
	if (in->sizes && og_count(in->sizes) == 0) in->sizes = NULL;
	return in->scales && in->sizes ? "both scales and sizes are given"
	     : !in->scales && !in->sizes ? "neither scales nor sizes are given" : NULL;
}

/* What the attributes of a version say; Resize-10 has the mode only. */
static resample resize_settings(const og_op *op, const og_attr_value *attr)
{
	resample r = { .mode = (int)attr[RESIZE_MODE].i, .transform = RESAMPLE_ASYMMETRIC, .rounding = RESAMPLE_FLOOR };
	for (int d = 0; d < OG_MAX_RANK; d++) {
		r.scale[d] = r.end[d] = 1;
		r.start[d] = 0;
	}
	if (op->since < 11) return r;
	r.transform = (int)attr[RESIZE_TRANSFORM].i;
	r.rounding = (int)attr[RESIZE_ROUNDING].i;
	r.cubic_a = (double)attr[RESIZE_CUBIC_A].f;
	r.exclude_outside = attr[RESIZE_EXCLUDE_OUTSIDE].i != 0;
	r.extrapolation = (double)attr[RESIZE_EXTRAPOLATION].f;
	r.antialias = op->since >= 18 && attr[RESIZE_ANTIALIAS].i != 0;
	return r;
}

/* The axes that the inputs are about; all without the attribute. Returns how many, -1 when they are no axes. */
static int resize_axes(const og_op *op, const og_attr_value *attr, int rank, int *axes)
{
	int given = op->since >= 18 && attr[RESIZE_AXES].present, n = given ? (int)attr[RESIZE_AXES].n : rank;
	if (given && attr[RESIZE_AXES].n > rank) return -1;
	for (int k = 0; k < n; k++) {
		axes[k] = given ? og_axis(attr[RESIZE_AXES].ints[k], rank) : k;
		if (axes[k] < 0) return -1;
	}
	return n;
}

/* The scale of each axis (NaN: not known) and the output's dimensions from the input's; a negative dimension is not
 * known. Returns NULL, or what is wrong. */
static const char *resize_solve(const og_op *op, const og_attr_value *attr, const resize_inputs *in, int rank,
                                const int64_t *dims, resample *r, int64_t *out)
{
	int axes[OG_MAX_RANK], n = resize_axes(op, attr, rank, axes);
	int policy = op->since >= 18 && in->sizes ? (int)attr[RESIZE_POLICY].i : RESIZE_STRETCH;
	const og_tensor *given = in->sizes ? in->sizes : in->scales;
	double common = 0;
	*r = resize_settings(op, attr);
	for (int d = 0; d < rank; d++) out[d] = dims[d];
	if (n < 0 || og_count(given) != n) return "scales or sizes do not fit the axes";
	for (int k = 0; k < n; k++) {
		int d = axes[k];
		double ratio = number_get(given, k);
		if (!(ratio >= 0 && ratio <= 0x1p40)) return "a scale or size is negative or too large";
		if (in->sizes) {
			out[d] = number_get_int(given, k);
			ratio = dims[d] > 0 ? ratio / (double)dims[d] : dims[d] == 0 ? 1 : (double)NAN;
		} else {
			out[d] = dims[d] >= 0 ? number_whole(floor((double)dims[d] * ratio)) : -1;
		}
		if (dims[d] == 0 && out[d] > 0) return "there is nothing to enlarge";
		r->scale[d] = ratio;
		if (k == 0 || isnan(ratio) || (policy == RESIZE_NOT_LARGER ? ratio < common : ratio > common)) common = ratio;
	}
	for (int k = 0; k < n && policy != RESIZE_STRETCH; k++) {
		r->scale[axes[k]] = common;
		out[axes[k]] = isnan(common) ? -1 : number_whole(floor((double)dims[axes[k]] * common + 0.5));
	}
	return NULL;
}

static og_status resize_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	int first = c->op->since < 11 ? 1 : 2;
	resize_inputs in = { first < c->n_in ? c->in[first].value : NULL,
	                     first == 2 && c->n_in > 3 ? c->in[3].value : NULL };
	int64_t out[OG_MAX_RANK];
	const char *fault;
	resample r;
	OP_TRY(dims_of_rank(c, y, x->rank));
	for (int k = first; k < c->n_in; k++)
		if (c->in[k].dtype != OG_NONE && !c->in[k].value) return OG_OK;
	if (x->rank < 0) return OG_OK;
	fault = resize_given(&in);
	if (!fault) fault = resize_solve(c->op, c->attr, &in, x->rank, x->dims, &r, out);
	if (fault) return c->host->fail(OG_BAD_FILE, "%s can't tell its output's shape: %s", c->op->name, fault);
	for (int d = 0; d < x->rank; d++) {
		if (out[d] >= 0) {
			y->dims[d] = out[d];
		} else if (r.scale[d] == floor(r.scale[d])) {
			y->dims[d] = x->dims[d];
			OP_TRY(dims_mul(c, &y->dims[d], (int64_t)r.scale[d]));
		}
	}
	return OG_OK;
}

/* Everything that the output is made by, the region left out. */
static const char *resize_of_call(const og_call *c, resample *r)
{
	int64_t out[OG_MAX_RANK];
	resize_inputs in = { move_in(c, c->op->since < 11 ? 1 : 2), c->op->since < 11 ? NULL : move_in(c, 3) };
	const char *fault = resize_given(&in);
	return fault ? fault : resize_solve(c->op, c->attr, &in, c->in[0]->rank, c->in[0]->dims, r, out);
}

static size_t resize_workspace(const og_call *c)
{
	resample r;
	return resize_of_call(c, &r) ? 0 : resample_workspace(&r, c->in[0], c->out[0]);
}

static og_status resize_eval(const og_call *c)
{
	const og_tensor *roi = c->op->since < 11 ? NULL : move_in(c, 1);
	resample r;
	const char *fault = resize_of_call(c, &r);
	if (!fault && r.transform == RESAMPLE_CROP) {
		int axes[OG_MAX_RANK], n = resize_axes(c->op, c->attr, c->in[0]->rank, axes);
		if (!roi || og_count(roi) != 2 * n) fault = "tf_crop_and_resize needs a roi of two numbers for each axis";
		for (int k = 0; k < n && !fault; k++) {
			r.start[axes[k]] = number_get(roi, k);
			r.end[axes[k]] = number_get(roi, n + k);
		}
	}
	if (fault) return c->host->fail(OG_BAD_FILE, "%s can't be run: %s", c->op->name, fault);
	return resample_run(c, &r);
}
#endif

OP(resize_10, .name = "Resize", .since = 10, .doc = "Samples the input anew on a grid of another size.",
   .inputs = "X:T, scales:f32!", .outputs = "Y:T", .types = RESAMPLE_TYPES,
   ATTRS(OG_ENUM("mode", "nearest|linear", RESAMPLE_NEAREST)), .shape = resize_shape, .eval = resize_eval,
   .workspace = resize_workspace)
OP(resize_11, .name = "Resize", .since = 11, .doc = "Samples the input anew on a grid of another size.",
   .inputs = "X:T, roi:R?, scales:f32?!, sizes:i64?!", .outputs = "Y:T", .types = RESAMPLE_TYPES "; R=f32 f16 f64 bf16",
   ATTRS(OG_ENUM("mode", RESAMPLE_MODES, RESAMPLE_NEAREST),
         OG_ENUM("coordinate_transformation_mode", RESAMPLE_TRANSFORMS, RESAMPLE_HALF_PIXEL),
         OG_ENUM("nearest_mode", RESAMPLE_ROUNDINGS, RESAMPLE_PREFER_FLOOR), OG_FLOAT("cubic_coeff_a", -0.75),
         OG_INT("exclude_outside", 0), OG_FLOAT("extrapolation_value", 0.0)),
   .shape = resize_shape, .eval = resize_eval, .workspace = resize_workspace)
OP(resize_18, .name = "Resize", .since = 18, .doc = "Samples the input anew on a grid of another size.",
   .inputs = "X:T, roi:R?, scales:f32?!, sizes:i64?!", .outputs = "Y:T", .types = RESAMPLE_TYPES "; R=f32 f16 f64 bf16",
   ATTRS(OG_ENUM("mode", RESAMPLE_MODES, RESAMPLE_NEAREST),
         OG_ENUM("coordinate_transformation_mode", RESAMPLE_TRANSFORMS, RESAMPLE_HALF_PIXEL),
         OG_ENUM("nearest_mode", RESAMPLE_ROUNDINGS, RESAMPLE_PREFER_FLOOR), OG_FLOAT("cubic_coeff_a", -0.75),
         OG_INT("exclude_outside", 0), OG_FLOAT("extrapolation_value", 0.0), OG_INT("antialias", 0), OG_INTS("axes"),
         OG_ENUM("keep_aspect_ratio_policy", "stretch|not_larger|not_smaller", RESIZE_STRETCH)),
   .shape = resize_shape, .eval = resize_eval, .workspace = resize_workspace)
