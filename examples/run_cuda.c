/* run_cuda.c -- runs a network on a GPU, on memory of the device and in a stream of one's own: run_cuda MODEL [RUNS]
 *
 * The program that calls Opgraft may be one that works with CUDA already: it hands over device pointers and its stream, and nothing is copied
 * or waited for. Here the driver comes in by name, so that no CUDA header is needed. Prints the first numbers of the first output.
 *
 *   cc examples/run_cuda.c $(pkg-config --cflags --libs opgraft) -ldl -o run_cuda
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <opgraft.h>

enum { MOST = 16, SHOWN = 8 };
#define TRY(call) do { og_status status_ = (call); if (status_ != OG_OK) return status_; } while (0)

/* What is used of the driver; all return 0 for success. */
#define CUDA(X) \
	X(cuInit, (unsigned)) X(cuDevicePrimaryCtxRetain, (void **context, int device)) X(cuCtxSetCurrent, (void *context)) \
	X(cuMemAlloc_v2, (uint64_t *, size_t)) X(cuMemFree_v2, (uint64_t)) X(cuMemcpyHtoD_v2, (uint64_t to, const void *, size_t)) \
	X(cuMemcpyDtoH_v2, (void *to, uint64_t, size_t)) X(cuStreamCreate, (void **stream, unsigned flags)) X(cuStreamSynchronize, (void *stream)) \
	X(cuStreamDestroy_v2, (void *stream))
#define X(name, arguments) static int (*name) arguments;
CUDA(X)
#undef X

static int open_cuda(void **stream)
{
	void *library = dlopen("libcuda.so.1", RTLD_NOW), *context;
	if (!library) return 0;
#define X(name, arguments) if (!(*(void **)&name = dlsym(library, #name))) return 0;
	CUDA(X)
#undef X
	return !cuInit(0) && !cuDevicePrimaryCtxRetain(&context, 0) && !cuCtxSetCurrent(context) && !cuStreamCreate(stream, 1);
}

/* The tensors of a plan on the device; inputs hold 0.5 where they are float32, else 0. */
typedef struct buffers { const void *in[MOST]; void *out[MOST]; og_tensor *host[MOST], *shown; int n; } buffers;

static og_status make(void **device, og_tensor **host, const og_value_info *v)
{
	uint64_t at;
	TRY(og_tensor_create(host, v->dtype, v->rank, v->dims));
	size_t bytes = og_tensor_bytes(*host);
	float *x = (*host)->data;
	memset(x, 0, bytes);
	for (size_t i = 0; v->dtype == OG_F32 && i < bytes / sizeof *x; i++) x[i] = 0.5f;
	if (cuMemAlloc_v2(&at, bytes + 1) || cuMemcpyHtoD_v2(at, x, bytes)) return OG_NO_MEMORY;
	*device = (void *)(uintptr_t)at;
	return OG_OK;
}

static og_status make_all(buffers *b, const og_plan *plan)
{
	og_value_info v;
	for (int i = 0; i < og_plan_inputs(plan) && i < MOST; i++) {
		void *at;
		TRY(og_plan_input(plan, i, &v));
		TRY(make(&at, &b->host[b->n++], &v));
		b->in[i] = at;
	}
	for (int i = 0; i < og_plan_outputs(plan) && b->n < MOST; i++) {
		TRY(og_plan_output(plan, i, &v));
		TRY(make(&b->out[i], &b->host[b->n++], &v));
	}
	b->shown = b->host[og_plan_inputs(plan)];
	return OG_OK;
}

static og_status run(const char *path, int runs, void *stream, buffers *b)
{
	og_model *model = NULL;
	og_plan *plan = NULL;
	og_session *session = NULL;
	og_build_options options = { .size = sizeof options, .device = "cuda" };
	og_status status = og_model_load(&model, path);
	if (status == OG_OK) status = og_plan_build(&plan, model, &options);
	if (status == OG_OK && og_plan_inputs(plan) + og_plan_outputs(plan) > MOST) status = OG_UNSUPPORTED;
	if (status == OG_OK) status = og_session_create(&session, plan, 0);
	if (status == OG_OK) status = make_all(b, plan);
	for (int k = 0; status == OG_OK && k < runs; k++) status = og_session_run_on(session, b->in, b->out, stream);
	if (status == OG_OK && cuStreamSynchronize(stream)) status = OG_MISSING;
	og_session_free(session);
	og_plan_free(plan);
	og_model_free(model);
	return status;
}

int main(int argc, char **argv)
{
	buffers b = { .n = 0 };
	void *stream;
	if (argc < 2 || argc > 3) return fprintf(stderr, "usage: run_cuda MODEL [RUNS]\n"), OG_USAGE;
	if (!open_cuda(&stream)) return fprintf(stderr, "run_cuda: there is no CUDA driver or device on this machine\n"), OG_MISSING;
	og_status status = run(argv[1], argc > 2 ? atoi(argv[2]) : 1, stream, &b);
	if (status != OG_OK) fprintf(stderr, "run_cuda: %s\n", og_error());
	else if (cuMemcpyDtoH_v2(b.shown->data, (uint64_t)(uintptr_t)b.out[0], og_tensor_bytes(b.shown))) status = OG_MISSING;
	for (size_t i = 0; status == OG_OK && b.shown->dtype == OG_F32 && i < SHOWN && i < og_tensor_bytes(b.shown) / sizeof(float); i++)
		printf("%s%g", i ? " " : "", (double)((float *)b.shown->data)[i]);
	puts("");
	for (int i = 0; i < MOST; i++) {
		if (b.in[i]) cuMemFree_v2((uint64_t)(uintptr_t)b.in[i]);
		if (b.out[i]) cuMemFree_v2((uint64_t)(uintptr_t)b.out[i]);
		og_tensor_free(b.host[i]);
	}
	cuStreamDestroy_v2(stream);
	return (int)status;
}
