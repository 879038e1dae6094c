/* igemm.cuh -- what the kernels of convolutions and matrix products share: elements, the epilogue's operands, PTX by name.
 * Before it come igemm_args.h, the formulas, and the generator's macros:
 *   T_F16, T_BF16 or T_F32 (tf32 in tensor cores)     the type of input, weights, operands and output
 *   OPERANDS, operand_kind(k), tail(x, operands)      the epilogue; STAGED: the operand that is staged by igemm.wgmma, or -1 */

typedef unsigned u32;
typedef unsigned long long u64;
#define HERE static __device__ __forceinline__

/* ---- elements, two neighbours at a time ------------------------------------------------------- */

#if T_F32
enum { ES = 4 };
typedef float element;
typedef float2 two;
HERE float2 two_floats(two t) { return t; }
HERE two two_of(float x, float y) { return make_float2(x, y); }
HERE float element_float(element e) { return e; }
HERE element element_of(float x) { return x; }
#else
enum { ES = 2 };
typedef unsigned short element;
typedef u32 two;
#if T_F16
HERE float element_float(element e) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(e)); return f; }
HERE element element_of(float x) { element e; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(e) : "f"(x)); return e; }
HERE float2 two_floats(two t) { return make_float2(element_float((element)t), element_float((element)(t >> 16))); }
HERE two two_of(float x, float y) { two t; asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(t) : "f"(y), "f"(x)); return t; }
#else
HERE float element_float(element e) { return __uint_as_float((u32)e << 16); }
HERE element element_of(float x) { element e; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(e) : "f"(x)); return e; }
HERE float2 two_floats(two t) { return make_float2(__uint_as_float(t << 16), __uint_as_float(t & 0xffff0000)); }
HERE two two_of(float x, float y) { two t; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(t) : "f"(y), "f"(x)); return t; }
#endif
#endif

/* ---- the epilogue ----------------------------------------------------------------------------- */

HERE float operand_float(const igemm_args &p, int k, long long at)
{
	return operand_kind(k) & IGEMM_WIDE ? ((const float *)p.operand[k])[at] : element_float(((const element *)p.operand[k])[at]);
}

/* Operand k at columns n and n + 1 of row m; 0 where the output ends. */
HERE float2 operand_two(const igemm_args &p, int k, int m, int n)
{
	const int kind = operand_kind(k) & ~IGEMM_WIDE;
	const long long at = kind == IGEMM_FULL ? (long long)m * p.row_out + n : n;
	if (kind == IGEMM_ONE) {
		float one = operand_float(p, k, 0);
		return make_float2(one, one);
	}
	if (m >= p.m || n >= p.n) return make_float2(0.0f, 0.0f);
	if (p.n % 2 == 0 && operand_kind(k) & IGEMM_WIDE) return *(const float2 *)((const float *)p.operand[k] + at);
	if (p.n % 2 == 0) return two_floats(*(const two *)((const element *)p.operand[k] + at));
	return make_float2(operand_float(p, k, at), n + 1 < p.n ? operand_float(p, k, at + 1) : 0.0f);
}

/* The output at columns n and n + 1 of row m from the accumulators; staged: the operand that is already here. */
HERE float2 epilogue(const igemm_args &p, float2 acc, float2 bias, float2 staged, int m, int n)
{
	float x[OPERANDS + 1], y[OPERANDS + 1];
	#pragma unroll
	for (int k = 0; k < OPERANDS; k++) {
		float2 o = k == STAGED ? staged : operand_two(p, k, m, n);
		x[k] = o.x;
		y[k] = o.y;
	}
	return make_float2(tail(acc.x + bias.x, x), tail(acc.y + bias.y, y));
}

/* ---- order among kernels ---------------------------------------------------------------------- */

/* The next kernel of the stream may start its prologue; what it reads of this one it waits for. */
HERE void let_next_start()
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.launch_dependents;");
#endif
}
HERE void wait_for_previous()
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

HERE u32 shared_address(const void *p) { return (u32)__cvta_generic_to_shared(p); }
