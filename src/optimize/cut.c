/* cut.c -- minimum cut by the largest flow: Dinic's algorithm. */
#include "optimize/cut.h"

og_status cut_start(cut *c, arena *a)
{
	int vertex;
	*c = (cut){ .a = a };
	TRY(cut_vertex(c, &vertex));
	return cut_vertex(c, &vertex);
}

og_status cut_vertex(cut *c, int *out)
{
	int *grown = arena_grow(c->a, c->head, (size_t)c->n_vertices, &c->cap_vertices, (size_t)c->n_vertices + 1, sizeof *grown);
	NEED(grown);
	c->head = grown;
	c->head[c->n_vertices] = -1;
	*out = c->n_vertices++;
	return OG_OK;
}

og_status cut_edge(cut *c, int from, int to, int64_t capacity)
{
	cut_edges *grown = arena_grow(c->a, c->edge, (size_t)c->n_edges, &c->cap_edges, (size_t)c->n_edges + 2, sizeof *grown);
	NEED(grown);
	c->edge = grown;
	c->edge[c->n_edges] = (cut_edges){ .to = to, .next = c->head[from], .room = capacity };
	c->head[from] = c->n_edges++;
	c->edge[c->n_edges] = (cut_edges){ .to = from, .next = c->head[to] };
	c->head[to] = c->n_edges++;
	return OG_OK;
}

/* Distances from CUT_YES along edges with room; false when CUT_NO is out of reach. */
static bool find_levels(cut *c, int *queue)
{
	int first = 0, last = 0;
	for (int v = 0; v < c->n_vertices; v++) c->level[v] = -1;
	c->level[CUT_YES] = 0;
	queue[last++] = CUT_YES;
	while (first < last) {
		int v = queue[first++];
		for (int e = c->head[v]; e >= 0; e = c->edge[e].next) {
			int to = c->edge[e].to;
			if (c->edge[e].room <= 0 || c->level[to] >= 0) continue;
			c->level[to] = c->level[v] + 1;
			queue[last++] = to;
		}
	}
	return c->level[CUT_NO] >= 0;
}

/* Fills a path of n edges; returns how many of them lie before the first that has no room left. */
static int fill_path(cut *c, const int *path, int n)
{
	int64_t flow = INT64_MAX;
	int before = 0;
	for (int k = 0; k < n; k++)
		if (c->edge[path[k]].room < flow) flow = c->edge[path[k]].room;
	for (int k = n - 1; k >= 0; k--) {
		c->edge[path[k]].room -= flow;
		c->edge[path[k] ^ 1].room += flow;
		if (c->edge[path[k]].room == 0) before = k;
	}
	return before;
}

/* Fills all shortest paths. `next` has the first edge of each vertex that may still lead on. */
static void fill_paths(cut *c, int *next, int *path)
{
	int n = 0, v = CUT_YES;
	memcpy(next, c->head, (size_t)c->n_vertices * sizeof *next);
	for (;;) {
		if (v == CUT_NO) {
			n = fill_path(c, path, n);
			v = c->edge[path[n] ^ 1].to;
		}
		while (next[v] >= 0) {
			const cut_edges *e = &c->edge[next[v]];
			if (e->room > 0 && c->level[e->to] == c->level[v] + 1) break;
			next[v] = e->next;
		}
		if (next[v] >= 0) {
			path[n++] = next[v];
			v = c->edge[next[v]].to;
		} else if (n > 0) {
			c->level[v] = -1;
			v = c->edge[path[--n] ^ 1].to;
		} else {
			return;
		}
	}
}

og_status cut_solve(cut *c)
{
	int *queue = arena_array(c->a, (size_t)c->n_vertices, sizeof *queue);
	int *next = arena_array(c->a, (size_t)c->n_vertices, sizeof *next);
	c->level = arena_array(c->a, (size_t)c->n_vertices, sizeof *c->level);
	if (!queue || !next || !c->level) return base_no_memory();
	while (find_levels(c, queue)) fill_paths(c, next, queue);
	return OG_OK;
}

bool cut_is_yes(const cut *c, int vertex) { return c->level[vertex] >= 0; }
