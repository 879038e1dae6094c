/* GELU by its tanh approximation: 0.5 (1 + tanh(z)) is sigmoid(2 z), so one exponential and one division do. */
#include "opgraft/op.h"

EXPR v gelu_tanh(v x)
{
	v cubic = v_fma(x * x, x * (og_real)0.044715, x);
	return v_gate(x, cubic, (og_real)1.5957691216057308);            /* 2 sqrt(2 / pi) */
}
MAP(gelu_tanh, 1, 0)
OP(gelu_tanh, .name = "GeluTanh", .domain = "examples", .since = 1,
   .doc = "The tanh approximation of x * P(N <= x).",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   MAPS(gelu_tanh), .ulp = 128,                  /* on the tail near -10, where the result is below 1e-35; 3 near 0 */
   .body = "Mul(Mul(x, 0.5), Add(Tanh(Mul(Add(x, Mul(Mul(Mul(x, x), x), 0.044715)), 0.7978846)), 1))",
   .cases = "f32[2,3,5] | f16[9] | f32[0,3]")
