/* check.c -- opgraft check */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MAX_TENSORS = 64, MAX_SETS = 1000 };
static const double LEAST_ATOL = 1e-5;

typedef struct check {
	const cli_args *a;
	double rtol, atol;                   /* atol < 0: by the size of what is wanted */
	bool told;                           /* tolerances were given; else the precision of a plan for a device says what is right */
	bool match, any;
	const char *set;                     /* name of the data set; NULL: the reference */
} check;

static void print_difference(check *c, const char *name, const og_difference *d, const long long infinite[2], const char *why)
{
	bool match = !why && !d->mismatches;
	c->match = c->match && match;
	if (c->a->json) {
		printf("%s\n  {\"output\": ", c->any ? "," : "");
		cli_json_string(stdout, name);
		if (c->set) {
			printf(", \"set\": ");
			cli_json_string(stdout, c->set);
		}
		printf(", \"match\": %s, \"max_abs\": %.9g, \"max_rel\": %.9g, \"max_ulp\": %.9g, \"mismatches\": %lld, \"nan\": [%lld, %lld], \"inf\": [%lld, %lld]",
		       match ? "true" : "false", d->max_abs < 1e300 ? d->max_abs : 1e300, d->max_rel < 1e300 ? d->max_rel : 1e300,
		       d->ulp, (long long)d->mismatches, (long long)d->nan_a, (long long)d->nan_b, infinite[0], infinite[1]);
		if (why) {
			printf(", \"reason\": ");
			cli_json_string(stdout, why);
		}
		printf("}");
	} else if (!c->a->quiet || !match) {
		printf("%-5s %s%s%s", match ? "ok" : "WRONG", c->set ? c->set : "", c->set ? ": " : "", name);
		if (why) printf("  %s\n", why);
		else printf("  max error %.3g absolute, %.3g relative, %.4g ULP, %lld outside tolerance\n", d->max_abs, d->max_rel, d->ulp,
		            (long long)d->mismatches);
		if (!why && d->nan_a + d->nan_b + infinite[0] + infinite[1])
			printf("      NaN: %lld, %lld wanted; infinite: %lld, %lld wanted\n", (long long)d->nan_a, (long long)d->nan_b, infinite[0], infinite[1]);
	}
	c->any = true;
}

static int by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

/* The default absolute tolerance: rounding errors of a sum follow the size of what is summed, not of a sum that is near 0
 * by chance. So an element may be off by rtol of the output's median size, zeros, infinities and NaNs left out, and at
 * least by LEAST_ATOL. */
static og_status usual_atol(const check *c, const og_tensor *want, double *atol)
{
	const float *x = want->data;
	size_t n = 0, count = 1;
	for (int i = 0; i < want->rank; i++) count *= (size_t)want->dims[i];
	*atol = LEAST_ATOL;
	if (want->dtype != OG_F32) return OG_OK;
	float *size = malloc((count + 1) * sizeof *size);
	if (!size) return cli_tell(OG_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < count; i++)
		if (x[i] != 0.0f && isfinite(x[i])) size[n++] = fabsf(x[i]);
	qsort(size, n, sizeof *size, by_size);
	if (n && c->rtol * (double)size[n / 2] > *atol) *atol = c->rtol * (double)size[n / 2];
	free(size);
	return OG_OK;
}

/* What the largest difference may be of the largest wanted element, on a device. */
static double tolerance_of(const char *precision)
{
	static const struct { const char *name; double most; } known[] = { { "fp32", 1e-5 }, { "tf32", 5e-3 }, { "fp16", 1e-2 }, { "bf16", 5e-2 } };
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(known[i].name, precision)) return known[i].most;
	return known[0].most;
}

/* Compares by the precision of the plan; rounding in test data counts as much as CPUs' does. */
static og_status compare_by_precision(og_difference *d, const cli_net *net, const og_tensor *got, const og_tensor *want)
{
	double most = tolerance_of(og_plan_precision(net->plan));
	og_status status = og_compare(d, got, want, 0, 1e-7);
	if (status != OG_OK || !d->mismatches) return status;
	double largest = d->max_rel > 0 && d->max_abs < 1e300 ? d->max_abs / d->max_rel : 0;
	return og_compare(d, got, want, most, most * largest + 1e-7);
}

