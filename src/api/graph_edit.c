/* graph_edit.c -- changing a network: values, nodes, inputs and outputs. */
#include "api/handles.h"

enum { MOST_ARGUMENTS = 1024 };

/* ---- names and tensors --------------------------------------------------------------------------- */

/* Is g the graph of `inner`, or one around it? */
static bool is_around(const graph *g, const graph *inner)
{
	while (inner && inner != g) inner = inner->parent;
	return inner != NULL;
}

/* Would a value of that name in g hide one around it that is read in g? */
static const graph_value *hides(const graph *g, const char *name)
{
	const graph_value *outer = g->parent ? graph_value_lookup(g->parent, name) : NULL;
	for (size_t i = 0; outer && i < outer->n_uses; i++)
		if (is_around(g, outer->uses[i].node->owner)) return outer;
	return NULL;
}

/* Would v under that name be hidden where a body reads it? */
static bool is_hidden(const graph_value *v, const char *name)
{
	for (size_t i = 0; i < v->n_uses; i++)
		for (const graph *g = v->uses[i].node->owner; g != v->owner; g = g->parent)
			if (graph_value_find(g, name)) return true;
	return false;
}

static og_status check_new_name(const graph *g, const char *name)
{
	if (!*name) return base_fail(OG_USAGE, "a value needs a name that is not empty");
	if (hides(g, name))
		return base_fail(OG_USAGE, "a value '%s' in graph '%s' would hide the one around it that is read there; take "
		                 "another name", name, g->name);
	return OG_OK;
}

og_status og_copy_tensor(og_tensor **out, og_model *m, const og_tensor *t)
{
	int64_t count;
	if (!t) return base_fail(OG_USAGE, "the tensor handed in is NULL");
	bool legal = t->dtype > OG_NONE && t->dtype < OG_DTYPE_COUNT && t->rank >= 0 && t->rank <= OG_MAX_RANK;
	if (!legal || !base_count(t->dims, t->rank, &count))
		return base_fail(OG_USAGE, "the tensor handed in has no legal type or shape");
	if (t->dtype == OG_STRING) return base_fail(OG_UNSUPPORTED, "a tensor of strings cannot be made");
	if (!t->data && count) return base_fail(OG_USAGE, "the tensor handed in has no data");
	*out = count ? graph_tensor_copy(m->a, t) : graph_tensor_new(m->a, t->dtype, t->rank, t->dims);
	NEED(*out);
	return OG_OK;
}

/* ---- values ------------------------------------------------------------------------------------ */

og_status og_value_add(og_value **out, og_graph *handle, const char *name)
{
	graph_value *v;
	if (out) *out = NULL;
	TRY(og_check_graph(handle));
	if (name) TRY(check_new_name(handles_graph(handle), name));
	TRY(graph_value_add(&v, handles_graph(handle), name, OG_NONE, -1, NULL));
	graph_touch(v->owner);
	if (out) *out = handles_of_value(v);
	return OG_OK;
}

og_status og_value_set_type(og_value *handle, og_dtype dtype, int rank, const int64_t *dims, const char *const *dim_names)
{
	og_dim own[OG_MAX_RANK];
	TRY(og_check_value(handle));
	graph_value *v = handles_value(handle);
	if (v->constant) return base_fail(OG_USAGE, "value '%s' is a constant: its numbers say its type", v->name);
	if (dtype < OG_NONE || dtype >= OG_DTYPE_COUNT || rank < -1 || rank > OG_MAX_RANK || (rank > 0 && !dims && !dim_names))
		return base_fail(OG_USAGE, "the type given to value '%s' is none: rank is -1 to %d", v->name, OG_MAX_RANK);
	for (int i = 0; i < rank; i++) {
		const char *name = dim_names ? dim_names[i] : NULL;
		own[i] = name && *name ? graph_dim_symbol(v->owner->model, name) : dims && dims[i] >= 0 ? dims[i] : GRAPH_DIM_UNKNOWN;
		if (name && *name && own[i] == GRAPH_DIM_UNKNOWN) return base_no_memory();
	}
	v->dtype = dtype;
	v->rank = rank;
	for (int i = 0; i < rank; i++) v->dims[i] = own[i];
	v->info = (graph_bytes){ 0 };
	graph_touch(v->owner);
	return OG_OK;
}

