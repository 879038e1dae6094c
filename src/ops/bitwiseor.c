#include "ops/bitwise.h"

#if OP_BASE
static uint64_t bitwise_or_of(uint64_t a, uint64_t b)
{
	return a | b;
}

static og_status bitwise_or_eval(const og_call *c) { return bitwise_run(c, bitwise_or_of); }
#endif

OP(bitwise_or, .name = "BitwiseOr", .since = 18,
   .doc = "Bits that are set in either.",
   .inputs = "A:T, B:T", .outputs = "C:T", .types = "T=i32 i64 i8 i16 u8 u16 u32 u64",
   .flags = OG_COMMUTATIVE, .eval = bitwise_or_eval,
   .cases = "i32[2,3,4] i32[2,3,4] | u8[3,1] u8[4] | i64[0,3] i64[3]")
