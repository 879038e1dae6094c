/* match.c -- does the left side of a rule stand here?
 *
 * A search with a list of goals: "this expression stands for this value". A goal of an op leads to those of its inputs;
 * where there is a choice (operands of commutative ops, roots behind the first) each way is tried, with all that is
 * still to be shown behind it, until one holds. The steps at one root are counted and bounded, so that no rule and no
 * graph makes it slow. */
#include <math.h>
#include <stdlib.h>

#include "surgery/search.h"

static bool solve(search *s, const goal *g);

/* ---- state ----------------------------------------------------------------------------------- */

typedef struct mark { int n_nodes, n_trail, n_goals, fitted, cost; miss first; } mark;

static mark here(const search *s) { return (mark){ s->n_nodes, s->n_trail, s->n_goals, s->fitted, s->cost, s->first }; }

static void back_to(search *s, const mark *m)
{
	while (s->n_trail > m->n_trail) s->set[s->trail[--s->n_trail]] = false;
	s->n_nodes = m->n_nodes;
	s->n_goals = m->n_goals;
	s->fitted = m->fitted;
	s->cost = m->cost;
	s->first = m->first;
}

binding *match_set(search *s, int variable)
{
	s->set[variable] = true;
	s->trail[s->n_trail++] = variable;
	s->bound[variable] = (binding){ .value = NULL };
	return &s->bound[variable];
}

static bool add_node(search *s, graph_node *n)
{
	for (int i = 0; i < s->n_nodes; i++)
		if (s->nodes[i] == n) return true;
	if (s->n_nodes == MATCH_MAX_NODES) return false;
	s->nodes[s->n_nodes++] = n;
	return true;
}

/* How far a miss is off: another value of the right kind is nearer than something else. */
static int cost(const miss *m)
{
	double x;
	if (m->kind == MISS_NUMBER) return m->v && match_constant(m->v, &x) ? 1 : 2;
	return m->kind == MISS_ATTRIBUTE || m->kind == MISS_AGAIN || m->kind == MISS_BROADCASTS ||
	       m->kind == MISS_ELEMENTS ? 1 : 2;
}

/* A goal fails, for this reason. True: go on without it. */
static bool forgive(search *s, miss m)
{
	if (!s->soft) return false;
	if (!s->cost) s->first = m;
	s->cost += cost(&m);
	return true;
}

static bool spent(search *s) { return s->no_memory || ++s->steps > s->limit; }

/* ---- one goal -------------------------------------------------------------------------------- */

/* Words differ in their first letter mostly. */
static bool same_word(const char *a, const char *b) { return a[0] == b[0] && !strcmp(a, b); }

static bool type_fits(const pattern *p, const graph_node *n)
{
	if (p->domain) return same_word(p->type, n->type) && !strcmp(p->domain, n->domain);
	if (!n->domain[0]) return same_word(p->type, n->type);
	if (!n->op && strcmp(n->domain, OG_DOMAIN)) return false;
	return same_word(p->type, n->type) || (n->op && n->op->called && same_word(p->type, n->op->called));
}

static bool number_fits(search *s, const goal *g)
{
	og_tensor t;
	double x;
	const pattern *p = g->p;
	miss m = { .kind = MISS_NUMBER, .p = p, .n = g->at.user, .input = g->at.input, .v = g->v };
	if (!g->v || !match_constant_tensor(g->v, &t)) return forgive(s, m);
	if (!match_tensor_number(&t, &x)) {
		m.kind = MISS_ELEMENTS;
		return forgive(s, m);
	}
	bool near = match_near(x, p->number, p->tolerance) ||
	            (t.dtype == OG_F16 && x == (double)base_half_to_float(base_float_to_half((float)p->number))) ||
	            (t.dtype == OG_BF16 && x == (double)base_bfloat_to_float(base_float_to_bfloat((float)p->number)));
	if (!near) return forgive(s, m);
	m.kind = MISS_BROADCASTS;
	return match_broadcasts_away(g->at.user, g->at.input) || forgive(s, m);
}

