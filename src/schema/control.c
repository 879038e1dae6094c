/* control.c -- nodes that have a body: If, Loop, Fused, and calls of model functions. */
#include "schema/inside.h"

static og_status node_fails(og_status status, const graph_node *n)
{
	char words[SCHEMA_WORDS];
	return status == OG_OK ? OG_OK : base_fail_in(status, "%s", schema_node_words(words, n));
}

/* The graph in an attribute, which must have that many inputs and at least as many outputs as are wanted. */
static og_status find_body(graph **out, const graph_node *n, const char *name, int n_inputs, int n_outputs,
                           const schema_scope *scope)
{
	char words[SCHEMA_WORDS];
	const graph_attr *attr = schema_attribute(n, name, scope);
	if (!attr || !attr->g)
		return base_fail(OG_BAD_FILE, "%s: its graph '%s' is missing", schema_node_words(words, n), name);
	*out = attr->g;
	if (attr->g->n_inputs == n_inputs && attr->g->n_outputs >= n_outputs) return OG_OK;
	return base_fail(OG_BAD_FILE, "%s: its graph '%s' has %d inputs and %d outputs instead of %d and %d",
	                 schema_node_words(words, n), name, attr->g->n_inputs, attr->g->n_outputs, n_inputs, n_outputs);
}

static og_status infer_inside(graph *g, arena *a, const schema_scope *outer)
{
	schema_scope scope;
	og_status status = schema_scope_begin(&scope, a, g, outer);
	if (status == OG_OK) status = schema_infer_body(g, &scope);
	schema_scope_end(&scope);
	return status;
}

/* Runs the body and takes its outputs into the arena. */
static og_status run_inside(og_tensor ***made, const graph *g, const og_tensor *const *in, arena *a,
                            const schema_scope *outer)
{
	*made = arena_array(a, (size_t)g->n_outputs, sizeof **made);
	NEED(*made);
	return schema_run_graph(g, in, *made, a, outer, NULL, NULL);
}

static void set_type(graph_value *v, const graph_value *from)
{
	v->dtype = from->dtype;
	v->rank = from->rank;
	memcpy(v->dims, from->dims, sizeof v->dims);
}

/* ---- If ------------------------------------------------------------------------------------- */

static og_status infer_if(graph_node *n, const schema_scope *scope, arena *a)
{
	graph *yes, *no;
	TRY(find_body(&yes, n, "then_branch", 0, n->n_out, scope));
	TRY(find_body(&no, n, "else_branch", 0, n->n_out, scope));
	const og_tensor *condition = n->n_in == 1 && n->in[0] ? schema_scope_get(scope, n->in[0]) : NULL;
	if (condition && condition->dtype == OG_BOOL && og_count(condition) == 1) {
		if (*(const uint8_t *)condition->data) no = yes;
		else yes = no;
	}
	TRY(infer_inside(yes, a, scope));
	if (no != yes) TRY(infer_inside(no, a, scope));
	for (int k = 0; k < n->n_out; k++) {
		const graph_value *p = yes->outputs[k], *q = no->outputs[k];
		og_dim dims[OG_MAX_RANK];
		for (int d = 0; d < p->rank; d++)
			dims[d] = p->rank == q->rank && p->dims[d] == q->dims[d] ? p->dims[d] : GRAPH_DIM_UNKNOWN;
		TRY(schema_merge(n, k, p->dtype == q->dtype ? p->dtype : OG_NONE, p->rank == q->rank ? p->rank : -1, dims));
	}
	return OG_OK;
}

static og_status run_if(const graph_node *n, const og_tensor *const *in, og_tensor **out, const schema_scope *scope,
                        arena *a)
{
	graph *body;
	og_tensor **made;
	if (n->n_in != 1 || !in[0] || in[0]->dtype != OG_BOOL || og_count(in[0]) != 1)
		return node_fails(base_fail(OG_BAD_FILE, "its condition is not one bool"), n);
	bool yes = *(const uint8_t *)in[0]->data;
	TRY(find_body(&body, n, yes ? "then_branch" : "else_branch", 0, n->n_out, scope));
	TRY(run_inside(&made, body, NULL, a, scope));
	for (int k = 0; k < n->n_out; k++) out[k] = made[k];
	return OG_OK;
}

