/* diff_text.c -- a comparison in lines of at most 80 columns: what differs, and nothing of what is equal. */
#include <math.h>

#include "report/diff_out.h"

enum { COLUMNS = 80, MOST_LINES = 20, MOST_TYPES = 6 };

/* ---- words --------------------------------------------------------------------------------------- */

static bool continues(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

static size_t length_of(const char *s)
{
	size_t n = 0;
	for (; *s; s++) n += !continues(*s);
	return n;
}

/* The place of the k-th character. */
static const char *at_character(const char *s, size_t k)
{
	for (; *s; s++)
		if (!continues(*s) && k-- == 0) return s;
	return s;
}

/* Names come from files: control bytes would move a terminal's cursor. */
static void add_clean(text *t, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		text_addn(t, c < 0x20 || c == 0x7f ? "?" : s + i, 1);
	}
}

void diff_text_short(text *t, const char *s, size_t width)
{
	size_t n = length_of(s), head = (width - 3) / 2;
	if (n <= width) {
		add_clean(t, s, strlen(s));
		return;
	}
	const char *tail = at_character(s, n - (width - 3 - head));
	add_clean(t, s, (size_t)(at_character(s, head) - s));
	text_add(t, "...");
	add_clean(t, tail, strlen(tail));
}

void diff_text_number(text *t, double x)
{
	if (isnan(x)) text_add(t, "NaN");
	else if (isinf(x)) text_add(t, "inf");
	else text_printf(t, "%.3g", x);
}

void diff_text_count(text *t, int64_t n)
{
	char digits[32], *p = digits + sizeof digits;
	uint64_t x = n < 0 ? 0 : (uint64_t)n;
	*--p = 0;
	for (int k = 0; !k || x; k++, x /= 10) {
		if (k && k % 3 == 0) *--p = ',';
		*--p = (char)('0' + x % 10);
	}
	text_add(t, p);
}

static void add_part(text *t, bool *any, size_t n, const char *one, const char *many)
{
	if (!n) return;
	if (*any) text_add(t, ", ");
	*any = true;
	diff_text_count(t, (int64_t)n);
	text_printf(t, " %s", n == 1 ? one : many);
}

void diff_text_summary(text *t, const diff *d)
{
	const diff_totals *s = &d->totals;
	bool any = false;
	if (d->equal) {
		diff_text_count(t, (int64_t)s->nodes_a);
		text_printf(t, " node%s, all equal", s->nodes_a == 1 ? "" : "s");
		return;
	}
	if (s->replacements) {
		diff_text_count(t, (int64_t)s->from);
		text_printf(t, " node%s became ", s->from == 1 ? "" : "s");
		diff_text_count(t, (int64_t)s->to);
		any = true;
	}
	add_part(t, &any, s->added, "node added", "nodes added");
	add_part(t, &any, s->removed, "node removed", "nodes removed");
	add_part(t, &any, s->changed, "node changed", "nodes changed");
	add_part(t, &any, s->renamed, "node renamed", "nodes renamed");
	add_part(t, &any, s->retyped, "shape or type", "shapes or types");
	add_part(t, &any, s->weights, "weight differs", "weights differ");
	add_part(t, &any, s->weights_added, "constant added", "constants added");
	add_part(t, &any, s->weights_removed, "constant removed", "constants removed");
	add_part(t, &any, s->functions, "function", "functions");
	add_part(t, &any, s->facts, "other fact", "other facts");
	if (!any) text_add(t, "only names differ");
	text_add(t, "; ");
	diff_text_count(t, (int64_t)s->equal);
	text_printf(t, " node%s", s->equal == 1 ? " is equal" : "s are equal");
}

typedef struct type_count { const char *type; size_t n; } type_count;

