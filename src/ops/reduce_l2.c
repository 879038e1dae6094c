/* ReduceL2: the square root of the sum of squares along axes. */
#include "ops/reduce.h"

#if OP_BASE
static void reduce_l2_plus(reduce_state *s, double x) { s->a += x * x; }
static void reduce_l2_finish(reduce_state *s) { s->a = sqrt(s->a); }

static og_status reduce_l2_eval(const og_call *c)
{
	static const reduce_rule rule = { reduce_l2_plus, NULL, reduce_l2_finish, 0.0 };
	return reduce_define(c, reduce_mask(c), &rule);
}
#endif

KERNELS(reduce_l2)

#if OP_CPU
EXPR v reduce_l2_add(v sum, v x) { return sum + x * x; }
EXPR v reduce_l2_join(v a, v b) { return a + b; }
EXPR v reduce_l2_end(v sum, float n) { (void)n; return v_sqrt(sum); }
REDUCE_KERNEL(reduce_l2, reduce_mask, 0.0f, reduce_l2_add, reduce_l2_join, reduce_l2_end)
#endif

OP(reduce_l2, .name = "ReduceL2", .since = 1, .doc = "Euclidean norm along axes.",
   REDUCE_AXES_ATTRIBUTE, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_l2_eval, CPU(reduce_l2),
   .cases = "f32[2,3,4] | f32[2,3,4]; axes=[1] | f32[3,70]; axes=[-1], keepdims=0 | f32[4,3,5,6]; axes=[0,2,3]")
OP(reduce_l2_18, .name = "ReduceL2", .since = 18, .doc = "Euclidean norm along axes.",
   REDUCE_AXES_INPUT, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_l2_eval, CPU(reduce_l2),
   .cases = "f32[2,3,4] | f32[5,33]; keepdims=0 | f32[2,3]; noop_with_empty_axes=1")
