/* samples.c -- float32 convolutions and matrix products of small networks, with the samples of a batch as lanes.
 *
 * By samples a tensor is [blocks, C, H, W, lanes]. A convolution is then one over [C][H][W * lanes] whose horizontal
 * strides are multiples of lanes: vectors are positions, and no vector is ever cut, shifted or gathered. So a line of
 * windows is a product, C[outputs x positions] = bias + W[outputs x taps] * B[taps x positions], whose rows of B are
 * stretches of the input. Where windows reach into padding, or skip positions, the cells are first copied to a buffer
 * with zeros around them and with the columns sorted by their remainder of the stride. A matrix product is the case of
 * one position. */
#include "cpu/product.h"

enum { GROUP = WINDOW_OWN_ATTRS };       /* of Conv */
enum { ALPHA, BETA, TRANS_A, TRANS_B };  /* of Gemm */
enum { BUFFER_BYTES = 128 * 1024, TAIL_FLOATS = 8192 };        /* of copied cells; of outputs that wait for the tail in L1 */

typedef struct samples {
	const cpu_kernels *kernels;
	int64_t blocks, groups, lines;       /* of samples; of channels; of windows: rows, or one stretch for all */
	int64_t m, n, k;                     /* a line of a group: outputs, positions, taps */
	int64_t in_group, in_line, out_group, out_line;        /* floats between groups and lines; a block is all groups */
	int64_t out_row;                     /* floats between outputs */
	int rows, vectors;                   /* of a tile, at most */
	const int32_t *tap;                  /* [k], floats from where a line begins */
	const float *weights; ptrdiff_t weights_m, weights_k;  /* to be packed, element (i, k); groups follow each other */
	const float *start; int64_t n_start; /* to be packed: one for each output of all groups, one for all, or none */
	float alpha, beta;
	bool copied;                         /* from here: how cells are copied */
	window w;
	int64_t channels;                    /* of a group */
	int64_t copy_rows, copy_columns;     /* of the buffer: rows of a channel; columns of a remainder */
	int64_t remainders;                  /* of the horizontal stride that taps have */
	int64_t chunk_lines, chunk_rows, line_chunks, row_chunks;      /* of a task */
	const cpu_strips *tail;
	int slots;
	size_t buffer_bytes, slot_bytes;
} samples;


/* ---- cells with padding ---------------------------------------------------------------------- */

/* One row of a channel, at `from`, to the row of the buffer at `to`: column j of remainder r is cell j * stride + r. */
static void copy_row(const samples *s, const float *from, float *to)
{
	const window *w = &s->w;
	int64_t lanes = s->kernels->lanes, stride = w->stride[2], columns = s->copy_columns;
	for (int64_t r = 0; r < s->remainders; r++, to += columns * lanes) {
		int64_t x = r - w->begin[2], j = 0;              /* of column j */
		for (; j < columns && x < 0; j++, x += stride) memset(to + j * lanes, 0, (size_t)lanes * sizeof *to);
		if (stride == 1) {
			int64_t there = cpu_lesser(columns - j, w->in[2] - x);
			if (there > 0) memcpy(to + j * lanes, from + x * lanes, (size_t)(there * lanes) * sizeof *to);
			if (there > 0) j += there;
		} else {
			for (; j < columns && x < w->in[2]; j++, x += stride)
				memcpy(to + j * lanes, from + x * lanes, (size_t)lanes * sizeof *to);
		}
		memset(to + j * lanes, 0, (size_t)((columns - j) * lanes) * sizeof *to);
	}
}

