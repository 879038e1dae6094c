/* partition.c -- opgraft partition */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static int run(const cli_args *a)
{
	og_model *model = NULL;
	char *list = NULL, *out = NULL;
	const char *libraries[CLI_MAX_ARGS], *nodes = cli_option_value(a, "--nodes");
	og_partition_options o = { .size = sizeof o, .runtime = cli_option_value(a, "--for"),
	                           .fallback = cli_option_value(a, "--fallback"), .folder = cli_option_value(a, "-o"), .libraries = libraries };
	if (!cli_files(a, 1, 1, "a model file")) return OG_USAGE;
	if (!o.runtime) return cli_usage(a, "--for tensorrt, onnxruntime, opgraft or reference is needed");
	if (!cli_option_int(a, "--min-nodes", 1, 1 << 30, &o.min_nodes)) return OG_USAGE;
	if (cli_option_value(a, "--dry-run")) o.folder = NULL;
	else if (!o.folder) return cli_usage(a, "-o FOLDER is needed, or --dry-run");
	while ((libraries[o.n_libraries] = cli_option_nth(a, "--ops", o.n_libraries))) o.n_libraries++;
	og_status status = nodes ? cli_read_text(&list, nodes) : OG_OK;
	o.refuse = list;
	if (status == OG_OK) status = og_model_load(&model, a->files[0]);
	if (status == OG_OK) {
		cli_progress(a, "asking %s", o.runtime);
		status = og_partition(&out, model, &o, a->json ? OG_JSON : OG_TEXT);
		cli_progress_end(a);
	}
	if (status == OG_OK && (a->json || !a->quiet)) fputs(out, stdout);
	if (status == OG_OK && !a->json && !a->quiet && o.folder) printf("\nopgraft run %s/manifest.json runs it.\n", o.folder);
	og_text_free(out);
	og_model_free(model);
	free(list);
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_partition = {
	.name = "partition", .usage = "MODEL --for RUNTIME -o FOLDER", .what = "cut a network into pieces that can run",
	.more = "Says which nodes a runtime can take and why not the others, and cuts the network\n"
	        "into the fewest pieces: all that it takes goes to the runtime, the rest to the\n"
	        "fallback: the first of opgraft, onnxruntime and reference that can. Each\n"
	        "piece is an ONNX file; manifest.json has their order. The runtimes are asked\n"
	        "themselves:\n\n"
	        "  tensorrt     what its ONNX parser takes (OPGRAFT_TENSORRT names its folder)\n"
	        "  onnxruntime  what it makes a session of (OPGRAFT_ONNXRUNTIME)\n"
	        "  opgraft      what Opgraft can plan, as opgraft run wants it\n"
	        "  reference    what Opgraft has a definition of: If and Loop too, but slow\n\n"
	        "A FILE for --nodes lists nodes that the runtime cannot take, one a line, by name\n"
	        "or by type, with the reason: op:NonZero sizes that hang on values\n\n"
	        "Examples:\n"
	        "  opgraft partition net.onnx --for tensorrt --dry-run\n"
	        "  opgraft partition net.onnx --for tensorrt -o parts --ops libmyops.so\n"
	        "  opgraft run parts/manifest.json --input image=image.npy\n",
	.options = (const cli_option[]){
		{ "--for", "RUNTIME", "that is to run as much as it can" },
		{ "-o", "FOLDER", "where to write pieces and manifest.json" },
		{ "--fallback", "RUNTIME", "that runs the rest" },
		{ "--min-nodes", "N", "smaller pieces go to the fallback (1)" },
		{ "--nodes", "FILE", "nodes that the runtime cannot take" },
		{ "--dry-run", NULL, "say it, write nothing" },
		CLI_OPS_OPTION,
		{ NULL, NULL, NULL } },
	.run = run,
};
