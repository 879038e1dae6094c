/* ungraft.c -- nodes of ops that ONNX does not have, back into its own: by the op's body, or where the op is not known
 * here by the function that the file has for it. */
#include "schema/schema.h"
#include "surgery/body.h"
#include "surgery/edits.h"

typedef struct ungrafter {
	og_model *m;
	const og_op *op;                     /* NULL: every op */
	const surgery_options *o;
	found_box *found;
	arena *a;
	replace_places places;
	body_reading *readings; size_t n_readings, cap_readings;     /* parsed so far */
} ungrafter;

/* ---- values change hands ---------------------------------------------------------------------- */

static bool is_wanted(const graph_value *v) { return v->n_uses || v->is_input || v->is_output; }

/* Removes the node with its outputs, and the constants that only it read. */
static void remove_node(graph_node *n)
{
	while (n->n_in > 0) {
		graph_value *v = n->in[n->n_in - 1];
		graph_set_input(n, n->n_in - 1, NULL);
		n->n_in--;
		if (v && v->constant && v->owner == n->owner && !is_wanted(v)) graph_value_remove(v);
	}
	for (int k = 0; k < n->n_out; k++) {
		graph_value *v = n->out[k];
		graph_set_output(n, k, NULL);
		if (v) graph_value_remove(v);
	}
	graph_node_remove(n);
}

/* Those between two nodes that make nothing that is wanted. */
static void remove_unwanted(const graph_node *before, graph_node *call)
{
	for (graph_node *n = call->prev, *prev; n && n != before; n = prev) {
		bool wanted = false;
		prev = n->prev;
		for (int k = 0; k < n->n_out; k++) wanted = wanted || (n->out[k] && is_wanted(n->out[k]));
		if (!wanted) remove_node(n);
	}
}

/* `result`, which nothing makes, becomes what v is. Its name stays: v goes, if a node in place of the call makes it. */
static og_status hand_over(graph_value *result, graph_value *v, graph_node *call, bool is_new)
{
	graph_node *n = v->producer;
	if (!is_new || !n) {
		TRY(graph_node_add(&n, call->owner, call, "", "Identity", "", 1, 1));
		TRY(graph_set_input(n, 0, v));
		return graph_set_output(n, 0, result);
	}
	int k = v->output;
	TRY(graph_replace_uses(v, result));
	TRY(graph_set_output(n, k, NULL));
	graph_value_remove(v);
	return graph_set_output(n, k, result);
}

/* values[k] takes the place of the call's output k. What makes them came between `before` and the call, which goes. */
static og_status give_results(graph_node *call, graph_value **values, int n, const graph_node *before)
{
	const char *name = call->name;
	for (int k = 0; k < n && k < call->n_out; k++) {
		graph_value *result = call->out[k], *v = values[k];
		if (!result) continue;
		TRY(graph_set_output(call, k, NULL));
		if (!is_wanted(result)) {
			graph_value_remove(result);
			continue;
		}
		bool is_new = v->producer != NULL;
		for (int i = 0; is_new && i < call->n_in; i++) is_new = call->in[i] != v;
		for (int i = 0; is_new && i < k; i++) is_new = values[i] != v;
		TRY(hand_over(result, v, call, is_new));
		for (int i = k + 1; is_new && i < n; i++)
			if (values[i] == v) values[i] = result;
		if (*name) result->producer->name = name;
		name = "";
	}
	remove_unwanted(before, call);
	remove_node(call);
	return OG_OK;
}

/* Takes back what was put in front of the call. */
static void undo(graph_node *call, const graph_node *before, const graph_value *last)
{
	graph *g = call->owner;
	while (call->prev != before) {
		graph_node *n = call->prev;
		graph_node_remove(n);
	}
	for (graph_value *v = g->last_value, *prev; v && v != last; v = prev) {
		prev = v->prev;
		if (!v->producer && !v->n_uses && !v->is_input && !v->is_output) graph_value_remove(v);
	}
}

