/* recognise_dump -- what the recogniser finds in a model's main graph, as JSON, and how long it took.
 *
 *   recognise_dump MODEL [OP] [--repeat N] */
#include <stdio.h>
#include <stdlib.h>

#include "onnx/onnx.h"
#include "schema/schema.h"
#include "surgery/match.h"

static void print_match(const match *m)
{
	const pattern *p = m->r->right;
	printf("{\"op\":\"%s\",\"output\":\"%s\",\"input\":\"%s\",\"how\":\"%s\",\"error\":%.9g,\"attributes\":{",
	       schema_called(p->op), m->outputs[0]->name, m->bound[0].value->name, m->r->how, m->error);
	for (int k = 0; k < p->n_binds; k++) {
		printf("%s\"%s\":", k ? "," : "", p->binds[k].name);
		if (p->binds[k].kind == BIND_STRING) printf("\"%s\"", p->binds[k].string);
		else printf("%.9g", p->binds[k].number);
	}
	printf("},\"inputs\":[");
	for (int k = 1; k < p->n_args; k++) {
		if (p->args[k]->kind == PATTERN_NUMBER) printf("%s%.9g", k > 1 ? "," : "", p->args[k]->number);
		else printf("%snull", k > 1 ? "," : "");
	}
	printf("],\"nodes\":[");
	for (int k = 0; k < m->n_nodes; k++) printf("%s\"%s\"", k ? "," : "", m->nodes[k]->name);
	if (m->reason) printf("],\"reason\":\"%s\"}", m->reason);
	else printf("]}");
}

static void print_list(const char *name, match *const *list, size_t n)
{
	printf("\"%s\":[", name);
	for (size_t k = 0; k < n; k++) {
		printf(k ? ",\n" : "\n");
		print_match(list[k]);
	}
	printf("]");
}

static og_status dump(const char *path, const char *op_name, int repeat)
{
	og_model *m;
	recogniser *r = NULL;
	match_list l = { 0 };
	const og_op *op = op_name ? schema_find_any(op_name) : NULL;
	double best = 1e9;
	if (op_name && !op) return base_fail(OG_USAGE, "no op %s", op_name);
	TRY(onnx_read(&m, path));
	schema_resolve(m);
	og_status status = schema_infer(m->main);
	for (int k = 0; k < repeat && status == OG_OK; k++) {
		double start = base_now();
		recognise_destroy(r);
		arena_destroy(l.a);
		l = (match_list){ .a = arena_create() };
		status = recognise_create(&r, op);
		if (status == OG_OK) status = recognise_graph(&l, r, m->main);
		double took = base_now() - start;
		if (took < best) best = took;
	}
	if (status == OG_OK) {
		printf("{\"seconds\":%.6f,", best);
		print_list("matches", l.matches, l.n);
		printf(",");
		print_list("refused", l.misses, l.n_misses);
		printf("}\n");
	}
	recognise_destroy(r);
	arena_destroy(l.a);
	graph_model_destroy(m);
	return status;
}

int main(int argc, char **argv)
{
	const char *op = NULL;
	int repeat = 1;
	for (int k = 2; k < argc; k++) {
		if (!strcmp(argv[k], "--repeat") && k + 1 < argc) repeat = atoi(argv[++k]);
		else op = argv[k];
	}
	og_status status = argc < 2 ? base_fail(OG_USAGE, "usage: recognise_dump MODEL [OP] [--repeat N]") : dump(argv[1], op, repeat);
	if (status != OG_OK) fprintf(stderr, "%s\n", base_error());
	return (int)status;
}
