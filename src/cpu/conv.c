/* conv.c -- float32 convolutions over one or two axes.
 *
 * C[outputs x windows] = bias + W[outputs x taps] * B[taps x windows], for each group of each image. Windows are taken
 * in blocks of rows. For such a block the rows of the input that it needs are laid out once for each tap along a row
 * (and each remainder of the vertical stride): in each of these planes the cell that belongs to a window has the
 * window's own place, and a tap further down is so many rows on. So every row of B is a stretch of a plane, beginning
 * anywhere, and nothing is copied for the taps of a column. */
#include "cpu/product.h"

enum { GROUP = WINDOW_OWN_ATTRS };
enum { L1_PLANES = 24 * 1024, L2_PLANES = 384 * 1024 };        /* bytes that the planes of a block should stay below */

typedef struct conv {
	window w;                            /* axis 0 has size 1 */
	int64_t images, groups, channels, outputs;   /* the last two of one group */
	int64_t in_plane, out_plane;         /* elements of a channel */
	bool bias, packed;
	const float *weights;                /* for packing */
	const cpu_strips *tail;
	cpu_product product;
	int64_t rows, blocks;                /* rows of windows in a block, and blocks */
	window planes;                       /* how the planes of a block are made from the input */
	int64_t n_planes;                    /* of a group */
	const int32_t *tap;                  /* by row of B: where it begins in the planes */
	int slots;
	size_t slot_bytes;
} conv;

typedef struct conv_run { const conv *c; const backend_run *run; } conv_run;

static const float zero;

/* ---- running -------------------------------------------------------------------------------- */

static size_t plane_bytes(const conv *c)
{
	size_t floats = (size_t)(c->n_planes * c->planes.out[1] * c->planes.out[2]) + CPU_MAX_LANES;
	return (floats * sizeof(float) + 63) & ~(size_t)63;
}

/* Task: some outputs (chunk) of some rows of windows (block) of a group of an image. */
static void conv_task(void *arg, int64_t task, int slot)
{
	const conv_run *r = arg;
	const conv *c = r->c;
	const cpu_product *p = &c->product;
	int64_t chunk = task % p->chunks, block = task / p->chunks % c->blocks, at = task / p->chunks / c->blocks;
	int64_t group = at % c->groups, oy = block * c->rows, rows = c->w.out[1] - oy < c->rows ? c->w.out[1] - oy : c->rows;
	int64_t n = rows * c->w.out[2], place = at * c->outputs * c->out_plane + oy * c->w.out[2];
	char *workspace = (char *)r->run->workspace + (size_t)slot * c->slot_bytes;
	float *planes = (float *)workspace, *tail_buffers = (float *)(workspace + plane_bytes(c));
	window w = c->planes;
	w.begin[1] -= oy * c->w.stride[1];
	p->kernels->unfold(&w, (const float *)r->run->in[0]->data + at * c->channels * c->in_plane, c->channels, planes);
	if (c->tail) cpu_strips_begin(c->tail, r->run->in, tail_buffers);
	for (int64_t i = chunk * p->chunk; i < p->m && i < (chunk + 1) * p->chunk; i += p->rows) {
		int tile_rows = (int)(p->m - i < p->rows ? p->m - i : p->rows);
		float *y = (float *)r->run->out[0]->data + place + i * c->out_plane;
		cpu_tile t = { .b = planes, .tap = c->tap, .c = y, .c_row = c->out_plane, .k = p->k, .start = &zero };
		if (c->packed) {
			t.a = (const float *)r->run->packed + group * (int64_t)(cpu_product_bytes_a(p) / sizeof(float)) + i * p->k;
			t.a_row = 1;
			t.a_k = p->rows;
		} else {
			t.a = (const float *)r->run->in[1]->data + (group * p->m + i) * p->k;
			t.a_row = p->k;
			t.a_k = 1;
		}
		if (c->bias) {
			t.start = (const float *)r->run->in[2]->data + group * p->m + i;
			t.start_row = 1;
		}
		cpu_product_tiles(p, &t, tile_rows, n);
		for (int k = 0; c->tail && k < tile_rows; k++)
			cpu_strips_run(c->tail, r->run->in, place + (i + k) * c->out_plane, n, y + k * c->out_plane, tail_buffers);
	}
}

static og_status conv_execute(const backend_kernel *k, const backend_run *run)
{
	const conv *c = k->state;
	cpu_tasks(run->threads, c->slots, c->images * c->groups * c->blocks * c->product.chunks, conv_task, &(conv_run){ c, run });
	return OG_OK;
}

