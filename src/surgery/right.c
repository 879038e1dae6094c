/* right.c -- the right side of a rule as an edit: which nodes of a match go, and which come. */
#include <math.h>

#include "schema/schema.h"
#include "surgery/edits.h"

static const pattern *meant(const rule *r, const pattern *p)
{
	return p->kind == PATTERN_VARIABLE && r->defined[p->variable] ? r->defined[p->variable] : p;
}

const og_op *right_op(const rule *r) { return meant(r, r->right)->op; }

/* ---- what goes ------------------------------------------------------------------------------- */

/* The variables that the right side reads, one bit each. */
static uint32_t variables_read(const match *m, const pattern *p)
{
	uint32_t read = 0;
	if (p->kind == PATTERN_VARIABLE) {
		const binding *b = &m->bound[p->variable];
		const pattern *made = b->value || b->node ? NULL : m->r->defined[p->variable];
		return made ? variables_read(m, made) : UINT32_C(1) << p->variable;
	}
	for (int k = 0; k < p->n_args; k++) read |= variables_read(m, p->args[k]);
	return read;
}

static int index_in(const match *m, const graph_node *n)
{
	for (int i = 0; i < m->n_nodes; i++)
		if (m->nodes[i] == n) return i;
	return -1;
}

static bool is_root(const match *m, const graph_node *n)
{
	for (int k = 0; k < m->n_outputs; k++)
		if (m->outputs[k] && m->outputs[k]->producer == n) return true;
	return false;
}

static bool replaced(const match *m, const graph_value *v)
{
	for (int k = 0; k < m->n_outputs; k++)
		if (m->outputs[k] == v) return true;
	return false;
}

/* What the new nodes read stays, although it lies inside. */
static const char *keep_read(const match *m, bool *going, arena *a)
{
	uint32_t read = 0;
	for (const pattern *p = m->r->right; p; p = p->next) read |= variables_read(m, p);
	for (int v = 0; v < PATTERN_MAX_VARIABLES; v++) {
		const graph_node *n = !(read >> v & 1) ? NULL : m->bound[v].value ? m->bound[v].value->producer : m->bound[v].node;
		int i = n ? index_in(m, n) : -1;
		if (i < 0) continue;
		if (is_root(m, n)) return arena_printf(a, "its input '%s' is computed by node '%s', which it replaces", m->r->variables[v], graph_node_label(n));
		going[i] = false;
	}
	return NULL;
}

/* Why node i has to stay: NULL when nobody but nodes that go reads it. *inside: only nodes of the match that stay do. */
static const char *needed(const match *m, int i, const bool *going, arena *a, bool *inside)
{
	const graph_node *n = m->nodes[i];
	*inside = false;
	for (int k = 0; k < n->n_out; k++) {
		const graph_value *v = n->out[k];
		if (!v || replaced(m, v)) continue;
		if (v->is_output) return arena_printf(a, "value '%s' inside is an output of the graph", v->name);
		for (size_t u = 0; u < v->n_uses; u++) {
			int user = index_in(m, v->uses[u].node);
			if (user < 0) return arena_printf(a, "value '%s' inside is also used by node '%s'", v->name, graph_node_label(v->uses[u].node));
			*inside = *inside || !going[user];
		}
	}
	return NULL;
}

/* Why the place of a match cannot be replaced, in the arena; NULL: it can. going[k] (may be NULL): nodes[k] goes. */
static const char *refusal(const match *m, bool keep_interior, bool *going, arena *a)
{
	const char *reason;
	for (int i = 0; i < m->n_nodes; i++) going[i] = strcmp(m->nodes[i]->type, "Constant") || m->nodes[i]->domain[0];
	if ((reason = keep_read(m, going, a))) return reason;
	for (bool again = true; again;) {
		again = false;
		for (int i = 0; i < m->n_nodes; i++) {
			bool inside, root = is_root(m, m->nodes[i]);
			if (!going[i]) continue;
			reason = needed(m, i, going, a, &inside);
			if (reason && (root || !keep_interior)) return reason;
			if (root || (!reason && !inside)) continue;
			going[i] = false;
			again = true;
		}
	}
	return NULL;
}

/* ---- what comes ------------------------------------------------------------------------------ */

