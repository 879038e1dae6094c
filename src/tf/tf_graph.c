/* tf_graph.c -- looking things up in a graph that was read. */
#include "tf/tf_graph.h"

static const char *const kind_names[] = {
	[TF_NOTHING] = "empty", [TF_STRING] = "a string", [TF_INT] = "an integer", [TF_FLOAT] = "a float", [TF_BOOL] = "a bool",
	[TF_TYPE] = "a type", [TF_SHAPE] = "a shape", [TF_TENSOR] = "a tensor", [TF_FUNC] = "a function",
};

void tf_graph_destroy(tf_graph *g)
{
	if (!g) return;
	map_free(&g->by_name);
	arena_destroy(g->a);
}

const tf_node *tf_find(const tf_graph *g, const char *name) { return map_get(&g->by_name, name); }

const tf_attr *tf_attr_find(const tf_node *n, const char *name)
{
	for (int k = 0; k < n->n_attrs; k++)
		if (strcmp(n->attrs[k].name, name) == 0) return &n->attrs[k];
	return NULL;
}

/* *out NULL: the node has no such attribute. */
static og_status look_up(const tf_attr **out, const tf_node *n, const char *name, tf_kind kind, bool is_list)
{
	const tf_attr *a = *out = tf_attr_find(n, name);
	if (!a || (a->is_list == is_list && (a->kind == kind || (is_list && a->n == 0)))) return OG_OK;
	return base_fail(OG_BAD_FILE, "node '%.128s' (%.64s): attribute '%s' is %s%s where %s%s is expected", n->name, n->op, name,
	                 a->is_list ? "a list of which each is " : "", kind_names[a->kind], is_list ? "a list of which each is " : "",
	                 kind_names[kind]);
}

og_status tf_int(const tf_node *n, const char *name, int64_t *out)
{
	const tf_attr *a;
	TRY(look_up(&a, n, name, TF_INT, false));
	if (a) *out = a->ints[0];
	return OG_OK;
}

og_status tf_float(const tf_node *n, const char *name, float *out)
{
	const tf_attr *a;
	TRY(look_up(&a, n, name, TF_FLOAT, false));
	if (a) *out = a->floats[0];
	return OG_OK;
}

og_status tf_bool(const tf_node *n, const char *name, bool *out)
{
	const tf_attr *a;
	TRY(look_up(&a, n, name, TF_BOOL, false));
	if (a) *out = a->ints[0] != 0;
	return OG_OK;
}

og_status tf_string(const tf_node *n, const char *name, const char **out)
{
	const tf_attr *a;
	TRY(look_up(&a, n, name, TF_STRING, false));
	if (!a) return OG_OK;
	*out = (const char *)a->strings[0].p;
	if (strlen(*out) == a->strings[0].n) return OG_OK;
	return base_fail(OG_BAD_FILE, "node '%.128s' (%.64s): attribute '%s' has a NUL byte in it", n->name, n->op, name);
}

og_status tf_type(const tf_node *n, const char *name, og_dtype *out)
{
	const tf_attr *a;
	TRY(look_up(&a, n, name, TF_TYPE, false));
	if (a) *out = a->types[0];
	return OG_OK;
}

og_status tf_shape_of(const tf_node *n, const char *name, const tf_shape **out)
{
	const tf_attr *a;
	TRY(look_up(&a, n, name, TF_SHAPE, false));
	if (a) *out = a->shapes;
	return OG_OK;
}

og_status tf_tensor(const tf_node *n, const char *name, const og_tensor **out)
{
	const tf_attr *a;
	TRY(look_up(&a, n, name, TF_TENSOR, false));
	if (a) *out = a->tensors;
	return OG_OK;
}

og_status tf_ints(const tf_node *n, const char *name, const int64_t **out, size_t *count)
{
	const tf_attr *a;
	TRY(look_up(&a, n, name, TF_INT, true));
	if (!a) return OG_OK;
	*out = a->ints;
	*count = a->n;
	return OG_OK;
}

og_status tf_floats(const tf_node *n, const char *name, const float **out, size_t *count)
{
	const tf_attr *a;
	TRY(look_up(&a, n, name, TF_FLOAT, true));
	if (!a) return OG_OK;
	*out = a->floats;
	*count = a->n;
	return OG_OK;
}

og_status tf_types(const tf_node *n, const char *name, const og_dtype **out, size_t *count)
{
	const tf_attr *a;
	TRY(look_up(&a, n, name, TF_TYPE, true));
	if (!a) return OG_OK;
	*out = a->types;
	*count = a->n;
	return OG_OK;
}

const og_tensor *tf_constant(tf_value v)
{
	static const char *const same[] = { "Identity", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "CheckNumerics" };
	const og_tensor *t = NULL;
	while (v.node->n_in > 0 && v.output == 0) {
		size_t k = 0;
		while (k < sizeof same / sizeof *same && strcmp(v.node->op, same[k]) != 0) k++;
		if (k == sizeof same / sizeof *same) return NULL;
		v = v.node->in[0];
	}
	if (strcmp(v.node->op, "Const") != 0 || tf_tensor(v.node, "value", &t) != OG_OK) return NULL;
	return t && t->dtype != OG_NONE ? t : NULL;
}
