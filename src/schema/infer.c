/* infer.c -- types and shapes: what an op's declaration and its shape rule say of a node's outputs. */
#include "schema/inside.h"

/* Inference computes values that are at most this long, since they may be shapes further on. */
enum { MOST_ELEMENTS = 1024 };

static og_dim host_dim(og_infer *c, og_dim_op op, og_dim a, og_dim b)
{
	return op == OG_DIM_UNKNOWN ? GRAPH_DIM_UNKNOWN : graph_dim_do(c->context, op, a, b);
}

static void host_parallel(const og_call *c, int64_t n, int64_t grain,
                          void (*body)(void *arg, int64_t begin, int64_t end), void *arg)
{
	(void)c, (void)grain;
	if (n > 0) body(arg, 0, n);
}

const og_host schema_host = { .abi = OG_OP_ABI, .fail = base_fail, .dim = host_dim, .parallel = host_parallel };

/* ---- the question to an op ------------------------------------------------------------------ */

static int larger(int a, int b) { return a > b ? a : b; }

og_status schema_question_begin(schema_question *q, arena *a, const graph_node *n, const og_attr_value *attr)
{
	TRY(schema_arguments(&q->inputs, &q->outputs, n->op));
	int n_in = larger(n->n_in, q->inputs.n), n_out = larger(n->n_out, q->outputs.n);
	q->in = arena_array(a, (size_t)n_in, sizeof *q->in);
	q->out = arena_array(a, (size_t)n_out, sizeof *q->out);
	q->present = arena_array(a, (size_t)n_in, sizeof *q->present);
	if (!q->in || !q->out || !q->present) return base_no_memory();
	for (int k = 0; k < n_in; k++) q->in[k].rank = -1;
	for (int k = 0; k < n_out; k++) q->out[k].rank = -1;
	q->c = (og_infer){ .host = &schema_host, .op = n->op, .attr = attr, .n_in = n->n_in, .n_out = n->n_out, .in = q->in,
	                   .out = q->out, .context = n->owner->model };
	return OG_OK;
}

static og_status ask(schema_question *q, const graph_node *n)
{
	const schema_arg *first = &q->outputs.arg[0];
	if (n->n_out == 0 || (!n->out[0] && !first->variadic && !first->optional))
		return base_fail(OG_BAD_FILE, "output '%s' of %s is missing", first->name, n->type);
	return schema_ask(&q->inputs, &q->outputs, &q->c, q->in, q->present);
}

og_status schema_question_ask(schema_question *q, const graph_node *n)
{
	char words[SCHEMA_WORDS];
	og_status status = ask(q, n);
	return status == OG_OK ? OG_OK : base_fail_in(status, "%s", schema_node_words(words, n));
}

/* ---- what is known of a value --------------------------------------------------------------- */

static og_status contradicts(const graph_node *n, const graph_value *v, og_dtype dtype, int rank, const og_dim *dims)
{
	char words[SCHEMA_WORDS];
	text t = { 0 };
	graph_print_type(&t, v->owner->model, dtype, rank, dims);
	text_add(&t, ", but the file says ");
	graph_print_type(&t, v->owner->model, v->dtype, v->rank, v->dims);
	char *s = text_take(&t);
	NEED(s);
	og_status status = base_fail(OG_BAD_FILE, "%s: output '%s' is %s", schema_node_words(words, n), v->name, s);
	base_free(s);
	return status;
}

og_status schema_merge(const graph_node *n, int output, og_dtype dtype, int rank, const og_dim *dims)
{
	graph_value *v = output < n->n_out ? n->out[output] : NULL;
	if (!v) return OG_OK;
	if (dtype != OG_NONE && v->dtype != OG_NONE && dtype != v->dtype) return contradicts(n, v, dtype, rank, dims);
	if (rank >= 0 && v->rank >= 0) {
		if (rank != v->rank) return contradicts(n, v, dtype, rank, dims);
		for (int d = 0; d < rank; d++)
			if (dims[d] >= 0 && v->dims[d] >= 0 && dims[d] != v->dims[d]) return contradicts(n, v, dtype, rank, dims);
	}
	if (v->dtype == OG_NONE) v->dtype = dtype;
	if (rank < 0) return OG_OK;
	for (int d = 0; d < rank; d++) {
		bool declared = v->rank >= 0 && v->dims[d] != GRAPH_DIM_UNKNOWN;
		if (!declared || dims[d] >= 0) v->dims[d] = dims[d];
	}
	v->rank = rank;
	return OG_OK;
}

/* ---- nodes and graphs ----------------------------------------------------------------------- */

/* The value of an input as a rule may read it: aligned. Large weights are copied only if they decide shapes. */
static og_status known_value(const og_tensor **out, const schema_arg *arg, const graph_value *v, const schema_scope *s)
{
	const og_tensor *t = schema_scope_get(s, v);
	*out = NULL;
	if (!t || !t->data) return OG_OK;
	if (schema_is_aligned(t)) {
		*out = t;
	} else if (arg->value_needed || og_count(t) <= MOST_ELEMENTS) {
		*out = graph_tensor_copy(s->a, t);
		NEED(*out);
	}
	return OG_OK;
}

