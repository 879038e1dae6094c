/* convert_slice.c -- parts of tensors: ranges, pieces, elements by index. */
#include "tf/convert.h"

/* ---- ranges ---- */

/* Element i of the node's list input k, i64[1]: a constant where it is known. */
static graph_value *element(convert *c, int k, int i, bool *known, int64_t *number)
{
	int64_t list[CONVERT_MAX_LIST];
	int n;
	graph_value *v = convert_in(c, k);
	*known = c->status == OG_OK && convert_sizes(v, list, &n) && i < n && (v->constant || list[i] >= 0);
	*number = *known ? list[i] : 0;
	if (*known) return convert_list(c, number, 1);
	return convert_cast(c, convert_slice(c, v, 0, i, (int64_t)i + 1), OG_I64);
}

/* How many elements the node's list input k has. */
static int length(convert *c, int k)
{
	const graph_value *v = convert_in(c, k);
	if (c->status == OG_OK && (v->rank != 1 || v->dims[0] < 0 || v->dims[0] > OG_MAX_RANK))
		convert_refuse(c, "its input %d is no list of known length, up to %d", k, OG_MAX_RANK);
	return c->status == OG_OK ? (int)v->dims[0] : 0;
}

/* The ranges of a Slice, collected. */
typedef struct ranges {
	graph_value *from[OG_MAX_RANK], *to[OG_MAX_RANK];
	int64_t axis[OG_MAX_RANK], step[OG_MAX_RANK];
	int n;
	bool steps;                          /* some are not 1 */
} ranges;

static void add_range(ranges *r, int axis, graph_value *from, graph_value *to, int64_t step)
{
	r->from[r->n] = from;
	r->to[r->n] = to;
	r->axis[r->n] = axis;
	r->step[r->n++] = step;
	r->steps = r->steps || step != 1;
}

static graph_value *take_ranges(convert *c, graph_value *x, const ranges *r)
{
	if (!r->n) return x;
	graph_value *from = convert_concat(c, r->from, r->n, 0), *to = convert_concat(c, r->to, r->n, 0);
	graph_value *axes = convert_list(c, r->axis, r->n);
	if (!r->steps) return MAKE("Slice", x, from, to, axes);
	return MAKE("Slice", x, from, to, axes, convert_list(c, r->step, r->n));
}

/* begin and size; a size of -1 is all that is left. */
static graph_value *slice(convert *c)
{
	graph_value *x = convert_in(c, 0), *all = convert_list(c, &(int64_t){ INT64_MAX }, 1);
	ranges r = { .n = 0 };
	for (int i = 0, n = length(c, 1); i < n; i++) {
		bool from_known, size_known;
		int64_t from, size;
		graph_value *begin = element(c, 1, i, &from_known, &from), *length_of = element(c, 2, i, &size_known, &size), *to;
		if (from_known && !from && size_known && size < 0) continue;
		if (size_known && size < 0) to = all;
		else if (size_known) to = MAKE("Add", begin, length_of);
		else to = MAKE("Where", MAKE("Less", length_of, convert_index(c, 0)), all, MAKE("Add", begin, length_of));
		add_range(&r, i, begin, to, 1);
	}
	return take_ranges(c, x, &r);
}

/* What the entries of a StridedSlice do to the dimensions, in order. */
typedef struct strided {
	int64_t begin_mask, end_mask, ellipsis, new_axis, shrink;
	int64_t step[CONVERT_MAX_LIST];
	ranges r;
	graph_value *index[OG_MAX_RANK]; int taken[OG_MAX_RANK], n_taken;        /* dimensions of which one entry is taken */
	int64_t added[OG_MAX_RANK]; int n_added;         /* dimensions of the result that are new */
	int in, out;                                     /* the next dimension of the input, of the result */
} strided;

static void one_entry(convert *c, strided *s, int i)
{
	bool from_known, to_known;
	int64_t from, to, bit = (int64_t)1 << i, step = s->step[i];
	if (s->new_axis & bit) {
		s->added[s->n_added++] = s->out++;
		return;
	}
	graph_value *begin = element(c, 1, i, &from_known, &from);
	if (s->shrink & bit) {
		s->taken[s->n_taken] = s->in++;
		s->index[s->n_taken++] = from_known ? convert_index(c, from) : convert_squeeze(c, begin, 0);
		return;
	}
	graph_value *end = element(c, 2, i, &to_known, &to);
	bool from_start = s->begin_mask & bit, to_end = s->end_mask & bit;
	if (from_start) begin = convert_list(c, &(int64_t){ step > 0 ? 0 : INT64_MAX }, 1);
	if (to_end) end = convert_list(c, &(int64_t){ step > 0 ? INT64_MAX : INT64_MIN }, 1);
	if (!(step == 1 && to_end && (from_start || (from_known && from == 0)))) add_range(&s->r, s->in, begin, end, step);
	s->in++;
	s->out++;
}

