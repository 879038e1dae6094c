/* inline_functions.c -- a node that calls a model function becomes the function's nodes. */
#include "optimize/edit.h"
#include "schema/schema.h"

enum { MAX_DEPTH = 16, MAX_NODES = 1000000 };

static bool has_body(const graph_node *n)
{
	for (int i = 0; i < n->n_attrs; i++)
		if (n->attrs[i].type == OG_ATTR_GRAPH || n->attrs[i].type == GRAPH_ATTR_OPAQUE) return true;
	return false;
}

/* Only bodies of plain nodes are taken apart; a function with control flow stays a call. */
static bool inlinable(const graph_function *f)
{
	for (const graph_node *n = f->body->first; n; n = n->next)
		if (has_body(n)) return false;
	return true;
}

static const graph_attr *argument(const graph_function *f, const graph_node *call, const char *name)
{
	const graph_attr *given = graph_attr_find(call, name);
	for (int i = 0; !given && i < f->n_defaults; i++)
		if (!strcmp(f->defaults[i].name, name)) given = &f->defaults[i];
	return given;
}

static og_status copy_attributes(graph_node *to, const graph_node *from, const graph_function *f, const graph_node *call)
{
	for (int i = 0; i < from->n_attrs; i++) {
		graph_attr a = from->attrs[i];
		if (a.ref) {
			const graph_attr *given = argument(f, call, a.ref);
			if (!given) continue;                /* not given: the op's own default */
			a = *given;
			a.name = from->attrs[i].name;
			a.ref = NULL;
		}
		TRY(graph_attr_copy(to, &a));
	}
	return OG_OK;
}

/* The caller's value for one of the body's. */
static og_status outer(graph_value **out, graph *g, const graph_node *call, graph_value *v)
{
	*out = NULL;
	if (!v) return OG_OK;
	if (!v->mark) {
		const graph_function *f = graph_function_find(g->model, call->domain, call->type);
		for (int i = 0; i < f->body->n_inputs; i++)
			if (f->body->inputs[i] == v) {
				*out = i < call->n_in ? call->in[i] : NULL;
				return OG_OK;
			}
		graph_value *fresh;
		char *name = graph_fresh_name(g, v->name);
		NEED(name);
		if (v->constant) TRY(graph_constant_add(&fresh, g, name, v->constant));
		else TRY(graph_value_add(&fresh, g, name, OG_NONE, -1, NULL));
		v->mark = fresh;
	}
	*out = v->mark;
	return OG_OK;
}

static og_status inline_call(graph_node *call, const graph_function *f)
{
	graph *g = call->owner;
	for (graph_value *v = f->body->first_value; v; v = v->next) v->mark = NULL;
	for (const graph_node *n = f->body->first; n; n = n->next) {
		graph_node *to;
		TRY(graph_node_add(&to, g, call, n->domain, n->type, n->name, n->n_in, n->n_out));
		TRY(copy_attributes(to, n, f, call));
		for (int k = 0; k < n->n_in + n->n_out; k++) {
			graph_value *v;
			bool in = k < n->n_in;
			TRY(outer(&v, g, call, in ? n->in[k] : n->out[k - n->n_in]));
			if (v) TRY(in ? graph_set_input(to, k, v) : graph_set_output(to, k - n->n_in, v));
		}
	}
	for (int i = 0; i < call->n_out && i < f->body->n_outputs; i++) {
		graph_value *v, *result = call->out[i];
		if (!result) continue;
		TRY(outer(&v, g, call, f->body->outputs[i]));
		if (!v) return base_fail(OG_BAD_FILE, "node '%s': function %s hands through an input that is not given", call->name, f->name);
		graph_node *copy;                        /* Identity keeps the result's name; remove_identity takes it away */
		TRY(graph_node_add(&copy, g, call, "", "Identity", "", 1, 1));
		TRY(graph_set_input(copy, 0, v));
		TRY(graph_set_output(call, i, NULL));
		TRY(graph_set_output(copy, 0, result));
	}
	graph_node_remove(call);
	return OG_OK;
}

og_status optimize_inline_functions(og_model *m, const optimize_options *o)
{
	(void)o;
	for (int depth = 0; depth < MAX_DEPTH; depth++) {
		bool changed = false;
		for (graph_node *n = m->main->first, *next; n; n = next) {
			const graph_function *f = n->op ? NULL : graph_function_find(m, n->domain, n->type);
			next = n->next;
			if (!f || !inlinable(f)) continue;
			TRY(inline_call(n, f));
			changed = true;
			if (m->main->n_nodes > MAX_NODES)
				return base_fail(OG_UNSUPPORTED, "function %s: its calls unfold to more than %d nodes", f->name, MAX_NODES);
		}
		schema_resolve(m);
		if (!changed) return OG_OK;
	}
	return base_fail(OG_BAD_FILE, "functions call each other more than %d deep", MAX_DEPTH);
}
