/* fuzz_text.c -- libFuzzer target: what the text reader takes prints as a text that reads back equal. */
#include <stdlib.h>

#include "graph/graph.h"

static void require(bool holds)
{
	if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	og_model *m, *again, *copy;
	text printed = { 0 }, twice = { 0 };

	if (graph_parse(&m, (const char *)data, size) != OG_OK) return 0;
	require(graph_verify(m) == OG_OK);
	require(graph_print(&printed, m) == OG_OK);
	require(graph_parse(&again, printed.data, printed.length) == OG_OK);
	require(graph_equal(m, again) && graph_equal(again, m));
	require(graph_print(&twice, again) == OG_OK);
	require(printed.length == twice.length && !memcmp(printed.data, twice.data, printed.length));
	require(graph_model_copy(&copy, m) == OG_OK);
	require(graph_verify(copy) == OG_OK && graph_equal(m, copy));
	for (int i = 0; i + 1 < m->n_symbols && i < 20; i++)
		for (int op = OG_DIM_SUM; op <= OG_DIM_LESS; op++) graph_dim_do(m, (og_dim_op)op, -2 - i, -3 - i);
	require(graph_sort(m->main) == OG_OK && graph_verify(m) == OG_OK);
	graph_model_destroy(copy);
	graph_model_destroy(again);
	graph_model_destroy(m);
	text_free(&printed);
	text_free(&twice);
	return 0;
}
