/* diff_groups.c -- regions that read the same way. */
#include "report/diff_out.h"

void diff_text_settings(text *t, const graph_node *n)
{
	int shown = 0;
	for (int i = 0; i < n->n_attrs && shown < 3; i++) {
		const graph_attr *a = &n->attrs[i];
		if (a->ref || (a->type != OG_ATTR_INT && a->type != OG_ATTR_FLOAT)) continue;
		text_add(t, shown++ ? ", " : " {");
		diff_text_short(t, a->name, 16);
		if (a->type == OG_ATTR_INT) text_printf(t, "=%lld", (long long)a->i);
		else text_printf(t, "=%.6g", (double)a->f);
	}
	if (shown) text_add(t, "}");
}

static void region_words(text *t, const diff *d, const diff_region *r)
{
	if (!r->b.n) text_add(t, "removed ");
	else if (!r->a.n) text_add(t, "added ");
	if (r->a.n) diff_text_side(t, d, &r->a);
	if (r->a.n && r->b.n) text_add(t, r->b.n == 1 && r->a.n > 1 ? " became 1 " : " became ");
	if (r->b.n) diff_text_side(t, d, &r->b);
	if (r->b.n == 1) diff_text_settings(t, r->b.nodes[0]);
}

static og_status add_region(diff_groups *gs, map *by_words, diff *d, const diff_graph *g, size_t row)
{
	text t = { 0 };
	region_words(&t, d, g->rows[row].region);
	char *words = text_take(&t), *own = words ? arena_strdup(d->arena, words) : NULL;
	base_free(words);
	NEED(own);
	diff_group *group = map_get(by_words, own);
	if (!group) {
		group = arena_alloc(d->arena, sizeof *group);
		diff_group **grown = arena_grow(d->arena, gs->groups, gs->n, &gs->cap, gs->n + 1, sizeof *grown);
		if (!group || !grown) return base_no_memory();
		group->words = own;
		gs->groups = grown;
		grown[gs->n++] = group;
		TRY(map_put(by_words, own, group));
	}
	if (group->n < DIFF_PLACES) group->first[group->n] = row;
	group->n++;
	return OG_OK;
}

og_status diff_groups_make(diff_groups *gs, diff *d, const diff_graph *g)
{
	map by_words = { 0 };
	og_status status = OG_OK;
	*gs = (diff_groups){ 0 };
	for (size_t i = 0; status == OG_OK && i < g->n_rows; i++)
		if (g->rows[i].region) status = add_region(gs, &by_words, d, g, i);
	map_free(&by_words);
	return status;
}
