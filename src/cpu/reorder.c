/* reorder.c -- from one layout to another. */
#include "cpu/cpu.h"

/* A tensor as [outer][cut][inner], the axis that the layout cuts in the middle. */
typedef struct reorder {
	int64_t outer, cut, inner;
	int lanes;
	bool blocks;                         /* into blocks, else out of them */
	int slots;
} reorder;

typedef struct reorder_run { const reorder *r; const backend_run *run; } reorder_run;

/* Task: one block of one outer index. Entries that are not there are left undefined. */
static void reorder_task(void *arg, int64_t task, int slot)
{
	const reorder_run *run = arg;
	const reorder *r = run->r;
	int64_t blocks = (r->cut + r->lanes - 1) / r->lanes, block = task % blocks, outer = task / blocks;
	int64_t there = r->cut - block * r->lanes < r->lanes ? r->cut - block * r->lanes : r->lanes;
	int64_t plain = (outer * r->cut + block * r->lanes) * r->inner, blocked = task * r->inner * r->lanes;
	const float *x = (const float *)run->run->in[0]->data + (r->blocks ? plain : blocked);
	float *y = (float *)run->run->out[0]->data + (r->blocks ? blocked : plain);
	(void)slot;
	for (int64_t lane = 0; lane < there; lane++)
		for (int64_t i = 0; i < r->inner; i++) {
			if (r->blocks) y[i * r->lanes + lane] = x[lane * r->inner + i];
			else y[lane * r->inner + i] = x[i * r->lanes + lane];
		}
}

static og_status reorder_execute(const backend_kernel *k, const backend_run *run)
{
	const reorder *r = k->state;
	int64_t tasks = r->outer * ((r->cut + r->lanes - 1) / r->lanes);
	cpu_tasks(run->threads, r->slots, tasks, reorder_task, &(reorder_run){ r, run });
	return OG_OK;
}

og_status cpu_reorder(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	if (node->op || node->tail || !cpu_is_tactic(r, "reorder")) return OG_NO;
	backend_layout from = cpu_in_layout(node, 0), to = node->out_layout;
	const og_tensor *t = &node->in[0];
	int axis = layout_axis(t, from == LAYOUT_PLAIN ? to : from);
	if ((from != LAYOUT_PLAIN) == (to != LAYOUT_PLAIN) || axis < 0 || t->dtype != OG_F32) return OG_NO;
	reorder *s = arena_alloc(r->a, sizeof *s);
	const backend_layout *layouts = cpu_layouts(r, from, LAYOUT_PLAIN);
	NEED(s && layouts);
	*s = (reorder){ .outer = og_span(t, 0, axis), .cut = t->dims[axis], .inner = og_span(t, axis + 1, t->rank),
	                .lanes = r->kernels->lanes, .blocks = from == LAYOUT_PLAIN };
	double bytes = 4.0 * (double)og_count(t);
	s->slots = cpu_slots(bytes, r->threads);
	*out = (backend_kernel){ .tactic = r->tactic, .run = reorder_execute, .state = s, .in_layout = layouts, .out_layout = to,
	                         .per_sample = true, .cost = bytes * CPU_NS_PER_MOVED_BYTE / s->slots };
	return OG_OK;
}
