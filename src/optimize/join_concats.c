/* join_concats.c -- of two joins along the same axis, one inside the other, one is enough:
 *
 *   Concat(a, Concat(b, c), d)  ->  Concat(a, b, c, d)
 *
 * when nobody else reads the inner one: its elements are then moved once. */
#include "optimize/edit.h"

enum { MOST = 256 };                     /* inputs of a Concat that is made here */

static int axis_of(const graph_node *n)
{
	const graph_attr *a = graph_attr_find(n, "axis");
	return a && n->out[0]->rank > 0 ? og_axis(a->i, n->out[0]->rank) : -1;
}

/* The Concat that makes input k and can go. */
static graph_node *inner_of(const graph_node *n, int k)
{
	graph_node *inner = n->in[k] ? n->in[k]->producer : NULL;
	bool own = edit_is(inner, "Concat") && edit_private(n->in[k], n) && n->in[k]->n_uses == 1;
	return own && axis_of(inner) >= 0 && axis_of(inner) == axis_of(n) ? inner : NULL;
}

static og_status join(graph_node *n)
{
	graph_value *in[MOST];
	graph_node *gone[MOST];
	int n_in = 0, n_gone = 0;
	for (int k = 0; k < n->n_in; k++) {
		graph_node *inner = inner_of(n, k);
		int more = inner ? inner->n_in : 1;
		if (more > MOST - n_in) return OG_OK;
		memcpy(in + n_in, inner ? inner->in : &n->in[k], (size_t)more * sizeof *in);
		n_in += more;
		if (inner) gone[n_gone++] = inner;
	}
	for (int k = 0; n_gone && k < n_in; k++) TRY(graph_set_input(n, k, in[k]));
	while (n_gone > 0) edit_remove(gone[--n_gone]);
	return OG_OK;
}

og_status optimize_join_concats(og_model *m, const optimize_options *o)
{
	(void)o;
	for (graph_node *n = m->main->first; n; n = n->next)
		if (edit_is(n, "Concat")) TRY(join(n));
	return OG_OK;
}