/* The cells of lines [l0, l1) of a group at x, to the buffer. */
static void copy_cells(const samples *s, const float *x, int64_t l0, int64_t l1, float *buffer)
{
	const window *w = &s->w;
	int64_t lanes = s->kernels->lanes, stride = w->stride[1], extent = window_extent(w, 1);
	int64_t width = s->remainders * s->copy_columns * lanes, rows = (l1 - l0 - 1) * stride + extent;
	for (int64_t c = 0; c < s->channels; c++, x += w->in[1] * w->in[2] * lanes, buffer += s->copy_rows * width) {
		for (int64_t i = 0; i < rows; i++) {
			int64_t y = l0 * stride - w->begin[1] + i;
			if (i % stride >= extent) continue;          /* no tap reads it */
			if (y < 0 || y >= w->in[1]) memset(buffer + i * width, 0, (size_t)width * sizeof *buffer);
			else copy_row(s, x + y * w->in[2] * lanes, buffer + i * width);
		}
	}
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct samples_run { const samples *s; const backend_run *run; } samples_run;

/* Rows [i, i + rows) of one line, all positions. */
static void run_line(const samples *s, cpu_tile *t, int rows, const float *x, float *y)
{
	cpu_tile_fn *const *tile = s->kernels->taps[rows];
	int64_t left = s->n, tiles = cpu_ceil_div(left, s->vectors);
	t->b = x;
	t->c = y;
	for (; tiles > 0; tiles--) {
		int64_t vectors = cpu_ceil_div(left, tiles);
		tile[vectors](t);
		t->b += vectors * s->kernels->lanes;
		t->c += vectors * s->kernels->lanes;
		left -= vectors;
	}
}

/* Lines [l0, l1) and outputs [i0, i1) of a group. x: where line l0 reads; y, at: the group's output, and where it lies. */
static void run_lines(const samples_run *r, const float *packed, const float *start, const float *x, int64_t l0, int64_t l1,
                      int64_t i0, int64_t i1, float *y, int64_t at, float *tail_buffers)
{
	const samples *s = r->s;
	int64_t stretch = s->n * s->kernels->lanes;
	bool together = s->out_row == stretch;               /* the outputs of a line follow each other */
	for (int64_t i = i0; i < i1; i += s->rows) {
		int rows = (int)cpu_lesser(s->rows, i1 - i);
		cpu_tile t = { .a = packed + i * s->k, .a_row = 1, .a_k = s->rows, .tap = s->tap, .c_row = s->out_row,
		               .start = start + i, .start_row = 1, .last = s->kernels->lanes, .k = s->k };
		for (int64_t l = l0; l < l1; l++)
			run_line(s, &t, rows, x + (l - l0) * s->in_line, y + i * s->out_row + l * s->out_line);
		for (int64_t o = i; s->tail && !together && o < i + rows; o++) {
			int64_t from = o * s->out_row + l0 * s->out_line;
			cpu_strips_run(s->tail, r->run->in, at + from, (l1 - l0) * stretch, y + from, tail_buffers);
		}
	}
	for (int64_t l = l0; s->tail && together && l < l1; l++) {
		int64_t from = i0 * s->out_row + l * s->out_line;
		cpu_strips_run(s->tail, r->run->in, at + from, (i1 - i0) * stretch, y + from, tail_buffers);
	}
}

static void samples_task(void *arg, int64_t task, int slot)
{
	const samples_run *r = arg;
	const samples *s = r->s;
	int64_t row_chunk = task % s->row_chunks, line_chunk = task / s->row_chunks % s->line_chunks;
	int64_t at = task / s->row_chunks / s->line_chunks, group = at % s->groups;
	int64_t l0 = line_chunk * s->chunk_lines, l1 = cpu_lesser(l0 + s->chunk_lines, s->lines);
	int64_t i0 = row_chunk * s->chunk_rows, i1 = cpu_lesser(i0 + s->chunk_rows, s->m);
	int64_t padded = cpu_ceil_div(s->m, s->rows) * s->rows, group_floats = padded * (s->k + 1);
	const float *packed = (const float *)r->run->packed + group * group_floats;
	const float *x = (const float *)r->run->in[0]->data + at * s->in_group;
	float *y = (float *)r->run->out[0]->data + at * s->out_group;
	char *workspace = (char *)r->run->workspace + (size_t)slot * s->slot_bytes;
	float *tail_buffers = (float *)(workspace + s->buffer_bytes);
	if (s->tail) cpu_strips_begin(s->tail, r->run->in, tail_buffers);
	if (s->copied) {
		copy_cells(s, x, l0, l1, (float *)workspace);
		x = (const float *)workspace;
	} else {
		x += l0 * s->in_line;
	}
	int64_t most = TAIL_FLOATS / (s->rows * s->n * s->kernels->lanes), step = !s->tail ? s->lines : most > 0 ? most : 1;
	for (int64_t l = l0; l < l1; l += step)
		run_lines(r, packed, packed + padded * s->k, x + (l - l0) * s->in_line, l, cpu_lesser(l + step, l1), i0, i1, y,
		          at * s->out_group, tail_buffers);
}

static og_status samples_execute(const backend_kernel *k, const backend_run *run)
{
	const samples *s = k->state;
	int64_t tasks = s->blocks * s->groups * s->line_chunks * s->row_chunks;
	cpu_tasks(run->threads, s->slots, tasks, samples_task, &(samples_run){ s, run });
	return OG_OK;
}

/* For each group: blocks of `rows` outputs, each [k][rows], then what the sums start from. */
static og_status samples_pack(const backend_kernel *kernel, void *packed)
{
	const samples *s = kernel->state;
	float *to = packed;
	int64_t padded = cpu_ceil_div(s->m, s->rows) * s->rows;
	for (int64_t g = 0; g < s->groups; g++) {
		const float *weights = s->weights + g * s->m * s->k;
		for (int64_t i = 0; i < padded; i += s->rows)
			for (int64_t k = 0; k < s->k; k++)
				for (int64_t o = i; o < i + s->rows; o++)
					*to++ = o < s->m ? s->alpha * weights[o * s->weights_m + k * s->weights_k] : 0.0f;
		for (int64_t o = 0; o < padded; o++) {
			int64_t at = s->n_start == 1 ? 0 : g * s->m + o;
			*to++ = o < s->m && s->n_start ? s->beta * s->start[at] : 0.0f;
		}
	}
	return OG_OK;
}

/* ---- preparing ------------------------------------------------------------------------------ */

/* Counts multiply-adds, and about a tenth of one for each load; too few sums leave multiply-adds waiting for each other. */
void cpu_samples_tile(const cpu_kernels *k, int64_t outputs, int64_t positions, int *best_rows, int *best_vectors)
{
	double best = 0;
	for (int rows = 1; rows <= k->max_rows && rows <= outputs; rows++)
		for (int vectors = 1; vectors <= CPU_MAX_VECTORS && vectors <= positions; vectors++) {
			if (!k->taps[rows][vectors]) continue;
			int64_t blocks = cpu_ceil_div(outputs, rows), tiles = cpu_ceil_div(positions, vectors);
			double wait = rows * vectors < 8 ? 8.0 / (rows * vectors) : 1.0;
			double cost = (double)(outputs * positions) * wait + 0.1 * (double)(blocks * positions + tiles * outputs);
			if (best != 0 && cost >= best) continue;
			best = cost;
			*best_rows = rows;
			*best_vectors = vectors;
		}
}

/* Cuts a block of a group into tasks: lines whose copied cells stay small, and more where the threads need them. */
static void share(samples *s)
{
	int64_t tasks = s->blocks * s->groups, blocks = cpu_ceil_div(s->m, s->rows);
	int64_t wanted = s->slots > 1 && tasks < 4 * s->slots ? cpu_ceil_div(4 * s->slots, tasks) : 1;
	s->chunk_lines = cpu_ceil_div(s->lines, cpu_lesser(wanted, s->lines));
	s->chunk_rows = s->lines > 1 ? s->m : cpu_ceil_div(blocks, cpu_lesser(wanted, blocks)) * s->rows;
	if (s->copied) {
		int64_t row = s->channels * s->remainders * s->copy_columns * s->kernels->lanes * (int64_t)sizeof(float);
		int64_t most = (BUFFER_BYTES / row - window_extent(&s->w, 1)) / s->w.stride[1] + 1;
		if (s->chunk_lines > most) s->chunk_lines = most > 1 ? most : 1;
		s->copy_rows = (s->chunk_lines - 1) * s->w.stride[1] + window_extent(&s->w, 1);
		s->buffer_bytes = (size_t)row * (size_t)s->copy_rows;
	}
	s->line_chunks = cpu_ceil_div(s->lines, s->chunk_lines);
	s->row_chunks = cpu_ceil_div(s->m, s->chunk_rows);
}

static og_status place_taps(samples *s, arena *a)
{
	const window *w = &s->w;
	int64_t lanes = s->kernels->lanes, stride = w->stride[2], taps = w->kernel[1] * w->kernel[2];
	int64_t rows = s->copied ? s->copy_rows : w->in[1], columns = s->copied ? s->copy_columns : w->in[2];
	int64_t width = s->copied ? s->remainders * columns : columns;
	if (s->channels * rows * width * lanes > INT32_MAX) return OG_NO;
	int32_t *tap = arena_array(a, (size_t)s->k, sizeof *tap);
	NEED(tap);
	s->tap = tap;
	for (int64_t k = 0; k < s->k; k++) {
		int64_t y = k % taps / w->kernel[2] * w->dilation[1], x = k % w->kernel[2] * w->dilation[2];
		tap[k] = (int32_t)(((k / taps * rows + y) * width + x % stride * columns + x / stride) * lanes);
	}
	return OG_OK;
}

/* What is left when the shapes are known. */
static og_status finish(backend_kernel *out, const cpu_request *r, samples *s, unsigned packs)
{
	const backend_node *node = r->node;
	double samples_there = (double)node->in[0].dims[0], products = (double)s->m * (double)s->n * (double)s->k;
	double work = products * (double)(s->groups * s->lines);
	double lanes_work = work * (double)(s->blocks * s->kernels->lanes);
	const backend_layout *layouts = layout_wanted(r->a, r->node, LAYOUT_SAMPLES, LAYOUT_SAMPLES);
	NEED(layouts);
	TRY(cpu_strips_make(&s->tail, r, LAYOUT_SAMPLES));
	s->slots = cpu_slots(lanes_work, r->threads);
	cpu_samples_tile(s->kernels, s->m, s->n, &s->rows, &s->vectors);
	share(s);
	TRY(place_taps(s, r->a));
	s->slot_bytes = s->buffer_bytes + cpu_strips_bytes(s->tail);
	*out = (backend_kernel){ .tactic = r->tactic, .run = samples_execute, .pack = samples_pack, .state = s,
	                         .packs_input = packs, .in_layout = layouts, .out_layout = LAYOUT_SAMPLES, .per_sample = true,
	                         .flops = 2.0 * work * samples_there,
	                         .cost = cpu_cost(r->kernels, 2.0 * lanes_work, 0.9, s->slots),
	                         .workspace_bytes = s->slot_bytes * (size_t)s->slots };
	size_t outputs = (size_t)(cpu_ceil_div(s->m, s->rows) * s->rows), floats;
	if (!base_mul(outputs, (size_t)s->k + 1, &floats) || !base_mul(floats, (size_t)s->groups, &floats) ||
	    !base_mul(floats, sizeof(float), &out->packed_bytes))
		return base_fail(OG_UNSUPPORTED, "node '%s': its weights are too large to be packed", node->name);
	return OG_OK;
}

static void conv_shapes(samples *s, const backend_node *node)
{
	const og_tensor *x = &node->in[0], *weights = &node->in[1];
	window *w = &s->w;
	int64_t lanes = s->kernels->lanes;
	window_of(w, node->attr, x, node->out, weights);
	s->groups = node->attr[GROUP].i;
	s->channels = weights->dims[1];
	s->m = weights->dims[0] / s->groups;
	s->k = s->channels * w->kernel[1] * w->kernel[2];
	s->weights_m = s->k;
	s->weights_k = 1;
	bool stepping = w->stride[1] > 1 || w->stride[2] > 1, one = w->kernel[1] == 1 && w->kernel[2] == 1;
	bool inside = true;
	for (int a = 1; a < WINDOW_AXES; a++)
		inside &= !w->begin[a] && (w->out[a] - 1) * w->stride[a] + window_extent(w, a) <= w->in[a];
	bool whole = one && !stepping && inside;             /* windows are the cells themselves */
	s->copied = !inside || w->stride[2] > 1;
	s->lines = whole ? 1 : w->out[1];
	s->n = whole ? w->out[1] * w->out[2] : w->out[2];
	int64_t extent = window_extent(w, 2);
	s->remainders = w->stride[2] < extent ? w->stride[2] : extent;
	s->copy_columns = w->out[2] + (extent - 1) / w->stride[2];
	s->in_line = w->stride[1] * (s->copied ? s->remainders * s->copy_columns : w->in[2]) * lanes;
	s->in_group = s->channels * w->in[1] * w->in[2] * lanes;
	s->out_line = s->n * lanes;
	s->out_row = s->lines * s->out_line;
	s->out_group = s->m * s->out_row;
}

/* y [N, lines, outputs] = x [N, lines, k] * B, or no lines. False: not of this form. */
static bool product_shapes(samples *s, const backend_node *node, bool gemm)
{
	const og_tensor *x = &node->in[0], *b = &node->in[1];
	bool trans_b = gemm && node->attr[TRANS_B].i;
	if (b->rank != 2 || (gemm && node->attr[TRANS_A].i)) return false;
	int64_t lanes = s->kernels->lanes;
	s->w = (window){ .in = { 1, 1, 1 }, .out = { 1, 1, 1 }, .kernel = { 1, 1, 1 }, .stride = { 1, 1, 1 }, .dilation = { 1, 1, 1 } };
	s->groups = 1;
	s->m = b->dims[!trans_b];
	s->channels = s->k = b->dims[trans_b];
	s->weights_m = trans_b ? s->k : 1;
	s->weights_k = trans_b ? 1 : s->m;
	s->lines = og_span(x, 1, x->rank - 1);
	s->n = 1;
	s->in_line = s->k * lanes;
	s->in_group = s->lines * s->in_line;
	s->out_row = lanes;
	s->out_line = s->m * lanes;
	s->out_group = s->lines * s->out_line;
	if (gemm) {
		s->alpha = node->attr[ALPHA].f;
		s->beta = node->attr[BETA].f;
	}
	return true;
}

og_status cpu_samples(backend_kernel *out, const cpu_request *r)
{
	const backend_node *node = r->node;
	bool conv = cpu_is_tactic(r, "conv.samples") && cpu_is(node, "Conv") && node->in[0].rank <= 4;
	bool gemm = cpu_is_tactic(r, "matmul.samples") && cpu_is(node, "Gemm");
	bool matmul = cpu_is_tactic(r, "matmul.samples") && cpu_is(node, "MatMul") && node->in[0].rank > 1;
	if (!conv && !gemm && !matmul) return OG_NO;
	const og_tensor *x = &node->in[0];
	bool has_start = cpu_has(node, 2);
	if (layout_of_input(node, 0) != LAYOUT_SAMPLES || x->dims[0] < 2 || !cpu_is_constant(r, 1) ||
	    (has_start && !cpu_is_constant(r, 2)) || og_count(x) == 0 || og_count(node->out) == 0 || og_count(&node->in[1]) == 0)
		return OG_NO;
	samples *s = arena_alloc(r->a, sizeof *s);
	NEED(s);
	s->kernels = r->kernels;
	s->blocks = cpu_ceil_div(x->dims[0], r->kernels->lanes);
	s->alpha = s->beta = 1.0f;
	if (conv) conv_shapes(s, node);
	else if (!product_shapes(s, node, gemm)) return OG_NO;
	s->weights = node->in[1].data;
	if (has_start) {
		const og_tensor *start = &node->in[2];
		s->start = start->data;
		s->n_start = s->beta == 0.0f ? 0 : og_count(start);
		if (s->n_start > 1 && (s->n_start != s->m * s->groups || start->dims[start->rank - 1] != s->n_start)) return OG_NO;
	}
	return finish(out, r, s, has_start ? 1u << 1 | 1u << 2 : 1u << 1);
}
