/* replace.c -- doing an edit: all is checked first, then nodes come, outputs change hands, nodes go. */
#include "schema/schema.h"
#include "surgery/edits.h"

/* ---- places ---------------------------------------------------------------------------------- */

/* Room between neighbours, so that nodes can come between them without all being numbered anew. */
enum { ORDER_GAP = 1 << 20 };

static void number(graph *g)
{
	size_t order = 0;
	for (graph_node *n = g->first; n; n = n->next) n->order = order += ORDER_GAP;
}

/* Places as they are listed; paths that are given are keys, so that none leads to two graphs. */
typedef struct lister { replace_places *p; arena *a; map given; } lister;

static og_status add_place(lister *l, graph *g, const char *path, int function);

/* Node and attribute that hold a body; by the node's output where its name leads to another body already. */
static const char *body_path(const lister *l, const char *around, const graph_node *n, const graph_attr *attr)
{
	const char *between = around[0] ? "/" : "", *path = arena_printf(l->a, "%s%s%s.%s", around, between, graph_node_label(n), attr->name);
	if (!path || !map_get(&l->given, path) || !n->n_out || !n->out[0]) return path;
	return arena_printf(l->a, "%s%s%s.%s", around, between, n->out[0]->name, attr->name);
}

static og_status add_place(lister *l, graph *g, const char *path, int function)
{
	replace_places *p = l->p;
	NEED(path);
	p->place = arena_grow(l->a, p->place, p->n, &p->cap, p->n + 1, sizeof *p->place);
	NEED(p->place);
	p->place[p->n++] = (replace_place){ .g = g, .path = path, .function = function };
	TRY(map_put(&l->given, path, g));
	number(g);
	for (const graph_node *n = g->first; n; n = n->next)
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g) TRY(add_place(l, n->attrs[i].g, body_path(l, path, n, &n->attrs[i]), function));
	return OG_OK;
}

static og_status add_all(lister *l, og_model *m)
{
	TRY(add_place(l, m->main, "", -1));
	for (int k = 0; k < m->n_functions; k++) {
		const graph_function *f = &m->functions[k];
		if (f->domain[0] && schema_find(f->domain, f->name, INT64_MAX)) continue;
		TRY(add_place(l, f->body, arena_printf(l->a, "%s::%s", f->domain, f->name), k));
	}
	return OG_OK;
}

og_status replace_find_places(replace_places *p, arena *a, og_model *m)
{
	lister l = { .p = p, .a = a };
	*p = (replace_places){ 0 };
	og_status status = add_all(&l, m);
	map_free(&l.given);
	return status;
}

/* ---- order, of nodes that come ------------------------------------------------------------- */

/* Gives a node that has just been linked its number. */
static void number_between(graph_node *n)
{
	size_t low = n->prev ? n->prev->order : 0, high = n->next ? n->next->order : low + 2 * (size_t)ORDER_GAP;
	if (high - low < 2) number(n->owner);
	else n->order = low + (high - low) / 2;
}

/* ---- checking -------------------------------------------------------------------------------- */

/* What an edit is while it is done. Nodes that go, and nodes that must move behind those that come, bear a mark. */
typedef struct work {
	const edit *e;
	replace_place *p;
	graph *g;
	const surgery_options *o;
	arena *a;
	graph_node **going;                  /* remove[k] */
	graph_node *first, *last;            /* of the list: what makes an output that changes hands; what the new nodes must follow */
	char goes, moves;                    /* their addresses are the marks */
} work;

/* The node of the graph that is, or holds in a body, n. */
static graph_node *node_in(const graph *g, graph_node *n)
{
	while (n && n->owner != g) n = n->owner ? n->owner->holder : NULL;
	return n;
}

static bool goes(const work *w, const graph_node *n) { return n && n->owner == w->g && n->mark == &w->goes; }

static og_status find_going(work *w)
{
	const edit *e = w->e;
	if (!e->n_remove) return base_fail(OG_USAGE, "it removes no node, so that what it inserts would serve nobody");
	w->going = arena_array(w->a, (size_t)e->n_remove, sizeof(graph_node *));
	NEED(w->going);
	for (int i = 0; i < e->n_remove; i++) {
		graph_value *v = graph_value_find(w->g, e->remove[i]);
		if (!v || !v->producer) return base_fail(OG_USAGE, "no node makes '%s', whose node it removes", e->remove[i]);
		graph_node *n = v->producer;
		if (n->mark == &w->goes) return base_fail(OG_USAGE, "it removes the node that makes '%s' twice", e->remove[i]);
		w->going[i] = n;
		n->mark = &w->goes;
		if (!w->last || n->order > w->last->order) w->last = n;
	}
	return OG_OK;
}

/* Which node of the edit makes a value; -1: none. */
static int maker(const edit *e, const char *name)
{
	for (int i = 0; i < e->n_insert; i++)
		for (int k = 0; k < e->insert[i].n_out; k++)
			if (!strcmp(e->insert[i].out[k], name)) return i;
	return -1;
}

static bool named_somewhere(const og_model *m, const char *name)
{
	for (const graph *g = m->made; g; g = g->next_made)
		if (map_get(&g->by_name, name)) return true;
	return false;
}

