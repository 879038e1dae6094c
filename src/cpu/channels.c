/* channels.c -- float32 convolutions over one or two axes, the lanes of a vector being output channels.
 *
 * A tile is a few windows that lie side by side, by one or two vectors of output channels. It is summed in registers
 * over all input channels and taps: each product takes a vector of weights, which are packed in the order in which
 * they are read, and one cell of the input for all lanes. Cells are read where they lie, by channels or plain, when
 * there is no padding and windows are a cell apart. Else the cells of a strip of windows are first laid out in a
 * buffer: for each remainder of the strides one plane, in which windows are a cell apart; or, where rows are too
 * short for a tile, for each tap along a row one plane, in which the rows of windows follow each other without a gap. */
#include <math.h>

#include "cpu/cpu.h"

enum { GROUP = WINDOW_OWN_ATTRS };
enum { STRIP_BYTES = 448 * 1024 };       /* of the input for a strip: with the weights of a block it stays in L2 */
enum { WEIGHT_WORK = 8 };                /* multiply-adds in the time of a weight coming from memory, where it is used once */
enum { TASKS_PER_SLOT = 8 };             /* where there is one at least, so that slots end at the same time */

typedef struct channels {
	const cpu_kernels *kernels;
	cpu_convolution of;                  /* its weights and bias for packing; a pointwise one has one row */
	bool blocked, copied, joined;        /* the input is by channels; goes through the buffer, where rows are one row */
	int x, scale, first;                 /* inputs: cells; numbers that weights are scaled by, or -1; where the convolution's own begin */
	bool half;                           /* the last output block has half the lanes at most, and there are tiles for that */
	int step;                            /* floats from a cell to the next */
	int64_t in_blocks, out_blocks;       /* of one group; plain: a block is one channel */
	int64_t packed_block;                /* floats of an output block's packed weights */
	int vectors;                         /* output blocks of a tile */
	const cpu_strips *tail;
	int64_t strip[2], strips[2];         /* rows and columns of windows in a strip, and strips */
	int64_t chunk, chunks;               /* output blocks in a task */
	window planes;                       /* how planes are made from the input */
	const ptrdiff_t *tap;
	ptrdiff_t line;                      /* floats from the cells of a row of windows to those of the next */
	int slots;
	size_t buffer_bytes, scaled_bytes, slot_bytes;
} channels;

/* Each slot has a header, planes, scaled weights, and buffers of the tail. */
typedef struct channels_slot { _Alignas(64) int64_t held; } channels_slot;       /* which strip's planes; -1: none */

typedef struct channels_run { const channels *c; const backend_run *run; } channels_run;

/* ---- running -------------------------------------------------------------------------------- */

/* A strip being run. */
typedef struct strip {
	const float *x;                      /* where its cells begin */
	ptrdiff_t block;                     /* from a block of input channels to the next */
	int64_t lines, n;                    /* runs of windows side by side, and windows in one */
	int64_t at;                          /* where it begins in an output block, in windows */
} strip;

/* Puts the cells of the strip with that number into the slot's planes, unless they are there. */
static const float *fill_planes(const channels *c, const window *planes, const float *x, int64_t number,
                                channels_slot *slot)
{
	float *buffer = (float *)(slot + 1);
	if (slot->held == number) return buffer;
	if (c->blocked) c->kernels->unfold_blocks(planes, x, c->in_blocks, buffer);
	else c->kernels->unfold(planes, x, c->in_blocks, buffer);
	slot->held = number;
	return buffer;
}

