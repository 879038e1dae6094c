/* conform_network.c -- the op as a node: against its own body, and through plans on every type. */
#include <math.h>
#include <stdio.h>

#include "graph/graph.h"
#include "kit/conform.h"
#include "opgraft.h"
#include "surgery/body.h"

/* A network of one node with its data. */
typedef struct network {
	og_model *m;
	graph_node *node;
	graph_value *in[SCHEMA_MAX_ARGS];
	og_tensor data[SCHEMA_MAX_ARGS];     /* of the op's inputs */
	const og_tensor *inputs[SCHEMA_MAX_ARGS];
	int n;                               /* of the graph's inputs */
} network;

enum { ONNX_OPSET = 21 };

static og_status set_attributes(graph_node *n, const conform *v, const conform_case *c)
{
	for (int k = 0; k < v->n_attrs; k++) {
		const og_attr *d = &v->op->attrs[k];
		const og_attr_value *value = &c->attr[k];
		if (!value->present) continue;
		switch (d->type) {
		case OG_ATTR_INT: TRY(graph_attr_set_int(n, d->name, value->i)); break;
		case OG_ATTR_FLOAT: TRY(graph_attr_set_float(n, d->name, value->f)); break;
		case OG_ATTR_ENUM: case OG_ATTR_STRING: TRY(graph_attr_set_string(n, d->name, value->s)); break;
		case OG_ATTR_INTS: TRY(graph_attr_set_ints(n, d->name, value->ints, (size_t)value->n)); break;
		case OG_ATTR_FLOATS: TRY(graph_attr_set_floats(n, d->name, value->floats, (size_t)value->n)); break;
		default: break;
		}
	}
	return OG_OK;
}

static bool is_real(og_dtype t) { return t == OG_F32 || t == OG_F64 || t == OG_F16 || t == OG_BF16; }

/* The tensor with its real numbers in another real type; other types as they are. */
static og_status convert(og_tensor *out, arena *a, const og_tensor *t, og_dtype dtype)
{
	*out = *t;
	if (!is_real(t->dtype)) return OG_OK;
	out->dtype = dtype;
	out->data = arena_aligned(a, conform_bytes(out) + 8, 64);
	NEED(out->data);
	for (int64_t k = 0; k < og_count(t); k++) {
		double x = graph_tensor_double(t, k);
		if (dtype == OG_F64) ((double *)out->data)[k] = x;
		else if (dtype == OG_F32) ((float *)out->data)[k] = (float)x;
		else ((uint16_t *)out->data)[k] = dtype == OG_F16 ? base_float_to_half((float)x) : base_float_to_bfloat((float)x);
	}
	return OG_OK;
}

/* The case as a network, its real inputs of type `dtype`; values that are given stand as constants. */
static og_status make_network(network *w, conform *v, const conform_case *c, og_dtype dtype)
{
	*w = (network){ .m = graph_model_create() };
	NEED(w->m);
	graph *g = w->m->main;
	TRY(graph_opset_require(w->m, "", ONNX_OPSET));
	if (*schema_domain(v->op)) TRY(graph_opset_require(w->m, schema_domain(v->op), v->op->since));
	TRY(graph_node_add(&w->node, g, NULL, schema_domain(v->op), v->op->name, "node", c->n_in, c->n_out));
	w->node->op = v->op;
	TRY(set_attributes(w->node, v, c));
	for (int k = 0; k < c->n_in; k++) {
		if (c->in[k].dtype == OG_NONE) continue;
		og_tensor *t = &w->data[k];
		TRY(convert(t, v->a, &c->in[k], dtype));
		TRY(graph_value_add(&w->in[k], g, NULL, t->dtype, t->rank, t->dims));
		if (c->fixed[k]) {
			TRY(graph_constant_set(w->in[k], t));
		} else {
			TRY(graph_input_add(g, w->in[k]));
			w->inputs[w->n++] = t;
		}
		TRY(graph_set_input(w->node, k, w->in[k]));
	}
	for (int k = 0; k < c->n_out; k++) {
		graph_value *y;
		TRY(graph_value_add(&y, g, NULL, OG_NONE, -1, NULL));
		TRY(graph_set_output(w->node, k, y));
		TRY(graph_output_add(g, y));
	}
	return schema_infer(g);
}

