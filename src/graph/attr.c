/* attr.c -- attributes of a node. Their payload is written once and never changed in place, so it can be shared. */
#include "graph/graph.h"

#include <assert.h>

graph_attr *graph_attr_find(const graph_node *n, const char *name)
{
	for (int i = 0; i < n->n_attrs; i++)
		if (!strcmp(n->attrs[i].name, name)) return &n->attrs[i];
	return NULL;
}

/* A body that its node no longer holds lets go of all it used. */
static void drop_body(graph_node *n, graph *g)
{
	if (!g || g->holder != n) return;
	graph_clear(g);
	g->holder = NULL;
}

og_status graph_attr_put(graph_node *n, const graph_attr *a)
{
	graph_attr *slot = graph_attr_find(n, a->name);

	if (!slot) {
		graph_attr *grown = arena_grow(n->owner->model->a, n->attrs, (size_t)n->n_attrs, &n->cap_attrs,
		                               (size_t)n->n_attrs + 1, sizeof *grown);
		NEED(grown);
		n->attrs = grown;
		slot = &n->attrs[n->n_attrs++];
	} else if (slot->g != a->g) {
		drop_body(n, slot->g);
	}
	*slot = *a;
	if (a->g) {
		a->g->holder = n;
		a->g->parent = n->owner;
	}
	n->source = (graph_bytes){ 0 };
	graph_touch(n->owner);
	return OG_OK;
}

void graph_attr_remove(graph_node *n, const char *name)
{
	graph_attr *a = graph_attr_find(n, name);

	if (!a) return;
	drop_body(n, a->g);
	n->n_attrs--;
	for (; a < n->attrs + n->n_attrs; a++) *a = a[1];
	n->source = (graph_bytes){ 0 };
	graph_touch(n->owner);
}

/* Puts a value under a name that is copied unless the node has it already. */
static og_status put(graph_node *n, const char *name, graph_attr a)
{
	const graph_attr *old = graph_attr_find(n, name);

	a.name = old ? old->name : arena_strdup(n->owner->model->a, name);
	NEED(a.name);
	return graph_attr_put(n, &a);
}

/* A copy of n elements; never NULL but when memory is short. */
static void *copy_list(arena *a, const void *list, size_t n, size_t size)
{
	void *copy = arena_array(a, n ? n : 1, size);
	if (copy && n) memcpy(copy, list, n * size);
	return copy;
}

static const char *const *copy_strings(arena *a, const char *const *list, size_t n)
{
	const char **copy = copy_list(a, list, n, sizeof *copy);
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = arena_strdup(a, list[i]);
		if (!copy[i]) return NULL;
	}
	return (const char *const *)copy;
}

og_status graph_attr_set_int(graph_node *n, const char *name, int64_t value)
{
	return put(n, name, (graph_attr){ .type = OG_ATTR_INT, .i = value });
}

og_status graph_attr_set_float(graph_node *n, const char *name, float value)
{
	return put(n, name, (graph_attr){ .type = OG_ATTR_FLOAT, .f = value });
}

og_status graph_attr_set_string(graph_node *n, const char *name, const char *s)
{
	graph_attr a = { .type = OG_ATTR_STRING, .s = arena_strdup(n->owner->model->a, s), .n = strlen(s) };
	NEED(a.s);
	return put(n, name, a);
}

og_status graph_attr_set_ints(graph_node *n, const char *name, const int64_t *list, size_t count)
{
	graph_attr a = { .type = OG_ATTR_INTS, .n = count };
	a.ints = copy_list(n->owner->model->a, list, count, sizeof *list);
	NEED(a.ints);
	return put(n, name, a);
}

og_status graph_attr_set_floats(graph_node *n, const char *name, const float *list, size_t count)
{
	graph_attr a = { .type = OG_ATTR_FLOATS, .n = count };
	a.floats = copy_list(n->owner->model->a, list, count, sizeof *list);
	NEED(a.floats);
	return put(n, name, a);
}

og_status graph_attr_set_strings(graph_node *n, const char *name, const char *const *list, size_t count)
{
	graph_attr a = { .type = OG_ATTR_STRINGS, .n = count };
	a.strings = copy_strings(n->owner->model->a, list, count);
	NEED(a.strings);
	return put(n, name, a);
}

og_status graph_attr_set_tensor(graph_node *n, const char *name, const og_tensor *t)
{
	og_tensor *own = copy_list(n->owner->model->a, t, 1, sizeof *t);
	NEED(own);
	return put(n, name, (graph_attr){ .type = OG_ATTR_TENSOR, .t = own });
}

og_status graph_attr_set_graph(graph_node *n, const char *name, graph *g)
{
	graph_node *from = g->holder;

	assert(g->model == n->owner->model);
	TRY(put(n, name, (graph_attr){ .type = OG_ATTR_GRAPH, .g = g }));
	for (int i = 0; from && i < from->n_attrs; i++) {
		if (from->attrs[i].g != g || (from == n && !strcmp(from->attrs[i].name, name))) continue;
		graph_attr_remove(from, from->attrs[i].name);
		break;
	}
	return OG_OK;
}
