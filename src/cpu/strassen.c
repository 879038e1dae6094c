/* strassen.c -- 1 x 1 convolutions with seven eighths of the multiplications (docs/winograd.md).
 *
 * Such a convolution is a matrix product, Y = A X: outputs by channels times channels by cells. Each matrix is cut into quarters;
 * seven products of sums of quarters (Strassen's, with the sums of Winograd's form) give the four quarters of Y, where the
 * definition has eight. A tile is a cell of the left half of an image's windows and its partner in the right half; where the
 * number of windows is odd, the halves share the one in the middle, which belongs to the right. Which two are partners depends
 * on neither tasks nor threads. */
#include "cpu/points.h"
#include "cpu/strassen.h"

enum { GROUP = WINDOW_OWN_ATTRS };
enum { TILE_BYTES = 448 * 1024, LEAST_TILES = 28 };  /* of the cells and points of a task; tiles that weights are worth fetching for */
enum { INPUT_WORK = 12, OUTPUT_WORK = 24 };          /* vector operations in the time of a tile's sums, of one block of each half */

typedef struct strassen {
	cpu_points p;                            /* of an image; blocks of one half */
	window w;
	int64_t images, outputs;
	int64_t out_plane, half;             /* windows; from the left half's first to the right half's */
	bool copied;                         /* windows are apart: cells are put side by side first */
	ptrdiff_t x_point;
	const float *weights, *bias;         /* for packing; bias may be NULL */
	cpu_ending end;
	int slots;
	size_t cell_bytes, x_bytes, m_bytes, slot_bytes;
} strassen;

typedef struct strassen_run { const strassen *c; const backend_run *run; } strassen_run;

/* ---- running -------------------------------------------------------------------------------- */

/* Cells of windows [first, first + n) of all blocks: [block][2][most][lane], the second half of a row being for their partners. */
static void gather(const strassen *c, const float *x, int64_t first, int64_t n, float *to)
{
	const window *w = &c->w;
	const int64_t lanes = c->p.kernels->lanes, plane = w->in[1] * w->in[2] * lanes;
	const int64_t blocks = 2 * c->p.in_blocks, down = w->stride[1] * w->in[2] * lanes;
	x += first / w->out[2] * down;
	for (int64_t b = 1; b <= blocks; b++, x += plane, to += 2 * c->p.block * lanes)
		c->p.kernels->strassen->gather(x, n, w->out[2], first % w->out[2], w->stride[2] * lanes, down, to, b < blocks ? plane : 0);
}

/* The seven points of n tiles, from the first on: quarters of the input where they lie, and sums of these at `to`. */
static void make_points(const strassen *c, const float *x, int64_t first, int64_t n, float *cells, float *to, cpu_points_at *at)
{
	const int64_t lanes = c->p.kernels->lanes;
	int64_t block = c->out_plane * lanes, right = c->half * lanes;
	if (c->copied) {
		gather(c, x, first, n, cells);
		gather(c, x, first + c->half, n, cells + c->p.block * lanes);
		x = cells;
		block = 2 * c->p.block * lanes;
		right = c->p.block * lanes;
	} else {
		x += first * lanes;
	}
	const float *below = x + c->p.in_blocks * block;
	const float *const from[STRASSEN_POINTS] = { x, below, below + right, to + 3 * c->x_point, to, to + c->x_point, to + 2 * c->x_point };
	for (int i = 0; i < STRASSEN_POINTS; i++) at[i] = (cpu_points_at){ from[i], i < 3 ? block : n * lanes, i, i };
	for (int64_t k = 0; k < c->p.in_blocks; k++, x += block, below += block, to += n * lanes)
		c->p.kernels->strassen->input((const float *const[2][2]){ { x, x + right }, { below, below + right } }, n, to, c->x_point);
}

/* Where tile `first` of output block k goes, of an output half and a side. */
static int64_t place_of(const strassen *c, int64_t image, int64_t k, int half, int side, int64_t first)
{
	return (((image * 2 + half) * c->p.out_blocks + k) * c->out_plane + first + side * c->half) * c->p.kernels->lanes;
}

/* What outputs and tail of n tiles of `vectors` blocks touch. */
static cpu_points_later wanted_later(const strassen_run *r, int64_t image, int64_t k, int vectors, int64_t first, int64_t n)
{
	const strassen *c = r->c;
	const float *other = cpu_ending_other(&c->end, r->run->in);
	cpu_points_later later = { .lines = n * c->p.kernels->lanes / CPU_CHANNELS_LINE };
	for (int i = 0; i < 4 * vectors; i++) {
		int64_t at = place_of(c, image, k + i / 4, i / 2 % 2, i % 2, first);
		later.at[later.n++] = (const float *)r->run->out[0]->data + at;
		if (other) later.at[later.n++] = other + at;
	}
	return later;
}

