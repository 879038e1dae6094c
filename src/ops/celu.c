#include "opgraft/op.h"

EXPR v celu(v x, float alpha) { return v_greater(0.0f, x) + v_lesser(0.0f, alpha * v_expm1(x / alpha)); }
MAP(celu, 1, 1)
OP(celu, .name = "Celu", .since = 12,
   .doc = "max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_RANGE("alpha", 1.0, 0x1p-126, 0x1.fffffep127)), MAPS(celu), .ulp = 2,
   .body = "Add(Max(X, 0), Min(Mul(Sub(Exp(Div(X, alpha)), 1), alpha), 0))",
   .cases = "f32[2,3,5] | f32[7]; alpha=0.5 | f32[0,3]")
