/* op_build.c -- opgraft op build */
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

static int run(const cli_args *a)
{
	const char *out = cli_option_value(a, "-o");
	char *log = NULL, *holds = NULL;
	if (!cli_files(a, 1, CLI_MAX_ARGS, "an op file")) return OG_USAGE;
	if (!out) return cli_usage(a, "-o LIB.so is needed");
	for (int i = 0; i < a->n_files; i++)
		if (!strcmp(a->files[i], out)) return cli_usage(a, "-o %s is one of the op files", out);
	og_library_options o = { .size = sizeof o, .compiler = cli_option_value(a, "--cc"), .keep = cli_option_value(a, "--keep"),
	                         .no_cuda = cli_option_value(a, "--no-cuda") != NULL };
	cli_progress(a, "compiling");
	og_status status = og_op_library_build(a->files, a->n_files, out, &o, &log);
	cli_progress_end(a);
	if (log && (status != OG_OK || !a->quiet)) fputs(log, stderr);
	og_text_free(log);
	if (status == OG_OK && !a->quiet) status = og_op_library_describe(&holds, out, a->json ? OG_JSON : OG_TEXT);
	if (status != OG_OK) return cli_fail(status);
	struct stat st;
	if (holds && a->json) printf("%s\n", holds);
	else if (holds && !stat(out, &st)) printf("%s: %lld KiB\n%s", out, (long long)(st.st_size + 1023) / 1024, holds);
	og_text_free(holds);
	return 0;
}

const cli_verb cli_verb_op_build = {
	.name = "op build", .usage = "FILE.c... -o LIB.so", .what = "compile op files into one library",
	.more = "The library is a TensorRT plugin, an ONNX Runtime custom-op library and what\n"
	        "--ops takes. It needs nothing but libc and libm. Code for GPUs is put in when\n"
	        "NVRTC is found (pip install nvidia-cuda-nvrtc).\n\n"
	        "Examples:\n"
	        "  opgraft op build wave.c -o libwave.so\n"
	        "  opgraft op build wave.c snake.c -o libops.so --cc clang\n",
	.options = (const cli_option[]){ { "-o", "LIB.so", "the library" },
	                                 { "--cc", "CC", "the C compiler (default: $CC, cc, gcc, clang)" },
	                                 { "--keep", "DIR", "keep all that is made on the way in a folder" },
	                                 { "--no-cuda", NULL, "no code for GPUs" },
	                                 { NULL, NULL, NULL } },
	.run = run,
};