/* A name that `where` does not define. */
static bool variable_fits(search *s, const goal *g)
{
	const pattern *p = g->p;
	int v = p->variable;
	double x;
	miss m = { .kind = MISS_ABSENT, .p = p, .n = g->at.user, .input = g->at.input, .v = g->v };
	if (!g->v && !p->optional && !s->set[v]) return forgive(s, m);
	if (s->set[v]) {
		m.kind = MISS_AGAIN;
		m.other = s->bound[v].value;
		return match_behind(g->v) == match_behind(s->bound[v].value) || forgive(s, m);
	}
	if (g->v && s->r->as_number[v]) {
		m.kind = MISS_CONSTANT;
		if (!match_constant(g->v, &x)) return forgive(s, m);
		m.kind = MISS_BROADCASTS;
		if (!match_broadcasts_away(g->at.user, g->at.input)) return forgive(s, m);
	}
	match_set(s, v)->value = g->v;
	return true;
}

/* The node of type p whose output m->v is, transparent nodes in between looked through; NULL and why in *m: none. */
static graph_node *node_behind(search *s, const pattern *p, int output, miss *m)
{
	graph_value *v = m->v;
	m->kind = MISS_TYPE;
	for (int i = 0; v && v->producer && !type_fits(p, v->producer); i++) {
		if (i == MATCH_LOOK_THROUGH || v->output || !match_transparent(v->producer)) return NULL;
		if (!add_node(s, v->producer)) return NULL;
		v = v->producer->in[0];
		m->v = v;
	}
	if (!v || !v->producer) return NULL;
	m->kind = MISS_OUTPUT;
	m->count = output;
	if (v->output != output) return NULL;
	m->kind = MISS_OUTSIDE;
	if (v->producer->owner != s->g) return NULL;
	m->kind = MISS_WORK;
	return add_node(s, v->producer) ? v->producer : NULL;
}

static bool attributes_fit(search *s, const pattern *p, const graph_node *n, uint64_t *taken)
{
	*taken = 0;
	for (int i = 0; i < p->n_binds; i++)
		if (!match_attribute(s, n, p, &p->binds[i], taken) &&
		    !forgive(s, (miss){ .kind = MISS_ATTRIBUTE, .p = p, .b = &p->binds[i], .n = n, .input = -1 })) return false;
	return true;
}

/* Inputs that the rule does not speak of are not there. */
static bool nothing_more(search *s, const pattern *p, const graph_node *n, uint64_t taken)
{
	for (int k = p->n_args; k < n->n_in; k++)
		if (n->in[k] && !(k < 64 && taken >> k & 1))
			return forgive(s, (miss){ .kind = MISS_PRESENT, .p = p, .n = n, .input = k, .v = n->in[k] });
	return true;
}

/* ---- operands of commutative nodes ------------------------------------------------------------- */

static bool is_op(const search *s, const pattern *p)
{
	return p->kind == PATTERN_NODE || (p->kind == PATTERN_VARIABLE && s->r->defined[p->variable] && !s->set[p->variable]);
}

static bool leaf_fits(const search *s, const pattern *p, const graph_value *v)
{
	const pattern *type = p->kind == PATTERN_NODE ? p : s->r->defined[p->variable];
	for (int i = 0; v && v->producer && i < MATCH_LOOK_THROUGH; i++) {
		if (type_fits(type, v->producer)) return true;
		if (v->output || !match_transparent(v->producer)) return false;
		v = v->producer->in[0];
	}
	return false;
}

