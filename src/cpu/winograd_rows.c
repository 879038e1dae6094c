/* winograd_rows.c -- convolutions of kernels 7 wide and stride 2 on a plain input of few channels, the first of many networks,
 * with fewer multiplications (docs/winograd.md).
 *
 * Winograd along rows only: a tile is four outputs of a row, made of 7 points with 0.46 of the multiplications. A row of the input
 * is transformed once, for all outputs and vertical taps; what is left at each point is a product, sums over channels, vertical
 * taps, and even and odd cells, by the tiles of channels.c. A task is some rows of windows. */
#include "cpu/cpu.h"
#include "cpu/winograd_rows.h"

enum { GROUP = WINDOW_OWN_ATTRS };
enum { POINT_BYTES = 192 * 1024, TASKS_PER_SLOT = 6 };         /* of a task; tasks, where there are rows enough */
enum { MOST_CHANNELS = 16, MOST_TALL = 64 };         /* of the input: with more others are better; of a kernel */

typedef struct rows {
	const cpu_kernels *kernels;
	cpu_convolution of;
	int64_t out_blocks, tiles;           /* tiles: of a row */
	int64_t step;                        /* floats from a point to the next: tiles up to whole vectors */
	ptrdiff_t row;                       /* floats of a row's points: [even, odd][channel][point][step] */
	int64_t deep;                        /* vertical taps, and products of a channel at a point */
	const ptrdiff_t *tap;                /* of these */
	int64_t strip, strips;               /* rows of windows of a task; tasks of an image */
	float low, high;                     /* the tail, where it is no more than that */
	const cpu_strips *tail;
	int slots;
	size_t line_bytes, phase_bytes, points_bytes, m_bytes, slot_bytes;
} rows;

typedef struct rows_run { const rows *c; const backend_run *run; } rows_run;

/* ---- running -------------------------------------------------------------------------------- */

/* Points of the rows of cells that windows of rows [y0, y1) read. */
static void transform_rows(const rows *c, const float *x, int64_t y0, int64_t y1, float *line, float *phases, float *to)
{
	const window *w = &c->of.w;
	const int64_t half = c->of.channels * ROWS_POINTS * c->step;
	const int64_t first = y0 * w->stride[1] - w->begin[1], n = (y1 - y0 - 1) * w->stride[1] + window_extent(w, 1);
	/* what windows reach of a row; the rest of the line is padding */
	const int64_t cells = cpu_lesser(w->in[2], ROWS_STEP * (c->tiles + 1) - w->begin[2]);
	memset(line, 0, c->line_bytes);
	for (int64_t y = first; y < first + n; y++, to += c->row) {
		if (y < 0 || y >= w->in[1]) {
			memset(to, 0, (size_t)c->row * sizeof *to);
			continue;
		}
		for (int64_t k = 0; k < c->of.channels; k++) {
			if (cells > 0) memcpy(line + w->begin[2], x + k * c->of.in_plane + y * w->in[2], (size_t)cells * sizeof *line);
			float *even = to + k * ROWS_POINTS * c->step;
			c->kernels->winograd_rows->input(line, c->step, phases, even, even + half);
		}
	}
}

static int64_t packed_point(const rows *c, int vectors, bool shared)
{
	return (1 + (shared ? 2 : 1) * c->of.channels * c->deep) * vectors * c->kernels->lanes;
}

