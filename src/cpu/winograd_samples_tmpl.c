/* winograd_samples_tmpl.c -- the transforms of winograd_samples.c; a vector is one cell of a block of samples. */
#include "cpu/lanes.h"
#include "cpu/winograd_samples.h"

#define A LINE_A
#define B LINE_B
#define C LINE_C
#define D LINE_D

EXPR v add_times(v y, double k, v x) { return k == 1.0 ? y + x : multiply_add(v_splat((float)k), x, y); }

/* (s - p^2)(s - q^2)(s - r^2), where s^i stands for x[2 * i]. */
EXPR v cubic(double p, double q, double r, const v *x)
{
	const double pp = p * p, qq = q * q, rr = r * r;
	return add_times(add_times(add_times(x[6], -(pp + qq + rr), x[4]), pp * qq + (pp + qq) * rr, x[2]), -pp * qq * rr, x[0]);
}

/* The points +-p, where the other pairs are +-q, +-r and +-s. */
EXPR void put_pair(double p, double q, double r, double s, const v *x, float *to, ptrdiff_t point)
{
	v even = cubic(q, r, s, x), odd = cubic(q, r, s, x + 1);
	v_store(to, add_times(odd, p, even));
	v_store(to + point, add_times(odd, -p, even));
}

static void input(const float *from, ptrdiff_t step, int64_t tiles, float *to, ptrdiff_t point)
{
	for (; tiles > 0; tiles--, from += step, to += OG_LANES) {
		v x[LINE_POINTS];
		for (int i = 0; i < LINE_POINTS; i++) x[i] = v_load(from + i * OG_LANES);
		put_pair(A, B, C, D, x, to, point);
		put_pair(B, A, C, D, x, to + 2 * point, point);
		put_pair(C, A, B, D, x, to + 4 * point, point);
		put_pair(D, A, B, C, x, to + 6 * point, point);
		v low = cubic(A, B, C, x), high = cubic(A, B, C, x + 2);
		v_store(to + 8 * point, add_times(high, -D * D, low));
	}
}

/* relu and outputs are constants of the caller. */
EXPR void output(const line_outputs *t, const bool relu, const int outputs)
{
	const float *m = t->m;
	float *y = t->y;
	const ptrdiff_t point = t->m_point;
	const int wanted = t->wanted;
	for (int i = 0; i < t->channels; i++, m += t->m_channel, y += t->y_channel) {
		v part[2][4], last = v_load(m + 8 * point), start = v_splat(t->start[i]);       /* part: even and odd powers */
		UNROLL for (int k = 0; k < 4; k++) {
			v plus = v_load(m + 2 * k * point), minus = v_load(m + (2 * k + 1) * point);
			part[0][k] = plus + minus;
			part[1][k] = plus - minus;
		}
		double a = 1.0, b = 1.0, c = 1.0, d = 1.0;           /* powers of the points */
		UNROLL for (int j = 0; j < outputs; j++, a *= A, b *= B, c *= C, d *= D) {
			const v *x = part[j & 1];
			v sum = add_times(add_times(add_times(add_times(start, a, x[0]), b, x[1]), c, x[2]), d, x[3]);
			if (j == outputs - 1) sum += last;
			if (relu) sum = v_greater(0.0f, sum);
			if (j < wanted) v_store(y + j * OG_LANES, sum);
		}
	}
}

#define SIZES(X) X(3) X(4) X(5) X(6) X(7)
#define OUTPUT(n) \
	static void output_##n(const line_outputs *t) { output(t, false, n); } \
	static void relu_##n(const line_outputs *t) { output(t, true, n); }
SIZES(OUTPUT)

void CPU_NAME(cpu_winograd_samples_, OG_ISA)(cpu_kernels *k)
{
#define OUTPUT_SLOT(n) [n] = output_##n,
#define RELU_SLOT(n) [n] = relu_##n,
	static const winograd_samples_kernels kernels = { input, { { SIZES(OUTPUT_SLOT) }, { SIZES(RELU_SLOT) } } };
	k->winograd_samples = &kernels;
}
