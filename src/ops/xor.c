#include "opgraft/op.h"

EXPR vm logical_xor(v a, v b) { return (a != 0.0f) ^ (b != 0.0f); }
MAP_TEST(logical_xor, 2, 0)
BOOLS(logical_xor, !a != !b)
OP(logical_xor, .name = "Xor", .since = 7,
   .doc = "True where one is and the other is not.",
   .inputs = "A:T, B:T", .outputs = "C:T", .types = "T=bool",
   MAPS(logical_xor), OTHER(BOOL_FORM(logical_xor)), .flags = OG_COMMUTATIVE,
   .cases = "bool[2,3,4] bool[2,3,4] | bool[3,1] bool[4] | bool[0,3] bool[3]")
