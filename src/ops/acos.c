#include "opgraft/op.h"

EXPR v acos_of(v x) { return v_acos(x); }
MAP(acos_of, 1, 0)
OP(acos_of, .name = "Acos", .since = 7,
   .doc = "Inverse cosine; NaN outside [-1, 1].",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(acos_of), .ulp = 1.5,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
