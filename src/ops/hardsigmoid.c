#include "opgraft/op.h"

EXPR v hard_sigmoid(v x, float alpha, float beta)
{
	return v_lesser(1.0f, v_greater(0.0f, v_fma(x, alpha, beta)));
}
MAP(hard_sigmoid, 1, 2)
OP(hard_sigmoid, .name = "HardSigmoid", .since = 6,
   .doc = "max(0, min(1, alpha * x + beta)).",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("alpha", 0.2), OG_FLOAT("beta", 0.5)), MAPS(hard_sigmoid),
   .body = "Max(0, Min(1, Add(Mul(X, alpha), beta)))",
   .cases = "f32[2,3,5] | f32[7]; alpha=0.3; beta=-0.1 | f32[0,3]")
