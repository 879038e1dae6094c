/* expand.c -- a pointwise convolution and the depthwise one behind it, as one step: what lies between is the largest value of a
 * mobile network's block, and is never all there. Or, in its place, the stem: a convolution of an image of few channels, halved.
 *
 * For a strip of rows and two blocks of channels the products go to a buffer that stays in L1 or L2, their tail with them, and the
 * depthwise windows are taken from there. Strips overlap by the rows that windows share; those are made twice. A stem reads rows of
 * the plain input that were copied with their padding. */
#include "cpu/cpu.h"
#include "ops/window.h"

enum { GROUP = WINDOW_OWN_ATTRS };
enum { STRIP_BYTES = 448 * 1024 };       /* of input and buffer for a strip, so that both stay in L2 */
enum { LARGE = 512 * 1024 };             /* bytes between the two that do not stay in L2 beside the rest */
enum { STEM_TAPS = 64, STEM_STRIDE = 2 };      /* taps of all channels, at most */
enum { TAIL_FLOATS = 4096 };             /* of output that waits for the tail in L1 */
enum { TASKS_PER_SLOT = 8, VECTORS = CPU_CHANNELS_VECTORS };

typedef struct expand {
	const cpu_kernels *kernels;
	window w;                            /* of the depthwise convolution; axis 0 has size 1 */
	window s;                            /* of a stem, else not set; axis 0 has size 1 */
	bool stem;
	int64_t images, channels, expanded;  /* channels: of the input; of a stem: taps of all of them */
	int64_t in_blocks, blocks;
	int64_t in_plane, out_plane;         /* cells of a channel */
	const float *weights[2], *bias[2];   /* for packing; bias may be NULL */
	int64_t packed[2];                   /* floats of a block's packed weights of each */
	const cpu_strips *tail[2];
	const program_step *only[2];         /* of a tail that is one formula of what the part makes */
	int n_first;                         /* inputs of the first node */
	int64_t rows, strips;                /* of depthwise windows */
	int64_t chunk, chunks;               /* blocks of a task */
	ptrdiff_t tap[STEM_TAPS];            /* of a stem, in floats of the copy */
	int64_t copy_rows, copy_row;         /* rows of a channel there, and floats of one */
	int64_t buffer_block, buffer_row;    /* floats of a block in the buffer; cells of a row there, padding included */
	int64_t left;                        /* cells of padding before a row */
	float low, high, bounds[2];          /* of what is expanded, and of the output */
	int slots;
	size_t tail_bytes[2], slot_bytes;
} expand;

typedef struct expand_run { const expand *e; const backend_run *run; } expand_run;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t taps_of(const expand *e) { return e->w.kernel[1] * e->w.kernel[2]; }

/* ---- running -------------------------------------------------------------------------------- */

/* Elements [at, at + n) of what part k makes, which lie at y. Rows are short, so that one formula of one input is called right away. */
static void run_tail(const expand *e, const backend_run *run, int k, int64_t at, int64_t n, float *y, float *buffers)
{
	const program_step *only = e->only[k];
	if (only) only->op->map[e->kernels->isa]((size_t)n, y, (const void *[]){ y }, only->attr);
	else cpu_strips_run(e->tail[k], run->in + k * e->n_first, at, n, y, buffers);
}

/* Rows of a stem's input for `rows` rows between, from `first` on, with their padding. */
static void copy_input(const expand *e, const float *x, int64_t first, int64_t rows, float *copy)
{
	const window *s = &e->s;
	const int64_t left = s->begin[2], there = lesser(s->in[2], e->copy_row - left), right = e->copy_row - left - there, need = (rows - 1) * s->stride[1] + s->kernel[1];
	for (int64_t c = 0; c < e->channels / (s->kernel[1] * s->kernel[2]); c++)
		for (int64_t i = 0; i < need; i++) {
			float *to = copy + (c * e->copy_rows + i) * e->copy_row;
			int64_t y = first * s->stride[1] - s->begin[1] + i;
			if (y < 0 || y >= s->in[1]) {
				memset(to, 0, (size_t)e->copy_row * sizeof *to);
				continue;
			}
			memset(to, 0, (size_t)left * sizeof *to);
			memcpy(to + left, x + (c * s->in[1] + y) * s->in[2], (size_t)there * sizeof *to);
			memset(to + left + there, 0, (size_t)right * sizeof *to);
		}
}

