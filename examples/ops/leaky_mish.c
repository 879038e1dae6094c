/* Mish that lets a part of its input through, with one exponential and one division. */
#include "opgraft/op.h"

/* tanh(log(1 + e)) = n / (n + 2) for n = e (e + 2); with e = above / below both sides times below^2 */
EXPR v leaky_mish(v x, float gain, float slope, float leak)
{
	v below, above = v_exp_over(x, slope, &below), n = above * (above + 2.0f * below);
	return x * v_fma(n / v_fma(2.0f * below, below, n), gain, leak);
}
MAP(leaky_mish, 1, 3)
OP(leaky_mish, .name = "LeakyMish", .domain = "examples", .since = 1,
   .doc = "gain * x * tanh(softplus(slope * x)) + leak * x.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   ATTRS(OG_RANGE("gain", 0.9, 0, 1e3), OG_RANGE("slope", 1.1, 1e-3, 1e3), OG_RANGE("leak", 0.05, 1e-3, 1e3)),
   MAPS(leaky_mish), .ulp = 4,
   .body = "Add(Mul(Mul(x, gain), Tanh(Softplus(Mul(x, slope)))), Mul(x, leak))",
   .cases = "f32[2,3,5] | f32[7]; gain=1, slope=0.5, leak=0.25 | bf16[9] | f32[0,3]")
