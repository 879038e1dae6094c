/* device.c -- CUDA devices: the primary context of each, the module of a plan's kernels, memory, streams, graphs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda/backend_device.h"
#include "cuda/cuda.h"
#include "cuda/driver.h"
#include "cuda/image.h"
#include "cuda/vendor.h"

/* A plan's programs, each a module of its own. */
typedef struct device_module { const char *name; void *module; } device_module;
struct cuda_device { arena *a; void *context; int ordinal; device_module *modules; int n_modules; };

enum { CAPTURE_THREAD = 1, STREAM_APART = 1, HOST_PORTABLE = 1, MEMORY_TYPE = 2, MEMORY_ORDINAL = 9, MEMORY_OF_DEVICE = 2 };

/* ---- the machine ------------------------------------------------------------------------------- */

enum { MOST_GPUS = 64 };
typedef struct gpu {
	bool looked;
	void *context;                       /* NULL: it cannot be used, for the reason in `missing` */
	int processors;
	char arch[8], missing[256];
} gpu;
static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;
static gpu gpus[MOST_GPUS];              /* guarded by looking until looked at */

static void look_at(gpu *g, int ordinal)
{
	const driver_api *api = driver_open();
	int device, major, minor, error = 0;
	const char *reason = "an error without a name";
	if (!api) {
		snprintf(g->missing, sizeof g->missing, "there is no CUDA driver (libcuda.so.1) on this machine");
		return;
	}
	if (!api->cuInit || !api->cuStreamBeginCapture_v2 || !api->cuGraphInstantiateWithFlags || !api->cuMemHostAlloc) {
		snprintf(g->missing, sizeof g->missing, "the CUDA driver is too old; Opgraft needs one of CUDA 12 or newer");
		return;
	}
	if ((error = api->cuInit(0)) || (error = api->cuDeviceGet(&device, ordinal)) ||
	    (error = api->cuDeviceGetAttribute(&major, DRIVER_MAJOR, device)) ||
	    (error = api->cuDeviceGetAttribute(&minor, DRIVER_MINOR, device)) ||
	    (error = api->cuDeviceGetAttribute(&g->processors, DRIVER_PROCESSORS, device)) ||
	    (error = api->cuDevicePrimaryCtxRetain(&g->context, device))) {
		api->cuGetErrorString(error, &reason);
		if (ordinal) snprintf(g->missing, sizeof g->missing, "GPU %d cannot be used: %s", ordinal, reason);
		else snprintf(g->missing, sizeof g->missing, "no CUDA device can be used: %s", reason);
		g->context = NULL;
		return;
	}
	/* the architecture's own instructions, where it has some that its successors lack */
	snprintf(g->arch, sizeof g->arch, "%d%s", major * 10 + minor, major >= 9 ? "a" : "");
}

static const gpu *find_gpu(int ordinal)
{
	gpu *g = &gpus[ordinal];
	pthread_mutex_lock(&looking);
	if (!g->looked) look_at(g, ordinal);
	g->looked = true;
	pthread_mutex_unlock(&looking);
	return g;
}

const char *cuda_arch(void)
{
	const char *told = getenv("OPGRAFT_CUDA_ARCH");
	if (told && strlen(told) < sizeof gpus->arch) return told;
	const gpu *g = find_gpu(0);
	return g->arch[0] ? g->arch : NULL;
}

void cuda_target(igemm_device *out)
{
	/* of one device of each kind, for plans that are built elsewhere */
	static const struct { int arch, processors; } usual[] = { { 80, 108 }, { 86, 84 }, { 89, 142 }, { 90, 132 },
	                                                          { 100, 148 }, { 120, 188 } };
	const char *name = cuda_arch();
	const driver_api *api = driver_open();
	int number = name ? atoi(name) : 0;
	const gpu *g = find_gpu(0);
	*out = (igemm_device){ .major = number / 10, .minor = number % 10, .processors = 100 };
	for (size_t k = 0; k < sizeof usual / sizeof *usual; k++)
		if (usual[k].arch == number) out->processors = usual[k].processors;
	if (!g->context || atoi(g->arch) != number) return;
	out->is_here = true;
	out->processors = g->processors;
	out->lacks_maps = !api->cuLaunchKernelEx || !api->cuTensorMapEncodeTiled || !api->cuTensorMapEncodeIm2col;
}

