#include "ops/bitwise.h"

#if OP_BASE
static uint64_t bitwise_xor_of(uint64_t a, uint64_t b)
{
	return a ^ b;
}

static og_status bitwise_xor_eval(const og_call *c) { return bitwise_run(c, bitwise_xor_of); }
#endif

OP(bitwise_xor, .name = "BitwiseXor", .since = 18,
   .doc = "Bits that are set in one and not in the other.",
   .inputs = "A:T, B:T", .outputs = "C:T", .types = "T=i32 i64 i8 i16 u8 u16 u32 u64",
   .flags = OG_COMMUTATIVE, .eval = bitwise_xor_eval,
   .cases = "i32[2,3,4] i32[2,3,4] | u8[3,1] u8[4] | i64[0,3] i64[3]")
