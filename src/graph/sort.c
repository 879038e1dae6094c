/* sort.c -- topological order: the nodes are gone through in their present order, and what one needs that stands
 * behind it is put in front of it first. Every list is by number in the present order. */
#include "graph/graph.h"

enum { WAITING, OPEN, PLACED };

/* A node that is being placed, and the next one it needs. */
typedef struct frame { size_t node, need; } frame;

typedef struct sorter {
	graph *g;
	graph_node **node;                   /* in the present order, */
	graph_node **placed; size_t n_placed;    /* and in the new one */
	size_t *first, *needs;               /* node k needs the nodes needs[first[k]] to needs[first[k + 1] - 1] */
	frame *stack;
	uint8_t *state;
} sorter;

/* The number of the node of g that n is, or that holds n in a body. */
static size_t number_in(const graph *g, const graph_node *n)
{
	while (n->owner != g) n = n->owner->holder;
	return n->order;
}

/* Goes through all uses of what the nodes make: counts them by user, or fills them in at s->first[user]. As producers
 * come in their present order, so do those that one node needs. */
static void each_need(sorter *s, bool fill)
{
	for (size_t i = 0; i < s->g->n_nodes; i++) {
		const graph_node *n = s->node[i];
		for (int k = 0; k < n->n_out; k++) {
			for (size_t u = 0; n->out[k] && u < n->out[k]->n_uses; u++) {
				size_t user = number_in(s->g, n->out[k]->uses[u].node);
				if (fill) s->needs[s->first[user]++] = i;
				else s->first[user + 1]++;
			}
		}
	}
}

static og_status list_needs(sorter *s)
{
	size_t n = s->g->n_nodes;

	each_need(s, false);
	for (size_t i = 0; i < n; i++) s->first[i + 1] += s->first[i];
	s->needs = base_new(s->first[n] + 1, sizeof *s->needs);
	NEED(s->needs);
	each_need(s, true);
	/* Filling moved every first[k] to where the next one's list begins. */
	memmove(s->first + 1, s->first, n * sizeof *s->first);
	s->first[0] = 0;
	return OG_OK;
}

/* Puts node k behind those placed, and all it needs before it. */
static og_status place(sorter *s, size_t k)
{
	size_t depth = 0;

	s->stack[depth++] = (frame){ k, s->first[k] };
	s->state[k] = OPEN;
	while (depth) {
		frame *top = &s->stack[depth - 1];
		if (top->need == s->first[top->node + 1]) {
			s->placed[s->n_placed++] = s->node[top->node];
			s->state[top->node] = PLACED;
			depth--;
			continue;
		}
		size_t need = s->needs[top->need++];
		if (s->state[need] == OPEN)
			return base_fail(OG_BAD_FILE, "graph '%s': node '%s' (%s) is on a cycle: it needs its own output; "
			                 "break the cycle", s->g->name, s->node[need]->name, s->node[need]->type);
		if (s->state[need] == PLACED) continue;
		s->stack[depth++] = (frame){ need, s->first[need] };
		s->state[need] = OPEN;
	}
	return OG_OK;
}

/* Links the nodes anew when their order changed. */
static void link_placed(sorter *s)
{
	graph *g = s->g;
	size_t n = g->n_nodes, k = 0;

	while (k < n && s->placed[k]->order == k) k++;
	if (k == n) return;
	for (k = 0; k < n; k++) {
		s->placed[k]->prev = k > 0 ? s->placed[k - 1] : NULL;
		s->placed[k]->next = k + 1 < n ? s->placed[k + 1] : NULL;
	}
	g->first = s->placed[0];
	g->last = s->placed[n - 1];
	graph_touch(g);
}

static og_status sort_nodes(sorter *s)
{
	size_t n = s->g->n_nodes, count = 0;

	s->node = base_new(n + 1, sizeof(graph_node *));
	s->placed = base_new(n + 1, sizeof(graph_node *));
	s->first = base_new(n + 1, sizeof *s->first);
	s->stack = base_new(n + 1, sizeof *s->stack);
	s->state = base_new(n + 1, sizeof *s->state);
	if (!s->node || !s->placed || !s->first || !s->stack || !s->state) return base_no_memory();
	for (graph_node *node = s->g->first; node; node = node->next) {
		node->order = count;
		s->node[count++] = node;
	}
	TRY(list_needs(s));
	for (size_t k = 0; k < n; k++)
		if (s->state[k] == WAITING) TRY(place(s, k));
	link_placed(s);
	return OG_OK;
}

og_status graph_sort(graph *g)
{
	sorter s = { .g = g };

	for (const graph_node *n = g->first; n; n = n->next)
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g) TRY(graph_sort(n->attrs[i].g));
	og_status status = sort_nodes(&s);
	base_free(s.node);
	base_free(s.placed);
	base_free(s.first);
	base_free(s.needs);
	base_free(s.stack);
	base_free(s.state);
	return status;
}
