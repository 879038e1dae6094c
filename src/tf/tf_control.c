/* tf_control.c -- branches and loops whose bodies are functions (If, While), as TensorFlow 2 writes them: what becomes of them in the
 * flat list is told in tf_graph.h. */
#include "tf/tf_private.h"

enum { MAX_CARRIED = 1 << 12 };

static bool is_while(const char *op) { return strcmp(op, "While") == 0 || strcmp(op, "StatelessWhile") == 0; }

bool tf_is_control(const char *op) { return is_while(op) || strcmp(op, "If") == 0 || strcmp(op, "StatelessIf") == 0; }

/* A function that an attribute names. */
typedef struct body { tf_scope *scope; tf_attrs with; } body;

static og_status find_body(tf_reader *r, tf_attrs attrs, const char *key, int n_args, body *out)
{
	const tf_attr *f = tf_attrs_find(attrs, key);
	if (!f || f->kind != TF_FUNC || f->n != 1) return base_fail(OG_BAD_FILE, "its attribute '%s' names no function", key);
	*out = (body){ map_get(&r->functions, f->funcs[0].name), { f->funcs[0].attrs, f->funcs[0].n_attrs } };
	if (!out->scope) return base_fail(OG_BAD_FILE, "its function '%.128s' is not in the file", f->funcs[0].name);
	TRY(tf_scope_ready(r, out->scope));
	if (out->scope->n_args != (size_t)n_args)
		return base_fail(OG_BAD_FILE, "its function '%.128s' has %zu inputs, not %d", out->scope->name, out->scope->n_args, n_args);
	return OG_OK;
}

static og_status new_scope(tf_reader *r, int *out)
{
	tf_graph *g = r->g;
	int first = g->n_scopes ? g->n_scopes : 1;           /* scope 0 is the main graph */
	int *around = arena_grow(g->a, g->around, (size_t)g->n_scopes, &r->cap_scopes, (size_t)first + 1, sizeof *around);
	NEED(around);
	around[0] = 0;
	around[first] = r->scope;
	g->around = around;
	g->n_scopes = first + 1;
	*out = first;
	return OG_OK;
}

static og_status run_body(tf_reader *r, const body *b, const char *name, const char *what, tf_value *args, int n_args, tf_value *returns)
{
	const char *prefix = arena_printf(r->g->a, "%s/%s", name, what);
	NEED(prefix);
	return tf_instance_call(r, b->scope, b->with, prefix, args, n_args, returns);
}

static og_status add_node(tf_reader *r, const char *name, const char *op, tf_attrs attrs, tf_value *in, int n_in, int inner, tf_node **out)
{
	tf_node *n = *out = arena_alloc(r->temporary, sizeof *n);
	NEED(n);
	*n = (tf_node){ .name = name, .op = op, .in = in, .n_in = n_in, .attrs = attrs.p, .n_attrs = attrs.n, .inner = inner };
	return tf_instance_append(r, n);
}

static og_status new_values(tf_reader *r, tf_value **out, int n)
{
	*out = arena_array(r->temporary, (size_t)n + 1, sizeof **out);
	return *out ? OG_OK : base_no_memory();
}

/* ---- branches ---------------------------------------------------------------------------------- */

static og_status make_if(tf_reader *r, const char *name, tf_attrs attrs, tf_value *in, int n_in, tf_value **values, int *n_values)
{
	static const char *const keys[] = { "then_branch", "else_branch" };
	body side[2];
	int around = r->scope, scope[2];
	tf_value *all;
	tf_node *node;
	if (n_in < 1) return base_fail(OG_BAD_FILE, "it has no condition");
	for (int k = 0; k < 2; k++) TRY(find_body(r, attrs, keys[k], n_in - 1, &side[k]));
	int n = side[0].scope->n_returns;
	if (side[1].scope->n_returns != n) return base_fail(OG_BAD_FILE, "its branches return %d and %d values", n, side[1].scope->n_returns);
	if (n > MAX_CARRIED) return base_fail(OG_UNSUPPORTED, "it returns more than %d values", MAX_CARRIED);
	TRY(new_values(r, &all, 1 + 2 * n));
	TRY(new_values(r, values, n));
	all[0] = in[0];
	for (int k = 0; k < 2; k++) TRY(new_scope(r, &scope[k]));
	for (int k = 0; k < 2; k++) {
		r->scope = scope[k];
		TRY(run_body(r, &side[k], name, k ? "else" : "then", in + 1, n_in - 1, all + 1 + k * n));
		r->scope = around;
	}
	TRY(add_node(r, name, "If", attrs, all, 1 + 2 * n, scope[0], &node));
	for (int k = 0; k < n; k++) (*values)[k] = (tf_value){ node, k };
	*n_values = n;
	return OG_OK;
}

