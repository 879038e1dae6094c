/* diff_node.c -- how two nodes that are one differ, in short words. */
#include <math.h>
#include <stdio.h>

#include "schema/schema.h"
#include "surgery/diff.h"

enum { MOST_LISTED = 16, MOST_TEXT = 120 };      /* elements of a list, and bytes of a string, that are shown */

const char *diff_called(const diff *d, const graph_node *n)
{
	if (n->op && !strcmp(schema_domain(n->op), OG_DOMAIN)) return schema_called(n->op);
	if (!n->domain[0]) return n->type;
	const char *s = arena_printf(d->arena, "%s::%s", n->domain, n->type);
	return s ? s : n->type;
}

const char *diff_label(const graph_node *n)
{
	if (n->name[0]) return n->name;
	for (int k = 0; k < n->n_out; k++)
		if (n->out[k]) return n->out[k]->name;
	return "";
}

static const char *take(diff *d, text *t)
{
	char *s = text_take(t), *own = s ? arena_strdup(d->arena, s) : NULL;
	base_free(s);
	return own;
}

const char *diff_type_text(diff *d, const og_model *m, og_dtype dtype, int rank, const og_dim *dims)
{
	text t = { 0 };
	graph_print_type(&t, m, dtype, rank, dims);
	return take(d, &t);
}

static const char *value_type(diff *d, const graph_value *v)
{
	return diff_type_text(d, v->owner->model, v->dtype, v->rank, v->dims);
}

og_status diff_change_put(diff *d, diff_change **list, size_t *n, size_t *cap, const diff_change *c)
{
	diff_change *grown = arena_grow(d->arena, *list, *n, cap, *n + 1, sizeof *grown);
	NEED(grown);
	*list = grown;
	grown[(*n)++] = *c;
	return OG_OK;
}

/* ---- attributes -------------------------------------------------------------------------------- */

static void put_quoted(text *t, const char *s, size_t n)
{
	text_add(t, "\"");
	for (size_t i = 0; i < n && i < MOST_TEXT; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c < 0x20 || c == 0x7f) text_printf(t, "\\x%02x", c);
		else text_addn(t, s + i, 1);
	}
	text_add(t, n > MOST_TEXT ? "...\"" : "\"");
}

static void put_list(text *t, const graph_attr *a)
{
	text_add(t, "[");
	for (size_t i = 0; i < a->n && i < MOST_LISTED; i++) {
		if (i) text_add(t, ", ");
		if (a->type == OG_ATTR_INTS) text_printf(t, "%lld", (long long)a->ints[i]);
		else if (a->type == OG_ATTR_FLOATS) text_printf(t, "%.9g", (double)a->floats[i]);
		else put_quoted(t, a->strings[i], strlen(a->strings[i]));
	}
	if (a->n > MOST_LISTED) text_printf(t, ", ... %zu in all", a->n);
	text_add(t, "]");
}

static void put_tensor(text *t, const og_tensor *x)
{
	int64_t count;
	graph_print_type(t, NULL, x->dtype, x->rank, x->dims);
	if (!x->data || !base_count(x->dims, x->rank, &count) || count > MOST_LISTED) return;
	text_add(t, " {");
	for (int64_t i = 0; i < count; i++) text_printf(t, "%s%.9g", i ? ", " : "", graph_tensor_double(x, i));
	text_add(t, "}");
}

static const char *attr_text(diff *d, const graph_attr *a)
{
	text t = { 0 };
	if (a->ref) {
		text_printf(&t, "@%s", a->ref);
		return take(d, &t);
	}
	switch (a->type) {
	case OG_ATTR_INT: text_printf(&t, "%lld", (long long)a->i); break;
	case OG_ATTR_FLOAT: text_printf(&t, "%.9g", (double)a->f); break;
	case OG_ATTR_STRING: put_quoted(&t, a->s, a->n); break;
	case OG_ATTR_INTS:
	case OG_ATTR_FLOATS:
	case OG_ATTR_STRINGS: put_list(&t, a); break;
	case OG_ATTR_TENSOR: put_tensor(&t, a->t); break;
	case OG_ATTR_GRAPH: text_printf(&t, "a body of %zu node%s", a->g->n_nodes, a->g->n_nodes == 1 ? "" : "s"); break;
	default: text_add(&t, "what Opgraft does not read");
	}
	return take(d, &t);
}

/* All but bodies. */
static bool same_attr(const graph_attr *a, const graph_attr *b)
{
	if (a->type != b->type || !a->ref != !b->ref) return false;
	if (a->ref) return !strcmp(a->ref, b->ref);
	switch (a->type) {
	case OG_ATTR_TENSOR: return diff_weights_same(a->t, b->t);
	case OG_ATTR_GRAPH: return true;
	case GRAPH_ATTR_OPAQUE:
		return a->source.n == b->source.n && (!a->source.n || !memcmp(a->source.p, b->source.p, a->source.n));
	default: return graph_attr_same_plain(a, b);
	}
}

/* The numbers of a tensor that is an attribute, beside those of weights. */
static og_status put_attr_weight(diff *d, diff_graph *g, const diff_row *row, const graph_attr *a, const graph_attr *b)
{
	if (!row->a || !a->t || !b->t) return OG_OK;
	diff_weight w = { .a = a->t, .b = b->t };
	w.name_a = arena_printf(d->arena, "%s.%s", diff_label(row->a), a->name);
	w.name_b = arena_printf(d->arena, "%s.%s", diff_label(row->b), b->name);
	NEED(w.name_a && w.name_b);
	d->totals.weights++;
	return diff_weights_compare(d, g, &w, a->source, b->source);
}

