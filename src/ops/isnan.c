#include "opgraft/op.h"

EXPR vm is_nan(v x) { return v_isnan(x); }
MAP_TEST(is_nan, 1, 0)
OP(is_nan, .name = "IsNaN", .since = 9,
   .doc = "True where x is not a number.",
   .inputs = "X:T", .outputs = "Y:B", .types = "T=f32 f64 f16 bf16; B=bool",
   MAPS(is_nan),
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
