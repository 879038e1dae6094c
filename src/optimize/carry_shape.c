/* carry_shape.c -- ops that give the same elements other dimensions, and those that ask for dimensions. */
#include "optimize/carry_rule.h"

#include "schema/schema.h"

static bool map_squeeze(carry *c, const graph_node *n)
{
	carry_ints axes;
	const graph_value *x = n->in[0];
	unsigned gone = 0;
	int given = carry_axes(&axes, n, 1);
	if (given < 0 || (given && !carry_are_axes(&axes, x->rank))) return false;
	for (int d = 0; d < x->rank && !given; d++) {
		if (x->dims[d] < 0) return false;
		if (x->dims[d] == 1) gone |= 1u << d;
	}
	for (int i = 0; given && i < axes.n; i++) gone |= 1u << og_axis(axes.at[i], x->rank);
	carry_map_each(c, x->rank, gone);
	return true;
}

static og_status apply_squeeze(graph_node *n, const perm *p, const perm *q)
{
	(void)q;
	return carry_move_axes(n, 1, p);
}

static bool map_unsqueeze(carry *c, const graph_node *n)
{
	carry_ints axes;
	int rank = n->out[0]->rank;
	unsigned new = 0;
	if (carry_axes(&axes, n, 1) != 1 || !carry_are_axes(&axes, rank)) return false;
	for (int i = 0; i < axes.n; i++) new |= 1u << og_axis(axes.at[i], rank);
	for (int d = 0; d < rank; d++) carry_add_group(c, !(new >> d & 1), 1);
	return true;
}

static og_status apply_unsqueeze(graph_node *n, const perm *p, const perm *q)
{
	(void)p;
	return carry_move_axes(n, 1, q);
}

/* ---- reshaping -------------------------------------------------------------------------------- */

/* Takes dimensions of both sides until their products are equal. */
static bool map_product(carry *c, const graph_value *x, const graph_value *y, int *i, int *j)
{
	int first_in = *i, first_out = *j;
	int64_t a = 0, b = 0;
	if (*i < x->rank && *j < y->rank) a = x->dims[(*i)++], b = y->dims[(*j)++];
	while (a > 0 && b > 0 && a != b) {
		bool more_in = a < b;
		if (more_in ? *i == x->rank : *j == y->rank) return false;
		int64_t next = more_in ? x->dims[(*i)++] : y->dims[(*j)++];
		if (next <= 0 || __builtin_mul_overflow(more_in ? a : b, next, more_in ? &a : &b)) return false;
	}
	carry_add_group(c, *i - first_in, *j - first_out);
	return a > 0 && b > 0;
}

static bool map_reshape(carry *c, const graph_node *n)
{
	const graph_value *x = n->in[0], *y = n->out[0];
	for (int i = 0, j = 0; i < x->rank || j < y->rank; ) {
		if (i < x->rank && j < y->rank && x->dims[i] == y->dims[j] && x->dims[i] != GRAPH_DIM_UNKNOWN) {
			carry_add_group(c, 1, 1);
			i++, j++;
		} else if (i < x->rank && x->dims[i] == 1) {
			carry_add_group(c, 1, 0);
			i++;
		} else if (j < y->rank && y->dims[j] == 1) {
			carry_add_group(c, 0, 1);
			j++;
		} else if (!map_product(c, x, y, &i, &j)) {
			return false;
		}
	}
	return true;
}

/* What a Reshape is told: a size, 0 for the input's, -1 for one that is not known. */
static bool shape_words(carry_ints *out, const int64_t *from, int from_rank, const int64_t *to, int to_rank)
{
	bool open = false;
	out->n = to_rank;
	for (int d = 0; d < to_rank; d++) {
		bool same = d < from_rank && from[d] == to[d] && to[d] != GRAPH_DIM_UNKNOWN;
		if (to[d] == 0 || (to[d] < 0 && !same && open)) return false;
		open |= to[d] < 0 && !same;
		out->at[d] = to[d] > 0 ? to[d] : same ? 0 : -1;
	}
	return true;
}

