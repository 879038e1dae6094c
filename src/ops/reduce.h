/* reduce.h -- what the Reduce ops share: which axes go, the plain definition, and the float32 kernels. */
#ifndef OPS_REDUCE_H
#define OPS_REDUCE_H

#include "ops/dims.h"
#include "ops/number.h"

#if OP_BASE || OP_CPU

/* Attributes: keepdims, then the axes (which newer versions take as input 1), then noop_with_empty_axes. */
enum { REDUCE_KEEPDIMS, REDUCE_AXES };
#define REDUCE_AXES_ATTRIBUTE .inputs = "data:T", .outputs = "reduced:T", \
	ATTRS(OG_INT("keepdims", 1), OG_INTS("axes")), .shape = reduce_shape
#define REDUCE_AXES_INPUT .inputs = "data:T, axes:i64?!", .outputs = "reduced:T", \
	ATTRS(OG_INT("keepdims", 1), OG_INT("noop_with_empty_axes", 0)), .shape = reduce_shape
enum { REDUCE_NOOP = REDUCE_AXES };

/* Axes from the outermost in, neighbours of the same fate made one. Element (k, j) of the input, k counting kept and j
 * reduced elements in row-major order, lies at the sum of two offsets. */
typedef struct reduce_side { int rank; int64_t count, n[OG_MAX_RANK], step[OG_MAX_RANK]; } reduce_side;
typedef struct reduce_layout { reduce_side kept, gone; } reduce_layout;

OG_INLINE void reduce_axis(reduce_side *side, int64_t n, int64_t step)
{
	int last = side->rank - 1;
	side->count *= n;
	if (n == 1) return;
	if (last >= 0 && side->step[last] == step * n) side->n[last] *= n;
	else {
		last = side->rank++;
		side->n[last] = n;
	}
	side->step[last] = step;
}

/* mask: bit k set when axis k of x is reduced. */
OG_INLINE void reduce_by_mask(reduce_layout *l, const og_tensor *x, unsigned mask)
{
	int64_t step = og_count(x);
	l->kept.rank = l->gone.rank = 0;
	l->kept.count = l->gone.count = 1;
	for (int k = 0; k < x->rank; k++) {
		step = x->dims[k] > 0 ? step / x->dims[k] : 0;
		reduce_axis(mask >> k & 1 ? &l->gone : &l->kept, x->dims[k], step);
	}
}

OG_INLINE int64_t reduce_offset(const reduce_side *side, int64_t k)
{
	int64_t at = 0;
	for (int d = side->rank - 1; d >= 0; d--) {
		at += k % side->n[d] * side->step[d];
		k /= side->n[d];
	}
	return at;
}

/* Axes to reduce, from the attribute or input 1. They have been checked by reduce_shape. */
OG_INLINE unsigned reduce_mask(const og_call *c)
{
	const og_tensor *x = c->in[0], *axes = c->n_in > 1 ? c->in[1] : NULL;
	int by_attribute = c->op->attrs[REDUCE_AXES].type == OG_ATTR_INTS;
	int64_t n = by_attribute ? c->attr[REDUCE_AXES].n : axes ? og_count(axes) : 0;
	unsigned mask = 0;
	if (n == 0) return by_attribute || !c->attr[REDUCE_NOOP].i ? (1u << x->rank) - 1 : 0;
	for (int64_t k = 0; k < n; k++) {
		int axis = og_axis(by_attribute ? c->attr[REDUCE_AXES].ints[k] : ((const int64_t *)axes->data)[k], x->rank);
		if (axis >= 0) mask |= 1u << axis;
	}
	return mask;
}

/* All spatial axes of [N, C, spatial...]: what the global pools reduce. */
OG_INLINE unsigned reduce_spatial(const og_call *c)
{
	return ((1u << c->in[0]->rank) - 1) & ~3u;
}

#endif

/* ---- definition ------------------------------------------------------------------------------- */
#if OP_BASE

