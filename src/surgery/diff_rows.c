/* diff_rows.c -- regions of nodes without a pair, and all of two graphs as one list of rows. */
#include <stdlib.h>

#include "surgery/diff.h"

/* A row and its place: behind node `after` of a, what b has more in the order of b. */
typedef struct placed { int64_t after, then; diff_row row; } placed;

typedef struct row_maker {
	diff *d;
	const graph *a, *b;
	size_t *root;                        /* union-find over nodes of a, then of b, by order */
	diff_region **region_of;             /* by root */
	placed *rows; size_t n;
} row_maker;

static size_t find_root(row_maker *r, size_t i)
{
	while (r->root[i] != i) i = r->root[i] = r->root[r->root[i]];
	return i;
}

static void join(row_maker *r, size_t i, size_t k) { r->root[find_root(r, i)] = find_root(r, k); }

static bool is_loose(const graph_node *n, const graph *g) { return n && n->owner == g && !n->mark; }

static void join_nodes(row_maker *r, const graph *g, size_t base)
{
	for (const graph_node *n = g->first; n; n = n->next) {
		if (n->mark) continue;
		for (int k = 0; k < n->n_in; k++)
			if (n->in[k] && is_loose(n->in[k]->producer, g)) join(r, base + n->order, base + n->in[k]->producer->order);
		for (int k = 0; k < n->n_out && g == r->a; k++) {
			const graph_value *w = n->out[k] ? n->out[k]->mark : NULL;
			if (w && is_loose(w->producer, r->b)) join(r, n->order, r->a->n_nodes + w->producer->order);
		}
	}
}

/* ---- sides --------------------------------------------------------------------------------------- */

static og_status list_nodes(row_maker *r, const graph *g, size_t base)
{
	arena *memory = r->d->arena;
	for (const graph_node *n = g->first; n; n = n->next) {
		if (n->mark) continue;
		diff_region **region = &r->region_of[find_root(r, base + n->order)];
		if (!*region) NEED(*region = arena_alloc(memory, sizeof **region));
		diff_side *s = g == r->a ? &(*region)->a : &(*region)->b;
		s->n++;
	}
	for (const graph_node *n = g->first; n; n = n->next) {
		if (n->mark) continue;
		diff_region *region = r->region_of[find_root(r, base + n->order)];
		diff_side *s = g == r->a ? &region->a : &region->b;
		if (!s->nodes) {
			NEED(s->nodes = arena_array(memory, s->n, sizeof(graph_node *)));
			s->n = 0;
		}
		s->nodes[s->n++] = n;
	}
	return OG_OK;
}

