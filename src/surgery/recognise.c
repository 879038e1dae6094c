/* recognise.c -- finds ops by what regions of a graph compute. docs/recognition.md tells how.
 *
 * One sweep in topological order: for every value the nearest single value that all its variable inputs come from (its
 * `up`), and what it is as a function of that value, of the one above that, and so on, RECOGNISE_PATHS at most. */
#include "surgery/recognise.h"

/* Cuts are not looked for above so many values that are ops themselves. */
enum { MOST_OPS = 1 };

/* What the sweep knows of a value. */
typedef struct info {
	graph_value *v;
	void *mark;                          /* what v->mark was */
	graph_value *same;                   /* the value behind nodes that hand it through */
	graph_value *up;                     /* NULL: it comes from more than one value, or from no elementwise node */
	recognise_path *path[RECOGNISE_PATHS]; int n_paths;     /* over up, over up's up, ... */
	bool constant; double number; int rank;      /* computed from constants of one element */
	const graph_value *culprit;          /* a constant that is no number, or changes the shape; the path is as if not */
	bool is_op;                          /* a region that ends here was found to be one */
	bool covered;                        /* the node that makes it is in a match or a near miss */
} info;

/* A near miss. */
typedef struct candidate {
	info *root;
	graph_value *cut[2];                 /* the second of a pair, else NULL */
	recognise_path *path;
	const char *reason;
	bool kept;
} candidate;

typedef struct sweep {
	recogniser *r;
	match_list *l;
	const graph *g;
	info *infos;
	arena *a;
	bool misses;
	candidate *miss; size_t n_misses, cap_misses;
	og_status status;                    /* of making steps and paths */
} sweep;

og_status recognise_create(recogniser **out, const og_op *op)
{
	arena *a = arena_create();
	recogniser *r = a ? arena_alloc(a, sizeof *r) : NULL;
	*out = NULL;
	if (!r) {
		arena_destroy(a);
		return base_no_memory();
	}
	r->a = a;
	r->op = op;
	og_status status = recognise_paths_create(r);
	if (status == OG_OK) status = recognise_fit_create(r);
	if (status == OG_OK) status = recognise_variants_create(r);
	if (status == OG_OK) *out = r;
	else recognise_destroy(r);
	return status;
}

void recognise_destroy(recogniser *r)
{
	if (!r) return;
	recognise_paths_destroy(r);
	arena_destroy(r->a);
}

/* ---- values ------------------------------------------------------------------------------------ */

static info *info_of(const sweep *s, const graph_value *v) { return v && v->owner == s->g ? v->mark : NULL; }

static graph_value *behind(const sweep *s, graph_value *v)
{
	info *i = info_of(s, v);
	return i ? i->same : match_behind(v);
}

/* The k-th value above v, v itself for 0; NULL: there is none, or no function of it. */
static graph_value *above(const sweep *s, graph_value *v, int k)
{
	for (; v && k > 0; k--) {
		info *i = info_of(s, v);
		v = i ? i->up : NULL;
	}
	return v;
}

/* How v hangs on `cut`: a path, NULL for v itself; false when it can't be said. */
static bool path_over(const sweep *s, graph_value *v, const graph_value *cut, const recognise_path **path)
{
	info *i = info_of(s, v);
	*path = NULL;
	if (v == cut) return true;
	graph_value *at = v;
	for (int k = 0; i && k < i->n_paths; k++) {
		at = above(s, at, 1);
		if (at != cut) continue;
		*path = i->path[k];
		return true;
	}
	return false;
}

static bool constant_number(const sweep *s, graph_value *v, double *number)
{
	v = behind(s, v);
	const info *i = info_of(s, v);
	if (i && i->constant) *number = i->number;
	return i && i->constant ? true : match_constant(v, number);
}

static int known_rank(const sweep *s, graph_value *v)
{
	while (v && v->rank < 0) v = above(s, v, 1);
	return v ? v->rank : -1;
}

