/* remove_identity.c -- nodes that hand their input through. */
#include "optimize/edit.h"

static bool all_constant(const graph_value *v, double x)
{
	int64_t count;
	if (!v || !v->constant || !base_count(v->constant->dims, v->constant->rank, &count)) return false;
	for (int64_t i = 0; i < count; i++)
		if (graph_tensor_double(v->constant, i) != x) return false;
	return true;
}

static bool permutes_nothing(const graph_node *n)
{
	const graph_attr *perm = graph_attr_find(n, "perm");
	if (!perm) return n->in[0]->rank <= 1;
	for (size_t i = 0; i < perm->n; i++)
		if (perm->ints[i] != (int64_t)i) return false;
	return true;
}

/* The x of x * 1, 1 * x and x / 1. (x + 0 is another thing: it makes 0 of -0.) */
static graph_value *unchanged(const graph_node *n)
{
	bool product = edit_is(n, "Mul");
	if ((!product && !edit_is(n, "Div")) || n->n_in != 2) return NULL;
	for (int side = 0; side < 1 + product; side++) {
		graph_value *x = n->in[side];
		if (x && edit_same_type(x, n->out[0]) && all_constant(n->in[1 - side], 1)) return x;
	}
	return NULL;
}

static bool hands_through(const graph_node *n)
{
	if (!n->op || n->n_in < 1 || n->n_out < 1 || !n->in[0] || !n->out[0]) return false;
	for (int i = 1; i < n->n_out; i++)
		if (n->out[i]) return false;
	if (!edit_same_type(n->in[0], n->out[0])) return false;
	if (n->op->flags & OG_VIEW_OF_INPUT) return true;
	if (edit_is(n, "Cast") || edit_is(n, "CastLike") || edit_is(n, "Expand")) return true;
	if (edit_is(n, "Transpose")) return permutes_nothing(n);
	if (edit_is(n, "Pad")) return n->n_in > 1 && all_constant(n->in[1], 0);
	if (edit_is(n, "Tile")) return n->n_in > 1 && all_constant(n->in[1], 1);
	return (edit_is(n, "Concat") || edit_is(n, "Sum") || edit_is(n, "Mean") || edit_is(n, "Max") || edit_is(n, "Min")) && n->n_in == 1;
}

/* Of two reshapes in a row only the last matters, when its target is known without the first. */
static og_status skip_reshape(graph_node *n)
{
	if (!n->op || !(n->op->flags & OG_VIEW_OF_INPUT) || !edit_is(n, "Reshape") || !n->in[0]->producer) return OG_OK;
	const graph_node *before = n->in[0]->producer;
	if (!before->op || !(before->op->flags & OG_VIEW_OF_INPUT) || !before->in[0] || before->n_out > 1) return OG_OK;
	const graph_value *shape = n->n_in > 1 ? n->in[1] : NULL;
	if (!shape || !shape->constant) return OG_OK;
	for (int i = 0; i < n->out[0]->rank; i++)      /* a 0 in the target copies a dimension of the input */
		if (graph_tensor_int(shape->constant, i) == 0) return OG_OK;
	return graph_set_input(n, 0, before->in[0]);
}

og_status optimize_remove_identity(og_model *m, const optimize_options *o)
{
	(void)o;
	for (graph_node *n = m->main->first, *next; n; n = next) {
		bool done;
		next = n->next;
		graph_value *x = hands_through(n) ? n->in[0] : unchanged(n);
		if (x) TRY(edit_bypass(n, x, &done));
		else if (n->n_in && n->in[0]) TRY(skip_reshape(n));
	}
	return OG_OK;
}