static og_status check_outputs(work *w, int i)
{
	const edit_node *n = &w->e->insert[i];
	bool any = false;
	for (int k = 0; k < n->n_out; k++) {
		if (!n->out[k][0]) continue;
		any = true;
		for (int j = 0; j < k; j++)
			if (!strcmp(n->out[j], n->out[k])) return base_fail(OG_USAGE, "it makes '%s' twice", n->out[k]);
		if (maker(w->e, n->out[k]) != i) return base_fail(OG_USAGE, "it makes '%s' twice", n->out[k]);
		graph_value *v = graph_value_find(w->g, n->out[k]);
		if (v ? !goes(w, v->producer) : named_somewhere(w->g->model, n->out[k]))
			return base_fail(OG_USAGE, "it makes '%s', a name that is taken by something that stays", n->out[k]);
		if (v && (!w->first || v->producer->order < w->first->order)) w->first = v->producer;
	}
	return any ? OG_OK : base_fail(OG_USAGE, "its node %d (%s) has no output", i, n->type);
}

static og_status check_inputs(work *w, int i)
{
	const edit_node *n = &w->e->insert[i];
	for (int k = 0; k < n->n_in; k++) {
		if (!n->in[k][0]) continue;
		int made = maker(w->e, n->in[k]);
		if (made >= i) return base_fail(OG_USAGE, "its node %d (%s) uses '%s' before it is made", i, n->type, n->in[k]);
		if (made >= 0) continue;
		graph_value *v = graph_value_lookup(w->g, n->in[k]);
		if (!v) return base_fail(OG_USAGE, "there is no value '%s', which its node %d (%s) uses", n->in[k], i, n->type);
		if (goes(w, v->producer)) return base_fail(OG_USAGE, "it uses '%s' and removes the node that makes it", n->in[k]);
		if (v->producer && v->owner == w->g && v->producer->order > w->last->order) w->last = v->producer;
		if (v->producer && v->owner != w->g && v->producer->order >= node_in(v->owner, w->last)->order)
			return base_fail(OG_USAGE, "'%s', which its node %d (%s) uses, is made behind the body that it is in", n->in[k], i, n->type);
	}
	return OG_OK;
}

/* Nothing that stays may read what goes, unless a new node makes it. */
static og_status check_going(const work *w)
{
	for (int i = 0; i < w->e->n_remove; i++)
		for (int k = 0; k < w->going[i]->n_out; k++) {
			const graph_value *v = w->going[i]->out[k];
			if (!v || maker(w->e, v->name) >= 0) continue;
			if (v->is_output) return base_fail(OG_USAGE, "it removes the node that makes '%s', an output of the graph", v->name);
			for (size_t u = 0; u < v->n_uses; u++)
				if (!goes(w, node_in(w->g, v->uses[u].node)))
					return base_fail(OG_USAGE, "it removes the node that makes '%s', which node '%s' uses", v->name,
					                 graph_node_label(v->uses[u].node));
		}
	return OG_OK;
}

static void mark_users(work *w, const graph_value *v)
{
	for (size_t u = 0; u < v->n_uses; u++) {
		graph_node *n = node_in(w->g, v->uses[u].node);
		if (n->mark != &w->goes && n->order <= w->last->order) n->mark = &w->moves;
	}
}

/* Marks what depends on the new nodes and stands before the place where they will be; it has to move behind them, and must
 * make none of their inputs. */
static og_status find_moving(work *w)
{
	if (!w->first) return OG_OK;
	for (int i = 0; i < w->e->n_remove; i++)
		for (int k = 0; k < w->going[i]->n_out; k++)
			if (w->going[i]->out[k] && maker(w->e, w->going[i]->out[k]->name) >= 0) mark_users(w, w->going[i]->out[k]);
	for (graph_node *n = w->first; n != w->last->next; n = n->next)
		for (int k = 0; n->mark == &w->moves && k < n->n_out; k++)
			if (n->out[k]) mark_users(w, n->out[k]);
	for (int i = 0; i < w->e->n_insert; i++)
		for (int k = 0; k < w->e->insert[i].n_in; k++) {
			const char *name = w->e->insert[i].in[k];
			const graph_value *v = name[0] && maker(w->e, name) < 0 ? graph_value_lookup(w->g, name) : NULL;
			if (v && v->producer && v->producer->mark == &w->moves)
				return base_fail(OG_USAGE, "it would close a cycle: '%s', which it uses, is computed from what it makes", name);
		}
	return OG_OK;
}

const og_op *replace_op(const replace_place *p, const surgery_options *o, const char *domain, const char *type)
{
	const og_model *m = p->g->model;
	const graph_function *f = p->function < 0 ? NULL : &m->functions[p->function];
	if (domain[0] || !o->for_file) return schema_find(domain, type, INT64_MAX);
	for (int k = 0; f && k < f->n_opsets; k++)
		if (!f->opsets[k].domain[0] || !strcmp(f->opsets[k].domain, "ai.onnx")) return schema_find("", type, f->opsets[k].version);
	return schema_find("", type, graph_opset_version(m, ""));
}

