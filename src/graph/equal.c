/* equal.c -- comparing two models by structure. */
#include "graph/graph.h"

/* Which graph and node the sentence is about. */
static bool differ(const graph *g, const graph_node *n, const char *what, const char *name)
{
	if (n) base_fail(OG_NO, "graph '%s', node '%s' (%s): %s '%s' differs", g->name, n->name, n->type, what, name);
	else base_fail(OG_NO, "graph '%s': %s '%s' differs", g->name, what, name);
	return false;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_dim(const og_model *ma, og_dim a, const og_model *mb, og_dim b)
{
	const char *name = graph_dim_name(ma, a);
	return name ? same_text(name, graph_dim_name(mb, b)) : a == b;
}

/* strict: what one does not know the other must not know either. */
static bool same_type(const graph_value *a, const graph_value *b, bool strict)
{
	if (a->dtype != b->dtype && (strict || (a->dtype && b->dtype))) return false;
	if (a->rank != b->rank) return !strict && (a->rank < 0 || b->rank < 0);
	for (int i = 0; i < a->rank; i++) {
		bool unknown = a->dims[i] == GRAPH_DIM_UNKNOWN || b->dims[i] == GRAPH_DIM_UNKNOWN;
		if (!(unknown && !strict) && !same_dim(a->owner->model, a->dims[i], b->owner->model, b->dims[i])) return false;
	}
	return true;
}

bool graph_tensor_same(const og_tensor *a, const og_tensor *b)
{
	int64_t count;

	if (a->dtype != b->dtype || a->rank != b->rank) return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dims[i] != b->dims[i]) return false;
	if (a->data == b->data) return true;
	if (!base_count(a->dims, a->rank, &count)) return false;
	size_t bytes = base_dtype_span(a->dtype, (uint64_t)count);
	if (bytes == 0) return true;
	return a->data && b->data && bytes != SIZE_MAX && !memcmp(a->data, b->data, bytes);
}

/* One value at the same place of both graphs; NULL: absent. */
static bool same_value(const graph_value *a, const graph_value *b)
{
	if (!a || !b) return a == b;
	return !strcmp(a->name, b->name) && same_type(a, b, a->is_input || a->is_output) && a->is_input == b->is_input &&
	       !a->constant == !b->constant && (!a->constant || graph_tensor_same(a->constant, b->constant));
}

static bool same_graph(const graph *a, const graph *b);

static bool same_list(const graph_attr *a, const graph_attr *b)
{
	if (a->n != b->n) return false;
	if (a->type == OG_ATTR_INTS) return !a->n || !memcmp(a->ints, b->ints, a->n * sizeof *a->ints);
	if (a->type == OG_ATTR_FLOATS) return !a->n || !memcmp(a->floats, b->floats, a->n * sizeof *a->floats);
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->strings[i], b->strings[i])) return false;
	return true;
}

bool graph_attr_same_plain(const graph_attr *a, const graph_attr *b)
{
	if (a->type != b->type) return false;
	switch (a->type) {
	case OG_ATTR_INT: return a->i == b->i;
	case OG_ATTR_FLOAT: return !memcmp(&a->f, &b->f, sizeof a->f);
	case OG_ATTR_STRING: return a->n == b->n && !memcmp(a->s, b->s, a->n);
	case OG_ATTR_INTS:
	case OG_ATTR_FLOATS:
	case OG_ATTR_STRINGS: return same_list(a, b);
	default: return false;
	}
}

static bool same_attr(const graph_attr *a, const graph_attr *b)
{
	if (strcmp(a->name, b->name) || a->type != b->type || !same_text(a->ref, b->ref)) return false;
	if (a->ref) return true;
	switch (a->type) {
	case OG_ATTR_TENSOR: return same_text(a->t_name, b->t_name) && graph_tensor_same(a->t, b->t);
	case OG_ATTR_GRAPH: return !strcmp(a->g->name, b->g->name) && same_graph(a->g, b->g);
	case GRAPH_ATTR_OPAQUE: return true;
	default: return graph_attr_same_plain(a, b);
	}
}

static bool same_node(const graph *g, const graph_node *a, const graph_node *b)
{
	if (strcmp(a->type, b->type) || strcmp(a->domain, b->domain)) return differ(g, a, "the op against", b->type);
	if (strcmp(a->name, b->name)) return differ(g, a, "the name against", b->name);
	if (a->n_in != b->n_in || a->n_out != b->n_out || a->n_attrs != b->n_attrs)
		return differ(g, a, "the number of inputs, outputs or attributes of", b->name);
	for (int k = 0; k < a->n_in; k++)
		if (!same_value(a->in[k], b->in[k])) return differ(g, a, "input", a->in[k] ? a->in[k]->name : "_");
	for (int k = 0; k < a->n_out; k++)
		if (!same_value(a->out[k], b->out[k])) return differ(g, a, "output", a->out[k] ? a->out[k]->name : "_");
	for (int i = 0; i < a->n_attrs; i++) {
		const graph_attr *other = graph_attr_find(b, a->attrs[i].name);
		if (!other || !same_attr(&a->attrs[i], other)) return differ(g, a, "attribute", a->attrs[i].name);
	}
	return true;
}