/* Up to MOST_TYPES types in their order, or counts of the first ones. */
static void add_types(text *t, const diff *d, const diff_side *s)
{
	type_count counts[MOST_TYPES];
	size_t n = 0, others = 0;
	for (size_t i = 0; i < s->n; i++) {
		const char *type = diff_called(d, s->nodes[i]);
		size_t k = 0;
		while (k < n && s->n > MOST_TYPES && strcmp(counts[k].type, type)) k++;
		if (s->n <= MOST_TYPES) k = n;
		if (k < n) counts[k].n++;
		else if (n < MOST_TYPES) counts[n++] = (type_count){ type, 1 };
		else others++;
	}
	for (size_t k = 0; k < n; k++) {
		if (k) text_add(t, ", ");
		if (s->n > MOST_TYPES) text_printf(t, "%zu ", counts[k].n);
		diff_text_short(t, counts[k].type, 32);
	}
	if (others) text_printf(t, ", %zu others", others);
}

void diff_text_side(text *t, const diff *d, const diff_side *s)
{
	if (s->n == 1) {
		diff_text_short(t, diff_called(d, s->nodes[0]), 40);
		return;
	}
	diff_text_count(t, (int64_t)s->n);
	text_add(t, " nodes (");
	add_types(t, d, s);
	text_add(t, ")");
}

static void add_values(text *t, const graph_value *const *list, size_t n, size_t width)
{
	size_t shown = n > 3 ? 2 : n, each = shown ? width / shown : width;
	if (!n) text_add(t, "nothing");
	for (size_t i = 0; i < shown; i++) {
		if (i) text_add(t, ", ");
		diff_text_short(t, list[i]->name, each > 12 ? each - 2 : 10);
	}
	if (shown < n) text_printf(t, ", %zu more", n - shown);
}

void diff_text_ends(text *t, const diff_side *s, size_t width)
{
	size_t half = width / 2 - 8;
	add_values(t, s->in, s->n_in, half);
	text_add(t, " -> ");
	add_values(t, s->out, s->n_out, half);
}

/* ---- lines --------------------------------------------------------------------------------------- */

typedef struct printer { text *t; diff *d; bool headed; const char *heading; } printer;

/* Each part of the report is headed once, and only when it has a line. */
static void begin_part(printer *p, const char *heading)
{
	p->heading = heading;
	p->headed = false;
}

static void begin_line(printer *p)
{
	if (!p->headed) text_printf(p->t, "\n%s\n", p->heading);
	p->headed = true;
}

/* Ends a line that began at byte `start` by cutting what passes the last column: the JSON has it whole. */
static void end_line(printer *p, size_t start)
{
	text *t = p->t;
	if (!t->failed && length_of(t->data + start) > COLUMNS) {
		t->length = (size_t)(at_character(t->data + start, COLUMNS - 3) - t->data);
		t->data[t->length] = 0;
		text_add(t, "...");
	}
	text_add(t, "\n");
}

static size_t line_start(printer *p)
{
	begin_line(p);
	return p->t->length;
}

static void add_more(printer *p, size_t n, const char *what)
{
	if (!n) return;
	begin_line(p);
	text_printf(p->t, "  ... and %zu more %s (--json has all)\n", n, what);
}

/* "      name   from -> to", in two lines when it is long. */
static void print_change(printer *p, const char *indent, const diff_change *c)
{
	const char *from = c->from ? (c->from[0] ? c->from : "\"\"") : "-", *to = c->to ? (c->to[0] ? c->to : "\"\"") : "-";
	size_t start = line_start(p);
	text_add(p->t, indent);
	diff_text_short(p->t, c->name, 34);
	for (size_t n = length_of(c->name) < 34 ? length_of(c->name) : 34; n < 18; n++) text_add(p->t, " ");
	text_add(p->t, "  ");
	size_t used = length_of(p->t->failed ? "" : p->t->data + start);
	if (used + length_of(from) + length_of(to) + 4 <= COLUMNS) {
		diff_text_short(p->t, from, COLUMNS);
		text_add(p->t, " -> ");
		diff_text_short(p->t, to, COLUMNS);
		end_line(p, start);
		return;
	}
	diff_text_short(p->t, from, COLUMNS - used);
	end_line(p, start);
	start = line_start(p);
	text_printf(p->t, "%*s-> ", (int)used - 3, "");
	diff_text_short(p->t, to, COLUMNS - used);
	end_line(p, start);
}

static void print_facts(printer *p, const diff_change *facts, size_t n)
{
	for (size_t i = 0; i < n && i < MOST_LINES; i++) print_change(p, "  ", &facts[i]);
	if (n > MOST_LINES) add_more(p, n - MOST_LINES, "of these");
}

