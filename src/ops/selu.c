#include "opgraft/op.h"

EXPR v selu(v x, float alpha, float gamma) { return gamma * v_sel(x >= 0.0f, x, alpha * v_expm1_low(x)); }
MAP(selu, 1, 2)
OP(selu, .name = "Selu", .since = 6,
   .doc = "gamma times x, or gamma * alpha * (exp(x) - 1) where x is below 0.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("alpha", 1.6732632423543772), OG_FLOAT("gamma", 1.0507009873554805)), MAPS(selu), .ulp = 2.25,
   .body = "Mul(Where(Less(X, 0), Mul(Sub(Exp(X), 1), alpha), X), gamma)",
   .cases = "f32[2,3,5] | f32[7]; alpha=0.5 | f32[0,3]")
