/* MaxPool: the greatest cell of each window; NaN wins. The first of equal cells gives the index. */
#include "ops/pool.h"

#if OP_BASE
enum { MAX_POOL_STORAGE_ORDER = POOL_OWN_ATTRS };

static void max_pool_add(const pool_task *t, pool_state *s, double x, int64_t cell)
{
	(void)t;
	if (s->cells > 0 && !(x > s->value) && !(isnan(x) && !isnan(s->value))) return;
	s->value = x;
	s->best = cell;
}

static void max_pool_write(const pool_task *t, const pool_state *s, int64_t plane, int64_t k)
{
	const og_call *c = t->call;
	const int64_t *in = t->w.in;
	int64_t at = s->best;
	if (c->attr[MAX_POOL_STORAGE_ORDER].i)       /* column-major: the first spatial axis runs fastest */
		at = at / in[2] / in[1] + in[0] * (at / in[2] % in[1] + in[1] * (at % in[2]));
	if (c->out[0]) number_put(c->out[0], k, s->cells ? s->value : -HUGE_VAL);
	if (c->n_out > 1 && c->out[1]) number_put_int(c->out[1], k, plane * in[0] * in[1] * in[2] + at);
}

static og_status max_pool_eval(const og_call *c)
{
	pool_task t = { .call = c, .add = max_pool_add, .write = max_pool_write };
	return pool_define(&t);
}
#endif

KERNELS(max_pool)

#if OP_CPU
EXPR v max_pool_end(v sum, v count) { (void)count; return sum; }
POOL_KERNEL(max_pool, -HUGE_VALF, v_max_, max_pool_end)

og_status OG_VIEW(max_pool)(const og_call *c)
{
	pool_pass p;
	const og_tensor *x = c->in[0];
	if (!c->out[0] || (c->n_out > 1 && c->out[1]) || !pool_pass_of(&p, c, 0)) return c->op->eval(c);
	c->host->parallel(c, x->dims[0] * x->dims[1], reduce_grain(og_span(x, 2, x->rank)), max_pool_planes, &p);
	return OG_OK;
}
#endif

OP(max_pool, .name = "MaxPool", .since = 1, .doc = "Greatest cell of each window, and where it is.",
   .inputs = "X:T", .outputs = "Y:T, Indices:i64?", .types = "T=f32 f64 f16 bf16 i8 u8",
   ATTRS(POOL_ATTRS, OG_INT("storage_order", 0)), .flags = OG_PER_SAMPLE,
   .shape = pool_shape, .eval = max_pool_eval, CPU(max_pool),
   .cases = "f32[1,2,24,24]; kernel_shape=[2,2], strides=[2,2] | f32[2,3,15,13]; kernel_shape=[3,3], strides=[2,2], "
            "pads=[1,1,1,1] | f32[1,1,7,40]; kernel_shape=[3,5], dilations=[1,2], ceil_mode=1"
            " | f32[1,2,50]; kernel_shape=[4]")
