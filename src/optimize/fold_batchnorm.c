/* fold_batchnorm.c -- per-channel arithmetic behind a convolution goes into its weights and bias.
 *
 *   BatchNormalization(Conv(x, W, b))  with  k = scale / sqrt(var + epsilon):  W' = k W,  b' = k (b - mean) + bias
 *   Mul(Conv, c), Add(Conv, c), Sub(Conv, c) with a constant c per channel; Add(MatMul(a, B), c) becomes a Gemm.
 * Computed in double, rounded once. */
#include <math.h>

#include "optimize/edit.h"
#include "schema/schema.h"

static bool is_f32(const graph_value *v) { return v && v->constant && v->constant->dtype == OG_F32; }

/* A convolution with constant weights whose result only `reader` reads. */
static graph_node *conv_before(const graph_value *v, const graph_node *reader)
{
	graph_node *n = v ? v->producer : NULL;
	if (!edit_is(n, "Conv") || !edit_private(v, reader) || !is_f32(n->in[1]) || n->in[1]->constant->rank < 3) return NULL;
	return n->n_in < 3 || !n->in[2] || is_f32(n->in[2]) ? n : NULL;
}

/* y = conv: y * k[c] + d[c] per output channel; then the nodes' output is the convolution's. */
static og_status scale_conv(graph_node *conv, graph_node *after, const double *k, const double *d)
{
	const og_tensor *w = conv->in[1]->constant, *b = conv->n_in > 2 && conv->in[2] ? conv->in[2]->constant : NULL;
	graph *g = conv->owner;
	graph_value *new_w, *new_b;
	float *wd, *bd;
	int64_t channels = w->dims[0], count;
	if (!base_count(w->dims, w->rank, &count)) return base_fail(OG_BAD_FILE, "node '%s': weights are too large", conv->name);
	int64_t each = channels ? count / channels : 0;
	TRY(edit_constant(&new_w, &wd, g, conv->in[1]->name, w->rank, w->dims));
	TRY(edit_constant(&new_b, &bd, g, conv->in[1]->name, 1, &channels));
	for (int64_t c = 0; c < channels; c++) {
		for (int64_t i = 0; i < each; i++) wd[c * each + i] = (float)(graph_tensor_double(w, c * each + i) * k[c]);
		bd[c] = (float)((b ? graph_tensor_double(b, c) : 0) * k[c] + d[c]);
	}
	graph_tensor_forget(g->model, w);
	TRY(graph_set_input(conv, 1, new_w));
	TRY(graph_set_input(conv, 2, new_b));
	bool done;
	return edit_bypass(after, conv->out[0], &done);
}

/* Constant number c of a per-channel operand: one element, [C,1,1], [1,C,1,1]; false when it is none. */
static bool channel_constant(const graph_value *v, int rank, int64_t channels, double *out)
{
	if (!is_f32(v)) return false;
	const og_tensor *t = v->constant;
	int64_t count;
	if (t->rank > rank || !base_count(t->dims, t->rank, &count) || (count != 1 && count != channels)) return false;
	if (count == channels && count != 1) {
		int axis = 1 - (rank - t->rank);         /* the channels' axis is 1 of the output */
		if (axis < 0 || t->dims[axis] != channels) return false;
	}
	for (int64_t c = 0; c < channels; c++) out[c] = graph_tensor_double(t, count == 1 ? 0 : c);
	return true;
}

