/* diff_page.c -- a comparison as one HTML page: nothing fetched, no script, light, dark and on paper. */
#include "report/diff_page.h"

#include <math.h>

enum { MOST_WEIGHTS = 400, MOST_FACTS = 400 };

void diff_page_text(text *t, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '<') text_add(t, "&lt;");
		else if (c == '>') text_add(t, "&gt;");
		else if (c == '&') text_add(t, "&amp;");
		else if (c == '"') text_add(t, "&quot;");
		else if (c == '\'') text_add(t, "&#39;");
		else if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f) text_add(t, "\xef\xbf\xbd");
		else text_addn(t, s, 1);
	}
}

void diff_page_name(text *t, const char *tag, const char *style, const char *s, size_t width)
{
	text cut = { 0 };
	diff_text_short(&cut, s, width);
	char *shown = text_take(&cut);
	if (!shown) {
		t->failed = true;
		return;
	}
	text_printf(t, "<%s", tag);
	if (style) text_printf(t, " class=\"%s\"", style);
	if (strlen(s) > 12) {
		text_add(t, " title=\"");
		diff_page_text(t, s);
		text_add(t, "\"");
	}
	text_add(t, ">");
	diff_page_text(t, shown);
	text_printf(t, "</%s>", tag);
	base_free(shown);
}

/* ---- the top ----------------------------------------------------------------------------------- */

static const char *file_name(const og_model *m)
{
	const char *slash = m->path ? strrchr(m->path, '/') : NULL;
	if (slash) return slash + 1;
	if (m->path) return m->path;
	return m->main->name[0] ? m->main->name : "a network";
}

static void put_tile(text *t, const char *kind, size_t from, size_t to, const char *one, const char *many)
{
	if (!from && (!to || to == SIZE_MAX)) return;
	text_printf(t, "<div class=\"tile %s\"><b>", kind);
	diff_text_count(t, (int64_t)from);
	if (to != SIZE_MAX) {
		text_add(t, " &rarr; ");
		diff_text_count(t, (int64_t)to);
	}
	text_printf(t, "</b><span>%s</span></div>\n", from == 1 && to == SIZE_MAX ? one : many);
}

static void put_tiles(text *t, const diff *d)
{
	const diff_totals *s = &d->totals;
	text places = { 0 };
	text_printf(&places, "nodes replaced, in %zu place%s", s->replacements, s->replacements == 1 ? "" : "s");
	char *words = text_take(&places);
	text_add(t, "<div class=\"tiles\">\n");
	if (s->replacements && words) put_tile(t, "in", s->from, s->to, words, words);
	if (!words) t->failed = true;
	base_free(words);
	put_tile(t, "in", s->added, SIZE_MAX, "node added", "nodes added");
	put_tile(t, "out", s->removed, SIZE_MAX, "node removed", "nodes removed");
	put_tile(t, "ch", s->changed, SIZE_MAX, "node changed", "nodes changed");
	put_tile(t, "re", s->renamed, SIZE_MAX, "node renamed", "nodes renamed");
	put_tile(t, "ch", s->retyped, SIZE_MAX, "other shape or type", "other shapes or types");
	put_tile(t, "ch", s->weights, SIZE_MAX, "weight differs", "weights differ");
	put_tile(t, "", s->equal, SIZE_MAX, "node is equal", "nodes are equal");
	text_add(t, "</div>\n");
}

static void put_legend(text *t)
{
	text_add(t, "<p class=\"legend\"><span><i></i>equal</span><span><i class=\"out\"></i>only on the left</span>"
	         "<span><i class=\"in\"></i>only on the right</span><span><i class=\"ch\"></i>changed</span>"
	         "<span><i class=\"re\"></i>other name or shape</span></p>\n");
}

/* ---- lists and tables -------------------------------------------------------------------------- */

static void put_place(text *t, const diff_graph *g, size_t row, size_t number)
{
	const diff_region *r = g->rows[row].region;
	const diff_side *s = r->b.n ? &r->b : &r->a;
	text ends = { 0 };
	diff_text_ends(&ends, s, 64);
	char *words = text_take(&ends);
	text_printf(t, "<a href=\"#r%zu-%zu\">", number, row);
	if (words) diff_page_text(t, words);
	else t->failed = true;
	text_add(t, "</a>");
	base_free(words);
}

