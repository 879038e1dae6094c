#include "opgraft/op.h"

EXPR v softsign(v x) { return x / (v_abs(x) + 1.0f); }
MAP(softsign, 1, 0)
OP(softsign, .name = "Softsign", .since = 1,
   .doc = "x / (1 + |x|).",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(softsign), .ulp = 1.75,
   .body = "Div(input, Add(Abs(input), 1))",
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
