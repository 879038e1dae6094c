/* extract.c -- cutting a network to what lies between values. */
#include "surgery/surgery.h"

typedef struct cut {
	og_model *m;
	graph_value **in, **out;
	int n_in, n_out;
	const graph_value **stack; size_t n; /* values that are needed, still to be followed */
} cut;

static og_status find(const cut *c, const char *name, graph_value **out)
{
	*out = name ? graph_value_find(c->m->main, name) : NULL;
	return *out ? OG_OK : base_fail(OG_USAGE, "the network has no value '%s'; opgraft info --graph lists them", name ? name : "");
}

static og_status find_inputs(cut *c, const char *const *names, int n)
{
	for (int i = 0; i < n; i++) {
		graph_value *v;
		TRY(find(c, names[i], &v));
		if (v->constant)
			return base_fail(OG_USAGE, "value '%s' cannot become an input: it is a constant; name one that is computed", v->name);
		if (v->dtype == OG_NONE)
			return base_fail(OG_USAGE, "value '%s' cannot become an input: its type is not known, as the op that makes it "
			                 "is not", v->name);
		for (int k = 0; k < i; k++)
			if (c->in[k] == v) return base_fail(OG_USAGE, "input '%s' is named twice", v->name);
		c->in[c->n_in++] = v;
	}
	return OG_OK;
}

static og_status find_outputs(cut *c, const char *const *names, int n)
{
	for (int i = 0; i < n; i++) {
		graph_value *v;
		TRY(find(c, names[i], &v));
		for (int k = 0; k < i; k++)
			if (c->out[k] == v) return base_fail(OG_USAGE, "output '%s' is named twice", v->name);
		c->out[c->n_out++] = v;
	}
	for (int i = 0; !n && i < c->m->main->n_outputs; i++) c->out[c->n_out++] = c->m->main->outputs[i];
	return OG_OK;
}

static void follow(cut *c, graph_value *v)
{
	if (!v || v->mark || v->owner != c->m->main) return;
	v->mark = v;
	c->stack[c->n++] = v;
}

static void follow_inputs(cut *c, const graph_node *n)
{
	for (int k = 0; k < n->n_in; k++) follow(c, n->in[k]);
	for (int i = 0; i < n->n_attrs; i++) {
		const graph *body = n->attrs[i].g;
		for (const graph_node *inner = body ? body->first : NULL; inner; inner = inner->next) follow_inputs(c, inner);
	}
}

/* Marks all values that the outputs need; inputs of the cut stop the way up. */
static void mark_needed(cut *c)
{
	for (int i = 0; i < c->n_out; i++) follow(c, c->out[i]);
	while (c->n) {
		const graph_value *v = c->stack[--c->n];
		bool stop = false;
		for (int i = 0; i < c->n_in && !stop; i++) stop = c->in[i] == v;
		if (!stop && v->producer) follow_inputs(c, v->producer);
	}
}

/* Every input of the network that is needed must be one of the cut. */
static og_status check_inputs(const cut *c)
{
	const graph *g = c->m->main;
	for (int i = 0; i < g->n_inputs; i++) {
		const graph_value *v = g->inputs[i];
		bool listed = v->constant || !v->mark;
		for (int k = 0; k < c->n_in && !listed; k++) listed = c->in[k] == v;
		if (!listed)
			return base_fail(OG_USAGE, "the outputs need more than these inputs: add '%s' to them, or a value between it and "
			                 "them", v->name);
	}
	return OG_OK;
}

/* The lists of the graph anew. Nothing can fail from the second step on. */
static og_status apply(cut *c, bool keep_inputs)
{
	graph *g = c->m->main;
	for (int i = 0; keep_inputs && i < g->n_inputs; i++)
		if (g->inputs[i]->mark && !g->inputs[i]->constant) c->in[c->n_in++] = g->inputs[i];
	while (g->n_outputs) graph_output_remove(g, g->n_outputs - 1);
	for (int i = 0; i < c->n_out; i++) TRY(graph_output_add(g, c->out[i]));
	for (int i = 0; i < c->n_in; i++)
		if (c->in[i]->producer) TRY(graph_set_output(c->in[i]->producer, c->in[i]->output, NULL));
	while (g->n_inputs) graph_input_remove(g, g->n_inputs - 1);
	for (int i = 0; i < c->n_in; i++) TRY(graph_input_add(g, c->in[i]));
	return surgery_clean_up(c->m);
}

static og_status extract(cut *c, const char *const *inputs, int n_inputs, const char *const *outputs, int n_outputs)
{
	size_t values = 0;
	graph *g = c->m->main;
	for (graph_value *v = g->first_value; v; v = v->next, values++) v->mark = NULL;
	c->in = base_new((size_t)(n_inputs + g->n_inputs) + 1, sizeof(graph_value *));
	c->out = base_new((size_t)(n_outputs + g->n_outputs) + 1, sizeof(graph_value *));
	c->stack = base_new(values + 1, sizeof(graph_value *));
	if (!c->in || !c->out || !c->stack) return base_no_memory();
	TRY(find_inputs(c, inputs, n_inputs));
	TRY(find_outputs(c, outputs, n_outputs));
	mark_needed(c);
	if (n_inputs) TRY(check_inputs(c));
	return apply(c, !n_inputs);
}

og_status surgery_extract(og_model *m, const char *const *inputs, int n_inputs, const char *const *outputs, int n_outputs)
{
	cut c = { .m = m };
	if (n_inputs < 0 || n_outputs < 0 || (n_inputs && !inputs) || (n_outputs && !outputs))
		return base_fail(OG_USAGE, "the lists of inputs and outputs to extract are not there");
	og_status status = extract(&c, inputs, n_inputs, outputs, n_outputs);
	base_free(c.in);
	base_free(c.out);
	base_free(c.stack);
	return status;
}