typedef struct planner {
	found_box *f;
	const match *m;
	const replace_place *p;
	const surgery_options *o;
	edit *e;
	const char *reason;
	int made[PATTERN_MAX_VARIABLES];     /* 1 + the node that a variable of the right side stands for; 0: not made yet */
	struct wanted { int variable, output; const char *name; } wanted[PATTERN_MAX_ROOTS]; int n_wanted;
} planner;

/* No replacement here, for a reason that lies in the match: OG_NO goes up to right_plan. */
#define REFUSE(pl, ...) return (pl)->reason = arena_printf((pl)->f->a, __VA_ARGS__), (pl)->reason ? OG_NO : base_no_memory()

static og_status plan_node(planner *pl, const pattern *p, edit_node *n, int *index);

static og_status append(planner *pl, const edit_node *n, int *index)
{
	edit *e = pl->e;
	e->insert = arena_grow(pl->f->a, e->insert, (size_t)e->n_insert, &e->cap_insert, (size_t)e->n_insert + 1, sizeof *e->insert);
	NEED(e->insert);
	*index = e->n_insert;
	e->insert[e->n_insert++] = *n;
	return OG_OK;
}

static og_status fresh(planner *pl, const char *stem, const char **out)
{
	const char *name = graph_fresh_name(pl->p->g, stem);
	NEED(name);
	*out = arena_strdup(pl->f->a, name);
	return *out ? OG_OK : base_no_memory();
}

/* The name of an output of node `index`, which gets one where it has none. */
static og_status output_name(planner *pl, int index, int output, const char **out)
{
	edit_node *n = &pl->e->insert[index];
	if (output >= n->n_out) return base_fail(OG_USAGE, "%s has no output %d that a rule can take", n->type, output);
	if (!n->out[output][0]) TRY(fresh(pl, n->type, &n->out[output]));
	*out = n->out[output];
	return OG_OK;
}

static graph_attr *add_attr(planner *pl, edit_node *n, const char *name, int type)
{
	n->attrs = arena_grow(pl->f->a, n->attrs, (size_t)n->n_attrs, &n->cap_attrs, (size_t)n->n_attrs + 1, sizeof *n->attrs);
	if (!n->attrs) return NULL;
	graph_attr *a = &n->attrs[n->n_attrs++];
	*a = (graph_attr){ .name = arena_strdup(pl->f->a, name), .type = type };
	return a->name ? a : NULL;
}

/* ---- constants -------------------------------------------------------------------------------- */

static og_status plan_constant(planner *pl, const og_tensor *t, const char **out)
{
	edit_node n = { .domain = "", .type = "Constant", .name = "", .n_out = 1 };
	int index;
	n.out = arena_array(pl->f->a, 1, sizeof *n.out);
	NEED(n.out);
	TRY(fresh(pl, "constant", &n.out[0]));
	graph_attr *a = add_attr(pl, &n, "value", OG_ATTR_TENSOR);
	NEED(a);
	a->t = t;
	*out = n.out[0];
	return append(pl, &n, &index);
}

/* The type that a number has as an input: the one that the op takes there, or that of what is replaced. */
static og_dtype number_type(const planner *pl, const schema_arg *arg)
{
	og_dtype t = OG_F32;
	for (int k = 0; k < pl->m->n_outputs; k++)
		if (pl->m->outputs[k] && pl->m->outputs[k]->dtype != OG_NONE) t = pl->m->outputs[k]->dtype;
	if (!arg || arg->types >> t & 1 || !arg->types) return t;
	return (og_dtype)__builtin_ctz(arg->types);
}

/* n numbers, a list or (rank 0) one alone. */
static og_status plan_tensor(planner *pl, const double *x, int64_t n, int rank, og_dtype type, const char **out)
{
	og_tensor *t = graph_tensor_new(pl->f->a, type, rank, &n);
	NEED(t);
	for (int64_t k = 0; k < n; k++)
		if (!edits_tensor_set(t, k, x[k])) REFUSE(pl, "the number %g has no place in a tensor of %s", x[k], base_dtype_name(type));
	return plan_constant(pl, t, out);
}

static og_status plan_number(planner *pl, double x, og_dtype type, const char **out) { return plan_tensor(pl, &x, 1, 0, type, out); }

