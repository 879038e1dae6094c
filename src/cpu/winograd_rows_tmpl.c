/* winograd_rows_tmpl.c -- the transforms of winograd_rows.c. Tiles of a row are the lanes of an input's vector; those of an output's
 * are channels. */
#include "cpu/lanes.h"
#include "cpu/winograd_rows.h"

#if OG_LANES == 1
void CPU_NAME(cpu_winograd_rows_, OG_ISA)(cpu_kernels *k) { k->winograd_rows = NULL; }
#else

#define A ROWS_A
#define B ROWS_B
#define C ROWS_C

#if OG_LANES == 16
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#else
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#endif

EXPR v add_times(v y, double k, v x) { return multiply_add(v_splat((float)k), x, y); }

/* Every eighth cell of ROWS_STEP vectors, for each remainder: three times even places apart from odd ones. */
EXPR void take_apart(const float *line, float *to, ptrdiff_t phase)
{
	v a[ROWS_STEP], b[ROWS_STEP];
	UNROLL for (int i = 0; i < ROWS_STEP; i++) a[i] = v_load(line + i * OG_LANES);
	UNROLL for (int times = 0; times < 3; times++) {
		UNROLL for (int i = 0; i < ROWS_STEP / 2; i++) {
			b[i] = __builtin_shufflevector(a[2 * i], a[2 * i + 1], EVEN);
			b[ROWS_STEP / 2 + i] = __builtin_shufflevector(a[2 * i], a[2 * i + 1], ODD);
		}
		UNROLL for (int i = 0; i < ROWS_STEP; i++) a[i] = b[i];
	}
	UNROLL for (int i = 0; i < ROWS_STEP; i++) v_store(to + i * phase, a[i]);
}

/* (s - p^2)(s - q^2), where s^i stands for x[2 * i]. */
EXPR v square(double p, double q, const v *x)
{
	return add_times(add_times(x[4], -(p * p + q * q), x[2]), p * p * q * q, x[0]);
}

/* Points of seven even cells. */
EXPR void put_even(const v *x, float *to, ptrdiff_t point)
{
#define PAIR(p, q, r, at, less) { \
		v even = square(q, r, x), odd = square(q, r, x + 1); \
		v_store(to + (at) * point, add_times(odd, p, even)); \
		v_store(to + (less) * point, add_times(odd, -(p), even)); \
	}
	PAIR(A, B, C, 0, 1)
	PAIR(B, A, C, 2, 3)
	PAIR(C, A, B, 4, 6)
#undef PAIR
	v low = square(A, B, x), high = square(A, B, x + 2);
	v_store(to + 5 * point, add_times(high, -C * C, low));
}

/* Points of six odd cells. */
EXPR void put_odd(const v *x, float *to, ptrdiff_t point)
{
#define PAIR(p, q, at) { \
		v s[3]; \
		UNROLL for (int i = 0; i < 3; i++) s[i] = add_times(x[i + 2], -(q) * (q), x[i]); \
		v even = add_times(s[1], -C, s[0]), odd = add_times(s[2], -C, s[1]); \
		v_store(to + (at) * point, add_times(odd, p, even)); \
		v_store(to + ((at) + 1) * point, add_times(odd, -(p), even)); \
	}
	PAIR(A, B, 0)
	PAIR(B, A, 2)
#undef PAIR
	v low = square(A, B, x), high = square(A, B, x + 1);
	v_store(to + 4 * point, low);
	v_store(to + 5 * point, add_times(high, -C, low));
}

/* Cell 2 i of a tile has remainder 2 i, or is the next tile's. */
static void input(const float *line, int64_t step, float *phases, float *even, float *odd)
{
	const ptrdiff_t phase = step + OG_LANES;
	for (int64_t t = 0; t < phase; t += OG_LANES) take_apart(line + ROWS_STEP * t, phases + t, phase);
	for (int64_t t = 0; t < step; t += OG_LANES) {
		v x[ROWS_POINTS];
#define TAKE(first, n) UNROLL for (int i = 0; i < n; i++) \
		x[i] = v_load(phases + (2 * i + (first)) % ROWS_STEP * phase + (2 * i + (first)) / ROWS_STEP + t)
		TAKE(0, ROWS_POINTS);
		put_even(x, even + t, step);
		TAKE(1, ROWS_SHARED);
		put_odd(x, odd + t, step);
#undef TAKE
	}
}

static void output(const rows_outputs *t)
{
	const float *m = t->m;
	float *y = t->y;
	const ptrdiff_t point = t->m_point;
	const v bias = v_load(t->bias), low = v_splat(t->low), high = v_splat(t->high);
	for (int64_t k = 0; k < t->tiles; k++, m += OG_LANES, y += ROWS_OUTPUTS * OG_LANES) {
		v p[ROWS_POINTS], sum[ROWS_OUTPUTS];
		UNROLL for (int i = 0; i < ROWS_POINTS; i++) p[i] = v_load(m + i * point);
		v sum_a = p[0] + p[1], sum_b = p[2] + p[3], sum_c = p[4] + p[6];
		v less_a = p[0] - p[1], less_b = p[2] - p[3], less_c = p[4] - p[6];
		sum[0] = sum_a + sum_b + sum_c + bias;
		sum[1] = add_times(add_times(add_times(bias, A, less_a), B, less_b), C, less_c);
		sum[2] = add_times(add_times(add_times(bias, A * A, sum_a), B * B, sum_b), C * C, sum_c);
		sum[3] = add_times(add_times(add_times(bias, A * A * A, less_a), B * B * B, less_b), C * C * C, less_c) + p[5];
		UNROLL for (int i = 0; i < ROWS_OUTPUTS; i++) {
			__builtin_prefetch(y + t->next + i * OG_LANES, 0, 2);
			v_store(y + i * OG_LANES, v_lesser(high, v_greater(low, sum[i])));
		}
	}
}

void CPU_NAME(cpu_winograd_rows_, OG_ISA)(cpu_kernels *k)
{
	static const winograd_rows_kernels kernels = { input, output };
	k->winograd_rows = &kernels;
}
#endif