/* Rank and dimensions of a constant. */
static int constant_shape(const sweep *s, graph_value *c, int64_t *dims)
{
	const og_tensor *t = match_tensor(c);
	const graph_value *v = match_behind(c);
	const info *i = info_of(s, behind(s, c));
	const graph_attr *list = NULL;
	if (t) memcpy(dims, t->dims, sizeof t->dims);
	if (t) return t->rank;
	if (i && i->constant) {
		for (int d = 0; d < i->rank; d++) dims[d] = 1;
		return i->rank;
	}
	if (v->producer) list = graph_attr_find(v->producer, "value_floats");
	if (v->producer && !list) list = graph_attr_find(v->producer, "value_ints");
	if (list) dims[0] = (int64_t)list->n;
	return list != NULL;
}

/* True when the constant c, broadcast with v, leaves v's shape as it is. */
static bool keeps_shape(const sweep *s, graph_value *c, graph_value *v)
{
	int64_t dims[OG_MAX_RANK];
	int rank = known_rank(s, v), own = constant_shape(s, c, dims);
	if (rank < 0 ? own > 1 : own > rank) return false;
	for (int d = 0; d < own; d++)
		if (dims[d] != 1 && (v->rank < 0 || v->dims[v->rank - own + d] != dims[d])) return false;
	return true;
}

static bool is_real(og_dtype t) { return t == OG_F32 || t == OG_F64 || t == OG_F16 || t == OG_BF16; }
static bool may_be_real(og_dtype t) { return is_real(t) || t == OG_NONE; }

/* ---- nodes ------------------------------------------------------------------------------------- */

/* What kind of step this node is, when its inputs are; false: none. */
static bool begin_step(sweep *s, recognise_step *step, const graph_node *n, const recognise_facts **facts)
{
	const og_op *op = n->op;
	if (!op || !n->out[0] || n->n_in < 1 || n->n_in > RECOGNISE_INPUTS) return false;
	if (!may_be_real(n->out[0]->dtype) && n->out[0]->dtype != OG_BOOL) return false;
	const recognise_facts *f = *facts = recognise_facts_get(s->r, op);
	if (!f) s->status = base_no_memory();
	if (!f || !f->elementwise) return false;
	*step = (recognise_step){ .op = op, .kind = f->kind, .real = f->real };
	step->n = f->kind == RECOGNISE_PICK ? 3 : f->kind == RECOGNISE_SAME ? 1 : f->variadic ? n->n_in : op->map_inputs;
	step->unit = n->out[0]->dtype == OG_F16 ? 0x1p-11 : n->out[0]->dtype == OG_BF16 ? 0x1p-8 : 0;
	if (f->variadic && step->n == 1) step->kind = RECOGNISE_SAME;
	if (f->kind == RECOGNISE_SAME) return is_real(n->out[0]->dtype);
	return n->n_in <= step->n;
}

static bool step_attributes(sweep *s, recognise_step *step, const graph_node *n)
{
	const og_attr_value *value;
	if (n->op->map_attrs == 0 || step->kind == RECOGNISE_PICK || step->kind == RECOGNISE_SAME) return true;
	for (int k = 0; k < n->n_attrs; k++)
		if (n->attrs[k].ref) return false;       /* of a function, whose call says it */
	og_status status = schema_attributes(&value, s->a, n);
	if (status == OG_NO_MEMORY) s->status = status;
	if (status != OG_OK) return false;       /* illegal: whoever runs the model says so */
	for (int k = 0; k < n->op->map_attrs; k++) step->attr[k] = value[k].f;
	return true;
}

