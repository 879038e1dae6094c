/* bench.c -- opgraft bench */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "timing.h"

enum { MAX_CASES = 128 };
#define PROFILE_SECONDS 0.5              /* for the steps of a network */

int bench_first_of(const bench_case *cases, int i)
{
	int k = 0;
	while (cases[k].batch != cases[i].batch) k++;
	return k;
}

const char *bench_runtime(const bench_case *c) { return c->peer ? "onnxruntime" : "opgraft"; }

const char *bench_file_name(const bench_case *c)
{
	const char *slash = strrchr(c->net.path, '/');
	return slash ? slash + 1 : c->net.path;
}

static og_status run_case(void *what)
{
	bench_case *c = what;
	return c->peer ? og_peer_run(c->peer) : cli_net_run(&c->net);
}

static bool on_device(const bench_case *c) { return !c->peer && strcmp(og_plan_device(c->net.plan), "cpu"); }

/* Times on a device are the device's own, from the first kernel to the last: a few runs of every case in turn. */
static og_status measure_device(const cli_args *a, bench_case *cases, timing *timings, int n, int rounds, double budget)
{
	enum { AT_ONCE = 10 };
	og_status status = OG_OK;
	for (int i = 0; i < n; i++)
		if (!(timings[i].seconds = malloc((size_t)rounds * sizeof *timings[i].seconds))) return cli_tell(OG_NO_MEMORY, "there is no memory for %d rounds", rounds);
	double start = cli_now();
	for (int r = 0; status == OG_OK && r + AT_ONCE <= rounds && (r == 0 || cli_now() - start < budget); r += AT_ONCE) {
		cli_progress(a, "round %d of %d", r, rounds);
		for (int i = 0; status == OG_OK && i < n; i++) {
			timing *t = &timings[i];
			if (on_device(&cases[i])) status = og_session_time(cases[i].net.session, cases[i].net.in, cases[i].net.out, AT_ONCE, t->seconds + t->n);
			for (int k = 0; status == OG_OK && !on_device(&cases[i]) && k < AT_ONCE; k++) {
				double begin = cli_now();
				status = run_case(&cases[i]);
				t->seconds[t->n + (size_t)k] = cli_now() - begin;
			}
			t->n += AT_ONCE;
		}
	}
	cli_progress_end(a);
	return status;
}

static og_status measure(const cli_args *a, bench_case *cases, timing *timings, int n, int rounds, double budget)
{
	for (int i = 0; i < n; i++) timings[i] = (timing){ .run = run_case, .what = &cases[i] };
	bool device = false;
	for (int i = 0; i < n; i++) device |= on_device(&cases[i]);
	og_status status = device ? measure_device(a, cases, timings, n, rounds, budget) : timing_measure(a, timings, n, rounds, budget);
	for (int i = 0; status == OG_OK && i < n; i++) {
		cases[i].p10 = timing_quantile(&timings[i], 0.1);
		cases[i].median = timing_quantile(&timings[i], 0.5);
		cases[i].p90 = timing_quantile(&timings[i], 0.9);
	}
	return status;
}

