#include "opgraft/op.h"

EXPR v sin_of(v x) { return v_sin(x); }
MAP(sin_of, 1, 0)
OP(sin_of, .name = "Sin", .since = 7,
   .doc = "Sine of x in radians, right for every x; NaN at infinities.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(sin_of), .ulp = 1.75,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
