/* info.c -- opgraft info */
#include "cli.h"

static int run(const cli_args *a)
{
	char *out = NULL;
	if (!cli_files(a, 1, 1, "a model, plan or op library")) return OG_USAGE;
	og_format format = a->json ? OG_JSON : OG_TEXT;
	og_plan *plan = NULL;
	og_model *model = NULL;
	og_status status;
	if (cli_is_library(a->files[0])) {
		status = og_op_library_describe(&out, a->files[0], format);
	} else if (cli_is_plan(a->files[0])) {
		status = og_plan_load(&plan, a->files[0]);
		if (status == OG_OK) status = og_plan_describe(&out, plan, format);
	} else {
		status = og_model_load(&model, a->files[0]);
		if (status == OG_OK && cli_option_value(a, "--graph")) status = og_model_print(&out, model);
		else if (status == OG_OK) status = og_model_describe(&out, model, format);
	}
	if (status == OG_OK) printf("%s%s", out, a->json ? "\n" : "");
	og_text_free(out);
	og_plan_free(plan);
	og_model_free(model);
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_info = {
	.name = "info", .usage = "FILE", .what = "what is in a model, plan or op library",
	.more = "Prints inputs, outputs, ops, parameters, work and memory. FLOPs count a multiply\n"
	        "and an add as two, with symbolic dimensions at 1.\n\n"
	        "Examples:\n"
	        "  opgraft info models/lenet5_swish4.onnx\n"
	        "  opgraft info net.onnx --json | python3 -m json.tool\n"
	        "  opgraft info net.onnx --graph          every node, in the text form\n",
	.options = (const cli_option[]){ { "--graph", NULL, "print the graph in the text form" }, CLI_OPS_OPTION, { NULL, NULL, NULL } },
	.run = run,
};
