#include "opgraft/op.h"

EXPR v atanh_of(v x) { return v_atanh(x); }
MAP(atanh_of, 1, 0)
OP(atanh_of, .name = "Atanh", .since = 9,
   .doc = "Inverse hyperbolic tangent: infinite at 1 and -1, NaN beyond.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(atanh_of), .ulp = 2.5,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
