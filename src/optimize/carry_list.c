/* carry_list.c -- ops that have lists of axes, or numbers for each axis. */
#include "optimize/carry_rule.h"

static bool map_reduce(carry *c, const graph_node *n)
{
	carry_ints axes = { 0 };
	int rank = n->in[0]->rank, given = carry_axes(&axes, n, 1);
	unsigned gone = 0;
	if (given < 0 || !carry_are_axes(&axes, rank)) return false;
	for (int i = 0; i < axes.n; i++) gone |= 1u << og_axis(axes.at[i], rank);
	if (!axes.n && !carry_int(n, "noop_with_empty_axes", 0)) gone = (1u << rank) - 1;
	carry_map_each(c, rank, carry_int(n, "keepdims", 1) ? 0 : gone);
	return true;
}

static og_status apply_reduce(graph_node *n, const perm *p, const perm *q)
{
	(void)q;
	return carry_move_axes(n, 1, p);
}

/* ---- a number for each axis ------------------------------------------------------------------- */

/* list holds `each` runs of numbers for the axes: permutes every run. */
static void permute_list(carry_ints *list, const perm *p, int each)
{
	carry_ints old = *list;
	for (int r = 0; r < each; r++)
		for (int d = 0; d < p->rank; d++) list->at[r * p->rank + d] = old.at[r * p->rank + p->axis[d]];
}

static bool map_pad(carry *c, const graph_node *n)
{
	carry_ints pads, axes;
	int rank = n->in[0]->rank;
	if (n->op->since < 11) return carry_ints_of_attribute(&pads, n, "pads") && pads.n == 2 * rank && carry_map_same(c, n);
	if (carry_has(n, 3)) return carry_ints_of_input(&axes, n, 3) && carry_are_axes(&axes, rank) && carry_map_same(c, n);
	return carry_ints_of_input(&pads, n, 1) && pads.n == 2 * rank && carry_map_same(c, n);
}

static og_status apply_pad(graph_node *n, const perm *p, const perm *q)
{
	(void)q;
	carry_ints pads;
	if (n->op->since < 11) {
		carry_ints_of_attribute(&pads, n, "pads");
		permute_list(&pads, p, 2);
		return graph_attr_set_ints(n, "pads", pads.at, (size_t)pads.n);
	}
	if (carry_has(n, 3)) return carry_move_axes(n, 3, p);
	carry_ints_of_input(&pads, n, 1);
	permute_list(&pads, p, 2);
	return carry_set_ints(n, 1, &pads, 1);
}

/* How many axes a Slice without a list of them has; -1: not known. */
static int64_t slice_length(const graph_node *n)
{
	const graph_attr *starts = graph_attr_find(n, "starts");
	if (n->op->since < 10) return starts ? (int64_t)starts->n : -1;
	return carry_has(n, 1) && n->in[1]->rank == 1 ? n->in[1]->dims[0] : -1;
}

static bool map_slice(carry *c, const graph_node *n)
{
	carry_ints axes;
	int given = carry_axes(&axes, n, n->op->since < 10 ? 0 : 3);
	if (given < 0 || (given && !carry_are_axes(&axes, n->in[0]->rank))) return false;
	return (given || (slice_length(n) >= 0 && slice_length(n) <= n->in[0]->rank)) && carry_map_same(c, n);
}

static og_status apply_slice(graph_node *n, const perm *p, const perm *q)
{
	(void)q;
	carry_ints axes;
	int k = n->op->since < 10 ? 0 : 3;
	if (carry_axes(&axes, n, k) == 1) return carry_move_axes(n, k, p);
	axes.n = (int)slice_length(n);
	for (int i = 0; i < axes.n; i++) axes.at[i] = perm_place(p, i);
	if (!k) return graph_attr_set_ints(n, "axes", axes.at, (size_t)axes.n);
	return carry_set_ints(n, k, &axes, 1);
}

static bool map_tile(carry *c, const graph_node *n)
{
	carry_ints repeats;
	return carry_ints_of_input(&repeats, n, 1) && repeats.n == n->in[0]->rank && carry_map_same(c, n);
}

static bool map_expand(carry *c, const graph_node *n)
{
	carry_ints shape;
	return carry_ints_of_input(&shape, n, 1) && shape.n <= n->in[0]->rank && carry_map_same(c, n);
}

