/* A fake quantiser whose clipping bound was learned (PACT, LSQ): what training with quantisation inserts, in one pass. */
#include "opgraft/op.h"

EXPR v fake_quantize(v x, v bound, float levels)
{
	v step = bound / levels;
	return v_rint(v_max(v_min(x, bound), -bound) / step) * step;
}
MAP(fake_quantize, 2, 1)
OP(fake_quantize, .name = "FakeQuantize", .domain = "examples", .since = 1,
   .doc = "x clipped to [-bound, bound] and rounded to 2 * levels steps between.",
   .inputs = "x:T, bound:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   ATTRS(OG_RANGE("levels", 127.0, 1.0, 32767.0)), MAPS(fake_quantize), .ulp = INFINITY,         /* it has steps: a last bit of the quotient decides between two */
   .body = "Mul(Round(Div(Max(Min(x, bound), Neg(bound)), Div(bound, levels))), Div(bound, levels))",
   .cases = "f32[2,3,5] f32[] | f32[2,4,3] f32[4,1]; levels=7 | f16[9] f16[1] | f32[0,3] f32[3]")
