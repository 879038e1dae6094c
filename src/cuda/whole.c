/* whole.c -- a small network as one kernel: docs/cuda-small.md.
 *
 * A block, or a cluster of blocks, takes some samples through all layers. Activations stay in shared memory; where a cluster works on one
 * sample, every block has a copy of them all and writes what it makes into each. Weights of convolutions are copied to shared memory at the
 * start, those of matrix products are read once for all samples of the block. Layers are phases between barriers. The text is made for the
 * shapes at hand, so that all indices are constants. */
#include <stdio.h>
#include <stdlib.h>

#include "cuda/cuda.h"
#include "cuda/whole.h"
#include "ops/pool.h"

enum { GROUP = WINDOW_OWN_ATTRS, INCLUDE_PAD = POOL_OWN_ATTRS };
enum { ALPHA, BETA, TRANS_A, TRANS_B };  /* attributes of Gemm */
enum { MOST_LAYERS = 64, MOST_SUMS = 64, SHARED_MOST = 227 << 10, LANES_OF_SUM = 8, MOST_WEIGHTS = 1 << 20 };
enum { BEHIND = 64 };                    /* floats that tiles over the edge may read behind the last value */

typedef enum layer_kind { CONV, POOL, DENSE, MAP } layer_kind;

/* A value of one sample in shared memory, its planes with room for the zeros that convolutions read around them. */
typedef struct place {
	int64_t planes, high, wide;          /* as the network has them; 1-D values are one plane of one row */
	int64_t top, left, bottom, right;    /* padding */
	int64_t at;                          /* floats from the start of shared memory; -1: not there */
	int first, last;                     /* layers that write and read it */
} place;

typedef struct layer {
	layer_kind kind;
	const backend_node *node;
	const program *tail;
	int in, out;                         /* values */
	window w, pool;                      /* pool: of a pool behind a convolution, or of the layer itself */
	bool pools, maximum, include;
	int64_t inputs, outputs;             /* channels, or sizes of a matrix product */
	int64_t tile_channels, tile_high, tile_wide;         /* outputs of a convolution that a thread makes at once */
	int64_t weights, bias;               /* floats from the start of the packed ones; bias -1: none */
} layer;

