/* steps.c -- a node whose values are known becomes a step: its kernel, its constants, its layouts. */
#include "plan/lowering.h"

void plan_step_node(backend_node *n, const plan_step *s)
{
	*n = (backend_node){ .name = s->name, .op = s->op, .attr = s->attr, .n_in = s->n_in, .n_anchor_in = s->n_anchor_in,
	                     .n_out = s->n_out, .in = s->in_types, .out = s->out_types, .tail = s->tail,
	                     .in_layout = s->in_layouts, .out_layout = s->out_layout, .parts = s->parts };
}

og_status plan_prepare(og_plan *p, plan_step *s, const char *tactic)
{
	backend_node *node = arena_alloc(p->a, sizeof *node);
	NEED(node);
	plan_step_node(node, s);
	node->code = p->code;
	node->tf32 = p->precision.tf32;
	return p->backend->prepare(&s->kernel, node, tactic, p->slab ? 1 : p->threads, p->a);
}

backend_layout plan_wanted(const plan_step *s, int k)
{
	return s->kernel.in_layout ? s->kernel.in_layout[k] : LAYOUT_PLAIN;
}

/* The step reads input k's constant in another form: packed, or in another layout. */
static bool is_replaced(const plan_step *s, int k)
{
	return (k < 32 && s->kernel.packs_input >> k & 1) || plan_wanted(s, k) != LAYOUT_PLAIN;
}

/* Gives the step's constants aligned data, asks for the kernel, packs, and keeps of the data what the kernel still reads. */
static og_status settle_constants(lowering *l, plan_step *s, const tactics_readers *readers)
{
	og_plan *p = l->p;
	og_status status = OG_OK;
	for (int k = 0; status == OG_OK && k < s->n_in; k++) {
		if (s->in[k] < 0) continue;
		const plan_value *v = &p->values[s->in[k]];
		s->in_types[k] = v->type;
		s->in_layouts[k] = v->layout;
		if (v->place != PLAN_CONSTANT || !v->type.data || plan_owns(p, v->type.data) || !v->bytes || l->sketch)
			continue;
		void *copy = base_alloc_aligned(v->bytes, 64);
		if (copy) memcpy(copy, v->type.data, v->bytes);
		else status = base_no_memory();
		if (l->node) graph_tensor_forget(l->node->owner->model, &v->type);
		s->in_types[k].data = copy;
	}
	if (status == OG_OK) status = tactics_choose(l->tactics, p, s, readers);
	if (status == OG_OK) p->weights_bytes += s->kernel.packed_bytes;
	if (status == OG_OK && s->kernel.packed_bytes && !l->sketch) {
		s->packed = plan_block(p, s->kernel.packed_bytes);
		status = s->packed ? s->kernel.pack(&s->kernel, (void *)(uintptr_t)s->packed) : OG_NO_MEMORY;
	}
	for (int k = 0; k < s->n_in; k++) {
		if (s->in[k] < 0 || !s->in_types[k].data) continue;
		plan_value *v = &p->values[s->in[k]];
		bool replaced = status == OG_OK && is_replaced(s, k);
		if (s->in_types[k].data == v->type.data) {
			if (replaced) s->in_types[k].data = NULL;
			else if (l->sketch && !plan_owns(p, v->type.data)) p->weights_bytes += v->bytes;
		} else if (status != OG_OK || replaced || plan_owns(p, v->type.data)) {
			base_free(s->in_types[k].data);        /* of no further use, or the same value's copy was kept a moment ago */
			s->in_types[k].data = replaced ? NULL : v->type.data;
		} else {
			status = plan_own(p, s->in_types[k].data);
			if (status != OG_OK) {
				s->in_types[k].data = NULL;
				continue;
			}
			v->type.data = s->in_types[k].data;
			p->weights_bytes += v->bytes;
		}
	}
	return status;
}

