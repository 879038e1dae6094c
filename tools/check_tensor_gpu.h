/* check_tensor_gpu.h -- the GPU of check_tensor.c: opening it, compiling and launching kernels, and the one that
 * says what is right. */
#ifndef CHECK_TENSOR_GPU_H
#define CHECK_TENSOR_GPU_H

#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "cuda/cuda.h"
#include "cuda/driver.h"
#include "cuda/nvrtc.h"
#include "cuda/texts.h"

/* the attribute of a function: bytes of local memory */
enum { NO_DEVICE = 5, MOST_KERNELS = 4096, FUNCTION_LOCAL = 3 };

static const driver_api *cuda;
static igemm_encoders encoders;
static igemm_device device;
static void *stream;

static _Noreturn void stop(int status, const char *what)
{
	printf("check_tensor: %s\n", what);
	exit(status);
}
static void need(int error, const char *what)
{
	if (driver_try(error, what) != OG_OK) stop(1, base_error());
}
static void must(og_status status)
{
	if (status != OG_OK) stop(1, base_error());
}
static void *on_device(size_t bytes)
{
	uint64_t p;
	need(cuda->cuMemAlloc_v2(&p, bytes + 256), "memory");
	return (void *)(uintptr_t)p;
}
static uint64_t address(const void *p) { return (uint64_t)(uintptr_t)p; }

/* ---- kernels ---------------------------------------------------------------------------------- */

static nvrtc_api nvrtc;

typedef struct kernel {
	const char *name;
	char *source, *image;
	const char *const *options; int n_options;
	char target[16];
	void *function;
	unsigned shared;                     /* bytes that it may be launched with */
} kernel;
static kernel kernels[MOST_KERNELS];
static int n_kernels, n_compiled;

static void compile(void *arg, int64_t begin, int64_t end)
{
	const int first = *(const int *)arg;
	for (int64_t i = begin; i < end; i++) {
		kernel *k = &kernels[first + i];
		nvrtc_result r = { 0 };
		const char *options[16] = { "-Iinclude", "-Isrc" };
		memcpy(options + 2, k->options, (size_t)k->n_options * sizeof *options);
		nvrtc_compile(&r, &nvrtc, &(nvrtc_source){ .text = k->source, .options = options,
		                                           .n_options = 2 + k->n_options }, k->target, false);
		if (r.status) stop(1, r.data ? r.data : "memory");
		k->image = r.data;
	}
}

/* The number of a kernel, compiled with the next compile_all(); takes the source. */
static int kernel_of(kernel k)
{
	for (int i = 0; i < n_kernels; i++)
		if (!strcmp(kernels[i].source, k.source)) {
			base_free(k.source);
			return i;
		}
	if (n_kernels == MOST_KERNELS) stop(1, "too many kernels");
	kernels[n_kernels] = k;
	return n_kernels++;
}

static int add_kernel(char *source, const igemm_problem *p, const igemm_variant *v)
{
	kernel k = { .name = "igemm", .source = source };
	k.options = igemm_options(p, &k.n_options);
	igemm_target(k.target, v, &device);
	return kernel_of(k);
}

static int kernel_for(const igemm_problem *p, const igemm_variant *v)
{
	char *source;
	must(igemm_source(&source, p, v));
	return add_kernel(source, p, v);
}

static int window_kernel(const igemm_problem *p, const igemm_variant *v)
{
	char *source;
	must(igemm_window_source(&source, p, p->dtype));
	return add_kernel(source, p, v);
}

static void compile_all(void)
{
	pool *threads;
	const double begin = base_now();
	must(pool_create(&threads, 0));
	pool_run(threads, n_kernels - n_compiled, 1, compile, &n_compiled);
	pool_destroy(threads);
	for (int i = n_compiled; i < n_kernels; i++) {
		void *module;
		int value = 0, local = 0;
		need(cuda->cuModuleLoadData(&module, kernels[i].image), "loading a kernel");
		need(cuda->cuModuleGetFunction(&kernels[i].function, module, kernels[i].name), "finding a kernel");
		cuda->cuFuncGetAttribute(&value, DRIVER_FUNCTION_REGISTERS, kernels[i].function);
		cuda->cuFuncGetAttribute(&local, FUNCTION_LOCAL, kernels[i].function);
		if (local) printf("kernel %d: %d registers, %d bytes of local memory\n", i, value, local);
	}
	printf("%d kernels compiled in %.1f s\n", n_kernels - n_compiled, base_now() - begin);
	n_compiled = n_kernels;
}