/* Rows [0, rows) of what a stem makes. The last tile of a row may go over columns that are done. */
static void stem_rows(const expand_run *r, const float *copy, int64_t rows, int vectors, const float *packed, float *buffer,
                      float *tail_buffers)
{
	const expand *e = r->e;
	const int lanes = e->kernels->lanes, positions = e->kernels->expand_positions;
	const int64_t n = e->w.in[2];
	cpu_expand_tile t = { .tap = e->tap, .taps = e->channels, .weights = packed, .low = e->low, .high = e->high,
	                      .y_vector = e->buffer_block };
	for (int64_t i = 0; i < rows; i++) {
		float *y = buffer + (i * e->buffer_row + e->left) * lanes;
		for (int64_t k = 0; k < n; k += positions) {
			int64_t at = lesser(k, n - positions);
			t.x = copy + i * e->s.stride[1] * e->copy_row + at * STEM_STRIDE;
			t.y = y + at * lanes;
			e->kernels->stem[vectors](&t);
		}
		for (int j = 0; e->tail[0] && j < vectors; j++) run_tail(e, r->run, 0, 0, n * lanes, y + j * e->buffer_block, tail_buffers);
	}
}

/* Rows [0, rows) of cells that begin at x, of `vectors` blocks, to the buffer. */
static void expand_rows(const expand_run *r, const float *x, int64_t rows, int vectors, const float *packed, float *buffer,
                        float *tail_buffers)
{
	const expand *e = r->e;
	const int lanes = e->kernels->lanes, most = e->kernels->expand_positions;
	const int64_t n = e->w.in[2], tiles = ceil_div(n, most), small = n / tiles, more = n % tiles;
	const int64_t last = e->channels % lanes;
	cpu_expand_tile t = { .block = e->in_plane * lanes, .blocks = e->in_blocks, .last = last ? (int)last : lanes, .weights = packed,
	                      .next = packed + vectors * e->packed[0], .low = e->low, .high = e->high, .y_vector = e->buffer_block };
	t.ahead = (int)(lanes * vectors * lanes / CPU_CHANNELS_LINE / (tiles * rows));
	for (int64_t i = 0; i < rows; i++) {
		float *y = buffer + (i * e->buffer_row + e->left) * lanes;
		t.x = x + i * n * lanes;
		t.y = y;
		for (int64_t k = 0; k < tiles; k++) {
			int64_t count = small + (k < more);
			e->kernels->expand[count][vectors](&t);
			t.x += count * lanes;
			t.y += count * lanes;
			t.next += t.ahead * t.blocks * CPU_CHANNELS_LINE;
		}
		for (int j = 0; e->tail[0] && j < vectors; j++) run_tail(e, r->run, 0, 0, n * lanes, y + j * e->buffer_block, tail_buffers);
	}
}

/* Zeros where windows reach into the padding beside the rows. */
static void clear_sides(const expand *e, int64_t rows, float *buffer)
{
	const int lanes = e->kernels->lanes;
	const int64_t right = e->buffer_row - e->left - e->w.in[2];
	for (int j = 0; j < VECTORS; j++, buffer += e->buffer_block)
		for (int64_t i = 0; i < rows; i++) {
			float *row = buffer + i * e->buffer_row * lanes;
			memset(row, 0, (size_t)(e->left * lanes) * sizeof *row);
			memset(row + (e->left + e->w.in[2]) * lanes, 0, (size_t)(right * lanes) * sizeof *row);
		}
}

/* Rows [from, to) of windows of a block, whose cells lie in the buffer from row `first` on. at: where the block begins. */
static void take_windows(const expand_run *r, int64_t from, int64_t to, int64_t first, int64_t behind, const float *packed,
                         const float *buffer, int64_t at, float *tail_buffers)
{
	const expand *e = r->e;
	const int64_t row = e->w.out[2] * e->kernels->lanes, enough = TAIL_FLOATS / row + 1;
	float *y = (float *)r->run->out[0]->data + at;
	window w = e->w;
	w.begin[1] += first;
	w.in[1] = behind - first;
	w.begin[2] = 0;
	w.in[2] = e->buffer_row;
	for (int64_t i = from, done = from; i < to; i++) {
		e->kernels->depthwise(&w, buffer, packed, i, y + i * row);
		if (!e->tail[1] || (i + 1 - done < enough && i + 1 < to)) continue;
		run_tail(e, r->run, 1, at + done * row, (i + 1 - done) * row, y + done * row, tail_buffers);
		done = i + 1;
	}
}

