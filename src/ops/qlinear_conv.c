/* QLinearConv: a convolution of quantized numbers, quantized again. Its bias is in units of the product of both
 * scales, so it joins the sums as it is. */
#include "ops/convolution.h"
#include "ops/move.h"
#include "ops/qlinear.h"

#if OP_BASE
enum { QLINEAR_BIAS = QLINEAR_Y_ZERO + 1 };

static og_status qlinear_conv_shape(og_infer *c)
{
	og_shape in[2];
	og_infer plain = qlinear_plain(c, in);
	if (in[1].rank > 0) OP_TRY(axis_vector(c, QLINEAR_BIAS, in[1].dims[0]));
	return convolution_shape(&plain);
}

static double qlinear_conv_flops(const og_infer *c)
{
	og_shape in[2];
	og_infer plain = qlinear_plain(c, in);
	return convolution_flops(&plain);
}

/* The sums, in double. */
static size_t qlinear_conv_workspace(const og_call *c) { return sizeof(double) * (size_t)og_count(c->out[0]); }

static og_status qlinear_conv_eval(const og_call *c)
{
	const og_tensor *y = c->out[0];
	og_tensor sums = *y;
	int64_t outputs = y->dims[1], size = og_span(y, 2, y->rank);
	convolution job = { .x = c->in[QLINEAR_A], .weights = c->in[QLINEAR_B], .bias = move_in(c, QLINEAR_BIAS), .y = &sums,
	                    .weight_zero = c->in[QLINEAR_B_ZERO] };
	for (int k = QLINEAR_A_SCALE; k <= QLINEAR_Y_ZERO; k++)
		if (k != QLINEAR_B) OP_TRY(qlinear_check(c, k, k == QLINEAR_B_SCALE || k == QLINEAR_B_ZERO ? outputs : 1));
	job.x_zero = number_get(c->in[QLINEAR_A_ZERO], 0);
	sums.dtype = OG_F64;
	sums.data = c->workspace;
	OP_TRY(convolution_run(c, &job));
	for (int64_t k = 0; k < og_count(y); k++)
		qlinear_put(c, k, ((const double *)c->workspace)[k], 0, k / size % outputs);
	return OG_OK;
}
#endif

OP(qlinear_conv, .name = "QLinearConv", .since = 10, .doc = "Convolution of quantized numbers, quantized again.",
   .inputs = "x:T1, x_scale:f32, x_zero_point:T1, w:T2, w_scale:f32, w_zero_point:T2, y_scale:f32, y_zero_point:T3, "
             "B:i32?",
   .outputs = "y:T3", .types = "T1=i8 u8; T2=i8 u8; T3=i8 u8", ATTRS(WINDOW_ATTRS, OG_INT("group", 1)),
   .shape = qlinear_conv_shape, .eval = qlinear_conv_eval, .flops = qlinear_conv_flops,
   .workspace = qlinear_conv_workspace)