static og_status conv_pack(const backend_kernel *k, void *packed)
{
	const conv *c = k->state;
	size_t floats = cpu_product_bytes_a(&c->product) / sizeof(float);
	for (int64_t g = 0; g < c->groups; g++)
		cpu_product_pack_a(&c->product, c->weights + g * c->outputs * c->product.k, (float *)packed + (size_t)g * floats);
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

static og_status conv_of(conv **out, const cpu_request *r)
{
	const backend_node *node = r->node;
	const og_tensor *x = &node->in[0], *weights = &node->in[1], *y = node->out;
	conv *c = arena_alloc(r->a, sizeof *c);
	NEED(c);
	window_of(&c->w, node->attr, x, y, weights);
	c->images = x->dims[0];
	c->groups = node->attr[GROUP].i;
	c->channels = weights->dims[1];
	c->outputs = weights->dims[0] / c->groups;
	c->in_plane = og_span(x, 2, x->rank);
	c->out_plane = og_span(y, 2, y->rank);
	c->weights = weights->data;
	c->bias = cpu_has(node, 2);
	*out = c;
	return cpu_strips_make(&c->tail, r);
}

/* Rows of a plane that `rows` rows of windows need. */
static int64_t plane_rows(const conv *c, int64_t rows)
{
	const window *w = &c->w;
	return ((rows - 1) * w->stride[1] + window_extent(w, 1) + w->stride[1] - 1) / w->stride[1];
}

/* As many rows of windows as have planes of so many bytes. */
static int64_t rows_within(const conv *c, double bytes)
{
	double rows = bytes / ((double)c->n_planes * (double)c->w.out[2] * sizeof(float)) - (double)(plane_rows(c, 1) - 1);
	return rows >= (double)c->w.out[1] ? c->w.out[1] : rows < 1 ? 1 : (int64_t)rows;
}

/* Rows of a block: the planes are to stay in L1, or in L2 when they would be little more than the rows shared with the
 * blocks above and below. */
static og_status choose_planes(conv *c, const backend_node *node)
{
	const window *w = &c->w;
	c->planes = *w;
	c->planes.kernel[1] = w->stride[1];
	c->planes.dilation[1] = 1;
	c->n_planes = c->channels * w->stride[1] * w->kernel[2];
	c->rows = rows_within(c, L1_PLANES);
	if (c->rows < w->out[1] && c->rows < 8 * plane_rows(c, 1)) c->rows = rows_within(c, L2_PLANES);
	c->blocks = (w->out[1] + c->rows - 1) / c->rows;
	c->rows = (w->out[1] + c->blocks - 1) / c->blocks;
	c->planes.out[1] = plane_rows(c, c->rows);
	if ((double)c->n_planes * (double)c->planes.out[1] * (double)w->out[2] < INT32_MAX) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "node '%s': one row of its windows needs more than 2^31 cells; make its input smaller",
	                 node->name);
}

static og_status place_taps(conv *c, arena *a)
{
	const window *w = &c->w;
	int64_t plane = c->planes.out[1] * w->out[2], s = w->stride[1];
	int32_t *tap = arena_array(a, (size_t)c->product.k + 1, sizeof *tap);
	NEED(tap);
	c->tap = tap;
	for (int64_t channel = 0; channel < c->channels; channel++)
		for (int64_t ky = 0; ky < w->kernel[1]; ky++)
			for (int64_t kx = 0; kx < w->kernel[2]; kx++) {
				int64_t y = ky * w->dilation[1];
				*tap++ = (int32_t)(((channel * s + y % s) * w->kernel[2] + kx) * plane + y / s * w->out[2]);
			}
	return OG_OK;
}

og_status cpu_conv(backend_kernel *out, const cpu_request *r)
{
	static const char *const names[2] = { "conv.plain", "conv.packed" };
	const backend_node *node = r->node;
	conv *c;
	if (!cpu_is(node, "Conv") || node->in[0].rank > 4) return OG_NO;
	bool packed = r->tactic ? !strcmp(r->tactic, names[1]) : node->in[1].data != NULL;
	if (!cpu_may(r, names[packed])) return OG_NO;
	TRY(conv_of(&c, r));
	TRY(choose_planes(c, node));
	int64_t k = c->channels * c->w.kernel[1] * c->w.kernel[2];
	double work = (double)k * (double)c->out_plane * (double)c->outputs * (double)c->groups * (double)c->images;
	c->packed = packed;
	c->slots = cpu_slots(work, r->threads);
	cpu_product_plan(&c->product, r->kernels, c->outputs, c->rows * c->w.out[2], k, false, c->images * c->groups * c->blocks, c->slots);
	TRY(place_taps(c, r->a));
	c->slot_bytes = plane_bytes(c) + cpu_strips_bytes(c->tail);
	*out = (backend_kernel){ .tactic = names[packed], .run = conv_execute, .state = c, .flops = 2.0 * work,
	                         .workspace_bytes = c->slot_bytes * (size_t)c->slots };
	if (!packed) return OG_OK;
	size_t bytes = cpu_product_bytes_a(&c->product);
	if (bytes == SIZE_MAX || !base_mul(bytes, (size_t)c->groups, &out->packed_bytes))
		return base_fail(OG_UNSUPPORTED, "node '%s': its weights are too large to be packed", node->name);
	out->pack = conv_pack;
	out->packs_input = 1u << 1;
	return OG_OK;
}