/* Index of the first element further apart than relative * |b| + absolute; -1. */
static int64_t apart(const og_tensor *a, const og_tensor *b, double relative, double absolute)
{
	for (int64_t k = 0; k < og_count(b); k++) {
		double x = graph_tensor_double(a, k), y = graph_tensor_double(b, k);
		if (x == y || (isnan(x) && isnan(y))) continue;
		if (!(fabs(x - y) <= relative * fabs(y) + absolute)) return k;
	}
	return -1;
}

static bool same_shape(const og_tensor *a, const og_tensor *b)
{
	bool same = a->dtype == b->dtype && a->rank == b->rank;
	for (int d = 0; same && d < a->rank; d++) same = a->dims[d] == b->dims[d];
	return same;
}

static double largest(const og_tensor *t)
{
	double most = 0;
	for (int64_t k = 0; k < og_count(t); k++) {
		double x = fabs(graph_tensor_double(t, k));
		if (isfinite(x) && x > most) most = x;
	}
	return most;
}

/* ---- the body ---------------------------------------------------------------------------------- */

static bool takes(const conform *v, og_dtype t)
{
	for (int k = 0; k < v->in.n; k++)
		if (v->in.arg[k].variable >= 0 && !(v->in.arg[k].types >> t & 1)) return false;
	return true;
}

/* What the node makes and what its body makes in its place; OG_NO: the body is not for these attributes. */
static og_status run_both(conform *v, const conform_case *c, og_dtype dtype, og_tensor **node, og_tensor **body)
{
	network w;
	body_reading reading;
	graph_value *made[SCHEMA_MAX_ARGS];
	TRY(make_network(&w, v, c, dtype));
	TRY(schema_run_graph(w.m->main, w.inputs, node, v->a, NULL, NULL, NULL));
	TRY(body_choose(&reading, v->a, v->op, w.node));
	TRY(body_parse(&reading, v->a));
	TRY(body_build(made, c->n_out, &reading, &(body_place){ .g = w.m->main, .before = w.node, .opset = ONNX_OPSET, .node = w.node,
	                                                         .in = w.in, .n_in = c->n_in, .dtype = dtype }));
	for (int k = 0; k < c->n_out; k++) TRY(graph_output_set(w.m->main, k, made[k]));
	graph_node_remove(w.node);
	schema_resolve(w.m);
	TRY(schema_run_graph(w.m->main, w.inputs, body, v->a, NULL, NULL, NULL));
	return OG_OK;
}

static bool compare_body(conform *v, const conform_case *c)
{
	og_tensor *node[SCHEMA_MAX_ARGS], *body[SCHEMA_MAX_ARGS];
	og_dtype dtype = takes(v, OG_F64) ? OG_F64 : OG_F32;
	conform_doing("the body on %s", c->words);
	og_status status = run_both(v, c, dtype, node, body);
	if (status == OG_NO) return false;
	if (status != OG_OK) return conform_fail(v, "%s: the body does not run: %s", c->words, base_error()), false;
	for (int k = 0; k < c->n_out && !v->failed; k++) {
		const char *name = v->out.arg[k < v->out.n ? k : 0].name;
		double most = largest(node[k]), relative = dtype == OG_F64 ? 1e-9 : 1e-4;
		if (!same_shape(node[k], body[k])) {
			conform_fail(v, "%s: the body makes '%s' of another type or shape than the op; mend the shape rule or the body", c->words, name);
			break;
		}
		int64_t at = apart(body[k], node[k], relative, relative * 0.1 * most);
		if (at < 0) continue;
		char x[64] = "";
		if (v->op->ref && c->n_in == 1) snprintf(x, sizeof x, " of %.9g", graph_tensor_double(&c->in[0], at));
		conform_fail(v, "%s: element %lld of '%s'%s is %.9g by the body and %.9g by the %s: they must compute the same; mend the one that "
		             "is wrong", c->words, (long long)at, name, x, graph_tensor_double(body[k], at), graph_tensor_double(node[k], at),
		            v->op->ref ? "formula" : "definition");
	}
	return true;
}

