/* apply.c -- replacing what a rule matched. */
#include <math.h>

#include "schema/schema.h"
#include "surgery/match.h"

/* ---- what was found -------------------------------------------------------------------------- */

typedef struct found_box {
	og_found found;                      /* first, so that og_found * is a found_box * */
	arena *a;
	og_match *matches, *refused;
	size_t cap_matches, cap_refused;
} found_box;

void og_found_free(og_found *f)
{
	if (f) arena_destroy(((found_box *)f)->a);
}

static og_status found_create(found_box **out)
{
	arena *a = arena_create();
	*out = a ? arena_alloc(a, sizeof **out) : NULL;
	if (!*out) {
		arena_destroy(a);
		return base_no_memory();
	}
	(*out)->a = a;
	return OG_OK;
}

static const char *node_label(const graph_node *n)
{
	if (n->name[0]) return n->name;
	return n->n_out && n->out[0] ? n->out[0]->name : n->type;
}

static og_status describe_attributes(found_box *f, og_match *m, const match *from, const double *numbers)
{
	const pattern *p = from->r->right;
	og_attribute *list = arena_array(f->a, (size_t)p->n_binds + 1, sizeof *list);
	NEED(list);
	for (int i = 0; i < p->n_binds; i++)
		if (p->binds[i].kind == BIND_NUMBER || p->binds[i].kind == BIND_VARIABLE)
			list[m->n_attributes++] = (og_attribute){ arena_strdup(f->a, p->binds[i].name), numbers[i] };
	m->attributes = list;
	return OG_OK;
}

/* Adds a match, or with a reason a refusal. */
static og_status found_add(found_box *f, const match *m, const double *numbers, const char *reason)
{
	og_match *o;
	if (!f) return OG_OK;
	const char **names = arena_array(f->a, (size_t)m->n_nodes, sizeof *names);
	NEED(names);
	for (int i = 0; i < m->n_nodes; i++) {
		names[i] = arena_strdup(f->a, node_label(m->nodes[i]));
		NEED(names[i]);
	}
	size_t *n = reason ? &f->found.n_refused : &f->found.n_matches, *cap = reason ? &f->cap_refused : &f->cap_matches;
	og_match **list = reason ? &f->refused : &f->matches;
	*list = arena_grow(f->a, *list, *n, cap, *n + 1, sizeof **list);
	NEED(*list);
	o = &(*list)[(*n)++];
	*o = (og_match){ .op = arena_strdup(f->a, schema_called(m->r->right->op)), .output = arena_strdup(f->a, m->nodes[0]->out[0]->name),
	                 .nodes = names, .n_nodes = m->n_nodes, .how = m->r->how,
	                 .reason = reason ? arena_strdup(f->a, reason) : NULL };
	if (!o->op || !o->output || (reason && !o->reason)) return base_no_memory();
	f->found.matches = f->matches;
	f->found.refused = f->refused;
	return reason ? OG_OK : describe_attributes(f, o, m, numbers);
}

/* ---- may it be replaced? --------------------------------------------------------------------- */

static bool matched(const match *m, const graph_node *n)
{
	for (int i = 0; i < m->n_nodes; i++)
		if (m->nodes[i] == n) return true;
	return false;
}

/* Why the region cannot go: an interior value is needed elsewhere. NULL: it can. */
static const char *interior_needed(const match *m, arena *a)
{
	for (int i = 1; i < m->n_nodes; i++)
		for (int k = 0; k < m->nodes[i]->n_out; k++) {
			const graph_value *v = m->nodes[i]->out[k];
			if (!v) continue;
			if (v->is_output) return arena_printf(a, "value '%s' inside is an output of the graph", v->name);
			for (size_t u = 0; u < v->n_uses; u++)
				if (!matched(m, v->uses[u].node))
					return arena_printf(a, "value '%s' inside is also used by node '%s'", v->name, node_label(v->uses[u].node));
		}
	return NULL;
}

/* The numbers of the right side's attributes; a reason when one has none. */
static const char *attribute_numbers(const match *m, arena *a, double *numbers)
{
	const pattern *p = m->r->right;
	for (int i = 0; i < p->n_binds; i++) {
		const pattern_bind *b = &p->binds[i];
		numbers[i] = b->number;
		if (b->kind != BIND_VARIABLE) continue;
		const binding *v = &m->bound[b->variable];
		if (v->has_number) {
			numbers[i] = v->number;
		} else if (!v->value || !match_constant(v->value, &numbers[i])) {
			return arena_printf(a, "'%s' is not a constant of one element, which attribute %s must be",
			                    v->value ? v->value->name : m->r->variables[b->variable], b->name);
		}
		if (b->negative) numbers[i] = -numbers[i];
	}
	return NULL;
}