/* ---- by the op's body ------------------------------------------------------------------------- */

/* ONNX's opset in a place. */
static int64_t opset_in(const og_model *m, const replace_place *p)
{
	const graph_function *f = p->function >= 0 ? &m->functions[p->function] : NULL;
	for (int k = 0; f && k < f->n_opsets; k++)
		if (!*f->opsets[k].domain || !strcmp(f->opsets[k].domain, "ai.onnx")) return f->opsets[k].version;
	return graph_opset_version(m, "");
}

static og_dtype tensors_of(const schema_args *inputs, const graph_node *n)
{
	for (int k = 0; k < n->n_in; k++) {
		const schema_arg *arg = schema_arg_at(inputs, k);
		if (arg && arg->variable >= 0 && n->in[k] && n->in[k]->dtype != OG_NONE) return n->in[k]->dtype;
	}
	return OG_NONE;
}

/* The body as the node's attributes choose it, parsed once. */
static og_status read_body(const body_reading **out, ungrafter *u, const graph_node *n)
{
	body_reading body;
	TRY(body_choose(&body, u->a, n->op, n));
	for (size_t i = 0; i < u->n_readings; i++) {
		*out = &u->readings[i];
		if ((*out)->op == body.op && (*out)->number == body.number) return OG_OK;
	}
	TRY(body_parse(&body, u->a));
	u->readings = arena_grow(u->a, u->readings, u->n_readings, &u->cap_readings, u->n_readings + 1, sizeof body);
	NEED(u->readings);
	u->readings[u->n_readings] = body;
	*out = &u->readings[u->n_readings++];
	return OG_OK;
}

static og_status by_body(ungrafter *u, graph_node *n, const replace_place *p)
{
	const body_reading *body = NULL;
	schema_args inputs, outputs;
	graph_value *out[SCHEMA_MAX_ARGS] = { NULL };
	TRY(read_body(&body, u, n));
	TRY(schema_arguments(&inputs, &outputs, n->op));
	body_place at = { .g = n->owner, .before = n, .opset = opset_in(u->m, p), .node = n, .in = n->in, .n_in = n->n_in };
	at.dtype = tensors_of(&inputs, n);
	if (at.dtype == OG_NONE && at.opset < 15) at.dtype = OG_F32;
	int count = n->n_out < outputs.n ? n->n_out : outputs.n;
	graph_node *before = n->prev;
	graph_value *last = n->owner->last_value;
	og_status status = body_build(out, count, body, &at);
	if (status != OG_OK) undo(n, before, last);
	return status == OG_OK ? give_results(n, out, count, before) : status;
}

/* ---- by the file's function ------------------------------------------------------------------- */

static const graph_attr *argument(const graph_function *f, const graph_node *call, const char *name)
{
	const graph_attr *given = graph_attr_find(call, name);
	for (int i = 0; !given && i < f->n_defaults; i++)
		if (!strcmp(f->defaults[i].name, name)) given = &f->defaults[i];
	return given;
}

static og_status copy_attributes(graph_node *to, const graph_node *from, const graph_function *f,
                                 const graph_node *call)
{
	for (int i = 0; i < from->n_attrs; i++) {
		graph_attr a = from->attrs[i];
		if (a.g || a.type == GRAPH_ATTR_OPAQUE)
			return base_fail(OG_NO, "its function has control flow, which can't be put in its place");
		if (a.ref) {
			const graph_attr *given = argument(f, call, a.ref);
			if (!given) continue;                /* the op's own default */
			a = *given;
			a.name = from->attrs[i].name;
		}
		TRY(graph_attr_copy(to, &a));
	}
	return OG_OK;
}