static strip open_strip(const channels *c, const float *x, int64_t at, int64_t number, channels_slot *slot)
{
	const window *w = &c->of.w;
	int64_t y = number / c->strips[1] % c->strips[0] * c->strip[0], column = number % c->strips[1] * c->strip[1];
	int64_t rows = cpu_lesser(w->out[1] - y, c->strip[0]), columns = cpu_lesser(w->out[2] - column, c->strip[1]);
	const float *image = x + at * c->in_blocks * c->of.in_plane * c->step;
	strip s = { .lines = rows, .n = columns, .at = y * w->out[2] + column, .block = c->of.in_plane * c->step };
	if (!c->copied) {
		s.x = image + (y * w->stride[1] * w->in[2] + column) * c->step;
		return s;
	}
	window planes = c->planes;
	planes.begin[1] -= y * w->stride[1];
	planes.begin[2] -= column * w->stride[2];
	s.x = fill_planes(c, &planes, image, number, slot);
	s.block = planes.kernel[1] * planes.kernel[2] * planes.out[1] * planes.out[2] * c->step;
	if (!c->joined) return s;
	s.n *= s.lines;
	s.lines = 1;
	return s;
}

/* The windows of a strip for output blocks [block, block + vectors) of all; y: the first of these; next: weights that follow. */
static void run_block(const channels_run *r, const strip *s, int64_t block, int vectors, const float *weights, const float *next, float *y,
                      float *tail_buffers)
{
	const channels *c = r->c;
	const int lanes = c->kernels->lanes, most = c->kernels->channels_sums / vectors;
	const int64_t tiles = (s->n + most - 1) / most, small = s->n / tiles, more = s->n % tiles;
	const int64_t enough = CPU_STRIP / lanes, all = s->lines * s->n;
	const bool half = c->half && (block + vectors) % c->out_blocks == 0;
	int64_t last = c->of.channels % lanes, from = 0, to = 0;
	cpu_channels_tile t = { .block = s->block, .blocks = c->in_blocks, .last = last && c->blocked ? (int)last : lanes,
	                        .tap = c->tap, .taps = c->of.w.kernel[1] * c->of.w.kernel[2], .weights = weights, .next = next,
	                        .y_vector = c->of.out_plane * lanes };
	/* the next block's weights, which come from afar, a part with each tile; the cells, which come from afar the first time. Weights
	 * of a single window are all that there is to read: what else would be fetched takes their place. */
	const bool single = all == 1;
	t.ahead = single ? 0 : (int)(lanes * vectors * lanes / CPU_CHANNELS_LINE / (tiles * s->lines));
	t.x_next = !single && !c->copied && t.taps == 1 && block % c->out_blocks == 0;
	const og_tensor *const *in = r->run->in + c->first;
	const float *other = c->tail ? cpu_strips_other(c->tail, in) : NULL;
	if (other) other += (block * c->of.out_plane + s->at) * lanes;
	for (int64_t line = 0; line < s->lines; line++) {
		t.x = s->x + line * c->line;
		for (int64_t k = 0; k < tiles; k++) {
			int64_t n = small + (k < more);
			t.y = y + to * lanes;
			t.y_next = t.y + n * lanes;
			t.other_next = other ? other + (to + n) * lanes : t.y_next;
			t.positions_next = c->blocked && !single ? (int)cpu_ceil_div(n, t.blocks * t.taps) : 0;
			(half ? c->kernels->channels_half : c->kernels->channels[c->blocked])[n][vectors](&t);
			t.x += n * c->step;
			t.next += t.ahead * t.blocks * t.taps * CPU_CHANNELS_LINE;
			to += n;
			if (!c->tail || (to - from < enough && to < all)) continue;
			for (int j = 0; j < vectors; j++)
				cpu_strips_run(c->tail, in, ((block + j) * c->of.out_plane + s->at + from) * lanes, (to - from) * lanes,
				               y + j * t.y_vector + from * lanes, tail_buffers);
			from = to;
		}
	}
}

