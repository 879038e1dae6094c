/* function.c -- what a grafted file needs so that it runs everywhere: imports of the ops' domains, attributes that are
 * all written, and each op as an ONNX function made from its op file's body.
 *
 * A file has one function per op, since TensorRT's parser goes by the type alone. So all nodes of an op must agree in
 * what the function depends on: see `form`. */
#include "schema/schema.h"
#include "surgery/body.h"

enum { FIRST_IR = 8, FIRST_CAST_LIKE = 15 };

static bool is_foreign(const og_op *op) { return op && schema_domain(op)[0]; }

/* Does the function only define an op that is known without it? */
static bool defines_op(const graph_function *f)
{
	return f->domain[0] && schema_find(f->domain, f->name, INT64_MAX);
}

/* ---- all nodes of foreign ops ----------------------------------------------------------------- */

typedef struct place { graph_node *n; int function; } place;        /* function: that it is in; -1: none */
typedef struct places { arena *a; place *at; size_t n, cap; } places;

static og_status collect(places *p, graph *g, int function)
{
	for (graph_node *n = g->first; n; n = n->next) {
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g) TRY(collect(p, n->attrs[i].g, function));
		if (!is_foreign(n->op)) continue;
		p->at = arena_grow(p->a, p->at, p->n, &p->cap, p->n + 1, sizeof *p->at);
		NEED(p->at);
		p->at[p->n++] = (place){ n, function };
	}
	return OG_OK;
}