/* The next operand against each leaf that is left. */
static bool assign(search *s, const goal *g)
{
	const pattern *p = g->p->operands[g->index];
	goal rest = *g;
	rest.index++;
	bool typed = is_op(s, p), some = false;  /* an op goes where its type is; for a near miss anywhere if that is nowhere */
	for (int i = 0; s->soft && typed && !some && i < g->n_leaves; i++)
		some = !(g->used >> i & 1) && leaf_fits(s, p, g->leaves[i].user->in[g->leaves[i].input]);
	for (int i = 0; i < g->n_leaves; i++) {
		const leaf *at = &g->leaves[i];
		graph_value *v = at->user->in[at->input];
		bool skip = g->used >> i & 1 || (typed && (some || !s->soft) && !leaf_fits(s, p, v));
		for (int k = 0; k < i && !skip; k++)         /* the same value was tried */
			skip = !(g->used >> k & 1) && g->leaves[k].user->in[g->leaves[k].input] == v;
		if (skip) continue;
		mark m = here(s);
		rest.used = g->used | 1u << i;
		goal first = { .kind = GOAL_VALUE, .p = p, .v = v, .at = *at, .next = &rest };
		if (solve(s, &first)) return true;
		back_to(s, &m);
		if (s->steps > s->limit) return false;
	}
	if (!s->soft || g->n_leaves >= g->p->n_operands) return false;
	rest.used = g->used;                     /* a leaf too few: this operand may be the one that is missing */
	return solve(s, &rest);
}

/* A chain of nodes of one type, as (a + b) + c, against n operands: opens nodes from leaf `from` on until there are as
 * many leaves, in every way. */
static bool open_chain(search *s, const pattern *p, const graph_node *top, const leaf *leaves, int n, int from,
                       const goal *next)
{
	goal g = { .kind = GOAL_OPERANDS, .p = p, .leaves = leaves, .n_leaves = n, .next = next };
	if (n == p->n_operands) return solve(s, &g);
	bool opened = false;
	for (int i = from; i < n; i++) {
		graph_value *v = match_behind(leaves[i].user->in[leaves[i].input]);
		graph_node *inner = v && !v->output ? v->producer : NULL;
		if (!inner || inner->owner != s->g || !same_word(inner->type, top->type)) continue;
		if (strcmp(inner->domain, top->domain)) continue;
		if (inner->n_in < 1 || n - 1 + inner->n_in > p->n_operands) continue;
		if (spent(s)) return false;
		mark m = here(s);
		miss way = { .v = leaves[i].user->in[leaves[i].input] };
		leaf more[PATTERN_MAX_ARGS];
		bool whole = node_behind(s, p, 0, &way) != NULL;
		memcpy(more, leaves, (size_t)i * sizeof *more);
		for (int k = 0; k < inner->n_in; k++) {
			more[i + k] = (leaf){ inner, k };
			whole = whole && inner->in[k];
		}
		memcpy(more + i + inner->n_in, leaves + i + 1, (size_t)(n - i - 1) * sizeof *more);
		s->fitted++;
		opened = opened || whole;
		if (whole && open_chain(s, p, top, more, n - 1 + inner->n_in, i, next)) return true;
		back_to(s, &m);
	}
	miss m = { .kind = MISS_OPERANDS, .p = p, .n = top, .input = -1, .count = n };
	if (opened || !forgive(s, m)) return false;
	return solve(s, &g);
}

static bool match_operands(search *s, const pattern *p, graph_node *n, const goal *next)
{
	leaf leaves[PATTERN_MAX_ARGS];
	int count = 0;
	for (int k = 0; k < n->n_in; k++) {
		if (!n->in[k] || count == p->n_operands)
			return forgive(s, (miss){ .kind = MISS_INPUTS, .p = p, .n = n, .input = -1, .count = n->n_in }) && solve(s, next);
		leaves[count++] = (leaf){ n, k };
	}
	return open_chain(s, p, n, leaves, count, 0, next);
}

/* ---- roots behind the first --------------------------------------------------------------------- */

typedef struct path {
	const pattern *step[2 * PATTERN_MAX_DEPTH]; int n;   /* the root first */
	bool seen[PATTERN_MAX_VARIABLES];    /* definitions that were looked into */
	graph_value *from;                   /* what is bound */
} path;

