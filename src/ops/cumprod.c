/* CumProd: running products along an axis. Integers wrap. */
#include "ops/axis.h"
#include "ops/number.h"

#if OP_BASE
enum { CUMPROD_EXCLUSIVE, CUMPROD_REVERSE };

static og_status cumprod_shape(og_infer *c)
{
	dims_copy(&c->out[0], &c->in[0]);
	return OG_OK;
}

typedef struct cumprod_task { const og_call *call; axis_split s; } cumprod_task;

/* Item: one line along the axis. */
static void cumprod_lines(void *arg, int64_t begin, int64_t end)
{
	const cumprod_task *t = (const cumprod_task *)arg;
	const og_tensor *x = t->call->in[0], *y = t->call->out[0];
	int64_t n = t->s.n, step = t->s.inner;
	int before = t->call->attr[CUMPROD_EXCLUSIVE].i != 0, whole = !number_is_float(x->dtype);
	for (int64_t item = begin; item < end; item++) {
		int64_t at = item / step * n * step + item % step, total = 1;
		double product = 1.0;
		for (int64_t i = 0; i < n; i++) {
			int64_t k = at + (t->call->attr[CUMPROD_REVERSE].i ? n - 1 - i : i) * step;
			double by = whole ? 1.0 : number_get(x, k);
			int64_t by_whole = whole ? number_get_int(x, k) : 1;
			if (whole) number_put_int(y, k, before ? total : total * by_whole);
			else number_put(y, k, before ? product : product * by);
			product *= by;
			total *= by_whole;
		}
	}
}

static og_status cumprod_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	int axis;
	cumprod_task t = { .call = c };
	if (og_count(c->in[1]) != 1)
		return c->host->fail(OG_BAD_FILE, "CumProd: input axis must hold one number, not %lld",
		                     (long long)og_count(c->in[1]));
	axis = og_axis(number_get_int(c->in[1], 0), x->rank);
	if (axis < 0)
		return c->host->fail(OG_BAD_FILE, "CumProd: axis %lld is out of range for an input of rank %d",
		                     (long long)number_get_int(c->in[1], 0), x->rank);
	t.s = axis_of(x, axis);
	c->host->parallel(c, t.s.outer * t.s.inner, 1, cumprod_lines, &t);
	return OG_OK;
}
#endif

OP(cumprod, .name = "CumProd", .since = 26, .doc = "Running products along an axis.",
   .inputs = "x:T, axis:I", .outputs = "y:T", .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64; I=i32 i64",
   ATTRS(OG_INT("exclusive", 0), OG_INT("reverse", 0)), .shape = cumprod_shape, .eval = cumprod_eval)
