/* check_device.c -- do the formulas compute the same bits on a GPU as on this CPU?
 *
 *     build/tools/check_device [every-Nth-float (default 256)]
 *
 * Compiles the op files' embedded texts with NVRTC for the device found, runs each formula over float bit patterns
 * (one input) or random and special tuples (more), and compares with the CPU's best level, NaN equal to NaN. Exit
 * status 0: no bit differs; 1: some do; 5: no driver, device or NVRTC. Needs no CUDA headers; run it in the
 * repository's root. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/base.h"
#include "schema/schema.h"

/* X(name, arguments): every one returns 0 for success. Handles are pointers, device pointers 64-bit. */
#define DRIVER_MAP(X) \
	X(cuInit, (unsigned flags)) \
	X(cuDeviceGet, (int *device, int ordinal)) \
	X(cuDeviceGetName, (char *name, int length, int device)) \
	X(cuDeviceGetAttribute, (int *value, int attribute, int device)) \
	X(cuDevicePrimaryCtxRetain, (void **context, int device)) \
	X(cuCtxSetCurrent, (void *context)) \
	X(cuModuleLoadData, (void **module, const void *image)) \
	X(cuModuleGetFunction, (void **function, void *module, const char *name)) \
	X(cuMemAlloc_v2, (uint64_t *p, size_t bytes)) \
	X(cuMemcpyHtoD_v2, (uint64_t to, const void *from, size_t bytes)) \
	X(cuMemcpyDtoH_v2, (void *to, uint64_t from, size_t bytes)) \
	X(cuLaunchKernel, (void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, \
	                   void *stream, void **arguments, void **extra)) \
	X(cuCtxSynchronize, (void))
#define NVRTC_MAP(X) \
	X(nvrtcCreateProgram, (void **program, const char *source, const char *name, int n, const char *const *headers, \
	                       const char *const *names)) \
	X(nvrtcCompileProgram, (void *program, int n, const char *const *options)) \
	X(nvrtcGetProgramLogSize, (void *program, size_t *size)) \
	X(nvrtcGetProgramLog, (void *program, char *log)) \
	X(nvrtcGetCUBINSize, (void *program, size_t *size)) \
	X(nvrtcGetCUBIN, (void *program, char *cubin))
#define X(name, arguments) static int (*name) arguments;
DRIVER_MAP(X) NVRTC_MAP(X)
#undef X

enum { N = 1 << 24, CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76, NO_DEVICE = 5 };

static _Noreturn void stop(int status, const char *what)
{
	printf("check_device: %s\n", what);
	exit(status);
}

static void need(int status, const char *what)
{
	if (status) stop(1, what);
}

static void *open_first(const char *const *names)
{
	void *library = NULL;
	for (; *names && !library; names++) library = dlopen(*names, RTLD_NOW);
	return library;
}

static void load_libraries(void)
{
	static const char *const driver[] = { "libcuda.so.1", NULL };
	static const char *const nvrtc[] = { "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", NULL };
	void *d = open_first(driver), *n = open_first(nvrtc);
	if (!d) stop(NO_DEVICE, "there is no CUDA driver (libcuda.so.1) on this machine");
	if (!n) stop(NO_DEVICE, "there is no NVRTC on this machine");
#define X(name, arguments) *(void **)&name = dlsym(d, #name); if (!name) stop(NO_DEVICE, "the driver lacks " #name);
	DRIVER_MAP(X)
#undef X
#define X(name, arguments) *(void **)&name = dlsym(n, #name); if (!name) stop(NO_DEVICE, "NVRTC lacks " #name);
	NVRTC_MAP(X)
#undef X
}

/* ---- the program: every op file's text once, and a kernel for each formula --------------------- */

static bool first_with(size_t k, bool same_text)
{
	const og_op *op = schema_at(k);
	for (size_t i = 0; i < k; i++) {
		const og_op *other = schema_at(i);
		if (other->formula && (same_text ? other->text == op->text : !strcmp(other->formula, op->formula)))
			return false;
	}
	return true;
}

