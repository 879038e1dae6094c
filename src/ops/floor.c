#include "opgraft/op.h"

EXPR v floor_of(v x) { return v_floor(x); }
MAP(floor_of, 1, 0)
OP(floor_of, .name = "Floor", .since = 6,
   .doc = "The largest integer that is not above x.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16",
   MAPS(floor_of),
   .cases = "f32[2,3,5] | f32[0,3] | f32[]")
