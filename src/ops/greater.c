#include "opgraft/op.h"

EXPR vm greater(v a, v b) { return a > b; }
MAP_TEST(greater, 2, 0)
INTS_TEST(greater, a > b)
OP(greater, .name = "Greater", .since = 7,
   .doc = "True where a is above b.",
   .inputs = "A:T, B:T", .outputs = "C:R", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64; R=bool",
   MAPS(greater), OTHER(INT_FORMS(greater)),
   .body = "Less(B, A)",
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3,4] f32[4] | f32[3,1] f32[1,4] | f32[] f32[2] | f32[0,3] f32[3]")
