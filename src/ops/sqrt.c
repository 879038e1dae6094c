#include "opgraft/op.h"

EXPR v sqrt_of(v x) { return v_sqrt(x); }
MAP(sqrt_of, 1, 0)
OP(sqrt_of, .name = "Sqrt", .since = 6,
   .doc = "Square root: NaN below 0, -0 at -0.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   MAPS(sqrt_of),
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
