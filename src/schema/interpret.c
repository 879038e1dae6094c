/* interpret.c -- the plain interpreter: each node by the definition in its op file, one after the other. */
#include "schema/inside.h"

#include <stdint.h>

/* ---- one node ------------------------------------------------------------------------------- */

static og_status fill_inputs(schema_question *q, const og_tensor **in, const graph_node *n, arena *a)
{
	for (int k = 0; k < n->n_in; k++) {
		const og_tensor *t = in[k];
		if (!t) continue;
		if (!t->data && og_count(t) > 0 && !schema_reads_shape_only(n->op))
			return base_fail(OG_UNSUPPORTED, "input %d holds %s without data", k, base_dtype_name(t->dtype));
		if (!schema_is_aligned(t)) {
			in[k] = t = graph_tensor_copy(a, t);
			NEED(t);
		}
		q->present[k] = true;
		q->in[k] = (og_shape){ .dtype = t->dtype, .rank = t->rank, .value = t };
		memcpy(q->in[k].dims, t->dims, sizeof t->dims);
	}
	return OG_OK;
}

static og_status make_output(og_tensor **out, const og_shape *s, const graph_value *v, arena *a)
{
	og_dtype dtype = s->dtype != OG_NONE ? s->dtype : v->dtype;
	int64_t count;
	if (dtype == OG_NONE || s->rank < 0)
		return base_fail(OG_UNSUPPORTED, "type or shape of output '%s' cannot be told from the inputs", v->name);
	for (int d = 0; d < s->rank; d++)
		if (s->dims[d] < 0)
			return base_fail(OG_UNSUPPORTED, "dimension %d of output '%s' cannot be told from the inputs", d, v->name);
	if (dtype == OG_STRING) return base_fail(OG_UNSUPPORTED, "output '%s' holds strings", v->name);
	if (!base_count(s->dims, s->rank, &count) || base_dtype_span(dtype, (uint64_t)count) > PTRDIFF_MAX)
		return base_fail(OG_BAD_FILE, "output '%s' has too many elements", v->name);
	*out = graph_tensor_new(a, dtype, s->rank, s->dims);
	NEED(*out);
	return OG_OK;
}

static og_status copy_data(const og_call *c)
{
	size_t bytes = base_dtype_span(c->in[0]->dtype, (uint64_t)og_count(c->in[0]));
	if (c->out[0] && bytes > 0) memcpy(c->out[0]->data, c->in[0]->data, bytes);
	return OG_OK;
}

static bool is_float(og_dtype t) { return t == OG_F32 || t == OG_F64 || t == OG_F16 || t == OG_BF16; }

static og_status call_op(og_call *c, const schema_question *q, arena *a)
{
	const og_op *op = c->op;
	og_dtype t = q->in ? q->in[0].dtype : OG_NONE;
	bool has_form = op->ref && (is_float(t) || !op->eval || (op->other && op->other[t]));
	if (has_form) {
		bool is_test = q->outputs.arg[0].types == UINT32_C(1) << OG_BOOL;
		return schema_run_map(c, &q->inputs, is_test);
	}
	if (!op->eval && op->flags & OG_VIEW_OF_INPUT) return copy_data(c);
	if (!op->eval) return base_fail(OG_UNSUPPORTED, "this op has no definition for %s", base_dtype_name(t));
	if (op->workspace) {
		c->workspace = arena_aligned(a, op->workspace(c), 64);
		NEED(c->workspace);
	}
	return op->eval(c);
}

static og_status run_op(const graph_node *n, const og_tensor *const *given, og_tensor **out, arena *a,
                        const schema_scope *scope)
{
	char words[SCHEMA_WORDS];
	schema_question q;
	const og_attr_value *attr;
	TRY(schema_attributes_in(&attr, a, n, scope));
	TRY(schema_question_begin(&q, a, n, attr));
	size_t n_in = (size_t)(n->n_in > q.inputs.n ? n->n_in : q.inputs.n);
	size_t n_out = (size_t)(n->n_out > q.outputs.n ? n->n_out : q.outputs.n);
	const og_tensor **in = arena_array(a, n_in, sizeof *in);
	og_tensor **made = arena_array(a, n_out, sizeof *made);
	if (!in || !made) return base_no_memory();
	for (int k = 0; k < n->n_in; k++) in[k] = given[k];
	og_status status = fill_inputs(&q, in, n, a);
	if (status != OG_OK) return base_fail_in(status, "%s", schema_node_words(words, n));
	TRY(schema_question_ask(&q, n));
	for (int k = 0; k < n->n_out && status == OG_OK; k++)
		if (n->out[k]) status = make_output(&made[k], &q.out[k], n->out[k], a);
	og_call c = { .host = &schema_host, .op = n->op, .attr = attr, .n_in = n->n_in, .n_out = n->n_out, .in = in,
	              .out = made };
	if (status == OG_OK) status = call_op(&c, &q, a);
	if (status != OG_OK) return base_fail_in(status, "%s", schema_node_words(words, n));
	for (int k = 0; k < n->n_out; k++) out[k] = made[k];
	return OG_OK;
}

