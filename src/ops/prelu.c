#include "opgraft/op.h"

EXPR v prelu(v x, v slope) { return v_sel(x < 0.0f, x * slope, x); }
MAP(prelu, 2, 0)
INTS(prelu, (uint64_t)a * (a > 0 ? 1 : (uint64_t)b))
OP(prelu, .name = "PRelu", .since = 7,
   .doc = "x, or slope * x where x is below 0; the slope broadcasts to x.",
   .inputs = "X:T, slope:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   MAPS(prelu), OTHER(INT_FORMS(prelu)),
   .body = "Where(Less(X, 0), Mul(X, slope), X)",
   .cases = "f32[2,3,5] f32[5] | f32[2,3,5] f32[3,1] | f32[2,3] f32[2,3] | f32[0,3] f32[3]")
