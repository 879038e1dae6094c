/* text_parse.c -- reads the text form (docs/graph-text.md): attributes, graphs, models. The text may be hostile:
 * nesting and counts are bounded, memory stays in proportion to the text, and what is built is verified at the end. */
#include "graph/text_read.h"

#include <stdio.h>

enum { MAX_ATTRS = 1000, MAX_OPSETS = 1000 };

/* ---- attributes ------------------------------------------------------------------------------- */

static og_status read_body(graph_reader *r, graph *g);

/* "graph", a name, a body: an attribute of a node of `around`. */
static og_status read_graph(graph_reader *r, graph **out, graph *around)
{
	if (r->depth == GRAPH_MAX_NESTING)
		return graph_fail_at(r, r->p, "bodies are nested more than %d deep", GRAPH_MAX_NESTING);
	TRY(graph_read_text(r));
	*out = graph_create(r->m, around, r->word.data);
	NEED(*out);
	r->depth++;
	TRY(read_body(r, *out));
	r->depth--;
	return OG_OK;
}

/* Room for one more element of a list attribute; `list` is its array. */
static og_status list_room(graph_reader *r, const void **list, size_t n, size_t *capacity, size_t size)
{
	const void *grown = arena_grow(r->m->a, (void *)(uintptr_t)*list, n, capacity, n + 1, size);
	NEED(grown);
	*list = grown;
	return OG_OK;
}

/* Behind '[', to behind ']'; a->type says of what. */
static og_status read_list(graph_reader *r, graph_attr *a)
{
	const void *list = NULL;
	size_t capacity = 0, size = a->type == OG_ATTR_FLOATS ? sizeof(float) : 8;
	bool is_float;
	int64_t i;
	float f;

	for (a->n = 0; a->n == 0 || !graph_take(r, "]"); a->n++) {
		if (a->n == 0 && graph_take(r, "]")) break;
		if (a->n > 0) TRY(graph_need(r, ","));
		TRY(list_room(r, &list, a->n, &capacity, size));
		uint8_t *to = (uint8_t *)(uintptr_t)list + a->n * size;
		const char *start = (graph_next(r), r->p);
		if (a->type == OG_ATTR_STRINGS) {
			TRY(graph_read_text(r));
			const char *s = graph_kept(r);
			NEED(s);
			memcpy(to, &s, sizeof s);
			continue;
		}
		TRY(graph_read_number(r, &is_float, &i, &f));
		if (is_float != (a->type == OG_ATTR_FLOATS))
			return graph_fail_at(r, start, "this list mixes integers and floats; write floats with a point");
		if (is_float) memcpy(to, &f, sizeof f);
		else memcpy(to, &i, sizeof i);
	}
	if (!list) TRY(list_room(r, &list, 0, &capacity, size));
	if (a->type == OG_ATTR_INTS) a->ints = list;
	else if (a->type == OG_ATTR_FLOATS) a->floats = list;
	else a->strings = list;
	return OG_OK;
}

/* A list whose first element says of what it is. */
static og_status read_plain_list(graph_reader *r, graph_attr *a)
{
	char first = graph_next(r);
	const char *start = r->p;
	bool is_float;
	int64_t i;
	float f;

	if (first == ']') return graph_fail_at(r, start, "what is this empty list of? write ints[], floats[] or strings[]");
	a->type = OG_ATTR_STRINGS;
	if (first != '"') {
		TRY(graph_read_number(r, &is_float, &i, &f));
		a->type = is_float ? OG_ATTR_FLOATS : OG_ATTR_INTS;
		r->p = start;
	}
	return read_list(r, a);
}

static og_status read_tensor_attr(graph_reader *r, graph_attr *a)
{
	graph_type ty;
	og_tensor *t;

	TRY(graph_read_type(r, &ty));
	if (graph_next(r) == '"') {
		TRY(graph_read_text(r));
		NEED(a->t_name = graph_kept(r));
	}
	TRY(graph_read_data(r, &ty, &t));
	a->type = OG_ATTR_TENSOR;
	a->t = t;
	return OG_OK;
}

static const struct { const char *word; int type; } type_words[] = {
	{ "int", OG_ATTR_INT }, { "float", OG_ATTR_FLOAT }, { "string", OG_ATTR_STRING }, { "ints", OG_ATTR_INTS },
	{ "floats", OG_ATTR_FLOATS }, { "strings", OG_ATTR_STRINGS }, { "tensor", OG_ATTR_TENSOR },
	{ "graph", OG_ATTR_GRAPH }, { "opaque", GRAPH_ATTR_OPAQUE },
};

