/* pool.h -- what MaxPool, AveragePool and LpPool share: the walk over windows, and the float32 kernel. */
#ifndef OPS_POOL_H
#define OPS_POOL_H

#include "ops/number.h"
#include "ops/reduce.h"
#include "ops/window.h"

enum { POOL_CEIL_MODE = WINDOW_OWN_ATTRS, POOL_OWN_ATTRS };
#define POOL_ATTRS WINDOW_ATTRS, OG_INT("ceil_mode", 0)

/* ---- definition ------------------------------------------------------------------------------- */
#if OP_BASE

/* Outputs have the dims of the windows. */
OG_INLINE og_status pool_shape(og_infer *c)
{
	if (c->in[0].rank < 0) return OG_OK;
	OP_TRY(window_check(c));
	if (c->attr[WINDOW_KERNEL].n == 0)
		return c->host->fail(OG_BAD_FILE, "the attribute kernel_shape is missing; add it");
	for (int k = 0; k < c->n_out; k++)
		OP_TRY(window_shape(c, k, c->in[0].dims[1], NULL, c->attr[POOL_CEIL_MODE].i != 0));
	return OG_OK;
}

/* One output being made. `cells` counts those added, `taps` also those in the padding. */
typedef struct pool_state { double value; int64_t best, cells, taps; } pool_state;

typedef struct pool_task pool_task;
struct pool_task {
	const og_call *call;
	window w;
	void (*add)(const pool_task *, pool_state *, double x, int64_t cell);      /* cell: index in its plane */
	void (*write)(const pool_task *, const pool_state *, int64_t plane, int64_t k);      /* k: index in the output */
};

OG_INLINE void pool_window(const pool_task *t, int64_t plane, const int64_t o[WINDOW_AXES], pool_state *s)
{
	const window *w = &t->w;
	int64_t size = w->in[0] * w->in[1] * w->in[2], at[WINDOW_AXES], from[WINDOW_AXES], to[WINDOW_AXES];
	s->taps = 1;
	for (int a = 0; a < WINDOW_AXES; a++) {
		at[a] = o[a] * w->stride[a] - w->begin[a];
		window_taps(w, a, o[a], w->in[a] + w->end[a], &from[a], &to[a]);
		s->taps *= to[a];
		window_taps(w, a, o[a], w->in[a], &from[a], &to[a]);
	}
	for (int64_t d = from[0]; d < to[0]; d++)
		for (int64_t h = from[1]; h < to[1]; h++)
			for (int64_t i = from[2]; i < to[2]; i++) {
				int64_t cell = ((at[0] + d * w->dilation[0]) * w->in[1] + at[1] + h * w->dilation[1]) * w->in[2] +
				               at[2] + i * w->dilation[2];
				t->add(t, s, number_get(t->call->in[0], plane * size + cell), cell);
				s->cells++;
			}
}

/* Item: one plane. */
OG_INLINE void pool_planes(void *arg, int64_t begin, int64_t end)
{
	const pool_task *t = (const pool_task *)arg;
	const window *w = &t->w;
	int64_t size = w->out[0] * w->out[1] * w->out[2];
	for (int64_t k = begin * size; k < end * size; k++) {
		int64_t o[WINDOW_AXES] = { k / w->out[2] / w->out[1] % w->out[0], k / w->out[2] % w->out[1], k % w->out[2] };
		pool_state s = { 0 };
		pool_window(t, k / size, o, &s);
		t->write(t, &s, k / size, k);
	}
}

OG_INLINE og_status pool_define(pool_task *t)
{
	const og_tensor *x = t->call->in[0];
	window_of(&t->w, t->call->attr, x, t->call->out[0], NULL);
	t->call->host->parallel(t->call, x->dims[0] * x->dims[1], 1, pool_planes, t);
	return OG_OK;
}

#endif

/* ---- float32 kernel --------------------------------------------------------------------------- */
#if OP_CPU

/* A window is joined along its columns first, then along its row, from the first tap to the last, so that the vectors
 * run along rows. The joined columns of a strip of windows lie in a line, with `start` where there is padding. */
enum { POOL_LINE = 1024, POOL_SLACK = 2 * REDUCE_LANES };

typedef struct pool_pass {
	window w;
	const float *x;
	float *y;
	int divide;                          /* how `count` is filled: 0 not at all, 1 cells, 2 cells and padding */
	int64_t strip;                       /* windows whose cells fit a line */
	int quarters;                        /* windows are 2 x 2, side by side, without padding */
} pool_pass;

