/* onnx_copy -- reads an ONNX model, writes it again and checks that what was written reads back equal.
 *
 *   onnx_copy IN OUT [--touch] [--reencode] [--external] [--limit BYTES] [--rename OLD=NEW]... [--unread]
 *
 * --touch: graph, functions and model are made anew of the bytes of their nodes, tensors and types. --reencode: all
 * is made anew. --unread: without reading back. The exit status is the og_status. */
#include <stdio.h>
#include <stdlib.h>

#include "onnx/onnx.h"

static void touch_all(og_model *m)
{
	for (graph *g = m->made; g; g = g->next_made) graph_touch(g);
}

/* Renames the value in every graph that has it. */
static og_status rename_value(og_model *m, char *change)
{
	char *to = strchr(change, '=');
	if (!to) return base_fail(OG_USAGE, "--rename takes OLD=NEW");
	*to++ = '\0';
	for (graph *g = m->made; g; g = g->next_made) {
		graph_value *v = graph_value_find(g, change);
		if (v) TRY(graph_value_rename(v, to));
	}
	return OG_OK;
}

static og_status change(og_model *m, int argc, char **argv, onnx_write_options *o, bool *unread)
{
	for (int k = 3; k < argc; k++) {
		if (strcmp(argv[k], "--touch") == 0) touch_all(m);
		else if (strcmp(argv[k], "--reencode") == 0) o->reencode = true;
		else if (strcmp(argv[k], "--external") == 0) o->external = true;
		else if (strcmp(argv[k], "--unread") == 0) *unread = true;
		else if (strcmp(argv[k], "--limit") == 0 && k + 1 < argc) o->limit = strtoull(argv[++k], NULL, 10);
		else if (strcmp(argv[k], "--rename") == 0 && k + 1 < argc) TRY(rename_value(m, argv[++k]));
		else return base_fail(OG_USAGE, "unknown option %s", argv[k]);
	}
	return OG_OK;
}

static og_status copy(int argc, char **argv)
{
	og_model *m, *back = NULL;
	onnx_write_options o = { 0 };
	bool unread = false;
	TRY(onnx_read(&m, argv[1]));
	og_status status = change(m, argc, argv, &o, &unread);
	if (status == OG_OK) status = onnx_write(m, argv[2], &o);
	if (status == OG_OK && !unread) status = onnx_read(&back, argv[2]);
	if (status == OG_OK && !unread && !graph_equal(m, back)) status = OG_NO;
	graph_model_destroy(back);
	graph_model_destroy(m);
	return status;
}

int main(int argc, char **argv)
{
	og_status status = argc < 3 ? base_fail(OG_USAGE, "usage: onnx_copy IN OUT [options]") : copy(argc, argv);
	if (status != OG_OK) fprintf(stderr, "%s\n", base_error());
	return (int)status;
}