/* Tiles [first, first + n) of block k of the outputs of both halves, and the tail over them. */
static void make_outputs(const strassen_run *r, const float *m, int64_t image, int64_t k, int64_t first, int64_t n, float *buffers)
{
	const strassen *c = r->c;
	const int64_t lanes = c->p.kernels->lanes;
	const float *other = cpu_ending_other(&c->end, r->run->in);
	strassen_outputs t = { .m = m, .m_point = c->p.m_point, .m_tile = WINOGRAD_VECTORS * lanes, .tiles = n,
	                       .left = cpu_lesser(n, c->half - first), .adds = c->end.add >= 0, .low = c->end.low, .high = c->end.high };
	int64_t at[2][2];
	for (int i = 0; i < 2; i++) {
		for (int j = 0; j < 2; j++) {
			at[i][j] = place_of(c, image, k, i, j, first);
			t.y[i][j] = (float *)r->run->out[0]->data + at[i][j];
			t.other[i][j] = other ? other + at[i][j] : t.y[i][j];
		}
		t.bias[i] = (const float *)r->run->packed + (i * c->p.out_blocks + k) * lanes;
	}
	c->p.kernels->strassen->output(&t);
	for (int i = 0; c->end.tail && i < 2; i++) {
		bool together = t.left == c->half;   /* then the sides follow each other */
		int64_t left = together ? c->out_plane : t.left;
		cpu_strips_run(c->end.tail, r->run->in, at[i][0], left * lanes, t.y[i][0], buffers);
		if (!together) cpu_strips_run(c->end.tail, r->run->in, at[i][1], n * lanes, t.y[i][1], buffers);
	}
}

static void strassen_task(void *arg, int64_t task, int slot)
{
	const strassen_run *r = arg;
	const strassen *c = r->c;
	const cpu_points *p = &c->p;
	const int64_t lanes = p->kernels->lanes, group = task / p->blocks % p->groups, image = task / p->blocks / p->groups;
	int64_t first = task % p->blocks * p->block, n = cpu_lesser(p->block, p->tiles - first);
	int64_t end = cpu_lesser(group * p->strip + p->strip, p->strips);
	char *memory = (char *)r->run->workspace + (size_t)slot * c->slot_bytes;
	float *x = (float *)(memory + c->cell_bytes), *m = (float *)(memory + c->cell_bytes + c->x_bytes);
	float *buffers = (float *)(memory + c->cell_bytes + c->x_bytes + c->m_bytes);
	const float *image_x = (const float *)r->run->in[0]->data + image * 2 * p->in_blocks * c->w.in[1] * c->w.in[2] * lanes;
	const float *weights = (const float *)r->run->packed + 2 * p->out_blocks * lanes;
	cpu_points_at at[STRASSEN_POINTS];
	if (c->end.tail) cpu_strips_begin(c->end.tail, r->run->in, buffers);
	make_points(c, image_x, first, n, (float *)memory, x, at);
	for (int64_t s = group * p->strip; s < end; s++) {
		int64_t k = s * WINOGRAD_VECTORS;
		int vectors = (int)cpu_lesser(WINOGRAD_VECTORS, p->out_blocks - k);
		cpu_points_later later = wanted_later(r, image, k, vectors, first, n);
		cpu_points_multiply(p, at, weights + k * STRASSEN_POINTS * p->channels * lanes, s + 1 < end, vectors, n, m, &later);
		for (int j = 0; j < vectors; j++) make_outputs(r, m + j * lanes, image, k + j, first, n, buffers);
	}
}

static og_status strassen_execute(const backend_kernel *k, const backend_run *run)
{
	const strassen *c = k->state;
	cpu_tasks(run->threads, c->slots, c->images * c->p.blocks * c->p.groups, strassen_task, &(strassen_run){ c, run });
	return OG_OK;
}

/* ---- packing -------------------------------------------------------------------------------- */

/* The weights' points, of the four quarters' elements at one place. */
static void points_of(double a, double right, double below, double last, double to[STRASSEN_POINTS])
{
	double row = below + last, all = row - a;
	to[0] = a;
	to[1] = right;
	to[2] = right - all;
	to[3] = last;
	to[4] = row;
	to[5] = all;
	to[6] = a - below;
}

