#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status constant_of_shape_shape(og_infer *c)
{
	const og_tensor *value = c->attr[0].t;
	list shape = list_of_input(c, 0);
	og_shape *y = &c->out[0];
	y->dtype = value ? value->dtype : OG_F32;
	if (value && og_count(value) != 1)
		return c->host->fail(OG_BAD_FILE, "ConstantOfShape has a value of %lld elements, not one",
		                     (long long)og_count(value));
	OP_TRY(dims_of_rank(c, y, shape.n < 0 ? list_length(c, 0) : shape.n));
	for (int d = 0; d < shape.n; d++) {
		y->dims[d] = list_at(&shape, d);
		if (y->dims[d] < 0)
			return c->host->fail(OG_BAD_FILE, "ConstantOfShape has %lld for dimension %d", (long long)y->dims[d], d);
	}
	return OG_OK;
}

static og_status constant_of_shape_eval(const og_call *c)
{
	static const char zero[16];
	const og_tensor *value = c->attr[0].t;
	size_t size;
	OP_TRY(move_size(c, c->out[0], &size));
	move_fill((char *)c->out[0]->data, value ? value->data : zero, size, og_count(c->out[0]));
	return OG_OK;
}
#endif

OP(constant_of_shape, .name = "ConstantOfShape", .since = 9,
   .doc = "A tensor of the given shape with one value throughout.",
   .inputs = "input:i64!", .outputs = "output:T", ATTRS(OG_TENSOR("value")), .shape = constant_of_shape_shape,
   .eval = constant_of_shape_eval)