static og_status apply_list(graph_node *n, const perm *p, const perm *q)
{
	(void)q;
	carry_ints old, list = { .n = p->rank };
	carry_ints_of_input(&old, n, 1);
	for (int d = 0; d < p->rank; d++) list.at[d] = d < p->rank - old.n ? 1 : old.at[d - (p->rank - old.n)];
	permute_list(&list, p, 1);
	return carry_set_ints(n, 1, &list, 1);
}

/* ---- sampling --------------------------------------------------------------------------------- */

/* Input k has `each` numbers for an axis, or is left out. */
static bool is_for_axes(const graph_node *n, int k, int each)
{
	int64_t count;
	if (!carry_has(n, k)) return true;
	if (!carry_constant(n->in[k]) || n->in[k]->constant->rank != 1 || !perm_has_tensor(n->in[k]->constant)) return false;
	count = n->in[k]->constant->dims[0];
	return count == 0 || count == each * n->in[0]->rank;
}

static bool map_resize(carry *c, const graph_node *n)
{
	carry_ints axes;
	if (carry_axes(&axes, n, 0) == 1) return carry_are_axes(&axes, n->in[0]->rank) && carry_map_same(c, n);
	if (graph_attr_find(n, "scales")) return false;
	if (n->op->since < 11) return carry_has(n, 1) && is_for_axes(n, 1, 1) && carry_map_same(c, n);
	return is_for_axes(n, 1, 2) && is_for_axes(n, 2, 1) && is_for_axes(n, 3, 1) && carry_map_same(c, n);
}

/* Permutes a constant input that holds runs of numbers for the axes. */
static og_status permute_runs(graph_node *n, int k, const perm *p)
{
	if (!carry_has(n, k) || !n->in[k]->constant->dims[0]) return OG_OK;
	const og_tensor *old = n->in[k]->constant;
	graph *g = n->owner;
	graph_value *v;
	size_t size = og_dtype_bytes(old->dtype);
	og_tensor *t = graph_tensor_new(g->model->a, old->dtype, 1, old->dims);
	NEED(t);
	for (int64_t i = 0; i < old->dims[0]; i++)
		memcpy((char *)t->data + (size_t)i * size,
		       (const char *)old->data + (size_t)(i / p->rank * p->rank + p->axis[i % p->rank]) * size, size);
	char *name = graph_fresh_name(g, n->in[k]->name);
	NEED(name);
	TRY(graph_constant_add(&v, g, name, t));
	return graph_set_input(n, k, v);
}

static og_status apply_resize(graph_node *n, const perm *p, const perm *q)
{
	(void)q;
	if (graph_attr_find(n, "axes")) return carry_move_axes(n, 0, p);
	for (int k = 1; k < n->n_in; k++) TRY(permute_runs(n, k, p));
	return OG_OK;
}

/* Runtimes sample the last dimensions. */
static bool samples_last(const graph_node *n, const perm *p, const perm *q)
{
	(void)q;
	for (int k = 0; k < 2 && k < p->rank - 1; k++) {
		og_dim in = n->in[0]->dims[p->axis[k]];
		if (in == GRAPH_DIM_UNKNOWN || in != n->out[0]->dims[p->axis[k]]) return false;
	}
	return true;
}

const carry_rule carry_list_rules[] = {
	{ "Expand", map_expand, apply_list, NULL, 0 },
	{ "Pad", map_pad, apply_pad, NULL, 0 },
	{ "ReduceL1", map_reduce, apply_reduce, NULL, 0 },
	{ "ReduceL2", map_reduce, apply_reduce, NULL, 0 },
	{ "ReduceLogSum", map_reduce, apply_reduce, NULL, 0 },
	{ "ReduceLogSumExp", map_reduce, apply_reduce, NULL, 0 },
	{ "ReduceMax", map_reduce, apply_reduce, NULL, 0 },
	{ "ReduceMean", map_reduce, apply_reduce, NULL, 0 },
	{ "ReduceMin", map_reduce, apply_reduce, NULL, 0 },
	{ "ReduceProd", map_reduce, apply_reduce, NULL, 0 },
	{ "ReduceSum", map_reduce, apply_reduce, NULL, 0 },
	{ "ReduceSumSquare", map_reduce, apply_reduce, NULL, 0 },
	{ "Resize", map_resize, apply_resize, samples_last, 0 },
	{ "Slice", map_slice, apply_slice, NULL, 0 },
	{ "Tile", map_tile, apply_list, NULL, 0 },
	{ "Upsample", map_resize, apply_resize, samples_last, 0 },
	{ 0 }
};