/* ---- replacing ------------------------------------------------------------------------------- */

typedef struct surgeon {
	og_model *m;
	const surgery_options *o;
	found_box *found;
	arena *a;
} surgeon;

static og_status set_attribute(graph_node *n, const og_op *op, const pattern_bind *b, double number, arena *a)
{
	const og_attr *d = op->attrs;
	while (d && d->name && strcmp(d->name, b->name)) d++;
	if (!d || !d->name) return base_fail(OG_USAGE, "op %s has no attribute '%s'", op->name, b->name);
	if (b->kind == BIND_STRING) return graph_attr_set_string(n, b->name, b->string);
	if (b->kind == BIND_NUMBERS && d->type == OG_ATTR_INTS) {
		int64_t *ints = arena_array(a, b->n + 1, sizeof *ints);
		NEED(ints);
		for (size_t i = 0; i < b->n; i++) ints[i] = (int64_t)b->numbers[i];
		return graph_attr_set_ints(n, b->name, ints, b->n);
	}
	if (b->kind == BIND_NUMBERS) {
		float *floats = arena_array(a, b->n + 1, sizeof *floats);
		NEED(floats);
		for (size_t i = 0; i < b->n; i++) floats[i] = (float)b->numbers[i];
		return graph_attr_set_floats(n, b->name, floats, b->n);
	}
	if (d->low < d->high && !(number >= d->low && number <= d->high))
		return base_fail(OG_USAGE, "attribute %s of %s must lie between %g and %g, not be %g", b->name, op->name, d->low, d->high, number);
	if (d->type == OG_ATTR_INT && number != floor(number))
		return base_fail(OG_USAGE, "attribute %s of %s is a whole number, not %g", b->name, op->name, number);
	return d->type == OG_ATTR_INT ? graph_attr_set_int(n, b->name, (int64_t)number) : graph_attr_set_float(n, b->name, (float)number);
}

static og_status constant_value(graph *g, graph_value **out, double number)
{
	og_tensor *t = graph_tensor_new(g->model->a, OG_F32, 0, NULL);
	char *name = graph_fresh_name(g, "constant");
	if (!t || !name) return base_no_memory();
	*(float *)t->data = (float)number;
	return graph_constant_add(out, g, name, t);
}

static og_status legal_in_file(surgeon *s, const og_op *op)
{
	const char *domain = schema_domain(op);
	if (domain[0]) {
		TRY(graph_opset_require(s->m, domain, op->since));
		return surgery_add_function(s->m, op);
	}
	int64_t version = graph_opset_version(s->m, "");
	if (schema_find("", op->name, version)) return OG_OK;
	return base_fail(OG_UNSUPPORTED, "op %s exists since opset %d, and the model imports opset %lld", op->name, op->since,
	                 (long long)version);
}

/* Makes the nodes of a right side in front of root; *out is the value they make (NULL for the outermost: root's own). */
static og_status make(surgeon *s, const match *m, const pattern *p, graph_node *root, const double *numbers, graph_value **out,
                      graph_node **made)
{
	graph_node *n;
	graph *g = root->owner;
	if (p->kind == PATTERN_VARIABLE) {
		*out = m->bound[p->variable].value;
		return *out ? OG_OK : base_fail(OG_USAGE, "variable '%s' is an attribute and stands for an input", m->r->variables[p->variable]);
	}
	if (p->kind == PATTERN_NUMBER) return constant_value(g, out, p->number);
	*out = NULL;
	if (p->kind == PATTERN_ABSENT) return OG_OK;
	const char *domain = schema_domain(p->op);
	if (s->o->for_file) TRY(legal_in_file(s, p->op));
	TRY(graph_node_add(&n, g, root, domain, p->op->name, p == m->r->right ? root->name : "", p->n_args, 1));
	n->op = domain[0] || !s->o->for_file ? p->op : schema_find("", p->op->name, graph_opset_version(s->m, ""));
	for (int k = 0; k < p->n_args; k++) {
		graph_value *v;
		TRY(make(s, m, p->args[k], root, numbers, &v, NULL));
		if (v) TRY(graph_set_input(n, k, v));
	}
	for (int i = 0; i < p->n_binds; i++) {
		double number = numbers && p == m->r->right ? numbers[i] : p->binds[i].number;
		TRY(set_attribute(n, n->op, &p->binds[i], number, s->a));
	}
	if (domain[0] && s->o->for_file)              /* a function's attributes are always given */
		for (const og_attr *d = n->op->attrs; d && d->name; d++)
			if (d->type == OG_ATTR_FLOAT && !graph_attr_find(n, d->name)) TRY(graph_attr_set_float(n, d->name, (float)d->value));
	if (made) {
		*made = n;
		return OG_OK;
	}
	char *name = graph_fresh_name(g, p->op->name);
	NEED(name);
	TRY(graph_value_add(out, g, name, OG_NONE, -1, NULL));
	return graph_set_output(n, 0, *out);
}

