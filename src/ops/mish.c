#include "opgraft/op.h"

/* tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2), which is 1 from e = exp(20) on */
EXPR v mish(v x)
{
	v low = v_lesser(20.0f, x), e = v_exp(low);
	return v_exp_times(x * ((e + 2.0f) / v_fma(e, e + 2.0f, 2.0f)), low);
}
MAP(mish, 1, 0)
OP(mish, .name = "Mish", .since = 18,
   .doc = "x * tanh(softplus(x)).",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   MAPS(mish), .ulp = 4,
   .body = "Mul(X, Tanh(Softplus(X)))",
   .spellings = "Mul(X, Tanh(Softplus(X))) -> Mish(X)",
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