struct cuda_whole {
	const backend_network *net;
	cuda_whole_shape shape;
	layer layers[MOST_LAYERS]; int n;
	place *places;                       /* of each value that stands for itself */
	int64_t samples, packed, conv_weights;       /* floats; those of convolutions come first */
	int64_t shared;                      /* floats */
	cuda_launches launches;
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t in_fours(int64_t n) { return (n + 3) & ~INT64_C(3); }        /* floats, so that 16 bytes can be read at once */

/* ---- understanding the network ---------------------------------------------------------------- */

static bool is_constant(const cuda_whole *w, int at) { return w->net->values[at].place == BACKEND_CONSTANT; }

/* A view with dimensions of its own is what only products read. */
static bool has_own_shape(const cuda_whole *w, int at)
{
	const og_tensor *a = &w->net->values[at].type, *b = &w->net->values[w->net->values[at].root].type;
	return a->rank == b->rank && !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

/* The place of a value: of what it is a view of. */
static place *place_of(cuda_whole *w, int at) { return &w->places[w->net->values[at].root]; }

static bool make_places(cuda_whole *w)
{
	const backend_network *net = w->net;
	for (int i = 0; i < net->n_values; i++) {
		const og_tensor *t = &net->values[i].type;
		place *p = &w->places[i];
		*p = (place){ .planes = 1, .high = 1, .wide = 1, .at = -1, .first = -1, .last = -1 };
		if (is_constant(w, i)) continue;
		if (t->dtype != OG_F32 || t->rank < 2 || t->rank > 4 || t->dims[0] != w->samples) return false;
		if (t->rank == 2) p->wide = t->dims[1];
		if (t->rank == 3) p->planes = t->dims[1], p->wide = t->dims[2];
		if (t->rank == 4) p->planes = t->dims[1], p->high = t->dims[2], p->wide = t->dims[3];
	}
	return true;
}

static bool add_conv(cuda_whole *w, layer *l, int in)
{
	const backend_node *n = l->node;
	const og_tensor *weights = &n->in[1];
	place *p = place_of(w, in);
	if (n->attr[GROUP].i != 1 || n->in[0].rank < 3 || weights->dtype != OG_F32) return false;
	window_of(&l->w, n->attr, &n->in[0], n->out, weights);
	if (l->w.stride[1] != 1 || l->w.stride[2] != 1 || l->w.dilation[1] != 1 || l->w.dilation[2] != 1) return false;
	p->top = p->top > l->w.begin[1] ? p->top : l->w.begin[1];
	p->left = p->left > l->w.begin[2] ? p->left : l->w.begin[2];
	p->bottom = p->bottom > l->w.end[1] ? p->bottom : l->w.end[1];
	p->right = p->right > l->w.end[2] ? p->right : l->w.end[2];
	l->kind = CONV;
	l->inputs = weights->dims[1];
	l->outputs = weights->dims[0];
	return true;
}

static bool add_pool(layer *l)
{
	const backend_node *n = l->node;
	bool global = cuda_is(n, "GlobalAveragePool") || cuda_is(n, "GlobalMaxPool");
	l->maximum = cuda_is(n, "MaxPool") || cuda_is(n, "GlobalMaxPool");
	if (n->in[0].rank < 3 || (n->n_out > 1 && n->out[1].dtype != OG_NONE)) return false;
	if (!global && !cuda_is(n, "MaxPool") && !cuda_is(n, "AveragePool")) return false;
	if (global) {
		l->pool = (window){ .in = { 1, 1, 1 }, .out = { 1, 1, 1 }, .kernel = { 1, 1, 1 }, .stride = { 1, 1, 1 }, .dilation = { 1, 1, 1 } };
		for (int d = 2; d < n->in[0].rank; d++) {
			int a = d + WINDOW_AXES - n->in[0].rank;
			l->pool.in[a] = l->pool.kernel[a] = n->in[0].dims[d];
		}
	} else {
		window_of(&l->pool, n->attr, &n->in[0], n->out, NULL);
		l->include = cuda_is(n, "AveragePool") && n->attr[INCLUDE_PAD].i;
	}
	l->kind = POOL;
	return true;
}

static bool add_dense(layer *l)
{
	const backend_node *n = l->node;
	bool gemm = cuda_is(n, "Gemm");
	const og_tensor *b = &n->in[1];
	if ((!gemm && !cuda_is(n, "MatMul")) || n->in[0].rank != 2 || b->rank != 2 || b->dtype != OG_F32) return false;
	if (gemm && n->attr[TRANS_A].i) return false;
	bool transposed = gemm && n->attr[TRANS_B].i;
	if (gemm && n->n_anchor_in > 2 && cuda_has(n, 2) && og_count(&n->in[2]) != b->dims[!transposed]) return false;
	l->kind = DENSE;
	l->inputs = b->dims[transposed];
	l->outputs = b->dims[!transposed];
	return true;
}

/* Operands of a tail may be numbers, or values with the shape of the output. */
static bool tail_fits(const cuda_whole *w, const layer *l, const int *in)
{
	for (int k = 0; l->tail && k < l->tail->n_operands; k++) {
		int at = l->tail->operand[k];
		if (at < 0) continue;
		bool number = og_count(&l->node->in[at]) == 1 && is_constant(w, in[at]) && l->node->in[at].dtype == OG_F32;
		if (!number && (is_constant(w, in[at]) || og_count(&l->node->in[at]) != og_count(l->node->out))) return false;
		if (!number && !has_own_shape(w, in[at])) return false;
	}
	return true;
}

/* A pool behind a convolution whose windows do not overlap and cover it goes into it. */
static bool joins(const cuda_whole *w, const layer *conv, const layer *behind, const place *between)
{
	const window *p = &behind->pool;
	for (int a = 1; a < WINDOW_AXES; a++)
		if (p->kernel[a] != p->stride[a] || p->dilation[a] != 1 || p->begin[a] || p->end[a] || p->out[a] * p->kernel[a] != p->in[a]) return false;
	for (int k = 0; conv->tail && k < conv->tail->n_operands; k++) {
		int at = conv->tail->operand[k];
		if (at >= 0 && og_count(&conv->node->in[at]) != 1) return false;
	}
	return conv->kind == CONV && !conv->pools && between->last == w->n - 1 && p->kernel[1] * p->kernel[2] <= 16;
}

static bool understand(cuda_whole *w)
{
	const backend_network *net = w->net;
	for (int i = 0; i < net->n_nodes; i++) {
		const backend_node *n = &net->nodes[i];
		if (w->n == MOST_LAYERS || n->n_out < 1) return false;
		layer *l = &w->layers[w->n++];
		*l = (layer){ .node = n, .tail = n->tail, .in = net->in[i][0], .out = net->out[i][0], .bias = -1 };
		if (!n->op) l->kind = MAP;
		else if (!(cuda_is(n, "Conv") ? add_conv(w, l, l->in) : add_pool(l) || add_dense(l))) return false;
		if ((n->op && is_constant(w, l->in)) || !tail_fits(w, l, net->in[i]) || !has_own_shape(w, l->out)) return false;
		if (n->op && l->kind != DENSE && !has_own_shape(w, l->in)) return false;
		place_of(w, l->out)->first = w->n - 1;
		for (int k = 0; k < n->n_in; k++)
			if (net->in[i][k] >= 0 && !is_constant(w, net->in[i][k])) place_of(w, net->in[i][k])->last = w->n - 1;
	}
	for (int i = 0; i + 1 < w->n; i++) {
		layer *conv = &w->layers[i], *behind = conv + 1;
		place *between = place_of(w, conv->out);
		bool inner = net->values[net->values[conv->out].root].place == BACKEND_INSIDE && between->last == i + 1;
		if (behind->kind != POOL || behind->in != conv->out || !inner) continue;
		between->last = w->n - 1;
		bool yes = joins(w, conv, behind, between);
		between->last = i + 1;
		if (!yes) continue;
		conv->pools = true;
		conv->maximum = behind->maximum;
		conv->pool = behind->pool;
		between->first = between->last = -1;
		conv->out = behind->out;
		memmove(behind, behind + 1, (size_t)(w->n - i - 2) * sizeof *behind);
		w->n--;
		for (int k = 0; k < net->n_values; k++) {
			if (w->places[k].first > i) w->places[k].first--;
			if (w->places[k].last > i) w->places[k].last--;
		}
	}
	return w->n > 0;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static int64_t row_of(const place *p) { return p->left + p->wide + p->right; }
static int64_t plane_of(const place *p) { return (p->top + p->high + p->bottom) * row_of(p); }
static int64_t size_of(const place *p) { return in_fours(p->planes * plane_of(p)); }
static bool is_padded(const place *p) { return p->top || p->left || p->bottom || p->right; }

/* Places of all samples of a block, one after the other: those that are padded keep theirs, since their zeros are written once. */
static void allocate(cuda_whole *w)
{
	int64_t top = w->conv_weights;
	for (int i = 0; i < w->net->n_values; i++) {
		place *p = &w->places[i];
		bool here = w->net->values[i].root == i && p->last >= 0 && !is_constant(w, i);
		if (!here || !is_padded(p)) continue;
		p->at = top;
		top += size_of(p) * w->shape.samples;
	}
	w->shared = top;
	for (int i = 0; i < w->net->n_values; i++) {
		place *p = &w->places[i];
		bool here = w->net->values[i].root == i && p->last >= 0 && !is_constant(w, i);
		if (!here || is_padded(p)) continue;
		int64_t at = top, bytes = size_of(p) * w->shape.samples;
		for (bool moved = true; moved;) {
			moved = false;
			for (int j = 0; j < i; j++) {
				const place *q = &w->places[j];
				int64_t end = q->at + size_of(q) * w->shape.samples;
				bool alive = q->at >= top && q->first <= p->last && p->first <= q->last;
				if (!alive || q->at >= at + bytes || end <= at) continue;
				at = end;
				moved = true;
			}
		}
		p->at = at;
		if (at + bytes > w->shared) w->shared = at + bytes;
	}
	w->shared += BEHIND;
}

/* Weights as they are packed: of convolutions [input][tap][output], of products [output][input] in whole stretches of 4 x LANES_OF_SUM. */
static int64_t dense_row(const layer *l) { return ceil_div(l->inputs, 4 * LANES_OF_SUM) * 4 * LANES_OF_SUM; }
static int64_t conv_row(const layer *l) { return ceil_div(l->outputs, l->tile_channels) * l->tile_channels; }

static void place_weights(cuda_whole *w)
{
	int64_t at = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < w->n; i++) {
			layer *l = &w->layers[i];
			if (l->kind != (pass ? DENSE : CONV)) continue;
			int64_t row = pass ? l->outputs : conv_row(l);
			l->weights = at;
			at = in_fours(at + (pass ? l->outputs * dense_row(l) : l->inputs * l->w.kernel[1] * l->w.kernel[2] * row));
			l->bias = at;
			at = in_fours(at + row);
		}
		if (!pass) w->conv_weights = at;
	}
	w->packed = at;
}

/* Tiles: as many sums as registers hold, whole windows of a pool, and no column left over where that can be. */
static void choose_tiles(layer *l, bool few)
{
	int64_t ph = l->pools ? l->pool.kernel[1] : 1, pw = l->pools ? l->pool.kernel[2] : 1, best = -1;
	for (int64_t c = 1; c <= l->outputs && c <= 16; c++) {
		if (l->outputs % c) continue;
		for (int64_t x = pw; x <= l->w.out[2] && x <= 16; x += pw) {
			int64_t sums = c * x * ph;
			if (sums > (few ? MOST_SUMS / 4 : MOST_SUMS) && !(c == 1 && x == pw)) continue;
			/* loads for the sums of a tap: c weights, four at once, and x + its neighbours */
			int64_t loads = ph * (x + l->w.kernel[2] - 1) * 4 + ph * l->w.kernel[2] * c;
			int64_t waste = ceil_div(l->w.out[2], x) * x - l->w.out[2];
			int64_t score = sums * l->w.kernel[2] * 1000 / (loads + 8) - waste * 500 / x;
			if (score <= best) continue;
			best = score;
			l->tile_channels = c;
			l->tile_wide = x;
		}
	}
	l->tile_high = ph;
	if (best < 0) l->tile_channels = 1, l->tile_wide = pw;
}

/* ---- text -------------------------------------------------------------------------------------- */

static void put_index(text *t, const cuda_whole *w, int at, const char *channel, const char *y, const char *x)
{
	const place *p = &w->places[w->net->values[at].root];
	text_printf(t, "%lld + s * %lld + (%s) * %lld + (%s + %lld) * %lld + %s + %lld", (long long)p->at, (long long)size_of(p), channel,
	            (long long)plane_of(p), y, (long long)p->top, (long long)row_of(p), x, (long long)p->left);
}

/* Stores r<k> as the element (channel, y, x) of value v of sample s; index: in the whole sample, for what lies in the caller's memory. */
static void put_store(text *t, const cuda_whole *w, int at, const char *what, const char *channel, const char *y, const char *x)
{
	const backend_value *root = &w->net->values[w->net->values[at].root];
	const place *p = &w->places[w->net->values[at].root];
	if (root->place == BACKEND_OUTPUT)
		text_printf(t, "\t\t\t((float *)c.out[%d])[(first + s) * %lldll + (%s) * %lld + (%s) * %lld + %s] = %s;\n", root->slot,
		            (long long)(p->planes * p->high * p->wide), channel, (long long)(p->high * p->wide), y, (long long)p->wide, x, what);
	if (root->place == BACKEND_OUTPUT && p->last < 0) return;
	text_add(t, "\t\t\togs_share<CLUSTER>(m + ");
	put_index(t, w, at, channel, y, x);
	text_printf(t, ", %s);\n", what);
}

/* Statements that take `value` through the layer's tail; the result is in `value`. */
static og_status put_tail(text *t, const cuda_whole *w, const layer *l, const char *channel, const char *y, const char *x, void *code)
{
	const program *p = l->tail;
	int node = (int)(l->node - w->net->nodes);
	if (!p) return OG_OK;
	backend_node n = *l->node;
	n.code = code;
	cuda_request r = { .node = &n };
	text_add(t, "\t\t\tfloat r0");
	for (int k = 1; k < p->n_regs; k++) text_printf(t, ", r%d", k);
	text_add(t, ";\n");
	for (int k = 0; k < p->n_operands; k++) {
		int at = p->operand[k], from = at < 0 ? -1 : w->net->in[node][at];
		if (at < 0) {
			text_printf(t, "\t\t\tr%d = value;\n", k);
		} else if (is_constant(w, from)) {
			text_printf(t, "\t\t\tr%d = *(const float *)c.in[%d];\n", k, w->net->n_inputs + w->net->values[from].slot);
		} else {
			text_printf(t, "\t\t\tr%d = m[", k);
			put_index(t, w, from, channel, y, x);
			text_add(t, "];\n");
		}
	}
	TRY(cuda_program_text(t, &r));
	text_printf(t, "\t\t\tvalue = r%d;\n", p->result);
	return OG_OK;
}

static void put_tasks(text *t, int64_t tasks)
{
	text_printf(t, "\tfor (int task = turn; task < %lld * live; task += CLUSTER * THREADS) {\n\t\tconst int s = task / %lld, part = task %% %lld;\n",
	            (long long)tasks, (long long)tasks, (long long)tasks);
}

static og_status put_conv(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *in = &w->places[w->net->values[l->in].root];
	int64_t down = ceil_div(l->w.out[1], l->tile_high), across = ceil_div(l->w.out[2], l->tile_wide), groups = l->outputs / l->tile_channels;
	int64_t taps = l->w.kernel[1] * l->w.kernel[2];
	text_printf(t, "\t{\n\tenum { K = %lld, Y = %lld, X = %lld, KY = %lld, KX = %lld, ROW = %lld, OX = %lld, OY = %lld };\n", (long long)l->tile_channels,
	            (long long)l->tile_high, (long long)l->tile_wide, (long long)l->w.kernel[1], (long long)l->w.kernel[2], (long long)conv_row(l),
	            (long long)l->w.out[2], (long long)l->w.out[1]);
	/* samples turn fastest, then tiles: threads of a warp share their weights */
	text_printf(t, "\tfor (int task = turn; task < %lld * live; task += CLUSTER * THREADS) {\n", (long long)(groups * down * across));
	text_printf(t, "\t\tconst int k0 = task / (%lld * live) * K, rest = task %% (%lld * live), s = rest / %lld, tile = rest %% %lld;\n",
	            (long long)(down * across), (long long)(down * across), (long long)(down * across), (long long)(down * across));
	text_printf(t, "\t\tconst int y0 = tile / %lld * Y, x0 = tile %% %lld * X;\n", (long long)across, (long long)across);
	text_printf(t, "\t\tfloat sum[K][Y][X];\n\t\t#pragma unroll\n\t\tfor (int k = 0; k < K; k++)\n\t\t\t#pragma unroll\n\t\t\tfor (int i = 0; i < Y * X; i++)"
	            " sum[k][i / X][i %% X] = m[%lld + k0 + k];\n", (long long)l->bias);
	text_printf(t, "\t\tconst float *x = m + %lld + s * %lld + (y0 + %lld) * %lld + x0 + %lld, *u = m + %lld + k0;\n", (long long)in->at,
	            (long long)size_of(in), (long long)(in->top - l->w.begin[1]), (long long)row_of(in), (long long)(in->left - l->w.begin[2]),
	            (long long)l->weights);
	text_printf(t, "\t\t#pragma unroll 1\n\t\tfor (int i = 0; i < %lld; i++, x += %lld, u += %lld * ROW)\n", (long long)l->inputs, (long long)plane_of(in),
	            (long long)taps);
	text_printf(t, "\t\t\togs_conv<K, Y, X, KY, KX, ROW, %lld>(sum, x, u);\n", (long long)row_of(in));
	if (l->pools) {
		text_printf(t, "\t\t#pragma unroll\n\t\tfor (int k = 0; k < K; k++)\n\t\t#pragma unroll\n\t\tfor (int px = 0; px < X / %lld; px++) {\n\t\t\tfloat pooled = %s;\n",
		            (long long)l->pool.kernel[2], l->maximum ? "-V_INF" : "0.0f");
		text_printf(t, "\t\t\t#pragma unroll\n\t\t\tfor (int q = 0; q < %lld; q++) {\n\t\t\tfloat value = sum[k][q / %lld][px * %lld + q %% %lld];\n",
		            (long long)(l->pool.kernel[1] * l->pool.kernel[2]), (long long)l->pool.kernel[2], (long long)l->pool.kernel[2], (long long)l->pool.kernel[2]);
		TRY(put_tail(t, w, l, "0", "0", "0", code));
		text_printf(t, "\t\t\tpooled = %s;\n\t\t\t}\n", l->maximum ? "v_max(pooled, value)" : "pooled + value");
		if (!l->maximum) text_printf(t, "\t\t\tpooled = pooled / %lld.0f;\n", (long long)(l->pool.kernel[1] * l->pool.kernel[2]));
		text_printf(t, "\t\t\tif (x0 + px * %lld < OX) {\n\t\t\tconst int yy = y0 / %lld, xx = x0 / %lld + px;\n", (long long)l->pool.kernel[2],
		            (long long)l->pool.kernel[1], (long long)l->pool.kernel[2]);
		put_store(t, w, l->out, "pooled", "k0 + k", "yy", "xx");
		text_add(t, "\t\t\t}\n\t\t}\n\t}\n\t}\n");
		return OG_OK;
	}
	text_add(t, "\t\t#pragma unroll\n\t\tfor (int k = 0; k < K; k++)\n\t\t#pragma unroll\n\t\tfor (int i = 0; i < Y * X; i++) {\n"
	            "\t\t\tconst int yy = y0 + i / X, xx = x0 + i % X;\n\t\t\tif (yy < OY && xx < OX) {\n\t\t\tfloat value = sum[k][i / X][i % X];\n");
	TRY(put_tail(t, w, l, "k0 + k", "yy", "xx", code));
	put_store(t, w, l->out, "value", "k0 + k", "yy", "xx");
	text_add(t, "\t\t\t}\n\t\t}\n\t}\n\t}\n");
	return OG_OK;
}

/* Index i of a sample's value in order as channel, y, x. */
static void put_split(text *t, const place *p, const char *i)
{
	text_printf(t, "\t\t\tconst int ch = (%s) / %lld, yy = (%s) / %lld %% %lld, xx = (%s) %% %lld;\n", i, (long long)(p->high * p->wide), i,
	            (long long)p->wide, (long long)p->high, i, (long long)p->wide);
}

static og_status put_dense(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *in = &w->places[w->net->values[l->in].root], *out = &w->places[w->net->values[l->out].root];
	int64_t row = dense_row(l), at_once = least(w->shape.samples, 8), turns = ceil_div(w->shape.samples, at_once);
	if (is_padded(in) || in->planes * in->high * in->wide != l->inputs) return OG_NO;
	text_printf(t, "\t{\n\tenum { S = %lld, L = %d };\n", (long long)at_once, LANES_OF_SUM);
	text_printf(t, "\tfor (int task = turn; task < ogs_round(%lld) * L; task += CLUSTER * THREADS) {\n", (long long)(l->outputs * turns));
	text_printf(t, "\t\tconst int lane = task %% L, j = task / L %% %lld, s0 = task / L / %lld * S;\n", (long long)l->outputs, (long long)l->outputs);
	text_printf(t, "\t\tfloat sum[S];\n\t\tconst bool real = task < %lld * L;\n", (long long)(l->outputs * turns));
	text_printf(t, "\t\togs_dense<S, %lld, %lld, %lld>(sum, m + %lld + (real ? s0 : 0) * %lld, (const float *)c.packed + %lld + (real ? j : 0) * %lld, lane);\n",
	            (long long)l->inputs, (long long)row, (long long)size_of(in), (long long)in->at, (long long)size_of(in), (long long)l->weights, (long long)row);
	text_printf(t, "\t\tfloat value = ogs_pick<S>(sum, lane);\n\t\tconst int s = s0 + lane;\n\t\tif (real && lane < S && s < live) {\n");
	text_printf(t, "\t\t\tvalue += ((const float *)c.packed)[%lld + j];\n", (long long)l->bias);
	put_split(t, out, "j");
	text_add(t, "\t\t\t(void)ch, (void)yy, (void)xx;\n");
	TRY(put_tail(t, w, l, "ch", "yy", "xx", code));
	put_store(t, w, l->out, "value", "ch", "yy", "xx");
	text_add(t, "\t\t}\n\t}\n\t}\n");
	return OG_OK;
}

static og_status put_pool(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *out = &w->places[w->net->values[l->out].root], *in = &w->places[w->net->values[l->in].root];
	(void)code;
	put_tasks(t, out->planes * out->high * out->wide);
	put_split(t, out, "part");
	text_printf(t, "\t\tfloat value = %s;\n\t\tint n = 0;\n", l->maximum ? "-V_INF" : "0.0f");
	text_printf(t, "\t\tfor (int ky = 0, y = yy * %lld - %lld; ky < %lld; ky++, y += %lld)\n", (long long)l->pool.stride[1], (long long)l->pool.begin[1],
	            (long long)l->pool.kernel[1], (long long)l->pool.dilation[1]);
	text_printf(t, "\t\t\tfor (int kx = 0, x = xx * %lld - %lld; kx < %lld; kx++, x += %lld)\n", (long long)l->pool.stride[2], (long long)l->pool.begin[2],
	            (long long)l->pool.kernel[2], (long long)l->pool.dilation[2]);
	text_printf(t, "\t\t\t\tif (y >= 0 && y < %lld && x >= 0 && x < %lld) {\n\t\t\t\t\tconst float cell = m[", (long long)in->high, (long long)in->wide);
	put_index(t, w, l->in, "ch", "y", "x");
	text_printf(t, "];\n\t\t\t\t\tvalue = %s;\n\t\t\t\t\tn++;\n\t\t\t\t} else if (y < %lld && x < %lld) n += %d;\n", l->maximum ? "v_max(value, cell)" : "value + cell",
	            (long long)(in->high + l->pool.end[1]), (long long)(in->wide + l->pool.end[2]), l->include);
	if (!l->maximum) text_add(t, "\t\tvalue = value / (float)n;\n");
	put_store(t, w, l->out, "value", "ch", "yy", "xx");
	text_add(t, "\t}\n");
	return OG_OK;
}

static og_status put_map(text *t, const cuda_whole *w, const layer *l, void *code)
{
	const place *out = &w->places[w->net->values[l->out].root];
	put_tasks(t, out->planes * out->high * out->wide);
	put_split(t, out, "part");
	text_add(t, "\t\t\tfloat value = 0.0f;\n");
	TRY(put_tail(t, w, l, "ch", "yy", "xx", code));
	put_store(t, w, l->out, "value", "ch", "yy", "xx");
	text_add(t, "\t}\n");
	return OG_OK;
}

/* Inputs to shared memory, 0 around them; weights of convolutions. */
static void put_start(text *t, const cuda_whole *w)
{
	const backend_network *net = w->net;
	text_printf(t, "\tfor (int i = threadIdx.x; i < %lld; i += THREADS) ((float4 *)m)[i] = ((const float4 *)c.packed)[i];\n", (long long)(w->conv_weights / 4));
	for (int k = 0; k < net->n_values; k++) {
		const place *p = &w->places[k];
		if (net->values[k].root != k || p->at < 0 || !is_padded(p)) continue;
		text_printf(t, "\tfor (int i = threadIdx.x; i < %lld; i += THREADS) m[%lld + i] = 0.0f;\n", (long long)(size_of(p) * w->shape.samples), (long long)p->at);
	}
	text_add(t, "\t__syncthreads();\n");
	for (int k = 0; k < net->n_values; k++) {
		const place *p = &w->places[k];
		if (net->values[k].place != BACKEND_INPUT || p->at < 0) continue;
		int64_t size = p->planes * p->high * p->wide;
		text_printf(t, "\tfor (int i = threadIdx.x; i < %lld * live; i += THREADS) {\n\t\tconst int s = i / %lld, part = i %% %lld;\n", (long long)size,
		            (long long)size, (long long)size);
		put_split(t, p, "part");
		text_add(t, "\t\tm[");
		put_index(t, w, k, "ch", "yy", "xx");
		text_printf(t, "] = ((const float *)c.in[%d])[first * %lldll + i];\n\t}\n", net->values[k].slot, (long long)size);
	}
	text_add(t, "\togs_together<CLUSTER>();\n");
}

static og_status put_kernel(text *t, const cuda_whole *w, void *code)
{
	static og_status (*const put[])(text *, const cuda_whole *, const layer *, void *) = {
		[CONV] = put_conv, [POOL] = put_pool, [DENSE] = put_dense, [MAP] = put_map,
	};
	text_printf(t, "(const __grid_constant__ og_step c)\n{\n\textern __shared__ float4 ogs_memory[];\n\tfloat *const m = (float *)ogs_memory;\n"
	            "\tenum { CLUSTER = %d, THREADS = %d, SAMPLES = %d };\n", w->shape.cluster, w->shape.threads, w->shape.samples);
	text_printf(t, "\tconst long long first = (long long)(blockIdx.x / CLUSTER) * SAMPLES;\n\tconst int turn = blockIdx.x %% CLUSTER * THREADS + threadIdx.x;\n"
	            "\tconst int live = (int)(%lldll - first < SAMPLES ? %lldll - first : SAMPLES);\n", (long long)w->samples, (long long)w->samples);
	put_start(t, w);
	for (int i = 0; i < w->n; i++) {
		TRY(put[w->layers[i].kind](t, w, &w->layers[i], code));
		if (i + 1 < w->n || w->shape.cluster > 1) text_add(t, "\togs_together<CLUSTER>();\n");
	}
	text_add(t, "}\n");
	return OG_OK;
}

/* ---- weights ----------------------------------------------------------------------------------- */

static og_status pack(const backend_kernel *k, void *packed)
{
	const cuda_whole *w = (const cuda_whole *)((const char *)k->state - offsetof(cuda_whole, launches));
	float *to = packed;
	memset(to, 0, (size_t)w->packed * sizeof *to);
	for (int i = 0; i < w->n; i++) {
		const layer *l = &w->layers[i];
		const backend_node *n = l->node;
		const float *from = l->kind == CONV || l->kind == DENSE ? n->in[1].data : NULL, *bias = from && n->n_anchor_in > 2 ? n->in[2].data : NULL;
		if (!from) continue;
		float scale = 1.0f, bias_scale = 1.0f;
		if (l->kind == CONV) {
			int64_t taps = l->w.kernel[1] * l->w.kernel[2];
			for (int64_t o = 0; o < l->outputs; o++)
				for (int64_t j = 0; j < l->inputs * taps; j++) to[l->weights + j * conv_row(l) + o] = from[o * l->inputs * taps + j];
		} else {
			bool gemm = cuda_is(n, "Gemm"), transposed = gemm && n->attr[TRANS_B].i;
			if (gemm) scale = n->attr[ALPHA].f, bias_scale = n->attr[BETA].f;
			for (int64_t o = 0; o < l->outputs; o++)
				for (int64_t j = 0; j < l->inputs; j++)
					to[l->weights + o * dense_row(l) + j] = scale * from[transposed ? o * l->inputs + j : j * l->outputs + o];
		}
		for (int64_t o = 0; bias && o < l->outputs; o++) to[l->bias + o] = bias_scale * bias[o];
	}
	return OG_OK;
}

/* ---- the kernel -------------------------------------------------------------------------------- */

og_status cuda_whole_with(backend_kernel *out, const backend_network *net, cuda_whole_shape shape, void *code, arena *a)
{
	if (net->n_inputs < 1 || net->n_inputs + net->n_numbers > CUDA_IN || net->n_outputs > CUDA_OUT) return OG_NO;
	cuda_whole *w = arena_alloc(a, sizeof *w);
	NEED(w);
	*w = (cuda_whole){ .net = net, .shape = shape, .samples = net->samples };
	w->places = arena_array(a, (size_t)net->n_values + 1, sizeof *w->places);
	NEED(w->places);
	if (!make_places(w) || !understand(w)) return OG_NO;
	for (int i = 0; i < w->n; i++)
		if (w->layers[i].kind == CONV) choose_tiles(&w->layers[i], shape.samples == 1);
	place_weights(w);
	allocate(w);
	if (w->packed > MOST_WEIGHTS || w->shared * 4 > SHARED_MOST) return OG_NO;
	text t = { 0 };
	char bounds[96];
	og_status status = put_kernel(&t, w, code);
	char *made = text_take(&t);
	if (status == OG_OK && !made) status = base_no_memory();
	if (shape.cluster > 1) snprintf(bounds, sizeof bounds, "__cluster_dims__(%d, 1, 1) __launch_bounds__(%d)", shape.cluster, shape.threads);
	else snprintf(bounds, sizeof bounds, "__launch_bounds__(%d)", shape.threads);
	cuda_launch *l = &w->launches.at[0];
	w->launches = (cuda_launches){ .n = 1, .n_in = net->n_inputs + net->n_numbers, .n_out = net->n_outputs };
	if (status == OG_OK) status = cuda_code_kernel(l->name, code, bounds, made);
	base_free(made);
	TRY(status);
	int64_t blocks = ceil_div(w->samples, shape.samples) * shape.cluster;
	l->blocks[0] = (uint32_t)blocks;
	l->blocks[1] = l->blocks[2] = 1;
	l->threads[0] = (uint32_t)shape.threads;
	l->threads[1] = l->threads[2] = 1;
	l->shared = (uint32_t)(w->shared * 4);
	*out = (backend_kernel){ .tactic = "whole", .pack = pack, .packed_bytes = (size_t)w->packed * sizeof(float) };
	cuda_launch_with(out, &w->launches);
	return OG_OK;
}

/* One sample for a cluster while there are processors enough, then as many for a block as fill the device evenly. */
static cuda_whole_shape choose_shape(int64_t samples)
{
	enum { PROCESSORS = 132 };
	if (samples <= PROCESSORS / 8) return (cuda_whole_shape){ 1, 8, 256 };
	if (samples <= PROCESSORS / 2) return (cuda_whole_shape){ 1, 2, 512 };
	if (samples <= PROCESSORS) return (cuda_whole_shape){ 1, 1, 512 };
	if (samples <= 16 * PROCESSORS) return (cuda_whole_shape){ (int)ceil_div(samples, PROCESSORS), 1, 416 };
	return (cuda_whole_shape){ 8, 1, 416 };
}

og_status cuda_whole_of(backend_kernel *out, const backend_network *net, const char *tactic, void *code, arena *a)
{
	cuda_whole_shape shape = choose_shape(net->samples);
	const char *told = tactic ? tactic : getenv("OPGRAFT_WHOLE");
	if (told && sscanf(told, "whole.%d.%d.%d", &shape.samples, &shape.cluster, &shape.threads) != 3) return OG_NO;
	if (shape.samples < 1 || shape.samples > 64 || shape.cluster < 1 || shape.cluster > 16 || shape.threads < 32 || shape.threads > 1024 ||
	    shape.threads % 32)
		return OG_NO;
	TRY(cuda_whole_with(out, net, shape, code, a));
	out->tactic = arena_printf(a, "whole.%d.%d.%d", shape.samples, shape.cluster, shape.threads);
	return out->tactic ? OG_OK : base_no_memory();
}
