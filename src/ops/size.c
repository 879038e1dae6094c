#include "ops/move.h"

#if OP_BASE
static og_status size_shape(og_infer *c)
{
	c->out[0].rank = 0;
	return OG_OK;
}

static og_status size_eval(const og_call *c)
{
	*(int64_t *)c->out[0]->data = og_count(c->in[0]);
	return OG_OK;
}
#endif

OP(size, .name = "Size", .since = 1, .doc = "The number of elements of a tensor.", .inputs = "data:T",
   .outputs = "size:i64", .shape = size_shape, .eval = size_eval)
