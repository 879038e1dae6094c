/* move_transposes.c -- transposes move through the nodes around them until they cancel each other.
 *
 * A value v can be had in two forms: as it is, or as Transpose(v, p). One *move* takes a permutation that a Transpose of the
 * network has, follows it from there through every node that carries permutations (carry.h), and so finds for each value it
 * meets the other form that fits. Then each node works in one of the two forms, a form that is read and not made costs a
 * transpose of that value, a Transpose node costs what is left of it between its two forms, and what carries nothing stays as
 * it is. The cheapest choice for all nodes at once is a minimum cut. It is taken when it is cheaper than what there is, so
 * moves end; the elements that are transposed never become more.
 *
 *   Transpose -> Conv -> Transpose -> Relu -> Transpose -> Conv -> Transpose   (a network with channels last)
 *   Transpose -> Conv -------------> Relu -------------> Conv -> Transpose */
#include "optimize/carry.h"
#include "optimize/cut.h"
#include "optimize/edit.h"
#include "schema/schema.h"

enum { MAX_PERMS = 32, FIXED = -1 };

/* graph_value.mark while a move is made: the other form. */
typedef struct place {
	perm form;
	graph_value *value, *other;          /* other: that form, once there is one */
	struct place *next;
} place;

/* graph_node.mark: a node that may change. */
typedef struct site {
	carry c;
	perm in, out;                        /* what it carries; of a Transpose: of its input and of its output */
	bool is_transpose;
	int reads, makes;                    /* vertices: is the other form read, made? FIXED: no */
} site;

typedef struct move {
	graph *g;
	arena *a;
	place *first, *last, *queue;         /* queue: whose followers are not found yet */
	cut c;
} move;

/* ---- finding the forms ------------------------------------------------------------------------ */

static bool is_constant(const graph_value *v) { return v->constant && !v->is_input; }

/* The other form of a value; the identity where there is none. */
static perm form_of(const graph_value *v)
{
	const place *at = v->mark;
	return at ? at->form : perm_identity(v->rank);
}

/* The first form that is found for a value stays. */
static og_status set_form(move *m, graph_value *v, const perm *form)
{
	if (v->mark || v->owner != m->g || is_constant(v) || v->rank != form->rank || v->dtype == OG_NONE) return OG_OK;
	place *at = arena_alloc(m->a, sizeof *at);
	NEED(at);
	*at = (place){ .form = *form, .value = v };
	v->mark = at;
	if (m->last) m->last->next = at;
	else m->first = at;
	m->last = at;
	if (!m->queue) m->queue = at;
	return OG_OK;
}

static og_status set_forms(move *m, const carry *c, graph_node *n, const perm *p, const perm *q)
{
	for (int k = 0; k < n->n_in; k++)
		if (carry_bears(c, n, k)) TRY(set_form(m, n->in[k], p));
	for (int k = 0; k < n->n_out; k++)
		if (n->out[k]) TRY(set_form(m, n->out[k], q));
	return OG_OK;
}

/* A node reads v as input `input`, or makes it (-1): the forms of its other values follow. */
static og_status follow(move *m, graph_node *n, int input, const perm *form)
{
	perm t, p, q;
	carry c;
	if (n->owner != m->g) return OG_OK;
	if (perm_of_node(&t, n)) {
		if (input < 0) {
			p = perm_then(&t, form);
			return set_form(m, n->in[0], &p);
		}
		t = perm_inverse(&t);
		q = perm_then(&t, form);
		return set_form(m, n->out[0], &q);
	}
	if (!carry_of(&c, n)) return OG_OK;
	if (input >= 0 && (!carry_bears(&c, n, input) || !carry_forward(&c, &q, form))) return OG_OK;
	if (input < 0 && !carry_backward(&c, &p, form)) return OG_OK;
	return set_forms(m, &c, n, input < 0 ? &p : form, input < 0 ? form : &q);
}

