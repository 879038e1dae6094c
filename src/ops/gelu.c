#include "opgraft/op.h"

/* The tail of the approximation, exp() of a cubic that is rounded as one float, is what the 128 units stand for; the
 * exact form is within 8. */
EXPR v gelu(v x, float approximate)
{
	if (approximate > 0.0f) {                    /* tanh */
		v cubic = v_fma(x * x, x * (og_real)0.044715, x);
		return v_gate(x, cubic, (og_real)1.5957691216057308);
	}
	return v_normal_times(x, x);
}
MAP(gelu, 1, 1)
OP(gelu, .name = "Gelu", .since = 20,
   .doc = "x * P(N <= x) for a standard normal N, or its approximation by tanh.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_ENUM("approximate", "none|tanh", 0)), MAPS(gelu), .ulp = 128,
   .body = "Mul(Mul(X, 0.5), Add(Erf(Mul(X, 0.70710677)), 1)); approximate=none | "
           "Mul(Mul(X, 0.5), Add(Tanh(Mul(Add(X, Mul(Mul(Mul(X, X), X), 0.044715)), 0.7978846)), 1)); approximate=tanh",
   .spellings = "Mul(Mul(X, Add(Erf(Div(X, 1.4142135)), 1)), 0.5) -> Gelu(X)\n"
                "Mul(Mul(X, 0.5), Add(Erf(Div(X, 1.4142135)), 1)) -> Gelu(X)\n"
                "Mul(Mul(X, 0.5), Add(Erf(Mul(X, 0.70710677)), 1)) -> Gelu(X)\n"
                "Mul(X, Mul(Add(Erf(Div(X, 1.4142135)), 1), 0.5)) -> Gelu(X)",
   .cases = "f32[2,3,5] | f32[7]; approximate=tanh | f32[0,3]")
