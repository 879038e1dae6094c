/* fast.cuh -- words of the vocabulary for tensors of 16 bits and tf32: right to more digits than those keep, in few instructions. */
#include "opgraft/op.h"

EXPR v fast_exp2(v x)
{
	v y;
	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}
#undef v_exp_times
#undef v_gate
#define v_exp(x) fast_exp2((x) * 1.44269504f)
#define v_exp_times(a, x) ((a) * v_exp(x))
#define v_gate(a, x, slope) __fdividef(a, 1.0f + v_exp(-(slope) * (x)))
