/* graph.c -- building and changing graphs: values, nodes, and the uses that tie them, kept right in both directions. */
#include "graph/graph.h"

#include <assert.h>
#include <limits.h>

graph *graph_create(og_model *m, graph *parent, const char *name)
{
	graph *g = arena_alloc(m->a, sizeof *g);
	char *own_name = g ? arena_strdup(m->a, name ? name : "") : NULL;

	if (!own_name) {
		base_no_memory();
		return NULL;
	}
	g->model = m;
	g->parent = parent;
	g->name = own_name;
	g->next_made = m->made;
	m->made = g;
	return g;
}

/* The function whose body g is; NULL. */
static graph_function *function_of(const graph *g)
{
	const og_model *m = g->model;
	for (int i = 0; i < m->n_functions; i++)
		if (m->functions[i].body == g) return &m->functions[i];
	return NULL;
}

void graph_touch(graph *g)
{
	static const graph_bytes none;

	g->model->source = none;
	for (; g; g = g->parent) {
		g->source = none;
		if (g->holder) {
			g->holder->source = none;
			for (int i = 0; i < g->holder->n_attrs; i++)
				if (g->holder->attrs[i].g == g) g->holder->attrs[i].source = none;
		} else if (!g->parent && g != g->model->main) {
			graph_function *f = function_of(g);
			if (f) f->source = none;
		}
	}
}

static void touch_node(graph_node *n)
{
	n->source = (graph_bytes){ 0 };
	graph_touch(n->owner);
}

/* Makes room for one more pointer in a list of the graph. */
static og_status list_room(graph *g, graph_value ***list, int n, size_t *capacity)
{
	if (n == INT_MAX) return base_fail(OG_USAGE, "graph '%s' has too many inputs or outputs", g->name);
	graph_value **grown = arena_grow(g->model->a, *list, (size_t)n, capacity, (size_t)n + 1, sizeof *grown);
	NEED(grown);
	*list = grown;
	return OG_OK;
}

/* ---- values --------------------------------------------------------------------------------- */

static bool name_used(const og_model *m, const char *name)
{
	for (const graph *g = m->made; g; g = g->next_made)
		if (map_get(&g->by_name, name)) return true;
	return false;
}

char *graph_fresh_name(graph *g, const char *stem)
{
	og_model *m = g->model;
	char *name;

	if (!stem || !*stem) stem = "v";
	do {
		name = arena_printf(m->a, "%s_%u", stem, m->next_name++);
	} while (name && name_used(m, name));
	if (!name) base_no_memory();
	return name;
}

og_status graph_value_add(graph_value **out, graph *g, const char *name, og_dtype dtype, int rank, const og_dim *dims)
{
	*out = NULL;
	assert(rank <= OG_MAX_RANK);
	if (name && !*name) return base_fail(OG_USAGE, "a value of graph '%s' has an empty name; give it one", g->name);
	if (name && map_get(&g->by_name, name))
		return base_fail(OG_USAGE, "value '%s' is there already in graph '%s'; give the second another name",
		                 name, g->name);
	char *own_name = name ? arena_strdup(g->model->a, name) : graph_fresh_name(g, NULL);
	graph_value *v = own_name ? arena_alloc(g->model->a, sizeof *v) : NULL;
	NEED(v);
	TRY(map_put(&g->by_name, own_name, v));
	v->name = own_name;
	v->owner = g;
	v->dtype = dtype;
	v->rank = rank < 0 ? -1 : rank;
	for (int i = 0; i < rank; i++) v->dims[i] = dims[i];
	v->prev = g->last_value;
	if (g->last_value) g->last_value->next = v; else g->first_value = v;
	g->last_value = v;
	*out = v;
	return OG_OK;
}

graph_value *graph_value_find(const graph *g, const char *name) { return map_get(&g->by_name, name); }

