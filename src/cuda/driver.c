/* driver.c -- the CUDA driver, opened by name. */
#include "cuda/driver.h"

#include <dlfcn.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static driver_api api;
static bool found;

static void find(void)
{
	void *library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);      /* stays: the host uses it too */
	if (!library) return;
	found = true;
#define X(name, arguments) *(void **)&api.name = dlsym(library, #name);
	DRIVER_NEWER_MAP(X) DRIVER_HOST_MAP(X) DRIVER_PLAN_MAP(X)
#undef X
#define X(name, arguments) *(void **)&api.name = dlsym(library, #name); found &= api.name != NULL;
	DRIVER_MAP(X)
#undef X
}

const driver_api *driver_open(void)
{
	pthread_once(&once, find);
	return found ? &api : NULL;
}

og_status driver_try(int error, const char *what)
{
	const char *reason = NULL;
	if (error == 0) return OG_OK;
	if (api.cuGetErrorString(error, &reason) != 0 || !reason) reason = "an error without a name";
	return base_fail(OG_MISSING, "%s: %s (CUDA error %d)", what, reason, error);
}
