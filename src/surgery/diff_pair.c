/* diff_pair.c -- which node of one graph is which of the other. Every step makes a key for each node that has no pair
 * yet, and pairs those whose key stands once in both graphs; then pairs spread along the edges. */
#include <ctype.h>
#include <stdlib.h>

#include "surgery/diff.h"

typedef struct keyed { uint64_t key; size_t order; void *p; } keyed;

typedef struct pairing {
	const graph *a, *b;
	graph_node **queue; size_t n, done;      /* nodes of a that have a pair; those before `done` were spread from */
	keyed *keys_a, *keys_b;                  /* room for all nodes, values, or uses of one value */
	uint64_t *above_a, *above_b, *below_a, *below_b;         /* by order: keys of all that leads to a node, and from it */
} pairing;

static void pair_values(void *a, void *b)
{
	graph_value *v = a, *w = b;
	if (!v || !w || v->mark || w->mark) return;
	v->mark = w;
	w->mark = v;
}

static void pair_nodes(pairing *p, graph_node *a, graph_node *b)
{
	if (a->mark || b->mark || strcmp(a->type, b->type) || strcmp(a->domain, b->domain)) return;
	a->mark = b;
	b->mark = a;
	p->queue[p->n++] = a;
	for (int k = 0; k < a->n_out && k < b->n_out; k++) pair_values(a->out[k], b->out[k]);
}