static long long infinities(const og_tensor *t)
{
	long long n = 0;
	int64_t count = 1;
	for (int d = 0; d < t->rank; d++) count *= t->dims[d];
	for (int64_t i = 0; i < count; i++) {
		uint16_t half = t->dtype == OG_F16 || t->dtype == OG_BF16 ? ((const uint16_t *)t->data)[i] & 0x7fff : 0;
		n += t->dtype == OG_F32 ? isinf(((const float *)t->data)[i]) != 0 : half && half == (t->dtype == OG_F16 ? 0x7c00 : 0x7f80);
	}
	return n;
}

static og_status compare_outputs(check *c, const cli_net *net, og_tensor *const *want, int n_want)
{
	og_value_info v;
	for (int i = 0; i < net->n_outputs && i < n_want; i++) {
		og_difference d = { 0 };
		double atol = c->atol;
		og_status status = og_plan_output(net->plan, i, &v);
		bool device = strcmp(og_plan_device(net->plan), "cpu") && !c->told;
		if (status == OG_OK && atol < 0 && !device) status = usual_atol(c, want[i], &atol);
		if (status == OG_OK) status = device ? compare_by_precision(&d, net, net->outputs[i], want[i])
		                                     : og_compare(&d, net->outputs[i], want[i], c->rtol, atol);
		if (status != OG_OK && status != OG_NO) return status;
		long long infinite[2] = { infinities(net->outputs[i]), infinities(want[i]) };
		print_difference(c, v.name, &d, infinite, status == OG_NO ? og_error() : NULL);
	}
	return OG_OK;
}

static void free_all(og_tensor **t, int n)
{
	for (int i = 0; i < n; i++) og_tensor_free(t[i]);
}

/* ---- against the reference ------------------------------------------------------------------- */

static og_status against_reference(check *c, const char *path)
{
	cli_net net;
	og_tensor *want[MAX_TENSORS] = { NULL };
	if (cli_is_plan(path)) return (og_status)cli_usage(c->a, "the reference needs the model; for a plan use --against DIR");
	og_status status = cli_net_open(&net, c->a, path, 0, NULL, 0);
	if (status != OG_OK) return status;
	int n = net.n_outputs;
	if (n > MAX_TENSORS) status = (og_status)cli_usage(c->a, "%s has more than %d outputs", path, MAX_TENSORS);
	if (status == OG_OK) status = cli_net_run(&net);
	if (status == OG_OK) cli_progress(c->a, "running the reference in double precision");
	if (status == OG_OK) status = og_reference_run(net.model, (const og_tensor *const *)net.inputs, want);
	cli_progress_end(c->a);
	if (status == OG_OK) status = compare_outputs(c, &net, want, n);
	free_all(want, n < MAX_TENSORS ? n : MAX_TENSORS);
	cli_net_close(&net);
	return status;
}

/* ---- against a folder of ONNX's test data ---------------------------------------------------- */

/* Reads NAME_0.pb, NAME_1.pb, ... until one is not there. */
static og_status load_set(const char *dir, const char *set, const char *name, og_tensor **out, int *n)
{
	char path[4096];
	for (*n = 0; *n < MAX_TENSORS; ++*n) {
		snprintf(path, sizeof path, "%s/%s/%s_%d.pb", dir, set, name, *n);
		FILE *f = fopen(path, "rb");
		if (!f) return OG_OK;
		fclose(f);
		og_status status = og_tensor_load(&out[*n], path);
		if (status != OG_OK) return status;
	}
	return OG_OK;
}

/* Whether the network is supported at all, whatever its inputs hold. */
static og_status build_alone(const char *path)
{
	og_model *m = NULL;
	og_plan *plan = NULL;
	og_build_options o = { .size = sizeof o, .timing = OG_TIMING_OFF };
	og_status status = cli_is_plan(path) ? OG_OK : og_model_load(&m, path);
	if (status == OG_OK && m) status = og_plan_build(&plan, m, &o);
	og_plan_free(plan);
	og_model_free(m);
	return status;
}

