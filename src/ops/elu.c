#include "opgraft/op.h"

EXPR v elu(v x, float alpha) { return v_sel(x >= 0.0f, x, alpha * v_expm1_low(x)); }
MAP(elu, 1, 1)
OP(elu, .name = "Elu", .since = 6,
   .doc = "x, or alpha * (exp(x) - 1) where x is below 0.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("alpha", 1.0)), MAPS(elu), .ulp = 1.75,
   .body = "Where(Less(X, 0), Mul(Sub(Exp(X), 1), alpha), X)",
   .cases = "f32[2,3,5] | f32[7]; alpha=0.5 | f32[0,3]")
