#include "opgraft/op.h"

EXPR v ceil_of(v x) { return v_ceil(x); }
MAP(ceil_of, 1, 0)
OP(ceil_of, .name = "Ceil", .since = 6,
   .doc = "The smallest integer that is not below x.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   MAPS(ceil_of),
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