/* The value in the call's graph for one of the function's. */
static og_status outer_value(graph_value **out, graph_node *call, graph_value *v, const graph_function *f)
{
	*out = v ? v->mark : NULL;
	if (!v || v->mark) return OG_OK;
	for (int i = 0; i < f->body->n_inputs; i++)
		if (f->body->inputs[i] == v) {
			*out = i < call->n_in ? call->in[i] : NULL;
			return OG_OK;
		}
	char *name = graph_fresh_name(call->owner, v->name);
	NEED(name);
	if (v->constant) TRY(graph_constant_add(out, call->owner, name, v->constant));
	else TRY(graph_value_add(out, call->owner, name, OG_NONE, -1, NULL));
	v->mark = *out;
	return OG_OK;
}

static og_status copy_body(graph_value **out, graph_node *call, const graph_function *f)
{
	for (graph_value *v = f->body->first_value; v; v = v->next) v->mark = NULL;
	for (const graph_node *n = f->body->first; n; n = n->next) {
		graph_node *to;
		TRY(graph_node_add(&to, call->owner, call, n->domain, n->type, "", n->n_in, n->n_out));
		to->op = n->op;
		TRY(copy_attributes(to, n, f, call));
		for (int k = 0; k < n->n_in + n->n_out; k++) {
			graph_value *v;
			TRY(outer_value(&v, call, k < n->n_in ? n->in[k] : n->out[k - n->n_in], f));
			if (v) TRY(k < n->n_in ? graph_set_input(to, k, v) : graph_set_output(to, k - n->n_in, v));
		}
	}
	for (int k = 0; k < call->n_out; k++) {
		if (k < f->body->n_outputs) TRY(outer_value(&out[k], call, f->body->outputs[k], f));
		if (!out[k]) return base_fail(OG_NO, "its function does not make output %d", k);
	}
	return OG_OK;
}

static og_status by_function(ungrafter *u, graph_node *n, const graph_function *f)
{
	graph_value **out = arena_array(u->a, (size_t)n->n_out + 1, sizeof *out);
	graph_node *before = n->prev;
	graph_value *last = n->owner->last_value;
	NEED(out);
	og_status status = copy_body(out, n, f);
	if (status != OG_OK) undo(n, before, last);
	return status == OG_OK ? give_results(n, out, n->n_out, before) : status;
}

/* ---- which nodes, and what is left afterwards --------------------------------------------------- */

/* A node of an op that ONNX does not have. What calls itself a plugin in the file is one, also where we do not know it;
 * other functions of a file are the network's own. */
static bool is_foreign(const ungrafter *u, const graph_node *n)
{
	if (n->op) {
		bool same = !u->op || (!strcmp(n->op->name, u->op->name) && !strcmp(schema_domain(n->op), schema_domain(u->op)));
		return schema_domain(n->op)[0] && same;
	}
	return !u->op && graph_attr_find(n, "plugin_namespace") && graph_function_find(u->m, n->domain, n->type);
}

static bool is_asked_for(const ungrafter *u, const graph_node *n)
{
	if (!is_foreign(u, n)) return false;
	const char *label = graph_node_label(n);
	return (!u->o->only || base_glob(u->o->only, label)) && !(u->o->skip && base_glob(u->o->skip, label));
}

static og_status tell(ungrafter *u, og_match *out, const graph_node *n, const char *path)
{
	arena *a = u->found->a;
	const char **nodes = arena_array(a, 1, sizeof *nodes);
	NEED(nodes);
	nodes[0] = arena_strdup(a, graph_node_label(n));
	*out = (og_match){ .op = arena_strdup(a, n->op ? schema_called(n->op) : n->type), .nodes = nodes, .n_nodes = 1,
	                   .output = arena_strdup(a, n->n_out && n->out[0] ? n->out[0]->name : ""), .how = "node",
	                   .graph = arena_strdup(a, path) };
	if (!nodes[0] || !out->op || !out->output || !out->graph) return base_no_memory();
	return found_attributes(out, u->found, n->op, n->attrs, n->n_attrs);
}