bool cuda_describe(char *out, size_t n)
{
	const driver_api *api = driver_open();
	char name[128] = "";
	size_t is_free = 0, total = 0;
	int major = 0, minor = 0;
	const gpu *g = find_gpu(0);
	if (!g->context) {
		snprintf(out, n, "%s", g->missing);
		return false;
	}
	api->cuDeviceGetName(name, sizeof name, 0);
	api->cuDeviceGetAttribute(&major, DRIVER_MAJOR, 0);
	api->cuDeviceGetAttribute(&minor, DRIVER_MINOR, 0);
	api->cuCtxSetCurrent(g->context);
	api->cuMemGetInfo_v2(&is_free, &total);
	snprintf(out, n, "%s, compute capability %d.%d, %zu GiB", name, major, minor, total >> 30);
	return true;
}

static const driver_api *enter(const cuda_device *d)
{
	const driver_api *api = driver_open();
	api->cuCtxSetCurrent(d->context);
	return api;
}

void cuda_device_enter(const cuda_device *d) { enter(d); }

/* ---- opening ----------------------------------------------------------------------------------- */

static void device_close(void *device)
{
	cuda_device *d = device;
	if (!d) return;
	enter(d);
	vendor_close(d);
	for (int k = 0; k < d->n_modules; k++)
		if (d->modules[k].module) enter(d)->cuModuleUnload(d->modules[k].module);
	arena_destroy(d->a);
}

static og_status load_modules(cuda_device *d, const void *image, size_t bytes)
{
	const driver_api *api = driver_open();
	cuda_image_entry *entries;
	int n;
	TRY(cuda_image_read(&entries, &n, d->a, image, bytes));
	d->modules = arena_array(d->a, (size_t)n + 1, sizeof *d->modules);
	NEED(d->modules);
	d->n_modules = n;
	TRY(driver_try(api->cuCtxSetCurrent(d->context), "entering the device's context"));
	for (int k = 0; k < n; k++) {
		d->modules[k].name = entries[k].name;
		TRY(driver_try(api->cuModuleLoadData(&d->modules[k].module, entries[k].data), "loading the plan's kernels"));
	}
	return OG_OK;
}

static og_status device_open(void **out, int ordinal, const void *image, size_t bytes)
{
	*out = NULL;
	if (ordinal < 0 || ordinal >= MOST_GPUS) return base_fail(OG_USAGE, "there is no GPU %d", ordinal);
	const gpu *g = find_gpu(ordinal), *first = ordinal ? find_gpu(0) : g;
	if (!g->context) return base_fail(OG_MISSING, "%s", g->missing);
	if (bytes && strcmp(g->arch, first->arch))
		return base_fail(OG_UNSUPPORTED, "GPU %d is an sm_%s, and kernels are made for GPU 0, an sm_%s; hide one of them by "
		                 "CUDA_VISIBLE_DEVICES", ordinal, g->arch, first->arch);
	arena *a = arena_create();
	cuda_device *d = a ? arena_alloc(a, sizeof *d) : NULL;
	if (!d) {
		arena_destroy(a);
		return base_no_memory();
	}
	*d = (cuda_device){ .a = a, .context = g->context, .ordinal = ordinal };
	og_status status = load_modules(d, image, bytes);
	if (status == OG_OK) *out = d;
	else device_close(d);
	return status;
}

og_status cuda_device_function(void **function, cuda_device *d, const char *name, uint32_t shared)
{
	void *module = NULL;
	enter(d);
	for (int k = 0; k < d->n_modules; k++)
		if (!strcmp(d->modules[k].name, name) || (!module && !strcmp(d->modules[k].name, cuda_code_program_of(name))))
			module = d->modules[k].module;
	og_status status = module ? driver_function(function, module, name, shared, d->ordinal) : OG_NO;
	return status == OG_NO ? base_fail(OG_BAD_FILE, "the plan has no kernel %s; build it again", name) : status;
}

/* ---- memory ------------------------------------------------------------------------------------ */

static og_status device_alloc(void *device, void **p, size_t bytes)
{
	const driver_api *api = enter(device);
	uint64_t at = 0;
	size_t free = 0, total = 0;
	*p = NULL;
	if (api->cuMemAlloc_v2(&at, bytes ? bytes : 1) != 0) {
		api->cuMemGetInfo_v2(&free, &total);
		return base_fail(OG_MISSING, "the device has no %zu bytes of memory left (%zu of %zu are free); use a smaller batch", bytes, free, total);
	}
	*p = (void *)(uintptr_t)at;
	return OG_OK;
}

static void device_release(void *device, void *p)
{
	if (p) enter(device)->cuMemFree_v2((uint64_t)(uintptr_t)p);
}

static og_status device_host_alloc(void *device, void **p, size_t bytes)
{
	return driver_try(enter(device)->cuMemHostAlloc(p, bytes ? bytes : 1, HOST_PORTABLE), "allocating pinned memory");
}

