/* convert_control.c -- branches, loops, and the lists of tensors that loops fill and read.
 *
 * A list is one tensor, its elements behind each other along the first dimension. How large an element is may turn out when the first is
 * put in: until then the dimensions that are not known are 1, from which they are broadcast. */
#include "tf/convert.h"

/* ---- bodies ---- */

/* Makes a value an output of a body, which has to make each of its outputs itself. */
static void body_output(convert *c, graph *body, graph_value *v)
{
	graph *outer = c->g;
	c->g = body;
	if (c->status == OG_OK && (v->owner != body || !v->producer || v->is_output)) v = MAKE("Identity", v);
	if (c->status == OG_OK) convert_failed(c, graph_output_add(body, v));
	c->g = outer;
}

static graph *body_of(convert *c, int k)
{
	graph *body = c->status == OG_OK ? convert_scope(c, c->node->inner + k) : NULL;
	if (!body) convert_failed(c, base_no_memory());
	return body;
}

/* A value is one of these two: what both types have in common is known of it. */
static void either(graph_value *v, const graph_value *a, const graph_value *b)
{
	if (v->rank >= 0 || a->rank < 0 || a->rank != b->rank) return;
	v->rank = a->rank;
	for (int d = 0; d < v->rank; d++) v->dims[d] = a->dims[d] == b->dims[d] ? a->dims[d] : GRAPH_DIM_UNKNOWN;
}

/* Ends the open node of n outputs, each of them the one or the other. */
static graph_value *done(convert *c, int n, graph_value *const *one, graph_value *const *other)
{
	graph_value *out[CONVERT_MAX_LIST];
	convert_done_all(c, out, n);
	for (int k = 0; k < n && c->status == OG_OK; k++) either(out[k], one[k], other[k]);
	for (int k = 1; k < n; k++) convert_output(c, k, out[k]);
	return out[0];
}

static bool fits(convert *c, int n)
{
	if (n < 1 || n > CONVERT_MAX_LIST - 2) convert_refuse(c, "it has %d outputs; 1 to %d can be taken", n, CONVERT_MAX_LIST - 2);
	return c->status == OG_OK;
}

static graph_value *branch(convert *c)
{
	static const char *const keys[] = { "then_branch", "else_branch" };
	int n = (c->node->n_in - 1) / 2;
	graph *body[2] = { body_of(c, 0), body_of(c, 1) };
	graph_value *condition = convert_cast(c, convert_in(c, 0), OG_BOOL);
	if (!fits(c, n)) return c->none;
	for (int k = 0; k < 2 * n; k++) body_output(c, body[k / n], convert_in(c, 1 + k));
	BEGIN("If", condition);
	for (int k = 0; k < 2; k++)
		if (c->status == OG_OK) convert_failed(c, graph_attr_set_graph(c->begun, keys[k], body[k]));
	return c->status == OG_OK ? done(c, n, body[0]->outputs, body[1]->outputs) : c->none;
}

static graph_value *body_input(convert *c, const char *name, og_dtype dtype, int rank, const og_dim *dims)
{
	graph_value *v = NULL;
	char *own = arena_printf(c->m->a, "%s:%s", c->node->name, name);
	if (!own) convert_failed(c, base_no_memory());
	if (c->status == OG_OK) convert_failed(c, graph_value_add(&v, c->g, own, dtype, rank, dims));
	if (c->status == OG_OK) convert_failed(c, graph_input_add(c->g, v));
	return c->status == OG_OK ? v : c->none;
}

/* A loop's body reads the number of the round and the condition before its variables. Of a variable it is known what the file says. */
graph_value *convert_loop_variable(convert *c)
{
	const tf_shape *said = NULL;
	const graph_value *first = convert_in(c, 0);
	og_dim dims[OG_MAX_RANK];
	convert_failed(c, tf_shape_of(c->node, "shape", &said));
	if (c->status != OG_OK) return c->none;
	if (!c->g->n_inputs) {
		body_input(c, "round", OG_I64, 0, NULL);
		body_input(c, "on", OG_BOOL, 0, NULL);
	}
	int rank = said ? said->rank : first->rank;
	for (int d = 0; d < rank; d++) {
		dims[d] = said ? said->dims[d] : first->dims[d];
		if (dims[d] < 0 || (!said && d > 0 && dims[d] == 1)) dims[d] = GRAPH_DIM_UNKNOWN;
	}
	return body_input(c, "value", first->dtype, rank, dims);
}