og_status bench_profile(const cli_args *a, bench_case *cases, int n)
{
	og_status status = OG_OK;
	for (int i = 0; status == OG_OK && i < n; i++) {
		bench_case *c = &cases[i];
		if (c->peer) continue;
		double runs = PROFILE_SECONDS / c->median;
		cli_progress(a, "timing the steps of %s", bench_file_name(c));
		runs = runs < 3 ? 3 : runs > 100 ? 100 : runs;
		status = og_session_profile(c->net.session, c->net.in, c->net.out, (int)runs, &c->steps, &c->n_steps);
	}
	cli_progress_end(a);
	return status;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void print_case(const cli_args *a, const bench_case *c, size_t rounds, int k, double first)
{
	const char *device = c->peer ? "cpu" : og_plan_device(c->net.plan), *precision = c->peer ? "fp32" : og_plan_precision(c->net.plan);
	if (a->json) {
		printf("%s\n  {\"model\": ", k ? "," : "");
		cli_json_string(stdout, c->net.path);
		printf(", \"runtime\": \"%s\", \"device\": \"%s\", \"level\": \"%s\", \"precision\": \"%s\", \"batch\": %d, "
		       "\"threads\": %d, \"fused\": %s, \"median_ms\": %.6g, \"p10_ms\": %.6g, \"p90_ms\": %.6g, \"runs\": %zu}",
		       bench_runtime(c), device, og_cpu_level(), precision, c->batch, c->net.threads,
		       cli_option_value(a, "--no-fuse") ? "false" : "true", c->median * 1e3, c->p10 * 1e3, c->p90 * 1e3,
		       rounds);
		return;
	}
	char text[3][24];
	cli_print_seconds(text[0], sizeof text[0], c->median);
	cli_print_seconds(text[1], sizeof text[1], c->p10);
	cli_print_seconds(text[2], sizeof text[2], c->p90);
	char runtime[24];
	snprintf(runtime, sizeof runtime, "%s %s", device, precision);
	printf("%-20.20s %-11s %6d %3d %10s %10s %10s %5.2f\n", bench_file_name(c), on_device(c) ? runtime : bench_runtime(c), c->batch,
		   c->net.threads, text[0], text[1], text[2], c->median / first);
}

/* ---- cases ----------------------------------------------------------------------------------- */

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
			if (cli_option_value(a, "--peer") && !cli_is_plan(a->files[f]))
				status = open_peer(a, &cases[*n - 1], &cases[*n], n);
			if (status != OG_OK) return status;
		}
	}
	return OG_OK;
}

static og_status bench(const cli_args *a, page *p, bench_case *cases, timing *timings, int *n, int rounds,
                       double budget)
{
	og_status status = open_cases(a, cases, n);
	if (status == OG_OK) status = measure(a, cases, timings, *n, rounds, budget);
	if (status == OG_OK && p->f) status = bench_profile(a, cases, *n);
	if (status == OG_OK && p->f) status = bench_page(a, p, cases, *n, timings[0].n);
	if (status != OG_OK) return status;
	if (a->json) printf("{\"results\": [");
	else
		printf("%-20s %-11s %6s %3s %10s %10s %10s %5s\n", "model", "runtime", "batch", "thr", "median", "p10", "p90",
		       "ratio");
	for (int i = 0; i < *n; i++) print_case(a, &cases[i], timings[i].n, i, cases[bench_first_of(cases, i)].median);
	if (a->json) printf("]}\n");
	return OG_OK;
}

static int run(const cli_args *a)
{
	static bench_case cases[MAX_CASES];
	static timing timings[MAX_CASES];
	int n = 0, rounds = 200;
	double budget = 10;
	page p = { 0 };
	const char *report = cli_option_value(a, "--report");
	if (!cli_files(a, 1, CLI_MAX_ARGS, "a model or plan file")) return OG_USAGE;
	if (!cli_option_int(a, "--runs", 10, 1000000, &rounds) || !cli_option_double(a, "--seconds", &budget))
		return OG_USAGE;
	og_status status = report ? page_open(&p, report, "Networks, timed side by side") : OG_OK;
	if (status == OG_OK) status = bench(a, &p, cases, timings, &n, rounds, budget);
	page_abandon(&p);
	for (int i = 0; i < n; i++) {
		og_peer_free(cases[i].peer);
		og_profile_free(cases[i].steps);
		cli_net_close(&cases[i].net);
		timing_free(&timings[i]);
	}
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_bench = {
	.name = "bench", .usage = "MODEL|PLAN...", .what = "time networks side by side",
	.more = "Runs are interleaved: every round takes a sample of each case, so that a noisy\n"
	        "moment hits all alike. Prints medians with the 10th and 90th percentile; ratio\n"
	        "is the median over that of the first line of the same batch size.\n\n"
	        "Examples:\n"
	        "  opgraft bench models/lenet5_*.onnx --batch 1,64 --threads 1\n"
	        "  opgraft bench net.onnx --peer          beside ONNX Runtime\n"
	        "  opgraft bench net.plan --json\n"
	        "  opgraft bench net.onnx --no-fuse       the baseline, node by node\n",
	.options = (const cli_option[]){
		{ "--runs", "N", "rounds at most (default 200, at least 10)" },
		{ "--seconds", "S", "stop after so many (default 10)" },
		{ "--peer", NULL, "time ONNX Runtime on the same files as well" },
		{ "--report", "OUT.html", "write a page with plots and the time of each step" },
		CLI_NET_OPTIONS,
		{ NULL, NULL, NULL } },
	.run = run,
};