/* Takes one of the words above; false when none is there. */
static bool take_type_word(graph_reader *r, int *out)
{
	for (size_t i = 0; i < sizeof type_words / sizeof *type_words; i++) {
		if (!graph_take_word(r, type_words[i].word)) continue;
		*out = type_words[i].type;
		return true;
	}
	return false;
}

/* The value behind '='. `holder` (NULL: bodies are refused) is the node that it is for. */
static og_status read_attr_value(graph_reader *r, graph_attr *a, graph_node *holder)
{
	const char *start = (graph_next(r), r->p);
	bool is_float;

	if (graph_take(r, "@")) {
		if (!take_type_word(r, &a->type)) return graph_expected(r, "the type of an attribute");
		TRY(graph_read_name(r, "the name of an attribute"));
		NEED(a->ref = graph_kept(r));
		return OG_OK;
	}
	if (graph_next(r) == '"') {
		TRY(graph_read_string(r));
		a->type = OG_ATTR_STRING;
		a->n = r->word.length;
		NEED(a->s = graph_kept(r));
		return OG_OK;
	}
	if (graph_take(r, "[")) return read_plain_list(r, a);
	char first = graph_next(r);
	if (graph_is_digit(first) || first == '-' || first == '+' || graph_is(r, "inf") || graph_is(r, "nan")) {
		TRY(graph_read_number(r, &is_float, &a->i, &a->f));
		a->type = is_float ? OG_ATTR_FLOAT : OG_ATTR_INT;
		return OG_OK;
	}
	if (!graph_is_letter(first)) return graph_expected(r, "the value of an attribute");
	if (!take_type_word(r, &a->type)) return read_tensor_attr(r, a);
	switch (a->type) {
	case GRAPH_ATTR_OPAQUE: return OG_OK;
	case OG_ATTR_INTS:
	case OG_ATTR_FLOATS:
	case OG_ATTR_STRINGS:
		TRY(graph_need(r, "["));
		return read_list(r, a);
	case OG_ATTR_GRAPH:
		if (holder) return read_graph(r, &a->g, holder->owner);
		break;
	default: break;
	}
	return graph_fail_at(r, start, "such an attribute cannot stand here");
}

static og_status read_attrs(graph_reader *r, graph_node *n)
{
	for (bool first = true; !graph_take(r, "}"); first = false) {
		graph_attr a = { 0 };
		if (!first) TRY(graph_need(r, ","));
		const char *start = (graph_next(r), r->p);
		if (n->n_attrs == MAX_ATTRS) return graph_fail_at(r, start, "this node has more than %d attributes", MAX_ATTRS);
		TRY(graph_read_name(r, "the name of an attribute"));
		NEED(a.name = graph_kept(r));
		if (graph_attr_find(n, a.name)) return graph_fail_at(r, start, "attribute '%s' stands here twice", a.name);
		TRY(graph_need(r, "="));
		TRY(read_attr_value(r, &a, n));
		TRY(graph_attr_put(n, &a));
	}
	return OG_OK;
}

/* ---- graphs ----------------------------------------------------------------------------------- */

/* A name and perhaps its type: a new value. */
static og_status read_value(graph_reader *r, graph *g, graph_value **out, graph_type *ty)
{
	const char *start = (graph_next(r), r->p);
	const char *name;

	TRY(graph_read_name(r, "the name of a value"));
	NEED(name = graph_kept(r));
	*ty = (graph_type){ .rank = -1 };
	if (graph_take(r, ":")) TRY(graph_read_type(r, ty));
	return graph_placed(r, start, graph_value_add(out, g, name, ty->dtype, ty->rank, ty->dims));
}

/* "in x: type [= data]" and "const x: type = data", behind the word. */
static og_status read_declared(graph_reader *r, graph *g, bool is_input)
{
	graph_value *v;
	og_tensor *t;
	graph_type ty;

	TRY(read_value(r, g, &v, &ty));
	if (is_input) {
		TRY(graph_input_add(g, v));
		if (!graph_take(r, "=")) return OG_OK;
	} else {
		TRY(graph_need(r, "="));
	}
	TRY(graph_read_data(r, &ty, &t));
	return graph_constant_set(v, t);
}