static int by_key(const void *x, const void *y)
{
	const keyed *a = x, *b = y;
	if (a->key != b->key) return a->key < b->key ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

static size_t run_length(const keyed *k, size_t n)
{
	size_t i = 1;
	while (i < n && k[i].key == k[0].key) i++;
	return i;
}

/* Pairs what has a key of its own; `in_order`: also as many on one side as on the other, first with first. */
static void match(pairing *p, size_t n_a, size_t n_b, bool nodes, bool in_order)
{
	keyed *a = p->keys_a, *b = p->keys_b;
	if (!n_a || !n_b) return;
	qsort(a, n_a, sizeof *a, by_key);
	qsort(b, n_b, sizeof *b, by_key);
	while (n_a && n_b) {
		size_t run_a = a->key <= b->key ? run_length(a, n_a) : 0, run_b = b->key <= a->key ? run_length(b, n_b) : 0;
		if (run_a == run_b && (run_a == 1 || in_order))
			for (size_t i = 0; i < run_a; i++) {
				if (nodes) pair_nodes(p, a[i].p, b[i].p);
				else pair_values(a[i].p, b[i].p);
			}
		a += run_a, n_a -= run_a;
		b += run_b, n_b -= run_b;
	}
}

/* ---- keys ------------------------------------------------------------------------------------ */

static uint64_t hash_text(const char *s, uint64_t seed) { return base_hash(s, strlen(s), seed); }
static uint64_t hash_int(uint64_t x, uint64_t seed) { return base_hash(&x, sizeof x, seed); }
static uint64_t type_key(const graph_node *n) { return hash_text(n->type, hash_text(n->domain, 1)); }

/* A name that ends in a number may only count. */
static bool counts(const char *name)
{
	size_t n = strlen(name);
	return n && isdigit((unsigned char)name[n - 1]);
}

/* Type, shape and samples of the numbers: enough to tell weights apart, and no more is read of large ones. */
static uint64_t tensor_key(const og_tensor *t)
{
	enum { WHOLE = 4096, SAMPLES = 16, SAMPLE = 256 };
	uint64_t key = hash_int((uint64_t)t->dtype, (uint64_t)t->rank);
	int64_t count;
	key = base_hash(t->dims, (size_t)t->rank * sizeof *t->dims, key);
	if (!t->data || !base_count(t->dims, t->rank, &count)) return key;
	size_t bytes = base_dtype_span(t->dtype, (uint64_t)count);
	if (bytes == SIZE_MAX) return key;
	if (bytes <= WHOLE) return base_hash(t->data, bytes, key);
	for (size_t i = 0; i < SAMPLES; i++)
		key = base_hash((const uint8_t *)t->data + (bytes - SAMPLE) / (SAMPLES - 1) * i, SAMPLE, key);
	return key;
}

/* A constant that has a pair is that of a; else it is what it holds. */
static uint64_t constant_key(const pairing *p, const graph_value *v)
{
	const graph_value *w = v->owner->model == p->a->model ? v : v->mark;
	return v->mark ? (uint64_t)(uintptr_t)w : tensor_key(v->constant);
}

static uint64_t attr_key(const graph_attr *a)
{
	uint64_t key = hash_int((uint64_t)a->type, hash_text(a->name, 2));
	if (a->ref) return hash_text(a->ref, key);
	switch (a->type) {
	case OG_ATTR_INT: return hash_int((uint64_t)a->i, key);
	case OG_ATTR_FLOAT: return base_hash(&a->f, sizeof a->f, key);
	case OG_ATTR_STRING: return base_hash(a->s, a->n, key);
	case OG_ATTR_INTS: return a->n ? base_hash(a->ints, a->n * sizeof *a->ints, key) : key;
	case OG_ATTR_FLOATS: return a->n ? base_hash(a->floats, a->n * sizeof *a->floats, key) : key;
	case OG_ATTR_STRINGS:
		for (size_t i = 0; i < a->n; i++) key = hash_text(a->strings[i], key);
		return key;
	case OG_ATTR_TENSOR: return a->t ? hash_int(tensor_key(a->t), key) : key;
	default: return key;
	}
}

/* All of a node but its name and its variable inputs. */
static uint64_t inside_key(const pairing *p, const graph_node *n)
{
	uint64_t key = type_key(n), attrs = 0;
	for (int i = 0; i < n->n_attrs; i++) attrs += attr_key(&n->attrs[i]);
	key = hash_int(attrs, key);
	for (int k = 0; k < n->n_in; k++)
		if (n->in[k] && n->in[k]->constant) key = hash_int(constant_key(p, n->in[k]), hash_int((uint64_t)k, key));
	return key;
}

/* Values that are not made in the graph: those of graphs around are paired, as are inputs. */
static uint64_t outside_key(const pairing *p, const graph_value *v)
{
	const graph_value *w = v->owner->model == p->a->model ? v : v->mark;
	return v->mark ? (uint64_t)(uintptr_t)w : hash_text(v->name, 3);
}

static void fill_above(const pairing *p, const graph *g, uint64_t *above)
{
	for (const graph_node *n = g->first; n; n = n->next) {
		uint64_t key = inside_key(p, n);
		for (int k = 0; k < n->n_in; k++) {
			const graph_value *v = n->in[k];
			if (!v || v->constant) continue;
			bool made = v->producer && v->owner == g;
			key = hash_int((uint64_t)k, key);
			key = hash_int(made ? above[v->producer->order] + (uint64_t)v->output : outside_key(p, v), key);
		}
		above[n->order] = key;
	}
}

static void fill_below(const pairing *p, const graph *g, uint64_t *below)
{
	for (const graph_node *n = g->last; n; n = n->prev) {
		uint64_t users = 0;
		for (int k = 0; k < n->n_out; k++) {
			const graph_value *v = n->out[k];
			if (v && v->is_output) users += hash_text(v->name, (uint64_t)k);
			for (size_t i = 0; v && i < v->n_uses; i++) {
				const graph_node *user = v->uses[i].node;
				uint64_t place = (uint64_t)v->uses[i].input << 16 | (uint64_t)k;
				while (user && user->owner != g) user = user->owner->holder;
				if (user) users += hash_int(place, below[user->order]);
			}
		}
		below[n->order] = hash_int(users, inside_key(p, n));
	}
}

typedef bool node_key(const pairing *, const graph_node *, uint64_t *key);

static bool name_key(const pairing *p, const graph_node *n, uint64_t *key)
{
	(void)p;
	*key = hash_text(n->name, type_key(n));
	return n->name[0] != 0;
}

static bool telling_name_key(const pairing *p, const graph_node *n, uint64_t *key)
{
	return name_key(p, n, key) && !counts(n->name);
}

static bool output_key(const pairing *p, const graph_node *n, uint64_t *key)
{
	(void)p;
	int k = 0;
	while (k < n->n_out && !n->out[k]) k++;
	if (k == n->n_out) return false;
	*key = hash_text(n->out[k]->name, type_key(n) + (uint64_t)k);
	return true;
}

static bool telling_output_key(const pairing *p, const graph_node *n, uint64_t *key)
{
	return output_key(p, n, key) && !counts(n->out[0] ? n->out[0]->name : "0");
}

/* The weights that a node uses; single numbers are used all over. */
static bool weights_key(const pairing *p, const graph_node *n, uint64_t *key)
{
	bool any = false;
	*key = type_key(n);
	for (int k = 0; k < n->n_in; k++) {
		int64_t count;
		if (!n->in[k] || !n->in[k]->constant) continue;
		if (base_count(n->in[k]->dims, n->in[k]->rank, &count) && count > 1) any = true;
		*key = hash_int(constant_key(p, n->in[k]), *key + (uint64_t)k);
	}
	return any;
}

static bool above_key(const pairing *p, const graph_node *n, uint64_t *key)
{
	*key = (n->owner == p->a ? p->above_a : p->above_b)[n->order];
	return true;
}

static bool below_key(const pairing *p, const graph_node *n, uint64_t *key)
{
	*key = (n->owner == p->a ? p->below_a : p->below_b)[n->order];
	return true;
}

/* The same nodes lead to it and from it. */
static bool whole_key(const pairing *p, const graph_node *n, uint64_t *key)
{
	uint64_t below;
	below_key(p, n, &below);
	above_key(p, n, key);
	*key = hash_int(below, *key);
	return true;
}

static size_t collect(const pairing *p, const graph *g, node_key *make, keyed *out)
{
	size_t n = 0;
	uint64_t key;
	for (graph_node *node = g->first; node; node = node->next)
		if (!node->mark && make(p, node, &key)) out[n++] = (keyed){ key, node->order, node };
	return n;
}

static void pair_by(pairing *p, node_key *make)
{
	size_t n_a = collect(p, p->a, make, p->keys_a), n_b = collect(p, p->b, make, p->keys_b);
	match(p, n_a, n_b, true, false);
}

/* ---- constants and the interface ---------------------------------------------------------------- */

typedef enum constant_by { BY_TELLING_NAME, BY_CONTENT, BY_NAME } constant_by;

static size_t collect_constants(const graph *g, constant_by by, keyed *out)
{
	size_t n = 0, order = 0;
	for (graph_value *v = g->first_value; v; v = v->next, order++) {
		if (!v->constant || v->mark || (by == BY_TELLING_NAME && counts(v->name))) continue;
		uint64_t key = hash_int((uint64_t)v->dtype, (uint64_t)v->rank);
		if (by == BY_CONTENT) key = tensor_key(v->constant);
		else key = hash_text(v->name, base_hash(v->dims, (size_t)(v->rank > 0 ? v->rank : 0) * sizeof *v->dims, key));
		out[n++] = (keyed){ key, order, v };
	}
	return n;
}

static void pair_constants(pairing *p, constant_by by)
{
	size_t n_a = collect_constants(p->a, by, p->keys_a), n_b = collect_constants(p->b, by, p->keys_b);
	match(p, n_a, n_b, false, false);
}

static void pair_inputs(const pairing *p)
{
	const graph *a = p->a, *b = p->b;
	for (int i = 0; i < a->n_inputs; i++) {
		graph_value *v = a->inputs[i], *w = graph_value_find(b, v->name);
		if (!v->constant && w && w->is_input && !w->constant) pair_values(v, w);
	}
	for (int i = 0; i < a->n_inputs && i < b->n_inputs; i++)
		if (!a->inputs[i]->constant && !b->inputs[i]->constant) pair_values(a->inputs[i], b->inputs[i]);
}

/* ---- along the edges ----------------------------------------------------------------------------- */

/* strict: the same but for names; else of one type. */
static bool alike(const pairing *p, const graph_node *a, const graph_node *b, bool strict)
{
	if (strcmp(a->type, b->type) || strcmp(a->domain, b->domain)) return false;
	return !strict || inside_key(p, a) == inside_key(p, b);
}

static void pair_producers(pairing *p, const graph_value *v, const graph_value *w, bool strict)
{
	graph_node *a = v->producer, *b = w->producer;
	if (v->owner != p->a || w->owner != p->b || !a || !b || a->mark || b->mark || v->output != w->output) return;
	if (alike(p, a, b, strict)) pair_nodes(p, a, b);
}

static size_t collect_users(const pairing *p, const graph_value *v, const graph *g, bool strict, keyed *out)
{
	size_t n = 0;
	for (size_t i = 0; i < v->n_uses; i++) {
		graph_node *user = v->uses[i].node;
		if (user->owner != g || user->mark) continue;
		uint64_t key = strict ? inside_key(p, user) : type_key(user);
		out[n++] = (keyed){ hash_int((uint64_t)v->uses[i].input, key), user->order, user };
	}
	return n;
}

/* A node that reads the value twice comes up twice and is paired once. */
static void pair_users(pairing *p, const graph_value *v, bool strict)
{
	const graph_value *w = v->mark;
	size_t n_a = collect_users(p, v, p->a, strict, p->keys_a), n_b = collect_users(p, w, p->b, strict, p->keys_b);
	match(p, n_a, n_b, true, true);
}

/* From all pairs so far, and those that come up on the way. */
static void spread(pairing *p, bool strict)
{
	const graph *a = p->a, *b = p->b;
	for (int i = 0; i < a->n_inputs; i++)
		if (a->inputs[i]->mark && !a->inputs[i]->constant) pair_users(p, a->inputs[i], strict);
	for (int i = 0; i < a->n_outputs; i++) {
		const graph_value *w = graph_value_find(b, a->outputs[i]->name);
		if (w && w->is_output) pair_producers(p, a->outputs[i], w, strict);
	}
	for (p->done = 0; p->done < p->n; p->done++) {
		const graph_node *x = p->queue[p->done], *y = x->mark;
		for (int k = 0; k < x->n_in && k < y->n_in; k++)
			if (x->in[k] && y->in[k]) pair_producers(p, x->in[k], y->in[k], strict);
		for (int k = 0; k < x->n_out; k++)
			if (x->out[k] && x->out[k]->mark) pair_users(p, x->out[k], strict);
	}
}

/* ---- values whose producers have no pair ----------------------------------------------------------- */

static bool loose(const graph_value *v, const graph *g)
{
	return v && !v->mark && v->owner == g && v->producer && !v->producer->mark;
}

/* What paired nodes read at one place, and what is called the same, is the same value made in another way. */
static void pair_ends(pairing *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const graph_node *x = p->queue[i], *y = x->mark;
		for (int k = 0; k < x->n_in && k < y->n_in; k++) {
			graph_value *v = x->in[k], *w = y->in[k];
			bool constants = v && w && v->constant && w->constant && v->owner == p->a && w->owner == p->b;
			if (constants || (loose(v, p->a) && loose(w, p->b))) pair_values(v, w);
		}
	}
	for (graph_value *v = p->a->first_value; v; v = v->next) {
		graph_value *w = v->mark ? NULL : graph_value_find(p->b, v->name);
		if (!w) continue;
		if ((loose(v, p->a) && loose(w, p->b)) || (v->constant && w->constant)) pair_values(v, w);
	}
	for (int i = 0; i < p->a->n_outputs && i < p->b->n_outputs; i++)
		if (loose(p->a->outputs[i], p->a) && loose(p->b->outputs[i], p->b)) pair_values(p->a->outputs[i], p->b->outputs[i]);
}