og_status og_constant_add(og_value **out, og_graph *handle, const char *name, const og_tensor *tensor)
{
	graph_value *v;
	og_tensor *own;
	if (out) *out = NULL;
	TRY(og_check_graph(handle));
	if (name) TRY(check_new_name(handles_graph(handle), name));
	TRY(og_copy_tensor(&own, handles_graph(handle)->model, tensor));
	TRY(graph_constant_add(&v, handles_graph(handle), name, own));
	if (out) *out = handles_of_value(v);
	return OG_OK;
}

og_status og_value_set_constant(og_value *handle, const og_tensor *tensor)
{
	og_tensor *own;
	TRY(og_check_value(handle));
	graph_value *v = handles_value(handle);
	TRY(og_copy_tensor(&own, v->owner->model, tensor));
	TRY(graph_constant_set(v, own));
	v->info = (graph_bytes){ 0 };
	return OG_OK;
}

og_status og_value_rename(og_value *handle, const char *name)
{
	TRY(og_check_value(handle));
	TRY(og_check_name(name, "a value"));
	graph_value *v = handles_value(handle);
	if (!strcmp(v->name, name)) return OG_OK;
	TRY(check_new_name(v->owner, name));
	if (is_hidden(v, name))
		return base_fail(OG_USAGE, "value '%s' cannot become '%s': a body that reads it has a value of that name; take another",
		                 v->name, name);
	return graph_value_rename(v, name);
}

/* Puts `by` behind output k, under the output's name. */
static og_status replace_output(graph *g, int k, graph_value *by)
{
	graph_value *of = g->outputs[k], *between;
	graph_node *identity;
	if (!by->is_input && !by->is_output && !of->is_input) return graph_output_set(g, k, by);
	if (of->is_input)
		return base_fail(OG_USAGE, "value '%s' is an input and an output of graph '%s' at once; take it out of one list first",
		                 of->name, g->name);
	TRY(graph_value_add(&between, g, NULL, by->dtype, by->rank, by->dims));
	TRY(graph_node_add(&identity, g, NULL, "", "Identity", "", 1, 1));
	TRY(graph_set_input(identity, 0, by));
	TRY(graph_set_output(identity, 0, between));
	return graph_output_set(g, k, between);
}

static og_status check_pair(const og_value *of, const og_value *by)
{
	TRY(og_check_value(of));
	TRY(og_check_value(by));
	const graph_value *v = handles_value(of), *w = handles_value(by);
	if (v->owner->model != w->owner->model)
		return base_fail(OG_USAGE, "value '%s' is of another model than '%s'", w->name, v->name);
	if (!is_around(w->owner, v->owner) || (v->is_output && v->owner != w->owner))
		return base_fail(OG_USAGE, "value '%s' of graph '%s' cannot stand for '%s' of graph '%s'; use one of the same graph",
		                 w->name, w->owner->name, v->name, v->owner->name);
	for (size_t i = 0; i < v->n_uses; i++)
		for (const graph *g = v->uses[i].node->owner; g != w->owner; g = g->parent)
			if (graph_value_find(g, w->name))
				return base_fail(OG_USAGE, "graph '%s' reads '%s' and has a value '%s' of its own; rename that first",
				                 g->name, v->name, w->name);
	return OG_OK;
}

og_status og_value_replace(og_value *of, og_value *by)
{
	TRY(check_pair(of, by));
	graph_value *v = handles_value(of), *w = handles_value(by);
	graph *g = v->owner;
	if (v == w) return OG_OK;
	for (int k = 0; k < g->n_outputs; k++)
		if (g->outputs[k] == v && v->is_input) return replace_output(g, k, w);
	TRY(graph_replace_uses(v, w));
	for (int k = 0; k < g->n_outputs; k++) {
		if (g->outputs[k] != v) continue;
		/* An output that is listed twice: the second reads the first. */
		TRY(replace_output(g, k, w));
	}
	return OG_OK;
}

og_status og_value_remove(og_value *handle)
{
	TRY(og_check_value(handle));
	graph_value *v = handles_value(handle);
	if (v->producer || v->n_uses || v->is_output)
		return base_fail(OG_USAGE, "value '%s' is still %s", v->name,
		                 v->producer ? "made by a node" : v->n_uses ? "read by a node" : "an output of its graph");
	graph_value_remove(v);
	return OG_OK;
}

