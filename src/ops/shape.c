#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
/* The dimensions that are told: [*from, *to) of rank. */
static void shape_range(const og_op *op, const og_attr_value *attr, int rank, int64_t *from, int64_t *to)
{
	*from = op->since >= 15 ? attr[0].i : 0;
	*to = op->since >= 15 && attr[1].present ? attr[1].i : rank;
	if (*from < 0) *from += rank;
	if (*to < 0) *to += rank;
	*from = *from < 0 ? 0 : *from > rank ? rank : *from;
	*to = *to > rank ? rank : *to < *from ? *from : *to;
}

static og_status shape_shape(og_infer *c)
{
	int64_t from, to;
	c->out[0].rank = 1;
	c->out[0].dims[0] = dims_unknown(c);
	if (c->in[0].rank < 0) return OG_OK;
	shape_range(c->op, c->attr, c->in[0].rank, &from, &to);
	c->out[0].dims[0] = to - from;
	return OG_OK;
}

static og_status shape_eval(const og_call *c)
{
	int64_t from, to;
	shape_range(c->op, c->attr, c->in[0]->rank, &from, &to);
	for (int64_t d = from; d < to; d++) ((int64_t *)c->out[0]->data)[d - from] = c->in[0]->dims[d];
	return OG_OK;
}
#endif

OP(shape_1, .name = "Shape", .since = 1, .doc = "The dimensions of a tensor.", .inputs = "data:T",
   .outputs = "shape:i64", .shape = shape_shape, .eval = shape_eval)
OP(shape_15, .name = "Shape", .since = 15, .doc = "The dimensions of a tensor, or a range of them.", .inputs = "data:T",
   .outputs = "shape:i64", ATTRS(OG_INT("start", 0), OG_INT("end", 0)), .shape = shape_shape, .eval = shape_eval)