static void device_host_release(void *device, void *p)
{
	if (p) enter(device)->cuMemFreeHost(p);
}

static og_status device_copy(void *device, void *stream, void *to, const void *from, size_t bytes)
{
	if (!bytes) return OG_OK;
	return driver_try(enter(device)->cuMemcpyAsync((uint64_t)(uintptr_t)to, (uint64_t)(uintptr_t)from, bytes, stream),
	                  "copying");
}

static int device_of_memory(const void *p)
{
	const driver_api *api = driver_open();
	uint64_t at = (uint64_t)(uintptr_t)p;
	unsigned type = 0;
	int ordinal = 0;
	bool is_memory = api && api->cuPointerGetAttribute && api->cuPointerGetAttribute(&type, MEMORY_TYPE, at) == 0 && type == MEMORY_OF_DEVICE;
	return is_memory && api->cuPointerGetAttribute(&ordinal, MEMORY_ORDINAL, at) == 0 ? ordinal : -1;
}

/* ---- streams ----------------------------------------------------------------------------------- */

static og_status device_stream_create(void *device, void **stream)
{
	return driver_try(enter(device)->cuStreamCreate(stream, STREAM_APART), "making a stream");
}

static void device_stream_free(void *device, void *stream)
{
	if (stream) enter(device)->cuStreamDestroy_v2(stream);
}

static og_status device_wait(void *device, void *stream)
{
	return driver_try(enter(device)->cuStreamSynchronize(stream), "running on the device");
}

static og_status device_record_begin(void *device, void *stream)
{
	return driver_try(enter(device)->cuStreamBeginCapture_v2(stream, CAPTURE_THREAD), "recording a graph");
}

static og_status device_record_end(void *device, void *stream, void **graph)
{
	const driver_api *api = enter(device);
	void *recorded = NULL;
	*graph = NULL;
	TRY(driver_try(api->cuStreamEndCapture(stream, &recorded), "recording a graph"));
	og_status status = driver_try(api->cuGraphInstantiateWithFlags(graph, recorded, 0), "making a graph");
	api->cuGraphDestroy(recorded);
	return status;
}

static og_status device_replay(void *device, void *stream, void *graph)
{
	return driver_try(enter(device)->cuGraphLaunch(graph, stream), "running a graph");
}

static void device_graph_free(void *device, void *graph)
{
	if (graph) enter(device)->cuGraphExecDestroy(graph);
}

static bool device_is_recording(void *device, void *stream)
{
	int state = 0;
	return enter(device)->cuStreamIsCapturing(stream, &state) == 0 && state != 0;
}

static og_status device_mark(void *device, void *stream, void **event)
{
	const driver_api *api = enter(device);
	TRY(driver_try(api->cuEventCreate(event, 0), "making an event"));
	return driver_try(api->cuEventRecord(*event, stream), "marking the stream");
}

static og_status device_between(void *device, void *from, void *to, double *seconds)
{
	const driver_api *api = enter(device);
	float ms = 0;
	og_status status = driver_try(api->cuEventSynchronize(to), "running on the device");
	if (status == OG_OK) status = driver_try(api->cuEventElapsedTime(&ms, from, to), "reading the clock");
	api->cuEventDestroy_v2(from);
	api->cuEventDestroy_v2(to);
	*seconds = (double)ms * 1e-3;
	return status;
}

/* ---- code -------------------------------------------------------------------------------------- */

static void *code_create(arena *a) { return cuda_code_create(a); }

static og_status code_compile(void *code, arena *a, const void **image, size_t *bytes)
{
	const char *name = cuda_arch();
	if (!name)
		return base_fail(OG_MISSING, "%s; to build for another machine set OPGRAFT_CUDA_ARCH, as to 90a", find_gpu(0)->missing);
	return cuda_code_compile(code, a, name, image, bytes);
}

const backend_device cuda_backend_device = {
	.code_create = code_create, .variants = cuda_igemm_variants, .time = cuda_time, .code_compile = code_compile,
	.open = device_open, .close = device_close,
	.alloc = device_alloc, .release = device_release, .host_alloc = device_host_alloc,
	.host_release = device_host_release,
	.stream_create = device_stream_create, .stream_free = device_stream_free, .copy = device_copy, .wait = device_wait,
	.record_begin = device_record_begin, .record_end = device_record_end, .replay = device_replay,
	.graph_free = device_graph_free,
	.is_recording = device_is_recording, .device_of = device_of_memory, .mark = device_mark,
	.between = device_between,
};
