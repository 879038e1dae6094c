/* ReduceL1: the sum of magnitudes along axes. */
#include "ops/reduce.h"

#if OP_BASE
static void reduce_l1_plus(reduce_state *s, double x) { s->a += fabs(x); }
static void reduce_l1_plus_int(reduce_state *s, int64_t x) { s->i += x < 0 ? -x : x; }

static og_status reduce_l1_eval(const og_call *c)
{
	static const reduce_rule rule = { reduce_l1_plus, reduce_l1_plus_int, NULL, 0.0 };
	return reduce_define(c, reduce_mask(c), &rule);
}
#endif

KERNELS(reduce_l1)

#if OP_CPU
EXPR v reduce_l1_add(v sum, v x) { return sum + v_abs(x); }
EXPR v reduce_l1_join(v a, v b) { return a + b; }
EXPR v reduce_l1_end(v sum, float n) { (void)n; return sum; }
REDUCE_KERNEL(reduce_l1, reduce_mask, 0.0f, reduce_l1_add, reduce_l1_join, reduce_l1_end)
#endif

OP(reduce_l1, .name = "ReduceL1", .since = 1, .doc = "Sum of magnitudes along axes.",
   REDUCE_AXES_ATTRIBUTE, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_l1_eval, CPU(reduce_l1),
   .cases = "f32[2,3,4] | f32[2,3,4]; axes=[1] | f32[3,70]; axes=[-1], keepdims=0 | f32[4,3,5,6]; axes=[0,2,3]")
OP(reduce_l1_18, .name = "ReduceL1", .since = 18, .doc = "Sum of magnitudes along axes.",
   REDUCE_AXES_INPUT, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_l1_eval, CPU(reduce_l1),
   .cases = "f32[2,3,4] | f32[5,33]; keepdims=0 | f32[2,3]; noop_with_empty_axes=1")
