#include "opgraft/op.h"

EXPR v absolute(v x) { return v_abs(x); }
MAP(absolute, 1, 0)
INTS(absolute, a > 0 ? a : 0 - a)
OP(absolute, .name = "Abs", .since = 6,
   .doc = "Magnitude; integers wrap.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64",
   MAPS(absolute), OTHER(INT_FORMS(absolute)),
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
