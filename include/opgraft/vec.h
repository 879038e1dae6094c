/* opgraft/vec.h -- the vocabulary that formulas are written in.
 *
 *   v    float lanes: one float, 8 (AVX2), 16 (AVX-512), a CUDA float; a double in the ref view
 *   vi   as many 32-bit integers (not in the ref view)
 *   vm   a truth value per lane, made by comparing: a < b, a == b; joined by & | ^ and v_not
 *
 * + - * / and comparisons are C's own, lane by lane, and take a scalar (a constant, an attribute) on one side: 1.0f / x.
 * So do all functions of two and more arguments: v_sel(x > 0.0f, x, 0.0f); those of one want v_splat(scalar). They are
 * macros that name each argument twice to the compiler, so polynomials are written a line at a time, not nested.
 *
 * Every function is exact or correctly rounded, so a formula gives the same bits in every float32 view. A constant that
 * is no short decimal is written (og_real)0.7978845608028654, so that the ref view gets all of it. */
#ifndef OPGRAFT_VEC_H
#define OPGRAFT_VEC_H

#if OP_DEVICE
#define EXPR static __device__ __forceinline__
#define LANE static __device__ __noinline__
#else
/* EXPR: a formula or a word of the vocabulary. LANE: scalar code for the rare lane that a formula can't serve. */
#define EXPR static inline __attribute__((always_inline, unused))
#define LANE static __attribute__((noinline, unused))
#endif

#if OP_DEVICE || OP_REF || OG_LANES == 1
/* ---- one lane ------------------------------------------------------------------------------- */
#if OP_DEVICE
typedef float v;
typedef int vi;
typedef bool vm;
typedef float og_real;
#define V_INF __int_as_float(0x7f800000)
#define V_NAN __int_as_float(0x7fc00000)
#elif OP_REF
#ifndef OG_LANES
#define OG_LANES 1
#endif
typedef double v;
typedef int vm;
typedef double og_real;
#define V_INF HUGE_VAL
#define V_NAN NAN
#else
typedef float v;
typedef int32_t vi;
typedef int vm;
typedef float og_real;
#define V_INF HUGE_VALF
#define V_NAN NAN
#endif

#if OP_REF
#define V_FN(name) name
#else
#define V_FN(name) name##f
#endif
#if OP_DEVICE
EXPR v v_fma(v a, v b, v c) { return __fmaf_rn(a, b, c); }
EXPR v v_sqrt(v x) { return __fsqrt_rn(x); }
#else
EXPR v v_fma(v a, v b, v c) { return V_FN(fma)(a, b, c); }
EXPR v v_sqrt(v x) { return V_FN(sqrt)(x); }
#endif
EXPR v v_abs(v x) { return V_FN(fabs)(x); }
EXPR v v_floor(v x) { return V_FN(floor)(x); }
EXPR v v_ceil(v x) { return V_FN(ceil)(x); }
EXPR v v_trunc(v x) { return V_FN(trunc)(x); }
EXPR v v_rint(v x) { return V_FN(rint)(x); }
EXPR v v_copysign(v x, v sign) { return V_FN(copysign)(x, sign); }
EXPR v v_splat(og_real x) { return x; }
EXPR v v_sel(vm m, v yes, v no) { return m ? yes : no; }
EXPR vm v_not(vm m) { return !m; }
EXPR int v_any(vm m) { return m; }
EXPR int v_within_(v x, v bound) { return v_abs(x) <= bound; }
EXPR v v_lesser(v a, v b) { return a < b ? a : b; }
EXPR v v_greater(v a, v b) { return a > b ? a : b; }
#define v_of(x) (x)
#define v_each1(f, x) f(x)
#define v_each2(f, x, y) f(x, y)

#if !OP_REF
#if OP_DEVICE
EXPR vi v_bits(v x) { return __float_as_int(x); }
EXPR v v_float(vi i) { return __int_as_float(i); }
#else
EXPR vi v_bits(v x) { vi i; memcpy(&i, &x, sizeof i); return i; }
EXPR v v_float(vi i) { v x; memcpy(&x, &i, sizeof x); return x; }
#endif
EXPR vi v_shl(vi i, int n) { return (vi)((unsigned)i << n); }
EXPR vi v_sar(vi i, int n) { return i >> n; }
EXPR vi v_shr(vi i, int n) { return (vi)((unsigned)i >> n); }
EXPR v v_from_int(vi i) { return (v)i; }
#endif

