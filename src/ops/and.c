#include "opgraft/op.h"

EXPR vm logical_and(v a, v b) { return (a != 0.0f) & (b != 0.0f); }
MAP_TEST(logical_and, 2, 0)
BOOLS(logical_and, a && b)
OP(logical_and, .name = "And", .since = 7,
   .doc = "True where both are.",
   .inputs = "A:T, B:T", .outputs = "C:T", .types = "T=bool",
   MAPS(logical_and), OTHER(BOOL_FORM(logical_and)), .flags = OG_COMMUTATIVE,
   .cases = "bool[2,3,4] bool[2,3,4] | bool[3,1] bool[4] | bool[0,3] bool[3]")
