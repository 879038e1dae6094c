/* peer_onnxruntime.c -- the real ONNX Runtime, driven through its C API to compare answers and times with.
 * The library is found at run time; no header of it is used: onnxruntime_abi.h says what is where. */
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "bridge/onnxruntime_abi.h"
#include "opgraft.h"

typedef struct ort_api {
#define X(name, place, result, arguments) result (*name) arguments;
	ORT_RUN_MAP(X)
#undef X
} ort_api;

enum { NO_OPTIMIZATIONS = 0, ALL_OPTIMIZATIONS = 99, SEVERITY_ERROR = 3, SEVERITY_FATAL = 4, ARENA_ALLOCATOR = 1, DEFAULT_MEMORY = 0 };

struct og_peer {
	void *library;
	ort_api api;
	const char *version;
	void *env, *options, *session, *memory, *allocator;
	size_t n_in, n_out;
	char **names;                            /* of inputs, then outputs; the runtime's memory */
	void **values;                           /* OrtValues over the caller's tensors */
};

/* ---- finding the library --------------------------------------------------------------------- */

static void *open_matching(const char *pattern)
{
	glob_t g;
	void *library = NULL;
	if (glob(pattern, 0, NULL, &g)) return NULL;
	for (size_t i = 0; i < g.gl_pathc && !library; i++) library = dlopen(g.gl_pathv[i], RTLD_NOW | RTLD_LOCAL);
	globfree(&g);
	return library;
}

static void *open_library(void)
{
	static const char *const wheels[] = {
		"%s/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*", "%s/onnxruntime/capi/libonnxruntime.so.*",
		"%s/libonnxruntime.so*", "%s",
	};
	static const char *const places[] = { "build/venv", "/usr", "/usr/local", "/usr/lib/python3/dist-packages" };
	const char *given = getenv("OPGRAFT_ONNXRUNTIME"), *venv = getenv("VIRTUAL_ENV"), *home = getenv("HOME");
	char local[4096], pattern[8192];
	snprintf(local, sizeof local, "%s/.local", home ? home : "");
	const char *roots[8] = { given, venv };
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) roots[i + 2] = places[i];
	roots[6] = home ? local : NULL;
	void *library = NULL;
	if (!given) library = dlopen("libonnxruntime.so.1", RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; i < (given ? 1 : 7) && !library; i++)
		for (size_t k = 0; roots[i] && k < (i == 0 ? 4 : 2) && !library; k++) {
			snprintf(pattern, sizeof pattern, wheels[k], roots[i]);
			library = open_matching(pattern);
		}
	return library;
}