OG_INLINE og_status reduce_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	int keep = c->attr[REDUCE_KEEPDIMS].i != 0, by_attribute = c->op->attrs[REDUCE_AXES].type == OG_ATTR_INTS;
	list axes = by_attribute ? list_of_attr(&c->attr[REDUCE_AXES]) : list_of_input(c, 1);
	unsigned mask;
	if (axes.n == LIST_UNKNOWN) {
		int64_t n = list_length(c, 1);
		if (x->rank < 0 || (!keep && n <= 0)) return OG_OK;
		return dims_of_rank(c, y, keep ? x->rank : n <= x->rank ? x->rank - n : 0);
	}
	if (axes.n <= 0 && !keep && (by_attribute || !c->attr[REDUCE_NOOP].i)) y->rank = 0;
	if (x->rank < 0) return OG_OK;
	if (axes.n <= 0) mask = by_attribute || !c->attr[REDUCE_NOOP].i ? (1u << x->rank) - 1 : 0;
	else OP_TRY(list_axes(c, &axes, x->rank, &mask));
	y->rank = 0;
	for (int k = 0; k < x->rank; k++)
		if (!(mask >> k & 1)) y->dims[y->rank++] = x->dims[k];
		else if (keep) y->dims[y->rank++] = 1;
	return OG_OK;
}

OG_INLINE og_status reduce_spatial_shape(og_infer *c)
{
	dims_copy(&c->out[0], &c->in[0]);
	for (int k = 2; k < c->in[0].rank; k++) c->out[0].dims[k] = 1;
	return OG_OK;
}

/* One output being made: n elements have been added. `a` and `i` are the result in double and int64. */
typedef struct reduce_state { double a, b; int64_t i, n; } reduce_state;

/* add_int: how integers are added, exactly; NULL: as double. finish: what is left to do; NULL: nothing. An output
 * without elements is `empty`. */
typedef struct reduce_rule {
	void (*add)(reduce_state *, double);
	void (*add_int)(reduce_state *, int64_t);
	void (*finish)(reduce_state *);
	double empty;
} reduce_rule;

typedef struct reduce_task { const reduce_rule *rule; reduce_layout layout; const og_tensor *x, *y; } reduce_task;

/* Item: one output. */
OG_INLINE void reduce_outputs(void *arg, int64_t begin, int64_t end)
{
	const reduce_task *t = (const reduce_task *)arg;
	const reduce_rule *rule = t->rule;
	int whole = rule->add_int && !number_is_float(t->x->dtype);
	for (int64_t k = begin; k < end; k++) {
		int64_t at = reduce_offset(&t->layout.kept, k);
		reduce_state s = { 0 };
		for (; s.n < t->layout.gone.count; s.n++) {
			int64_t from = at + reduce_offset(&t->layout.gone, s.n);
			if (whole) rule->add_int(&s, number_get_int(t->x, from));
			else rule->add(&s, number_get(t->x, from));
		}
		if (s.n > 0 && rule->finish) rule->finish(&s);
		if (s.n == 0) number_put(t->y, k, rule->empty);
		else if (whole) number_put_int(t->y, k, s.i);
		else number_put(t->y, k, s.a);
	}
}

OG_INLINE og_status reduce_define(const og_call *c, unsigned mask, const reduce_rule *rule)
{
	reduce_task t = { .rule = rule, .x = c->in[0], .y = c->out[0] };
	reduce_by_mask(&t.layout, t.x, mask);
	c->host->parallel(c, t.layout.kept.count, 1, reduce_outputs, &t);
	return OG_OK;
}

#endif

/* ---- float32 kernels -------------------------------------------------------------------------- */
#if OP_CPU

/* A sum along contiguous elements is REDUCE_LANES interleaved sums, joined by halves; every REDUCE_CHUNK steps are
 * summed on their own first, which keeps rounding errors small. So the order is the same in every view. */
enum {
	REDUCE_LANES = 16, REDUCE_WIDE = REDUCE_LANES / OG_LANES, REDUCE_CHUNK = 128,
	REDUCE_COLUMNS = 64, REDUCE_COLUMN_VECTORS = REDUCE_COLUMNS / OG_LANES,
	REDUCE_GRAIN = 1 << 14               /* elements that are worth a thread */
};

OG_INLINE int64_t reduce_grain(int64_t elements)
{
	return elements < REDUCE_GRAIN ? REDUCE_GRAIN / (elements > 0 ? elements : 1) : 1;
}

/* The lanes of x moved down by n, the first ones coming in again behind the last. */
EXPR v reduce_turn(v x, int n)
{
#if OG_LANES == 16
#define REDUCE_TURN(n) __builtin_shufflevector(x, x, n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8, n + 9, \
	n + 10, n + 11, n + 12, n + 13, n + 14, n + 15)
	return n == 8 ? REDUCE_TURN(8) : n == 4 ? REDUCE_TURN(4) : n == 2 ? REDUCE_TURN(2) : REDUCE_TURN(1);
