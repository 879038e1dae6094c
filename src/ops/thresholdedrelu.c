#include "opgraft/op.h"

EXPR v thresholded_relu(v x, float alpha) { return v_sel(v_not(x <= alpha), x, 0.0f); }
MAP(thresholded_relu, 1, 1)
OP(thresholded_relu, .name = "ThresholdedRelu", .since = 10,
   .doc = "x where it is above alpha, else 0.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("alpha", 1.0)), MAPS(thresholded_relu),
   .body = "Where(Greater(X, alpha), X, 0)",
   .cases = "f32[2,3,5] | f32[7]; alpha=0.5 | f32[0,3]")
