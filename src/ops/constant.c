#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
enum { CONSTANT_VALUE, CONSTANT_FLOAT, CONSTANT_FLOATS, CONSTANT_INT, CONSTANT_INTS };

/* Which attribute holds the value; -1: none that Opgraft reads, as strings and sparse tensors are. */
static int constant_kind(const og_op *op, const og_attr_value *attr)
{
	int n = op->since < 12 ? 1 : 5;
	for (int k = 0; k < n; k++)
		if (attr[k].present) return k;
	return -1;
}

static og_status constant_shape(og_infer *c)
{
	og_shape *y = &c->out[0];
	int kind = constant_kind(c->op, c->attr);
	const og_attr_value *value = &c->attr[kind < 0 ? 0 : kind];
	if (kind < 0)
		return c->host->fail(OG_UNSUPPORTED, "Constant has no value, or a sparse or string one, that is not supported");
	if (kind == CONSTANT_VALUE) {
		y->dtype = value->t->dtype;
		OP_TRY(dims_of_rank(c, y, value->t->rank));
		for (int d = 0; d < y->rank; d++) y->dims[d] = value->t->dims[d];
		return OG_OK;
	}
	y->dtype = kind == CONSTANT_FLOAT || kind == CONSTANT_FLOATS ? OG_F32 : OG_I64;
	y->rank = kind == CONSTANT_FLOATS || kind == CONSTANT_INTS;
	y->dims[0] = value->n;
	return OG_OK;
}

static og_status constant_eval(const og_call *c)
{
	int kind = constant_kind(c->op, c->attr);
	const og_attr_value *value = &c->attr[kind];
	og_call copy = *c;
	const og_tensor *from = value->t;
	void *to = c->out[0]->data;
	copy.in = &from;
	switch (kind) {
	case CONSTANT_VALUE: return move_all(&copy);
	case CONSTANT_FLOAT: memcpy(to, &value->f, sizeof value->f); break;
	case CONSTANT_INT: memcpy(to, &value->i, sizeof value->i); break;
	case CONSTANT_FLOATS: if (value->n) memcpy(to, value->floats, sizeof(float) * (size_t)value->n); break;
	default: if (value->n) memcpy(to, value->ints, sizeof(int64_t) * (size_t)value->n);
	}
	return OG_OK;
}
#endif

OP(constant_1, .name = "Constant", .since = 1, .doc = "A tensor that is written in the node.", .inputs = "",
   .outputs = "output:T", ATTRS({ .name = "value", .type = OG_ATTR_TENSOR, .required = 1 }), .shape = constant_shape,
   .eval = constant_eval)
OP(constant_11, .name = "Constant", .since = 11, .doc = "A tensor that is written in the node.", .inputs = "",
   .outputs = "output:T", ATTRS(OG_TENSOR("value"), OG_TENSOR("sparse_value")), .shape = constant_shape,
   .eval = constant_eval)
OP(constant_12, .name = "Constant", .since = 12, .doc = "A tensor that is written in the node.", .inputs = "",
   .outputs = "output:T",
   ATTRS(OG_TENSOR("value"), OG_FLOAT("value_float", 0.0), OG_FLOATS("value_floats"), OG_INT("value_int", 0),
         OG_INTS("value_ints"), OG_STR("value_string"), { .name = "value_strings", .type = OG_ATTR_STRINGS },
         OG_TENSOR("sparse_value")),
   .shape = constant_shape, .eval = constant_eval)
