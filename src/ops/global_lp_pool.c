/* GlobalLpPool: the p-norm over all spatial axes. */
#include "ops/reduce.h"

#if OP_BASE
static og_status global_lp_pool_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	int64_t planes = og_span(x, 0, 2), size = og_span(x, 2, x->rank);
	double p = (double)c->attr[0].i;
	for (int64_t k = 0; k < planes; k++) {
		double sum = 0.0;
		for (int64_t i = 0; i < size; i++) sum += pow(fabs(number_get(x, k * size + i)), p);
		number_put(c->out[0], k, pow(sum, 1.0 / p));
	}
	return OG_OK;
}
#endif

OP(global_lp_pool, .name = "GlobalLpPool", .since = 2, .doc = "p-norm over all spatial axes.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16", ATTRS(OG_INT("p", 2)),
   .flags = OG_PER_SAMPLE,
   .shape = reduce_spatial_shape, .eval = global_lp_pool_eval, .cases = "f32[2,3,4,5] | f32[1,2,9]; p=3")