static og_status fold_norm(graph_node *n)
{
	graph_node *conv = n->n_in == 5 ? conv_before(n->in[0], n) : NULL;
	if (!conv) return OG_OK;
	for (int i = 1; i < n->n_out; i++)
		if (n->out[i]) return OG_OK;
	int64_t channels = conv->in[1]->constant->dims[0], count;
	for (int i = 1; i < 5; i++)
		if (!is_f32(n->in[i]) || !base_count(n->in[i]->constant->dims, n->in[i]->constant->rank, &count) || count != channels)
			return OG_OK;
	const graph_attr *eps = graph_attr_find(n, "epsilon");
	double epsilon = eps ? (double)eps->f : 1e-5;
	double *k = base_new((size_t)channels + 1, 2 * sizeof *k), *d = k + channels;
	NEED(k);
	for (int64_t c = 0; c < channels; c++) {
		k[c] = graph_tensor_double(n->in[1]->constant, c) / sqrt(graph_tensor_double(n->in[4]->constant, c) + epsilon);
		d[c] = graph_tensor_double(n->in[2]->constant, c) - graph_tensor_double(n->in[3]->constant, c) * k[c];
	}
	og_status status = scale_conv(conv, n, k, d);
	base_free(k);
	return status;
}

/* Add, Sub and Mul with a constant. */
static og_status fold_arithmetic(graph_node *n)
{
	bool mul = edit_is(n, "Mul"), sub = edit_is(n, "Sub");
	for (int side = 0; side < (sub ? 1 : 2); side++) {
		graph_node *conv = conv_before(n->in[side], n);
		if (!conv || n->in[0] == n->in[1] || !edit_same_type(conv->out[0], n->out[0])) continue;
		int64_t channels = conv->in[1]->constant->dims[0];
		double *k = base_new((size_t)channels + 1, 2 * sizeof *k), *d = k + channels;
		NEED(k);
		og_status status = OG_OK;
		if (channel_constant(n->in[1 - side], conv->out[0]->rank, channels, mul ? k : d)) {
			for (int64_t c = 0; c < channels; c++) {
				if (!mul) k[c] = 1;
				if (sub) d[c] = -d[c];
			}
			status = scale_conv(conv, n, k, d);
			base_free(k);
			return status;
		}
		base_free(k);
	}
	return OG_OK;
}

/* Add(MatMul(a, B), c) with two matrices and a constant row c is a Gemm, whose bias costs nothing. */
static og_status fold_matmul_bias(graph_node *n)
{
	for (int side = 0; side < 2; side++) {
		graph_node *product = n->in[side]->producer, *gemm;
		graph_value *c = n->in[1 - side], *out = n->out[0];
		if (!edit_is(product, "MatMul") || !edit_private(n->in[side], n) || !is_f32(c) || c->constant->rank > 1) continue;
		if (product->in[0]->rank != 2 || product->in[1]->rank != 2 || !edit_same_type(product->out[0], out)) continue;
		if (out->dtype != OG_F32 || (c->constant->rank == 1 && c->constant->dims[0] != out->dims[1] && c->constant->dims[0] != 1)) continue;
		TRY(graph_node_add(&gemm, n->owner, n, "", "Gemm", product->name, 3, 1));
		gemm->op = schema_find("", "Gemm", graph_opset_version(n->owner->model, ""));
		TRY(graph_set_input(gemm, 0, product->in[0]));
		TRY(graph_set_input(gemm, 1, product->in[1]));
		TRY(graph_set_input(gemm, 2, c));
		graph_value *inner = n->in[side];
		graph_node_remove(n);
		graph_node_remove(product);
		graph_value_remove(inner);
		return graph_set_output(gemm, 0, out);
	}
	return OG_OK;
}

og_status optimize_fold_batchnorm(og_model *m, const optimize_options *o)
{
	(void)o;
	for (graph_node *n = m->main->first, *next; n; n = next) {
		next = n->next;
		if (edit_is(n, "BatchNormalization")) {
			TRY(fold_norm(n));
		} else if (edit_is(n, "Add") || edit_is(n, "Mul") || edit_is(n, "Sub")) {
			size_t before = m->main->n_nodes;
			if (n->n_in != 2 || !n->in[0] || !n->in[1]) continue;
			TRY(fold_arithmetic(n));
			if (m->main->n_nodes == before && edit_is(n, "Add")) TRY(fold_matmul_bias(n));
		}
	}
	return OG_OK;
}
