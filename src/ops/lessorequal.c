#include "opgraft/op.h"

EXPR vm less_or_equal(v a, v b) { return a <= b; }
MAP_TEST(less_or_equal, 2, 0)
INTS_TEST(less_or_equal, a <= b)
OP(less_or_equal, .name = "LessOrEqual", .since = 12,
   .doc = "True where a is not above b.",
   .inputs = "A:T, B:T", .outputs = "C:R", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64; R=bool",
   MAPS(less_or_equal), OTHER(INT_FORMS(less_or_equal)),
   .body = "Or(Less(A, B), Equal(A, B))",
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3,4] f32[4] | f32[3,1] f32[1,4] | f32[] f32[2] | f32[0,3] f32[3]")
