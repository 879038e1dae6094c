/* Hardmax: 1 at the first greatest element along an axis, else 0; before opset 13 along all axes from `axis` on. */
#include "ops/extreme.h"

#if OP_BASE
static og_status hardmax_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	axis_split s = axis_rows(c, c->attr[0].i);
	for (int64_t k = 0; k < s.outer * s.inner && s.n > 0; k++) {
		int64_t at = k / s.inner * s.n * s.inner + k % s.inner, best = extreme_index(x, 1, 0, at, s.inner, s.n);
		for (int64_t i = 0; i < s.n; i++) number_put(c->out[0], at + i * s.inner, i == best ? 1.0 : 0.0);
	}
	return OG_OK;
}
#endif

OP(hardmax, .name = "Hardmax", .since = 1, .doc = "One at the greatest element over all axes from one on.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16",
   ATTRS(OG_INT("axis", 1)), .shape = axis_shape, .eval = hardmax_eval, .cases = "f32[2,3,4] | f32[2,3]; axis=0")
OP(hardmax_13, .name = "Hardmax", .since = 13, .doc = "One at the greatest element along an axis.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_INT("axis", -1)), .shape = axis_shape, .eval = hardmax_eval, .cases = "f32[2,3,4] | f32[2,3,4]; axis=1")
