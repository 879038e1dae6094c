#include "opgraft/op.h"

EXPR v exp_of(v x) { return v_exp(x); }
MAP(exp_of, 1, 0)
OP(exp_of, .name = "Exp", .since = 6,
   .doc = "e to the power x.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(exp_of), .ulp = 1.1,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
