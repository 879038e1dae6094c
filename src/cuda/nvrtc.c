/* nvrtc.c -- the run-time compiler, opened by name. */
#include "cuda/nvrtc.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda/vendor_library.h"

/* ---- finding it ------------------------------------------------------------------------------- */

static const vendor_library library_of_nvrtc = { "OPGRAFT_NVRTC", { "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so" },
                                               "nvidia/cu*/lib/libnvrtc.so.1[23]", "lib*/libnvrtc.so.1[23]", "nvrtcCompileProgram" };

const char *nvrtc_find(arena *a) { return vendor_library_find(&library_of_nvrtc, a); }

og_status nvrtc_open(nvrtc_api *out, arena *a)
{
	const char *path = nvrtc_find(a);
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

/* ---- compiling -------------------------------------------------------------------------------- */

enum { MOST_OPTIONS = 256 };

static void take_log(const nvrtc_api *api, void *program, nvrtc_result *r)
{
	if (api->nvrtcGetProgramLogSize(program, &r->n) || !(r->data = base_alloc(r->n + 1))) return;
	if (api->nvrtcGetProgramLog(program, r->data)) r->n = 0;
	r->data[r->n] = '\0';
}

static void take_image(const nvrtc_api *api, void *program, nvrtc_result *r, bool is_ptx)
{
	r->status = is_ptx ? api->nvrtcGetPTXSize(program, &r->n) : api->nvrtcGetCUBINSize(program, &r->n);
	if (r->status) return;
	r->data = base_alloc(r->n);
	if (!r->data) r->status = -1;
	else r->status = is_ptx ? api->nvrtcGetPTX(program, r->data) : api->nvrtcGetCUBIN(program, r->data);
}

void nvrtc_compile(nvrtc_result *out, const nvrtc_api *api, const nvrtc_source *s, const char *arch, bool is_ptx)
{
	const char *options[MOST_OPTIONS];
	char target[32];
	void *program;
	*out = (nvrtc_result){ 0 };
	memcpy(options, s->options, (size_t)s->n_options * sizeof *options);
	snprintf(target, sizeof target, "-arch=%s_%s", is_ptx ? "compute" : "sm", arch);
	options[s->n_options] = target;
	out->status = api->nvrtcCreateProgram(&program, s->text, "opgraft.cu", s->n_headers, s->headers, s->header_names);
	if (out->status) return;
	out->status = api->nvrtcCompileProgram(program, s->n_options + 1, options);
	if (out->status) take_log(api, program, out);
	else take_image(api, program, out, is_ptx);
	api->nvrtcDestroyProgram(&program);
}

/* "swish.c(7): error: ..." becomes "swish.c:7: ..." */
og_status nvrtc_failed(const nvrtc_result *r)
{
	if (r->status == -1) return base_no_memory();
	const char *log = r->data ? r->data : "", *at = strstr(log, "error: ");
	if (!at) return base_fail(OG_BAD_FILE, "NVRTC failed with status %d: %.400s", r->status, log);
	const char *line = at, *open = NULL;
	while (line > log && line[-1] != '\n') line--;
	for (const char *c = line; c < at; c++)
		if (*c == '(' && isdigit((unsigned char)c[1])) open = c;
	at += strlen("error: ");
	int length = (int)strcspn(at, "\n");
	if (!open) return base_fail(OG_BAD_FILE, "device code: %.*s", length, at);
	return base_fail(OG_BAD_FILE, "%.*s:%ld: %.*s (as device code)",
	                 (int)(open - line), line, strtol(open + 1, NULL, 10), length, at);
}
