/* winograd_samples.c -- convolutions of small networks by samples, with fewer multiplications (docs/winograd.md).
 *
 * Rows of outputs are cut into tiles of 10 - r, for a kernel r wide; each needs 9 cells. B^T takes these to 9 points, once for
 * all outputs and all taps above each other. At each point a convolution in the vertical direction is left: a product,
 * sums over channels and vertical taps of points times the weights' points, G w, which are made when the plan is built. A^T
 * takes the sums at 9 points back to a tile. A vector is a cell of all samples of a block. */
#include "cpu/product.h"
#include "cpu/winograd_samples.h"

enum { GROUP = WINDOW_OWN_ATTRS };       /* of Conv */
enum { BUFFER_BYTES = 192 * 1024, TAIL_FLOATS = 8192 };        /* of points; of outputs that wait for the tail in L1 */
enum { INPUT_WORK = 48, OUTPUT_WORK = 60 };          /* vector operations in the time of transforming a tile of a channel */

typedef struct lines {
	const cpu_kernels *kernels;
	window w;
	int64_t blocks, groups, channels, outputs;   /* of samples; groups; channels and outputs of a group */
	int64_t k;                           /* channels * vertical taps */
	int wide;                            /* outputs of a tile */
	int64_t tiles;                       /* of a row */
	int64_t chunk_lines, chunks, step;   /* rows of outputs: of a task; of a block whose points are multiplied together */
	int rows, vectors;                   /* of a product's tile */
	const int32_t *tap;                  /* [k], floats from a position to the cell's points */
	ptrdiff_t point, channel, m_point;   /* floats from a point to the next, of the buffer and of sums; between channels */
	int64_t padded_cells;                /* that tiles of a row read */
	const float *weights, *start;        /* to be packed; start may be NULL */
	bool relu;                           /* the tail is Relu, which the transform does: `tail` is NULL */
	const cpu_strips *tail;
	int slots;
	size_t points_bytes, m_bytes, line_bytes, slot_bytes;
} lines;

typedef struct lines_run {
	const lines *c;
	const backend_run *run;
} lines_run;

static int64_t packed_rows(const lines *c) { return cpu_ceil_div(c->outputs, c->rows) * c->rows; }

/* ---- running -------------------------------------------------------------------------------- */

/* Points of the rows that outputs [l0, l1) read, of all channels of a group at x: [channel][point][row][tile][lane]. */
static void transform_input(const lines *c, const float *x, int64_t l0, int64_t l1, float *line, float *to)
{
	const window *w = &c->w;
	const winograd_samples_kernels *k = c->kernels->winograd_samples;
	int64_t lanes = c->kernels->lanes, width = c->tiles * lanes, left = w->begin[2];
	int64_t have = cpu_lesser(c->padded_cells - left, w->in[2]);
	bool whole = left == 0 && c->padded_cells <= w->in[2];
	if (!whole) memset(line, 0, (size_t)(c->padded_cells * lanes) * sizeof *line);
	for (int64_t i = 0; i < c->channels; i++, x += w->in[1] * w->in[2] * lanes, to += c->channel) {
		float *at = to;
		for (int64_t y = l0 - w->begin[1]; y < l1 - w->begin[1] + window_extent(w, 1) - 1; y++, at += width) {
			const float *row = x + y * w->in[2] * lanes;
			if (y < 0 || y >= w->in[1]) {
				for (int p = 0; p < LINE_POINTS; p++) memset(at + p * c->point, 0, (size_t)width * sizeof *at);
				continue;
			}
			if (!whole && have > 0) memcpy(line + left * lanes, row, (size_t)(have * lanes) * sizeof *line);
			k->input(whole ? row : line, c->wide * lanes, c->tiles, at, c->point);
		}
	}
}

