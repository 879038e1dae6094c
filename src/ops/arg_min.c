/* ArgMin: where the least element along an axis is, the first or last of equal ones; NaN wins. */
#include "ops/extreme.h"

#if OP_BASE
static og_status arg_min_eval(const og_call *c)
{
	return extreme_define(c, -1);
}
#endif

OP(arg_min, .name = "ArgMin", .since = 1, .doc = "Index of the least element along an axis.",
   .inputs = "data:T", .outputs = "reduced:i64", .types = "T=f32 f64 f16 bf16 u8 i8 u16 i16 u32 i32 u64 i64",
   ATTRS(OG_INT("axis", 0), OG_INT("keepdims", 1), OG_INT("select_last_index", 0)),
   .shape = extreme_shape, .eval = arg_min_eval,
   .cases = "f32[2,3,4] | f32[3,5]; axis=-1, keepdims=0 | f32[3,1]; axis=1")
