/* run.c -- opgraft run */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static size_t count(const og_tensor *t)
{
	size_t n = 1;
	for (int i = 0; i < t->rank; i++) n *= (size_t)t->dims[i];
	return n;
}

static double element(const og_tensor *t, size_t i)
{
	switch (t->dtype) {
	case OG_F32: return (double)((const float *)t->data)[i];
	case OG_F64: return ((const double *)t->data)[i];
	case OG_I64: return (double)((const int64_t *)t->data)[i];
	case OG_I32: return (double)((const int32_t *)t->data)[i];
	case OG_U8: case OG_BOOL: return (double)((const uint8_t *)t->data)[i];
	case OG_I8: return (double)((const int8_t *)t->data)[i];
	case OG_U16: return (double)((const uint16_t *)t->data)[i];
	case OG_I16: return (double)((const int16_t *)t->data)[i];
	case OG_U32: return (double)((const uint32_t *)t->data)[i];
	case OG_U64: return (double)((const uint64_t *)t->data)[i];
	default: return NAN;
	}
}

static void print_json_number(double x)
{
	if (isfinite(x)) printf("%.9g", x);
	else printf("null");
}

/* Small outputs whole, large ones by their range. */
static void print_output(const cli_args *a, const char *name, const og_tensor *t, bool first)
{
	size_t n = count(t), shown = n <= 16 ? n : 8, nans = 0;
	double low = INFINITY, high = -INFINITY, sum = 0;
	for (size_t i = 0; i < n; i++) {
		double x = element(t, i);
		if (isnan(x)) { nans++; continue; }
		low = fmin(low, x);
		high = fmax(high, x);
		sum += x;
	}
	if (a->json) {
		printf("%s\n  {\"name\": ", first ? "" : ",");
		cli_json_string(stdout, name);
		printf(", \"dtype\": \"%s\", \"shape\": ", og_dtype_name(t->dtype));
		cli_json_shape(stdout, t);
		printf(", \"min\": ");
		print_json_number(low);
		printf(", \"max\": ");
		print_json_number(high);
		printf(", \"mean\": ");
		print_json_number(sum / (double)(n - nans));
		printf(", \"nan\": %zu}", nans);
		return;
	}
	printf("%s: %s", name, og_dtype_name(t->dtype));
	cli_json_shape(stdout, t);
	if (!n) {
		puts("  empty");
		return;
	}
	printf("  min %.6g  max %.6g  mean %.6g", low, high, sum / (double)(n - nans));
	if (nans) printf("  NaN %zu", nans);
	printf("\n ");
	for (size_t i = 0; i < shown; i++) {
		if (i && i % 8 == 0) printf("\n ");
		printf(" %8.5g", element(t, i));
	}
	printf(shown < n ? " ...\n" : "\n");
}

static og_status save_outputs(const cli_args *a, const cli_net *net)
{
	const char *s;
	og_value_info v;
	for (int k = 0; (s = cli_option_nth(a, "--output", k)); k++) {
		const char *equals = strchr(s, '=');
		int at = net->n_outputs == 1 && !equals ? 0 : -1;
		for (int i = 0; equals && i < net->n_outputs; i++)
			if (og_plan_output(net->plan, i, &v) == OG_OK && strlen(v.name) == (size_t)(equals - s) && !strncmp(v.name, s, strlen(v.name)))
				at = i;
		if (at < 0) return (og_status)cli_usage(a, "--output takes NAME=FILE.npy with the name of an output, not '%s'", s);
		og_status status = og_tensor_save(net->outputs[at], equals ? equals + 1 : s);
		if (status != OG_OK) return status;
	}
	return OG_OK;
}

static int run(const cli_args *a)
{
	cli_net net;
	if (!cli_files(a, 1, 1, "a model or plan file")) return OG_USAGE;
	og_status status = cli_net_open(&net, a, a->files[0], 0, NULL, 0);
	if (status != OG_OK) return cli_fail(status);
	status = cli_net_run(&net);
	if (status == OG_OK) status = save_outputs(a, &net);
	if (status == OG_OK && a->json) printf("{\"outputs\": [");
	for (int i = 0; status == OG_OK && i < net.n_outputs && (a->json || !a->quiet); i++) {
		og_value_info v;
		status = og_plan_output(net.plan, i, &v);
		if (status == OG_OK) print_output(a, v.name, net.outputs[i], i == 0);
	}
	if (status == OG_OK && a->json) printf("]}\n");
	cli_net_close(&net);
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_run = {
	.name = "run", .once = true, .usage = "MODEL|PLAN", .what = "run a network once",
	.more = "Inputs that are not given are random numbers from 0 to 1 (always the same).\n"
	        "A named dimension takes its size from the inputs given, or is 1. Nothing is\n"
	        "timed for a single run: a model is built with the tactics that the timing cache\n"
	        "knows to be fastest (after opgraft build or bench), else with those expected to\n"
	        "be.\n\n"
	        "Examples:\n"
	        "  opgraft run models/lenet5_swish4.onnx --input image=digits.npy \\\n"
	        "      --output logits=logits.npy\n"
	        "  opgraft run net.onnx --batch 4 --threads 1\n",
	.options = (const cli_option[]){
		{ "--output", "NAME=FILE.npy", "write an output" },
		CLI_NET_OPTIONS,
		{ NULL, NULL, NULL } },
	.run = run,
};
