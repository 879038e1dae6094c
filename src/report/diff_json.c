/* diff_json.c -- a comparison as JSON; docs/diff.md describes it. */
#include "base/json.h"
#include "report/diff_out.h"

static void put_text(json *j, const char *key, const char *s)
{
	json_key(j, key);
	if (s) json_string(j, s);
	else json_null(j);
}

static void put_count(json *j, const char *key, size_t n)
{
	json_put_int(j, key, (int64_t)n);
}

/* An attribute by its own type; what JSON has no word for in short words. */
static void put_attr(json *j, const char *key, const graph_attr *a, const char *words)
{
	json_key(j, key);
	if (!a) {
		json_null(j);
		return;
	}
	switch (a->ref ? GRAPH_ATTR_OPAQUE : a->type) {
	case OG_ATTR_INT: json_int(j, a->i); break;
	case OG_ATTR_FLOAT: json_number(j, (double)a->f); break;
	case OG_ATTR_STRING: json_string(j, a->s); break;
	case OG_ATTR_INTS:
	case OG_ATTR_FLOATS:
	case OG_ATTR_STRINGS:
		json_begin(j, '[');
		for (size_t i = 0; i < a->n; i++) {
			if (a->type == OG_ATTR_INTS) json_int(j, a->ints[i]);
			else if (a->type == OG_ATTR_FLOATS) json_number(j, (double)a->floats[i]);
			else json_string(j, a->strings[i]);
		}
		json_end(j, ']');
		break;
	default: json_string(j, words);
	}
}

static const char *kind_word(diff_kind kind)
{
	switch (kind) {
	case DIFF_NAME: return "name";
	case DIFF_ATTRIBUTE: return "attribute";
	case DIFF_INPUT: return "input";
	case DIFF_OUTPUT: return "output";
	case DIFF_TYPE: return "type";
	default: return "fact";
	}
}

