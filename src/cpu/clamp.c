/* clamp.c -- tails that a kernel does in registers before it stores: what Relu and Clip do, or nothing. */
#include <math.h>

#include "cpu/cpu.h"

/* The number that register k holds all over; false: it does not, or is not known. */
static bool is_number(float *out, const backend_node *n, int k)
{
	const program *p = n->tail;
	if (k >= p->n_operands || p->operand[k] < 0) return false;
	const og_tensor *t = &n->in[p->operand[k]];
	if (t->dtype != OG_F32 || og_count(t) != 1 || !t->data) return false;
	*out = *(const float *)t->data;
	return true;
}

bool cpu_clamp(const backend_node *n, float *low, float *high)
{
	const program *p = n->tail;
	*low = -INFINITY;
	*high = INFINITY;
	if (!p) return true;
	const program_step *s = &p->step[0];
	if (p->n_steps != 1 || s->out != p->result || s->in[0] >= p->n_operands || p->operand[s->in[0]] >= 0 || s->op->domain) return false;
	if (!strcmp(s->op->name, "Relu")) {
		*low = 0.0f;
		return true;
	}
	float bounds[2];
	if (strcmp(s->op->name, "Clip") || s->op->map_inputs != 3 || !is_number(&bounds[0], n, s->in[1]) || !is_number(&bounds[1], n, s->in[2])) return false;
	*low = bounds[0];
	*high = bounds[1];
	return true;
}
