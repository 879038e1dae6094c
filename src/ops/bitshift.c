#include "ops/bitwise.h"

#if OP_BASE
static uint64_t shift_left(uint64_t a, uint64_t b) { return b < 64 ? a << b : 0; }
static uint64_t shift_right(uint64_t a, uint64_t b) { return b < 64 ? a >> b : 0; }

static og_status bit_shift_eval(const og_call *c)
{
	return bitwise_run(c, c->attr[0].i == 0 ? shift_left : shift_right);
}
#endif

OP(bit_shift, .name = "BitShift", .since = 11,
   .doc = "X shifted by Y bits; zeros come in, so by the width or more it is 0.",
   .inputs = "X:T, Y:T", .outputs = "Z:T", .types = "T=u8 u16 u32 u64",
   ATTRS({ .name = "direction", .type = OG_ATTR_ENUM, .words = "LEFT|RIGHT", .required = 1 }), .eval = bit_shift_eval,
   .cases = "u32[2,3] u32[2,3]; direction=LEFT | u8[3] u8[]; direction=RIGHT | u64[0] u64[1]; direction=LEFT")
