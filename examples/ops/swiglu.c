/* The gate of a transformer's feed-forward block: two inputs. */
#include "opgraft/op.h"

EXPR v swiglu(v gate, v up) { return v_gate(gate, gate, 1.0f) * up; }
MAP(swiglu, 2, 0)
OP(swiglu, .name = "SwiGLU", .domain = "examples", .since = 1,
   .doc = "gate * sigmoid(gate) * up.",
   .inputs = "gate:T, up:T", .outputs = "y:T", .types = "T=f32 f16 bf16",
   MAPS(swiglu), .ulp = 4,
   .body = "Mul(Mul(gate, Sigmoid(gate)), up)",
   .cases = "f32[2,3,8] f32[2,3,8] | f16[4,16] f16[4,16] | f32[2,3] f32[3] | f32[0,3] f32[0,3]")