/* The inputs of a set. Data that can't be read is no news where the network is not supported: then that is what is said. */
static og_status load_set_inputs(const char *path, const char *dir, const char *set, og_tensor **in, int *n)
{
	og_status status = load_set(dir, set, "input", in, n);
	if (status == OG_OK) return OG_OK;
	free_all(in, *n);
	if (build_alone(path) == OG_UNSUPPORTED) return OG_UNSUPPORTED;
	status = load_set(dir, set, "input", in, n);              /* says its sentence again */
	free_all(in, *n);
	return status;
}

static og_status check_set(check *c, const char *path, const char *dir)
{
	og_tensor *in[MAX_TENSORS] = { NULL }, *want[MAX_TENSORS] = { NULL };
	int n_in = 0, n_want = 0;
	cli_net net;
	og_status status = load_set_inputs(path, dir, c->set, in, &n_in);
	if (status != OG_OK) return status;
	status = cli_net_open(&net, c->a, path, 0, in, n_in);
	if (status == OG_OK) {
		status = load_set(dir, c->set, "output", want, &n_want);
		if (status == OG_OK) status = cli_net_run(&net);
		if (status == OG_OK) status = compare_outputs(c, &net, want, n_want);
		cli_net_close(&net);
	}
	free_all(want, n_want);
	return status;
}

static og_status against_folder(check *c, const char *path, const char *dir)
{
	char name[64], file[4096];
	int sets = 0;
	for (int k = 0; k < MAX_SETS; k++) {
		snprintf(name, sizeof name, "test_data_set_%d", k);
		snprintf(file, sizeof file, "%s/%s/output_0.pb", dir, name);
		FILE *f = fopen(file, "rb");
		if (!f) break;
		fclose(f);
		c->set = name;
		og_status status = check_set(c, path, dir);
		if (status != OG_OK) return status;
		sets++;
	}
	if (sets) return OG_OK;
	return cli_tell(OG_MISSING, "%s: there is no test_data_set_0/output_0.pb in this folder", dir);
}

static int run(const cli_args *a)
{
	check c = { .a = a, .rtol = 1e-3, .atol = 1e-7, .match = true };
	const char *against = cli_option_value(a, "--against");
	c.told = cli_option_value(a, "--rtol") || cli_option_value(a, "--atol");
	bool folder = against && strcmp(against, "reference");
	if (!cli_files(a, 1, 1, "a model or plan file")) return OG_USAGE;
	if (!folder) c.atol = -1;
	if (!cli_option_double(a, "--rtol", &c.rtol) || !cli_option_double(a, "--atol", &c.atol)) return OG_USAGE;
	if (a->json) printf("{\"results\": [");
	og_status status = folder ? against_folder(&c, a->files[0], against) : against_reference(&c, a->files[0]);
	if (a->json) printf("], \"match\": %s}\n", status == OG_OK && c.match ? "true" : "false");
	if (status != OG_OK) return cli_fail(status);
	return c.match ? 0 : OG_NO;
}

const cli_verb cli_verb_check = {
	.name = "check", .once = true, .usage = "MODEL|PLAN", .what = "compare results with the reference or with test data",
	.more = "The reference runs the unoptimised network by the ops' plain definitions, with\n"
	        "formulas and sums in double precision. A folder holds ONNX test data:\n"
	        "test_data_set_0/input_0.pb, output_0.pb, ... An element is right when it is\n"
	        "within atol + rtol * |wanted|; against the reference atol is 1e-5, or rtol times\n"
	        "the median of the output's |wanted| that are not 0 where that is more (float32).\n"
	        "Exit status 1 when one is not. On a GPU both are, unless given, of the largest\n"
	        "wanted element: fp32 1e-5, tf32 5e-3, fp16 1e-2, bf16 5e-2.\n\n"
	        "Examples:\n"
	        "  opgraft check models/lenet5_swish4.onnx --batch 8\n"
	        "  opgraft check test_relu/model.onnx --against test_relu\n",
	.options = (const cli_option[]){
		{ "--against", "reference|DIR", "what to compare with (default: reference)" },
		{ "--rtol", "X", "relative tolerance (default 1e-3)" },
		{ "--atol", "X", "absolute tolerance (reference: see above, DIR 1e-7)" },
		CLI_NET_OPTIONS,
		{ NULL, NULL, NULL } },
	.run = run,
};
