/* model.c -- models: their lifetime, opset imports and functions. */
#include "graph/graph.h"

og_model *graph_model_create(void)
{
	arena *a = arena_create();
	og_model *m = a ? arena_alloc(a, sizeof *m) : NULL;

	if (!m) {
		arena_destroy(a);
		base_no_memory();
		return NULL;
	}
	m->a = a;
	m->ir_version = 8;
	m->main = graph_create(m, NULL, "");
	if (!m->main) {
		graph_model_destroy(m);
		return NULL;
	}
	return m;
}

void graph_model_destroy(og_model *m)
{
	if (!m) return;
	for (graph *g = m->made; g; g = g->next_made) map_free(&g->by_name);
	map_free(&m->symbol_index);
	for (size_t i = 0; i < m->n_files; i++) file_close(&m->files[i]);
	arena_destroy(m->a);
}

/* "ai.onnx" is the other name of ONNX's own domain. */
static const char *plain_domain(const char *domain)
{
	return domain && strcmp(domain, "ai.onnx") ? domain : "";
}

static graph_opset *find_opset(const og_model *m, const char *domain)
{
	domain = plain_domain(domain);
	for (int i = 0; i < m->n_opsets; i++)
		if (!strcmp(plain_domain(m->opsets[i].domain), domain)) return &m->opsets[i];
	return NULL;
}

int64_t graph_opset_version(const og_model *m, const char *domain)
{
	const graph_opset *found = find_opset(m, domain);
	return found ? found->version : 0;
}

og_status graph_opset_require(og_model *m, const char *domain, int64_t version)
{
	graph_opset *found = find_opset(m, domain);

	if (!found) {
		char *name = arena_strdup(m->a, plain_domain(domain));
		graph_opset *grown = name ? arena_grow(m->a, m->opsets, (size_t)m->n_opsets, &m->cap_opsets,
		                                       (size_t)m->n_opsets + 1, sizeof *grown) : NULL;
		NEED(grown);
		m->opsets = grown;
		found = &m->opsets[m->n_opsets++];
		*found = (graph_opset){ .domain = name };
	}
	if (found->version < version) {
		found->version = version;
		m->source = (graph_bytes){ 0 };
	}
	return OG_OK;
}

graph_function *graph_function_find(const og_model *m, const char *domain, const char *name)
{
	domain = plain_domain(domain);
	for (int i = 0; i < m->n_functions; i++) {
		graph_function *f = &m->functions[i];
		if (!strcmp(f->name, name) && !strcmp(plain_domain(f->domain), domain)) return f;
	}
	return NULL;
}

og_status graph_function_add(graph_function **out, og_model *m, const char *domain, const char *name)
{
	*out = NULL;
	if (graph_function_find(m, domain, name))
		return base_fail(OG_USAGE, "function '%s::%s' is there already; remove it or take another name", domain, name);
	graph *body = graph_create(m, NULL, name);
	NEED(body);
	char *own_domain = arena_strdup(m->a, domain);
	graph_function *grown = own_domain ? arena_grow(m->a, m->functions, (size_t)m->n_functions, &m->cap_functions,
	                                                (size_t)m->n_functions + 1, sizeof *grown) : NULL;
	NEED(grown);
	m->functions = grown;
	*out = &m->functions[m->n_functions++];
	**out = (graph_function){ .name = body->name, .domain = own_domain, .body = body };
	m->source = (graph_bytes){ 0 };
	return OG_OK;
}
