/* InstanceNormalization: every plane of every sample to mean 0 and variance 1, then scaled and shifted by channel. */
#include "ops/normalize.h"

#if OP_BASE || OP_CPU
static normalize instance_normalization_task(const og_call *c)
{
	const og_tensor *x = c->in[0];
	normalize t = { .x = x, .scale = c->in[1], .shift = c->in[2], .y = c->out[0], .rows = x->dims[0] * x->dims[1],
	                .n = og_span(x, 2, x->rank), .count = x->dims[1], .epsilon = (double)c->attr[0].f, .centred = 1 };
	t.inner = t.n;
	return t;
}
#endif

#if OP_BASE
static og_status instance_normalization_shape(og_infer *c)
{
	if (c->in[0].rank < 0) return OG_OK;
	if (c->in[0].rank < 2)
		return c->host->fail(OG_BAD_FILE, "the input has rank %d; give it the axes [N, C, ...]",
		                     c->in[0].rank);
	OP_TRY(axis_vector(c, 1, c->in[0].dims[1]));
	OP_TRY(axis_vector(c, 2, c->in[0].dims[1]));
	dims_copy(&c->out[0], &c->in[0]);
	return OG_OK;
}

static og_status instance_normalization_eval(const og_call *c)
{
	normalize t = instance_normalization_task(c);
	return normalize_define(c, &t);
}
#endif

KERNELS(instance_normalization)

#if OP_CPU
og_status OG_VIEW(instance_normalization)(const og_call *c)
{
	normalize t = instance_normalization_task(c);
	return t.inner > 1 && normalize_fast(c, &t) ? OG_OK : c->op->eval(c);
}
#endif

OP(instance_normalization, .name = "InstanceNormalization", .since = 6,
   .doc = "Normalization of each channel of each sample, with scale and shift.",
   .inputs = "input:T, scale:T, B:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("epsilon", 1e-5)), .flags = OG_PER_SAMPLE,
   .shape = instance_normalization_shape, .eval = instance_normalization_eval,
   CPU(instance_normalization), .cases = "f32[2,3,5,7] f32[3] f32[3] | f32[1,2,40] f32[2] f32[2]")
