/* graph_attr.c -- attributes of nodes, by their types. */
#include "api/handles.h"

static og_attribute_type type_of(const graph_attr *a)
{
	if (a->ref) return OG_ATTRIBUTE_REFERENCE;
	switch (a->type) {
	case OG_ATTR_INT: return OG_ATTRIBUTE_INT;
	case OG_ATTR_FLOAT: return OG_ATTRIBUTE_FLOAT;
	case OG_ATTR_STRING: return OG_ATTRIBUTE_STRING;
	case OG_ATTR_INTS: return OG_ATTRIBUTE_INTS;
	case OG_ATTR_FLOATS: return OG_ATTRIBUTE_FLOATS;
	case OG_ATTR_STRINGS: return OG_ATTRIBUTE_STRINGS;
	case OG_ATTR_TENSOR: return OG_ATTRIBUTE_TENSOR;
	case OG_ATTR_GRAPH: return OG_ATTRIBUTE_GRAPH;
	default: return OG_ATTRIBUTE_OTHER;
	}
}

static const char *type_word(og_attribute_type type)
{
	static const char *const words[] = {
		[OG_ATTRIBUTE_NONE] = "nothing", [OG_ATTRIBUTE_INT] = "an integer", [OG_ATTRIBUTE_FLOAT] = "a float",
		[OG_ATTRIBUTE_STRING] = "a string", [OG_ATTRIBUTE_INTS] = "a list of integers",
		[OG_ATTRIBUTE_FLOATS] = "a list of floats", [OG_ATTRIBUTE_STRINGS] = "a list of strings",
		[OG_ATTRIBUTE_TENSOR] = "a tensor", [OG_ATTRIBUTE_GRAPH] = "a graph",
		[OG_ATTRIBUTE_REFERENCE] = "an attribute of the function's caller",
		[OG_ATTRIBUTE_OTHER] = "of a kind that Opgraft only keeps",
	};
	return words[type];
}

int og_node_attributes(const og_node *handle)
{
	return handle && handles_node(handle)->owner ? handles_node(handle)->n_attrs : 0;
}

