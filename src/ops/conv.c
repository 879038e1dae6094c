/* Conv: windows of the input times weights, summed. The products are a matrix product in disguise; the
 * fast forms are the backend's. */
#include "ops/convolution.h"

#if OP_BASE
static og_status conv_shape(og_infer *c)
{
	if (c->in[1].rank > 0) OP_TRY(axis_vector(c, 2, c->in[1].dims[0]));
	return convolution_shape(c);
}

static og_status conv_eval(const og_call *c)
{
	convolution job = { .x = c->in[0], .weights = c->in[1], .bias = c->n_in > 2 ? c->in[2] : NULL, .y = c->out[0] };
	return convolution_run(c, &job);
}
#endif

OP(conv, .name = "Conv", .since = 1, .doc = "Convolution over one to three spatial axes, with groups.",
   .inputs = "X:T, W:T, B:T?", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(WINDOW_ATTRS, OG_INT("group", 1)), .shape = conv_shape, .eval = conv_eval, .flops = convolution_flops,
   .cases = "f32[1,2,5,6] f32[3,2,3,3] f32[3] | f32[2,4,7,7] f32[4,1,3,3]; group=4, strides=[2,2], pads=[1,1,1,1]"
            " | f32[1,3,9] f32[2,3,4]; dilations=[2] | f32[1,1,5,5] f32[2,1,2,2]; auto_pad=SAME_UPPER")