/* False when a single window is larger than a line. */
OG_INLINE int pool_pass_of(pool_pass *p, const og_call *c, int divide)
{
	int64_t extent;
	window_of(&p->w, c->attr, c->in[0], c->out[0], NULL);
	extent = window_extent(&p->w, 2);
	p->quarters = p->w.kernel[0] == 1 && p->w.stride[0] == 1 && p->w.begin[0] == 0 && p->w.out[0] == p->w.in[0];
	for (int a = 1; a < WINDOW_AXES; a++)
		if (p->w.kernel[a] != 2 || p->w.stride[a] != 2 || p->w.dilation[a] != 1 || p->w.begin[a] != 0 ||
		    p->w.out[a] * 2 > p->w.in[a] || p->w.out[a] * 2 > POOL_LINE) p->quarters = 0;
	p->x = (const float *)c->in[0]->data;
	p->y = (float *)c->out[0]->data;
	p->divide = divide;
	p->strip = (POOL_LINE - extent) / p->w.stride[2] + 1;
	return extent <= POOL_LINE;
}

OG_INLINE float pool_taps(const pool_pass *p, int axis, int64_t o)
{
	int64_t from, to;
	window_taps(&p->w, axis, o, p->w.in[axis] + (p->divide == 2 ? p->w.end[axis] : 0), &from, &to);
	return (float)(p->divide == 2 ? to : to - from);
}

/* The elements of even and of odd index among those of a, then b. */
EXPR void pool_deal(v a, v b, v *even, v *odd)
{
#if OG_LANES == 16
	*even = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
	*odd = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif OG_LANES == 8
	*even = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
	*odd = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#else
	*even = a;
	*odd = b;
#endif
}

/* p[0], p[stride], ... in the first n lanes; may read POOL_SLACK floats from p on. */
EXPR v pool_load(const float *p, int64_t stride, size_t n)
{
#if OG_LANES == 1
	(void)stride;
	(void)n;
	return *p;
#else
	float lane[OG_LANES] = { 0 };
	v even, odd;
	if (stride == 1) return v_load(p);
	if (stride == 2) {
		pool_deal(v_load(p), v_load(p + OG_LANES), &even, &odd);
		return even;
	}
	for (size_t i = 0; i < n; i++) lane[i] = p[(int64_t)i * stride];
	return v_load(lane);
#endif
}

