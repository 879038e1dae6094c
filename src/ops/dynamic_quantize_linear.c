/* DynamicQuantizeLinear: floats to bytes, by a scale and zero point that make the most of their range. In float32
 * throughout, so that ties are the same ties everywhere. */
#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status dynamic_quantize_linear_shape(og_infer *c)
{
	dims_copy(&c->out[0], &c->in[0]);
	c->out[1].rank = c->out[2].rank = 0;
	return OG_OK;
}

static og_status dynamic_quantize_linear_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	const float *from = (const float *)x->data;
	float low = 0, high = 0, scale, zero;
	for (int64_t k = 0; k < og_count(x); k++) {
		if (from[k] < low) low = from[k];
		if (from[k] > high) high = from[k];
	}
	scale = high > low ? (high - low) / 255.0f : 1.0f;
	zero = nearbyintf(-low / scale);
	zero = zero > 255.0f ? 255.0f : zero >= 0.0f ? zero : 0.0f;
	for (int64_t k = 0; move_out(c, 0) && k < og_count(x); k++)
		number_put(c->out[0], k, (double)nearbyintf(from[k] / scale) + (double)zero);
	if (move_out(c, 1)) number_put(c->out[1], 0, (double)scale);
	if (move_out(c, 2)) number_put(c->out[2], 0, (double)zero);
	return OG_OK;
}
#endif

OP(dynamic_quantize_linear, .name = "DynamicQuantizeLinear", .since = 11,
   .doc = "Floats to bytes, by a scale and zero point found from their range.", .inputs = "x:f32",
   .outputs = "y:u8, y_scale:f32, y_zero_point:u8", .shape = dynamic_quantize_linear_shape,
   .eval = dynamic_quantize_linear_eval, .cases = "f32[2,3,4] | f32[0]")