graph_value *graph_value_lookup(const graph *g, const char *name)
{
	graph_value *v = NULL;
	while (g && !(v = map_get(&g->by_name, name))) g = g->parent;
	return v;
}

/* All that spells the value's name no longer equals its bytes. */
static void touch_name(graph_value *v)
{
	v->source = v->info = (graph_bytes){ 0 };
	if (v->producer) v->producer->source = (graph_bytes){ 0 };
	for (size_t i = 0; i < v->n_uses; i++) touch_node(v->uses[i].node);
	graph_touch(v->owner);
}

og_status graph_value_rename(graph_value *v, const char *name)
{
	graph *g = v->owner;

	if (!strcmp(v->name, name)) return OG_OK;
	if (!*name) return base_fail(OG_USAGE, "value '%s' cannot have an empty name; give it another", v->name);
	if (map_get(&g->by_name, name))
		return base_fail(OG_USAGE, "value '%s' cannot become '%s': graph '%s' has a value of that name; take another",
		                 v->name, name, g->name);
	char *own_name = arena_strdup(g->model->a, name);
	NEED(own_name);
	TRY(map_put(&g->by_name, own_name, v));
	map_put(&g->by_name, v->name, NULL);
	v->name = own_name;
	touch_name(v);
	return OG_OK;
}

void graph_value_remove(graph_value *v)
{
	graph *g = v->owner;

	assert(!v->producer && !v->n_uses && !v->is_output);
	if (v->is_input) {
		int k = 0;
		while (g->inputs[k] != v) k++;
		graph_input_remove(g, k);
	}
	map_put(&g->by_name, v->name, NULL);
	if (v->prev) v->prev->next = v->next; else g->first_value = v->next;
	if (v->next) v->next->prev = v->prev; else g->last_value = v->prev;
	v->owner = NULL;
	graph_touch(g);
}

og_status graph_constant_add(graph_value **out, graph *g, const char *name, const og_tensor *t)
{
	TRY(graph_value_add(out, g, name, t->dtype, t->rank, t->dims));
	og_status status = graph_constant_set(*out, t);
	if (status != OG_OK) {
		graph_value_remove(*out);
		*out = NULL;
	}
	return status;
}

og_status graph_constant_set(graph_value *v, const og_tensor *t)
{
	og_tensor *own = arena_alloc(v->owner->model->a, sizeof *own);

	NEED(own);
	*own = *t;
	if (v->producer) graph_set_output(v->producer, v->output, NULL);
	v->constant = own;
	v->dtype = t->dtype;
	v->rank = t->rank;
	for (int i = 0; i < t->rank; i++) v->dims[i] = t->dims[i];
	v->source = (graph_bytes){ 0 };
	graph_touch(v->owner);
	return OG_OK;
}

og_status graph_input_add(graph *g, graph_value *v)
{
	assert(v->owner == g);
	if (v->is_input || v->producer)
		return base_fail(OG_USAGE, "value '%s' cannot be an input of graph '%s': it %s", v->name, g->name,
		                 v->is_input ? "is one already" : "is computed there");
	TRY(list_room(g, &g->inputs, g->n_inputs, &g->cap_inputs));
	g->inputs[g->n_inputs++] = v;
	v->is_input = true;
	graph_touch(g);
	return OG_OK;
}

og_status graph_output_add(graph *g, graph_value *v)
{
	assert(v->owner == g);
	TRY(list_room(g, &g->outputs, g->n_outputs, &g->cap_outputs));
	g->outputs[g->n_outputs++] = v;
	v->is_output = true;
	graph_touch(g);
	return OG_OK;
}

static int output_count(const graph *g, const graph_value *v)
{
	int n = 0;
	for (int i = 0; i < g->n_outputs; i++) n += g->outputs[i] == v;
	return n;
}

void graph_input_remove(graph *g, int k)
{
	g->inputs[k]->is_input = false;
	g->n_inputs--;
	for (; k < g->n_inputs; k++) g->inputs[k] = g->inputs[k + 1];
	graph_touch(g);
}

