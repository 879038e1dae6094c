#include "opgraft/op.h"

EXPR v tan_of(v x) { return v_tan(x); }
MAP(tan_of, 1, 0)
OP(tan_of, .name = "Tan", .since = 7,
   .doc = "Tangent of x in radians, right for every x; NaN at infinities.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(tan_of), .ulp = 3.5,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
