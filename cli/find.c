/* find.c -- opgraft find */
#include <stdlib.h>

#include "cli.h"

static int run(const cli_args *a)
{
	og_graft_options o = { .size = sizeof o, .op = cli_option_value(a, "--op"), .rules = cli_option_value(a, "--rule"),
	                       .only = cli_option_value(a, "--only"), .skip = cli_option_value(a, "--skip") };
	const char *file = cli_option_value(a, "--rules");
	char *rules = NULL;
	og_model *model = NULL;
	og_found *found = NULL;
	if (!cli_files(a, 1, 1, "a model file")) return OG_USAGE;
	if (o.rules && file) return cli_usage(a, "--rule and --rules are one too many");
	og_status status = file ? cli_read_text(&rules, file) : OG_OK;
	if (file) o.rules = rules;
	if (status == OG_OK) status = og_model_load(&model, a->files[0]);
	if (status == OG_OK) status = og_find(&found, model, &o);
	if (found) {
		og_status told = cli_print_found(a, found, "found");
		if (told != OG_OK) status = told;
	}
	og_found_free(found);
	og_model_free(model);
	free(rules);
	if (status == OG_NO && !a->json && !a->quiet) return OG_NO;      /* "0 places found" has said it */
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_find = {
	.name = "find", .usage = "MODEL [--op OP] [--rule RULE]", .what = "where a network computes an operator",
	.more = "Every place that computes the operator, however it is spelled: by the rules of\n"
	        "its op file, by what the nodes compute together, and nodes that are it already.\n"
	        "Where two places overlap the largest counts. What almost is such a place is\n"
	        "told with the reason. Without --op: all operators that have a name of their\n"
	        "own. Exit status 1 when nothing was found.\n\n"
	        "Examples:\n"
	        "  opgraft find net.onnx\n"
	        "  opgraft find net.onnx --op Swish --json\n"
	        "  opgraft find net.onnx --rule 'Mul(x, Sigmoid(x)) -> Swish(x)'\n",
	.options = (const cli_option[]){
		{ "--op", "OP", "the operator" },
		{ "--rule", "'PATTERN -> OP'", "where this rule would match" },
		{ "--rules", "FILE", "rules from a file, one a line" },
		{ "--only", "GLOB", "only places whose last node's name matches" },
		{ "--skip", "GLOB", "not those" },
		CLI_OPS_OPTION,
		{ NULL, NULL, NULL } },
	.run = run,
};