static graph_value *loop(convert *c)
{
	int n = (c->node->n_in - 2) / 3;
	graph *body = body_of(c, 0);
	graph_value *in[CONVERT_MAX_LIST] = { NULL };
	if (!fits(c, n)) return c->none;
	for (int k = 0; k <= n; k++) in[1 + k] = convert_in(c, k);
	in[1] = convert_cast(c, in[1], OG_BOOL);
	for (int k = 0; k <= n; k++) {
		graph_value *v = convert_in(c, 1 + 2 * n + k);
		graph *outer = c->g;
		c->g = body;
		if (k == 0) v = convert_cast(c, v, OG_BOOL);
		c->g = outer;
		body_output(c, body, v);
	}
	convert_begin(c, "Loop", in, n + 2);
	if (c->status == OG_OK) convert_failed(c, graph_attr_set_graph(c->begun, "body", body));
	return c->status == OG_OK ? done(c, n, in + 2, body->outputs + 1) : c->none;
}

/* ---- lists ---- */

static graph_value *list_reserve(convert *c)
{
	const graph_value *element = convert_in(c, 0);
	og_dtype dtype = convert_type(c, "element_dtype", OG_F32);
	int64_t dims[CONVERT_MAX_LIST];
	graph_value *count = convert_reshape_to(c, convert_cast(c, convert_in(c, 1), OG_I64), &(og_dim){ 1 }, 1);
	if (c->status != OG_OK) return c->none;
	if (!element->constant || element->rank != 1 || element->dims[0] >= OG_MAX_RANK)
		return convert_refuse(c, "how many dimensions its elements have is not known");
	int n = (int)element->dims[0];
	for (int k = 0; k < n; k++) {
		dims[k] = graph_tensor_int(element->constant, k);
		if (dims[k] < 0) dims[k] = 1;
	}
	graph_value *sizes = n ? convert_concat(c, (graph_value *[]){ count, convert_list(c, dims, n) }, 2, 0) : count;
	return MAKE("Expand", convert_number(c, dtype, 0), sizes);
}

static graph_value *list_itself(convert *c) { return convert_in(c, 0); }

static graph_value *list_get(convert *c) { return MAKE("Gather", convert_in(c, 0), convert_in(c, 1)); }

/* Are the elements known to be as large as x? */
static bool holds(const graph_value *list, const graph_value *x)
{
	if (list->rank < 1 || list->rank != x->rank + 1) return false;
	for (int d = 0; d < x->rank; d++)
		if (x->dims[d] < 0 || list->dims[d + 1] != x->dims[d]) return false;
	return true;
}

static graph_value *list_set(convert *c)
{
	graph_value *list = convert_in(c, 0), *at = convert_cast(c, convert_in(c, 1), OG_I64), *x = convert_in(c, 2);
	if (c->status != OG_OK) return c->none;
	if (!holds(list, x)) {
		graph_value *count = convert_slice(c, convert_shape(c, list), 0, 0, 1);
		list = MAKE("Expand", list, convert_concat(c, (graph_value *[]){ count, convert_shape(c, x) }, 2, 0));
	}
	return MAKE("ScatterND", list, convert_reshape_to(c, at, (og_dim[]){ 1, 1 }, 2), convert_unsqueeze(c, x, 0));
}

static graph_value *list_length(convert *c)
{
	return convert_cast(c, convert_squeeze(c, convert_slice(c, convert_shape(c, convert_in(c, 0)), 0, 0, 1), 0), OG_I32);
}

const convert_op convert_control_ops[] = {
	{ "If", .build = branch }, { "StatelessIf", .build = branch }, { "StatelessWhile", .build = loop },
	{ "TensorListFromTensor", .build = list_itself }, { "TensorListGetItem", .build = list_get }, { "TensorListLength", .build = list_length },
	{ "TensorListReserve", .build = list_reserve }, { "TensorListSetItem", .build = list_set },
	{ "TensorListStack", .build = list_itself }, { "While", .build = loop }, { .type = NULL },
};