void graph_output_remove(graph *g, int k)
{
	graph_value *v = g->outputs[k];
	g->n_outputs--;
	for (; k < g->n_outputs; k++) g->outputs[k] = g->outputs[k + 1];
	v->is_output = output_count(g, v) > 0;
	graph_touch(g);
}

og_status graph_output_set(graph *g, int k, graph_value *v)
{
	graph_value *old = g->outputs[k];
	graph_bytes info = old->info;

	assert(v->owner == g);
	if (old == v) return OG_OK;
	if (v->is_input || v->is_output || old->is_input || output_count(g, old) > 1)
		return base_fail(OG_USAGE, "output '%s' of graph '%s' cannot become value '%s': both names must stay; "
		                 "put an Identity between", old->name, g->name, v->name);
	const char *name = old->name;
	TRY(map_put(&g->by_name, name, v));          /* the table has room for both keys now */
	map_put(&g->by_name, v->name, old);
	old->name = v->name;
	v->name = name;
	g->outputs[k] = v;
	old->is_output = false;
	v->is_output = true;
	touch_name(old);
	touch_name(v);
	/* What the file says of the output called `name` is still true when the type is. */
	if (v->dtype == old->dtype && v->rank == old->rank &&
	    (v->rank <= 0 || !memcmp(v->dims, old->dims, (size_t)v->rank * sizeof v->dims[0]))) v->info = info;
	return OG_OK;
}

/* ---- uses ----------------------------------------------------------------------------------- */

static og_status use_room(graph_value *v, size_t more)
{
	arena *a = v->owner->model->a;
	graph_use *grown = arena_grow(a, v->uses, v->n_uses, &v->cap_uses, v->n_uses + more, sizeof *grown);
	NEED(grown);
	v->uses = grown;
	return OG_OK;
}

/* There must be room. */
static void use_add(graph_node *n, int k, graph_value *v)
{
	n->in[k] = v;
	n->slots[k] = v->n_uses;
	v->uses[v->n_uses++] = (graph_use){ .node = n, .input = k };
}

static void use_drop(graph_node *n, int k)
{
	graph_value *v = n->in[k];

	if (!v) return;
	graph_use last = v->uses[--v->n_uses];
	v->uses[n->slots[k]] = last;
	last.node->slots[last.input] = n->slots[k];
	n->in[k] = NULL;
}

/* Makes n->in at least `count` long. */
static og_status input_room(graph_node *n, int count)
{
	arena *a = n->owner->model->a;
	size_t have = (size_t)n->n_in, need = (size_t)count;

	if (n->n_in >= count) return OG_OK;
	graph_value **in = arena_grow(a, n->in, have, &n->cap_in, need, sizeof *in);
	NEED(in);
	n->in = in;
	size_t *slots = arena_grow(a, n->slots, have, &n->cap_slots, need, sizeof *slots);
	NEED(slots);
	n->slots = slots;
	while (n->n_in < count) n->in[n->n_in++] = NULL;
	return OG_OK;
}

og_status graph_set_input(graph_node *n, int k, graph_value *v)
{
	assert(k >= 0 && k < INT_MAX);
	if (v) TRY(use_room(v, 1));
	TRY(input_room(n, k + 1));
	if (n->in[k] != v) {
		use_drop(n, k);
		if (v) use_add(n, k, v);
	}
	touch_node(n);
	return OG_OK;
}

og_status graph_set_output(graph_node *n, int k, graph_value *v)
{
	assert(k >= 0 && k < INT_MAX);
	assert(!v || (v->owner == n->owner && (!v->producer || v == n->out[k]) && !v->is_input && !v->constant));
	if (k >= n->n_out) {
		graph_value **out = arena_grow(n->owner->model->a, n->out, (size_t)n->n_out, &n->cap_out,
		                               (size_t)k + 1, sizeof *out);
		NEED(out);
		n->out = out;
		while (n->n_out <= k) n->out[n->n_out++] = NULL;
	}
	graph_value *old = n->out[k];
	if (old) {
		old->producer = NULL;
		old->output = 0;
	}
	n->out[k] = v;
	if (v) {
		v->producer = n;
		v->output = k;
	}
	touch_node(n);
	return OG_OK;
}

