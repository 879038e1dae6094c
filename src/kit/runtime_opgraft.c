/* runtime_opgraft.c -- Opgraft itself, twice: as plans, and as the plain definitions of its ops, which run more and slower. */
#include "kit/runtime.h"

#include <stdio.h>

#include "schema/schema.h"

/* ---- definitions ----------------------------------------------------------------------------- */

static og_status open_reference(runtime_host *h)
{
	snprintf(h->version, sizeof h->version, "Opgraft %s (reference)", og_version());
	return OG_OK;
}

static og_status check_strings(const graph_node *n, graph_value *const *values, int count)
{
	for (int k = 0; k < count; k++)
		if (values[k] && values[k]->dtype == OG_STRING)
			return base_fail(OG_UNSUPPORTED, "%s has strings, which Opgraft cannot hold", n->type);
	return OG_OK;
}

og_status runtime_is_defined(const graph *g)
{
	for (const graph_node *n = g->first; n; n = n->next) {
		const graph_function *f = n->op ? NULL : graph_function_find(g->model, n->domain, n->type);
		if (!schema_is_known(n))
			return base_fail(OG_UNSUPPORTED, "%s%s%s is not known to Opgraft at this opset%s", n->domain, n->domain[0] ? "::" : "",
			                 n->type, n->domain[0] ? "; if an op library has it, name that with --ops" : "");
		TRY(check_strings(n, n->in, n->n_in));
		TRY(check_strings(n, n->out, n->n_out));
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g) TRY(runtime_is_defined(n->attrs[i].g));
		if (f) TRY(runtime_is_defined(f->body));
	}
	return OG_OK;
}

static og_status reference_takes(runtime_host *h, og_model *m)
{
	(void)h;
	return runtime_is_defined(m->main);
}

const runtime runtime_reference = { .name = "reference", .open = open_reference, .takes = reference_takes };

/* ---- plans ----------------------------------------------------------------------------------- */

static og_status open_opgraft(runtime_host *h)
{
	snprintf(h->version, sizeof h->version, "Opgraft %s", og_version());
	return OG_OK;
}

/* What has no op, but is known: If, Loop, Scan, and all that makes sequences. */
static og_status check_plannable(const graph *g)
{
	for (const graph_node *n = g->first; n; n = n->next) {
		const graph_function *f = n->op ? NULL : graph_function_find(g->model, n->domain, n->type);
		bool chooses = false;
		for (int i = 0; i < n->n_attrs; i++) chooses |= n->attrs[i].g != NULL;
		if (f) TRY(check_plannable(f->body));
		else if (!n->op)
			return base_fail(OG_UNSUPPORTED, "%s, which plans do not have; the reference runs it",
			                 chooses ? "it chooses what to compute while it runs" : "it works on sequences or optional values");
	}
	return OG_OK;
}

/* True when a plan for real inputs may be had where there is none without them: an input decides shapes, or what is
 * known of its shape is not enough to guess one. Nodes are in order. */
static og_status waits_for_inputs(bool *out, graph *g)
{
	schema_args args;
	for (graph_value *v = g->first_value; v; v = v->next) v->mark = NULL;
	for (graph_node *n = g->last; n; n = n->prev) {
		bool decides = false, reads_shapes = !strcmp(n->type, "Shape") || !strcmp(n->type, "Size");
		for (int k = 0; k < n->n_out && !reads_shapes; k++) decides |= n->out[k] && n->out[k]->mark;
		if (n->op) TRY(schema_inputs(&args, n->op));
		for (int k = 0; k < n->n_in; k++) {
			const schema_arg *arg = n->op ? schema_arg_at(&args, k) : NULL;
			if (n->in[k] && (decides || (arg && arg->value_needed))) n->in[k]->mark = n;
		}
	}
	*out = false;
	for (int i = 0; i < g->n_inputs; i++) {
		const graph_value *v = g->inputs[i];
		*out |= !v->constant && (v->rank < 0 || (v->mark && runtime_binds(v->dtype, v->rank, v->dims)));
	}
	return OG_OK;
}

static bool has_free_sizes(const graph *g)
{
	bool found = false;
	for (int i = 0; i < g->n_inputs; i++)
		for (int d = 0; d < g->inputs[i]->rank; d++) found |= g->inputs[i]->dims[d] < 0;
	return found;
}

static og_status opgraft_takes(runtime_host *h, og_model *m)
{
	const og_build_options o = { .size = sizeof o, .threads = 1, .no_fuse = 1, .timing = OG_TIMING_OFF, .batching = "whole" };
	og_plan *plan;
	bool waits;
	(void)h;
	og_status status = og_plan_build(&plan, m, &o);
	if (status == OG_OK) og_plan_free(plan);
	if (status == OG_OK || status == OG_NO_MEMORY) return status;
	char *why = base_strdup(base_error());
	NEED(why);
	og_status known = runtime_is_defined(m->main);
	if (known == OG_OK) known = check_plannable(m->main);
	if (known == OG_OK) known = waits_for_inputs(&waits, m->main);
	/* sizes that are not given are taken to be 1, for which a network may be too small */
	if (known == OG_OK && !waits && !(status != OG_UNSUPPORTED && has_free_sizes(m->main)))
		known = base_fail(OG_UNSUPPORTED, "%s", why);
	base_free(why);
	return known;
}

const runtime runtime_opgraft = { .name = "opgraft", .open = open_opgraft, .takes = opgraft_takes };
