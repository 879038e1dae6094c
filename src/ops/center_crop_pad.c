/* CenterCropPad: the middle of the input where that is larger, zeros around it where it is smaller. */
#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
/* The axis that entry k of the input `shape` is about. */
static int center_crop_pad_axis(const og_attr_value *axes, int64_t k, int rank)
{
	return axes->present ? og_axis(axes->ints[k], rank) : (int)k;
}

static og_status center_crop_pad_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	og_shape *y = &c->out[0];
	list sizes = list_of_input(c, 1), axes = list_of_attr(&c->attr[0]);
	unsigned mask;
	OP_TRY(dims_of_rank(c, y, x->rank));
	if (x->rank < 0) return OG_OK;
	OP_TRY(list_axes(c, &axes, x->rank, &mask));
	if (sizes.n == LIST_UNKNOWN) return OG_OK;
	if (sizes.n != (axes.n == LIST_ABSENT ? x->rank : axes.n))
		return c->host->fail(OG_BAD_FILE, "CenterCropPad has %lld sizes for %lld axes", (long long)sizes.n,
		                     (long long)(axes.n == LIST_ABSENT ? x->rank : axes.n));
	dims_copy(y, x);
	for (int64_t k = 0; k < sizes.n; k++) {
		int64_t size = list_at(&sizes, k);
		if (size < 0) return c->host->fail(OG_BAD_FILE, "CenterCropPad makes an axis of size %lld", (long long)size);
		y->dims[center_crop_pad_axis(&c->attr[0], k, x->rank)] = size;
	}
	return OG_OK;
}

static og_status center_crop_pad_eval(const og_call *c)
{
	const og_tensor *x = c->in[0], *y = c->out[0];
	int64_t to_step[OG_MAX_RANK], from_step[OG_MAX_RANK], to = 0, from = 0;
	move m = { .size = 0 };
	OP_TRY(move_size(c, x, &m.size));
	if (og_count(y) > 0) memset(y->data, 0, (size_t)og_count(y) * m.size);
	if (og_count(y) == 0 || og_count(x) == 0) return OG_OK;
	for (int d = 0; d < x->rank; d++) {
		int64_t more = y->dims[d] - x->dims[d];
		to_step[d] = og_span(y, d + 1, y->rank) * (int64_t)m.size;
		from_step[d] = og_span(x, d + 1, x->rank) * (int64_t)m.size;
		if (more > 0) to += more / 2 * to_step[d];
		else from += -more / 2 * from_step[d];
	}
	m.to = (char *)y->data + to;
	m.from = (const char *)x->data + from;
	for (int d = 0; d < x->rank; d++)
		move_axis(&m, x->dims[d] < y->dims[d] ? x->dims[d] : y->dims[d], to_step[d], from_step[d]);
	move_run(c, &m);
	return OG_OK;
}
#endif

OP(center_crop_pad, .name = "CenterCropPad", .since = 18,
   .doc = "The middle of the input where it is larger than asked for, zeros around it where it is smaller.",
   .inputs = "input_data:T, shape:I!", .outputs = "output_data:T", .types = "I=i32 i64", ATTRS(OG_INTS("axes")),
   .flags = OG_SHARED_BITS, .shape = center_crop_pad_shape, .eval = center_crop_pad_eval)
