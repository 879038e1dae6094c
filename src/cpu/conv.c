/* conv.c -- float32 convolutions over one or two axes.
 *
 * C[outputs x windows] = bias + W[outputs x taps] * B[taps x windows], for each group of each image. Windows are taken
 * in strips of whole rows, channels in blocks. For strip and block the cells needed are laid out once for each tap
 * along a row (and each remainder of the vertical stride): in such a plane the cell that belongs to a window has the
 * window's own place, and that of a tap further down is so many rows on. So every row of B is a stretch of a plane,
 * and nothing is copied for the taps of a column. Of a 1 x 1 convolution the input itself is B. */
#include "cpu/product.h"

enum { GROUP = WINDOW_OWN_ATTRS };
enum { L1_PLANES = 24 * 1024, L2_PLANES = 256 * 1024 };        /* bytes that planes should stay below */

typedef struct conv {
	cpu_convolution of;
	bool bias, packed, pointwise;
	int64_t packed_floats;               /* of a group's packed weights */
	const cpu_strips *tail;
	cpu_product product;
	int64_t rows;                        /* rows of windows in a strip */
	int64_t phases;                      /* remainders of the vertical stride that taps have */
	window planes;                       /* how planes are made from the input */
	const int32_t *tap;                  /* where each row of a block of B begins in the planes */
	int slots;
	size_t buffer_bytes, slot_bytes;
} conv;

typedef struct conv_run { const conv *c; const backend_run *run; } conv_run;
typedef struct conv_source { const conv *c; const float *x; } conv_source;      /* x: a group of an image */

static const float zero;

/* ---- running -------------------------------------------------------------------------------- */

static const float *plane_columns(const cpu_operands *o, int64_t k0, int64_t k1, int64_t j0, int64_t j1, float *buffer,
                                  ptrdiff_t *ld)
{
	const conv_source *s = o->source;
	const conv *c = s->c;
	int64_t taps = c->of.w.kernel[1] * c->of.w.kernel[2], oy = j0 / c->of.w.out[2];
	window w = c->planes;
	(void)j1; (void)ld;
	w.begin[1] -= oy * w.stride[1];
	c->product.kernels->unfold(&w, s->x + k0 / taps * c->of.in_plane, (k1 - k0) / taps, buffer);
	return buffer;
}

static const float *pointwise_columns(const cpu_operands *o, int64_t k0, int64_t k1, int64_t j0, int64_t j1,
                                      float *buffer, ptrdiff_t *ld)
{
	const conv_source *s = o->source;
	cpu_matrix x = { .b = s->x, .b_k = s->c->of.in_plane, .b_j = 1, .alpha = 1.0f };
	return cpu_matrix_columns(&x, &s->c->product, k0, k1, j0, j1, buffer, ld);
}

static void conv_task(void *arg, int64_t task, int slot)
{
	const conv_run *r = arg;
	const conv *c = r->c;
	const cpu_product *p = &c->product;
	int64_t chunk = task % p->chunks, strip = task / p->chunks % p->strips, at = task / p->chunks / p->strips;
	int64_t group = at % c->of.groups;
	conv_source source = { c, (const float *)r->run->in[0]->data + at * c->of.channels * c->of.in_plane };
	cpu_operands o = { .a_packed = c->packed, .a_row = p->k, .a_k = 1, .start = &zero, .c_row = p->n, .tap = c->tap,
	                   .columns = c->pointwise ? pointwise_columns : plane_columns, .source = &source,
	                   .tail = c->tail, .in = r->run->in, .at = at * p->m * p->n };
	o.c = (float *)r->run->out[0]->data + o.at;
	if (c->packed) o.a = (const float *)r->run->packed + group * c->packed_floats;
	else o.a = (const float *)r->run->in[1]->data + group * p->m * p->k;
	if (c->bias) {
		o.start = (const float *)r->run->in[2]->data + group * p->m;
		o.start_row = 1;
	}
	char *buffer = (char *)r->run->workspace + (size_t)slot * c->slot_bytes;
	cpu_product_run(p, &o, strip, chunk, (float *)buffer, (float *)(buffer + c->buffer_bytes));
}

static og_status conv_execute(const backend_kernel *k, const backend_run *run)
{
	const conv *c = k->state;
	const cpu_product *p = &c->product;
	int64_t tasks = c->of.images * c->of.groups * p->strips * p->chunks;
	cpu_tasks(run->threads, c->slots, tasks, conv_task, &(conv_run){ c, run });
	return OG_OK;
}

