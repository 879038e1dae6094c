/* describe.c -- a model or a plan in words and numbers: text for people, JSON for scripts. */
#include <stdlib.h>

#include "base/json.h"
#include "opgraft.h"
#include "plan/plan.h"
#include "schema/schema.h"

/* ---- counting ------------------------------------------------------------------------------- */

typedef struct op_count { const char *domain, *type; size_t n; bool known; } op_count;

typedef struct summary {
	arena *a;
	op_count *ops; size_t n_ops, cap_ops;
	size_t nodes;
	int64_t parameters;
	double parameter_bytes, flops;
	size_t activation_bytes;             /* largest set of values alive at once, at batch 1 */
	bool complete;                       /* all shapes known: flops and activations hold */
} summary;

static int by_type(const void *x, const void *y)
{
	const op_count *a = x, *b = y;
	int d = strcmp(a->domain, b->domain);
	return d ? d : strcmp(a->type, b->type);
}

static og_status count_op(summary *s, const graph_node *n)
{
	const char *type = n->op ? schema_called(n->op) : n->type;
	s->nodes++;
	for (size_t i = 0; i < s->n_ops; i++)
		if (!strcmp(s->ops[i].type, type) && !strcmp(s->ops[i].domain, n->domain)) {
			s->ops[i].n++;
			return OG_OK;
		}
	s->ops = arena_grow(s->a, s->ops, s->n_ops, &s->cap_ops, s->n_ops + 1, sizeof *s->ops);
	NEED(s->ops);
	s->ops[s->n_ops++] = (op_count){ n->domain, type, 1, schema_is_known(n) };
	return OG_OK;
}

static og_status count_graph(summary *s, const graph *g)
{
	for (const graph_value *v = g->first_value; v; v = v->next) {
		int64_t count;
		if (!v->constant || v->constant->dtype == OG_STRING) continue;
		if (!base_count(v->constant->dims, v->constant->rank, &count)) continue;
		s->parameters += count;
		s->parameter_bytes += (double)base_dtype_span(v->constant->dtype, (uint64_t)count);
	}
	for (const graph_node *n = g->first; n; n = n->next) {
		TRY(count_op(s, n));
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g) TRY(count_graph(s, n->attrs[i].g));
	}
	return OG_OK;
}

static size_t value_bytes(const graph_value *v)
{
	int64_t count;
	if (!v || v->dtype == OG_NONE || v->rank < 0 || !base_count(v->dims, v->rank, &count)) return 0;
	size_t bytes = base_dtype_span(v->dtype, (uint64_t)count);
	return bytes == SIZE_MAX ? 0 : bytes;
}

static double node_flops(const graph_node *n)
{
	int64_t count;
	if (!n->op || !n->n_out || !n->out[0] || n->out[0]->rank < 0 ||
	    !base_count(n->out[0]->dims, n->out[0]->rank, &count))
		return 0;
	if (n->op->flags & (OG_VIEW_OF_INPUT | OG_SHARED_BITS)) return 0;
	if (!n->op->flops) return (double)count;
	og_shape in[SCHEMA_MAX_ARGS] = { { .rank = -1 } }, out = { .dtype = n->out[0]->dtype, .rank = n->out[0]->rank };
	int n_in = n->n_in < SCHEMA_MAX_ARGS ? n->n_in : SCHEMA_MAX_ARGS;
	memcpy(out.dims, n->out[0]->dims, sizeof out.dims);
	for (int i = 0; i < n_in; i++) {
		in[i].rank = n->in[i] ? n->in[i]->rank : -1;
		if (n->in[i]) {
			in[i].dtype = n->in[i]->dtype;
			memcpy(in[i].dims, n->in[i]->dims, sizeof in[i].dims);
		}
	}
	og_infer c = { .host = &schema_host, .op = n->op, .n_in = n_in, .n_out = 1, .in = in, .out = &out };
	return n->op->flops(&c);
}

