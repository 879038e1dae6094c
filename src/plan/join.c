/* join.c -- two steps, of which the second alone reads what the first makes, become one where the backend has a kernel for that. */
#include "plan/lowering.h"

/* Types of what a step that is not finished yet reads and makes. */
static void settle_types(const og_plan *p, const plan_step *s)
{
	for (int k = 0; k < s->n_in; k++)
		if (s->in[k] >= 0) s->in_types[k] = p->values[s->in[k]].type;
	for (int k = 0; k < s->n_out; k++)
		if (s->out[k] >= 0) s->out_types[k] = p->values[s->out[k]].type;
}

og_status lower_join(lowering *l, plan_step *second, const plan_step *first, bool *done)
{
	og_plan *p = l->p;
	*done = false;
	if (l->apart || !p->backend->joins || l->inputs == LAYOUT_SAMPLES || first->parts || second->parts) return OG_OK;
	if ((!first->op && !first->tail) || !second->op || first->n_out != 1 || second->n_out != 1 || second->in[0] != first->out[0]) return OG_OK;
	settle_types(p, first);
	settle_types(p, second);
	backend_node *parts = arena_array(p->a, 2, sizeof *parts);
	NEED(parts);
	plan_step_node(&parts[0], first);
	plan_step_node(&parts[1], second);
	if (!p->backend->joins(&parts[0], &parts[1])) return OG_OK;
	plan_step s;
	TRY(lower_step_alloc(p, &s, second->name, first->n_in + second->n_in, 1));
	s.label = arena_printf(p->a, "%s, %s", first->label, second->label);
	NEED(s.label);
	s.parts = parts;
	s.out[0] = second->out[0];
	memcpy(s.in, first->in, (size_t)first->n_in * sizeof *s.in);
	memcpy(s.in + first->n_in, second->in, (size_t)second->n_in * sizeof *s.in);
	s.in[first->n_in] = -1;
	s.in_types[first->n_in] = first->out_types[0];
	p->values[first->out[0]].place = PLAN_NOWHERE;
	for (int k = 0; k < 2; k++) {
		parts[k].in = NULL;
		parts[k].in_layout = NULL;
	}
	*second = s;
	*done = true;
	return OG_OK;
}
