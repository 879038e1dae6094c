/* GlobalMaxPool: the greatest cell over all spatial axes; NaN wins. */
#include "ops/reduce.h"

#if OP_BASE
static void global_max_pool_plus(reduce_state *s, double x) { if (s->n == 0 || isnan(x) || x > s->a) s->a = x; }

static og_status global_max_pool_eval(const og_call *c)
{
	static const reduce_rule rule = { global_max_pool_plus, NULL, NULL, (double)-INFINITY };
	return reduce_define(c, reduce_spatial(c), &rule);
}
#endif

KERNELS(global_max_pool)

#if OP_CPU
EXPR v global_max_pool_end(v sum, float n) { (void)n; return sum; }
REDUCE_KERNEL(global_max_pool, reduce_spatial, -HUGE_VALF, v_max_, v_max_, global_max_pool_end)
#endif

OP(global_max_pool, .name = "GlobalMaxPool", .since = 1, .doc = "Greatest cell over all spatial axes.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   .flags = OG_PER_SAMPLE,
   .shape = reduce_spatial_shape, .eval = global_max_pool_eval, CPU(global_max_pool),
   .cases = "f32[2,3,7,7] | f32[1,5,1,1] | f32[2,2,33]")
