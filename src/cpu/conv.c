/* conv.c -- float32 convolutions over one or two axes. */
#include "cpu/product.h"

enum { GROUP = WINDOW_OWN_ATTRS };

typedef struct conv {
	window w;                            /* axis 0 has size 1 */
	int64_t images, groups, channels, outputs;   /* the last two of one group */
	int64_t in_plane, out_plane;         /* elements */
	cpu_product product;                 /* C: [outputs][windows], A: the weights, B: (channel, tap) x window */
	const cpu_strips *tail;
	const float *weights;                /* for packing */
	int slots;
	size_t slot_bytes;
	bool bias, packed, pointwise;        /* pointwise: B is the input itself */
	/* the direct way */
	window phases;                       /* turns the input into padded planes, one for each remainder of the strides */
	int32_t *tap;                        /* by row of B: where it lies in the planes */
	int64_t n_planes, plane;             /* planes of a group; elements of one */
	bool by_row;                         /* tiles run along a row of windows; else along all, gaps between rows included */
	int64_t stretch;                     /* windows in such a run */
} conv;

typedef struct conv_run { const conv *c; const backend_run *run; } conv_run;

static const float zero;

/* ---- geometry ------------------------------------------------------------------------------- */

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

/* Multiply-adds of the whole. */
static double conv_work(const conv *c)
{
	double taps = (double)c->channels * (double)c->w.kernel[1] * (double)c->w.kernel[2];
	return taps * (double)c->out_plane * (double)c->outputs * (double)c->groups * (double)c->images;
}

/* What the sums of outputs from `first` on start from. */
static const float *conv_start(const conv_run *r, int64_t first)
{
	return r->c->bias ? (const float *)r->run->in[2]->data + first : &zero;
}

static og_status conv_kernel(backend_kernel *out, const conv *c, const char *tactic)
{
	*out = (backend_kernel){ .tactic = tactic, .state = (void *)(uintptr_t)c, .flops = 2.0 * conv_work(c) };
	if (base_mul(c->slot_bytes, (size_t)c->slots, &out->workspace_bytes) && c->slot_bytes < SIZE_MAX / 2) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "a convolution needs more workspace than can be addressed; make its input smaller");
}

/* ---- as a matrix product --------------------------------------------------------------------- */

typedef struct conv_source { const conv *c; cpu_unfold u; } conv_source;

static const float *conv_columns(const cpu_operands *o, int64_t k0, int64_t k1, int64_t j0, int64_t j1, float *buffer,
                                 ptrdiff_t *ld)
{
	const conv_source *s = o->source;
	const conv *c = s->c;
	*ld = cpu_product_width(&c->product, j0, j1);
	if (c->pointwise && *ld == j1 - j0) {
		*ld = c->in_plane;
		return s->u.x + k0 * c->in_plane + j0;
	}
	c->product.kernels->unfold(&s->u, k0, k1, j0, j1, buffer, *ld);
	return buffer;
}

static void product_task(void *arg, int64_t task, int slot)
{
	const conv_run *r = arg;
	const conv *c = r->c;
	const cpu_product *p = &c->product;
	int64_t chunk = task % p->chunks, strip = task / p->chunks % p->strips, at = task / p->chunks / p->strips;
	int64_t group = at % c->groups;
	conv_source source = { c, { &c->w, (const float *)r->run->in[0]->data + at * c->channels * c->in_plane } };
	cpu_operands o = { .a_packed = c->packed, .a_row = p->k, .a_k = 1, .c_row = p->n, .columns = conv_columns, .source = &source,
	                   .tail = c->tail, .in = r->run->in, .at = at * c->outputs * c->out_plane };
	o.c = (float *)r->run->out[0]->data + o.at;
	if (c->packed) o.a = (const float *)r->run->packed + group * (int64_t)(cpu_product_bytes_a(p) / sizeof(float));
	else o.a = (const float *)r->run->in[1]->data + group * c->outputs * p->k;
	o.start = conv_start(r, group * c->outputs);
	o.start_row = c->bias;
	cpu_product_run(p, &o, strip, chunk, (char *)r->run->workspace + (size_t)slot * c->slot_bytes);
}

static og_status product_run(const backend_kernel *k, const backend_run *run)
{
	const conv *c = k->state;
	const cpu_product *p = &c->product;
	cpu_tasks(run->threads, c->slots, c->images * c->groups * p->strips * p->chunks, product_task, &(conv_run){ c, run });
	return OG_OK;
}

static og_status product_pack(const backend_kernel *k, void *packed)
{
	const conv *c = k->state;
	size_t floats = cpu_product_bytes_a(&c->product) / sizeof(float);
	for (int64_t g = 0; g < c->groups; g++)
		cpu_product_pack_a(&c->product, c->weights + g * c->outputs * c->product.k, (float *)packed + (size_t)g * floats);
	return OG_OK;
}

