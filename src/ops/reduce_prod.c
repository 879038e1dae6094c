/* ReduceProd: the product along axes. Integers wrap; the product of nothing is 1. */
#include "ops/reduce.h"

#if OP_BASE
static void reduce_prod_plus(reduce_state *s, double x) { s->a = s->n ? s->a * x : x; }
static void reduce_prod_plus_int(reduce_state *s, int64_t x) { s->i = s->n ? s->i * x : x; }

static og_status reduce_prod_eval(const og_call *c)
{
	static const reduce_rule rule = { reduce_prod_plus, reduce_prod_plus_int, NULL, 1.0 };
	return reduce_define(c, reduce_mask(c), &rule);
}
#endif

KERNELS(reduce_prod)

#if OP_CPU
EXPR v reduce_prod_add(v sum, v x) { return sum * x; }
EXPR v reduce_prod_join(v a, v b) { return a * b; }
EXPR v reduce_prod_end(v sum, float n) { (void)n; return sum; }
REDUCE_KERNEL(reduce_prod, reduce_mask, 1.0f, reduce_prod_add, reduce_prod_join, reduce_prod_end)
#endif

OP(reduce_prod, .name = "ReduceProd", .since = 1, .doc = "Product along axes.",
   REDUCE_AXES_ATTRIBUTE, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_prod_eval, CPU(reduce_prod),
   .cases = "f32[2,3,4] | f32[2,3,4]; axes=[1] | f32[3,70]; axes=[-1], keepdims=0 | f32[4,3,5,6]; axes=[0,2,3]")
OP(reduce_prod_18, .name = "ReduceProd", .since = 18, .doc = "Product along axes.",
   REDUCE_AXES_INPUT, .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .eval = reduce_prod_eval, CPU(reduce_prod),
   .cases = "f32[2,3,4] | f32[5,33]; keepdims=0 | f32[2,3]; noop_with_empty_axes=1")