/* A formula that answers with a bool. */
static bool is_test(const og_op *op)
{
	schema_args out;
	return schema_outputs(&out, op) == OG_OK && out.arg[0].types == 1u << OG_BOOL;
}

static char *make_source(void)
{
	text t = { 0 };
	for (size_t k = 0; k < schema_count(); k++)
		if (schema_at(k)->formula && first_with(k, true)) text_printf(&t, "%s\n", schema_at(k)->text);
	for (size_t k = 0; k < schema_count(); k++) {
		const og_op *op = schema_at(k);
		if (!op->formula || !first_with(k, false)) continue;
		text_printf(&t, "extern \"C\" __global__ void k_%s(%s *y, const float *x, const float *a, int n)\n"
		                "{ int i = blockIdx.x * blockDim.x"
		            " + threadIdx.x; if (i < n) y[i] = %s(", op->formula, is_test(op) ? "unsigned char" : "float",
		            op->formula);
		for (int i = 0; i < op->map_inputs; i++) text_printf(&t, "%sx[i + %d * %d]", i ? ", " : "", i, N);
		for (int i = 0; i < op->map_attrs; i++) text_printf(&t, ", a[%d]", i);
		text_printf(&t, ")%s; }\n", is_test(op) ? " ? 1 : 0" : "");
	}
	return text_take(&t);
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *s = f ? calloc(1, 1 << 18) : NULL;
	if (!s || !fread(s, 1, (1 << 18) - 1, f)) stop(1, "run this in the repository's root: it reads include/opgraft");
	fclose(f);
	return s;
}

static void *compile(const char *architecture)
{
	const char *names[] = { "opgraft/op.h", "opgraft/vec.h", "opgraft/vmath.h" };
	const char *headers[] = { slurp("include/opgraft/op.h"), slurp("include/opgraft/vec.h"),
	                          slurp("include/opgraft/vmath.h") };
	const char *options[] = { architecture, "-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true" };
	void *unit, *module;
	size_t size;
	need(nvrtcCreateProgram(&unit, make_source(), "ops.cu", 3, headers, names), "NVRTC made no program");
	if (nvrtcCompileProgram(unit, 5, options)) {
		nvrtcGetProgramLogSize(unit, &size);
		char *log = calloc(1, size + 1);
		nvrtcGetProgramLog(unit, log);
		stop(1, log);
	}
	nvrtcGetCUBINSize(unit, &size);
	char *cubin = malloc(size);
	nvrtcGetCUBIN(unit, cubin);
	need(cuModuleLoadData(&module, cubin), "the compiled module does not load");
	return module;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static uint64_t state = 1;
static uint32_t next_random(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 32);
}

/* Bit patterns at a stride for one input; for more, random ones of which a quarter are special values. */
static void fill(float *x, int inputs, uint64_t from, uint64_t stride)
{
	static const float special[] = { 0.0f, -0.0f, 1.0f, -1.0f, INFINITY, -INFINITY, NAN, 0x1p-149f, -0x1p-126f,
	                                 0x1.fffffep127f, 0.5f, 2.0f };
	for (size_t i = 0; i < (size_t)N * (size_t)inputs; i++) {
		uint32_t bits = inputs == 1 ? (uint32_t)(from + i * stride) : next_random();
		memcpy(&x[i], &bits, sizeof bits);
		if (inputs > 1 && next_random() % 4 == 0) x[i] = special[next_random() % (sizeof special / sizeof *special)];
	}
}

typedef struct buffers { float *x, *want, *got; uint64_t dx, dy, da; } buffers;

