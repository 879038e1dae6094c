/* StarReLU, the activation of MetaFormer. */
#include "opgraft/op.h"

EXPR v star_relu(v x, float scale, float bias)
{
	v r = v_max(x, 0.0f), square = r * r;
	v some = v_lesser(1e19f, r), lost = v_fma(some, some, -(some * some));    /* what rounding the square lost */
	return v_fma(lost, scale, v_fma(square, scale, bias));                    /* counts where the sum is near 0 */
}
MAP(star_relu, 1, 2)
OP(star_relu, .name = "StarReLU", .domain = "examples", .since = 1,
   .doc = "scale * relu(x)^2 + bias.",
   .inputs = "x:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   ATTRS(OG_FLOAT("scale", 0.8944), OG_FLOAT("bias", -0.4472)), MAPS(star_relu), .ulp = 2,
   .body = "Add(Mul(Mul(Relu(x), Relu(x)), scale), bias)",
   .cases = "f32[2,3,5] | f32[7]; scale=2, bias=0.5 | bf16[9] | f32[0,3]")
