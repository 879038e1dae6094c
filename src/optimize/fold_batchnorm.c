/* fold_batchnorm.c -- arithmetic by channel behind a convolution or product goes into its weights and bias.
 *
 *   BatchNormalization(y, scale, bias, mean, var)  is  k y + d  with  k = scale / sqrt(var + epsilon),  d = bias - k mean;
 *   so are Mul, Div, Add and Sub of y and a constant for each channel;  k Conv(x, W, b) + d  is  Conv(x, k W, k b + d),
 *
 * and the same of ConvTranspose, MatMul and Gemm. A MatMul of two matrices becomes a Gemm for the sake of d. Computed in double, rounded
 * once. The result keeps its name. */
#include <math.h>

#include "optimize/edit.h"
#include "optimize/perm.h"
#include "schema/schema.h"

/* A node that is linear in its weights, its second input, which lie as [groups, each, channels / groups, inner]. */
typedef struct linear {
	graph_node *node, *last;             /* last: itself, or the Transpose behind it */
	int rank, axis;                      /* of the result, and its axis of channels */
	int64_t channels, groups, each, inner;
	bool constant;                       /* the weights are */
	bool biased;                         /* it may have a bias, its third input */
} linear;

static bool is_f32(const graph_value *v) { return v && v->constant && v->constant->dtype == OG_F32 && v->constant->data; }

/* Constants may lie at any byte of a file. */
static double number_at(const og_tensor *t, int64_t i)
{
	float x;
	memcpy(&x, (const char *)t->data + i * (int64_t)sizeof x, sizeof x);
	return (double)x;
}

static int64_t int_attr(const graph_node *n, const char *name, int64_t otherwise)
{
	const graph_attr *a = graph_attr_find(n, name);
	return a ? a->i : otherwise;
}

static bool conv_of(linear *l, const graph_node *n)
{
	const graph_value *w = n->in[1];
	bool turned = edit_is(n, "ConvTranspose");
	if (!is_f32(w) || w->constant->rank < 3) return false;
	const int64_t *dims = w->constant->dims;
	l->constant = l->biased = true;
	l->axis = 1;
	l->groups = turned ? int_attr(n, "group", 1) : 1;
	if (l->groups < 1 || (turned && dims[0] % l->groups)) return false;
	l->each = turned ? dims[0] / l->groups : 1;
	return base_count(dims + 1 + turned, w->constant->rank - 1 - turned, &l->inner) &&
	       !__builtin_mul_overflow(dims[turned], l->groups, &l->channels);
}

static bool product_of(linear *l, const graph_node *n)
{
	const graph_value *w = n->in[1];
	bool gemm = edit_is(n, "Gemm"), turned = gemm && int_attr(n, "transB", 0);
	const graph_attr *beta = gemm ? graph_attr_find(n, "beta") : NULL;
	if (!w || w->dtype != OG_F32 || w->rank != 2 || n->in[0]->rank < 2 || (beta && beta->f != 1)) return false;
	l->constant = is_f32(w);
	l->biased = n->in[0]->rank == 2;
	l->axis = l->rank - 1;
	l->channels = w->dims[!turned];
	l->groups = 1;
	l->each = turned ? 1 : w->dims[0];
	l->inner = turned ? w->dims[1] : 1;
	return l->channels > 0;
}

/* The bias, if there is one, is a number for each channel or for all. */
static bool has_plain_bias(const linear *l)
{
	const graph_node *n = l->node;
	if (n->n_in < 3 || !n->in[2]) return true;
	if (!is_f32(n->in[2])) return false;
	const og_tensor *b = n->in[2]->constant;
	int64_t count = og_count(b);
	return count == 1 || (count == l->channels && b->dims[b->rank - 1] == count);
}

/* The node that made v, which only `reader` reads; a Transpose may lie between. */
static bool linear_before(linear *l, const graph_value *v, const graph_node *reader)
{
	perm p = perm_identity(v && v->rank > 0 ? v->rank : 0);
	graph_node *n = v ? v->producer : NULL;
	if (!n || !edit_private(v, reader) || v->dtype != OG_F32) return false;
	*l = (linear){ .last = n, .rank = v->rank };
	if (perm_of_node(&p, n)) {
		if (!n->in[0]->producer || !edit_private(n->in[0], n)) return false;
		n = n->in[0]->producer;
	}
	l->node = n;
	if (n->n_in < 2 || n->out[0]->rank != l->rank) return false;
	bool found = edit_is(n, "Conv") || edit_is(n, "ConvTranspose") ? conv_of(l, n)
	           : edit_is(n, "MatMul") || edit_is(n, "Gemm") ? product_of(l, n) : false;
	if (!found || l->axis >= l->rank || !has_plain_bias(l)) return false;
	l->axis = perm_place(&p, l->axis);
	return true;
}

static og_status scale_weights(const linear *l, const double *k)
{
	graph_node *n = l->node;
	const og_tensor *w = n->in[1]->constant;
	graph_value *made;
	float *out;
	int64_t count, at = 0, wide = l->channels / l->groups;
	if (!base_count(w->dims, w->rank, &count)) return base_fail(OG_BAD_FILE, "node '%s': weights are too large", n->name);
	TRY(edit_constant(&made, &out, n->owner, n->in[1]->name, w->rank, w->dims));
	for (int64_t row = 0; row < l->groups * l->each; row++)
		for (int64_t c = 0; c < wide; c++) {
			double factor = k[row / l->each * wide + c];
			for (int64_t i = 0; i < l->inner; i++, at++) out[at] = (float)(number_at(w, at) * factor);
		}
	graph_tensor_forget(n->owner->model, w);
	return graph_set_input(n, 1, made);
}

