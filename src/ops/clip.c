#include "opgraft/op.h"

/* NaN stays; where the bounds cross, the upper one wins. */
EXPR v clip(v x, v low, v high) { return v_lesser(high, v_greater(low, x)); }
MAP(clip, 3, 0)
INTS(clip, a < b ? (b > c ? c : b) : a > c ? c : a)
OP(clip, .name = "Clip", .since = 11,
   .doc = "x kept between min and max.",
   .inputs = "input:T, min:T?=-inf, max:T?=inf", .outputs = "output:T",
   .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64",
   MAPS(clip), OTHER(INT_FORMS(clip)),
   .cases = "f32[2,3,5] f32[] f32[] | f32[7] | f32[0,3] f32[]")

EXPR v clip_6(v x, float low, float high) { return v_lesser(high, v_greater(low, x)); }
MAP(clip_6, 1, 2)
OP(clip_6, .name = "Clip", .since = 6,
   .doc = "x kept between min and max, by default the largest finite floats.",
   .inputs = "input:T", .outputs = "output:T",
   .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("min", -0x1.fffffep127), OG_FLOAT("max", 0x1.fffffep127)), MAPS(clip_6),
   .body = "Min(Max(input, min), max)",
   .cases = "f32[2,3,5] | f32[7]; min=-0.5; max=0.25 | f32[0,3]")
