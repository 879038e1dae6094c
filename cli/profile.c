/* profile.c -- opgraft profile */
#include <string.h>

#include "cli.h"

/* peak: of the threads that the network runs on, in operations a second; 0: not known. */
static double percent_of_peak(const og_step_profile *p, double peak)
{
	return peak > 0 && p->seconds > 0 ? 100 * p->flops / p->seconds / peak : 0;
}

static void print_json(const og_step_profile *p, size_t n, double peak)
{
	printf("{\"peak_gflops\": %.6g, \"steps\": [", peak * 1e-9);
	for (size_t i = 0; i < n; i++) {
		printf("%s\n  {\"name\": ", i ? "," : "");
		cli_json_string(stdout, p[i].name);
		printf(", \"op\": ");
		cli_json_string(stdout, p[i].op);
		printf(", \"tactic\": ");
		cli_json_string(stdout, p[i].tactic);
		printf(", \"ms\": %.6g, \"flops\": %.9g, \"bytes\": %.9g, \"peak_percent\": %.4g}", p[i].seconds * 1e3, p[i].flops,
		       p[i].bytes, percent_of_peak(&p[i], peak));
	}
	printf("]}\n");
}

/* 80 columns. */
static void print_row(const og_step_profile *p, double total, double peak)
{
	char time[24];
	cli_print_seconds(time, sizeof time, p->seconds);
	double rate = p->seconds > 0 ? 1e-9 / p->seconds : 0;
	printf("%-12.12s %-14.14s %-14.14s %10s %5.1f %7.1f %4.0f %6.1f\n", p->name, p->op, p->tactic, time,
	       total > 0 ? 100 * p->seconds / total : 0, p->flops * rate, percent_of_peak(p, peak), p->bytes * rate);
}

static void print_text(const og_step_profile *p, size_t n, double peak)
{
	og_step_profile all = { .name = "all", .op = "", .tactic = "" };
	for (size_t i = 0; i < n; i++) {
		all.seconds += p[i].seconds;
		all.flops += p[i].flops;
		all.bytes += p[i].bytes;
	}
	printf("%-12s %-14s %-14s %10s %5s %7s %4s %6s\n", "node", "step", "tactic", "time", "%", "GFLOP/s", "peak", "GB/s");
	for (size_t i = 0; i < n; i++) print_row(&p[i], all.seconds, peak);
	print_row(&all, all.seconds, peak);
	if (peak > 0) printf("peak: percent of %.1f GFLOP/s, measured in this run\n", peak * 1e-9);
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
	double peak = strcmp(og_plan_device(net.plan), "cpu") ? 0 : og_cpu_peak() * net.threads;
	if (status == OG_OK) (a->json ? print_json : print_text)(p, n, peak);
	og_profile_free(p);
	cli_net_close(&net);
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_profile = {
	.name = "profile", .usage = "MODEL|PLAN", .what = "time every step of a network",
	.more = "Steps show what was fused: \"Conv + Swish\" is one. Times are medians of --runs\n"
	        "runs with a clock around each step; bytes are those of inputs, weights and\n"
	        "outputs, once each. Peak is the percentage of what the threads' arithmetic can\n"
	        "do at best. Winograd's convolutions need fewer operations than are counted, so\n"
	        "they can be above 100.\n\n"
	        "Examples:\n"
	        "  opgraft profile models/lenet5_swish4.onnx --batch 64 --threads 1\n"
	        "  opgraft profile models/lenet5_swish4.onnx --no-fuse\n",
	.options = (const cli_option[]){
		{ "--runs", "N", "how often (default 50)" },
		CLI_NET_OPTIONS,
		{ NULL, NULL, NULL } },
	.run = run,
};
