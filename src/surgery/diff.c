/* diff.c -- comparing models: what is said of the whole, the main graph, functions. */
#include "surgery/diff.h"

#include <stdio.h>

#include "onnx/private.h"

/* ---- graphs ------------------------------------------------------------------------------------ */

static og_status put_fact(diff *d, diff_graph *g, const char *name, const char *from, const char *to)
{
	const diff_change c = { .kind = DIFF_FACT, .name = name, .from = from, .to = to };
	NEED(name);
	d->totals.facts++;
	if (g) return diff_change_put(d, &g->facts, &g->n_facts, &g->cap_facts, &c);
	return diff_change_put(d, &d->facts, &d->n_facts, &d->cap_facts, &c);
}

static const char *interface_text(diff *d, const graph_value *v)
{
	if (!v) return NULL;
	const char *type = diff_type_text(d, v->owner->model, v->dtype, v->rank, v->dims);
	return type ? arena_printf(d->arena, "%s: %s", v->name, type) : NULL;
}

/* Inputs, or outputs, one beside the other. */
static og_status compare_interface(diff *d, diff_graph *g, bool in)
{
	graph_value *const *a = in ? g->a->inputs : g->a->outputs, *const *b = in ? g->b->inputs : g->b->outputs;
	int n_a = in ? g->a->n_inputs : g->a->n_outputs, n_b = in ? g->b->n_inputs : g->b->n_outputs;
	for (int i = 0; i < n_a || i < n_b; i++) {
		const graph_value *v = i < n_a ? a[i] : NULL, *w = i < n_b ? b[i] : NULL;
		if (v && w && !strcmp(v->name, w->name) && (v->constant || !diff_types_differ(v, w, true))) continue;
		const char *from = interface_text(d, v), *to = interface_text(d, w);
		if ((v && !from) || (w && !to)) return base_no_memory();
		TRY(put_fact(d, g, arena_printf(d->arena, "%s %d", in ? "input" : "output", i), from, to));
	}
	return OG_OK;
}

static graph_bytes message_of(const graph_value *v)
{
	const onnx_value_file *f = v->file;
	return v->source.p || !f ? v->source : f->tensor;
}

/* Tells the rows of the nodes that read v that its numbers differ. */
static void mark_readers(const diff_graph *g, diff_row **row_of, const graph_value *v, const diff_weight *w)
{
	for (size_t i = 0; i < v->n_uses; i++) {
		const graph_node *user = v->uses[i].node;
		if (user->owner != g->a || !row_of[user->order]) continue;
		diff_row *row = row_of[user->order];
		row->kinds |= DIFF_WEIGHT;
		if (w->measured && !(w->relative <= row->weight)) row->weight = w->relative;
	}
}

static og_status compare_constants(diff *d, diff_graph *g, diff_row **row_of)
{
	diff_totals *t = &d->totals;
	for (const graph_value *v = g->a->first_value; v; v = v->next) {
		const graph_value *w = v->mark;
		if (!v->constant) continue;
		bool paired = w && w->constant;
		diff_weight x = { .name_a = v->name, .a = v->constant };
		if (paired) x.name_b = w->name, x.b = w->constant;
		size_t before = g->n_weights;
		if (paired) TRY(diff_weights_compare(d, g, &x, message_of(v), message_of(w)));
		else TRY(diff_weights_put(d, g, &x));
		if (!paired) t->weights_removed++;
		else if (g->n_weights > before) t->weights++;
		else if (strcmp(v->name, w->name)) t->weights_renamed++;
		else t->weights_equal++;
		if (paired && g->n_weights > before) mark_readers(g, row_of, v, &g->weights[before]);
	}
	for (const graph_value *w = g->b->first_value; w; w = w->next) {
		const graph_value *v = w->mark;
		if (!w->constant || (v && v->constant)) continue;
		const diff_weight x = { .name_b = w->name, .b = w->constant };
		TRY(diff_weights_put(d, g, &x));
		t->weights_added++;
	}
	return OG_OK;
}