static void channels_task(void *arg, int64_t task, int slot_number)
{
	const channels_run *r = arg;
	const channels *c = r->c;
	channels_slot *slot = (channels_slot *)((char *)r->run->workspace + (size_t)slot_number * c->slot_bytes);
	float *scaled = (float *)((char *)(slot + 1) + c->buffer_bytes), *tail_buffers = scaled + c->scaled_bytes / sizeof(float);
	int64_t number = task / c->chunks, at = number / c->strips[1] / c->strips[0];
	int64_t first = task % c->chunks * c->chunk, last = cpu_lesser(first + c->chunk, c->out_blocks);
	const float *scale = c->scale < 0 ? NULL : r->run->in[c->scale]->data;
	strip s = open_strip(c, r->run->in[c->x]->data, at, number, slot);
	if (c->tail) cpu_strips_begin(c->tail, r->run->in + c->first, tail_buffers);
	for (int64_t k = first; k < last; k += c->vectors) {
		int vectors = (int)cpu_lesser(last - k, c->vectors);
		int64_t block = at * c->out_blocks + k;
		const float *packed = (const float *)r->run->packed + (at % c->of.groups * c->out_blocks + k) * c->packed_block;
		float *y = (float *)r->run->out[0]->data + (block * c->of.out_plane + s.at) * c->kernels->lanes;
		const float *next = packed + vectors * c->packed_block;
		if (c->scale >= 0) {
			memcpy(scaled, packed, (size_t)(vectors * c->kernels->lanes) * sizeof *scaled);
			c->kernels->scale(packed + vectors * c->kernels->lanes, scale + at * c->in_blocks * c->step, c->of.channels, vectors,
			                  scaled + vectors * c->kernels->lanes);
			packed = scaled;
		}
		run_block(r, &s, block, vectors, packed, next, y, tail_buffers);
	}
}

static og_status channels_execute(const backend_kernel *k, const backend_run *run)
{
	const channels *c = k->state;
	for (int slot = 0; slot < c->slots; slot++)
		((channels_slot *)((char *)run->workspace + (size_t)slot * c->slot_bytes))->held = -1;
	int64_t tasks = c->of.images * c->of.groups * c->strips[0] * c->strips[1] * c->chunks;
	cpu_tasks(run->threads, c->slots, tasks, channels_task, &(channels_run){ c, run });
	return OG_OK;
}

/* The weights of `vectors` output blocks, as cpu_channels_tile has them, from that output on; there are `outputs` more. */
static void pack_tile(const channels *c, int64_t output, int64_t outputs, int vectors, float *to)
{
	const int lanes = c->kernels->lanes, width = c->blocked ? lanes : 1;
	const int64_t taps = c->of.w.kernel[1] * c->of.w.kernel[2], all = vectors * lanes;
	for (int64_t i = 0; i < all; i++) *to++ = c->of.bias && i < outputs ? c->of.bias[output + i] : 0.0f;
	for (int64_t b = 0; b < c->of.channels; b += width)
		for (int64_t tap = 0; tap < taps; tap++)
			for (int64_t k = b; k < b + width && k < c->of.channels; k++)
				for (int64_t i = 0; i < all; i++)
					*to++ = i < outputs ? c->of.weights[((output + i) * c->of.channels + k) * taps + tap] : 0.0f;
}

