/* diff_lanes.c -- lanes as SVG that stretches with its row; the dot of the node is drawn by the style sheet. */
#include "report/diff_lanes.h"

/* The node of g that is n, or that has n in a body. */
static const graph_node *outer(const graph *g, const graph_node *n)
{
	while (n && n->owner != g) n = n->owner->holder;
	return n;
}

static size_t readers_to_come(const diff_lanes *l, const graph_value *v)
{
	size_t n = v->is_output;
	for (size_t i = 0; i < v->n_uses; i++) {
		const graph_node *user = outer(l->g, v->uses[i].node);
		n += user && !l->drawn[user->order];
	}
	return n;
}

static void begin_lane(diff_lanes *l, int k, const graph_value *v)
{
	l->value[k] = v;
	l->readers[k] = readers_to_come(l, v);
	if (!l->readers[k]) l->value[k] = NULL;
	if (l->value[k] && k >= l->used) l->used = k + 1;
}

static int free_lane(const diff_lanes *l)
{
	int k = 0;
	while (k < DIFF_LANES && l->value[k]) k++;
	return k;
}

og_status diff_lanes_begin(diff_lanes *l, arena *a, const graph *g)
{
	*l = (diff_lanes){ .g = g, .used = 1, .drawn = arena_array(a, g->n_nodes + 1, sizeof *l->drawn) };
	NEED(l->drawn);
	for (int i = 0; i < g->n_inputs; i++) {
		int k = free_lane(l);
		if (k < DIFF_LANES && !g->inputs[i]->constant) begin_lane(l, k, g->inputs[i]);
	}
	return OG_OK;
}

static int middle(int lane) { return DIFF_LANE_WIDTH * lane + DIFF_LANE_WIDTH / 2; }

static void open_svg(text *t, int lanes)
{
	int width = lanes * DIFF_LANE_WIDTH;
	text_printf(t, "<svg class=\"lanes\" width=\"%d\" viewBox=\"0 0 %d 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
	            "<path d=\"", width, width);
}

static void straight(text *t, int k) { text_printf(t, "M%d 0V100", middle(k)); }

void diff_lanes_pass(text *t, const diff_lanes *l, int lanes)
{
	open_svg(t, lanes);
	for (int k = 0; k < lanes; k++)
		if (l->value[k]) straight(t, k);
	text_add(t, "\"/></svg>");
}

/* What the node's bodies read. */
static unsigned read_in_bodies(diff_lanes *l, const graph_node *n)
{
	unsigned read = 0;
	bool bodies = false;
	for (int i = 0; i < n->n_attrs; i++) bodies = bodies || n->attrs[i].g;
	for (int k = 0; bodies && k < DIFF_LANES; k++)
		for (size_t i = 0; l->value[k] && i < l->value[k]->n_uses; i++) {
			const graph_node *user = l->value[k]->uses[i].node;
			if (user == n || outer(l->g, user) != n) continue;
			read |= 1u << k;
			if (l->readers[k]) l->readers[k]--;
		}
	return read;
}

/* Takes the node's inputs off their lanes; bit k: lane k leads to it. */
static unsigned read_inputs(diff_lanes *l, const graph_node *n)
{
	unsigned read = read_in_bodies(l, n);
	for (int i = 0; i < n->n_in; i++)
		for (int k = 0; k < DIFF_LANES; k++) {
			if (!n->in[i] || l->value[k] != n->in[i]) continue;
			read |= 1u << k;
			if (l->readers[k]) l->readers[k]--;
		}
	return read;
}

void diff_lanes_step(text *t, diff_lanes *l, const graph_node *n, int lanes)
{
	unsigned passing = 0, made = 0, read;
	int own = DIFF_LANES;
	l->drawn[n->order] = true;
	read = read_inputs(l, n);
	for (int k = 0; k < DIFF_LANES; k++) {
		if (l->value[k] && !l->readers[k]) {
			l->value[k] = NULL;
			if (own == DIFF_LANES) own = k;
		} else if (l->value[k]) {
			passing |= 1u << k;
		}
	}
	if (own == DIFF_LANES) own = free_lane(l);
	if (own == DIFF_LANES) own = DIFF_LANES - 1;
	if (own >= l->used) l->used = own + 1;
	for (int i = 0; i < n->n_out; i++) {
		int k = i == 0 && !l->value[own] ? own : free_lane(l);
		if (!n->out[i] || k == DIFF_LANES) continue;
		begin_lane(l, k, n->out[i]);
		if (l->value[k]) made |= 1u << k;
	}
	if (!t) return;
	open_svg(t, lanes);
	for (int k = 0; k < lanes; k++) {
		if (passing >> k & 1) straight(t, k);
		if (read >> k & 1) text_printf(t, "M%d 0C%d 35 %d 20 %d 50", middle(k), middle(k), middle(own), middle(own));
		if (made >> k & 1) text_printf(t, "M%d 50C%d 80 %d 65 %d 100", middle(own), middle(own), middle(k), middle(k));
	}
	text_printf(t, "\"/></svg><i class=\"dot\" style=\"left:%dpx\"></i>", middle(own));
}