/* Work and memory with every symbolic dimension at 1. */
static og_status measure(summary *s, const og_model *model)
{
	og_model *m;
	TRY(graph_model_copy(&m, model));
	graph *g = m->main;
	for (graph_value *v = g->first_value; v; v = v->next) {
		if (v->constant) continue;
		if (!v->is_input) v->rank = -1;
		for (int i = 0; i < v->rank; i++)
			if (v->dims[i] < 0) v->dims[i] = 1;
	}
	s->complete = schema_infer(g) == OG_OK;
	size_t live = 0;
	for (graph_value *v = g->first_value; v; v = v->next) {
		v->mark = (void *)(uintptr_t)v->n_uses;
		if (!v->constant && v->rank < 0) s->complete = false;
		if (v->is_input && !v->constant) live += value_bytes(v);
	}
	s->activation_bytes = live;
	for (const graph_node *n = g->first; n; n = n->next) {
		s->flops += node_flops(n);
		for (int i = 0; i < n->n_out; i++) live += value_bytes(n->out[i]);
		if (live > s->activation_bytes) s->activation_bytes = live;
		for (int i = 0; i < n->n_in; i++) {
			graph_value *v = n->in[i];
			if (!v || v->constant) continue;
			v->mark = (void *)((uintptr_t)v->mark - 1);
			if (!v->mark && !v->is_output) live -= value_bytes(v);
		}
	}
	graph_model_destroy(m);
	return OG_OK;
}

/* ---- printing ------------------------------------------------------------------------------- */

/* 1234567 -> "1.23 M" */
static void print_scaled(text *t, double x, const char *unit)
{
	static const char *const prefix[] = { "", " k", " M", " G", " T", " P" };
	int k = 0;
	while (x >= 999.5 && k < 5) {
		x /= 1000;
		k++;
	}
	text_printf(t, k ? "%.3g%s%s" : "%.0f%s%s", x, prefix[k], unit[0] && !k ? " " : "");
	text_add(t, unit);
}

static void json_shape(json *j, const og_model *m, int rank, const og_dim *dims)
{
	if (rank < 0) {
		json_null(j);
		return;
	}
	json_begin(j, '[');
	for (int i = 0; i < rank; i++) {
		const char *name = m ? graph_dim_name(m, dims[i]) : NULL;
		if (name) json_string(j, name);
		else if (dims[i] < 0) json_null(j);
		else json_int(j, dims[i]);
	}
	json_end(j, ']');
}

static void json_value_line(json *j, const og_model *m, const char *name, og_dtype dtype, int rank, const og_dim *dims)
{
	json_begin(j, '{');
	json_put_string(j, "name", name);
	json_put_string(j, "dtype", base_dtype_name(dtype));
	json_key(j, "shape");
	json_shape(j, m, rank, dims);
	json_end(j, '}');
}

static void json_op_counts(json *j, const summary *s, bool known)
{
	for (size_t i = 0; i < s->n_ops; i++) {
		const op_count *o = &s->ops[i];
		char name[256];
		if (!known && o->known) continue;
		snprintf(name, sizeof name, "%s%s%s", o->domain, o->domain[0] ? "::" : "", o->type);
		json_put_int(j, name, (int64_t)o->n);
	}
}