/* Defines the kernel body f_planes(arg, begin, end); join(a, b) is over columns and rows, finish(sum, count) last. */
#define POOL_KERNEL(f, start, join, finish) \
	/* columns of windows in row (d, h) of a plane; line[0] is cell `first` */ \
	OG_INLINE void f##_line(const pool_pass *p, const float *x, int64_t d, int64_t h, int64_t first, int64_t n, \
	                        float *line) \
	{ \
		const window *w = &p->w; \
		int64_t from = first < 0 ? -first : 0, to = w->in[2] - first < n ? w->in[2] - first : n, d0, d1, h0, h1; \
		window_taps(w, 0, d, w->in[0], &d0, &d1); \
		window_taps(w, 1, h, w->in[1], &h0, &h1); \
		for (int64_t i = 0; i < from; i++) line[i] = start; \
		for (int64_t i = to; i < n; i++) line[i] = start; \
		for (int64_t i = from; i < to; i += OG_LANES) { \
			v sum = v_splat(start); \
			size_t left = to - i < OG_LANES ? (size_t)(to - i) : OG_LANES; \
			for (int64_t a = d0; a < d1; a++) { \
				int64_t plane = d * w->stride[0] - w->begin[0] + a * w->dilation[0]; \
				const float *q = x + (plane * w->in[1] + h * w->stride[1] - w->begin[1]) * w->in[2] + first + i; \
				for (int64_t b = h0; b < h1; b++) { \
					const float *cell = q + b * w->dilation[1] * w->in[2]; \
					sum = join(sum, left == OG_LANES ? v_load(cell) : v_load_n(cell, left)); \
				} \
			} \
			v_store_n(line + i, sum, left); \
		} \
	} \
	EXPR void f##_join(const pool_pass *p, const float *line, int64_t stride, int64_t n, const float *count, \
	                   float rows, float *y) \
	{ \
		for (int64_t i = 0; i < n; i += OG_LANES) { \
			size_t left = n - i < OG_LANES ? (size_t)(n - i) : OG_LANES; \
			v sum = pool_load(line + i * stride, stride, left); \
			for (int64_t k = 1; k < p->w.kernel[2]; k++) \
				sum = join(sum, pool_load(line + i * stride + k * p->w.dilation[2], stride, left)); \
			v_store_n(y + i, finish(sum, v_load_n(count + i, left) * rows), left); \
		} \
	} \
	/* the windows of `cells` cells, two vectors at most, and of those below */ \
	EXPR v f##_quads(const float *a, const float *b, size_t cells) \
	{ \
		size_t low = cells < OG_LANES ? cells : OG_LANES, high = cells - low; \
		v even, odd, first, second; \
		if (high == OG_LANES) { \
			first = join(v_load(a), v_load(b)); \
			second = join(v_load(a + OG_LANES), v_load(b + OG_LANES)); \
		} else { \
			first = join(v_load_n(a, low), v_load_n(b, low)); \
			second = join(v_load_n(a + low, high), v_load_n(b + low, high)); \
		} \
		pool_deal(first, second, &even, &odd); \
		return finish(join(even, odd), v_splat(4.0f)); \
	} \
	/* rows that fill a vector, or most of one */ \
	OG_INLINE void f##_long_quarters(const pool_pass *p, int64_t begin, int64_t end) \
	{ \
		const window *w = &p->w; \
		int64_t n = w->out[2], last = end * w->out[0]; \
		for (int64_t plane = begin * w->out[0]; plane < last; plane++) { \
			const float *a = p->x + plane * w->in[1] * w->in[2], *b = a + w->in[2]; \
			float *y = p->y + plane * w->out[1] * n; \
			for (int64_t row = 0; row < w->out[1]; row++, a += 2 * w->in[2], b += 2 * w->in[2], y += n) { \
				int64_t j = 0; \
				for (; j + OG_LANES <= n; j += OG_LANES) v_store(y + j, f##_quads(a + 2 * j, b + 2 * j, 2 * OG_LANES)); \
				if (j < n) v_store_n(y + j, f##_quads(a + 2 * j, b + 2 * j, (size_t)(2 * (n - j))), (size_t)(n - j)); \
			} \
		} \
	} \
	/* short rows: cells are joined two by two into a line, whose pairs are then outputs, so that the vectors of the second \
	 * half are full */ \
	OG_INLINE void f##_short_quarters(const pool_pass *p, int64_t begin, int64_t end) \
	{ \
		const window *w = &p->w; \
		int64_t cells = 2 * w->out[2], last = end * w->out[0] * w->out[1], most = POOL_LINE / cells; \
		v count = v_splat(4.0f), even, odd; \
		float line[POOL_LINE + POOL_SLACK]; \
		for (int64_t row = begin * w->out[0] * w->out[1], rows; row < last; row += rows) { \
			rows = last - row < most ? last - row : most; \
			for (int64_t r = 0; r < rows; r++) { \
				const float *a = p->x + ((row + r) / w->out[1] * w->in[1] + (row + r) % w->out[1] * 2) * w->in[2]; \
				const float *b = a + w->in[2]; \
				float *to = line + r * cells; \
				int64_t i = 0; \
				for (; i + OG_LANES <= cells; i += OG_LANES) v_store(to + i, join(v_load(a + i), v_load(b + i))); \
				if (i < cells) v_store(to + i, join(v_load_n(a + i, (size_t)(cells - i)), v_load_n(b + i, (size_t)(cells - i)))); \
			} \
			v_store(line + rows * cells, v_splat(0.0f)); \
			v_store(line + rows * cells + OG_LANES, v_splat(0.0f)); \
			float *y = p->y + row * w->out[2]; \
			int64_t n = rows * w->out[2], j = 0; \
			for (; j + OG_LANES <= n; j += OG_LANES) { \
				pool_deal(v_load(line + 2 * j), v_load(line + 2 * j + OG_LANES), &even, &odd); \
				v_store(y + j, finish(join(even, odd), count)); \
			} \
			if (j == n) continue; \
			pool_deal(v_load(line + 2 * j), v_load(line + 2 * j + OG_LANES), &even, &odd); \
			v_store_n(y + j, finish(join(even, odd), count), (size_t)(n - j)); \
		} \
	} \
	static void f##_planes(void *arg, int64_t begin, int64_t end) \
	{ \
		const pool_pass *p = (const pool_pass *)arg; \
		const window *w = &p->w; \
		if (p->quarters) { \
			if (2 * w->out[2] > OG_LANES) f##_long_quarters(p, begin, end); \
			else f##_short_quarters(p, begin, end); \
			return; \
		} \
		float line[POOL_LINE + POOL_SLACK], count[POOL_LINE + POOL_SLACK]; \
		for (int64_t from = 0; from < w->out[2]; from += p->strip) { \
			int64_t n = p->strip < w->out[2] - from ? p->strip : w->out[2] - from; \
			int64_t first = from * w->stride[2] - w->begin[2], cells = (n - 1) * w->stride[2] + window_extent(w, 2); \
			for (int64_t i = 0; p->divide && i < n; i++) count[i] = pool_taps(p, 2, from + i); \
			for (int64_t row = begin * w->out[0] * w->out[1]; row < end * w->out[0] * w->out[1]; row++) { \
				int64_t h = row % w->out[1], d = row / w->out[1] % w->out[0], plane = row / w->out[1] / w->out[0]; \
				float rows = p->divide ? pool_taps(p, 0, d) * pool_taps(p, 1, h) : 0; \
				float *y = p->y + row * w->out[2] + from; \
				f##_line(p, p->x + plane * w->in[0] * w->in[1] * w->in[2], d, h, first, cells, line); \
				if (w->stride[2] == 1) f##_join(p, line, 1, n, count, rows, y); \
				else if (w->stride[2] == 2) f##_join(p, line, 2, n, count, rows, y); \
				else f##_join(p, line, w->stride[2], n, count, rows, y); \
			} \
		} \
	}

#endif
#endif
