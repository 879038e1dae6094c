/* libnvrtc.c -- a compiler for libcuda.cc's device: it lists sm_90 alone, and its code is the program's text. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default"))) int

API nvrtcVersion(int *major, int *minor) { *major = 13; *minor = 99; return 0; }
API nvrtcGetNumSupportedArchs(int *n) { *n = 1; return 0; }
API nvrtcGetSupportedArchs(int *archs) { *archs = 90; return 0; }
API nvrtcCreateProgram(void **p, const char *source, const char *name, int n, const char *const *headers, const char *const *names)
{
	(void)name, (void)n, (void)headers, (void)names;
	*p = malloc(sizeof(char *));
	if (!*p || !(*(char **)*p = strdup(source))) return 1;
	return 0;
}
API nvrtcDestroyProgram(void **p) { free(**(char ***)p); free(*p); *p = NULL; return 0; }
/* Macros that are defined become lines of the text. */
API nvrtcCompileProgram(void *p, int n, const char *const *options)
{
	char **text = p;
	for (int k = 0; k < n; k++) {
		const char *is = strchr(options[k], '=');
		size_t size = strlen(*text) + strlen(options[k]) + 16;
		char *more;
		if (strncmp(options[k], "-D", 2)) continue;
		if (!(more = malloc(size))) return 1;
		snprintf(more, size, "#define %.*s %s\n%s", (int)(is ? is - options[k] - 2 : (int)strlen(options[k]) - 2), options[k] + 2, is ? is + 1 : "1", *text);
		free(*text);
		*text = more;
	}
	return 0;
}
API nvrtcGetProgramLogSize(void *p, size_t *n) { (void)p; *n = 0; return 0; }
API nvrtcGetProgramLog(void *p, char *log) { (void)p, (void)log; return 0; }
API nvrtcGetCUBINSize(void *p, size_t *n) { *n = strlen(*(char **)p) + 1; return 0; }
API nvrtcGetCUBIN(void *p, char *to) { strcpy(to, *(char **)p); return 0; }
API nvrtcGetPTXSize(void *p, size_t *n) { return nvrtcGetCUBINSize(p, n); }
API nvrtcGetPTX(void *p, char *to) { return nvrtcGetCUBIN(p, to); }