static og_status conv_pack(const backend_kernel *k, void *packed)
{
	const conv *c = k->state;
	const cpu_product *p = &c->product;
	for (int64_t g = 0; g < c->of.groups; g++)
		cpu_product_pack_a(p, c->of.weights + g * p->m * p->k, (float *)packed + g * c->packed_floats);
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

cpu_convolution cpu_convolution_of(const backend_node *node)
{
	const og_tensor *x = &node->in[0], *weights = &node->in[1], *y = node->out;
	cpu_convolution c = { .images = x->dims[0], .groups = node->attr[GROUP].i, .channels = weights->dims[1],
	                      .in_plane = og_span(x, 2, x->rank), .out_plane = og_span(y, 2, y->rank), .weights = weights->data,
	                      .bias = cpu_has(node, 2) ? node->in[2].data : NULL };
	c.outputs = weights->dims[0] / c.groups;
	window_of(&c.w, node->attr, x, y, weights);
	return c;
}

static og_status conv_of(conv **out, const cpu_request *r)
{
	conv *c = arena_alloc(r->a, sizeof *c);
	NEED(c);
	*out = c;
	c->of = cpu_convolution_of(r->node);
	c->bias = cpu_has(r->node, 2);
	c->pointwise = true;
	for (int a = 1; a < WINDOW_AXES; a++)
		c->pointwise &= c->of.w.kernel[a] == 1 && c->of.w.stride[a] == 1 && !c->of.w.begin[a] && !c->of.w.end[a];
	return cpu_strips_make(&c->tail, r, LAYOUT_PLAIN);
}

/* Rows of a plane that `rows` rows of windows need. */
static int64_t plane_rows(const conv *c, int64_t rows)
{
	const window *w = &c->of.w;
	return ((rows - 1) * w->stride[1] + window_extent(w, 1) + w->stride[1] - 1) / w->stride[1];
}

/* As many rows of windows as have planes of so many bytes; row_bytes: of one row of all planes. */
static int64_t rows_within(const conv *c, double bytes, double row_bytes)
{
	double rows = bytes / row_bytes - (double)(plane_rows(c, 1) - 1);
	return rows >= (double)c->of.w.out[1] ? c->of.w.out[1] : rows < 1 ? 1 : (int64_t)rows;
}

/* Cuts channels into blocks and windows into strips, whose planes are to stay in L1, or in L2 when strips would
 * otherwise be little more than the rows they share with those above and below. */
static og_status plan_planes(conv *c, const backend_node *node)
{
	const window *w = &c->of.w;
	cpu_product *p = &c->product;
	int64_t taps = w->kernel[1] * w->kernel[2], most = taps < CPU_DEPTH ? CPU_DEPTH / taps : 1;
	int64_t extent = window_extent(w, 1);
	c->phases = w->stride[1] < extent ? w->stride[1] : extent;
	int64_t blocks = (c->of.channels + most - 1) / most, channels = blocks ? (c->of.channels + blocks - 1) / blocks : 1;
	double row_bytes = (double)(channels * c->phases * w->kernel[2]) * (double)w->out[2] * sizeof(float);
	c->rows = rows_within(c, L1_PLANES, row_bytes);
	if (c->rows < w->out[1] && c->rows < 8 * plane_rows(c, 1)) c->rows = rows_within(c, L2_PLANES, row_bytes);
	int64_t strips = (w->out[1] + c->rows - 1) / c->rows;
	c->rows = (w->out[1] + strips - 1) / strips;
	c->planes = *w;
	c->planes.kernel[1] = c->phases;
	c->planes.dilation[1] = 1;
	c->planes.out[1] = plane_rows(c, c->rows);
	double cells = row_bytes / sizeof(float) * (double)c->planes.out[1];
	if (cells > INT32_MAX)
		return base_fail(OG_UNSUPPORTED, "node '%s': one row of its windows needs more than 2^31 cells; make its input "
		                 "smaller", node->name);
	p->depth = channels * taps;
	p->strip = c->rows * w->out[2];
	p->strips = (w->out[1] + c->rows - 1) / c->rows;
	c->buffer_bytes = cpu_whole_lines(((size_t)cells + CPU_MAX_LANES) * sizeof(float));
	return OG_OK;
}

static og_status place_taps(conv *c, arena *a)
{
	const window *w = &c->of.w;
	int64_t plane = c->planes.out[1] * w->out[2], taps = w->kernel[1] * w->kernel[2], s = w->stride[1];
	int32_t *tap = arena_array(a, (size_t)c->product.depth, sizeof *tap);
	NEED(tap);
	c->tap = tap;
	for (int64_t k = 0; k < c->product.depth; k++) {
		int64_t channel = k / taps, y = k % taps / w->kernel[2] * w->dilation[1], kx = k % w->kernel[2];
		tap[k] = (int32_t)(((channel * c->phases + y % s) * w->kernel[2] + kx) * plane + y / s * w->out[2]);
	}
	return OG_OK;
}

og_status cpu_conv(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	conv *c = NULL;
	if (!cpu_is(node, "Conv") || node->in[0].rank > 4) return OG_NO;
	bool packed = cpu_is_constant(r, 1);
	if (!cpu_is_tactic(r, packed ? "conv.packed" : "conv.plain")) return OG_NO;
	TRY(conv_of(&c, r));
	int64_t k = c->of.channels * c->of.w.kernel[1] * c->of.w.kernel[2];
	double work = (double)k * (double)c->of.out_plane * (double)c->of.outputs * (double)c->of.groups * (double)c->of.images;
	c->packed = packed;
	c->slots = cpu_slots(work, r->threads);
	cpu_product_plan(&c->product, r->kernels, c->of.outputs, c->of.out_plane, k, false);
	c->buffer_bytes = cpu_product_buffer(&c->product);
	if (!c->pointwise && c->product.strips) {
		TRY(plan_planes(c, node));
		TRY(place_taps(c, r->a));
	}
	cpu_product_share(&c->product, c->of.images * c->of.groups, c->slots);
	c->slot_bytes = c->buffer_bytes + cpu_strips_bytes(c->tail);
	const double part = c->of.outputs < 4 ? 0.2 * (double)c->of.outputs : 0.8;         /* few rows do not keep a tile busy */
	*out = (backend_kernel){ .tactic = r->tactic, .run = conv_execute, .state = c, .flops = 2.0 * work,
	                         .per_sample = packed, .cost = cpu_cost(r->kernels, 2.0 * work, part, c->slots),
	                         .workspace_bytes = c->slot_bytes * (size_t)c->slots };
	if (!packed) return OG_OK;
	size_t bytes = cpu_product_bytes_a(&c->product);
	if (bytes == SIZE_MAX || !base_mul(bytes, (size_t)c->of.groups, &out->packed_bytes))
		return base_fail(OG_UNSUPPORTED, "node '%s': its weights are too large to be packed", node->name);
	c->packed_floats = (int64_t)(bytes / sizeof(float));
	out->pack = conv_pack;
	out->packs_input = 1u << 1;
	return OG_OK;
}
