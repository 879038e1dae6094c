/* apply.c -- from the places that were found to those that are taken, and to edits that are done. */
#include <stdlib.h>

#include "schema/schema.h"
#include "surgery/edits.h"

/* A place that was found, or nearly. */
typedef struct candidate {
	const match *m;
	graph_node *root;
	edit *e;                             /* NULL: refused, lost to a larger one, or a node that is the op already */
	const char *reason;                  /* refused; */
	bool taken, miss;
	size_t order, index;                 /* of the root in the graph; in the list */
} candidate;

/* The mark of a node that a place has taken, and will lose. */
static char taken;

/* ---- orders ---------------------------------------------------------------------------------- */

static int compare(size_t a, size_t b) { return (a > b) - (a < b); }

static int by_size(const void *x, const void *y)
{
	const candidate *a = x, *b = y;
	if (a->miss != b->miss) return a->miss - b->miss;
	int order = compare((size_t)b->m->n_nodes, (size_t)a->m->n_nodes);
	if (!order) order = compare(a->order, b->order);
	return order ? order : compare(a->index, b->index);
}

/* Of one root, what was taken comes first, then the refusals, the largest place before. */
static int by_root(const void *x, const void *y)
{
	const candidate *a = x, *b = y;
	int order = compare(a->order, b->order);
	if (!order) order = b->taken - a->taken;
	if (!order) order = a->miss - b->miss;
	if (!order) order = compare((size_t)b->m->n_nodes, (size_t)a->m->n_nodes);
	return order ? order : compare(a->index, b->index);
}

/* ---- choosing -------------------------------------------------------------------------------- */

typedef struct chooser {
	replace_place *p;
	const surgery_options *o;
	found_box *f;
	arena *a;
	candidate *c; size_t n;
} chooser;

static og_status list_candidates(chooser *h, const match_list *l, size_t first)
{
	h->c = arena_array(h->a, l->n + l->n_misses, sizeof *h->c);
	NEED(h->c);
	for (size_t i = first; i < l->n + l->n_misses; i++) {
		const match *m = i < l->n ? l->matches[i] : l->misses[i - l->n];
		graph_node *root = m->n_nodes ? m->nodes[0] : NULL;
		if (!root || (h->o->only && !base_glob(h->o->only, graph_node_label(root)))) continue;
		if (h->o->skip && base_glob(h->o->skip, graph_node_label(root))) continue;
		for (int k = 0; k < m->n_nodes; k++) m->nodes[k]->mark = NULL;
		h->c[h->n++] = (candidate){ .m = m, .root = root, .reason = m->reason, .miss = i >= l->n, .order = root->order, .index = i };
	}
	return OG_OK;
}

/* Plans a place unless a larger one has part of it, and takes the nodes that go with it. */
static og_status choose(chooser *h, candidate *c)
{
	const match *m = c->m;
	bool is_node = !strcmp(m->r->how, "node");
	for (int k = 0; k < m->n_nodes; k++)
		if (m->nodes[k]->mark == &taken) return OG_OK;
	if (!is_node) TRY(right_plan(&c->e, &c->reason, h->f, m, h->p, h->o));
	if (c->reason) return OG_OK;
	c->taken = true;
	c->root->mark = &taken;
	for (int i = 0; c->e && i < c->e->n_remove; i++) {
		graph_node *n = graph_value_find(h->p->g, c->e->remove[i])->producer;
		n->mark = &taken;
	}
	return OG_OK;
}

static og_status choose_all(chooser *h)
{
	if (!h->n) return OG_OK;
	qsort(h->c, h->n, sizeof *h->c, by_size);
	for (size_t i = 0; i < h->n; i++)
		if (!h->c[i].miss) TRY(choose(h, &h->c[i]));
	qsort(h->c, h->n, sizeof *h->c, by_root);
	return OG_OK;
}

/* ---- telling and doing ------------------------------------------------------------------------ */

/* One refusal for an op at a root, and none where another place has the root. */
static bool worth_telling(const chooser *h, size_t i)
{
	const candidate *c = &h->c[i];
	if (!c->reason || c->root->mark == &taken) return false;
	for (size_t k = i; k-- > 0 && h->c[k].root == c->root;)
		if (h->c[k].reason && right_op(h->c[k].m->r) == right_op(c->m->r)) return false;
	return true;
}

