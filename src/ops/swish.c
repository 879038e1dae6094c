#include "opgraft/op.h"

/* x * sigmoid(beta * x) */
EXPR v swish(v x, float beta) { return v_gate(x, x, beta); }
MAP(swish, 1, 1)
OP(swish, .name = "OgSwish", .called = "Swish", .domain = OG_DOMAIN, .since = 1,
   .doc = "x * sigmoid(beta * x).",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("beta", 1.0)), MAPS(swish), .ulp = 4,
   .body = "Mul(x, Sigmoid(Mul(x, beta)))",
   .spellings = "Mul(x, Sigmoid(x)) -> opgraft::Swish(x)\n"
                "Mul(x, Sigmoid(Mul(x, b))) -> opgraft::Swish(x, beta=b)\n"
                "Div(x, Add(Exp(Neg(x)), 1)) -> opgraft::Swish(x)\n"
                "Div(x, Add(Exp(Mul(x, b)), 1)) -> opgraft::Swish(x, beta=-b)",
   .cases = "f32[2,3,5] | f32[7]; beta=1.5 | f32[7]; beta=-0.5 | f32[0,3]")

/* ONNX took it up in opset 24, with another name for beta. */
OP(swish_24, .name = "Swish", .since = 24,
   .doc = "x * sigmoid(alpha * x).",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("alpha", 1.0)), MAPS(swish), .ulp = 4,
   .body = "Mul(X, Sigmoid(Mul(X, alpha)))",
   .cases = "f32[2,3,5] | f32[7]; alpha=1.5 | f32[0,3]")
