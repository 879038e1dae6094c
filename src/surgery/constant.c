/* constant.c -- constants of every form, and nodes that change nothing. */
#include "surgery/search.h"

enum { SPLAT_MOST = 1 << 16 };           /* elements that are compared: a larger tensor is no number */

bool match_is_type(const graph_node *n, const char *type)
{
	return n && n->type[0] == type[0] && !n->domain[0] && !strcmp(n->type, type);
}

/* A list or number of an attribute, as a tensor over its memory. */
bool match_attribute_tensor(const graph_attr *a, og_tensor *out)
{
	*out = (og_tensor){ .dtype = OG_I64, .rank = 1, .dims = { (int64_t)a->n } };
	if (a->ref) return false;
	switch (a->type) {
	case OG_ATTR_INT: out->rank = 0; out->data = (void *)&a->i; return true;
	case OG_ATTR_INTS: out->data = (void *)a->ints; return true;
	case OG_ATTR_FLOAT: out->rank = 0; out->data = (void *)&a->f; break;
	case OG_ATTR_FLOATS: out->data = (void *)a->floats; break;
	default: return false;
	}
	out->dtype = OG_F32;
	return true;
}

/* The tensor of an initializer or of a Constant node that holds one. */
static const og_tensor *stored(const graph_value *v)
{
	if (v->constant || !match_is_type(v->producer, "Constant")) return v->constant;
	const graph_attr *a = graph_attr_find(v->producer, "value");
	return a && a->type == OG_ATTR_TENSOR && !a->ref ? a->t : NULL;
}

static bool constant_here(const graph_value *v, og_tensor *out)
{
	static const char *const forms[] = { "value_float", "value_int", "value_floats", "value_ints" };
	const og_tensor *t = stored(v);
	if (t) *out = *t;
	if (t || !match_is_type(v->producer, "Constant")) return t != NULL;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		const graph_attr *a = graph_attr_find(v->producer, forms[i]);
		if (a) return match_attribute_tensor(a, out);
	}
	return false;
}

bool match_transparent(const graph_node *n)
{
	og_tensor t;
	double training;
	if (!n || n->n_in < 1 || !n->in[0]) return false;
	if (match_is_type(n, "Identity")) return true;
	if (match_is_type(n, "Cast")) {
		const graph_attr *to = graph_attr_find(n, "to");
		int64_t type = (int64_t)n->in[0]->dtype;
		return to && to->type == OG_ATTR_INT && !to->ref && type != OG_NONE && to->i == type;
	}
	if (!match_is_type(n, "Dropout")) return false;
	return n->n_in < 3 || !n->in[2] || (constant_here(n->in[2], &t) && match_tensor_number(&t, &training) && training == 0);
}

graph_value *match_behind(graph_value *v)
{
	for (int i = 0; i < MATCH_LOOK_THROUGH && v && !v->constant && !v->output && match_transparent(v->producer); i++)
		v = v->producer->in[0];
	return v;
}

bool match_constant_tensor(const graph_value *of, og_tensor *out)
{
	const graph_value *v = match_behind((graph_value *)of);
	return v && constant_here(v, out);
}

const og_tensor *match_tensor(const graph_value *of)
{
	const graph_value *v = match_behind((graph_value *)of);
	return v ? stored(v) : NULL;
}

bool match_tensor_number(const og_tensor *t, double *out)
{
	int64_t count;
	size_t size = og_dtype_bytes(t->dtype);
	if (t->dtype == OG_STRING || !size || !t->data || !base_count(t->dims, t->rank, &count)) return false;
	if (count < 1 || count > SPLAT_MOST) return false;
	const char *data = t->data;
	*out = graph_tensor_double(t, 0);
	return !memcmp(data, data + size, size * (size_t)(count - 1));       /* each element is the one in front of it */
}

bool match_constant(const graph_value *v, double *out)
{
	og_tensor t;
	return match_constant_tensor(v, &t) && match_tensor_number(&t, out);
}

/* v has at least the tensor's shape, so that the tensor adds nothing to it. */
static bool covers(const graph_value *v, const og_tensor *t, int64_t count)
{
	if (v->rank < 0) return t->rank == 1 && count == 1;
	for (int i = 1; i <= t->rank; i++) {
		int64_t dim = t->dims[t->rank - i];
		if (i > v->rank || (dim != 1 && dim != v->dims[v->rank - i])) return false;
	}
	return true;
}

bool match_broadcasts_away(const graph_node *n, int k)
{
	og_tensor t;
	int64_t count;
	if (!match_constant_tensor(n->in[k], &t) || !base_count(t.dims, t.rank, &count)) return false;
	if (t.rank == 0) return true;
	if (n->op && n->op->shape) return count == 1;         /* nothing broadcasts there */
	for (int i = 0; i < n->n_in; i++)
		if (i != k && n->in[i] && covers(n->in[i], &t, count)) return true;
	return false;
}
