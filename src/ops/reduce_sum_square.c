/* ReduceSumSquare: the sum of squares along axes. Integers wrap. */
#include "ops/reduce.h"

#if OP_BASE
static void reduce_sum_square_plus(reduce_state *s, double x) { s->a += x * x; }
static void reduce_sum_square_plus_int(reduce_state *s, int64_t x) { s->i += x * x; }

static og_status reduce_sum_square_eval(const og_call *c)
{
	static const reduce_rule rule = { reduce_sum_square_plus, reduce_sum_square_plus_int, NULL, 0.0 };
	return reduce_define(c, reduce_mask(c), &rule);
}
#endif

KERNELS(reduce_sum_square)

#if OP_CPU
EXPR v reduce_sum_square_add(v sum, v x) { return sum + x * x; }
EXPR v reduce_sum_square_join(v a, v b) { return a + b; }
EXPR v reduce_sum_square_end(v sum, float n) { (void)n; return sum; }
REDUCE_KERNEL(reduce_sum_square, reduce_mask, 0.0f, reduce_sum_square_add, reduce_sum_square_join,
              reduce_sum_square_end)
#endif

OP(reduce_sum_square, .name = "ReduceSumSquare", .since = 1, .doc = "Sum of squares along axes.",
   REDUCE_AXES_ATTRIBUTE, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_sum_square_eval, CPU(reduce_sum_square),
   .cases = "f32[2,3,4] | f32[2,3,4]; axes=[1] | f32[3,70]; axes=[-1], keepdims=0 | f32[4,3,5,6]; axes=[0,2,3]")
OP(reduce_sum_square_18, .name = "ReduceSumSquare", .since = 18, .doc = "Sum of squares along axes.",
   REDUCE_AXES_INPUT, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_sum_square_eval, CPU(reduce_sum_square),
   .cases = "f32[2,3,4] | f32[5,33]; keepdims=0 | f32[2,3]; noop_with_empty_axes=1")
