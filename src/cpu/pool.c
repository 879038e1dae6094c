/* pool.c -- pools of values that lie in blocks.
 *
 * By channels and by samples alike, memory is [outer][spatial axes][lanes] and every lane is pooled on its own, so one
 * kernel serves both. Means have the bits that the ops' own kernels give them: sums are taken in the same order. */
#include <math.h>

#include "cpu/cpu.h"
#include "ops/pool.h"

enum { TASK_CELLS = 1 << 13, INCLUDE_PAD = POOL_OWN_ATTRS };

typedef struct pooling {
	cpu_pool pool;
	bool whole;                          /* one window over all cells */
	const cpu_kernels *kernels;
	int64_t blocks, cells;               /* cells: of a block */
	int64_t rows, task;                  /* rows of windows in a block; rows, or whole blocks, of a task */
	int slots;
	size_t line_bytes;
} pooling;

typedef struct pooling_run { const pooling *p; const backend_run *run; } pooling_run;

/* ---- running -------------------------------------------------------------------------------- */

static void fold_task(void *arg, int64_t task, int slot)
{
	const pooling_run *r = arg;
	const pooling *p = r->p;
	const int lanes = p->kernels->lanes;
	int64_t end = (task + 1) * p->task < p->blocks ? (task + 1) * p->task : p->blocks;
	(void)slot;
	for (int64_t i = task * p->task; i < end; i++)
		p->kernels->fold(p->pool.max, (const float *)r->run->in[0]->data + i * p->cells * lanes, p->cells,
		                 (float *)r->run->out[0]->data + i * lanes);
}

static void windows_task(void *arg, int64_t task, int slot)
{
	const pooling_run *r = arg;
	const pooling *p = r->p;
	const window *w = &p->pool.w;
	const int lanes = p->kernels->lanes;
	int64_t all = p->blocks * p->rows, end = (task + 1) * p->task < all ? (task + 1) * p->task : all;
	float *line = (float *)((char *)r->run->workspace + (size_t)slot * p->line_bytes);
	for (int64_t i = task * p->task; i < end; i++) {
		const float *x = (const float *)r->run->in[0]->data + i / p->rows * p->cells * lanes;
		float *y = (float *)r->run->out[0]->data + i * w->out[2] * lanes;
		p->kernels->pool(&p->pool, x, i % p->rows / w->out[1], i % w->out[1], line, y);
	}
}

static og_status pool_execute(const backend_kernel *k, const backend_run *run)
{
	const pooling *p = k->state;
	int64_t all = p->whole ? p->blocks : p->blocks * p->rows;
	cpu_tasks(run->threads, p->slots, (all + p->task - 1) / p->task, p->whole ? fold_task : windows_task,
	          &(pooling_run){ p, run });
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

/* ReduceMean over all spatial axes: GlobalAveragePool by another name. */
static bool is_spatial_mean(const backend_node *node)
{
	const og_tensor *x = &node->in[0];
	if (!node->op || node->op->domain || strcmp(node->op->name, "ReduceMean") || x->dtype != OG_F32 || x->rank < 3) return false;
	bool constant = node->n_anchor_in > 1 && node->in[1].dtype != OG_NONE;
	if (constant && !node->in[1].data) return false;
	const og_tensor *in[2] = { x, constant ? &node->in[1] : NULL };
	og_call call = { .op = node->op, .attr = node->attr, .n_in = node->n_anchor_in, .in = in };
	return reduce_mask(&call) == reduce_spatial(&call);
}

/* What the node is, if it is any of these. */
static bool pool_kind(pooling *p, const backend_node *node)
{
	bool max = cpu_is(node, "MaxPool"), mean = cpu_is(node, "AveragePool");
	p->pool.max = max || cpu_is(node, "GlobalMaxPool");
	p->whole = !max && !mean;
	if (node->n_out > 1 && node->out[1].dtype != OG_NONE) return false;
	if (!p->whole) p->pool.padding = mean && node->attr[INCLUDE_PAD].i;
	return max || mean || p->pool.max || cpu_is(node, "GlobalAveragePool") || is_spatial_mean(node);
}

/* How many cells the mean of window o counts along an axis. */
static int64_t counted(const cpu_pool *p, int axis, int64_t o)
{
	int64_t from, to;
	window_taps(&p->w, axis, o, p->w.in[axis] + (p->padding ? p->w.end[axis] : 0), &from, &to);
	return p->padding ? to : to - from;
}

/* Where every window counts the same power of two, a product with its inverse has the same bits as the division. */
static og_status place_counts(cpu_pool *p, arena *a)
{
	const window *w = &p->w;
	int64_t all = w->kernel[0] * w->kernel[1] * w->kernel[2];
	bool same = (all & (all - 1)) == 0;
	for (int axis = 0; axis < WINDOW_AXES; axis++)
		for (int64_t o = 0; same && o < w->out[axis]; o++) same = counted(p, axis, o) == w->kernel[axis];
	p->scale = 1.0f / (float)all;
	if (same || p->max) return OG_OK;
	float *columns = arena_array(a, (size_t)w->out[2], sizeof *columns);
	NEED(columns);
	for (int64_t o = 0; o < w->out[2]; o++) columns[o] = (float)counted(p, 2, o);
	p->columns = columns;
	return OG_OK;
}

og_status cpu_pool_lanes(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	pooling kind = { .kernels = r->kernels };
	backend_layout layout = node->n_in ? layout_of_input(node, 0) : LAYOUT_PLAIN;
	if (layout == LAYOUT_PLAIN || node->tail || !cpu_is_tactic(r, "pool.lanes") || !pool_kind(&kind, node)) return OG_NO;
	const og_tensor *x = &node->in[0];
	int axis = layout_axis(x, layout);
	if (axis < 0 || axis != layout_axis(node->out, layout) || x->rank > 2 + WINDOW_AXES || !og_count(x) || !og_count(node->out))
		return OG_NO;
	pooling *p = arena_alloc(r->a, sizeof *p);
	const backend_layout *layouts = layout_wanted(r->a, r->node, layout, LAYOUT_PLAIN);
	NEED(p && layouts);
	*p = kind;
	og_tensor memory;
	layout_dims(&memory, x, layout, r->kernels->lanes);
	p->blocks = og_span(&memory, 0, 2);
	p->cells = og_span(x, 2, x->rank);
	int64_t cells = p->cells;                /* of a unit of work */
	if (!p->whole) {
		const window *w = &p->pool.w;
		window_of(&p->pool.w, node->attr, x, node->out, NULL);
		TRY(place_counts(&p->pool, r->a));
		p->rows = w->out[0] * w->out[1];
		p->line_bytes = (size_t)((w->out[2] - 1) * w->stride[2] + window_extent(w, 2)) * (size_t)r->kernels->lanes * sizeof(float);
		p->line_bytes = (p->line_bytes + 63) & ~(size_t)63;
		cells = (cells + p->rows - 1) / p->rows;
	}
	p->task = cells * r->kernels->lanes < TASK_CELLS ? TASK_CELLS / (cells * r->kernels->lanes) : 1;
	double floats = (double)og_count(&memory);
	p->slots = cpu_slots(floats * 2.0, r->threads);
	*out = (backend_kernel){ .tactic = r->tactic, .run = pool_execute, .state = p, .in_layout = layouts, .out_layout = layout,
	                         .per_sample = true, .workspace_bytes = p->line_bytes * (size_t)p->slots, .flops = floats,
	                         .cost = floats * sizeof(float) * 0.5 * CPU_NS_PER_MOVED_BYTE / p->slots };
	return OG_OK;
}