static graph_value *strided_slice(convert *c)
{
	graph_value *x = convert_in(c, 0);
	strided s = {
		.begin_mask = convert_int(c, c->node, "begin_mask", 0), .end_mask = convert_int(c, c->node, "end_mask", 0),
		.ellipsis = convert_int(c, c->node, "ellipsis_mask", 0), .new_axis = convert_int(c, c->node, "new_axis_mask", 0),
		.shrink = convert_int(c, c->node, "shrink_axis_mask", 0),
	};
	int n = length(c, 1), used = 0;
	if (convert_const_list(c, 3, "strides", s.step) != n) convert_wrong(c, "begin and strides have different lengths");
	if (length(c, 2) != n) convert_wrong(c, "begin and end have different lengths");
	s.new_axis &= ~s.ellipsis;
	for (int i = 0; i < n; i++) used += !((s.ellipsis | s.new_axis) >> i & 1);
	if (x->rank >= 0 && used > x->rank) convert_wrong(c, "it cuts %d dimensions of %d", used, x->rank);
	for (int i = 0; i < n && c->status == OG_OK; i++) {
		if (!(s.ellipsis >> i & 1)) {
			if (s.step[i] == 0) return convert_wrong(c, "a stride is 0");
			one_entry(c, &s, i);
			continue;
		}
		int skipped = convert_rank(c, x) - used;
		s.in += skipped;
		s.out += skipped;
	}
	x = take_ranges(c, x, &s.r);
	while (s.n_taken-- > 0) {
		BEGIN("Gather", x, s.index[s.n_taken]);
		convert_set_int(c, "axis", s.taken[s.n_taken]);
		x = convert_done(c);
	}
	return s.n_added ? MAKE("Unsqueeze", x, convert_list(c, s.added, s.n_added)) : x;
}

static graph_value *reverse(convert *c)
{
	int64_t axes[CONVERT_MAX_LIST];
	graph_value *x = convert_in(c, 0), *first = convert_list(c, &(int64_t){ INT64_MAX }, 1);
	graph_value *last = convert_list(c, &(int64_t){ INT64_MIN }, 1);
	ranges r = { .n = 0 };
	int n = convert_const_list(c, 1, "axes", axes), count = convert_rank(c, x);
	if (n > count) return convert_wrong(c, "it turns %d axes of %d", n, count);
	for (int k = 0; k < n; k++) add_range(&r, convert_axis(c, axes[k], count), first, last, -1);
	return take_ranges(c, x, &r);
}

/* ---- pieces ---- */

void convert_split(convert *c, graph_value *x, int axis, const int64_t *sizes, graph_value **out, int n)
{
	if (n == 1) {
		out[0] = x;
		return;
	}
	BEGIN("Split", x, sizes ? convert_list(c, sizes, n) : NULL);
	convert_set_int(c, "axis", axis);
	convert_done_all(c, out, n);
}

static graph_value *pieces(convert *c, graph_value *x, int axis, const int64_t *sizes, int64_t n)
{
	graph_value *out[CONVERT_MAX_LIST];
	if (n < 1 || n > CONVERT_MAX_LIST)
		return convert_refuse(c, "it makes %lld outputs; 1 to %d can be taken", (long long)n, CONVERT_MAX_LIST);
	convert_split(c, x, axis, sizes, out, (int)n);
	for (int k = 1; k < n; k++) convert_output(c, k, out[k]);
	return out[0];
}

static graph_value *split(convert *c)
{
	graph_value *x = convert_in(c, 1);
	int axis = convert_const_axis(c, 0, convert_rank(c, x));
	return pieces(c, x, axis, NULL, convert_int(c, c->node, "num_split", 0));
}

/* One size may be -1: what the others leave. */
static graph_value *split_v(convert *c)
{
	int64_t sizes[CONVERT_MAX_LIST], rest;
	graph_value *x = convert_in(c, 0);
	int n = convert_const_list(c, 1, "sizes", sizes), axis = convert_const_axis(c, 2, convert_rank(c, x)), open = -1;
	if (c->status != OG_OK) return c->none;
	rest = x->dims[axis];
	for (int k = 0; k < n; k++) {
		if (sizes[k] > INT32_MAX) return convert_wrong(c, "its piece %d has size %lld", k, (long long)sizes[k]);
		if (sizes[k] < 0) open = k;
		else rest -= sizes[k];
	}
	if (open >= 0 && (x->dims[axis] < 0 || rest < 0))
		return convert_refuse(c, "how large its piece %d is can't be told", open);
	if (open >= 0) sizes[open] = rest;
	return pieces(c, x, axis, sizes, n);
}

/* ---- elements by index ---- */

/* Moves a dimension to another place; the others keep their order. */
static graph_value *move_dim(convert *c, graph_value *x, int from, int to)
{
	int perm[OG_MAX_RANK], n = convert_rank(c, x), at = 0;
	for (int k = 0; k < n; k++) {
		if (at == from) at++;
		perm[k] = k == to ? from : at++;
	}
	return from == to ? x : convert_transpose(c, x, perm, n);
}