static size_t compare(const og_op *op, const buffers *b, int isa, void *kernel, const float *attr)
{
	int n = N;
	size_t size = is_test(op) ? 1 : sizeof(float), differ = 0;
	void *arguments[] = { (void *)(uintptr_t)&b->dy, (void *)(uintptr_t)&b->dx, (void *)(uintptr_t)&b->da, &n };
	const void *x[OG_MAX_IN] = { b->x, b->x + N, b->x + 2 * (size_t)N };
	need(cuMemcpyHtoD_v2(b->dx, b->x, sizeof(float) * (size_t)N * (size_t)op->map_inputs),
	     "copying to the device failed");
	need(cuMemcpyHtoD_v2(b->da, attr, sizeof(float) * OG_MAX_MAP_ATTRS), "copying to the device failed");
	need(cuLaunchKernel(kernel, N / 256, 1, 1, 256, 1, 1, 0, NULL, arguments, NULL), "a kernel was not launched");
	op->map[isa](N, b->want, x, attr);
	need(cuCtxSynchronize(), "a kernel failed");
	need(cuMemcpyDtoH_v2(b->got, b->dy, size * (size_t)N), "copying from the device failed");
	for (size_t i = 0; i < N; i++) {
		if (!memcmp((const char *)b->want + i * size, (const char *)b->got + i * size, size)) continue;
		if (size == sizeof(float) && isnan(b->want[i]) && isnan(b->got[i])) continue;
		if (!differ++) printf("  %s differs at tuple %zu, which begins with %a\n", op->formula, i, (double)b->x[i]);
	}
	return differ;
}

int main(int argc, char **argv)
{
	long stride = argc > 1 ? strtol(argv[1], NULL, 10) : 256;
	int device, major, minor, isa = strcmp(cpu_backend.features(), "avx512") ? OG_ISA_AVX2 : OG_ISA_AVX512;
	char name[128], architecture[32];
	void *context, *kernel;
	if (stride < 1 || stride > 256 || !strcmp(cpu_backend.features(), "scalar"))
		stop(2, "usage: check_device [1 to 256], on a machine with AVX2");
	load_libraries();
	if (cuInit(0) || cuDeviceGet(&device, 0)) stop(NO_DEVICE, "there is no CUDA device on this machine");
	cuDeviceGetName(name, sizeof name, device);
	cuDeviceGetAttribute(&major, CAPABILITY_MAJOR, device);
	cuDeviceGetAttribute(&minor, CAPABILITY_MINOR, device);
	need(cuDevicePrimaryCtxRetain(&context, device) || cuCtxSetCurrent(context), "the device gives no context");
	snprintf(architecture, sizeof architecture, "-arch=sm_%d%d", major, minor);
	printf("%s (%s) against %s\n", name, architecture + 6, cpu_backend.features());
	void *module = compile(architecture);
	buffers b = { .x = malloc(sizeof(float) * OG_MAX_IN * N), .want = malloc(sizeof(float) * N),
	              .got = malloc(sizeof(float) * N) };
	if (!b.x || !b.want || !b.got || cuMemAlloc_v2(&b.dx, sizeof(float) * OG_MAX_IN * N) ||
	    cuMemAlloc_v2(&b.dy, sizeof(float) * N) ||
	    cuMemAlloc_v2(&b.da, sizeof(float) * OG_MAX_MAP_ATTRS)) stop(1, "there is no memory");
	size_t formulas = 0, wrong = 0;
	for (size_t k = 0; k < schema_count(); k++) {
		const og_op *op = schema_at(k);
		float attr[OG_MAX_MAP_ATTRS] = { 0 };
		char symbol[80];
		if (!op->formula || !first_with(k, false)) continue;
		for (int i = 0; i < op->map_attrs; i++) attr[i] = (float)op->attrs[i].value;
		snprintf(symbol, sizeof symbol, "k_%s", op->formula);
		need(cuModuleGetFunction(&kernel, module, symbol), "a kernel is missing");
		uint64_t rounds = ((uint64_t)1 << 32) / (uint64_t)stride / N;
		size_t differ = 0;
		for (uint64_t r = 0; r < rounds; r++) {
			fill(b.x, op->map_inputs, r * N * (uint64_t)stride + r % (uint64_t)stride, (uint64_t)stride);
			differ += compare(op, &b, isa, kernel, attr);
		}
		printf("%-22s %d input%s %11llu tuples %8zu differ\n",
		       op->formula, op->map_inputs, op->map_inputs > 1 ? "s" : " ", (unsigned long long)(rounds * N), differ);
		formulas++;
		wrong += differ > 0;
	}
	printf("%zu formulas, %zu differ\n", formulas, wrong);
	return wrong ? 1 : 0;
}
