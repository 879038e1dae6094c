/* lanes.h -- what the files compiled once per instruction set share. */
#ifndef CPU_LANES_H
#define CPU_LANES_H

#include "opgraft/op.h"

#define CPU_NAME_(a, b) a##b
#define CPU_NAME(a, b) CPU_NAME_(a, b)

/* Before a loop of few rounds, and of up to 32. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_ALL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#define UNROLL_ALL _Pragma("GCC unroll 32")
#endif

/* a * b + c, fused where the machine can. */
EXPR v multiply_add(v a, v b, v c)
{
#if OG_LANES == 1
	return a * b + c;
#else
	return v_fma(a, b, c);
#endif
}

#endif
