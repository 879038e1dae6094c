/* carry_broadcast.c -- elementwise ops: operands of lower rank are what changes. */
#include "optimize/carry_rule.h"

#include "schema/schema.h"

static bool map_broadcast(carry *c, const graph_node *n)
{
	carry_map_each(c, n->out[0]->rank, 0);
	for (int k = 0; k < n->n_in; k++)
		if (n->in[k] && (n->in[k]->rank < 0 || n->in[k]->rank > n->out[0]->rank)) return false;
	return true;
}

/* The dimensions of an operand of lower rank when the output is permuted by p; ones in front are left out. Returns the rank. */
static int side_dims(int64_t *out, const int64_t *dims, int rank, const perm *p)
{
	int64_t whole[OG_MAX_RANK];
	int ones = 0;
	for (int d = 0; d < p->rank; d++) whole[d] = d < p->rank - rank ? 1 : dims[d - (p->rank - rank)];
	perm_dims(out, whole, p);
	while (ones < p->rank && out[ones] == 1) ones++;
	memmove(out, out + ones, (size_t)(p->rank - ones) * sizeof *out);
	return p->rank - ones;
}

bool carry_side_stays(const graph_value *v, const perm *p)
{
	bool ones = true;
	for (int d = 0; d < v->rank; d++) ones = ones && v->dims[d] == 1;
	for (int d = p->rank - v->rank; d < p->rank; d++)
		if (p->axis[d] != d) return ones;
	return true;
}

static bool side_fits(const graph_value *v, const perm *p)
{
	int64_t whole[OG_MAX_RANK], dims[OG_MAX_RANK];
	if (carry_side_stays(v, p)) return true;
	if (carry_constant(v)) return perm_has_tensor(v->constant);
	for (int d = 0; d < p->rank; d++) whole[d] = d < p->rank - v->rank ? 1 : v->dims[d - (p->rank - v->rank)];
	if (!perm_keeps_bytes(p, whole)) return false;
	int rank = side_dims(dims, v->dims, v->rank, p);
	return carry_reshapes(v->owner, v->dims, v->rank, dims, rank);
}

og_status carry_permute_constant(graph_node *n, int k, const perm *p)
{
	graph *g = n->owner;
	graph_value *v = n->in[k];
	og_tensor whole = *v->constant;
	int missing = p->rank - whole.rank;
	for (int d = p->rank - 1; d >= 0; d--) whole.dims[d] = d < missing ? 1 : v->constant->dims[d - missing];
	whole.rank = p->rank;
	og_tensor *t = perm_tensor(g->model->a, &whole, p);
	NEED(t);
	if (missing) t->rank = side_dims(t->dims, v->constant->dims, v->constant->rank, p);
	char *name = graph_fresh_name(g, v->name);
	NEED(name);
	TRY(graph_constant_add(&v, g, name, t));
	return graph_set_input(n, k, v);
}

static og_status reshape_side(graph_node *n, int k, const perm *p)
{
	graph *g = n->owner;
	graph_value *v = n->in[k], *out, *shape;
	graph_node *reshape;
	int64_t dims[OG_MAX_RANK];
	int rank = side_dims(dims, v->dims, v->rank, p);
	TRY(carry_shape(&shape, g, v->dims, v->rank, dims, rank));
	TRY(graph_value_add(&out, g, NULL, v->dtype, rank, dims));
	TRY(graph_node_add(&reshape, g, n, "", "Reshape", "", 2, 1));
	reshape->op = schema_find("", "Reshape", graph_opset_version(g->model, ""));
	TRY(graph_set_input(reshape, 0, v));
	TRY(graph_set_input(reshape, 1, shape));
	TRY(graph_set_output(reshape, 0, out));
	return graph_set_input(n, k, out);
}

static og_status apply_broadcast(graph_node *n, const perm *p, const perm *q)
{
	(void)p;
	for (int k = 0; k < n->n_in; k++) {
		const graph_value *v = n->in[k];
		if (!v || carry_side_stays(v, q) || v->rank == q->rank) continue;
		TRY(carry_constant(v) ? carry_permute_constant(n, k, q) : reshape_side(n, k, q));
	}
	return OG_OK;
}

static bool sides_fit(const graph_node *n, const perm *p, const perm *q)
{
	(void)p;
	for (int k = 0; k < n->n_in; k++)
		if (n->in[k] && n->in[k]->rank < q->rank && !side_fits(n->in[k], q)) return false;
	return true;
}

const carry_rule carry_broadcast_rule = { "", map_broadcast, apply_broadcast, sides_fit, CARRY_BROADCAST };
