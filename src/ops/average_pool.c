/* AveragePool: the mean of each window. The divisor counts real cells; with count_include_pad also those of the padding
 * that was asked for, but never the cells that ceil_mode reaches beyond it. */
#include "ops/pool.h"

enum { AVERAGE_POOL_INCLUDE_PAD = POOL_OWN_ATTRS };

#if OP_BASE
static void average_pool_add(const pool_task *t, pool_state *s, double x, int64_t cell)
{
	(void)t;
	(void)cell;
	s->value += x;
}

static void average_pool_write(const pool_task *t, const pool_state *s, int64_t plane, int64_t k)
{
	const og_call *c = t->call;
	(void)plane;
	number_put(c->out[0], k, s->value / (double)(c->attr[AVERAGE_POOL_INCLUDE_PAD].i ? s->taps : s->cells));
}

static og_status average_pool_eval(const og_call *c)
{
	pool_task t = { .call = c, .add = average_pool_add, .write = average_pool_write };
	return pool_define(&t);
}
#endif

KERNELS(average_pool)

#if OP_CPU
EXPR v average_pool_plus(v a, v b) { return a + b; }
EXPR v average_pool_end(v sum, v count) { return sum / count; }
POOL_KERNEL(average_pool, 0.0f, average_pool_plus, average_pool_end)

og_status OG_VIEW(average_pool)(const og_call *c)
{
	pool_pass p;
	const og_tensor *x = c->in[0];
	if (!pool_pass_of(&p, c, c->attr[AVERAGE_POOL_INCLUDE_PAD].i ? 2 : 1)) return c->op->eval(c);
	c->host->parallel(c, x->dims[0] * x->dims[1], reduce_grain(og_span(x, 2, x->rank)), average_pool_planes, &p);
	return OG_OK;
}
#endif

OP(average_pool, .name = "AveragePool", .since = 7, .doc = "Mean of each window.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(POOL_ATTRS, OG_INT("count_include_pad", 0)), .flags = OG_PER_SAMPLE,
   .shape = pool_shape, .eval = average_pool_eval, CPU(average_pool),
   .cases = "f32[1,2,24,24]; kernel_shape=[2,2], strides=[2,2] | f32[2,3,15,13]; kernel_shape=[3,3], strides=[2,2], "
            "pads=[1,1,1,1], count_include_pad=1 | f32[1,1,7,40]; kernel_shape=[3,5], ceil_mode=1, strides=[2,3]"
            " | f32[1,1,5,5,5]; kernel_shape=[2,3,2], auto_pad=SAME_LOWER")
