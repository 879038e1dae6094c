/* match_rules.c -- rules over a graph: every node is held against the rules of its type that have among their inputs an
 * op that makes one of its inputs. */
#include <stdlib.h>

#include "surgery/search.h"

/* closeness: the part of the pattern that fits; place: in the order of roots. */
typedef struct near_miss { match *m; double closeness; size_t place; } near_miss;

/* Rules of one root type, by what their left sides begin with. */
typedef struct entry { size_t rule; struct entry *next; } entry;
typedef struct group {
	map by_input;                        /* type of an op that an input of the root is -> entry: those rules */
	entry *always;                       /* rules that no input says anything about */
	struct group *next;
} group;

typedef struct finder {
	match_list *l;
	const rule *rules; size_t n;
	map by_type;                         /* type of the first root -> group */
	group *groups;
	const graph_node **tried;            /* by rule: the last node that it was tried at */
	search *s;
	size_t first_match;                  /* of this call */
	bool matched;                        /* the node at hand is a root */
	near_miss miss;                      /* its nearest */
	near_miss *misses; size_t n_misses, cap_misses;
} finder;

static og_status add(match_list *l, match *m)
{
	match ***list = m->reason ? &l->misses : &l->matches;
	size_t *n = m->reason ? &l->n_misses : &l->n, *cap = m->reason ? &l->cap_misses : &l->cap;
	*list = arena_grow(l->a, *list, *n, cap, *n + 1, sizeof **list);
	NEED(*list);
	(*list)[(*n)++] = m;
	return OG_OK;
}

static og_status new_match(match **out, arena *a, const rule *r, graph_node *const *nodes, int n_nodes,
                           graph_value *const *outputs, int n_outputs)
{
	match *m = *out = arena_alloc(a, sizeof *m);
	NEED(m);
	m->r = r;
	m->nodes = arena_array(a, (size_t)n_nodes, sizeof *m->nodes);
	m->outputs = arena_array(a, (size_t)n_outputs, sizeof *m->outputs);
	if (!m->nodes || !m->outputs) return base_no_memory();
	m->n_outputs = n_outputs;
	memcpy(m->outputs, outputs, (size_t)n_outputs * sizeof *outputs);
	for (int pass = 0; pass < 2; pass++)         /* roots, then the others */
		for (int i = 0; i < n_nodes; i++) {
			bool root = false;
			for (int k = 0; k < n_outputs; k++) root = root || (outputs[k] && outputs[k]->producer == nodes[i]);
			if (root == !pass) m->nodes[m->n_nodes++] = nodes[i];
		}
	return OG_OK;
}

static og_status keep(finder *f, const rule *r)
{
	match *m;
	const search *s = f->s;
	int roots = 0;
	for (const pattern *p = r->left; p; p = p->next) roots++;
	TRY(new_match(&m, f->l->a, r, s->nodes, s->n_nodes, s->outputs, roots));
	for (int i = 0; i < r->n_variables; i++)
		if (s->set[i]) m->bound[i] = s->bound[i];
	f->matched = true;
	return add(f->l, m);
}

static og_status keep_miss(finder *f, const rule *r, graph_node *root)
{
	const search *s = f->s;
	double closeness = (double)s->best_fitted / r->n_nodes - 0.001 * s->best_cost;
	if (f->miss.m && f->miss.closeness >= closeness) return OG_OK;
	f->miss.closeness = closeness;
	TRY(new_match(&f->miss.m, f->l->a, r, s->best_nodes, s->n_best_nodes, &root->out[r->left->output], 1));
	f->miss.m->reason = match_reason(s, &s->best);
	NEED(f->miss.m->reason);
	return OG_OK;
}

static og_status try_rule(finder *f, graph_node *n, size_t k)
{
	const rule *r = f->s->r = &f->rules[k];
	if (!match_type(r, n)) return OG_OK;
	if (match_at(f->s, n)) return keep(f, r);
	if (!f->s->no_memory && !f->l->no_misses && !f->matched && match_miss_at(f->s, n)) TRY(keep_miss(f, r, n));
	return f->s->no_memory ? base_no_memory() : OG_OK;
}

