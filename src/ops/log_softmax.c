/* LogSoftmax: x - log(sum(exp(x))) along an axis; before opset 13 along all axes from `axis` on. */
#include "ops/softmax.h"

#if OP_BASE
static double log_softmax_last(double x, double sum) { return x - log(sum); }

static og_status log_softmax_eval(const og_call *c)
{
	return softmax_define(c, log_softmax_last);
}
#endif

KERNELS(log_softmax)

#if OP_CPU
EXPR v log_softmax_subtract(v x, v sum) { return x - v_log(sum); }
SOFTMAX_KERNEL(log_softmax, 0, log_softmax_subtract)
#endif

OP(log_softmax, .name = "LogSoftmax", .since = 1, .doc = "Logarithm of Softmax over all axes from one on.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16",
   ATTRS(OG_INT("axis", 1)), .shape = axis_shape, .eval = log_softmax_eval, CPU(log_softmax),
   .cases = "f32[2,3,4] | f32[2,3,4]; axis=2 | f32[2,3]; axis=0")
OP(log_softmax_13, .name = "LogSoftmax", .since = 13, .doc = "Logarithm of Softmax along an axis.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_INT("axis", -1)), .shape = axis_shape, .eval = log_softmax_eval, CPU(log_softmax),
   .cases = "f32[2,3,40] | f32[2,3,40]; axis=1 | f32[5,2]; axis=0 | f32[2,1000]")
