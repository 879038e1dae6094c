/* winograd.c -- 3 x 3 convolutions with fewer multiplications (docs/winograd.md).
 *
 * Outputs are cut into tiles, of 4 x 4 say, which need 6 x 6 cells. B^T cells B takes these to 36 points. At each of them a
 * convolution is a product: sums over channels of points times the weights' points, G weights G^T, which are made when
 * the plan is built. A^T sums A takes 36 points back to a tile. A task is a block of tiles, whatever rows and images
 * they are of, and some of the outputs: it has the points of its tiles in L2 and reads each weight once. */
#include "cpu/points.h"

enum { KERNEL = 3, GROUP = WINDOW_OWN_ATTRS };
enum { CELLS = WINOGRAD_MOST_CELLS, POINTS = WINOGRAD_MOST_POINTS * WINOGRAD_MOST_POINTS, OUTPUTS = WINOGRAD_MOST_OUTPUTS };

/* Of an axis: windows are `stride` apart; points have `kinds` of weights, point i that of kind[i], which weights_of makes. */
typedef struct winograd_way {
	const char *tactic;
	int stride, kinds;
	int kind[WINOGRAD_MOST_POINTS];
	void (*weights_of)(const double x[KERNEL], double *to);
	int most_tiles;                      /* of a block: weights are used often enough, and points stay near L2 */
	double work;                         /* vector operations in the time of transforming a tile */
} winograd_way;

typedef struct winograd {
	cpu_points p;
	const winograd_way *way;
	const winograd_form *form;
	int order[POINTS];                   /* points by kinds of weights */
	window w;                            /* axis 0 has size 1 */
	int64_t outputs;
	int64_t rows, columns;               /* of an image's tiles */
	ptrdiff_t x_point;                   /* elements from a point to the next, in the slot's memory */
	bool bias;
	const float *weights;                /* for packing */
	const cpu_strips *tail;
	int slots;
	size_t x_bytes, m_bytes, slot_bytes;
} winograd;

typedef struct winograd_run { const winograd *c; const backend_run *run; } winograd_run;
typedef struct tile_at { int64_t image, row, column; } tile_at;

/* ---- running -------------------------------------------------------------------------------- */

/* Weights have so many matrices; a point has that one. */
static int kinds(const winograd *c) { return c->way->kinds * c->way->kinds; }
static int kind_of(const winograd *c, int point)
{
	const int n = c->form->points;
	return c->way->kind[point / n] * c->way->kinds + c->way->kind[point % n];
}

static tile_at tile_of(const winograd *c, int64_t tile)
{
	return (tile_at){ tile / c->columns / c->rows, tile / c->columns % c->rows, tile % c->columns };
}

static void next_tile(const winograd *c, tile_at *t)
{
	if (++t->column < c->columns) return;
	t->column = 0;
	if (++t->row < c->rows) return;
	t->row = 0;
	t->image++;
}

/* The cells of a tile at (y, x) of a plane, 0 where it has none. */
static void copy_cells(const winograd *c, const float *plane, int64_t y, int64_t x, float *cells)
{
	int64_t lanes = c->p.kernels->lanes, n = c->form->cells, left = x < 0 ? -x : 0, right = cpu_lesser(n, c->w.in[2] - x);
	memset(cells, 0, (size_t)(n * n * lanes) * sizeof *cells);
	for (int64_t i = y < 0 ? -y : 0; i < n && y + i < c->w.in[1] && left < right; i++)
		memcpy(cells + (i * n + left) * lanes, plane + ((y + i) * c->w.in[2] + x + left) * lanes,
		       (size_t)((right - left) * lanes) * sizeof *cells);
}

/* Points of tiles [first, first + n) at `to`: [point][block of channels][tile][lane]. */
static void transform_input(const winograd *c, const float *in, int64_t first, int64_t n, float *to)
{
	_Alignas(64) float cells[CELLS * CELLS * CPU_MAX_LANES];
	const winograd_form *form = c->form;
	int64_t lanes = c->p.kernels->lanes, h = c->w.in[1], w = c->w.in[2], step = form->outputs * c->way->stride;
	for (int64_t k = 0; k < c->p.in_blocks; k++) {
		tile_at t = tile_of(c, first);
		for (int64_t i = 0; i < n; i++, to += lanes, next_tile(c, &t)) {
			const float *plane = in + (t.image * c->p.in_blocks + k) * h * w * lanes;
			int64_t y = t.row * step - c->w.begin[1], x = t.column * step - c->w.begin[2];
			if (y >= 0 && x >= 0 && y + form->cells <= h && x + form->cells <= w) {
				form->input(plane + (y * w + x) * lanes, w * lanes, to, c->x_point);
			} else {
				copy_cells(c, plane, y, x, cells);
				form->input(cells, form->cells * lanes, to, c->x_point);
			}
		}
	}
}

