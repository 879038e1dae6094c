/* whole.c -- all steps of a plan as one, where the device can run a network that small so. */
#include "plan/plan.h"

static backend_place place_of(const plan_value *v)
{
	switch (v->place) {
	case PLAN_INPUT: return BACKEND_INPUT;
	case PLAN_OUTPUT: return BACKEND_OUTPUT;
	case PLAN_CONSTANT: return BACKEND_CONSTANT;
	default: return BACKEND_INSIDE;
	}
}

static bool is_number(const plan_value *v)
{
	return v->place == PLAN_CONSTANT && v->type.dtype == OG_F32 && og_count(&v->type) == 1;
}

/* Numbers that steps read as such: not those that are packed. */
static bool is_read(const og_plan *p, int v)
{
	for (int s = 0; s < p->n_steps; s++)
		for (int k = p->steps[s].n_anchor_in; k < p->steps[s].n_in; k++)
			if (p->steps[s].in[k] == v) return true;
	for (int s = 0; s < p->n_steps; s++)
		for (int k = 0; !p->steps[s].op && k < p->steps[s].n_in; k++)
			if (p->steps[s].in[k] == v) return true;
	return false;
}

/* OG_NO: steps reorder, or samples are not what all values have in common. */
static og_status describe(backend_network **out, const og_plan *p)
{
	backend_network *net = arena_alloc(p->a, sizeof *net);
	backend_value *values = arena_array(p->a, (size_t)p->n_values + 1, sizeof *values);
	backend_node *nodes = arena_array(p->a, (size_t)p->n_steps + 1, sizeof *nodes);
	const int **in = arena_array(p->a, (size_t)p->n_steps + 1, sizeof *in), **made = arena_array(p->a, (size_t)p->n_steps + 1, sizeof *made);
	if (!net || !values || !nodes || !in || !made) return base_no_memory();
	*net = (backend_network){ .values = values, .n_values = p->n_values, .nodes = nodes, .n_nodes = p->n_steps, .in = in, .out = made,
	                          .n_inputs = p->n_inputs, .n_outputs = p->n_outputs };
	if (p->n_inputs < 1 || p->values[p->inputs[0]].type.rank < 1) return OG_NO;
	net->samples = p->values[p->inputs[0]].type.dims[0];
	for (int i = 0; i < p->n_values; i++) {
		int root = plan_root(p, i);
		values[i] = (backend_value){ p->values[i].type, place_of(&p->values[root]), p->values[root].slot, root };
		if (is_number(&p->values[i]) && is_read(p, i)) values[i].slot = net->n_numbers++;
		if (p->values[i].layout != LAYOUT_PLAIN) return OG_NO;
	}
	for (int i = 0; i < p->n_steps; i++) {
		if ((!p->steps[i].op && !p->steps[i].tail) || p->steps[i].n_in < 1) return OG_NO;
		plan_step_node(&nodes[i], &p->steps[i]);
		in[i] = p->steps[i].in;
		made[i] = p->steps[i].out;
	}
	*out = net;
	return OG_OK;
}

og_status plan_whole(og_plan *p, const char *tactic)
{
	backend_network *net = NULL;
	if (!p->backend->whole || p->precision.storage != OG_F32) return OG_NO;
	TRY(describe(&net, p));
	plan_step *s = arena_alloc(p->a, sizeof *s);
	void *code = p->code ? p->backend->device->code_create(p->a) : NULL;
	if (!s || (p->code && !code)) return base_no_memory();
	*s = (plan_step){ .name = "network", .label = "whole network", .n_in = net->n_inputs + net->n_numbers, .n_out = net->n_outputs };
	s->in = arena_array(p->a, (size_t)s->n_in + 1, sizeof *s->in);
	s->out = arena_array(p->a, (size_t)s->n_out + 1, sizeof *s->out);
	if (!s->in || !s->out) return base_no_memory();
	for (int i = 0; i < p->n_inputs; i++) s->in[i] = p->inputs[i];
	for (int i = 0; i < p->n_outputs; i++) s->out[i] = p->outputs[i];
	for (int i = 0; i < p->n_values; i++)
		if (is_number(&p->values[i]) && is_read(p, i)) s->in[p->n_inputs + net->values[i].slot] = i;
	TRY(p->backend->whole(&s->kernel, net, tactic, code, p->a));
	for (int i = 0; i < p->n_steps; i++) {
		s->bytes += p->steps[i].bytes;
		s->kernel.flops += p->steps[i].kernel.flops;
	}
	if (code) {                              /* it is being built: the steps' own kernels are not needed */
		void *packed = plan_block(p, s->kernel.packed_bytes);
		NEED(packed);
		TRY(s->kernel.pack(&s->kernel, packed));
		s->packed = packed;
		p->weights_bytes += s->kernel.packed_bytes;
		p->code = code;
	}
	p->whole = s;
	return OG_OK;
}