static bool same_values(const graph *g, graph_value **a, int n_a, graph_value **b, int n_b, const char *what)
{
	if (n_a != n_b) return differ(g, NULL, "the number of values listed as", what);
	for (int i = 0; i < n_a; i++)
		if (!same_value(a[i], b[i])) return differ(g, NULL, what, a[i]->name);
	return true;
}

static size_t constants(const graph *g)
{
	size_t n = 0;
	for (const graph_value *v = g->first_value; v; v = v->next) n += v->constant != NULL;
	return n;
}

/* The name is the caller's: a function's body has none of its own. */
static bool same_graph(const graph *a, const graph *b)
{
	if (!same_values(a, a->inputs, a->n_inputs, b->inputs, b->n_inputs, "input")) return false;
	if (constants(a) != constants(b)) return differ(a, NULL, "the number of constants of", b->name);
	for (const graph_value *v = a->first_value; v; v = v->next)
		if (v->constant && !same_value(v, graph_value_find(b, v->name))) return differ(a, NULL, "constant", v->name);
	if (a->n_nodes != b->n_nodes) return differ(a, NULL, "the number of nodes of", b->name);
	for (const graph_node *n = a->first, *m = b->first; n && m; n = n->next, m = m->next)
		if (!same_node(a, n, m)) return false;
	return same_values(a, a->outputs, a->n_outputs, b->outputs, b->n_outputs, "output");
}

/* Every import of a is one of b. */
static bool imports(const graph_opset *a, int n_a, const graph_opset *b, int n_b)
{
	for (int i = 0; i < n_a; i++) {
		int k = 0;
		while (k < n_b && (strcmp(a[i].domain, b[k].domain) || a[i].version != b[k].version)) k++;
		if (k == n_b) return false;
	}
	return n_a == n_b;
}

static bool same_function(const graph_function *a, const graph_function *b)
{
	if (a->n_attributes != b->n_attributes || a->n_defaults != b->n_defaults)
		return differ(a->body, NULL, "the number of attributes of", a->name);
	for (int i = 0; i < a->n_attributes; i++)
		if (strcmp(a->attributes[i], b->attributes[i])) return differ(a->body, NULL, "attribute", a->attributes[i]);
	for (int i = 0; i < a->n_defaults; i++)
		if (!same_attr(&a->defaults[i], &b->defaults[i]))
			return differ(a->body, NULL, "the default of", a->defaults[i].name);
	if (!imports(a->opsets, a->n_opsets, b->opsets, b->n_opsets))
		return differ(a->body, NULL, "the opsets of", a->name);
	return same_graph(a->body, b->body);
}

/* Every range said in a is the same in b. */
static bool same_ranges(const og_model *a, const og_model *b)
{
	for (int i = 0; i < a->n_symbols; i++) {
		const graph_symbol *s = &a->symbols[i], *other = NULL;
		if (!s->min && !s->opt && !s->max) continue;
		size_t number = (size_t)(uintptr_t)map_get(&b->symbol_index, s->name);     /* plus one; see dims.c */
		if (number) other = &b->symbols[number - 1];
		if (!other || other->min != s->min || other->opt != s->opt || other->max != s->max)
			return differ(a->main, NULL, "the range of symbol", s->name);
	}
	return true;
}

bool graph_equal(const og_model *a, const og_model *b)
{
	if (a->ir_version != b->ir_version) {
		base_fail(OG_NO, "the IR versions differ: %lld and %lld", (long long)a->ir_version, (long long)b->ir_version);
		return false;
	}
	if (!imports(a->opsets, a->n_opsets, b->opsets, b->n_opsets))
		return differ(a->main, NULL, "the opset imports of", "model");
	if (strcmp(a->main->name, b->main->name)) return differ(a->main, NULL, "the name against", b->main->name);
	if (!same_ranges(a, b) || !same_ranges(b, a) || !same_graph(a->main, b->main)) return false;
	if (a->n_functions != b->n_functions) return differ(a->main, NULL, "the number of functions of", "model");
	for (int i = 0; i < a->n_functions; i++) {
		const graph_function *f = &a->functions[i], *other = graph_function_find(b, f->domain, f->name);
		if (!other) return differ(f->body, NULL, "the function", f->name);
		if (!same_function(f, other)) return false;
	}
	return true;
}
