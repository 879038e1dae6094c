/* partition_print.c -- what became of a network: the manifest as JSON, a table and the refusals as text. */
#include "base/json.h"
#include "kit/partition.h"

/* ---- refusals, those with one op and reason together --------------------------------------------- */

static bool same_refusal(const partition_node *a, const partition_node *b)
{
	return a->reason && b->reason && !strcmp(a->node->type, b->node->type) && !strcmp(a->reason, b->reason);
}

/* True for the first node of its group. */
static bool is_first(const partition *p, int i)
{
	bool first = p->nodes[i].reason != NULL;
	for (int k = 0; k < i && first; k++) first = !same_refusal(&p->nodes[k], &p->nodes[i]);
	return first;
}

static int count_nodes(const partition *p, bool taken)
{
	int n = 0;
	for (int i = 0; i < p->n_nodes; i++) n += taken ? p->nodes[i].reason == NULL : p->nodes[i].constant;
	return n;
}

/* ---- JSON ------------------------------------------------------------------------------------------ */

static void json_word(json *j, const char *key, const char *s)
{
	json_key(j, key);
	json_string(j, s);
}

static void json_count(json *j, const char *key, int64_t n)
{
	json_key(j, key);
	json_int(j, n);
}

static void json_values(json *j, const char *key, const og_model *m, graph_value *const *values, int n)
{
	json_key(j, key);
	json_begin(j, '[');
	for (int k = 0; k < n; k++) {
		const graph_value *v = values[k];
		if (v->constant && v->is_input) continue;            /* it has a default, and stays what it is */
		json_begin(j, '{');
		json_word(j, "name", v->name);
		json_word(j, "dtype", base_dtype_name(v->dtype));
		json_key(j, "shape");
		if (v->rank < 0) json_null(j);
		else json_begin(j, '[');
		for (int d = 0; d < v->rank; d++) {
			if (v->dims[d] >= 0) json_int(j, v->dims[d]);
			else if (graph_dim_name(m, v->dims[d])) json_string(j, graph_dim_name(m, v->dims[d]));
			else json_null(j);
		}
		if (v->rank >= 0) json_end(j, ']');
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void json_names(json *j, const char *key, const char *const *names, int n)
{
	json_key(j, key);
	json_begin(j, '[');
	for (int k = 0; k < n; k++) json_string(j, names[k]);
	json_end(j, ']');
}

static void json_pieces(json *j, const partition *p)
{
	json_key(j, "pieces");
	json_begin(j, '[');
	for (int k = 0; k < p->n_pieces; k++) {
		const partition_piece *at = &p->pieces[k];
		json_begin(j, '{');
		json_word(j, "file", at->file);
		json_word(j, "runtime", at->host->is->name);
		json_count(j, "nodes", at->n_nodes);
		json_names(j, "inputs", at->in, at->n_in);
		json_names(j, "outputs", at->out, at->n_out);
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void json_refused(json *j, const partition *p)
{
	json_key(j, "refused");
	json_begin(j, '[');
	for (int i = 0; i < p->n_nodes; i++) {
		if (!is_first(p, i)) continue;
		json_begin(j, '{');
		json_word(j, "op", p->nodes[i].node->type);
		json_word(j, "reason", p->nodes[i].reason);
		json_key(j, "nodes");
		json_begin(j, '[');
		for (int k = i; k < p->n_nodes; k++)
			if (same_refusal(&p->nodes[i], &p->nodes[k])) json_string(j, graph_node_label(p->nodes[k].node));
		json_end(j, ']');
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void print_json(json *j, const partition *p)
{
	const graph *g = p->m->main;
	json_begin(j, '{');
	json_count(j, "opgraft_manifest", 1);
	json_word(j, "model", p->m->path ? p->m->path : "");
	json_word(j, "runtime", p->host.is->name);
	json_word(j, "version", p->host.version);
	json_key(j, "assumed");
	if (p->host.assumed) json_string(j, p->host.assumed);
	else json_null(j);
	json_word(j, "fallback", p->fallback.is->name);
	json_count(j, "nodes", p->n_nodes);
	json_count(j, "taken", count_nodes(p, true));
	json_count(j, "constant", count_nodes(p, false));
	json_values(j, "inputs", p->m, g->inputs, g->n_inputs);
	json_values(j, "outputs", p->m, g->outputs, g->n_outputs);
	json_pieces(j, p);
	json_refused(j, p);
	json_end(j, '}');
	text_add(&j->out, "\n");
}

/* ---- text ------------------------------------------------------------------------------------------ */

enum { WIDTH = 79 };

/* Adds words from column `at` on, with a line broken where it would be too wide; the next begins with `indent` spaces.
 * more: other words were there before. Returns the column. */
static size_t wrap(text *t, size_t at, size_t indent, const char *words, bool more)
{
	for (; *words; more = true) {
		size_t n = strcspn(words, " ");
		if (more && at + 1 + n > WIDTH) {
			text_printf(t, "\n%*s", (int)indent, "");
			at = indent;
		} else if (more) {
			text_add(t, " ");
			at++;
		}
		text_addn(t, words, n);
		at += n;
		words += n + strspn(words + n, " ");
	}
	return at;
}

/* A name that fits a line: the middle of a long one is left out. */
static void add_name(text *t, const char *name, size_t room)
{
	size_t n = strlen(name), half = (room - 3) / 2;
	if (n <= room) text_add(t, name);
	else text_printf(t, "%.*s...%s", (int)half, name, name + n - half);
}

static void print_names(text *t, size_t indent, const char *const *names, int n, int most)
{
	size_t at = indent;
	for (int k = 0; k < n && k < most; k++) {
		text one = { 0 };
		add_name(&one, names[k], WIDTH - indent - 1);
		text_add(&one, k + 1 < n ? "," : "");
		if (one.data) at = wrap(t, at, indent, one.data, k > 0);
		text_free(&one);
	}
	if (n > most) {
		char rest[32];
		snprintf(rest, sizeof rest, "... (%d more)", n - most);
		wrap(t, at, indent, rest, true);
	}
}

static void print_pieces(text *t, const partition *p)
{
	enum { MOST = 4 };
	text_add(t, p->n_pieces ? "\n  piece  runtime      nodes  reads and writes\n" : "");
	for (int k = 0; k < p->n_pieces; k++) {
		const partition_piece *at = &p->pieces[k];
		text_printf(t, "  %-5d  %-11s  %5d  ", k, at->host->is->name, at->n_nodes);
		print_names(t, 29, at->in, at->n_in, MOST);
		text_printf(t, "%s\n%*s", at->n_in ? "" : "nothing", 26, "");
		text_add(t, "-> ");
		print_names(t, 29, at->out, at->n_out, MOST);
		text_add(t, "\n");
	}
}

static void print_refused(text *t, const partition *p, arena *a)
{
	enum { MOST = 8, LONGEST = 400 };        /* names, and bytes of a reason */
	const char **names = arena_array(a, (size_t)p->n_nodes + 1, sizeof *names);
	bool any = false;
	for (int i = 0; names && i < p->n_nodes; i++) {
		if (!is_first(p, i)) continue;
		int n = 0;
		for (int k = i; k < p->n_nodes; k++)
			if (same_refusal(&p->nodes[i], &p->nodes[k])) names[n++] = graph_node_label(p->nodes[k].node);
		if (!any) text_printf(t, "\nnot for %s:\n", p->host.is->name);
		any = true;
		text head = { 0 };
		text_printf(&head, "%d x %s: %.*s%s", n, p->nodes[i].node->type, LONGEST, p->nodes[i].reason,
		            strlen(p->nodes[i].reason) > LONGEST ? " ..." : "");
		text_add(t, "  ");
		if (head.data) wrap(t, 2, 6, head.data, false);
		text_free(&head);
		text_add(t, "\n      ");
		print_names(t, 6, names, n, MOST);
		text_add(t, "\n");
	}
	t->failed |= !names;
}

static void print_text(text *t, const partition *p)
{
	int taken = count_nodes(p, true), constant = count_nodes(p, false), pieces = 0;
	text line = { 0 };
	for (int k = 0; k < p->n_pieces; k++) pieces += p->pieces[k].host == &p->host;
	text_printf(&line, "%s takes %d of %d nodes: %d piece%s for %s", p->host.version, taken, p->n_nodes, pieces,
	            pieces == 1 ? "" : "s", p->host.is->name);
	if (p->n_pieces > pieces) text_printf(&line, ", %d for %s", p->n_pieces - pieces, p->fallback.version);
	if (constant && p->n_pieces > 1)
		text_printf(&line, "; %d node%s on constants go%s with each piece that needs them", constant, constant == 1 ? "" : "s",
	                          constant == 1 ? "es" : "");
	if (line.data) wrap(t, 0, 0, line.data, false);
	text_free(&line);
	text_add(t, "\n");
	if (p->host.assumed) {
		wrap(t, 0, 0, p->host.assumed, false);
		text_add(t, "\n");
	}
	print_pieces(t, p);
	print_refused(t, p, p->a);
}

og_status partition_print(char **out, const partition *p, og_format format)
{
	text t = { 0 };
	json j = { .need_comma = false };
	if (format == OG_JSON) print_json(&j, p);
	else print_text(&t, p);
	*out = text_take(format == OG_JSON ? &j.out : &t);
	return *out ? OG_OK : base_no_memory();
}
