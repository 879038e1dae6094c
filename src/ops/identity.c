#include "ops/move.h"

OP(identity, .name = "Identity", .since = 1, .doc = "The input itself.", .inputs = "input:T", .outputs = "output:T",
   .flags = OG_VIEW_OF_INPUT | OG_SHARED_BITS, .eval = move_all, .cases = "f32[2,3,4] | f32[] | f32[0,3] | i64[5]")