static og_status check_op(const work *w, const edit_node *n)
{
	const char *colons = n->domain[0] ? "::" : "";
	const og_op *op = replace_op(w->p, w->o, n->domain, n->type), *newest = op ? op : schema_find(n->domain, n->type, INT64_MAX);
	if (op || graph_function_find(w->g->model, n->domain, n->type)) return OG_OK;
	if (!newest)
		return base_fail(OG_USAGE, "op %s%s%s is not known; `opgraft op list` shows those that are", n->domain, colons, n->type);
	int64_t since = 1;
	while (!schema_find("", n->type, since)) since++;
	return base_fail(OG_UNSUPPORTED, "op %s exists since opset %lld, and the model imports opset %lld; convert it first", n->type,
	                 (long long)since, (long long)graph_opset_version(w->g->model, ""));
}

static og_status check(work *w)
{
	for (int i = 0; i < w->e->n_insert; i++) TRY(check_op(w, &w->e->insert[i]));
	TRY(find_going(w));
	for (int i = 0; i < w->e->n_insert; i++) TRY(check_outputs(w, i));
	for (int i = 0; i < w->e->n_insert; i++) TRY(check_inputs(w, i));
	TRY(check_going(w));
	return find_moving(w);
}

/* ---- doing ----------------------------------------------------------------------------------- */

static og_status put_attributes(graph_node *n, const edit_node *from)
{
	for (int i = 0; i < from->n_attrs; i++) {
		graph_attr a = from->attrs[i];
		if (a.t) NEED(a.t = graph_tensor_copy(n->owner->model->a, a.t));
		TRY(graph_attr_copy(n, &a));
	}
	return OG_OK;
}

static og_status put_node(work *w, const edit_node *from, graph_node *before)
{
	graph_node *n;
	TRY(graph_node_add(&n, w->g, before, from->domain, from->type, from->name, from->n_in, from->n_out));
	number_between(n);
	n->op = replace_op(w->p, w->o, from->domain, from->type);
	for (int k = 0; k < from->n_in; k++)
		if (from->in[k][0]) TRY(graph_set_input(n, k, graph_value_lookup(w->g, from->in[k])));
	for (int k = 0; k < from->n_out; k++) {
		graph_value *v = from->out[k][0] ? graph_value_find(w->g, from->out[k]) : NULL;
		if (v) TRY(graph_set_output(v->producer, v->output, NULL));
		else if (from->out[k][0]) TRY(graph_value_add(&v, w->g, from->out[k], OG_NONE, -1, NULL));
		if (v) TRY(graph_set_output(n, k, v));
	}
	return put_attributes(n, from);
}

/* A value that nobody reads and nothing makes any more goes, and constants with it. */
static void drop_unread(graph_value *v)
{
	if (!v || !v->owner || v->n_uses || v->is_input || v->is_output) return;
	graph_node *n = v->producer;
	if (n && (n->n_out != 1 || n->domain[0] || strcmp(n->type, "Constant"))) return;
	if (n) graph_node_remove(n);
	graph_value_remove(v);
}

static og_status remove_going(work *w)
{
	size_t count = 0;
	for (int i = 0; i < w->e->n_remove; i++) count += (size_t)w->going[i]->n_in + (size_t)w->going[i]->n_out;
	graph_value **touched = arena_array(w->a, count, sizeof(graph_value *));
	NEED(touched);
	count = 0;
	for (int i = 0; i < w->e->n_remove; i++) {
		graph_node *n = w->going[i];
		for (int k = 0; k < n->n_in; k++) touched[count++] = n->in[k];
		for (int k = 0; k < n->n_out; k++) touched[count++] = n->out[k];
		graph_node_remove(n);
	}
	for (size_t i = 0; i < count; i++) drop_unread(touched[i]);
	return OG_OK;
}

static og_status change(work *w)
{
	graph_node *before = w->last->next, *made = NULL;
	for (int i = 0; i < w->e->n_insert; i++) {
		TRY(put_node(w, &w->e->insert[i], before));
		if (!made) made = before ? before->prev : w->g->last;
	}
	for (graph_node *n = w->first, *next; made && n && n != made; n = next) {
		next = n->next;
		if (n->mark != &w->moves) continue;
		graph_node_move(n, before);
		number_between(n);
	}
	return remove_going(w);
}

og_status replace_do(const edit *e, replace_place *p, const surgery_options *o, arena *a)
{
	work w = { .e = e, .p = p, .g = p->g, .o = o, .a = a };
	for (const graph *g = p->g; g; g = g->parent)
		if (g->holder && !g->holder->owner) return base_fail(OG_USAGE, "graph '%s' went with an edit before it", p->path);
	og_status status = check(&w);
	if (status == OG_OK) status = change(&w);
	for (int i = 0; w.going && i < e->n_remove; i++)
		if (w.going[i]) w.going[i]->mark = NULL;
	for (graph_node *n = w.first && w.first->owner ? w.first : NULL; n; n = n == w.last ? NULL : n->next)
		if (n->mark == &w.moves) n->mark = NULL;
	return status;
}
