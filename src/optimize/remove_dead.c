/* remove_dead.c -- nodes whose results nobody uses, and constants that nobody reads. */
#include "optimize/edit.h"

static bool dead(const graph_node *n)
{
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i] && (n->out[i]->n_uses || n->out[i]->is_output)) return false;
	return true;
}

og_status optimize_remove_dead(og_model *m, const optimize_options *o)
{
	(void)o;
	for (graph_node *n = m->main->last, *prev; n; n = prev) {
		prev = n->prev;
		if (dead(n)) edit_remove(n);
	}
	for (graph_value *v = m->main->first_value, *next; v; v = next) {
		next = v->next;
		if (!v->n_uses && !v->producer && !v->is_input && !v->is_output) graph_value_remove(v);
	}
	return OG_OK;
}
