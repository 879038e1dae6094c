#include "opgraft/op.h"

/* Of more inputs: of the first two, then of that and the third, and so on. */
EXPR v minimum(v a, v b) { return v_min(a, b); }
MAP(minimum, 2, 0)
INTS(minimum, a < b ? a : b)
OP(minimum, .name = "Min", .since = 6,
   .doc = "The smallest of the inputs; NaN if one is.",
   .inputs = "data_0:T...", .outputs = "min:T", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64",
   MAPS(minimum), OTHER(INT_FORMS(minimum)), .flags = OG_COMMUTATIVE,
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3] | f32[2,3] f32[3] f32[] | f32[0,3] f32[3]")
