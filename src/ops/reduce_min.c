/* ReduceMin: the least element along axes; NaN wins. Of nothing it is the greatest value there is. */
#include "ops/reduce.h"

#if OP_BASE
static void reduce_min_plus(reduce_state *s, double x) { if (s->n == 0 || isnan(x) || x < s->a) s->a = x; }
static void reduce_min_plus_int(reduce_state *s, int64_t x) { if (s->n == 0 || x < s->i) s->i = x; }
static void reduce_min_plus_u64(reduce_state *s, int64_t x) { if (s->n == 0 || (uint64_t)x < (uint64_t)s->i) s->i = x; }

static og_status reduce_min_eval(const og_call *c)
{
	og_dtype t = c->in[0]->dtype;
	reduce_rule rule = { reduce_min_plus, t == OG_U64 ? reduce_min_plus_u64 : reduce_min_plus_int, NULL,
	                     t == OG_BOOL ? 1.0 : (double)INFINITY };
	return reduce_define(c, reduce_mask(c), &rule);
}
#endif

KERNELS(reduce_min)

#if OP_CPU
EXPR v reduce_min_add(v sum, v x) { return v_min(sum, x); }
EXPR v reduce_min_end(v sum, float n) { (void)n; return sum; }
REDUCE_KERNEL(reduce_min, reduce_mask, HUGE_VALF, reduce_min_add, reduce_min_add, reduce_min_end)
#endif

OP(reduce_min, .name = "ReduceMin", .since = 1, .doc = "Least element along axes.",
   REDUCE_AXES_ATTRIBUTE, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64 i8 u8 bool",
   .eval = reduce_min_eval, CPU(reduce_min),
   .cases = "f32[2,3,4] | f32[2,3,4]; axes=[1] | f32[3,70]; axes=[-1], keepdims=0 | f32[4,3,5,6]; axes=[0,2,3]")
OP(reduce_min_18, .name = "ReduceMin", .since = 18, .doc = "Least element along axes.",
   REDUCE_AXES_INPUT, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64 i8 u8 bool",
   .eval = reduce_min_eval, CPU(reduce_min),
   .cases = "f32[2,3,4] | f32[5,33]; keepdims=0 | f32[2,3]; noop_with_empty_axes=1")