static og_status channels_pack(const backend_kernel *k, void *packed)
{
	const channels *c = k->state;
	const int lanes = c->kernels->lanes;
	float *to = packed;
	for (int64_t g = 0; g < c->of.groups; g++)
		for (int64_t b = 0; b < c->out_blocks; b += c->vectors) {
			int vectors = (int)cpu_lesser(c->out_blocks - b, c->vectors);
			pack_tile(c, g * c->of.outputs + b * lanes, c->of.outputs - b * lanes, vectors, to);
			to += vectors * c->packed_block;
		}
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

static void channels_of(channels *c, const cpu_request *r)
{
	const backend_node *node = r->node;
	window *w = &c->of.w;
	c->of = cpu_convolution_of(node);
	c->kernels = r->kernels;
	c->blocked = layout_of_input(node, 0) != LAYOUT_PLAIN && node->in[0].dims[1] > 1;
	c->step = c->blocked ? r->kernels->lanes : 1;
	c->in_blocks = cpu_ceil_div(c->of.channels, c->step);
	c->out_blocks = cpu_ceil_div(c->of.outputs, r->kernels->lanes);
	c->vectors = c->out_blocks > 1 ? CPU_CHANNELS_VECTORS : 1;
	const int64_t last = c->of.outputs % r->kernels->lanes;
	c->half = c->blocked && last && 2 * last <= r->kernels->lanes && r->kernels->channels_half[1][1];
	bool pad = w->begin[1] || w->begin[2] || w->end[1] || w->end[2];
	c->copied = pad || w->stride[2] > 1;
	if (c->copied || w->stride[1] > 1 || w->kernel[1] * w->kernel[2] > 1) return;
	w->in[2] = c->of.in_plane;
	w->out[2] = c->of.out_plane;
	w->in[1] = w->out[1] = 1;
}

/* How the buffer's planes are made, and where taps and rows lie there or in the input, for strips of so many windows. */
static void place_planes(channels *c, const int64_t size[2], ptrdiff_t *tap)
{
	const window *w = &c->of.w;
	window *p = &c->planes;
	int64_t extent[WINDOW_AXES] = { 1, window_extent(w, 1), window_extent(w, 2) };
	*p = *w;
	p->kernel[1] = cpu_lesser(w->stride[1], extent[1]);
	p->dilation[1] = 1;
	p->out[1] = cpu_ceil_div((size[0] - 1) * w->stride[1] + extent[1], w->stride[1]);
	p->out[2] = size[1];
	if (!c->joined) {
		p->kernel[2] = cpu_lesser(w->stride[2], extent[2]);
		p->dilation[2] = 1;
		p->out[2] = cpu_ceil_div((size[1] - 1) * w->stride[2] + extent[2], w->stride[2]);
	}
	c->line = c->copied ? p->out[2] * c->step : w->stride[1] * w->in[2] * c->step;
	for (int64_t k = 0; tap && k < w->kernel[1] * w->kernel[2]; k++) {
		int64_t kx = k % w->kernel[2], y = k / w->kernel[2] * w->dilation[1], x = kx * w->dilation[2];
		if (!c->copied) {
			tap[k] = (y * w->in[2] + x) * c->step;
			continue;
		}
		int64_t plane = y % w->stride[1] * p->kernel[2] + (c->joined ? kx : x % w->stride[2]);
		int64_t cell = y / w->stride[1] * p->out[2] + (c->joined ? 0 : x / w->stride[2]);
		tap[k] = (plane * p->out[1] * p->out[2] + cell) * c->step;
	}
}

/* Bytes of input that a strip reads: in the buffer, or where they lie. */
static double strip_bytes(channels *c, int64_t rows, int64_t columns)
{
	const window *w = &c->of.w, *p = &c->planes;
	double cells = (double)((rows - 1) * w->stride[1] + window_extent(w, 1)) *
	               (double)((columns - 1) * w->stride[2] + window_extent(w, 2));
	if (c->copied) {
		place_planes(c, (int64_t[]){ rows, columns }, NULL);
		cells = (double)(p->kernel[1] * p->kernel[2]) * (double)p->out[1] * (double)p->out[2];
	}
	return cells * (double)(c->in_blocks * c->step) * sizeof(float);
}

/* Cuts windows into strips and output blocks into chunks: strips that stay in L2, tasks enough for the slots. */
static void plan_tasks(channels *c)
{
	const window *w = &c->of.w;
	int axis = w->out[1] > 1 ? 0 : 1;
	int64_t all = w->out[axis + 1], tile = c->kernels->channels_sums / c->vectors, unit = axis ? tile : 1;
	int64_t tasks = c->slots > 1 ? TASKS_PER_SLOT * c->slots : 1, outer = c->of.images * c->of.groups;
	int64_t groups = cpu_ceil_div(c->out_blocks, c->vectors), most = cpu_ceil_div(all, unit);
	double n = strip_bytes(c, w->out[1], w->out[2]) / STRIP_BYTES;
	double wanted = (double)tasks / ((double)outer * (double)groups);
	if (n < wanted) n = wanted;
	int64_t strips = n < (double)most ? (int64_t)ceil(n) : most;
	c->strip[0] = w->out[1];
	c->strip[1] = w->out[2];
	c->strip[axis] = cpu_ceil_div(most, strips) * unit;
	c->strips[axis] = cpu_ceil_div(all, c->strip[axis]);
	c->strips[1 - axis] = 1;
	c->chunks = cpu_lesser(groups, cpu_ceil_div(tasks, outer * c->strips[axis]));
	c->chunk = cpu_ceil_div(groups, c->chunks) * c->vectors;
	c->chunks = cpu_ceil_div(c->out_blocks, c->chunk);
}

/* x, scale, first: as in `channels`. */
static og_status prepare_channels(backend_kernel *out, const cpu_request *r, int x, int scale, int first)
{
	const backend_node *node = r->node;
	const int lanes = r->kernels->lanes;
	if (!cpu_is(node, "Conv") || node->in[0].rank > 4 || !r->kernels->channels_sums) return OG_NO;
	if (!cpu_is_constant(r, 1) || (cpu_has(node, 2) && !cpu_is_constant(r, 2))) return OG_NO;
	if (og_count(node->out) == 0 || og_count(&node->in[1]) == 0 || node->out->dims[1] == 1) return OG_NO;
	channels *c = arena_alloc(r->a, sizeof *c);
	NEED(c);
	channels_of(c, r);
	c->x = x;
	c->scale = scale;
	c->first = first;
	if (c->of.groups > 1 && (c->of.outputs % lanes || (c->blocked && c->of.channels % lanes))) return OG_NO;
	double products = (double)(c->of.channels * c->of.w.kernel[1] * c->of.w.kernel[2]) * (double)c->of.out_plane;
	double work = products * (double)c->of.outputs * (double)c->of.groups * (double)c->of.images;
	c->slots = cpu_slots(c->of.out_plane == 1 ? work * WEIGHT_WORK : work, r->threads);
	c->joined = c->copied && c->of.w.out[1] > 1 && c->of.w.out[2] < c->kernels->channels_sums / c->vectors;
	plan_tasks(c);
	ptrdiff_t *tap = arena_array(r->a, (size_t)(c->of.w.kernel[1] * c->of.w.kernel[2]), sizeof *tap);
	const backend_layout *layouts = layout_wanted(r->a, r->node, c->blocked ? LAYOUT_CHANNELS : LAYOUT_PLAIN,
	                                              LAYOUT_CHANNELS);
	NEED(tap && layouts);
	c->tap = tap;
	place_planes(c, c->strip, tap);
	TRY(cpu_strips_make(&c->tail, r, LAYOUT_CHANNELS));
	double buffer = c->copied ? strip_bytes(c, c->strip[0], c->strip[1]) + 64.0 : 0.0;
	size_t packed;
	c->packed_block = (c->of.channels * c->of.w.kernel[1] * c->of.w.kernel[2] + 1) * lanes;
	size_t block_bytes = (size_t)c->packed_block * sizeof(float);
	if (buffer > 0x1p40 || !base_mul(block_bytes, (size_t)(c->of.groups * c->out_blocks), &packed))
		return base_fail(OG_UNSUPPORTED, "node '%s': its weights or windows are too large; make them smaller",
		                 node->name);
	c->buffer_bytes = cpu_whole_lines((size_t)buffer);
	c->scaled_bytes = scale < 0 ? 0 : block_bytes * CPU_CHANNELS_VECTORS;
	c->slot_bytes = sizeof(channels_slot) + c->buffer_bytes + c->scaled_bytes + cpu_strips_bytes(c->tail);
	int64_t summed = c->out_blocks * lanes - (c->half ? lanes / 2 : 0);
	double padded = 2.0 * products * (double)(summed * c->of.groups * c->of.images);
	*out = (backend_kernel){ .tactic = r->tactic, .run = channels_execute, .pack = channels_pack, .packed_bytes = packed,
	                         .packs_input = 1u << 1 | (cpu_has(node, 2) ? 1u << 2 : 0), .in_layout = layouts, .state = c,
	                         .out_layout = LAYOUT_CHANNELS, .per_sample = true, .flops = 2.0 * work,
	                         .cost = cpu_cost(r->kernels, padded, 0.9, c->slots),
	                         .workspace_bytes = c->slot_bytes * (size_t)c->slots };
	return OG_OK;
}

og_status cpu_channels(backend_kernel *out, const cpu_request *r)
{
	return cpu_is_tactic(r, "conv.channels") && !r->node->parts ? prepare_channels(out, r, 0, -1, 0) : OG_NO;
}

/* ---- numbers for channels, in front of a convolution ------------------------------------------- */

/* The first node multiplies a value by a number for each of its channels: which inputs of it are the value and the numbers. */
static bool is_scale(const backend_node *n, int *x, int *scale)
{
	const program *p = n->tail;
	const program_step *s = p ? &p->step[0] : NULL;
	if (n->op || !p || n->n_in != 2 || p->n_operands != 2 || p->n_steps != 1 || s->out != p->result || s->op->domain || strcmp(s->op->name, "Mul") ||
	    s->in[0] > 1 || s->in[1] != 1 - s->in[0] || p->operand[0] + p->operand[1] != 1)
		return false;
	for (*x = 0; *x < 2; ++*x) {
		const og_tensor *all = &n->in[*x], *one = &n->in[1 - *x];
		*scale = 1 - *x;
		if (all->rank == 4 && one->rank == 4 && all->dtype == OG_F32 && one->dtype == OG_F32 && !memcmp(all->dims, n->out->dims, 4 * sizeof *all->dims) &&
		    one->dims[0] == all->dims[0] && one->dims[1] == all->dims[1] && one->dims[2] == 1 && one->dims[3] == 1)
			return true;
	}
	return false;
}

/* To scale weights is less work than to scale cells. */
static bool is_worth_scaling(const backend_node *second)
{
	return og_span(second->out, 2, 4) > second->out->dims[1] && second->in[0].dims[1] > 1;
}

bool cpu_scales(const backend_node *first, const backend_node *second)
{
	int x, scale;
	return cpu_kernels_here()->channels_sums && is_scale(first, &x, &scale) && cpu_is(second, "Conv") && second->in[0].rank == 4 && second->in[1].data &&
	       (!cpu_has(second, 2) || second->in[2].data) && og_count(second->out) && cpu_is_pointwise(second) && is_worth_scaling(second);
}

og_status cpu_scaled(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	int x, scale;
	if (!node->parts || !cpu_is_tactic(r, "conv.scaled")) return OG_NO;
	backend_node first = node->parts[0], second = node->parts[1];
	const int n = first.n_in;
	og_tensor *in = arena_array(r->a, (size_t)second.n_in + 1, sizeof *in);
	backend_layout *layouts = arena_array(r->a, (size_t)node->n_in + 1, sizeof *layouts), *own = arena_array(r->a, (size_t)second.n_in + 1, sizeof *own);
	NEED(in && layouts && own);
	memcpy(in, node->in + n, (size_t)second.n_in * sizeof *in);
	in[0] = first.out[0];
	own[0] = LAYOUT_CHANNELS;
	first.in = node->in;
	second.in = in;
	second.in_layout = own;
	if (!is_scale(&first, &x, &scale) || !cpu_is(&second, "Conv") || in[0].rank != 4 || !og_count(second.out) || !cpu_is_pointwise(&second) ||
	    !is_worth_scaling(&second))
		return OG_NO;
	cpu_request part = *r;
	part.node = &second;
	TRY(prepare_channels(out, &part, x, scale, n));
	for (int k = 0; k < node->n_in; k++) layouts[k] = k < n ? LAYOUT_CHANNELS : out->in_layout[k - n];
	out->in_layout = layouts;
	out->packs_input <<= n;
	return OG_OK;
}
