/* profile.c -- opgraft profile */
#include <string.h>

#include "cli.h"

static void print_json(const og_step_profile *p, size_t n)
{
	printf("{\"steps\": [");
	for (size_t i = 0; i < n; i++) {
		printf("%s\n  {\"name\": ", i ? "," : "");
		cli_json_string(stdout, p[i].name);
		printf(", \"op\": ");
		cli_json_string(stdout, p[i].op);
		printf(", \"tactic\": ");
		cli_json_string(stdout, p[i].tactic);
		printf(", \"ms\": %.6g, \"flops\": %.9g, \"bytes\": %.9g}", p[i].seconds * 1e3, p[i].flops, p[i].bytes);
	}
	printf("]}\n");
}

static void print_text(const og_step_profile *p, size_t n)
{
	double total = 0;
	for (size_t i = 0; i < n; i++) total += p[i].seconds;
	printf("%-18s %-20s %-14s %9s %5s %7s\n", "node", "step", "tactic", "time", "%", "GFLOP/s");
	for (size_t i = 0; i < n; i++) {
		char time[24];
		cli_print_seconds(time, sizeof time, p[i].seconds);
		printf("%-18.18s %-20.20s %-14.14s %9s %5.1f %7.1f\n", p[i].name, p[i].op, p[i].tactic, time,
		       total > 0 ? 100 * p[i].seconds / total : 0, p[i].seconds > 0 ? p[i].flops / p[i].seconds * 1e-9 : 0);
	}
	char time[24];
	cli_print_seconds(time, sizeof time, total);
	printf("%-18s %-20s %-14s %9s\n", "all", "", "", time);
}

static int run(const cli_args *a)
{
	cli_net net;
	int runs = 50;
	og_step_profile *p = NULL;
	size_t n = 0;
	if (!cli_files(a, 1, 1, "a model or plan file") || !cli_option_int(a, "--runs", 1, 100000, &runs)) return OG_USAGE;
	og_status status = cli_net_open(&net, a, a->files[0], 0, NULL, 0);
	if (status != OG_OK) return cli_fail(status);
	status = og_session_profile(net.session, net.in, net.out, runs, &p, &n);
	if (status == OG_OK) (a->json ? print_json : print_text)(p, n);
	og_profile_free(p);
	cli_net_close(&net);
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_profile = {
	.name = "profile", .usage = "MODEL|PLAN", .what = "time every step of a network",
	.more = "Steps show what was fused: \"Conv + Swish\" is one. Times are medians of --runs\n"
	        "runs with a clock around each step.\n\n"
	        "Examples:\n"
	        "  opgraft profile models/lenet5_swish4.onnx --batch 64 --threads 1\n"
	        "  opgraft profile models/lenet5_swish4.onnx --no-fuse\n",
	.options = (const cli_option[]){
		{ "--runs", "N", "how often (default 50)" },
		CLI_NET_OPTIONS,
		{ NULL, NULL, NULL } },
	.run = run,
};
