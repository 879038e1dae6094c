/* home.c -- finds the headers and archives that op libraries are made of. */
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "kit/kit.h"

static bool is_there(arena *a, const char *folder, const char *name)
{
	const char *path = arena_printf(a, "%s/%s", folder, name);
	return path && access(path, R_OK) == 0;
}

/* A folder with bin/ or lib/ in it, or where make built. */
static bool try_folder(kit_home *out, arena *a, const char *folder)
{
	static const char *const lib[] = { "lib", ".", "../lib" }, *const include[] = { "include", "../include" };
	*out = (kit_home){ NULL, NULL };
	for (size_t i = 0; i < sizeof lib / sizeof *lib && !out->lib; i++) {
		const char *at = arena_printf(a, "%s/%s", folder, lib[i]);
		if (at && is_there(a, at, "libopgraft_kit.a") && is_there(a, at, "libopgraft.a")) out->lib = at;
	}
	for (size_t i = 0; i < sizeof include / sizeof *include && !out->include; i++) {
		const char *at = arena_printf(a, "%s/%s", folder, include[i]);
		if (at && is_there(a, at, "opgraft/op.h")) out->include = at;
	}
	return out->lib && out->include;
}

/* The folder of a file, symbolic links followed; NULL. */
static const char *folder_of(arena *a, const char *path)
{
	char real[PATH_MAX];
	char *slash;
	if (!path || !realpath(path, real) || !(slash = strrchr(real, '/'))) return NULL;
	*slash = '\0';
	return arena_strdup(a, real);
}

og_status kit_home_find(kit_home *out, arena *a)
{
	Dl_info self = { .dli_fname = NULL };
	const char *given = getenv("OPGRAFT_HOME");
	if (given && *given) {
		if (try_folder(out, a, given)) return OG_OK;
		return base_fail(OG_MISSING, "OPGRAFT_HOME=%s has no include/opgraft/op.h or no lib/libopgraft_kit.a; set it to where "
		                 "Opgraft is installed", given);
	}
	static const char anchor = 0;
	if (!dladdr(&anchor, &self)) self.dli_fname = NULL;
	const char *const around[] = { folder_of(a, "/proc/self/exe"), folder_of(a, self.dli_fname) };
	for (size_t i = 0; i < sizeof around / sizeof *around; i++)
		if (around[i] && try_folder(out, a, around[i])) return OG_OK;
	return base_fail(OG_MISSING, "the operator kit (include/opgraft, libopgraft_kit.a) is not beside this program; install Opgraft "
	                 "with make install, or set OPGRAFT_HOME to where it is");
}
