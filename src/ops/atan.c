#include "opgraft/op.h"

EXPR v atan_of(v x) { return v_atan(x); }
MAP(atan_of, 1, 0)
OP(atan_of, .name = "Atan", .since = 7,
   .doc = "Inverse tangent.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(atan_of), .ulp = 2.5,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