/* Removes what nobody reads any more: nodes of the match, and the constants that only they read. */
static void sweep(const match *m)
{
	for (int i = 1; i < m->n_nodes; i++) {
		graph_node *n = m->nodes[i];
		graph_value *touched[64];
		int count = 0;
		for (int k = 0; k < n->n_in && count < 32; k++)
			if (n->in[k]) touched[count++] = n->in[k];
		for (int k = 0; k < n->n_out && count < 64; k++)
			if (n->out[k]) touched[count++] = n->out[k];
		graph_node_remove(n);
		for (int k = 0; k < count; k++) {
			graph_value *v = touched[k];
			bool again = false;
			for (int j = 0; j < k; j++) again = again || touched[j] == v;
			if (!again && !v->n_uses && !v->producer && !v->is_input && !v->is_output) graph_value_remove(v);
		}
	}
}

static og_status replace(surgeon *s, const match *m, const double *numbers)
{
	graph_node *root = m->nodes[0], *made;
	graph_value *out = root->out[0], *none;
	TRY(make(s, m, m->r->right, root, numbers, &none, &made));
	graph_value *inputs[64];
	int count = 0;
	for (int k = 0; k < root->n_in && count < 64; k++)
		if (root->in[k]) inputs[count++] = root->in[k];
	graph_node_remove(root);
	TRY(graph_set_output(made, 0, out));
	for (int k = 0; k < count; k++) {             /* constants that only the root read */
		graph_value *v = inputs[k];
		for (int j = 0; v && j < k; j++)
			if (inputs[j] == v) v = NULL;
		if (v && v->constant && v->owner == out->owner && !v->n_uses && !v->is_input && !v->is_output) graph_value_remove(v);
	}
	sweep(m);
	return OG_OK;
}

static og_status visit(surgeon *s, const match *m)
{
	double numbers[PATTERN_MAX_BINDS] = { 0 };
	graph_node *root = m->nodes[0];
	if (s->o->only && !base_glob(s->o->only, node_label(root))) return OG_OK;
	if (s->o->skip && base_glob(s->o->skip, node_label(root))) return OG_OK;
	for (int i = 0; i < m->n_nodes; i++)
		if (m->nodes[i]->mark) return OG_OK;     /* a place before this one has it */
	for (int k = 1; k < root->n_out; k++)
		if (root->out[k]) return found_add(s->found, m, numbers, "its further outputs are wanted");
	const char *reason = interior_needed(m, s->a);
	if (!reason) reason = attribute_numbers(m, s->a, numbers);
	TRY(found_add(s->found, m, numbers, reason));
	if (reason) return OG_OK;
	for (int i = 0; i < m->n_nodes; i++) m->nodes[i]->mark = s;
	return replace(s, m, numbers);
}

static og_status walk(surgeon *s, const rule *r, graph *g)
{
	match_list l = { .a = s->a };
	for (graph_node *n = g->first; n; n = n->next) {
		n->mark = NULL;
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g) TRY(walk(s, r, n->attrs[i].g));
	}
	TRY(match_graph(&l, r, g));
	for (size_t i = 0; i < l.n; i++) TRY(visit(s, l.matches[i]));
	return OG_OK;
}

og_status surgery_apply(og_model *m, const surgery_rules *rules, const surgery_options *o, og_found **found)
{
	surgeon s = { .m = m, .o = o, .a = arena_create() };
	NEED(s.a);
	og_status status = found ? found_create(&s.found) : OG_OK;
	for (size_t i = 0; status == OG_OK && i < rules->n; i++) {
		int functions = m->n_functions;          /* those added on the way hold our own bodies */
		status = walk(&s, &rules->rules[i], m->main);
		for (int k = 0; status == OG_OK && k < functions; k++)
			if (strcmp(m->functions[k].domain, OG_DOMAIN)) status = walk(&s, &rules->rules[i], m->functions[k].body);
	}
	if (status == OG_OK) status = schema_infer(m->main);
	arena_destroy(s.a);
	if (found && status == OG_OK) *found = &s.found->found;
	else if (s.found) og_found_free(&s.found->found);
	return status;
}
