/* nvrtc.h -- NVIDIA's run-time compiler, opened by name: CUDA C to machine code, without a GPU, a driver or a
 * header. */
#ifndef NVRTC_H
#define NVRTC_H

#include "base/base.h"

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

typedef struct nvrtc_api {
#define X(name, arguments) int (*name) arguments;
	NVRTC_MAP(X)
#undef X
} nvrtc_api;

/* Path or name under which NVRTC loads; NULL when there is none. It is looked for under OPGRAFT_NVRTC when that is
 * set, else by the loader, in CUDA's folder, and where pip puts it. Belongs to the arena. */
const char *nvrtc_find(arena *);
/* OG_MISSING: there is none, and the sentence says how to get it. */
og_status nvrtc_open(nvrtc_api *out, arena *);

/* What a compilation came to. */
typedef struct nvrtc_result {
	int status;                          /* NVRTC's; -1: memory is short */
	char *data;                          /* the image; when it failed, the log; freed by the caller with base_free */
	size_t n;
} nvrtc_result;
typedef struct nvrtc_source {
	const char *text;
	const char *const *headers, *const *header_names; int n_headers;     /* texts that #include finds by name */
	const char *const *options; int n_options;                           /* 255 at most */
} nvrtc_source;
/* Options under which a formula has the bits that it has on the CPU. */
#define NVRTC_EXACT "--std=c++17", "-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true", "-default-device"
/* Compiles for one architecture: "90", "90a"; to PTX or to machine code. Safe from several threads. */
void nvrtc_compile(nvrtc_result *out, const nvrtc_api *, const nvrtc_source *, const char *arch, bool is_ptx);
/* OG_BAD_FILE with the log's first error, as "swish.c:7: ..."; OG_NO_MEMORY. */
og_status nvrtc_failed(const nvrtc_result *);

#endif