/* The axis comes behind the batch dimensions, and what was taken along it goes behind what lay between. */
static graph_value *gather_along(convert *c, int axis, int batch)
{
	graph_value *x = convert_in(c, 0), *at = convert_in(c, 1);
	if (batch < 0) batch = at->rank >= 0 ? batch + at->rank : 0;
	if (!batch) {
		BEGIN("Gather", x, at);
		convert_set_int(c, "axis", axis);
		return convert_done(c);
	}
	int added = convert_rank(c, at) - batch;
	if (batch > axis || added < 0) return convert_wrong(c, "%d batch dimensions don't fit axis %d", batch, axis);
	BEGIN("GatherND", move_dim(c, x, axis, batch), convert_unsqueeze(c, convert_cast(c, at, OG_I64), convert_rank(c, at)));
	convert_set_int(c, "batch_dims", batch);
	graph_value *y = convert_done(c);
	for (int k = 0; k < added && axis > batch; k++) y = move_dim(c, y, batch, axis + added - 1);
	return y;
}

static graph_value *gather(convert *c)
{
	int batch = (int)convert_int(c, c->node, "batch_dims", 0);
	int64_t axis = c->node->n_in > 2 ? convert_const_int(c, 2, "axis") : batch;
	return gather_along(c, axis < 0 ? convert_axis(c, axis, convert_rank(c, convert_in(c, 0))) : (int)axis, batch);
}

static graph_value *gather_nd(convert *c)
{
	BEGIN("GatherND", convert_in(c, 0), convert_cast(c, convert_in(c, 1), OG_I64));
	convert_set_int(c, "batch_dims", convert_int(c, c->node, "batch_dims", 0));
	return convert_done(c);
}

static graph_value *scatter(convert *c, graph_value *into, graph_value *at, graph_value *values, const char *how)
{
	BEGIN("ScatterND", into, convert_cast(c, at, OG_I64), values);
	if (how) convert_set_string(c, "reduction", how);
	return convert_done(c);
}

/* Values for the same place are added up. */
static graph_value *scatter_nd(convert *c)
{
	graph_value *values = convert_in(c, 1);
	if (c->status != OG_OK) return c->none;
	graph_value *zeros = MAKE("Expand", convert_number(c, values->dtype, 0), convert_cast(c, convert_in(c, 2), OG_I64));
	return scatter(c, zeros, convert_in(c, 0), values, "add");
}

static graph_value *scatter_update(convert *c)
{
	return scatter(c, convert_in(c, 0), convert_in(c, 1), convert_in(c, 2), NULL);
}
static graph_value *scatter_add(convert *c)
{
	return scatter(c, convert_in(c, 0), convert_in(c, 1), convert_in(c, 2), "add");
}

static graph_value *scatter_sub(convert *c)
{
	return scatter(c, convert_in(c, 0), convert_in(c, 1), MAKE("Neg", convert_in(c, 2)), "add");
}

static graph_value *top_k(convert *c)
{
	graph_value *x = convert_in(c, 0), *out[2];
	BEGIN("TopK", x, convert_list(c, &(int64_t){ convert_const_int(c, 1, "k") }, 1));
	convert_set_int(c, "axis", -1);
	convert_done_all(c, out, 2);
	convert_output(c, 1, convert_cast(c, out[1], convert_type(c, "index_type", OG_I32)));
	return out[0];
}

/* Places of what is not 0, a row each. */
static graph_value *places(convert *c)
{
	graph_value *x = MAKE("NonZero", convert_in(c, 0));
	return convert_transpose(c, x, (const int[]){ 1, 0 }, 2);
}

/* A place outside [0, depth) has no 1 anywhere: compared with a range rather than scattered. */
static graph_value *one_hot(convert *c)
{
	graph_value *at = convert_in(c, 0), *on = convert_in(c, 2), *off = convert_in(c, 3);
	int64_t axis = convert_int(c, c->node, "axis", -1);
	int count = convert_rank(c, at);
	graph_value *depth = convert_in(c, 1), *range;
	if (c->status != OG_OK || axis > count)
		return convert_wrong(c, "axis %lld is not one of an output of %d dimensions", (long long)axis, count + 1);
	int where = axis < 0 ? count : (int)axis;
	range = MAKE("Range", convert_number(c, depth->dtype, 0), depth, convert_number(c, depth->dtype, 1));
	range = convert_cast(c, range, at->dtype);
	for (int k = where; k < count; k++) range = convert_unsqueeze(c, range, k - where + 1);
	return MAKE("Where", MAKE("Equal", convert_unsqueeze(c, at, where), range), on, off);
}

const convert_op convert_slice_ops[] = {
	{ "Gather", .build = gather }, { "GatherNd", .build = gather_nd }, { "GatherV2", .build = gather },
	{ "OneHot", .build = one_hot }, { "ResourceGather", .build = gather }, { "ReverseV2", .build = reverse },
	{ "ScatterNd", .build = scatter_nd }, { "Slice", .build = slice }, { "Split", .build = split },
	{ "SplitV", .build = split_v }, { "StridedSlice", .build = strided_slice },
	{ "TensorScatterAdd", .build = scatter_add }, { "TensorScatterSub", .build = scatter_sub },
	{ "TensorScatterUpdate", .build = scatter_update },
	{ "TopKV2", .build = top_k }, { "Where", .build = places }, { .type = NULL },
};