/* ---- all of it ------------------------------------------------------------------------------------- */

static size_t most(const graph *g)
{
	size_t values = 0, uses = 0, n = 0;
	for (graph_node *node = g->first; node; node = node->next) node->order = n++;
	for (const graph_value *v = g->first_value; v; v = v->next) {
		values++;
		if (v->n_uses > uses) uses = v->n_uses;
	}
	return (values > uses ? values : uses) + n;
}

og_status diff_pair_graphs(const graph *a, const graph *b)
{
	pairing p = { .a = a, .b = b };
	p.keys_a = base_new(most(a) + 1, sizeof *p.keys_a);
	p.keys_b = base_new(most(b) + 1, sizeof *p.keys_b);
	p.queue = base_new(a->n_nodes + 1, sizeof(graph_node *));
	p.above_a = base_new(2 * a->n_nodes + 1, sizeof *p.above_a);
	p.above_b = base_new(2 * b->n_nodes + 1, sizeof *p.above_b);
	og_status status = p.keys_a && p.keys_b && p.queue && p.above_a && p.above_b ? OG_OK : base_no_memory();
	if (status == OG_OK) {
		p.below_a = p.above_a + a->n_nodes;
		p.below_b = p.above_b + b->n_nodes;
		pair_inputs(&p);
		pair_constants(&p, BY_TELLING_NAME);
		pair_constants(&p, BY_CONTENT);
		pair_constants(&p, BY_NAME);
		fill_above(&p, a, p.above_a);
		fill_above(&p, b, p.above_b);
		fill_below(&p, a, p.below_a);
		fill_below(&p, b, p.below_b);
		pair_by(&p, whole_key);
		pair_by(&p, telling_name_key);
		pair_by(&p, telling_output_key);
		pair_by(&p, weights_key);
		pair_by(&p, above_key);
		pair_by(&p, below_key);
		spread(&p, true);
		pair_by(&p, name_key);
		spread(&p, true);
		pair_by(&p, output_key);
		spread(&p, false);
		pair_ends(&p);
	}
	base_free(p.keys_a);
	base_free(p.keys_b);
	base_free(p.queue);
	base_free(p.above_a);
	base_free(p.above_b);
	return status;
}
