/* Softmax with a temperature, as samplers of language models have it: two reductions, the second over a formula of the first. */
#include "opgraft/op.h"

EXPR v softmax_temperature_1(v x, float temperature) { (void)temperature; return x; }
EXPR v softmax_temperature_2(v x, v peak, float temperature) { return v_exp((x - peak) / temperature); }
EXPR v softmax_temperature(v x, v peak, v sum, float temperature) { return v_exp((x - peak) / temperature) / sum; }
ROWS(softmax_temperature, 1, 1, MAX, SUM)
OP(softmax_temperature, .name = "SoftmaxTemperature", .domain = "examples", .since = 1,
   .doc = "Softmax of x / temperature along an axis.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   ATTRS(OG_RANGE("temperature", 1.0, 1e-3, 1e3), OG_INT("axis", -1)), BY_ROWS(softmax_temperature),
   .body = "Softmax(Div(x, temperature), axis=axis)",
   .cases = "f32[2,3,40] | f32[2,1000]; temperature=0.5 | f16[2,3,40]; temperature=2 | f32[0,3]")
