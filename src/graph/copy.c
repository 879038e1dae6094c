/* copy.c -- copies of models, bodies and attributes. A copied graph is walked beside the original: the graph around
 * a copy is the copy of the graph around, up to the root that was asked for. */
#include "graph/graph.h"

/* What is being copied: `root` and all inside it. deep: names, lists and text move to the new model's arena as
 * well, as the old one may end. */
typedef struct copier { og_model *m; const graph *root; bool deep; } copier;

static og_status copy_attr(const copier *c, graph_node *to, const graph_attr *from);

/* The copy of an original value, seen from `g`, the copy of `at`. */
static og_status find_copy(graph_value **out, const copier *c, const graph *g, const graph *at, const graph_value *v)
{
	while (at != v->owner && at != c->root) {
		at = at->parent;
		g = g->parent;
	}
	if (at == v->owner) *out = graph_value_find(g, v->name);
	else *out = v->owner->model == c->m ? (graph_value *)v : graph_value_lookup(g->parent, v->name);
	if (!*out)
		return base_fail(OG_USAGE, "graph '%s' uses value '%s', which is not there where it is copied to; add it first",
		                 at->name, v->name);
	return OG_OK;
}

/* Symbols go by name, as their numbers are the model's own. */
static og_dim copy_dim(const copier *c, const graph_value *v, int i)
{
	const char *name = graph_dim_name(v->owner->model, v->dims[i]);
	return name && v->owner->model != c->m ? graph_dim_symbol(c->m, name) : v->dims[i];
}

static og_status copy_value(const copier *c, graph *to, const graph_value *v)
{
	graph_value *made;
	og_dim dims[OG_MAX_RANK];

	for (int i = 0; i < v->rank; i++) {
		dims[i] = copy_dim(c, v, i);
		if (v->dims[i] != GRAPH_DIM_UNKNOWN && dims[i] == GRAPH_DIM_UNKNOWN) return base_no_memory();
	}
	TRY(graph_value_add(&made, to, v->name, v->dtype, v->rank, dims));
	if (v->constant) TRY(graph_constant_set(made, v->constant));
	if (v->doc && c->deep) NEED(made->doc = arena_strdup(c->m->a, v->doc));
	if (c->deep) return OG_OK;
	made->doc = v->doc;
	made->file = v->file;
	made->source = v->source;
	made->info = v->info;
	return OG_OK;
}

static og_status copy_node(const copier *c, graph *to, const graph_node *n)
{
	graph_node *made;

	TRY(graph_node_add(&made, to, NULL, n->domain, n->type, n->name, n->n_in, n->n_out));
	made->op = n->op;
	for (int k = 0; k < n->n_in; k++) {
		graph_value *v = NULL;
		if (n->in[k]) TRY(find_copy(&v, c, to, n->owner, n->in[k]));
		TRY(graph_set_input(made, k, v));
	}
	for (int k = 0; k < n->n_out; k++)
		if (n->out[k]) TRY(graph_set_output(made, k, graph_value_find(to, n->out[k]->name)));
	for (int i = 0; i < n->n_attrs; i++) TRY(copy_attr(c, made, &n->attrs[i]));
	if (n->doc && c->deep) NEED(made->doc = arena_strdup(c->m->a, n->doc));
	if (c->deep) return OG_OK;
	made->doc = n->doc;
	made->file = n->file;
	made->source = n->source;
	return OG_OK;
}

/* Fills the empty graph `to`. */
static og_status copy_graph(const copier *c, graph *to, const graph *from)
{
	for (const graph_value *v = from->first_value; v; v = v->next) TRY(copy_value(c, to, v));
	for (int i = 0; i < from->n_inputs; i++) TRY(graph_input_add(to, graph_value_find(to, from->inputs[i]->name)));
	for (const graph_node *n = from->first; n; n = n->next) TRY(copy_node(c, to, n));
	for (int i = 0; i < from->n_outputs; i++) TRY(graph_output_add(to, graph_value_find(to, from->outputs[i]->name)));
	if (from->doc && c->deep) NEED(to->doc = arena_strdup(c->m->a, from->doc));
	if (c->deep) return OG_OK;
	to->doc = from->doc;
	to->file = from->file;
	/* Building the inside touched the copies of the attributes and nodes that hold bodies: those are set after this. */
	to->source = from->source;
	return OG_OK;
}

