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

/* What was computed, with its names. */
typedef struct answer { const char **names; og_tensor **tensors; int n; } answer;

static og_status save_outputs(const cli_args *a, const answer *got)
{
	const char *s;
	for (int k = 0; (s = cli_option_nth(a, "--output", k)); k++) {
		const char *equals = strchr(s, '=');
		int at = got->n == 1 && !equals ? 0 : -1;
		for (int i = 0; equals && i < got->n; i++)
			if (strlen(got->names[i]) == (size_t)(equals - s) && !strncmp(got->names[i], s, strlen(got->names[i]))) at = i;
		if (at < 0) return (og_status)cli_usage(a, "--output takes NAME=FILE.npy with the name of an output, not '%s'", s);
		og_status status = og_tensor_save(got->tensors[at], equals ? equals + 1 : s);
		if (status != OG_OK) return status;
	}
	return OG_OK;
}

static void print_outputs(const cli_args *a, const answer *got)
{
	if (a->json) printf("{\"outputs\": [");
	for (int i = 0; i < got->n && (a->json || !a->quiet); i++) print_output(a, got->names[i], got->tensors[i], i == 0);
	if (a->json) printf("]");
}

static og_status run_net(const cli_args *a)
{
	cli_net net;
	og_value_info v;
	og_status status = cli_net_open(&net, a, a->files[0], 0, NULL, 0);
	if (status != OG_OK) return status;
	answer got = { .names = calloc((size_t)net.n_outputs + 1, sizeof *got.names), .tensors = net.outputs, .n = net.n_outputs };
	if (!got.names) status = OG_NO_MEMORY;
	for (int i = 0; status == OG_OK && i < net.n_outputs; i++) {
		status = og_plan_output(net.plan, i, &v);
		got.names[i] = v.name;
	}
	if (status == OG_OK) status = cli_net_run(&net);
	if (status == OG_OK) status = save_outputs(a, &got);
	if (status == OG_OK) print_outputs(a, &got);
	if (status == OG_OK && a->json) printf("}\n");
	free(got.names);
	cli_net_close(&net);
	return status;
}

/* ---- a network in pieces ----------------------------------------------------------------------- */

/* Manifests are JSON; no model or plan begins like that. */
static bool is_manifest(const char *path)
{
	FILE *f = fopen(path, "rb");
	int c = f ? fgetc(f) : EOF;
	while (f && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) c = fgetc(f);
	if (f) fclose(f);
	return c == '{';
}

typedef struct sizes { og_binding of[CLI_MAX_ARGS]; char names[CLI_MAX_ARGS][256]; int n, batch; } sizes;

static og_status read_sizes(const cli_args *a, sizes *to)
{
	const char *s;
	og_status status = cli_option_int(a, "--batch", 1, 1 << 24, &to->batch) ? OG_OK : OG_USAGE;
	for (; status == OG_OK && (s = cli_option_nth(a, "--shape", to->n)); to->n++)
		status = cli_parse_shape(a, &to->of[to->n], s, to->names[to->n], sizeof to->names[to->n]);
	return status;
}

/* The size of a named dimension: as the user says, as inputs that were given have it, or -1. */
static int64_t size_of(const sizes *said, const og_manifest *m, og_tensor *const *inputs, const char *name)
{
	og_value_info v;
	for (int k = 0; k < said->n; k++)
		if (!strcmp(said->of[k].name, name) && said->of[k].rank == 1) return said->of[k].dims[0];
	for (int i = 0; i < og_manifest_inputs(m); i++) {
		if (!inputs[i] || og_manifest_input(m, i, &v) != OG_OK) continue;
		for (int d = 0; d < v.rank && d < inputs[i]->rank; d++)
			if (v.dim_names[d] && !strcmp(v.dim_names[d], name)) return inputs[i]->dims[d];
	}
	return -1;
}

/* An input that was not given. */
static og_status make_input(const og_manifest *m, int i, og_tensor **inputs, const sizes *said)
{
	og_value_info v;
	og_status status = og_manifest_input(m, i, &v);
	for (int k = 0; k < said->n; k++) {
		if (strcmp(said->of[k].name, v.name)) continue;
		v.rank = said->of[k].rank;
		memcpy(v.dims, said->of[k].dims, sizeof v.dims);
	}
	for (int d = 0; d < v.rank; d++) {
		if (v.dims[d] >= 0) continue;
		if (v.dim_names[d]) v.dims[d] = size_of(said, m, inputs, v.dim_names[d]);
		if (v.dims[d] < 0 && d == 0 && v.dim_names[0] && said->batch) v.dims[0] = said->batch;
	}
	return status == OG_OK ? cli_make_tensor(&inputs[i], &v, (uint64_t)i + 1) : status;
}

static og_status read_inputs(const cli_args *a, const og_manifest *m, og_tensor **inputs)
{
	og_value_info v;
	const char *s;
	int n = og_manifest_inputs(m);
	for (int k = 0; (s = cli_option_nth(a, "--input", k)); k++) {
		const char *equals = strchr(s, '=');
		int at = n == 1 && !equals ? 0 : -1;
		for (int i = 0; i < n && equals; i++)
			if (og_manifest_input(m, i, &v) == OG_OK && strlen(v.name) == (size_t)(equals - s) && !strncmp(v.name, s, strlen(v.name)))
				at = i;
		if (at < 0) return (og_status)cli_usage(a, "--input takes NAME=FILE with the name of an input, not '%s'", s);
		og_tensor_free(inputs[at]);
		og_status status = og_tensor_load(&inputs[at], equals ? equals + 1 : s);
		if (status != OG_OK) return status;
	}
	return OG_OK;
}

