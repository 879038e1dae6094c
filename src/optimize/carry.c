/* carry.c -- how a permutation of dimensions passes through a node. */
#include "optimize/carry_rule.h"

#include "optimize/edit.h"

/* ---- what a node says ------------------------------------------------------------------------- */

int64_t carry_int(const graph_node *n, const char *name, int64_t otherwise)
{
	const graph_attr *a = graph_attr_find(n, name);
	return a ? a->i : otherwise;
}

bool carry_has(const graph_node *n, int k) { return k < n->n_in && n->in[k]; }

bool carry_constant(const graph_value *v) { return v->constant && !v->is_input; }

bool carry_ints_of_input(carry_ints *out, const graph_node *n, int k)
{
	int64_t count;
	if (!carry_has(n, k) || !carry_constant(n->in[k])) return false;
	const og_tensor *t = n->in[k]->constant;
	if (t->rank > 1 || !base_count(t->dims, t->rank, &count) || count > 2 * OG_MAX_RANK) return false;
	out->n = (int)count;
	for (int i = 0; i < out->n; i++) out->at[i] = graph_tensor_int(t, i);
	return true;
}

bool carry_ints_of_attribute(carry_ints *out, const graph_node *n, const char *name)
{
	const graph_attr *a = graph_attr_find(n, name);
	if (!a || a->n > 2 * OG_MAX_RANK) return false;
	out->n = (int)a->n;
	for (int i = 0; i < out->n; i++) out->at[i] = a->ints[i];
	return true;
}

bool carry_are_axes(const carry_ints *axes, int rank)
{
	for (int i = 0; i < axes->n; i++)
		if (og_axis(axes->at[i], rank) < 0) return false;
	return true;
}

og_status carry_set_ints(graph_node *n, int k, const carry_ints *list, int rank)
{
	bool narrow = carry_has(n, k) && n->in[k]->dtype == OG_I32;
	int64_t dims = list->n;
	graph *g = n->owner;
	graph_value *v;
	og_tensor *t = graph_tensor_new(g->model->a, narrow ? OG_I32 : OG_I64, rank, &dims);
	NEED(t);
	for (int i = 0; i < list->n; i++) {
		if (narrow) ((int32_t *)t->data)[i] = (int32_t)list->at[i];
		else ((int64_t *)t->data)[i] = list->at[i];
	}
	char *name = graph_fresh_name(g, carry_has(n, k) ? n->in[k]->name : "axes");
	NEED(name);
	TRY(graph_constant_add(&v, g, name, t));
	return graph_set_input(n, k, v);
}

int carry_axes(carry_ints *out, const graph_node *n, int k)
{
	if (k > 0 && carry_has(n, k)) return carry_ints_of_input(out, n, k) ? 1 : -1;
	const graph_attr *a = graph_attr_find(n, "axes");
	return !a ? 0 : carry_ints_of_attribute(out, n, "axes") ? 1 : -1;
}

og_status carry_move_axes(graph_node *n, int k, const perm *p)
{
	carry_ints axes;
	if (carry_axes(&axes, n, k) != 1) return OG_OK;
	for (int i = 0; i < axes.n; i++) axes.at[i] = perm_place(p, og_axis(axes.at[i], p->rank));
	if (k > 0 && carry_has(n, k)) return carry_set_ints(n, k, &axes, 1);
	return graph_attr_set_ints(n, "axes", axes.at, (size_t)axes.n);
}

/* ---- groups ----------------------------------------------------------------------------------- */

void carry_add_group(carry *c, int n_in, int n_out)
{
	const carry_group *last = c->n ? &c->group[c->n - 1] : NULL;
	carry_group next = { last ? last->in + last->n_in : 0, n_in, last ? last->out + last->n_out : 0, n_out };
	c->group[c->n++] = next;
}

void carry_map_each(carry *c, int rank, unsigned gone)
{
	for (int d = 0; d < rank; d++) carry_add_group(c, 1, !(gone >> d & 1));
}

static bool pins_hold(const carry *c, const perm *p)
{
	for (int d = 0; d < p->rank; d++)
		if (c->pinned >> d & 1 && p->axis[d] != d) return false;
	return true;
}