/* Puts v into a form, and all that follows from it. */
static og_status spread(move *m, graph_value *v, const perm *form)
{
	TRY(set_form(m, v, form));
	for (; m->queue; m->queue = m->queue->next) {
		const place *at = m->queue;
		if (perm_is_identity(&at->form)) continue;
		if (at->value->producer) TRY(follow(m, at->value->producer, -1, &at->form));
		for (size_t k = 0; k < at->value->n_uses; k++)
			TRY(follow(m, at->value->uses[k].node, at->value->uses[k].input, &at->form));
	}
	return OG_OK;
}

static bool is_own_inverse(const perm *p)
{
	perm inverse = perm_inverse(p);
	return perm_equal(p, &inverse);
}

/* Begins at every Transpose by `form`, whose input may come in it, and by its inverse, whose output may. Where both are the same
 * these are two moves: `back` takes the outputs. */
static og_status find_forms(move *m, const perm *form, bool back)
{
	perm inverse = perm_inverse(form), t;
	bool same = is_own_inverse(form);
	for (graph_node *n = m->g->first; n; n = n->next) {
		if (!perm_of_node(&t, n)) continue;
		if (perm_equal(&t, form) && !(same && back)) TRY(spread(m, n->in[0], form));
		if (perm_equal(&t, &inverse) && (!same || back)) TRY(spread(m, n->out[0], form));
	}
	return OG_OK;
}

/* ---- costs ------------------------------------------------------------------------------------ */

/* The cost of a transpose of v, or of another form of it, which has these dimensions: bytes first, then the number of nodes. A
 * dimension that is not known counts as its usual size or 64. */
static int64_t cost_of(const graph_value *v, const og_dim *dims, const perm *p)
{
	const og_model *m = v->owner->model;
	double bytes = og_dtype_bytes(v->dtype) ? (double)og_dtype_bytes(v->dtype) : 1;
	if (perm_is_identity(p)) return 0;
	if (perm_keeps_bytes(p, dims)) return 1;
	for (int k = 0; k < v->rank; k++) {
		int64_t d = dims[k], symbol = -2 - d;
		if (d < 0) d = symbol >= 0 && symbol < m->n_symbols && m->symbols[symbol].opt > 0 ? m->symbols[symbol].opt : 64;
		bytes *= (double)d;
	}
	return bytes < 0x1p40 ? ((int64_t)bytes << 10) + 1 : (int64_t)1 << 50;
}

/* What a Transpose by t does between the forms of its input and output; `reads`, `makes`: the other ones. */
static perm between(const perm *t, const site *s, bool reads, bool makes)
{
	perm p = *t;
	if (reads) {
		perm back = perm_inverse(&s->in);
		p = perm_then(&back, &p);
	}
	return makes ? perm_then(&p, &s->out) : p;
}

static int64_t cost_between(const graph_node *n, const perm *t, const site *s, bool reads, bool makes)
{
	perm p = between(t, s, reads, makes);
	og_dim other[OG_MAX_RANK];
	perm_dims(other, n->in[0]->dims, &s->in);
	return cost_of(n->in[0], reads ? other : n->in[0]->dims, &p);
}

/* ---- the choice as a cut ---------------------------------------------------------------------- */

static og_status add_cost(cut *c, int vertex, int64_t yes_rather_than_no)
{
	if (yes_rather_than_no > 0) return cut_edge(c, vertex, CUT_NO, yes_rather_than_no);
	return yes_rather_than_no < 0 ? cut_edge(c, CUT_YES, vertex, -yes_rather_than_no) : OG_OK;
}