static og_status put_groups(text *t, diff *d, const diff_graph *g, size_t number)
{
	enum { MOST = 12 };
	diff_groups gs;
	TRY(diff_groups_make(&gs, d, g));
	if (!gs.n) return OG_OK;
	text_add(t, "<ul class=\"groups\">\n");
	for (size_t i = 0; i < gs.n && i < MOST; i++) {
		const diff_group *group = gs.groups[i];
		text_add(t, "<li>");
		if (group->n > 1) text_printf(t, "%zu times: ", group->n);
		text_add(t, "<b>");
		diff_page_text(t, group->words);
		text_add(t, "</b><span>");
		for (size_t k = 0; k < group->n && k < DIFF_PLACES; k++) {
			if (k) text_add(t, " &nbsp;&middot;&nbsp; ");
			put_place(t, g, group->first[k], number);
		}
		if (group->n > DIFF_PLACES) text_printf(t, " &nbsp;&middot;&nbsp; %zu more", group->n - DIFF_PLACES);
		text_add(t, "</span></li>\n");
	}
	if (gs.n > MOST) text_printf(t, "<li>and %zu other kinds of change</li>\n", gs.n - MOST);
	text_add(t, "</ul>\n");
	return OG_OK;
}

static void put_cell(text *t, const char *s, const char *tag)
{
	text_add(t, "<td class=\"cut\">");
	if (s) diff_page_name(t, tag, NULL, s[0] ? s : "\"\"", 240);
	else text_add(t, "<span class=\"none\">&mdash;</span>");
	text_add(t, "</td>");
}

static void put_facts(text *t, const diff_change *facts, size_t n)
{
	for (size_t i = 0; i < n && i < MOST_FACTS; i++) {
		text_add(t, "<tr><th>");
		diff_page_text(t, facts[i].name);
		text_add(t, "</th>");
		put_cell(t, facts[i].from, "del");
		put_cell(t, facts[i].to, "ins");
		text_add(t, "</tr>\n");
	}
	if (n > MOST_FACTS) text_printf(t, "<tr><td colspan=\"3\">and %zu more</td></tr>\n", n - MOST_FACTS);
}

/* Of the whole model (d may be NULL) and of a graph. */
static void put_fact_table(text *t, const diff *d, const diff_graph *g)
{
	if (!(d && d->n_facts) && !g->n_facts) return;
	text_add(t, "<div class=\"wide\"><table class=\"facts\">\n<tr><th></th><th>left</th><th>right</th></tr>\n");
	if (d) put_facts(t, d->facts, d->n_facts);
	put_facts(t, g->facts, g->n_facts);
	text_add(t, "</table></div>\n");
}

static void put_tensor_type(text *t, const og_tensor *x, const char *tag)
{
	text type = { 0 };
	graph_print_type(&type, NULL, x->dtype, x->rank, x->dims);
	char *s = text_take(&type);
	if (s) diff_page_name(t, tag, NULL, s, 60);
	else t->failed = true;
	base_free(s);
}

static void put_bar(text *t, double share)
{
	if (!(share >= 0)) share = 1;
	if (share > 1) share = 1;
	text_printf(t, "<td class=\"bar\"><i style=\"width:%.1f%%\"></i></td>", 100 * share);
}

static void put_weight(text *t, const diff_weight *w, double longest)
{
	text_add(t, "<tr><td class=\"cut\">");
	if (w->name_a && w->name_b && strcmp(w->name_a, w->name_b)) {
		diff_page_name(t, "del", NULL, w->name_a, 60);
		text_add(t, " ");
		diff_page_name(t, "ins", NULL, w->name_b, 60);
	} else {
		diff_page_name(t, "span", NULL, w->name_b ? w->name_b : w->name_a, 80);
	}
	text_add(t, "</td><td>");
	bool same_type = w->a && w->b && w->a->dtype == w->b->dtype && w->measured;
	if (same_type) put_tensor_type(t, w->b, "span");
	if (w->a && !same_type) put_tensor_type(t, w->a, "del");
	if (w->a && w->b && !same_type) text_add(t, " ");
	if (w->b && !same_type) put_tensor_type(t, w->b, "ins");
	text_add(t, "</td>");
	if (!w->measured) {
		const char *why = !w->b ? "only on the left" : !w->a ? "only on the right" : "not comparable number by number";
		text_printf(t, "<td class=\"none\" colspan=\"5\">%s</td></tr>\n", why);
		return;
	}
	text_add(t, "<td class=\"n\">");
	diff_text_count(t, w->differ);
	text_add(t, " of ");
	diff_text_count(t, w->count);
	text_add(t, "</td>");
	put_bar(t, w->count ? (double)w->differ / (double)w->count : 0);
	text_add(t, "<td class=\"n\">");
	diff_text_number(t, w->max_abs);
	text_add(t, "</td><td class=\"n\">");
	diff_text_number(t, w->relative);
	text_add(t, "</td>");
	put_bar(t, longest > 0 ? w->relative / longest : 0);
	text_add(t, "</tr>\n");
}

