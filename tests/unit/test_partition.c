/* test_partition.c -- cuts of random networks: legal, and with as few pieces as trying all of them finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "opgraft.h"
#include "surgery/cluster.h"

enum { MOST = 10 };

static uint64_t state = 1;
static int random_below(int n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (int)((state >> 33) % (uint64_t)n);
}

typedef struct network { cluster_net net; cluster_edge edges[MOST * MOST]; bool taken[MOST]; } network;

static void make(network *w, int n, int density, int whole)
{
	*w = (network){ .net = { .n = n, .edges = w->edges } };
	for (int i = 0; i < n; i++) w->taken[i] = random_below(2) != 0;
	for (int i = 0; i < n; i++)
		for (int k = i + 1; k < n; k++)
			if (random_below(100) < density)
				w->edges[w->net.n_edges++] = (cluster_edge){ i, k, random_below(100) < whole };
}

/* True when pieces 0 .. n_pieces - 1 can be put into an order in which each reads from those in front of it only. */
static bool has_order(const network *w, const int *piece, int n_pieces)
{
	bool reads[MOST][MOST] = { { false } }, done[MOST] = { false };
	for (size_t i = 0; i < w->net.n_edges; i++) reads[piece[w->edges[i].to]][piece[w->edges[i].from]] = true;
	for (int round = 0; round < n_pieces; round++) {
		int ready = -1;
		for (int p = 0; p < n_pieces && ready < 0; p++) {
			bool waits = done[p];
			for (int q = 0; q < n_pieces; q++) waits |= q != p && reads[p][q] && !done[q];
			if (!waits) ready = p;
		}
		if (ready < 0) return false;
		done[ready] = true;
	}
	return true;
}

static bool is_legal(const network *w, const int *piece, int n_pieces)
{
	for (int i = 0; i < w->net.n; i++)
		for (int k = 0; k < i; k++)
			if (piece[i] == piece[k] && w->taken[i] != w->taken[k]) return false;
	for (size_t i = 0; i < w->net.n_edges; i++)
		if (w->edges[i].whole && piece[w->edges[i].from] != piece[w->edges[i].to]) return false;
	return has_order(w, piece, n_pieces);
}

/* Tries every way to put nodes from `at` on into pieces; 0: none is legal. */
static int fewest(const network *w, int *piece, int at, int n_pieces, int best)
{
	if (best && n_pieces >= best) return best;
	if (at == w->net.n) return is_legal(w, piece, n_pieces) ? n_pieces : best;
	for (int p = 0; p <= n_pieces; p++) {
		bool same = true;
		for (int k = 0; k < at; k++) same &= piece[k] != p || w->taken[k] == w->taken[at];
		piece[at] = p;
		if (same) best = fewest(w, piece, at + 1, p == n_pieces ? n_pieces + 1 : n_pieces, best);
	}
	return best;
}

static void check(int n, int density)
{
	network w;
	int piece[MOST], all[MOST], n_pieces;
	make(&w, n, density, 0);
	assert_int_equal(cluster_pieces(&w.net, w.taken, piece, &n_pieces), OG_OK);
	bool used[MOST] = { false };
	for (int i = 0; i < n; i++) {
		assert_in_range(piece[i], 0, n_pieces - 1);
		used[piece[i]] = true;
	}
	for (int p = 0; p < n_pieces; p++) assert_true(used[p]);
	for (size_t i = 0; i < w.net.n_edges; i++) assert_true(piece[w.edges[i].from] <= piece[w.edges[i].to]);
	assert_true(is_legal(&w, piece, n_pieces));
	assert_int_equal(n_pieces, fewest(&w, all, 0, 0, 0));
}

static void test_no_cut_has_fewer_pieces(void **unused)
{
	(void)unused;
	for (int k = 0; k < 4000; k++) check(1 + random_below(7), random_below(100));
	for (int k = 0; k < 40; k++) check(MOST, 10 + random_below(60));
}

/* Units: colour them by their first node, cut, and compare with the legal cuts of the nodes. */
static void test_values_that_cannot_pass(void **unused)
{
	int unit[MOST], n_units, piece[MOST], all[MOST], n_pieces, impossible = 0;
	(void)unused;
	for (int k = 0; k < 4000; k++) {
		network w, nodes;
		make(&w, 1 + random_below(7), random_below(70), 20);
		nodes = w;
		nodes.net.edges = nodes.edges;
		assert_int_equal(cluster_units(&w.net, unit, &n_units), OG_OK);
		bool taken[MOST] = { false }, mixed = false, seen[MOST] = { false };
		for (int i = 0; i < nodes.net.n; i++) {
			assert_in_range(unit[i], 0, n_units - 1);
			mixed |= seen[unit[i]] && taken[unit[i]] != nodes.taken[i];
			taken[unit[i]] = nodes.taken[i];
			seen[unit[i]] = true;
		}
		for (int u = 0; u < n_units; u++) assert_true(seen[u]);
		for (size_t i = 0; i < w.net.n_edges; i++) assert_true(w.edges[i].from < w.edges[i].to);
		int best = fewest(&nodes, all, 0, 0, 0);
		impossible += mixed;
		if (mixed) {                     /* nodes of two runtimes that no cut can part */
			assert_int_equal(best, 0);
			continue;
		}
		assert_int_equal(cluster_pieces(&w.net, taken, piece, &n_pieces), OG_OK);
		int of_node[MOST];
		for (int i = 0; i < nodes.net.n; i++) of_node[i] = piece[unit[i]];
		assert_true(is_legal(&nodes, of_node, n_pieces));
		assert_int_equal(n_pieces, best);
	}
	assert_in_range(impossible, 400, 3600);
}

