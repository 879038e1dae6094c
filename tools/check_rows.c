/* check_rows.c -- how fast plans move large tensors on a GPU, beside a copy by the driver in the same run.
 *
 *     build/tools/check_rows [millions of elements (default 64) [op]]
 *
 * Networks of one op on fp32, fp16 and bf16 tensors; the rate is that of the bytes read and written once. Prints a
 * table. Exit status 0; 5: no driver, device or NVRTC. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opgraft.h"
#include "opgraft/graph.h"

enum { RUNS = 25, NO_DEVICE = 5 };
#define TRY(call) do { og_status status_ = (call); if (status_ != OG_OK) return status_; } while (0)

/* `wide`: length of the last dimension; scales: inputs as long as that. */
typedef struct job { const char *op; int64_t wide; int scales; const char *name; int64_t value; } job;
static const job jobs[] = {
	{ .op = "Relu", .wide = 1024 }, { .op = "Swish", .wide = 1024 }, { .op = "Tanh", .wide = 1024 }, { .op = "Erf",
	                                                                                                   .wide = 1024 },
	{ .op = "Softmax", .wide = 256 }, { .op = "Softmax", .wide = 1024 }, { .op = "Softmax", .wide = 8192 },
	{ .op = "Softmax", .wide = 65536 },
	{ .op = "Softmax", .wide = 1024, .name = "axis", .value = 0 }, { .op = "LayerNormalization",
	                                                                 .wide = 768, .scales = 2 },
	{ .op = "LayerNormalization", .wide = 4096, .scales = 2 }, { .op = "RMSNormalization", .wide = 4096, .scales = 1 },
	{ .op = "Transpose", .wide = 8192 }, { .op = "Transpose", .wide = 3 }, { .op = "Gelu", .wide = 1024 }, { .op = "Mish", .wide = 1024 },
};

typedef struct driver {
	int (*init)(unsigned), (*retain)(void **, int), (*current)(void *), (*alloc)(uint64_t *, size_t),
		(*release)(uint64_t);
	int (*copy)(uint64_t, uint64_t, size_t, void *), (*make)(void **, unsigned), (*record)(void *, void *),
		(*wait)(void *);
	int (*elapsed)(float *, void *, void *), (*put)(uint64_t, const void *, size_t);
} driver;

static int open_driver(driver *d)
{
	void *library = dlopen("libcuda.so.1", RTLD_NOW), *context;
	const struct { void *to; const char *name; } needed[] = {
		{ &d->init, "cuInit" }, { &d->retain, "cuDevicePrimaryCtxRetain" }, { &d->current, "cuCtxSetCurrent" },
		{ &d->alloc, "cuMemAlloc_v2" },
		{ &d->release, "cuMemFree_v2" }, { &d->copy, "cuMemcpyDtoDAsync_v2" }, { &d->make, "cuEventCreate" },
		{ &d->record, "cuEventRecord" },
		{ &d->wait, "cuEventSynchronize" }, { &d->elapsed, "cuEventElapsedTime" }, { &d->put, "cuMemcpyHtoD_v2" },
	};
	for (size_t i = 0; library && i < sizeof needed / sizeof *needed; i++) {
		void *found = dlsym(library, needed[i].name);
		if (!found) return 0;
		memcpy(needed[i].to, &found, sizeof found);
	}
	return library && !d->init(0) && !d->retain(&context, 0) && !d->current(context);
}

