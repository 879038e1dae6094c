/* winograd_tmpl.c -- the transforms and products of winograd.c; a vector is a block of channels. */
#include "cpu/lanes.h"
#include "cpu/winograd.h"

#define A WINOGRAD_A
#define B WINOGRAD_B

/* ---- products ------------------------------------------------------------------------------- */

/* tiles and vectors are constants of the caller, so that `sum` is registers. */
EXPR void product(const winograd_product *p, const int tiles, const int vectors)
{
	v sum[WINOGRAD_TILES][WINOGRAD_VECTORS];
	const float *x = p->x, *u = p->u, *ahead = p->ahead;
	const ptrdiff_t step = p->ahead_step;
	UNROLL_ALL for (int i = 0; i < tiles; i++) {
		UNROLL_ALL for (int j = 0; j < vectors; j++) sum[i][j] = v_splat(0.0f);
	}
	for (int64_t left = p->channels; left > 0; left -= OG_LANES, x += p->x_block) {
		const float *end = x + (left < OG_LANES ? left : OG_LANES);
		for (const float *channel = x; channel < end; channel++, u += vectors * OG_LANES) {
			v weight[WINOGRAD_VECTORS];
			UNROLL_ALL for (int j = 0; j < vectors; j++, ahead += step) {
				weight[j] = v_load(u + j * OG_LANES);
				__builtin_prefetch(ahead, 0, 2);
			}
			UNROLL_ALL for (int i = 0; i < tiles; i++) {
				v cell = v_splat(channel[i * OG_LANES]);
				UNROLL_ALL for (int j = 0; j < vectors; j++) sum[i][j] = multiply_add(cell, weight[j], sum[i][j]);
			}
		}
	}
	float *m = p->m;
	UNROLL_ALL for (int i = 0; i < tiles; i++, m += WINOGRAD_VECTORS * OG_LANES) {
		UNROLL_ALL for (int j = 0; j < vectors; j++) v_store(m + j * OG_LANES, sum[i][j]);
	}
}

/* ---- transforms ----------------------------------------------------------------------------- */

EXPR v times(double k, v x) { return v_splat((float)k) * x; }
EXPR v add_times(v y, double k, v x) { return multiply_add(v_splat((float)k), x, y); }

/* The first and the last row of B^T, which have the same numbers. */
EXPR v end_point(v near, v middle, v far)
{
	return add_times(add_times(far, -(A * A + B * B), middle), A * A * B * B, near);
}

/* The two points +-at, where `other` is the other pair: even +- at * odd. */
#define EVEN(other, x2, x4) add_times(x4, -(other) * (other), x2)
#define ODD(other, x1, x3) add_times(x3, -(other) * (other), x1)

/* A row of six cells to its six points. */
EXPR void put_points(const v x[6], float *to, ptrdiff_t point)
{
	v even = EVEN(B, x[2], x[4]), odd = ODD(B, x[1], x[3]);
	v_store(to, end_point(x[0], x[2], x[4]));
	v_store(to + point, add_times(even, A, odd));
	v_store(to + 2 * point, add_times(even, -A, odd));
	even = EVEN(A, x[2], x[4]);
	odd = ODD(A, x[1], x[3]);
	v_store(to + 3 * point, add_times(even, B, odd));
	v_store(to + 4 * point, add_times(even, -B, odd));
	v_store(to + 5 * point, end_point(x[1], x[3], x[5]));
}

/* Fetches four vectors, the next tile's part of a row; behind the last tile there may be no tensor. */
EXPR void fetch(const float *x)
{
	UNROLL for (uintptr_t i = 0; i < 4 * sizeof(v); i += 64) __builtin_prefetch((const void *)((uintptr_t)x + i));
}

