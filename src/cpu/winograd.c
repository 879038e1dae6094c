/* winograd.c -- 3 x 3 convolutions with a quarter of the multiplications (docs/winograd.md).
 *
 * Outputs are cut into tiles of 4 x 4, which need 6 x 6 cells. B^T cells B takes a tile to 36 points. At each of them a
 * convolution is a product: sums over channels of points times the weights' points, G weights G^T, which are made when
 * the plan is built. A^T sums A takes 36 points back to a tile. A task is a block of tiles, whatever rows and images
 * they are of, and some of the outputs: it has the points of its tiles in L2 and reads each weight once. */
#include "cpu/cpu.h"
#include "cpu/winograd.h"

enum { KERNEL = 3, CELLS = 6, OUTPUTS = 4, GROUP = WINDOW_OWN_ATTRS };
enum { MOST_TILES = 28 };                /* of a block: weights are used often enough, and points stay near L2 */
/* Vector operations in the time of transforming a tile, and of a vector of weights coming from memory. */
enum { TRANSFORM_WORK = 200, WEIGHT_WORK = 10 };

typedef struct winograd {
	const cpu_kernels *kernels;
	window w;                            /* axis 0 has size 1 */
	int64_t channels, outputs, in_blocks, out_blocks;
	int64_t rows, columns, tiles;        /* of an image's tiles; of all images */
	int64_t block, blocks;               /* tiles of a task; of them */
	int64_t strips, strip, groups;       /* WINOGRAD_VECTORS blocks of outputs are a strip; strips of a task; of them */
	ptrdiff_t x_point, m_point;          /* elements from a point to the next, in the slot's memory */
	bool bias;
	const float *weights;                /* for packing */
	const cpu_strips *tail;
	int slots;
	size_t x_bytes, m_bytes, slot_bytes;
} winograd;

typedef struct winograd_run { const winograd *c; const backend_run *run; } winograd_run;
typedef struct tile_at { int64_t image, row, column; } tile_at;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- running -------------------------------------------------------------------------------- */

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
	int64_t lanes = c->kernels->lanes, left = x < 0 ? -x : 0, right = least(CELLS, c->w.in[2] - x);
	memset(cells, 0, (size_t)(CELLS * CELLS * lanes) * sizeof *cells);
	for (int64_t i = y < 0 ? -y : 0; i < CELLS && y + i < c->w.in[1] && left < right; i++)
		memcpy(cells + (i * CELLS + left) * lanes, plane + ((y + i) * c->w.in[2] + x + left) * lanes,
		       (size_t)((right - left) * lanes) * sizeof *cells);
}

/* Points of tiles [first, first + n) at `to`: [point][block of channels][tile][lane]. */
static void transform_input(const winograd *c, const float *in, int64_t first, int64_t n, float *to)
{
	_Alignas(64) float cells[CELLS * CELLS * CPU_MAX_LANES];
	int64_t lanes = c->kernels->lanes, h = c->w.in[1], w = c->w.in[2];
	for (int64_t k = 0; k < c->in_blocks; k++) {
		tile_at t = tile_of(c, first);
		for (int64_t i = 0; i < n; i++, to += lanes, next_tile(c, &t)) {
			const float *plane = in + (t.image * c->in_blocks + k) * h * w * lanes;
			int64_t y = t.row * OUTPUTS - c->w.begin[1], x = t.column * OUTPUTS - c->w.begin[2];
			if (y >= 0 && x >= 0 && y + CELLS <= h && x + CELLS <= w) {
				c->kernels->winograd->input(plane + (y * w + x) * lanes, w * lanes, to, c->x_point);
			} else {
				copy_cells(c, plane, y, x, cells);
				c->kernels->winograd->input(cells, CELLS * lanes, to, c->x_point);
			}
		}
	}
}

/* The sums of a strip at m: [point][tile][WINOGRAD_VECTORS * lanes]. Weights that several products use come from memory
 * at an even rate: each of these fetches its share of the next point's. Of a single one the machine does it better. */