static og_status collect_all(places *p, og_model *m)
{
	TRY(collect(p, m->main, -1));
	for (int k = 0; k < m->n_functions; k++)
		if (!defines_op(&m->functions[k])) TRY(collect(p, m->functions[k].body, k));
	return OG_OK;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static og_status import_in_function(og_model *m, graph_function *f, const og_op *op)
{
	for (int k = 0; k < f->n_opsets; k++)
		if (!strcmp(f->opsets[k].domain, schema_domain(op))) return OG_OK;
	graph_opset *grown = arena_array(m->a, (size_t)f->n_opsets + 1, sizeof *grown);
	NEED(grown);
	if (f->n_opsets) memcpy(grown, f->opsets, (size_t)f->n_opsets * sizeof *grown);
	grown[f->n_opsets++] = (graph_opset){ schema_domain(op), op->since };
	f->opsets = grown;
	f->source = (graph_bytes){ 0 };
	return OG_OK;
}

/* A function's attribute that a call leaves out has no value in its body: so all are written. The plugin_namespace is
 * what makes TensorRT's parser prefer a plugin to a function; empty is the namespace of a library that gives none. */
static og_status complete_node(graph_node *n)
{
	arena *a = n->owner->model->a;
	graph_attr v;
	for (const og_attr *d = n->op->attrs; d && d->name; d++) {
		if (graph_attr_find(n, d->name) || !body_default(&v, a, d)) continue;
		v.name = d->name;
		TRY(graph_attr_put(n, &v));
	}
	while (n->n_in > 0 && !n->in[n->n_in - 1]) {         /* a function takes as many inputs as all calls give */
		TRY(graph_set_input(n, n->n_in - 1, NULL));
		n->n_in--;
	}
	if (!graph_attr_find(n, "plugin_namespace")) TRY(graph_attr_set_string(n, "plugin_namespace", ""));
	for (int k = 0; k < n->n_out; k++) {
		graph_value *unused;
		if (n->out[k]) continue;             /* TensorRT wants a name for every output of a function */
		TRY(graph_value_add(&unused, n->owner, NULL, OG_NONE, -1, NULL));
		TRY(graph_set_output(n, k, unused));
	}
	return OG_OK;
}

/* ---- functions ------------------------------------------------------------------------------- */

/* What the function of an op depends on. */
typedef struct form {
	const graph_node *of;                /* the first node that needs it so; NULL: none */
	body_reading body;
	int n_in;                            /* inputs given */
	uint64_t given, absent;              /* bit k: input k is given, attribute k (list or string) is not */
	og_dtype dtype;                      /* of constants where the opset has no CastLike; else OG_NONE */
} form;

static og_status form_of(form *f, arena *a, const og_op *op, const graph_node *n, int64_t opset)
{
	schema_args inputs;
	*f = (form){ .of = n };
	TRY(body_choose(&f->body, a, op, n));
	TRY(schema_inputs(&inputs, op));
	f->n_in = n ? n->n_in : inputs.n;
	for (int k = 0; k < f->n_in && k < 64; k++)
		if (!n || n->in[k]) f->given |= UINT64_C(1) << k;
	for (int k = 0; n && op->attrs && op->attrs[k].name && k < 64; k++)
		if (!graph_attr_find(n, op->attrs[k].name)) f->absent |= UINT64_C(1) << k;
	if (opset >= FIRST_CAST_LIKE) return OG_OK;
	f->dtype = OG_F32;
	for (int k = 0; n && k < n->n_in; k++) {
		const schema_arg *arg = schema_arg_at(&inputs, k);
		if (!arg || arg->variable < 0 || !n->in[k] || n->in[k]->dtype == OG_NONE) continue;
		f->dtype = n->in[k]->dtype;
		break;
	}
	return OG_OK;
}

static const char *difference(const form *a, const form *b)
{
	if (a->body.number != b->body.number) return "with attributes for which it has different bodies";
	if (a->given != b->given || a->n_in != b->n_in) return "with different inputs left out";
	if (a->absent != b->absent) return "with different attributes left out";
	return a->dtype != b->dtype ? "on different types, which needs opset 15" : NULL;
}

static const char *label(const graph_node *n)
{
	return n->name[0] ? n->name : n->n_out && n->out[0] ? n->out[0]->name : n->type;
}

/* The form that all nodes of the op share. */
static og_status common_form(form *f, arena *a, const og_op *op, const places *p, int64_t opset)
{
	form other;
	*f = (form){ .of = NULL };
	for (size_t i = 0; i < p->n; i++) {
		if (p->at[i].n->op != op) continue;
		TRY(form_of(&other, a, op, p->at[i].n, opset));
		const char *what = f->of ? difference(f, &other) : NULL;
		if (what)
			return base_fail(OG_UNSUPPORTED, "nodes '%s' and '%s' use op %s %s, and a file can hold one function of an op; "
			                 "graft one of them only", label(f->of), label(p->at[i].n), schema_called(op), what);
		if (!f->of) *f = other;
	}
	if (!f->of) TRY(form_of(f, a, op, NULL, opset));
	return body_parse(&f->body, a);
}

static og_status add_inputs(graph *g, const schema_args *args, int n, graph_value **in)
{
	for (int k = 0; k < n; k++) {
		const schema_arg *arg = schema_arg_at(args, k);
		char name[64];
		snprintf(name, sizeof name, k < args->n ? "%s" : "%s_%d", arg ? arg->name : "x", k);
		TRY(graph_value_add(&in[k], g, name, OG_NONE, -1, NULL));
		TRY(graph_input_add(g, in[k]));
	}
	return OG_OK;
}

/* The outputs have the names that the op file gives them. */
static og_status add_outputs(graph *g, const schema_args *args, graph_value **out)
{
	for (int k = 0; k < args->n; k++) {
		const char *name = graph_value_find(g, args->arg[k].name) ? NULL : args->arg[k].name;
		if (out[k]->is_input || out[k]->is_output) {
			graph_node *same;
			TRY(graph_node_add(&same, g, NULL, "", "Identity", "", 1, 1));
			TRY(graph_set_input(same, 0, out[k]));
			TRY(graph_value_add(&out[k], g, name, OG_NONE, -1, NULL));
			TRY(graph_set_output(same, 0, out[k]));
		} else if (name) {
			TRY(graph_value_rename(out[k], name));
		}
		TRY(graph_output_add(g, out[k]));
	}
	return OG_OK;
}

static og_status build_graph(graph *g, const form *f, int64_t opset)
{
	const og_op *op = f->body.op;
	schema_args inputs, outputs;
	graph_value *in[64] = { NULL }, *out[SCHEMA_MAX_ARGS];
	if (f->n_in > 64) return base_fail(OG_UNSUPPORTED, "op %s: a function can have 64 inputs at most", op->name);
	TRY(schema_arguments(&inputs, &outputs, op));
	TRY(add_inputs(g, &inputs, f->n_in, in));
	for (int k = 0; k < f->n_in; k++)
		if (!(f->given >> k & 1)) in[k] = NULL;
	const body_place at = { .g = g, .opset = opset, .absent = f->absent, .in = in, .n_in = f->n_in, .dtype = f->dtype };
	TRY(body_build(out, outputs.n, &f->body, &at));
	return add_outputs(g, &outputs, out);
}

/* ---- is it there already? -------------------------------------------------------------------- */

static bool same_attr(const graph_attr *a, const graph_attr *b)
{
	if (strcmp(a->name, b->name) || a->type != b->type || !a->ref != !b->ref) return false;
	if (a->ref) return !strcmp(a->ref, b->ref);
	return a->type == OG_ATTR_TENSOR ? graph_tensor_same(a->t, b->t) : graph_attr_same_plain(a, b);
}

static bool same_values(graph_value *const *a, int n_a, graph_value *const *b, int n_b)
{
	if (n_a != n_b) return false;
	for (int k = 0; k < n_a; k++)
		if (!a[k] != !b[k] || (a[k] && strcmp(a[k]->name, b[k]->name))) return false;
	return true;
}

static bool same_body(const graph *a, const graph *b)
{
	const graph_node *x = a->first, *y = b->first;
	if (!same_values(a->inputs, a->n_inputs, b->inputs, b->n_inputs)) return false;
	if (!same_values(a->outputs, a->n_outputs, b->outputs, b->n_outputs)) return false;
	for (; x && y; x = x->next, y = y->next) {
		if (strcmp(x->type, y->type) || strcmp(x->domain, y->domain) || x->n_attrs != y->n_attrs ||
		    !same_values(x->in, x->n_in, y->in, y->n_in) || !same_values(x->out, x->n_out, y->out, y->n_out)) return false;
		for (int i = 0; i < x->n_attrs; i++)
			if (!same_attr(&x->attrs[i], &y->attrs[i])) return false;
	}
	return !x && !y;
}

/* ---- settling -------------------------------------------------------------------------------- */

static og_status describe(graph_function *f, og_model *m, const og_op *op, int64_t opset)
{
	int count = 0;
	while (op->attrs && op->attrs[count].name) count++;
	const char **names = arena_array(m->a, (size_t)count + 1, sizeof *names);
	f->opsets = arena_array(m->a, 1, sizeof *f->opsets);
	if (!names || !f->opsets) return base_no_memory();
	for (int i = 0; i < count; i++) names[i] = op->attrs[i].name;
	names[count] = "plugin_namespace";
	f->attributes = names;
	f->n_attributes = count + 1;
	f->n_defaults = 0;
	f->opsets[0] = (graph_opset){ "", opset };
	f->n_opsets = 1;
	f->file = NULL;
	f->source = (graph_bytes){ 0 };
	m->source = (graph_bytes){ 0 };
	return OG_OK;
}

/* The function of the op, made or made anew. One with the same name that we did not make is left and refused. */
static og_status settle_function(og_model *m, const og_op *op, const places *p, arena *a)
{
	form common;
	int64_t opset = graph_opset_version(m, "");
	og_status status = common_form(&common, a, op, p, opset);
	if (status == OG_NO) return OG_OK;           /* no body: the file needs the library */
	TRY(status);
	graph *g = graph_create(m, NULL, op->name);
	NEED(g);
	TRY(build_graph(g, &common, opset));
	g->doc = op->doc ? op->doc : "";
	graph_function *f = graph_function_find(m, schema_domain(op), op->name);
	if (f && same_body(f->body, g)) return OG_OK;
	if (f && (!f->body->doc || strcmp(f->body->doc, g->doc)) && strcmp(schema_domain(op), OG_DOMAIN))
		return base_fail(OG_UNSUPPORTED, "the model has a function %s::%s of its own with another body than the op's; rename "
		                 "one of them", schema_domain(op), op->name);
	if (!f) TRY(graph_function_add(&f, m, schema_domain(op), op->name));
	f->body = g;
	if (m->ir_version < FIRST_IR) m->ir_version = FIRST_IR;
	return describe(f, m, op, opset);
}

og_status surgery_add_function(og_model *m, const og_op *op)
{
	places p = { .a = arena_create() };
	NEED(p.a);
	og_status status = collect_all(&p, m);
	if (status == OG_OK) status = settle_function(m, op, &p, p.a);
	arena_destroy(p.a);
	return status;
}

static og_status settle(og_model *m, places *p)
{
	const og_op **ops = NULL;
	size_t n_ops = 0, cap = 0;
	TRY(collect_all(p, m));
	for (size_t i = 0; i < p->n; i++) {
		const og_op *op = p->at[i].n->op;
		if (p->at[i].function >= 0) TRY(import_in_function(m, &m->functions[p->at[i].function], op));
		TRY(complete_node(p->at[i].n));
		size_t k = 0;
		while (k < n_ops && ops[k] != op) k++;
		if (k < n_ops) continue;
		ops = arena_grow(p->a, ops, n_ops, &cap, n_ops + 1, sizeof *ops);
		NEED(ops);
		ops[n_ops++] = op;
	}
	for (size_t k = 0; k < n_ops; k++) {
		TRY(graph_opset_require(m, schema_domain(ops[k]), ops[k]->since));
		TRY(settle_function(m, ops[k], p, p->a));
	}
	return OG_OK;
}

og_status surgery_settle(og_model *m)
{
	places p = { .a = arena_create() };
	NEED(p.a);
	og_status status = settle(m, &p);
	arena_destroy(p.a);
	return status;
}
