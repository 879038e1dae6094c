#include "opgraft/op.h"

EXPR vm is_inf(v x, float negative, float positive)
{
	v low = v_sel(v_splat(negative) != 0.0f, -V_INF, V_NAN), high = v_sel(v_splat(positive) != 0.0f, V_INF, V_NAN);
	return (x == low) | (x == high);
}
MAP_TEST(is_inf, 1, 2)
OP(is_inf, .name = "IsInf", .since = 10,
   .doc = "True where x is an infinity of a sign that is asked for.",
   .inputs = "X:T", .outputs = "Y:B", .types = "T=f32 f64 f16 bf16; B=bool",
   ATTRS(OG_INT("detect_negative", 1), OG_INT("detect_positive", 1)), MAPS(is_inf),
   .cases = "f32[2,3,5] | f32[7]; detect_negative=0 | f32[7]; detect_positive=0")