static og_status tell_refusals(chooser *h)
{
	og_match told;
	for (size_t i = 0; i < h->n; i++) {
		if (!worth_telling(h, i)) continue;
		TRY(found_describe(&told, h->f, h->c[i].m, h->p->path));
		TRY(found_refuse(h->f, &told, h->c[i].reason));
	}
	return OG_OK;
}

/* What depends on how the network goes together is known when the edit is done: that refuses the place, too. */
static og_status do_one(chooser *h, candidate *c, bool change)
{
	og_match told;
	if (!c->e) {
		TRY(found_describe(&told, h->f, c->m, h->p->path));
		TRY(found_attributes(&told, h->f, c->root->op, c->root->attrs, c->root->n_attrs));
		return found_match(h->f, &told, NULL);
	}
	og_status status = change ? replace_do(c->e, h->p, h->o, h->a) : OG_OK;
	if (status == OG_USAGE) return found_refuse(h->f, &c->e->m, base_error());
	TRY(status);
	return found_match(h->f, &c->e->m, change ? c->e : NULL);
}

static og_status apply_all(chooser *h, const find_source *s, bool change)
{
	match_list l = { .a = h->a };
	TRY(find_in(&l, s, h->p->g));
	TRY(list_candidates(h, &l, s->only_misses ? l.n : 0));
	TRY(choose_all(h));
	TRY(tell_refusals(h));
	for (size_t i = 0; i < h->n; i++)
		if (h->c[i].taken) TRY(do_one(h, &h->c[i], change));
	return OG_OK;
}

og_status apply_in(replace_place *p, const find_source *s, const surgery_options *o, found_box *f, bool change)
{
	chooser h = { .p = p, .o = o, .f = f, .a = arena_create() };
	NEED(h.a);
	og_status status = apply_all(&h, s, change);
	arena_destroy(h.a);
	return status;
}

og_status apply_finish(og_model *m, const surgery_options *o)
{
	og_status status = schema_infer(m->main);
	if (status == OG_BAD_FILE) return base_fail_in(OG_USAGE, "what was grafted does not fit");
	return status == OG_OK && o->for_file ? surgery_settle(m) : status;
}

static og_status apply_everywhere(og_model *m, const find_source *sources, size_t n, const surgery_options *o, og_found **found)
{
	found_box *f = found ? (found_box *)*found : NULL;
	replace_places places = { 0 };
	og_status status = f ? OG_OK : found_create(&f);
	if (found) *found = NULL;
	if (status == OG_OK) status = replace_find_places(&places, f->a, m);
	for (size_t k = 0; status == OG_OK && k < n; k++)
		for (size_t i = 0; status == OG_OK && i < places.n; i++) status = apply_in(&places.place[i], &sources[k], o, f, true);
	if (status == OG_OK) status = apply_finish(m, o);
	if (status == OG_OK && found) *found = &f->found;
	else if (f) og_found_free(&f->found);
	return status;
}

/* One rule after the other; what nearly matched is told at the end, of roots that no rule took. */
og_status surgery_apply(og_model *m, const surgery_rules *rules, const surgery_options *o, og_found **found)
{
	find_source *each = base_new(rules->n + 1, sizeof *each);
	NEED(each);
	for (size_t i = 0; i < rules->n; i++) each[i] = (find_source){ .rules = &rules->rules[i], .n_rules = 1 };
	each[rules->n] = (find_source){ .rules = rules->rules, .n_rules = rules->n, .misses = true, .only_misses = true };
	og_status status = apply_everywhere(m, each, rules->n + (found != NULL), o, found);
	base_free(each);
	return status;
}

og_status surgery_apply_op(og_model *m, const og_op *op, const surgery_options *o, og_found **found)
{
	find_source s;
	TRY(find_open(&s, op, false));
	s.misses = found != NULL;
	og_status status = apply_everywhere(m, &s, 1, o, found);
	find_close(&s);
	return status;
}