/* ---- loops -------------------------------------------------------------------------------------- */

/* Does the body return its k-th argument as it is? */
static bool hands_through(const tf_scope *s, int k)
{
	const tf_ref *ref = &s->returns[k];
	for (size_t step = 0; step < s->n_nodes && ref->node >= s->n_args; step++) {
		const tf_raw *n = &s->nodes[ref->node];
		if (strcmp(n->op, "Identity") != 0 || n->n_in != 1) return false;
		ref = &n->in[0];
	}
	return ref->node == (size_t)k;
}

/* A variable of the loop, in its body. Lists of tensors have a shape that means nothing. */
static og_status add_variable(tf_reader *r, const char *name, const tf_scope *s, tf_attrs attrs, int k, tf_value *first, tf_value *out)
{
	const tf_attr *shapes = tf_attrs_find(attrs, "output_shapes"), *types = tf_attrs_find(attrs, "T");
	bool tensor = types && types->kind == TF_TYPE && (size_t)k < types->n && types->types[k] != OG_NONE;
	bool said = tensor && shapes && shapes->kind == TF_SHAPE && (size_t)k < shapes->n;
	tf_attr *shape = arena_array(r->g->a, 1, sizeof *shape);
	const char *own = arena_printf(r->g->a, "%s/body/%s", name, s->nodes[k].name);
	tf_node *node;
	if (!shape || !own) return base_no_memory();
	if (said) *shape = (tf_attr){ .name = "shape", .kind = TF_SHAPE, .n = 1, .shapes = &shapes->shapes[k] };
	TRY(add_node(r, own, "LoopVariable", (tf_attrs){ shape, said }, first, 1, 0, &node));
	*out = (tf_value){ node, 0 };
	return OG_OK;
}

static og_status make_while(tf_reader *r, const char *name, tf_attrs attrs, tf_value *in, int n_in, tf_value **values, int *n_values)
{
	body cond, loop;
	int around = r->scope, scope, n = 0;
	tf_value *all, *args, *next, *at;
	tf_node *node;
	TRY(find_body(r, attrs, "cond", n_in, &cond));
	TRY(find_body(r, attrs, "body", n_in, &loop));
	if (cond.scope->n_returns != 1 || loop.scope->n_returns != n_in)
		return base_fail(OG_BAD_FILE, "its functions return %d and %d values, not 1 and %d", cond.scope->n_returns, loop.scope->n_returns, n_in);
	if (n_in > MAX_CARRIED) return base_fail(OG_UNSUPPORTED, "it has more than %d variables", MAX_CARRIED);
	for (int k = 0; k < n_in; k++) n += !hands_through(loop.scope, k);
	if (!n) return base_fail(OG_UNSUPPORTED, "the loop changes none of its variables");
	TRY(new_values(r, &all, 2 + 3 * n));
	TRY(new_values(r, &args, n_in));
	TRY(new_values(r, &next, n_in));
	TRY(new_values(r, values, n_in));
	TRY(run_body(r, &cond, name, "first", in, n_in, all));
	TRY(new_scope(r, &scope));
	r->scope = scope;
	at = all + 1;
	for (int k = 0; k < n_in; k++) {
		args[k] = in[k];
		if (hands_through(loop.scope, k)) continue;
		TRY(add_variable(r, name, loop.scope, attrs, k, &in[k], &args[k]));
		at[0] = in[k];
		at[n] = args[k];
		at++;
	}
	TRY(run_body(r, &loop, name, "body", args, n_in, next));
	for (int k = 0; k < n_in; k++)
		if (hands_through(loop.scope, k)) next[k] = in[k];
	TRY(run_body(r, &cond, name, "cond", next, n_in, all + 1 + 2 * n));
	r->scope = around;
	at = all + 2 + 2 * n;
	for (int k = 0; k < n_in; k++)
		if (!hands_through(loop.scope, k)) *at++ = next[k];
	TRY(add_node(r, name, "While", attrs, all, 2 + 3 * n, scope, &node));
	for (int k = 0, j = 0; k < n_in; k++) (*values)[k] = hands_through(loop.scope, k) ? in[k] : (tf_value){ node, j++ };
	*n_values = n_in;
	return OG_OK;
}

og_status tf_control_make(tf_reader *r, const char *op, const char *name, tf_attrs attrs, tf_value *in, int n_in, tf_value **values, int *n_values)
{
	return is_while(op) ? make_while(r, name, attrs, in, n_in, values, n_values) : make_if(r, name, attrs, in, n_in, values, n_values);
}
