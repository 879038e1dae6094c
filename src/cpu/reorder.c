/* reorder.c -- from one layout to another. */
#include "cpu/cpu.h"

enum { STRETCH = 4096 };                 /* positions of a task: vectors of 16 lanes take 256 KB */

/* A tensor as [outer][cut][inner], the axis that the layout cuts in the middle. */
typedef struct reorder {
	int64_t outer, cut, inner;
	const cpu_kernels *kernels;
	bool blocks;                         /* into blocks, else out of them */
	int slots;
} reorder;

typedef struct reorder_run { const reorder *r; const backend_run *run; } reorder_run;


/* Task: a stretch of one block of one outer index. */
static void reorder_task(void *arg, int64_t task, int slot)
{
	const reorder_run *run = arg;
	const reorder *r = run->r;
	int64_t lanes = r->kernels->lanes, stretches = cpu_ceil_div(r->inner, STRETCH), blocks = cpu_ceil_div(r->cut, lanes);
	int64_t at = task % stretches * STRETCH, outer = task / stretches / blocks, block = task / stretches % blocks;
	int64_t n = r->inner - at < STRETCH ? r->inner - at : STRETCH, rows = r->cut - block * lanes;
	int64_t plain = (outer * r->cut + block * lanes) * r->inner + at;
	int64_t blocked = ((outer * blocks + block) * r->inner + at) * lanes;
	const float *x = run->run->in[0]->data;
	float *y = run->run->out[0]->data;
	if (rows > lanes) rows = lanes;
	if (r->blocks) r->kernels->to_lanes(x + plain, r->inner, (int)rows, n, y + blocked);
	else r->kernels->from_lanes(x + blocked, r->inner, (int)rows, n, y + plain);
	(void)slot;
}

static og_status reorder_execute(const backend_kernel *k, const backend_run *run)
{
	const reorder *r = k->state;
	int64_t tasks = r->outer * cpu_ceil_div(r->cut, r->kernels->lanes) * cpu_ceil_div(r->inner, STRETCH);
	cpu_tasks(run->threads, r->slots, tasks, reorder_task, &(reorder_run){ r, run });
	return OG_OK;
}

og_status cpu_reorder(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	if (node->op || node->tail || !cpu_is_tactic(r, "reorder")) return OG_NO;
	backend_layout from = layout_of_input(node, 0), to = node->out_layout;
	const og_tensor *t = &node->in[0];
	int axis = layout_axis(t, from == LAYOUT_PLAIN ? to : from);
	if ((from != LAYOUT_PLAIN) == (to != LAYOUT_PLAIN) || axis < 0 || t->dtype != OG_F32) return OG_NO;
	reorder *s = arena_alloc(r->a, sizeof *s);
	const backend_layout *layouts = layout_wanted(r->a, r->node, from, LAYOUT_PLAIN);
	NEED(s && layouts);
	*s = (reorder){ .outer = og_span(t, 0, axis), .cut = t->dims[axis], .inner = og_span(t, axis + 1, t->rank),
	                .kernels = r->kernels, .blocks = from == LAYOUT_PLAIN };
	double bytes = 4.0 * (double)og_count(t);
	s->slots = cpu_slots(bytes, r->threads);
	*out = (backend_kernel){ .tactic = r->tactic, .run = reorder_execute, .state = s, .in_layout = layouts, .out_layout = to,
	                         .per_sample = true, .cost = bytes * CPU_NS_PER_MOVED_BYTE / s->slots };
	return OG_OK;
}