/* The inputs of a node: constants into the step, variables into `value` (else NULL there). */
static bool read_inputs(sweep *s, recognise_step *step, const graph_node *n, const schema_args *args,
                        graph_value **value)
{
	for (int k = 0; k < step->n; k++) {
		graph_value *v = k < n->n_in ? n->in[k] : NULL;
		value[k] = NULL;
		step->in[k].constant = true;
		if (!v) {
			if (k >= args->n || !args->arg[k].has_default) return false;
			step->in[k].number = args->arg[k].value;
			continue;
		}
		if (constant_number(s, v, &step->in[k].number)) continue;
		step->in[k].constant = false;
		value[k] = behind(s, v);
		bool is_truth = value[k]->dtype == OG_BOOL;
		if (!match_tensor(v) && !is_truth && (!may_be_real(value[k]->dtype) || step->kind == RECOGNISE_SAME)) return false;
	}
	return true;
}

/* A node of numbers is a number. */
static void fold(sweep *s, const recognise_step *step, const graph_node *n, info *made)
{
	if (!is_real(n->out[0]->dtype) && n->out[0]->dtype != OG_BOOL) return;
	for (int k = 0; k < n->n_in; k++) {
		int64_t dims[OG_MAX_RANK], count;
		int rank = n->in[k] ? constant_shape(s, n->in[k], dims) : 0;
		if (!base_count(dims, rank, &count) || count != 1) return;
		if (rank > made->rank) made->rank = rank;
	}
	made->constant = true;
	made->number = recognise_number(s->r, step);
	if (n->out[0]->dtype == OG_F32) made->number = (double)(float)made->number;
}

/* A constant that ends the region is taken for its first element when near misses are wanted. */
static bool look_past(sweep *s, recognise_step *step, const graph_node *n, graph_value **value, info *made,
                      graph_value *shape)
{
	for (int k = 0; k < step->n; k++) {
		graph_value *v = k < n->n_in ? n->in[k] : NULL;
		const og_tensor *t = v ? match_tensor(v) : NULL;
		bool number = step->in[k].constant;
		int64_t count = 0;
		if (!v || (!number && !t) || (number && keeps_shape(s, v, shape))) continue;
		if (!s->misses || (t && (!base_count(t->dims, t->rank, &count) || count < 1 || t->dtype == OG_STRING))) return false;
		if (!number) step->in[k].number = graph_tensor_double(t, 0);
		step->in[k].constant = true;
		step->altered = true;
		made->culprit = v;
		value[k] = NULL;
	}
	return true;
}

/* The nearest value that all of the inputs hang on alone, or NULL. */
static graph_value *meet(const sweep *s, graph_value *const *value, int n)
{
	graph_value *first = NULL;
	for (int k = 0; k < n && !first; k++) first = value[k];
	for (int up = 0; up <= RECOGNISE_PATHS; up++) {
		graph_value *at = above(s, first, up);
		const recognise_path *path;
		bool all = at != NULL;
		for (int k = 0; all && k < n; k++) all = !value[k] || path_over(s, value[k], at, &path);
		if (all) return at;
	}
	return NULL;
}

static void add_paths(sweep *s, info *made, const recognise_step *top)
{
	info *up = info_of(s, made->up);
	recognise_path *p = recognise_path_get(s->r, top, NULL, &s->status);
	int ops = 0;
	for (int k = 0; p && k < RECOGNISE_PATHS; k++) {
		made->path[made->n_paths++] = p;
		graph_value *at = above(s, made->v, k + 1);
		if (info_of(s, at) && info_of(s, at)->is_op && ++ops > MOST_OPS) break;
		p = up && k < up->n_paths && k + 1 < RECOGNISE_PATHS ? recognise_path_get(s->r, top, up->path[k], &s->status) : NULL;
	}
	if (made->n_paths == 0) made->up = NULL;
}

static bool set_paths(const sweep *s, recognise_step *step, graph_value *const *value, const graph_value *const *cut)
{
	for (int k = 0; k < step->n; k++)
		if (value[k] && !path_over(s, value[k], cut[k], &step->in[k].path)) return false;
	return true;
}

static void look_for_pair(sweep *s, info *made, recognise_step *step, graph_value *const *value);