static int by_value(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double median(double *x)
{
	qsort(x, RUNS, sizeof *x, by_value);
	return x[RUNS / 2];
}

static double time_copy(const driver *d, uint64_t to, uint64_t from, size_t bytes)
{
	double seconds[RUNS];
	for (int k = -3; k < RUNS; k++) {
		void *begin, *end;
		float ms = 0;
		if (d->make(&begin, 0) || d->make(&end, 0) || d->record(begin, NULL) || d->copy(to, from, bytes, NULL) ||
		    d->record(end, NULL) || d->wait(end) ||
		    d->elapsed(&ms, begin, end))
			return 0;
		if (k >= 0) seconds[k] = (double)ms * 1e-3;
	}
	return median(seconds);
}

static og_status fill(og_graph *g, const job *j, og_dtype dtype, int64_t rows, const void *ones)
{
	og_value *in[3], *y;
	TRY(og_value_add(&in[0], g, "x"));
	TRY(og_value_set_type(in[0], dtype, 2, (const int64_t[]){ rows, j->wide }, NULL));
	TRY(og_graph_add_input(g, in[0]));
	for (int k = 1; k <= j->scales; k++)
		TRY(og_constant_add(&in[k], g, NULL,
		                    &(og_tensor){ .dtype = dtype, .rank = 1, .dims = { j->wide },
		                                  .data = (void *)(uintptr_t)ones }));
	TRY(og_value_add(&y, g, "y"));
	og_node *node;
	TRY(og_node_add(&node, g, "", j->op, NULL, 1 + j->scales, in, 1, &y));
	if (j->name) TRY(og_node_set_int(node, j->name, j->value));
	return og_graph_add_output(g, y);
}

static og_status time_job(double *seconds, const job *j, og_dtype dtype, int64_t rows, const void *in, void *out)
{
	static uint16_t ones[1 << 18];
	og_model *m = NULL;
	og_plan *plan = NULL;
	og_session *session = NULL;
	og_build_options options = { .size = sizeof options, .device = "cuda" };
	og_status status = og_model_create(&m, "one", 24);
	if (status == OG_OK) status = fill(og_model_graph(m), j, dtype, rows, ones);
	if (status == OG_OK) status = og_model_finish(m);
	if (status == OG_OK) status = og_plan_build(&plan, m, &options);
	if (status == OG_OK) status = og_session_create(&session, plan, 0);
	if (status == OG_OK) status = og_session_time(session, &in, &out, RUNS, seconds);
	og_session_free(session);
	og_plan_free(plan);
	og_model_free(m);
	return status;
}

/* Numbers of either sign that are neither large nor small in any of the types. */
static int fill_random(const driver *d, uint64_t to, size_t bytes)
{
	enum { BLOCK = 1 << 20 };
	static uint16_t block[BLOCK];
	uint32_t seed = 1;
	for (int i = 0; i < BLOCK; i++) {
		seed = seed * 1664525u + 1013904223u;
		block[i] = (uint16_t)((seed >> 16 & 0x87ff) | 0x3800);
	}
	for (size_t at = 0; at < bytes; at += sizeof block)
		if (d->put(to + at, block, bytes - at < sizeof block ? bytes - at : sizeof block)) return 1;
	return 0;
}

int main(int argc, char **argv)
{
	static const og_dtype dtypes[] = { OG_F32, OG_F16, OG_BF16 };
	int64_t elements = (int64_t)((argc > 1 ? strtod(argv[1], NULL) : 64) * 0x1p20);
	driver d = { 0 };
	uint64_t in, out;
	if (!open_driver(&d)) return printf("there is no CUDA driver or device on this machine\n"), NO_DEVICE;
	if (d.alloc(&in, (size_t)elements * 4) || d.alloc(&out, (size_t)elements * 4) ||
	    fill_random(&d, in, (size_t)elements * 4))
		return printf("the device has not enough memory\n"), NO_DEVICE;
	printf("| op | axis | row | type | ms | GB/s | of a copy |\n|---|---|---|---|---|---|---|\n");
	for (size_t t = 0; t < sizeof dtypes / sizeof *dtypes; t++) {
		size_t element = dtypes[t] == OG_F32 ? 4 : 2;
		double copy = time_copy(&d, out, in, (size_t)elements * element);
		printf("| copy | | | %s | %.4f | %.0f | 100%% |\n",
		       og_dtype_name(dtypes[t]), copy * 1e3, 2e-9 * (double)elements * (double)element / copy);
		for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
			double seconds[RUNS];
			int64_t rows = elements / jobs[i].wide;
			if (rows == 0 || (argc > 2 && strcmp(argv[2], jobs[i].op))) continue;
			og_status status = time_job(seconds, &jobs[i], dtypes[t], rows, (const void *)(uintptr_t)in,
			                            (void *)(uintptr_t)out);
			if (status != OG_OK) return printf("%s: %s\n", jobs[i].op, og_error()), (int)status;
			double took = median(seconds), bytes = 2.0 * (double)(rows * jobs[i].wide) * (double)element;
			printf("| %s | %s | %lld | %s | %.4f | %.0f | %.0f%% |\n", jobs[i].op, jobs[i].name ? "0" : "",
			       (long long)jobs[i].wide, og_dtype_name(dtypes[t]), took * 1e3, bytes * 1e-9 / took,
			       100 * bytes / (2.0 * (double)elements * (double)element) * copy / took);
		}
	}
	return 0;
}
