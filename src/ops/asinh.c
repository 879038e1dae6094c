#include "opgraft/op.h"

EXPR v asinh_of(v x) { return v_asinh(x); }
MAP(asinh_of, 1, 0)
OP(asinh_of, .name = "Asinh", .since = 9,
   .doc = "Inverse hyperbolic sine.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(asinh_of), .ulp = 2,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
