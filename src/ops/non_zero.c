#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status non_zero_shape(og_infer *c)
{
	const og_tensor *x = c->in[0].value;
	og_shape *y = &c->out[0];
	OP_TRY(dims_of_rank(c, y, 2));
	if (c->in[0].rank >= 0) y->dims[0] = c->in[0].rank;
	if (!x) return OG_OK;
	y->dims[1] = 0;
	for (int64_t k = 0; k < og_count(x); k++) y->dims[1] += number_get(x, k) != 0;
	return OG_OK;
}

static og_status non_zero_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *y = c->out[0];
	int64_t n = y->dims[1], found = 0;
	for (int64_t k = 0; k < og_count(x) && found < n; k++) {
		if (number_get(x, k) == 0) continue;
		int64_t rest = k;
		for (int d = x->rank - 1; d >= 0; d--) {
			((int64_t *)y->data)[d * n + found] = rest % x->dims[d];
			rest /= x->dims[d];
		}
		found++;
	}
	return OG_OK;
}
#endif

OP(non_zero, .name = "NonZero", .since = 9,
   .doc = "The coordinates of the elements that are not 0: a row for each dimension, a column for each element.",
   .inputs = "X:T!", .outputs = "Y:i64",
   .types = "T=f32 f64 f16 bf16 u8 i8 u16 i16 u32 i32 u64 i64 bool", .shape = non_zero_shape, .eval = non_zero_eval)
