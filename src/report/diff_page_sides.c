/* diff_page_sides.c -- two networks side by side: a row for each pair of nodes, changes in place, equal stretches
 * folded. */
#include "report/diff_lanes.h"
#include "report/diff_page.h"

enum { CONTEXT = 1, FOLD_FROM = 5, FOLD_OPEN = 40, FOLD_MOST = 400, STACK_MOST = 14, STACK_END = 4, NAME = 46,
       VALUE = 60, MOST_ROWS = 5000 };

typedef struct sides {
	text *t;
	diff *d;
	const diff_graph *g;
	size_t number;                       /* of the graph on the page */
	diff_lanes a, b;
	int lanes_a, lanes_b;                /* widths */
} sides;

/* ---- cards ------------------------------------------------------------------------------------- */

static const graph_value *first_output(const graph_node *n)
{
	for (int k = 0; k < n->n_out; k++)
		if (n->out[k]) return n->out[k];
	return NULL;
}

static void put_type(text *t, const graph_value *v, const char *mark)
{
	text type = { 0 };
	if (!v || v->dtype == OG_NONE) return;
	graph_print_type(&type, v->owner->model, v->dtype, v->rank, v->dims);
	char *s = text_take(&type);
	if (!s) t->failed = true;
	else diff_page_name(t, mark, "type", s, 34);
	base_free(s);
}

static const char *change_name(const diff_change *c) { return c->kind == DIFF_TYPE ? "shape" : c->name; }

/* One side of each change: what was on the left, what is on the right. */
static void put_changes(text *t, const diff_row *r, bool left)
{
	for (size_t i = 0; i < r->n_changes; i++) {
		const diff_change *c = &r->changes[i];
		const char *s = left ? c->from : c->to;
		if (c->kind == DIFF_TYPE || (c->kind == DIFF_NAME && s && s[0])) continue;
		text_add(t, "<div class=\"change\">");
		diff_page_name(t, "span", NULL, change_name(c), 24);
		if (s) diff_page_name(t, left ? "del" : "ins", NULL, s[0] ? s : "\"\"", VALUE);
		else text_add(t, "<b class=\"none\">&mdash;</b>");
		text_add(t, "</div>");
	}
}

static void put_badge(text *t, double relative)
{
	text_add(t, "<span class=\"badge\" title=\"the L2 norm of the difference over that of the left\">");
	if (relative != 0) text_add(t, "weights &Delta; ");
	if (relative != 0) diff_text_number(t, relative);
	else text_add(t, "other weights");
	text_add(t, "</span>");
}

static void put_settings(text *t, const graph_node *n)
{
	text settings = { 0 };
	diff_text_settings(&settings, n);
	char *s = text_take(&settings);
	if (!s) t->failed = true;
	else if (*s) diff_page_name(t, "span", "set", s + 1, 40);
	base_free(s);
}

static bool is_retyped(const diff_row *r) { return r && r->kinds & DIFF_TYPE; }

/* row NULL: a node of a region. */
static void put_node(sides *s, const graph_node *n, const diff_row *row, bool left)
{
	text *t = s->t;
	const char *mark = left ? "del" : "ins";
	text_add(t, "<div class=\"node\">");
	diff_lanes_step(t, left ? &s->a : &s->b, n, left ? s->lanes_a : s->lanes_b);
	text_add(t, "<div class=\"card\"><div class=\"line\">");
	diff_page_name(t, "span", "op", diff_called(s->d, n), 28);
	if (row && row->kinds & DIFF_NAME && n->name[0]) {
		text_add(t, "<span class=\"name\">");
		diff_page_name(t, mark, NULL, n->name, NAME);
		text_add(t, "</span>");
	} else {
		diff_page_name(t, "span", "name", diff_label(n), NAME);
	}
	if (row && row->kinds & DIFF_WEIGHT && !left) put_badge(t, row->weight);
	if (!row) put_settings(t, n);
	put_type(t, first_output(n), is_retyped(row) ? mark : "span");
	text_add(t, "</div>");
	if (row) put_changes(t, row, left);
	text_add(t, "</div></div>");
}

/* ---- rows -------------------------------------------------------------------------------------- */

static const char *row_class(const diff_row *r)
{
	if (r->region) return "rg";
	if (r->kinds & (DIFF_ATTRIBUTE | DIFF_INPUT)) return "ch";
	if (r->kinds & ~(unsigned)DIFF_WEIGHT) return "re";
	return r->kinds ? "we" : "eq";
}

static void open_row(sides *s, size_t i)
{
	text_printf(s->t, "<div class=\"row %s\" id=\"r%zu-%zu\">", row_class(&s->g->rows[i]), s->number, i);
}

