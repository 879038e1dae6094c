/* PReLU with a slope per channel: the second input broadcasts, as [C,1,1] does to [N,C,H,W]. */
#include "opgraft/op.h"

EXPR v prelu_channel(v x, v slope) { return v_sel(x < 0.0f, x * slope, x); }
MAP(prelu_channel, 2, 0)
OP(prelu_channel, .name = "PReluChannel", .domain = "examples", .since = 1,
   .doc = "x where it is not below 0, else slope * x.",
   .inputs = "x:T, slope:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   MAPS(prelu_channel),
   .body = "Where(Less(x, 0), Mul(x, slope), x)",
   .cases = "f32[2,3,4,5] f32[3,1,1] | f16[2,8,3] f16[8,1] | f32[6] f32[] | f32[0,3] f32[3]")
