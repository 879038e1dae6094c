#include "opgraft/op.h"

EXPR v shrink(v x, float bias, float lambd)
{
	return v_sel(x < -lambd, x + bias, v_sel(v_not(x <= lambd), x - bias, 0.0f));
}
MAP(shrink, 1, 2)
OP(shrink, .name = "Shrink", .since = 9,
   .doc = "x + bias below -lambd, x - bias above lambd, 0 between.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("bias", 0.0), OG_FLOAT("lambd", 0.5)), MAPS(shrink),
   .body = "Where(Less(input, Neg(lambd)), Add(input, bias), Where(Greater(input, lambd), Sub(input, bias), 0))",
   .cases = "f32[2,3,5] | f32[7]; bias=0.25; lambd=1 | f32[0,3]")
