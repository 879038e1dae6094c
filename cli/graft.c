/* graft.c -- opgraft graft */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void print_match(const og_match *m)
{
	printf("  %-24s %s", m->output, m->op);
	for (int i = 0; i < m->n_attributes; i++) printf("%s%s=%g", i ? ", " : "(", m->attributes[i].name, m->attributes[i].value);
	printf("%s  <-", m->n_attributes ? ")" : "");
	for (int i = 0; i < m->n_nodes; i++) printf(" %s", m->nodes[i]);
	if (m->reason) printf("\n      refused: %s", m->reason);
	putchar('\n');
}

static void json_match(const og_match *m, bool first)
{
	printf("%s\n  {\"op\": ", first ? "" : ",");
	cli_json_string(stdout, m->op);
	printf(", \"attributes\": {");
	for (int i = 0; i < m->n_attributes; i++) {
		if (i) printf(", ");
		cli_json_string(stdout, m->attributes[i].name);
		printf(": %.9g", m->attributes[i].value);
	}
	printf("}, \"output\": ");
	cli_json_string(stdout, m->output);
	printf(", \"nodes\": [");
	for (int i = 0; i < m->n_nodes; i++) {
		if (i) printf(", ");
		cli_json_string(stdout, m->nodes[i]);
	}
	printf("], \"how\": ");
	cli_json_string(stdout, m->how);
	if (m->reason) {
		printf(", \"reason\": ");
		cli_json_string(stdout, m->reason);
	} else {
		printf(", \"error\": 0");
	}
	printf("}");
}

static void report(const cli_args *a, const og_found *f, bool dry)
{
	if (a->json) {
		printf("{\"matches\": [");
		for (size_t i = 0; i < f->n_matches; i++) json_match(&f->matches[i], i == 0);
		printf("], \"refused\": [");
		for (size_t i = 0; i < f->n_refused; i++) json_match(&f->refused[i], i == 0);
		printf("]}\n");
	} else if (!a->quiet) {
		printf("%zu place%s %s\n", f->n_matches, f->n_matches == 1 ? "" : "s", dry ? "would be grafted" : "grafted");
		for (size_t i = 0; i < f->n_matches; i++) print_match(&f->matches[i]);
		for (size_t i = 0; i < f->n_refused; i++) print_match(&f->refused[i]);
	}
}

/* The whole of a text file, NUL-terminated; NULL when it can't be read. */
static char *read_text(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n = 0, room = 1 << 16;
	char *s = f ? malloc(room) : NULL;
	while (s) {
		size_t got = fread(s + n, 1, room - n - 1, f);
		n += got;
		if (n + 1 < room) break;
		char *grown = realloc(s, room *= 2);
		if (!grown) free(s);
		s = grown;
	}
	if (s) s[n] = 0;
	if (f) fclose(f);
	return s;
}

static int run(const cli_args *a)
{
	og_graft_options o = { .size = sizeof o, .map = cli_option_value(a, "--map"), .op = cli_option_value(a, "--op"),
	                       .rules = cli_option_value(a, "--rule"), .only = cli_option_value(a, "--only"),
	                       .dry_run = cli_option_value(a, "--dry-run") != NULL };
	const char *out = cli_option_value(a, "-o"), *file = cli_option_value(a, "--rules");
	char *rules = NULL;
	if (!cli_files(a, 1, 1, "a model file")) return OG_USAGE;
	if (!out && !o.dry_run) return cli_usage(a, "-o OUT.onnx is needed (or --dry-run)");
	if (!o.map + !o.op + !o.rules + !file != 3) return cli_usage(a, "one of --map, --op, --rule and --rules is needed");
	if (file) {
		o.rules = rules = read_text(file);
		if (!rules) return (int)cli_tell(OG_MISSING, "%s: this file cannot be read", file);
	}
	og_model *model;
	og_found *found = NULL;
	og_status status = og_model_load(&model, a->files[0]);
	if (status == OG_OK) {
		status = og_graft(&found, model, &o);
		if (found) report(a, found, o.dry_run != 0);
		if (status == OG_OK && !o.dry_run) status = og_model_save(model, out);
		og_model_free(model);
	}
	og_found_free(found);
	free(rules);
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_graft = {
	.name = "graft", .usage = "MODEL -o OUT.onnx (--map A=B | --rule RULE | --op OP)",
	.what = "replace nodes by an operator",
	.more = "A map replaces every node of one type; a rule replaces a pattern of nodes; an op\n"
	        "by name is found by the pattern that its op file gives. What is not touched\n"
	        "keeps its bytes. Exit status 1 when nothing matched; then nothing is written.\n\n"
	        "In a rule, names are variables, numbers match constants, commutative inputs\n"
	        "match both ways, and name=value is an attribute.\n\n"
	        "Examples:\n"
	        "  opgraft graft relu.onnx -o swish.onnx --map Relu=Swish\n"
	        "  opgraft graft relu.onnx -o swish.onnx --map Relu=Swish,beta=1.5\n"
	        "  opgraft graft net.onnx -o out.onnx --op Swish --only 'layer3/*'\n"
	        "  opgraft graft net.onnx -o out.onnx \\\n"
	        "      --rule 'Div(x, Add(Exp(Neg(x)), 1)) -> Swish(x)'\n"
	        "  opgraft graft net.onnx --dry-run --rule 'Mul(x, Sigmoid(x)) -> Swish(x)'\n",
	.options = (const cli_option[]){
		{ "-o", "OUT.onnx", "the file to write" },
		{ "--map", "A=B[,name=x]", "every node of type A becomes op B" },
		{ "--rule", "'PATTERN -> OP'", "replace a pattern" },
		{ "--rules", "FILE", "rules from a file, one a line" },
		{ "--op", "OP", "the places that compute OP as its op file spells it" },
		{ "--only", "GLOB", "only nodes whose name matches" },
		{ "--dry-run", NULL, "say what would be done, write nothing" },
		{ NULL, NULL, NULL } },
	.run = run,
};
