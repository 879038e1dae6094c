/* op_test.c -- opgraft op test */
#include "cli.h"

static og_status test_tensorrt(char **out, const cli_args *a)
{
	const char *attributes[CLI_MAX_ARGS];
	og_tensorrt_options o = { .size = sizeof o, .op = cli_option_value(a, "--op"), .reference = cli_option_value(a, "--reference"),
	                          .attributes = attributes, .shapes = cli_option_value(a, "--shape"),
	                          .large = cli_option_value(a, "--large") != NULL };
	while ((attributes[o.n_attributes] = cli_option_nth(a, "--attr", o.n_attributes))) o.n_attributes++;
	return og_tensorrt_test(out, a->files[0], &o, a->json ? OG_JSON : OG_TEXT);
}

static int run(const cli_args *a)
{
	static const char *const of_tensorrt[] = { "--attr", "--shape", "--reference", "--large", NULL };
	const bool tensorrt = cli_option_value(a, "--tensorrt") != NULL;
	char *out = NULL;
	if (!cli_files(a, 1, 1, tensorrt ? "a plugin library" : "an op library")) return OG_USAGE;
	for (int k = 0; of_tensorrt[k] && !tensorrt; k++)
		if (cli_option_value(a, of_tensorrt[k])) return cli_usage(a, "%s goes with --tensorrt", of_tensorrt[k]);
	cli_progress(a, "testing %s", a->files[0]);
	og_status status = tensorrt ? test_tensorrt(&out, a)
	                            : og_op_library_test(&out, a->files[0], cli_option_value(a, "--op"), a->json ? OG_JSON : OG_TEXT);
	cli_progress_end(a);
	if (status != OG_OK && !out) return cli_fail(status);
	if (a->json || !a->quiet || status != OG_OK) printf("%s%s", out, a->json ? "\n" : "");
	og_text_free(out);
	return (int)status;
}

const cli_verb cli_verb_op_test = {
	.name = "op test", .usage = "LIB.so [--op NAME] [--tensorrt]", .what = "hold a library's operators to the contract",
	.more = "Every formula on every instruction set against plain C, bit for bit, and against\n"
	        "double precision; special values; odd, empty and broadcast shapes; every type;\n"
	        "the shape rule against what is written; memory, threads and attributes. What\n"
	        "fails comes with what to mend, and the exit status is 1.\n\n"
	        "With --tensorrt it is the TensorRT plugins of any library, also one in C++ that\n"
	        "Opgraft did not make. They are driven as TensorRT drives them, by a host of our\n"
	        "own; what runs kernels needs a GPU, the rest does not.\n\n"
	        "Examples:\n"
	        "  opgraft op test libwave.so\n"
	        "  opgraft op test libops.so --op Snake --json\n"
	        "  opgraft op test --tensorrt libplugins.so --attr axis=1 --shape 2x3x5,3x5\n",
	.options = (const cli_option[]){ { "--op", "NAME", "this operator only" },
	                                 { "--tensorrt", NULL, "the library's TensorRT plugins" },
	                                 { "--attr", "NAME=VALUE", "a field to create plugins from (repeatable)" },
	                                 { "--shape", "2x3x5,3x5", "shapes of the inputs" },
	                                 { "--reference", "OP", "an op that the plugins should compute" },
	                                 { "--large", NULL, "also more than 2^31 elements" },
	                                 { NULL, NULL, NULL } },
	.run = run,
};
