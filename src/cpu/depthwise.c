/* depthwise.c -- float32 convolutions whose every channel has a kernel of its own, on values that lie in blocks.
 *
 * A block of memory is [height][width][lanes], whichever axis the layout cuts, so one kernel serves both: weights are packed
 * as a vector for each tap, of a block's channels when these are the lanes, else of one channel's weight in all of them.
 * A task takes some rows of a block at a time, and the tail runs over them while they are in L1. */
#include "cpu/cpu.h"
#include "ops/window.h"

enum { GROUP = WINDOW_OWN_ATTRS, TAIL_FLOATS = 4096, TASKS = 16 };

typedef struct depthwise {
	window w;                            /* axis 0 has size 1 */
	int64_t blocks, kinds;               /* of memory; of weights, which follow each other in turn */
	int64_t channels, rows, parts;       /* rows: of windows, of a part of a block; parts of a block */
	int64_t task;                        /* parts of a task */
	int64_t in_block, out_block;         /* floats */
	int lanes;
	bool splat;                          /* the lanes are samples */
	const float *weights, *bias;         /* for packing; bias NULL: 0 */
	float low, high;                     /* bounds of what is stored */
	const cpu_strips *tail;
	const cpu_kernels *kernels;
	int slots;
} depthwise;

typedef struct depthwise_run { const depthwise *d; const backend_run *run; } depthwise_run;

static int64_t taps_of(const depthwise *d) { return d->w.kernel[1] * d->w.kernel[2]; }

/* [kinds][bounds, bias, taps][lanes]; lanes without a channel are 0. */
static og_status depthwise_pack(const backend_kernel *k, void *packed)
{
	const depthwise *d = k->state;
	int64_t taps = taps_of(d);
	float *to = packed;
	for (int64_t kind = 0; kind < d->kinds; kind++, to += (CPU_DEPTHWISE_HEAD + taps) * d->lanes)
		for (int lane = 0; lane < d->lanes; lane++) {
			int64_t c = d->splat ? kind : kind * d->lanes + lane;
			bool there = c < d->channels;
			to[lane] = d->low;
			to[d->lanes + lane] = d->high;
			to[2 * d->lanes + lane] = there && d->bias ? d->bias[c] : 0.0f;
			for (int64_t tap = 0; tap < taps; tap++) to[(CPU_DEPTHWISE_HEAD + tap) * d->lanes + lane] = there ? d->weights[c * taps + tap] : 0.0f;
		}
	return OG_OK;
}

static void make_part(const depthwise_run *r, int64_t part, float *buffers)
{
	const depthwise *d = r->d;
	int64_t block = part / d->parts, from = part % d->parts * d->rows, row = d->w.out[2] * d->lanes;
	int64_t to = from + d->rows < d->w.out[1] ? from + d->rows : d->w.out[1], at = block * d->out_block + from * row;
	const float *x = (const float *)r->run->in[0]->data + block * d->in_block;
	const float *weights = (const float *)r->run->packed + block % d->kinds * (CPU_DEPTHWISE_HEAD + taps_of(d)) * d->lanes;
	float *y = (float *)r->run->out[0]->data + at;
	for (int64_t i = from; i < to; i++) d->kernels->depthwise(&d->w, x, weights, i, y + (i - from) * row);
	if (d->tail) cpu_strips_run(d->tail, r->run->in, at, (to - from) * row, y, buffers);
}

static void depthwise_task(void *arg, int64_t task, int slot)
{
	const depthwise_run *r = arg;
	const depthwise *d = r->d;
	int64_t from = task * d->task, all = d->blocks * d->parts, to = from + d->task < all ? from + d->task : all;
	float *buffers = (float *)((char *)r->run->workspace + (size_t)slot * cpu_strips_bytes(d->tail));
	if (d->tail) cpu_strips_begin(d->tail, r->run->in, buffers);
	for (int64_t part = from; part < to; part++) make_part(r, part, buffers);
}

static og_status depthwise_execute(const backend_kernel *k, const backend_run *run)
{
	const depthwise *d = k->state;
	int64_t tasks = (d->blocks * d->parts + d->task - 1) / d->task;
	cpu_tasks(run->threads, d->slots, tasks, depthwise_task, &(depthwise_run){ d, run });
	return OG_OK;
}

static bool serves(const cpu_request *r, backend_layout layout)
{
	const backend_node *node = r->node;
	if (!cpu_is_tactic(r, "conv.depthwise") || !cpu_is(node, "Conv") || node->in[0].rank > 4 || !cpu_is_constant(r, 1)) return false;
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	return node->attr[GROUP].i == x->dims[1] && weights->dims[0] == x->dims[1] && (!cpu_has(node, 2) || cpu_is_constant(r, 2)) &&
	       layout_axis(x, layout) >= 0 && og_count(x) && og_count(node->out);
}

og_status cpu_depthwise(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	backend_layout layout = node->n_in && layout_of_input(node, 0) == LAYOUT_SAMPLES ? LAYOUT_SAMPLES : LAYOUT_CHANNELS;
	if (!serves(r, layout)) return OG_NO;
	const og_tensor *x = &node->in[0];
	og_tensor in, made;
	const int lanes = r->kernels->lanes;
	layout_dims(&in, x, layout, lanes);
	layout_dims(&made, node->out, layout, lanes);
	depthwise *d = arena_alloc(r->a, sizeof *d);
	const backend_layout *layouts = layout_wanted(r->a, r->node, layout, layout);
	NEED(d && layouts);
	*d = (depthwise){ .channels = x->dims[1], .blocks = in.dims[0] * in.dims[1], .kinds = in.dims[1],
	                  .in_block = og_span(&in, 2, in.rank), .out_block = og_span(&made, 2, made.rank), .lanes = lanes,
	                  .splat = layout == LAYOUT_SAMPLES, .weights = node->in[1].data,
	                  .bias = cpu_has(node, 2) ? node->in[2].data : NULL, .kernels = r->kernels };
	window_of(&d->w, node->attr, x, node->out, &node->in[1]);
	if (!cpu_clamp(node, &d->low, &d->high)) TRY(cpu_strips_make(&d->tail, r, layout));
	int64_t row = d->w.out[2] * lanes;
	d->rows = row < TAIL_FLOATS ? TAIL_FLOATS / row : 1;
	d->parts = (d->w.out[1] + d->rows - 1) / d->rows;
	double work = (double)og_count(&made) * (double)taps_of(d);
	d->slots = cpu_slots(work, r->threads);
	d->task = d->blocks * d->parts / (TASKS * d->slots) + 1;
	*out = (backend_kernel){ .tactic = r->tactic, .run = depthwise_execute, .pack = depthwise_pack, .state = d,
	                         .packs_input = 1u << 1 | (cpu_has(node, 2) ? 1u << 2 : 0), .in_layout = layouts, .out_layout = layout,
	                         .per_sample = true, .flops = 2.0 * (double)og_count(node->out) * (double)taps_of(d),
	                         .workspace_bytes = cpu_strips_bytes(d->tail) * (size_t)d->slots,
	                         .cost = cpu_cost(r->kernels, 2.0 * work, 0.9, d->slots) };
	size_t vector = (size_t)lanes * sizeof(float);
	if (!base_mul(vector, (size_t)d->kinds, &out->packed_bytes) ||
	    !base_mul(out->packed_bytes, CPU_DEPTHWISE_HEAD + (size_t)taps_of(d), &out->packed_bytes))
		return base_fail(OG_UNSUPPORTED, "node '%s': its weights are too large to be packed", node->name);
	return OG_OK;
}
