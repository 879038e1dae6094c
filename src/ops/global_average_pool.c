/* GlobalAveragePool: the mean over all spatial axes. */
#include "ops/reduce.h"

#if OP_BASE
static void global_average_pool_plus(reduce_state *s, double x) { s->a += x; }
static void global_average_pool_finish(reduce_state *s) { s->a /= (double)s->n; }

static og_status global_average_pool_eval(const og_call *c)
{
	static const reduce_rule rule = { global_average_pool_plus, NULL, global_average_pool_finish, (double)NAN };
	return reduce_define(c, reduce_spatial(c), &rule);
}
#endif

KERNELS(global_average_pool)

#if OP_CPU
EXPR v global_average_pool_add(v a, v b) { return a + b; }
EXPR v global_average_pool_end(v sum, float n) { return sum / n; }
REDUCE_KERNEL(global_average_pool, reduce_spatial, 0.0f, global_average_pool_add, global_average_pool_add,
              global_average_pool_end)
#endif

OP(global_average_pool, .name = "GlobalAveragePool", .since = 1, .doc = "Mean over all spatial axes.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   .flags = OG_PER_SAMPLE,
   .shape = reduce_spatial_shape, .eval = global_average_pool_eval, CPU(global_average_pool),
   .cases = "f32[2,3,7,7] | f32[1,5,1,1] | f32[2,2,33]")
