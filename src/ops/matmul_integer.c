/* MatMulInteger: matrix products of 8-bit integers less their zero points, into int32. */
#include "ops/product.h"

#if OP_BASE
static og_status matmul_integer_eval(const og_call *c)
{
	return product_run(c, c->n_in > 2 ? c->in[2] : NULL, c->n_in > 3 ? c->in[3] : NULL);
}
#endif

OP(matmul_integer, .name = "MatMulInteger", .since = 10, .doc = "Matrix product of 8-bit integers into int32.",
   .inputs = "A:T1, B:T2, a_zero_point:T1?, b_zero_point:T2?", .outputs = "Y:i32", .types = "T1=i8 u8; T2=i8 u8",
   .shape = product_shape, .eval = matmul_integer_eval, .flops = product_flops,
   .cases = "u8[4,3] i8[3,2] | u8[2,4,3] u8[3,2]")
