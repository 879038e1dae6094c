/* build.c -- opgraft build */
#include "cli.h"

static int run(const cli_args *a)
{
	cli_net net;
	const char *out = cli_option_value(a, "-o");
	if (!cli_files(a, 1, 1, "a model file")) return OG_USAGE;
	bool tactics = cli_option_value(a, "--tactics") != NULL;
	if (!out && !tactics && !cli_option_value(a, "--dump")) return cli_usage(a, "-o NET.plan is needed");
	if (cli_is_plan(a->files[0])) return cli_usage(a, "%s is a plan already", a->files[0]);
	og_status status = cli_net_open(&net, a, a->files[0], 0, NULL, 0);
	if (status == OG_OK) {
		char *text;
		if (out) status = og_plan_save(net.plan, out);
		if (status == OG_OK && (tactics || (!a->quiet && out))) {
			status = tactics ? og_plan_tactics(&text, net.plan, a->json ? OG_JSON : OG_TEXT)
			                 : og_plan_describe(&text, net.plan, a->json ? OG_JSON : OG_TEXT);
			if (status == OG_OK) printf("%s%s", text, a->json ? "\n" : "");
			og_text_free(status == OG_OK ? text : NULL);
		}
		cli_net_close(&net);
	}
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_build = {
	.name = "build", .usage = "MODEL -o NET.plan", .what = "optimise a network and write its plan",
	.more = "A plan holds the steps, the packed weights and where every value lies. It loads\n"
	        "in milliseconds, on a machine with the same processor features. Its shapes are\n"
	        "fixed: named dimensions that nothing binds are 1.\n\n"
	        "Where a step can be computed in several ways they are timed on this machine, and\n"
	        "the times are kept: the next build is quick and the same to the byte. All ways\n"
	        "give the same results but for rounding.\n\n"
	        "Examples:\n"
	        "  opgraft build models/lenet5_swish4.onnx -o swish.plan --batch 64\n"
	        "  opgraft build net.onnx -o net.plan --shape image=1x3x224x224 --threads 2\n"
	        "  opgraft build net.onnx --tactics       what was timed and chosen\n"
	        "  opgraft build net.onnx --dump          the graph between the passes\n",
	.options = (const cli_option[]){
		{ "-o", "NET.plan", "the file to write" },
		{ "--dump", NULL, "print the graph after each pass" },
		{ "--tactics", NULL, "print the ways to compute each step, and their times" },
		CLI_NET_OPTIONS,
		{ NULL, NULL, NULL } },
	.run = run,
};
