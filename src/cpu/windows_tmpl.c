/* windows_tmpl.c -- the input of a convolution as a matrix. */
#include "cpu/kernels.h"
#include "cpu/lanes.h"

/* Both may write up to a vector behind n. */
EXPR void put_zeros(float *y, int64_t n)
{
	for (int64_t i = 0; i < n; i += OG_LANES) v_store(y + i, v_splat(0.0f));
}

EXPR void put_copy(float *y, const float *x, int64_t n)
{
	int64_t i = 0;
	for (; i + OG_LANES <= n; i += OG_LANES) v_store(y + i, v_load(x + i));
	if (i < n) v_store(y + i, v_load_n(x + i, (size_t)(n - i)));
}

#if OG_LANES == 16
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#elif OG_LANES == 8
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14
#endif

/* y[i] = x[i * stride]. */
EXPR void put_strided(float *y, const float *x, int64_t n, int64_t stride)
{
	int64_t i = 0;
#ifdef EVEN_LANES
	/* one more element follows each vector taken, so that the odd one behind it is the tensor's too */
	for (; stride == 2 && i + OG_LANES < n; i += OG_LANES)
		v_store(y + i, __builtin_shufflevector(v_load(x + 2 * i), v_load(x + 2 * i + OG_LANES), EVEN_LANES));
#endif
	for (; i < n; i++) y[i] = x[i * stride];
}

/* The windows of a row whose tap kx lies inside it: [*first, *last), empty or within [0, out). */
EXPR void inside(const window *w, int64_t kx, int64_t *first, int64_t *last)
{
	int64_t shift = w->begin[2] - kx * w->dilation[2];
	*first = 0;
	*last = w->out[2];
	if (w->stride[2] == 1) {
		if (shift > 0) *first = shift;
		if (w->in[2] + shift < *last) *last = w->in[2] + shift;
	} else {
		window_span(w, 2, kx, 0, w->in[2], first, last);
	}
	if (*last < *first) *first = *last = 0;
}

/* Row k of the matrix; plane: the channel. */
EXPR void unfold_row(const window *w, const float *plane, int64_t ky, int64_t kx, int64_t oy, int64_t ox, int64_t n, float *y)
{
	int64_t first, last, stride = w->stride[2], out = w->out[2];
	int64_t iy = oy * w->stride[1] - w->begin[1] + ky * w->dilation[1];
	int64_t shift = kx * w->dilation[2] - w->begin[2];
	inside(w, kx, &first, &last);
	while (n > 0) {
		int64_t end = n < out - ox ? ox + n : out, from = ox, to = end;
		if (iy < 0 || iy >= w->in[1] || first >= end || last <= ox) {
			put_zeros(y, end - ox);
		} else {
			if (from < first) {
				from = first;
				put_zeros(y, from - ox);
			}
			if (to > last) to = last;
			const float *x = plane + iy * w->in[2] + from * stride + shift;
			if (stride == 1) put_copy(y + (from - ox), x, to - from);
			else put_strided(y + (from - ox), x, to - from, stride);
			if (to < end) put_zeros(y + (to - ox), end - to);
		}
		y += end - ox;
		n -= end - ox;
		ox = 0;
		iy += w->stride[1];
	}
}

static void unfold(const cpu_unfold *u, int64_t k0, int64_t k1, int64_t j0, int64_t j1, float *to, ptrdiff_t ld)
{
	const window *w = u->w;
	int64_t kx = k0 % w->kernel[2], ky = k0 / w->kernel[2] % w->kernel[1];
	int64_t plane = w->in[1] * w->in[2], oy = j0 / w->out[2], ox = j0 % w->out[2];
	const float *x = u->x + k0 / w->kernel[2] / w->kernel[1] * plane;
	for (int64_t k = k0; k < k1; k++, to += ld) {
		unfold_row(w, x, ky, kx, oy, ox, j1 - j0, to);
		if (++kx < w->kernel[2]) continue;
		kx = 0;
		if (++ky < w->kernel[1]) continue;
		ky = 0;
		x += plane;
	}
}

void CPU_NAME(cpu_windows_, OG_ISA)(cpu_kernels *k)
{
	k->unfold = unfold;
}