#if !OP_DEVICE
EXPR v v_load(const og_real *p) { return *p; }
EXPR v v_load_n(const og_real *p, size_t n) { (void)n; return *p; }
EXPR v v_load_inside(const og_real *p, size_t first, size_t last) { return first < last ? *p : 0; }
EXPR void v_store(og_real *p, v x) { *p = x; }
EXPR void v_store_n(og_real *p, v x, size_t n) { (void)n; *p = x; }
EXPR void v_store_test(uint8_t *p, vm m) { *p = m != 0; }
EXPR void v_store_test_n(uint8_t *p, vm m, size_t n) { (void)n; *p = m != 0; }
#endif

#else
/* ---- 8 or 16 lanes -------------------------------------------------------------------------- */
#include <immintrin.h>
typedef float v __attribute__((vector_size(4 * OG_LANES)));
typedef int32_t vi __attribute__((vector_size(4 * OG_LANES)));
typedef uint32_t v_unsigned __attribute__((vector_size(4 * OG_LANES)));
typedef uint8_t v_bytes __attribute__((vector_size(OG_LANES)));
typedef vi vm;                                   /* -1 or 0 */
typedef float og_real;
#define V_INF HUGE_VALF
#define V_NAN NAN

EXPR v v_same(v x) { return x; }
EXPR v v_splat(float x) { return x - (v){0}; }   /* x - 0 keeps a -0, x + 0 does not */
#define v_of(x) _Generic((x), v: v_same, default: v_splat)(x)

EXPR vi v_bits(v x) { return (vi)x; }
EXPR v v_float(vi i) { return (v)i; }
EXPR vi v_shl(vi i, int n) { return (vi)((v_unsigned)i << n); }
EXPR vi v_sar(vi i, int n) { return i >> n; }
EXPR vi v_shr(vi i, int n) { return (vi)((v_unsigned)i >> n); }
EXPR v v_from_int(vi i) { return __builtin_convertvector(i, v); }
EXPR vm v_not(vm m) { return ~m; }

EXPR v v_load(const float *p) { v x; memcpy(&x, p, sizeof x); return x; }
EXPR void v_store(float *p, v x) { memcpy(p, &x, sizeof x); }