#elif OG_LANES == 8
#define REDUCE_TURN(n) __builtin_shufflevector(x, x, n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7)
	return n == 4 ? REDUCE_TURN(4) : n == 2 ? REDUCE_TURN(2) : REDUCE_TURN(1);
#else
	(void)n;
	return x;
#endif
}

EXPR float reduce_first(v x)
{
#if OG_LANES == 1
	return x;
#else
	return x[0];
#endif
}

/* p[0] to p[n - 1], then `start`; n may be beyond a vector, or below 0. */
EXPR v reduce_tail(const float *p, int64_t n, float start)
{
	static const int32_t mask[2 * OG_LANES] = {
#if OG_LANES == 16
		-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1
#elif OG_LANES == 8
		-1, -1, -1, -1, -1, -1, -1, -1
#else
		-1
#endif
	};
	vm inside;
	if (n >= OG_LANES) return v_load(p);
	if (n <= 0) return v_splat(start);
	memcpy(&inside, mask + OG_LANES - n, sizeof inside);
	return v_sel(inside, v_load_n(p, (size_t)n), v_splat(start));
}

/* Defines, with `add` over (sum, x), `join` over two sums, and `start`, which adds nothing to a sum and is an x without
 * effect: f_fold(sum, p, n) adds n contiguous floats to the REDUCE_LANES lanes of a sum, f_lanes(sum) joins the lanes,
 * f_row(p, n) is the sum of n floats. */
#define REDUCE_FOLD(f, start, add, join) \
	EXPR void f##_fold(v sum[REDUCE_WIDE], const float *p, int64_t n) \
	{ \
		while (n > 0) { \
			int64_t steps = n / REDUCE_LANES < REDUCE_CHUNK ? n / REDUCE_LANES : REDUCE_CHUNK; \
			v part[REDUCE_WIDE]; \
			for (int w = 0; w < REDUCE_WIDE; w++) part[w] = v_splat(start); \
			for (int64_t i = 0; i < steps; i++, p += REDUCE_LANES) \
				for (int w = 0; w < REDUCE_WIDE; w++) part[w] = add(part[w], v_load(p + w * OG_LANES)); \
			n -= steps * REDUCE_LANES; \
			if (n > 0 && n < REDUCE_LANES) { \
				for (int w = 0; w < REDUCE_WIDE; w++) \
					part[w] = add(part[w], reduce_tail(p + w * OG_LANES, n - w * OG_LANES, start)); \
				n = 0; \
			} \
			for (int w = 0; w < REDUCE_WIDE; w++) sum[w] = join(sum[w], part[w]); \
		} \
	} \
	EXPR float f##_lanes(v sum[REDUCE_WIDE]) \
	{ \
		for (int half = REDUCE_WIDE / 2; half > 0; half /= 2) \
			for (int w = 0; w < half; w++) sum[w] = join(sum[w], sum[w + half]); \
		for (int half = OG_LANES / 2; half > 0; half /= 2) sum[0] = join(sum[0], reduce_turn(sum[0], half)); \
		return reduce_first(sum[0]); \
	} \
	EXPR float f##_row(const float *p, int64_t n) \
	{ \
		v sum[REDUCE_WIDE]; \
		for (int w = 0; w < REDUCE_WIDE; w++) sum[w] = v_splat(start); \
		f##_fold(sum, p, n); \
		return f##_lanes(sum); \
	}

/* A reduction of x into y: for each element of `outer`, of `columns` contiguous outputs, sums over `far` and `near`. */
typedef struct reduce_pass {
	const float *x;
	float *y;
	reduce_side outer, far;
	int64_t columns, near, near_step, strips;
	float count;                         /* elements of one sum */
} reduce_pass;

/* Splits the layout for the axes in mask; true when what is summed is contiguous. */
OG_INLINE int reduce_pass_of(reduce_pass *p, const og_call *c, unsigned mask)
{
	reduce_layout l;
	int kept, gone;
	reduce_by_mask(&l, c->in[0], mask);
	kept = l.kept.rank - 1;
	gone = l.gone.rank - 1;
	p->x = (const float *)c->in[0]->data;
	p->y = (float *)c->out[0]->data;
	p->outer = l.kept;
	p->far = l.gone;
	p->columns = p->near = p->near_step = 1;
	p->count = (float)l.gone.count;
	if (kept >= 0 && l.kept.step[kept] == 1) {
		p->columns = l.kept.n[kept];
		p->outer.count /= p->columns ? p->columns : 1;
		p->outer.rank--;
	}
	if (gone >= 0) {
		p->near = l.gone.n[gone];
		p->near_step = l.gone.step[gone];
		p->far.count /= p->near ? p->near : 1;
		p->far.rank--;
	}
	p->strips = (p->columns + REDUCE_COLUMNS - 1) / REDUCE_COLUMNS;
	return gone >= 0 && p->near_step == 1;
}

