#include "opgraft/op.h"

EXPR v cosh_of(v x) { return v_cosh(x); }
MAP(cosh_of, 1, 0)
OP(cosh_of, .name = "Cosh", .since = 9,
   .doc = "Hyperbolic cosine.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(cosh_of), .ulp = 1.75,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