/* The name of a value that stands above. */
static og_status read_use(graph_reader *r, const graph *g, graph_value **out)
{
	const char *start = (graph_next(r), r->p);

	TRY(graph_read_name(r, "the name of a value"));
	graph_value *v = graph_value_lookup(g, r->word.data);
	if (!v) return graph_fail_at(r, start, "no value is called '%s' above this place", r->word.data);
	if (!v->producer && !v->constant && !v->is_input)
		return graph_fail_at(r, start, "value '%s' is made by the node that uses it here", r->word.data);
	*out = v;
	return OG_OK;
}

static og_status read_output(graph_reader *r, graph *g)
{
	const char *start = (graph_next(r), r->p);
	graph_value *v;

	TRY(read_use(r, g, &v));
	if (v->owner != g)
		return graph_fail_at(r, start, "value '%s' is of a graph around this one; put an Identity between", v->name);
	return graph_output_add(g, v);
}

static og_status read_arguments(graph_reader *r, graph_node *n)
{
	TRY(graph_need(r, "("));
	for (int k = 0; !graph_take(r, ")"); k++) {
		graph_value *v = NULL;
		if (k > 0) TRY(graph_need(r, ","));
		if (!graph_take_word(r, "_")) TRY(read_use(r, n->owner, &v));
		TRY(graph_set_input(n, k, v));
	}
	return OG_OK;
}

/* "domain::Type" or "Type": a node with no inputs yet and its name empty. */
static og_status read_op(graph_reader *r, graph *g, int n_out, graph_node **out)
{
	const char *domain = "", *op;

	TRY(graph_read_name(r, "an op"));
	NEED(op = graph_kept(r));
	if (graph_take(r, "::")) {
		domain = op;
		TRY(graph_read_name(r, "an op"));
		NEED(op = graph_kept(r));
	}
	return graph_node_add(out, g, NULL, domain, op, NULL, 0, n_out);
}

/* "a: type, b = Op(x, y) {attributes} "name"", or "() = Op(x)" without outputs. Its outputs are
 * tied to it last, so that it cannot use them. */
static og_status read_node(graph_reader *r, graph *g)
{
	graph_value **outputs = NULL;
	graph_node *n;
	size_t capacity = 0;
	int n_out = 0;
	graph_type ty;

	if (graph_take(r, "(")) TRY(graph_need(r, ")"));
	while (!graph_take(r, "=")) {
		if (n_out > 0) TRY(graph_need(r, ","));
		graph_value **grown = arena_grow(r->m->a, outputs, (size_t)n_out, &capacity, (size_t)n_out + 1, sizeof *grown);
		NEED(grown);
		outputs = grown;
		outputs[n_out] = NULL;
		if (!graph_take_word(r, "_")) TRY(read_value(r, g, &outputs[n_out], &ty));
		n_out++;
	}
	TRY(read_op(r, g, n_out, &n));
	TRY(read_arguments(r, n));
	const char *end = r->p;
	if (graph_take(r, "{")) TRY(read_attrs(r, n));
	else r->p = end;
	/* A string on this line is the node's name; one on the next is the name of that node's output. */
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t')) r->p++;
	if (r->p < r->end && *r->p == '"') {
		TRY(graph_read_text(r));
		NEED(n->name = graph_kept(r));
	}
	for (int k = 0; k < n_out; k++)
		if (outputs[k]) TRY(graph_set_output(n, k, outputs[k]));
	return OG_OK;
}

static og_status read_body(graph_reader *r, graph *g)
{
	TRY(graph_need(r, "{"));
	while (!graph_take(r, "}")) {
		if (r->p == r->end) return graph_expected(r, "'}'");
		if (graph_take_word(r, "in")) TRY(read_declared(r, g, true));
		else if (graph_take_word(r, "const")) TRY(read_declared(r, g, false));
		else if (graph_take_word(r, "out")) TRY(read_output(r, g));
		else TRY(read_node(r, g));
	}
	return OG_OK;
}

/* ---- models ----------------------------------------------------------------------------------- */

static og_status read_opsets(graph_reader *r, graph_opset **list, int *n, size_t *capacity)
{
	TRY(graph_need(r, "{"));
	while (!graph_take(r, "}")) {
		if (*n > 0) TRY(graph_need(r, ","));
		if (*n == MAX_OPSETS) return graph_fail_at(r, r->p, "there are more than %d opsets", MAX_OPSETS);
		graph_opset *grown = arena_grow(r->m->a, *list, (size_t)*n, capacity, (size_t)*n + 1, sizeof *grown);
		NEED(grown);
		*list = grown;
		TRY(graph_read_text(r));
		NEED(grown[*n].domain = graph_kept(r));
		TRY(graph_read_int(r, &grown[*n].version));
		++*n;
	}
	return OG_OK;
}

