/* libnvrtc.c -- a compiler for libcuda.cc's device: it knows sm_90 alone, and its code is a word. */
#include <stddef.h>
#include <string.h>

#define API __attribute__((visibility("default"))) int

static const char code[] = "emulated";

API nvrtcVersion(int *major, int *minor) { *major = 13; *minor = 99; return 0; }
API nvrtcGetNumSupportedArchs(int *n) { *n = 1; return 0; }
API nvrtcGetSupportedArchs(int *archs) { *archs = 90; return 0; }
API nvrtcCreateProgram(void **p, const char *source, const char *name, int n, const char *const *headers, const char *const *names)
{
	(void)source, (void)name, (void)n, (void)headers, (void)names;
	*p = (void *)code;
	return 0;
}
API nvrtcDestroyProgram(void **p) { *p = NULL; return 0; }
API nvrtcCompileProgram(void *p, int n, const char *const *options) { (void)p, (void)n, (void)options; return 0; }
API nvrtcGetProgramLogSize(void *p, size_t *n) { (void)p; *n = 0; return 0; }
API nvrtcGetProgramLog(void *p, char *log) { (void)p, (void)log; return 0; }
API nvrtcGetCUBINSize(void *p, size_t *n) { (void)p; *n = sizeof code; return 0; }
API nvrtcGetCUBIN(void *p, char *to) { (void)p; memcpy(to, code, sizeof code); return 0; }
API nvrtcGetPTXSize(void *p, size_t *n) { return nvrtcGetCUBINSize(p, n); }
API nvrtcGetPTX(void *p, char *to) { return nvrtcGetCUBIN(p, to); }
