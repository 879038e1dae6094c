/* depthwise_tmpl.c -- convolutions of each channel by itself, over blocks [height][width][lanes]. */
#include "cpu/kernels.h"
#include "cpu/lanes.h"

/* Columns of windows in a tile: their sums and the cells of a row that they touch are to stay in registers, and 7 divides
 * the widths of most networks' images. The last tile of a row may go over columns that are done. */
enum { TILE = 7, SMALL_TILE = 4 };

/* What a row of windows reads: `rows` of cells, `row` apart, column 0 first, and the weights of its first tap. head: bounds and bias. */
typedef struct lines {
	const float *x, *weights, *head;
	int64_t rows, row;
} lines;

/* Cell i of a line, 0 in the padding. */
EXPR v cell(const window *w, const float *x, int64_t i, const bool edge)
{
	return !edge || (i >= 0 && i < w->in[2]) ? v_load(x + i * OG_LANES) : v_splat(0.0f);
}

/* A line of cells into the sums; kernel and stride are known, cells side by side. Each cell is loaded once. */
EXPR void add_line(const window *w, const float *x, const float *weights, int64_t first, v *sum, const int columns,
                   const int kernel, const int stride, const bool edge)
{
	v in[2 * TILE + 7];
	UNROLL_ALL
	for (int i = 0; i < (columns - 1) * stride + kernel; i++) {
		in[i] = cell(w, x, first + i, edge);
#if OG_LANES == 16
		if (!edge) __asm__("" : "+v"(in[i]));        /* once: gcc would load it again for each tap */
#endif
	}
	UNROLL_ALL
	for (int k = 0; k < kernel; k++) {
		v weight = v_load(weights + k * OG_LANES);
		UNROLL_ALL
		for (int t = 0; t < columns; t++) sum[t] = multiply_add(in[t * stride + k], weight, sum[t]);
	}
}

/* Each cell is loaded for each tap: no registers are needed for them. */
EXPR void add_any_line(const window *w, const float *x, const float *weights, int64_t first, v *sum, const int columns,
                       const int64_t stride, const int64_t dilation, const bool edge)
{
	for (int64_t k = 0; k < w->kernel[2]; k++, weights += OG_LANES, first += dilation) {
		v weight = v_load(weights);
		UNROLL_ALL
		for (int t = 0; t < columns; t++) sum[t] = multiply_add(cell(w, x, first + t * stride, edge), weight, sum[t]);
	}
}

/* Windows [o, o + columns) of the row; kernel 0: any. */
EXPR void tile_of(const window *w, const lines *l, int64_t o, float *y, const int columns, const int kernel, const int stride,
                  const bool edge)
{
	int64_t first = o * w->stride[2] - w->begin[2];
	const float *x = l->x, *weights = l->weights;
	v sum[TILE];
	UNROLL_ALL
	for (int t = 0; t < columns; t++) sum[t] = v_load(l->head + 2 * OG_LANES);
	for (int64_t k = 0; k < l->rows; k++, x += l->row, weights += w->kernel[2] * OG_LANES) {
		if (kernel && (edge || stride == 1 || OG_LANES == 16)) add_line(w, x, weights, first, sum, columns, kernel, stride, edge);
		else if (kernel) add_any_line(w, x, weights, first, sum, columns, stride, 1, edge);
		else add_any_line(w, x, weights, first, sum, columns, w->stride[2], w->dilation[2], edge);
	}
	v low = v_load(l->head), high = v_load(l->head + OG_LANES);
	UNROLL_ALL
	for (int t = 0; t < columns; t++) v_store(y + (o + t) * OG_LANES, v_lesser(high, v_greater(low, sum[t])));
}

EXPR void tile(const window *w, const lines *l, int64_t o, float *y, const int columns, const int kernel, const int stride)
{
	int64_t first = o * w->stride[2] - w->begin[2], last = first + (columns - 1) * w->stride[2] + window_extent(w, 2) - 1;
	if (first >= 0 && last < w->in[2]) tile_of(w, l, o, y, columns, kernel, stride, false);
	else tile_of(w, l, o, y, columns, kernel, stride, true);
}

/* Each size has one place, since all of it is unrolled there. */
EXPR void row_of(const window *w, const lines *l, float *y, const int kernel, const int stride)
{
	const int64_t out = w->out[2];
	for (int64_t o = 0; o < out;) {
		const int64_t left = out - o;
		if (left > SMALL_TILE && out >= TILE) {
			if (left < TILE) o = out - TILE;
			tile(w, l, o, y, TILE, kernel, stride);
			o += TILE;
		} else if (out >= SMALL_TILE) {
			if (left < SMALL_TILE) o = out - SMALL_TILE;
			tile(w, l, o, y, SMALL_TILE, kernel, stride);
			o += SMALL_TILE;
		} else {
			tile(w, l, o++, y, 1, kernel, stride);
		}
	}
}

#define ROW(name, kernel, stride) \
	static void name(const window *w, const lines *l, float *y) { row_of(w, l, y, kernel, stride); }
ROW(row_3, 3, 1)
ROW(row_3_by_2, 3, 2)
ROW(row_5, 5, 1)
ROW(row_5_by_2, 5, 2)
ROW(row_7, 7, 1)
ROW(row_any, 0, 0)

static void depthwise(const window *w, const float *x, const float *weights, int64_t height, float *y)
{
	int64_t from, to, row = w->in[2] * OG_LANES, kernel = w->kernel[2], stride = w->stride[2];
	window_taps(w, 1, height, w->in[1], &from, &to);
	lines l = { .head = weights, .weights = weights + (CPU_DEPTHWISE_HEAD + from * kernel) * OG_LANES, .rows = to - from,
	            .row = w->dilation[1] * row,
	            .x = x + (height * w->stride[1] - w->begin[1] + from * w->dilation[1]) * row };
	if (OG_LANES == 1 || (w->dilation[2] != 1 && kernel > 1)) row_any(w, &l, y);     /* code for known sizes is large */
	else if (kernel == 3 && stride == 1) row_3(w, &l, y);
	else if (kernel == 3 && stride == 2) row_3_by_2(w, &l, y);
	else if (kernel == 5 && stride == 1) row_5(w, &l, y);
	else if (kernel == 5 && stride == 2) row_5_by_2(w, &l, y);
	else if (kernel == 7 && stride == 1) row_7(w, &l, y);
	else row_any(w, &l, y);
}

void CPU_NAME(cpu_depthwise_, OG_ISA)(cpu_kernels *k)
{
	k->depthwise = depthwise;
}
