#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
static og_status concat_shape(og_infer *c)
{
	og_shape *y = &c->out[0];
	int axis;
	for (int k = 0; k < c->n_in; k++)
		if (c->in[k].rank < 0) return OG_OK;
	dims_copy(y, &c->in[0]);
	OP_TRY(dims_axis(c, &axis, c->attr[0].i, y->rank));
	for (int k = 1; k < c->n_in; k++) {
		const og_shape *x = &c->in[k];
		if (x->rank != y->rank)
			return c->host->fail(OG_BAD_FILE, "Concat's input %d has %d dimensions, input 0 has %d", k, x->rank,
			                     y->rank);
		for (int d = 0; d < y->rank; d++) {
			if (d == axis) OP_TRY(dims_add(c, &y->dims[d], x->dims[d]));
			else OP_TRY(dims_same(c, &y->dims[d], x->dims[d], d));
		}
	}
	return OG_OK;
}

static og_status concat_eval(const og_call *c)
{
	og_tensor *y = c->out[0];
	int axis = og_axis(c->attr[0].i, y->rank);
	char *to = (char *)y->data;
	for (int k = 0; k < c->n_in; k++) {
		const og_tensor *x = c->in[k];
		move m = { .to = to, .from = (const char *)x->data };
		OP_TRY(move_size(c, x, &m.size));
		int64_t run = og_span(x, axis, x->rank) * (int64_t)m.size, step = og_span(y, axis, y->rank) * (int64_t)m.size;
		move_axis(&m, og_span(x, 0, axis), step, run);
		move_axis(&m, run / (int64_t)m.size, (int64_t)m.size, (int64_t)m.size);
		move_run(c, &m);
		to += run;
	}
	return OG_OK;
}
#endif

OP(concat, .name = "Concat", .since = 4, .doc = "The inputs one after the other along an axis.",
   .inputs = "inputs:T...", .outputs = "concat_result:T",
   ATTRS({ .name = "axis", .type = OG_ATTR_INT, .required = 1 }),
   .flags = OG_SHARED_BITS, .shape = concat_shape, .eval = concat_eval)