static void model_json(json *j, const og_model *m, const summary *s)
{
	const graph *g = m->main;
	json_begin(j, '{');
	json_put_string(j, "format", "onnx");
	json_put_string(j, "graph", g->name ? g->name : "");
	json_put_int(j, "ir_version", m->ir_version);
	json_put(j, "opsets", '{');
	for (int i = 0; i < m->n_opsets; i++) {
		json_put_int(j, m->opsets[i].domain, m->opsets[i].version);
	}
	json_end(j, '}');
	json_put(j, "inputs", '[');
	for (int i = 0; i < g->n_inputs; i++)
		if (!g->inputs[i]->constant)
			json_value_line(j, m, g->inputs[i]->name, g->inputs[i]->dtype, g->inputs[i]->rank, g->inputs[i]->dims);
	json_end(j, ']');
	json_put(j, "outputs", '[');
	for (int i = 0; i < g->n_outputs; i++)
		json_value_line(j, m, g->outputs[i]->name, g->outputs[i]->dtype, g->outputs[i]->rank, g->outputs[i]->dims);
	json_end(j, ']');
	json_put_int(j, "nodes", (int64_t)s->nodes);
	json_put(j, "ops", '{');
	json_op_counts(j, s, true);
	json_end(j, '}');
	json_put(j, "unknown_ops", '{');
	json_op_counts(j, s, false);
	json_end(j, '}');
	json_put_int(j, "functions", m->n_functions);
	json_put_int(j, "parameters", s->parameters);
	json_put_number(j, "parameter_bytes", s->parameter_bytes);
	json_key(j, "flops");
	if (s->complete) json_number(j, s->flops);
	else json_null(j);
	json_key(j, "activation_bytes");
	if (s->complete) json_int(j, (int64_t)s->activation_bytes);
	else json_null(j);
	json_end(j, '}');
}

static void model_text(text *t, const og_model *m, const summary *s)
{
	const graph *g = m->main;
	text_printf(t, "ONNX model \"%s\", IR %lld, opset", g->name ? g->name : "", (long long)m->ir_version);
	for (int i = 0; i < m->n_opsets; i++)
		text_printf(t, "%s %s%s%lld", i ? "," : "", m->opsets[i].domain, m->opsets[i].domain[0] ? " " : "",
		            (long long)m->opsets[i].version);
	text_add(t, "\n");
	for (int i = 0; i < g->n_inputs; i++) {
		const graph_value *v = g->inputs[i];
		if (v->constant) continue;
		text_printf(t, "  input       %s: ", v->name);
		graph_print_type(t, m, v->dtype, v->rank, v->dims);
		text_add(t, "\n");
	}
	for (int i = 0; i < g->n_outputs; i++) {
		const graph_value *v = g->outputs[i];
		text_printf(t, "  output      %s: ", v->name);
		graph_print_type(t, m, v->dtype, v->rank, v->dims);
		text_add(t, "\n");
	}
	text_add(t, "  parameters  ");
	print_scaled(t, (double)s->parameters, "");
	text_add(t, " (");
	print_scaled(t, s->parameter_bytes, "B");
	text_add(t, ")\n");
	if (s->complete) {
		text_add(t, "  work        ");
		print_scaled(t, s->flops, "FLOP");
		text_add(t, ", activations ");
		print_scaled(t, (double)s->activation_bytes, "B");
		text_add(t, ", with symbolic dimensions at 1\n");
	} else {
		text_add(t, "  work        not known: some shapes depend on values\n");
	}
	if (m->n_functions) text_printf(t, "  functions   %d\n", m->n_functions);
	text_printf(t, "  nodes       %zu\n", s->nodes);
	for (size_t i = 0; i < s->n_ops; i++) {
		const op_count *o = &s->ops[i];
		text_printf(t, "  %9zu   %s%s%s%s\n", o->n, o->domain, o->domain[0] ? "::" : "",
		            o->type, o->known ? "" : "   (not known to Opgraft)");
	}
}

static og_status take_result(char **out, text *t)
{
	*out = text_take(t);
	return *out ? OG_OK : base_no_memory();
}

og_status og_model_describe(char **out, const og_model *m, og_format format)
{
	summary s = { .a = arena_create() };
	*out = NULL;
	NEED(s.a);
	og_status status = count_graph(&s, m->main);
	if (status == OG_OK) status = measure(&s, m);
	if (status == OG_OK) {
		text t = { 0 };
		json j = { .need_comma = false };
		if (s.n_ops) qsort(s.ops, s.n_ops, sizeof *s.ops, by_type);
		if (format == OG_JSON) model_json(&j, m, &s);
		else model_text(&t, m, &s);
		status = take_result(out, format == OG_JSON ? &j.out : &t);
	}
	arena_destroy(s.a);
	return status;
}

