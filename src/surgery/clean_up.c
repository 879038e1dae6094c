/* clean_up.c -- what nobody needs goes: nodes, values, functions. */
#include "surgery/surgery.h"

/* ---- nodes and values ---------------------------------------------------------------------------- */

/* Nodes found to be needed, whose inputs are still to be followed. */
typedef struct needed { graph *g; graph_node **stack; size_t n; } needed;

static void need(needed *s, const graph_value *v)
{
	graph_node *n = v ? v->producer : NULL;
	if (!n || v->owner != s->g || n->mark) return;
	n->mark = n;
	s->stack[s->n++] = n;
}

/* What a node reads in the graph, in its bodies too. */
static void need_inputs(needed *s, const graph_node *n)
{
	for (int k = 0; k < n->n_in; k++) need(s, n->in[k]);
	for (int i = 0; i < n->n_attrs; i++) {
		const graph *body = n->attrs[i].g;
		for (const graph_node *inner = body ? body->first : NULL; inner; inner = inner->next) need_inputs(s, inner);
	}
}

static void remove_values(graph *g)
{
	for (graph_value *v = g->first_value, *next; v; v = next) {
		next = v->next;
		if (!v->producer && !v->n_uses && !v->is_input && !v->is_output) graph_value_remove(v);
	}
}

/* Bodies first: what is dead in them needs nothing around them. */
static og_status clean_graph(graph *g)
{
	needed s = { .g = g };
	for (graph_node *n = g->first; n; n = n->next) {
		n->mark = NULL;
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g) TRY(clean_graph(n->attrs[i].g));
	}
	s.stack = base_new(g->n_nodes + 1, sizeof(graph_node *));
	NEED(s.stack);
	for (int i = 0; i < g->n_outputs; i++) need(&s, g->outputs[i]);
	while (s.n) need_inputs(&s, s.stack[--s.n]);
	base_free(s.stack);
	for (graph_node *n = g->last, *prev; n; n = prev) {
		prev = n->prev;
		if (!n->mark) graph_node_remove(n);
	}
	remove_values(g);
	return OG_OK;
}

/* ---- functions ------------------------------------------------------------------------------------ */

typedef struct called {
	arena *a;
	map by_name;                         /* functions of the model that no call was found of yet */
	const graph **stack; size_t n;       /* graphs that are looked through for calls */
} called;

static const char *key_of(called *c, const char *domain, const char *name)
{
	return arena_printf(c->a, "%s::%s", strcmp(domain, "ai.onnx") ? domain : "", name);
}

static og_status find_calls(called *c, const graph *g)
{
	for (const graph_node *n = g->first; n; n = n->next) {
		const char *key = key_of(c, n->domain, n->type);
		NEED(key);
		const graph_function *f = map_get(&c->by_name, key);
		if (f) {
			c->stack[c->n++] = f->body;
			map_put(&c->by_name, key, NULL);
		}
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g) TRY(find_calls(c, n->attrs[i].g));
	}
	return OG_OK;
}

static og_status find_unused(called *c, og_model *m)
{
	NEED(c->stack = base_new((size_t)m->n_functions + 1, sizeof(graph *)));
	for (int i = 0; i < m->n_functions; i++) {
		const char *key = key_of(c, m->functions[i].domain, m->functions[i].name);
		NEED(key);
		TRY(map_put(&c->by_name, key, &m->functions[i]));
	}
	c->stack[c->n++] = m->main;
	while (c->n) TRY(find_calls(c, c->stack[--c->n]));
	return OG_OK;
}

static og_status remove_functions(og_model *m)
{
	called c = { .a = arena_create() };
	NEED(c.a);
	og_status status = find_unused(&c, m);
	int kept = 0, n = m->n_functions;
	for (int i = 0; status == OG_OK && i < n; i++) {
		const char *key = key_of(&c, m->functions[i].domain, m->functions[i].name);
		bool unused = key && map_get(&c.by_name, key) == &m->functions[i];
		if (unused) graph_clear(m->functions[i].body);
		else m->functions[kept++] = m->functions[i];
	}
	if (status == OG_OK && kept < n) {
		m->n_functions = kept;
		graph_touch(m->main);
	}
	map_free(&c.by_name);
	base_free(c.stack);
	arena_destroy(c.a);
	return status;
}

og_status surgery_clean_up(og_model *m)
{
	TRY(clean_graph(m->main));
	for (int i = 0; i < m->n_functions; i++) TRY(clean_graph(m->functions[i].body));
	return m->n_functions ? remove_functions(m) : OG_OK;
}
