/* fuzz_onnx.c -- libFuzzer target: any bytes as an ONNX model. What can be read must print, be written again, from its
 * parts and from nothing, and read back equal. */
#include <stdlib.h>

#include "onnx/onnx.h"

static void must(bool yes)
{
	if (!yes) abort();
}

static void check_written(og_model *m, const onnx_write_options *o)
{
	uint8_t *data;
	size_t n;
	og_model *back;
	must(onnx_write_memory(m, &data, &n, o) == OG_OK);
	must(onnx_read_memory(&back, data, n, NULL) == OG_OK);
	m->ir_version = back->ir_version;            /* may have been raised for what is in the model */
	must(graph_equal(m, back));
	graph_model_destroy(back);
	base_free(data);
}

static void check_model(og_model *m)
{
	text t = { 0 };
	must(graph_verify(m) == OG_OK);
	must(graph_print(&t, m) == OG_OK);
	text_free(&t);
	for (graph *g = m->made; g; g = g->next_made) graph_touch(g);
	check_written(m, &(onnx_write_options){ 0 });
	check_written(m, &(onnx_write_options){ .reencode = true });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	og_model *m;
	if (onnx_read_memory(&m, data, n, NULL) == OG_OK) check_model(m);
	else must(m == NULL && *base_error() != '\0');
	graph_model_destroy(m);
	return 0;
}
