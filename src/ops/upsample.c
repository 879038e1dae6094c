/* The older Resize: it enlarges, by scales that are an attribute in Upsample-7 and an input later. */
#include "ops/resample.h"

#if OP_BASE
static double upsample_scale(const og_op *op, const og_attr_value *attr, const og_tensor *scales, int d)
{
	return op->since < 9 ? (double)attr[1].floats[d] : number_get(scales, d);
}

static og_status upsample_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	const og_tensor *scales = c->op->since < 9 ? NULL : c->in[1].value;
	OP_TRY(dims_of_rank(c, y, x->rank));
	if (x->rank < 0 || (c->op->since >= 9 && !scales)) return OG_OK;
	if ((scales ? og_count(scales) : c->attr[1].n) != x->rank)
		return c->host->fail(OG_BAD_FILE, "Upsample has no scale for each of its %d dimensions", x->rank);
	for (int d = 0; d < x->rank; d++) {
		double scale = upsample_scale(c->op, c->attr, scales, d);
		if (!(scale >= 1 && scale <= 0x1p40))
			return c->host->fail(OG_BAD_FILE, "Upsample has scale %g for dimension %d; it must be 1 or more", scale, d);
		if (x->dims[d] >= 0 && scale != floor(scale)) {
			y->dims[d] = number_whole(floor((double)x->dims[d] * scale));
		} else if (scale == floor(scale)) {
			y->dims[d] = x->dims[d];
			OP_TRY(dims_mul(c, &y->dims[d], (int64_t)scale));
		}
	}
	return OG_OK;
}

static resample upsample_settings(const og_call *c)
{
	resample r = { .mode = (int)c->attr[0].i, .transform = RESAMPLE_ASYMMETRIC, .rounding = RESAMPLE_FLOOR };
	for (int d = 0; d < c->in[0]->rank; d++) r.scale[d] = upsample_scale(c->op, c->attr, move_in(c, 1), d);
	return r;
}

static size_t upsample_workspace(const og_call *c)
{
	resample r = upsample_settings(c);
	return resample_workspace(&r, c->in[0], c->out[0]);
}

static og_status upsample_eval(const og_call *c)
{
	resample r = upsample_settings(c);
	return resample_run(c, &r);
}
#endif

OP(upsample_7, .name = "Upsample", .since = 7, .doc = "Enlarges the input along each dimension.", .inputs = "X:T",
   .outputs = "Y:T", .types = RESAMPLE_TYPES,
   ATTRS(OG_ENUM("mode", "nearest|linear", RESAMPLE_NEAREST),
         { .name = "scales", .type = OG_ATTR_FLOATS, .required = 1 }),
   .shape = upsample_shape, .eval = upsample_eval, .workspace = upsample_workspace)
OP(upsample_9, .name = "Upsample", .since = 9, .doc = "Enlarges the input along each dimension.",
   .inputs = "X:T, scales:f32!", .outputs = "Y:T", .types = RESAMPLE_TYPES,
   ATTRS(OG_ENUM("mode", "nearest|linear", RESAMPLE_NEAREST)),
   .shape = upsample_shape, .eval = upsample_eval, .workspace = upsample_workspace)
