#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status one_hot_shape(og_infer *c)
{
	const og_shape *indices = &c->in[0];
	og_shape *y = &c->out[0];
	const og_tensor *depth = c->in[1].value;
	int axis;
	OP_TRY(dims_one(c, 1));
	if (indices->rank < 0) return OG_OK;
	OP_TRY(dims_of_rank(c, y, indices->rank + 1));
	OP_TRY(dims_axis(c, &axis, c->attr[0].i, y->rank));
	for (int d = 0; d < indices->rank; d++) y->dims[d < axis ? d : d + 1] = indices->dims[d];
	if (!depth) return OG_OK;
	if (number_get_int(depth, 0) < 0) return c->host->fail(OG_BAD_FILE, "OneHot has a negative depth");
	y->dims[axis] = number_get_int(depth, 0);
	return OG_OK;
}

static og_status one_hot_eval(const og_call *c)
{
	const og_tensor *indices = c->in[0], *values = c->in[2];
	og_tensor *y = c->out[0];
	int axis = og_axis(c->attr[0].i, y->rank);
	int64_t depth = y->dims[axis], inner = og_span(y, axis + 1, y->rank), n = og_count(indices);
	size_t size;
	OP_TRY(move_size(c, values, &size));
	if (og_count(values) != 2) return c->host->fail(OG_BAD_FILE, "OneHot's values must be two: off and on");
	move_fill((char *)y->data, values->data, size, og_count(y));
	for (int64_t k = 0; k < n; k++) {
		int64_t i = number_get_int(indices, k);
		if (i < 0) i += depth;
		if (i < 0 || i >= depth) continue;
		move_element((char *)y->data + ((k / inner * depth + i) * inner + k % inner) * (int64_t)size,
		             (const char *)values->data + size, size);
	}
	return OG_OK;
}
#endif

OP(one_hot, .name = "OneHot", .since = 9,
   .doc = "A new dimension that is `on` at the place that each index names and `off` elsewhere.",
   .inputs = "indices:I, depth:D!, values:T", .outputs = "output:T",
   .types = "I=f32 f64 f16 u8 i8 u16 i16 u32 i32 u64 i64; D=f32 f64 f16 u8 i8 u16 i16 u32 i32 u64 i64",
   ATTRS(OG_INT("axis", -1)),  .shape = one_hot_shape, .eval = one_hot_eval)
