#include "opgraft/op.h"

EXPR v leaky_relu(v x, float alpha) { return v_sel(x < 0.0f, x * alpha, x); }
MAP(leaky_relu, 1, 1)
OP(leaky_relu, .name = "LeakyRelu", .since = 6,
   .doc = "x, or alpha * x where x is below 0.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("alpha", 0.01)), MAPS(leaky_relu),
   .body = "Where(Less(X, 0), Mul(X, alpha), X)",
   .cases = "f32[2,3,5] | f32[7]; alpha=0.3 | f32[0,3]")
