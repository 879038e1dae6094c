/* Mish, with one exponential instead of an exponential, a logarithm and a tanh. */
#include "opgraft/op.h"

/* tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2), which is 1 in float32 from e = exp(20) on */
EXPR v mish_activation(v x)
{
	v low = v_lesser(20.0f, x), e = v_exp(low);
	return v_exp_times(x * ((e + 2.0f) / v_fma(e, e + 2.0f, 2.0f)), low);
}
MAP(mish_activation, 1, 0)
OP(mish_activation, .name = "MishActivation", .domain = "examples", .since = 1,
   .doc = "x * tanh(softplus(x)).",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   MAPS(mish_activation), .ulp = 4,
   .body = "Mul(x, Tanh(Softplus(x)))",
   .cases = "f32[2,3,5] | bf16[9] | f32[0,3]")
