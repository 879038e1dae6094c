/* op_list.c -- opgraft op list */
#include "cli.h"

static int run(const cli_args *a)
{
	char *out = NULL;
	if (!cli_files(a, 0, 1, "an op library")) return OG_USAGE;
	og_status status = og_op_library_describe(&out, a->n_files ? a->files[0] : NULL, a->json ? OG_JSON : OG_TEXT);
	if (status != OG_OK) return cli_fail(status);
	printf("%s%s", out, a->json ? "\n" : "");
	og_text_free(out);
	return 0;
}

const cli_verb cli_verb_op_list = {
	.name = "op list", .usage = "[LIB.so]", .what = "the operators of a library, or all that Opgraft has",
	.more = "Of a library: each operator with its inputs, outputs, types and attributes, and\n"
	        "the GPUs that there is code for. Without one, a line an operator and opset\n"
	        "version: name, first opset, e for elementwise.\n\n"
	        "Examples:\n"
	        "  opgraft op list libwave.so\n"
	        "  opgraft op list --json\n",
	.run = run,
};
