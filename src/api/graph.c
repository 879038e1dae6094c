/* graph.c -- looking at a network, and what is done with all of it. */
#include "api/handles.h"
#include "optimize/optimize.h"
#include "schema/schema.h"
#include "surgery/surgery.h"

/* ---- handles ----------------------------------------------------------------------------------- */

/* The body of a node that was removed, or that was taken off its node, is not part of the model any more. */
static bool is_part(const graph *g)
{
	for (int depth = 0; depth <= GRAPH_MAX_NESTING && g->parent; depth++) {
		if (!g->holder || !g->holder->owner) return false;
		g = g->holder->owner;
	}
	if (g == g->model->main) return true;
	for (int i = 0; i < g->model->n_functions; i++)
		if (g->model->functions[i].body == g) return true;
	return false;
}

og_status og_check_graph(const og_graph *handle)
{
	const graph *g = handles_graph(handle);
	if (!g) return base_fail(OG_USAGE, "the graph handed in is NULL");
	return is_part(g) ? OG_OK : base_fail(OG_USAGE, "the graph '%s' was removed from its model", g->name);
}

og_status og_check_node(const og_node *handle)
{
	const graph_node *n = handles_node(handle);
	if (!n) return base_fail(OG_USAGE, "the node handed in is NULL");
	if (n->owner && is_part(n->owner)) return OG_OK;
	return base_fail(OG_USAGE, "node '%s' (%s) was removed from its model", n->name, n->type);
}

og_status og_check_value(const og_value *handle)
{
	const graph_value *v = handles_value(handle);
	if (!v) return base_fail(OG_USAGE, "the value handed in is NULL");
	return v->owner && is_part(v->owner) ? OG_OK : base_fail(OG_USAGE, "value '%s' was removed from its model", v->name);
}

og_status og_check_name(const char *name, const char *what)
{
	return name && *name ? OG_OK : base_fail(OG_USAGE, "the name of %s is missing", what);
}

/* ---- models ------------------------------------------------------------------------------------ */

/* The IR version that came with an opset (https://github.com/onnx/onnx/blob/main/docs/Versioning.md). */
static int64_t ir_version(int opset)
{
	return opset < 19 ? 8 : opset < 21 ? 9 : opset < 23 ? 10 : opset < 24 ? 11 : opset < 25 ? 12 : 13;
}

og_status og_model_create(og_model **out, const char *name, int opset)
{
	enum { FIRST = 7, LAST = 26 };
	if (!out) return base_fail(OG_USAGE, "there is no place for the model");
	*out = NULL;
	if (opset < FIRST || opset > LAST)
		return base_fail(OG_USAGE, "opset %d is not one of %d to %d; take one of these", opset, FIRST, LAST);
	og_model *m = graph_model_create();
	NEED(m);
	m->main->name = arena_strdup(m->a, name && *name ? name : "network");
	m->ir_version = ir_version(opset);
	og_status status = m->main->name ? graph_opset_require(m, "", opset) : base_no_memory();
	if (status == OG_OK) *out = m;
	else graph_model_destroy(m);
	return status;
}

og_status og_model_copy(og_model **out, const og_model *from)
{
	if (out) *out = NULL;
	return out && from ? graph_model_copy(out, from) : base_fail(OG_USAGE, "there is no model to copy, or no place for it");
}

og_graph *og_model_graph(og_model *m) { return m ? handles_of_graph(m->main) : NULL; }

int og_model_opset(const og_model *m, const char *domain)
{
	int64_t version = m && domain ? graph_opset_version(m, domain) : 0;
	return version > 0 && version <= INT32_MAX ? (int)version : 0;
}

og_status og_model_require_opset(og_model *m, const char *domain, int version)
{
	if (!m || !domain || version < 1) return base_fail(OG_USAGE, "a model, a domain and a version of 1 or more are needed");
	return graph_opset_require(m, domain, version);
}

int og_model_functions(const og_model *m) { return m ? m->n_functions : 0; }

og_graph *og_model_function(og_model *m, int k, const char **domain, const char **name)
{
	if (!m || k < 0 || k >= m->n_functions) return NULL;
	if (domain) *domain = m->functions[k].domain;
	if (name) *name = m->functions[k].name;
	return handles_of_graph(m->functions[k].body);
}

static og_status missing_model(void) { return base_fail(OG_USAGE, "the model handed in is NULL"); }

og_status og_model_sort(og_model *m)
{
	if (!m) return missing_model();
	TRY(graph_sort(m->main));
	for (int i = 0; i < m->n_functions; i++) TRY(graph_sort(m->functions[i].body));
	return OG_OK;
}

og_status og_model_clean_up(og_model *m) { return m ? surgery_clean_up(m) : missing_model(); }
og_status og_model_verify(const og_model *m) { return m ? graph_verify(m) : missing_model(); }

