#include "opgraft/op.h"

EXPR v hard_swish(v x) { return x * (v_lesser(6.0f, v_greater(0.0f, x + 3.0f)) * (og_real)(1.0 / 6)); }
MAP(hard_swish, 1, 0)
OP(hard_swish, .name = "HardSwish", .since = 14,
   .doc = "x * max(0, min(1, x / 6 + 0.5)).",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   MAPS(hard_swish), .ulp = 2.75,
   .body = "Mul(X, HardSigmoid(X, alpha=0.16666667, beta=0.5))",
   .spellings = "Mul(X, HardSigmoid(X, alpha=0.16666667, beta=0.5)) -> HardSwish(X)\n"
                "Div(Mul(X, Clip(Add(X, 3), 0, 6)), 6) -> HardSwish(X)\n"
                "Mul(X, Div(Clip(Add(X, 3), 0, 6), 6)) -> HardSwish(X)",
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
