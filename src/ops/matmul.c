/* MatMul: matrix products over broadcast batches. The fast forms are the backend's. */
#include "ops/product.h"

#if OP_BASE
static og_status matmul_eval(const og_call *c)
{
	return product_run(c, NULL, NULL);
}
#endif

OP(matmul, .name = "MatMul", .since = 1, .doc = "Matrix product; dimensions before the last two broadcast.",
   .inputs = "A:T, B:T", .outputs = "Y:T", .types = "T=f32 f64 f16 bf16 i32 i64 u32 u64",
   .shape = product_shape, .eval = matmul_eval, .flops = product_flops,
   .cases = "f32[5,7] f32[7,9] | f32[2,1,3,4] f32[3,4,5] | f32[4] f32[2,4,3] | f32[3,4] f32[4] | f32[0,4] f32[4,2]")