/* An attribute of the left side as an input. */
static og_status plan_list(planner *pl, const graph_attr *a, const char **out)
{
	int64_t n = (int64_t)a->n;
	if (a->type != OG_ATTR_INTS && a->type != OG_ATTR_FLOATS)
		REFUSE(pl, "attribute %s is no list of numbers, which it must be to become an input", a->name);
	og_tensor *t = graph_tensor_new(pl->f->a, a->type == OG_ATTR_INTS ? OG_I64 : OG_F32, 1, &n);
	NEED(t);
	for (size_t i = 0; i < a->n; i++) {
		if (a->type == OG_ATTR_INTS) ((int64_t *)t->data)[i] = a->ints[i];
		else ((float *)t->data)[i] = a->floats[i];
	}
	return plan_constant(pl, t, out);
}

/* ---- inputs ----------------------------------------------------------------------------------- */

static og_status value_name(planner *pl, const graph_value *v, const schema_arg *arg, const og_op *op, const char **out)
{
	if (arg && v->dtype != OG_NONE && !(arg->types >> v->dtype & 1))
		REFUSE(pl, "'%s' is %s, which %s does not take", v->name, base_dtype_name(v->dtype), schema_called(op));
	*out = arena_strdup(pl->f->a, v->name);
	return *out ? OG_OK : base_no_memory();
}

/* The node that a variable of the right side alone stands for, made once. */
static og_status plan_defined(planner *pl, int variable, int *index)
{
	edit_node n = { .name = "" };
	if (!pl->made[variable]) {
		TRY(plan_node(pl, pl->m->r->defined[variable], &n, index));
		pl->made[variable] = *index + 1;
		for (int i = 0; i < pl->n_wanted; i++)
			if (pl->wanted[i].variable == variable && pl->wanted[i].output < pl->e->insert[*index].n_out)
				pl->e->insert[*index].out[pl->wanted[i].output] = pl->wanted[i].name;
	}
	*index = pl->made[variable] - 1;
	return OG_OK;
}

static og_status plan_variable(planner *pl, const pattern *p, const schema_arg *arg, const og_op *op, const char **out)
{
	const binding *b = &pl->m->bound[p->variable];
	int index;
	if (b->value) return value_name(pl, b->value, arg, op, out);
	if (b->node && (p->output >= b->node->n_out || !b->node->out[p->output]))
		REFUSE(pl, "output %d of node '%s' is not there", p->output, graph_node_label(b->node));
	if (b->node) return value_name(pl, b->node->out[p->output], arg, op, out);
	if (b->has_number) return plan_number(pl, b->number, number_type(pl, arg), out);
	if (b->attr) return plan_list(pl, b->attr, out);
	*out = "";
	if (!pl->m->r->defined[p->variable]) return OG_OK;       /* an optional input that is left out */
	TRY(plan_defined(pl, p->variable, &index));
	return output_name(pl, index, p->output, out);
}

static og_status plan_input(planner *pl, const pattern *p, const schema_arg *arg, const og_op *op, const char **out)
{
	edit_node n = { .name = "" };
	int index;
	*out = "";
	switch (p->kind) {
	case PATTERN_ABSENT: return OG_OK;
	case PATTERN_NUMBER: return plan_number(pl, p->number, number_type(pl, arg), out);
	case PATTERN_VARIABLE: return plan_variable(pl, p, arg, op, out);
	case PATTERN_NODE: break;
	}
	TRY(plan_node(pl, p, &n, &index));
	return output_name(pl, index, p->output, out);
}

/* ---- attributes ------------------------------------------------------------------------------- */

static og_status plan_words(planner *pl, edit_node *n, const og_op *op, const og_attr *d, const char *word)
{
	if (d->type != OG_ATTR_STRING && d->type != OG_ATTR_ENUM)
		return base_fail(OG_USAGE, "attribute %s of %s is not a string", d->name, schema_called(op));
	if (d->type == OG_ATTR_ENUM && schema_attr_word(d, word) < 0) return base_fail_in(OG_USAGE, "op %s", schema_called(op));
	graph_attr *a = add_attr(pl, n, d->name, OG_ATTR_STRING);
	NEED(a);
	a->s = arena_strdup(pl->f->a, word);
	a->n = strlen(word);
	return a->s ? OG_OK : base_no_memory();
}