/* ---- regions ------------------------------------------------------------------------------------- */

static void print_place(printer *p, const diff_region *r)
{
	size_t start = line_start(p);
	const diff_side *s = r->b.n ? &r->b : &r->a;
	text_add(p->t, "      ");
	if (s->n == 1 && s->nodes[0]->name[0]) {
		diff_text_short(p->t, s->nodes[0]->name, 24);
		text_add(p->t, ": ");
	}
	diff_text_ends(p->t, s, 48);
	if (r->a.n && r->b.n && !r->same_ends) {
		text_add(p->t, " (was ");
		diff_text_ends(p->t, &r->a, 34);
		text_add(p->t, ")");
	}
	end_line(p, start);
}

static void print_group(printer *p, const diff_graph *in, const diff_group *g)
{
	size_t start = line_start(p);
	text_add(p->t, "  ");
	if (g->n > 1) text_printf(p->t, "%zu times: ", g->n);
	text_add(p->t, g->words);
	end_line(p, start);
	for (size_t i = 0; i < g->n && i < DIFF_PLACES; i++) print_place(p, in->rows[g->first[i]].region);
	if (g->n > DIFF_PLACES) text_printf(p->t, "      ... and %zu more\n", g->n - DIFF_PLACES);
}

static og_status print_regions(printer *p, const diff_graph *g)
{
	diff_groups gs;
	TRY(diff_groups_make(&gs, p->d, g));
	for (size_t i = 0; i < gs.n && i < MOST_LINES; i++) print_group(p, g, gs.groups[i]);
	if (gs.n > MOST_LINES) add_more(p, gs.n - MOST_LINES, "kinds of change");
	return OG_OK;
}

/* ---- pairs --------------------------------------------------------------------------------------- */

static void print_changed(printer *p, const diff_graph *g)
{
	size_t shown = 0, left = 0;
	for (size_t i = 0; i < g->n_rows; i++) {
		const diff_row *r = &g->rows[i];
		if (!(r->kinds & (DIFF_ATTRIBUTE | DIFF_INPUT))) continue;
		if (shown == MOST_LINES) {
			left++;
			continue;
		}
		shown++;
		size_t start = line_start(p);
		text_add(p->t, "  changed ");
		diff_text_short(p->t, diff_called(p->d, r->b), 40);
		text_add(p->t, " \"");
		diff_text_short(p->t, diff_label(r->b), 50);
		text_add(p->t, "\"");
		end_line(p, start);
		for (size_t k = 0; k < r->n_changes; k++)
			if (r->changes[k].kind != DIFF_TYPE) print_change(p, "      ", &r->changes[k]);
	}
	add_more(p, left, "changed nodes");
}

static void print_renamed(printer *p, const diff_graph *g)
{
	size_t shown = 0, left = 0;
	for (size_t i = 0; i < g->n_rows; i++) {
		const diff_row *r = &g->rows[i];
		if (r->region || !(r->kinds & (DIFF_NAME | DIFF_OUTPUT)) || r->kinds & (DIFF_ATTRIBUTE | DIFF_INPUT)) continue;
		if (shown == DIFF_PLACES) {
			left++;
			continue;
		}
		shown++;
		size_t start = line_start(p);
		bool node = r->kinds & DIFF_NAME;
		const diff_change *c = &r->changes[0];
		text_add(p->t, "  renamed ");
		diff_text_short(p->t, diff_called(p->d, r->b), 24);
		text_add(p->t, node ? " \"" : "'s output \"");
		diff_text_short(p->t, node ? r->a->name : c->from ? c->from : "-", 28);
		text_add(p->t, "\" -> \"");
		diff_text_short(p->t, node ? r->b->name : c->to ? c->to : "-", 28);
		text_add(p->t, "\"");
		end_line(p, start);
	}
	add_more(p, left, "renamed nodes");
}

