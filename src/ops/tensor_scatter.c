/* TensorScatter: a cache with new entries along its sequence axis, each sample's from a place of its own on. */
#include "ops/axis.h"
#include "ops/index.h"

#if OP_BASE
enum { TENSOR_SCATTER_MODE, TENSOR_SCATTER_AXIS };
enum { TENSOR_SCATTER_LINEAR, TENSOR_SCATTER_CIRCULAR };

static og_status tensor_scatter_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *update = &c->in[1];
	og_shape *y = &c->out[0];
	int axis;
	dims_copy(y, x);
	if (x->rank < 0) return OG_OK;
	OP_TRY(dims_axis(c, &axis, c->attr[TENSOR_SCATTER_AXIS].i, x->rank));
	if (axis == 0 || (update->rank >= 0 && update->rank != x->rank))
		return c->host->fail(OG_BAD_FILE, "TensorScatter has axis %d, a cache of %d dimensions and an update of %d; the "
		                     "axis must not be 0 and both must have the same", axis, x->rank, update->rank);
	for (int d = 0; update->rank >= 0 && d < x->rank; d++) {
		if (d != axis) OP_TRY(dims_same(c, &y->dims[d], update->dims[d], d));
		else if (x->dims[d] >= 0 && update->dims[d] > x->dims[d])
			return c->host->fail(OG_BAD_FILE, "TensorScatter writes %lld entries into a cache of %lld",
			                     (long long)update->dims[d], (long long)x->dims[d]);
	}
	return axis_vector(c, 2, x->dims[0]);
}

static og_status tensor_scatter_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *update = c->in[1], *starts = move_in(c, 2), *y = c->out[0];
	int axis = og_axis(c->attr[TENSOR_SCATTER_AXIS].i, x->rank);
	axis_split cache = axis_of(x, axis), new = axis_of(update, axis);
	size_t size;
	OP_TRY(move_size(c, x, &size));
	OP_TRY(move_all(c));
	size *= (size_t)cache.inner;
	for (int64_t k = 0; size > 0 && k < new.outer * new.n; k++) {
		int64_t row = k / new.n, sample = row / (new.outer / x->dims[0]);
		int64_t start = starts ? ((const int64_t *)starts->data)[sample] : 0, at = start;
		if (c->attr[TENSOR_SCATTER_MODE].i == TENSOR_SCATTER_CIRCULAR) {
			at = start % cache.n;
			if (at < 0) at += cache.n;
			at = (at + k % new.n) % cache.n;
		} else {
			if (start < 0 || start > cache.n - new.n) return index_refuse(c, start, cache.n);
			at += k % new.n;
		}
		memcpy((char *)y->data + (row * cache.n + at) * (int64_t)size,
		       (const char *)update->data + k * (int64_t)size, size);
	}
	return OG_OK;
}
#endif

OP(tensor_scatter, .name = "TensorScatter", .since = 24,
   .doc = "A cache with new entries along an axis, each sample's from a place of its own on.",
   .inputs = "past_cache:T, update:T, write_indices:i64?", .outputs = "present_cache:T",
   ATTRS(OG_ENUM("mode", "linear|circular", TENSOR_SCATTER_LINEAR), OG_INT("axis", -2)), .flags = OG_SHARED_BITS,
   .shape = tensor_scatter_shape, .eval = tensor_scatter_eval)