/* Sums at all points for a row of windows, whose first cells' points are at `points`: m [point][vector][tile][lane]. */
static void multiply(const rows *c, const float *points, const float *packed, int vectors, float *m)
{
	const int64_t lanes = c->kernels->lanes, times = cpu_ceil_div(c->tiles, c->kernels->channels_sums / vectors);
	cpu_channels_tile t = { .block = ROWS_POINTS * c->step, .last = 1, .tap = c->tap, .taps = c->deep,
	                        .y_vector = c->tiles * lanes };
	for (int p = 0; p < ROWS_POINTS; p++, points += c->step, m += CPU_CHANNELS_VECTORS * c->tiles * lanes) {
		t.blocks = (p < ROWS_SHARED ? 2 : 1) * c->of.channels;
		t.weights = packed;
		for (int64_t k = 0; k < times; k++) {
			int64_t from = c->tiles * k / times, to = c->tiles * (k + 1) / times;
			t.x = points + from;
			t.y = m + from * lanes;
			c->kernels->channels[0][to - from][vectors](&t);
		}
		packed += packed_point(c, vectors, p < ROWS_SHARED);
	}
}

/* A row of windows of one block of outputs; the one that will be written next lies `next` floats on. */
static void make_outputs(const rows *c, const float *m, const float *bias, float *y, ptrdiff_t next)
{
	_Alignas(64) float last[ROWS_OUTPUTS * CPU_MAX_LANES];
	const int64_t lanes = c->kernels->lanes, whole = c->of.w.out[2] / ROWS_OUTPUTS, more = c->of.w.out[2] % ROWS_OUTPUTS;
	rows_outputs t = { .m = m, .m_point = CPU_CHANNELS_VECTORS * c->tiles * lanes, .tiles = whole, .bias = bias, .low = c->low,
	                   .high = c->high, .y = y, .next = next };
	c->kernels->winograd_rows->output(&t);
	if (!more) return;
	t.m += whole * lanes;
	t.tiles = 1;
	t.y = last;
	t.next = 0;
	c->kernels->winograd_rows->output(&t);
	memcpy(y + whole * ROWS_OUTPUTS * lanes, last, (size_t)(more * lanes) * sizeof *y);
}

static void rows_task(void *arg, int64_t task, int slot)
{
	const rows_run *r = arg;
	const rows *c = r->c;
	const window *w = &c->of.w;
	const int64_t lanes = c->kernels->lanes, image = task / c->strips, plane = c->of.out_plane * lanes;
	int64_t y0 = task % c->strips * c->strip, y1 = cpu_lesser(y0 + c->strip, w->out[1]);
	char *memory = (char *)r->run->workspace + (size_t)slot * c->slot_bytes;
	float *line = (float *)memory, *phases = (float *)(memory + c->line_bytes);
	float *points = (float *)(memory + c->line_bytes + c->phase_bytes);
	float *m = (float *)((char *)points + c->points_bytes), *buffers = (float *)((char *)m + c->m_bytes);
	if (c->tail) cpu_strips_begin(c->tail, r->run->in, buffers);
	transform_rows(c, (const float *)r->run->in[0]->data + image * c->of.channels * c->of.in_plane, y0, y1, line, phases, points);
	const float *bias = r->run->packed, *packed = bias + c->out_blocks * lanes;
	for (int64_t k = 0; k < c->out_blocks; k += CPU_CHANNELS_VECTORS) {
		int vectors = (int)cpu_lesser(CPU_CHANNELS_VECTORS, c->out_blocks - k);
		for (int64_t y = y0; y < y1; y++) {
			int64_t at = (image * c->out_blocks + k) * plane + y * w->out[2] * lanes;
			multiply(c, points + (y - y0) * w->stride[1] * c->row, packed, vectors, m);
			for (int j = 0; j < vectors; j++, at += plane) {
				float *out = (float *)r->run->out[0]->data + at;
				make_outputs(c, m + j * c->tiles * lanes, bias + (k + j) * lanes, out, y + 1 < y1 ? w->out[2] * lanes : 0);
				if (c->tail) cpu_strips_run(c->tail, r->run->in, at, w->out[2] * lanes, out, buffers);
			}
		}
		packed += ROWS_SHARED * packed_point(c, vectors, true) + packed_point(c, vectors, false);
	}
}

static og_status rows_execute(const backend_kernel *k, const backend_run *run)
{
	const rows *c = k->state;
	cpu_tasks(run->threads, c->slots, c->of.images * c->strips, rows_task, &(rows_run){ c, run });
	return OG_OK;
}

