/* ReduceMean: the mean along axes. That of integers drops the fraction; that of nothing is NaN. */
#include "ops/reduce.h"

#if OP_BASE
static void reduce_mean_plus(reduce_state *s, double x) { s->a += x; }
static void reduce_mean_plus_int(reduce_state *s, int64_t x) { s->i += x; }
static void reduce_mean_finish(reduce_state *s) { s->a /= (double)s->n; s->i /= s->n; }

static og_status reduce_mean_eval(const og_call *c)
{
	static const reduce_rule rule = { reduce_mean_plus, reduce_mean_plus_int, reduce_mean_finish, (double)NAN };
	return reduce_define(c, reduce_mask(c), &rule);
}
#endif

KERNELS(reduce_mean)

#if OP_CPU
EXPR v reduce_mean_add(v sum, v x) { return sum + x; }
EXPR v reduce_mean_join(v a, v b) { return a + b; }
EXPR v reduce_mean_end(v sum, float n) { return sum / n; }
REDUCE_KERNEL(reduce_mean, reduce_mask, 0.0f, reduce_mean_add, reduce_mean_join, reduce_mean_end)
#endif

OP(reduce_mean, .name = "ReduceMean", .since = 1, .doc = "Mean along axes.",
   REDUCE_AXES_ATTRIBUTE, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_mean_eval, CPU(reduce_mean),
   .cases = "f32[2,3,4] | f32[2,3,4]; axes=[1] | f32[3,70]; axes=[-1], keepdims=0 | f32[4,3,5,6]; axes=[0,2,3]")
OP(reduce_mean_18, .name = "ReduceMean", .since = 18, .doc = "Mean along axes.",
   REDUCE_AXES_INPUT, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_mean_eval, CPU(reduce_mean),
   .cases = "f32[2,3,4] | f32[5,33]; keepdims=0 | f32[2,3]; noop_with_empty_axes=1")
