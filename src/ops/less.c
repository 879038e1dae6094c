#include "opgraft/op.h"

EXPR vm less(v a, v b) { return a < b; }
MAP_TEST(less, 2, 0)
INTS_TEST(less, a < b)
OP(less, .name = "Less", .since = 7,
   .doc = "True where a is below b.",
   .inputs = "A:T, B:T", .outputs = "C:R", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64; R=bool",
   MAPS(less), OTHER(INT_FORMS(less)),
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3,4] f32[4] | f32[3,1] f32[1,4] | f32[] f32[2] | f32[0,3] f32[3]")
