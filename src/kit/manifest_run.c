/* manifest_run.c -- og_manifest_run: the pieces one after the other, each by who it is for or who can. Plans are built when
 * their inputs are there, so that shapes that hang on values are known. */
#include "kit/manifest.h"

typedef struct running {
	og_manifest *m;
	const og_manifest_options *o;
	const manifest_piece *p;
	const og_tensor **in;
	og_tensor **out;
	arena *a;                            /* of this run */
} running;

/* ---- by a plan ----------------------------------------------------------------------------------- */

static og_status run_plan(const running *r, const og_plan *plan)
{
	og_session *session;
	og_value_info v;
	const void **in = arena_array(r->a, (size_t)r->p->n_in + 1, sizeof *in);
	void **out = arena_array(r->a, (size_t)r->p->n_out + 1, sizeof *out);
	if (!in || !out) return base_no_memory();
	for (int k = 0; k < r->p->n_in; k++) in[k] = r->in[k]->data;
	for (int k = 0; k < r->p->n_out; k++) {
		TRY(og_plan_output(plan, k, &v));
		TRY(og_tensor_create(&r->out[k], v.dtype, v.rank, v.dims));
		out[k] = r->out[k]->data;
	}
	TRY(og_session_create(&session, plan, r->o->threads));
	og_status status = og_session_run(session, in, out);
	og_session_free(session);
	return status;
}

static og_status by_opgraft(const running *r)
{
	og_plan *plan;
	og_value_info v;
	og_binding *bindings = arena_array(r->a, (size_t)r->p->n_in + 1, sizeof *bindings);
	NEED(bindings);
	for (int k = 0; k < r->p->n_in; k++) {
		TRY(og_model_input(r->p->model, k, &v));
		bindings[k] = (og_binding){ .name = v.name, .rank = r->in[k]->rank };
		memcpy(bindings[k].dims, r->in[k]->dims, sizeof bindings[k].dims);
		if (runtime_binds(r->in[k]->dtype, r->in[k]->rank, r->in[k]->dims)) bindings[k].value = r->in[k];
	}
	const og_build_options o = { .size = sizeof o, .device = r->o->device, .precision = r->o->precision, .bindings = bindings,
	                             .n_bindings = r->p->n_in, .threads = r->o->threads, .no_fuse = r->o->no_fuse,
	                             .timing = r->o->timing, .timing_cache = r->o->timing_cache, .batching = r->o->batching,
	                             .memory = r->o->memory };
	TRY(og_plan_build(&plan, r->p->model, &o));
	og_status status = run_plan(r, plan);
	og_plan_free(plan);
	return status;
}

/* ---- by others ----------------------------------------------------------------------------------- */

static og_status by_onnxruntime(const running *r)
{
	og_peer *peer;
	const og_peer_options o = { .size = sizeof o, .threads = r->o->threads, .libraries = r->o->libraries,
	                            .n_libraries = r->o->n_libraries };
	TRY(og_peer_open_with(&peer, r->p->path, &o));
	og_status status = og_peer_compute(peer, r->in, r->out);
	og_peer_free(peer);
	return status;
}

static og_status by_reference(const running *r) { return og_reference_run(r->p->model, r->in, r->out); }

/* Who may run a piece in the place of another, the best first. */
typedef struct way { const runtime *for_whom, *who; og_status (*run)(const running *); } way;
static const way ways[] = {
	{ &runtime_tensorrt, &runtime_opgraft, by_opgraft },
	{ &runtime_tensorrt, &runtime_onnxruntime, by_onnxruntime },
	{ &runtime_tensorrt, &runtime_reference, by_reference },
	{ &runtime_opgraft, &runtime_opgraft, by_opgraft },
	{ &runtime_opgraft, &runtime_reference, by_reference },
	{ &runtime_onnxruntime, &runtime_onnxruntime, by_onnxruntime },
	{ &runtime_reference, &runtime_reference, by_reference },
};

/* ---- the pieces ---------------------------------------------------------------------------------- */

static void drop(og_tensor **t)
{
	og_tensor_free(*t);
	*t = NULL;
}

static void drop_outputs(const running *r)
{
	for (int k = 0; k < r->p->n_out; k++) drop(&r->out[k]);
}

static og_status run_piece(running *r, manifest_piece *p)
{
	og_status status = OG_UNSUPPORTED;
	r->p = p;
	r->in = arena_array(r->a, (size_t)p->n_in + 1, sizeof *r->in);
	r->out = arena_array(r->a, (size_t)p->n_out + 1, sizeof *r->out);
	if (!r->in || !r->out) return base_no_memory();
	for (int k = 0; k < p->n_in; k++) r->in[k] = r->m->values[p->in[k]].now;
	for (size_t i = 0; i < sizeof ways / sizeof *ways && (status == OG_UNSUPPORTED || status == OG_MISSING); i++) {
		if (ways[i].for_whom != p->runtime) continue;
		drop_outputs(r);
		status = ways[i].run(r);
		p->ran = ways[i].who->name;
	}
	for (int k = 0; k < p->n_out && status == OG_OK; k++) {
		r->m->values[p->out[k]].now = r->out[k];
		r->out[k] = NULL;
	}
	drop_outputs(r);
	return status == OG_OK ? OG_OK : base_fail_in(status, "%s", p->path);
}

static og_status copy(og_tensor **out, const og_tensor *t)
{
	TRY(og_tensor_create(out, t->dtype, t->rank, t->dims));
	size_t bytes = og_tensor_bytes(t);
	if (bytes) memcpy((*out)->data, t->data, bytes);
	return OG_OK;
}

static og_status run_all(running *r, const og_tensor *const *inputs, og_tensor **outputs)
{
	og_manifest *m = r->m;
	for (int k = 0; k < m->n_inputs; k++) {
		if (!inputs[k]) return base_fail(OG_USAGE, "input '%s' is missing", m->values[m->inputs[k]].info.name);
		TRY(copy(&m->values[m->inputs[k]].now, inputs[k]));
	}
	for (int k = 0; k < m->n_pieces; k++) {
		TRY(run_piece(r, &m->pieces[k]));
		for (int v = 0; v < m->n_values; v++)
			if (m->values[v].last <= k) drop(&m->values[v].now);
	}
	for (int k = 0; k < m->n_outputs; k++) TRY(copy(&outputs[k], m->values[m->outputs[k]].now));
	return OG_OK;
}

og_status og_manifest_run(og_manifest *m, const og_tensor *const *inputs, og_tensor **outputs, const og_manifest_options *options)
{
	og_manifest_options o = { 0 };
	if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
	running r = { .m = m, .o = &o, .a = arena_create() };
	for (int k = 0; k < m->n_outputs; k++) outputs[k] = NULL;
	NEED(r.a);
	for (int k = 0; k < m->n_pieces; k++) m->pieces[k].ran = NULL;
	og_status status = run_all(&r, inputs, outputs);
	for (int k = 0; k < m->n_values; k++) drop(&m->values[k].now);
	for (int k = 0; k < m->n_outputs && status != OG_OK; k++) drop(&outputs[k]);
	arena_destroy(r.a);
	return status;
}
