#include "opgraft/op.h"

EXPR v divide(v a, v b) { return a / b; }
MAP(divide, 2, 0)
INTS(divide, b == 0 ? 0 : b < 1 && b + 1 == 0 ? 0 - a : a / b)
OP(divide, .name = "Div", .since = 7,
   .doc = "a / b; integers towards zero, wrapping, and 0 where b is 0.",
   .inputs = "A:T, B:T", .outputs = "C:T", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64",
   MAPS(divide), OTHER(INT_FORMS(divide)),
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3,4] f32[4] | f32[3,1] f32[1,4] | f32[] f32[2] | f32[0,3] f32[3]")
