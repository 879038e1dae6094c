/* LayerNormalization: every row, all axes from `axis` on, to mean 0 and variance 1, then scaled and shifted. */
#include "ops/normalize.h"

#if OP_BASE || OP_CPU
enum { LAYER_NORMALIZATION_AXIS, LAYER_NORMALIZATION_EPSILON, LAYER_NORMALIZATION_STASH };

static normalize layer_normalization_task(const og_call *c)
{
	axis_split s = axis_tail(c->in[0], og_axis(c->attr[LAYER_NORMALIZATION_AXIS].i, c->in[0]->rank));
	normalize t = { .x = c->in[0], .scale = c->in[1], .shift = c->n_in > 2 ? c->in[2] : NULL, .y = c->out[0],
	                .mean = c->n_out > 1 ? c->out[1] : NULL, .inverse = c->n_out > 2 ? c->out[2] : NULL,
	                .rows = s.outer, .n = s.n, .epsilon = (double)c->attr[LAYER_NORMALIZATION_EPSILON].f, .centred = 1 };
	normalize_tail(&t);
	return t;
}
#endif

#if OP_BASE
static og_status layer_normalization_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	int axis;
	for (int k = 1; k < c->n_out; k++)
		c->out[k].dtype = c->attr[LAYER_NORMALIZATION_STASH].i == OG_BF16 ? OG_BF16 : OG_F32;
	if (x->rank < 0) return OG_OK;
	OP_TRY(axis_operand(c, 1));
	OP_TRY(axis_operand(c, 2));
	OP_TRY(dims_axis(c, &axis, c->attr[LAYER_NORMALIZATION_AXIS].i, x->rank));
	for (int k = 0; k < c->n_out; k++) {
		dims_copy(&c->out[k], x);
		for (int d = axis; k > 0 && d < x->rank; d++) c->out[k].dims[d] = 1;
	}
	return OG_OK;
}

static og_status layer_normalization_eval(const og_call *c)
{
	normalize t = layer_normalization_task(c);
	return normalize_define(c, &t);
}
#endif

KERNELS(layer_normalization)

#if OP_CPU
og_status OG_VIEW(layer_normalization)(const og_call *c)
{
	normalize t = layer_normalization_task(c);
	return normalize_fast(c, &t) ? OG_OK : c->op->eval(c);
}
#endif

OP(layer_normalization, .name = "LayerNormalization", .since = 17,
   .doc = "Normalization over the axes from one on, with scale and shift.",
   .inputs = "X:T, Scale:T, B:T?", .outputs = "Y:T, Mean:U?, InvStdDev:U?", .types = "T=f32 f64 f16 bf16; U=f32 bf16",
   ATTRS(OG_INT("axis", -1), OG_FLOAT("epsilon", 1e-5), OG_INT("stash_type", 1)),
   .shape = layer_normalization_shape, .eval = layer_normalization_eval, CPU(layer_normalization),
   .cases = "f32[2,3,40] f32[40] f32[40] | f32[2,3,4] f32[3,4]; axis=1 | f32[5,7] f32[1] f32[7]")
