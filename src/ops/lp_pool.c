/* LpPool: the p-norm of each window. */
#include "ops/pool.h"

#if OP_BASE
enum { LP_POOL_P = POOL_OWN_ATTRS };

static void lp_pool_add(const pool_task *t, pool_state *s, double x, int64_t cell)
{
	(void)cell;
	s->value += pow(fabs(x), (double)t->call->attr[LP_POOL_P].i);
}

static void lp_pool_write(const pool_task *t, const pool_state *s, int64_t plane, int64_t k)
{
	(void)plane;
	number_put(t->call->out[0], k, pow(s->value, 1.0 / (double)t->call->attr[LP_POOL_P].i));
}

static og_status lp_pool_eval(const og_call *c)
{
	pool_task t = { .call = c, .add = lp_pool_add, .write = lp_pool_write };
	return pool_define(&t);
}
#endif

OP(lp_pool, .name = "LpPool", .since = 2, .doc = "p-norm of each window.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(POOL_ATTRS, OG_INT("p", 2)), .flags = OG_PER_SAMPLE,
   .shape = pool_shape, .eval = lp_pool_eval,
   .cases = "f32[1,2,6,6]; kernel_shape=[2,2] | f32[1,1,7]; kernel_shape=[3], p=3, pads=[1,1]")