static og_status run_pieces(const cli_args *a, og_manifest *m, og_tensor *const *inputs, og_tensor **outputs)
{
	const char *libraries[CLI_MAX_ARGS];
	og_manifest_options o = { .size = sizeof o, .device = cli_option_value(a, "--device"),
	                          .precision = cli_option_value(a, "--precision"),
	                          .no_fuse = cli_option_value(a, "--no-fuse") != NULL, .batching = cli_option_value(a, "--batching"),
	                          .memory = cli_option_value(a, "--memory"),
	                          .timing = OG_TIMING_CACHED, .timing_cache = "", .libraries = libraries };
	if (!cli_option_int(a, "--threads", 1, 256, &o.threads)) return OG_USAGE;
	while ((libraries[o.n_libraries] = cli_option_nth(a, "--ops", o.n_libraries))) o.n_libraries++;
	if (cli_option_value(a, "--no-timing")) o.timing = OG_TIMING_OFF;
	if (cli_option_value(a, "--timing-cache")) o.timing_cache = cli_option_value(a, "--timing-cache");
	if (cli_option_value(a, "--no-timing-cache")) o.timing_cache = NULL;
	return og_manifest_run(m, (const og_tensor *const *)inputs, outputs, &o);
}

/* Who ran what, where that is not whom a piece was cut for; all of it as JSON. */
static void print_pieces(const cli_args *a, const og_manifest *m)
{
	og_piece_info p;
	if (a->json) printf(", \"pieces\": [");
	for (int k = 0; k < og_manifest_pieces(m) && og_manifest_piece(m, k, &p) == OG_OK; k++) {
		if (a->json) {
			printf("%s\n  {\"file\": ", k ? "," : "");
			cli_json_string(stdout, p.file);
			printf(", \"runtime\": \"%s\", \"ran\": \"%s\"}", p.runtime, p.ran);
		} else if (!a->quiet && strcmp(p.runtime, p.ran)) {
			printf("%s is for %s; %s ran it here.\n", p.file, p.runtime, p.ran);
		}
	}
	if (a->json) printf("]}\n");
}

static og_status run_manifest(const cli_args *a)
{
	static sizes said;
	og_manifest *m;
	og_value_info v;
	og_status status = og_manifest_load(&m, a->files[0]);
	if (status != OG_OK) return status;
	int n_in = og_manifest_inputs(m), n_out = og_manifest_outputs(m);
	og_tensor **inputs = calloc((size_t)n_in + 1, sizeof *inputs);
	answer got = { .names = calloc((size_t)n_out + 1, sizeof *got.names),
	               .tensors = calloc((size_t)n_out + 1, sizeof *got.tensors), .n = n_out };
	if (!inputs || !got.names || !got.tensors) status = OG_NO_MEMORY;
	for (int k = 0; k < n_out && status == OG_OK; k++) {
		status = og_manifest_output(m, k, &v);
		got.names[k] = v.name;
	}
	if (status == OG_OK) status = read_sizes(a, &said);
	if (status == OG_OK) status = read_inputs(a, m, inputs);
	for (int i = 0; i < n_in && status == OG_OK; i++)
		if (!inputs[i]) status = make_input(m, i, inputs, &said);
	if (status == OG_OK) status = run_pieces(a, m, inputs, got.tensors);
	if (status == OG_OK) status = save_outputs(a, &got);
	if (status == OG_OK) print_outputs(a, &got);
	if (status == OG_OK) print_pieces(a, m);
	for (int i = 0; inputs && i < n_in; i++) og_tensor_free(inputs[i]);
	for (int k = 0; got.tensors && k < n_out; k++) og_tensor_free(got.tensors[k]);
	free(inputs);
	free(got.names);
	free(got.tensors);
	og_manifest_free(m);
	return status;
}

static int run(const cli_args *a)
{
	if (!cli_files(a, 1, 1, "a model, plan or manifest file")) return OG_USAGE;
	og_status status = is_manifest(a->files[0]) ? run_manifest(a) : run_net(a);
	return status == OG_OK ? 0 : cli_fail(status);
}

const cli_verb cli_verb_run = {
	.name = "run", .once = true, .usage = "MODEL|PLAN|MANIFEST", .what = "run a network once",
	.more = "Inputs that are not given are random numbers from 0 to 1 (always the same).\n"
	        "A named dimension takes its size from the inputs given, or is 1. Nothing is\n"
	        "timed for a single run: a model is built with the tactics that the timing cache\n"
	        "knows to be fastest (after opgraft build or bench), else with those expected to\n"
	        "be. The manifest of opgraft partition is run piece by piece; a piece for\n"
	        "TensorRT, which is not driven here, is run by Opgraft, else by ONNX Runtime, and\n"
	        "the output says so.\n\n"
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
