/* dims.h -- for shape rules: dimensions that may be symbols, axes, and the lists of integers that ops take as
 * attributes in old opsets and as inputs in newer ones. */
#ifndef OPS_DIMS_H
#define OPS_DIMS_H

#include "opgraft/op.h"

#if OP_BASE

/* Hands a failure up. */
#define OP_TRY(call) do { og_status status_ = (call); if (status_ != OG_OK) return status_; } while (0)

/* ---- dimensions ------------------------------------------------------------------------------ */

OG_INLINE og_dim dims_unknown(og_infer *c) { return og_dim_do(c, OG_DIM_UNKNOWN, 0, 0); }

OG_INLINE void dims_copy(og_shape *to, const og_shape *from)
{
	to->rank = from->rank;
	if (from->rank > 0) memcpy(to->dims, from->dims, sizeof *from->dims * (size_t)from->rank);
}

/* Of that rank, nothing known of the dimensions; no rank when it is negative. */
OG_INLINE og_status dims_of_rank(og_infer *c, og_shape *s, int64_t rank)
{
	if (rank > OG_MAX_RANK)
		return c->host->fail(OG_UNSUPPORTED, "%s makes a tensor of %lld dimensions; at most %d are supported",
		                     c->op->name, (long long)rank, OG_MAX_RANK);
	s->rank = rank < 0 ? -1 : (int)rank;
	for (int d = 0; d < s->rank; d++) s->dims[d] = dims_unknown(c);
	return OG_OK;
}

OG_INLINE og_status dims_overflow(const og_infer *c)
{
	return c->host->fail(OG_BAD_FILE, "%s makes a tensor of more than 2^63 elements; check its shape inputs",
	                     c->op->name);
}

/* *a *= b and *a += b */
OG_INLINE og_status dims_mul(og_infer *c, og_dim *a, og_dim b)
{
	if (*a == 0 || b == 1) return OG_OK;
	if (b == 0 || *a == 1) *a = b;
	else if (*a < 0 || b < 0) *a = og_dim_do(c, OG_DIM_PROD, *a, b);
	else if (__builtin_mul_overflow(*a, b, a)) return dims_overflow(c);
	return OG_OK;
}

OG_INLINE og_status dims_add(og_infer *c, og_dim *a, og_dim b)
{
	if (*a == 0 || b == 0) *a = *a == 0 ? b : *a;
	else if (*a < 0 || b < 0) *a = og_dim_do(c, OG_DIM_SUM, *a, b);
	else if (__builtin_add_overflow(*a, b, a)) return dims_overflow(c);
	return OG_OK;
}

/* *a += b, b a plain number that may be negative; the sum must not be. */
OG_INLINE og_status dims_shift(og_infer *c, og_dim *a, int64_t b)
{
	if (b >= 0) return dims_add(c, a, b);
	if (*a < 0) *a = og_dim_do(c, OG_DIM_SUB, *a, b == INT64_MIN ? INT64_MAX : -b);
	else if (*a + b < 0)
		return c->host->fail(OG_BAD_FILE, "%s takes %lld away from a dimension of %lld", c->op->name,
		                     -(long long)b, (long long)*a);
	else *a += b;
	return OG_OK;
}

/* *a /= b, which must leave nothing over; `what` is for the sentence. */
OG_INLINE og_status dims_divide(og_infer *c, og_dim *a, int64_t b, const char *what)
{
	if (*a < 0 && b > 0) *a = b == 1 ? *a : og_dim_do(c, OG_DIM_FLOOR_DIV, *a, b);
	else if (b <= 0 || *a % b != 0)
		return c->host->fail(OG_BAD_FILE, "%s: %s of %lld does not divide into %lld", c->op->name, what,
		                     (long long)*a, (long long)b);
	else *a /= b;
	return OG_OK;
}

OG_INLINE og_status dims_product(og_infer *c, og_dim *product, const og_dim *dims, int n)
{
	*product = 1;
	for (int d = 0; d < n; d++) OP_TRY(dims_mul(c, product, dims[d]));
	return OG_OK;
}

/* Two dimensions that must be equal: *a becomes the one that is known better. */
OG_INLINE og_status dims_same(const og_infer *c, og_dim *a, og_dim b, int axis)
{
	if (*a >= 0 && b >= 0 && *a != b)
		return c->host->fail(OG_BAD_FILE, "the inputs of %s differ in dimension %d, %lld against %lld",
		                     c->op->name, axis, (long long)*a, (long long)b);
	if (*a < 0) *a = b;
	return OG_OK;
}

OG_INLINE og_status dims_axis(const og_infer *c, int *out, int64_t axis, int rank)
{
	*out = og_axis(axis, rank);
	if (*out >= 0) return OG_OK;
	return c->host->fail(OG_BAD_FILE, "%s has axis %lld, but there are %d dimensions", c->op->name,
	                     (long long)axis, rank);
}

/* Input k must be one number. */
OG_INLINE og_status dims_one(const og_infer *c, int k)
{
	for (int d = 0; k < c->n_in && d < c->in[k].rank; d++)
		if (c->in[k].dims[d] >= 0 && c->in[k].dims[d] != 1)
			return c->host->fail(OG_BAD_FILE, "%s has %lld numbers as input %d, which must be one", c->op->name,
			                     (long long)c->in[k].dims[d], k);
	return OG_OK;
}

/* ---- lists of integers ----------------------------------------------------------------------- */

enum { LIST_ABSENT = -1, LIST_UNKNOWN = -2 };

typedef struct list {
	int64_t n;                           /* or LIST_ABSENT, or LIST_UNKNOWN: an input whose value comes later */
	const int64_t *ints;                 /* an attribute */
	const og_tensor *t;                  /* or an input */
} list;

OG_INLINE list list_of_attr(const og_attr_value *a)
{
	return (list){ a->present ? a->n : LIST_ABSENT, a->ints, NULL };
}

OG_INLINE list list_of_tensor(const og_tensor *t)
{
	return (list){ t ? og_count(t) : LIST_ABSENT, NULL, t };
}

/* Input k while shapes are inferred. */
OG_INLINE list list_of_input(const og_infer *c, int k)
{
	if (k >= c->n_in || c->in[k].dtype == OG_NONE) return (list){ LIST_ABSENT, NULL, NULL };
	return c->in[k].value ? list_of_tensor(c->in[k].value) : (list){ LIST_UNKNOWN, NULL, NULL };
}

OG_INLINE int64_t list_at(const list *l, int64_t k)
{
	if (!l->t) return l->ints[k];
	return l->t->dtype == OG_I32 ? ((const int32_t *)l->t->data)[k] : ((const int64_t *)l->t->data)[k];
}

/* How many integers input k holds, by its shape; -1 when that is not known. */
OG_INLINE int64_t list_length(const og_infer *c, int k)
{
	if (k >= c->n_in) return -1;
	return c->in[k].rank == 0 ? 1 : c->in[k].rank == 1 && c->in[k].dims[0] >= 0 ? c->in[k].dims[0] : -1;
}

/* A mask of the axes in a list, each once. */
OG_INLINE og_status list_axes(const og_infer *c, const list *l, int rank, unsigned *mask)
{
	*mask = 0;
	for (int64_t k = 0; k < l->n; k++) {
		int axis;
		OP_TRY(dims_axis(c, &axis, list_at(l, k), rank));
		if (*mask >> axis & 1) return c->host->fail(OG_BAD_FILE, "%s lists axis %d twice", c->op->name, axis);
		*mask |= 1u << axis;
	}
	return OG_OK;
}

#endif
#endif
