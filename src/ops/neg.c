#include "opgraft/op.h"

EXPR v negate(v x) { return -x; }
MAP(negate, 1, 0)
INTS(negate, 0 - a)
OP(negate, .name = "Neg", .since = 6,
   .doc = "-x; integers wrap.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16",
   MAPS(negate), OTHER(INT_FORMS(negate)),
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
