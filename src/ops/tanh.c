#include "opgraft/op.h"

EXPR v tanh_of(v x) { return v_tanh(x); }
MAP(tanh_of, 1, 0)
OP(tanh_of, .name = "Tanh", .since = 6,
   .doc = "Hyperbolic tangent.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(tanh_of), .ulp = 1.75,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
