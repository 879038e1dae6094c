#include "opgraft/op.h"

EXPR v asin_of(v x) { return v_asin(x); }
MAP(asin_of, 1, 0)
OP(asin_of, .name = "Asin", .since = 7,
   .doc = "Inverse sine; NaN outside [-1, 1].",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(asin_of), .ulp = 2,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
