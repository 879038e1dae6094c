/* fuse_tails.c -- elementwise nodes behind a convolution or matrix product become its epilogue, and elementwise nodes that
 * feed each other become one strip program.
 *
 * Both grow a region from a first node: the next node that reads a value of the region joins while it is a
 * formula. The region is cut back to the last point at which a single value left it, so that a diamond such as
 * Mul(x, Sigmoid(x)) joins whole or not at all. */
#include "optimize/edit.h"

enum { MAX_NODES = 12, MAX_OPERANDS = 8 };

typedef struct region {
	graph_node *nodes[MAX_NODES];
	int n, closed;                       /* the first `closed` nodes let out one value only */
	const optimize_options *o;
	bool anchored;
} region;

static bool inside(const region *r, const graph_node *n)
{
	for (int i = 0; i < r->n; i++)
		if (r->nodes[i] == n) return true;
	return false;
}

/* The position of a node in its graph, set by number_nodes. */
static size_t position(const graph_node *n) { return (size_t)(uintptr_t)n->mark; }

static void number_nodes(graph *g)
{
	uintptr_t k = 0;
	for (graph_node *n = g->first; n; n = n->next) n->mark = (void *)++k;
}

/* The earliest node outside the region that reads one of its values. */
static graph_node *next_reader(const region *r)
{
	graph_node *best = NULL;
	for (int i = 0; i < r->n; i++) {
		const graph_value *v = r->nodes[i]->out[0];
		for (size_t k = 0; k < v->n_uses; k++) {
			graph_node *n = v->uses[k].node;
			if (n->owner != r->nodes[0]->owner || inside(r, n)) continue;
			if (!best || position(n) < position(best)) best = n;
		}
	}
	return best;
}

/* True when only the last node's output is read outside. */
static bool is_closed(const region *r)
{
	for (int i = 0; i < r->n - 1; i++) {
		const graph_value *v = r->nodes[i]->out[0];
		if (v->is_output) return false;
		for (size_t k = 0; k < v->n_uses; k++)
			if (!inside(r, v->uses[k].node)) return false;
	}
	return true;
}

static int count_operands(const region *r)
{
	const graph_value *seen[MAX_NODES * OG_MAX_IN + 64];
	int n = 0;
	for (int i = r->anchored ? 1 : 0; i < r->n; i++)
		for (int k = 0; k < r->nodes[i]->n_in; k++) {
			const graph_value *v = r->nodes[i]->in[k];
			bool known = !v || (v->producer && inside(r, v->producer));
			for (int j = 0; j < n && !known; j++) known = seen[j] == v;
			if (known) continue;
			if (n == MAX_OPERANDS) return n + 1;
			seen[n++] = v;
		}
	return n;
}

static bool joins(const region *r, const graph_node *n)
{
	if (!edit_elementwise(n) || n->n_in > MAX_OPERANDS || !edit_same_type(n->out[0], r->nodes[0]->out[0])) return false;
	return !r->anchored || r->o->takes_tail(r->o->takes_arg, r->nodes[0], n);
}

static void grow(region *r)
{
	while (r->n < MAX_NODES) {
		graph_node *n = next_reader(r);
		if (!n || !joins(r, n)) return;
		r->nodes[r->n++] = n;
		if (count_operands(r) > MAX_OPERANDS) {
			r->n--;
			return;
		}
		if (is_closed(r)) r->closed = r->n;
	}
}

static og_status fuse_from(graph *g, const optimize_options *o, bool anchored)
{
	number_nodes(g);
	for (graph_node *n = g->first, *next; n; n = next) {
		region r = { .nodes = { n }, .n = 1, .closed = 1, .o = o, .anchored = anchored };
		next = n->next;
		if (!n->op || n->n_out < 1 || !n->out[0] || edit_elementwise(n) == anchored) continue;
		for (int k = 1; k < n->n_out; k++)
			if (n->out[k]) r.closed = 0;
		if (!r.closed) continue;
		grow(&r);
		if (r.closed < 2) continue;
		for (int i = 1; i < r.closed; i++)
			if (next == r.nodes[i]) next = next->next, i = 0;
		TRY(edit_fuse(r.nodes, r.closed));
	}
	return OG_OK;
}

og_status optimize_fuse_tails(og_model *m, const optimize_options *o)
{
	return o->takes_tail ? fuse_from(m->main, o, true) : OG_OK;
}

og_status optimize_fuse_chains(og_model *m, const optimize_options *o)
{
	return fuse_from(m->main, o, false);
}