static og_status compare_attr(diff *d, diff_graph *g, diff_row *row, size_t *cap, const graph_attr *a, const graph_attr *b)
{
	diff_change c = { .kind = DIFF_ATTRIBUTE, .name = a ? a->name : b->name, .a = a, .b = b };
	bool differ = !a || !b || !same_attr(a, b);
	if (a && b && a->g && b->g) {
		char *path = arena_printf(d->arena, "%s%s%s.%s", g->path, g->path[0] ? "/" : "", diff_label(row->b), b->name);
		NEED(path);
		TRY(diff_graphs_compare(d, path, a->g, b->g, &differ));
	}
	if (!differ) return OG_OK;
	if (a && b && a->type == OG_ATTR_TENSOR && b->type == OG_ATTR_TENSOR) TRY(put_attr_weight(d, g, row, a, b));
	if (a) NEED(c.from = attr_text(d, a));
	if (b) NEED(c.to = attr_text(d, b));
	if (a && b && a->g && b->g) NEED(c.to = arena_printf(d->arena, "%s, changed", c.to));
	row->kinds |= DIFF_ATTRIBUTE;
	return diff_change_put(d, (diff_change **)&row->changes, &row->n_changes, cap, &c);
}

static const graph_attr *find(const graph_attr *list, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(list[i].name, name)) return &list[i];
	return NULL;
}

og_status diff_attrs_compare(diff *d, diff_graph *g, diff_row *row, const graph_attr *a, int n_a, const graph_attr *b, int n_b)
{
	size_t cap = row->n_changes;
	for (int i = 0; i < n_a; i++) TRY(compare_attr(d, g, row, &cap, &a[i], find(b, n_b, a[i].name)));
	for (int i = 0; i < n_b; i++)
		if (!find(a, n_a, b[i].name)) TRY(compare_attr(d, g, row, &cap, NULL, &b[i]));
	return OG_OK;
}

/* ---- inputs and outputs -------------------------------------------------------------------------- */

bool diff_types_differ(const graph_value *a, const graph_value *b, bool strict)
{
	if (a->dtype != b->dtype && (strict || (a->dtype && b->dtype))) return true;
	if (a->rank != b->rank) return strict || (a->rank >= 0 && b->rank >= 0);
	for (int i = 0; i < a->rank; i++) {
		const char *name_a = graph_dim_name(a->owner->model, a->dims[i]), *name_b = graph_dim_name(b->owner->model, b->dims[i]);
		if (!strict && (a->dims[i] == GRAPH_DIM_UNKNOWN || b->dims[i] == GRAPH_DIM_UNKNOWN)) continue;
		if (name_a && name_b ? strcmp(name_a, name_b) != 0 : name_a || name_b || a->dims[i] != b->dims[i]) return true;
	}
	return false;
}

static og_status put(diff *d, diff_row *row, size_t *cap, diff_kind kind, const char *name, const char *from, const char *to)
{
	row->kinds |= kind;
	diff_change c = { .kind = kind, .name = name, .from = from, .to = to };
	return diff_change_put(d, (diff_change **)&row->changes, &row->n_changes, cap, &c);
}

/* The declared name of an input: "W" of Conv; its number where the op is not known or takes any number. */
static const char *input_name(diff *d, const graph_node *n, int k)
{
	schema_args args;
	if (n->op && schema_inputs(&args, n->op) == OG_OK && k < args.n && !args.arg[k].variadic)
		return arena_strdup(d->arena, args.arg[k].name);
	return arena_printf(d->arena, "input %d", k);
}

static og_status compare_inputs(diff *d, diff_row *row, size_t *cap)
{
	const graph_node *a = row->a, *b = row->b;
	for (int k = 0; k < a->n_in || k < b->n_in; k++) {
		const graph_value *v = k < a->n_in ? a->in[k] : NULL, *w = k < b->n_in ? b->in[k] : NULL;
		if ((!v && !w) || (v && w && v->mark == w)) continue;
		const char *name = input_name(d, b, k);
		NEED(name);
		TRY(put(d, row, cap, DIFF_INPUT, name, v ? v->name : NULL, w ? w->name : NULL));
	}
	return OG_OK;
}

static og_status compare_outputs(diff *d, diff_row *row, size_t *cap)
{
	const graph_node *a = row->a, *b = row->b;
	for (int k = 0; k < a->n_out || k < b->n_out; k++) {
		const graph_value *v = k < a->n_out ? a->out[k] : NULL, *w = k < b->n_out ? b->out[k] : NULL;
		if (!v && !w) continue;
		if (!v || !w || strcmp(v->name, w->name)) {
			const char *name = arena_printf(d->arena, "output %d", k);
			NEED(name);
			d->totals.values_renamed += v && w;
			TRY(put(d, row, cap, DIFF_OUTPUT, name, v ? v->name : NULL, w ? w->name : NULL));
		}
		if (!v || !w || !diff_types_differ(v, w, false)) continue;
		const char *from = value_type(d, v), *to = value_type(d, w);
		NEED(from && to);
		d->totals.retyped++;
		TRY(put(d, row, cap, DIFF_TYPE, w->name, from, to));
	}
	return OG_OK;
}

og_status diff_node_compare(diff *d, diff_graph *g, diff_row *row)
{
	const graph_node *a = row->a, *b = row->b;
	TRY(diff_attrs_compare(d, g, row, a->attrs, a->n_attrs, b->attrs, b->n_attrs));
	size_t cap = row->n_changes;
	if (strcmp(a->name, b->name)) TRY(put(d, row, &cap, DIFF_NAME, "name", a->name, b->name));
	TRY(compare_inputs(d, row, &cap));
	return compare_outputs(d, row, &cap);
}
