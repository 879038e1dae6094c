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

static void output(const strassen_outputs *t)
{
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
		if (k < t->left) {
			v_store(t->y[0][0] + i, p[0] + p[1] + high);
			v_store(t->y[1][0] + i, below - p[3] + low);
		}
		v_store(t->y[0][1] + i, right + p[2] + high);
		v_store(t->y[1][1] + i, below + p[4] + low);
	}
}

void CPU_NAME(cpu_strassen_, OG_ISA)(cpu_kernels *k)
{
	static const strassen_kernels kernels = { input, output };
	k->strassen = &kernels;
}
