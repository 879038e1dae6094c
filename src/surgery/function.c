/* function.c -- an op of ours as an ONNX function, from the op file's body, so that any runtime can run a grafted file. */
#include "schema/schema.h"
#include "surgery/pattern.h"

/* The opset whose primitives the bodies use. */
enum { BODY_OPSET = 13 };

typedef struct body_builder { graph *g; const og_op *op; const rule *r; } body_builder;

static bool is_attribute(const og_op *op, const char *name)
{
	for (const og_attr *d = op->attrs; d && d->name; d++)
		if (!strcmp(d->name, name)) return true;
	return false;
}

/* A scalar constant: a number, or the function's attribute of that name. */
static og_status add_constant(body_builder *b, graph_value **out, double number, const char *attribute)
{
	graph_node *n;
	char *name = graph_fresh_name(b->g, attribute ? attribute : "constant");
	NEED(name);
	TRY(graph_node_add(&n, b->g, NULL, "", "Constant", "", 0, 1));
	TRY(graph_attr_set_float(n, "value_float", (float)number));
	if (attribute) {
		graph_attr *a = graph_attr_find(n, "value_float");
		a->ref = attribute;
	}
	TRY(graph_value_add(out, b->g, name, OG_NONE, -1, NULL));
	return graph_set_output(n, 0, *out);
}

static og_status add_expression(body_builder *b, graph_value **out, const pattern *p)
{
	*out = NULL;
	if (p->kind == PATTERN_ABSENT) return OG_OK;
	if (p->kind == PATTERN_NUMBER) return add_constant(b, out, p->number, NULL);
	if (p->kind == PATTERN_VARIABLE) {
		const char *name = b->r->variables[p->variable];
		if (is_attribute(b->op, name)) return add_constant(b, out, 0, name);
		*out = graph_value_find(b->g, name);
		return *out ? OG_OK : base_fail(OG_USAGE, "the body of op %s names '%s', which is neither input nor attribute", b->op->name, name);
	}
	graph_node *n;
	graph_value *in[PATTERN_MAX_ARGS];
	for (int k = 0; k < p->n_args; k++) TRY(add_expression(b, &in[k], p->args[k]));
	TRY(graph_node_add(&n, b->g, NULL, "", p->type, "", p->n_args, 1));
	for (int k = 0; k < p->n_args; k++)
		if (in[k]) TRY(graph_set_input(n, k, in[k]));
	for (int i = 0; i < p->n_binds; i++) {
		if (p->binds[i].kind == BIND_NUMBER) TRY(graph_attr_set_float(n, p->binds[i].name, (float)p->binds[i].number));
		else if (p->binds[i].kind == BIND_STRING) TRY(graph_attr_set_string(n, p->binds[i].name, p->binds[i].string));
	}
	char *name = graph_fresh_name(b->g, p->type);
	NEED(name);
	TRY(graph_value_add(out, b->g, name, OG_NONE, -1, NULL));
	return graph_set_output(n, 0, *out);
}

static og_status fill(og_model *m, graph_function *f, const og_op *op)
{
	rule *r = arena_alloc(m->a, sizeof *r);
	pattern *body;
	schema_args args;
	graph_value *v;
	NEED(r);
	f->opsets = arena_array(m->a, 1, sizeof *f->opsets);
	NEED(f->opsets);
	int64_t version = graph_opset_version(m, "");
	f->opsets[f->n_opsets++] = (graph_opset){ "", version > BODY_OPSET ? version : BODY_OPSET };
	TRY(schema_inputs(&args, op));
	for (int i = 0; i < args.n; i++) {
		TRY(graph_value_add(&v, f->body, args.arg[i].name, OG_NONE, -1, NULL));
		TRY(graph_input_add(f->body, v));
	}
	int count = 0;
	while (op->attrs && op->attrs[count].name) count++;
	const char **names = arena_array(m->a, (size_t)count + 1, sizeof *names);
	NEED(names);
	for (int i = 0; i < count; i++) names[i] = op->attrs[i].name;
	f->attributes = names;
	f->n_attributes = count;
	TRY(pattern_parse_expression(r, &body, m->a, op->body));
	body_builder b = { .g = f->body, .op = op, .r = r };
	TRY(add_expression(&b, &v, body));
	return graph_output_add(f->body, v);
}

og_status surgery_add_function(og_model *m, const og_op *op)
{
	graph_function *f;
	if (!op->body || strchr(op->body, ';') || graph_function_find(m, schema_domain(op), op->name)) return OG_OK;
	TRY(graph_function_add(&f, m, schema_domain(op), op->name));
	TRY(fill(m, f, op));
	if (m->ir_version < 8) m->ir_version = 8;         /* the first with model functions */
	graph_touch(m->main);
	return OG_OK;
}