/* Convolution of 1 x 1 with stride 1 and no padding is one row of windows. */
static void flatten_pointwise(conv *c)
{
	for (int a = 1; a < WINDOW_AXES; a++)
		if (c->w.kernel[a] != 1 || c->w.stride[a] != 1 || c->w.begin[a] || c->w.end[a]) return;
	c->pointwise = true;
	c->w.in[2] = c->w.out[2] = c->in_plane;
	c->w.in[1] = c->w.out[1] = 1;
}

static bool is_conv(const backend_node *node)
{
	return cpu_is(node, "Conv") && node->in[0].rank <= 4;
}

og_status cpu_conv(backend_kernel *out, const cpu_request *r)
{
	static const char *const names[2] = { "conv.plain", "conv.packed" };
	conv *c;
	if (!is_conv(r->node)) return OG_NO;
	bool packed = r->tactic ? !strcmp(r->tactic, names[1]) : r->node->in[1].data != NULL;
	if (!cpu_may(r, names[packed])) return OG_NO;
	TRY(conv_of(&c, r));
	flatten_pointwise(c);
	c->packed = packed;
	c->slots = cpu_slots(conv_work(c), r->threads);
	cpu_product_plan(&c->product, r->kernels, c->outputs, c->out_plane, c->channels * c->w.kernel[1] * c->w.kernel[2], false,
	                 c->images * c->groups, c->slots);
	c->slot_bytes = cpu_product_workspace(&c->product, c->tail);
	TRY(conv_kernel(out, c, names[packed]));
	out->run = product_run;
	if (!packed) return OG_OK;
	size_t bytes = cpu_product_bytes_a(&c->product);
	if (bytes == SIZE_MAX || !base_mul(bytes, (size_t)c->groups, &out->packed_bytes))
		return base_fail(OG_UNSUPPORTED, "node '%s': its weights are too large to be packed", r->node->name);
	out->pack = product_pack;
	out->packs_input = 1u << 1;
	return OG_OK;
}

/* ---- directly: few outputs a group, depthwise above all --------------------------------------- */

/* Each row of B is a stretch of the padded input, the same for every window of a row (of the whole plane when the gaps
 * between rows are computed too): so the input is padded once and nothing is copied for each tap. */
enum { DIRECT_BYTES = 256 * 1024 };      /* of the padded planes of a group: they are to stay in L2 */

/* Bytes of the padded planes of a group; SIZE_MAX when that is too much for tap[]. */
static size_t plane_bytes(const conv *c)
{
	double bytes = (double)c->channels * sizeof(float);
	for (int a = 1; a < WINDOW_AXES; a++)
		bytes *= (double)((c->w.out[a] - 1) * c->w.stride[a] + window_extent(&c->w, a) + c->w.stride[a]);
	return bytes < INT32_MAX ? (size_t)bytes : SIZE_MAX;
}

/* Rows that fill their vectors badly are computed in one run with the gaps between them, and then closed up. */
static void choose_stretch(conv *c, int lanes)
{
	int64_t rows = c->w.out[1], columns = c->w.out[2], all = (rows - 1) * c->phases.out[2] + columns;
	int64_t row_vectors = rows * ((columns + lanes - 1) / lanes), all_vectors = (all + lanes - 1) / lanes;
	c->by_row = row_vectors <= all_vectors + all_vectors / 8;
	c->stretch = c->by_row ? columns : all;
}

/* The planes and where each tap lies in them. */
static og_status plan_taps(conv *c, int64_t taps, arena *a)
{
	const window *w = &c->w;
	window *p = &c->phases;
	*p = *w;
	for (int i = 1; i < WINDOW_AXES; i++) {
		int64_t cells = (w->out[i] - 1) * w->stride[i] + window_extent(w, i);
		p->kernel[i] = w->stride[i];
		p->dilation[i] = 1;
		p->out[i] = (cells + w->stride[i] - 1) / w->stride[i];
	}
	c->plane = p->out[1] * p->out[2];
	c->n_planes = c->channels * p->kernel[1] * p->kernel[2];
	int32_t *tap = c->tap = arena_array(a, (size_t)taps, sizeof *c->tap);
	NEED(tap);
	for (int64_t channel = 0; channel < c->channels; channel++)
		for (int64_t ky = 0; ky < w->kernel[1]; ky++)
			for (int64_t kx = 0; kx < w->kernel[2]; kx++) {
				int64_t y = ky * w->dilation[1], x = kx * w->dilation[2];
				int64_t plane = (channel * p->kernel[1] + y % p->kernel[1]) * p->kernel[2] + x % p->kernel[2];
				*tap++ = (int32_t)(plane * c->plane + y / p->kernel[1] * p->out[2] + x / p->kernel[2]);
			}
	return OG_OK;
}

