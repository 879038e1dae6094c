/* fake_cuda.c -- a CUDA driver without a GPU, as libcuda.so.1: memory of the device is memory of this process, a stream
 * runs host functions at once, a graph is a list of them. Enough to see what a host of plugins finds in plugins whose
 * "kernels" are host functions. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/driver.h"

#define X(name, arguments) __attribute__((visibility("default"))) int name arguments;
DRIVER_MAP(X)
DRIVER_HOST_MAP(X) X(cuLaunchHostFunc, (void *stream, void (*function)(void *), void *data))
#undef X

	enum {
		OUT_OF_MEMORY = 2,
		NOT_FOUND = 500,
		CAPTURE_UNSUPPORTED = 900,
		CAPTURE_INVALIDATED = 901,
		MOST = 64,
		ALIGNMENT = 256
	};

typedef struct work { void (*function)(void *); void *data; } work;
typedef struct graph { work work[MOST]; int n; } graph;
typedef struct stream { bool capturing, spoilt; graph graph; } stream;

static atomic_int capturing;             /* streams that are */
static atomic_bool spoilt;               /* something forbidden was done meanwhile */
static _Thread_local void *current;

static bool forbidden(void)
{
	if (atomic_load(&capturing) == 0) return false;
	atomic_store(&spoilt, true);
	return true;
}

int cuGetErrorString(int error, const char **text) { return (void)error, *text = "what the fake driver says", 0; }
int cuInit(unsigned flags) { return (int)flags; }
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, 0; }
int cuDeviceGetName(char *name, int length, int device) { return (void)device, strncpy(name, "fake", (size_t)length), 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { return (void)attribute, (void)device, *value = 9, 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { return (void)device, *context = &current, 0; }
int cuCtxSetCurrent(void *context) { return current = context, 0; }
int cuCtxGetCurrent(void **context) { return *context = current, 0; }
int cuCtxGetDevice(int *device) { return *device = 0; }
int cuCtxSynchronize(void) { return forbidden() ? CAPTURE_UNSUPPORTED : 0; }
int cuModuleLoadData(void **module, const void *image) { return (void)module, (void)image, NOT_FOUND; }
int cuModuleUnload(void *module) { return (void)module, 0; }
int cuModuleGetFunction(void **function, void *module, const char *name)
{
	return (void)function, (void)module, (void)name, NOT_FOUND;
}
int cuFuncGetAttribute(int *value, int attribute, void *function)
{
	return (void)value, (void)attribute, (void)function, NOT_FOUND;
}
int cuFuncSetAttribute(void *function, int attribute, int value)
{
	return (void)function, (void)attribute, (void)value, NOT_FOUND;
}
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **arguments, void **extra)
{
	(void)function, (void)gx, (void)gy, (void)gz, (void)bx, (void)by, (void)bz, (void)shared, (void)stream,
		(void)arguments, (void)extra;
	return NOT_FOUND;
}

int cuMemGetInfo_v2(size_t *free, size_t *total) { return *free = *total = (size_t)1 << 30, 0; }
int cuMemAlloc_v2(uint64_t *p, size_t bytes)
{
	if (forbidden()) return CAPTURE_UNSUPPORTED;
	*p = (uint64_t)(uintptr_t)aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT);
	return *p ? 0 : OUT_OF_MEMORY;
}
int cuMemFree_v2(uint64_t p) { return free((void *)(uintptr_t)p), 0; }
int cuMemsetD8_v2(uint64_t p, unsigned char value, size_t n) { return memset((void *)(uintptr_t)p, value, n), 0; }
int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes) { return memcpy((void *)(uintptr_t)to, from, bytes), 0; }
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes) { return memcpy(to, (const void *)(uintptr_t)from, bytes), 0; }
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream)
{
	(void)stream;
	return memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes), 0;
}

int cuStreamCreate(void **out, unsigned flags)
{
	return (void)flags, (*out = calloc(1, sizeof(stream))) ? 0 : OUT_OF_MEMORY;
}
int cuStreamDestroy_v2(void *s) { return free(s), 0; }
int cuStreamSynchronize(void *s) { return (void)s, forbidden() ? CAPTURE_UNSUPPORTED : 0; }
int cuStreamBeginCapture_v2(void *at, int mode)
{
	stream *s = at;
	(void)mode;
	s->capturing = true;
	s->graph.n = 0;
	atomic_store(&spoilt, false);
	atomic_fetch_add(&capturing, 1);
	return 0;
}
int cuStreamEndCapture(void *at, void **out)
{
	stream *s = at;
	graph *g = malloc(sizeof *g);
	s->capturing = false;
	atomic_fetch_sub(&capturing, 1);
	if (!g) return OUT_OF_MEMORY;
	*g = s->graph;
	*out = g;
	return atomic_load(&spoilt) ? CAPTURE_INVALIDATED : 0;
}
int cuLaunchHostFunc(void *at, void (*function)(void *), void *data)
{
	stream *s = at;
	if (!s || !s->capturing) return function(data), 0;
	if (s->graph.n == MOST) return OUT_OF_MEMORY;
	s->graph.work[s->graph.n++] = (work){ function, data };
	return 0;
}

int cuGraphInstantiateWithFlags(void **executable, void *g, unsigned long long flags)
{
	graph *copy = malloc(sizeof *copy);
	(void)flags;
	if (!copy) return OUT_OF_MEMORY;
	*copy = *(graph *)g;
	*executable = copy;
	return 0;
}
int cuGraphLaunch(void *executable, void *s)
{
	graph *g = executable;
	(void)s;
	for (int k = 0; k < g->n; k++) g->work[k].function(g->work[k].data);
	return 0;
}
int cuGraphExecDestroy(void *executable) { return free(executable), 0; }
int cuGraphDestroy(void *g) { return free(g), 0; }

int cuEventCreate(void **event, unsigned flags) { return (void)flags, *event = &current, 0; }
int cuEventDestroy_v2(void *event) { return (void)event, 0; }
int cuEventRecord(void *event, void *s) { return (void)event, (void)s, 0; }
int cuEventSynchronize(void *event) { return (void)event, 0; }
int cuEventElapsedTime(float *ms, void *from, void *to) { return (void)from, (void)to, *ms = 1, 0; }
