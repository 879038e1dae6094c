#include "opgraft/op.h"

/* Of more inputs: of the first two, then of that and the third, and so on. */
EXPR v sum_of(v a, v b) { return a + b; }
MAP(sum_of, 2, 0)
OP(sum_of, .name = "Sum", .since = 6,
   .doc = "The sum of the inputs, from the first to the last.",
   .inputs = "data_0:T...", .outputs = "sum:T", .types = "T=f32 f64 f16 bf16",
   MAPS(sum_of), .flags = OG_COMMUTATIVE,
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3] | f32[2,3] f32[3] f32[] | f32[0,3] f32[3]")