static og_status try_entries(finder *f, graph_node *n, const entry *e)
{
	for (; e; e = e->next) {
		if (f->tried[e->rule] == n) continue;
		f->tried[e->rule] = n;
		TRY(try_rule(f, n, e->rule));
	}
	return OG_OK;
}

static const char *called(const graph_node *n) { return n->op && n->op->called ? n->op->called : n->type; }

static og_status try_group(finder *f, graph_node *n, const group *g)
{
	if (!g) return OG_OK;
	match_look(f->s, n);
	TRY(try_entries(f, n, g->always));
	for (int i = 0; i < n->n_in && i < PATTERN_MAX_ARGS; i++) {
		const graph_node *makers[] = { f->s->direct[i], f->s->behind[i] };
		for (int k = 0; k < 2; k++) {
			if (!makers[k] || (k && makers[0] == makers[1])) continue;
			TRY(try_entries(f, n, map_get(&g->by_input, makers[k]->type)));
			if (called(makers[k]) != makers[k]->type) TRY(try_entries(f, n, map_get(&g->by_input, called(makers[k]))));
		}
	}
	return OG_OK;
}

static og_status try_node(finder *f, graph_node *n)
{
	f->matched = false;
	f->miss.m = NULL;
	if (f->n == 1) {
		if (!match_type(f->rules, n)) return OG_OK;
		match_look(f->s, n);
		TRY(try_rule(f, n, 0));
	} else {
		TRY(try_group(f, n, map_get(&f->by_type, n->type)));
		if (called(n) != n->type) TRY(try_group(f, n, map_get(&f->by_type, called(n))));
	}
	if (!f->miss.m || f->matched) return OG_OK;
	f->misses = arena_grow(f->l->a, f->misses, f->n_misses, &f->cap_misses, f->n_misses + 1, sizeof *f->misses);
	NEED(f->misses);
	f->miss.place = f->n_misses;
	f->misses[f->n_misses++] = f->miss;
	return OG_OK;
}

/* ---- near misses that overlap ---------------------------------------------------------------- */

/* The nodes of matches and near misses, each once, and which are taken. */
typedef struct taken { graph_node **nodes; size_t n; bool *yes; } taken;

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)*(graph_node *const *)a, y = (uintptr_t)*(graph_node *const *)b;
	return (x > y) - (x < y);
}

static int by_closeness(const void *a, const void *b)
{
	const near_miss *x = a, *y = b;
	if (x->closeness != y->closeness) return x->closeness < y->closeness ? 1 : -1;
	return (x->place > y->place) - (x->place < y->place);
}

static int by_place(const void *a, const void *b)
{
	const near_miss *x = a, *y = b;
	return (x->place > y->place) - (x->place < y->place);
}

static void add_nodes(taken *t, const match *m)
{
	memcpy(t->nodes + t->n, m->nodes, (size_t)m->n_nodes * sizeof *m->nodes);
	t->n += (size_t)m->n_nodes;
}

static og_status taken_create(taken *t, const finder *f)
{
	size_t n = 0, kept = 0;
	for (size_t i = f->first_match; i < f->l->n; i++) n += (size_t)f->l->matches[i]->n_nodes;
	for (size_t i = 0; i < f->n_misses; i++) n += (size_t)f->misses[i].m->n_nodes;
	t->nodes = base_new(n + 1, sizeof *t->nodes);
	t->yes = base_new(n + 1, sizeof *t->yes);
	if (!t->nodes || !t->yes) return base_no_memory();
	for (size_t i = f->first_match; i < f->l->n; i++) add_nodes(t, f->l->matches[i]);
	for (size_t i = 0; i < f->n_misses; i++) add_nodes(t, f->misses[i].m);
	qsort(t->nodes, t->n, sizeof *t->nodes, by_address);
	for (size_t i = 0; i < t->n; i++)
		if (!i || t->nodes[i] != t->nodes[i - 1]) t->nodes[kept++] = t->nodes[i];
	t->n = kept;
	return OG_OK;
}

