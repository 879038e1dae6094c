/* GroupNormalization: groups of channels of every sample to mean 0 and variance 1, then scaled and shifted: before
 * opset 21 by a value for each group, then by one for each channel. */
#include "ops/normalize.h"

#if OP_BASE || OP_CPU
enum { GROUP_NORMALIZATION_EPSILON, GROUP_NORMALIZATION_GROUPS };

static normalize group_normalization_task(const og_call *c)
{
	const og_tensor *x = c->in[0];
	int64_t groups = c->attr[GROUP_NORMALIZATION_GROUPS].i, plane = og_span(x, 2, x->rank);
	normalize t = { .x = x, .scale = c->in[1], .shift = c->in[2], .y = c->out[0], .rows = x->dims[0] * groups,
	                .n = x->dims[1] / groups * plane, .centred = 1,
	                .epsilon = (double)c->attr[GROUP_NORMALIZATION_EPSILON].f };
	t.count = og_count(t.scale);
	t.inner = c->op->since < 21 ? t.n : plane;
	return t;
}
#endif

#if OP_BASE
static og_status group_normalization_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	int64_t groups = c->attr[GROUP_NORMALIZATION_GROUPS].i;
	og_dim vector;
	if (x->rank < 0) return OG_OK;
	if (x->rank < 2 || groups < 1 || (x->dims[1] >= 0 && x->dims[1] % groups != 0))
		return c->host->fail(OG_BAD_FILE, "num_groups is %lld, which does not divide the channels of "
		                     "an input of rank %d; correct the model", (long long)groups, x->rank);
	vector = c->op->since < 21 ? groups : x->dims[1];
	OP_TRY(axis_vector(c, 1, vector));
	OP_TRY(axis_vector(c, 2, vector));
	dims_copy(&c->out[0], x);
	return OG_OK;
}

static og_status group_normalization_eval(const og_call *c)
{
	normalize t = group_normalization_task(c);
	return normalize_define(c, &t);
}
#endif

KERNELS(group_normalization)

#if OP_CPU
og_status OG_VIEW(group_normalization)(const og_call *c)
{
	normalize t = group_normalization_task(c);
	return t.inner > 1 && normalize_fast(c, &t) ? OG_OK : c->op->eval(c);
}
#endif

OP(group_normalization, .name = "GroupNormalization", .since = 18,
   .doc = "Normalization of groups of channels, with scale and shift of each group.",
   .inputs = "X:T, scale:T, bias:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("epsilon", 1e-5), { .name = "num_groups", .type = OG_ATTR_INT, .required = 1 }),
   .shape = group_normalization_shape, .eval = group_normalization_eval, CPU(group_normalization),
   .cases = "f32[2,4,3,5] f32[2] f32[2]; num_groups=2")
OP(group_normalization_21, .name = "GroupNormalization", .since = 21,
   .doc = "Normalization of groups of channels, with scale and shift of each channel.",
   .inputs = "X:T, scale:T, bias:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("epsilon", 1e-5), { .name = "num_groups", .type = OG_ATTR_INT, .required = 1 },
         OG_INT("stash_type", 1)),
   .shape = group_normalization_shape, .eval = group_normalization_eval, CPU(group_normalization),
   .cases = "f32[2,4,3,5] f32[4] f32[4]; num_groups=2")