static og_status add_transpose(move *m, graph_node *n, const perm *t)
{
	site *s = arena_alloc(m->a, sizeof *s);
	NEED(s);
	*s = (site){ .in = form_of(n->in[0]), .out = form_of(n->out[0]), .is_transpose = true, .reads = FIXED, .makes = FIXED };
	n->mark = s;
	bool reads = !perm_is_identity(&s->in) && !is_constant(n->in[0]), makes = !perm_is_identity(&s->out);
	int64_t as_is = cost_between(n, t, s, false, false), read = reads ? cost_between(n, t, s, true, false) : 0;
	int64_t made = makes ? cost_between(n, t, s, false, true) : 0;
	/* Forms that would be exchanged are no choice that a cut can make: one side stays as it is. */
	if (reads && makes && read + made < as_is + cost_between(n, t, s, true, true)) {
		if (read < made) makes = false;
		else reads = false;
	}
	if (reads) {
		TRY(cut_vertex(&m->c, &s->reads));
		TRY(add_cost(&m->c, s->reads, read - as_is));
	}
	if (!makes) return OG_OK;
	TRY(cut_vertex(&m->c, &s->makes));
	if (!reads) return add_cost(&m->c, s->makes, made - as_is);
	int64_t both = cost_between(n, t, s, true, true);
	TRY(add_cost(&m->c, s->makes, both - read));
	return cut_edge(&m->c, s->makes, s->reads, read + made - as_is - both);
}

static og_status add_node(move *m, graph_node *n)
{
	carry c;
	perm p = { .rank = -1 }, q;
	bool changes = false;
	for (int k = 0; k < n->n_in; k++) changes |= n->in[k] && n->in[k]->mark;
	for (int k = 0; k < n->n_out; k++) changes |= n->out[k] && n->out[k]->mark;
	if (!changes || !carry_of(&c, n)) return OG_OK;
	for (int k = 0; k < n->n_in; k++) {
		if (!carry_bears(&c, n, k) || is_constant(n->in[k])) continue;
		perm form = form_of(n->in[k]);
		if (n->in[k]->owner != m->g || (p.rank >= 0 && !perm_equal(&form, &p))) return OG_OK;
		p = form;
	}
	q = form_of(n->out[0]);
	for (int k = 1; k < n->n_out; k++) {
		if (!n->out[k]) continue;
		perm form = form_of(n->out[k]);
		if (!perm_equal(&form, &q)) return OG_OK;
	}
	if (p.rank < 0 || (perm_is_identity(&p) && perm_is_identity(&q)) || !carry_allows(&c, n, &p, &q)) return OG_OK;
	site *s = arena_alloc(m->a, sizeof *s);
	NEED(s);
	*s = (site){ .c = c, .in = p, .out = q };
	TRY(cut_vertex(&m->c, &s->reads));
	s->makes = s->reads;
	n->mark = s;
	return OG_OK;
}

/* The vertex that says whether a use reads the other form; FIXED: it does not. */
static int reader(const move *m, const graph_use *use)
{
	const site *s = use->node->owner == m->g ? use->node->mark : NULL;
	return s && (s->is_transpose || carry_bears(&s->c, use->node, use->input)) ? s->reads : FIXED;
}

/* A form that is read and not made is one transpose, however many read it. */
static og_status add_value(move *m, const place *at)
{
	const graph_value *v = at->value;
	const site *s = v->producer ? v->producer->mark : NULL;
	int makes = s ? s->makes : FIXED, other, plain, n = 0;
	bool as_is = v->is_output;
	int64_t cost = cost_of(v, v->dims, &at->form);
	for (size_t k = 0; k < v->n_uses; k++) {
		int vertex = reader(m, &v->uses[k]);
		as_is |= vertex == FIXED;
		n += vertex != FIXED;
	}
	if (n) {                             /* other: does anyone read the other form, where it is not made? */
		TRY(cut_vertex(&m->c, &other));
		TRY(cut_edge(&m->c, other, makes == FIXED ? CUT_NO : makes, cost));
	}
	if (makes != FIXED) {                /* plain: does nobody read the value as it is, where it is not made? */
		plain = CUT_NO;
		if (!as_is) TRY(cut_vertex(&m->c, &plain));
		TRY(cut_edge(&m->c, makes, plain, cost));
	}
	for (size_t k = 0; k < v->n_uses; k++) {
		int vertex = reader(m, &v->uses[k]);
		if (vertex == FIXED) continue;
		TRY(cut_edge(&m->c, vertex, other, CUT_NEVER));
		if (makes != FIXED && !as_is) TRY(cut_edge(&m->c, plain, vertex, CUT_NEVER));
	}
	return OG_OK;
}

