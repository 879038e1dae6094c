/* index.h -- reading index tensors, and updating elements, for the Gather and Scatter families. */
#ifndef OPS_INDEX_H
#define OPS_INDEX_H

#include "ops/move.h"

#if OP_BASE

/* Index k of an i32 or i64 tensor, brought into [0, size); outside of that when it is out of range. */
OG_INLINE int64_t index_at(const og_tensor *t, int64_t k, int64_t size)
{
	int64_t i = t->dtype == OG_I32 ? ((const int32_t *)t->data)[k] : ((const int64_t *)t->data)[k];
	return i < 0 ? i + size : i;
}

OG_INLINE og_status index_refuse(const og_call *c, int64_t index, int64_t size)
{
	return c->host->fail(OG_BAD_FILE, "%s reads index %lld of a dimension of %lld", c->op->name,
	                     (long long)(index < 0 ? index - size : index), (long long)size);
}

/* All of them must lie in [-size, size). */
OG_INLINE og_status index_check(const og_call *c, const og_tensor *t, int64_t size)
{
	int64_t n = og_count(t);
	for (int64_t k = 0; k < n; k++) {
		int64_t i = index_at(t, k, size);
		if (i < 0 || i >= size) return index_refuse(c, i, size);
	}
	return OG_OK;
}

/* For indices that replace one coordinate of their own place: the element of `data` that the first index of line
 * `line` (all dimensions but the last one) is about, with 0 at `axis`. */
OG_INLINE int64_t index_line(const og_tensor *data, const og_tensor *indices, int axis, int64_t line)
{
	int64_t at = 0, stride = data->rank > 0 ? data->dims[data->rank - 1] : 1;
	for (int d = data->rank - 2; d >= 0; d--) {
		if (d != axis) at += line % indices->dims[d] * stride;
		line /= indices->dims[d];
		stride *= data->dims[d];
	}
	return at;
}

/* ---- reductions of the Scatter family ---------------------------------------------------------- */

#define INDEX_REDUCTIONS "none|add|mul|max|min"
enum { INDEX_NONE, INDEX_ADD, INDEX_MUL, INDEX_MAX, INDEX_MIN };

OG_INLINE og_status index_can_reduce(const og_call *c, int how, og_dtype t)
{
	if (how == INDEX_NONE || (t != OG_C64 && t != OG_C128)) return OG_OK;
	return c->host->fail(OG_UNSUPPORTED, "%s does not combine complex numbers", c->op->name);
}

/* y[at] = y[at] op u[k] */
OG_INLINE void index_reduce(int how, const og_tensor *y, int64_t at, const og_tensor *u, int64_t k)
{
	if (number_is_float(y->dtype)) {
		double a = number_get(y, at), b = number_get(u, k);
		if (how == INDEX_ADD) a += b;
		else if (how == INDEX_MUL) a *= b;
		else a = isnan(a) || (how == INDEX_MAX ? a >= b : a <= b) ? a : b;
		number_put(y, at, a);
	} else {
		int64_t a = number_get_int(y, at), b = number_get_int(u, k), flip = y->dtype == OG_U64 ? INT64_MIN : 0;
		if (how == INDEX_ADD) a += b;
		else if (how == INDEX_MUL) a *= b;
		else a = (how == INDEX_MAX ? (a ^ flip) >= (b ^ flip) : (a ^ flip) <= (b ^ flip)) ? a : b;
		number_put_int(y, at, a);
	}
}

/* n elements from y[at] on take those from u[k] on. */
OG_INLINE void index_update(int how, const og_tensor *y, int64_t at, const og_tensor *u, int64_t k, int64_t n,
                            size_t size)
{
	char *to = (char *)y->data + at * (int64_t)size;
	const char *from = (const char *)u->data + k * (int64_t)size;
	if (how == INDEX_NONE) move_element(to, from, size * (size_t)n);
	else for (int64_t i = 0; i < n; i++) index_reduce(how, y, at + i, u, k + i);
}

#endif
#endif
