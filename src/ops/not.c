#include "opgraft/op.h"

EXPR vm logical_not(v x) { return x == 0.0f; }
MAP_TEST(logical_not, 1, 0)
BOOLS(logical_not, !a)
OP(logical_not, .name = "Not", .since = 1,
   .doc = "True where x is false.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=bool",
   MAPS(logical_not), OTHER(BOOL_FORM(logical_not)),
   .cases = "bool[2,3,5] | bool[0,3]")
