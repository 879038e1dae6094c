#include "optimize/edit.h"

#include "schema/schema.h"

bool edit_is(const graph_node *n, const char *type)
{
	return n && n->op && !n->domain[0] && !strcmp(n->type, type);
}

bool edit_same_type(const graph_value *a, const graph_value *b)
{
	if (a->dtype != b->dtype || a->dtype == OG_NONE || a->rank != b->rank || a->rank < 0) return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dims[i] != b->dims[i] || a->dims[i] == GRAPH_DIM_UNKNOWN) return false;
	return true;
}

bool edit_elementwise(const graph_node *n)
{
	if (!n->op || !n->op->map[OG_ISA_SCALAR] || n->n_out != 1 || !n->out[0] || n->out[0]->dtype != OG_F32) return false;
	if (n->out[0]->rank < 0) return false;
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i] && (n->in[i]->dtype != OG_F32 || n->in[i]->rank < 0)) return false;
	return true;
}

bool edit_private(const graph_value *v, const graph_node *reader)
{
	if (v->is_output || !v->n_uses) return false;
	for (size_t i = 0; i < v->n_uses; i++)
		if (v->uses[i].node != reader) return false;
	return true;
}

void edit_remove(graph_node *n)
{
	graph_value *out[8];
	int count = n->n_out < 8 ? n->n_out : 8;
	for (int i = 0; i < count; i++) out[i] = n->out[i];
	graph_node_remove(n);
	for (int i = 0; i < count; i++)
		if (out[i] && !out[i]->n_uses && !out[i]->is_output) graph_value_remove(out[i]);
}

og_status edit_bypass(graph_node *n, graph_value *v, bool *done)
{
	graph_value *out = n->out[0];
	*done = false;
	if (out->is_output && (v->is_output || v->is_input || v->constant || !v->producer || v->owner != out->owner)) return OG_OK;
	TRY(graph_replace_uses(out, v));
	if (out->is_output) {
		graph *g = out->owner;
		for (int k = 0; k < g->n_outputs; k++)
			if (g->outputs[k] == out) TRY(graph_output_set(g, k, v));
	}
	edit_remove(n);
	*done = true;
	return OG_OK;
}

og_status edit_constant(graph_value **out, float **data, graph *g, const char *stem, int rank, const int64_t *dims)
{
	og_tensor *t = graph_tensor_new(g->model->a, OG_F32, rank, dims);
	NEED(t);
	char *name = graph_fresh_name(g, stem);
	NEED(name);
	*data = t->data;
	return graph_constant_add(out, g, name, t);
}

/* ---- fusing --------------------------------------------------------------------------------- */

typedef struct fusion {
	graph_node *fused;
	graph *body;
	graph_node *const *nodes;
	int n;
} fusion;

static bool made_inside(const fusion *f, const graph_value *v)
{
	for (int i = 0; i < f->n; i++)
		if (v->producer == f->nodes[i]) return true;
	return false;
}

/* The body's value for an outer one: made inside, or a parameter that is added on first sight. */
static og_status body_value(fusion *f, graph_value **out, graph_value *v)
{
	*out = NULL;
	if (!v) return OG_OK;
	*out = graph_value_find(f->body, v->name);
	if (*out) return OG_OK;
	TRY(graph_value_add(out, f->body, v->name, v->dtype, v->rank, v->dims));
	if (made_inside(f, v)) return OG_OK;
	TRY(graph_input_add(f->body, *out));
	return graph_set_input(f->fused, f->body->n_inputs - 1, v);
}

static og_status copy_into_body(fusion *f, const graph_node *from)
{
	graph_node *to;
	TRY(graph_node_add(&to, f->body, NULL, from->domain, from->type, from->name, from->n_in, from->n_out));
	to->op = from->op;
	for (int k = 0; k < from->n_attrs; k++) TRY(graph_attr_copy(to, &from->attrs[k]));
	for (int k = 0; k < from->n_in + from->n_out; k++) {
		graph_value *v;
		bool in = k < from->n_in;
		TRY(body_value(f, &v, in ? from->in[k] : from->out[k - from->n_in]));
		if (v) TRY(in ? graph_set_input(to, k, v) : graph_set_output(to, k - from->n_in, v));
	}
	return OG_OK;
}

og_status edit_fuse(graph_node *const *nodes, int n)
{
	graph_node *last = nodes[n - 1];
	graph *g = last->owner;
	graph_value *result = last->out[0], *inner;
	fusion f = { .nodes = nodes, .n = n };
	TRY(graph_node_add(&f.fused, g, last, OG_DOMAIN, "Fused", nodes[0]->name, 0, 1));
	f.fused->op = schema_find(OG_DOMAIN, "Fused", 1);
	f.body = graph_create(g->model, g, "body");
	NEED(f.body);
	TRY(graph_attr_set_graph(f.fused, "body", f.body));
	for (int i = 0; i < n; i++) TRY(copy_into_body(&f, nodes[i]));
	TRY(body_value(&f, &inner, result));
	TRY(graph_output_add(f.body, inner));
	for (int i = n - 1; i >= 0; i--) {
		graph_value *out = nodes[i]->out[0];
		graph_node_remove(nodes[i]);
		if (out != result) graph_value_remove(out);
	}
	return graph_set_output(f.fused, 0, result);
}
