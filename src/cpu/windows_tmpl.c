/* windows_tmpl.c -- the input of a convolution as a matrix. */
#include "cpu/kernels.h"
#include "cpu/lanes.h"

/* The writers below may write up to a vector behind n. */
EXPR void put_zeros(float *y, int64_t n)
{
	for (int64_t i = 0; i < n; i += OG_LANES) v_store(y + i, v_splat(0.0f));
}

#if OG_LANES == 16
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#elif OG_LANES == 8
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14
#endif

/* y[i] = x[i * stride]. */
EXPR void put_cells(float *y, const float *x, int64_t n, int64_t stride)
{
	int64_t i = 0;
#ifdef EVEN_LANES
	/* one more cell follows each vector taken, so that the odd one behind its last is the tensor's too */
	for (; stride == 2 && i + OG_LANES < n; i += OG_LANES)
		v_store(y + i, __builtin_shufflevector(v_load(x + 2 * i), v_load(x + 2 * i + OG_LANES), EVEN_LANES));
	if (stride == 2 && i < n) {
		size_t cells = (size_t)(2 * (n - i) - 1), low = cells < OG_LANES ? cells : OG_LANES;
		v first = v_load_n(x + 2 * i, low), second = v_load_n(x + 2 * i + low, cells - low);
		v_store(y + i, __builtin_shufflevector(first, second, EVEN_LANES));
		return;
	}
#endif
	for (; i < n; i++) y[i] = x[i * stride];
}

EXPR size_t lanes_of(int64_t n) { return n < 0 ? 0 : n < OG_LANES ? (size_t)n : OG_LANES; }

/* Rows of `out` cells, of which those in [left, right) come from the same place of a row of x, rows of which are `down`
 * apart; the others are 0. A row's last vector ends with it where the row is long enough. */
EXPR void put_rows(float *y, const float *x, int64_t rows, int64_t out, int64_t down, int64_t left, int64_t right)
{
	for (int64_t next = 0; next < out; next += OG_LANES) {
		int64_t j = next + OG_LANES > out && out > OG_LANES ? out - OG_LANES : next;
		size_t first = lanes_of(left - j), last = lanes_of(right - j);
		if (first == 0 && last == OG_LANES)
			for (int64_t i = 0; i < rows; i++) v_store(y + i * out + j, v_load(x + i * down + j));
		else
			for (int64_t i = 0; i < rows; i++) v_store(y + i * out + j, v_load_inside(x + i * down + j, first, last));
	}
}

/* The windows along an axis whose tap k lies inside the input: [*first, *last), which is within [0, out). */
EXPR void inside(const window *w, int axis, int64_t k, int64_t *first, int64_t *last)
{
	int64_t shift = w->begin[axis] - k * w->dilation[axis];
	*first = 0;
	*last = w->out[axis];
	if (w->stride[axis] == 1) {
		if (shift > 0) *first = shift;
		if (w->in[axis] + shift < *last) *last = w->in[axis] + shift;
	} else {
		window_span(w, axis, k, 0, w->in[axis], first, last);
	}
	if (*last < *first) *first = *last = 0;
}

/* Row (plane, ky, kx) of the matrix. */
EXPR void unfold_row(const window *w, const float *plane, int64_t ky, int64_t kx, const int64_t stride, float *y)
{
	int64_t top, bottom, left, right, out = w->out[2];
	inside(w, 1, ky, &top, &bottom);
	inside(w, 2, kx, &left, &right);
	int64_t down = w->stride[1] * w->in[2], n = right - left, behind = out - right;
	if (bottom == top || n == 0) {
		put_zeros(y, w->out[1] * out);
		return;
	}
	int64_t iy = top * w->stride[1] - w->begin[1] + ky * w->dilation[1];
	const float *x = plane + iy * w->in[2] - w->begin[2] + kx * w->dilation[2];
	put_zeros(y, top * out);
	y += top * out;
	if (stride == 1) {
		put_rows(y, x, bottom - top, out, down, left, right);
		put_zeros(y + (bottom - top) * out, (w->out[1] - bottom) * out);
		return;
	}
	x += left * stride;
	for (int64_t i = top; i < bottom; i++, y += out, x += down) {
		if (left) put_zeros(y, left);
		put_cells(y + left, x, n, stride);
		if (behind) put_zeros(y + right, behind);
	}
	put_zeros(y, (w->out[1] - bottom) * out);
}

static void unfold(const window *w, const float *x, int64_t channels, float *y)
{
	int64_t out = w->out[1] * w->out[2];
	for (int64_t c = 0; c < channels; c++, x += w->in[1] * w->in[2])
		for (int64_t ky = 0; ky < w->kernel[1]; ky++)
			for (int64_t kx = 0; kx < w->kernel[2]; kx++, y += out) {
				if (w->stride[2] == 1) unfold_row(w, x, ky, kx, 1, y);
				else if (w->stride[2] == 2) unfold_row(w, x, ky, kx, 2, y);
				else unfold_row(w, x, ky, kx, w->stride[2], y);
			}
}

void CPU_NAME(cpu_windows_, OG_ISA)(cpu_kernels *k)
{
	k->unfold = unfold;
}
