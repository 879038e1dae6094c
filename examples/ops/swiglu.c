/* The gate of a transformer's feed-forward block: two inputs. */
#include "opgraft/op.h"

/* sigmoid(g) is 1 / (1 + e) for g >= 0 and e / (1 + e) below, with e = exp(-|g|); e as the square of a root, since below -88
 * e alone is no float any more, where times a large `up` the result still is one. */
EXPR v swiglu(v gate, v up)
{
	v root = v_exp(-0.5f * v_abs(gate)), low = v_sel(gate < 0.0f, root, 1.0f);
	return gate * up * low * low / v_fma(root, root, 1.0f);
}
MAP(swiglu, 2, 0)
OP(swiglu, .name = "SwiGLU", .domain = "examples", .since = 1,
   .doc = "gate * sigmoid(gate) * up.",
   .inputs = "gate:T, up:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   MAPS(swiglu), .ulp = 6,
   .body = "Mul(Mul(gate, Sigmoid(gate)), up)",
   .cases = "f32[2,3,8] f32[2,3,8] | f16[4,16] f16[4,16] | f32[2,3] f32[3] | f32[0,3] f32[0,3]")
