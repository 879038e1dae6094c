#include "opgraft/op.h"

EXPR vm greater_or_equal(v a, v b) { return a >= b; }
MAP_TEST(greater_or_equal, 2, 0)
INTS_TEST(greater_or_equal, a >= b)
OP(greater_or_equal, .name = "GreaterOrEqual", .since = 12,
   .doc = "True where a is not below b.",
   .inputs = "A:T, B:T", .outputs = "C:R", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64; R=bool",
   MAPS(greater_or_equal), OTHER(INT_FORMS(greater_or_equal)),
   .body = "Or(Greater(A, B), Equal(A, B))",
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3,4] f32[4] | f32[3,1] f32[1,4] | f32[] f32[2] | f32[0,3] f32[3]")
