/* share_nodes.c -- two nodes with the same op, attributes and inputs compute the same: one is enough. */
#include "optimize/edit.h"

/* What a node computes, as text: equal texts mean equal results. False for nodes with attributes that have no short text. */
static bool signature(text *t, const graph_node *n)
{
	text_printf(t, "%s:%s:%d", n->domain, n->type, n->n_out);
	for (int i = 0; i < n->n_in; i++) text_printf(t, "|%p", (void *)n->in[i]);
	for (int i = 0; i < n->n_attrs; i++) {
		const graph_attr *a = &n->attrs[i];
		text_printf(t, "|%s=%d,%lld,%a,%zu:", a->name, a->type, (long long)a->i, (double)a->f, a->n);
		switch (a->type) {
		case OG_ATTR_INT: case OG_ATTR_FLOAT: break;
		case OG_ATTR_STRING: text_addn(t, a->s, a->n); break;
		case OG_ATTR_INTS: for (size_t k = 0; k < a->n; k++) text_printf(t, "%lld,", (long long)a->ints[k]); break;
		case OG_ATTR_FLOATS: for (size_t k = 0; k < a->n; k++) text_printf(t, "%a,", (double)a->floats[k]); break;
		default: return false;
		}
	}
	return true;
}

static og_status share(map *seen, arena *a, graph_node *n)
{
	text t = { 0 };
	bool plain = signature(&t, n);
	char *key = plain && !t.failed && t.data ? arena_strndup(a, t.data, t.length) : NULL;
	bool failed = plain && !key;
	text_free(&t);
	if (failed) return base_no_memory();
	if (!plain) return OG_OK;
	graph_node *first = map_get(seen, key);
	if (!first) return map_put(seen, key, n);
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i] && (n->out[i]->is_output || !first->out[i])) return OG_OK;
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i]) TRY(graph_replace_uses(n->out[i], first->out[i]));
	edit_remove(n);
	return OG_OK;
}

og_status optimize_share_nodes(og_model *m, const optimize_options *o)
{
	(void)o;
	map seen = { 0 };
	arena *a = arena_create();
	NEED(a);
	og_status status = OG_OK;
	for (graph_node *n = m->main->first, *next; n && status == OG_OK; n = next) {
		next = n->next;
		if (n->op && n->n_out) status = share(&seen, a, n);
	}
	map_free(&seen);
	arena_destroy(a);
	return status;
}