static void expand_task(void *arg, int64_t task, int slot)
{
	const expand_run *r = arg;
	const expand *e = r->e;
	const int lanes = e->kernels->lanes;
	const int64_t chunk = task % e->chunks, strip = task / e->chunks % e->strips, image = task / e->chunks / e->strips;
	const int64_t from = strip * e->rows, to = lesser(from + e->rows, e->w.out[1]);
	const int64_t top = from * e->w.stride[1] - e->w.begin[1], first = top > 0 ? top : 0;
	int64_t behind = lesser((to - 1) * e->w.stride[1] - e->w.begin[1] + window_extent(&e->w, 1), e->w.in[1]);
	if (behind < first) behind = first;          /* windows that lie in the padding */
	const float *x = r->run->in[0]->data;
	const float *products = r->run->packed, *windows = products + e->blocks * e->packed[0];
	float *tails[2] = { (float *)((char *)r->run->workspace + (size_t)slot * e->slot_bytes), NULL };
	tails[1] = tails[0] + e->tail_bytes[0] / sizeof(float);
	float *buffer = tails[1] + e->tail_bytes[1] / sizeof(float), *copy = buffer + VECTORS * e->buffer_block;
	for (int k = 0; k < 2; k++)
		if (e->tail[k]) cpu_strips_begin(e->tail[k], r->run->in + k * e->n_first, tails[k]);
	const int64_t end = lesser((chunk + 1) * e->chunk, e->blocks);
	clear_sides(e, behind - first, buffer);
	if (!e->stem) x += (image * e->in_blocks * e->in_plane + first * e->w.in[2]) * lanes;
	else if (behind > first)
		copy_input(e, x + image * e->channels / (e->s.kernel[1] * e->s.kernel[2]) * e->s.in[1] * e->s.in[2], first, behind - first, copy);
	for (int64_t b = chunk * e->chunk; b < end; b += VECTORS) {
		int vectors = (int)lesser(end - b, VECTORS);
		if (behind > first)
			(e->stem ? stem_rows : expand_rows)(r, e->stem ? copy : x, behind - first, vectors, products + b * e->packed[0], buffer, tails[0]);
		for (int j = 0; j < vectors; j++)
			take_windows(r, from, to, first, behind, windows + (b + j) * e->packed[1], buffer + j * e->buffer_block,
			             (image * e->blocks + b + j) * e->out_plane * lanes, tails[1]);
	}
}

static og_status expand_execute(const backend_kernel *k, const backend_run *run)
{
	const expand *e = k->state;
	cpu_tasks(run->threads, e->slots, e->images * e->strips * e->chunks, expand_task, &(expand_run){ e, run });
	return OG_OK;
}

/* Pointwise: for each pair of blocks the biases, then a vector of each block for every channel of the input. Depthwise: for each block
 * the bounds and biases, then a vector for each tap. Lanes without a channel are 0. */