static int by_place(const void *x, const void *y)
{
	const graph_value *a = *(graph_value *const *)x, *b = *(graph_value *const *)y;
	return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

/* Each value once, those met first in front. */
static og_status unique(row_maker *r, const graph_value **list, size_t *n)
{
	const graph_value **sorted = arena_array(r->d->arena, *n + 1, sizeof *sorted);
	NEED(sorted);
	memcpy(sorted, list, *n * sizeof *list);
	if (*n) qsort(sorted, *n, sizeof *sorted, by_place);
	size_t kept = 0, distinct = 0;
	for (size_t i = 0; i < *n; i++)
		if (!i || sorted[i] != sorted[i - 1]) sorted[distinct++] = sorted[i];
	bool *seen = arena_array(r->d->arena, distinct + 1, sizeof *seen);
	NEED(seen);
	for (size_t i = 0; i < *n; i++) {
		const graph_value **at = bsearch(&list[i], sorted, distinct, sizeof *sorted, by_place);
		if (seen[at - sorted]) continue;
		seen[at - sorted] = true;
		list[kept++] = list[i];
	}
	*n = kept;
	return OG_OK;
}

static bool leaves(row_maker *r, const graph_value *v, size_t base, size_t root)
{
	if (v->is_output) return true;
	for (size_t i = 0; i < v->n_uses; i++) {
		const graph_node *user = v->uses[i].node;
		while (user && user->owner != v->owner) user = user->owner->holder;
		if (!user || user->mark || find_root(r, base + user->order) != root) return true;
	}
	return false;
}

static og_status list_ends(row_maker *r, diff_side *s, const graph *g, size_t base)
{
	size_t in = 0, out = 0;
	for (size_t i = 0; i < s->n; i++) {
		in += (size_t)s->nodes[i]->n_in;
		out += (size_t)s->nodes[i]->n_out;
	}
	NEED(s->in = arena_array(r->d->arena, in + 1, sizeof(graph_value *)));
	NEED(s->out = arena_array(r->d->arena, out + 1, sizeof(graph_value *)));
	for (size_t i = 0; i < s->n; i++) {
		const graph_node *n = s->nodes[i];
		size_t root = find_root(r, base + n->order);
		for (int k = 0; k < n->n_in; k++) {
			const graph_value *v = n->in[k];
			if (v && !v->constant && !is_loose(v->producer, g)) s->in[s->n_in++] = v;
		}
		for (int k = 0; k < n->n_out; k++)
			if (n->out[k] && leaves(r, n->out[k], base, root)) s->out[s->n_out++] = n->out[k];
	}
	return unique(r, s->in, &s->n_in);
}

static og_status same_values(row_maker *r, const graph_value **a, size_t n_a, const graph_value **b, size_t n_b, bool *same)
{
	*same = n_a == n_b;
	if (!*same || !n_a) return OG_OK;
	const graph_value **sorted = arena_array(r->d->arena, n_b, sizeof *sorted);
	NEED(sorted);
	memcpy(sorted, b, n_b * sizeof *b);
	qsort(sorted, n_b, sizeof *sorted, by_place);
	for (size_t i = 0; i < n_a && *same; i++) {
		const graph_value *w = a[i]->mark;
		*same = w && bsearch(&w, sorted, n_b, sizeof *sorted, by_place);
	}
	return OG_OK;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

/* Where a region of b alone stands: behind what it reads, else behind the pair in front of it. */
static int64_t place_addition(const diff_region *region, const int64_t *before)
{
	int64_t after = -1;
	for (size_t i = 0; i < region->b.n_in; i++) {
		const graph_node *made_by = region->b.in[i]->producer, *pair = made_by ? made_by->mark : NULL;
		if (pair && made_by->owner == region->b.nodes[0]->owner && (int64_t)pair->order > after) after = (int64_t)pair->order;
	}
	return after >= 0 ? after : before[region->b.nodes[0]->order];
}

static og_status add_region(row_maker *r, diff_region *region, const int64_t *before)
{
	bool in = false, out = false;
	TRY(list_ends(r, &region->a, r->a, 0));
	TRY(list_ends(r, &region->b, r->b, r->a->n_nodes));
	if (region->a.n && region->b.n) {
		TRY(same_values(r, region->a.in, region->a.n_in, region->b.in, region->b.n_in, &in));
		TRY(same_values(r, region->a.out, region->a.n_out, region->b.out, region->b.n_out, &out));
	}
	region->same_ends = in && out;
	placed *p = &r->rows[r->n++];
	*p = (placed){ .then = -1, .row.region = region };
	if (region->a.n) {
		p->after = (int64_t)region->a.nodes[region->a.n - 1]->order;
	} else {
		p->after = place_addition(region, before);
		p->then = (int64_t)region->b.nodes[0]->order;
	}
	return OG_OK;
}

static int by_placed(const void *x, const void *y)
{
	const placed *a = x, *b = y;
	if (a->after != b->after) return a->after < b->after ? -1 : 1;
	return (a->then > b->then) - (a->then < b->then);
}

static og_status make_rows(row_maker *r, int64_t *before)
{
	size_t n = r->a->n_nodes + r->b->n_nodes;
	int64_t last = -1;
	for (size_t i = 0; i < n; i++) r->root[i] = i;
	join_nodes(r, r->a, 0);
	join_nodes(r, r->b, r->a->n_nodes);
	TRY(list_nodes(r, r->a, 0));
	TRY(list_nodes(r, r->b, r->a->n_nodes));
	for (const graph_node *w = r->b->first; w; w = w->next) {
		before[w->order] = last;
		if (w->mark) last = (int64_t)((const graph_node *)w->mark)->order;
	}
	for (const graph_node *v = r->a->first; v; v = v->next)
		if (v->mark) r->rows[r->n++] = (placed){ (int64_t)v->order, -1, { .a = v, .b = v->mark } };
	for (size_t i = 0; i < n; i++)
		if (r->region_of[i]) TRY(add_region(r, r->region_of[i], before));
	if (r->n) qsort(r->rows, r->n, sizeof *r->rows, by_placed);
	return OG_OK;
}

og_status diff_rows_make(diff *d, diff_graph *g)
{
	size_t n = g->a->n_nodes + g->b->n_nodes;
	row_maker r = { .d = d, .a = g->a, .b = g->b };
	int64_t *before = base_new(g->b->n_nodes + 1, sizeof *before);
	r.root = base_new(n + 1, sizeof *r.root);
	r.region_of = base_new(n + 1, sizeof(diff_region *));
	r.rows = base_new(n + 1, sizeof *r.rows);
	og_status status = before && r.root && r.region_of && r.rows ? make_rows(&r, before) : base_no_memory();
	if (status == OG_OK) g->rows = arena_array(d->arena, r.n + 1, sizeof *g->rows);
	if (status == OG_OK && !g->rows) status = base_no_memory();
	for (size_t i = 0; status == OG_OK && i < r.n; i++) g->rows[g->n_rows++] = r.rows[i].row;
	base_free(before);
	base_free(r.root);
	base_free(r.region_of);
	base_free(r.rows);
	return status;
}
