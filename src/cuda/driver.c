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

og_status driver_function(void **function, void *module, const char *name, uint32_t shared, int device)
{
	enum { SHARED_UNASKED = 48 << 10 };      /* more has to be asked for */
	int registers, most = 0;
	if (api.cuModuleGetFunction(function, module, name) != 0) return OG_NO;
	if (api.cuFuncLoad) TRY(driver_try(api.cuFuncLoad(*function), name));
	TRY(driver_try(api.cuFuncGetAttribute(&registers, DRIVER_FUNCTION_REGISTERS, *function), name));
	if (shared <= SHARED_UNASKED) return OG_OK;
	TRY(driver_try(api.cuDeviceGetAttribute(&most, DRIVER_SHARED_MOST, device), name));
	if (shared > (uint32_t)most)
		return base_fail(OG_UNSUPPORTED, "kernel %s wants %u bytes of shared memory, this device has %d",
		                 name, shared, most);
	return driver_try(api.cuFuncSetAttribute(*function, DRIVER_FUNCTION_SHARED_MOST, (int)shared), name);
}

og_status driver_start(void *function, const og_grid *g, void *argument, void *stream)
{
	if (!g->blocks[0] || !g->blocks[1] || !g->blocks[2]) return OG_OK;
	return driver_try(api.cuLaunchKernel(function, g->blocks[0], g->blocks[1], g->blocks[2], g->threads[0],
	                                     g->threads[1], g->threads[2], g->shared, stream, &argument, NULL),
	                  "launching a kernel");
}
