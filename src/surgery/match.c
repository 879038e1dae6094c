/* match.c -- does the left side of a rule stand here? */
#include <math.h>

#include "schema/schema.h"
#include "surgery/match.h"

/* A match while it is tried: copied to go back. */
typedef struct attempt {
	const rule *r;
	binding bound[PATTERN_MAX_VARIABLES];
	graph_node *nodes[64]; int n_nodes;
} attempt;

static bool is_type(const graph_node *n, const char *type) { return n && !n->domain[0] && !strcmp(n->type, type); }

/* Nodes that hand input 0 through at inference. */
bool match_transparent(const graph_node *n)
{
	if (is_type(n, "Identity")) return true;
	if (!is_type(n, "Dropout")) return false;
	double training;
	return n->n_in < 3 || !n->in[2] || (match_constant(n->in[2], &training) && training == 0);
}

const og_tensor *match_tensor(const graph_value *v)
{
	while (v && !v->constant && match_transparent(v->producer)) v = v->producer->in[0];
	if (!v || v->constant || !is_type(v->producer, "Constant")) return v ? v->constant : NULL;
	const graph_attr *a = graph_attr_find(v->producer, "value");
	return a && a->type == OG_ATTR_TENSOR ? a->t : NULL;
}

bool match_constant(const graph_value *v, double *out)
{
	const og_tensor *t = match_tensor(v);
	int64_t count;
	if (t) {
		if (t->dtype == OG_STRING || !base_count(t->dims, t->rank, &count) || count != 1) return false;
		*out = graph_tensor_double(t, 0);
		return true;
	}
	while (v && match_transparent(v->producer)) v = v->producer->in[0];
	if (!v || !is_type(v->producer, "Constant")) return false;
	const graph_attr *a = graph_attr_find(v->producer, "value_float");
	if (a) {
		*out = (double)a->f;
		return true;
	}
	a = graph_attr_find(v->producer, "value_int");
	if (a) *out = (double)a->i;
	return a != NULL;
}

static int constant_rank(const graph_value *v)
{
	const og_tensor *t = match_tensor(v);
	return t ? t->rank : 0;
}

/* A one-element constant broadcasts without changing the result's shape when another input has at least its rank. */
bool match_broadcasts_away(const graph_node *n, int k)
{
	int rank = constant_rank(n->in[k]);
	if (rank == 0) return true;
	for (int i = 0; i < n->n_in; i++)
		if (i != k && n->in[i] && (n->in[i]->rank >= rank || (n->in[i]->rank < 0 && rank == 1))) return true;
	return false;
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-6 * fmax(1, fabs(b)); }

/* The number of an attribute, its default where the node does not have it. */
static bool attribute_number(const graph_node *n, const char *name, double *out)
{
	const graph_attr *a = graph_attr_find(n, name);
	if (a && a->type == OG_ATTR_INT) *out = (double)a->i;
	else if (a && a->type == OG_ATTR_FLOAT) *out = (double)a->f;
	else if (a) return false;
	if (a) return true;
	for (const og_attr *d = n->op ? n->op->attrs : NULL; d && d->name; d++)
		if (!strcmp(d->name, name) && (d->type == OG_ATTR_INT || d->type == OG_ATTR_FLOAT)) {
			*out = d->value;
			return true;
		}
	return false;
}

static bool attribute_word(const graph_node *n, const char *name, const char *want)
{
	const graph_attr *a = graph_attr_find(n, name);
	if (a) return a->type == OG_ATTR_STRING && a->n == strlen(want) && !memcmp(a->s, want, a->n);
	for (const og_attr *d = n->op ? n->op->attrs : NULL; d && d->name; d++) {
		if (strcmp(d->name, name) || d->type != OG_ATTR_ENUM) continue;
		const char *word = d->words;
		for (int k = (int)d->value; k > 0 && word; k--) word = strchr(word, '|') ? strchr(word, '|') + 1 : NULL;
		return word && !strncmp(word, want, strlen(want)) && (word[strlen(want)] == '|' || !word[strlen(want)]);
	}
	return false;
}

static bool attribute_numbers(const graph_node *n, const pattern_bind *b)
{
	const graph_attr *a = graph_attr_find(n, b->name);
	if (!a || a->n != b->n || (a->type != OG_ATTR_INTS && a->type != OG_ATTR_FLOATS)) return false;
	for (size_t i = 0; i < b->n; i++)
		if (!near(a->type == OG_ATTR_INTS ? (double)a->ints[i] : (double)a->floats[i], b->numbers[i])) return false;
	return true;
}

