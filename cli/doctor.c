/* doctor.c -- opgraft doctor */
#include "cli.h"

static int run(const cli_args *a)
{
	char *out;
	if (!cli_files(a, 0, 0, "")) return OG_USAGE;
	og_status status = og_doctor(&out, a->json ? OG_JSON : OG_TEXT);
	if (status != OG_OK) return cli_fail(status);
	printf("%s%s", out, a->json ? "\n" : "");
	og_text_free(out);
	return 0;
}

const cli_verb cli_verb_doctor = {
	.name = "doctor", .usage = "", .what = "what this machine offers, and what to do",
	.more = "Looks for processor features, the CUDA driver and libraries, ONNX Runtime and\n"
	        "TensorRT, and says how to get what is missing. None of them is needed to run on\n"
	        "a CPU.\n\n"
	        "Example: opgraft doctor\n",
	.run = run,
};