static og_status load_api(og_peer *p)
{
	static const char advice[] = "pip install onnxruntime, or name its library in OPGRAFT_ONNXRUNTIME";
	p->library = open_library();
	if (!p->library) return base_fail(OG_MISSING, "ONNX Runtime was not found: %s", advice);
	const ort_base *(*get_base)(void);
	*(void **)&get_base = dlsym(p->library, "OrtGetApiBase");
	const ort_base *b = get_base ? get_base() : NULL;
	const void *const *api = b ? b->get_api(ORT_RUN_VERSION) : NULL;
	if (!api) return base_fail(OG_MISSING, "the ONNX Runtime found here does not offer API version %d: %s", ORT_RUN_VERSION, advice);
	p->version = b->version();
#define X(name, place, result, arguments) memcpy(&p->api.name, &api[place], sizeof p->api.name);
	ORT_RUN_MAP(X)
#undef X
	return OG_OK;
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* The runtime's status, with its sentence, as ours. */
static og_status check(const og_peer *p, void *status)
{
	if (!status) return OG_OK;
	char sentence[900];
	snprintf(sentence, sizeof sentence, "%s", p->api.GetErrorMessage(status));
	for (char *s = sentence; *s; s++)
		if (*s == '\n') *s = ' ';
	p->api.ReleaseStatus(status);
	return base_fail(OG_UNSUPPORTED, "ONNX Runtime: %s", sentence);
}

/* A path without '/' is of this folder, as everywhere here; the loader would look in its own. */
static og_status register_library(og_peer *p, const char *path)
{
	text here = { 0 };
	text_printf(&here, "%s%s", strchr(path, '/') ? "" : "./", path);
	og_status status = here.failed ? base_no_memory() : check(p, p->api.RegisterCustomOpsLibrary_V2(p->options, here.data));
	text_free(&here);
	return status;
}

static og_status open_session(og_peer *p, const char *path, const og_peer_options *o)
{
	TRY(check(p, p->api.CreateEnv(o->only_asked ? SEVERITY_FATAL : SEVERITY_ERROR, "opgraft", &p->env)));
	TRY(check(p, p->api.CreateSessionOptions(&p->options)));
	TRY(check(p, p->api.SetSessionGraphOptimizationLevel(p->options, o->only_asked ? NO_OPTIMIZATIONS : ALL_OPTIMIZATIONS)));
	TRY(check(p, p->api.SetIntraOpNumThreads(p->options, o->threads)));
	TRY(check(p, p->api.SetInterOpNumThreads(p->options, 1)));
	for (int i = 0; i < o->n_libraries; i++) TRY(register_library(p, o->libraries[i]));
	TRY(check(p, p->api.CreateSession(p->env, path, p->options, &p->session)));
	TRY(check(p, p->api.CreateCpuMemoryInfo(ARENA_ALLOCATOR, DEFAULT_MEMORY, &p->memory)));
	TRY(check(p, p->api.GetAllocatorWithDefaultOptions(&p->allocator)));
	TRY(check(p, p->api.SessionGetInputCount(p->session, &p->n_in)));
	TRY(check(p, p->api.SessionGetOutputCount(p->session, &p->n_out)));
	p->names = base_new(p->n_in + p->n_out + 1, sizeof *p->names);
	p->values = base_new(p->n_in + p->n_out + 1, sizeof *p->values);
	if (!p->names || !p->values) return base_no_memory();
	for (size_t k = 0; k < p->n_in; k++) TRY(check(p, p->api.SessionGetInputName(p->session, k, p->allocator, &p->names[k])));
	for (size_t k = 0; k < p->n_out; k++)
		TRY(check(p, p->api.SessionGetOutputName(p->session, k, p->allocator, &p->names[p->n_in + k])));
	return OG_OK;
}

static void release_values(og_peer *p)
{
	for (size_t k = 0; p->values && k < p->n_in + p->n_out; k++) {
		if (p->values[k]) p->api.ReleaseValue(p->values[k]);
		p->values[k] = NULL;
	}
}

og_status og_peer_open_with(og_peer **out, const char *model, const og_peer_options *options)
{
	og_peer_options o = { 0 };
	if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
	og_peer *p = *out = base_new(1, sizeof *p);
	NEED(p);
	og_status status = load_api(p);
	if (status == OG_OK) status = open_session(p, model, &o);
	if (status == OG_OK) return OG_OK;
	og_peer_free(p);
	*out = NULL;
	return status;
}

og_status og_peer_open(og_peer **out, const char *model, int threads)
{
	return og_peer_open_with(out, model, &(og_peer_options){ .size = sizeof(og_peer_options), .threads = threads });
}

const char *og_peer_version(const og_peer *p) { return p->version; }

static og_status set_value(og_peer *p, size_t k, const og_tensor *t)
{
	return check(p, p->api.CreateTensorWithDataAsOrtValue(p->memory, t->data, og_tensor_bytes(t), t->dims, (size_t)t->rank,
	                                                      (int)t->dtype, &p->values[k]));
}

og_status og_peer_bind(og_peer *p, const og_tensor *const *inputs, og_tensor *const *outputs)
{
	release_values(p);
	for (size_t k = 0; k < p->n_in; k++) TRY(set_value(p, k, inputs[k]));
	for (size_t k = 0; k < p->n_out; k++) TRY(set_value(p, p->n_in + k, outputs[k]));
	return OG_OK;
}

og_status og_peer_run(og_peer *p)
{
	return check(p, p->api.Run(p->session, NULL, (const char *const *)p->names, (const void *const *)p->values, p->n_in,
	                           (const char *const *)p->names + p->n_in, p->n_out, p->values + p->n_in));
}

/* A copy of what the runtime computed. */
static og_status take_value(og_peer *p, og_tensor **out, void *value)
{
	void *info = NULL, *data = NULL;
	size_t rank = 0;
	int dtype = 0;
	int64_t dims[OG_MAX_RANK] = { 0 };
	TRY(check(p, p->api.GetTensorTypeAndShape(value, &info)));
	og_status status = check(p, p->api.GetTensorElementType(info, &dtype));
	if (status == OG_OK) status = check(p, p->api.GetDimensionsCount(info, &rank));
	if (status == OG_OK && rank > OG_MAX_RANK) status = base_fail(OG_UNSUPPORTED, "ONNX Runtime gives a tensor of rank %zu", rank);
	if (status == OG_OK) status = check(p, p->api.GetDimensions(info, dims, rank));
	p->api.ReleaseTensorTypeAndShapeInfo(info);
	if (status == OG_OK) status = check(p, p->api.GetTensorMutableData(value, &data));
	if (status == OG_OK) status = og_tensor_create(out, (og_dtype)dtype, (int)rank, dims);
	if (status == OG_OK && og_tensor_bytes(*out)) memcpy((*out)->data, data, og_tensor_bytes(*out));
	return status;
}

og_status og_peer_compute(og_peer *p, const og_tensor *const *inputs, og_tensor **outputs)
{
	og_status status = OG_OK;
	release_values(p);
	for (size_t k = 0; k < p->n_out; k++) outputs[k] = NULL;
	for (size_t k = 0; k < p->n_in && status == OG_OK; k++) status = set_value(p, k, inputs[k]);
	if (status == OG_OK) status = og_peer_run(p);
	for (size_t k = 0; k < p->n_out && status == OG_OK; k++) status = take_value(p, &outputs[k], p->values[p->n_in + k]);
	release_values(p);
	for (size_t k = 0; k < p->n_out && status != OG_OK; k++) {
		og_tensor_free(outputs[k]);
		outputs[k] = NULL;
	}
	return status;
}

og_status og_peer_ready(char *version, size_t room)
{
	og_peer p = { 0 };
	TRY(load_api(&p));
	snprintf(version, room, "%s", p.version);
	return OG_OK;
}

void og_peer_free(og_peer *p)
{
	if (!p) return;
	if (p->api.ReleaseValue) release_values(p);
	for (size_t k = 0; p->names && k < p->n_in + p->n_out; k++)
		if (p->names[k]) check(p, p->api.AllocatorFree(p->allocator, p->names[k]));
	if (p->memory) p->api.ReleaseMemoryInfo(p->memory);
	if (p->session) p->api.ReleaseSession(p->session);
	if (p->options) p->api.ReleaseSessionOptions(p->options);
	if (p->env) p->api.ReleaseEnv(p->env);
	/* the library stays loaded: it has threads and exit handlers of its own */
	base_free(p->names);
	base_free(p->values);
	base_free(p);
}