static og_status compare_row(diff *d, diff_graph *g, diff_row *row)
{
	diff_totals *t = &d->totals;
	if (row->region) {
		const diff_region *r = row->region;
		if (r->a.n && r->b.n) {
			t->replacements++;
			t->from += r->a.n;
			t->to += r->b.n;
		}
		if (!r->b.n) t->removed += r->a.n;
		if (!r->a.n) t->added += r->b.n;
		return OG_OK;
	}
	TRY(diff_node_compare(d, g, row));
	if (row->kinds & (DIFF_ATTRIBUTE | DIFF_INPUT)) t->changed++;
	else if (row->kinds & (DIFF_NAME | DIFF_OUTPUT)) t->renamed++;
	else t->equal++;
	return OG_OK;
}

static bool any_difference(const diff_graph *g)
{
	bool any = g->n_facts || g->n_weights;
	for (size_t i = 0; i < g->n_rows && !any; i++) any = g->rows[i].region || g->rows[i].kinds;
	return any;
}

static og_status put_graph(diff *d, const diff_graph *g)
{
	diff_graph *grown = arena_grow(d->arena, d->graphs, d->n_graphs, &d->cap_graphs, d->n_graphs + 1, sizeof *grown);
	NEED(grown);
	d->graphs = grown;
	d->graphs[d->n_graphs++] = *g;
	return OG_OK;
}

/* Everything of two graphs but what only functions have. */
static og_status fill_graph(diff *d, diff_graph *g)
{
	TRY(diff_pair_graphs(g->a, g->b));
	TRY(diff_rows_make(d, g));
	d->totals.nodes_a += g->a->n_nodes;
	d->totals.nodes_b += g->b->n_nodes;
	TRY(compare_interface(d, g, true));
	TRY(compare_interface(d, g, false));
	diff_row **row_of = arena_array(d->arena, g->a->n_nodes + 1, sizeof *row_of);
	NEED(row_of);
	for (size_t i = 0; i < g->n_rows; i++) {
		TRY(compare_row(d, g, &g->rows[i]));
		if (g->rows[i].a) row_of[g->rows[i].a->order] = &g->rows[i];
	}
	return compare_constants(d, g, row_of);
}

og_status diff_graphs_compare(diff *d, const char *path, const graph *a, const graph *b, bool *differ)
{
	diff_graph g = { .path = path, .a = a, .b = b };
	TRY(fill_graph(d, &g));
	*differ = any_difference(&g);
	return *differ ? put_graph(d, &g) : OG_OK;
}

/* ---- functions --------------------------------------------------------------------------------- */

static const char *list_text(diff *d, const graph_function *f)
{
	text t = { 0 };
	for (int i = 0; i < f->n_attributes; i++) text_printf(&t, "%s%s", i ? ", " : "", f->attributes[i]);
	char *s = text_take(&t), *own = s ? arena_strdup(d->arena, s) : NULL;
	base_free(s);
	return own;
}

static og_status compare_opsets(diff *d, diff_graph *g, const graph_opset *a, int n_a, const graph_opset *b, int n_b)
{
	for (int side = 0; side < 2; side++) {
		const graph_opset *list = side ? b : a, *other = side ? a : b;
		int n = side ? n_b : n_a, n_other = side ? n_a : n_b;
		for (int i = 0; i < n; i++) {
			int k = 0;
			while (k < n_other && strcmp(list[i].domain, other[k].domain)) k++;
			if (k < n_other && (side || list[i].version == other[k].version)) continue;
			char *here = arena_printf(d->arena, "%lld", (long long)list[i].version);
			char *there = k < n_other ? arena_printf(d->arena, "%lld", (long long)other[k].version) : NULL;
			const char *name = arena_printf(d->arena, "opset %s", list[i].domain[0] ? list[i].domain : "ai.onnx");
			if (!here || (k < n_other && !there)) return base_no_memory();
			TRY(put_fact(d, g, name, side ? there : here, side ? here : there));
		}
	}
	return OG_OK;
}