/* ---- inputs and outputs of graphs -------------------------------------------------------------------- */

static og_status check_member(const og_graph *owner, const og_value *value)
{
	TRY(og_check_graph(owner));
	TRY(og_check_value(value));
	if (handles_value(value)->owner != handles_graph(owner))
		return base_fail(OG_USAGE, "value '%s' is not of graph '%s'", handles_value(value)->name, handles_graph(owner)->name);
	return OG_OK;
}

og_status og_graph_add_input(og_graph *to, og_value *value)
{
	TRY(check_member(to, value));
	return graph_input_add(handles_graph(to), handles_value(value));
}

og_status og_graph_add_output(og_graph *to, og_value *value)
{
	TRY(check_member(to, value));
	if (handles_value(value)->is_output)
		return base_fail(OG_USAGE, "value '%s' is an output already", handles_value(value)->name);
	return graph_output_add(handles_graph(to), handles_value(value));
}

og_status og_graph_remove_input(og_graph *handle, int k)
{
	TRY(og_check_graph(handle));
	graph *g = handles_graph(handle);
	if (k < 0 || k >= g->n_inputs) return base_fail(OG_USAGE, "graph '%s' has no input number %d", g->name, k);
	graph_input_remove(g, k);
	return OG_OK;
}

og_status og_graph_remove_output(og_graph *handle, int k)
{
	TRY(og_check_graph(handle));
	graph *g = handles_graph(handle);
	if (k < 0 || k >= g->n_outputs) return base_fail(OG_USAGE, "graph '%s' has no output number %d", g->name, k);
	graph_output_remove(g, k);
	return OG_OK;
}

/* ---- nodes ------------------------------------------------------------------------------------- */

/* May a node of g read the value? NULL may be read: it is one left out. */
static og_status check_read(const graph *g, const og_value *handle)
{
	if (!handle) return OG_OK;
	TRY(og_check_value(handle));
	const graph_value *v = handles_value(handle);
	if (v->owner->model != g->model) return base_fail(OG_USAGE, "value '%s' is of another model", v->name);
	if (!is_around(v->owner, g))
		return base_fail(OG_USAGE, "value '%s' of graph '%s' cannot be seen from graph '%s'", v->name, v->owner->name, g->name);
	if (graph_value_lookup(g, v->name) != v)
		return base_fail(OG_USAGE, "value '%s' is hidden by one of the same name in or around graph '%s'", v->name, g->name);
	return OG_OK;
}

/* May `n`, a node of g or NULL for one to be, make the value as its output k? */
static og_status check_made(const graph *g, const graph_node *n, int k, const og_value *handle)
{
	if (!handle) return OG_OK;
	TRY(og_check_value(handle));
	const graph_value *v = handles_value(handle);
	if (v->owner != g) return base_fail(OG_USAGE, "value '%s' is not of graph '%s', where the node is", v->name, g->name);
	if (v->is_input || v->constant)
		return base_fail(OG_USAGE, "value '%s' is %s: no node can make it", v->name, v->is_input ? "an input" : "a constant");
	if (v->producer && !(n && v->producer == n && v->output == k))
		return base_fail(OG_USAGE, "value '%s' is made by node '%s' (%s) already; set that output to NULL first", v->name,
		                 v->producer->name, v->producer->type);
	return OG_OK;
}

static og_status check_arguments(const graph *g, int n_in, og_value *const *in, int n_out, og_value *const *out)
{
	if (n_in < 0 || n_in > MOST_ARGUMENTS || n_out < 0 || n_out > MOST_ARGUMENTS || (n_in && !in) || (n_out && !out))
		return base_fail(OG_USAGE, "a node takes lists of up to %d inputs and outputs", MOST_ARGUMENTS);
	for (int k = 0; k < n_in; k++) TRY(check_read(g, in[k]));
	for (int k = 0; k < n_out; k++) {
		TRY(check_made(g, NULL, k, out[k]));
		for (int i = 0; i < k; i++)
			if (out[k] && out[i] == out[k]) return base_fail(OG_USAGE, "value '%s' is an output twice", og_value_name(out[k]));
	}
	return OG_OK;
}

