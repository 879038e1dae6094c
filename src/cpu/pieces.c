/* pieces.c -- Concat and Split of values that lie in blocks: in memory, too, pieces that follow each other along an axis.
 * Along the axis that the layout cuts into blocks, each piece but the last has to be whole blocks. */
#include "cpu/cpu.h"

enum { TASK_FLOATS = 1 << 14 };

/* Memory is [outer][run] of the whole, and [outer][own run] of each piece. */
typedef struct pieces {
	bool join;                           /* the pieces are the inputs, else the outputs */
	int n;
	const int64_t *start;                /* [n + 1]: where in a run of the whole each piece begins, in floats */
	int64_t outer, run;
	int slots;
} pieces;

typedef struct pieces_run { const pieces *p; const backend_run *run; } pieces_run;

static void pieces_task(void *arg, int64_t task, int slot)
{
	const pieces_run *r = arg;
	const pieces *p = r->p;
	int64_t at = task * TASK_FLOATS, end = at + TASK_FLOATS < p->outer * p->run ? at + TASK_FLOATS : p->outer * p->run;
	(void)slot;
	for (int64_t n; at < end; at += n) {
		int64_t outer = at / p->run, in_run = at % p->run;
		int k = 0;
		while (p->start[k + 1] <= in_run) k++;
		n = p->start[k + 1] - in_run < end - at ? p->start[k + 1] - in_run : end - at;
		int64_t in_piece = outer * (p->start[k + 1] - p->start[k]) + in_run - p->start[k];
		size_t bytes = (size_t)n * sizeof(float);
		if (p->join) memcpy((float *)r->run->out[0]->data + at, (const float *)r->run->in[k]->data + in_piece, bytes);
		else memcpy((float *)r->run->out[k]->data + in_piece, (const float *)r->run->in[0]->data + at, bytes);
	}
}

static og_status pieces_execute(const backend_kernel *k, const backend_run *run)
{
	const pieces *p = k->state;
	int64_t tasks = (p->outer * p->run + TASK_FLOATS - 1) / TASK_FLOATS;
	cpu_tasks(run->threads, p->slots, tasks, pieces_task, &(pieces_run){ p, run });
	return OG_OK;
}

/* Every piece can be cut out of the whole in memory. */
static bool fits(const og_tensor *whole, const og_tensor *piece, int n, int axis, backend_layout layout, int lanes)
{
	int cut = layout_axis(whole, layout);
	if (cut < 0 || og_count(whole) == 0 || whole->dtype != OG_F32) return false;
	for (int k = 0; k < n; k++) {
		if (piece[k].dtype != OG_F32 || layout_axis(&piece[k], layout) != cut) return false;
		if (axis == cut && k < n - 1 && piece[k].dims[cut] % lanes) return false;
	}
	return true;
}

og_status cpu_pieces(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	bool join = node->op && !node->op->domain && !strcmp(node->op->name, "Concat");
	bool split = node->op && !node->op->domain && !strcmp(node->op->name, "Split");
	backend_layout layout = LAYOUT_PLAIN;
	const int lanes = r->kernels->lanes;
	if (!cpu_is_tactic(r, "pieces.lanes") || node->tail || (!join && !split)) return OG_NO;
	for (int k = 0; k < (join ? node->n_in : 1) && layout == LAYOUT_PLAIN; k++) layout = layout_of_input(node, k);
	const og_tensor *whole = join ? node->out : node->in, *piece = join ? node->in : node->out;
	int n = join ? node->n_in : node->n_out, axis = og_axis(node->attr[0].i, whole->rank);
	if (layout == LAYOUT_PLAIN || axis < 0 || !fits(whole, piece, n, axis, layout, lanes)) return OG_NO;
	pieces *p = arena_alloc(r->a, sizeof *p);
	int64_t *start = arena_array(r->a, (size_t)n + 1, sizeof *start);
	backend_layout *layouts = arena_array(r->a, (size_t)node->n_in + 1, sizeof *layouts);
	NEED(p && start && layouts);
	for (int k = 0; k < (join ? n : 1); k++) layouts[k] = layout;
	for (int k = 0; k < n; k++) {
		og_tensor memory;
		layout_dims(&memory, &piece[k], layout, lanes);
		start[k + 1] = start[k] + og_span(&memory, axis, memory.rank);
	}
	og_tensor memory;
	layout_dims(&memory, whole, layout, lanes);
	*p = (pieces){ .join = join, .n = n, .start = start, .outer = og_span(&memory, 0, axis), .run = og_span(&memory, axis, memory.rank) };
	double bytes = (double)og_count(&memory) * sizeof(float);
	p->slots = cpu_slots(bytes, r->threads);
	*out = (backend_kernel){ .tactic = r->tactic, .run = pieces_execute, .state = p, .in_layout = layouts, .out_layout = layout,
	                         .per_sample = axis > 0, .cost = bytes * CPU_NS_PER_MOVED_BYTE / p->slots };
	return OG_OK;
}
