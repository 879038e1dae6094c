/* RMSNormalization: every row, all axes from `axis` on, divided by its root mean square, then scaled. */
#include "ops/normalize.h"

#if OP_BASE || OP_CPU
enum { RMS_NORMALIZATION_AXIS, RMS_NORMALIZATION_EPSILON };

static normalize rms_normalization_task(const og_call *c)
{
	axis_split s = axis_tail(c->in[0], og_axis(c->attr[RMS_NORMALIZATION_AXIS].i, c->in[0]->rank));
	normalize t = { .x = c->in[0], .scale = c->in[1], .y = c->out[0], .rows = s.outer, .n = s.n,
	                .epsilon = (double)c->attr[RMS_NORMALIZATION_EPSILON].f };
	normalize_tail(&t);
	return t;
}
#endif

#if OP_BASE
static og_status rms_normalization_shape(og_infer *c)
{
	int axis;
	if (c->in[0].rank < 0) return OG_OK;
	OP_TRY(axis_operand(c, 1));
	OP_TRY(dims_axis(c, &axis, c->attr[RMS_NORMALIZATION_AXIS].i, c->in[0].rank));
	dims_copy(&c->out[0], &c->in[0]);
	return OG_OK;
}

static og_status rms_normalization_eval(const og_call *c)
{
	normalize t = rms_normalization_task(c);
	return normalize_define(c, &t);
}
#endif

KERNELS(rms_normalization)

#if OP_CPU
og_status OG_VIEW(rms_normalization)(const og_call *c)
{
	normalize t = rms_normalization_task(c);
	return t.scale->dtype == OG_F32 && normalize_fast(c, &t) ? OG_OK : c->op->eval(c);
}
#endif

OP(rms_normalization, .name = "RMSNormalization", .since = 23,
   .doc = "Division by the root mean square over the axes from one on, with scale.",
   .inputs = "X:T, scale:V", .outputs = "Y:V", .types = "T=f32 f64 f16 bf16; V=f32 f64 f16 bf16",
   ATTRS(OG_INT("axis", -1), OG_FLOAT("epsilon", 1e-5), OG_INT("stash_type", 1)),
   .shape = rms_normalization_shape, .eval = rms_normalization_eval, CPU(rms_normalization),
   .cases = "f32[2,3,40] f32[40] | f32[2,3,4] f32[3,4]; axis=1")