og_status og_node_add(og_node **out, og_graph *handle, const char *domain, const char *type, const char *name, int n_in,
                      og_value *const *in, int n_out, og_value *const *outputs)
{
	graph_node *n;
	if (out) *out = NULL;
	TRY(og_check_graph(handle));
	TRY(og_check_name(type, "the node's type"));
	graph *g = handles_graph(handle);
	TRY(check_arguments(g, n_in, in, n_out, outputs));
	TRY(graph_node_add(&n, g, NULL, domain, type, name, n_in, n_out));
	og_status status = OG_OK;
	for (int k = 0; status == OG_OK && k < n_in; k++) status = graph_set_input(n, k, handles_value(in[k]));
	for (int k = 0; status == OG_OK && k < n_out; k++) status = graph_set_output(n, k, handles_value(outputs[k]));
	if (status != OG_OK) graph_node_remove(n);
	else if (out) *out = handles_of_node(n);
	return status;
}

og_status og_compute(og_value **out, og_graph *g, const char *type, const char *name, int n_in, og_value *const *in)
{
	og_value *v;
	if (out) *out = NULL;
	TRY(og_value_add(&v, g, name));
	og_status status = og_node_add(NULL, g, "", type, name, n_in, in, 1, &v);
	if (status != OG_OK) og_value_remove(v);
	else if (out) *out = v;
	return status;
}

static void touch(graph_node *n)
{
	n->source = (graph_bytes){ 0 };
	graph_touch(n->owner);
}

og_status og_node_set_name(og_node *handle, const char *name)
{
	TRY(og_check_node(handle));
	graph_node *n = handles_node(handle);
	char *own = arena_strdup(n->owner->model->a, name ? name : "");
	NEED(own);
	n->name = own;
	touch(n);
	return OG_OK;
}

og_status og_node_set_type(og_node *handle, const char *domain, const char *type)
{
	TRY(og_check_node(handle));
	TRY(og_check_name(type, "the node's type"));
	graph_node *n = handles_node(handle);
	char *own_type = arena_strdup(n->owner->model->a, type);
	char *own_domain = arena_strdup(n->owner->model->a, domain ? domain : "");
	NEED(own_type && own_domain);
	n->type = own_type;
	n->domain = own_domain;
	n->op = NULL;                        /* found anew by the next inference */
	touch(n);
	return OG_OK;
}

static og_status check_index(const graph_node *n, int k)
{
	if (k >= 0 && k < MOST_ARGUMENTS) return OG_OK;
	return base_fail(OG_USAGE, "node '%s' (%s) cannot have an input or output number %d", n->name, n->type, k);
}

og_status og_node_set_input(og_node *handle, int k, og_value *value)
{
	TRY(og_check_node(handle));
	graph_node *n = handles_node(handle);
	TRY(check_index(n, k));
	TRY(check_read(n->owner, value));
	return graph_set_input(n, k, handles_value(value));
}

og_status og_node_set_output(og_node *handle, int k, og_value *value)
{
	TRY(og_check_node(handle));
	graph_node *n = handles_node(handle);
	TRY(check_index(n, k));
	TRY(check_made(n->owner, n, k, value));
	return graph_set_output(n, k, handles_value(value));
}

og_status og_node_remove(og_node *handle)
{
	TRY(og_check_node(handle));
	graph_node_remove(handles_node(handle));
	return OG_OK;
}

og_status og_node_bypass(og_node *handle)
{
	TRY(og_check_node(handle));
	graph_node *n = handles_node(handle);
	graph_value *in = n->n_in ? n->in[0] : NULL, *out = n->n_out ? n->out[0] : NULL;
	if (!in || !out) return base_fail(OG_USAGE, "node '%s' (%s) has no first input or no first output", n->name, n->type);
	for (int k = 1; k < n->n_out; k++)
		if (n->out[k] && (n->out[k]->n_uses || n->out[k]->is_output))
			return base_fail(OG_USAGE, "output '%s' of node '%s' (%s) is read, and nothing else makes it", n->out[k]->name,
			                 n->name, n->type);
	if (out->is_output && in->owner != out->owner)
		return base_fail(OG_USAGE, "node '%s' (%s) makes an output of a value around its graph; a node must stay there",
		                 n->name, n->type);
	TRY(og_value_replace(handles_of_value(out), handles_of_value(in)));
	graph_node_remove(n);
	if (!out->n_uses && !out->is_output) graph_value_remove(out);
	return OG_OK;
}