og_status lower_step_alloc(og_plan *p, plan_step *s, const char *name, int n_in, int n_out)
{
	*s = (plan_step){ .n_in = n_in, .n_out = n_out, .n_anchor_in = n_in };
	s->name = arena_strdup(p->a, name);
	s->in = arena_array(p->a, (size_t)n_in + 1, sizeof *s->in);
	s->out = arena_array(p->a, (size_t)n_out + 1, sizeof *s->out);
	s->in_types = arena_array(p->a, (size_t)n_in + 1, sizeof *s->in_types);
	s->out_types = arena_array(p->a, (size_t)n_out + 1, sizeof *s->out_types);
	s->in_layouts = arena_array(p->a, (size_t)n_in + 1, sizeof *s->in_layouts);
	return s->name && s->in && s->out && s->in_types && s->out_types && s->in_layouts ? OG_OK : base_no_memory();
}

static og_status push_step(lowering *l, const plan_step *s)
{
	og_plan *p = l->p;
	plan_step *grown = arena_grow(p->a, p->steps, (size_t)p->n_steps, &l->cap_steps, (size_t)p->n_steps + 1, sizeof *grown);
	NEED(grown);
	p->steps = grown;
	plan_step *to = &grown[p->n_steps];
	*to = *s;
	for (int k = 0; k < s->n_in; k++)
		if (s->in[k] >= 0) to->bytes += (double)p->values[s->in[k]].bytes;
	for (int k = 0; k < s->n_out; k++)
		if (s->out[k] >= 0) to->bytes += (double)p->values[s->out[k]].bytes;
	p->n_steps++;
	return OG_OK;
}

og_status lower_reorder(lowering *l, int from, int to)
{
	og_plan *p = l->p;
	plan_step s;
	TRY(lower_step_alloc(p, &s, p->values[from].name, 1, 1));
	s.label = "reorder";
	s.in[0] = from;
	s.out[0] = to;
	s.in_types[0] = p->values[from].type;
	s.out_types[0] = p->values[to].type;
	s.in_layouts[0] = p->values[from].layout;
	s.out_layout = p->values[to].layout;
	TRY(plan_prepare(p, &s, NULL));
	return push_step(l, &s);
}

/* Puts the inputs into the layouts that the kernel wants, and the outputs into the one that it makes. */
static og_status settle_layouts(lowering *l, plan_step *s)
{
	og_plan *p = l->p;
	for (int k = 0; k < s->n_in; k++) {
		backend_layout want = plan_wanted(s, k);
		if (s->in[k] < 0) continue;
		if (want != LAYOUT_PLAIN && s->tail && k >= s->n_anchor_in) TRY(lower_extend(l, &s->in[k], s->out_types[0].rank));
		TRY(lower_value_in(l, &s->in[k], s->in[k], want));
		const plan_value *v = &p->values[s->in[k]];
		bool packed = k < 32 && s->kernel.packs_input >> k & 1;
		s->in_types[k] = v->type;
		if (packed) s->in_types[k].data = NULL;
		s->in_layouts[k] = v->layout;
	}
	s->out_layout = s->kernel.out_layout;
	for (int k = 0; k < s->n_out; k++) {
		if (s->out[k] < 0 || s->out_layout == LAYOUT_PLAIN) continue;
		int v = s->out[k], *in = l->same[v].in;
		if (p->values[v].place == PLAN_OUTPUT) {         /* the caller's buffer is plain: copied from here behind the step */
			TRY(lower_add_value(l, &s->out[k], p->values[v].name, &p->values[v].type, PLAN_ARENA));
			in = l->same[v].in;
			l->same[s->out[k]].first = v;
		} else {
			in[LAYOUT_PLAIN] = -1;
		}
		in[s->out_layout] = s->out[k];
		TRY(lower_set_layout(p, &p->values[s->out[k]], s->out_layout));
	}
	return OG_OK;
}

og_status lower_step_finish(lowering *l, plan_step *s, const tactics_readers *readers)
{
	og_plan *p = l->p;
	for (int k = 0; k < s->n_out; k++)
		if (s->out[k] >= 0) s->out_types[k] = p->values[s->out[k]].type;
	TRY(settle_constants(l, s, readers));
	TRY(settle_layouts(l, s));
	TRY(push_step(l, s));
	for (int k = 0; k < s->n_out; k++) {
		int first = s->out[k] < 0 ? -1 : l->same[s->out[k]].first;
		if (first >= 0 && first != s->out[k]) TRY(lower_reorder(l, s->out[k], first));
	}
	return OG_OK;
}