/* Tiles [from, from + n) of the rows that begin with l: from sums to outputs [0, rows) of the block at y. */
static void transform_output(const lines *c, int rows, const float *start, const float *m, int64_t l, int64_t from,
                             int64_t n, float *y)
{
	int64_t lanes = c->kernels->lanes, out_row = c->w.out[2] * lanes, tile = from % c->tiles;
	line_outputs_fn *output = c->kernels->winograd_samples->output[c->relu][c->wide];
	line_outputs t = { .m = m, .m_channel = c->vectors * lanes, .m_point = c->m_point, .start = start, .channels = rows,
	                   .y_channel = c->w.out[1] * out_row };
	y += (l + from / c->tiles) * out_row;
	for (; n > 0; n--, t.m += lanes) {
		t.y = y + tile * c->wide * lanes;
		t.wanted = (int)cpu_lesser(c->wide, c->w.out[2] - tile * c->wide);
		output(&t);
		if (++tile < c->tiles) continue;
		tile = 0;
		y += out_row;
	}
}

/* Rows [l, l + high) of outputs [i, i + rows), whose points begin at `points`. */
static void run_step(const lines *c, int rows, const float *packed, const float *start, const float *points, int64_t l,
                     int64_t high, float *m, float *y)
{
	static const float zero;
	int64_t lanes = c->kernels->lanes, n = high * c->tiles, tiles = cpu_ceil_div(n, c->vectors);
	cpu_tile t = { .a_row = 1, .a_k = c->rows, .tap = c->tap, .c_row = c->vectors * lanes, .start = &zero,
	               .last = (int)lanes, .k = c->k };
	for (int64_t from = 0; tiles > 0; tiles--) {
		int64_t vectors = cpu_ceil_div(n - from, tiles);
		for (int p = 0; p < LINE_POINTS; p++) {
			t.a = packed + p * c->k * c->rows;
			t.b = points + p * c->point + from * lanes;
			t.c = m + p * c->m_point;
			c->kernels->taps[rows][vectors](&t);
		}
		transform_output(c, rows, start, m, l, from, vectors, y);
		from += vectors;
	}
}

static void lines_task(void *arg, int64_t task, int slot)
{
	const lines_run *r = arg;
	const lines *c = r->c;
	int64_t lanes = c->kernels->lanes, at = task / c->chunks, group = at % c->groups;
	int64_t l0 = task % c->chunks * c->chunk_lines, l1 = cpu_lesser(l0 + c->chunk_lines, c->w.out[1]);
	int64_t out_line = c->w.out[2] * lanes, out_row = c->w.out[1] * out_line, in = c->w.in[1] * c->w.in[2] * lanes;
	int64_t padded = packed_rows(c), out = at * c->outputs * out_row;
	const float *packed = (const float *)r->run->packed + group * padded * (LINE_POINTS * c->k + 1);
	const float *start = packed + padded * LINE_POINTS * c->k;
	char *memory = (char *)r->run->workspace + (size_t)slot * c->slot_bytes;
	float *points = (float *)memory, *m = (float *)(memory + c->points_bytes);
	float *line = (float *)(memory + c->points_bytes + c->m_bytes);
	float *buffers = (float *)(memory + c->points_bytes + c->m_bytes + c->line_bytes);
	float *y = (float *)r->run->out[0]->data + out;
	if (c->tail) cpu_strips_begin(c->tail, r->run->in, buffers);
	transform_input(c, (const float *)r->run->in[0]->data + at * c->channels * in, l0, l1, line, points);
	for (int64_t l = l0; l < l1; l += c->step) {
		int64_t high = cpu_lesser(c->step, l1 - l);
		for (int64_t i = 0; i < c->outputs; i += c->rows) {
			int rows = (int)cpu_lesser(c->rows, c->outputs - i);
			run_step(c, rows, packed + i * LINE_POINTS * c->k, start + i, points + (l - l0) * c->tiles * lanes, l, high, m,
			         y + i * out_row);
			for (int64_t o = i; c->tail && o < i + rows; o++) {
				int64_t from = o * out_row + l * out_line;
				cpu_strips_run(c->tail, r->run->in, out + from, high * out_line, y + from, buffers);
			}
		}
	}
}

static og_status lines_execute(const backend_kernel *k, const backend_run *run)
{
	const lines *c = k->state;
	cpu_tasks(run->threads, c->slots, c->blocks * c->groups * c->chunks, lines_task, &(lines_run){ c, run });
	return OG_OK;
}

/* ---- packing -------------------------------------------------------------------------------- */

