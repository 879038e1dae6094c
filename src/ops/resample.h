/* resample.h -- what Resize and Upsample share: for each output place along an axis, the input places and the weights
 * that it is made of; then one pass per axis that changes. */
#ifndef OPS_RESAMPLE_H
#define OPS_RESAMPLE_H

#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE

#define RESAMPLE_TYPES "T=f32 f64 f16 bf16 u8 i8 u16 i16 u32 i32 u64 i64 bool"
#define RESAMPLE_MODES "nearest|linear|cubic"
#define RESAMPLE_TRANSFORMS \
	"half_pixel|half_pixel_symmetric|pytorch_half_pixel|align_corners|asymmetric|" \
	"tf_half_pixel_for_nn|tf_crop_and_resize"
#define RESAMPLE_ROUNDINGS "round_prefer_floor|round_prefer_ceil|floor|ceil"

enum { RESAMPLE_NEAREST, RESAMPLE_LINEAR, RESAMPLE_CUBIC };
enum {
	RESAMPLE_HALF_PIXEL, RESAMPLE_SYMMETRIC, RESAMPLE_PYTORCH, RESAMPLE_CORNERS, RESAMPLE_ASYMMETRIC,
	RESAMPLE_TF_HALF_PIXEL, RESAMPLE_CROP
};
enum { RESAMPLE_PREFER_FLOOR, RESAMPLE_PREFER_CEIL, RESAMPLE_FLOOR, RESAMPLE_CEIL };
enum { RESAMPLE_PIECES = 16 };               /* planes in work at once, each with buffers of its own */

typedef struct resample {
	int mode, transform, rounding, exclude_outside, antialias;
	double cubic_a, extrapolation;
	double scale[OG_MAX_RANK];
	double start[OG_MAX_RANK], end[OG_MAX_RANK];         /* the region of tf_crop_and_resize, in parts of the input */
} resample;

/* One axis: output place o is the sum of weight[o * taps + k] * input[place[o * taps + k]]; place -1: nothing, the
 * output is the extrapolation value. Nearest has one tap and no weights. */
typedef struct resample_axis { int64_t n, out, taps; int changed; int64_t *place; double *weight; } resample_axis;

/* ---- places and weights ------------------------------------------------------------------------ */

/* Where output place o lies among the input's. */
OG_INLINE double resample_coordinate(const resample *r, int d, int64_t o, int64_t n, int64_t out)
{
	double x = (double)o, scale = r->scale[d], last = (double)(n - 1), length = scale * (double)n;
	switch (r->transform) {
	case RESAMPLE_SYMMETRIC:
		return (double)n / 2 * (1 - (double)out / length) + (x + 0.5) / scale - 0.5;
	case RESAMPLE_PYTORCH:
		return out > 1 ? (x + 0.5) / scale - 0.5 : 0;
	case RESAMPLE_CORNERS:
		return out > 1 && length != 1 ? x * last / (length - 1) : 0;
	case RESAMPLE_ASYMMETRIC:
		return x / scale;
	case RESAMPLE_TF_HALF_PIXEL:
		return (x + 0.5) / scale;
	case RESAMPLE_CROP:
		if (out == 1) return 0.5 * (r->start[d] + r->end[d]) * last;
		return r->start[d] * last + x * (r->end[d] - r->start[d]) * last / (double)(out - 1);
	default:
		return (x + 0.5) / scale - 0.5;
	}
}

OG_INLINE double resample_round(int how, double x)
{
	switch (how) {
	case RESAMPLE_PREFER_FLOOR: return ceil(x - 0.5);
	case RESAMPLE_PREFER_CEIL: return floor(x + 0.5);
	case RESAMPLE_FLOOR: return floor(x);
	default: return ceil(x);
	}
}