static og_status compare_function(diff *d, const graph_function *a, const graph_function *b)
{
	diff_graph g = { .path = arena_printf(d->arena, "%s::%s", a->domain, a->name), .a = a->body, .b = b->body };
	diff_row defaults = { 0 };
	const char *from = list_text(d, a), *to = list_text(d, b);
	NEED(g.path && from && to);
	if (strcmp(from, to)) TRY(put_fact(d, &g, "attributes", from, to));
	TRY(diff_attrs_compare(d, &g, &defaults, a->defaults, a->n_defaults, b->defaults, b->n_defaults));
	for (size_t i = 0; i < defaults.n_changes; i++) {
		const diff_change *c = &defaults.changes[i];
		TRY(put_fact(d, &g, arena_printf(d->arena, "default of %s", c->name), c->from, c->to));
	}
	TRY(compare_opsets(d, &g, a->opsets, a->n_opsets, b->opsets, b->n_opsets));
	TRY(fill_graph(d, &g));
	if (!any_difference(&g)) return OG_OK;
	d->totals.functions++;
	return put_graph(d, &g);
}

static og_status lone_function(diff *d, const graph_function *f, bool of_a)
{
	const char *name = arena_printf(d->arena, "function %s::%s", f->domain, f->name);
	const char *nodes = arena_printf(d->arena, "%zu node%s", f->body->n_nodes, f->body->n_nodes == 1 ? "" : "s");
	NEED(name && nodes);
	const diff_change c = { .kind = DIFF_FACT, .name = name, .from = of_a ? nodes : NULL, .to = of_a ? NULL : nodes };
	d->totals.functions++;
	return diff_change_put(d, &d->facts, &d->n_facts, &d->cap_facts, &c);
}

static og_status compare_functions(diff *d)
{
	map of_a = { 0 };
	og_status status = OG_OK;
	for (int side = 0; status == OG_OK && side < 2; side++) {
		const og_model *m = side ? d->b : d->a;
		for (int i = 0; status == OG_OK && i < m->n_functions; i++) {
			const graph_function *f = &m->functions[i], *other = NULL;
			char *key = arena_printf(d->arena, "%s::%s", f->domain, f->name);
			if (!key) status = base_no_memory();
			else if (!side) status = map_put(&of_a, key, (void *)(uintptr_t)f);
			else if ((other = map_get(&of_a, key))) status = compare_function(d, other, f);
			else status = lone_function(d, f, false);
			if (status == OG_OK && other) map_put(&of_a, key, NULL);
		}
	}
	for (int i = 0; status == OG_OK && i < d->a->n_functions; i++) {
		const graph_function *f = &d->a->functions[i];
		char *key = arena_printf(d->arena, "%s::%s", f->domain, f->name);
		if (!key) status = base_no_memory();
		else if (map_get(&of_a, key)) status = lone_function(d, f, true);
	}
	map_free(&of_a);
	return status;
}

/* ---- the whole model ---------------------------------------------------------------------------- */

static graph_bytes model_bytes(const og_model *m)
{
	const onnx_model_file *f = m->file;
	return f ? f->bytes : (graph_bytes){ 0 };
}

static const char *own_text(diff *d, graph_bytes b)
{
	return arena_strndup(d->arena, b.p ? (const char *)b.p : "", b.n);
}

static og_status compare_texts(diff *d, uint32_t field, const char *name)
{
	graph_bytes a = onnx_find(ONNX_MODEL, model_bytes(d->a), field), b = onnx_find(ONNX_MODEL, model_bytes(d->b), field);
	if (a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n))) return OG_OK;
	const char *from = own_text(d, a), *to = own_text(d, b);
	NEED(from && to);
	return put_fact(d, NULL, name, a.p ? from : NULL, b.p ? to : NULL);
}