/* Whole groups move with p, each in its own order. Groups that the input does not have stay where they are. */
bool carry_forward(const carry *c, perm *q, const perm *p)
{
	int list[OG_MAX_RANK], n = 0;
	bool stays[OG_MAX_RANK] = { false };
	if (p->rank != c->in_rank || !pins_hold(c, p)) return false;
	for (int i = 0; i < p->rank; ) {
		const carry_group *g = c->group;
		while (p->axis[i] < g->in || p->axis[i] >= g->in + g->n_in) g++;
		for (int k = 0; k < g->n_in; k++)
			if (i + k >= p->rank || p->axis[i + k] != g->in + k) return false;
		for (int k = 0; k < g->n_out; k++) list[n++] = g->out + k;
		i += g->n_in;
	}
	for (const carry_group *g = c->group; g < c->group + c->n; g++)
		for (int k = 0; !g->n_in && k < g->n_out; k++) stays[g->out + k] = true;
	*q = (perm){ .rank = c->out_rank };
	for (int d = 0, k = 0; d < q->rank; d++) q->axis[d] = stays[d] ? d : list[k++];
	return true;
}

bool carry_backward(const carry *c, perm *p, const perm *q)
{
	carry mirror = { .in_rank = c->out_rank, .out_rank = c->in_rank, .n = c->n };
	for (int k = 0; k < c->n; k++) {
		const carry_group *g = &c->group[k];
		mirror.group[k] = (carry_group){ g->out, g->n_out, g->in, g->n_in };
	}
	return carry_forward(&mirror, p, q) && pins_hold(c, p);
}

og_status carry_apply_nothing(graph_node *n, const perm *p, const perm *q)
{
	(void)n, (void)p, (void)q;
	return OG_OK;
}

bool carry_map_same(carry *c, const graph_node *n)
{
	carry_map_each(c, n->in[0]->rank, 0);
	return true;
}

/* ---- any node --------------------------------------------------------------------------------- */

static const carry_rule *rule_of(const graph_node *n)
{
	const carry_rule *const tables[] = { carry_axis_rules, carry_list_rules, carry_shape_rules };
	for (int t = 0; t < 3; t++)
		for (const carry_rule *r = tables[t]; r->type; r++)
			if (edit_is(n, r->type)) return r;
	/* A formula, or one of ONNX's few elementwise ops that have none. */
	return !n->op->shape && (n->op->map[OG_ISA_SCALAR] || !n->domain[0]) ? &carry_broadcast_rule : NULL;
}

bool carry_of(carry *c, const graph_node *n)
{
	if (!n->op || n->n_in < 1 || n->n_out < 1 || !n->in[0] || !n->out[0]) return false;
	const graph_value *x = n->in[0], *y = n->out[0];
	const carry_rule *rule = rule_of(n);
	if (!rule || x->rank < 0 || y->rank < 0) return false;
	*c = (carry){ .rule = rule, .in_rank = rule->flags & CARRY_BROADCAST ? y->rank : x->rank, .out_rank = y->rank };
	for (int k = 1; k < n->n_out; k++)
		if (n->out[k] && (!(rule->flags & CARRY_ALL_OUT) || n->out[k]->rank != y->rank)) return false;
	if (!rule->map(c, n)) return false;
	const carry_group none = { 0 }, *last = c->n ? &c->group[c->n - 1] : &none;
	return last->in + last->n_in == c->in_rank && last->out + last->n_out == c->out_rank;
}

bool carry_bears(const carry *c, const graph_node *n, int input)
{
	if (!n->in[input]) return false;
	if (c->rule->flags & CARRY_BROADCAST) return n->in[input]->rank == c->in_rank;
	return input == 0 || c->rule->flags & CARRY_ALL_IN;
}

bool carry_allows(const carry *c, const graph_node *n, const perm *p, const perm *q)
{
	perm other;
	bool leads = carry_forward(c, &other, p) && perm_equal(&other, q);
	if (!leads && !(carry_backward(c, &other, q) && perm_equal(&other, p))) return false;
	for (int k = 0; k < n->n_in; k++) {
		if (!carry_bears(c, n, k)) continue;
		const graph_value *v = n->in[k];
		if (v->rank != c->in_rank || (carry_constant(v) && !perm_has_tensor(v->constant))) return false;
	}
	return !c->rule->allows || c->rule->allows(n, p, q);
}

og_status carry_apply(const carry *c, graph_node *n, const perm *p, const perm *q)
{
	for (int k = 0; k < n->n_in; k++) {
		bool constant = carry_bears(c, n, k) && carry_constant(n->in[k]);
		if (constant && !carry_side_stays(n->in[k], p)) TRY(carry_permute_constant(n, k, p));
	}
	return c->rule->apply(n, p, q);
}