static void multiply(const winograd *c, const float *u, const float *x, int vectors, int64_t n, float *m)
{
	const winograd_kernels *k = c->kernels->winograd;
	int64_t lanes = c->kernels->lanes, times = ceil_div(n, k->most_tiles), at_once = ceil_div(n, times);
	ptrdiff_t next = c->channels * vectors * lanes;
	for (int point = 0; point < WINOGRAD_POINTS; point++, x += c->x_point, m += c->m_point, u += next) {
		bool fetch = times > 1 && point < WINOGRAD_POINTS - 1;
		winograd_product p = { .x_block = n * lanes, .u = u, .channels = c->channels, .ahead = fetch ? u + next : u,
		                       .ahead_step = fetch ? ceil_div(lanes, times) : 0 };
		for (int64_t i = 0; i < n; i += at_once, p.ahead += c->channels * vectors * p.ahead_step) {
			p.x = x + i * lanes;
			p.m = m + i * WINOGRAD_VECTORS * lanes;
			k->products[least(at_once, n - i) - 1][vectors - 1](&p);
		}
	}
}

/* Outputs of one tile, which has `high` rows of `wide`. */
static void transform_tile(const winograd *c, const float *m, const float *bias, int64_t high, int64_t wide, float *y)
{
	_Alignas(64) float whole[OUTPUTS * OUTPUTS * CPU_MAX_LANES];
	int64_t lanes = c->kernels->lanes, row = c->w.out[2] * lanes;
	if (high == OUTPUTS && wide == OUTPUTS) {
		c->kernels->winograd->output(m, c->m_point, bias, y, row);
		return;
	}
	c->kernels->winograd->output(m, c->m_point, bias, whole, OUTPUTS * lanes);
	for (int64_t i = 0; i < high; i++)
		memcpy(y + i * row, whole + i * OUTPUTS * lanes, (size_t)(wide * lanes) * sizeof *y);
}

/* Outputs of tiles [first, first + n) in block k, a stretch of a row of tiles at a time, and the tail over them. */
static void transform_output(const winograd_run *r, const float *m, int64_t k, int64_t first, int64_t n,
                             float *buffers)
{
	const winograd *c = r->c;
	_Alignas(64) float bias[CPU_MAX_LANES] = { 0 };
	int64_t lanes = c->kernels->lanes, h = c->w.out[1], w = c->w.out[2];
	float *out = r->run->out[0]->data;
	if (c->bias)
		memcpy(bias, (const float *)r->run->in[2]->data + k * lanes,
		       (size_t)least(lanes, c->outputs - k * lanes) * sizeof *bias);
	for (int64_t end = first + n; first < end;) {
		tile_at t = tile_of(c, first);
		int64_t stretch = least(c->columns - t.column, end - first), x = t.column * OUTPUTS;
		int64_t high = least(OUTPUTS, h - t.row * OUTPUTS), wide = least(stretch * OUTPUTS, w - x);
		int64_t at = (((t.image * c->out_blocks + k) * h + t.row * OUTPUTS) * w + x) * lanes;
		for (int64_t i = 0; i < stretch; i++, m += WINOGRAD_VECTORS * lanes)
			transform_tile(c, m, bias, high, least(OUTPUTS, wide - i * OUTPUTS), out + at + i * OUTPUTS * lanes);
		first += stretch;
		if (!c->tail) continue;
		bool together = wide == w;           /* then the rows are one stretch of memory */
		for (int64_t i = 0; i < (together ? 1 : high); i++, at += w * lanes)
			cpu_strips_run(c->tail, r->run->in, at, (together ? high * w : wide) * lanes, out + at, buffers);
	}
}

static void winograd_task(void *arg, int64_t task, int slot)
{
	const winograd_run *r = arg;
	const winograd *c = r->c;
	int64_t lanes = c->kernels->lanes, group = task / c->blocks, first = task % c->blocks * c->block;
	int64_t n = least(c->block, c->tiles - first), end = least(group * c->strip + c->strip, c->strips);
	char *memory = (char *)r->run->workspace + (size_t)slot * c->slot_bytes;
	float *x = (float *)memory, *m = (float *)(memory + c->x_bytes);
	float *buffers = (float *)(memory + c->x_bytes + c->m_bytes);
	if (c->tail) cpu_strips_begin(c->tail, r->run->in, buffers);
	transform_input(c, r->run->in[0]->data, first, n, x);
	for (int64_t s = group * c->strip; s < end; s++) {
		int64_t k = s * WINOGRAD_VECTORS;
		int vectors = (int)least(WINOGRAD_VECTORS, c->out_blocks - k);
		multiply(c, (const float *)r->run->packed + k * WINOGRAD_POINTS * c->channels * lanes, x, vectors, n, m);
		for (int j = 0; j < vectors; j++) transform_output(r, m + j * lanes, k + j, first, n, buffers);
	}
}

