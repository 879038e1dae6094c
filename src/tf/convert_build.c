/* convert_build.c -- nodes, constants and the small expressions that many converters share. */
#include <stdio.h>

#include "schema/schema.h"
#include "tf/convert.h"

/* A constant that more nodes than this read is folded only into something that is no larger. */
enum { SMALL = 1 << 16 };

/* ---- notes ----------------------------------------------------------------------------------- */

const tf_node *convert_maker(const graph_value *v)
{
	const convert_note *note = v->mark;
	return note ? note->maker : NULL;
}

void convert_take_over(const convert *c, graph_value *v)
{
	convert_note *note = v->mark;
	if (note) note->maker = c->node;
}

/* A value that belongs to the node, with a name that no node of TensorFlow can have. */
static graph_value *new_value(convert *c, const char *type)
{
	graph_value *v = NULL;
	char *name = arena_printf(c->m->a, "%s:%s", c->node->name, type);
	for (int k = 2; name && graph_value_find(c->g, name); k++)
		name = arena_printf(c->m->a, "%s:%s.%d", c->node->name, type, k);
	convert_note *note = arena_alloc(c->from->a, sizeof *note);
	convert_failed(c, name && note ? graph_value_add(&v, c->g, name, OG_NONE, -1, NULL) : base_no_memory());
	if (c->status != OG_OK) return c->none;
	note->maker = c->node;
	v->mark = note;
	return v;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

void convert_begin(convert *c, const char *type, graph_value *const *in, int n)
{
	c->begun = NULL;
	if (c->status != OG_OK) return;
	while (n > 0 && !in[n - 1]) n--;
	convert_failed(c, graph_node_add(&c->begun, c->g, NULL, "", type, "", n, 1));
	for (int k = 0; k < n && c->status == OG_OK; k++)
		if (in[k]) convert_failed(c, graph_set_input(c->begun, k, in[k]));
	if (c->status == OG_OK) c->begun->op = schema_find("", type, CONVERT_OPSET);
}

void convert_set_int(convert *c, const char *name, int64_t x)
{
	if (c->status == OG_OK) convert_failed(c, graph_attr_set_int(c->begun, name, x));
}

void convert_set_float(convert *c, const char *name, float x)
{
	if (c->status == OG_OK) convert_failed(c, graph_attr_set_float(c->begun, name, x));
}

void convert_set_string(convert *c, const char *name, const char *s)
{
	if (c->status == OG_OK) convert_failed(c, graph_attr_set_string(c->begun, name, s));
}

void convert_set_ints(convert *c, const char *name, const int64_t *x, int n)
{
	if (c->status == OG_OK) convert_failed(c, graph_attr_set_ints(c->begun, name, x, (size_t)n));
}

static size_t bytes_of(const graph_value *v)
{
	int64_t count;
	if (v->rank < 0 || v->dtype == OG_NONE || !base_count(v->dims, v->rank, &count)) return SIZE_MAX;
	return base_dtype_span(v->dtype, (uint64_t)count);
}

static bool foldable(const graph_node *n)
{
	size_t in = 0, out = 0;
	if (!n->op || (!n->op->eval && !n->op->map[OG_ISA_SCALAR]) || !strcmp(n->type, "Identity")) return false;
	for (int k = 0; k < n->n_in; k++) {
		if (n->in[k] && !n->in[k]->constant) return false;
		if (n->in[k]) in += bytes_of(n->in[k]);
	}
	for (int k = 0; k < n->n_out; k++) {
		size_t bytes = bytes_of(n->out[k]);
		if (bytes == SIZE_MAX) return in <= SMALL;
		out += bytes;
	}
	return out <= SMALL || out <= in;
}

/* A node of constants becomes constants. */
static og_status fold(graph_node *n)
{
	const og_tensor *in[CONVERT_MAX_LIST] = { NULL };
	og_tensor *out[CONVERT_MAX_LIST] = { NULL };
	graph_value *made[CONVERT_MAX_LIST];
	arena *a = n->owner->model->a;
	int count = n->n_out;
	if (n->n_in > CONVERT_MAX_LIST || count > CONVERT_MAX_LIST) return OG_OK;
	for (int k = 0; k < n->n_in; k++) {
		if (!n->in[k]) continue;
		in[k] = (uintptr_t)n->in[k]->constant->data % 8 ? graph_tensor_copy(a, n->in[k]->constant) : n->in[k]->constant;
		NEED(in[k]);
	}
	TRY(schema_run_node(n, in, out, a, NULL));
	for (int k = 0; k < count; k++) made[k] = n->out[k];
	graph_node_remove(n);
	for (int k = 0; k < count; k++) TRY(graph_constant_set(made[k], out[k]));
	return OG_OK;
}

static og_status finish(convert *c, graph_node *n)
{
	TRY(schema_infer_node(n));
	if (foldable(n)) return fold(n);
	convert_follow(c, n);
	return c->status;
}

void convert_done_all(convert *c, graph_value **out, int n_out)
{
	graph_node *n = c->begun;
	for (int k = 0; k < n_out; k++) {
		out[k] = c->none;
		if (c->status == OG_OK) out[k] = new_value(c, n->type);
		if (c->status == OG_OK) convert_failed(c, graph_set_output(n, k, out[k]));
	}
	if (c->status != OG_OK) return;
	n->name = out[0]->name;
	og_status status = finish(c, n);
	if (c->status == OG_OK && status != OG_OK)
		c->status = base_fail_in(status, "node '%s' (%s)", c->node->name, c->node->op);
	for (int k = 0; k < n_out && c->status != OG_OK; k++) out[k] = c->none;
}

graph_value *convert_done(convert *c)
{
	graph_value *out;
	convert_done_all(c, &out, 1);
	return out;
}

/* ---- constants ---------------------------------------------------------------------------------- */

/* Equal constants are one: they are called by what they hold, which no node of TensorFlow can be. */
static graph_value *shared_constant(convert *c, const char *name, const og_tensor *t)
{
	graph_value *v = c->status == OG_OK && name ? graph_value_find(c->m->main, name) : NULL;
	if (v) return v;
	convert_failed(c, t && name ? OG_OK : base_no_memory());
	if (c->status == OG_OK) convert_failed(c, graph_constant_add(&v, c->m->main, name, t));
	return c->status == OG_OK ? v : c->none;
}

graph_value *convert_list(convert *c, const int64_t *x, int n)
{
	text name = { 0 };
	int64_t count = n;
	og_tensor *t = graph_tensor_new(c->m->a, OG_I64, 1, &count);
	text_add(&name, "[");
	for (int k = 0; k < n; k++) text_printf(&name, "%s%lld", k ? "," : "", (long long)x[k]);
	text_add(&name, "]");
	if (t) memcpy(t->data, x, (size_t)n * sizeof *x);
	char *s = text_take(&name);
	graph_value *v = shared_constant(c, s, t);
	base_free(s);
	return v;
}

graph_value *convert_index(convert *c, int64_t x)
{
	char name[32];
	og_tensor *t = graph_tensor_new(c->m->a, OG_I64, 0, NULL);
	if (t) memcpy(t->data, &x, sizeof x);
	snprintf(name, sizeof name, "(%lld)", (long long)x);
	return shared_constant(c, name, t);
}

/* The one element of a tensor; integers are whole numbers that fit. */
static void put(const og_tensor *t, double x)
{
	int64_t whole = (int64_t)x;
	uint16_t half = t->dtype == OG_BF16 ? base_float_to_bfloat((float)x) : base_float_to_half((float)x);
	if (t->dtype == OG_F32) *(float *)t->data = (float)x;
	else if (t->dtype == OG_F64) *(double *)t->data = x;
	else if (t->dtype == OG_F16 || t->dtype == OG_BF16) memcpy(t->data, &half, sizeof half);
	else memcpy(t->data, &whole, og_dtype_bytes(t->dtype));
}

graph_value *convert_number(convert *c, og_dtype dtype, double x)
{
	char name[64];
	og_tensor *t = graph_tensor_new(c->m->a, dtype, 0, NULL);
	if (t) put(t, x);
	snprintf(name, sizeof name, "%s(%.17g)", base_dtype_name(dtype), x);
	return shared_constant(c, name, t);
}

/* ---- expressions ----------------------------------------------------------------------------------- */

graph_value *convert_cast(convert *c, graph_value *v, og_dtype dtype)
{
	if (v->dtype == dtype) return v;
	BEGIN("Cast", v);
	convert_set_int(c, "to", dtype);
	return convert_done(c);
}

/* The permutation of a Transpose; false: it is none, or says none. */
static bool permutation(const graph_node *n, int64_t *perm)
{
	const graph_attr *a = n && !*n->domain && !strcmp(n->type, "Transpose") ? graph_attr_find(n, "perm") : NULL;
	if (!a) return false;
	memcpy(perm, a->ints, a->n * sizeof *perm);
	return true;
}

/* The same permutation of x made before, in the same graph. */
static graph_value *transposed_before(const convert *c, const graph_value *x, const int64_t *perm, int n)
{
	int64_t other[OG_MAX_RANK];
	for (size_t k = 0; k < x->n_uses; k++) {
		const graph_node *user = x->uses[k].node;
		if (user->owner == c->g && user->n_out && user->out[0] && permutation(user, other) && !memcmp(other, perm, (size_t)n * sizeof *perm))
			return user->out[0];
	}
	return NULL;
}

graph_value *convert_transpose(convert *c, graph_value *x, const int *perm, int n)
{
	int64_t whole[OG_MAX_RANK], first[OG_MAX_RANK];
	bool same = true;
	if (c->status != OG_OK) return c->none;
	if (x->rank >= 0 && x->rank != n) return convert_wrong(c, "'%s' has %d dimensions, not %d", x->name, x->rank, n);
	for (int k = 0; k < n; k++) whole[k] = perm[k];
	if (permutation(x->producer, first)) {
		for (int k = 0; k < n; k++) whole[k] = first[perm[k]];
		x = x->producer->in[0];
	}
	for (int k = 0; k < n; k++) same = same && whole[k] == k;
	if (same) return x;
	graph_value *before = x->constant ? NULL : transposed_before(c, x, whole, n);
	if (before) return before;
	BEGIN("Transpose", x);
	convert_set_ints(c, "perm", whole, n);
	return convert_done(c);
}

graph_value *convert_channels_first(convert *c, graph_value *x)
{
	int perm[OG_MAX_RANK], n = convert_rank(c, x);
	for (int k = 0; k < n; k++) perm[k] = k == 0 ? 0 : k == 1 ? n - 1 : k - 1;
	return convert_transpose(c, x, perm, n);
}

graph_value *convert_channels_last(convert *c, graph_value *x)
{
	int perm[OG_MAX_RANK], n = convert_rank(c, x);
	for (int k = 0; k < n; k++) perm[k] = k == 0 ? 0 : k == n - 1 ? 1 : k + 1;
	return convert_transpose(c, x, perm, n);
}

graph_value *convert_squeeze(convert *c, graph_value *x, int axis)
{
	return MAKE("Squeeze", x, convert_list(c, &(int64_t){ axis }, 1));
}

graph_value *convert_unsqueeze(convert *c, graph_value *x, int axis)
{
	return MAKE("Unsqueeze", x, convert_list(c, &(int64_t){ axis }, 1));
}

graph_value *convert_slice(convert *c, graph_value *x, int axis, int64_t from, int64_t to)
{
	return MAKE("Slice", x, convert_list(c, &from, 1), convert_list(c, &to, 1), convert_list(c, &(int64_t){ axis }, 1));
}

graph_value *convert_concat(convert *c, graph_value *const *in, int n, int axis)
{
	if (n == 1) return in[0];
	convert_begin(c, "Concat", in, n);
	convert_set_int(c, "axis", axis);
	return convert_done(c);
}

graph_value *convert_shape(convert *c, graph_value *x) { return MAKE("Shape", x); }

graph_value *convert_reshape_to(convert *c, graph_value *x, const og_dim *dims, int n)
{
	bool zero = false;
	for (int k = 0; k < n; k++) zero = zero || dims[k] == 0;
	BEGIN("Reshape", x, convert_list(c, dims, n));
	if (zero) convert_set_int(c, "allowzero", 1);
	return convert_done(c);
}

/* Sizes that the input has at the same place are taken from there (0), one may be the rest (-1). False: more are
 * open. */
static bool spell_shape(const graph_value *x, og_dim *dims, int n)
{
	int open = 0, kept = 0, zero = 0;
	for (int k = 0; k < n; k++) {
		zero += dims[k] == 0;
		open += dims[k] < 0;
	}
	for (int k = 0; k < n && open > 1 && !zero; k++) {
		if (dims[k] >= GRAPH_DIM_UNKNOWN || k >= x->rank || dims[k] != x->dims[k]) continue;
		dims[k] = 0;
		open--;
		kept++;
	}
	for (int k = 0; k < n; k++)
		if (dims[k] < 0) dims[k] = GRAPH_DIM_UNKNOWN;
	return open <= 1;
}

graph_value *convert_reshape(convert *c, graph_value *x, graph_value *shape)
{
	og_dim dims[CONVERT_MAX_LIST];
	int n;
	if (c->status == OG_OK && convert_sizes(shape, dims, &n) && n <= OG_MAX_RANK && spell_shape(x, dims, n)) {
		graph_value *list = convert_list(c, dims, n);
		return MAKE("Reshape", x, list);
	}
	return MAKE("Reshape", x, convert_cast(c, shape, OG_I64));
}