/* Columns first, of one or two rows of points at a time: the cells are read again and nothing is spilled. */
static void input(const float *x, ptrdiff_t x_row, float *to, ptrdiff_t point)
{
#define CELL(row) v_load(x + (row) * x_row + i * OG_LANES)
	v up[6], down[6];
	UNROLL for (int i = 0; i < 6; i++) fetch(x + i * x_row + 6 * OG_LANES);
	UNROLL for (int i = 0; i < 6; i++) up[i] = end_point(CELL(0), CELL(2), CELL(4));
	put_points(up, to, point);
#define PAIR(first, at, other) \
	UNROLL for (int i = 0; i < 6; i++) { \
		v even = EVEN(other, CELL(2), CELL(4)), odd = ODD(other, CELL(1), CELL(3)); \
		up[i] = add_times(even, at, odd); \
		down[i] = add_times(even, -(at), odd); \
	} \
	put_points(up, to + 6 * (first) * point, point); \
	put_points(down, to + 6 * ((first) + 1) * point, point);
	PAIR(1, A, B)
	PAIR(3, B, A)
	UNROLL for (int i = 0; i < 6; i++) up[i] = end_point(CELL(1), CELL(3), CELL(5));
	put_points(up, to + 30 * point, point);
#undef PAIR
#undef CELL
}

/* Six points to a row of four outputs. */
EXPR void put_row(const v m[6], v bias, float *y)
{
	v sum_a = m[1] + m[2], sum_b = m[3] + m[4], less_a = m[1] - m[2], less_b = m[3] - m[4];
	v_store(y, m[0] + sum_a + sum_b + bias);
	v_store(y + OG_LANES, add_times(times(B, less_b), A, less_a) + bias);
	v_store(y + 2 * OG_LANES, add_times(times(B * B, sum_b), A * A, sum_a) + bias);
	v_store(y + 3 * OG_LANES, add_times(add_times(m[5], B * B * B, less_b), A * A * A, less_a) + bias);
}

static void output(const float *m, ptrdiff_t point, const float *bias, float *y, ptrdiff_t y_row)
{
#define POINT(row) v_load(m + (6 * (row) + i) * point)
	v low[6], high[6], add = v_load(bias);
	UNROLL for (int i = 0; i < 4; i++) fetch(y + i * y_row + 4 * OG_LANES);
	UNROLL for (int i = 0; i < 6; i++) {
		v sum_a = POINT(1) + POINT(2), sum_b = POINT(3) + POINT(4);
		low[i] = POINT(0) + sum_a + sum_b;
		high[i] = add_times(times(B * B, sum_b), A * A, sum_a);
	}
	put_row(low, add, y);
	put_row(high, add, y + 2 * y_row);
	UNROLL for (int i = 0; i < 6; i++) {
		v less_a = POINT(1) - POINT(2), less_b = POINT(3) - POINT(4);
		low[i] = add_times(times(B, less_b), A, less_a);
		high[i] = add_times(add_times(POINT(5), B * B * B, less_b), A * A * A, less_a);
	}
	put_row(low, add, y + y_row);
	put_row(high, add, y + 3 * y_row);
#undef POINT
}

/* ---- other forms: columns first, then rows, through memory ------------------------------------ */

typedef void line_fn(const v *from, v *to);

EXPR void input_of(const int cells, const int points, line_fn *line, const float *x, ptrdiff_t x_row, float *to, ptrdiff_t point)
{
	v half[WINOGRAD_MOST_POINTS][WINOGRAD_MOST_CELLS], from[WINOGRAD_MOST_CELLS], made[WINOGRAD_MOST_POINTS];
	for (int i = 0; i < cells; i++) {
		UNROLL_ALL for (int j = 0; j < cells; j++) from[j] = v_load(x + j * x_row + i * OG_LANES);
		line(from, made);
		UNROLL_ALL for (int j = 0; j < points; j++) half[j][i] = made[j];
	}
	for (int i = 0; i < points; i++) {
		line(half[i], made);
		UNROLL_ALL for (int j = 0; j < points; j++) v_store(to + (i * points + j) * point, made[j]);
	}
}