/* The way from p down to something that is bound. */
static bool find_path(const search *s, const pattern *p, path *w)
{
	if (p->kind == PATTERN_VARIABLE) {
		if (s->set[p->variable]) {
			const binding *b = &s->bound[p->variable];
			w->from = b->node ? (p->output < b->node->n_out ? b->node->out[p->output] : NULL) : match_behind(b->value);
			return w->from != NULL;
		}
		const pattern *defined = s->r->defined[p->variable];
		if (!defined || w->seen[p->variable]) return false;
		w->seen[p->variable] = true;
		return find_path(s, defined, w);
	}
	if (p->kind != PATTERN_NODE || w->n == 2 * PATTERN_MAX_DEPTH) return false;
	w->step[w->n++] = p;
	for (int k = 0; k < p->n_args; k++)
		if (find_path(s, p->args[k], w)) return true;
	w->n--;
	return false;
}

/* Root g stands with this output of it? */
static bool try_root(search *s, const goal *g, graph_value *v)
{
	if (!v) return false;
	for (int i = 0; i < g->index; i++)
		if (s->outputs[i] == v) return false;
	mark m = here(s);
	goal root = { .kind = GOAL_VALUE, .p = g->p, .v = v, .next = g->next };
	s->outputs[g->index] = v;
	if (solve(s, &root)) return true;
	back_to(s, &m);
	return false;
}

/* From a value up to nodes of the path's types, past at most `through` transparent ones; each that ends it is tried. */
static bool climb(search *s, const goal *g, const path *w, const graph_value *v, int step, int through)
{
	for (size_t u = 0; u < v->n_uses; u++) {
		graph_node *n = v->uses[u].node;
		if (spent(s)) return false;
		if (n->owner != s->g || !n->n_out) continue;
		if (!type_fits(w->step[step], n)) {
			if (through && match_transparent(n) && n->out[0] && climb(s, g, w, n->out[0], step, through - 1)) return true;
		} else if (step == 0) {
			int k = g->p->output;
			if (k < n->n_out && try_root(s, g, n->out[k])) return true;
		} else {
			for (int k = 0; k < n->n_out; k++)
				if (n->out[k] && climb(s, g, w, n->out[k], step - 1, through)) return true;
		}
	}
	return false;
}

static bool match_root(search *s, const goal *g)
{
	path w = { .n = 0 };
	const pattern *p = g->p;
	s->outputs[g->index] = NULL;
	if (p->kind == PATTERN_ABSENT) return solve(s, g->next);
	if (p->kind == PATTERN_VARIABLE && s->set[p->variable]) {
		const graph_node *n = s->bound[p->variable].node;
		s->outputs[g->index] = p->output < n->n_out ? n->out[p->output] : NULL;
		return solve(s, g->next);
	}
	if (find_path(s, p, &w) && w.n && climb(s, g, &w, w.from, w.n - 1, MATCH_LOOK_THROUGH)) return true;
	return forgive(s, (miss){ .kind = MISS_ROOT, .p = p, .n = s->nodes[0], .input = -1 }) && solve(s, g->next);
}

/* ---- the search ---------------------------------------------------------------------------------- */

/* SOLVED: all that is behind the goal holds too. */
typedef enum outcome { FAILS, FITS, SOLVED } outcome;

/* Op p, or a name that is defined as it, against a value; *next: what is to be shown then. */
static outcome node_fits(search *s, const pattern *p, const goal *g, const goal **next)
{
	uint64_t taken;
	miss m = { .p = p, .n = g->at.user, .input = g->at.input, .v = g->v };
	graph_node *n = node_behind(s, p, g->p->output, &m);
	if (!n) return forgive(s, m) ? FITS : FAILS;
	s->fitted++;
	if (g->p->kind == PATTERN_VARIABLE) {
		binding *b = match_set(s, g->p->variable);
		b->node = n;
		b->value = p->output < n->n_out ? n->out[p->output] : NULL;
	}
	if (!attributes_fit(s, p, n, &taken)) return FAILS;
	if (p->n_operands) return match_operands(s, p, n, *next) ? SOLVED : FAILS;
	if (!nothing_more(s, p, n, taken) || s->n_goals + p->n_args > MATCH_MAX_GOALS) return FAILS;
	for (int k = p->n_args - 1; k >= 0; k--) {
		goal *more = &s->goals[s->n_goals++];
		graph_value *v = k < n->n_in ? n->in[k] : NULL;
		*more = (goal){ .kind = GOAL_VALUE, .p = p->args[k], .v = v, .at = { n, k }, .next = *next };
		*next = more;
	}
	return FITS;
}