static og_status choose(move *m)
{
	perm t;
	TRY(cut_start(&m->c, m->a));
	for (graph_node *n = m->g->first; n; n = n->next)
		TRY(perm_of_node(&t, n) ? add_transpose(m, n, &t) : add_node(m, n));
	for (const place *at = m->first; at; at = at->next)
		if (!perm_is_identity(&at->form)) TRY(add_value(m, at));
	return cut_solve(&m->c);
}

/* ---- doing it --------------------------------------------------------------------------------- */

static bool is_yes(const move *m, int vertex) { return vertex != FIXED && cut_is_yes(&m->c, vertex); }

static og_status set_perm(graph_node *n, const perm *p)
{
	int64_t axes[OG_MAX_RANK];
	for (int k = 0; k < p->rank; k++) axes[k] = p->axis[k];
	return graph_attr_set_ints(n, "perm", axes, (size_t)p->rank);
}

static og_status add_transpose_node(graph_node *before, graph_value *from, graph_value *to, const perm *p)
{
	graph_node *n;
	graph *g = from->owner;
	TRY(graph_node_add(&n, g, before, "", "Transpose", "", 1, 1));
	n->op = schema_find("", "Transpose", graph_opset_version(g->model, ""));
	TRY(set_perm(n, p));
	TRY(graph_set_input(n, 0, from));
	return graph_set_output(n, 0, to);
}

/* Makes the other form of a value that is read or made in it, and the transpose where one form comes of the other. */
static og_status make_value(move *m, place *at)
{
	graph_value *v = at->value;
	graph_node *producer = v->producer, *behind = producer ? producer->next : m->g->first;
	const site *s = producer ? producer->mark : NULL;
	bool made = s && is_yes(m, s->makes), other = false, plain = v->is_output;
	for (size_t k = 0; k < v->n_uses; k++) {
		bool yes = is_yes(m, reader(m, &v->uses[k]));
		other |= yes;
		plain |= !yes;
	}
	if (!made && !other) return OG_OK;
	og_dim dims[OG_MAX_RANK];
	perm_dims(dims, v->dims, &at->form);
	char *name = graph_fresh_name(m->g, v->name);
	NEED(name);
	TRY(graph_value_add(&at->other, m->g, name, v->dtype, v->rank, dims));
	if (!made) return add_transpose_node(behind, v, at->other, &at->form);
	TRY(graph_set_output(producer, v->output, at->other));
	perm back = perm_inverse(&at->form);
	return plain ? add_transpose_node(behind, at->other, v, &back) : OG_OK;
}

static og_status change_node(const move *m, graph_node *n)
{
	const site *s = n->mark;
	perm t;
	if (!s) return OG_OK;
	if (!s->is_transpose) return is_yes(m, s->reads) ? carry_apply(&s->c, n, &s->in, &s->out) : OG_OK;
	if (!perm_of_node(&t, n)) return OG_OK;
	t = between(&t, s, is_yes(m, s->reads), is_yes(m, s->makes));
	return set_perm(n, &t);
}

static og_status read_other(const move *m, graph_node *n)
{
	const site *s = n->mark;
	if (!s || !is_yes(m, s->reads)) return OG_OK;
	for (int k = 0; k < n->n_in; k++) {
		const place *at = n->in[k] ? n->in[k]->mark : NULL;
		if (at && at->other && (s->is_transpose || carry_bears(&s->c, n, k))) TRY(graph_set_input(n, k, at->other));
	}
	return OG_OK;
}

static og_status apply(move *m)
{
	for (graph_node *n = m->g->first; n; n = n->next) TRY(change_node(m, n));
	for (place *at = m->first; at; at = at->next)
		if (!perm_is_identity(&at->form)) TRY(make_value(m, at));
	for (graph_node *n = m->g->first; n; n = n->next) TRY(read_other(m, n));
	for (place *at = m->first; at; at = at->next) {
		graph_value *v = at->value;
		if (at->other && !v->producer && !v->n_uses && !v->is_input && !v->is_output) graph_value_remove(v);
	}
	return OG_OK;
}

