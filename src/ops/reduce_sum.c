/* ReduceSum: the sum along axes. Integers wrap. */
#include "ops/reduce.h"

#if OP_BASE
static void reduce_sum_plus(reduce_state *s, double x) { s->a += x; }
static void reduce_sum_plus_int(reduce_state *s, int64_t x) { s->i += x; }

static og_status reduce_sum_eval(const og_call *c)
{
	static const reduce_rule rule = { reduce_sum_plus, reduce_sum_plus_int, NULL, 0.0 };
	return reduce_define(c, reduce_mask(c), &rule);
}
#endif

KERNELS(reduce_sum)

#if OP_CPU
EXPR v reduce_sum_add(v sum, v x) { return sum + x; }
EXPR v reduce_sum_join(v a, v b) { return a + b; }
EXPR v reduce_sum_end(v sum, float n) { (void)n; return sum; }
REDUCE_KERNEL(reduce_sum, reduce_mask, 0.0f, reduce_sum_add, reduce_sum_join, reduce_sum_end)
#endif

OP(reduce_sum, .name = "ReduceSum", .since = 1, .doc = "Sum along axes.",
   REDUCE_AXES_ATTRIBUTE, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_sum_eval, CPU(reduce_sum),
   .cases = "f32[2,3,4] | f32[2,3,4]; axes=[1] | f32[3,70]; axes=[-1], keepdims=0 | f32[4,3,5,6]; axes=[0,2,3]")
OP(reduce_sum_13, .name = "ReduceSum", .since = 13, .doc = "Sum along axes.",
   REDUCE_AXES_INPUT, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_sum_eval, CPU(reduce_sum),
   .cases = "f32[2,3,4] | f32[5,33]; keepdims=0 | f32[2,3]; noop_with_empty_axes=1")
