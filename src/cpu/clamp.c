/* clamp.c -- what of a tail a kernel does in registers before it stores: a sum with a residual, what Relu and Clip do. */
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

/* ---- the beginning of a tail ----------------------------------------------------------------- */

/* True when the first step adds an operand of the output's shape to the anchor's output, which nothing else reads. *rest: the other
 * steps, on the sum as if the anchor had made it. */
static bool split_add(const backend_node *node, int *operand, program *rest)
{
	const program *p = node->tail;
	const program_step *s = &p->step[0];
	if (p->n_steps == 0 || s->op->domain || strcmp(s->op->name, "Add") || s->in[0] == s->in[1]) return false;
	int side = s->in[0] < p->n_operands && p->operand[s->in[0]] < 0 ? 0 : 1, y = s->in[side], other = s->in[1 - side];
	if (y >= p->n_operands || other >= p->n_operands || p->operand[y] >= 0 || p->operand[other] < 0) return false;
	const og_tensor *t = &node->in[p->operand[other]];
	if (t->dtype != OG_F32 || t->rank != node->out->rank || memcmp(t->dims, node->out->dims, (size_t)t->rank * sizeof *t->dims))
		return false;
	*rest = *p;
	rest->n_steps--;
	int sum = s->out;                    /* the register that holds it, until another step takes that */
	for (int i = 0; i < rest->n_steps; i++) {
		program_step *to = &rest->step[i];
		*to = p->step[i + 1];
		for (int k = 0; k < to->op->map_inputs; k++) {
			if (to->in[k] == y && s->out != y) return false;
			if (to->in[k] == sum) to->in[k] = (uint8_t)y;
		}
		if (to->out == y && s->out != y) return false;
		if (to->out == sum) sum = y;
	}
	if (rest->result == y && s->out != y) return false;
	if (rest->result == sum) rest->result = (uint8_t)y;
	*operand = p->operand[other];
	return true;
}

og_status cpu_ending_make(cpu_ending *e, const cpu_request *r, backend_layout layout)
{
	backend_node node = *r->node;
	cpu_request rest = *r;
	program *tail = arena_alloc(r->a, sizeof *tail);
	NEED(tail);
	*e = (cpu_ending){ .add = -1, .low = -INFINITY, .high = INFINITY };
	if (node.tail && split_add(&node, &e->add, tail)) node.tail = tail->n_steps ? tail : NULL;
	if (cpu_clamp(&node, &e->low, &e->high)) node.tail = NULL;
	if (e->add >= 0 || isfinite(e->low) || isfinite(e->high)) e->first = r->kernels->end;
	rest.node = &node;
	return cpu_strips_make(&e->tail, &rest, layout);
}

void cpu_ending_run(const cpu_ending *e, const og_tensor *const *in, int64_t at, int64_t n, float *y, float *buffers)
{
	const float *add = cpu_ending_add(e, in);
	if (e->first) e->first(y, add ? add + at : NULL, n, e->low, e->high);
	if (e->tail) cpu_strips_run(e->tail, in, at, n, y, buffers);
}
