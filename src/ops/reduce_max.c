/* ReduceMax: the greatest element along axes; NaN wins. Of nothing it is the least value there is. */
#include "ops/reduce.h"

#if OP_BASE
static void reduce_max_plus(reduce_state *s, double x) { if (s->n == 0 || isnan(x) || x > s->a) s->a = x; }
static void reduce_max_plus_int(reduce_state *s, int64_t x) { if (s->n == 0 || x > s->i) s->i = x; }
static void reduce_max_plus_u64(reduce_state *s, int64_t x) { if (s->n == 0 || (uint64_t)x > (uint64_t)s->i) s->i = x; }

static og_status reduce_max_eval(const og_call *c)
{
	og_dtype t = c->in[0]->dtype;
	reduce_rule rule = { reduce_max_plus, t == OG_U64 ? reduce_max_plus_u64 : reduce_max_plus_int, NULL,
	                     t == OG_BOOL ? 0.0 : (double)-INFINITY };
	return reduce_define(c, reduce_mask(c), &rule);
}
#endif

KERNELS(reduce_max)

#if OP_CPU
EXPR v reduce_max_add(v sum, v x) { return v_max(sum, x); }
EXPR v reduce_max_end(v sum, float n) { (void)n; return sum; }
REDUCE_KERNEL(reduce_max, reduce_mask, -HUGE_VALF, reduce_max_add, reduce_max_add, reduce_max_end)
#endif

OP(reduce_max, .name = "ReduceMax", .since = 1, .doc = "Greatest element along axes.",
   REDUCE_AXES_ATTRIBUTE, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64 i8 u8 bool",
   .eval = reduce_max_eval, CPU(reduce_max),
   .cases = "f32[2,3,4] | f32[2,3,4]; axes=[1] | f32[3,70]; axes=[-1], keepdims=0 | f32[4,3,5,6]; axes=[0,2,3]")
OP(reduce_max_18, .name = "ReduceMax", .since = 18, .doc = "Greatest element along axes.",
   REDUCE_AXES_INPUT, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64 i8 u8 bool",
   .eval = reduce_max_eval, CPU(reduce_max),
   .cases = "f32[2,3,4] | f32[5,33]; keepdims=0 | f32[2,3]; noop_with_empty_axes=1")
