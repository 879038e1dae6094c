/* Unique: each different element, or slice along an axis, once. */
#include "ops/axis.h"
#include "ops/move.h"

#if OP_BASE
enum { UNIQUE_AXIS, UNIQUE_SORTED };
enum { UNIQUE_FIRST = 1, UNIQUE_INVERSE, UNIQUE_COUNTS };      /* outputs behind Y */

/* Without an axis the elements are the slices. */
static axis_split unique_split(const og_tensor *x, const og_attr_value *axis)
{
	axis_split flat = { 1, og_count(x), 1 };
	return axis->present ? axis_of(x, og_axis(axis->i, x->rank)) : flat;
}

/* Below 0, 0 or above 0 as slice i comes before j, equals it or comes after it. NaN is last and equals itself. */
static int unique_compare(const og_tensor *x, const axis_split *s, int64_t i, int64_t j)
{
	int64_t flip = x->dtype == OG_U64 ? INT64_MIN : 0;
	for (int64_t k = 0; k < s->outer * s->inner; k++) {
		int64_t first = k / s->inner * s->n * s->inner + k % s->inner;
		int64_t a = first + i * s->inner, b = first + j * s->inner;
		int order;
		if (number_is_float(x->dtype)) {
			double p = number_get(x, a), q = number_get(x, b);
			order = isnan(p) || isnan(q) ? !!isnan(p) - !!isnan(q) : (p > q) - (p < q);
		} else {
			int64_t p = number_get_int(x, a) ^ flip, q = number_get_int(x, b) ^ flip;
			order = (p > q) - (p < q);
		}
		if (order != 0) return order;
	}
	return 0;
}

/* The first slice that is equal to slice i. */
static int64_t unique_first(const og_tensor *x, const axis_split *s, int64_t i)
{
	int64_t k = 0;
	while (k < i && unique_compare(x, s, k, i) != 0) k++;
	return k;
}

static og_status unique_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	const og_tensor *value = x->value;
	const og_attr_value *axis = &c->attr[UNIQUE_AXIS];
	og_dim found = dims_unknown(c), n = found;
	int at = 0;
	if (x->rank < 0) return OG_OK;
	if (axis->present) OP_TRY(dims_axis(c, &at, axis->i, x->rank));
	if (value) {
		axis_split s = unique_split(value, axis);
		n = s.n;
		found = n > 0 && og_count(value) == 0;           /* slices of nothing are equal, however many */
		for (int64_t i = 0; i < n && og_count(value) > 0; i++) found += unique_first(value, &s, i) == i;
	}
	if (axis->present) dims_copy(&c->out[0], x);
	else c->out[0].rank = 1;
	c->out[0].dims[at] = found;
	for (int k = UNIQUE_FIRST; k <= UNIQUE_COUNTS; k++) {
		c->out[k].rank = 1;
		c->out[k].dims[0] = k == UNIQUE_INVERSE ? n : found;
	}
	return OG_OK;
}

/* The slices that stay, in the order of the output. */
static size_t unique_workspace(const og_call *c)
{
	axis_split s = unique_split(c->in[0], &c->attr[UNIQUE_AXIS]);
	return sizeof(int64_t) * (size_t)s.n;
}

/* Finds them; returns how many. */
static int64_t unique_find(const og_call *c, const axis_split *s, int64_t *kept)
{
	const og_tensor *x = c->in[0];
	int64_t n = 0;
	for (int64_t i = 0; i < s->n; i++) {
		int64_t k = n;
		if (unique_first(x, s, i) != i) continue;
		n++;
		for (; c->attr[UNIQUE_SORTED].i && k > 0 && unique_compare(x, s, kept[k - 1], i) > 0; k--)
			kept[k] = kept[k - 1];
		kept[k] = i;
	}
	return n;
}

static og_status unique_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *y = move_out(c, 0), *first = move_out(c, UNIQUE_FIRST);
	const og_tensor *inverse = move_out(c, UNIQUE_INVERSE), *counts = move_out(c, UNIQUE_COUNTS);
	axis_split s = unique_split(x, &c->attr[UNIQUE_AXIS]);
	int64_t *kept = (int64_t *)c->workspace, n = unique_find(c, &s, kept);
	size_t size;
	OP_TRY(move_size(c, x, &size));
	size *= (size_t)s.inner;
	for (int64_t k = 0; k < n; k++) {
		for (int64_t o = 0; y && size > 0 && o < s.outer; o++)
			memcpy((char *)y->data + (o * n + k) * (int64_t)size,
			       (const char *)x->data + (o * s.n + kept[k]) * (int64_t)size, size);
		if (first) ((int64_t *)first->data)[k] = kept[k];
		if (counts) ((int64_t *)counts->data)[k] = 0;
	}
	for (int64_t i = 0; i < s.n; i++) {
		int64_t k = 0;
		while (unique_compare(x, &s, kept[k], i) != 0) k++;
		if (inverse) ((int64_t *)inverse->data)[i] = k;
		if (counts) ((int64_t *)counts->data)[k]++;
	}
	return OG_OK;
}
#endif

OP(unique, .name = "Unique", .since = 11, .doc = "Each different element, or slice along an axis, once.",
   .inputs = "X:T!", .outputs = "Y:T, indices:i64?, inverse_indices:i64?, counts:i64?",
   .types = "T=f32 f64 f16 bf16 u8 i8 u16 i16 u32 i32 u64 i64 bool", ATTRS(OG_INT("axis", 0), OG_INT("sorted", 1)),
   .shape = unique_shape, .eval = unique_eval, .workspace = unique_workspace)
