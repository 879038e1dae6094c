/* strassen_tmpl.c -- the sums of strassen.c; a vector is a block of channels of one cell. */
#include "cpu/lanes.h"
#include "cpu/strassen.h"

enum { AHEAD = 4 };                      /* tiles; so long takes a line of L2 */

static void input(const float *const x[2][2], int64_t n, float *to, ptrdiff_t point)
{
	for (int64_t i = 0; i < n * OG_LANES; i += OG_LANES) {
		v left = v_load(x[0][0] + i), right = v_load(x[0][1] + i), low_left = v_load(x[1][0] + i), low_right = v_load(x[1][1] + i);
		v across = right - left, all = low_right - across;
		v_store(to + i, across);
		v_store(to + point + i, all);
		v_store(to + 2 * point + i, low_right - right);
		v_store(to + 3 * point + i, all - low_left);
	}
}

static void gather(const float *x, int64_t n, int64_t wide, int64_t column, ptrdiff_t across, ptrdiff_t down, float *to,
                   ptrdiff_t next)
{
	for (x += column * across; n > 0; x += down - wide * across, column = 0) {
		int64_t left = wide - column < n ? wide - column : n;
		n -= left;
		for (; left > 0; left--, x += across, to += OG_LANES) {
			v_store(to, v_load(x));
			__builtin_prefetch(x + next, 0, 2);
		}
	}
}

/* adds is a constant of the caller. */
EXPR void put(const strassen_outputs *t, const bool adds)
{
	const v least = v_splat(t->low), most = v_splat(t->high);
	const float *m = t->m;
	v high = v_load(t->bias[0]), low = v_load(t->bias[1]);
	for (int64_t k = 0, i = 0; k < t->tiles; k++, i += OG_LANES, m += t->m_tile) {
		v p[STRASSEN_POINTS];
		UNROLL for (int j = 0; j < STRASSEN_POINTS; j++) p[j] = v_load(m + j * t->m_point);
		UNROLL for (int j = 0; j < 4; j++) {
			__builtin_prefetch(t->y[j / 2][j % 2] + i + AHEAD * OG_LANES, 1);
			__builtin_prefetch(t->other[j / 2][j % 2] + i + AHEAD * OG_LANES);
		}
		v common = p[0] + p[5], right = common + p[4], below = common + p[6];
#define STORE(half, side, sum) \
		do { \
			v made = sum; \
			if (adds) made += v_load(t->other[half][side] + i); \
			v_store(t->y[half][side] + i, v_lesser(most, v_greater(least, made))); \
		} while (0)
		if (k < t->left) {
			STORE(0, 0, p[0] + p[1] + high);
			STORE(1, 0, below - p[3] + low);
		}
		STORE(0, 1, right + p[2] + high);
		STORE(1, 1, below + p[4] + low);
#undef STORE
	}
}

static void output(const strassen_outputs *t)
{
	if (t->adds) put(t, true);
	else put(t, false);
}

void CPU_NAME(cpu_strassen_, OG_ISA)(cpu_kernels *k)
{
	static const strassen_kernels kernels = { input, gather, output };
	k->strassen = &kernels;
}