EXPR void output_of(const int points, const int outputs, line_fn *line, const float *m, ptrdiff_t point, const float *bias,
                    float *y, ptrdiff_t y_row)
{
	v half[WINOGRAD_MOST_OUTPUTS][WINOGRAD_MOST_POINTS], from[WINOGRAD_MOST_POINTS], made[WINOGRAD_MOST_OUTPUTS];
	for (int i = 0; i < points; i++) {
		UNROLL_ALL for (int j = 0; j < points; j++) from[j] = v_load(m + (j * points + i) * point);
		line(from, made);
		UNROLL_ALL for (int j = 0; j < outputs; j++) half[j][i] = made[j];
	}
	for (int i = 0; i < outputs; i++) {
		line(half[i], made);
		UNROLL_ALL for (int j = 0; j < outputs; j++) v_store(y + i * y_row + j * OG_LANES, made[j] + v_load(bias));
	}
}

EXPR void points_2(const v *x, v *to)
{
	to[0] = x[2] - x[0];
	to[1] = x[2] + x[1];
	to[2] = x[2] - x[1];
	to[3] = x[3] - x[1];
}

EXPR void outputs_2(const v *m, v *y)
{
	y[0] = m[0] + m[1] + m[2];
	y[1] = m[1] - m[2] + m[3];
}

#define C WINOGRAD_C
#define D WINOGRAD_D

EXPR void points_apart(const v *x, v *to)
{
	v low = add_times(x[4], -C * C, x[0]), middle = add_times(x[6], -C * C, x[2]), high = add_times(x[8], -C * C, x[4]);
	v odd = add_times(x[4], -D, x[2]), even = add_times(x[6], -D, x[4]);
	to[0] = add_times(middle, -D, low);
	to[1] = add_times(even, C, odd);
	to[2] = add_times(even, -C, odd);
	to[3] = middle;
	to[4] = add_times(high, -D, middle);
	for (int i = 0; i < 4; i++) to[5 + i] = x[2 * i + 1];
}

EXPR void outputs_apart(const v *m, v *y)
{
	v sum = m[1] + m[2], less = m[1] - m[2];
	y[0] = m[0] + sum + m[3] + m[5];
	y[1] = add_times(add_times(m[6], D, m[3]), C, less);
	y[2] = add_times(add_times(m[7], D * D, m[3]), C * C, sum);
	y[3] = add_times(add_times(m[4] + m[8], D * D * D, m[3]), C * C * C, less);
}

#define FORM(name, cells, points, outputs) \
	static void input_##name(const float *x, ptrdiff_t x_row, float *to, ptrdiff_t point) \
	{ \
		input_of(cells, points, points_##name, x, x_row, to, point); \
	} \
	static void output_##name(const float *m, ptrdiff_t point, const float *bias, float *y, ptrdiff_t y_row) \
	{ \
		output_of(points, outputs, outputs_##name, m, point, bias, y, y_row); \
	}
FORM(2, 4, 4, 2)
FORM(apart, 9, 9, 4)

/* ---- slots ---------------------------------------------------------------------------------- */

#define UP_TO_6(X) X(1) X(2) X(3) X(4) X(5) X(6)
#if OG_LANES == 16
#define SIZES(X) UP_TO_6(X) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
enum { MOST_TILES = 14 };
#else
#define SIZES(X) UP_TO_6(X)
enum { MOST_TILES = 6 };
#endif

#define PRODUCT(tiles) \
	static void product_##tiles##x1(const winograd_product *p) { product(p, tiles, 1); } \
	static void product_##tiles##x2(const winograd_product *p) { product(p, tiles, 2); }
SIZES(PRODUCT)

void CPU_NAME(cpu_winograd_, OG_ISA)(cpu_kernels *k)
{
#define SLOT(tiles) { product_##tiles##x1, product_##tiles##x2 },
	static winograd_product_fn *const products[][WINOGRAD_VECTORS] = { SIZES(SLOT) };
	static const winograd_kernels kernels = { MOST_TILES, products, {
		[WINOGRAD_4] = { 6, 6, 4, input, output },
		[WINOGRAD_2] = { 4, 4, 2, input_2, output_2 },
		[WINOGRAD_4_APART] = { 9, 9, 4, input_apart, output_apart },
	} };
#undef SLOT
	k->winograd = &kernels;
}