/* Defines the kernel of an op that reduces the axes in mask(call); finish(sum, count of elements) makes the result. */
#define REDUCE_KERNEL(f, mask, start, add, join, finish) \
	REDUCE_FOLD(f, start, add, join) \
	/* item: one output, of contiguous elements */ \
	static void f##_rows(void *arg, int64_t begin, int64_t end) \
	{ \
		const reduce_pass *r = (const reduce_pass *)arg; \
		for (int64_t k = begin; k < end; k++) { \
			const float *x = r->x + reduce_offset(&r->outer, k); \
			v sum[REDUCE_WIDE]; \
			for (int w = 0; w < REDUCE_WIDE; w++) sum[w] = v_splat(start); \
			for (int64_t j = 0; j < r->far.count; j++) f##_fold(sum, x + reduce_offset(&r->far, j), r->near); \
			r->y[k] = f##_lanes(sum); \
		} \
		for (int64_t k = begin; k < end; k += OG_LANES) { \
			size_t n = end - k < OG_LANES ? (size_t)(end - k) : OG_LANES; \
			v_store_n(r->y + k, finish(v_load_n(r->y + k, n), r->count), n); \
		} \
	} \
	/* `vectors` vectors of outputs side by side, of all their lanes if n is 0, else of n */ \
	EXPR void f##_tile(const reduce_pass *r, const float *x, float *y, int vectors, size_t n) \
	{ \
		v sum[REDUCE_COLUMN_VECTORS], part[REDUCE_COLUMN_VECTORS]; \
		for (int w = 0; w < vectors; w++) sum[w] = v_splat(start); \
		for (int64_t j = 0; j < r->far.count; j++) { \
			const float *p = x + reduce_offset(&r->far, j); \
			for (int64_t i = 0; i < r->near; i += REDUCE_CHUNK) { \
				int64_t steps = r->near - i < REDUCE_CHUNK ? r->near - i : REDUCE_CHUNK; \
				for (int w = 0; w < vectors; w++) part[w] = v_splat(start); \
				for (int64_t s = 0; s < steps; s++, p += r->near_step) \
					for (int w = 0; w < vectors; w++) \
						part[w] = add(part[w], n ? v_load_n(p, n) : v_load(p + w * OG_LANES)); \
				for (int w = 0; w < vectors; w++) sum[w] = join(sum[w], part[w]); \
			} \
		} \
		for (int w = 0; w < vectors; w++) { \
			sum[w] = finish(sum[w], r->count); \
			if (n) v_store_n(y, sum[w], n); \
			else v_store(y + w * OG_LANES, sum[w]); \
		} \
	} \
	/* item: a strip of outputs that lie side by side */ \
	static void f##_columns(void *arg, int64_t begin, int64_t end) \
	{ \
		const reduce_pass *r = (const reduce_pass *)arg; \
		for (int64_t item = begin; item < end; item++) { \
			int64_t k = item / r->strips, at = item % r->strips * REDUCE_COLUMNS, left = r->columns - at; \
			const float *x = r->x + reduce_offset(&r->outer, k) + at; \
			float *y = r->y + k * r->columns + at; \
			if (left >= REDUCE_COLUMNS) { \
				f##_tile(r, x, y, REDUCE_COLUMN_VECTORS, 0); \
				continue; \
			} \
			for (; left >= OG_LANES; left -= OG_LANES, x += OG_LANES, y += OG_LANES) f##_tile(r, x, y, 1, 0); \
			if (left > 0) f##_tile(r, x, y, 1, (size_t)left); \
		} \
	} \
	og_status OG_VIEW(f)(const og_call *c) \
	{ \
		reduce_pass r; \
		int rows = reduce_pass_of(&r, c, mask(c)); \
		if (r.count == 0) return c->op->eval(c); \
		if (rows) c->host->parallel(c, r.outer.count, reduce_grain(r.far.count * r.near), f##_rows, &r); \
		else c->host->parallel(c, r.outer.count * r.strips, reduce_grain(r.far.count * r.near * REDUCE_COLUMNS), \
		                       f##_columns, &r); \
		return OG_OK; \
	}

#endif
#endif
