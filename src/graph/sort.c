/* sort.c -- topological order. */
#include "graph/graph.h"

enum { WAITING, OPEN, PLACED };

/* A node whose users are being placed behind it: how far we are. */
typedef struct frame { graph_node *node; int output; size_t use; } frame;

typedef struct sorter {
	graph *g;
	frame *stack; size_t depth;
	uint8_t *state;                      /* by node->order */
	graph_node *head;                    /* of the new order, built from its end */
	bool moved;
} sorter;

/* The node of g that a node in g or in one of its bodies belongs to. */
static graph_node *node_in(const graph *g, graph_node *n)
{
	while (n->owner != g) n = n->owner->holder;
	return n;
}

/* The next user of the frame's node; NULL after the last. A body's use makes its holder a user. */
static graph_node *next_user(const graph *g, frame *f)
{
	for (; f->output < f->node->n_out; f->output++, f->use = 0) {
		const graph_value *v = f->node->out[f->output];
		if (v && f->use < v->n_uses) return node_in(g, v->uses[f->use++].node);
	}
	return NULL;
}

/* Puts n in front of the new order, all that uses it before that. */
static og_status place(sorter *s, graph_node *n)
{
	s->stack[s->depth++] = (frame){ .node = n };
	s->state[n->order] = OPEN;
	while (s->depth) {
		frame *top = &s->stack[s->depth - 1];
		graph_node *user = next_user(s->g, top);
		if (!user) {
			if (s->head && s->head->order < top->node->order) s->moved = true;
			top->node->next = s->head;
			s->head = top->node;
			s->state[top->node->order] = PLACED;
			s->depth--;
		} else if (s->state[user->order] == OPEN) {
			return base_fail(OG_BAD_FILE, "graph '%s': node '%s' (%s) is on a cycle: it needs its own output; "
			                 "break the cycle", s->g->name, user->name, user->type);
		} else if (s->state[user->order] == WAITING) {
			s->state[user->order] = OPEN;
			s->stack[s->depth++] = (frame){ .node = user };
		}
	}
	return OG_OK;
}

/* `prev` still has the old order while `next` is being rewritten: this makes one right from the other. */
static void link_from_prev(graph *g)
{
	graph_node *next = NULL;
	for (graph_node *n = g->last; n; n = n->prev) {
		n->next = next;
		next = n;
	}
}

static void link_from_head(graph *g, graph_node *head)
{
	g->first = head;
	g->last = NULL;
	for (graph_node *n = head; n; n = n->next) {
		n->prev = g->last;
		g->last = n;
	}
}

static og_status sort_one(graph *g)
{
	sorter s = { .g = g };
	og_status status = OG_OK;
	size_t order = 0;

	for (graph_node *n = g->first; n; n = n->next) n->order = order++;
	s.stack = base_new(g->n_nodes + 1, sizeof *s.stack);
	s.state = base_new(g->n_nodes + 1, sizeof *s.state);
	if (!s.stack || !s.state) status = base_no_memory();
	for (graph_node *n = g->last; n && status == OG_OK; n = n->prev)
		if (s.state[n->order] == WAITING) status = place(&s, n);
	base_free(s.stack);
	base_free(s.state);
	if (status != OG_OK || !s.moved) {
		link_from_prev(g);
		return status;
	}
	link_from_head(g, s.head);
	graph_touch(g);
	return OG_OK;
}

og_status graph_sort(graph *g)
{
	for (const graph_node *n = g->first; n; n = n->next)
		for (int i = 0; i < n->n_attrs; i++)
			if (n->attrs[i].g) TRY(graph_sort(n->attrs[i].g));
	return sort_one(g);
}