/* Outputs of one tile, which has `high` rows of `wide`. */
static void transform_tile(const winograd *c, const float *m, const float *bias, int64_t high, int64_t wide, float *y)
{
	_Alignas(64) float whole[OUTPUTS * OUTPUTS * CPU_MAX_LANES];
	const int64_t lanes = c->p.kernels->lanes, row = c->w.out[2] * lanes, n = c->form->outputs;
	if (high == n && wide == n) {
		c->form->output(m, c->p.m_point, bias, y, row);
		return;
	}
	c->form->output(m, c->p.m_point, bias, whole, n * lanes);
	for (int64_t i = 0; i < high; i++) memcpy(y + i * row, whole + i * n * lanes, (size_t)(wide * lanes) * sizeof *y);
}

/* Outputs of tiles [first, first + n) in block k, a stretch of a row of tiles at a time, and the tail over them. */
static void transform_output(const winograd_run *r, const float *m, int64_t k, int64_t first, int64_t n,
                             float *buffers)
{
	const winograd *c = r->c;
	_Alignas(64) float bias[CPU_MAX_LANES] = { 0 };
	const int64_t lanes = c->p.kernels->lanes, h = c->w.out[1], w = c->w.out[2], outputs = c->form->outputs;
	float *out = r->run->out[0]->data;
	if (c->bias)
		memcpy(bias, (const float *)r->run->in[2]->data + k * lanes,
		       (size_t)cpu_lesser(lanes, c->outputs - k * lanes) * sizeof *bias);
	for (int64_t end = first + n; first < end;) {
		tile_at t = tile_of(c, first);
		int64_t stretch = cpu_lesser(c->columns - t.column, end - first), x = t.column * outputs;
		int64_t high = cpu_lesser(outputs, h - t.row * outputs), wide = cpu_lesser(stretch * outputs, w - x);
		int64_t at = (((t.image * c->p.out_blocks + k) * h + t.row * outputs) * w + x) * lanes;
		for (int64_t i = 0; i < stretch; i++, m += WINOGRAD_VECTORS * lanes)
			transform_tile(c, m, bias, high, cpu_lesser(outputs, wide - i * outputs), out + at + i * outputs * lanes);
		first += stretch;
		if (!c->tail) continue;
		bool together = wide == w;           /* then the rows are one stretch of memory */
		for (int64_t i = 0; i < (together ? 1 : high); i++, at += w * lanes)
			cpu_strips_run(c->tail, r->run->in, at, (together ? high * w : wide) * lanes, out + at, buffers);
	}
}

/* The rows that outputs and tail of tiles [first, first + n) of `vectors` blocks touch, of the first of their images. */
static cpu_points_later wanted_later(const winograd_run *r, int64_t k, int vectors, int64_t first, int64_t n)
{
	const winograd *c = r->c;
	const float *other = c->tail ? cpu_strips_other(c->tail, r->run->in) : NULL;
	const int64_t lanes = c->p.kernels->lanes, outputs = c->form->outputs, row = first / c->columns % c->rows;
	int64_t rows = cpu_lesser(cpu_ceil_div(n, c->columns), c->rows - row) * outputs;
	if (rows > c->w.out[1] - row * outputs) rows = c->w.out[1] - row * outputs;
	cpu_points_later later = { .lines = rows * c->w.out[2] * lanes / CPU_CHANNELS_LINE };
	for (int j = 0; j < vectors; j++) {
		int64_t at = ((tile_of(c, first).image * c->p.out_blocks + k + j) * c->w.out[1] + row * outputs) * c->w.out[2] * lanes;
		later.at[later.n++] = (const float *)r->run->out[0]->data + at;
		if (other) later.at[later.n++] = other + at;
	}
	return later;
}

