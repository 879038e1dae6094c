#include "opgraft/op.h"

/* Of more inputs: of the first two, then of that and the third, and so on. */
EXPR v maximum(v a, v b) { return v_max(a, b); }
MAP(maximum, 2, 0)
INTS(maximum, a > b ? a : b)
OP(maximum, .name = "Max", .since = 6,
   .doc = "The largest of the inputs; NaN if one is.",
   .inputs = "data_0:T...", .outputs = "max:T", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64",
   MAPS(maximum), OTHER(INT_FORMS(maximum)), .flags = OG_COMMUTATIVE,
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3] | f32[2,3] f32[3] f32[] | f32[0,3] f32[3]")
