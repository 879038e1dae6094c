/* carry_axis.c -- ops that know an axis, or that treat all alike. */
#include "optimize/carry_rule.h"

/* The axis that the attribute `axis` names, -1 when it names none. */
static int axis_of(const graph_node *n)
{
	int64_t otherwise = 0;
	for (const og_attr *a = n->op->attrs; a && a->name; a++)
		if (!strcmp(a->name, "axis")) otherwise = (int64_t)a->value;
	return og_axis(carry_int(n, "axis", otherwise), n->in[0]->rank);
}

static bool map_axis(carry *c, const graph_node *n) { return axis_of(n) >= 0 && carry_map_same(c, n); }

static og_status apply_axis(graph_node *n, const perm *p, const perm *q)
{
	(void)q;
	return graph_attr_set_int(n, "axis", perm_place(p, axis_of(n)));
}

/* Before opset 13 these ops take all dimensions from the axis on together. */
static bool map_softmax(carry *c, const graph_node *n)
{
	int axis = axis_of(n);
	if (axis < 0) return false;
	if (n->op->since < 13) c->pinned = ~0u << axis;
	return carry_map_same(c, n);
}

static bool map_layer_norm(carry *c, const graph_node *n)
{
	int axis = axis_of(n);
	c->pinned = axis < 0 ? 0 : ~0u << axis;
	return axis >= 0 && carry_map_same(c, n);
}

/* Channels are dimension 1, and all others are alike. */
static bool map_channels(carry *c, const graph_node *n)
{
	c->pinned = 1u << 1;
	return carry_int(n, "spatial", 1) != 0 && carry_map_same(c, n);
}

static bool map_samples_channels(carry *c, const graph_node *n)
{
	c->pinned = 3;
	return carry_map_same(c, n);
}

static bool map_extreme(carry *c, const graph_node *n)
{
	int axis = axis_of(n);
	if (axis < 0) return false;
	carry_map_each(c, n->in[0]->rank, carry_int(n, "keepdims", 1) ? 0 : 1u << axis);
	return true;
}

/* One scale for all, or one for each entry of the axis. */
static bool map_quantize(carry *c, const graph_node *n)
{
	if (!carry_has(n, 1) || n->in[1]->rank < 0 || n->in[1]->rank > 1 || carry_int(n, "block_size", 0)) return false;
	return (n->in[1]->rank == 0 || axis_of(n) >= 0) && carry_map_same(c, n);
}

static og_status apply_quantize(graph_node *n, const perm *p, const perm *q)
{
	return n->in[1]->rank ? apply_axis(n, p, q) : OG_OK;
}

static bool map_cumsum(carry *c, const graph_node *n)
{
	carry_ints axis;
	return carry_ints_of_input(&axis, n, 1) && axis.n == 1 && carry_are_axes(&axis, n->in[0]->rank) && carry_map_same(c, n);
}

static og_status apply_cumsum(graph_node *n, const perm *p, const perm *q)
{
	(void)q;
	carry_ints axis;
	carry_ints_of_input(&axis, n, 1);
	axis.at[0] = perm_place(p, og_axis(axis.at[0], p->rank));
	return carry_set_ints(n, 1, &axis, n->in[1]->constant->rank);
}

static bool map_gather(carry *c, const graph_node *n)
{
	int axis = axis_of(n);
	if (axis < 0 || !carry_has(n, 1) || n->in[1]->rank < 0) return false;
	for (int d = 0; d < n->in[0]->rank; d++) carry_add_group(c, 1, d == axis ? n->in[1]->rank : 1);
	return true;
}

const carry_rule carry_axis_rules[] = {
	{ "ArgMax", map_extreme, apply_axis, NULL, 0 },
	{ "ArgMin", map_extreme, apply_axis, NULL, 0 },
	{ "BatchNormalization", map_channels, carry_apply_nothing, NULL, 0 },
	{ "Cast", carry_map_same, carry_apply_nothing, NULL, 0 },
	{ "CastLike", carry_map_same, carry_apply_nothing, NULL, 0 },
	{ "Concat", map_axis, apply_axis, NULL, CARRY_ALL_IN },
	{ "CumSum", map_cumsum, apply_cumsum, NULL, 0 },
	{ "DequantizeLinear", map_quantize, apply_quantize, NULL, 0 },
	{ "Dropout", carry_map_same, carry_apply_nothing, NULL, 0 },
	{ "Gather", map_gather, apply_axis, NULL, 0 },
	{ "GlobalAveragePool", map_samples_channels, carry_apply_nothing, NULL, 0 },
	{ "GlobalMaxPool", map_samples_channels, carry_apply_nothing, NULL, 0 },
	{ "GroupNormalization", map_samples_channels, carry_apply_nothing, NULL, 0 },
	{ "Hardmax", map_softmax, apply_axis, NULL, 0 },
	{ "Identity", carry_map_same, carry_apply_nothing, NULL, 0 },
	{ "InstanceNormalization", map_samples_channels, carry_apply_nothing, NULL, 0 },
	{ "LRN", map_channels, carry_apply_nothing, NULL, 0 },
	{ "LayerNormalization", map_layer_norm, carry_apply_nothing, NULL, 0 },
	{ "LogSoftmax", map_softmax, apply_axis, NULL, 0 },
	{ "LpNormalization", map_axis, apply_axis, NULL, 0 },
	{ "QuantizeLinear", map_quantize, apply_quantize, NULL, 0 },
	{ "RMSNormalization", map_layer_norm, carry_apply_nothing, NULL, 0 },
	{ "Softmax", map_softmax, apply_axis, NULL, 0 },
	{ "Split", map_axis, apply_axis, NULL, CARRY_ALL_OUT },
	{ 0 }
};
