/* bench.c -- opgraft bench */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MAX_CASES = 128 };

typedef struct bench_case {
	cli_net net;
	int batch;
	og_peer *peer;                       /* NULL: Opgraft itself */
	double *seconds; size_t n;           /* of one call each */
} bench_case;

static og_status run_case(bench_case *c) { return c->peer ? og_peer_run(c->peer) : cli_net_run(&c->net); }

/* Calls per sample, so that a sample lasts about 200 microseconds and the clock costs nothing. */
static og_status calibrate(bench_case *c, size_t *calls)
{
	og_status status = OG_OK;
	double start = cli_now(), spent = 0;
	size_t n = 0;
	while (status == OG_OK && (n < 3 || spent < 0.02) && n < 10000) {
		status = run_case(c);
		spent = cli_now() - start;
		n++;
	}
	*calls = (size_t)(2e-4 * (double)n / spent);
	if (*calls < 1) *calls = 1;
	return status;
}

/* Interleaved: each round takes one sample of every case, so that a noisy moment hits all alike. */
static og_status measure(const cli_args *a, bench_case *cases, int n, int rounds, double budget)
{
	size_t calls[MAX_CASES];
	og_status status = OG_OK;
	for (int i = 0; status == OG_OK && i < n; i++) {
		cases[i].seconds = malloc((size_t)rounds * sizeof *cases[i].seconds);
		if (!cases[i].seconds) return OG_NO_MEMORY;
		status = calibrate(&cases[i], &calls[i]);
	}
	double start = cli_now();
	for (int r = 0; status == OG_OK && r < rounds; r++) {
		if (r >= 10 && cli_now() - start > budget) break;
		if (r % 10 == 0) cli_progress(a, "round %d of %d", r, rounds);
		for (int i = 0; status == OG_OK && i < n; i++) {
			double t = cli_now();
			for (size_t k = 0; status == OG_OK && k < calls[i]; k++) status = run_case(&cases[i]);
			cases[i].seconds[cases[i].n++] = (cli_now() - t) / (double)calls[i];
		}
	}
	cli_progress_end(a);
	return status;
}

static void print_case(const cli_args *a, bench_case *c, int k, double first)
{
	double p10 = cli_quantile(c->seconds, c->n, 0.1), p50 = cli_quantile(c->seconds, c->n, 0.5), p90 = cli_quantile(c->seconds, c->n, 0.9);
	const char *device = cli_option_value(a, "--device");
	int threads = c->net.threads;
	const char *runtime = c->peer ? "onnxruntime" : "opgraft";
	if (a->json) {
		printf("%s\n  {\"model\": ", k ? "," : "");
		cli_json_string(stdout, c->net.path);
		printf(", \"runtime\": \"%s\", \"device\": \"%s\", \"level\": \"%s\", \"precision\": \"fp32\", \"batch\": %d, \"threads\": %d, \"fused\": %s, "
		       "\"median_ms\": %.6g, \"p10_ms\": %.6g, \"p90_ms\": %.6g, \"runs\": %zu}", runtime, device ? device : "cpu", og_cpu_level(), c->batch,
		       threads, cli_option_value(a, "--no-fuse") ? "false" : "true", p50 * 1e3, p10 * 1e3, p90 * 1e3, c->n);
		return;
	}
	char text[3][24];
	const char *name = strrchr(c->net.path, '/') ? strrchr(c->net.path, '/') + 1 : c->net.path;
	cli_print_seconds(text[0], sizeof text[0], p50);
	cli_print_seconds(text[1], sizeof text[1], p10);
	cli_print_seconds(text[2], sizeof text[2], p90);
	printf("%-20.20s %-11s %6d %3d %10s %10s %10s %5.2f\n", name, runtime, c->batch, threads, text[0], text[1], text[2], p50 / first);
}

static int first_dim(const cli_net *net)
{
	og_value_info v;
	return net->n_inputs && og_plan_input(net->plan, 0, &v) == OG_OK && v.rank > 0 ? (int)v.dims[0] : 1;
}

