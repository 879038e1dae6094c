/* softmax.h -- what Softmax and LogSoftmax share. */
#ifndef OPS_SOFTMAX_H
#define OPS_SOFTMAX_H

#include "ops/axis.h"
#include "ops/number.h"
#include "ops/reduce.h"

#if OP_BASE || OP_CPU
typedef struct softmax_task { const og_tensor *x, *y; axis_split s; int64_t strips; } softmax_task;
#endif

/* ---- definition ------------------------------------------------------------------------------- */
#if OP_BASE

/* Item: one line along the axis. last(x - greatest, sum of exponentials) is the result. */
typedef struct softmax_rule { softmax_task t; double (*last)(double, double); } softmax_rule;

OG_INLINE void softmax_lines(void *arg, int64_t begin, int64_t end)
{
	const softmax_rule *r = (const softmax_rule *)arg;
	int64_t n = r->t.s.n, step = r->t.s.inner;
	for (int64_t item = begin; item < end; item++) {
		int64_t at = item / step * n * step + item % step;
		double greatest = -HUGE_VAL, sum = 0.0;
		for (int64_t i = 0; i < n; i++) greatest = fmax(greatest, number_get(r->t.x, at + i * step));
		for (int64_t i = 0; i < n; i++) sum += exp(number_get(r->t.x, at + i * step) - greatest);
		for (int64_t i = 0; i < n; i++)
			number_put(r->t.y, at + i * step, r->last(number_get(r->t.x, at + i * step) - greatest, sum));
	}
}

OG_INLINE og_status softmax_define(const og_call *c, double (*last)(double, double))
{
	softmax_rule r = { { c->in[0], c->out[0], axis_rows(c, c->attr[0].i), 0 }, last };
	if (r.t.s.n > 0) c->host->parallel(c, r.t.s.outer * r.t.s.inner, 1, softmax_lines, &r);
	return OG_OK;
}

#endif

/* ---- float32 kernels -------------------------------------------------------------------------- */
#if OP_CPU

EXPR v softmax_plus(v a, v b) { return a + b; }
REDUCE_FOLD(softmax_sum, 0.0f, softmax_plus, softmax_plus)
REDUCE_FOLD(softmax_greatest, -HUGE_VALF, v_max_, v_max_)

/* Defines the kernel. While the sum of exponentials is made, y holds the exponentials themselves or (`kept` 0) x less
 * the greatest; last(that, sum) is the result. */
#define SOFTMAX_KERNEL(f, kept, last) \
	EXPR v f##_first(v x, v *e) { *e = v_exp(x); return kept ? *e : x; } \
	/* item: one line of contiguous elements */ \
	static void f##_rows(void *arg, int64_t begin, int64_t end) \
	{ \
		const softmax_task *t = (const softmax_task *)arg; \
		for (int64_t item = begin; item < end; item++) { \
			const float *x = (const float *)t->x->data + item * t->s.n; \
			float *y = (float *)t->y->data + item * t->s.n, e[SOFTMAX_BLOCK], sum; \
			v lanes[REDUCE_WIDE]; \
			float greatest = softmax_greatest_row(x, t->s.n); \
			for (int w = 0; w < REDUCE_WIDE; w++) lanes[w] = v_splat(0.0f); \
			for (int64_t at = 0; at < t->s.n; at += SOFTMAX_BLOCK) { \
				int64_t n = t->s.n - at < SOFTMAX_BLOCK ? t->s.n - at : SOFTMAX_BLOCK; \
				for (int64_t i = 0; i < n; i += OG_LANES) { \
					size_t left = n - i < OG_LANES ? (size_t)(n - i) : OG_LANES; \
					v exponential, d = f##_first(v_load_n(x + at + i, left) - greatest, &exponential); \
					v_store_n(y + at + i, d, left); \
					v_store(e + i, exponential); \
				} \
				softmax_sum_fold(lanes, e, n); \
			} \
			sum = softmax_sum_lanes(lanes); \
			for (int64_t i = 0; i < t->s.n; i += OG_LANES) { \
				size_t left = t->s.n - i < OG_LANES ? (size_t)(t->s.n - i) : OG_LANES; \
				v_store_n(y + i, last(v_load_n(y + i, left), v_splat(sum)), left); \
			} \
		} \
	} \
	/* item: one vector of neighbouring lines */ \
	static void f##_columns(void *arg, int64_t begin, int64_t end) \
	{ \
		const softmax_task *t = (const softmax_task *)arg; \
		int64_t step = t->s.inner; \
		for (int64_t item = begin; item < end; item++) { \
			int64_t column = item % t->strips * OG_LANES, at = item / t->strips * t->s.n * step + column; \
			const float *x = (const float *)t->x->data + at; \
			float *y = (float *)t->y->data + at; \
			size_t left = step - column < OG_LANES ? (size_t)(step - column) : OG_LANES; \
			v greatest = v_splat(-HUGE_VALF), sum = v_splat(0.0f), e; \
			for (int64_t i = 0; i < t->s.n; i++) greatest = v_max(greatest, v_load_n(x + i * step, left)); \
			for (int64_t i = 0; i < t->s.n; i++) { \
				v_store_n(y + i * step, f##_first(v_load_n(x + i * step, left) - greatest, &e), left); \
				sum = sum + e; \
			} \
			for (int64_t i = 0; i < t->s.n; i++) \
				v_store_n(y + i * step, last(v_load_n(y + i * step, left), sum), left); \
		} \
	} \
	og_status OG_VIEW(f)(const og_call *c) \
	{ \
		softmax_task t = { c->in[0], c->out[0], axis_rows(c, c->attr[0].i), 0 }; \
		t.strips = (t.s.inner + OG_LANES - 1) / OG_LANES; \
		if (t.s.n == 0) return OG_OK; \
		if (t.s.inner == 1) c->host->parallel(c, t.s.outer, reduce_grain(8 * t.s.n), f##_rows, &t); \
		else c->host->parallel(c, t.s.outer * t.strips, reduce_grain(8 * t.s.n * OG_LANES), f##_columns, &t); \
		return OG_OK; \
	}

/* A multiple of what REDUCE_FOLD sums at once, so that cutting a line here changes no order. */
enum { SOFTMAX_BLOCK = REDUCE_CHUNK * REDUCE_LANES };

#endif
#endif
