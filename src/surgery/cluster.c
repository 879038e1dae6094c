/* cluster.c -- the fewest pieces. */
#include "surgery/cluster.h"

/* ---- neighbours ------------------------------------------------------------------------------ */

/* Those of v are other[first[v]] to other[first[v + 1] - 1]. */
typedef struct neighbours { size_t *first; int *other; } neighbours;

static void free_neighbours(neighbours *s)
{
	base_free(s->first);
	base_free(s->other);
}

/* Behind each node, or (`back`) in front of it. both_ways: whole edges lead back as well. */
static og_status find_neighbours(neighbours *s, const cluster_net *net, bool back, bool both_ways)
{
	size_t most;
	*s = (neighbours){ .first = base_new((size_t)net->n + 1, sizeof *s->first) };
	s->other = base_mul(net->n_edges, 2, &most) ? base_new(most + 1, sizeof *s->other) : NULL;
	if (!s->first || !s->other) return base_no_memory();
	for (size_t i = 0; i < net->n_edges; i++) {
		const cluster_edge *e = &net->edges[i];
		s->first[back ? e->to : e->from]++;
		if (both_ways && e->whole) s->first[back ? e->from : e->to]++;
	}
	for (int v = 1; v <= net->n; v++) s->first[v] += s->first[v - 1];
	for (size_t i = net->n_edges; i-- > 0;) {
		const cluster_edge *e = &net->edges[i];
		int at = back ? e->to : e->from, other = back ? e->from : e->to;
		s->other[--s->first[at]] = other;
		if (both_ways && e->whole) s->other[--s->first[other]] = at;
	}
	return OG_OK;
}

/* ---- units: strongly connected components, by Tarjan's algorithm ------------------------------- */

typedef struct search {
	neighbours next;
	int *unit, n_units;                  /* -1: not in a component yet */
	int *number, *low;                   /* when a node was met, from 1; and the earliest that it leads back to */
	size_t *at;                          /* its next edge to follow */
	int *path, n_path, *open, n_open;    /* nodes being followed, and nodes met whose component is not known */
	int met;
} search;

static void meet(search *s, int v)
{
	s->number[v] = s->low[v] = ++s->met;
	s->at[v] = s->next.first[v];
	s->path[s->n_path++] = v;
	s->open[s->n_open++] = v;
}

static void leave(search *s, int v)
{
	s->n_path--;
	int up = s->n_path ? s->path[s->n_path - 1] : -1;
	if (up >= 0 && s->low[v] < s->low[up]) s->low[up] = s->low[v];
	if (s->low[v] != s->number[v]) return;
	int w;
	do {
		w = s->open[--s->n_open];
		s->unit[w] = s->n_units;
	} while (w != v);
	s->n_units++;
}

static void follow(search *s, int root)
{
	meet(s, root);
	while (s->n_path) {
		int v = s->path[s->n_path - 1];
		if (s->at[v] == s->next.first[v + 1]) {
			leave(s, v);
			continue;
		}
		int w = s->next.other[s->at[v]++];
		if (!s->number[w]) meet(s, w);
		else if (s->unit[w] < 0 && s->number[w] < s->low[v]) s->low[v] = s->number[w];
	}
}

static og_status find_units(search *s, const cluster_net *net)
{
	size_t n = (size_t)net->n + 1;
	TRY(find_neighbours(&s->next, net, false, true));
	s->number = base_new(n, sizeof *s->number);
	s->low = base_new(n, sizeof *s->low);
	s->at = base_new(n, sizeof *s->at);
	s->path = base_new(n, sizeof *s->path);
	s->open = base_new(n, sizeof *s->open);
	if (!s->number || !s->low || !s->at || !s->path || !s->open) return base_no_memory();
	for (int v = 0; v < net->n; v++) s->unit[v] = -1;
	for (int v = 0; v < net->n; v++)
		if (!s->number[v]) follow(s, v);
	return OG_OK;
}

og_status cluster_units(cluster_net *net, int *unit, int *n_units)
{
	search s = { .unit = unit };
	og_status status = find_units(&s, net);
	free_neighbours(&s.next);
	base_free(s.number);
	base_free(s.low);
	base_free(s.at);
	base_free(s.path);
	base_free(s.open);
	TRY(status);
	/* the first that are found are those at the end */
	for (int v = 0; v < net->n; v++) unit[v] = s.n_units - 1 - unit[v];
	size_t kept = 0;
	for (size_t i = 0; i < net->n_edges; i++) {
		cluster_edge e = { .from = unit[net->edges[i].from], .to = unit[net->edges[i].to] };
		if (e.from != e.to) net->edges[kept++] = e;
	}
	net->n_edges = kept;
	*n_units = net->n = s.n_units;
	return OG_OK;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

/* The earliest piece of each node when piece 0 is for nodes whose `taken` is `first`. Returns the number of pieces, of which
 * piece 0 may be empty. */
static int earliest(int *piece, const cluster_net *net, const neighbours *next, const bool *taken, bool first)
{
	int n = 0;
	for (int v = 0; v < net->n; v++) piece[v] = taken[v] != first;
	for (int v = 0; v < net->n; v++) {
		for (size_t i = next->first[v]; i < next->first[v + 1]; i++) {
			int w = next->other[i], least = piece[v] + (taken[v] != taken[w]);
			if (piece[w] < least) piece[w] = least;
		}
		if (piece[v] >= n) n = piece[v] + 1;
	}
	return n;
}

/* From the end on, every node moves to the piece that most of its neighbours are in, among those that may have it; to the
 * last of them when they are equal, since nodes in front of it can follow. */
static void settle(int *piece, const cluster_net *net, const neighbours *next, const neighbours *back, const bool *taken)
{
	for (int v = net->n - 1; v >= 0; v--) {
		size_t from = next->first[v], to = next->first[v + 1], most = 0;
		if (from == to) continue;        /* it makes outputs of the network only: as early as it can */
		int latest = INT32_MAX, best = piece[v];
		for (size_t i = from; i < to; i++) {
			int w = next->other[i], least = piece[w] - (taken[v] != taken[w]);
			if (least < latest) latest = least;
		}
		for (int p = piece[v]; p <= latest; p += 2) {
			size_t beside = 0;
			for (size_t i = from; i < to; i++) beside += piece[next->other[i]] == p;
			for (size_t i = back->first[v]; i < back->first[v + 1]; i++) beside += piece[back->other[i]] == p;
			if (beside >= most) best = p;
			if (beside > most) most = beside;
		}
		piece[v] = best;
	}
}

og_status cluster_pieces(const cluster_net *net, const bool *taken, int *piece, int *n_pieces)
{
	neighbours next, back = { 0 };
	og_status status = find_neighbours(&next, net, false, false);
	if (status == OG_OK) status = find_neighbours(&back, net, true, false);
	if (status == OG_OK) {
		bool first = earliest(piece, net, &next, taken, true) <= earliest(piece, net, &next, taken, false);
		int n = earliest(piece, net, &next, taken, first), least = n;
		settle(piece, net, &next, &back, taken);
		for (int v = 0; v < net->n; v++)
			if (piece[v] < least) least = piece[v];
		for (int v = 0; v < net->n; v++) piece[v] -= least;
		*n_pieces = n - least;
	}
	free_neighbours(&next);
	free_neighbours(&back);
	return status;
}