/* G: a row of the kernel as a polynomial, its value at a point over the point's distances to the others. */
static double weight_at(const float *row, int64_t taps, int point)
{
	static const double points[LINE_POINTS - 1] = { LINE_A, -LINE_A, LINE_B, -LINE_B, LINE_C, -LINE_C, LINE_D, -LINE_D };
	if (point == LINE_POINTS - 1) return (double)row[taps - 1];
	double value = 0, distances = 1;
	for (int64_t i = taps - 1; i >= 0; i--) value = value * points[point] + (double)row[i];
	for (int i = 0; i < LINE_POINTS - 1; i++) distances *= i == point ? 1.0 : points[point] - points[i];
	return value / distances;
}

/* For each group: blocks of `rows` outputs, each [point][k][rows], then what the outputs start from. */
static og_status lines_pack(const backend_kernel *kernel, void *packed)
{
	const lines *c = kernel->state;
	float *to = packed;
	int64_t padded = packed_rows(c), taps = c->w.kernel[2];
	for (int64_t g = 0; g < c->groups; g++) {
		const float *weights = c->weights + g * c->outputs * c->k * taps;
		for (int64_t i = 0; i < padded; i += c->rows)
			for (int p = 0; p < LINE_POINTS; p++)
				for (int64_t k = 0; k < c->k; k++)
					for (int64_t o = i; o < i + c->rows; o++)
						*to++ = o < c->outputs ? (float)weight_at(weights + (o * c->k + k) * taps, taps, p) : 0.0f;
		for (int64_t o = 0; o < padded; o++) *to++ = o < c->outputs && c->start ? c->start[g * c->outputs + o] : 0.0f;
	}
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

/* Cuts rows of outputs into tasks, and these into steps whose outputs stay in L1 until the tail has run. */
static void share(lines *c)
{
	int64_t lanes = c->kernels->lanes, tasks = c->blocks * c->groups, high = c->w.out[1];
	int64_t wanted = c->slots > 1 && tasks < 4 * c->slots ? cpu_lesser(cpu_ceil_div(4 * c->slots, tasks), high) : 1;
	int64_t row = c->channels * LINE_POINTS * c->tiles * lanes * (int64_t)sizeof(float);
	int64_t most = BUFFER_BYTES / row - window_extent(&c->w, 1) + 1;
	c->chunk_lines = cpu_ceil_div(high, wanted);
	if (c->chunk_lines > most) c->chunk_lines = most > 1 ? most : 1;
	c->chunks = cpu_ceil_div(high, c->chunk_lines);
	most = c->tail ? TAIL_FLOATS / (c->rows * c->w.out[2] * lanes) : c->chunk_lines;
	c->step = cpu_ceil_div(c->chunk_lines, cpu_ceil_div(c->chunk_lines, most > 1 ? most : 1));
}

static size_t aligned(int64_t floats) { return cpu_whole_lines((size_t)floats * sizeof(float)); }

/* An odd number of vectors from a point to the next: an even one could put all points into a few sets of L1. */
static og_status place(lines *c, const backend_node *node, backend_kernel *out, arena *a)
{
	const window *w = &c->w;
	int64_t lanes = c->kernels->lanes, width = c->tiles * lanes;
	int64_t rows = c->chunk_lines + window_extent(w, 1) - 1;
	c->point = ((rows * c->tiles) | 1) * lanes;
	c->channel = LINE_POINTS * c->point;
	c->m_point = ((c->rows * c->vectors) | 1) * lanes;
	if ((double)c->channels * (double)c->channel > INT32_MAX) return OG_NO;
	int32_t *tap = arena_array(a, (size_t)c->k, sizeof *tap);
	NEED(tap);
	for (int64_t k = 0; k < c->k; k++)
		tap[k] = (int32_t)(k / w->kernel[1] * c->channel + k % w->kernel[1] * w->dilation[1] * width);
	c->tap = tap;
	c->points_bytes = aligned(c->channels * c->channel);
	c->m_bytes = aligned(LINE_POINTS * c->m_point);
	c->line_bytes = aligned(c->padded_cells * lanes);
	c->slot_bytes = c->points_bytes + c->m_bytes + c->line_bytes + cpu_strips_bytes(c->tail);
	out->workspace_bytes = c->slot_bytes * (size_t)c->slots;
	size_t floats;
	if (!base_mul((size_t)packed_rows(c), (size_t)c->k * LINE_POINTS + 1, &floats) ||
	    !base_mul(floats, (size_t)c->groups, &floats) || !base_mul(floats, sizeof(float), &out->packed_bytes))
		return base_fail(OG_UNSUPPORTED, "node '%s': its weights are too large to be packed", node->name);
	return OG_OK;
}

/* Vector operations of a block of samples. */
static double work_of(const lines *c)
{
	double positions = (double)(c->w.out[1] * c->tiles);
	double rows = (double)(c->w.out[1] + c->chunks * (window_extent(&c->w, 1) - 1));
	double products = positions * (double)c->outputs * (double)c->k * LINE_POINTS;
	return (double)c->groups * (products + positions * (double)c->outputs * OUTPUT_WORK +
	                            rows * (double)c->tiles * (double)c->channels * INPUT_WORK);
}

static bool takes(const cpu_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	if (!cpu_is(node, "Conv") || x->rank > 4 || layout_of_input(node, 0) != LAYOUT_SAMPLES || x->dims[0] < 2 ||
	    !cpu_is_constant(r, 1) || (cpu_has(node, 2) && !cpu_is_constant(r, 2)) || og_count(x) == 0 ||
	    og_count(node->out) == 0 || og_count(weights) == 0)
		return false;
	window w;
	window_of(&w, node->attr, x, node->out, weights);
	return w.kernel[2] >= LINE_LEAST_TAPS && w.kernel[2] <= LINE_MOST_TAPS && w.stride[1] == 1 && w.stride[2] == 1 &&
	       w.dilation[2] == 1 && w.begin[2] >= 0;
}

/* Relu of the sums and nothing else. */
static bool is_relu(const program *p)
{
	return p && p->n_steps == 1 && !p->step[0].op->domain && !strcmp(p->step[0].op->name, "Relu") &&
	       p->operand[p->step[0].in[0]] < 0 && p->result == p->step[0].out;
}

og_status cpu_winograd_samples(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	if (!cpu_is_tactic(r, "conv.samples.winograd") || !takes(r)) return OG_NO;
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	const backend_layout *layouts = layout_wanted(r->a, r->node, LAYOUT_SAMPLES, LAYOUT_SAMPLES);
	lines *c = arena_alloc(r->a, sizeof *c);
	NEED(c && layouts);
	c->kernels = r->kernels;
	window_of(&c->w, node->attr, x, node->out, weights);
	c->blocks = cpu_ceil_div(x->dims[0], r->kernels->lanes);
	c->groups = node->attr[GROUP].i;
	c->channels = weights->dims[1];
	c->outputs = weights->dims[0] / c->groups;
	c->k = c->channels * c->w.kernel[1];
	c->wide = LINE_POINTS + 1 - (int)c->w.kernel[2];
	c->tiles = cpu_ceil_div(c->w.out[2], c->wide);
	c->padded_cells = (c->tiles - 1) * c->wide + LINE_POINTS;
	c->weights = weights->data;
	c->start = cpu_has(node, 2) ? node->in[2].data : NULL;
	double direct = (double)og_count(node->out) * (double)c->k * (double)c->w.kernel[2];
	c->slots = cpu_slots(direct / 2.0, r->threads);
	c->relu = is_relu(node->tail);
	if (!c->relu) TRY(cpu_strips_make(&c->tail, r, LAYOUT_SAMPLES));
	cpu_samples_tile(r->kernels, c->outputs, c->w.out[1] * c->tiles, &c->rows, &c->vectors);
	share(c);
	double work = work_of(c) * (double)(c->blocks * r->kernels->lanes);
	*out = (backend_kernel){ .tactic = r->tactic, .run = lines_execute, .pack = lines_pack, .state = c,
	                         .packs_input = cpu_has(node, 2) ? 1u << 1 | 1u << 2 : 1u << 1, .in_layout = layouts,
	                         .out_layout = LAYOUT_SAMPLES, .per_sample = true, .flops = 2.0 * direct,
	                         .cost = cpu_cost(r->kernels, 2.0 * work, 0.9, c->slots) };
	return place(c, node, out, r->a);
}
