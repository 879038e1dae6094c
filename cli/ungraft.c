/* ungraft.c -- opgraft ungraft */
#include "cli.h"

static int run(const cli_args *a)
{
	og_graft_options o = { .size = sizeof o, .op = cli_option_value(a, "--op"), .only = cli_option_value(a, "--only"),
	                       .skip = cli_option_value(a, "--skip"), .dry_run = cli_option_value(a, "--dry-run") != NULL };
	const char *out = cli_option_value(a, "-o");
	og_model *model;
	og_found *found = NULL;
	if (!cli_files(a, 1, 1, "a model file")) return OG_USAGE;
	if (!out && !o.dry_run) return cli_usage(a, "-o OUT.onnx is needed (or --dry-run)");
	og_status status = og_model_load(&model, a->files[0]);
	if (status != OG_OK) return cli_fail(status);
	status = og_ungraft(&found, model, &o);
	if (status == OG_OK && !o.dry_run) status = og_model_save(model, out);
	if (found && (status == OG_OK || status == OG_NO)) {
		og_status told = cli_print_found(a, found, o.dry_run ? "would be taken apart" : "taken apart");
		if (told != OG_OK) status = told;
	}
	og_model_free(model);
	og_found_free(found);
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_ungraft = {
	.name = "ungraft", .usage = "MODEL -o OUT.onnx", .what = "put primitives back for grafted operators",
	.more = "Every node of an operator that ONNX does not have (ours, and those of op\n"
	        "libraries) becomes the primitives that its op file is made of, with its\n"
	        "attributes as constants. An operator that is not known here is taken apart by\n"
	        "the function that the file has for it. One that has neither stays, and the\n"
	        "reason is told. Values keep their names. Exit status 1 when there was nothing to\n"
	        "take apart; then nothing is written.\n\n"
	        "Examples:\n"
	        "  opgraft ungraft swish.onnx -o plain.onnx\n"
	        "  opgraft ungraft net.onnx -o out.onnx --op Swish --only 'layer3/*'\n"
	        "  opgraft ungraft net.onnx --dry-run --json\n",
	.options = (const cli_option[]){
		{ "-o", "OUT.onnx", "the file to write" },
		{ "--op", "OP", "this operator only" },
		{ "--only", "GLOB", "only nodes whose name matches" },
		{ "--skip", "GLOB", "not those whose name matches" },
		{ "--dry-run", NULL, "say what would be done, write nothing" },
		CLI_OPS_OPTION,
		{ NULL, NULL, NULL } },
	.run = run,
};