og_status graph_replace_uses(graph_value *of, graph_value *by)
{
	size_t kept = 0;

	if (of == by) return OG_OK;
	TRY(use_room(by, of->n_uses));
	for (size_t i = 0; i < of->n_uses; i++) {
		graph_use use = of->uses[i];
		if (use.node == by->producer) {
			use.node->slots[use.input] = kept;
			of->uses[kept++] = use;
		} else {
			use_add(use.node, use.input, by);
			touch_node(use.node);
		}
	}
	of->n_uses = kept;
	return OG_OK;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* Links a node in front of `before`; NULL: at the end. */
static void link_node(graph_node *n, graph_node *before)
{
	graph *g = n->owner;

	n->next = before;
	n->prev = before ? before->prev : g->last;
	if (n->prev) n->prev->next = n; else g->first = n;
	if (before) before->prev = n; else g->last = n;
	g->n_nodes++;
}

static void unlink_node(graph_node *n)
{
	graph *g = n->owner;

	if (n->prev) n->prev->next = n->next; else g->first = n->next;
	if (n->next) n->next->prev = n->prev; else g->last = n->prev;
	g->n_nodes--;
}

og_status graph_node_add(graph_node **out, graph *g, graph_node *before, const char *domain, const char *type,
                         const char *name, int n_in, int n_out)
{
	arena *a = g->model->a;
	graph_node *n = arena_alloc(a, sizeof *n);

	*out = NULL;
	assert(n_in >= 0 && n_out >= 0 && (!before || before->owner == g));
	NEED(n);
	n->name = arena_strdup(a, name ? name : "");
	n->type = n->name ? arena_strdup(a, type) : NULL;
	n->domain = n->type ? arena_strdup(a, domain ? domain : "") : NULL;
	n->in = n->domain ? arena_array(a, (size_t)n_in, sizeof(graph_value *)) : NULL;
	n->slots = n->in ? arena_array(a, (size_t)n_in, sizeof *n->slots) : NULL;
	n->out = n->slots ? arena_array(a, (size_t)n_out, sizeof(graph_value *)) : NULL;
	NEED(n->out);
	n->n_in = n_in;
	n->n_out = n_out;
	n->cap_in = n->cap_slots = (size_t)n_in;
	n->cap_out = (size_t)n_out;
	n->owner = g;
	link_node(n, before);
	graph_touch(g);
	*out = n;
	return OG_OK;
}

void graph_node_remove(graph_node *n)
{
	for (int i = 0; i < n->n_attrs; i++)
		if (n->attrs[i].g && n->attrs[i].g->holder == n) graph_clear(n->attrs[i].g);
	for (int k = 0; k < n->n_in; k++) use_drop(n, k);
	for (int k = 0; k < n->n_out; k++) {
		if (!n->out[k]) continue;
		n->out[k]->producer = NULL;
		n->out[k]->output = 0;
		n->out[k] = NULL;
	}
	unlink_node(n);
	touch_node(n);
	n->owner = NULL;
}

void graph_clear(graph *g)
{
	while (g->last) graph_node_remove(g->last);
}

void graph_node_move(graph_node *n, graph_node *before)
{
	assert(!before || before->owner == n->owner);
	if (n == before || n->next == before) return;
	unlink_node(n);
	link_node(n, before);
	graph_touch(n->owner);
}

const char *graph_node_label(const graph_node *n)
{
	if (n->name[0]) return n->name;
	for (int k = 0; k < n->n_out; k++)
		if (n->out[k]) return n->out[k]->name;
	return n->type;
}