/* The bias times k, and d; `called`: whose name it gets where there was none. */
static og_status set_bias(const linear *l, const double *k, const double *d, const graph_value *called)
{
	graph_node *n = l->node;
	const og_tensor *b = n->n_in > 2 && n->in[2] ? n->in[2]->constant : NULL;
	graph_value *made;
	float *out;
	if (!b && !d) return OG_OK;
	TRY(edit_constant(&made, &out, n->owner, b ? n->in[2]->name : called->name, 1, &l->channels));
	bool each = b && og_count(b) == l->channels;
	for (int64_t c = 0; c < l->channels; c++)
		out[c] = (float)((b ? number_at(b, each ? c : 0) : 0) * (k ? k[c] : 1) + (d ? d[c] : 0));
	if (edit_is(n, "MatMul")) {
		n->type = "Gemm";
		n->op = schema_find("", n->type, graph_opset_version(n->owner->model, ""));
	}
	return graph_set_input(n, 2, made);
}

/* y becomes k y + d (NULL: 1, 0) for each channel, and takes the place of what `after`, the only reader of y, made of it and of
 * the constant `c`. */
static og_status take_in(const linear *l, graph_node *after, const graph_value *c, const double *k, const double *d)
{
	graph_value *inner = l->last->out[0], *out = after->out[0];
	if (k) TRY(scale_weights(l, k));
	TRY(set_bias(l, k, d, c));
	graph_node_remove(after);
	TRY(graph_set_output(l->last, 0, out));
	graph_value_remove(inner);
	return OG_OK;
}

/* Numbers c of an operand that has one for each channel, or one in all; false when it is no such constant. */
static bool channel_numbers(const linear *l, const graph_value *v, double *out)
{
	const og_tensor *t = is_f32(v) ? v->constant : NULL;
	int64_t count;
	if (!t || t->rank > l->rank || !base_count(t->dims, t->rank, &count) || (count != 1 && count != l->channels)) return false;
	int axis = l->axis - (l->rank - t->rank);
	if (count != 1 && (axis < 0 || t->dims[axis] != count)) return false;
	for (int64_t c = 0; c < l->channels; c++) out[c] = number_at(t, count == 1 ? 0 : c);
	return true;
}

static og_status fold_norm(graph_node *n)
{
	linear l;
	if (n->n_in != 5 || !linear_before(&l, n->in[0], n) || l.axis != 1 || !l.constant || !l.biased) return OG_OK;
	for (int i = 1; i < n->n_out; i++)
		if (n->out[i]) return OG_OK;
	for (int i = 1; i < 5; i++)
		if (!is_f32(n->in[i]) || og_count(n->in[i]->constant) != l.channels) return OG_OK;
	const graph_attr *eps = graph_attr_find(n, "epsilon");
	double epsilon = eps ? (double)eps->f : 1e-5;
	double *k = base_new((size_t)l.channels + 1, 2 * sizeof *k), *d = k + l.channels;
	NEED(k);
	for (int64_t c = 0; c < l.channels; c++) {
		k[c] = number_at(n->in[1]->constant, c) / sqrt(number_at(n->in[4]->constant, c) + epsilon);
		d[c] = number_at(n->in[2]->constant, c) - number_at(n->in[3]->constant, c) * k[c];
	}
	og_status status = take_in(&l, n, n->in[2], k, d);
	base_free(k);
	return status;
}

/* What y op c is as a factor or as a term, in place; false: it is neither. */
static bool as_linear(const graph_node *n, double *c, int64_t count)
{
	bool division = edit_is(n, "Div"), difference = edit_is(n, "Sub");
	for (int64_t i = 0; i < count; i++) {
		if (division && c[i] == 0) return false;
		if (division) c[i] = 1 / c[i];
		if (difference) c[i] = -c[i];
	}
	return true;
}

/* Add, Sub, Mul and Div of y and a constant; of Add and Mul in either order. */
static og_status fold_arithmetic(graph_node *n)
{
	bool factor = edit_is(n, "Mul") || edit_is(n, "Div"), one_side = edit_is(n, "Sub") || edit_is(n, "Div");
	for (int side = 0; side < 2 - one_side; side++) {
		linear l;
		if (!linear_before(&l, n->in[side], n) || n->in[0] == n->in[1] || n->out[0]->rank != l.rank) continue;
		if (factor ? !l.constant : !l.biased) continue;
		double *c = base_new((size_t)l.channels + 1, sizeof *c);
		NEED(c);
		og_status status = OG_OK;
		bool folds = channel_numbers(&l, n->in[1 - side], c) && as_linear(n, c, l.channels);
		if (folds) status = take_in(&l, n, n->in[1 - side], factor ? c : NULL, factor ? NULL : c);
		base_free(c);
		if (folds) return status;
	}
	return OG_OK;
}

og_status optimize_fold_batchnorm(og_model *m, const optimize_options *o)
{
	(void)o;
	for (graph_node *n = m->main->first, *next; n; n = next) {
		next = n->next;
		if (edit_is(n, "BatchNormalization")) TRY(fold_norm(n));
		else if ((edit_is(n, "Add") || edit_is(n, "Mul") || edit_is(n, "Sub") || edit_is(n, "Div")) && n->n_in == 2 && n->in[0] && n->in[1])
			TRY(fold_arithmetic(n));
	}
	return OG_OK;
}
