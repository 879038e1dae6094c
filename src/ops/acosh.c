#include "opgraft/op.h"

EXPR v acosh_of(v x) { return v_acosh(x); }
MAP(acosh_of, 1, 0)
OP(acosh_of, .name = "Acosh", .since = 9,
   .doc = "Inverse hyperbolic cosine; NaN below 1.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(acosh_of), .ulp = 2,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
