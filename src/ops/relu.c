#include "opgraft/op.h"

EXPR v relu(v x) { return v_greater(0.0f, x); }
MAP(relu, 1, 0)
INTS(relu, a > 0 ? a : 0)
OP(relu, .name = "Relu", .since = 6,
   .doc = "The larger of x and 0.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16",
   MAPS(relu), OTHER(INT_FORMS(relu)),
   .body = "Max(X, 0)",
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
