#include "opgraft/op.h"

/* layer normalization with weight and bias */
EXPR v row_norm_1(v x, float e) { (void)e; return x; }
EXPR v row_norm_2(v x, v mean, float e) { (void)e; return (x - mean) * (x - mean); }
EXPR v row_norm(v x, v w, v b, v mean, v var, float e) { return (x - mean) * (1.0f / v_sqrt(var + e)) * w + b; }
ROWS(row_norm, 3, 1, MEAN, MEAN)
OP(row_norm, .name = "RowNorm", .domain = OG_DOMAIN, .since = 1, .doc = "Layer normalization along one axis.",
   .inputs = "x:T, weight:T?=1, bias:T?=0", .outputs = "y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("epsilon", 1e-5), OG_INT("axis", -1)), BY_ROWS(row_norm),
   .cases = "f32[2,3,40] f32[40] f32[40] | f32[2,3,40] f32[3]; epsilon=0.1, axis=1 | f32[5,7]")

EXPR v row_rms_1(v x, float e) { (void)e; return x * x; }
EXPR v row_rms(v x, v w, v square, float e) { return x / v_sqrt(square + e) * w; }
ROWS(row_rms, 2, 1, MEAN)
OP(row_rms, .name = "RowRms", .domain = OG_DOMAIN, .since = 1, .doc = "RMS normalization along one axis.",
   .inputs = "x:T, weight:T", .outputs = "y:T", .types = "T=f32 f64 f16 bf16",
   ATTRS(OG_FLOAT("epsilon", 1e-5), OG_INT("axis", -1)), BY_ROWS(row_rms),
   .cases = "f32[2,3,40] f32[40] | f32[2,5,4] f32[1]; axis=1 | f32[0,3] f32[3]")