/* ---- Loop ----------------------------------------------------------------------------------- */
/* Inputs: most rounds?, condition?, carried...; the body: number, condition, carried... gives condition, carried...,
 * scanned... */

static og_status loop_body(graph **body, const graph_node *n, int *carried, const schema_scope *scope)
{
	if (n->n_in < 2) return node_fails(base_fail(OG_BAD_FILE, "a loop has at least 2 inputs"), n);
	*carried = n->n_in - 2;
	return find_body(body, n, "body", n->n_in, n->n_out + 1, scope);
}

static og_status infer_loop(graph_node *n, const schema_scope *scope, arena *a)
{
	graph *body;
	int carried;
	TRY(loop_body(&body, n, &carried, scope));
	for (int k = 0; k < n->n_in; k++) {
		/* A carried value may change its shape from one round to the next, but not its type. */
		graph_value *v = body->inputs[k];
		if (v->dtype == OG_NONE) v->dtype = k == 0 ? OG_I64 : k == 1 ? OG_BOOL : n->in[k] ? n->in[k]->dtype : OG_NONE;
		if (k < 2 && v->rank < 0) v->rank = 0;
	}
	TRY(infer_inside(body, a, scope));
	for (int k = 0; k < n->n_out; k++) {
		const graph_value *v = body->outputs[k + 1];
		og_dim dims[OG_MAX_RANK] = { GRAPH_DIM_UNKNOWN };
		bool stacks = k >= carried && v->rank >= 0 && v->rank < OG_MAX_RANK;
		for (int d = 0; stacks && d < v->rank; d++) dims[d + 1] = v->dims[d];
		TRY(schema_merge(n, k, v->dtype, stacks ? v->rank + 1 : -1, dims));
	}
	return OG_OK;
}

/* What a body made in one round. */
typedef struct round { struct round *next; og_tensor **made; } round;

/* Puts output k of all rounds one after the other. */
static og_status stack_rounds(og_tensor **out, const round *first, int64_t rounds, int k, const graph_value *declared,
                              arena *a)
{
	og_tensor like = { .dtype = declared->dtype, .rank = declared->rank };
	for (int d = 0; d < like.rank; d++) like.dims[d] = declared->dims[d] > 0 ? declared->dims[d] : 0;
	if (first) like = *first->made[k];
	int64_t dims[OG_MAX_RANK] = { rounds }, count;
	if (like.dtype == OG_NONE || like.rank < 0 || like.rank == OG_MAX_RANK)
		return base_fail(OG_UNSUPPORTED, "type or rank of scanned output '%s' cannot be told", declared->name);
	memcpy(dims + 1, like.dims, (size_t)like.rank * sizeof dims[0]);
	if (!base_count(dims, like.rank + 1, &count))
		return base_fail(OG_BAD_FILE, "scanned output '%s' has too many elements", declared->name);
	*out = graph_tensor_new(a, like.dtype, like.rank + 1, dims);
	NEED(*out);
	size_t bytes = base_dtype_span(like.dtype, (uint64_t)og_count(&like));
	uint8_t *to = (*out)->data;
	for (const round *r = first; r && bytes > 0; r = r->next, to += bytes) {
		const og_tensor *t = r->made[k];
		if (t->dtype != like.dtype || t->rank != like.rank || memcmp(t->dims, like.dims, sizeof t->dims) != 0)
			return base_fail(OG_BAD_FILE, "scanned output '%s' changes its shape", declared->name);
		memcpy(to, t->data, bytes);
	}
	return OG_OK;
}

static bool is_true(const og_tensor *t)
{
	return !t || (t->dtype == OG_BOOL && og_count(t) == 1 && *(const uint8_t *)t->data);
}