static void launch(int number, const igemm_launch *l, igemm_args *args, bool overlaps)
{
	kernel *k = &kernels[number];
	igemm_launch how = *l;
	how.overlaps = overlaps && l->overlaps;
	if (l->shared > k->shared) {
		need(cuda->cuFuncSetAttribute(k->function, DRIVER_FUNCTION_SHARED_MOST, (int)l->shared), "shared memory");
		k->shared = l->shared;
	}
	must(cuda_igemm_start(k->function, &how, args, stream));
}

/* ---- what is right: check_tensor.cuh ---------------------------------------------------------- */

CUDA_EMBED(judge_text, "tools/check_tensor.cuh")
typedef struct shape {
	int n, h, w, c, k, r, s, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, p, q, type, tail;
} shape;
enum { FILL, RIGHT, COMPARE, POISON };
typedef struct judgement {
	int what, seed;
	shape s;
	const void *x;
	const float *w, *bias;
	const void *more;
	float *y;
	const void *out;
	double *sums;
	long long n;
} judgement;
static double *sums;

static shape shape_of(const igemm_problem *p)
{
	shape s = { p->n, p->h, p->w, p->c, p->k, p->r, p->s, p->stride_h, p->stride_w, p->pad_h, p->pad_w, p->dilation_h,
	            p->dilation_w, p->p, p->q, p->dtype == OG_F32 ? 0 : p->dtype == OG_F16 ? 1 : 2, 0 };
	const program_step *last = p->tail && p->tail->n_steps ? &p->tail->step[p->tail->n_steps - 1] : NULL;
	static const char *const tails[] = { "relu", "swish", "mish" };
	for (int k = 0; last && k < 3; k++)
		if (!strcmp(last->op->formula, tails[k])) s.tail = k + 1;
	return s;
}

static void judge(int what, const igemm_problem *p, const void *x, const float *w, const float *bias, const void *more,
                  float *y, const void *out, int64_t n, int seed)
{
	judgement j = { .what = what, .seed = seed, .s = shape_of(p), .x = x, .w = w, .bias = bias, .more = more, .y = y, .out = out,
	                .sums = sums, .n = n };
	void *arguments[] = { &j };
	unsigned blocks = (unsigned)(n / 256 < 65535 ? n / 256 + 1 : 65535);
	need(cuda->cuLaunchKernel(kernels[0].function, blocks, 1, 1, 256, 1, 1, 0, stream, arguments, NULL), "judging");
}

/* ---- opening ---------------------------------------------------------------------------------- */

static void open_nvrtc(void)
{
	arena *a = arena_create();
	if (!a || nvrtc_open(&nvrtc, a) != OG_OK) stop(NO_DEVICE, "no NVRTC");
}

static void open_all(void)
{
	void *context;
	int ordinal;
	cuda = driver_open();
	open_nvrtc();
	if (!cuda) stop(NO_DEVICE, "no CUDA driver");
	encoders = (igemm_encoders){ cuda->cuTensorMapEncodeTiled, cuda->cuTensorMapEncodeIm2col };
	need(cuda->cuInit(0), "starting");
	need(cuda->cuDeviceGet(&ordinal, 0), "finding a device");
	need(cuda->cuDevicePrimaryCtxRetain(&context, ordinal), "a context");
	need(cuda->cuCtxSetCurrent(context), "a context");
	need(cuda->cuStreamCreate(&stream, 1), "a stream");
	need(cuda->cuDeviceGetAttribute(&device.major, DRIVER_MAJOR, ordinal), "the device");
	need(cuda->cuDeviceGetAttribute(&device.minor, DRIVER_MINOR, ordinal), "the device");
	need(cuda->cuDeviceGetAttribute(&device.processors, DRIVER_PROCESSORS, ordinal), "the device");
	sums = on_device(4 * sizeof *sums);
	kernels[n_kernels++] = (kernel){ .name = "judge", .source = (char *)(uintptr_t)judge_text };
	snprintf(kernels[0].target, 16, "%d%d", device.major, device.minor);
	compile_all();
}

#endif