static void put_pair(sides *s, size_t i)
{
	const diff_row *r = &s->g->rows[i];
	open_row(s, i);
	text_add(s->t, "<div class=\"side l\">");
	put_node(s, r->a, r, true);
	text_add(s->t, "</div><div class=\"gut\"><svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
	         "<path d=\"M0 50H100\"/></svg></div><div class=\"side r\">");
	put_node(s, r->b, r, false);
	text_add(s->t, "</div></div>\n");
}

static void put_filler(sides *s, bool left)
{
	text_add(s->t, "<div class=\"fill\">");
	diff_lanes_pass(s->t, left ? &s->a : &s->b, left ? s->lanes_a : s->lanes_b);
	text_add(s->t, "</div>");
}

static void put_stack(sides *s, const diff_side *side, bool left)
{
	size_t hidden = side->n > STACK_MOST ? side->n - 2 * STACK_END : 0;
	text_printf(s->t, "<div class=\"side %s\">", left ? "l a" : "r b");
	put_filler(s, left);
	for (size_t i = 0; i < side->n; i++) {
		if (hidden && i == STACK_END)
			text_printf(s->t, "<details class=\"fold\"><summary><div class=\"bar\"><span>%zu more nodes</span></div></summary>",
			            hidden);
		put_node(s, side->nodes[i], NULL, left);
		if (hidden && i == side->n - STACK_END - 1) text_add(s->t, "</details>");
	}
	put_filler(s, left);
	text_add(s->t, "</div>");
}

/* The lines that a stack takes on the page. */
static double height_of(const diff_side *side)
{
	return side->n > STACK_MOST ? 2 * STACK_END + 1 : (double)side->n;
}

/* From what was to what is: a band between the two stacks; one that is empty is a point. */
static void put_band(text *t, const diff_region *r)
{
	double a = height_of(&r->a), b = height_of(&r->b), most = a > b ? a : b;
	double left = 47 * a / most, right = 47 * b / most;
	if (!r->a.n) left = 0;
	if (!r->b.n) right = 0;
	text_add(t, "<div class=\"gut\"><svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path");
	if (!r->a.n) text_add(t, " class=\"in\"");
	if (!r->b.n) text_add(t, " class=\"out\"");
	text_printf(t, " d=\"M0 %.1fC50 %.1f 50 %.1f 100 %.1fV%.1fC50 %.1f 50 %.1f 0 %.1fZ\"/></svg></div>",
	            50 - left, 50 - left, 50 - right, 50 - right, 50 + right, 50 + right, 50 + left, 50 + left);
}

static void put_region(sides *s, size_t i)
{
	const diff_region *r = s->g->rows[i].region;
	open_row(s, i);
	put_stack(s, &r->a, true);
	put_band(s->t, r);
	put_stack(s, &r->b, false);
	text_add(s->t, "</div>\n");
}

/* ---- folds ------------------------------------------------------------------------------------- */

static bool is_equal(const diff_row *r) { return !r->region && !r->kinds; }

/* Rows [from, end) without showing all of a very long stretch; lanes go past all of them. */
static void put_rows(sides *s, size_t from, size_t end)
{
	size_t n = end - from, skip_from = from + FOLD_MOST / 2, skip_end = n > FOLD_MOST ? end - FOLD_MOST / 2 : skip_from;
	for (size_t i = from; i < end; i++) {
		const diff_row *r = &s->g->rows[i];
		if (i >= skip_from && i < skip_end) {
			diff_lanes_step(NULL, &s->a, r->a, 0);
			diff_lanes_step(NULL, &s->b, r->b, 0);
			if (i == skip_from)
				text_printf(s->t, "<div class=\"note\">%zu more equal nodes</div>\n", skip_end - skip_from);
		} else {
			put_pair(s, i);
		}
	}
}

static void put_fold(sides *s, size_t from, size_t end, bool open)
{
	size_t n = end - from, shown = n < 12 ? n : 12;
	text_printf(s->t, "<details class=\"fold\"%s><summary><div class=\"bar\"><b>", open ? " open" : "");
	diff_text_count(s->t, (int64_t)n);
	text_add(s->t, " equal nodes</b><span>");
	for (size_t i = 0; i < shown; i++) {
		if (i) text_add(s->t, " &middot; ");
		diff_page_text(s->t, diff_called(s->d, s->g->rows[from + i].a));
	}
	text_add(s->t, shown < n ? " &hellip;</span></div></summary>\n" : "</span></div></summary>\n");
	put_rows(s, from, end);
	text_add(s->t, "</details>\n");
}