static bool bind_attribute(attempt *m, const graph_node *n, const pattern_bind *b)
{
	double x;
	if (b->kind == BIND_STRING) return attribute_word(n, b->name, b->string);
	if (b->kind == BIND_NUMBERS) return attribute_numbers(n, b);
	if (!attribute_number(n, b->name, &x)) return false;
	if (b->kind == BIND_NUMBER) return near(x, b->number);
	binding *v = &m->bound[b->variable];
	if (b->negative) x = -x;
	if (v->value || (v->has_number && !near(v->number, x))) return false;
	v->has_number = true;
	v->number = x;
	return true;
}

static bool match_node(attempt *m, const pattern *p, graph_node *n);

static bool add_node(attempt *m, graph_node *n)
{
	for (int i = 0; i < m->n_nodes; i++)
		if (m->nodes[i] == n) return true;
	if (m->n_nodes == (int)(sizeof m->nodes / sizeof *m->nodes)) return false;
	m->nodes[m->n_nodes++] = n;
	return true;
}

/* Input k of node n against a pattern. */
static bool match_input(attempt *m, const pattern *p, graph_node *n, int k)
{
	graph_value *v = k < n->n_in ? n->in[k] : NULL;
	double x;
	if (p->kind == PATTERN_ABSENT || !v) return p->kind == PATTERN_ABSENT && !v;
	if (p->kind == PATTERN_NUMBER) return match_constant(v, &x) && near(x, p->number) && match_broadcasts_away(n, k);
	if (p->kind == PATTERN_VARIABLE) {
		binding *b = &m->bound[p->variable];
		if (b->has_number) return false;
		graph_value *from = v, *to = b->value;
		while (from && match_transparent(from->producer)) from = from->producer->in[0];
		while (to && match_transparent(to->producer)) to = to->producer->in[0];
		if (b->value) return from == to;
		b->value = v;
		return true;
	}
	while (v && match_transparent(v->producer)) {
		if (!add_node(m, v->producer)) return false;
		v = v->producer->in[0];
	}
	return v && v->producer && v->producer->n_out > 0 && v->producer->out[0] == v && match_node(m, p, v->producer);
}

static bool match_inputs(attempt *m, const pattern *p, graph_node *n, bool swapped)
{
	for (int k = 0; k < p->n_args; k++)
		if (!match_input(m, p->args[k], n, swapped && k < 2 ? 1 - k : k)) return false;
	for (int k = p->n_args; k < n->n_in; k++)
		if (n->in[k]) return false;
	return true;
}

static bool match_node(attempt *m, const pattern *p, graph_node *n)
{
	if (strcmp(p->type, n->type)) return false;
	if (p->domain ? strcmp(p->domain, n->domain) : n->domain[0] && strcmp(n->domain, OG_DOMAIN)) return false;
	if (!add_node(m, n)) return false;
	for (int i = 0; i < p->n_binds; i++)
		if (!bind_attribute(m, n, &p->binds[i])) return false;
	attempt before = *m;
	if (match_inputs(m, p, n, false)) return true;
	if (p->n_args < 2 || !n->op || !(n->op->flags & OG_COMMUTATIVE)) return false;
	*m = before;
	return match_inputs(m, p, n, true);
}

static og_status keep(match_list *l, const attempt *m)
{
	match *found = arena_alloc(l->a, sizeof *found);
	graph_node *root = m->nodes[0];
	NEED(found);
	found->r = m->r;
	memcpy(found->bound, m->bound, sizeof found->bound);
	found->nodes = arena_array(l->a, (size_t)m->n_nodes, sizeof *found->nodes);
	found->outputs = arena_array(l->a, 1, sizeof *found->outputs);
	l->matches = arena_grow(l->a, l->matches, l->n, &l->cap, l->n + 1, sizeof *l->matches);
	if (!found->nodes || !found->outputs || !l->matches) return base_no_memory();
	memcpy(found->nodes, m->nodes, (size_t)m->n_nodes * sizeof *found->nodes);
	found->n_nodes = m->n_nodes;
	found->outputs[0] = root->out[0];
	found->n_outputs = 1;
	l->matches[l->n++] = found;
	return OG_OK;
}

og_status match_graph(match_list *l, const rule *r, const graph *g)
{
	for (graph_node *n = g->first; n; n = n->next) {
		attempt m = { .r = r };
		if (n->n_out && n->out[0] && match_node(&m, r->left, n)) TRY(keep(l, &m));
	}
	return OG_OK;
}

graph_value *match_behind(graph_value *v)
{
	while (v && match_transparent(v->producer)) v = v->producer->in[0];
	return v;
}
