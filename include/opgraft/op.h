/* opgraft/op.h -- what an op file includes.
 *
 * One op file defines one operator (and its older opset versions). It is compiled once per *view*:
 *
 *   base    no macro                          schema, shape rule, plain C definition, its own text
 *   ref     -DOG_REF                          the formula in double precision with libm: what is right
 *   cpu     -DOG_LANES=1|8|16 -DOG_ISA=name   kernels for scalar, avx2 (with FMA), avx512
 *   device  __CUDACC__ (NVRTC, nvcc)          the formula as a device function
 *
 * An elementwise op is a formula in the vocabulary of opgraft/vec.h and one OP() entry:
 *
 *   #include "opgraft/op.h"
 *   EXPR v swish(v x, float beta) { ... }
 *   MAP(swish, 1, 1)                           one input, one attribute
 *   OP(swish, .name = "Swish", .domain = OG_DOMAIN, .since = 1, .inputs = "x:T", .outputs = "y:T",
 *      .types = "T=f32 f16 bf16 f64", ATTRS(OG_FLOAT("beta", 1.0)), MAPS(swish))
 *
 * An op that reduces along an axis and then maps is made of formulas too: opgraft/rows.h. Any other op has an eval, and where it is to
 * run on a GPU a KERNEL of its own: opgraft/device.h.
 *
 * Every view must compile with contraction off (-ffp-contract=off, -fmad=false): an elementwise
 * fp32 op computes the same bits in every cpu and device view. */
#ifndef OPGRAFT_OP_H
#define OPGRAFT_OP_H

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define OP_DEVICE 1
#elif defined(OG_REF)
#define OP_REF 1
#elif defined(OG_LANES)
#define OP_CPU 1
#else
#define OP_BASE 1
#define OG_LANES 1
#endif

#if !OP_DEVICE
#include "opgraft/half.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#endif
#include "opgraft/vec.h"     /* v, vi, vm, v_sel, v_fma, ... */
#include "opgraft/vmath.h"   /* v_exp, v_log, v_tanh, ... */


/* ---- the macros of an op file --------------------------------------------------------------- */

#define OG_CAT_(a, b, c) op_##a##b##c
#define OG_CAT(a, b, c) OG_CAT_(a, b, c)
#if OP_CPU
#define OG_VIEW(f) OG_CAT(f, _, OG_ISA)      /* op_swish_avx2 */
#elif OP_REF
#define OG_VIEW(f) OG_CAT(f, _, ref)
#endif

#define OG_IN_1(L) L(0)
#define OG_IN_2(L) L(0), L(1)
#define OG_IN_3(L) L(0), L(1), L(2)
#define OG_AT_0
#define OG_AT_1 , b[0]
#define OG_AT_2 , b[0], b[1]
#define OG_AT_3 , b[0], b[1], b[2]
#define OG_AT_4 , b[0], b[1], b[2], b[3]

