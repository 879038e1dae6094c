/* DequantizeLinear: (x - zero point) * scale. */
#include "ops/quantize.h"

#if OP_BASE
static og_status dequantize_linear_shape(og_infer *c)
{
	return quantize_shape(c, c->in[1].dtype == OG_F8E8M0 ? OG_F32 : c->in[1].dtype);
}

static og_status dequantize_linear_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *zero = c->n_in > 2 ? c->in[2] : NULL;
	int64_t n = og_count(x);
	for (int64_t k = 0; k < n; k++) {
		int64_t at = quantize_index(c, k);
		number_put(c->out[0], k, (number_get(x, k) - (zero ? number_get(zero, at) : 0.0)) * number_get(c->in[1], at));
	}
	return OG_OK;
}
#endif

OP(dequantize_linear, .name = "DequantizeLinear", .since = 10,
   .doc = "Narrow integers or floats back to floats by scale and zero point.",
   .inputs = "x:T1, x_scale:T2, x_zero_point:T1?", .outputs = "y:T3",
   .types = "T1=" QUANTIZE_INTEGERS " i32 " QUANTIZE_FLOATS "; T2=f32 f16 bf16 f8e8m0; T3=f32 f16 bf16",
   ATTRS(QUANTIZE_ATTRS), .shape = dequantize_linear_shape, .eval = dequantize_linear_eval,
   .cases = "u8[2,3,4] f32[] u8[] | i32[5] f32[]")