static void test_a_long_network(void **unused)
{
	enum { N = 200000 };
	cluster_edge *edges = calloc(2 * N, sizeof *edges);
	int *piece = calloc(N, sizeof *piece), n_pieces, n_units;
	bool *taken = calloc(N, sizeof *taken);
	cluster_net net = { .n = N, .edges = edges };
	(void)unused;
	for (int i = 0; i < N; i++) taken[i] = i / 10 % 2;
	for (int i = 1; i < N; i++) {
		edges[net.n_edges++] = (cluster_edge){ i - 1, i, i % 10 == 5 };
		if (i > 7) edges[net.n_edges++] = (cluster_edge){ i - 7, i, false };
	}
	assert_int_equal(cluster_pieces(&net, taken, piece, &n_pieces), OG_OK);
	assert_int_equal(n_pieces, N / 10);
	for (int i = 0; i < N; i++) assert_int_equal(piece[i], i / 10);
	assert_int_equal(cluster_units(&net, piece, &n_units), OG_OK);
	assert_int_equal(n_units, N - N / 10);
	free(edges);
	free(piece);
	free(taken);
}

/* a -> b -> c with b for the other runtime, and s, which c alone reads: it comes with c. */
static void test_nodes_go_where_they_are_read(void **unused)
{
	cluster_edge edges[] = { { 0, 2, false }, { 2, 3, false }, { 1, 3, false } };
	cluster_net net = { .n = 4, .edges = edges, .n_edges = 3 };
	int piece[4], n_pieces;
	(void)unused;
	assert_int_equal(cluster_pieces(&net, (bool[]){ true, true, false, true }, piece, &n_pieces), OG_OK);
	assert_int_equal(n_pieces, 3);
	assert_int_equal(piece[0], 0);
	assert_int_equal(piece[1], 2);
	assert_int_equal(piece[2], 1);
	assert_int_equal(piece[3], 2);
}

static void test_memory_that_runs_out(void **unused)
{
	cluster_edge edges[] = { { 0, 1, true }, { 1, 2, false } };
	int unit[3], n;
	(void)unused;
	for (uint64_t k = 1; k < 9; k++) {
		cluster_net net = { .n = 3, .edges = edges, .n_edges = 2 };
		base_fail_allocation(k);
		og_status status = cluster_units(&net, unit, &n);
		base_fail_allocation(0);
		assert_int_equal(status, k <= 7 ? OG_NO_MEMORY : OG_OK);
	}
	for (uint64_t k = 1; k < 6; k++) {
		cluster_net net = { .n = 2, .edges = (cluster_edge[]){ { 0, 1, false } }, .n_edges = 1 };
		base_fail_allocation(k);
		og_status status = cluster_pieces(&net, (bool[]){ true, false }, unit, &n);
		base_fail_allocation(0);
		assert_int_equal(status, k <= 4 ? OG_NO_MEMORY : OG_OK);
	}
}

static const char text_form[] =
	"model ir=8 {\"\" 17}\n"
	"graph \"g\" {\n"
	"  in x: f32[2,3]\n"
	"  const w: f32[3] = {1, 2, 3}\n"
	"  n = Neg(w) \"turn\"\n  a = Add(x, n) \"first\"\n  b: f32[2,3] = Tanh(a) \"middle\"\n  y: f32[2,3] = Mul(b, n) \"last\"\n"
	"  out y\n"
	"}\n";

/* The n-th allocation fails, for every n up to the last: a status each time, and nothing left behind. */
static void test_memory_of_the_whole(void **unused)
{
	char folder[] = "/tmp/opgraft-partition-XXXXXX", path[64], piece[80], *out;
	float x[6] = { 1, -2, 3, -4, 5, -6 };
	og_tensor in = { .dtype = OG_F32, .rank = 2, .dims = { 2, 3 }, .data = x }, *y;
	const og_tensor *inputs[] = { &in };
	og_model *m;
	og_manifest *manifest;
	(void)unused;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/manifest.json", folder);
	const og_partition_options o = { .size = sizeof o, .runtime = "opgraft", .fallback = "reference", .refuse = "middle", .folder = folder };
	assert_int_equal(og_model_load_memory(&m, text_form, strlen(text_form), NULL), OG_OK);
	og_status status = OG_NO_MEMORY;
	for (uint64_t k = 1; status != OG_OK; k++) {
		base_fail_allocation(k);
		status = og_partition(&out, m, &o, OG_JSON);
		base_fail_allocation(0);
		assert_true(status == OG_OK || (status == OG_NO_MEMORY && !out));
	}
	og_text_free(out);
	og_model_free(m);
	status = OG_NO_MEMORY;
	for (uint64_t k = 1; status != OG_OK; k++) {
		const og_manifest_options how = { .size = sizeof how, .threads = 1, .timing = OG_TIMING_OFF };
		base_fail_allocation(k);
		status = og_manifest_load(&manifest, path);
		if (status == OG_OK) {
			status = og_manifest_run(manifest, inputs, &y, &how);
			assert_true(status == OG_OK || !y);
			og_manifest_free(manifest);
		}
		base_fail_allocation(0);
		assert_true(status == OG_OK || status == OG_NO_MEMORY || status == OG_BAD_FILE);
	}
	og_tensor_free(y);
	for (int k = 0; k < 3; k++) {
		snprintf(piece, sizeof piece, "%s/piece_%d_%s.onnx", folder, k, k == 1 ? "reference" : "opgraft");
		assert_int_equal(unlink(piece), 0);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_cut_has_fewer_pieces),
		cmocka_unit_test(test_values_that_cannot_pass),
		cmocka_unit_test(test_a_long_network),
		cmocka_unit_test(test_nodes_go_where_they_are_read),
		cmocka_unit_test(test_memory_that_runs_out),
		cmocka_unit_test(test_memory_of_the_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