#if OP_CPU || OP_REF
#define OG_LOAD(k) v_load(from[k] + i)
#define OG_LOAD_TAIL(k) v_load_n(from[k] + i, n - i)
#define OG_MAP_(f, nin, nattr, type, store, store_n) \
	void OG_VIEW(f)(size_t n, void *yp, const void *const *x, const float *attr); \
	void OG_VIEW(f)(size_t n, void *yp, const void *const *x, const float *attr) \
	{ \
		type *y = (type *)yp; \
		const og_real *from[nin]; \
		float b[OG_MAX_MAP_ATTRS]; \
		size_t i = 0; \
		for (int k = 0; k < nin; k++) from[k] = (const og_real *)x[k]; \
		for (int k = 0; k < nattr; k++) b[k] = attr[k]; \
		(void)b; (void)attr; \
		for (; i + OG_LANES <= n; i += OG_LANES) store(y + i, f(OG_IN_##nin(OG_LOAD) OG_AT_##nattr)); \
		if (i < n) store_n(y + i, f(OG_IN_##nin(OG_LOAD_TAIL) OG_AT_##nattr), n - i); \
	}
/* MAP: a formula with nin inputs (v) and nattr attributes (float) that returns v.
 * MAP_TEST: one that returns a truth value (vm), stored as bool. */
#define MAP(f, nin, nattr) OG_MAP_(f, nin, nattr, og_real, v_store, v_store_n)
#define MAP_TEST(f, nin, nattr) OG_MAP_(f, nin, nattr, uint8_t, v_store_test, v_store_test_n)
#elif OP_BASE
#define MAP(f, nin, nattr) \
	og_map_fn op_##f##_scalar, op_##f##_avx2, op_##f##_avx512, op_##f##_ref; \
	enum { op_##f##_inputs = nin, op_##f##_attrs = nattr };
#define MAP_TEST MAP
#elif !defined(OG_KERNELS)
#define MAP(f, nin, nattr)
#define MAP_TEST(f, nin, nattr)
#define ROWS(f, nin, nattr, ...)
#endif

#if OP_BASE
/* INTS(f, expression): the same op on the eight integer types; INTS_TEST: with a bool result; the
 * expression is over a, b, c of type T and wraps on overflow (-fwrapv). FOR_TYPE adds one type. */
#define OG_OTHER_FN(f, NAME, T, out, expr) \
	static void f##_##NAME(size_t n, void *yp, const void *const *x, const float *attr) \
	{ \
		out *y = (out *)yp; \
		const T *x0 = (const T *)x[0], *x1 = op_##f##_inputs > 1 ? (const T *)x[1] : x0; \
		const T *x2 = op_##f##_inputs > 2 ? (const T *)x[2] : x0; \
		(void)attr; \
		for (size_t i = 0; i < n; i++) { \
			T a = x0[i], b = x1[i], c = x2[i]; \
			(void)a; (void)b; (void)c; \
			y[i] = (out)(expr); \
		} \
	}
#define OG_EACH_INT(X, f, expr) \
	X(f, I32, int32_t, expr) X(f, I64, int64_t, expr) X(f, U8, uint8_t, expr) X(f, I8, int8_t, expr) \
	X(f, U16, uint16_t, expr) X(f, I16, int16_t, expr) X(f, U32, uint32_t, expr) X(f, U64, uint64_t, expr)
#define OG_INT_SAME(f, NAME, T, expr) OG_OTHER_FN(f, NAME, T, T, expr)
#define OG_INT_TEST(f, NAME, T, expr) OG_OTHER_FN(f, NAME, T, uint8_t, expr)
#define INTS(f, expr) OG_EACH_INT(OG_INT_SAME, f, expr)
#define INTS_TEST(f, expr) OG_EACH_INT(OG_INT_TEST, f, expr)
/* BOOLS(f, expression): on bool, result bool (both uint8_t, 0 or 1) */
#define BOOLS(f, expr) OG_OTHER_FN(f, BOOL, uint8_t, uint8_t, expr)
#define OG_INT_SLOTS(f) \
	[OG_I32] = f##_I32, [OG_I64] = f##_I64, [OG_U8] = f##_U8, [OG_I8] = f##_I8, \
	[OG_U16] = f##_U16, [OG_I16] = f##_I16, [OG_U32] = f##_U32, [OG_U64] = f##_U64
/* in OP(): OTHER(INT_FORMS(f)), OTHER(BOOL_FORM(f)), OTHER(INT_FORMS(f), BOOL_FORM(f)) */
#define INT_FORMS(f) OG_INT_SLOTS(f)
#define BOOL_FORM(f) [OG_BOOL] = f##_BOOL
#define OTHER(...) .other = (og_map_fn *const[OG_DTYPE_COUNT]){ __VA_ARGS__ }
#define MAPS(f) .formula = #f, .map_inputs = op_##f##_inputs, .map_attrs = op_##f##_attrs, \
	.map = { op_##f##_scalar, op_##f##_avx2, op_##f##_avx512 }, .ref = op_##f##_ref
/* KERNELS(f) declares kernels that an `#if OP_CPU` section behind it defines as og_status OG_VIEW(f)(const
 * og_call *); CPU(f) names them in OP(). */
#define KERNELS(f) og_eval_fn op_##f##_scalar, op_##f##_avx2, op_##f##_avx512;
#define CPU(f) .cpu = { op_##f##_scalar, op_##f##_avx2, op_##f##_avx512 }
#define ATTRS(...) .attrs = (const og_attr[]){ __VA_ARGS__, { .name = NULL } }

#ifdef OP_NO_TEXT                        /* built in, without a formula that other compilers are to see */
#define OP(symbol, ...) \
	extern const og_op og_op_##symbol; \
	const og_op og_op_##symbol = { .abi = OG_OP_ABI, __VA_ARGS__ };
#else
/* The file's text is embedded once however many OP() it holds. */
extern const char og_file_text[] __attribute__((visibility("hidden")));
extern const char og_file_text_end[] __attribute__((visibility("hidden")));
#define OP(symbol, ...) \
	__asm__(".ifndef og_file_text\n.section .rodata\nog_file_text: .incbin \"" __FILE__ "\"\n" \
	        "og_file_text_end: .byte 0\n.text\n.endif\n"); \
	extern const og_op og_op_##symbol; \
	const og_op og_op_##symbol = { .abi = OG_OP_ABI, .text = og_file_text, .text_end = og_file_text_end, \
	                               __VA_ARGS__ };
#endif
#else
#define INTS(f, expr)
#define INTS_TEST(f, expr)
#define BOOLS(f, expr)
#if OP_CPU
#define KERNELS(f) og_eval_fn OG_VIEW(f);
#else
#define KERNELS(f)
#endif
#define OP(symbol, ...)
#endif
#if !OP_DEVICE || defined(OG_KERNELS)
#include "opgraft/rows.h"    /* ROWS: reduce along an axis, then map */
#include "opgraft/device.h"  /* device view: the kernels that MAP, ROWS and KERNEL make */
#endif

#endif
