/* convert_sizes.c -- sizes that a graph computes from shapes, followed as numbers and symbols. */
#include "tf/convert.h"

static bool is_whole(og_dtype t) { return t == OG_I64 || t == OG_I32; }

bool convert_sizes(const graph_value *v, og_dim *dims, int *n)
{
	const convert_note *note = v->mark;
	if (!is_whole(v->dtype) || v->rank < 0 || v->rank > 1) return false;
	if (v->constant) {
		int64_t count = v->rank ? v->dims[0] : 1;
		if (count > CONVERT_MAX_LIST) return false;
		for (*n = 0; *n < count; ++*n) dims[*n] = graph_tensor_int(v->constant, *n);
		return true;
	}
	if (!note || !note->sizes) return false;
	*n = note->n_sizes;
	memcpy(dims, note->sizes, (size_t)*n * sizeof *dims);
	return true;
}

typedef struct sizes { og_dim dim[CONVERT_MAX_LIST]; int n; } sizes;

/* The rules: what a node makes of the sizes that its inputs hold. False: nothing is known. */
typedef bool rule_fn(og_model *, const graph_node *, const sizes *in, sizes *out);

static bool follow_shape(og_model *m, const graph_node *n, const sizes *in, sizes *out)
{
	const graph_value *x = n->in[0];
	(void)m, (void)in;
	if (x->rank < 0) return false;
	out->n = x->rank;
	for (int k = 0; k < x->rank; k++) out->dim[k] = x->dims[k];
	return true;
}

static bool follow_same(og_model *m, const graph_node *n, const sizes *in, sizes *out)
{
	(void)m, (void)n;
	*out = in[0];
	return true;
}

static bool follow_concat(og_model *m, const graph_node *n, const sizes *in, sizes *out)
{
	(void)m;
	for (int k = 0; k < n->n_in; k++) {
		if (out->n + in[k].n > CONVERT_MAX_LIST) return false;
		memcpy(out->dim + out->n, in[k].dim, (size_t)in[k].n * sizeof *out->dim);
		out->n += in[k].n;
	}
	return true;
}

static bool follow_gather(og_model *m, const graph_node *n, const sizes *in, sizes *out)
{
	(void)m;
	if (!n->in[1]->constant) return false;
	out->n = in[1].n;
	for (int k = 0; k < out->n; k++) {
		int at = og_axis(in[1].dim[k], in[0].n);
		if (at < 0) return false;
		out->dim[k] = in[0].dim[at];
	}
	return true;
}