static void put_changes(json *j, const diff_change *list, size_t n)
{
	json_begin(j, '[');
	for (size_t i = 0; i < n; i++) {
		const diff_change *c = &list[i];
		json_begin(j, '{');
		put_text(j, "kind", kind_word(c->kind));
		put_text(j, "name", c->name);
		if (c->a || c->b) {
			put_attr(j, "from", c->a, c->from);
			put_attr(j, "to", c->b, c->to);
		} else {
			put_text(j, "from", c->from);
			put_text(j, "to", c->to);
		}
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void put_node(json *j, const diff *d, const graph_node *n)
{
	json_begin(j, '{');
	put_text(j, "name", n->name);
	put_text(j, "op", diff_called(d, n));
	put_text(j, "type", n->type);
	put_text(j, "domain", n->domain);
	json_put(j, "outputs", '[');
	for (int k = 0; k < n->n_out; k++) json_string(j, n->out[k] ? n->out[k]->name : "");
	json_end(j, ']');
	json_end(j, '}');
}

static void put_values(json *j, const char *key, const graph_value *const *list, size_t n)
{
	json_put(j, key, '[');
	for (size_t i = 0; i < n; i++) json_string(j, list[i]->name);
	json_end(j, ']');
}

static void put_side(json *j, const diff *d, const char *key, const diff_side *s)
{
	json_put(j, key, '{');
	json_put(j, "nodes", '[');
	for (size_t i = 0; i < s->n; i++) put_node(j, d, s->nodes[i]);
	json_end(j, ']');
	put_values(j, "inputs", s->in, s->n_in);
	put_values(j, "outputs", s->out, s->n_out);
	json_end(j, '}');
}

static void put_region(json *j, const diff *d, const diff_region *r)
{
	json_begin(j, '{');
	put_text(j, "kind", !r->b.n ? "removed" : !r->a.n ? "added" : "replaced");
	put_side(j, d, "from", &r->a);
	put_side(j, d, "to", &r->b);
	json_put_bool(j, "same_ends", r->same_ends);
	json_end(j, '}');
}

static void put_pair(json *j, const diff *d, const diff_row *r)
{
	json_begin(j, '{');
	json_key(j, "from");
	put_node(j, d, r->a);
	json_key(j, "to");
	put_node(j, d, r->b);
	json_key(j, "changes");
	put_changes(j, r->changes, r->n_changes);
	json_end(j, '}');
}

static og_status put_weight(json *j, const diff_weight *w)
{
	json_begin(j, '{');
	put_text(j, "name", w->name_b ? w->name_b : w->name_a);
	for (int side = 0; side < 2; side++) {
		const og_tensor *t = side ? w->b : w->a;
		text type = { 0 };
		if (t) graph_print_type(&type, NULL, t->dtype, t->rank, t->dims);
		char *s = t ? text_take(&type) : NULL;
		if (t && !s) return base_no_memory();
		put_text(j, side ? "to" : "from", s);
		base_free(s);
	}
	json_key(j, "elements");
	if (w->measured) json_int(j, w->count);
	else json_null(j);
	json_key(j, "differ");
	if (w->measured) json_int(j, w->differ);
	else json_null(j);
	json_key(j, "max_abs");
	if (w->measured) json_number(j, w->max_abs);
	else json_null(j);
	json_key(j, "relative");
	if (w->measured) json_number(j, w->relative);
	else json_null(j);
	json_end(j, '}');
	return OG_OK;
}

static og_status put_graph(json *j, const diff *d, const diff_graph *g)
{
	json_begin(j, '{');
	put_text(j, "graph", g->path);
	json_key(j, "facts");
	put_changes(j, g->facts, g->n_facts);
	json_put(j, "regions", '[');
	for (size_t i = 0; i < g->n_rows; i++)
		if (g->rows[i].region) put_region(j, d, g->rows[i].region);
	json_end(j, ']');
	json_put(j, "pairs", '[');
	for (size_t i = 0; i < g->n_rows; i++)
		if (g->rows[i].n_changes) put_pair(j, d, &g->rows[i]);
	json_end(j, ']');
	json_put(j, "weights", '[');
	for (size_t i = 0; i < g->n_weights; i++) TRY(put_weight(j, &g->weights[i]));
	json_end(j, ']');
	json_end(j, '}');
	return OG_OK;
}

static void put_totals(json *j, const diff_totals *t)
{
	json_begin(j, '{');
	put_count(j, "equal", t->equal);
	put_count(j, "changed", t->changed);
	put_count(j, "renamed", t->renamed);
	put_count(j, "added", t->added);
	put_count(j, "removed", t->removed);
	put_count(j, "replacements", t->replacements);
	put_count(j, "replaced_from", t->from);
	put_count(j, "replaced_to", t->to);
	put_count(j, "retyped", t->retyped);
	put_count(j, "weights", t->weights);
	put_count(j, "weights_added", t->weights_added);
	put_count(j, "weights_removed", t->weights_removed);
	put_count(j, "weights_renamed", t->weights_renamed);
	put_count(j, "functions", t->functions);
	json_end(j, '}');
}

og_status diff_json_print(text *out, diff *d)
{
	json j = { .need_comma = false };
	text summary = { 0 };
	diff_text_summary(&summary, d);
	char *words = text_take(&summary);
	NEED(words);
	json_begin(&j, '{');
	json_put_bool(&j, "equal", d->equal);
	put_text(&j, "summary", words);
	base_free(words);
	json_key(&j, "totals");
	put_totals(&j, &d->totals);
	json_key(&j, "model");
	put_changes(&j, d->facts, d->n_facts);
	json_put(&j, "graphs", '[');
	og_status status = OG_OK;
	for (size_t i = 0; status == OG_OK && i < d->n_graphs; i++) status = put_graph(&j, d, &d->graphs[i]);
	json_end(&j, ']');
	json_end(&j, '}');
	*out = j.out;
	return status;
}
