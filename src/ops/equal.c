#include "opgraft/op.h"

EXPR vm equal(v a, v b) { return a == b; }
MAP_TEST(equal, 2, 0)
INTS_TEST(equal, a == b)
BOOLS(equal, !a == !b)
OP(equal, .name = "Equal", .since = 7,
   .doc = "True where a and b are equal; NaN equals nothing.",
   .inputs = "A:T, B:T", .outputs = "C:R", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64 bool; R=bool",
   MAPS(equal), OTHER(INT_FORMS(equal), BOOL_FORM(equal)), .flags = OG_COMMUTATIVE,
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3,4] f32[4] | f32[3,1] f32[1,4] | f32[] f32[2] | f32[0,3] f32[3]")
