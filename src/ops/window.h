/* window.h -- where the windows of convolutions and pools lie.
 *
 * Spatial axes are counted from the last: a 1-D or 2-D window is a 3-D one whose leading axes have size 1,
 * so kernels always loop over three axes. Tensors are [N, C, spatial...]. */
#ifndef OPS_WINDOW_H
#define OPS_WINDOW_H

#include "ops/dims.h"

/* The first attributes of every op with windows, in this order. */
enum { WINDOW_KERNEL, WINDOW_STRIDES, WINDOW_PADS, WINDOW_AUTO_PAD, WINDOW_DILATIONS, WINDOW_OWN_ATTRS };
enum { WINDOW_NOTSET, WINDOW_SAME_UPPER, WINDOW_SAME_LOWER, WINDOW_VALID };
#define WINDOW_ATTRS \
	OG_INTS("kernel_shape"), OG_INTS("strides"), OG_INTS("pads"), \
	OG_ENUM("auto_pad", "NOTSET|SAME_UPPER|SAME_LOWER|VALID", 0), OG_INTS("dilations")

enum { WINDOW_AXES = 3 };

#if OP_BASE || OP_CPU

/* Tap k of window o touches cell o * stride - begin + k * dilation; cells outside [0, in) are padding. */
typedef struct window {
	int64_t in[WINDOW_AXES], out[WINDOW_AXES], kernel[WINDOW_AXES];
	int64_t stride[WINDOW_AXES], dilation[WINDOW_AXES];
	int64_t begin[WINDOW_AXES], end[WINDOW_AXES];          /* padding */
} window;

