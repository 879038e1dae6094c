/* nvrtc.c -- op files as device code. The kernels are made by macros of opgraft/device.h, so that the program is the files
 * themselves, one behind the other. */
#include "kit/device.h"

#include <ctype.h>
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"

/* X(name, arguments): every one returns 0 for success. */
#define NVRTC_MAP(X) \
	X(nvrtcVersion, (int *major, int *minor)) \
	X(nvrtcGetNumSupportedArchs, (int *n)) \
	X(nvrtcGetSupportedArchs, (int *archs)) \
	X(nvrtcCreateProgram, (void **program, const char *source, const char *name, int n, const char *const *headers, \
	                       const char *const *names)) \
	X(nvrtcDestroyProgram, (void **program)) \
	X(nvrtcCompileProgram, (void *program, int n, const char *const *options)) \
	X(nvrtcGetProgramLogSize, (void *program, size_t *size)) \
	X(nvrtcGetProgramLog, (void *program, char *log)) \
	X(nvrtcGetCUBINSize, (void *program, size_t *size)) \
	X(nvrtcGetCUBIN, (void *program, char *to)) \
	X(nvrtcGetPTXSize, (void *program, size_t *size)) \
	X(nvrtcGetPTX, (void *program, char *to))

typedef struct nvrtc {
#define X(name, arguments) int (*name) arguments;
	NVRTC_MAP(X)
#undef X
} nvrtc;

/* ---- finding it ------------------------------------------------------------------------------- */

static const char *const names[] = { "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so" };
/* Where it is when the loader does not know it: behind the value of a variable of the environment. */
static const struct { const char *variable, *pattern; } places[] = {
	{ "VIRTUAL_ENV", "/lib/python3*/site-packages/nvidia/cu*/lib/libnvrtc.so.1[23]" },
	{ "CUDA_PATH", "/lib*/libnvrtc.so.1[23]" },
	{ "CUDA_HOME", "/lib*/libnvrtc.so.1[23]" },
	{ NULL, "/usr/local/cuda/lib*/libnvrtc.so.1[23]" },
	{ "HOME", "/.local/lib/python3*/site-packages/nvidia/cu*/lib/libnvrtc.so.1[23]" },
	{ NULL, "/usr/local/lib/python3*/*-packages/nvidia/cu*/lib/libnvrtc.so.1[23]" },
	{ NULL, "/usr/lib/python3*/*-packages/nvidia/cu*/lib/libnvrtc.so.1[23]" },
};

static bool loads(const char *name)
{
	void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);        /* stays: it does not unload cleanly */
	return library && dlsym(library, "nvrtcCompileProgram");
}

/* The last file, in order of name, that the pattern finds and that loads. */
static const char *find_by_pattern(arena *a, const char *pattern)
{
	glob_t found;
	const char *path = NULL;
	if (glob(pattern, 0, NULL, &found) != 0) return NULL;
	for (size_t k = found.gl_pathc; k > 0 && !path; k--)
		if (loads(found.gl_pathv[k - 1])) path = arena_strdup(a, found.gl_pathv[k - 1]);
	globfree(&found);
	return path;
}

const char *kit_find_nvrtc(arena *a)
{
	const char *told = getenv("OPGRAFT_NVRTC"), *path = NULL;
	if (told) return loads(told) ? arena_strdup(a, told) : NULL;
	for (size_t k = 0; k < sizeof names / sizeof *names; k++)
		if (loads(names[k])) return names[k];
	for (size_t k = 0; k < sizeof places / sizeof *places && !path; k++) {
		const char *at = places[k].variable ? getenv(places[k].variable) : "";
		const char *pattern = at ? arena_printf(a, "%s%s", at, places[k].pattern) : NULL;
		if (pattern) path = find_by_pattern(a, pattern);
	}
	return path;
}