/* Numbers from -8 to 8, the sharpest test of a formula. */
static og_status make_dense(conform_case *c, conform *v, const conform_case *like)
{
	enum { N = 1025 };
	*c = *like;
	snprintf(c->words, sizeof c->words, "-8 to 8");
	for (int k = 0; k < c->n_in; k++) {
		if (c->in[k].dtype == OG_NONE) continue;
		c->in[k] = (og_tensor){ .dtype = OG_F32, .rank = 1, .dims = { N }, .data = arena_aligned(v->a, N * sizeof(float), 64) };
		NEED(c->in[k].data);
		for (int i = 0; i < N; i++) ((float *)c->in[k].data)[i] = (float)((i * (k * 6 + 1)) % N - N / 2) / 64.0f;
	}
	return conform_infer(v, c);
}

void conform_body(conform *v)
{
	conform_case *cases, c;
	size_t n, run = 0;
	if (!v->op->body) {
		conform_skip(v);
		return;
	}
	if (conform_read_cases(&cases, &n, v) != OG_OK) conform_fail(v, "%s", base_error());
	for (size_t i = 0; i < n && !v->failed; i++) {
		if (!conform_vary(&c, v, &cases[i], 0) || !conform_fill(v, &c)) continue;
		run += compare_body(v, &c);
		if (v->op->ref && takes(v, OG_F32) && make_dense(&c, v, &cases[i]) == OG_OK) run += compare_body(v, &c);
	}
	if (run) conform_note(v, "%zu cases", run);
	else if (!v->failed) conform_skip(v);
}

/* ---- plans ------------------------------------------------------------------------------------- */

static og_status run_plan(conform *v, const network *w, const conform_case *c, bool fuse, og_tensor *out)
{
	og_plan *plan = NULL;
	og_session *session = NULL;
	const void *in[SCHEMA_MAX_ARGS];
	void *to[SCHEMA_MAX_ARGS];
	og_build_options o = { .size = sizeof o, .threads = 2, .no_fuse = !fuse, .timing = OG_TIMING_OFF };
	og_status status = og_plan_build(&plan, w->m, &o);
	for (int k = 0; k < w->n; k++) in[k] = w->inputs[k]->data;
	for (int k = 0; k < c->n_out && status == OG_OK; k++) {
		og_value_info info;
		status = og_plan_output(plan, k, &info);
		if (status != OG_OK) break;
		out[k] = (og_tensor){ .dtype = info.dtype, .rank = info.rank };
		memcpy(out[k].dims, info.dims, sizeof info.dims);
		to[k] = out[k].data = arena_aligned(v->a, conform_bytes(&out[k]) + 8, 64);
		if (!out[k].data) status = base_no_memory();
	}
	if (status == OG_OK) status = og_session_create(&session, plan, 2);
	if (status == OG_OK) status = og_session_run(session, in, to);
	og_session_free(session);
	og_plan_free(plan);
	return status;
}

/* Element of an operand that goes with element `at` of y. */
static int64_t element_of(const og_tensor *x, const og_tensor *y, int64_t at)
{
	int64_t element = 0, step = 1;
	for (int d = y->rank - 1; d >= 0; d--) {
		int64_t index = at % y->dims[d], own = d - (y->rank - x->rank);
		at /= y->dims[d];
		if (own < 0) continue;
		if (x->dims[own] != 1) element += index * step;
		step *= x->dims[own];
	}
	return element;
}

