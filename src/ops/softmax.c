/* Softmax: exp(x) / sum(exp(x)) along an axis; before opset 13 along all axes from `axis` on. */
#include "ops/softmax.h"

#if OP_BASE
static double softmax_last(double x, double sum) { return exp(x) / sum; }

static og_status softmax_eval(const og_call *c)
{
	return softmax_define(c, softmax_last);
}
#endif

KERNELS(softmax)

#if OP_CPU
EXPR v softmax_divide(v x, v sum) { return x / sum; }
SOFTMAX_KERNEL(softmax, 1, softmax_divide)
#endif

OP(softmax, .name = "Softmax", .since = 1, .doc = "Exponentials divided by their sum over all axes from one on.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16",
   ATTRS(OG_INT("axis", 1)), .shape = axis_shape, .eval = softmax_eval, CPU(softmax),
   .cases = "f32[2,3,4] | f32[2,3,4]; axis=2 | f32[2,3]; axis=0")
OP(softmax_13, .name = "Softmax", .since = 13, .doc = "Exponentials divided by their sum along an axis.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_INT("axis", -1)), .shape = axis_shape, .eval = softmax_eval, CPU(softmax),
   .cases = "f32[2,3,40] | f32[2,3,40]; axis=1 | f32[5,2]; axis=0 | f32[2,1000]")