static void clear_marks(graph *g)
{
	for (graph_node *n = g->first; n; n = n->next) n->mark = NULL;
	for (graph_value *v = g->first_value; v; v = v->next) v->mark = NULL;
}

/* One move; *done: it was worth it. */
static og_status try_move(graph *g, const perm *form, bool back, bool *done)
{
	move m = { .g = g, .a = arena_create() };
	NEED(m.a);
	clear_marks(g);
	*done = false;
	og_status status = find_forms(&m, form, back);
	if (status == OG_OK) status = choose(&m);
	if (status == OG_OK) {
		for (int v = CUT_NO + 1; v < m.c.n_vertices && !*done; v++) *done = cut_is_yes(&m.c, v);
		if (*done) status = apply(&m);
	}
	clear_marks(g);
	arena_destroy(m.a);
	return status;
}

/* ---- what is left ----------------------------------------------------------------------------- */

/* Transposes that nobody reads, that change nothing, and those of constants go. */
static og_status tidy(graph *g)
{
	for (graph_node *n = g->last, *prev; n; n = prev) {
		perm p;
		bool done;
		prev = n->prev;
		if (!perm_of_node(&p, n)) continue;
		graph_value *x = n->in[0], *y = n->out[0];
		if (!y->n_uses && !y->is_output) {
			edit_remove(n);
		} else if (perm_is_identity(&p)) {
			TRY(edit_bypass(n, x, &done));
		} else if (is_constant(x) && !y->is_output && perm_has_tensor(x->constant)) {
			og_tensor *t = perm_tensor(g->model->a, x->constant, &p);
			NEED(t);
			graph_node_remove(n);
			TRY(graph_constant_set(y, t));
		}
	}
	return OG_OK;
}

/* A Transpose that leaves the bytes where they are is a Reshape. */
static og_status reshape(graph_node *n, const perm *p)
{
	graph *g = n->owner;
	graph_value *x = n->in[0], *y = n->out[0], *shape;
	graph_node *reshape;
	if (!perm_keeps_bytes(p, x->dims) || !carry_reshapes(g, x->dims, x->rank, y->dims, y->rank)) return OG_OK;
	TRY(carry_shape(&shape, g, x->dims, x->rank, y->dims, y->rank));
	TRY(graph_node_add(&reshape, g, n, "", "Reshape", n->name, 2, 1));
	reshape->op = schema_find("", "Reshape", graph_opset_version(g->model, ""));
	TRY(graph_set_input(reshape, 0, x));
	TRY(graph_set_input(reshape, 1, shape));
	graph_node_remove(n);
	return graph_set_output(reshape, 0, y);
}

/* The permutations of the network's transposes and their inverses, the first of each. */
static int find_perms(perm *out, const graph *g)
{
	int count = 0;
	perm both[2];
	for (const graph_node *n = g->first; n && count < MAX_PERMS; n = n->next) {
		if (!perm_of_node(&both[0], n)) continue;
		both[1] = perm_inverse(&both[0]);
		for (int k = 0; k < 2 && count < MAX_PERMS; k++) {
			int at = 0;
			while (at < count && !perm_equal(&out[at], &both[k])) at++;
			if (at == count) out[count++] = both[k];
		}
	}
	return count;
}

og_status optimize_move_transposes(og_model *m, const optimize_options *o)
{
	(void)o;
	graph *g = m->main;
	perm forms[MAX_PERMS], p;
	TRY(tidy(g));
	for (bool again = true; again; ) {
		int n = find_perms(forms, g);
		again = false;
		for (int k = 0; k < 2 * n; k++) {
			bool done, back = k % 2;
			if (back && !is_own_inverse(&forms[k / 2])) continue;
			TRY(try_move(g, &forms[k / 2], back, &done));
			if (done) TRY(tidy(g));
			again |= done;
		}
	}
	for (graph_node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (perm_of_node(&p, n)) TRY(reshape(n, &p));
	}
	return OG_OK;
}
