/* check_onnxruntime_cuda.c -- the CUDA side of the ONNX Runtime bridge on a GPU, without ONNX Runtime: what it would
 * do for a node of its CUDA provider, done here through the same C interface, and the results compared with those of
 * the CPU provider's op.
 *
 *   build/tools/check_onnxruntime_cuda LIB.so...
 *
 * Every op of one or two inputs and one output on f32, f16 and bf16, [1,4096] of random bits: elementwise ops and
 * those that move data must give the same bits; a reduction over them is NaN in both. Exit status 0: right, 1: not,
 * 5: no driver or device. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda/driver.h"
#include "bridge/onnxruntime_abi.h"
#include "opgraft/op_abi.h"

enum { N = 4096, MOST_OPS = 4096, SLOTS = 512, MOST_IN = 2 };

static const driver_api *cuda;
static const void *slots[SLOTS];
static const ort_custom_op *ops[MOST_OPS];
static int n_ops;

/* A value, and a node's run: what the functions below hand out. */
typedef struct value { int type; int64_t dims[2]; void *data; } value;
typedef struct context { size_t n_in; value in[MOST_IN], out; void *stream; } context;

static void *make_status(int code, const char *message)
{
	char *s = malloc(strlen(message) + 1);
	(void)code;
	return s ? strcpy(s, message) : NULL;
}
static void release_status(void *s) { free(s); }
static void *absent(void) { return make_status(ORT_FAIL, "it is not there"); }

static void *make_domain(const char *name, void **out) { *out = (void *)(uintptr_t)name; return NULL; }
static void *add_op(void *domain, const void *op)
{
	(void)domain;
	if (n_ops < MOST_OPS) ops[n_ops++] = op;
	return NULL;
}
static void *add_domain(void *options, void *domain) { (void)options; (void)domain; return NULL; }

static void *no_number(const void *info, const char *name, void *out) { (void)info; (void)name; (void)out;
                                                                        return absent(); }
static void *no_list(const void *info, const char *name, void *out, size_t *n) { (void)n;
                                                                                 return no_number(info, name, out); }
static void *node_name(const void *info, char *out, size_t *n)
{
	(void)info;
	if (out) strcpy(out, "it");
	*n = 3;
	return NULL;
}

static void *count_in(const void *c, size_t *n) { *n = ((const context *)c)->n_in; return NULL; }
static void *count_out(const void *c, size_t *n) { (void)c; *n = 1; return NULL; }
static void *get_in(const void *c, size_t k, const void **out) { *out = &((const context *)c)->in[k]; return NULL; }
static void *get_out(void *c, size_t k, const int64_t *dims, size_t rank, void **out)
{
	(void)k;
	if (rank != 2 || dims[0] != 1 || dims[1] != N) return make_status(ORT_FAIL, "a wrong shape");
	*out = &((context *)c)->out;
	return NULL;
}
static void *get_data(void *v, void **out) { *out = ((value *)v)->data; return NULL; }
static void *get_shape(const void *v, void **out) { *out = (void *)(uintptr_t)v; return NULL; }
static void release_shape(void *shape) { (void)shape; }
static void *get_type(const void *v, int *out) { *out = ((const value *)v)->type; return NULL; }
static void *get_rank(const void *v, size_t *out) { (void)v; *out = 2; return NULL; }
static void *get_dims(const void *v, int64_t *dims, size_t rank)
{
	memcpy(dims, ((const value *)v)->dims, rank * sizeof *dims);
	return NULL;
}
static void *get_stream(const void *c, void **out) { *out = ((const context *)c)->stream; return NULL; }
static void *in_order(const void *c, void (*item)(void *arg, size_t k), size_t n, size_t batches, void *arg)
{
	(void)c; (void)batches;
	for (size_t k = 0; k < n; k++) item(arg, k);
	return NULL;
}

static void fill_slots(void)
{
#define SET(name, function) slots[place_##name] = (const void *)(uintptr_t)(function)
	enum {
#define X(name, place, result, arguments) place_##name = place,
		ORT_OP_MAP(X)
#undef X
	};
	SET(CreateStatus, make_status); SET(ReleaseStatus, release_status); SET(CreateCustomOpDomain, make_domain);
	SET(CustomOpDomain_Add, add_op); SET(AddCustomOpDomain, add_domain); SET(GetTensorMutableData, get_data);
	SET(GetTensorElementType, get_type); SET(GetDimensionsCount, get_rank); SET(GetDimensions, get_dims);
	SET(GetTensorTypeAndShape, get_shape); SET(ReleaseTensorTypeAndShapeInfo, release_shape);
	SET(KernelInfoGetAttribute_float, no_number); SET(KernelInfoGetAttribute_int64, no_number);
	SET(KernelInfoGetAttribute_string, no_list); SET(KernelInfoGetAttributeArray_float, no_list);
	SET(KernelInfoGetAttributeArray_int64, no_list); SET(KernelInfo_GetNodeName, node_name);
	SET(KernelContext_GetInputCount, count_in); SET(KernelContext_GetOutputCount, count_out);
	SET(KernelContext_GetInput, get_in); SET(KernelContext_GetOutput, get_out);
	SET(KernelContext_GetGPUComputeStream, get_stream); SET(KernelContext_ParallelFor, in_order);
}

static const void *const *get_api(uint32_t version) { return version <= ORT_OP_VERSION ? slots : NULL; }