static void take_node(sweep *s, const graph_node *n)
{
	recognise_step step;
	const recognise_facts *facts;
	graph_value *value[RECOGNISE_INPUTS], *variable = NULL;
	const graph_value *cut[RECOGNISE_INPUTS];
	info *made = n->n_out > 0 ? info_of(s, n->out[0]) : NULL;
	if (!made) return;
	if (match_transparent(n)) {
		made->same = behind(s, n->in[0]);
		return;
	}
	if (!begin_step(s, &step, n, &facts) || !step_attributes(s, &step, n)) return;
	if (!read_inputs(s, &step, n, &facts->in, value)) return;
	for (int k = 0; k < step.n; k++)
		if (value[k] && !match_tensor(value[k])) variable = value[k];
	if (!variable) {
		bool numbers = true;
		for (int k = 0; k < step.n; k++) numbers &= value[k] == NULL;
		if (numbers) fold(s, &step, n, made);
		return;
	}
	if (!look_past(s, &step, n, value, made, variable)) return;
	made->up = meet(s, value, step.n);
	for (int k = 0; k < step.n; k++) cut[k] = made->up;
	if (made->up && set_paths(s, &step, value, cut)) {
		const recognise_step *top = recognise_step_get(s->r, &step, &s->status);
		if (top) add_paths(s, made, top);
		else made->up = NULL;
	} else {
		made->up = NULL;
		if (s->misses) look_for_pair(s, made, &step, value);
	}
}

/* ---- what was found ----------------------------------------------------------------------------- */

typedef struct region { graph_node *node[2 * RECOGNISE_NODES]; int n, n_steps; } region;

/* The nodes between root and cut, roots first, those that are looked through too; false: too many. */
static bool collect(const sweep *s, region *q, graph_value *v, graph_value *const cut[2])
{
	graph_node *n = v->producer;
	double number;
	if (v == cut[0] || v == cut[1] || !n || v->owner != s->g || constant_number(s, v, &number) || match_tensor(v)) return true;
	for (int k = 0; k < q->n; k++)
		if (q->node[k] == n) return true;
	if (q->n == 2 * RECOGNISE_NODES) return false;
	q->node[q->n++] = n;
	bool through = match_transparent(n);
	if (!through && ++q->n_steps > RECOGNISE_NODES) return false;
	for (int k = 0; k < (through ? 1 : n->n_in); k++)
		if (n->in[k] && !collect(s, q, n->in[k], cut)) return false;
	return true;
}

static og_status make_match(sweep *s, match **out, const region *q, graph_value *root, graph_value *cut,
                            recognise_verdict *d)
{
	arena *a = s->l->a;
	match *m = *out = arena_alloc(a, sizeof *m);
	NEED(m);
	m->nodes = arena_array(a, (size_t)q->n, sizeof *m->nodes);
	m->outputs = arena_array(a, 1, sizeof *m->outputs);
	if (!m->nodes || !m->outputs) return base_no_memory();
	memcpy(m->nodes, q->node, (size_t)q->n * sizeof *m->nodes);
	m->n_nodes = q->n;
	m->outputs[0] = root;
	m->n_outputs = 1;
	m->bound[0].value = cut;
	m->error = d->error;
	if (d->turn != s->r->turn) TRY(recognise_rule(d, a));
	d->turn = s->r->turn;
	m->r = d->rule;
	return OG_OK;
}

static og_status keep_match(sweep *s, match *m)
{
	match_list *l = s->l;
	l->matches = arena_grow(l->a, l->matches, l->n, &l->cap, l->n + 1, sizeof *l->matches);
	NEED(l->matches);
	l->matches[l->n++] = m;
	for (int k = 0; k < m->n_nodes; k++) {
		info *i = info_of(s, m->nodes[k]->out[0]);
		if (i) i->covered = true;
	}
	return OG_OK;
}

