/* CumSum: running sums along an axis. Integers wrap. */
#include "ops/axis.h"
#include "ops/number.h"

#if OP_BASE
enum { CUMSUM_EXCLUSIVE, CUMSUM_REVERSE };

static og_status cumsum_shape(og_infer *c)
{
	dims_copy(&c->out[0], &c->in[0]);
	return OG_OK;
}

typedef struct cumsum_task { const og_call *call; axis_split s; } cumsum_task;

/* Item: one line along the axis. */
static void cumsum_lines(void *arg, int64_t begin, int64_t end)
{
	const cumsum_task *t = (const cumsum_task *)arg;
	const og_tensor *x = t->call->in[0], *y = t->call->out[0];
	int64_t n = t->s.n, step = t->s.inner;
	int before = t->call->attr[CUMSUM_EXCLUSIVE].i != 0, whole = !number_is_float(x->dtype);
	for (int64_t item = begin; item < end; item++) {
		int64_t at = item / step * n * step + item % step, total = 0;
		double sum = 0.0;
		for (int64_t i = 0; i < n; i++) {
			int64_t k = at + (t->call->attr[CUMSUM_REVERSE].i ? n - 1 - i : i) * step;
			double add = whole ? 0.0 : number_get(x, k);
			int64_t add_whole = whole ? number_get_int(x, k) : 0;
			if (whole) number_put_int(y, k, before ? total : total + add_whole);
			else number_put(y, k, before ? sum : sum + add);
			sum += add;
			total += add_whole;
		}
	}
}

static og_status cumsum_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	int axis;
	cumsum_task t = { .call = c };
	if (og_count(c->in[1]) != 1)
		return c->host->fail(OG_BAD_FILE, "CumSum: input axis must hold one number, not %lld",
		                     (long long)og_count(c->in[1]));
	axis = og_axis(number_get_int(c->in[1], 0), x->rank);
	if (axis < 0)
		return c->host->fail(OG_BAD_FILE, "CumSum: axis %lld is out of range for an input of rank %d",
		                     (long long)number_get_int(c->in[1], 0), x->rank);
	t.s = axis_of(x, axis);
	c->host->parallel(c, t.s.outer * t.s.inner, 1, cumsum_lines, &t);
	return OG_OK;
}
#endif

OP(cumsum, .name = "CumSum", .since = 11, .doc = "Running sums along an axis.",
   .inputs = "x:T, axis:I", .outputs = "y:T", .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64; I=i32 i64",
   ATTRS(OG_INT("exclusive", 0), OG_INT("reverse", 0)), .shape = cumsum_shape, .eval = cumsum_eval)