/* By contract the short floats are widened, computed by the formula for floats and rounded once: the bits are known. */
static og_status make_exact(og_tensor *y, conform *v, const network *w, const conform_case *c)
{
	float attr[OG_MAX_MAP_ATTRS], result;
	og_tensor wide = *y;
	wide.dtype = OG_F32;
	wide.data = arena_aligned(v->a, conform_bytes(&wide) + 8, 64);
	NEED(wide.data);
	for (int k = 0; k < v->op->map_attrs; k++) attr[k] = c->attr[k].f;
	for (int64_t at = 0; at < og_count(y); at++) {
		float x[OG_MAX_IN];
		const void *in[OG_MAX_IN];
		for (int k = 0; k < v->op->map_inputs; k++) {
			bool there = k < c->n_in && c->in[k].dtype != OG_NONE;
			const og_tensor *t = &w->data[k];
			in[k] = &x[k];
			x[k] = there ? (float)graph_tensor_double(t, element_of(t, y, at)) : (float)v->in.arg[k].value;
		}
		v->op->map[OG_ISA_SCALAR](1, &result, in, attr);
		((float *)wide.data)[at] = result;
	}
	return convert(y, v->a, &wide, y->dtype);
}

/* How far a plan may be from the definition: by type, of an element and of the largest. */
static double tolerance(const conform *v, og_dtype t)
{
	return t == OG_F16 ? 0x1p-10 : t == OG_BF16 ? 0x1p-7 : t == OG_F64 ? 1e-9 : t == OG_F32 ? fmax(v->op->ulp, 16) * 0x1p-23 : 0;
}

static bool is_exact(const conform *v, og_dtype dtype)
{
	bool test = v->out.arg[0].types == UINT32_C(1) << OG_BOOL;
	return v->op->ref && dtype != OG_F64 && !test && !v->in.arg[v->in.n - 1].variadic;
}

static void check_plan(conform *v, const conform_case *c, og_dtype dtype)
{
	network w;
	og_tensor *want[SCHEMA_MAX_ARGS], got[SCHEMA_MAX_ARGS];
	conform_doing("%s as %s in a network", c->words, base_dtype_name(dtype));
	og_status status = make_network(&w, v, c, dtype);
	if (status == OG_OK) status = schema_run_graph(w.m->main, w.inputs, want, v->a, NULL, NULL, NULL);
	bool exact = is_exact(v, dtype);
	if (exact && status == OG_OK) status = make_exact(want[0], v, &w, c);
	for (int fuse = 0; fuse < 2 && !v->failed; fuse++) {
		if (status == OG_OK) status = run_plan(v, &w, c, fuse, got);
		if (status != OG_OK) {
			conform_fail(v, "%s as %s: a network of it does not run: %s", c->words, base_dtype_name(dtype), base_error());
			break;
		}
		for (int k = 0; k < c->n_out && !v->failed; k++) {
			double t = exact ? 0 : tolerance(v, want[k]->dtype);
			int64_t at = same_shape(&got[k], want[k]) ? apart(&got[k], want[k], t, t * largest(want[k])) : 0;
			if (at >= 0)
				conform_fail(v, "%s as %s: element %lld of output %d is %.9g in a plan and should be %.9g", c->words, base_dtype_name(dtype),
				            (long long)at, k, graph_tensor_double(&got[k], at), graph_tensor_double(want[k], at));
		}
	}
	graph_model_destroy(w.m);
}

void conform_network(conform *v)
{
	static const og_dtype types[] = { OG_F32, OG_F16, OG_BF16, OG_F64 };
	conform_case *cases, c;
	size_t n, run = 0;
	if (conform_read_cases(&cases, &n, v) != OG_OK) conform_fail(v, "%s", base_error());
	for (size_t i = 0; i < n && !v->failed; i++)
		for (int change = 0; change < 12 && conform_vary(&c, v, &cases[i], change) && !v->failed; change++) {
			if (!conform_fill(v, &c) || conform_infer(v, &c) != OG_OK) continue;
			for (size_t k = 0; k < sizeof types / sizeof *types && !v->failed; k++) {
				if (!takes(v, types[k])) continue;
				check_plan(v, &c, types[k]);
				run++;
			}
		}
	conform_note(v, "%zu plans", 2 * run);
}
