/* Snake, for networks that make periodic signals (audio). */
#include "opgraft/op.h"

EXPR v snake(v x, float alpha)
{
	v s = v_sin(x * alpha);
	return x + s * s / alpha;
}
MAP(snake, 1, 1)
OP(snake, .name = "Snake", .domain = "examples", .since = 1,
   .doc = "x + sin(alpha * x)^2 / alpha.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   ATTRS(OG_RANGE("alpha", 1.0, 1e-3, 1e3)), MAPS(snake), .ulp = 16,
   .body = "Add(x, Div(Mul(Sin(Mul(x, alpha)), Sin(Mul(x, alpha))), alpha))",
   .cases = "f32[2,3,5] | f32[7]; alpha=0.5 | f16[9] | f32[0,3]")
