#include "opgraft/op.h"

EXPR v power(v a, v b) { return v_pow(a, b); }
MAP(power, 2, 0)

#if OP_BASE
/* a to the power b, wrapping; what would lie between -1 and 1 is 0. */
static int64_t power_whole(int64_t a, int64_t b)
{
	uint64_t result = 1, square = (uint64_t)a;
	if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
	for (; b > 0; b /= 2, square *= square)
		if (b % 2 == 1) result *= square;
	return (int64_t)result;
}
#endif
INTS(power, power_whole((int64_t)a, (int64_t)b))
OP(power, .name = "Pow", .since = 7,
   .doc = "X to the power Y; integers wrap, and give 0 for negative powers of all but 1 and -1.",
   .inputs = "X:T, Y:E", .outputs = "Z:T",
   .types = "T=f32 f64 f16 bf16 i32 i64; E=f32 f64 f16 bf16 i32 i64 i8 i16 u8 u16 u32 u64",
   MAPS(power), OTHER(INT_FORMS(power)), .ulp = 1,
   .cases = "f32[2,3,4] f32[2,3,4] | f32[2,3,4] f32[] | f32[3] i64[] | i32[3] i32[3] | f32[0,3] f32[3]")
