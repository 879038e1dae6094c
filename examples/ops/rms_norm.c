/* RMSNorm: a reduction along an axis, then a formula of it. */
#include "opgraft/op.h"

EXPR v rms_norm_1(v x, float epsilon) { (void)epsilon; return x * x; }
EXPR v rms_norm(v x, v weight, v square, float epsilon) { return x / v_sqrt(square + epsilon) * weight; }
ROWS(rms_norm, 2, 1, MEAN)
OP(rms_norm, .name = "RMSNorm", .domain = "examples", .since = 1,
   .doc = "x over the root of its mean square along an axis, times a weight.",
   .inputs = "x:T, weight:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   ATTRS(OG_RANGE("epsilon", 1e-5, 1e-12, 1.0), OG_INT("axis", -1)), BY_ROWS(rms_norm),
   .body = "Mul(Div(x, Sqrt(Add(ReduceMean(Mul(x, x), axes=[-1]), epsilon))), weight)",
   .cases = "f32[2,3,40] f32[40] | f16[4,256] f16[256] | f32[2,3,40] f32[40]; epsilon=0.1 | f32[0,3] f32[3]")