/* ---- packing -------------------------------------------------------------------------------- */

/* The value at `at`, or the last coefficient, of the polynomial that has n taps of a row, two apart, as coefficients; over the
 * distances of the point from the others. */
static double weight_at(const float *taps, int n, int point, const double *at, int points)
{
	double value = 0, over = 1;
	if (point == ROWS_SHARED - 1) return (double)taps[2 * (n - 1)];
	for (int i = n - 1; i >= 0; i--) value = value * at[point] + (double)taps[2 * i];
	for (int i = 0; i < points; i++)
		if (i != point && i != ROWS_SHARED - 1) over *= at[point] - at[i];
	return value / over;
}

/* Biases; then strips one after the other, each [point][zeros; even, odd][channel][vertical tap], of its blocks' lanes. */
static og_status rows_pack(const backend_kernel *kernel, void *packed)
{
	static const double at[ROWS_POINTS] = { ROWS_A, -ROWS_A, ROWS_B, -ROWS_B, ROWS_C, 0, -ROWS_C };
	const rows *c = kernel->state;
	const int64_t lanes = c->kernels->lanes, all = c->of.channels * c->deep;
	float *to = packed;
	for (int64_t i = 0; i < c->out_blocks * lanes; i++) *to++ = c->of.bias && i < c->of.outputs ? c->of.bias[i] : 0.0f;
	for (int64_t b = 0; b < c->out_blocks; b += CPU_CHANNELS_VECTORS) {
		const int64_t width = cpu_lesser(CPU_CHANNELS_VECTORS, c->out_blocks - b) * lanes, first = b * lanes;
		for (int p = 0; p < ROWS_POINTS; p++) {
			for (int64_t i = 0; i < width; i++) *to++ = 0.0f;
			for (int64_t k = 0; k < (p < ROWS_SHARED ? 2 : 1) * all; k++)
				for (int64_t i = first; i < first + width; i++) {
					bool odd = k >= all;
					const float *taps = c->of.weights + (i * all + k % all) * ROWS_TAPS + odd;
					*to++ = i >= c->of.outputs ? 0.0f
					        : (float)weight_at(taps, odd ? ROWS_ODD : ROWS_EVEN, p, at, odd ? ROWS_SHARED : ROWS_POINTS);
				}
		}
	}
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

static bool takes(const cpu_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	if (!cpu_is_tactic(r, "conv.winograd.rows") || !r->kernels->winograd_rows || !cpu_is(node, "Conv") || x->rank != 4 ||
	    !cpu_is_constant(r, 1) || (cpu_has(node, 2) && !cpu_is_constant(r, 2)) || node->attr[GROUP].i != 1)
		return false;
	window w;
	window_of(&w, node->attr, x, node->out, weights);
	return w.kernel[2] == ROWS_TAPS && w.stride[2] == 2 && w.dilation[2] == 1 && x->dims[1] <= MOST_CHANNELS &&
	       x->dims[1] > 0 && w.kernel[1] > 0 && w.kernel[1] <= MOST_TALL && weights->dims[0] > 1 && og_count(node->out) && og_count(x);
}

/* Tasks as large as points stay in L2, and enough of them. */
static og_status plan_rows(rows *c, const cpu_request *r)
{
	const window *w = &c->of.w;
	const int64_t lanes = c->kernels->lanes, extent = window_extent(w, 1);
	const size_t vector = (size_t)lanes * sizeof(float);
	double row_bytes = 2.0 * ROWS_POINTS * sizeof(float) * (double)c->of.channels * (double)c->step;
	double most = (POINT_BYTES / row_bytes - (double)extent) / (double)w->stride[1] + 1.0;
	int64_t tasks = c->slots > 1 ? cpu_ceil_div(TASKS_PER_SLOT * c->slots, c->of.images) : 1;
	c->strip = cpu_ceil_div(w->out[1], tasks);
	if ((double)c->strip > most) c->strip = most > 1.0 ? (int64_t)most : 1;
	c->strips = cpu_ceil_div(w->out[1], c->strip);
	c->strip = cpu_ceil_div(w->out[1], c->strips);
	c->strips = cpu_ceil_div(w->out[1], c->strip);
	double cells = (double)((c->strip - 1) * w->stride[1]) + (double)extent;
	if (cells * row_bytes + (double)w->begin[2] > 0x1p40 || (double)c->out_blocks * (double)c->deep > 0x1p40)
		return base_fail(OG_UNSUPPORTED, "node '%s': its windows or weights are too large; make them smaller", r->node->name);
	ptrdiff_t *tap = arena_array(r->a, (size_t)c->deep, sizeof *tap);
	NEED(tap);
	c->tap = tap;
	for (int64_t i = 0; i < c->deep; i++) tap[i] = i * w->dilation[1] * c->row;
	c->line_bytes = (size_t)(ROWS_STEP * (c->step + lanes)) * sizeof(float);
	c->phase_bytes = c->line_bytes;
	c->points_bytes = cpu_whole_lines((size_t)(cells * row_bytes));
	c->m_bytes = (size_t)(ROWS_POINTS * CPU_CHANNELS_VECTORS * c->tiles) * vector;
	c->slot_bytes = cpu_whole_lines(c->line_bytes + c->phase_bytes + c->points_bytes + c->m_bytes) + cpu_strips_bytes(c->tail);
	return OG_OK;
}

og_status cpu_winograd_rows(backend_kernel *out, const cpu_request *r)
{
	if (!takes(r)) return OG_NO;
	rows *c = arena_alloc(r->a, sizeof *c);
	const backend_layout *layouts = layout_wanted(r->a, r->node, LAYOUT_PLAIN, LAYOUT_CHANNELS);
	NEED(c && layouts);
	c->kernels = r->kernels;
	c->of = cpu_convolution_of(r->node);
	const window *w = &c->of.w;
	const int64_t lanes = r->kernels->lanes;
	c->out_blocks = cpu_ceil_div(c->of.outputs, lanes);
	c->tiles = cpu_ceil_div(w->out[2], ROWS_OUTPUTS);
	c->step = cpu_ceil_div(c->tiles, lanes) * lanes;
	c->row = 2 * c->of.channels * ROWS_POINTS * c->step;
	c->deep = w->kernel[1];
	double products = (double)(c->of.channels * c->deep) * (double)c->of.outputs * (double)c->of.images * (double)w->out[1];
	double work = products * (double)c->tiles * (ROWS_SHARED * 2 + 1);
	c->slots = cpu_slots(work, r->threads);
	if (!cpu_clamp(r->node, &c->low, &c->high)) TRY(cpu_strips_make(&c->tail, r, LAYOUT_CHANNELS));
	TRY(plan_rows(c, r));
	*out = (backend_kernel){ .tactic = r->tactic, .run = rows_execute, .pack = rows_pack, .state = c, .in_layout = layouts,
	                         .packs_input = 1u << 1 | (cpu_has(r->node, 2) ? 1u << 2 : 0), .out_layout = LAYOUT_CHANNELS,
	                         .per_sample = true, .flops = 2.0 * products * (double)w->out[2] * ROWS_TAPS,
	                         .workspace_bytes = c->slot_bytes * (size_t)c->slots,
	                         .cost = cpu_cost(r->kernels, 2.0 * work, 0.7, c->slots) };
	/* a lane's bias, zeros at each point, weights */
	int64_t floats = 1 + ROWS_POINTS + (ROWS_SHARED * 2 + 1) * c->of.channels * c->deep;
	out->packed_bytes = (size_t)(c->out_blocks * lanes * floats) * sizeof(float);
	return OG_OK;
}
