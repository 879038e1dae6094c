/* op_bench_tell.c -- the verdict of opgraft op bench, as text, JSON and a page. */
#include <string.h>

#include "op_bench.h"

enum { WIDTH = 80 };

static const char *const runtimes[] = { "Opgraft", "ONNX Runtime" };
static const char NO_TENSORRT[] = "it needs a GPU and is timed by its own trtexec (docs/tensorrt.md has the lines)";

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* "1.9 times faster", or that there is no such number. */
static void tell_times(char *out, size_t room, const verdict *v)
{
	if (v->claim) snprintf(out, room, "%.3g times %s", v->claim > 0 ? v->times : 1 / v->times, v->claim > 0 ? "faster" : "slower");
	else snprintf(out, room, "no difference that could be told from noise");
}

/* "keep it: ..." where the runtimes agree, else what to do for each; true: keep it somewhere. */
bool bench_conclude(const bench *b, char *out, size_t room)
{
	char told[2][64];
	double most = 0;
	for (int i = 0; i < b->n_cases; i++)
		if (b->cases[i].form == GRAFTED && b->cases[i].difference > most) most = b->cases[i].difference;
	if (b->differs) return snprintf(out, room, "leave it out: its answers differ, by %.2g of the largest", most), false;
	const verdict *first = &b->verdicts[0], *second = &b->verdicts[1];
	tell_times(told[0], sizeof told[0], first);
	tell_times(told[1], sizeof told[1], second);
	bool keep = first->claim > 0 || second->claim > 0, both = first->other && second->other;
	if (!both)
		snprintf(out, room, "%s: in %s %s", keep ? "keep it" : "leave it out", runtimes[!first->other], told[!first->other]);
	else if (first->claim > 0 && second->claim > 0)
		snprintf(out, room, "keep it: in %s %s, in %s %s", runtimes[0], told[0], runtimes[1], told[1]);
	else if (!first->claim && !second->claim)
		snprintf(out, room, "leave it out: %s, in %s and in %s", told[0], runtimes[0], runtimes[1]);
	else if (!keep)
		snprintf(out, room, "leave it out: in %s %s, in %s %s", runtimes[0], told[0], runtimes[1], told[1]);
	else
		snprintf(out, room, "keep it for %s: %s; leave it out for %s: %s", runtimes[first->claim <= 0], told[first->claim <= 0],
		         runtimes[first->claim > 0], told[first->claim > 0]);
	return keep;
}

static void print_wrapped(const char *s, int indent)
{
	int column = printf("%*s", indent, "");
	while (*s) {
		int n = (int)strcspn(s, " ");
		if (column + 1 + n > WIDTH && column > indent) column = printf("\n%*s", indent, "") - 1;
		column += printf("%s%.*s", column > indent ? " " : "", n, s);
		s += n + strspn(s + n, " ");
	}
	putchar('\n');
}

static void print_head(const bench *b)
{
	char s[1024];
	snprintf(s, sizeof s, "%s at %zu place%s of %s: batch %lld, %d thread%s, medians of %zu rounds", b->op_names,
	         b->places, b->places == 1 ? "" : "s", base_name(b->model), (long long)b->batch, b->cases[0].net.threads,
	         b->cases[0].net.threads == 1 ? "" : "s", b->rounds);
	print_wrapped(s, 0);
}

static void print_table(const bench *b)
{
	const char *told[2] = { og_version(), b->peer_version };
	print_head(b);
	printf("\n%-32s %10s %10s %10s %6s %7s\n", "", "median", "p10", "p90", "ratio", "differs");
	for (int r = 0; r < 2; r++) {
		double first = 0;
		printf("%s%s%s\n", runtimes[r], told[r][0] ? " " : "", told[r]);
		for (int i = 0; i < b->n_cases; i++) {
			const bench_case *c = &b->cases[i];
			char text[3][24];
			if (c->peer != r) continue;
			if (c->refusal) {
				printf("  %s: not run\n", c->label);
				print_wrapped(c->refusal, 4);
				continue;
			}
			if (first <= 0) first = c->median;
			cli_print_seconds(text[0], sizeof text[0], c->median);
			cli_print_seconds(text[1], sizeof text[1], c->p10);
			cli_print_seconds(text[2], sizeof text[2], c->p90);
			printf("  %-30.30s %10s %10s %10s %6.2f %7.0e\n", c->label, text[0], text[1], text[2], c->median / first, c->difference);
		}
		if (r == 1 && b->no_peer) printf("  not run\n"), print_wrapped(b->no_peer, 4);
	}
	printf("TensorRT\n  not run\n");
	print_wrapped(NO_TENSORRT, 4);
	putchar('\n');
}

