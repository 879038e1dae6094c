/* spell_batchnorm.c -- a BatchNormalization that no convolution took becomes what it computes, elementwise work that fuses:
 *
 *   BatchNormalization(x)  ->  Add(Mul(x, k), d)  with  k = scale / sqrt(var + epsilon),  d = bias - k mean
 *
 * k and d are computed in double, rounded once. */
#include <math.h>

#include "optimize/edit.h"
#include "schema/schema.h"

/* Inference on float32 of known shape, with constant parameters for each channel. */
static bool is_plain_norm(const graph_node *n)
{
	if (!edit_is(n, "BatchNormalization") || n->n_in != 5 || !n->in[0] || !n->out[0]) return false;
	const graph_value *x = n->in[0];
	if (x->dtype != OG_F32 || x->rank < 2 || x->dims[1] < 1 || !edit_same_type(x, n->out[0])) return false;
	for (int i = 1; i < n->n_out; i++)
		if (n->out[i]) return false;
	for (int i = 1; i < 5; i++) {
		const og_tensor *t = n->in[i] ? n->in[i]->constant : NULL;
		if (!t || t->dtype != OG_F32 || t->rank != 1 || t->dims[0] != x->dims[1]) return false;
	}
	return true;
}

static og_status add_node(graph_node **out, graph_node *before, const char *type, graph_value *a, graph_value *b)
{
	TRY(graph_node_add(out, before->owner, before, "", type, before->name, 2, 1));
	(*out)->op = schema_find("", type, graph_opset_version(before->owner->model, ""));
	TRY(graph_set_input(*out, 0, a));
	return graph_set_input(*out, 1, b);
}

static og_status spell(graph_node *n)
{
	graph *g = n->owner;
	graph_node *mul, *add;
	graph_value *x = n->in[0], *y = n->out[0], *k, *d, *scaled;
	const graph_attr *eps = graph_attr_find(n, "epsilon");
	double epsilon = eps ? (double)eps->f : 1e-5;
	int64_t dims[OG_MAX_RANK] = { x->dims[1] };
	float *kd, *dd;
	for (int i = 1; i < x->rank - 1; i++) dims[i] = 1;
	TRY(edit_constant(&k, &kd, g, n->in[1]->name, x->rank - 1, dims));
	TRY(edit_constant(&d, &dd, g, n->in[2]->name, x->rank - 1, dims));
	for (int64_t c = 0; c < dims[0]; c++) {
		double factor = graph_tensor_double(n->in[1]->constant, c) / sqrt(graph_tensor_double(n->in[4]->constant, c) + epsilon);
		kd[c] = (float)factor;
		dd[c] = (float)(graph_tensor_double(n->in[2]->constant, c) - graph_tensor_double(n->in[3]->constant, c) * factor);
	}
	TRY(graph_value_add(&scaled, g, NULL, OG_F32, x->rank, x->dims));
	TRY(add_node(&mul, n, "Mul", x, k));
	TRY(graph_set_output(mul, 0, scaled));
	TRY(add_node(&add, n, "Add", scaled, d));
	graph_node_remove(n);
	return graph_set_output(add, 0, y);
}

og_status optimize_spell_batchnorm(og_model *m, const optimize_options *o)
{
	(void)o;
	for (graph_node *n = m->main->first, *next; n; n = next) {
		next = n->next;
		if (is_plain_norm(n)) TRY(spell(n));
	}
	return OG_OK;
}