static og_status run_loop(const graph_node *n, const og_tensor *const *in, og_tensor **out, const schema_scope *scope,
                          arena *a)
{
	graph *body;
	int carried;
	int64_t number = 0, most = in[0] ? graph_tensor_int(in[0], 0) : INT64_MAX;
	TRY(loop_body(&body, n, &carried, scope));
	const og_tensor **now = arena_array(a, (size_t)n->n_in, sizeof *now);
	NEED(now);
	memcpy(now, in, (size_t)n->n_in * sizeof *now);
	round *first = NULL, **end = &first;
	for (const og_tensor *go_on = in[1]; number < most && is_true(go_on); number++, end = &(*end)->next) {
		round *r = *end = arena_alloc(a, sizeof *r);
		og_tensor *counter = graph_tensor_new(a, OG_I64, 0, NULL), *yes = graph_tensor_new(a, OG_BOOL, 0, NULL);
		if (!r || !counter || !yes) return base_no_memory();
		*(int64_t *)counter->data = number;
		*(uint8_t *)yes->data = 1;
		now[0] = counter;
		now[1] = yes;
		TRY(run_inside(&r->made, body, now, a, scope));
		go_on = r->made[0];
		for (int k = 0; k < carried; k++) now[k + 2] = r->made[k + 1];
	}
	for (int k = 0; k < n->n_out; k++) {
		if (!n->out[k]) continue;
		if (k >= carried) {
			TRY(node_fails(stack_rounds(&out[k], first, number, k + 1, body->outputs[k + 1], a), n));
		} else {
			if (!now[k + 2]) return node_fails(base_fail(OG_BAD_FILE, "carried value %d is missing", k), n);
			out[k] = graph_tensor_copy(a, now[k + 2]);
			NEED(out[k]);
		}
	}
	return OG_OK;
}

/* ---- Fused: our own node around nodes that run in one pass ---------------------------------- */

static og_status infer_fused(graph_node *n, const schema_scope *scope, arena *a)
{
	graph *body;
	TRY(find_body(&body, n, "body", n->n_in, n->n_out, scope));
	/* The body has no types of its own: they follow the inputs each time. */
	for (graph_value *v = body->first_value; v; v = v->next)
		if (!v->constant) v->dtype = OG_NONE, v->rank = -1;
	for (int k = 0; k < n->n_in; k++)
		if (n->in[k]) set_type(body->inputs[k], n->in[k]);
	TRY(infer_inside(body, a, scope));
	for (int k = 0; k < n->n_out; k++) {
		const graph_value *v = body->outputs[k];
		TRY(schema_merge(n, k, v->dtype, v->rank, v->dims));
	}
	return OG_OK;
}

static og_status run_fused(const graph_node *n, const og_tensor *const *in, og_tensor **out, const schema_scope *scope,
                           arena *a)
{
	graph *body;
	og_tensor **made;
	TRY(find_body(&body, n, "body", n->n_in, n->n_out, scope));
	TRY(run_inside(&made, body, in, a, scope));
	for (int k = 0; k < n->n_out; k++) out[k] = made[k];
	return OG_OK;
}

/* ---- calls of model functions --------------------------------------------------------------- */

static og_status find_function(const graph_function **out, const graph_node *n)
{
	char words[SCHEMA_WORDS];
	*out = graph_function_find(n->owner->model, n->domain, n->type);
	const graph *body = (*out)->body;
	if (n->n_in <= body->n_inputs && n->n_out <= body->n_outputs) return OG_OK;
	return base_fail(OG_BAD_FILE, "%s: the function takes %d inputs and makes %d outputs, not %d and %d",
	                 schema_node_words(words, n), body->n_inputs, body->n_outputs, n->n_in, n->n_out);
}

/* The declared types of all values of a function, kept while a call's are in their place. */
typedef struct kept_type { struct kept_type *next; graph_value *v, type; } kept_type;

