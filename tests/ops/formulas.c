/* Formulas of one, two and three inputs, cheap and dear, one with a bool result: what kernels made from formulas are tested with. */
#include "opgraft/op.h"

EXPR v test_relu(v x) { return v_sel(x > 0.0f, x, v_sel(v_isnan(x), x, 0.0f)); }
MAP(test_relu, 1, 0)
OP(test_relu, .name = "TestRelu", .domain = OG_DOMAIN, .since = 1, .doc = "The greater of x and 0.", .inputs = "x:T", .outputs = "y:T",
   .types = "T=f32 f64 f16 bf16", MAPS(test_relu), .cases = "f32[2,3,5] | f32[0,3]")

EXPR v test_sine(v x, float w) { return v_sin(x * w); }
MAP(test_sine, 1, 1)
OP(test_sine, .name = "TestSine", .domain = OG_DOMAIN, .since = 1, .doc = "sin(w x).", .inputs = "x:T", .outputs = "y:T",
   .types = "T=f32 f64 f16 bf16", ATTRS(OG_FLOAT("w", 1.0)), MAPS(test_sine), .ulp = 4, .cases = "f32[2,3,5] | f32[0,3]")

EXPR v test_power(v x, v y) { return v_pow(x, y); }
MAP(test_power, 2, 0)
OP(test_power, .name = "TestPower", .domain = OG_DOMAIN, .since = 1, .doc = "x to the power of y.", .inputs = "x:T, y:T", .outputs = "z:T",
   .types = "T=f32 f64 f16 bf16", MAPS(test_power), .ulp = 4, .cases = "f32[2,3,5] f32[5] | f32[0,3] f32[]")

EXPR vm test_above(v x, v y) { return x > y; }
MAP_TEST(test_above, 2, 0)
OP(test_above, .name = "TestAbove", .domain = OG_DOMAIN, .since = 1, .doc = "Whether x is greater than y.", .inputs = "x:T, y:T",
   .outputs = "z:bool", .types = "T=f32 f64 f16 bf16", MAPS(test_above), .cases = "f32[2,3,5] f32[5] | f32[0,3] f32[]")

EXPR v test_between(v x, v low, v high) { return v_lesser(high, v_greater(low, x)); }
MAP(test_between, 3, 0)
OP(test_between, .name = "TestBetween", .domain = OG_DOMAIN, .since = 1, .doc = "x kept between two bounds.",
   .inputs = "x:T, low:T?=-1, high:T?=1", .outputs = "y:T", .types = "T=f32 f64 f16 bf16", MAPS(test_between),
   .cases = "f32[2,3,5] f32[] f32[5] | f32[7] | f32[0,3] f32[]")
