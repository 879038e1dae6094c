#include "opgraft/op.h"

EXPR v sigmoid(v x) { return v_sigmoid(x); }
MAP(sigmoid, 1, 0)
OP(sigmoid, .name = "Sigmoid", .since = 6,
   .doc = "1 / (1 + exp(-x)).",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   MAPS(sigmoid), .ulp = 2.75,
   .body = "Div(1, Add(Exp(Neg(X)), 1))",
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
