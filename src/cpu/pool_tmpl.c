/* pool_tmpl.c -- pools over blocks [depth][height][width][lanes]: each lane on its own. */
#include "cpu/kernels.h"
#include "cpu/lanes.h"
#include "ops/reduce.h"

EXPR v start_of(const bool max) { return v_splat(max ? -HUGE_VALF : 0.0f); }

/* v_max, which as written takes twice the instructions with 16 lanes. */
EXPR v greatest(v a, v b)
{
#if OG_LANES == 16
	return (v)_mm512_mask_max_ps((__m512)a, _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_ORD_Q), (__m512)a, (__m512)b);
#else
	return v_max_(a, b);
#endif
}

EXPR v join(const bool max, v a, v b) { return max ? greatest(a, b) : a + b; }

/* The cells that a row of windows touches, those of column 0 first: `planes` times `rows` of each column. */
typedef struct reach {
	const float *x;
	int64_t planes, rows, plane, row;    /* how many, and from one to the next */
	float count;                         /* that a mean divides by, of one column; where p->columns are there */
} reach;

static float taps_of(const cpu_pool *p, int axis, int64_t o)
{
	int64_t from, to;
	window_taps(&p->w, axis, o, p->w.in[axis] + (p->padding ? p->w.end[axis] : 0), &from, &to);
	return (float)(p->padding ? to : to - from);
}

static reach reach_of(const cpu_pool *p, const float *x, int64_t depth, int64_t height)
{
	const window *w = &p->w;
	int64_t d0, d1, h0, h1, row = w->in[2] * OG_LANES, plane = row * w->in[1];
	window_taps(w, 0, depth, w->in[0], &d0, &d1);
	window_taps(w, 1, height, w->in[1], &h0, &h1);
	reach r = { .planes = d1 - d0, .rows = h1 - h0, .plane = w->dilation[0] * plane, .row = w->dilation[1] * row };
	if (p->columns) r.count = taps_of(p, 0, depth) * taps_of(p, 1, height);
	r.x = x + (depth * w->stride[0] - w->begin[0]) * plane + d0 * r.plane +
	      (height * w->stride[1] - w->begin[1]) * row + h0 * r.row;
	return r;
}

/* One column of a window; `rows` of a single plane when that is known, else 0. */
EXPR v column(const bool max, const reach *r, const int rows, const float *x)
{
	v sum = start_of(max);
	int64_t planes = rows ? 1 : r->planes, n = rows ? rows : r->rows;
	for (int64_t a = 0; a < planes; a++, x += r->plane)
		UNROLL
		for (int64_t b = 0; b < n; b++) {
			v cell = v_load(x + b * r->row);
			sum = max && a + b == 0 ? cell : join(max, sum, cell);
		}
	return sum;
}

EXPR v finish(const cpu_pool *p, const bool max, const reach *r, int64_t o, v sum)
{
	if (max) return sum;
	return p->columns ? sum / v_splat(p->columns[o] * r->count) : sum * p->scale;
}

/* Windows that share no cells: each by itself. `kernel`: columns of a window when that is known, else 0. */
EXPR void apart(const cpu_pool *p, const bool max, const reach *r, const int rows, const int kernel, float *y)
{
	const window *w = &p->w;
	const int64_t step = w->dilation[2] * OG_LANES, inner = w->in[2] - window_extent(w, 2);
	for (int64_t o = 0; o < w->out[2]; o++, y += OG_LANES) {
		int64_t first = o * w->stride[2] - w->begin[2], from = 0, to = kernel ? kernel : w->kernel[2];
		if (first < 0 || first > inner) window_taps(w, 2, o, w->in[2], &from, &to);
		const float *x = r->x + first * OG_LANES + from * step;
		v sum = from < to ? column(max, r, rows, x) : start_of(max);
		for (int64_t k = from + 1; k < to; k++) sum = join(max, sum, column(max, r, rows, x += step));
		v_store(y, finish(p, max, r, o, sum));
	}
}

