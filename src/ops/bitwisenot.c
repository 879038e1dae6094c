#include "ops/bitwise.h"

#if OP_BASE
static uint64_t bitwise_not_of(uint64_t a, uint64_t unused)
{
	(void)unused;
	return ~a;
}

static og_status bitwise_not_eval(const og_call *c) { return bitwise_run(c, bitwise_not_of); }
#endif

OP(bitwise_not, .name = "BitwiseNot", .since = 18,
   .doc = "Bits that are not set.",
   .inputs = "X:T", .outputs = "Y:T", .types = "T=i32 i64 i8 i16 u8 u16 u32 u64",
   .eval = bitwise_not_eval,
   .cases = "i32[2,3,4] | u8[3] | i64[0,3]")
