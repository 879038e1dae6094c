#include "opgraft/op.h"

/* exp(x / t) over its sum along an axis */
EXPR v warm_softmax_1(v x, float t) { (void)t; return x; }
EXPR v warm_softmax_2(v x, v peak, float t) { return v_exp((x - peak) / t); }
EXPR v warm_softmax(v x, v peak, v sum, float t) { return v_exp((x - peak) / t) / sum; }
ROWS(warm_softmax, 1, 1, MAX, SUM)
OP(warm_softmax, .name = "WarmSoftmax", .domain = OG_DOMAIN, .since = 1, .doc = "Softmax with a temperature.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("t", 1.0), OG_INT("axis", -1)), BY_ROWS(warm_softmax),
   .cases = "f32[2,3,40] | f32[2,3,40]; axis=1, t=2 | f32[5,2]; axis=0 | f32[2,1000]")