/* Windows that do: their columns are joined once, into a line, with `start` where there is padding. */
EXPR void together(const cpu_pool *p, const bool max, const reach *r, const int rows, const int kernel, float *line, float *y)
{
	const window *w = &p->w;
	int64_t cells = (w->out[2] - 1) * w->stride[2] + window_extent(w, 2), begin = w->begin[2], end = begin + w->in[2];
	if (end > cells) end = cells;
	for (int64_t i = 0; i < begin && i < cells; i++) v_store(line + i * OG_LANES, start_of(max));
	for (int64_t i = begin; i < end; i++) v_store(line + i * OG_LANES, column(max, r, rows, r->x + (i - begin) * OG_LANES));
	for (int64_t i = end > begin ? end : begin; i < cells; i++) v_store(line + i * OG_LANES, start_of(max));
	const int64_t step = w->dilation[2] * OG_LANES, taps = kernel ? kernel : w->kernel[2];
	for (int64_t o = 0; o < w->out[2]; o++, line += w->stride[2] * OG_LANES) {
		v sum = v_load(line);
		UNROLL
		for (int64_t k = 1; k < taps; k++) sum = join(max, sum, v_load(line + k * step));
		v_store(y + o * OG_LANES, finish(p, max, r, o, sum));
	}
}

EXPR void pool_rows(const cpu_pool *p, const bool max, const reach *r, const int rows, const int kernel, float *line, float *y)
{
	if (p->w.kernel[2] <= p->w.stride[2]) apart(p, max, r, rows, kernel, y);
	else together(p, max, r, rows, kernel, line, y);
}

EXPR void pool_of(const cpu_pool *p, const bool max, const reach *r, float *line, float *y)
{
	int64_t rows = r->planes == 1 ? r->rows : 0, kernel = p->w.kernel[2];
	if (rows == 2 && kernel == 2) pool_rows(p, max, r, 2, 2, line, y);
	else if (rows == 2 && kernel == 3) pool_rows(p, max, r, 2, 3, line, y);
	else if (rows == 3 && kernel == 3) pool_rows(p, max, r, 3, 3, line, y);
	else pool_rows(p, max, r, 0, 0, line, y);
}

static void pool(const cpu_pool *p, const float *x, int64_t depth, int64_t height, float *line, float *y)
{
	reach r = reach_of(p, x, depth, height);
	if (p->max) pool_of(p, true, &r, line, y);
	else pool_of(p, false, &r, line, y);
}

/* In the order of REDUCE_FOLD, so that a mean has the same bits in every layout. */
EXPR void fold_of(const bool max, const float *x, const int64_t n, float *y)
{
	v sum[REDUCE_LANES], part[REDUCE_LANES];
	UNROLL_ALL
	for (int w = 0; w < REDUCE_LANES; w++) sum[w] = start_of(max);
	for (int64_t left = n; left > 0;) {
		int64_t steps = left / REDUCE_LANES < REDUCE_CHUNK ? left / REDUCE_LANES : REDUCE_CHUNK;
		UNROLL_ALL
		for (int w = 0; w < REDUCE_LANES; w++) part[w] = start_of(max);
		for (int64_t i = 0; i < steps; i++, x += REDUCE_LANES * OG_LANES)
			UNROLL_ALL
			for (int w = 0; w < REDUCE_LANES; w++) part[w] = join(max, part[w], v_load(x + w * OG_LANES));
		left -= steps * REDUCE_LANES;
		if (left < REDUCE_LANES) {
			UNROLL_ALL
			for (int w = 0; w < REDUCE_LANES; w++)
				if (w < left) part[w] = join(max, part[w], v_load(x + w * OG_LANES));
			left = 0;
		}
		UNROLL_ALL
		for (int w = 0; w < REDUCE_LANES; w++) sum[w] = join(max, sum[w], part[w]);
	}
	UNROLL
	for (int half = REDUCE_LANES / 2; half > 0; half /= 2)
		UNROLL
		for (int w = 0; w < half; w++) sum[w] = join(max, sum[w], sum[w + half]);
	v_store(y, max ? sum[0] : sum[0] / v_splat((float)n));
}

static void fold(bool max, const float *x, int64_t n, float *y)
{
	if (max) fold_of(true, x, n, y);
	else fold_of(false, x, n, y);
}

void CPU_NAME(cpu_pools_, OG_ISA)(cpu_kernels *k)
{
	k->pool = pool;
	k->fold = fold;
}
