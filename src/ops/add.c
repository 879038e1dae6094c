#include "opgraft/op.h"

EXPR v add(v a, v b) { return a + b; }
MAP(add, 2, 0)
INTS(add, a + b)
OP(add, .name = "Add", .since = 7,
   .doc = "a + b; integers wrap.",
   .inputs = "A:T, B:T", .outputs = "C:T", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64",
   MAPS(add), OTHER(INT_FORMS(add)), .flags = OG_COMMUTATIVE,
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3,4] f32[4] | f32[3,1] f32[1,4] | f32[] f32[2] | f32[0,3] f32[3]")