static og_status plan_numbers(planner *pl, edit_node *n, const og_op *op, const og_attr *d, const double *x, size_t count)
{
	if (d->type != OG_ATTR_INTS && d->type != OG_ATTR_FLOATS)
		return base_fail(OG_USAGE, "attribute %s of %s is not a list of numbers", d->name, schema_called(op));
	int64_t *ints = arena_array(pl->f->a, count + 1, sizeof *ints);
	float *floats = arena_array(pl->f->a, count + 1, sizeof *floats);
	graph_attr *a = add_attr(pl, n, d->name, (int)d->type);
	if (!ints || !floats || !a) return base_no_memory();
	for (size_t i = 0; i < count; i++) {
		if (d->type == OG_ATTR_INTS && (x[i] != floor(x[i]) || fabs(x[i]) > 0x1p62))
			REFUSE(pl, "attribute %s is a list of whole numbers, and %g is none", d->name, x[i]);
		if (d->type == OG_ATTR_INTS) ints[i] = (int64_t)x[i];
		else floats[i] = (float)x[i];
	}
	a->n = count;
	a->ints = d->type == OG_ATTR_INTS ? ints : NULL;
	a->floats = d->type == OG_ATTR_FLOATS ? floats : NULL;
	return OG_OK;
}

/* From an attribute of the left side, or a constant, that is a list or a string. */
static og_status plan_whole(planner *pl, edit_node *n, const og_op *op, const og_attr *d, const binding *b, const char *name)
{
	const graph_attr *a = b->attr;
	const og_tensor *t = b->value ? match_tensor(b->value) : NULL;
	int64_t count = 0;
	if (a && a->type == OG_ATTR_STRING && a->s) return plan_words(pl, n, op, d, a->s);
	if (t && (t->dtype == OG_STRING || !base_count(t->dims, t->rank, &count) || count > 1 << 20)) t = NULL;
	if (!t && !(a && (a->type == OG_ATTR_INTS || a->type == OG_ATTR_FLOATS)))
		REFUSE(pl, "'%s' is not a constant, which attribute %s must be", b->value ? b->value->name : name, d->name);
	if (a) count = (int64_t)a->n;
	double *x = arena_array(pl->f->a, (size_t)count + 1, sizeof *x);
	NEED(x);
	for (int64_t i = 0; i < count; i++)
		x[i] = t ? graph_tensor_double(t, i) : a->type == OG_ATTR_INTS ? (double)a->ints[i] : (double)a->floats[i];
	return plan_numbers(pl, n, op, d, x, (size_t)count);
}

static og_status plan_one(planner *pl, edit_node *n, const og_op *op, const og_attr *d, const pattern_bind *b)
{
	double x;
	og_status status = match_number(pl->m, b, &x);
	if (status == OG_USAGE) REFUSE(pl, "attribute %s: %s", d->name, base_error());
	TRY(status);
	const char *fault = d->type == OG_ATTR_INT && (x != floor(x) || fabs(x) > 0x1p62) ? "it is a whole number" :
	                    !isfinite(x) && d->type == OG_ATTR_INT ? "it is finite" : NULL;
	if (!fault && d->low < d->high && !(x >= d->low && x <= d->high))
		fault = arena_printf(pl->f->a, "it must lie between %g and %g", d->low, d->high);
	if (fault && b->kind == BIND_NUMBER)
		return base_fail(OG_USAGE, "attribute %s of %s cannot be %g: %s", d->name, schema_called(op), x, fault);
	if (fault) REFUSE(pl, "attribute %s cannot be %g: %s", d->name, x, fault);
	graph_attr *a = add_attr(pl, n, d->name, (int)d->type);
	NEED(a);
	if (d->type == OG_ATTR_INT) a->i = (int64_t)x;
	else a->f = (float)x;
	return OG_OK;
}