/* Weight of an input element at distance x. */
OG_INLINE double resample_kernel(const resample *r, double x)
{
	double a = r->cubic_a;
	x = fabs(x);
	if (r->mode == RESAMPLE_LINEAR) return x < 1 ? 1 - x : 0;
	if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* How far the kernel reaches, in input elements. */
OG_INLINE double resample_reach(const resample *r, int d)
{
	double reach = r->mode == RESAMPLE_CUBIC ? 2 : 1;
	return r->antialias && r->scale[d] < 1 ? reach / r->scale[d] : reach;
}

/* Fills the axis' places and weights, whose memory is there. */
OG_INLINE void resample_fill(const resample *r, int d, const resample_axis *a)
{
	double narrow = r->antialias && r->scale[d] < 1 ? r->scale[d] : 1;
	int64_t before = r->mode == RESAMPLE_NEAREST ? 0 : a->taps / 2 - 1;
	for (int64_t o = 0; o < a->out; o++) {
		double x = resample_coordinate(r, d, o, a->n, a->out), sum = 0;
		int64_t *place = a->place + o * a->taps;
		double *weight = a->weight + o * a->taps;
		if (r->transform == RESAMPLE_CROP && (x < 0 || x > (double)(a->n - 1))) {
			for (int64_t k = 0; k < a->taps; k++) place[k] = -1;
			continue;
		}
		int64_t base = number_whole(r->mode == RESAMPLE_NEAREST ? resample_round(r->rounding, x) : floor(x));
		for (int64_t k = 0; k < a->taps; k++) {
			int64_t at = base + k - before;
			int outside = at < 0 || at >= a->n;
			place[k] = at < 0 ? 0 : at >= a->n ? a->n - 1 : at;
			if (r->mode == RESAMPLE_NEAREST) continue;
			weight[k] = outside && r->exclude_outside ? 0 : resample_kernel(r, ((double)at - x) * narrow);
			sum += weight[k];
		}
		if (r->mode != RESAMPLE_NEAREST && (r->antialias || r->exclude_outside) && sum != 0)
			for (int64_t k = 0; k < a->taps; k++) weight[k] /= sum;
	}
}

/* ---- layout of the workspace --------------------------------------------------------------------- */

/* Places of all axes, weights of all axes, then two buffers of doubles for each piece. */
typedef struct resample_plan {
	const resample *r;
	const og_tensor *x, *y;
	int rank, first, last;               /* the first and last axis that change; first == rank when none does */
	resample_axis axis[OG_MAX_RANK];
	int64_t planes, pieces, buffer;      /* a plane is the axes from `first` on; buffer: doubles that one needs */
	double *buffers;
	size_t bytes;                        /* of the workspace */
	char value[16];                      /* the extrapolation value as an element */
	size_t size;                         /* of an element */
} resample_plan;

OG_INLINE void resample_layout(resample_plan *p, const resample *r, const og_tensor *x, const og_tensor *y,
                               void *workspace)
{
	int64_t entries = 0, plane;
	int weighted = r->mode != RESAMPLE_NEAREST;
	*p = (resample_plan){ .r = r, .x = x, .y = y, .rank = x->rank, .first = x->rank, .last = -1 };
	for (int d = 0; d < x->rank; d++) {
		resample_axis *a = &p->axis[d];
		a->n = x->dims[d];
		a->out = y->dims[d];
		a->changed = a->n != a->out || r->scale[d] != 1 || (r->transform == RESAMPLE_CROP && a->n > 0);
		if (!a->changed) continue;
		if (p->first == x->rank) p->first = d;
		p->last = d;
		a->taps = !weighted ? 1 : a->out > 0 ? 2 * number_whole(ceil(resample_reach(r, d))) : 0;
		if (workspace) a->place = (int64_t *)workspace + entries;
		entries += a->taps * a->out;
	}
	for (int64_t d = 0, at = 0; d < x->rank && workspace && weighted; d++) {
		p->axis[d].weight = (double *)workspace + entries + at;
		at += p->axis[d].taps * p->axis[d].out;
	}
	if (workspace) p->buffers = (double *)workspace + 2 * entries;
	p->planes = og_span(x, 0, p->first);
	p->pieces = p->planes < RESAMPLE_PIECES ? p->planes : RESAMPLE_PIECES;
	for (int d = p->first; d <= x->rank; d++) {
		plane = og_span(y, p->first, d) * og_span(x, d, x->rank);
		if (plane > p->buffer) p->buffer = plane;
	}
	p->bytes = sizeof(double) * (size_t)(entries * (1 + weighted) + (weighted ? 2 * p->pieces * p->buffer : 0));
}

OG_INLINE size_t resample_workspace(const resample *r, const og_tensor *x, const og_tensor *y)
{
	resample_plan p;
	resample_layout(&p, r, x, y, NULL);
	return p.bytes;
}

/* ---- nearest ------------------------------------------------------------------------------------- */

/* Lines [begin, end) of the output: the last axis that changes, with the axes behind it as one wide element. */
OG_INLINE void resample_nearest_lines(void *arg, int64_t begin, int64_t end)
{
	const resample_plan *p = (const resample_plan *)arg;
	const resample_axis *a = &p->axis[p->last];
	size_t unit = (size_t)og_span(p->x, p->last + 1, p->rank) * p->size;
	for (int64_t line = begin; line < end; line++) {
		char *to = (char *)p->y->data + line * a->out * (int64_t)unit;
		int64_t from = 0, stride = 1, rest = line;
		for (int d = p->last - 1; d >= 0 && from >= 0; d--) {
			int64_t o = rest % p->axis[d].out, at = p->axis[d].changed ? p->axis[d].place[o] : o;
			from = at < 0 ? -1 : from + at * stride;
			rest /= p->axis[d].out;
			stride *= p->axis[d].n;
		}
		const char *x = (const char *)p->x->data + (from < 0 ? 0 : from) * a->n * (int64_t)unit;
		if (from >= 0 && p->r->transform != RESAMPLE_CROP) {
			move_pick(to, x, a->place, a->out, unit);
			continue;
		}
		for (int64_t o = 0; o < a->out; o++, to += unit) {
			if (from < 0 || a->place[o] < 0) move_fill(to, p->value, p->size, (int64_t)(unit / p->size));
			else move_element(to, x + a->place[o] * (int64_t)unit, unit);
		}
	}
}

/* ---- weighted ------------------------------------------------------------------------------------ */

/* One axis of one plane: from is [outer, n, inner], to is [outer, out, inner]. */
OG_INLINE void resample_pass(const resample_axis *a, double extrapolation, double *to, const double *from,
                             int64_t outer, int64_t inner)
{
	for (int64_t line = 0; line < outer; line++, from += a->n * inner) {
		for (int64_t o = 0; o < a->out; o++, to += inner) {
			const int64_t *place = a->place + o * a->taps;
			const double *weight = a->weight + o * a->taps;
			if (place[0] < 0) {
				for (int64_t i = 0; i < inner; i++) to[i] = extrapolation;
			} else if (inner == 1) {
				double sum = weight[0] * from[place[0]];
				for (int64_t k = 1; k < a->taps; k++) sum += weight[k] * from[place[k]];
				to[0] = sum;
			} else {
				const double *x = from + place[0] * inner;
				for (int64_t i = 0; i < inner; i++) to[i] = weight[0] * x[i];
				for (int64_t k = 1; k < a->taps; k++) {
					x = from + place[k] * inner;
					for (int64_t i = 0; i < inner; i++) to[i] += weight[k] * x[i];
				}
			}
		}
	}
}

/* Pieces [begin, end), each a share of the planes. */
OG_INLINE void resample_pieces(void *arg, int64_t begin, int64_t end)
{
	const resample_plan *p = (const resample_plan *)arg;
	int64_t in_plane = og_span(p->x, p->first, p->rank), out_plane = og_span(p->y, p->first, p->rank);
	for (int64_t piece = begin; piece < end; piece++) {
		double *a = p->buffers + 2 * piece * p->buffer, *b = a + p->buffer, *swap;
		for (int64_t k = p->planes * piece / p->pieces; k < p->planes * (piece + 1) / p->pieces; k++) {
			number_read(a, p->x, k * in_plane, 1, in_plane);
			for (int d = p->first; d <= p->last; d++) {
				if (!p->axis[d].changed) continue;
				resample_pass(&p->axis[d], p->r->extrapolation, b, a, og_span(p->y, p->first, d),
				              og_span(p->x, d + 1, p->rank));
				swap = a;
				a = b;
				b = swap;
			}
			number_write(p->y, k * out_plane, 1, a, out_plane);
		}
	}
}

/* The whole op; the call's workspace is what resample_workspace asked for. */
OG_INLINE og_status resample_run(const og_call *c, const resample *r)
{
	resample_plan p;
	const og_tensor *x = c->in[0];
	og_tensor *y = c->out[0];
	og_tensor value = { .dtype = x->dtype };
	resample_layout(&p, r, x, y, c->workspace);
	if (p.first == p.rank) return move_all(c);
	OP_TRY(move_size(c, x, &p.size));
	if (og_count(y) == 0) return OG_OK;
	for (int d = p.first; d <= p.last; d++)
		if (p.axis[d].changed) resample_fill(r, d, &p.axis[d]);
	value.data = p.value;
	number_put(&value, 0, r->extrapolation);
	if (r->mode == RESAMPLE_NEAREST) {
		size_t line = (size_t)og_span(y, p.last, p.rank) * p.size;
		c->host->parallel(c, og_span(y, 0, p.last), move_grain(line), resample_nearest_lines, &p);
	} else {
		c->host->parallel(c, p.pieces, 1, resample_pieces, &p);
	}
	return OG_OK;
}

#endif
#endif
