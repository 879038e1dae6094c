/* graft.c -- opgraft graft */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* All maps of the command line, ';' between them. */
static char *join_maps(const cli_args *a)
{
	const char *map;
	size_t n = 1;
	for (int k = 0; (map = cli_option_nth(a, "--map", k)); k++) n += strlen(map) + 1;
	char *all = calloc(n, 1);
	for (int k = 0; all && (map = cli_option_nth(a, "--map", k)); k++) strcat(strcat(all, k ? ";" : ""), map);
	return all;
}

static og_status graft(const cli_args *a, const og_graft_options *o, const char *out, const char *edits)
{
	og_model *model;
	og_found *found = NULL;
	og_status status = og_model_load(&model, a->files[0]);
	if (status != OG_OK) return status;
	status = og_graft(&found, model, o);
	if (edits && status != OG_OK && status != OG_NO) cli_tell(status, "%s: %s", edits, og_error());
	if (status == OG_OK && !o->dry_run) status = og_model_save(model, out);
	if (found) {
		og_status told = cli_print_found(a, found, o->dry_run ? "would be grafted" : "grafted");
		if (told != OG_OK) status = told;
	}
	og_found_free(found);
	og_model_free(model);
	return status;
}

static int run(const cli_args *a)
{
	og_graft_options o = { .size = sizeof o, .op = cli_option_value(a, "--op"), .rules = cli_option_value(a, "--rule"),
	                       .only = cli_option_value(a, "--only"), .skip = cli_option_value(a, "--skip"),
	                       .keep_interior = cli_option_value(a, "--keep") != NULL,
	                       .dry_run = cli_option_value(a, "--dry-run") != NULL };
	const char *out = cli_option_value(a, "-o"), *edits = cli_option_value(a, "--plan"), *rules = cli_option_value(a, "--rules");
	bool map = cli_option_value(a, "--map") != NULL;
	if (!cli_files(a, 1, 1, "a model file")) return OG_USAGE;
	if (!out && !o.dry_run) return cli_usage(a, "-o OUT.onnx is needed (or --dry-run)");
	if (map + !!o.op + !!o.rules + !!rules + !!edits != 1) return cli_usage(a, "one of --map, --op, --rule, --rules and --plan is needed");
	char *text = NULL;
	if (rules || edits) {
		og_status status = cli_read_text(&text, rules ? rules : edits);
		if (status != OG_OK) return cli_fail(status);
	}
	if (map && !(text = join_maps(a))) return cli_fail(OG_NO_MEMORY);
	if (rules) o.rules = text;
	if (edits) o.edits = text;
	if (map) o.map = text;
	og_status status = graft(a, &o, out, edits);
	free(text);
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_graft = {
	.name = "graft", .usage = "MODEL -o OUT.onnx (--map A=B | --rule RULE | --op OP)",
	.what = "replace nodes by an operator",
	.more = "A map replaces every node of one type; a rule replaces a pattern of nodes; an op\n"
	        "by name is found however it is spelled. What is not touched keeps its bytes.\n"
	        "Exit status 1 when nothing matched; then nothing is written.\n\n"
	        "A value inside a place that other nodes read, or that is an output of the\n"
	        "network, refuses the place; with --keep the nodes that make it stay.\n\n"
	        "In a rule, names are variables, numbers match constants, commutative inputs\n"
	        "match both ways, and name=value is an attribute.\n\n"
	        "Examples:\n"
	        "  opgraft graft relu.onnx -o swish.onnx --map Relu=Swish\n"
	        "  opgraft graft relu.onnx -o swish.onnx --map Relu=Swish,beta=1.5\n"
	        "  opgraft graft net.onnx -o out.onnx --op Swish --only 'layer3/*'\n"
	        "  opgraft graft net.onnx -o out.onnx \\\n"
	        "      --rule 'Div(x, Add(Exp(Neg(x)), 1)) -> Swish(x)'\n"
	        "  opgraft graft net.onnx --op Swish --dry-run --json > edits.json\n"
	        "  opgraft graft net.onnx -o out.onnx --plan edits.json\n",
	.options = (const cli_option[]){
		{ "-o", "OUT.onnx", "the file to write" },
		{ "--map", "A=B[,name=x]", "every node of type A becomes op B (again: more of them)" },
		{ "--rule", "'PATTERN -> OP'", "replace a pattern" },
		{ "--rules", "FILE", "rules from a file, one a line" },
		{ "--op", "OP", "the places that compute OP, by rules and by meaning" },
		{ "--plan", "EDITS.json", "the edits that --dry-run --json wrote" },
		{ "--only", "GLOB", "only places whose last node's name matches" },
		{ "--skip", "GLOB", "not those" },
		{ "--keep", NULL, "keep what is needed inside a place" },
		{ "--dry-run", NULL, "say what would be done, write nothing" },
		CLI_OPS_OPTION,
		{ NULL, NULL, NULL } },
	.run = run,
};