/* Floats of a slot's planes, and of the sums that are still to be closed up, with a vector to spare. */
static int64_t plane_floats(const conv *c) { return (c->n_planes * c->plane + 2 * CPU_MAX_LANES - 1) / CPU_MAX_LANES * CPU_MAX_LANES; }
static int64_t stretch_floats(const conv *c) { return c->by_row ? 0 : (c->stretch + 2 * CPU_MAX_LANES - 1) / CPU_MAX_LANES * CPU_MAX_LANES; }

/* Outputs [i, i + rows) of a group; y: the first one's plane. */
static void direct_rows(const conv *c, cpu_tile *t, int rows, const float *planes, float *sums, float *y)
{
	int64_t out_rows = c->w.out[1], out = c->w.out[2];
	t->tap = c->tap;
	if (c->by_row) {
		t->c_row = c->out_plane;
		for (int64_t oy = 0; oy < out_rows; oy++) {
			t->b = planes + oy * c->phases.out[2];
			t->c = y + oy * out;
			cpu_product_tiles(&c->product, t, rows, out);
		}
		return;
	}
	t->c_row = stretch_floats(c);
	t->b = planes;
	t->c = sums;
	cpu_product_tiles(&c->product, t, rows, c->stretch);
	for (int r = 0; r < rows; r++)
		for (int64_t oy = 0; oy < out_rows; oy++)
			memcpy(y + r * c->out_plane + oy * out, sums + r * stretch_floats(c) + oy * c->phases.out[2],
			       (size_t)out * sizeof *y);
}

/* Task: one group of one image. */
static void direct_task(void *arg, int64_t task, int slot)
{
	const conv_run *r = arg;
	const conv *c = r->c;
	const cpu_product *p = &c->product;
	float *planes = (float *)((char *)r->run->workspace + (size_t)slot * c->slot_bytes);
	float *sums = planes + plane_floats(c), *tail_buffers = sums + p->rows * stretch_floats(c);
	int64_t group = task % c->groups, at = task * c->outputs * c->out_plane;
	float *y = (float *)r->run->out[0]->data + at;
	cpu_unfold u = { &c->phases, (const float *)r->run->in[0]->data + task * c->channels * c->in_plane };
	p->kernels->unfold(&u, 0, c->n_planes, 0, c->plane, planes, c->plane);
	for (int64_t i = 0; i < p->m; i += p->rows, y += p->rows * c->out_plane) {
		int rows = (int)(p->m - i < p->rows ? p->m - i : p->rows);
		cpu_tile t = { .a = (const float *)r->run->in[1]->data + (group * p->m + i) * p->k, .a_row = p->k, .a_k = 1, .k = p->k };
		t.start = conv_start(r, group * p->m + i);
		t.start_row = c->bias;
		direct_rows(c, &t, rows, planes, sums, y);
		if (c->tail) {
			cpu_strips_begin(c->tail, r->run->in, tail_buffers);
			cpu_strips_run(c->tail, r->run->in, at + i * c->out_plane, rows * c->out_plane, y, tail_buffers);
		}
	}
}

static og_status direct_run(const backend_kernel *k, const backend_run *run)
{
	const conv *c = k->state;
	if (c->out_plane) cpu_tasks(run->threads, c->slots, c->images * c->groups, direct_task, &(conv_run){ c, run });
	return OG_OK;
}

og_status cpu_conv_direct(backend_kernel *out, const cpu_request *r)
{
	conv *c;
	if (!is_conv(r->node) || !cpu_may(r, "conv.direct")) return OG_NO;
	TRY(conv_of(&c, r));
	size_t bytes = plane_bytes(c);
	bool small = c->channels == 1 || bytes <= DIRECT_BYTES;
	if (bytes == SIZE_MAX || !c->out_plane || (!r->tactic && (c->outputs > 2 * r->kernels->max_rows || !small))) return OG_NO;
	int64_t taps = c->channels * c->w.kernel[1] * c->w.kernel[2];
	TRY(plan_taps(c, taps, r->a));
	choose_stretch(c, r->kernels->lanes);
	cpu_product_plan(&c->product, r->kernels, c->outputs, c->stretch, taps, false, 1, 1);
	c->slots = cpu_slots(conv_work(c), r->threads);
	c->slot_bytes = (size_t)(plane_floats(c) + c->product.rows * stretch_floats(c)) * sizeof(float) + cpu_strips_bytes(c->tail);
	TRY(conv_kernel(out, c, "conv.direct"));
	out->run = direct_run;
	return OG_OK;
}