/* Key and value of each of a model's metadata_props. */
static og_status read_metadata(diff *d, const og_model *m, map *out, const char ***keys, size_t *n)
{
	const graph_bytes bytes = model_bytes(m);
	size_t cap = 0;
	wire_reader w = onnx_open(ONNX_MODEL, bytes, bytes.p);
	wire_field f = { 0 };
	do {
		if (!bytes.p || wire_next(&w, &f) != OG_OK) break;
		if (f.number != MODEL_metadata_props) continue;
		const char *key = own_text(d, onnx_find(ONNX_ENTRY, f.bytes, ENTRY_key));
		const char *value = own_text(d, onnx_find(ONNX_ENTRY, f.bytes, ENTRY_value));
		const char **grown = arena_grow(d->arena, *keys, *n, &cap, *n + 1, sizeof *grown);
		NEED(key && value && grown);
		*keys = grown;
		grown[(*n)++] = key;
		TRY(map_put(out, key, (void *)(uintptr_t)value));
	} while (f.number);
	return OG_OK;
}

static og_status compare_metadata(diff *d)
{
	map a = { 0 }, b = { 0 };
	const char **keys_a = NULL, **keys_b = NULL;
	size_t n_a = 0, n_b = 0;
	og_status status = read_metadata(d, d->a, &a, &keys_a, &n_a);
	if (status == OG_OK) status = read_metadata(d, d->b, &b, &keys_b, &n_b);
	for (size_t i = 0; status == OG_OK && i < n_a + n_b; i++) {
		const char *key = i < n_a ? keys_a[i] : keys_b[i - n_a], *from = map_get(&a, key), *to = map_get(&b, key);
		if ((i >= n_a && from) || (from && to && !strcmp(from, to))) continue;
		status = put_fact(d, NULL, arena_printf(d->arena, "metadata %s", key), from, to);
	}
	map_free(&a);
	map_free(&b);
	return status;
}

static og_status compare_facts(diff *d)
{
	const og_model *a = d->a, *b = d->b;
	if (a->ir_version != b->ir_version) {
		char *from = arena_printf(d->arena, "%lld", (long long)a->ir_version);
		char *to = arena_printf(d->arena, "%lld", (long long)b->ir_version);
		NEED(from && to);
		TRY(put_fact(d, NULL, "IR version", from, to));
	}
	TRY(compare_opsets(d, NULL, a->opsets, a->n_opsets, b->opsets, b->n_opsets));
	if (strcmp(a->main->name, b->main->name)) TRY(put_fact(d, NULL, "name", a->main->name, b->main->name));
	TRY(compare_texts(d, MODEL_producer_name, "producer"));
	TRY(compare_texts(d, MODEL_producer_version, "producer version"));
	TRY(compare_texts(d, MODEL_domain, "domain"));
	TRY(compare_texts(d, MODEL_doc_string, "description"));
	return compare_metadata(d);
}

/* Marks are left by whatever ran before. */
static void clear_marks(const og_model *m)
{
	for (const graph *g = m->made; g; g = g->next_made) {
		for (graph_node *n = g->first; n; n = n->next) n->mark = NULL;
		for (graph_value *v = g->first_value; v; v = v->next) v->mark = NULL;
	}
}

static og_status compare_models(diff *d)
{
	diff_graph g = { .path = "", .a = d->a->main, .b = d->b->main };
	clear_marks(d->a);
	clear_marks(d->b);
	TRY(compare_facts(d));
	TRY(put_graph(d, &g));               /* the main graph keeps the first place, whatever its bodies add */
	TRY(fill_graph(d, &g));
	d->graphs[0] = g;
	TRY(compare_functions(d));
	d->equal = !d->n_facts && d->n_graphs == 1 && !any_difference(&d->graphs[0]);
	return OG_OK;
}

og_status diff_models(diff **out, const og_model *a, const og_model *b)
{
	arena *memory = arena_create();
	diff *d = memory ? arena_alloc(memory, sizeof *d) : NULL;
	*out = NULL;
	if (!d) {
		arena_destroy(memory);
		return base_no_memory();
	}
	*d = (diff){ .arena = memory, .a = a, .b = b };
	og_status status = compare_models(d);
	if (status == OG_OK) *out = d;
	else diff_free(d);
	return status;
}

void diff_free(diff *d)
{
	if (d) arena_destroy(d->arena);
}
