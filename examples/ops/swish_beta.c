/* Swish with a slope. One input, one attribute: the formula is everything. */
#include "opgraft/op.h"

EXPR v swish_beta(v x, float beta) { return v_gate(x, x, beta); }     /* x / (1 + exp(-beta * x)), right where exp overflows */
MAP(swish_beta, 1, 1)
OP(swish_beta, .name = "SwishBeta", .domain = "examples", .since = 1,
   .doc = "x * sigmoid(beta * x).",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   ATTRS(OG_FLOAT("beta", 1.0)), MAPS(swish_beta), .ulp = 4,
   .body = "Mul(x, Sigmoid(Mul(x, beta)))",
   .cases = "f32[2,3,5] | f32[7]; beta=1.5 | f16[7]; beta=-0.5 | f32[0,3]")