/* Biases; then strips one after the other, each [point][channel][its blocks * lanes]. */
static og_status strassen_pack(const backend_kernel *kernel, void *packed)
{
	const strassen *c = kernel->state;
	const cpu_points *p = &c->p;
	const int64_t lanes = p->kernels->lanes, rows = c->outputs / 2, k = p->channels;
	float *to = packed;
	for (int64_t i = 0; i < c->outputs; i++) *to++ = c->bias ? c->bias[i] : 0.0f;
	for (int64_t b = 0; b < p->out_blocks; b += WINOGRAD_VECTORS) {
		int64_t width = cpu_lesser(WINOGRAD_VECTORS, p->out_blocks - b) * lanes;
		for (int64_t i = 0; i < k * width; i++) {
			const float *a = c->weights + (b * lanes + i % width) * 2 * k + i / width, *below = a + rows * 2 * k;
			double points[STRASSEN_POINTS];
			points_of((double)a[0], (double)a[k], (double)below[0], (double)below[k], points);
			for (int j = 0; j < STRASSEN_POINTS; j++) to[j * k * width + i] = (float)points[j];
		}
		to += STRASSEN_POINTS * k * width;
	}
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

/* A 1 x 1 convolution without padding in one group, of blocks of channels and of outputs that can be halved. */
static bool takes(const cpu_request *r, window *w)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	if (!cpu_is(node, "Conv") || x->rank > 4 || !cpu_is_constant(r, 1) || (cpu_has(node, 2) && !cpu_is_constant(r, 2)) ||
	    node->attr[GROUP].i != 1 || og_count(node->out) == 0)
		return false;
	window_of(w, node->attr, x, node->out, weights);
	bool fits = weights->dims[0] % (2 * r->kernels->lanes) == 0 && x->dims[1] % (2 * r->kernels->lanes) == 0;
	for (int a = 1; a < WINDOW_AXES; a++) fits &= w->kernel[a] == 1 && !w->begin[a] && !w->end[a];
	return fits && w->out[1] * w->out[2] > 1 && x->dims[1] > 0;
}

/* The tensors at hand fit memory, but a plan file may say anything of those that are not. */
static og_status check_size(const backend_node *node, const window *w)
{
	double channels = (double)node->in[0].dims[1], outputs = (double)node->in[1].dims[0];
	double cells = (double)w->out[1] * (double)w->out[2];
	if (channels * (outputs + cells) + outputs * cells < 0x1p48) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "node '%s': it is too large for Strassen's products; make it smaller", node->name);
}

static void plan_memory(strassen *c, backend_kernel *out)
{
	const cpu_points *p = &c->p;
	const size_t vector = (size_t)p->kernels->lanes * sizeof(float);
	c->x_point = cpu_points_apart(p, p->in_blocks * p->block);
	c->cell_bytes = c->copied ? cpu_whole_lines((size_t)(4 * p->in_blocks * p->block) * vector) : 0;
	c->x_bytes = cpu_whole_lines((size_t)(STRASSEN_SUMS * c->x_point) * sizeof(float));
	c->m_bytes = cpu_whole_lines((size_t)(STRASSEN_POINTS * p->m_point) * sizeof(float));
	c->slot_bytes = c->cell_bytes + c->x_bytes + c->m_bytes + cpu_strips_bytes(c->end.tail);
	out->workspace_bytes = c->slot_bytes * (size_t)c->slots;
	out->packed_bytes = (size_t)((p->channels * STRASSEN_POINTS + 2) * p->out_blocks) * vector;
}

og_status cpu_strassen(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	window w;
	if (!cpu_is_tactic(r, "conv.strassen") || !takes(r, &w)) return OG_NO;
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	const backend_layout *layouts = layout_wanted(r->a, r->node, LAYOUT_CHANNELS, LAYOUT_CHANNELS);
	strassen *c = arena_alloc(r->a, sizeof *c);
	NEED(c && layouts);
	TRY(check_size(node, &w));
	const int64_t lanes = r->kernels->lanes, windows = w.out[1] * w.out[2];
	*c = (strassen){ .w = w, .images = x->dims[0], .outputs = weights->dims[0], .out_plane = windows, .half = windows / 2,
	                 .copied = w.stride[1] > 1 || w.stride[2] > 1, .weights = weights->data,
	                 .bias = cpu_has(node, 2) ? node->in[2].data : NULL };
	cpu_points *p = &c->p;
	*p = (cpu_points){ .kernels = r->kernels, .n = STRASSEN_POINTS, .channels = x->dims[1] / 2, .in_blocks = x->dims[1] / 2 / lanes,
	                   .out_blocks = c->outputs / 2 / lanes, .tiles = windows - c->half, .input_work = INPUT_WORK,
	                   .output_work = OUTPUT_WORK };
	/* of a tile: a cell of each quarter and its sums */
	int64_t tile_bytes = (4 + STRASSEN_SUMS) * p->channels * (int64_t)sizeof(float), most = TILE_BYTES / tile_bytes;
	p->most_tiles = most > LEAST_TILES ? most : LEAST_TILES;
	double direct = (double)og_count(node->out) * (double)x->dims[1];
	c->slots = cpu_slots(direct, r->threads);
	bool apart = c->images % c->slots == 0;  /* slots take images, and no tile or strip is done twice */
	double work = cpu_points_plan(p, apart ? 1 : c->slots) * (double)(apart ? c->images / c->slots : c->images);
	TRY(cpu_ending_make(&c->end, r, LAYOUT_CHANNELS));
	*out = (backend_kernel){ .tactic = r->tactic, .run = strassen_execute, .pack = strassen_pack,
	                         .packs_input = 1u << 1 | (cpu_has(node, 2) ? 1u << 2 : 0), .in_layout = layouts,
	                         .out_layout = LAYOUT_CHANNELS, .per_sample = true, .flops = 2.0 * direct, .state = c,
	                         .cost = cpu_cost(r->kernels, work * 2.0 * (double)lanes, 0.9, 1) };
	plan_memory(c, out);
	return OG_OK;
}
