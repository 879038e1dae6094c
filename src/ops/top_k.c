#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
/* An element as a number that sorts like it, largest wanted first, and its place on the axis. */
typedef struct top_k_item { uint64_t key; int64_t at; } top_k_item;

/* NaN is above all; both zeros are equal. */
static uint64_t top_k_key(const og_tensor *t, int64_t k, int smallest)
{
	const uint64_t top = (uint64_t)1 << 63;
	uint64_t key;
	if (number_is_float(t->dtype)) {
		double x = number_get(t, k) + 0.0;
		memcpy(&key, &x, sizeof key);
		key = isnan(x) ? UINT64_MAX : key & top ? ~key : key | top;
	} else {
		key = (uint64_t)number_get_int(t, k) ^ (t->dtype == OG_U64 ? 0 : top);
	}
	return smallest ? ~key : key;
}

/* Equal elements come in the order of their places. */
static int top_k_before(top_k_item a, top_k_item b) { return a.key > b.key || (a.key == b.key && a.at < b.at); }

/* Puts `item` into a heap of n whose root comes last of all, from place `hole` down. */
static void top_k_sift(top_k_item *heap, int64_t n, int64_t hole, top_k_item item)
{
	for (int64_t child; (child = 2 * hole + 1) < n; hole = child) {
		if (child + 1 < n && top_k_before(heap[child], heap[child + 1])) child++;
		if (!top_k_before(item, heap[child])) break;
		heap[hole] = heap[child];
	}
	heap[hole] = item;
}

/* The first k of n elements, in order. */
static void top_k_line(top_k_item *heap, int64_t k, const og_tensor *x, int64_t first, int64_t stride, int64_t n,
                       int smallest)
{
	for (int64_t i = 0; i < n; i++) {
		top_k_item item = { top_k_key(x, first + i * stride, smallest), i };
		if (i < k) heap[i] = item;
		if (i == k - 1)
			for (int64_t j = k / 2 - 1; j >= 0; j--) top_k_sift(heap, k, j, heap[j]);
		if (i >= k && top_k_before(item, heap[0])) top_k_sift(heap, k, 0, item);
	}
	for (int64_t m = k - 1; m > 0; m--) {
		top_k_item last = heap[0];
		top_k_sift(heap, m, 0, heap[m]);
		heap[m] = last;
	}
}

static int64_t top_k_axis(const og_op *op, const og_attr_value *attr) { return attr[op->since < 10 ? 1 : 0].i; }

static og_status top_k_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	const og_tensor *input = c->op->since < 10 ? NULL : c->in[1].value;
	int64_t k;
	int axis;
	OP_TRY(dims_one(c, 1));
	k = input ? number_get_int(input, 0) : c->op->since < 10 ? c->attr[0].i : 0;
	if (x->rank < 0) return OG_OK;
	OP_TRY(dims_axis(c, &axis, top_k_axis(c->op, c->attr), x->rank));
	if (k < 0 || (x->dims[axis] >= 0 && k > x->dims[axis]))
		return c->host->fail(OG_BAD_FILE, "TopK takes %lld of the %lld elements of axis %d", (long long)k,
		                     (long long)x->dims[axis], axis);
	for (int out = 0; out < c->n_out; out++) {
		dims_copy(&c->out[out], x);
		c->out[out].dims[axis] = input || c->op->since < 10 ? k : dims_unknown(c);
	}
	return OG_OK;
}

static const og_tensor *top_k_result(const og_call *c)
{
	return move_out(c, 0) ? c->out[0] : move_out(c, 1);
}

static size_t top_k_workspace(const og_call *c)
{
	const og_tensor *y = top_k_result(c);
	return y ? sizeof(top_k_item) * (size_t)y->dims[og_axis(top_k_axis(c->op, c->attr), y->rank)] : 0;
}

static og_status top_k_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *y = top_k_result(c), *places = move_out(c, 1);
	top_k_item *heap = (top_k_item *)c->workspace;
	size_t size;
	OP_TRY(move_size(c, x, &size));
	if (!y || og_count(y) == 0) return OG_OK;
	int axis = og_axis(top_k_axis(c->op, c->attr), x->rank), smallest = c->op->since >= 11 && c->attr[1].i == 0;
	int64_t n = x->dims[axis], k = y->dims[axis], inner = og_span(x, axis + 1, x->rank);
	for (int64_t line = 0; line < og_count(y) / k; line++) {
		int64_t from = line / inner * n * inner + line % inner, to = line / inner * k * inner + line % inner;
		top_k_line(heap, k, x, from, inner, n, smallest);
		for (int64_t i = 0; i < k; i++, to += inner) {
			if (places) ((int64_t *)places->data)[to] = heap[i].at;
			if (move_out(c, 0))
				move_element((char *)y->data + to * (int64_t)size,
				             (const char *)x->data + (from + heap[i].at * inner) * (int64_t)size, size);
		}
	}
	return OG_OK;
}
#endif

#define TOP_K_TYPES "T=f32 f64 f16 bf16 u8 i8 u16 i16 u32 i32 u64 i64"

OP(top_k_1, .name = "TopK", .since = 1, .doc = "The k largest elements along an axis, in order, and their places.",
   .inputs = "X:T", .outputs = "Values:T, Indices:i64", .types = TOP_K_TYPES,
   ATTRS({ .name = "k", .type = OG_ATTR_INT, .required = 1 }, OG_INT("axis", -1)),
   .shape = top_k_shape, .eval = top_k_eval, .workspace = top_k_workspace)
OP(top_k_10, .name = "TopK", .since = 10, .doc = "The k largest elements along an axis, in order, and their places.",
   .inputs = "X:T, K:i64!", .outputs = "Values:T, Indices:i64", .types = TOP_K_TYPES,
   ATTRS(OG_INT("axis", -1)), .shape = top_k_shape, .eval = top_k_eval, .workspace = top_k_workspace)
OP(top_k_11, .name = "TopK", .since = 11,
   .doc = "The k largest or smallest elements along an axis, in order, and their places.", .inputs = "X:T, K:i64!",
   .outputs = "Values:T, Indices:i64", .types = TOP_K_TYPES,
   ATTRS(OG_INT("axis", -1), OG_INT("largest", 1), OG_INT("sorted", 1)),
   .shape = top_k_shape, .eval = top_k_eval, .workspace = top_k_workspace)
