/* driver.h -- the CUDA driver (libcuda.so.1), opened by name: no CUDA header, nothing linked. */
#ifndef DRIVER_H
#define DRIVER_H

#include "base/base.h"
#include "opgraft/op_abi.h"

/* Attributes of a launch: blocks of a cluster; may start before the kernel in front ends */
enum { DRIVER_CLUSTER = 4, DRIVER_OVERLAP = 6 };
typedef struct driver_attribute {
	unsigned id, pad;
	union { char bytes[64]; unsigned words[3]; } value;
} driver_attribute;
typedef struct driver_launch {
	unsigned grid[3], block[3], shared;
	void *stream;
	const driver_attribute *attributes; unsigned n_attributes;
} driver_launch;

/* X(name, arguments): all return 0 for success. Contexts, modules, functions, streams, events and graphs are pointers, devices ints,
 * device memory 64-bit addresses, as in the driver API of CUDA 12. Facts from docs.nvidia.com/cuda/cuda-driver-api,
 * groups Initialization, Context, Module, Memory, Stream, Event, Graph. */
#define DRIVER_MAP(X)                    /* what an op library calls */ \
	X(cuGetErrorString, (int error, const char **text)) \
	X(cuCtxGetCurrent, (void **context)) \
	X(cuCtxGetDevice, (int *device)) \
	X(cuDeviceGetAttribute, (int *value, int attribute, int device)) \
	X(cuModuleLoadData, (void **module, const void *image)) \
	X(cuModuleUnload, (void *module)) \
	X(cuModuleGetFunction, (void **function, void *module, const char *name)) \
	X(cuFuncGetAttribute, (int *value, int attribute, void *function)) \
	X(cuFuncSetAttribute, (void *function, int attribute, int value)) \
	X(cuLaunchKernel, (void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, \
	                   unsigned shared, void *stream, void **arguments, void **extra))
#define DRIVER_NEWER_MAP(X)              /* NULL in older drivers */ \
	X(cuCtxGetId, (void *context, unsigned long long *id)) \
	X(cuFuncLoad, (void *function)) \
	X(cuThreadExchangeStreamCaptureMode, (int *mode)) \
	X(cuLaunchKernelEx, (const driver_launch *, void *function, void **arguments, void **extra)) \
	X(cuTensorMapEncodeTiled, (void *map, int type, unsigned rank, void *at, const uint64_t *dims, const uint64_t *strides, \
	                           const unsigned *box, const unsigned *steps, int interleave, int swizzle, int promotion, int fill)) \
	X(cuTensorMapEncodeIm2col, (void *map, int type, unsigned rank, void *at, const uint64_t *dims, const uint64_t *strides, \
	                            const int *lower, const int *upper, unsigned channels, unsigned pixels, const unsigned *steps, \
	                            int interleave, int swizzle, int promotion, int fill))
#define DRIVER_HOST_MAP(X)               /* what a program of our own calls besides, to be a host of op libraries */ \
	X(cuInit, (unsigned flags)) \
	X(cuDeviceGet, (int *device, int ordinal)) \
	X(cuDeviceGetName, (char *name, int length, int device)) \
	X(cuDevicePrimaryCtxRetain, (void **context, int device)) \
	X(cuCtxSetCurrent, (void *context)) \
	X(cuCtxSynchronize, (void)) \
	X(cuMemGetInfo_v2, (size_t *free, size_t *total)) \
	X(cuMemAlloc_v2, (uint64_t *p, size_t bytes)) \
	X(cuMemFree_v2, (uint64_t p)) \
	X(cuMemsetD8_v2, (uint64_t p, unsigned char value, size_t n)) \
	X(cuMemcpyHtoD_v2, (uint64_t to, const void *from, size_t bytes)) \
	X(cuMemcpyDtoH_v2, (void *to, uint64_t from, size_t bytes)) \
	X(cuMemcpyDtoDAsync_v2, (uint64_t to, uint64_t from, size_t bytes, void *stream)) \
	X(cuStreamCreate, (void **stream, unsigned flags)) \
	X(cuStreamDestroy_v2, (void *stream)) \
	X(cuStreamSynchronize, (void *stream)) \
	X(cuStreamBeginCapture_v2, (void *stream, int mode)) \
	X(cuStreamEndCapture, (void *stream, void **graph)) \
	X(cuGraphInstantiateWithFlags, (void **executable, void *graph, unsigned long long flags)) \
	X(cuGraphLaunch, (void *executable, void *stream)) \
	X(cuGraphExecDestroy, (void *executable)) \
	X(cuGraphDestroy, (void *graph)) \
	X(cuEventCreate, (void **event, unsigned flags)) \
	X(cuEventDestroy_v2, (void *event)) \
	X(cuEventRecord, (void *event, void *stream)) \
	X(cuEventSynchronize, (void *event)) \
	X(cuEventElapsedTime, (float *ms, void *from, void *to))

#define DRIVER_PLAN_MAP(X)               /* and to run plans */ \
	X(cuMemHostAlloc, (void **p, size_t bytes, unsigned flags)) \
	X(cuMemFreeHost, (void *p)) \
	X(cuMemcpyAsync, (uint64_t to, uint64_t from, size_t bytes, void *stream)) \
	X(cuPointerGetAttribute, (void *value, int attribute, uint64_t p)) \
	X(cuStreamIsCapturing, (void *stream, int *state))

typedef struct driver_api {
#define X(name, arguments) int (*name) arguments;
	DRIVER_MAP(X) DRIVER_NEWER_MAP(X) DRIVER_HOST_MAP(X) DRIVER_PLAN_MAP(X)
#undef X
} driver_api;

/* Attributes of devices and functions. */
enum {
	DRIVER_PROCESSORS = 16, DRIVER_MAJOR = 75, DRIVER_MINOR = 76, DRIVER_SHARED_MOST = 97,
	DRIVER_FUNCTION_REGISTERS = 4, DRIVER_FUNCTION_SHARED_MOST = 8
};

/* The driver, opened once, from any thread; NULL: there is none. Initialises nothing. */
const driver_api *driver_open(void);
/* OG_OK for 0; else OG_MISSING and "what: the driver's reason". */
og_status driver_try(int error, const char *what);
/* A function of a module, loaded now: the first launch of one that is loaded lazily would break a capture. shared:
 * bytes of shared memory that launches will ask for. OG_NO and no sentence: the module lacks it. */
og_status driver_function(void **function, void *module, const char *name, uint32_t shared, int device);
/* Puts a launch into the stream; none when a dimension has no blocks. argument: what the function's only parameter
 * is given. */
og_status driver_start(void *function, const og_grid *, void *argument, void *stream);

#endif