static bool *mark_of(const taken *t, graph_node *n)
{
	graph_node **at = bsearch(&n, t->nodes, t->n, sizeof *t->nodes, by_address);
	return &t->yes[at - t->nodes];
}

static bool shares(const taken *t, const match *m)
{
	for (int i = 0; i < m->n_nodes; i++)
		if (*mark_of(t, m->nodes[i])) return true;
	return false;
}

static void take(taken *t, const match *m)
{
	for (int i = 0; i < m->n_nodes; i++) *mark_of(t, m->nodes[i]) = true;
}

/* Keeps the near misses that share no node with a match or with a nearer one. */
static og_status settle(finder *f)
{
	taken t = { .nodes = NULL };
	size_t kept = 0;
	if (!f->n_misses) return OG_OK;
	og_status status = taken_create(&t, f);
	for (size_t i = f->first_match; status == OG_OK && i < f->l->n; i++) take(&t, f->l->matches[i]);
	qsort(f->misses, f->n_misses, sizeof *f->misses, by_closeness);
	for (size_t i = 0; status == OG_OK && i < f->n_misses; i++) {
		if (shares(&t, f->misses[i].m)) continue;
		take(&t, f->misses[i].m);
		f->misses[kept++] = f->misses[i];
	}
	qsort(f->misses, kept, sizeof *f->misses, by_place);
	for (size_t i = 0; status == OG_OK && i < kept; i++) status = add(f->l, f->misses[i].m);
	base_free(t.nodes);
	base_free(t.yes);
	return status;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static og_status add_entry(finder *f, entry **first, size_t k)
{
	entry *e = arena_alloc(f->l->a, sizeof *e);
	NEED(e);
	*e = (entry){ k, *first };
	*first = e;
	return OG_OK;
}

static og_status add_input(finder *f, group *g, const char *type, size_t k)
{
	entry *first = map_get(&g->by_input, type);
	if (first && first->rule == k) return OG_OK;
	TRY(add_entry(f, &first, k));
	return map_put(&g->by_input, type, first);
}

static og_status index_rule(finder *f, size_t k)
{
	const char *types[PATTERN_MAX_ARGS + 1], *root = f->rules[k].left->type;
	group *g = map_get(&f->by_type, root);
	if (!g) {
		g = arena_alloc(f->l->a, sizeof *g);
		NEED(g);
		TRY(map_put(&f->by_type, root, g));
		g->next = f->groups;
		f->groups = g;
	}
	int n = match_inputs_need(&f->rules[k], types);
	if (!n) return add_entry(f, &g->always, k);
	for (int i = 0; i < n; i++) TRY(add_input(f, g, types[i], k));
	return OG_OK;
}

/* With one rule there is nothing to look up. The last rule goes in first, so that the first comes first. */
static og_status index_rules(finder *f)
{
	if (f->n <= 1) return OG_OK;
	f->tried = base_new(f->n, sizeof *f->tried);
	NEED(f->tried);
	for (size_t k = f->n; k-- > 0;) TRY(index_rule(f, k));
	return OG_OK;
}

og_status match_rules(match_list *l, const rule *rules, size_t n, const graph *g)
{
	finder f = { .l = l, .rules = rules, .n = n, .s = base_new(1, sizeof *f.s), .first_match = l->n };
	og_status status = f.s ? index_rules(&f) : base_no_memory();
	if (status == OG_OK) {
		f.s->g = g;
		f.s->a = l->a;
	}
	for (graph_node *node = n ? g->first : NULL; status == OG_OK && node; node = node->next) status = try_node(&f, node);
	if (status == OG_OK) status = settle(&f);
	map_free(&f.by_type);
	for (group *p = f.groups; p; p = p->next) map_free(&p->by_input);
	base_free(f.tried);
	base_free(f.s);
	return status;
}

og_status match_graph(match_list *l, const rule *r, const graph *g) { return match_rules(l, r, 1, g); }
