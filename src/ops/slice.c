#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
typedef struct slice_range { int64_t start, end, step; } slice_range;

/* Where the ranges come from: attributes starts, ends, axes in Slice-1, inputs 1 to 4 later. */
typedef struct slice_lists { list starts, ends, axes, steps; } slice_lists;

static slice_lists slice_attrs(const og_attr_value *attr)
{
	return (slice_lists){ list_of_attr(&attr[0]), list_of_attr(&attr[1]), list_of_attr(&attr[2]),
	                      list_of_tensor(NULL) };
}

/* A range for each dimension, the whole of those that are not listed; false when a list says nothing sensible. */
static int slice_ranges(const slice_lists *l, int rank, slice_range *r)
{
	if (l->ends.n != l->starts.n || (l->axes.n >= 0 && l->axes.n != l->starts.n)) return 0;
	if ((l->steps.n >= 0 && l->steps.n != l->starts.n) || l->starts.n > rank) return 0;
	for (int d = 0; d < rank; d++) r[d] = (slice_range){ 0, INT64_MAX, 1 };
	for (int k = 0; k < l->starts.n; k++) {
		int axis = og_axis(l->axes.n >= 0 ? list_at(&l->axes, k) : k, rank);
		int64_t step = l->steps.n >= 0 ? list_at(&l->steps, k) : 1;
		if (axis < 0 || step == 0) return 0;
		if (step == INT64_MIN) step = -INT64_MAX;
		r[axis] = (slice_range){ list_at(&l->starts, k), list_at(&l->ends, k), step };
	}
	return 1;
}

static int64_t slice_clamp(int64_t at, int64_t n, int64_t low, int64_t high)
{
	if (at < 0) at += n;
	return at < low ? low : at > high ? high : at;
}

/* How many of n elements the range takes, and the first. */
static int64_t slice_count(slice_range r, int64_t n, int64_t *first)
{
	int back = r.step < 0;
	int64_t start = slice_clamp(r.start, n, 0, n - back), end = slice_clamp(r.end, n, -back, n - back);
	int64_t span = back ? start - end : end - start, step = back ? -r.step : r.step;
	*first = start;
	return n == 0 || span <= 0 ? 0 : (span - 1) / step + 1;
}

/* Exporters write the largest int32 or int64 for "to the end". */
static int slice_is_whole(slice_range r) { return r.start == 0 && r.step == 1 && r.end >= INT32_MAX; }

static og_status slice_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	slice_lists l = c->op->since >= 10
	              ? (slice_lists){ list_of_input(c, 1), list_of_input(c, 2), list_of_input(c, 3), list_of_input(c, 4) }
	              : slice_attrs(c->attr);
	slice_range r[OG_MAX_RANK];
	int64_t first;
	OP_TRY(dims_of_rank(c, y, x->rank));
	if (x->rank < 0 || l.starts.n < 0 || l.ends.n < 0) return OG_OK;
	if (l.axes.n == LIST_UNKNOWN || l.steps.n == LIST_UNKNOWN) return OG_OK;
	if (!slice_ranges(&l, x->rank, r))
		return c->host->fail(OG_BAD_FILE, "Slice's starts, ends, axes and steps do not fit each other and %d "
		                     "dimensions, or a step is 0", x->rank);
	for (int d = 0; d < x->rank; d++) {
		if (slice_is_whole(r[d])) y->dims[d] = x->dims[d];
		else if (x->dims[d] >= 0) y->dims[d] = slice_count(r[d], x->dims[d], &first);
	}
	return OG_OK;
}

static og_status slice_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	og_tensor *y = c->out[0];
	slice_lists l = c->op->since >= 10
	              ? (slice_lists){ list_of_tensor(move_in(c, 1)), list_of_tensor(move_in(c, 2)),
	                               list_of_tensor(move_in(c, 3)), list_of_tensor(move_in(c, 4)) }
	              : slice_attrs(c->attr);
	slice_range r[OG_MAX_RANK];
	move m = { .to = (char *)y->data };
	int64_t first, offset = 0;
	OP_TRY(move_size(c, x, &m.size));
	slice_ranges(&l, x->rank, r);
	if (og_count(y) == 0) return OG_OK;
	for (int d = 0; d < x->rank; d++) {
		int64_t step = og_span(x, d + 1, x->rank) * (int64_t)m.size;
		slice_count(r[d], x->dims[d], &first);
		offset += first * step;
		move_axis(&m, y->dims[d], og_span(y, d + 1, y->rank) * (int64_t)m.size, step * r[d].step);
	}
	m.from = (const char *)x->data + offset;
	move_run(c, &m);
	return OG_OK;
}
#endif

OP(slice_1, .name = "Slice", .since = 1, .doc = "A range of each listed dimension.", .inputs = "data:T",
   .outputs = "output:T",
   ATTRS({ .name = "starts", .type = OG_ATTR_INTS, .required = 1 },
         { .name = "ends", .type = OG_ATTR_INTS, .required = 1 }, OG_INTS("axes")),
   .flags = OG_SHARED_BITS, .shape = slice_shape, .eval = slice_eval)
OP(slice_10, .name = "Slice", .since = 10, .doc = "A range of each listed dimension, with a step.",
   .inputs = "data:T, starts:I!, ends:I!, axes:I?!, steps:I?!", .outputs = "output:T", .types = "I=i32 i64",
   .flags = OG_SHARED_BITS, .shape = slice_shape, .eval = slice_eval)
