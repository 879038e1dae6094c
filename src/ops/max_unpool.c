/* MaxUnpool: the cells that MaxPool chose, back at their places, with zeros between them. */
#include "ops/index.h"
#include "ops/window.h"

#if OP_BASE
enum { MAX_UNPOOL_KERNEL, MAX_UNPOOL_PADS, MAX_UNPOOL_STRIDES };

/* The size of axis k that the pool had as its input. */
static og_status max_unpool_size(og_infer *c, const og_attr_value *attr, int k, int axes, og_dim *size)
{
	const og_attr_value *pads = &attr[MAX_UNPOOL_PADS], *strides = &attr[MAX_UNPOOL_STRIDES];
	OP_TRY(dims_shift(c, size, -1));
	OP_TRY(dims_mul(c, size, strides->n > 0 ? strides->ints[k] : 1));
	OP_TRY(dims_add(c, size, attr[MAX_UNPOOL_KERNEL].ints[k]));
	return pads->n > 0 ? dims_shift(c, size, -(pads->ints[k] + pads->ints[axes + k])) : OG_OK;
}

static og_status max_unpool_shape(og_infer *c)
{
	const og_shape *x = &c->in[0], *indices = &c->in[1];
	og_shape *y = &c->out[0];
	list given = list_of_input(c, 2);
	int axes = x->rank - 2;
	OP_TRY(dims_of_rank(c, y, x->rank));
	if (x->rank < 0) return OG_OK;
	if (axes < 1) return c->host->fail(OG_BAD_FILE, "MaxUnpool takes [N, C, ...], not %d dimensions", x->rank);
	for (int d = 0; indices->rank == x->rank && d < x->rank; d++) {
		og_dim n = x->dims[d];
		OP_TRY(dims_same(c, &n, indices->dims[d], d));
	}
	if ((indices->rank >= 0 && indices->rank != x->rank) || c->attr[MAX_UNPOOL_KERNEL].n != axes ||
	    (given.n >= 0 && given.n != x->rank))
		return c->host->fail(OG_BAD_FILE, "MaxUnpool has indices, a kernel_shape or an output_shape that do not go with "
		                     "an input of %d dimensions", x->rank);
	OP_TRY(window_list(c, MAX_UNPOOL_KERNEL, axes, 1));
	OP_TRY(window_list(c, MAX_UNPOOL_STRIDES, axes, 1));
	OP_TRY(window_list(c, MAX_UNPOOL_PADS, 2 * axes, 0));
	if (given.n == LIST_UNKNOWN) return OG_OK;
	dims_copy(y, x);
	for (int d = 0; d < x->rank; d++) {
		if (given.n == LIST_ABSENT && d >= 2) OP_TRY(max_unpool_size(c, c->attr, d - 2, axes, &y->dims[d]));
		if (given.n == LIST_ABSENT) continue;
		y->dims[d] = list_at(&given, d);
		if (y->dims[d] < 0)
			return c->host->fail(OG_BAD_FILE, "MaxUnpool makes an axis of size %lld", (long long)y->dims[d]);
	}
	return OG_OK;
}

/* Index k of I counts the elements of the pool's input; where output_shape makes the output larger than that, what is
 * new lies behind on each axis. Returns -1 when the place is not in the output. */
static int64_t max_unpool_place(const og_call *c, int64_t k)
{
	const og_tensor *x = c->in[0], *y = c->out[0];
	const og_attr_value *pads = &c->attr[MAX_UNPOOL_PADS], *strides = &c->attr[MAX_UNPOOL_STRIDES];
	int64_t at = 0, step = 1, axes = x->rank - 2;
	for (int d = x->rank - 1; d >= 0; d--) {
		int64_t n = x->dims[d], own;
		if (d >= 2) {
			n = (n - 1) * (strides->n > 0 ? strides->ints[d - 2] : 1) + c->attr[MAX_UNPOOL_KERNEL].ints[d - 2];
			if (pads->n > 0) n -= pads->ints[d - 2] + pads->ints[axes + d - 2];
		}
		if (k < 0 || n <= 0) return -1;
		own = d > 0 ? k % n : k;
		if (own >= n || own >= y->dims[d]) return -1;
		k /= n;
		at += own * step;
		step *= y->dims[d];
	}
	return at;
}

static og_status max_unpool_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *y = c->out[0];
	size_t size;
	OP_TRY(move_size(c, x, &size));
	if (og_count(y) > 0) memset(y->data, 0, (size_t)og_count(y) * size);
	for (int64_t k = 0; k < og_count(x); k++) {
		int64_t index = ((const int64_t *)c->in[1]->data)[k], at = max_unpool_place(c, index);
		if (at < 0) return index_refuse(c, index, og_count(y));
		move_element((char *)y->data + at * (int64_t)size, (const char *)x->data + k * (int64_t)size, size);
	}
	return OG_OK;
}
#endif

OP(max_unpool, .name = "MaxUnpool", .since = 9,
   .doc = "The cells that MaxPool chose at their places, zeros between them.",
   .inputs = "X:T, I:i64, output_shape:i64?!", .outputs = "output:T", .types = "T=f32 f64 f16 bf16",
   ATTRS({ .name = "kernel_shape", .type = OG_ATTR_INTS, .required = 1 }, OG_INTS("pads"), OG_INTS("strides")),
   .shape = max_unpool_shape, .eval = max_unpool_eval)
