#include "opgraft/op.h"

EXPR v log_of(v x) { return v_log(x); }
MAP(log_of, 1, 0)
OP(log_of, .name = "Log", .since = 6,
   .doc = "Natural logarithm: -inf at 0, NaN below.",
   .inputs = "input:T", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   MAPS(log_of), .ulp = 1,
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