static og_status winograd_execute(const backend_kernel *k, const backend_run *run)
{
	const winograd *c = k->state;
	cpu_tasks(run->threads, c->slots, c->blocks * c->groups, winograd_task, &(winograd_run){ c, run });
	return OG_OK;
}

/* ---- packing -------------------------------------------------------------------------------- */

/* G: the value of a polynomial with coefficients x at each point, over the point's distances to the others. */
static void points_of(const double x[KERNEL], double to[CELLS])
{
	const double a = WINOGRAD_A, b = WINOGRAD_B, at[] = { 0, a, -a, b, -b };
	const double over[] = { a * a * b * b, 2 * a * a * (a * a - b * b), 2 * b * b * (b * b - a * a) };
	for (int i = 0; i < 5; i++) to[i] = (x[0] + at[i] * (x[1] + at[i] * x[2])) / over[(i + 1) / 2];
	to[5] = x[2];
}

static void transform_weights(const float *weights, double to[WINOGRAD_POINTS])
{
	double half[CELLS][KERNEL], column[KERNEL], points[CELLS];
	for (int j = 0; j < KERNEL; j++) {
		for (int i = 0; i < KERNEL; i++) column[i] = (double)weights[i * KERNEL + j];
		points_of(column, points);
		for (int i = 0; i < CELLS; i++) half[i][j] = points[i];
	}
	for (int i = 0; i < CELLS; i++) points_of(half[i], to + i * CELLS);
}

