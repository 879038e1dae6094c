/* ways.c -- ways to run a node, by cost. */
#include "backend/ways.h"

/* Nanoseconds to bring the inputs into the layouts that the kernel wants. */
static double reorder_cost(const ways_table *w, const backend_kernel *k, const backend_node *node)
{
	double reorders = 0, bytes = 0;
	for (int i = 0; i < node->n_in; i++) {
		backend_layout have = layout_of_input(node, i), want = k->in_layout ? k->in_layout[i] : LAYOUT_PLAIN;
		if (node->in[i].dtype == OG_NONE || node->in[i].data || layout_same(&node->in[i], have, want, w->lanes()))
			continue;
		bytes += (double)layout_bytes(&node->in[i], want, w->lanes());
		reorders++;
	}
	return reorders * w->reorder + bytes * w->reorder_byte;
}

int ways_by_cost(ways_found *found, const ways_table *w, const backend_node *node, int threads)
{
	int n = 0;
	for (int way = 0; way < w->n; way++) {
		backend_kernel k = { 0 };
		arena *scratch = arena_create();
		og_status status = scratch ? w->prepare(&k, way, node, threads, scratch) : base_no_memory();
		double cost = status == OG_OK ? k.cost + reorder_cost(w, &k, node) : 0;
		arena_destroy(scratch);
		if (status == OG_NO_MEMORY) return -1;
		if (status != OG_OK) continue;
		int at = n++;
		for (; at > 0 && found[at - 1].cost > cost; at--) found[at] = found[at - 1];
		found[at] = (ways_found){ way, cost };
	}
	return n;
}