static og_status read_range(graph_reader *r)
{
	og_dim symbol;

	TRY(graph_read_symbol(r, &symbol));
	for (;;) {
		graph_symbol *s = &r->m->symbols[-2 - symbol];
		int64_t *bound = graph_take_word(r, "min") ? &s->min
			: graph_take_word(r, "opt") ? &s->opt
			: graph_take_word(r, "max") ? &s->max : NULL;
		if (!bound) return OG_OK;
		TRY(graph_need(r, "="));
		const char *start = (graph_next(r), r->p);
		TRY(graph_read_int(r, bound));
		if (*bound < 0) return graph_fail_at(r, start, "a size cannot be below 0");
	}
}

/* "name" or "name=value", up to ')'. */
static og_status read_parameters(graph_reader *r, graph_function *f)
{
	size_t cap_names = 0, cap_defaults = 0;
	const char **names = NULL;

	while (!graph_take(r, ")")) {
		graph_attr a = { 0 };
		if (f->n_attributes + f->n_defaults > 0) TRY(graph_need(r, ","));
		if (f->n_attributes + f->n_defaults == MAX_ATTRS)
			return graph_fail_at(r, r->p, "there are more than %d attributes", MAX_ATTRS);
		TRY(graph_read_name(r, "the name of an attribute"));
		NEED(a.name = graph_kept(r));
		if (graph_take(r, "=")) {
			TRY(read_attr_value(r, &a, NULL));
			graph_attr *grown = arena_grow(r->m->a, f->defaults, (size_t)f->n_defaults, &cap_defaults,
			                               (size_t)f->n_defaults + 1, sizeof *grown);
			NEED(grown);
			f->defaults = grown;
			f->defaults[f->n_defaults++] = a;
			continue;
		}
		const char **grown = arena_grow(r->m->a, names, (size_t)f->n_attributes, &cap_names,
		                                (size_t)f->n_attributes + 1, sizeof *grown);
		NEED(grown);
		names = grown;
		names[f->n_attributes++] = a.name;
		f->attributes = names;
	}
	return OG_OK;
}

/* Behind the word "function". */
static og_status read_function(graph_reader *r)
{
	graph_function *f;
	const char *start = (graph_next(r), r->p);
	const char *domain;
	size_t capacity = 0;

	TRY(graph_read_text(r));
	NEED(domain = graph_kept(r));
	TRY(graph_need(r, "::"));
	TRY(graph_read_name(r, "the name of a function"));
	TRY(graph_placed(r, start, graph_function_add(&f, r->m, domain, r->word.data)));
	TRY(graph_need(r, "("));
	TRY(read_parameters(r, f));
	TRY(read_opsets(r, &f->opsets, &f->n_opsets, &capacity));
	return read_body(r, f->body);
}

static og_status read_model(graph_reader *r)
{
	og_model *m = r->m;

	if (!graph_take_word(r, "model")) return graph_expected(r, "'model'");
	if (graph_take_word(r, "ir")) {
		TRY(graph_need(r, "="));
		TRY(graph_read_int(r, &m->ir_version));
	}
	TRY(read_opsets(r, &m->opsets, &m->n_opsets, &m->cap_opsets));
	while (graph_take_word(r, "symbol")) TRY(read_range(r));
	if (!graph_take_word(r, "graph")) return graph_expected(r, "'graph'");
	TRY(graph_read_text(r));
	NEED(m->main->name = graph_kept(r));
	TRY(read_body(r, m->main));
	while (graph_take_word(r, "function")) TRY(read_function(r));
	graph_next(r);
	return r->p == r->end ? graph_verify(m) : graph_expected(r, "'function' or the end");
}

og_status graph_parse(og_model **out, const char *s, size_t n)
{
	graph_reader r = { .start = s, .p = s, .end = s + n };

	*out = NULL;
	r.m = graph_model_create();
	if (!r.m) return OG_NO_MEMORY;
	og_status status = read_model(&r);
	text_free(&r.word);
	if (status == OG_OK) *out = r.m;
	else graph_model_destroy(r.m);
	return status;
}
