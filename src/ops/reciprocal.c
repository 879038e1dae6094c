#include "opgraft/op.h"

EXPR v reciprocal(v x) { return 1.0f / x; }
MAP(reciprocal, 1, 0)
OP(reciprocal, .name = "Reciprocal", .since = 6,
   .doc = "1 / x.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   MAPS(reciprocal),
   .body = "Div(1, X)",
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
