#include "opgraft/op.h"

/* The remainder with the sign of a (fmod=1) or, as in Python, of b. */
EXPR v modulo(v a, v b, float fmod_attr)
{
	v r = v_fmod(a, b);
	if (fmod_attr != 0.0f) return r;
	r = v_sel((r != 0.0f) & ((r < 0.0f) ^ (b < 0.0f)), r + b, r);
	return v_sel(r == 0.0f, v_copysign(r, b), r);
}
MAP(modulo, 2, 1)
/* (r < 1) == (b < 1) of a remainder that is not 0 says that the signs agree, for unsigned types too. */
INTS(modulo, b == 0 || (b < 1 && b + 1 == 0) ? 0
             : attr[0] != 0.0f || a % b == 0 || (a % b < 1) == (b < 1) ? a % b : a % b + b)
OP(modulo, .name = "Mod", .since = 10,
   .doc = "The remainder of a / b, with the sign of a if fmod is 1 and else of b; integers give 0 where b is 0.",
   .inputs = "A:T, B:T", .outputs = "C:T", .types = "T=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64",
   ATTRS(OG_INT("fmod", 0)), MAPS(modulo), OTHER(INT_FORMS(modulo)),
   .cases = "f32[2,3,4] f32[4]; fmod=1 | f32[] f32[7]; fmod=1 | i32[2,3,4] i32[4] | i32[7] i32[7]; fmod=1")