/* *last: the node behind which to go on; it becomes n when that stays. */
static og_status ungraft_node(graph_node **last, ungrafter *u, graph_node *n, const replace_place *p)
{
	og_match m = { 0 };
	const graph_function *f = graph_function_find(u->m, n->domain, n->type);
	if (u->found) TRY(tell(u, &m, n, p->path));
	og_status status = n->op ? by_body(u, n, p) : OG_NO;
	if (status == OG_NO && f) status = by_function(u, n, f);
	if (status == OG_OK) return u->found ? found_match(u->found, &m, NULL) : OG_OK;
	if (status != OG_NO && status != OG_UNSUPPORTED) return status;
	*last = n;
	return u->found ? found_refuse(u->found, &m, base_error()) : OG_OK;
}

static bool uses(const graph *g, const char *domain, const char *type)
{
	for (const graph_node *n = g->first; n; n = n->next) {
		if (!strcmp(n->domain, domain) && (!type || !strcmp(n->type, type))) return true;
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g && uses(n->attrs[i].g, domain, type)) return true;
	}
	return false;
}

static bool model_uses(const og_model *m, const char *domain, const char *type)
{
	bool found = uses(m->main, domain, type);
	for (int k = 0; !found && k < m->n_functions; k++)
		found = uses(m->functions[k].body, domain, type) || (!type && !strcmp(m->functions[k].domain, domain));
	return found;
}

static bool remove_import(graph_opset *opsets, int *n, const char *domain)
{
	int k = 0;
	while (k < *n && strcmp(opsets[k].domain, domain)) k++;
	if (k == *n) return false;
	memmove(&opsets[k], &opsets[k + 1], (size_t)(*n - k - 1) * sizeof *opsets);
	--*n;
	return true;
}

/* The function and the imports of an op go with its last node. */
static void clean_up(og_model *m, const char *domain, const char *type)
{
	for (int k = 0; k < m->n_functions; k++) {
		graph_function *f = &m->functions[k];
		if (!uses(f->body, domain, NULL) && remove_import(f->opsets, &f->n_opsets, domain)) f->source = (graph_bytes){ 0 };
		if (strcmp(f->domain, domain) || strcmp(f->name, type) || model_uses(m, domain, type)) continue;
		memmove(f, f + 1, (size_t)(m->n_functions - k - 1) * sizeof *f);
		m->n_functions--;
		k--;
	}
	if (!model_uses(m, domain, NULL)) remove_import(m->opsets, &m->n_opsets, domain);
	m->source = (graph_bytes){ 0 };
}

typedef struct gone { const char *domain, *type; } gone;

static og_status ungraft_all(ungrafter *u)
{
	gone *list = NULL;
	size_t n = 0, cap = 0;
	TRY(replace_find_places(&u->places, u->a, u->m));
	for (size_t i = 0; i < u->places.n; i++) {
		const replace_place *p = &u->places.place[i];
		for (graph_node *node = p->g->first, *before; node; node = before ? before->next : p->g->first) {
			before = node;
			if (!is_asked_for(u, node)) continue;
			before = node->prev;                 /* what comes in its place may be asked for in turn */
			size_t k = 0;
			while (k < n && (strcmp(list[k].domain, node->domain) || strcmp(list[k].type, node->type))) k++;
			if (k == n) {
				list = arena_grow(u->a, list, n, &cap, n + 1, sizeof *list);
				NEED(list);
				list[n++] = (gone){ node->domain, node->type };
			}
			TRY(ungraft_node(&before, u, node, p));
		}
	}
	for (size_t k = 0; k < n; k++) clean_up(u->m, list[k].domain, list[k].type);
	return schema_infer(u->m->main);
}

og_status surgery_ungraft(og_model *m, const og_op *op, const surgery_options *o, og_found **found)
{
	ungrafter u = { .m = m, .op = op, .o = o, .a = arena_create() };
	NEED(u.a);
	og_status status = found ? found_create(&u.found) : OG_OK;
	if (status == OG_OK) status = ungraft_all(&u);
	arena_destroy(u.a);
	if (found && status == OG_OK) *found = &u.found->found;
	else if (u.found) og_found_free(&u.found->found);
	return status;
}
