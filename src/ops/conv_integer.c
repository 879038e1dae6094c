/* ConvInteger: the convolution of 8-bit integers less their zero points; exact in double. */
#include "ops/convolution.h"

#if OP_BASE
static og_status conv_integer_shape(og_infer *c)
{
	OP_TRY(dims_one(c, 2));
	if (c->n_in > 3 && c->in[3].rank > 0 && c->in[3].dims[0] != 1 && c->in[1].rank > 0)
		OP_TRY(axis_vector(c, 3, c->in[1].dims[0]));
	else OP_TRY(dims_one(c, 3));
	return convolution_shape(c);
}

static og_status conv_integer_eval(const og_call *c)
{
	convolution job = { .x = c->in[0], .weights = c->in[1], .y = c->out[0] };
	if (c->n_in > 2 && c->in[2]) job.x_zero = number_get(c->in[2], 0);
	if (c->n_in > 3) job.weight_zero = c->in[3];
	return convolution_run(c, &job);
}
#endif

OP(conv_integer, .name = "ConvInteger", .since = 10, .doc = "Convolution of 8-bit integers into int32.",
   .inputs = "x:T1, w:T2, x_zero_point:T1?, w_zero_point:T2?", .outputs = "y:i32", .types = "T1=i8 u8; T2=i8 u8",
   ATTRS(WINDOW_ATTRS, OG_INT("group", 1)), .shape = conv_integer_shape, .eval = conv_integer_eval,
   .flops = convolution_flops,
   .cases = "u8[1,1,3,3] u8[1,1,2,2]")