og_status schema_run_node(const graph_node *n, const og_tensor *const *in, og_tensor **out, arena *a,
                          const schema_scope *outer)
{
	char words[SCHEMA_WORDS];
	const schema_control *control = schema_control_find(n);
	if (control) return control->run(n, in, out, outer, a);
	if (n->op) return run_op(n, in, out, a, outer);
	return base_fail(OG_UNSUPPORTED, "%s: this op is not known; give a library that has it",
	                 schema_node_words(words, n));
}

/* ---- graphs --------------------------------------------------------------------------------- */

static og_status bind_inputs(const graph *g, const og_tensor *const *inputs, schema_scope *scope)
{
	for (int k = 0; k < g->n_inputs; k++) {
		const graph_value *v = g->inputs[k];
		if (!inputs[k]) {
			/* An initializer is the default of an input; an argument of a function may be left out. */
			if (v->constant || scope->call) continue;
			return base_fail(OG_USAGE, "input '%s' is not given", v->name);
		}
		if (v->dtype != OG_NONE && v->dtype != inputs[k]->dtype)
			return base_fail(OG_USAGE, "input '%s' is %s, but the graph takes %s", v->name,
			                 base_dtype_name(inputs[k]->dtype), base_dtype_name(v->dtype));
		TRY(schema_scope_set(scope, v, inputs[k]));
	}
	return OG_OK;
}

static og_status look_up(const og_tensor **out, const graph_value *v, schema_scope *scope)
{
	*out = v ? schema_scope_get(scope, v) : NULL;
	if (v && !*out && !schema_is_left_out(v, scope))
		return base_fail(OG_BAD_FILE, "value '%s' is read before it is made", v->name);
	if (*out && v->owner == scope->g && v->constant && *out == v->constant && !schema_is_aligned(*out)) {
		*out = graph_tensor_copy(scope->a, *out);
		NEED(*out);
		TRY(schema_scope_set(scope, v, *out));           /* so that it is copied once */
	}
	return OG_OK;
}

static og_status run_in_scope(const graph_node *n, schema_scope *scope,
                              og_status (*watch)(void *arg, const graph_value *, const og_tensor *), void *arg)
{
	const og_tensor **in = arena_array(scope->a, (size_t)n->n_in, sizeof *in);
	og_tensor **out = arena_array(scope->a, (size_t)n->n_out, sizeof *out);
	if (!in || !out) return base_no_memory();
	for (int k = 0; k < n->n_in; k++) TRY(look_up(&in[k], n->in[k], scope));
	TRY(schema_run_node(n, in, out, scope->a, scope));
	for (int k = 0; k < n->n_out; k++) {
		if (!n->out[k]) continue;
		TRY(schema_scope_set(scope, n->out[k], out[k]));
		if (watch) TRY(watch(arg, n->out[k], out[k]));
	}
	return OG_OK;
}

og_status schema_run_body(const graph *g, const og_tensor *const *inputs, og_tensor **outputs, schema_scope *scope,
                          og_status (*watch)(void *arg, const graph_value *, const og_tensor *), void *arg)
{
	TRY(bind_inputs(g, inputs, scope));
	for (const graph_node *n = g->first; n; n = n->next) TRY(run_in_scope(n, scope, watch, arg));
	for (int k = 0; k < g->n_outputs; k++) {
		const og_tensor *t = schema_scope_get(scope, g->outputs[k]);
		if (!t) return base_fail(OG_BAD_FILE, "output '%s' is not made by any node", g->outputs[k]->name);
		/* What a node made is in the arena; an input, a constant or a value of a graph around may not be. */
		bool made_here = g->outputs[k]->producer && g->outputs[k]->owner == g;
		outputs[k] = made_here ? (og_tensor *)(uintptr_t)t : graph_tensor_copy(scope->a, t);
		NEED(outputs[k]);
	}
	return OG_OK;
}

og_status schema_run_graph(const graph *g, const og_tensor *const *inputs, og_tensor **outputs, arena *a,
                           const schema_scope *outer,
                           og_status (*watch)(void *arg, const graph_value *, const og_tensor *), void *arg)
{
	schema_scope scope;
	og_status status = schema_scope_begin(&scope, a, g, outer);
	if (status == OG_OK) status = schema_run_body(g, inputs, outputs, &scope, watch, arg);
	schema_scope_end(&scope);
	return status;
}