static void put_weights(text *t, const diff_graph *g)
{
	double longest = 0;
	size_t shown = 0;
	if (!g->n_weights) return;
	for (size_t i = 0; i < g->n_weights; i++)
		if (g->weights[i].measured && isfinite(g->weights[i].relative) && g->weights[i].relative > longest)
			longest = g->weights[i].relative;
	text_add(t, "<h2>Weights</h2>\n<div class=\"wide\"><table>\n<tr><th>name</th><th>type</th>"
	         "<th class=\"n\">elements that differ</th><th></th><th class=\"n\">max |d|</th><th class=\"n\">relative</th><th></th></tr>\n");
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < g->n_weights; i++) {
			const diff_weight *w = &g->weights[i];
			if ((pass == 1) != (!w->a || !w->b) || shown >= MOST_WEIGHTS) continue;
			shown++;
			put_weight(t, w, longest);
		}
	text_add(t, "</table></div>\n<p class=\"note\">relative: the L2 norm of the difference over that of the left side.");
	if (g->n_weights > shown) text_printf(t, " %zu more are not shown.", g->n_weights - shown);
	text_add(t, "</p>\n");
}

/* ---- all of it --------------------------------------------------------------------------------- */

static void put_head(text *t, const diff *d, const diff_graph *g)
{
	for (int side = 0; side < 2; side++) {
		size_t n = side ? g->b->n_nodes : g->a->n_nodes;
		text_add(t, side ? "<span></span><span>" : "<div class=\"head\"><span>");
		diff_page_text(t, file_name(side ? d->b : d->a));
		text_add(t, " <small>");
		diff_text_count(t, (int64_t)n);
		text_printf(t, " node%s</small></span>", n == 1 ? "" : "s");
	}
	text_add(t, "</div>\n");
}

static og_status put_graph(text *t, diff *d, const diff_graph *g, size_t number)
{
	text_add(t, "<h2>");
	if (g->path[0]) text_add(t, "Inside ");
	diff_page_text(t, g->path[0] ? g->path : "Side by side");
	text_add(t, "</h2>\n");
	if (g->path[0]) {
		put_fact_table(t, NULL, g);
		TRY(put_groups(t, d, g, number));
	}
	put_head(t, d, g);
	TRY(diff_page_sides(t, d, g, number));
	put_weights(t, g);
	return OG_OK;
}

og_status diff_page_print(text *t, diff *d)
{
	const diff_graph *g = &d->graphs[0];
	text_add(t, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
	diff_page_text(t, file_name(d->a));
	text_add(t, " and ");
	diff_page_text(t, file_name(d->b));
	text_printf(t, "</title>\n<style>\n%s%s</style>\n</head>\n<body>\n<h1>", diff_page_style, diff_page_style_sides);
	diff_page_text(t, file_name(d->a));
	text_add(t, "<i>&rarr;</i>");
	diff_page_text(t, file_name(d->b));
	text_add(t, "</h1>\n<p class=\"lead\">");
	diff_text_summary(t, d);
	text_add(t, ".</p>\n");
	put_tiles(t, d);
	text_add(t, "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><linearGradient id=\"flow\">"
	         "<stop class=\"from\" offset=\"0\"/><stop class=\"to\" offset=\"1\"/></linearGradient></svg>\n");
	text_add(t, "<div class=\"strip\"><div><span>left</span><span>right</span></div>");
	diff_page_strip(t, g, 0);
	text_add(t, "</div>\n");
	put_legend(t);
	TRY(put_groups(t, d, g, 0));
	put_fact_table(t, d, g);
	for (size_t i = 0; i < d->n_graphs; i++) TRY(put_graph(t, d, &d->graphs[i], i));
	text_printf(t, "<footer>opgraft diff %s</footer>\n</body>\n</html>\n", OG_VERSION);
	return OG_OK;
}