/* ---- inference --------------------------------------------------------------------------------- */

/* What was known of a value before. */
typedef struct earlier { graph_value *v; og_dtype dtype; int rank; og_dim dims[OG_MAX_RANK]; } earlier;

static size_t count_made(const graph *g)
{
	size_t n = 0;
	for (const graph_value *v = g->first_value; v; v = v->next) n += v->producer != NULL;
	for (const graph_node *node = g->first; node; node = node->next)
		for (int i = 0; i < node->n_attrs; i++)
			if (node->attrs[i].g) n += count_made(node->attrs[i].g);
	return n;
}

/* Forgets the types of what known ops make, bodies included. */
static void forget(graph *g, earlier *list, size_t *n)
{
	for (graph_value *v = g->first_value; v; v = v->next) {
		if (!v->producer) continue;
		earlier *e = &list[(*n)++];
		*e = (earlier){ .v = v, .dtype = v->dtype, .rank = v->rank };
		memcpy(e->dims, v->dims, sizeof e->dims);
		if (!v->producer->op) continue;
		v->dtype = OG_NONE;
		v->rank = -1;
	}
	for (graph_node *node = g->first; node; node = node->next)
		for (int i = 0; i < node->n_attrs; i++)
			if (node->attrs[i].g) forget(node->attrs[i].g, list, n);
}

/* What inference could not tell is as it was, and a symbol keeps its name. */
static void settle(const earlier *e)
{
	graph_value *v = e->v;
	if (!v->owner || v->constant) return;
	if (v->dtype == OG_NONE) v->dtype = e->dtype;
	if (v->rank < 0 && v->dtype == e->dtype) {
		v->rank = e->rank;
		memcpy(v->dims, e->dims, sizeof e->dims);
	}
	for (int i = 0; i < v->rank && v->rank == e->rank; i++)
		if (v->dims[i] < 0 && (v->dims[i] == GRAPH_DIM_UNKNOWN || e->dims[i] < GRAPH_DIM_UNKNOWN)) v->dims[i] = e->dims[i];
	size_t bytes = (size_t)(v->rank > 0 ? v->rank : 0) * sizeof *v->dims;
	if (v->dtype == e->dtype && v->rank == e->rank && !memcmp(v->dims, e->dims, bytes)) return;
	v->info = (graph_bytes){ 0 };
	graph_touch(v->owner);
}

og_status og_model_infer(og_model *m)
{
	size_t n = 0;
	if (!m) return missing_model();
	schema_resolve(m);
	earlier *list = base_new(count_made(m->main) + 1, sizeof *list);
	NEED(list);
	forget(m->main, list, &n);
	og_status status = schema_infer(m->main);
	for (size_t i = 0; i < n; i++) settle(&list[i]);
	base_free(list);
	return status;
}

og_status og_model_finish(og_model *m)
{
	TRY(og_model_clean_up(m));
	TRY(og_model_sort(m));
	TRY(og_model_verify(m));
	return og_model_infer(m);
}

og_status og_model_fold_constants(og_model *m)
{
	TRY(og_model_sort(m));
	TRY(og_model_infer(m));
	return optimize_fold_constants(m, NULL);
}

og_status og_extract(og_model *m, const char *const *inputs, int n_inputs, const char *const *outputs, int n_outputs)
{
	if (!m) return missing_model();
	return surgery_extract(m, inputs, n_inputs, outputs, n_outputs);
}

/* ---- graphs ------------------------------------------------------------------------------------ */

static const graph *graph_or_null(const og_graph *g) { return g && og_check_graph(g) == OG_OK ? handles_graph(g) : NULL; }
static const graph_node *node_or_null(const og_node *n) { return n && handles_node(n)->owner ? handles_node(n) : NULL; }
static const graph_value *value_or_null(const og_value *v) { return v && handles_value(v)->owner ? handles_value(v) : NULL; }

const char *og_graph_name(const og_graph *handle)
{
	const graph *g = graph_or_null(handle);
	return g ? g->name : "";
}

og_node *og_graph_holder(const og_graph *handle)
{
	const graph *g = graph_or_null(handle);
	return g ? handles_of_node(g->holder) : NULL;
}

size_t og_graph_nodes(const og_graph *handle)
{
	const graph *g = graph_or_null(handle);
	return g ? g->n_nodes : 0;
}

og_node *og_graph_first_node(const og_graph *handle)
{
	const graph *g = graph_or_null(handle);
	return g ? handles_of_node(g->first) : NULL;
}

og_value *og_graph_first_value(const og_graph *handle)
{
	const graph *g = graph_or_null(handle);
	return g ? handles_of_value(g->first_value) : NULL;
}

og_node *og_node_next(const og_node *handle)
{
	const graph_node *n = node_or_null(handle);
	return n ? handles_of_node(n->next) : NULL;
}

