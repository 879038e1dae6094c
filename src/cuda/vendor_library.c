/* vendor_library.c -- finding NVIDIA's libraries. */
#include "cuda/vendor_library.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdlib.h>

/* Where one is when the loader does not know it: behind the value of a variable of the environment. */
static const struct { const char *variable, *path; bool is_pip; } places[] = {
	{ "VIRTUAL_ENV", "/lib/python3*/site-packages/", true },
	{ "CUDA_PATH", "/", false },
	{ "CUDA_HOME", "/", false },
	{ NULL, "/usr/local/cuda/", false },
	{ "HOME", "/.local/lib/python3*/site-packages/", true },
	{ NULL, "/usr/local/lib/python3*/*-packages/", true },
	{ NULL, "/usr/lib/python3*/*-packages/", true },
};

static bool loads(const vendor_library *l, const char *name)
{
	void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);        /* stays: they do not unload cleanly */
	return library && dlsym(library, l->symbol);
}

/* The last file, in order of name, that the pattern finds and that loads. */
static const char *find_by_pattern(const vendor_library *l, arena *a, const char *pattern)
{
	glob_t found;
	const char *path = NULL;
	if (glob(pattern, 0, NULL, &found) != 0) return NULL;
	for (size_t k = found.gl_pathc; k > 0 && !path; k--)
		if (loads(l, found.gl_pathv[k - 1])) path = arena_strdup(a, found.gl_pathv[k - 1]);
	globfree(&found);
	return path;
}

const char *vendor_library_find(const vendor_library *l, arena *a)
{
	const char *told = getenv(l->told), *path = NULL;
	if (told) return loads(l, told) ? arena_strdup(a, told) : NULL;
	for (size_t k = 0; k < sizeof l->names / sizeof *l->names && l->names[k]; k++)
		if (loads(l, l->names[k])) return l->names[k];
	for (size_t k = 0; k < sizeof places / sizeof *places && !path; k++) {
		const char *at = places[k].variable ? getenv(places[k].variable) : "";
		const char *pattern = at ? arena_printf(a, "%s%s%s", at, places[k].path, places[k].is_pip ? l->pip : l->toolkit) : NULL;
		if (pattern) path = find_by_pattern(l, a, pattern);
	}
	return path;
}
