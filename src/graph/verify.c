/* verify.c -- checks every invariant that graph.h states. */
#include "graph/graph.h"

/* The sentence's start: which graph, and which node when it is about one. */
static og_status fault(const graph *g, const graph_node *n, const char *what, const char *name)
{
	static const char advice[] = "the graph is damaged or was changed wrongly";

	if (n)
		return base_fail(OG_BAD_FILE, "graph '%s', node '%s' (%s): %s '%s'; %s", g->name, n->name, n->type, what, name,
		                 advice);
	return base_fail(OG_BAD_FILE, "graph '%s': %s '%s'; %s", g->name, what, name, advice);
}

static bool type_is_legal(const og_model *m, const graph_value *v)
{
	if (v->dtype >= OG_DTYPE_COUNT || v->rank < -1 || v->rank > OG_MAX_RANK) return false;
	for (int i = 0; i < v->rank; i++)
		if (v->dims[i] < GRAPH_DIM_UNKNOWN && (!graph_dim_name(m, v->dims[i]) || !*graph_dim_name(m, v->dims[i])))
			return false;
	return true;
}

static bool constant_fits(const graph_value *v)
{
	const og_tensor *t = v->constant;
	int64_t count;

	if (t->dtype == OG_NONE || t->dtype != v->dtype || t->rank != v->rank) return false;
	for (int i = 0; i < t->rank; i++)
		if (t->dims[i] != v->dims[i]) return false;
	return base_count(t->dims, t->rank, &count);
}

/* The node of graph `g` that holds n, or is n; NULL when n is not inside g. */
static const graph_node *node_in(const graph *g, const graph_node *n)
{
	for (int depth = 0; n && n->owner != g; depth++) {
		if (!n->owner || depth > GRAPH_MAX_NESTING) return NULL;
		n = n->owner->holder;
	}
	return n;
}

static og_status check_value(const graph *g, const graph_value *v)
{
	if (!v->name || !*v->name) return fault(g, NULL, "a value has no name", "");
	if (v->owner != g) return fault(g, NULL, "this value says it belongs to another graph:", v->name);
	if (map_get(&g->by_name, v->name) != v)
		return fault(g, NULL, "two values are called, or none is found as,", v->name);
	if (!type_is_legal(g->model, v)) return fault(g, NULL, "the type makes no sense of value", v->name);
	if (v->constant && !constant_fits(v)) return fault(g, NULL, "type and data differ of constant", v->name);
	if (v->producer && (v->constant || v->is_input))
		return fault(g, v->producer, "it computes what is a constant or an input, value", v->name);
	if (v->producer && (v->producer->owner != g || v->output < 0 || v->output >= v->producer->n_out ||
	                    v->producer->out[v->output] != v))
		return fault(g, NULL, "the producer does not know value", v->name);
	if (!v->producer && !v->constant && !v->is_input && (v->n_uses || v->is_output))
		return fault(g, NULL, "no node makes value", v->name);
	for (size_t i = 0; i < v->n_uses; i++) {
		const graph_node *user = v->uses[i].node;
		int k = v->uses[i].input;
		if (!node_in(g, user)) return fault(g, NULL, "a node that is not in this graph uses value", v->name);
		if (k < 0 || k >= user->n_in || user->in[k] != v || user->slots[k] != i)
			return fault(g, user, "it does not know that it uses value", v->name);
	}
	return OG_OK;
}

static og_status check_values(const graph *g)
{
	size_t count = 0;
	const graph_value *prev = NULL;

	for (const graph_value *v = g->first_value; v; prev = v, v = v->next, count++) {
		if (v->prev != prev) return fault(g, NULL, "the list of values is broken at", v->name);
		TRY(check_value(g, v));
	}
	if (g->last_value != prev || g->by_name.count != count)
		return fault(g, NULL, "the list of values and the table of names differ in graph", g->name);
	return OG_OK;
}

