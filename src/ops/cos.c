#include "opgraft/op.h"

EXPR v cos_of(v x) { return v_cos(x); }
MAP(cos_of, 1, 0)
OP(cos_of, .name = "Cos", .since = 7,
   .doc = "Cosine of x in radians, right for every x; NaN at infinities.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(cos_of), .ulp = 1.75,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
