#include "ops/axis.h"
#include "ops/number.h"

#if OP_BASE
static og_status mean_eval(const og_call *c)
{
	const og_tensor *y = c->out[0];
	int64_t count = y ? og_count(y) : 0;
	for (int64_t k = 0; k < count; k++) {
		double sum = 0;
		for (int i = 0; i < c->n_in; i++) sum += number_get(c->in[i], axis_broadcast(y, c->in[i], k));
		number_put(y, k, sum / c->n_in);
	}
	return OG_OK;
}
#endif

OP(mean, .name = "Mean", .since = 6,
   .doc = "The mean of the inputs.",
   .inputs = "data_0:T...", .outputs = "mean:T", .types = "T=f32 f64 f16 bf16",
   .eval = mean_eval,
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3] | f32[2,3] f32[3] f32[] | f32[0,3] f32[3]")