static void winograd_task(void *arg, int64_t task, int slot)
{
	const winograd_run *r = arg;
	const winograd *c = r->c;
	int64_t lanes = c->p.kernels->lanes, group = task / c->p.blocks, first = task % c->p.blocks * c->p.block;
	int64_t n = cpu_lesser(c->p.block, c->p.tiles - first), end = cpu_lesser(group * c->p.strip + c->p.strip, c->p.strips);
	char *memory = (char *)r->run->workspace + (size_t)slot * c->slot_bytes;
	float *x = (float *)memory, *m = (float *)(memory + c->x_bytes);
	float *buffers = (float *)(memory + c->x_bytes + c->m_bytes);
	if (c->tail) cpu_strips_begin(c->tail, r->run->in, buffers);
	cpu_points_at at[POINTS];
	for (int i = 0; i < c->p.n; i++) {
		int point = c->order[i];
		at[i] = (cpu_points_at){ x + point * c->x_point, n * lanes, kind_of(c, point), point };
	}
	transform_input(c, r->run->in[0]->data, first, n, x);
	for (int64_t s = group * c->p.strip; s < end; s++) {
		int64_t k = s * WINOGRAD_VECTORS;
		int vectors = (int)cpu_lesser(WINOGRAD_VECTORS, c->p.out_blocks - k);
		cpu_points_later later = wanted_later(r, k, vectors, first, n);
		cpu_points_multiply(&c->p, at, (const float *)r->run->packed + k * kinds(c) * c->p.channels * lanes, s + 1 < end,
		                    vectors, n, m, &later);
		for (int j = 0; j < vectors; j++) transform_output(r, m + j * lanes, k + j, first, n, buffers);
	}
}

static og_status winograd_execute(const backend_kernel *k, const backend_run *run)
{
	const winograd *c = k->state;
	cpu_tasks(run->threads, c->slots, c->p.blocks * c->p.groups, winograd_task, &(winograd_run){ c, run });
	return OG_OK;
}

/* ---- packing -------------------------------------------------------------------------------- */

/* G: the value of a polynomial with coefficients x at each point, over the point's distances to the others; at infinity its last
 * coefficient. */
static void weights_4(const double x[KERNEL], double *to)
{
	const double a = WINOGRAD_A, b = WINOGRAD_B, at[] = { 0, a, -a, b, -b };
	const double over[] = { a * a * b * b, 2 * a * a * (a * a - b * b), 2 * b * b * (b * b - a * a) };
	for (int i = 0; i < 5; i++) to[i] = (x[0] + at[i] * (x[1] + at[i] * x[2])) / over[(i + 1) / 2];
	to[5] = x[2];
}

static void weights_2(const double x[KERNEL], double *to)
{
	to[0] = -x[0];
	to[1] = (x[0] + x[1] + x[2]) / 2;
	to[2] = (x[0] - x[1] + x[2]) / 2;
	to[3] = x[2];
}

/* The outer taps have the even cells, the middle one the odd ones. */
static void weights_apart(const double x[KERNEL], double *to)
{
	const double a = WINOGRAD_C, b = WINOGRAD_D;
	to[0] = x[0] / (a * a * b);
	to[1] = (x[0] + a * x[2]) / (2 * a * a * (a - b));
	to[2] = (x[0] - a * x[2]) / (2 * a * a * (-a - b));
	to[3] = (x[0] + b * x[2]) / (b * (b * b - a * a));
	to[4] = x[2];
	to[5] = x[1];
}

static const winograd_way ways[WINOGRAD_FORMS] = {
	[WINOGRAD_4] = { "conv.winograd", 1, 6, { 0, 1, 2, 3, 4, 5 }, weights_4, 28, 200 },
	[WINOGRAD_2] = { "conv.winograd2x2", 1, 4, { 0, 1, 2, 3 }, weights_2, 56, 70 },
	[WINOGRAD_4_APART] = { "conv.winograd.s2", 2, 6, { 0, 1, 2, 3, 4, 5, 5, 5, 5 }, weights_apart, 8, 450 },
};

/* Matrix [kinds][kinds] of the points' weights. */
static void transform_weights(const winograd_way *way, const float *weights, double *to)
{
	double half[WINOGRAD_MOST_POINTS][KERNEL], column[KERNEL], made[WINOGRAD_MOST_POINTS];
	for (int j = 0; j < KERNEL; j++) {
		for (int i = 0; i < KERNEL; i++) column[i] = (double)weights[i * KERNEL + j];
		way->weights_of(column, made);
		for (int i = 0; i < way->kinds; i++) half[i][j] = made[i];
	}
	for (int i = 0; i < way->kinds; i++) way->weights_of(half[i], to + i * way->kinds);
}