/* A name that stands for a node already: what is looked through on the way to it lies inside, too. */
static bool same_again(search *s, const pattern *p, const goal *g)
{
	const graph_node *n = s->bound[p->variable].node;
	graph_value *want = p->output < n->n_out ? n->out[p->output] : NULL, *v = g->v;
	miss m = { .kind = MISS_AGAIN, .p = p, .n = g->at.user, .input = g->at.input, .v = v, .other = want };
	if (!want || match_behind(v) != match_behind(want)) return forgive(s, m);
	for (int i = 0; i < MATCH_LOOK_THROUGH && v != want && match_transparent(v->producer); i++) {
		if (!add_node(s, v->producer)) return false;
		v = v->producer->in[0];
	}
	return true;
}

static outcome value_fits(search *s, const goal *g, const goal **next)
{
	const pattern *p = g->p;
	miss m = { .kind = MISS_PRESENT, .p = p, .n = g->at.user, .input = g->at.input, .v = g->v };
	switch (p->kind) {
	case PATTERN_NODE: return node_fits(s, p, g, next);
	case PATTERN_NUMBER: return number_fits(s, g) ? FITS : FAILS;
	case PATTERN_ABSENT: return !g->v || forgive(s, m) ? FITS : FAILS;
	default: break;
	}
	const pattern *defined = s->r->defined[p->variable];
	if (!defined) return variable_fits(s, g) ? FITS : FAILS;
	if (!s->set[p->variable]) return node_fits(s, defined, g, next);
	return same_again(s, p, g) ? FITS : FAILS;
}

/* All goals hold. A soft search remembers how near this way came and looks for a nearer one. */
static bool finished(search *s)
{
	if (!s->soft) return true;
	if (s->fitted < s->best_fitted || (s->fitted == s->best_fitted && s->cost >= s->best_cost)) return false;
	s->best_fitted = s->fitted;
	s->best_cost = s->cost;
	s->best = s->first;
	s->n_best_nodes = s->n_nodes;
	memcpy(s->best_nodes, s->nodes, (size_t)s->n_nodes * sizeof *s->nodes);
	return false;
}

static bool solve(search *s, const goal *g)
{
	while (g) {
		if (spent(s)) return false;
		const goal *next = g->next;
		if (g->kind == GOAL_ROOT) return match_root(s, g);
		if (g->kind == GOAL_OPERANDS) {
			if (g->index < g->p->n_operands) return assign(s, g);
		} else {
			outcome o = value_fits(s, g, &next);
			if (o != FITS) return o == SOLVED;
		}
		g = next;
	}
	return finished(s);
}

/* ---- one rule at one root -------------------------------------------------------------------------- */

static bool search_at(search *s, graph_node *root, int limit, bool soft)
{
	static const mark start;
	goal roots[PATTERN_MAX_ROOTS];
	const pattern *p = s->r->left;
	int n = 0;
	back_to(s, &start);
	s->soft = soft;
	s->steps = 0;
	s->limit = limit;
	s->outputs[0] = root->out[p->output];
	for (; p && n < PATTERN_MAX_ROOTS; p = p->next, n++)
		roots[n] = (goal){ .kind = n ? GOAL_ROOT : GOAL_VALUE, .p = p, .v = n ? NULL : s->outputs[0], .index = n,
		                   .next = p->next ? &roots[n + 1] : NULL };
	return solve(s, roots);
}

/* Cheap: no node with another first letter is transparent. */
static bool may_be_transparent(const char *type) { return type[0] == 'I' || type[0] == 'D' || type[0] == 'C'; }