#if OG_LANES == 16
EXPR __mmask16 v_first(size_t n) { return (__mmask16)((1u << n) - 1u); }
EXPR v v_load_n(const float *p, size_t n) { return (v)_mm512_maskz_loadu_ps(v_first(n), p); }
/* p[first] to p[last - 1] in their lanes, 0 in the others, which are not read; both at most OG_LANES. */
EXPR v v_load_inside(const float *p, size_t first, size_t last)
{
	return (v)_mm512_maskz_loadu_ps(v_first(last) & ~v_first(first), p);
}
EXPR void v_store_n(float *p, v x, size_t n) { _mm512_mask_storeu_ps(p, v_first(n), (__m512)x); }
EXPR v v_sel_(vm m, v yes, v no)
{
	return v_float((v_bits(yes) & m) | (v_bits(no) & ~m));
}
EXPR int v_any(vm m) { return _mm512_movepi32_mask((__m512i)m) != 0; }
EXPR int v_within_(v x, v bound)
{
	return _mm512_cmp_ps_mask((__m512)v_float(v_bits(x) & 0x7fffffff), (__m512)bound, _CMP_NLE_UQ) == 0;
}
EXPR v v_fma_(v a, v b, v c) { return (v)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
EXPR v v_sqrt_(v x) { return (v)_mm512_sqrt_ps((__m512)x); }
EXPR v v_lesser_(v a, v b) { return (v)_mm512_min_ps((__m512)a, (__m512)b); }
EXPR v v_greater_(v a, v b) { return (v)_mm512_max_ps((__m512)a, (__m512)b); }
#define V_ROUND(x, way) (v)_mm512_roundscale_ps((__m512)(x), (way) | _MM_FROUND_NO_EXC)
#else
EXPR __m256i v_first(size_t n)
{
	return (__m256i)((vi){0, 1, 2, 3, 4, 5, 6, 7} < (int32_t)n);
}
EXPR v v_load_n(const float *p, size_t n) { return (v)_mm256_maskload_ps(p, v_first(n)); }
EXPR v v_load_inside(const float *p, size_t first, size_t last)
{
	return (v)_mm256_maskload_ps(p, _mm256_andnot_si256(v_first(first), v_first(last)));
}
EXPR void v_store_n(float *p, v x, size_t n) { _mm256_maskstore_ps(p, v_first(n), (__m256)x); }
EXPR v v_sel_(vm m, v yes, v no) { return (v)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)m); }
EXPR int v_any(vm m) { return _mm256_movemask_ps((__m256)m) != 0; }
EXPR int v_within_(v x, v bound)
{
	return _mm256_movemask_ps(_mm256_cmp_ps((__m256)v_float(v_bits(x) & 0x7fffffff), (__m256)bound, _CMP_NLE_UQ)) == 0;
}
EXPR v v_fma_(v a, v b, v c) { return (v)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
EXPR v v_sqrt_(v x) { return (v)_mm256_sqrt_ps((__m256)x); }
EXPR v v_lesser_(v a, v b) { return (v)_mm256_min_ps((__m256)a, (__m256)b); }
EXPR v v_greater_(v a, v b) { return (v)_mm256_max_ps((__m256)a, (__m256)b); }
#define V_ROUND(x, way) (v)_mm256_round_ps((__m256)(x), (way) | _MM_FROUND_NO_EXC)
#endif

EXPR v v_copysign_(v x, v sign)
{
	vi y = (v_bits(x) & 0x7fffffff) | (v_bits(sign) & INT32_MIN);
#if defined(__clang__) && OG_LANES == 16
	__asm__("" : "+v"(y));       /* clang 14 joins v_sel(m, v_copysign(x, s), x) into one vpternlogd with wrong logic */
#endif
	return v_float(y);
}
#define v_fma(a, b, c) v_fma_(v_of(a), v_of(b), v_of(c))
#define v_sqrt(x) v_sqrt_(v_of(x))
#define v_sel(m, yes, no) v_sel_(m, v_of(yes), v_of(no))
#define v_lesser(a, b) v_lesser_(v_of(a), v_of(b))
#define v_greater(a, b) v_greater_(v_of(a), v_of(b))
#define v_copysign(x, sign) v_copysign_(v_of(x), v_of(sign))
EXPR v v_abs(v x) { return v_float(v_bits(x) & 0x7fffffff); }
EXPR v v_rint(v x) { return V_ROUND(x, _MM_FROUND_TO_NEAREST_INT); }
EXPR v v_floor(v x) { return V_ROUND(x, _MM_FROUND_TO_NEG_INF); }
EXPR v v_ceil(v x) { return V_ROUND(x, _MM_FROUND_TO_POS_INF); }
EXPR v v_trunc(v x) { return V_ROUND(x, _MM_FROUND_TO_ZERO); }

EXPR void v_store_test_n(uint8_t *p, vm m, size_t n)
{
	v_bytes b = __builtin_convertvector(m & 1, v_bytes);
	memcpy(p, &b, n);
}
EXPR void v_store_test(uint8_t *p, vm m) { v_store_test_n(p, m, OG_LANES); }

/* A LANE function on every lane. */
EXPR v v_each1(float (*f)(float), v x)
{
	for (int i = 0; i < OG_LANES; i++) x[i] = f(x[i]);
	return x;
}
EXPR v v_each2(float (*f)(float, float), v x, v y)
{
	for (int i = 0; i < OG_LANES; i++) x[i] = f(x[i], y[i]);
	return x;
}
#endif

/* ---- all views ------------------------------------------------------------------------------ */
/* v_lesser(a, b) is a < b ? a : b and v_greater(a, b) is a > b ? a : b, one instruction: where the two are equal or
 * one is NaN, the result is b. */
/* True when -bound <= x <= bound in every lane: for a formula that would take more steps outside, with the same result inside. */
#define v_within(x, bound) v_within_(v_of(x), v_of(bound))
EXPR vm v_isnan(v x) { return x != x; }
EXPR vm v_isinf(v x) { return v_abs(x) == V_INF; }
EXPR v v_neg(v x) { return -x; }
/* The lesser and greater of two with NaN winning, as in ONNX and NumPy. */
EXPR v v_min_(v a, v b) { return v_sel(v_isnan(a), a, v_lesser(a, b)); }
EXPR v v_max_(v a, v b) { return v_sel(v_isnan(a), a, v_greater(a, b)); }
#define v_min(a, b) v_min_(v_of(a), v_of(b))
#define v_max(a, b) v_max_(v_of(a), v_of(b))

#endif