static og_status fill_inputs(schema_question *q, const graph_node *n, const schema_scope *scope)
{
	for (int k = 0; k < n->n_in; k++) {
		const graph_value *v = n->in[k];
		const schema_arg *arg = schema_arg_at(&q->inputs, k);
		if (!v || !arg || schema_is_left_out(v, scope)) continue;
		og_shape *s = &q->in[k];
		q->present[k] = true;
		*s = (og_shape){ .dtype = v->dtype, .rank = v->rank };
		if (v->rank > 0) memcpy(s->dims, v->dims, (size_t)v->rank * sizeof v->dims[0]);
		TRY(known_value(&s->value, arg, v, scope));
		if (!s->value) continue;
		s->dtype = s->value->dtype;      /* what is known of the data holds whatever is declared */
		s->rank = s->value->rank;
		memcpy(s->dims, s->value->dims, sizeof s->dims);
	}
	return OG_OK;
}

/* Elements of a shape, or -1 when they are not known or more than shapes could need. */
static int64_t small_count(const og_shape *s)
{
	int64_t n;
	return s->dtype != OG_NONE && s->rank >= 0 && base_count(s->dims, s->rank, &n) && n <= MOST_ELEMENTS ? n : -1;
}

bool schema_reads_shape_only(const og_op *op)
{
	return !*schema_domain(op) && (strcmp(op->name, "Shape") == 0 || strcmp(op->name, "Size") == 0);
}

/* Shapes are often computed in the graph (Shape, Gather, Concat, Reshape): runs a node whose inputs are known and
 * small, so that rules further on see its outputs. A node that can't be run is left alone: it is the run's to
 * complain. */
static og_status compute_outputs(const schema_question *q, const graph_node *n, schema_scope *scope)
{
	bool by_shape = schema_reads_shape_only(n->op);
	og_tensor shaped = { .dtype = OG_NONE };
	const og_tensor **in = arena_array(scope->a, (size_t)n->n_in, sizeof *in);
	og_tensor **out = arena_array(scope->a, (size_t)n->n_out, sizeof *out);
	if (!in || !out) return base_no_memory();
	for (int k = 0; k < n->n_in; k++) {
		const og_shape *s = &q->in[k];
		in[k] = s->value;
		int64_t count;
		if (!q->present[k] || (s->value && (by_shape || small_count(s) >= 0))) continue;
		if (!by_shape || s->dtype == OG_NONE || s->rank < 0 || !base_count(s->dims, s->rank, &count)) return OG_OK;
		shaped = (og_tensor){ .dtype = s->dtype, .rank = s->rank };
		memcpy(shaped.dims, s->dims, sizeof shaped.dims);
		in[k] = &shaped;
	}
	for (int k = 0; k < n->n_out; k++)
		if (n->out[k] && small_count(&q->out[k]) < 0) return OG_OK;
	og_status status = schema_run_node(n, in, out, scope->a, scope);
	if (status == OG_NO_MEMORY) return status;
	for (int k = 0; k < n->n_out && status == OG_OK; k++)
		if (n->out[k]) TRY(schema_scope_set(scope, n->out[k], out[k]));
	return OG_OK;
}

static og_status infer_node(graph_node *n, schema_scope *scope)
{
	const schema_control *control = schema_control_find(n);
	if (control) return control->infer(n, scope, scope->a);
	if (!n->op) return OG_OK;
	schema_question q;
	const og_attr_value *attr;
	TRY(schema_attributes_in(&attr, scope->a, n, scope));
	TRY(schema_question_begin(&q, scope->a, n, attr));
	TRY(fill_inputs(&q, n, scope));
	TRY(schema_question_ask(&q, n));
	for (int k = 0; k < n->n_out; k++)
		TRY(schema_merge(n, k, q.out[k].dtype, q.out[k].rank, q.out[k].dims));
	return compute_outputs(&q, n, scope);
}

og_status schema_infer_body(graph *g, schema_scope *scope)
{
	for (graph_node *n = g->first; n; n = n->next) TRY(infer_node(n, scope));
	return OG_OK;
}

og_status schema_infer_node(graph_node *n)
{
	schema_scope scope;
	arena *a = arena_create();
	NEED(a);
	og_status status = schema_scope_begin(&scope, a, n->owner, NULL);
	if (status == OG_OK) status = infer_node(n, &scope);
	schema_scope_end(&scope);
	arena_destroy(a);
	return status;
}

og_status schema_infer(graph *g)
{
	schema_scope scope;
	arena *a = arena_create();
	NEED(a);
	og_status status = schema_scope_begin(&scope, a, g, NULL);
	if (status == OG_OK) status = schema_infer_body(g, &scope);
	schema_scope_end(&scope);
	arena_destroy(a);
	return status;
}