/* Cells from the first tap to the last. */
OG_INLINE int64_t window_extent(const window *w, int axis)
{
	return (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

OG_INLINE int64_t window_floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Taps [*from, *to) of window o that lie in cells [0, limit). */
OG_INLINE void window_taps(const window *w, int axis, int64_t o, int64_t limit, int64_t *from, int64_t *to)
{
	int64_t first = o * w->stride[axis] - w->begin[axis], d = w->dilation[axis];
	*from = first < 0 ? (-first + d - 1) / d : 0;
	*to = first >= limit ? 0 : d == 1 ? limit - first : (limit - first + d - 1) / d;
	if (*to > w->kernel[axis]) *to = w->kernel[axis];
	if (*from > *to) *from = *to;
}

/* Narrows [*first, *last) to the windows whose tap k lies in cells [low, high). */
OG_INLINE void window_span(const window *w, int axis, int64_t k, int64_t low, int64_t high,
                           int64_t *first, int64_t *last)
{
	int64_t shift = w->begin[axis] - k * w->dilation[axis], s = w->stride[axis];
	int64_t from = -window_floor_div(-(low + shift), s), to = -window_floor_div(-(high + shift), s);
	if (*first < from) *first = from;
	if (*last > to) *last = to;
}

/* Padding of SAME_UPPER and SAME_LOWER, which together is `total`. */
OG_INLINE void window_same(window *w, int axis, int64_t total, int upper)
{
	if (total < 0) total = 0;
	w->begin[axis] = upper ? total / 2 : total - total / 2;
	w->end[axis] = total - w->begin[axis];
}

/* Strides, dilations, explicit padding and (where the attribute is there) kernel sizes into the last `axes` axes. The
 * rest is 1 or 0. Lists have been checked by window_check. */
OG_INLINE void window_attributes(window *w, const og_attr_value *attr, int axes)
{
	int lead = WINDOW_AXES - axes;
	const og_attr_value *kernel = &attr[WINDOW_KERNEL], *pads = &attr[WINDOW_PADS];
	const og_attr_value *strides = &attr[WINDOW_STRIDES], *dilations = &attr[WINDOW_DILATIONS];
	int explicit_pads = attr[WINDOW_AUTO_PAD].i == WINDOW_NOTSET && pads->n > 0;
	for (int a = 0; a < WINDOW_AXES; a++) {
		int k = a - lead;
		w->in[a] = w->out[a] = 1;
		w->kernel[a] = k >= 0 && kernel->n > 0 ? kernel->ints[k] : 1;
		w->stride[a] = k >= 0 && strides->n > 0 ? strides->ints[k] : 1;
		w->dilation[a] = k >= 0 && dilations->n > 0 ? dilations->ints[k] : 1;
		w->begin[a] = k >= 0 && explicit_pads ? pads->ints[k] : 0;
		w->end[a] = k >= 0 && explicit_pads ? pads->ints[k + axes] : 0;
	}
}

/* The windows of a run: x [N, C, in...] to y [N, M, out...], kernel sizes from the last dims of `weights`, or from the
 * attribute when it is NULL. */
OG_INLINE void window_of(window *w, const og_attr_value *attr, const og_tensor *x, const og_tensor *y,
                         const og_tensor *weights)
{
	int axes = x->rank - 2;
	window_attributes(w, attr, axes);
	for (int k = 0; k < axes; k++) {
		int a = WINDOW_AXES - axes + k;
		int64_t mode = attr[WINDOW_AUTO_PAD].i;
		w->in[a] = x->dims[2 + k];
		w->out[a] = y->dims[2 + k];
		if (weights) w->kernel[a] = weights->dims[2 + k];
		if (mode == WINDOW_SAME_UPPER || mode == WINDOW_SAME_LOWER)
			window_same(w, a, (w->out[a] - 1) * w->stride[a] + window_extent(w, a) - w->in[a],
			            mode == WINDOW_SAME_UPPER);
	}
}

#endif

#if OP_BASE

/* A list attribute: absent, or of n entries from `low` up to 2^30. */
OG_INLINE og_status window_list(const og_infer *c, int which, int64_t n, int64_t low)
{
	const og_attr_value *entries = &c->attr[which];
	if (entries->n == 0) return OG_OK;
	if (entries->n != n)
		return c->host->fail(OG_BAD_FILE, "attribute %s has %lld entries but the input needs %lld; correct it",
		                     c->op->attrs[which].name, (long long)entries->n, (long long)n);
	for (int64_t k = 0; k < n; k++)
		if (entries->ints[k] < low || entries->ints[k] > (int64_t)1 << 30)
			return c->host->fail(OG_BAD_FILE, "attribute %s has entry %lld but entries must be at least %lld; "
			                     "correct the model", c->op->attrs[which].name,
			                     (long long)entries->ints[k], (long long)low);
	return OG_OK;
}

/* The window attributes against the rank of the input, which must be known. */
OG_INLINE og_status window_check(const og_infer *c)
{
	int axes = c->in[0].rank - 2;
	if (axes < 1 || axes > WINDOW_AXES)
		return c->host->fail(OG_UNSUPPORTED, "the input has rank %d but 3, 4 and 5 are supported; "
		                     "reshape it to [N, C, one to three spatial axes]", c->in[0].rank);
	OP_TRY(window_list(c, WINDOW_KERNEL, axes, 1));
	OP_TRY(window_list(c, WINDOW_STRIDES, axes, 1));
	OP_TRY(window_list(c, WINDOW_DILATIONS, axes, 1));
	return c->attr[WINDOW_AUTO_PAD].i == WINDOW_NOTSET ? window_list(c, WINDOW_PADS, (int64_t)2 * axes, 0) : OG_OK;
}

/* Number of windows along an axis of `in` cells with kernel size `kernel` (>= 0: known). */
OG_INLINE og_status window_count(og_infer *c, const window *w, int axis, og_dim in, og_dim kernel, int ceil_mode,
                                 og_dim *out)
{
	int64_t mode = c->attr[WINDOW_AUTO_PAD].i, s = w->stride[axis];
	og_dim padded = in, starts = in, extent = kernel;
	if (kernel == 0) return c->host->fail(OG_BAD_FILE, "a kernel of size 0 has no output");
	if (mode == WINDOW_SAME_UPPER || mode == WINDOW_SAME_LOWER) {
		*out = og_dim_do(c, OG_DIM_CEIL_DIV, in, s);
		return OG_OK;
	}
	OP_TRY(dims_add(c, &padded, w->begin[axis] + w->end[axis]));
	OP_TRY(dims_shift(c, &extent, -1));
	OP_TRY(dims_mul(c, &extent, w->dilation[axis]));
	OP_TRY(dims_add(c, &extent, 1));
	if (padded >= 0 && extent > padded)
		return c->host->fail(OG_BAD_FILE, "a window of %lld cells is larger than its padded input of %lld; "
		                     "give a larger input", (long long)extent, (long long)padded);
	*out = og_dim_do(c, ceil_mode ? OG_DIM_CEIL_DIV : OG_DIM_FLOOR_DIV, og_dim_do(c, OG_DIM_SUB, padded, extent), s);
	OP_TRY(dims_add(c, out, 1));
	if (!ceil_mode) return OG_OK;
	/* no window starts behind the cells, in the padding at the end */
	OP_TRY(dims_add(c, &starts, w->begin[axis]));
	*out = og_dim_do(c, OG_DIM_MIN, *out, og_dim_do(c, OG_DIM_CEIL_DIV, starts, s));
	return OG_OK;
}

/* Sets the dims of output `which` to [N, channels, windows...]; kernel sizes from the last dims of `weights`, or from
 * the attribute when it is NULL. Checks the window attributes. The input's rank must be known. */
OG_INLINE og_status window_shape(og_infer *c, int which, og_dim channels, const og_shape *weights, int ceil_mode)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[which];
	window w;
	OP_TRY(window_check(c));
	window_attributes(&w, c->attr, x->rank - 2);
	y->rank = x->rank;
	y->dims[0] = x->dims[0];
	y->dims[1] = channels;
	for (int k = 2; k < x->rank; k++) {
		int axis = WINDOW_AXES - x->rank + k;
		OP_TRY(window_count(c, &w, axis, x->dims[k], weights ? weights->dims[k] : w.kernel[axis], ceil_mode,
		                    &y->dims[k]));
	}
	return OG_OK;
}

#endif
#endif