const char *og_node_attribute(const og_node *handle, int k, og_attribute_type *type)
{
	if (type) *type = OG_ATTRIBUTE_NONE;
	if (k < 0 || k >= og_node_attributes(handle)) return "";
	const graph_attr *a = &handles_node(handle)->attrs[k];
	if (type) *type = type_of(a);
	return a->name;
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* The attribute of that name and type. */
static og_status find(const graph_attr **out, const og_node *handle, const char *name, og_attribute_type type, const void *place)
{
	TRY(og_check_node(handle));
	TRY(og_check_name(name, "an attribute"));
	if (!place) return base_fail(OG_USAGE, "there is no place for attribute '%s'", name);
	const graph_node *n = handles_node(handle);
	*out = graph_attr_find(n, name);
	if (!*out) return base_fail(OG_NO, "node '%s' (%s) has no attribute '%s'", n->name, n->type, name);
	if (type_of(*out) == type) return OG_OK;
	return base_fail(OG_USAGE, "attribute '%s' of node '%s' (%s) is %s, not %s", name, n->name, n->type, type_word(type_of(*out)),
	                 type_word(type));
}

og_status og_node_get_int(const og_node *n, const char *name, int64_t *out)
{
	const graph_attr *a;
	TRY(find(&a, n, name, OG_ATTRIBUTE_INT, out));
	*out = a->i;
	return OG_OK;
}

og_status og_node_get_float(const og_node *n, const char *name, float *out)
{
	const graph_attr *a;
	TRY(find(&a, n, name, OG_ATTRIBUTE_FLOAT, out));
	*out = a->f;
	return OG_OK;
}

og_status og_node_get_string(const og_node *n, const char *name, const char **out)
{
	const graph_attr *a;
	TRY(find(&a, n, name, OG_ATTRIBUTE_STRING, out));
	*out = a->s;
	return OG_OK;
}

og_status og_node_get_ints(const og_node *n, const char *name, const int64_t **out, size_t *count)
{
	const graph_attr *a;
	TRY(find(&a, n, name, OG_ATTRIBUTE_INTS, count ? out : NULL));
	*out = a->ints;
	*count = a->n;
	return OG_OK;
}

og_status og_node_get_floats(const og_node *n, const char *name, const float **out, size_t *count)
{
	const graph_attr *a;
	TRY(find(&a, n, name, OG_ATTRIBUTE_FLOATS, count ? out : NULL));
	*out = a->floats;
	*count = a->n;
	return OG_OK;
}

og_status og_node_get_strings(const og_node *n, const char *name, const char *const **out, size_t *count)
{
	const graph_attr *a;
	TRY(find(&a, n, name, OG_ATTRIBUTE_STRINGS, count ? out : NULL));
	*out = a->strings;
	*count = a->n;
	return OG_OK;
}

og_status og_node_get_tensor(const og_node *n, const char *name, const og_tensor **out)
{
	const graph_attr *a;
	TRY(find(&a, n, name, OG_ATTRIBUTE_TENSOR, out));
	*out = a->t;
	return OG_OK;
}

og_status og_node_get_graph(const og_node *n, const char *name, og_graph **out)
{
	const graph_attr *a;
	TRY(find(&a, n, name, OG_ATTRIBUTE_GRAPH, out));
	*out = handles_of_graph(a->g);
	return OG_OK;
}

/* ---- changing ---------------------------------------------------------------------------------- */

/* The reader's limit: a node with more could not be read back. */
enum { MOST_ATTRIBUTES = 1024 };

static og_status can_set(const og_node *handle, const char *name, const void *value, size_t n)
{
	TRY(og_check_node(handle));
	TRY(og_check_name(name, "an attribute"));
	if (!value && n) return base_fail(OG_USAGE, "the value of attribute '%s' is NULL", name);
	const graph_node *node = handles_node(handle);
	if (node->n_attrs >= MOST_ATTRIBUTES && !graph_attr_find(node, name))
		return base_fail(OG_USAGE, "node '%s' (%s) has %d attributes already, which is the most", node->name, node->type,
		                 node->n_attrs);
	return OG_OK;
}

og_status og_node_set_int(og_node *n, const char *name, int64_t value)
{
	TRY(can_set(n, name, NULL, 0));
	return graph_attr_set_int(handles_node(n), name, value);
}

og_status og_node_set_float(og_node *n, const char *name, float value)
{
	TRY(can_set(n, name, NULL, 0));
	return graph_attr_set_float(handles_node(n), name, value);
}

og_status og_node_set_string(og_node *n, const char *name, const char *value)
{
	TRY(can_set(n, name, value, 1));
	return graph_attr_set_string(handles_node(n), name, value);
}

og_status og_node_set_ints(og_node *n, const char *name, const int64_t *values, size_t count)
{
	TRY(can_set(n, name, values, count));
	return graph_attr_set_ints(handles_node(n), name, values, count);
}

og_status og_node_set_floats(og_node *n, const char *name, const float *values, size_t count)
{
	TRY(can_set(n, name, values, count));
	return graph_attr_set_floats(handles_node(n), name, values, count);
}

og_status og_node_set_strings(og_node *n, const char *name, const char *const *values, size_t count)
{
	TRY(can_set(n, name, values, count));
	for (size_t i = 0; i < count; i++)
		if (!values[i]) return base_fail(OG_USAGE, "string %zu of attribute '%s' is NULL", i, name);
	return graph_attr_set_strings(handles_node(n), name, values, count);
}

og_status og_node_set_tensor(og_node *n, const char *name, const og_tensor *value)
{
	og_tensor *own;
	TRY(can_set(n, name, value, 1));
	TRY(og_copy_tensor(&own, handles_node(n)->owner->model, value));
	return graph_attr_set_tensor(handles_node(n), name, own);
}

og_status og_node_add_graph(og_graph **out, og_node *handle, const char *name)
{
	if (out) *out = NULL;
	TRY(can_set(handle, name, out, 1));
	graph_node *n = handles_node(handle);
	int depth = 0;
	for (const graph *g = n->owner; g->parent; g = g->parent) depth++;
	if (depth + 1 >= GRAPH_MAX_NESTING) return base_fail(OG_USAGE, "bodies nest at most %d deep", GRAPH_MAX_NESTING);
	graph *body = graph_create(n->owner->model, n->owner, name);
	NEED(body);
	TRY(graph_attr_set_graph(n, name, body));
	*out = handles_of_graph(body);
	return OG_OK;
}

og_status og_node_remove_attribute(og_node *n, const char *name)
{
	TRY(can_set(n, name, NULL, 0));
	graph_attr_remove(handles_node(n), name);
	return OG_OK;
}