static og_status open_nvrtc(nvrtc *out, arena *a)
{
	const char *path = kit_find_nvrtc(a);
	void *library = path ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL;
	if (!library)
		return base_fail(OG_MISSING, "there is no NVRTC to compile kernels with: pip install nvidia-cuda-nvrtc, install the CUDA toolkit, "
		                 "or set OPGRAFT_NVRTC to the path of libnvrtc.so");
#define X(name, arguments) \
	*(void **)&out->name = dlsym(library, #name); \
	if (!out->name) return base_fail(OG_MISSING, "%s lacks " #name ": it is too old; install CUDA 12 or newer", path);
	NVRTC_MAP(X)
#undef X
	return OG_OK;
}

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

/* What makes the bits those of the CPU, then the folders of headers, then room for the architecture; NULL when memory is short. */
static const char **make_options(arena *a, const kit_source *sources, size_t n_sources, const char *include, int *n)
{
	static const char *const fixed[] = { "--std=c++17", "-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true",
	                                     "-default-device", "-DOG_KERNELS" };
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

typedef struct nvrtc_job {
	int arch;
	bool is_ptx;
	int status;                          /* NVRTC's; -1: memory is short */
	char *result;                        /* the image; when it failed, the log; to be freed */
	size_t n;
} nvrtc_job;

typedef struct jobs { const nvrtc *api; const char *program; const char *const *options; int n_options; nvrtc_job *job; } jobs;

enum { MOST_OPTIONS = 256, MOST_ARCHS = 64 };

static void take_log(const nvrtc *api, void *program, nvrtc_job *j)
{
	if (api->nvrtcGetProgramLogSize(program, &j->n) || !(j->result = base_alloc(j->n + 1))) return;
	if (api->nvrtcGetProgramLog(program, j->result)) j->n = 0;
	j->result[j->n] = '\0';
}

static void take_image(const nvrtc *api, void *program, nvrtc_job *j)
{
	j->status = j->is_ptx ? api->nvrtcGetPTXSize(program, &j->n) : api->nvrtcGetCUBINSize(program, &j->n);
	if (j->status) return;
	j->result = base_alloc(j->n);
	if (!j->result) j->status = -1;
	else j->status = j->is_ptx ? api->nvrtcGetPTX(program, j->result) : api->nvrtcGetCUBIN(program, j->result);
}

static void compile_jobs(void *arg, int64_t begin, int64_t end)
{
	const jobs *all = arg;
	for (int64_t k = begin; k < end; k++) {
		nvrtc_job *j = &all->job[k];
		const char *options[MOST_OPTIONS];
		char arch[32];
		void *program;
		memcpy(options, all->options, (size_t)all->n_options * sizeof *options);
		snprintf(arch, sizeof arch, "-arch=%s_%d", j->is_ptx ? "compute" : "sm", j->arch);
		options[all->n_options] = arch;
		j->status = all->api->nvrtcCreateProgram(&program, all->program, "opgraft.cu", 0, NULL, NULL);
		if (j->status) continue;
		j->status = all->api->nvrtcCompileProgram(program, all->n_options + 1, options);
		if (j->status) take_log(all->api, program, j);
		else take_image(all->api, program, j);
		all->api->nvrtcDestroyProgram(&program);
	}
}

/* The log's first error: "swish.c(7): error: ..." becomes "swish.c:7: ...". */
static og_status compiler_failed(const nvrtc_job *j)
{
	if (j->status == -1) return base_no_memory();
	const char *log = j->result ? j->result : "", *at = strstr(log, "error: ");
	if (!at) return base_fail(OG_BAD_FILE, "NVRTC failed with status %d: %.400s", j->status, log);
	const char *line = at, *open = NULL;
	while (line > log && line[-1] != '\n') line--;
	for (const char *c = line; c < at; c++)
		if (*c == '(' && isdigit((unsigned char)c[1])) open = c;
	at += strlen("error: ");
	int length = (int)strcspn(at, "\n");
	if (!open) return base_fail(OG_BAD_FILE, "device code: %.*s", length, at);
	return base_fail(OG_BAD_FILE, "%.*s:%ld: %.*s (as device code)", (int)(open - line), line, strtol(open + 1, NULL, 10), length, at);
}

/* ---- architectures ---------------------------------------------------------------------------- */

static const int wanted[] = { 75, 80, 86, 89, 90, 100, 120 };
enum { N_WANTED = sizeof wanted / sizeof *wanted };

/* A cubin for each architecture that is wanted and known, and PTX for the lowest known from the first wanted on. */
static og_status choose_archs(kit_device *out, arena *a, const nvrtc *api, nvrtc_job *job, size_t *n_jobs)
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
		if (job[k].status) return compiler_failed(&job[k]);
	og_image *images = arena_array(a, n, sizeof *images);
	NEED(images);
	for (size_t k = 0; k < n; k++) {
		void *data = arena_aligned(a, job[k].n, 64);
		NEED(data);
		memcpy(data, job[k].result, job[k].n);
		images[k] = (og_image){ .arch = job[k].arch, .is_ptx = job[k].is_ptx, .data = data, .n = job[k].n };
	}
	out->images = images;
	out->n = (uint32_t)n;
	return OG_OK;
}

og_status kit_compile_device(kit_device *out, arena *a, const kit_source *sources, size_t n_sources, const char *include)
{
	nvrtc api;
	nvrtc_job job[N_WANTED + 1] = { 0 };
	jobs all = { .api = &api, .job = job };
	size_t n_jobs = 0;
	int major, minor;
	pool *threads = NULL;
	*out = (kit_device){ .compiler = "", .skipped = "" };
	TRY(open_nvrtc(&api, a));
	if (api.nvrtcVersion(&major, &minor)) return base_fail(OG_MISSING, "NVRTC does not say its version: install it anew");
	out->compiler = arena_printf(a, "NVRTC %d.%d", major, minor);
	NEED(out->compiler);
	TRY(choose_archs(out, a, &api, job, &n_jobs));
	all.options = make_options(a, sources, n_sources, include, &all.n_options);
	NEED(all.options);
	if (all.n_options >= MOST_OPTIONS) return base_fail(OG_UNSUPPORTED, "a library of %zu op files has too many; build several", n_sources);
	char *program = make_program(sources, n_sources);
	NEED(program);
	all.program = program;
	og_status status = pool_create(&threads, 0);
	if (status == OG_OK) pool_run(threads, (int64_t)n_jobs, 1, compile_jobs, &all);
	if (status == OG_OK) status = take_images(out, a, job, n_jobs);
	pool_destroy(threads);
	for (size_t k = 0; k < n_jobs; k++) base_free(job[k].result);
	base_free(program);
	return status;
}