static void json_pair(const char *name, const char *value, const char *end)
{
	printf("\"%s\": ", name);
	cli_json_string(stdout, value);
	fputs(end, stdout);
}

static void print_not_run(const bench *b)
{
	printf("],\n \"not_run\": [");
	for (int i = 0; i < b->n_cases; i++) {
		const bench_case *c = &b->cases[i];
		if (!c->refusal) continue;
		putchar('{');
		json_pair("runtime", runtimes[c->peer], ", ");
		json_pair("form", c->label, ", ");
		json_pair("reason", c->refusal, "}, ");
	}
	if (b->no_peer) printf("{\"runtime\": \"%s\", ", runtimes[1]), json_pair("reason", b->no_peer, "}, ");
	printf("{\"runtime\": \"TensorRT\", ");
	json_pair("reason", NO_TENSORRT, "}]");
}

static void print_json(const bench *b, bool keep, const char *sentence)
{
	putchar('{');
	json_pair("library", b->library, ", ");
	json_pair("model", b->model, ", ");
	json_pair("ops", b->op_names, ", ");
	printf("\"places\": %zu, \"batch\": %lld, \"threads\": %d, \"runs\": %zu,\n \"results\": [", b->places, (long long)b->batch,
	       b->cases[0].net.threads, b->rounds);
	const char *comma = "";
	for (int i = 0; i < b->n_cases; i++) {
		static const char *const forms[FORMS] = { "primitives", "built in", "grafted" };
		const bench_case *c = &b->cases[i];
		if (c->refusal) continue;
		printf("%s\n  {", comma);
		json_pair("runtime", runtimes[c->peer], ", ");
		json_pair("form", forms[c->form], ", ");
		if (c->form == BUILT_IN) json_pair("op", b->built_in, ", ");
		printf("\"fused\": %s, \"library\": %s, \"median_ms\": %.6g, \"p10_ms\": %.6g, \"p90_ms\": %.6g, \"difference\": %.3g}",
		       c->apart ? "false" : "true", c->library ? "true" : "false", c->median * 1e3, c->p10 * 1e3, c->p90 * 1e3, c->difference);
		comma = ",";
	}
	print_not_run(b);
	printf(",\n \"verdicts\": [");
	comma = "";
	for (int r = 0; r < 2; r++) {
		const verdict *v = &b->verdicts[r];
		if (!v->other) continue;
		printf("%s{", comma);
		json_pair("runtime", runtimes[r], ", ");
		json_pair("beside", v->other->label, ", ");
		printf("\"times_faster\": %.4g, \"p10\": %.4g, \"p90\": %.4g, \"claim\": \"%s\"}", v->times, v->low, v->high,
		       v->claim > 0 ? "faster" : v->claim < 0 ? "slower" : "none");
		comma = ", ";
	}
	printf("],\n \"keep\": %s, ", keep ? "true" : "false");
	json_pair("verdict", sentence, "}\n");
}

void bench_print(const bench *b, bool keep, const char *sentence)
{
	if (b->a->json) {
		print_json(b, keep, sentence);
		return;
	}
	if (!b->a->quiet) print_table(b);
	print_wrapped(sentence, 0);
}

/* ---- the page ------------------------------------------------------------------------------------ */

og_status bench_write_page(const bench *b, page *p, const char *sentence)
{
	double full = 0;
	page_bar bars[2][MAX_CASES];
	int n[2] = { 0, 0 };
	for (int i = 0; i < b->n_cases; i++) {
		const bench_case *c = &b->cases[i];
		if (c->refusal) continue;
		bars[c->peer][n[c->peer]++] = (page_bar){ c->label, c->median, c->p10, c->p90,
		                                          c->apart ? "plain" : c->form == GRAFTED && c->library ? "ours" : "base" };
	}
	fputs("<p class=\"lead\">", p->f);
	page_text(p, "%s.", sentence);
	fputs("</p>\n<p>", p->f);
	page_text(p, "%s at %zu places of %s; batch %lld, threads: %d. Medians of %zu interleaved rounds on this machine; thin lines go from "
	          "the 10th to the 90th percentile. TensorRT was not run: %s.", b->op_names, b->places, base_name(b->model), (long long)b->batch,
	          b->cases[0].net.threads, b->rounds, NO_TENSORRT);
	if (b->no_peer) page_text(p, " ONNX Runtime was not run: %s.", b->no_peer);
	fputs("</p>\n<div class=\"plot\">\n", p->f);
	for (int r = 0; r < 2; r++) full = page_bars_full(bars[r], n[r], full);
	for (int r = 0; r < 2; r++)
		if (n[r]) page_bars(p, runtimes[r], bars[r], n[r], full);
	fputs("</div>\n", p->f);
	return page_close(p);
}
