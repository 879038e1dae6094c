/* reorder_tmpl.c -- between rows of floats and vectors that take one float of each row: squares turned in registers. */
#include "cpu/kernels.h"
#include "cpu/lanes.h"

#if OG_LANES == 1

EXPR void turn(v x[OG_LANES]) { (void)x; }

#else

/* Lane j of the pair (a, b) after the squares of s x s elements beside the diagonal change places. */
#define LOW(j, s) ((j) & (s) ? OG_LANES + (j) - (s) : (j))
#define HIGH(j, s) ((j) & (s) ? OG_LANES + (j) : (j) + (s))
#define EIGHT(f, j, s) f(j, s), f(j + 1, s), f(j + 2, s), f(j + 3, s), f(j + 4, s), f(j + 5, s), f(j + 6, s), f(j + 7, s)
#if OG_LANES == 16
#define ALL(f, s) EIGHT(f, 0, s), EIGHT(f, 8, s)
#else
#define ALL(f, s) EIGHT(f, 0, s)
#endif

#define TURN_BY(s) \
	UNROLL_ALL for (int i = 0; i < OG_LANES; i++) { \
		if (i & s) continue; \
		v a = x[i], b = x[i + s]; \
		x[i] = __builtin_shufflevector(a, b, ALL(LOW, s)); \
		x[i + s] = __builtin_shufflevector(a, b, ALL(HIGH, s)); \
	}

/* Element j of vector i to element i of vector j. */
EXPR void turn(v x[OG_LANES])
{
#if OG_LANES == 16
	TURN_BY(8)
#endif
	TURN_BY(4)
	TURN_BY(2)
	TURN_BY(1)
}

#endif

/* Row i, or the last one where there are fewer. */
EXPR ptrdiff_t row_at(int i, int rows, ptrdiff_t row) { return (i < rows ? i : rows - 1) * row; }

static void to_lanes(const float *x, ptrdiff_t row, int rows, int64_t n, float *y)
{
	const float *from[OG_LANES];
	for (int i = 0; i < OG_LANES; i++) from[i] = x + row_at(i, rows, row);
	int64_t k = 0;
	for (; k + OG_LANES <= n; k += OG_LANES, y += OG_LANES * OG_LANES) {
		v square[OG_LANES];
		UNROLL_ALL for (int i = 0; i < OG_LANES; i++) square[i] = v_load(from[i] + k);
		turn(square);
		UNROLL_ALL for (int i = 0; i < OG_LANES; i++) v_store(y + i * OG_LANES, square[i]);
	}
	for (; k < n; k++, y += OG_LANES)
		for (int i = 0; i < OG_LANES; i++) y[i] = from[i][k];
}

static void from_lanes(const float *x, ptrdiff_t row, int rows, int64_t n, float *y)
{
	int64_t k = 0;
	for (; k + OG_LANES <= n; k += OG_LANES, x += OG_LANES * OG_LANES) {
		v square[OG_LANES];
		UNROLL_ALL for (int i = 0; i < OG_LANES; i++) square[i] = v_load(x + i * OG_LANES);
		turn(square);
		UNROLL_ALL for (int i = 0; i < OG_LANES; i++)
			if (i < rows) v_store(y + i * row + k, square[i]);
	}
	for (; k < n; k++, x += OG_LANES)
		for (int i = 0; i < rows; i++) y[i * row + k] = x[i];
}

void CPU_NAME(cpu_reorders_, OG_ISA)(cpu_kernels *k)
{
	k->to_lanes = to_lanes;
	k->from_lanes = from_lanes;
}