/* Inputs and outputs: of this graph, flagged as such, inputs once. */
static og_status check_interface(const graph *g)
{
	int n_inputs = 0, n_outputs = 0, flagged = 0;

	for (const graph_value *v = g->first_value; v; v = v->next) n_inputs += v->is_input;
	for (int i = 0; i < g->n_inputs; i++)
		if (g->inputs[i]->owner != g || !g->inputs[i]->is_input)
			return fault(g, NULL, "not an input of this graph, but listed as one, is value", g->inputs[i]->name);
	if (n_inputs != g->n_inputs)
		return fault(g, NULL, "the inputs listed and the values flagged differ in graph", g->name);
	for (int i = 0; i < g->n_outputs; i++) {
		if (g->outputs[i]->owner != g || !g->outputs[i]->is_output)
			return fault(g, NULL, "not a value of this graph, but listed as output, is value", g->outputs[i]->name);
	}
	/* An output may be listed twice, so the flagged ones are counted by taking the listed ones' flags away. */
	for (const graph_value *v = g->first_value; v; v = v->next) n_outputs += v->is_output;
	for (int i = 0; i < g->n_outputs; i++) {
		flagged += g->outputs[i]->is_output;
		g->outputs[i]->is_output = false;
	}
	for (int i = 0; i < g->n_outputs; i++) g->outputs[i]->is_output = true;
	if (n_outputs != flagged)
		return fault(g, NULL, "the outputs listed and the values flagged differ in graph", g->name);
	return OG_OK;
}

static og_status check_input(const graph *g, const graph_node *n, int k)
{
	const graph_value *v = n->in[k];

	if (!v) return OG_OK;
	const graph_node *user = v->owner ? node_in(v->owner, n) : NULL;
	if (!user) return fault(g, n, "it uses a value of a graph that is not around it,", v->name);
	if (v->owner != g && graph_value_lookup(g, v->name) != v)
		return fault(g, n, "a value of the same name hides what it uses,", v->name);
	if (n->slots[k] >= v->n_uses || v->uses[n->slots[k]].node != n || v->uses[n->slots[k]].input != k)
		return fault(g, n, "the value does not know this use of", v->name);
	if (v->producer && v->producer->order >= user->order)
		return fault(g, n, "it stands before the node that makes its input", v->name);
	return OG_OK;
}

static og_status check_graph(const og_model *m, const graph *g, int depth);

static og_status check_attrs(const graph *g, const graph_node *n, int depth)
{
	for (int i = 0; i < n->n_attrs; i++) {
		const graph_attr *a = &n->attrs[i];
		if (graph_attr_find(n, a->name) != a) return fault(g, n, "it has twice the attribute", a->name);
		bool empty = (a->type == OG_ATTR_GRAPH && !a->g) || (a->type == OG_ATTR_TENSOR && !a->t) ||
		             (a->type == OG_ATTR_STRING && !a->s);
		if (empty && !a->ref) return fault(g, n, "nothing is in attribute", a->name);
		if (!a->g) continue;
		if (a->g->holder != n || a->g->parent != g)
			return fault(g, n, "another node holds the body of attribute", a->name);
		TRY(check_graph(g->model, a->g, depth + 1));
	}
	return OG_OK;
}

static og_status check_node(const graph *g, const graph_node *n, int depth)
{
	if (!n->name || !n->type || !n->domain)
		return fault(g, NULL, "a node lacks a name, type or domain in graph", g->name);
	for (int k = 0; k < n->n_in; k++) TRY(check_input(g, n, k));
	for (int k = 0; k < n->n_out; k++) {
		const graph_value *v = n->out[k];
		if (v && (v->owner != g || v->producer != n || v->output != k))
			return fault(g, n, "the value does not know that it is made here,", v->name);
	}
	return check_attrs(g, n, depth);
}

static og_status check_graph(const og_model *m, const graph *g, int depth)
{
	size_t count = 0;
	const graph_node *prev = NULL;

	if (depth > GRAPH_MAX_NESTING)
		return base_fail(OG_BAD_FILE, "graph '%s' is nested more than %d deep; flatten it", g->name, GRAPH_MAX_NESTING);
	if (g->model != m) return fault(g, NULL, "it belongs to another model, graph", g->name);
	for (graph_node *n = g->first; n; prev = n, n = n->next) {
		if (n->prev != prev || n->owner != g) return fault(g, NULL, "the list of nodes is broken at node", n->name);
		n->order = count++;
	}
	if (g->last != prev || g->n_nodes != count) return fault(g, NULL, "the count of nodes is wrong of graph", g->name);
	TRY(check_values(g));
	TRY(check_interface(g));
	for (const graph_node *n = g->first; n; n = n->next) TRY(check_node(g, n, depth));
	return OG_OK;
}

og_status graph_verify(const og_model *m)
{
	if (m->main->parent || m->main->holder)
		return fault(m->main, NULL, "another graph holds the main graph", m->main->name);
	TRY(check_graph(m, m->main, 0));
	for (int i = 0; i < m->n_functions; i++) {
		const graph_function *f = &m->functions[i];
		if (f->body->parent || f->body->holder)
			return fault(f->body, NULL, "another graph holds the body of function", f->name);
		TRY(check_graph(m, f->body, 0));
	}
	return OG_OK;
}