bool carry_reshapes(const graph *g, const int64_t *from, int from_rank, const int64_t *to, int to_rank)
{
	carry_ints words;
	return graph_opset_version(g->model, "") >= 5 && shape_words(&words, from, from_rank, to, to_rank);
}

og_status carry_shape(graph_value **out, graph *g, const int64_t *from, int from_rank, const int64_t *to, int to_rank)
{
	carry_ints words;
	int64_t rank = to_rank;
	shape_words(&words, from, from_rank, to, to_rank);
	og_tensor *t = graph_tensor_new(g->model->a, OG_I64, 1, &rank);
	NEED(t);
	memcpy(t->data, words.at, (size_t)to_rank * sizeof words.at[0]);
	char *name = graph_fresh_name(g, "shape");
	NEED(name);
	return graph_constant_add(out, g, name, t);
}

static bool reshape_fits(const graph_node *n, const perm *p, const perm *q)
{
	int64_t from[OG_MAX_RANK], to[OG_MAX_RANK];
	perm_dims(from, n->in[0]->dims, p);
	perm_dims(to, n->out[0]->dims, q);
	return carry_reshapes(n->owner, from, p->rank, to, q->rank);
}

static og_status apply_reshape(graph_node *n, const perm *p, const perm *q)
{
	int64_t from[OG_MAX_RANK], to[OG_MAX_RANK];
	graph_value *shape;
	perm_dims(from, n->in[0]->dims, p);
	perm_dims(to, n->out[0]->dims, q);
	TRY(carry_shape(&shape, n->owner, from, p->rank, to, q->rank));
	graph_attr_remove(n, "allowzero");
	return graph_set_input(n, 1, shape);
}

/* ---- shapes ----------------------------------------------------------------------------------- */

static bool map_shape(carry *c, const graph_node *n)
{
	for (int d = 0; d < n->in[0]->rank; d++) carry_add_group(c, 1, 0);
	for (int d = 0; d < n->out[0]->rank; d++) carry_add_group(c, 0, 1);
	return true;
}

static int64_t clamp_axis(int64_t axis, int rank)
{
	axis = axis < 0 ? axis + rank : axis;
	return axis < 0 ? 0 : axis > rank ? rank : axis;
}

/* Shape's numbers are put in order behind it. */
static og_status apply_shape(graph_node *n, const perm *p, const perm *q)
{
	(void)q;
	graph *g = n->owner;
	graph_node *gather;
	graph_value *y = n->out[0], *all;
	carry_ints places = { 0 };
	int64_t rank = p->rank, first = clamp_axis(carry_int(n, "start", 0), p->rank);
	int64_t past = clamp_axis(carry_int(n, "end", rank), p->rank);
	for (int64_t d = first; d < past; d++) places.at[places.n++] = perm_place(p, (int)d);
	graph_attr_remove(n, "start");
	graph_attr_remove(n, "end");
	TRY(graph_value_add(&all, g, NULL, OG_I64, 1, &rank));
	TRY(graph_node_add(&gather, g, n->next, "", "Gather", "", 2, 1));
	gather->op = schema_find("", "Gather", graph_opset_version(g->model, ""));
	TRY(graph_set_output(n, 0, all));
	TRY(graph_set_input(gather, 0, all));
	TRY(carry_set_ints(gather, 1, &places, 1));
	return graph_set_output(gather, 0, y);
}

const carry_rule carry_shape_rules[] = {
	{ "Reshape", map_reshape, apply_reshape, reshape_fits, 0 },
	{ "Shape", map_shape, apply_shape, NULL, 0 },
	{ "Size", map_shape, carry_apply_nothing, NULL, 0 },
	{ "Squeeze", map_squeeze, apply_squeeze, NULL, 0 },
	{ "Unsqueeze", map_unsqueeze, apply_unsqueeze, NULL, 0 },
	{ 0 }
};
