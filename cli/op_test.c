/* op_test.c -- opgraft op test */
#include "cli.h"

static int run(const cli_args *a)
{
	char *out = NULL;
	if (!cli_files(a, 1, 1, "an op library")) return OG_USAGE;
	cli_progress(a, "testing %s", a->files[0]);
	og_status status = og_op_library_test(&out, a->files[0], cli_option_value(a, "--op"), a->json ? OG_JSON : OG_TEXT);
	cli_progress_end(a);
	if (status != OG_OK && !out) return cli_fail(status);
	if (a->json || !a->quiet || status != OG_OK) printf("%s%s", out, a->json ? "\n" : "");
	og_text_free(out);
	return (int)status;
}

const cli_verb cli_verb_op_test = {
	.name = "op test", .usage = "LIB.so [--op NAME]", .what = "hold a library's operators to the contract",
	.more = "Every formula on every instruction set against plain C, bit for bit, and against\n"
	        "double precision; special values; odd, empty and broadcast shapes; every type;\n"
	        "the shape rule against what is written; memory, threads and attributes. What\n"
	        "fails comes with what to mend, and the exit status is 1.\n\n"
	        "Examples:\n"
	        "  opgraft op test libwave.so\n"
	        "  opgraft op test libops.so --op Snake --json\n",
	.options = (const cli_option[]){ { "--op", "NAME", "this operator only" }, { NULL, NULL, NULL } },
	.run = run,
};
