#include "ops/dims.h"
#include "ops/move.h"

#if OP_BASE
/* Sizes come from `split` (an attribute, from 13 on an input); without it the parts are equal, and from 18 on the
 * last one may be smaller. */
static og_status split_shape(og_infer *c)
{
	const og_shape *x = &c->in[0];
	list sizes = c->op->since >= 13 ? list_of_input(c, 1) : list_of_attr(&c->attr[1]);
	int64_t rest, part;
	int axis;
	if (x->rank < 0) return OG_OK;
	OP_TRY(dims_axis(c, &axis, c->attr[0].i, x->rank));
	for (int k = 0; k < c->n_out; k++) {
		dims_copy(&c->out[k], x);
		c->out[k].dims[axis] = dims_unknown(c);
	}
	if (sizes.n == LIST_UNKNOWN) return OG_OK;
	if (sizes.n >= 0 && sizes.n != c->n_out)
		return c->host->fail(OG_BAD_FILE, "Split lists %lld sizes for %d outputs", (long long)sizes.n, c->n_out);
	if (c->op->since >= 18 && c->attr[1].present && c->attr[1].i != c->n_out)
		return c->host->fail(OG_BAD_FILE, "Split has num_outputs %lld, but %d outputs", (long long)c->attr[1].i,
		                     c->n_out);
	rest = x->dims[axis];
	if (rest < 0 && sizes.n < 0) return OG_OK;
	if (c->op->since < 18 && sizes.n < 0 && rest % c->n_out != 0)
		return c->host->fail(OG_BAD_FILE, "Split can't make %d equal parts of %lld", c->n_out, (long long)rest);
	part = rest / c->n_out + (rest % c->n_out != 0);
	for (int k = 0; k < c->n_out; k++) {
		int64_t n = sizes.n >= 0 ? list_at(&sizes, k) : part < rest ? part : rest;
		if (n < 0 || (x->dims[axis] >= 0 && n > rest))
			return c->host->fail(OG_BAD_FILE, "Split's parts do not add up to dimension %d, which has %lld", axis,
			                     (long long)x->dims[axis]);
		c->out[k].dims[axis] = n;
		rest -= n;
	}
	if (x->dims[axis] >= 0 && rest != 0)
		return c->host->fail(OG_BAD_FILE, "Split's parts leave %lld of dimension %d over", (long long)rest, axis);
	return OG_OK;
}

static og_status split_eval(const og_call *c)
{
	const og_tensor *x = c->in[0];
	int axis = og_axis(c->attr[0].i, x->rank);
	list sizes = c->op->since >= 13 ? list_of_tensor(move_in(c, 1)) : list_of_attr(&c->attr[1]);
	int64_t rest = x->dims[axis], part = rest / c->n_out + (rest % c->n_out != 0);
	const char *from = (const char *)x->data;
	size_t size;
	OP_TRY(move_size(c, x, &size));
	int64_t element = (int64_t)size, inner = og_span(x, axis + 1, x->rank) * element;
	for (int k = 0; k < c->n_out; k++) {
		int64_t n = sizes.n >= 0 ? list_at(&sizes, k) : part < rest ? part : rest;
		if (c->out[k]) {
			move m = { .to = (char *)c->out[k]->data, .from = from, .size = size };
			move_axis(&m, og_span(x, 0, axis), n * inner, x->dims[axis] * inner);
			move_axis(&m, n * inner / element, element, element);
			move_run(c, &m);
		}
		from += n * inner;
		rest -= n;
	}
	return OG_OK;
}
#endif

OP(split_2, .name = "Split", .since = 2, .doc = "Cuts the input into parts along an axis.", .inputs = "input:T",
   .outputs = "outputs:T...", ATTRS(OG_INT("axis", 0), OG_INTS("split")), .flags = OG_SHARED_BITS,
   .shape = split_shape, .eval = split_eval)
OP(split_13, .name = "Split", .since = 13, .doc = "Cuts the input into parts along an axis.",
   .inputs = "input:T, split:i64?!", .outputs = "outputs:T...", ATTRS(OG_INT("axis", 0)), .flags = OG_SHARED_BITS,
   .shape = split_shape, .eval = split_eval)
OP(split_18, .name = "Split", .since = 18, .doc = "Cuts the input into parts along an axis.",
   .inputs = "input:T, split:i64?!", .outputs = "outputs:T...", ATTRS(OG_INT("axis", 0), OG_INT("num_outputs", 0)),
   .flags = OG_SHARED_BITS, .shape = split_shape, .eval = split_eval)