/* Strips one after the other, each [point][channel][its blocks * lanes]; outputs that are not there are 0. */
static og_status winograd_pack(const backend_kernel *kernel, void *packed)
{
	const winograd *c = kernel->state;
	int64_t lanes = c->kernels->lanes;
	float *u = packed;
	for (int64_t k = 0; k < c->out_blocks; k += WINOGRAD_VECTORS) {
		int64_t width = least(WINOGRAD_VECTORS, c->out_blocks - k) * lanes;
		for (int64_t i = 0; i < c->channels * width; i++) {
			int64_t output = k * lanes + i % width;
			double points[WINOGRAD_POINTS] = { 0 };
			if (output < c->outputs)
				transform_weights(c->weights + (output * c->channels + i / width) * KERNEL * KERNEL, points);
			for (int p = 0; p < WINOGRAD_POINTS; p++) u[p * c->channels * width + i] = (float)points[p];
		}
		u += WINOGRAD_POINTS * c->channels * width;
	}
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

/* A 3 x 3 convolution over two axes with stride and dilation 1, one group and constant weights. */
static bool takes(const cpu_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	if (!cpu_is(node, "Conv") || x->rank != 4 || !cpu_is_constant(r, 1) || node->attr[GROUP].i != 1) return false;
	window w;
	window_of(&w, node->attr, x, node->out, weights);
	bool fits = x->dims[1] > 1 && weights->dims[0] > 1;            /* else that axis is not cut into blocks */
	for (int a = 1; a < WINDOW_AXES; a++) fits &= w.kernel[a] == KERNEL && w.stride[a] == 1 && w.dilation[a] == 1;
	return fits;
}

/* Vector operations of a task of `block` tiles and `strip` strips. */
static double task_work(const winograd *c, int64_t block, int64_t strip)
{
	double vectors = (double)least(strip * WINOGRAD_VECTORS, c->out_blocks), tiles = (double)block;
	double products = (tiles < WEIGHT_WORK ? WEIGHT_WORK : tiles) * vectors * WINOGRAD_POINTS * (double)c->channels;
	return products + tiles * ((double)c->in_blocks + vectors) * TRANSFORM_WORK;
}

/* Cuts tiles into blocks, and strips into groups that transform the same tiles again, so that threads end soonest;
 * returns the work of the busiest. */
static double plan_tasks(winograd *c)
{
	int64_t fewest = c->tiles ? ceil_div(c->tiles, MOST_TILES) : 1;
	double best = 0;
	for (int64_t blocks = fewest; blocks <= least(fewest + c->slots - 1, c->tiles); blocks++)
		for (int64_t groups = 1; groups <= least(c->slots, c->strips); groups++) {
			int64_t block = ceil_div(c->tiles, blocks), strip = ceil_div(c->strips, groups);
			int64_t tasks = ceil_div(c->tiles, block) * ceil_div(c->strips, strip);
			double work = (double)ceil_div(tasks, c->slots) * task_work(c, block, strip);
			if (best > 0 && work >= best) continue;
			best = work;
			c->block = block;
			c->strip = strip;
		}
	c->blocks = c->block ? ceil_div(c->tiles, c->block) : 0;
	c->groups = c->strip ? ceil_div(c->strips, c->strip) : 0;
	return best;
}

/* An odd number of vectors from a point to the next: an even one could put all points into a few sets of L1. */
static size_t point_elements(const winograd *c, int64_t vectors) { return (size_t)((vectors | 1) * c->kernels->lanes); }
static size_t aligned(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

static og_status plan_memory(winograd *c, const backend_node *node, backend_kernel *out)
{
	const size_t points = WINOGRAD_POINTS * sizeof(float);
	double vectors = ((double)c->in_blocks + WINOGRAD_VECTORS + 2.0) * (double)(c->block * c->slots) +
	                 (double)c->channels * (double)c->out_blocks;
	if (vectors * c->kernels->lanes * (double)points > 0x1p62)
		return base_fail(OG_UNSUPPORTED, "node '%s': it is too large for Winograd convolution; make it smaller",
		                 node->name);
	c->x_point = (ptrdiff_t)point_elements(c, c->in_blocks * c->block);
	c->m_point = (ptrdiff_t)point_elements(c, WINOGRAD_VECTORS * c->block);
	c->x_bytes = aligned((size_t)c->x_point * points);
	c->m_bytes = aligned((size_t)c->m_point * points);
	c->slot_bytes = c->x_bytes + c->m_bytes + cpu_strips_bytes(c->tail);
	out->workspace_bytes = c->slot_bytes * (size_t)c->slots;
	out->packed_bytes = (size_t)(c->channels * c->out_blocks * c->kernels->lanes) * points;
	return OG_OK;
}

og_status cpu_winograd(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	if (!cpu_is_tactic(r, "conv.winograd") || !takes(r)) return OG_NO;
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	const backend_layout *layouts = cpu_layouts(r, LAYOUT_CHANNELS, LAYOUT_CHANNELS);
	winograd *c = arena_alloc(r->a, sizeof *c);
	NEED(c && layouts);
	c->kernels = r->kernels;
	window_of(&c->w, node->attr, x, node->out, weights);
	c->channels = x->dims[1];
	c->outputs = weights->dims[0];
	c->in_blocks = ceil_div(c->channels, r->kernels->lanes);
	c->out_blocks = ceil_div(c->outputs, r->kernels->lanes);
	c->strips = ceil_div(c->out_blocks, WINOGRAD_VECTORS);
	c->rows = ceil_div(c->w.out[1], OUTPUTS);
	c->columns = ceil_div(c->w.out[2], OUTPUTS);
	c->tiles = x->dims[0] * c->rows * c->columns;
	c->bias = cpu_has(node, 2);
	c->weights = weights->data;
	double direct = (double)og_count(node->out) * (double)c->channels * KERNEL * KERNEL;
	c->slots = cpu_slots(direct / 4.0, r->threads);
	double work = plan_tasks(c);
	TRY(cpu_strips_make(&c->tail, r, LAYOUT_CHANNELS));
	*out = (backend_kernel){ .tactic = r->tactic, .run = winograd_execute, .pack = winograd_pack, .packs_input = 1u << 1,
	                         .in_layout = layouts, .out_layout = LAYOUT_CHANNELS, .per_sample = true,
	                         .flops = 2.0 * direct, .state = c,
	                         .cost = cpu_cost(r->kernels, work * 2.0 * r->kernels->lanes, 0.9, 1) };
	return plan_memory(c, node, out);
}