/* Strips one after the other, each [kind][channel][its blocks * lanes]; outputs that are not there are 0. */
static og_status winograd_pack(const backend_kernel *kernel, void *packed)
{
	const winograd *c = kernel->state;
	int64_t lanes = c->p.kernels->lanes;
	float *u = packed;
	for (int64_t k = 0; k < c->p.out_blocks; k += WINOGRAD_VECTORS) {
		int64_t width = cpu_lesser(WINOGRAD_VECTORS, c->p.out_blocks - k) * lanes;
		for (int64_t i = 0; i < c->p.channels * width; i++) {
			int64_t output = k * lanes + i % width;
			double made[POINTS] = { 0 };
			if (output < c->outputs)
				transform_weights(c->way, c->weights + (output * c->p.channels + i / width) * KERNEL * KERNEL, made);
			for (int p = 0; p < kinds(c); p++) u[p * c->p.channels * width + i] = (float)made[p];
		}
		u += kinds(c) * c->p.channels * width;
	}
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

/* A 3 x 3 convolution over two axes with the way's stride, dilation 1, one group and constant weights. */
static bool takes(const cpu_request *r, const winograd_way *way)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	if (!cpu_is(node, "Conv") || x->rank != 4 || !cpu_is_constant(r, 1) || node->attr[GROUP].i != 1) return false;
	window w;
	window_of(&w, node->attr, x, node->out, weights);
	bool fits = x->dims[1] > 1 && weights->dims[0] > 1;            /* else that axis is not cut into blocks */
	for (int a = 1; a < WINDOW_AXES; a++) fits &= w.kernel[a] == KERNEL && w.stride[a] == way->stride && w.dilation[a] == 1;
	return fits;
}

static og_status plan_memory(winograd *c, const backend_node *node, backend_kernel *out)
{
	const size_t points = (size_t)c->p.n * sizeof(float);
	double vectors = ((double)c->p.in_blocks + WINOGRAD_VECTORS + 2.0) * (double)(c->p.block * c->slots) +
	                 (double)c->p.channels * (double)c->p.out_blocks;
	if (vectors * c->p.kernels->lanes * (double)points > 0x1p62)
		return base_fail(OG_UNSUPPORTED, "node '%s': it is too large for Winograd convolution; make it smaller",
		                 node->name);
	c->x_point = cpu_points_apart(&c->p, c->p.in_blocks * c->p.block);
	c->x_bytes = cpu_whole_lines((size_t)c->x_point * points);
	c->m_bytes = cpu_whole_lines((size_t)c->p.m_point * points);
	c->slot_bytes = c->x_bytes + c->m_bytes + cpu_strips_bytes(c->tail);
	out->workspace_bytes = c->slot_bytes * (size_t)c->slots;
	out->packed_bytes = (size_t)(c->p.channels * c->p.out_blocks * c->p.kernels->lanes * kinds(c)) * sizeof(float);
	return OG_OK;
}

/* Points that have the same weights are multiplied one after the other. */
static void sort_points(winograd *c)
{
	for (int kind = 0, n = 0; kind < kinds(c); kind++)
		for (int point = 0; point < c->p.n; point++)
			if (kind_of(c, point) == kind) c->order[n++] = point;
}

og_status cpu_winograd(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	int number = 0;
	while (number < WINOGRAD_FORMS && !cpu_is_tactic(r, ways[number].tactic)) number++;
	if (number == WINOGRAD_FORMS || !takes(r, &ways[number])) return OG_NO;
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	const backend_layout *layouts = layout_wanted(r->a, r->node, LAYOUT_CHANNELS, LAYOUT_CHANNELS);
	winograd *c = arena_alloc(r->a, sizeof *c);
	NEED(c && layouts);
	c->way = &ways[number];
	c->form = &r->kernels->winograd->form[number];
	c->p = (cpu_points){ .kernels = r->kernels, .n = c->form->points * c->form->points, .most_tiles = c->way->most_tiles,
	                     .channels = x->dims[1], .in_blocks = cpu_ceil_div(x->dims[1], r->kernels->lanes),
	                     .input_work = c->way->work, .output_work = c->way->work,
	                     .out_blocks = cpu_ceil_div(weights->dims[0], r->kernels->lanes) };
	sort_points(c);
	window_of(&c->w, node->attr, x, node->out, weights);
	c->outputs = weights->dims[0];
	c->rows = cpu_ceil_div(c->w.out[1], c->form->outputs);
	c->columns = cpu_ceil_div(c->w.out[2], c->form->outputs);
	c->p.tiles = x->dims[0] * c->rows * c->columns;
	c->bias = cpu_has(node, 2);
	c->weights = weights->data;
	double direct = (double)og_count(node->out) * (double)c->p.channels * KERNEL * KERNEL;
	c->slots = cpu_slots(direct / 4.0, r->threads);
	double work = cpu_points_plan(&c->p, c->slots);
	TRY(cpu_strips_make(&c->tail, r, LAYOUT_CHANNELS));
	*out = (backend_kernel){ .tactic = r->tactic, .run = winograd_execute, .pack = winograd_pack, .packs_input = 1u << 1,
	                         .in_layout = layouts, .out_layout = LAYOUT_CHANNELS, .per_sample = true,
	                         .flops = 2.0 * direct, .state = c,
	                         .cost = cpu_cost(r->kernels, work * 2.0 * r->kernels->lanes, 0.9, 1) };
	return plan_memory(c, node, out);
}
