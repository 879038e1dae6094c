/* images.c -- op files as device code. The kernels are made by macros of opgraft/device.h, so that the program is the files
 * themselves, one behind the other. */
#include "kit/device.h"

#include <stdio.h>

#include "base/thread.h"
#include "cuda/nvrtc.h"

/* ---- the program ------------------------------------------------------------------------------ */

static char *make_program(const kit_source *sources, size_t n)
{
	text t = { 0 };
	for (size_t k = 0; k < n; k++) {
		text_add(&t, "#line 1 \"");
		for (const char *c = sources[k].path; *c; c++) {
			if (*c == '"' || *c == '\\') text_add(&t, "\\");
			text_addn(&t, c, 1);
		}
		text_add(&t, "\"\n");
		text_addn(&t, sources[k].text, sources[k].length);
		text_add(&t, "\n");
	}
	return text_take(&t);
}

/* What all device code is compiled with, then the folders of headers, then room for the architecture; NULL when memory is short. */
static const char **make_options(arena *a, const kit_source *sources, size_t n_sources, const char *include, int *n)
{
	static const char *const fixed[] = { NVRTC_EXACT, "-DOG_KERNELS" };
	const size_t n_fixed = sizeof fixed / sizeof *fixed;
	const char **options = arena_array(a, n_fixed + n_sources + 2, sizeof *options);
	if (!options) return NULL;
	memcpy(options, fixed, sizeof fixed);
	*n = (int)n_fixed;
	if (!(options[(*n)++] = arena_printf(a, "-I%s", include))) return NULL;
	for (size_t k = 0; k < n_sources; k++) {
		const char *slash = strrchr(sources[k].path, '/');
		int length = slash ? (int)(slash - sources[k].path) : 1;
		if (!(options[(*n)++] = arena_printf(a, "-I%.*s", length, slash ? sources[k].path : "."))) return NULL;
	}
	return options;
}

/* ---- compiling -------------------------------------------------------------------------------- */

typedef struct nvrtc_job { int arch; bool is_ptx; nvrtc_result result; } nvrtc_job;
typedef struct jobs { const nvrtc_api *api; nvrtc_source source; nvrtc_job *job; } jobs;

enum { MOST_OPTIONS = 256, MOST_ARCHS = 64 };

static void compile_jobs(void *arg, int64_t begin, int64_t end)
{
	const jobs *all = arg;
	for (int64_t k = begin; k < end; k++) {
		char arch[16];
		snprintf(arch, sizeof arch, "%d", all->job[k].arch);
		nvrtc_compile(&all->job[k].result, all->api, &all->source, arch, all->job[k].is_ptx);
	}
}

/* ---- architectures ---------------------------------------------------------------------------- */

static const int wanted[] = { 75, 80, 86, 89, 90, 100, 120 };
enum { N_WANTED = sizeof wanted / sizeof *wanted };

/* A cubin for each architecture that is wanted and known, and PTX for the lowest known from the first wanted on. */
static og_status choose_archs(kit_device *out, arena *a, const nvrtc_api *api, nvrtc_job *job, size_t *n_jobs)
{
	int n, known[MOST_ARCHS], lowest = 0;
	text skipped = { 0 };
	if (api->nvrtcGetNumSupportedArchs(&n) || n > MOST_ARCHS || api->nvrtcGetSupportedArchs(known))
		return base_fail(OG_UNSUPPORTED, "NVRTC does not say which architectures it knows");
	*n_jobs = 0;
	for (size_t w = 0; w < N_WANTED; w++) {
		bool is_known = false;
		for (int k = 0; k < n; k++) is_known |= known[k] == wanted[w];
		if (is_known) job[(*n_jobs)++].arch = wanted[w];
		else text_printf(&skipped, "%ssm_%d", skipped.length ? ", " : "", wanted[w]);
	}
	for (int k = 0; k < n; k++)
		if (known[k] >= wanted[0] && (!lowest || known[k] < lowest)) lowest = known[k];
	if (lowest) {
		job[*n_jobs].arch = lowest;
		job[(*n_jobs)++].is_ptx = true;
	}
	if (skipped.length) out->skipped = arena_strndup(a, skipped.data, skipped.length);
	bool failed = skipped.failed || !out->skipped;
	text_free(&skipped);
	return failed ? base_no_memory() : OG_OK;
}

static og_status take_images(kit_device *out, arena *a, const nvrtc_job *job, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (job[k].result.status) return nvrtc_failed(&job[k].result);
	og_image *images = arena_array(a, n, sizeof *images);
	NEED(images);
	for (size_t k = 0; k < n; k++) {
		void *data = arena_aligned(a, job[k].result.n, 64);
		NEED(data);
		memcpy(data, job[k].result.data, job[k].result.n);
		images[k] = (og_image){ .arch = job[k].arch, .is_ptx = job[k].is_ptx, .data = data, .n = job[k].result.n };
	}
	out->images = images;
	out->n = (uint32_t)n;
	return OG_OK;
}

og_status kit_compile_device(kit_device *out, arena *a, const kit_source *sources, size_t n_sources, const char *include)
{
	nvrtc_api api;
	nvrtc_job job[N_WANTED + 1] = { 0 };
	jobs all = { .api = &api, .job = job };
	size_t n_jobs = 0;
	int major, minor;
	pool *threads = NULL;
	*out = (kit_device){ .compiler = "", .skipped = "" };
	TRY(nvrtc_open(&api, a));
	if (api.nvrtcVersion(&major, &minor)) return base_fail(OG_MISSING, "NVRTC does not say its version: install it anew");
	out->compiler = arena_printf(a, "NVRTC %d.%d", major, minor);
	NEED(out->compiler);
	TRY(choose_archs(out, a, &api, job, &n_jobs));
	all.source.options = make_options(a, sources, n_sources, include, &all.source.n_options);
	NEED(all.source.options);
	if (all.source.n_options >= MOST_OPTIONS) return base_fail(OG_UNSUPPORTED, "a library of %zu op files has too many; build several", n_sources);
	char *program = make_program(sources, n_sources);
	NEED(program);
	all.source.text = program;
	og_status status = pool_create(&threads, 0);
	if (status == OG_OK) pool_run(threads, (int64_t)n_jobs, 1, compile_jobs, &all);
	if (status == OG_OK) status = take_images(out, a, job, n_jobs);
	pool_destroy(threads);
	for (size_t k = 0; k < n_jobs; k++) base_free(job[k].result.data);
	base_free(program);
	return status;
}