/* An op that is looked through itself may stand anywhere on the way: such a pattern is not judged here. */
static bool glance_fits(const search *s, const pattern *p, const graph_node *direct, const graph_node *behind)
{
	const pattern *type = p->kind == PATTERN_NODE ? p : s->r->defined[p->variable];
	if (direct && type_fits(type, direct)) return true;
	return behind != direct && ((behind && type_fits(type, behind)) || may_be_transparent(type->type));
}

/* A look at the types of the root's inputs, before anything is searched. *near: one is as the rule has it, or the rule
 * is one op. Returns whether all are. */
static bool glance(const search *s, const graph_node *root, bool *near)
{
	const pattern *p = s->r->left;
	bool any_order = p->n_operands > 0, all = true;
	int n = any_order ? p->n_operands : p->n_args, n_in = root->n_in < PATTERN_MAX_ARGS ? root->n_in : PATTERN_MAX_ARGS;
	bool chain = p->n_operands > n_in;           /* an operand may stand deeper */
	*near = s->r->n_nodes == 1;
	for (int i = 0; chain && i < n_in; i++) *near = *near || (s->behind[i] && same_word(s->behind[i]->type, root->type));
	for (int k = 0; k < n; k++) {
		const pattern *arg = any_order ? p->operands[k] : p->args[k];
		if (!is_op(s, arg)) continue;
		bool fits = false;
		for (int i = any_order ? 0 : k; !fits && i < n_in && (any_order || i == k); i++)
			fits = glance_fits(s, arg, s->direct[i], s->behind[i]);
		*near = *near || fits;
		all = all && (fits || chain);
	}
	return all;
}

int match_inputs_need(const rule *r, const char *types[PATTERN_MAX_ARGS + 1])
{
	const pattern *p = r->left;
	int n = 0;
	for (int k = 0; k < (p->n_operands ? p->n_operands : p->n_args); k++) {
		const pattern *arg = p->n_operands ? p->operands[k] : p->args[k];
		const pattern *op = arg->kind == PATTERN_VARIABLE ? r->defined[arg->variable] : arg->kind == PATTERN_NODE ? arg : NULL;
		if (op && may_be_transparent(op->type)) return 0;
		if (op) types[n++] = op->type;
	}
	if (n && p->n_operands) types[n++] = p->type;         /* of a chain they may stand deeper */
	return n;
}

void match_look(search *s, const graph_node *root)
{
	for (int i = 0; i < root->n_in && i < PATTERN_MAX_ARGS; i++) {
		graph_value *v = root->in[i];
		s->direct[i] = s->behind[i] = v ? v->producer : NULL;
		if (!s->direct[i] || !may_be_transparent(s->direct[i]->type)) continue;
		v = match_behind(v);
		s->behind[i] = v->producer;
	}
}

bool match_type(const rule *r, const graph_node *n)
{
	return type_fits(r->left, n) && r->left->output < n->n_out && n->out[r->left->output];
}

bool match_at(search *s, graph_node *root)
{
	static const mark start;
	s->steps = 0;
	back_to(s, &start);
	return glance(s, root, &s->near) && search_at(s, root, MATCH_STEPS, false);
}

bool match_miss_at(search *s, graph_node *root)
{
	if (s->steps > MATCH_STEPS) {                /* of match_at */
		s->best = (miss){ .kind = MISS_WORK, .n = root, .input = -1 };
		s->best_fitted = s->r->n_nodes;
		s->best_nodes[0] = root;
		s->n_best_nodes = 1;
		return true;
	}
	s->best_fitted = s->best_cost = 0;
	if (!s->near) return false;
	search_at(s, root, MATCH_MISS_STEPS, true);
	if (s->r->n_nodes > 1) return s->best_fitted >= 2 && 2 * s->best_fitted >= s->r->n_nodes;
	double x;                                    /* one op alone: what differs must be written in the graph as well */
	return s->best_fitted && (s->best.kind == MISS_ATTRIBUTE ||
	                          (s->best.kind == MISS_NUMBER && s->best.v && match_constant(s->best.v, &x)));
}