/* axes and their like are inputs in newer versions of an op: name=... becomes that input. */
static og_status plan_named_input(planner *pl, edit_node *n, const og_op *op, const schema_args *args, const pattern_bind *b)
{
	int k = 0;
	double x;
	while (k < args->n && strcmp(args->arg[k].name, b->name)) k++;
	if (k == args->n || k >= PATTERN_MAX_ARGS || b->kind == BIND_STRING)
		return base_fail(OG_USAGE, "op %s has no attribute '%s'", schema_called(op), b->name);
	for (; n->n_in <= k; n->n_in++) n->in[n->n_in] = "";
	const schema_arg *arg = &args->arg[k];
	const binding *v = b->kind == BIND_VARIABLE && !b->negative ? &pl->m->bound[b->variable] : NULL;
	if (v && v->value) return value_name(pl, v->value, arg, op, &n->in[k]);
	if (v && v->attr) return plan_list(pl, v->attr, &n->in[k]);
	if (b->kind == BIND_NUMBERS) return plan_tensor(pl, b->numbers, (int64_t)b->n, 1, number_type(pl, arg), &n->in[k]);
	og_status status = match_number(pl->m, b, &x);
	if (status == OG_USAGE) REFUSE(pl, "input %s: %s", b->name, base_error());
	TRY(status);
	return plan_tensor(pl, &x, 1, arg->value_needed, number_type(pl, arg), &n->in[k]);
}

static og_status plan_attribute(planner *pl, edit_node *n, const og_op *op, const schema_args *args, const pattern_bind *b)
{
	const og_attr *d = op->attrs;
	while (d && d->name && strcmp(d->name, b->name)) d++;
	if (!d || !d->name) return plan_named_input(pl, n, op, args, b);
	if (b->kind == BIND_STRING) return plan_words(pl, n, op, d, b->string);
	if (b->kind == BIND_NUMBERS) return plan_numbers(pl, n, op, d, b->numbers, b->n);
	if (d->type == OG_ATTR_INT || d->type == OG_ATTR_FLOAT) return plan_one(pl, n, op, d, b);
	if (b->kind != BIND_VARIABLE)
		return base_fail(OG_USAGE, "attribute %s of %s is not a number", d->name, schema_called(op));
	return plan_whole(pl, n, op, d, &pl->m->bound[b->variable], pl->m->r->variables[b->variable]);
}

/* ---- nodes ------------------------------------------------------------------------------------ */

/* n->name and, of a root, n->out are the caller's. Output 0 always has a name. */
static og_status plan_node(planner *pl, const pattern *p, edit_node *n, int *index)
{
	schema_args args;
	const og_op *op = replace_op(pl->p, pl->o, schema_domain(p->op), p->op->name);
	if (!op) op = p->op;                          /* newer than the file: replace_do says so */
	n->domain = schema_domain(p->op);
	n->type = p->op->name;
	n->in = arena_array(pl->f->a, PATTERN_MAX_ARGS, sizeof *n->in);
	NEED(n->in);
	TRY(schema_inputs(&args, op));
	for (int k = 0; k < p->n_args; k++) {
		TRY(plan_input(pl, p->args[k], schema_arg_at(&args, k), op, &n->in[k]));
		if (n->in[k][0]) n->n_in = k + 1;
	}
	for (int i = 0; i < p->n_binds; i++) TRY(plan_attribute(pl, n, op, &args, &p->binds[i]));
	if (!n->out) {
		n->out = arena_array(pl->f->a, PATTERN_MAX_ROOTS, sizeof *n->out);
		NEED(n->out);
		for (int k = 0; k < PATTERN_MAX_ROOTS; k++) n->out[k] = "";
		n->n_out = PATTERN_MAX_ROOTS;
	}
	return append(pl, n, index);
}

/* Makes output k of the match by one root of the right side. */
static og_status plan_root(planner *pl, const pattern *p, int k)
{
	const match *m = pl->m;
	const graph_value *v = m->outputs[k];
	const char *name;
	int index;
	edit_node n = { .name = arena_strdup(pl->f->a, v->producer->name) };
	NEED(n.name);
	if (p->kind == PATTERN_NODE) {
		TRY(plan_node(pl, p, &n, &index));
		if (p->output >= pl->e->insert[index].n_out) return base_fail(OG_USAGE, "%s has no output %d that a rule can take", p->type, p->output);
		return (pl->e->insert[index].out[p->output] = arena_strdup(pl->f->a, v->name)) ? OG_OK : base_no_memory();
	}
	TRY(plan_variable(pl, p, NULL, NULL, &name));
	if (p->kind == PATTERN_VARIABLE && pl->made[p->variable] && !strcmp(name, v->name)) return OG_OK;
	n.domain = "";
	n.type = "Identity";
	n.in = arena_array(pl->f->a, 1, sizeof *n.in);
	n.out = arena_array(pl->f->a, 1, sizeof *n.out);
	if (!n.in || !n.out) return base_no_memory();
	n.in[n.n_in++] = name;
	NEED(n.out[n.n_out++] = arena_strdup(pl->f->a, v->name));
	return append(pl, &n, &index);
}

