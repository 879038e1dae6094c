/* whole.c -- a small network as one kernel: docs/cuda-small.md.
 *
 * A block, or a cluster of blocks, takes some samples through all layers. Activations stay in shared memory; where a
 * cluster works on one sample, every block has a copy of them all and writes what it makes into each. Weights of
 * convolutions are copied to shared memory at the start, those of matrix products are read once for all samples of
 * the block. Layers are phases between barriers. The text is made for the shapes at hand, so that all indices are
 * constants. */
#include <stdio.h>

#include "cuda/whole_net.h"

enum { GROUP = WINDOW_OWN_ATTRS, INCLUDE_PAD = POOL_OWN_ATTRS };
enum { ALPHA, BETA, TRANS_A, TRANS_B };  /* attributes of Gemm */

/* ---- understanding the network ---------------------------------------------------------------- */

/* A view with dimensions of its own is what only products read. */
static bool has_own_shape(const cuda_whole *w, int at)
{
	const og_tensor *a = &w->net->values[at].type, *b = &w->net->values[w->net->values[at].root].type;
	return a->rank == b->rank && !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

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
	p->right += row_of(p) % 2;           /* rows begin where two floats can be read at once */
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
		l->pool = (window){ .in = { 1, 1, 1 }, .out = { 1, 1, 1 }, .kernel = { 1, 1, 1 }, .stride = { 1, 1, 1 },
		                    .dilation = { 1, 1, 1 } };
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
		if (p->kernel[a] != p->stride[a] || p->dilation[a] != 1 || p->begin[a] || p->end[a] ||
		    p->out[a] * p->kernel[a] != p->in[a])
			return false;
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
	/* alone, what reads once and writes once has a kernel of its own that is better at it */
	return w->n > 1 || (w->n == 1 && (w->layers[0].kind == CONV || w->layers[0].kind == DENSE));
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
		const float *from = l->kind == CONV || l->kind == DENSE ? n->in[1].data : NULL;
		const float *bias = from && n->n_anchor_in > 2 ? n->in[2].data : NULL;
		if (!from) continue;
		float scale = 1.0f, bias_scale = 1.0f;
		if (l->kind == CONV) {
			int64_t taps = l->w.kernel[1] * l->w.kernel[2];
			for (int64_t o = 0; o < l->outputs; o++)
				for (int64_t j = 0; j < l->inputs * taps; j++)
					to[l->weights + j * conv_row(l) + o / l->tile_channels * conv_step(l) + o % l->tile_channels] =
						from[o * l->inputs * taps + j];
		} else {
			bool gemm = cuda_is(n, "Gemm"), transposed = gemm && n->attr[TRANS_B].i;
			if (gemm) scale = n->attr[ALPHA].f, bias_scale = n->attr[BETA].f;
			for (int64_t o = 0; o < l->outputs; o++)
				for (int64_t j = 0; j < l->inputs; j++)
					to[l->weights + o * dense_row(l) + j] = scale *
						from[transposed ? o * l->inputs + j : j * l->outputs + o];
		}
		for (int64_t o = 0; bias && o < l->outputs; o++)
			to[l->bias + (l->kind == CONV ? o / l->tile_channels * conv_step(l) + o % l->tile_channels : o)] =
				bias_scale * bias[o];
	}
	return OG_OK;
}

/* ---- the kernel -------------------------------------------------------------------------------- */

og_status cuda_whole_of(backend_kernel *out, const backend_network *net, const char *tactic, void *code, arena *a)
{
	cuda_whole_shape shape;
	if (net->n_inputs < 1 || net->n_inputs + net->n_numbers > CUDA_IN || net->n_outputs > CUDA_OUT) return OG_NO;
	cuda_whole *w = arena_alloc(a, sizeof *w);
	NEED(w);
	*w = (cuda_whole){ .net = net, .samples = net->samples };
	w->places = arena_array(a, (size_t)net->n_values + 1, sizeof *w->places);
	NEED(w->places);
	if (!make_places(w) || !understand(w)) return OG_NO;
	if (tactic && sscanf(tactic, "whole.%d.%d.%d.%d",
	                     &shape.samples, &shape.cluster, &shape.threads, &shape.resident) != 4)
		return OG_NO;
	if (tactic ? !cuda_whole_cut(w, shape) : !cuda_whole_choose(w)) return OG_NO;
	shape = w->shape;
	text t = { 0 };
	char bounds[96];
	og_status status = cuda_whole_text(&t, w, code);
	char *made = text_take(&t);
	if (status == OG_OK && !made) status = base_no_memory();
	if (shape.cluster > 1)
		snprintf(bounds, sizeof bounds, "__cluster_dims__(%d, 1, 1) __launch_bounds__(%d, 1)",
		         shape.cluster, shape.threads);
	else snprintf(bounds, sizeof bounds, "__launch_bounds__(%d, %d)", shape.threads, shape.resident);
	cuda_launch *l = &w->launches.at[0];
	w->launches = (cuda_launches){ .n = 1, .n_in = net->n_inputs + net->n_numbers, .n_out = net->n_outputs };
	if (status == OG_OK) cuda_code_include(code, "cuda/whole.cuh");
	if (status == OG_OK) status = cuda_code_kernel(l->name, code, false, bounds, made);
	base_free(made);
	TRY(status);
	int64_t blocks = ceil_div(w->samples, shape.samples) * shape.cluster;
	if (blocks > INT32_MAX) return OG_NO;
	l->grid = (og_grid){ { (uint32_t)blocks, 1, 1 }, { (uint32_t)shape.threads, 1, 1 }, (uint32_t)(w->shared * 4) };
	*out = (backend_kernel){ .pack = pack, .packed_bytes = (size_t)w->packed * sizeof(float) };
	out->tactic = arena_printf(a, "whole.%d.%d.%d.%d", shape.samples, shape.cluster, shape.threads, shape.resident);
	NEED(out->tactic);
	cuda_launch_with(out, &w->launches);
	return OG_OK;
}
