/* What the optimiser makes of elementwise nodes that it joined: their graph is the attribute `body`. Whoever runs a
 * network runs the body, so that there is nothing to define here. */
#include "opgraft/op.h"

OP(fused, .name = "Fused", .domain = OG_DOMAIN, .since = 1, .doc = "Elementwise nodes that run in one pass.",
   .inputs = "inputs:T...", .outputs = "outputs:U...", ATTRS(OG_GRAPH("body")))
