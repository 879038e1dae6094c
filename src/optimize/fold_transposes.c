/* fold_transposes.c -- a Transpose in front of a flatten and a product goes into the product's weights:
 *
 *   MatMul(Reshape(Transpose(x, p), [N, K]), W)  ->  MatMul(Reshape(x, [N, K]), W')   with the rows of W in the order of x */
#include "optimize/edit.h"
#include "optimize/perm.h"

/* The only node that reads v, as its first input. */
static graph_node *only_reader(const graph_value *v)
{
	bool one = v->n_uses == 1 && !v->is_output && v->uses[0].input == 0 && v->uses[0].node->owner == v->owner;
	return one ? v->uses[0].node : NULL;
}

/* True for a node that makes [x0, x1 x2 ...] of [x0, x1, x2, ...], and of any order of x1, x2, ... */
static bool is_flatten(const graph_node *n)
{
	const graph_value *x = n->in[0], *y = n->out[0];
	int64_t inner = 1;
	if (y->rank != 2 || x->rank < 3 || x->dims[0] != y->dims[0] || x->dims[0] == GRAPH_DIM_UNKNOWN) return false;
	for (int d = 1; d < x->rank; d++)
		if (x->dims[d] <= 0 || __builtin_mul_overflow(inner, x->dims[d], &inner)) return false;
	if (inner != y->dims[1]) return false;
	const graph_attr *axis = graph_attr_find(n, "axis");
	if (edit_is(n, "Flatten")) return !axis || og_axis(axis->i, x->rank) == 1;
	const og_tensor *shape = edit_is(n, "Reshape") && n->n_in > 1 && n->in[1] ? n->in[1]->constant : NULL;
	return shape && shape->rank == 1 && shape->dims[0] == 2 && graph_tensor_int(shape, 1) != 0;
}

/* A product of a matrix, its first input, with a constant one, whose rows are what the matrix's columns meet. */
static bool is_product(const graph_node *n, bool *columns)
{
	const graph_attr *a = graph_attr_find(n, "transA"), *b = graph_attr_find(n, "transB");
	if ((!edit_is(n, "MatMul") && !edit_is(n, "Gemm")) || (a && a->i) || n->n_in < 2 || !n->in[1]) return false;
	const graph_value *w = n->in[1];
	*columns = b && b->i;
	return w->constant && !w->is_input && w->constant->rank == 2 && perm_has_tensor(w->constant) &&
	       w->constant->dims[*columns] == n->in[0]->dims[1];
}

/* Puts weights into the product whose rows (or columns) lie as x has them, where they lay as t = Transpose(x, p). */
static og_status order_rows(graph_node *product, const graph_value *t, const perm *p, bool columns)
{
	graph *g = product->owner;
	const og_tensor *old = product->in[1]->constant;
	og_tensor whole = { .dtype = old->dtype, .rank = t->rank, .data = old->data };
	perm back = perm_inverse(p), order = { .rank = t->rank };
	graph_value *w;
	for (int d = 1; d < t->rank; d++) {
		int at = columns ? d : d - 1;
		whole.dims[at] = t->dims[d];
		order.axis[at] = columns ? back.axis[d] : back.axis[d] - 1;
	}
	int rest = columns ? 0 : t->rank - 1;
	whole.dims[rest] = old->dims[!columns];
	order.axis[rest] = rest;
	og_tensor *new = perm_tensor(g->model->a, &whole, &order);
	NEED(new);
	new->rank = 2;
	memcpy(new->dims, old->dims, 2 * sizeof *new->dims);
	char *name = graph_fresh_name(g, product->in[1]->name);
	NEED(name);
	TRY(graph_constant_add(&w, g, name, new));
	graph_tensor_forget(g->model, old);
	return graph_set_input(product, 1, w);
}

og_status optimize_fold_transposes(og_model *m, const optimize_options *o)
{
	(void)o;
	for (graph_node *n = m->main->first, *next; n; n = next) {
		perm p;
		bool columns;
		next = n->next;
		if (!perm_of_node(&p, n) || p.rank < 3 || p.axis[0] != 0) continue;
		graph_value *t = n->out[0];
		graph_node *flatten = only_reader(t);
		graph_node *product = flatten && is_flatten(flatten) ? only_reader(flatten->out[0]) : NULL;
		if (!product || !is_product(product, &columns)) continue;
		char *name = graph_fresh_name(m->main, flatten->out[0]->name);        /* it is in another order now */
		NEED(name);
		TRY(graph_value_rename(flatten->out[0], name));
		TRY(order_rows(product, t, &p, columns));
		TRY(graph_set_input(flatten, 0, n->in[0]));
		edit_remove(n);
	}
	return OG_OK;
}