/* True when the op takes what flows here. */
static bool types_fit(sweep *s, const recognise_verdict *d, const recognise_path *p, const graph_value *root,
                      const graph_value *cut)
{
	const recognise_facts *f = recognise_facts_get(s->r, d->variant->op);
	og_dtype t = root->dtype != OG_NONE ? root->dtype : cut->dtype;
	if (cut->dtype != OG_NONE && cut->dtype != t) return false;
	if (t == OG_NONE) return p->real;
	return is_real(t) && f && f->in.arg[0].types & UINT32_C(1) << t;
}

static og_status judged(sweep *s, recognise_path *p, recognise_verdict **d)
{
	if (!p->judged) TRY(recognise_judge(s->r, p));
	*d = p->verdict;
	return OG_OK;
}

static og_status add_miss(sweep *s, info *root, graph_value *const cut[2], recognise_path *path, const char *reason)
{
	s->miss = arena_grow(s->a, s->miss, s->n_misses, &s->cap_misses, s->n_misses + 1, sizeof *s->miss);
	NEED(s->miss);
	s->miss[s->n_misses++] = (candidate){ .root = root, .cut = { cut[0], cut[1] }, .path = path, .reason = reason };
	return OG_OK;
}

/* A region of one node is a match only when an op was asked for that the node is not. */
static bool big_enough(const sweep *s, const recognise_path *p, const graph_node *root)
{
	const og_op *op = s->r->op;
	if (p->nodes > 1 || !op) return p->nodes > 1;
	return root->op != op && (strcmp(root->type, op->name) || strcmp(root->domain, schema_domain(op)));
}

static const char *difference(sweep *s, const recognise_verdict *d)
{
	const char *op = recognise_print_op(d, s->l->a);
	return op ? arena_printf(s->l->a, "differs by %.2g at x = %.3g from %s", d->differs, d->at, op) : NULL;
}

static const char *altered(sweep *s, const region *q)
{
	for (int k = 0; k < q->n; k++) {
		const info *i = info_of(s, q->node[k]->out[0]);
		const og_tensor *t = i && i->culprit ? match_tensor(i->culprit) : NULL;
		int64_t count;
		double number;
		if (!i || !i->culprit) continue;
		if (t && !match_constant(i->culprit, &number) && base_count(t->dims, t->rank, &count))
			return arena_printf(s->l->a, "constant '%s' has %lld elements (per channel)", i->culprit->name, (long long)count);
		return arena_printf(s->l->a, "constant '%s' changes the shape by broadcasting", i->culprit->name);
	}
	return NULL;
}

/* The largest region that ends here and is an op. */
static og_status look_here(sweep *s, info *root)
{
	bool missed = false;
	for (int k = root->n_paths - 1; k >= 0; k--) {
		recognise_path *p = root->path[k];
		recognise_verdict *d;
		graph_value *cut[2] = { above(s, root->v, k + 1), NULL };
		region q = { .n = 0 };
		match *m;
		if (!big_enough(s, p, root->v->producer)) continue;
		TRY(judged(s, p, &d));
		if (!d || !types_fit(s, d, p, root->v, cut[0]) || !collect(s, &q, root->v, cut)) continue;
		if (d->match && !p->altered) {
			root->is_op = true;
			TRY(make_match(s, &m, &q, root->v, cut[0], d));
			return keep_match(s, m);
		}
		if (!s->misses || missed || q.n_steps < 2) continue;
		if (!d->match && p->altered) continue;
		const char *reason = d->match ? altered(s, &q) : difference(s, d);
		NEED(reason);
		TRY(add_miss(s, root, cut, p, reason));
		missed = true;
	}
	return OG_OK;
}

