#include "opgraft/op.h"

EXPR v round_of(v x) { return v_rint(x); }
MAP(round_of, 1, 0)
OP(round_of, .name = "Round", .since = 11,
   .doc = "The nearest integer, the even one of two.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   MAPS(round_of),
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