/* The same network in ONNX Runtime, on the same tensors. */
static og_status open_peer(const cli_args *a, bench_case *ours, bench_case *c, int *n)
{
	if (*n == MAX_CASES) return (og_status)cli_usage(a, "there are more than %d cases", MAX_CASES);
	*c = (bench_case){ .net = { .path = ours->net.path, .threads = ours->net.threads }, .batch = ours->batch };
	og_status status = og_peer_open(&c->peer, c->net.path, c->net.threads);
	if (status != OG_OK) return status;
	++*n;
	return og_peer_bind(c->peer, (const og_tensor *const *)ours->net.inputs, ours->net.outputs);
}

/* One batch size out of "1,64,1024"; 0 at the end, -1 for what is no number. */
static int next_batch(const char **at)
{
	if (!**at) return 0;
	char *end;
	long n = strtol(*at, &end, 10);
	if (end == *at || n < 1 || n > 1 << 24 || (*end && (*end != ',' || !end[1]))) return -1;
	*at = *end ? end + 1 : end;
	return (int)n;
}

static og_status open_cases(const cli_args *a, bench_case *cases, int *n)
{
	const char *batches = cli_option_value(a, "--batch");
	for (int f = 0; f < a->n_files; f++) {
		const char *at = batches ? batches : "";
		for (int batch = next_batch(&at), first = 1; batch || (first && !batches); batch = next_batch(&at), first = 0) {
			if (batch < 0) return (og_status)cli_usage(a, "--batch takes sizes such as 1,64, not '%s'", batches);
			if (*n == MAX_CASES) return (og_status)cli_usage(a, "there are more than %d cases", MAX_CASES);
			cli_progress(a, "building %s", a->files[f]);
			og_status status = cli_net_open(&cases[*n].net, a, a->files[f], batch, NULL, 0);
			cli_progress_end(a);
			if (status != OG_OK) return status;
			cases[*n].batch = first_dim(&cases[*n].net);
			++*n;
			if (cli_option_value(a, "--peer") && !cli_is_plan(a->files[f])) status = open_peer(a, &cases[*n - 1], &cases[*n], n);
			if (status != OG_OK) return status;
		}
	}
	return OG_OK;
}

static int run(const cli_args *a)
{
	static bench_case cases[MAX_CASES];
	int n = 0, rounds = 200;
	double budget = 10;
	if (!cli_files(a, 1, CLI_MAX_ARGS, "a model or plan file")) return OG_USAGE;
	if (!cli_option_int(a, "--runs", 10, 1000000, &rounds) || !cli_option_double(a, "--seconds", &budget)) return OG_USAGE;
	og_status status = open_cases(a, cases, &n);
	if (status == OG_OK) status = measure(a, cases, n, rounds, budget);
	if (status == OG_OK) {
		double first = cli_quantile(cases[0].seconds, cases[0].n, 0.5);
		if (a->json) printf("{\"results\": [");
		else printf("%-20s %-11s %6s %3s %10s %10s %10s %5s\n", "model", "runtime", "batch", "thr", "median", "p10", "p90", "ratio");
		for (int i = 0; i < n; i++) print_case(a, &cases[i], i, first);
		if (a->json) printf("]}\n");
	}
	for (int i = 0; i < n; i++) {
		og_peer_free(cases[i].peer);
		cli_net_close(&cases[i].net);
		free(cases[i].seconds);
	}
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_bench = {
	.name = "bench", .usage = "MODEL|PLAN...", .what = "time networks side by side",
	.more = "Runs are interleaved: every round takes a sample of each case, so that a noisy\n"
	        "moment hits all alike. Prints medians with the 10th and 90th percentile; ratio\n"
	        "is the median over the first line's.\n\n"
	        "Examples:\n"
	        "  opgraft bench models/lenet5_*.onnx --batch 1,64 --threads 1\n"
	        "  opgraft bench net.onnx --peer          beside ONNX Runtime\n"
	        "  opgraft bench net.plan --json\n"
	        "  opgraft bench net.onnx --no-fuse       the baseline, node by node\n",
	.options = (const cli_option[]){
		{ "--runs", "N", "rounds at most (default 200, at least 10)" },
		{ "--seconds", "S", "stop after so many (default 10)" },
		{ "--peer", NULL, "time ONNX Runtime on the same files as well" },
		CLI_NET_OPTIONS,
		{ NULL, NULL, NULL } },
	.run = run,
};