static void print_types(printer *p, const diff_graph *g)
{
	size_t shown = 0, left = 0;
	for (size_t i = 0; i < g->n_rows; i++)
		for (size_t k = 0; k < g->rows[i].n_changes; k++) {
			if (g->rows[i].changes[k].kind != DIFF_TYPE) continue;
			if (shown++ < MOST_LINES) print_change(p, "  ", &g->rows[i].changes[k]);
			else left++;
		}
	add_more(p, left, "shapes or types");
}

/* ---- weights ------------------------------------------------------------------------------------- */

static void add_type(text *t, const og_tensor *x) { graph_print_type(t, NULL, x->dtype, x->rank, x->dims); }

static void pad_to(text *t, size_t start, size_t column)
{
	for (size_t n = t->failed ? column : length_of(t->data + start); n < column; n++) text_add(t, " ");
}

static void print_weight(printer *p, const diff_weight *w)
{
	size_t start = line_start(p);
	text *t = p->t;
	text_add(t, "  ");
	diff_text_short(t, w->name_b ? w->name_b : w->name_a, 26);
	pad_to(t, start, 29);
	if (w->measured) {
		add_type(t, w->b);
		pad_to(t, start, 48);
		diff_text_count(t, w->differ);
		text_add(t, w->differ == w->count ? " (all)" : "");
		pad_to(t, start, 62);
		diff_text_number(t, w->max_abs);
		pad_to(t, start, 71);
		diff_text_number(t, w->relative);
	} else if (w->a && w->b) {
		add_type(t, w->a);
		text_add(t, " -> ");
		add_type(t, w->b);
	} else {
		text_add(t, w->a ? "removed, " : "added, ");
		add_type(t, w->a ? w->a : w->b);
	}
	end_line(p, start);
}

static void print_weights(printer *p, const diff_graph *g)
{
	size_t shown = 0, left = 0;
	bool head = false;
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < g->n_weights; i++) {
			const diff_weight *w = &g->weights[i];
			bool one_side = !w->a || !w->b;
			if (one_side != (pass == 1)) continue;
			if (shown++ >= MOST_LINES) {
				left++;
				continue;
			}
			begin_line(p);
			if (!one_side && !head)
				text_printf(p->t, "  %-26s %-18s %-13s %-8s %s\n", "", "", "differ", "max |d|", "relative");
			head = true;
			print_weight(p, w);
		}
	add_more(p, left, "weights");
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static og_status print_graph(printer *p, const diff_graph *g)
{
	text words = { 0 };
	text_add(&words, g->path[0] ? "in " : "nodes");
	diff_text_short(&words, g->path, COLUMNS - 3);
	char *s = text_take(&words), *heading = s ? arena_strdup(p->d->arena, s) : NULL;
	base_free(s);
	NEED(heading);
	if (!g->path[0]) {
		begin_part(p, "inputs and outputs");
		print_facts(p, g->facts, g->n_facts);
	}
	begin_part(p, heading);
	if (g->path[0]) print_facts(p, g->facts, g->n_facts);
	TRY(print_regions(p, g));
	print_changed(p, g);
	print_renamed(p, g);
	if (!g->path[0]) begin_part(p, "shapes and types");
	print_types(p, g);
	if (!g->path[0]) begin_part(p, "weights");
	print_weights(p, g);
	return OG_OK;
}

/* The summary, broken at spaces. */
static void print_summary(printer *p)
{
	text line = { 0 };
	text_add(&line, p->d->equal ? "Equal: " : "Different: ");
	diff_text_summary(&line, p->d);
	text_add(&line, ".");
	char *s = text_take(&line), *at = s;
	if (!s) {
		p->t->failed = true;
		return;
	}
	while (strlen(at) > COLUMNS) {
		char *end = at + COLUMNS;
		while (end > at && *end != ' ') end--;
		text_addn(p->t, at, (size_t)(end - at));
		text_add(p->t, "\n");
		at = end + 1;
	}
	text_add(p->t, at);
	text_add(p->t, "\n");
	base_free(s);
}

og_status diff_text_print(text *t, diff *d)
{
	printer p = { .t = t, .d = d };
	print_summary(&p);
	begin_part(&p, "model");
	print_facts(&p, d->facts, d->n_facts);
	for (size_t i = 0; i < d->n_graphs; i++) TRY(print_graph(&p, &d->graphs[i]));
	return OG_OK;
}
