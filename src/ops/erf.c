#include "opgraft/op.h"

EXPR v erf_of(v x) { return v_erf(x); }
MAP(erf_of, 1, 0)
OP(erf_of, .name = "Erf", .since = 9,
   .doc = "Error function.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(erf_of), .ulp = 1.25,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
