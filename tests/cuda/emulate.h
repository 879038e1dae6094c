/* emulate.h -- enough of CUDA C for a C++ compiler to take the kernels of opgraft/device.h and of plans, and for libcuda.cc beside it to
 * run them a thread at a time. What is written in PTX, tests/emulated.py replaces by the functions of ptx.h. */
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#define __CUDACC__ 1
#ifndef __CUDA_ARCH__
#define __CUDA_ARCH__ 900
#endif
#define __device__
#define __global__
#define __shared__ static                /* clusters run one after the other, and their blocks have none but libcuda.cc's */
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline, unused))
#define __grid_constant__
#define __launch_bounds__(...)
#define __cluster_dims__(x, y, z)        /* libcuda.cc reads it in the text */
#define __align__(n) alignas(n)

struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
static inline float2 make_float2(float x, float y) { return { x, y }; }
static inline float4 make_float4(float x, float y, float z, float w) { return { x, y, z, w }; }
struct emulated_index { unsigned x, y, z; };
extern emulated_index threadIdx, blockIdx, blockDim, gridDim;

/* In libcuda.cc: threads of a block, a warp or a cluster wait for each other. */
enum { EMULATED_BLOCK, EMULATED_WARP, EMULATED_CLUSTER };
extern "C" void emulated_wait(int who);
extern "C" void *emulated_memory();      /* shared memory whose size the launch gave */
enum { EMULATED_THREADS = 16 * 1024 };   /* of a cluster */
extern float emulated_slot[EMULATED_THREADS];
extern unsigned emulated_thread;         /* the one that runs, among those of its cluster */

template<class A, class B> static inline A emulated_cast(B b) { A a; memcpy(&a, &b, sizeof a); return a; }
static inline float __int_as_float(int i) { return emulated_cast<float>(i); }
static inline float __uint_as_float(unsigned i) { return emulated_cast<float>(i); }
static inline int __float_as_int(float f) { return emulated_cast<int>(f); }
static inline unsigned __float_as_uint(float f) { return emulated_cast<unsigned>(f); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline long long __double_as_longlong(double d) { return emulated_cast<long long>(d); }
/* No thread is interrupted. */
template<class T> static inline T atomicAdd(T *p, T x) { const T was = *p; *p += x; return was; }
template<class T> static inline T atomicMax(T *p, T x) { const T was = *p; if (x > was) *p = x; return was; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
template<class T> static inline T __ldg(const T *p) { return *p; }
static inline void __syncthreads() { emulated_wait(EMULATED_BLOCK); }
static inline void __syncwarp() { emulated_wait(EMULATED_WARP); }
static inline float __shfl_xor_sync(unsigned, float a, int lane)
{
	const unsigned me = emulated_thread;
	emulated_slot[me] = a;
	emulated_wait(EMULATED_WARP);
	a = emulated_slot[me ^ lane];
	emulated_wait(EMULATED_WARP);
	return a;
}

/* Places in shared memory are offsets in that of the launch. */
static inline size_t __cvta_generic_to_shared(const void *p) { return (const char *)p - (const char *)emulated_memory(); }
static inline const void *__cvta_generic_to_global(const void *p) { return p; }

#include "ptx.h"