/* Would it be the op if two values were one? */
static void look_for_pair(sweep *s, info *made, recognise_step *step, graph_value *const *value)
{
	graph_value *first = NULL, *second = NULL;
	const graph_value *cut[RECOGNISE_INPUTS];
	for (int k = 0; k < step->n; k++) {
		if (!value[k] || value[k] == first || value[k] == second) continue;
		if (second) return;
		if (!first) first = value[k];
		else second = value[k];
	}
	enum { REACH = 4 };
	for (int i = 0; second && i < REACH * REACH && s->status == OG_OK; i++) {
		graph_value *a = above(s, first, i / REACH), *b = above(s, second, i % REACH);
		recognise_verdict *d;
		if (!a || !b) continue;
		for (int k = 0; k < step->n; k++) cut[k] = value[k] == first ? a : b;
		if (!set_paths(s, step, value, cut)) continue;
		const recognise_step *top = recognise_step_get(s->r, step, &s->status);
		recognise_path *p = top ? recognise_path_get(s->r, top, NULL, &s->status) : NULL;
		if (!p || p->nodes < 2 || p->altered) continue;
		s->status = judged(s, p, &d);
		if (s->status != OG_OK || !d || !d->match || !types_fit(s, d, p, made->v, a)) continue;
		const char *reason = arena_printf(s->l->a, "two variables: '%s' and '%s'", a->name, b->name);
		s->status = reason ? add_miss(s, made, (graph_value *const[2]){ a, b }, p, reason) : base_no_memory();
		return;
	}
}

/* Near misses that are in no match and in no larger near miss. */
static og_status keep_misses(sweep *s)
{
	match_list *l = s->l;
	size_t kept = 0;
	for (size_t k = s->n_misses; k-- > 0;) {
		const candidate *c = &s->miss[k];
		region q = { .n = 0 };
		bool free = !c->root->covered && collect(s, &q, c->root->v, c->cut);
		for (int i = 0; free && i < q.n; i++) free = !info_of(s, q.node[i]->out[0])->covered;
		if (!free) continue;
		for (int i = 0; i < q.n; i++) info_of(s, q.node[i]->out[0])->covered = true;
		s->miss[k].kept = true;
		kept++;
	}
	for (size_t k = 0; kept > 0 && k < s->n_misses; k++) {
		const candidate *c = &s->miss[k];
		region q = { .n = 0 };
		match *m;
		if (!c->kept || !collect(s, &q, c->root->v, c->cut)) continue;
		TRY(make_match(s, &m, &q, c->root->v, c->cut[0], c->path->verdict));
		m->reason = c->reason;
		l->misses = arena_grow(l->a, l->misses, l->n_misses, &l->cap_misses, l->n_misses + 1, sizeof *l->misses);
		NEED(l->misses);
		l->misses[l->n_misses++] = m;
	}
	return OG_OK;
}

/* ---- the sweep ---------------------------------------------------------------------------------- */

static og_status sweep_nodes(sweep *s)
{
	for (const graph_node *n = s->g->first; n; n = n->next) {
		take_node(s, n);
		TRY(s->status);
		info *made = n->n_out > 0 ? info_of(s, n->out[0]) : NULL;
		if (made && made->up) TRY(look_here(s, made));
	}
	return s->misses ? keep_misses(s) : OG_OK;
}

og_status recognise_graph(match_list *l, recogniser *r, const graph *g)
{
	sweep s = { .r = r, .l = l, .g = g, .misses = r->op && !l->no_misses };
	size_t n = 0, at = 0;
	if (r->n_variants == 0) return OG_OK;
	r->turn++;
	for (const graph_value *v = g->first_value; v; v = v->next) n++;
	s.a = arena_create();
	s.infos = base_new(n + 1, sizeof *s.infos);
	og_status status = s.a && s.infos ? OG_OK : base_no_memory();
	for (graph_value *v = g->first_value; v && status == OG_OK; v = v->next) {
		s.infos[at] = (info){ .v = v, .mark = v->mark, .same = v };
		v->mark = &s.infos[at++];
	}
	if (status == OG_OK) status = sweep_nodes(&s);
	for (size_t k = 0; k < at; k++) s.infos[k].v->mark = s.infos[k].mark;
	base_free(s.infos);
	arena_destroy(s.a);
	return status;
}