static int64_t within(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

static bool follow_slice(og_model *m, const graph_node *n, const sizes *in, sizes *out)
{
	int64_t count = in[0].n, step = n->n_in > 4 ? in[4].dim[0] : 1, from = in[1].dim[0], to = in[2].dim[0];
	(void)m;
	if (!n->in[1]->constant || !n->in[2]->constant || (n->n_in > 4 && !n->in[4]->constant) || step == 0) return false;
	step = within(step, -CONVERT_MAX_LIST, CONVERT_MAX_LIST);
	from = within(from < 0 ? from + count : from, step < 0 ? -1 : 0, step < 0 ? count - 1 : count);
	to = within(to < 0 ? to + count : to, -1, count);
	for (int64_t k = from; step > 0 ? k < to : k > to; k += step) out->dim[out->n++] = in[0].dim[k];
	return true;
}

static bool follow_product(og_model *m, const graph_node *n, const sizes *in, sizes *out)
{
	(void)n;
	out->n = 1;
	out->dim[0] = 1;
	for (int k = 0; k < in[0].n; k++) out->dim[0] = graph_dim_do(m, OG_DIM_PROD, out->dim[0], in[0].dim[k]);
	return true;
}

/* Two lists of one length, or a list and one size. A constant below 0 is no size, but what is reckoned with it
 * may be. */
static bool follow_each(og_model *m, const graph_node *n, const sizes *in, sizes *out, og_dim_op op)
{
	if (in[0].n != in[1].n && in[0].n != 1 && in[1].n != 1) return false;
	out->n = in[0].n == 1 ? in[1].n : in[0].n;
	for (int k = 0; k < out->n; k++) {
		og_dim a = in[0].dim[in[0].n == 1 ? 0 : k], b = in[1].dim[in[1].n == 1 ? 0 : k];
		bool below = (n->in[0]->constant && a < 0) || (n->in[1]->constant && b < 0);
		bool open = below || a == GRAPH_DIM_UNKNOWN || b == GRAPH_DIM_UNKNOWN || (op == OG_DIM_SUB && a >= 0 && b > a);
		out->dim[k] = open ? GRAPH_DIM_UNKNOWN : graph_dim_do(m, op, a, b);
	}
	return true;
}

#define EACH(name, op) \
	static bool follow_##name(og_model *m, const graph_node *n, const sizes *in, sizes *out) \
	{ \
		return follow_each(m, n, in, out, op); \
	}
EACH(add, OG_DIM_SUM)
EACH(sub, OG_DIM_SUB)
EACH(mul, OG_DIM_PROD)
EACH(div, OG_DIM_FLOOR_DIV)
EACH(max, OG_DIM_MAX)
EACH(min, OG_DIM_MIN)

static rule_fn *find_rule(const char *type)
{
	static const struct { const char *type; rule_fn *rule; } rules[] = {
		{ "Shape", follow_shape }, { "Cast", follow_same }, { "Squeeze", follow_same }, { "Unsqueeze", follow_same },
		{ "Reshape", follow_same }, { "Concat", follow_concat }, { "Gather", follow_gather }, { "Slice", follow_slice },
		{ "ReduceProd", follow_product }, { "Add", follow_add }, { "Sub", follow_sub }, { "Mul", follow_mul },
		{ "Div", follow_div }, { "Max", follow_max }, { "Min", follow_min },
	};
	for (size_t k = 0; k < sizeof rules / sizeof *rules; k++)
		if (!strcmp(rules[k].type, type)) return rules[k].rule;
	return NULL;
}

/* All sizes are numbers: the value is what it will always be. */
static og_status settle(og_model *m, graph_node *n, const sizes *s)
{
	graph_value *v = n->out[0];
	int64_t count = s->n;
	og_tensor *t = graph_tensor_new(m->a, v->dtype, v->rank, &count);
	NEED(t);
	for (int k = 0; k < s->n; k++) {
		if (v->dtype == OG_I64) ((int64_t *)t->data)[k] = s->dim[k];
		else ((int32_t *)t->data)[k] = (int32_t)s->dim[k];
	}
	graph_node_remove(n);
	return graph_constant_set(v, t);
}

void convert_follow(convert *c, graph_node *n)
{
	graph_value *v = n->out[0];
	rule_fn *rule = find_rule(n->type);
	if (!rule || n->n_in > 8 || n->n_out != 1 || !is_whole(v->dtype) || v->rank < 0 || v->rank > 1) return;
	sizes in[8] = { 0 }, out = { 0 };
	for (int k = 0; k < n->n_in && rule != follow_shape; k++) {
		if (!n->in[k] || !convert_sizes(n->in[k], in[k].dim, &in[k].n)) return;
		if (in[k].n == 0 && k > 0) return;
		for (int i = 0; i < in[k].n && rule == follow_concat && n->in[k]->constant; i++)
			if (in[k].dim[i] < 0) in[k].dim[i] = GRAPH_DIM_UNKNOWN;      /* no size, and not to be taken for a symbol */
	}
	if (!rule(c->m, n, in, &out) || (v->rank == 0 && out.n != 1)) return;
	bool numbers = true;
	for (int k = 0; k < out.n; k++)
		numbers = numbers && out.dim[k] >= 0 && out.dim[k] <= (v->dtype == OG_I32 ? INT32_MAX : INT64_MAX);
	if (numbers) {
		convert_failed(c, settle(c->m, n, &out));
		return;
	}
	convert_note *note = v->mark;
	note->sizes = arena_array(c->from->a, (size_t)out.n, sizeof *note->sizes);
	if (!note->sizes) convert_failed(c, base_no_memory());
	else memcpy(note->sizes, out.dim, (size_t)out.n * sizeof *out.dim);
	note->n_sizes = out.n;
}