/* Copies what an attribute points to into the arena. */
static og_status copy_payload(arena *a, graph_attr *to)
{
	size_t n = to->n;

	NEED(to->name = arena_strdup(a, to->name));
	if (to->s) NEED(to->s = arena_strndup(a, to->s, n));
	if (to->t_name) NEED(to->t_name = arena_strdup(a, to->t_name));
	if (to->ref) NEED(to->ref = arena_strdup(a, to->ref));
	if (to->ints) {
		int64_t *ints = arena_array(a, n, sizeof *ints);
		NEED(ints);
		to->ints = memcpy(ints, to->ints, n * sizeof *ints);
	}
	if (to->floats) {
		float *floats = arena_array(a, n, sizeof *floats);
		NEED(floats);
		to->floats = memcpy(floats, to->floats, n * sizeof *floats);
	}
	if (to->strings) {
		const char **strings = arena_array(a, n, sizeof *strings);
		NEED(strings);
		for (size_t i = 0; i < n; i++) NEED(strings[i] = arena_strdup(a, to->strings[i]));
		to->strings = strings;
	}
	if (to->t) {
		og_tensor *t = arena_alloc(a, sizeof *t);
		NEED(t);
		*t = *to->t;
		to->t = t;
	}
	to->source = (graph_bytes){ 0 };
	return OG_OK;
}

static og_status copy_attr(const copier *c, graph_node *to, const graph_attr *from)
{
	graph_attr a = *from;

	if (c->deep) TRY(copy_payload(c->m->a, &a));
	if (from->g) {
		a.g = graph_create(c->m, to->owner, from->g->name);
		NEED(a.g);
		TRY(graph_attr_put(to, &a));
		TRY(copy_graph(c, a.g, from->g));
		graph_attr_find(to, a.name)->source = a.source;
		return OG_OK;
	}
	return graph_attr_put(to, &a);
}

og_status graph_attr_copy(graph_node *to, const graph_attr *from)
{
	copier c = { .m = to->owner->model, .root = from->g, .deep = true };
	og_status status = copy_attr(&c, to, from);

	/* A body that could not be copied whole does not stay. */
	if (status != OG_OK && from->g) {
		graph_attr *made = graph_attr_find(to, from->name);
		if (made && made->g != from->g) graph_attr_remove(to, from->name);
	}
	return status;
}

static og_status copy_function(og_model *m, const graph_function *from)
{
	graph_function *f;

	TRY(graph_function_add(&f, m, from->domain, from->name));
	graph *body = f->body;
	TRY(copy_graph(&(copier){ .m = m, .root = from->body }, body, from->body));
	*f = *from;
	f->body = body;
	return OG_OK;
}

static og_status copy_model(og_model *m, const og_model *from)
{
	m->ir_version = from->ir_version;
	m->path = from->path;
	m->file = from->file;
	m->next_name = from->next_name;
	m->cap_opsets = (size_t)from->n_opsets;
	NEED(m->opsets = arena_array(m->a, m->cap_opsets, sizeof *m->opsets));
	for (; m->n_opsets < from->n_opsets; m->n_opsets++) m->opsets[m->n_opsets] = from->opsets[m->n_opsets];
	for (int i = 0; i < from->n_symbols; i++) {
		og_dim d = graph_dim_symbol(m, from->symbols[i].name);
		if (d == GRAPH_DIM_UNKNOWN) return base_no_memory();
		m->symbols[-2 - d] = from->symbols[i];
	}
	m->main->name = from->main->name;
	TRY(copy_graph(&(copier){ .m = m, .root = from->main }, m->main, from->main));
	for (int i = 0; i < from->n_functions; i++) TRY(copy_function(m, &from->functions[i]));
	m->source = from->source;
	return OG_OK;
}

og_status graph_model_copy(og_model **out, const og_model *from)
{
	og_model *m = graph_model_create();
	og_status status = m ? copy_model(m, from) : OG_NO_MEMORY;
	if (m) m->lender = from;

	if (status != OG_OK) {
		graph_model_destroy(m);
		m = NULL;
	}
	*out = m;
	return status;
}
