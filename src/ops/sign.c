#include "opgraft/op.h"

EXPR v sign_of(v x) { return v_sel(x > 0.0f, 1.0f, v_sel(x < 0.0f, -1.0f, x)); }
MAP(sign_of, 1, 0)
INTS(sign_of, a > 0 ? 1 : a == 0 ? 0 : -1)
OP(sign_of, .name = "Sign", .since = 9,
   .doc = "1 above 0, -1 below, 0 at either zero.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64",
   MAPS(sign_of), OTHER(INT_FORMS(sign_of)),
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