static og_status expand_pack(const backend_kernel *k, void *packed)
{
	const expand *e = k->state;
	const int lanes = e->kernels->lanes;
	float *to = packed;
	for (int64_t b = 0; b < e->blocks; b += VECTORS) {
		int64_t first = b * lanes, all = lesser(e->blocks - b, VECTORS) * lanes;
		for (int64_t c = -1; c < e->channels; c++)
			for (int64_t i = first; i < first + all; i++) {
				const float *from = c < 0 ? e->bias[0] + i : e->weights[0] + i * e->channels + c;
				*to++ = i < e->expanded && (c >= 0 || e->bias[0]) ? *from : 0.0f;
			}
	}
	for (int64_t b = 0; b < e->blocks; b++) {
		for (int64_t i = 0; i < 2 * lanes; i++) *to++ = i < lanes ? e->bounds[0] : e->bounds[1];
		for (int64_t tap = -1; tap < taps_of(e); tap++)
			for (int64_t i = b * lanes; i < (b + 1) * lanes; i++) {
				const float *from = tap < 0 ? e->bias[1] + i : e->weights[1] + i * taps_of(e) + tap;
				*to++ = i < e->expanded && (tap >= 0 || e->bias[1]) ? *from : 0.0f;
			}
	}
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

static bool is_packable(const backend_node *n, int k, bool loading)
{
	return k >= n->n_anchor_in || n->in[k].dtype == OG_NONE || n->in[k].data || loading;
}

/* A convolution over two axes whose weights can be packed, and whose tail reads numbers alone. */
static bool is_plain_conv(const backend_node *n, bool loading)
{
	if (!cpu_is(n, "Conv") || n->out[0].rank != 4 || !og_count(n->out) || !is_packable(n, 1, loading) || !is_packable(n, 2, loading)) return false;
	for (int k = n->n_anchor_in; k < n->n_in; k++)
		if (og_count(&n->in[k]) != 1 || (!n->in[k].data && !loading)) return false;
	return true;
}

bool cpu_is_pointwise(const backend_node *n)
{
	window w;
	window_of(&w, n->attr, &n->in[0], n->out, &n->in[1]);
	bool is = n->attr[GROUP].i == 1;
	for (int a = 1; a < WINDOW_AXES; a++) is &= w.kernel[a] == 1 && w.stride[a] == 1 && !w.begin[a] && !w.end[a];
	return is;
}

/* A convolution of all taps of few channels, whose windows are two columns apart. */
static bool is_stem(const backend_node *n, const cpu_kernels *k)
{
	window w;
	window_of(&w, n->attr, &n->in[0], n->out, &n->in[1]);
	return n->attr[GROUP].i == 1 && w.stride[2] == STEM_STRIDE && w.dilation[1] == 1 && w.dilation[2] == 1 &&
	       og_span(&n->in[1], 1, 4) <= STEM_TAPS && w.out[2] >= k->expand_positions && w.begin[2] < w.kernel[2];
}

static bool serves(const backend_node *first, const backend_node *second, const cpu_kernels *k, bool loading)
{
	if (!k->expand_positions || !is_plain_conv(first, loading) || !is_plain_conv(second, loading)) return false;
	int64_t channels = first->out->dims[1];
	return first->in[0].rank == 4 && channels > 1 && (is_stem(first, k) || (first->in[0].dims[1] > 1 && cpu_is_pointwise(first))) &&
	       second->attr[GROUP].i == channels && second->in[1].dims[0] == channels;
}

/* Worth it where the pass of a tail over what lies between falls away, or that does not stay in L2 beside the rest. */
bool cpu_joins(const backend_node *first, const backend_node *second)
{
	float low, high;
	if (cpu_scales(first, second)) return true;
	if (!serves(first, second, cpu_kernels_here(), false)) return false;
	return cpu_clamp(first, &low, &high) || og_count(first->out) > LARGE / (int64_t)sizeof(float);
}

/* Strips whose input and buffer stay in L2, and tasks enough for the slots. */
static void plan_tasks(expand *e)
{
	const window *w = &e->w;
	const int64_t image = e->stem ? e->channels / e->s.kernel[1] * STEM_STRIDE : e->in_blocks * e->kernels->lanes;
	const double cell = (double)(image + VECTORS * e->kernels->lanes) * sizeof(float);
	const int64_t reach = (w->out[2] - 1) * w->stride[2] + window_extent(w, 2);
	const int64_t extent = window_extent(w, 1);
	double most = (double)STRIP_BYTES / (cell * (double)w->in[2]);       /* rows of the input */
	int64_t rows = most > (double)w->in[1] ? w->out[1] : ((int64_t)most - extent) / w->stride[1] + 1;
	if (rows < 1) rows = 1;
	int64_t tasks = e->slots > 1 ? TASKS_PER_SLOT * e->slots : 1, groups = ceil_div(e->blocks, VECTORS);
	e->strips = ceil_div(w->out[1], rows);
	e->rows = ceil_div(w->out[1], e->strips);
	e->strips = ceil_div(w->out[1], e->rows);
	e->chunks = lesser(groups, ceil_div(tasks, e->images * e->strips));
	e->chunk = ceil_div(groups, e->chunks) * VECTORS;
	e->chunks = ceil_div(e->blocks, e->chunk);
	e->left = w->begin[2];
	e->buffer_row = e->left + w->in[2];
	if (e->buffer_row < reach) e->buffer_row = reach;
	e->buffer_block = lesser((e->rows - 1) * w->stride[1] + extent, w->in[1]) * e->buffer_row * e->kernels->lanes;
}

/* Where a stem's taps lie in its copied rows. */
static void place_taps(expand *e)
{
	const window *s = &e->s;
	const int64_t kernel = s->kernel[1] * s->kernel[2];
	e->copy_rows = (lesser((e->rows - 1) * e->w.stride[1] + window_extent(&e->w, 1), e->w.in[1]) - 1) * s->stride[1] + s->kernel[1];
	e->copy_row = (s->out[2] - 1) * STEM_STRIDE + s->kernel[2];
	for (int64_t k = 0; k < e->channels; k++)
		e->tap[k] = (k / kernel * e->copy_rows + k % kernel / s->kernel[2]) * e->copy_row + k % s->kernel[2];
}

static void expand_of(expand *e, const backend_node *first, const backend_node *second, const cpu_request *r)
{
	const int64_t lanes = r->kernels->lanes;
	*e = (expand){ .kernels = r->kernels, .images = first->in[0].dims[0], .channels = og_span(&first->in[1], 1, 4),
	               .expanded = first->out->dims[1], .in_plane = og_span(first->out, 2, 4), .out_plane = og_span(second->out, 2, 4),
	               .weights = { first->in[1].data, second->in[1].data }, .n_first = first->n_in,
	               .bias = { cpu_has(first, 2) ? first->in[2].data : NULL, cpu_has(second, 2) ? second->in[2].data : NULL } };
	e->in_blocks = ceil_div(e->channels, lanes);
	e->blocks = ceil_div(e->expanded, lanes);
	window_of(&e->w, second->attr, &second->in[0], second->out, &second->in[1]);
	window_of(&e->s, first->attr, &first->in[0], first->out, &first->in[1]);
	e->stem = is_stem(first, r->kernels);
	e->packed[0] = (1 + e->channels) * lanes;
	e->packed[1] = (CPU_DEPTHWISE_HEAD + taps_of(e)) * lanes;
	double cells = (double)e->images * (double)e->blocks * (double)lanes;
	e->slots = cpu_slots(cells * ((double)e->channels * (double)e->in_plane + (double)taps_of(e) * (double)e->out_plane), r->threads);
	plan_tasks(e);
	if (e->stem) place_taps(e);
}

og_status cpu_expand(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	if (!node->parts || !cpu_is_tactic(r, "conv.expand")) return OG_NO;
	backend_node part[2] = { node->parts[0], node->parts[1] };
	const int n = part[0].n_in;
	og_tensor *in = arena_array(r->a, (size_t)part[1].n_in + 1, sizeof *in);
	expand *e = arena_alloc(r->a, sizeof *e);
	backend_layout *layouts = arena_array(r->a, (size_t)node->n_in + 1, sizeof *layouts);
	NEED(in && e && layouts);
	memcpy(in, node->in + n, (size_t)part[1].n_in * sizeof *in);
	in[0] = part[0].out[0];
	part[0].in = node->in;
	part[1].in = in;
	if (!serves(&part[0], &part[1], r->kernels, r->loading)) return OG_NO;
	expand_of(e, &part[0], &part[1], r);
	layouts[0] = e->stem ? LAYOUT_PLAIN : LAYOUT_CHANNELS;
	size_t tail_bytes = 0;
	bool clamps[2] = { cpu_clamp(&part[0], &e->low, &e->high), cpu_clamp(&part[1], &e->bounds[0], &e->bounds[1]) };
	for (int k = 0; k < 2; k++) {
		cpu_request own = *r;
		own.node = &part[k];
		if (!clamps[k]) TRY(cpu_strips_make(&e->tail[k], &own, LAYOUT_CHANNELS));
		const program *p = e->tail[k] ? part[k].tail : NULL;
		const program_step *only = p && p->n_steps == 1 ? &p->step[0] : NULL;
		if (only && only->op->map_inputs == 1 && only->out == p->result && only->in[0] < p->n_operands && p->operand[only->in[0]] < 0) e->only[k] = only;
		e->tail_bytes[k] = cpu_strips_bytes(e->tail[k]);
		tail_bytes += e->tail_bytes[k];
	}
	double products = (double)e->images * (double)e->in_plane * (double)(e->channels * e->expanded);
	double windows = (double)e->images * (double)e->out_plane * (double)(taps_of(e) * e->expanded);
	double buffer = (double)e->buffer_block * VECTORS * sizeof(float);
	if (e->stem) buffer += (double)(e->channels / (e->s.kernel[1] * e->s.kernel[2])) * (double)e->copy_rows * (double)e->copy_row * sizeof(float);
	double packed = (double)e->blocks * (double)(e->packed[0] + e->packed[1]) * sizeof(float);
	if (buffer > 0x1p40 || packed > 0x1p46)
		return base_fail(OG_UNSUPPORTED, "node '%s': its weights or windows are too large; make them smaller", node->name);
	e->slot_bytes = tail_bytes + (((size_t)buffer + 63) & ~(size_t)63);
	*out = (backend_kernel){ .tactic = r->tactic, .run = expand_execute, .pack = expand_pack, .packed_bytes = (size_t)packed, .state = e,
	                         .in_layout = layouts, .out_layout = LAYOUT_CHANNELS, .per_sample = true,
	                         .workspace_bytes = e->slot_bytes * (size_t)e->slots, .flops = 2.0 * (products + windows),
	                         .cost = cpu_cost(r->kernels, 2.0 * (products + windows), 0.9, e->slots) };
	for (int k = 0; k < 2; k++) out->packs_input |= (2u | (cpu_has(&part[k], 2) ? 4u : 0)) << k * n;
	return OG_OK;
}
