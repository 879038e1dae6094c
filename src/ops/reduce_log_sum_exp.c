/* ReduceLogSumExp: log(sum(exp(x))) along axes, without overflow: the exponentials are taken
 * against the greatest element so far (b), and their sum (a) is scaled down when a greater one comes. */
#include "ops/reduce.h"

#if OP_BASE
static void reduce_log_sum_exp_plus(reduce_state *s, double x)
{
	if (s->n == 0) s->b = (double)-INFINITY;
	if (isnan(x) || x > s->b) {
		s->a = isinf(x) ? 1.0 : s->a * exp(s->b - x) + 1.0;
		s->b = x;
	} else if (!isinf(x)) s->a += exp(x - s->b);
}
static void reduce_log_sum_exp_finish(reduce_state *s) { s->a = s->a > 0 ? s->b + log(s->a) : s->a + s->b; }

static og_status reduce_log_sum_exp_eval(const og_call *c)
{
	static const reduce_rule rule = { reduce_log_sum_exp_plus, NULL, reduce_log_sum_exp_finish, (double)-INFINITY };
	return reduce_define(c, reduce_mask(c), &rule);
}
#endif

OP(reduce_log_sum_exp, .name = "ReduceLogSumExp", .since = 1,
   .doc = "Logarithm of the sum of exponentials along axes.",
   REDUCE_AXES_ATTRIBUTE, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_log_sum_exp_eval,
   .cases = "f32[2,3,4] | f32[2,3,4]; axes=[1] | f32[3,70]; axes=[-1], keepdims=0 | f32[4,3,5,6]; axes=[0,2,3]")
OP(reduce_log_sum_exp_18, .name = "ReduceLogSumExp", .since = 18,
   .doc = "Logarithm of the sum of exponentials along axes.",
   REDUCE_AXES_INPUT, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_log_sum_exp_eval,
   .cases = "f32[2,3,4] | f32[5,33]; keepdims=0 | f32[2,3]; noop_with_empty_axes=1")
