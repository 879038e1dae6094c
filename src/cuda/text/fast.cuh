/* fast.cuh -- words of the vocabulary for tensors of 16 bits and tf32, in few instructions: right to a relative 2^-13, where those keep 11
 * digits at most, or (logarithms near 1) to an absolute 2^-22. Quotients are left to the compiler, which is told to make them fast. */
#include "opgraft/op.h"

EXPR v fast_exp2(v x)
{
	v y;
	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}
EXPR v fast_log2(v x)
{
	v y;
	asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}
EXPR v fast_root(v x)
{
	v y;
	asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}

EXPR v fast_exp(v x) { return fast_exp2(x * 1.44269504f); }
/* exp() alone may be beyond the floats */
EXPR v fast_exp_times(v a, v x)
{
	const v half = fast_exp2(x * 0.72134752f);
	return a * half * half;
}
EXPR v fast_expm1(v x)
{
	const v near = x * v_fma(x, v_fma(x, v_fma(x, 0.041666668f, 0.16666667f), 0.5f), 1.0f);
	return v_abs(x) < 0.125f ? near : fast_exp(x) - 1.0f;
}
EXPR v fast_log(v x) { return fast_log2(x) * 0.69314718f; }
EXPR v fast_log1p(v x)
{
	const v near = x * v_fma(x, v_fma(x, 0.33333334f, -0.5f), 1.0f);
	return v_abs(x) < 0.015625f ? near : fast_log(1.0f + x);
}
EXPR v fast_gate(v a, v x, v slope) { return a / (1.0f + fast_exp2(x * (slope * -1.44269504f))); }
EXPR v fast_exp_over(v x, v slope, v *below)
{
	*below = 1.0f;
	return fast_exp(v_lesser(40.0f, slope * x));
}
EXPR v fast_sigmoid(v x) { return fast_gate(1.0f, x, 1.0f); }
EXPR v fast_softplus(v x) { return v_greater(0.0f, x) + fast_log1p(fast_exp(-v_abs(x))); }
EXPR v fast_tanh(v x)
{
	const v s = x * x, near = x * v_fma(s, v_fma(s, 0.13333334f, -0.33333334f), 1.0f);
	const v far = 1.0f - 2.0f / (1.0f + fast_exp2(v_abs(x) * 2.88539008f));
	return v_abs(x) < 0.25f ? near : v_copysign(far, x);
}
/* x times a polynomial of its square, fitted up to 2.75, where erf is 1 - 1e-4 */
EXPR v fast_erf(v x)
{
	const v low = v_abs(x) > 2.75f ? v_copysign(2.75f, x) : x, s = low * low;
	v p = v_fma(s, -7.408838785738218e-07f, 2.6728228930218534e-05f);
	p = v_fma(p, s, -0.00042354033837657174f);
	p = v_fma(p, s, 0.0039486646540948895f);
	p = v_fma(p, s, -0.024630738582586947f);
	p = v_fma(p, s, 0.11079231389583424f);
	p = v_fma(p, s, -0.37537314974390196f);
	return low * v_fma(p, s, 1.128330411185439f);
}
/* a * P(N <= x): the tail is exp(-x^2 / 2) times a polynomial of 1 / (1 + 3/8 |x|), fitted up to 14 */
EXPR v fast_normal_times(v a, v x)
{
	const v t = v_abs(x), k = 1.0f / v_fma(t, 0.375f, 1.0f);
	v p = v_fma(k, -0.09064262220761705f, 0.20028109797855206f);
	p = v_fma(p, k, 0.08356456931410523f);
	p = v_fma(p, k, 0.15773381523668661f);
	p = v_fma(p, k, 0.14906104436967146f) * k * fast_exp2(t * t * -0.72134752f);
	return a * (x < 0.0f ? p : 1.0f - p);
}
#undef v_exp_times
#undef v_exp_over
#undef v_gate
#undef v_normal_times
#define v_exp fast_exp
#define v_exp_times fast_exp_times
#define v_expm1 fast_expm1
#define v_expm1_low fast_expm1
#define v_log fast_log
#define v_log1p fast_log1p
#define v_log1p_unit fast_log1p
#define v_exp_over fast_exp_over
#define v_gate fast_gate
#define v_sigmoid fast_sigmoid
#define v_softplus fast_softplus
#define v_tanh fast_tanh
#define v_erf fast_erf
#define v_normal_times fast_normal_times
#define v_sqrt fast_root
