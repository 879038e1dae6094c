/* libnvrtc.c -- a compiler for libcuda.cc's device: it knows sm_90 alone, and its code is the program's text. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default"))) int

API nvrtcVersion(int *major, int *minor) { *major = 13; *minor = 99; return 0; }
API nvrtcGetNumSupportedArchs(int *n) { *n = 1; return 0; }
API nvrtcGetSupportedArchs(int *archs) { *archs = 90; return 0; }
API nvrtcCreateProgram(void **p, const char *source, const char *name, int n, const char *const *headers, const char *const *names)
{
	(void)name, (void)n, (void)headers, (void)names;
	*p = strdup(source);
	return *p ? 0 : 1;
}
API nvrtcDestroyProgram(void **p) { free(*p); *p = NULL; return 0; }
API nvrtcCompileProgram(void *p, int n, const char *const *options) { (void)p, (void)n, (void)options; return 0; }
API nvrtcGetProgramLogSize(void *p, size_t *n) { (void)p; *n = 0; return 0; }
API nvrtcGetProgramLog(void *p, char *log) { (void)p, (void)log; return 0; }
API nvrtcGetCUBINSize(void *p, size_t *n) { *n = strlen(p) + 1; return 0; }
API nvrtcGetCUBIN(void *p, char *to) { strcpy(to, p); return 0; }
API nvrtcGetPTXSize(void *p, size_t *n) { return nvrtcGetCUBINSize(p, n); }
API nvrtcGetPTX(void *p, char *to) { return nvrtcGetCUBIN(p, to); }