/* An equal stretch keeps a row of context at each end that meets a change. */
static void put_stretch(sides *s, size_t from, size_t end)
{
	size_t n = s->g->n_rows, head = from > 0 ? CONTEXT : 0, tail = end < n ? CONTEXT : 0;
	if (end - from < FOLD_FROM + head + tail) {
		put_rows(s, from, end);
		return;
	}
	put_rows(s, from, from + head);
	put_fold(s, from + head, end - tail, !head && !tail && n <= FOLD_OPEN);
	put_rows(s, end - tail, end);
}

/* ---- all of it --------------------------------------------------------------------------------- */

/* How many lanes each side needs. */
static og_status measure_lanes(sides *s)
{
	TRY(diff_lanes_begin(&s->a, s->d->arena, s->g->a));
	TRY(diff_lanes_begin(&s->b, s->d->arena, s->g->b));
	for (size_t i = 0; i < s->g->n_rows; i++) {
		const diff_row *r = &s->g->rows[i];
		if (r->a) diff_lanes_step(NULL, &s->a, r->a, 0);
		if (r->b) diff_lanes_step(NULL, &s->b, r->b, 0);
		for (size_t k = 0; r->region && k < r->region->a.n; k++) diff_lanes_step(NULL, &s->a, r->region->a.nodes[k], 0);
		for (size_t k = 0; r->region && k < r->region->b.n; k++) diff_lanes_step(NULL, &s->b, r->region->b.nodes[k], 0);
	}
	s->lanes_a = s->a.used;
	s->lanes_b = s->b.used;
	TRY(diff_lanes_begin(&s->a, s->d->arena, s->g->a));
	return diff_lanes_begin(&s->b, s->d->arena, s->g->b);
}

og_status diff_page_sides(text *t, diff *d, const diff_graph *g, size_t number)
{
	sides s = { .t = t, .d = d, .g = g, .number = number };
	TRY(measure_lanes(&s));
	text_printf(t, "<div class=\"sides\" style=\"--l:%dpx;--r:%dpx\">\n", s.lanes_a * DIFF_LANE_WIDTH,
	            s.lanes_b * DIFF_LANE_WIDTH);
	for (size_t i = 0, end; i < g->n_rows; i = end) {
		if (i >= MOST_ROWS && !is_equal(&g->rows[i])) {
			text_printf(t, "<div class=\"note\">%zu more rows: the JSON has all</div>\n", g->n_rows - i);
			break;
		}
		end = i;
		while (end < g->n_rows && is_equal(&g->rows[end])) end++;
		if (end > i) {
			put_stretch(&s, i, end);
			continue;
		}
		if (g->rows[i].region) put_region(&s, i);
		else put_pair(&s, i);
		end = i + 1;
	}
	text_add(t, "</div>\n");
	return OG_OK;
}

/* ---- the strip --------------------------------------------------------------------------------- */


void diff_page_strip(text *t, const diff_graph *g, size_t number)
{
	double step_a = g->a->n_nodes ? 1000.0 / (double)g->a->n_nodes : 0;
	double step_b = g->b->n_nodes ? 1000.0 / (double)g->b->n_nodes : 0;
	double at_a = 0, at_b = 0;
	text_add(t, "<svg viewBox=\"0 0 1000 88\" preserveAspectRatio=\"none\" role=\"img\" "
	         "aria-label=\"both networks as strips\">\n");
	for (size_t i = 0, end; i < g->n_rows; i = end) {
		double a = at_a, b = at_b;
		const char *kind = row_class(&g->rows[i]);
		for (end = i; end < g->n_rows && (end == i || !g->rows[i].region) && !strcmp(row_class(&g->rows[end]), kind);
		     end++) {
			const diff_region *r = g->rows[end].region;
			at_a += step_a * (r ? (double)r->a.n : 1);
			at_b += step_b * (r ? (double)r->b.n : 1);
		}
		if (at_a - a < 0.3 && at_b - b < 0.3) continue;
		if (g->rows[i].region && at_a == a) kind = "rg in";
		if (g->rows[i].region && at_b == b) kind = "rg out";
		text_printf(t, "<a class=\"%s\" href=\"#r%zu-%zu\"><rect class=\"a\" x=\"%.2f\" width=\"%.2f\" height=\"18\"/>"
		            "<rect class=\"b\" x=\"%.2f\" y=\"70\" width=\"%.2f\" height=\"18\"/>"
		            "<path d=\"M%.2f 19H%.2fC%.2f 45 %.2f 43 %.2f 69H%.2fC%.2f 43 %.2f 45 %.2f 19Z\"/></a>\n",
		            kind, number, i, a, at_a - a, b, at_b - b, a, at_a, at_a, at_b, at_b, b, b, a, a);
	}
	text_add(t, "</svg>");
}
