#include "ops/dims.h"
#include "ops/number.h"

#if OP_BASE
/* How many numbers there are from start up to limit, which is left out. -1: a step of 0, or too many. */
static int64_t range_count(const og_tensor *start, const og_tensor *limit, const og_tensor *delta)
{
	if (number_is_float(start->dtype)) {
		double step = number_get(delta, 0), n = ceil((number_get(limit, 0) - number_get(start, 0)) / step);
		return step == 0 || !(n < 0x1p62) ? -1 : n > 0 ? (int64_t)n : 0;
	}
	int64_t from = number_get_int(start, 0), to = number_get_int(limit, 0), step = number_get_int(delta, 0);
	uint64_t span = step > 0 ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to, n;
	if (step == 0) return -1;
	if (step > 0 ? from >= to : from <= to) return 0;
	n = (span - 1) / (step > 0 ? (uint64_t)step : 0 - (uint64_t)step) + 1;
	return n > INT64_MAX ? -1 : (int64_t)n;
}

static og_status range_shape(og_infer *c)
{
	og_shape *y = &c->out[0];
	int64_t n;
	OP_TRY(dims_of_rank(c, y, 1));
	for (int k = 0; k < 3; k++) OP_TRY(dims_one(c, k));
	if (!c->in[0].value || !c->in[1].value || !c->in[2].value) return OG_OK;
	n = range_count(c->in[0].value, c->in[1].value, c->in[2].value);
	if (n < 0) return c->host->fail(OG_BAD_FILE, "Range has a step of 0, or never gets to its limit");
	y->dims[0] = n;
	return OG_OK;
}

static og_status range_eval(const og_call *c)
{
	og_tensor *y = c->out[0];
	if (number_is_float(y->dtype)) {
		double start = number_get(c->in[0], 0), step = number_get(c->in[2], 0);
		for (int64_t k = 0; k < y->dims[0]; k++) number_put(y, k, start + (double)k * step);
	} else {
		int64_t at = number_get_int(c->in[0], 0), step = number_get_int(c->in[2], 0);
		for (int64_t k = 0; k < y->dims[0]; k++, at += step) number_put_int(y, k, at);
	}
	return OG_OK;
}
#endif

OP(range, .name = "Range", .since = 11,
   .doc = "The numbers from `start` in steps of `delta`, as long as they are before `limit`.",
   .inputs = "start:T!, limit:T!, delta:T!", .outputs = "output:T", .types = "T=f32 f64 i16 i32 i64 f16 bf16",
   .shape = range_shape, .eval = range_eval)
