#include "opgraft/op.h"

EXPR v softplus(v x) { return v_softplus(x); }
MAP(softplus, 1, 0)
OP(softplus, .name = "Softplus", .since = 1,
   .doc = "log(1 + exp(x)).",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   MAPS(softplus), .ulp = 2,
   .body = "Log(Add(Exp(X), 1))",
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