/* ---- running ---------------------------------------------------------------------------------- */

static bool said(void *status)
{
	if (status) printf("  %s\n", (const char *)status);
	release_status(status);
	return status != NULL;
}

/* Runs the node on c's values; false with the reason printed. */
static bool run(const ort_custom_op *op, context *c)
{
	void *kernel = NULL;
	if (said(op->create_2(op, slots, NULL, &kernel))) return false;
	bool ok = !said(op->compute_2(kernel, c)) && !said(op->compute_2(kernel, c));
	if (c->stream) ok &= cuda->cuStreamSynchronize(c->stream) == 0;
	op->destroy(kernel);
	return ok;
}

static size_t differences(const unsigned char *a, const unsigned char *b, int type)
{
	size_t size = og_dtype_bytes((og_dtype)type), differ = 0;
	for (size_t k = 0; k < N; k++) {
		if (!memcmp(a + k * size, b + k * size, size)) continue;
		uint32_t x = 0, y = 0, infinity = type == OG_F32 ? 0x7f800000u : type == OG_F16 ? 0x7c00u : 0x7f80u;
		memcpy(&x, a + k * size, size);
		memcpy(&y, b + k * size, size);
		uint32_t sign = 1u << (8 * size - 1);
		differ += !((x & ~sign) > infinity && (y & ~sign) > infinity);               /* NaN equals NaN */
	}
	return differ;
}

static bool check(const ort_custom_op *on_cpu, const ort_custom_op *on_cuda)
{
	context host = { .n_in = on_cuda->input_count(on_cuda) }, device = host;
	int type = on_cuda->input_type(on_cuda, 0);
	size_t size = og_dtype_bytes((og_dtype)type), bytes = N * size;
	unsigned char *got = malloc(bytes), *want = malloc(bytes);
	bool ok = got && want && !cuda->cuStreamCreate(&device.stream, 1);
	for (size_t k = 0; ok && k < host.n_in; k++) {
		uint64_t p;
		unsigned char *x = malloc(bytes);
		for (size_t i = 0; x && i < bytes; i++) x[i] = (unsigned char)((uint32_t)rand() >> 7);
		ok = x && !cuda->cuMemAlloc_v2(&p, bytes) && !cuda->cuMemcpyHtoD_v2(p, x, bytes);
		host.in[k] = device.in[k] = (value){ type, { 1, N }, x };
		device.in[k].data = (void *)(uintptr_t)p;
	}
	uint64_t y;
	ok = ok && !cuda->cuMemAlloc_v2(&y, bytes) && !cuda->cuCtxSynchronize();
	host.out = device.out = (value){ on_cuda->output_type(on_cuda, 0), { 1, N }, want };
	device.out.data = (void *)(uintptr_t)y;
	ok = ok && run(on_cpu, &host) && run(on_cuda, &device) && !cuda->cuMemcpyDtoH_v2(got, y, bytes);
	size_t differ = ok ? differences(got, want, type) : N;
	printf("%-20s type %2d: %s, %zu of %d differ\n", on_cuda->name(on_cuda), type, ok ? "ran" : "did not run",
	       differ, N);
	for (size_t k = 0; k < host.n_in; k++) {
		free(host.in[k].data);
		cuda->cuMemFree_v2((uint64_t)(uintptr_t)device.in[k].data);
	}
	cuda->cuMemFree_v2(y);
	cuda->cuStreamDestroy_v2(device.stream);
	free(got);
	free(want);
	return ok && !differ;
}

static bool fits(const ort_custom_op *op)
{
	size_t n = op->input_count(op);
	bool ok = n >= 1 && n <= MOST_IN && op->output_count(op) == 1 && op->output_type(op, 0) == op->input_type(op, 0);
	for (size_t k = 0; ok && k < n; k++) ok = op->input_type(op, k) == op->input_type(op, 0);
	return ok && op->provider(op);
}

int main(int argc, char **argv)
{
	static const ort_base base = { get_api, NULL };
	void *context_;
	int device, wrong = 0;
	cuda = driver_open();
	if (!cuda || cuda->cuInit(0) || cuda->cuDeviceGet(&device, 0) ||
	    cuda->cuDevicePrimaryCtxRetain(&context_, device) ||
	    cuda->cuCtxSetCurrent(context_)) return puts("there is no CUDA driver or device on this machine"), OG_MISSING;
	fill_slots();
	for (int i = 1; i < argc; i++) {
		void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
		void *(*registers)(void *, const ort_base *) = NULL;
		if (library) *(void **)&registers = dlsym(library, "RegisterCustomOps");
		if (!registers) return printf("%s is no op library\n", argv[i]), OG_BAD_FILE;
		n_ops = 0;
		if (said(registers(NULL, &base))) return OG_NO;
		for (int k = 0; k < n_ops; k++)
			for (int j = 0; fits(ops[k]) && j < n_ops; j++)
				if (!ops[j]->provider(ops[j]) && !strcmp(ops[j]->name(ops[j]), ops[k]->name(ops[k])) &&
				    ops[j]->input_type(ops[j], 0) == ops[k]->input_type(ops[k], 0)) wrong += !check(ops[j], ops[k]);
	}
	printf(wrong ? "%d are wrong.\n" : "All are right.\n", wrong);
	return wrong ? OG_NO : OG_OK;
}