static og_status keep_types(kept_type **list, graph *g, arena *a)
{
	for (graph_value *v = g->first_value; v; v = v->next) {
		kept_type *k = arena_alloc(a, sizeof *k);
		NEED(k);
		*k = (kept_type){ .next = *list, .v = v };
		set_type(&k->type, v);
		*list = k;
	}
	for (graph_node *n = g->first; n; n = n->next)
		for (int k = 0; k < n->n_attrs; k++)
			if (n->attrs[k].g) TRY(keep_types(list, n->attrs[k].g, a));
	return OG_OK;
}

static og_status infer_function_body(graph_node *n, const graph_function *f, schema_scope *inner,
                                     const schema_scope *scope)
{
	for (int k = 0; k < n->n_in; k++) {
		if (!n->in[k]) continue;
		const og_tensor *known = schema_scope_get(scope, n->in[k]);
		set_type(f->body->inputs[k], n->in[k]);
		if (known) TRY(schema_scope_set(inner, f->body->inputs[k], known));
	}
	TRY(schema_infer_body(f->body, inner));
	for (int k = 0; k < n->n_out; k++) {
		const graph_value *v = f->body->outputs[k];
		TRY(schema_merge(n, k, v->dtype, v->rank, v->dims));
	}
	return OG_OK;
}

static og_status infer_function(graph_node *n, const schema_scope *scope, arena *a)
{
	const graph_function *f;
	schema_scope inner;
	kept_type *kept = NULL;
	TRY(find_function(&f, n));
	/* Functions that call each other twice each, 60 deep, would keep us busy for ever. */
	if (++*scope->calls > SCHEMA_MOST_CALLS)
		return base_fail(OG_BAD_FILE, "functions are called more than %d times", SCHEMA_MOST_CALLS);
	TRY(keep_types(&kept, f->body, a));
	og_status status = schema_scope_call(&inner, a, f, n, scope);
	if (status == OG_OK) status = infer_function_body(n, f, &inner, scope);
	schema_scope_end(&inner);
	for (; kept; kept = kept->next) set_type(kept->v, &kept->type);
	return node_fails(status, n);
}

static og_status run_function(const graph_node *n, const og_tensor *const *in, og_tensor **out,
                              const schema_scope *scope, arena *a)
{
	const graph_function *f;
	schema_scope inner;
	TRY(find_function(&f, n));
	const og_tensor **given = arena_array(a, (size_t)f->body->n_inputs, sizeof *given);
	og_tensor **made = arena_array(a, (size_t)f->body->n_outputs, sizeof *made);
	if (!given || !made) return base_no_memory();
	for (int k = 0; k < n->n_in; k++) given[k] = in[k];
	og_status status = schema_scope_call(&inner, a, f, n, scope);
	if (status == OG_OK) status = schema_run_body(f->body, given, made, &inner, NULL, NULL);
	schema_scope_end(&inner);
	for (int k = 0; k < n->n_out && status == OG_OK; k++) out[k] = made[k];
	return node_fails(status, n);
}

/* ---- the list ------------------------------------------------------------------------------- */

const schema_control *schema_control_find(const graph_node *n)
{
	static const schema_control controls[] = {
		{ "", "If", infer_if, run_if },
		{ "", "Loop", infer_loop, run_loop },
		{ OG_DOMAIN, "Fused", infer_fused, run_fused },
	};
	static const schema_control function = { "", "", infer_function, run_function };
	if (n->op && (n->op->eval || n->op->ref)) return NULL;
	const char *domain = strcmp(n->domain, "ai.onnx") == 0 ? "" : n->domain;
	for (size_t k = 0; k < sizeof controls / sizeof controls[0]; k++)
		if (strcmp(n->type, controls[k].name) == 0 && strcmp(domain, controls[k].domain) == 0) return &controls[k];
	return !n->op && graph_function_find(n->owner->model, n->domain, n->type) ? &function : NULL;
}

bool schema_is_known(const graph_node *n)
{
	return n->op || schema_control_find(n) || graph_function_find(n->owner->model, n->domain, n->type);
}
