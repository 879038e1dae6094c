/* ReduceLogSum: the logarithm of the sum along axes. */
#include "ops/reduce.h"

#if OP_BASE
static void reduce_log_sum_plus(reduce_state *s, double x) { s->a += x; }
static void reduce_log_sum_finish(reduce_state *s) { s->a = log(s->a); }

static og_status reduce_log_sum_eval(const og_call *c)
{
	static const reduce_rule rule = { reduce_log_sum_plus, NULL, reduce_log_sum_finish, (double)-INFINITY };
	return reduce_define(c, reduce_mask(c), &rule);
}
#endif

KERNELS(reduce_log_sum)

#if OP_CPU
EXPR v reduce_log_sum_add(v sum, v x) { return sum + x; }
EXPR v reduce_log_sum_join(v a, v b) { return a + b; }
EXPR v reduce_log_sum_end(v sum, float n) { (void)n; return v_log(sum); }
REDUCE_KERNEL(reduce_log_sum, reduce_mask, 0.0f, reduce_log_sum_add, reduce_log_sum_join, reduce_log_sum_end)
#endif

OP(reduce_log_sum, .name = "ReduceLogSum", .since = 1, .doc = "Logarithm of the sum along axes.",
   REDUCE_AXES_ATTRIBUTE, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_log_sum_eval, CPU(reduce_log_sum),
   .cases = "f32[2,3,4] | f32[2,3,4]; axes=[1] | f32[3,70]; axes=[-1], keepdims=0 | f32[4,3,5,6]; axes=[0,2,3]")
OP(reduce_log_sum_18, .name = "ReduceLogSum", .since = 18, .doc = "Logarithm of the sum along axes.",
   REDUCE_AXES_INPUT, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_log_sum_eval, CPU(reduce_log_sum),
   .cases = "f32[2,3,4] | f32[5,33]; keepdims=0 | f32[2,3]; noop_with_empty_axes=1")