/* One node that makes all outputs. */
static og_status plan_single(planner *pl, const pattern *p)
{
	const match *m = pl->m;
	edit_node n = { .name = "" };
	int index;
	n.out = arena_array(pl->f->a, (size_t)m->n_outputs, sizeof *n.out);
	NEED(n.out);
	for (int k = 0; k < m->n_outputs; k++) {
		n.out[n.n_out++] = m->outputs[k] ? arena_strdup(pl->f->a, m->outputs[k]->name) : "";
		NEED(n.out[k]);
		if (m->outputs[k] && !n.name[0]) NEED(n.name = arena_strdup(pl->f->a, m->outputs[k]->producer->name));
	}
	return plan_node(pl, p, &n, &index);
}

static og_status plan_roots(planner *pl)
{
	const match *m = pl->m;
	int k = 0;
	if (!m->r->right->next && m->r->right->kind == PATTERN_NODE && m->r->right->output == 0) return plan_single(pl, m->r->right);
	for (const pattern *p = m->r->right; p && k < m->n_outputs; p = p->next, k++) {
		if (p->kind != PATTERN_VARIABLE || !m->outputs[k] || pl->n_wanted == PATTERN_MAX_ROOTS) continue;
		struct wanted *w = &pl->wanted[pl->n_wanted++];
		*w = (struct wanted){ p->variable, p->output, arena_strdup(pl->f->a, m->outputs[k]->name) };
		NEED(w->name);
	}
	k = 0;
	for (const pattern *p = m->r->right; p && k < m->n_outputs; p = p->next, k++)
		if (m->outputs[k]) TRY(plan_root(pl, p, k));
	return OG_OK;
}

/* Outputs without a name at the end are not written; the first one has to be there. */
static og_status trim_outputs(planner *pl)
{
	for (int i = 0; i < pl->e->n_insert; i++) {
		edit_node *n = &pl->e->insert[i];
		const char *name;
		TRY(output_name(pl, i, 0, &name));
		while (!n->out[n->n_out - 1][0]) n->n_out--;
	}
	return OG_OK;
}

static og_status list_going(planner *pl, const bool *going)
{
	const match *m = pl->m;
	edit *e = pl->e;
	e->remove = arena_array(pl->f->a, (size_t)m->n_nodes, sizeof *e->remove);
	NEED(e->remove);
	for (int i = 0; i < m->n_nodes; i++) {
		const graph_node *n = m->nodes[i];
		int k = 0;
		while (k < n->n_out && !n->out[k]) k++;
		if (!going[i] || k == n->n_out) continue;
		NEED(e->remove[e->n_remove++] = arena_strdup(pl->f->a, n->out[k]->name));
	}
	return OG_OK;
}

/* Those of the node that makes what the place is called by. */
static og_status describe_attributes(planner *pl)
{
	edit *e = pl->e;
	for (int i = e->n_insert; i-- > 0;)
		for (int k = 0; k < e->insert[i].n_out; k++)
			if (!strcmp(e->insert[i].out[k], e->m.output))
				return found_attributes(&e->m, pl->f, right_op(pl->m->r), e->insert[i].attrs, e->insert[i].n_attrs);
	return OG_OK;
}

og_status right_plan(edit **out, const char **reason, found_box *f, const match *m, const replace_place *p, const surgery_options *o)
{
	edit *e = *out = arena_alloc(f->a, sizeof *e);
	bool *going = arena_array(f->a, (size_t)m->n_nodes, sizeof *going);
	planner pl = { .f = f, .m = m, .p = p, .o = o, .e = e };
	if (!e || !going) return base_no_memory();
	TRY(found_describe(&e->m, f, m, p->path));
	pl.reason = refusal(m, o->keep_interior, going, f->a);
	og_status status = pl.reason ? OG_NO : plan_roots(&pl);
	if (status == OG_OK) status = trim_outputs(&pl);
	if (status == OG_OK) status = list_going(&pl, going);
	if (status == OG_OK) status = describe_attributes(&pl);
	*reason = pl.reason;
	return status == OG_NO ? OG_OK : status;
}
