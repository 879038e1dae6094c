#include "opgraft/op.h"

EXPR v sinh_of(v x) { return v_sinh(x); }
MAP(sinh_of, 1, 0)
OP(sinh_of, .name = "Sinh", .since = 9,
   .doc = "Hyperbolic sine.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(sinh_of), .ulp = 2.5,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