og_value *og_value_next(const og_value *handle)
{
	const graph_value *v = value_or_null(handle);
	return v ? handles_of_value(v->next) : NULL;
}

og_node *og_graph_find_node(const og_graph *handle, const char *name)
{
	const graph *g = graph_or_null(handle);
	const graph_node *n = g && name && *name ? g->first : NULL;
	while (n && strcmp(n->name, name)) n = n->next;
	return handles_of_node(n);
}

og_value *og_graph_find_value(const og_graph *handle, const char *name)
{
	const graph *g = graph_or_null(handle);
	return g && name ? handles_of_value(graph_value_find(g, name)) : NULL;
}

int og_graph_inputs(const og_graph *handle)
{
	const graph *g = graph_or_null(handle);
	return g ? g->n_inputs : 0;
}

int og_graph_outputs(const og_graph *handle)
{
	const graph *g = graph_or_null(handle);
	return g ? g->n_outputs : 0;
}

og_value *og_graph_input(const og_graph *handle, int k)
{
	const graph *g = graph_or_null(handle);
	return g && k >= 0 && k < g->n_inputs ? handles_of_value(g->inputs[k]) : NULL;
}

og_value *og_graph_output(const og_graph *handle, int k)
{
	const graph *g = graph_or_null(handle);
	return g && k >= 0 && k < g->n_outputs ? handles_of_value(g->outputs[k]) : NULL;
}

/* ---- values ------------------------------------------------------------------------------------ */

const char *og_value_name(const og_value *handle)
{
	const graph_value *v = value_or_null(handle);
	return v ? v->name : "";
}

og_graph *og_value_graph(const og_value *handle)
{
	const graph_value *v = value_or_null(handle);
	return v ? handles_of_graph(v->owner) : NULL;
}

og_status og_value_type(const og_value *handle, og_value_info *out)
{
	TRY(og_check_value(handle));
	if (!out) return base_fail(OG_USAGE, "there is no place for the type");
	const graph_value *v = handles_value(handle);
	*out = (og_value_info){ .name = v->name, .dtype = v->dtype, .rank = v->rank, .optional = v->is_input && v->constant };
	for (int i = 0; i < v->rank; i++) {
		out->dims[i] = v->dims[i] >= 0 ? v->dims[i] : -1;
		out->dim_names[i] = graph_dim_name(v->owner->model, v->dims[i]);
	}
	return OG_OK;
}

int og_value_is_input(const og_value *handle)
{
	const graph_value *v = value_or_null(handle);
	return v && v->is_input;
}

int og_value_is_output(const og_value *handle)
{
	const graph_value *v = value_or_null(handle);
	return v && v->is_output;
}

og_node *og_value_producer(const og_value *handle)
{
	const graph_value *v = value_or_null(handle);
	return v ? handles_of_node(v->producer) : NULL;
}

size_t og_value_uses(const og_value *handle)
{
	const graph_value *v = value_or_null(handle);
	return v ? v->n_uses : 0;
}

og_node *og_value_user(const og_value *handle, size_t k, int *input)
{
	const graph_value *v = value_or_null(handle);
	if (!v || k >= v->n_uses) return NULL;
	if (input) *input = v->uses[k].input;
	return handles_of_node(v->uses[k].node);
}

const og_tensor *og_value_constant(const og_value *handle)
{
	const graph_value *v = value_or_null(handle);
	return v ? v->constant : NULL;
}

/* ---- nodes ------------------------------------------------------------------------------------- */

const char *og_node_name(const og_node *handle)
{
	const graph_node *n = node_or_null(handle);
	return n ? n->name : "";
}

const char *og_node_type(const og_node *handle)
{
	const graph_node *n = node_or_null(handle);
	return n ? n->type : "";
}

const char *og_node_domain(const og_node *handle)
{
	const graph_node *n = node_or_null(handle);
	return n ? n->domain : "";
}

og_graph *og_node_graph(const og_node *handle)
{
	const graph_node *n = node_or_null(handle);
	return n ? handles_of_graph(n->owner) : NULL;
}

int og_node_inputs(const og_node *handle)
{
	const graph_node *n = node_or_null(handle);
	return n ? n->n_in : 0;
}

int og_node_outputs(const og_node *handle)
{
	const graph_node *n = node_or_null(handle);
	return n ? n->n_out : 0;
}

og_value *og_node_input(const og_node *handle, int k)
{
	const graph_node *n = node_or_null(handle);
	return n && k >= 0 && k < n->n_in ? handles_of_value(n->in[k]) : NULL;
}

og_value *og_node_output(const og_node *handle, int k)
{
	const graph_node *n = node_or_null(handle);
	return n && k >= 0 && k < n->n_out ? handles_of_value(n->out[k]) : NULL;
}
