#include "opgraft/op.h"

EXPR vm logical_or(v a, v b) { return (a != 0.0f) | (b != 0.0f); }
MAP_TEST(logical_or, 2, 0)
BOOLS(logical_or, a || b)
OP(logical_or, .name = "Or", .since = 7,
   .doc = "True where either is.",
   .inputs = "A:T, B:T", .outputs = "C:T", .types = "T=bool",
   MAPS(logical_or), OTHER(BOOL_FORM(logical_or)), .flags = OG_COMMUTATIVE,
   .cases = "bool[2,3,4] bool[2,3,4] | bool[3,1] bool[4] | bool[0,3] bool[3]")
