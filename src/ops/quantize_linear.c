/* QuantizeLinear: x / scale, rounded to nearest even, plus the zero point, held to the range of the output's type. */
#include "ops/quantize.h"

#if OP_BASE
enum { QUANTIZE_LINEAR_SATURATE = QUANTIZE_OWN_ATTRS };

static og_status quantize_linear_shape(og_infer *c)
{
	og_dtype zero = c->n_in > 2 ? c->in[2].dtype : OG_NONE;
	return quantize_shape(c, zero == OG_NONE ? OG_U8 : zero);
}

static og_status quantize_linear_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *zero = c->n_in > 2 ? c->in[2] : NULL, *y = c->out[0];
	const number_format *narrow = number_narrow(y->dtype);
	int64_t n = og_count(x);
	for (int64_t k = 0; k < n; k++) {
		int64_t at = quantize_index(c, k);
		/* divided in float32, so that ties are the same ties everywhere */
		double q = (double)(float)(number_get(x, k) / number_get(c->in[1], at));
		double shift = zero ? number_get(zero, at) : 0.0;
		if (!narrow) number_put(y, k, nearbyint(q) + shift);
		else if (y->dtype == OG_F4E2M1) number_put(y, k, q + shift);
		else ((uint8_t *)y->data)[k] =
			(uint8_t)number_encode(narrow, q + shift, c->attr[QUANTIZE_LINEAR_SATURATE].i != 0);
	}
	return OG_OK;
}
#endif

OP(quantize_linear, .name = "QuantizeLinear", .since = 10,
   .doc = "Floats to narrow integers or floats by scale and zero point.",
   .inputs = "x:T1, y_scale:T2, y_zero_point:T3?", .outputs = "y:T3",
   .types = "T1=f32 f16 bf16 i32; T2=f32 f16 bf16 i32 f8e8m0; T3=" QUANTIZE_INTEGERS " " QUANTIZE_FLOATS,
   ATTRS(QUANTIZE_ATTRS, OG_INT("saturate", 1), OG_INT("precision", 0)),
   .shape = quantize_linear_shape, .eval = quantize_linear_eval, .cases = "f32[2,3,4] f32[] u8[]")