/* ---- plans ---------------------------------------------------------------------------------- */

static void plan_json(json *j, const og_plan *p)
{
	og_memory memory;
	og_plan_memory(p, &memory);
	json_begin(j, '{');
	json_put_string(j, "format", "plan");
	json_put_string(j, "device", p->backend->name);
	json_put_string(j, "features", p->backend->features());
	json_put_int(j, "threads", p->threads);
	for (int out = 0; out < 2; out++) {
		json_put(j, out ? "outputs" : "inputs", '[');
		for (int i = 0; i < (out ? p->n_outputs : p->n_inputs); i++) {
			int v = out ? p->outputs[i] : p->inputs[i];
			og_tensor type = plan_type(p, v);
			json_value_line(j, NULL, p->values[v].name, type.dtype, type.rank, type.dims);
		}
		json_end(j, ']');
	}
	double flops = 0;
	if (p->slab) {
		json_put_int(j, "slab", p->slab);
	}
	json_put(j, "steps", '[');
	for (int i = 0; i < p->n_steps; i++) {
		const plan_step *s = &p->steps[i];
		double times = plan_times(p);
		flops += times * s->kernel.flops;
		json_begin(j, '{');
		json_put_string(j, "name", s->name);
		json_put_string(j, "op", s->label);
		json_put_string(j, "tactic", s->kernel.tactic);
		json_put_number(j, "flops", times * s->kernel.flops);
		json_put_number(j, "bytes", times * s->bytes);
		json_end(j, '}');
	}
	json_end(j, ']');
	json_put_number(j, "flops", flops);
	json_put_int(j, "weight_bytes", (int64_t)p->weights_bytes);
	json_put_int(j, "activation_bytes", (int64_t)memory.activations);
	json_put_int(j, "activation_bound", (int64_t)memory.activations_bound);
	json_put_int(j, "workspace_bytes", (int64_t)memory.workspace);
	json_end(j, '}');
}

static void plan_text(text *t, const og_plan *p)
{
	og_memory memory;
	og_plan_memory(p, &memory);
	text_printf(t, "plan for %s (%s), up to %d thread%s\n",
	            p->backend->name, p->backend->features(), p->threads, p->threads == 1 ? "" : "s");
	for (int i = 0; i < p->n_inputs + p->n_outputs; i++) {
		bool out = i >= p->n_inputs;
		int v = out ? p->outputs[i - p->n_inputs] : p->inputs[i];
		og_tensor type = plan_type(p, v);
		text_printf(t, "  %-10s  %s: ", out ? "output" : "input", p->values[v].name);
		graph_print_type(t, NULL, type.dtype, type.rank, type.dims);
		text_add(t, !out && p->bound[i] ? "  (bound)\n" : "\n");
	}
	text_add(t, "  memory      weights ");
	print_scaled(t, (double)p->weights_bytes, "B");
	text_add(t, ", activations ");
	print_scaled(t, (double)memory.activations, "B");
	text_add(t, " (bound ");
	print_scaled(t, (double)memory.activations_bound, "B");
	text_add(t, "), workspace ");
	print_scaled(t, (double)memory.workspace, "B");
	if (p->slab) text_printf(t, "\n  steps       %d, for %lld samples at a time\n", p->n_steps, (long long)p->slab);
	else text_printf(t, "\n  steps       %d\n", p->n_steps);
	for (int i = 0; i < p->n_steps; i++)
		text_printf(t, "  %9d   %-40s %s\n", i + 1, p->steps[i].label, p->steps[i].kernel.tactic);
}

og_status og_plan_describe(char **out, const og_plan *p, og_format format)
{
	text t = { 0 };
	json j = { .need_comma = false };
	if (format == OG_JSON) plan_json(&j, p);
	else plan_text(&t, p);
	return take_result(out, format == OG_JSON ? &j.out : &t);
}
