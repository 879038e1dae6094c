/* kernels.c -- checks each kernel of the CPU backend against the plain definition and times it, from one list.
 *
 *   kernels [PART-OF-NAME] [THREADS]
 *
 * Columns: time of a call, speed, part of the measured peak of a core times the threads, and the residual
 * max |y - reference| / (K eps sum |a||b|), which must stay below 1: the reference sums in double. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu/kernels.h"
#include "backend/backend.h"
#include "schema/schema.h"

typedef struct spec {
	const char *name, *op;
	int64_t images, channels, size, outputs, kernel, stride, pad, groups;    /* MatMul, Gemm: rows, K, -, columns */
	const char *tail;                    /* an activation; NULL: none */
} spec;

static const spec specs[] = {
	{ "lenet.conv1", "Conv", 1, 1, 28, 6, 5, 1, 2, 1, NULL },
	{ "lenet.conv1+swish", "Conv", 1, 1, 28, 6, 5, 1, 2, 1, "Swish" },
	{ "lenet.pool1", "AveragePool", 1, 6, 28, 6, 2, 2, 0, 1, NULL },
	{ "lenet.conv2", "Conv", 1, 6, 14, 16, 5, 1, 0, 1, NULL },
	{ "lenet.conv2+swish", "Conv", 1, 6, 14, 16, 5, 1, 0, 1, "Swish" },
	{ "lenet.pool2", "AveragePool", 1, 16, 10, 16, 2, 2, 0, 1, NULL },
	{ "lenet.fc1", "Gemm", 1, 400, 0, 120, 0, 0, 0, 0, NULL },
	{ "lenet.fc1+swish", "Gemm", 1, 400, 0, 120, 0, 0, 0, 0, "Swish" },
	{ "lenet.fc2", "Gemm", 1, 120, 0, 84, 0, 0, 0, 0, NULL },
	{ "lenet.fc3", "Gemm", 1, 84, 0, 10, 0, 0, 0, 0, NULL },
	{ "lenet64.conv1+swish", "Conv", 64, 1, 28, 6, 5, 1, 2, 1, "Swish" },
	{ "lenet64.conv2+swish", "Conv", 64, 6, 14, 16, 5, 1, 0, 1, "Swish" },
	{ "lenet64.fc1+swish", "Gemm", 64, 400, 0, 120, 0, 0, 0, 0, "Swish" },
	{ "lenet64.fc2", "Gemm", 64, 120, 0, 84, 0, 0, 0, 0, NULL },
	{ "lenet64.fc3", "Gemm", 64, 84, 0, 10, 0, 0, 0, 0, NULL },
	{ "resnet.7x7s2", "Conv", 1, 3, 224, 64, 7, 2, 3, 1, NULL },
	{ "resnet.56.1x1", "Conv", 1, 64, 56, 64, 1, 1, 0, 1, NULL },
	{ "resnet.56.3x3", "Conv", 1, 64, 56, 64, 3, 1, 1, 1, NULL },
	{ "resnet.56.3x3+swish", "Conv", 1, 64, 56, 64, 3, 1, 1, 1, "Swish" },
	{ "resnet.56.1x1up", "Conv", 1, 64, 56, 256, 1, 1, 0, 1, NULL },
	{ "resnet.56.1x1up+swish", "Conv", 1, 64, 56, 256, 1, 1, 0, 1, "Swish" },
	{ "resnet.56.1x1down", "Conv", 1, 256, 56, 64, 1, 1, 0, 1, NULL },
	{ "resnet.56.3x3s2", "Conv", 1, 128, 56, 128, 3, 2, 1, 1, NULL },
	{ "resnet.56.1x1s2", "Conv", 1, 256, 56, 512, 1, 2, 0, 1, NULL },
	{ "resnet.28.3x3", "Conv", 1, 128, 28, 128, 3, 1, 1, 1, NULL },
	{ "resnet.28.1x1up", "Conv", 1, 128, 28, 512, 1, 1, 0, 1, NULL },
	{ "resnet.28.1x1down", "Conv", 1, 512, 28, 128, 1, 1, 0, 1, NULL },
	{ "resnet.14.3x3", "Conv", 1, 256, 14, 256, 3, 1, 1, 1, NULL },
	{ "resnet.14.1x1up", "Conv", 1, 256, 14, 1024, 1, 1, 0, 1, NULL },
	{ "resnet.14.1x1down", "Conv", 1, 1024, 14, 256, 1, 1, 0, 1, NULL },
	{ "resnet.7.3x3", "Conv", 1, 512, 7, 512, 3, 1, 1, 1, NULL },
	{ "resnet.7.1x1up", "Conv", 1, 512, 7, 2048, 1, 1, 0, 1, NULL },
	{ "resnet.7.1x1down", "Conv", 1, 2048, 7, 512, 1, 1, 0, 1, NULL },
	{ "resnet.fc", "Gemm", 1, 2048, 0, 1000, 0, 0, 0, 0, NULL },
	{ "mobile.dw112", "Conv", 1, 32, 112, 32, 3, 1, 1, 32, NULL },
	{ "mobile.dw112s2", "Conv", 1, 96, 112, 96, 3, 2, 1, 96, NULL },
	{ "mobile.dw14", "Conv", 1, 480, 14, 480, 5, 1, 2, 480, NULL },
	{ "mobile.dw7", "Conv", 1, 960, 7, 960, 5, 1, 2, 960, "HardSwish" },
	{ "group.32x4", "Conv", 1, 128, 56, 128, 3, 1, 1, 32, NULL },
	{ "matmul.512", "MatMul", 512, 512, 0, 512, 0, 0, 0, 0, NULL },
	{ "matmul.1024", "MatMul", 1024, 1024, 0, 1024, 0, 0, 0, 0, NULL },
	{ "matmul.128x768x3072", "MatMul", 128, 768, 0, 3072, 0, 0, 0, 0, NULL },
	{ "matmul.128x768x3072+gelu", "MatMul", 128, 768, 0, 3072, 0, 0, 0, 0, "Gelu" },
};

/* ---- one node ------------------------------------------------------------------------------- */

enum { ATTRS = 16, REPEATS = 30 };

typedef struct bench {
	backend_node node;
	og_attr_value attr[ATTRS];
	og_tensor in[3], out;
	int64_t ints[3][4];
	program tail;
	int64_t k;                           /* products in a sum */
} bench;

static void fail(const char *what)
{
	fprintf(stderr, "kernels: %s: %s\n", what, base_error());
	exit(1);
}

static float *random_floats(int64_t n, unsigned seed)
{
	float *x = base_alloc_aligned((size_t)(n + 1) * sizeof *x, 64);
	if (!x) fail("memory");
	uint32_t state = 2463534242u + seed;
	for (int64_t i = 0; i < n; i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		x[i] = (float)((double)(int32_t)state * 0x1p-31);
	}
	return x;
}

static void set_attr(bench *b, const char *name, int64_t value, int n)
{
	for (int i = 0; b->node.op->attrs[i].name; i++) {
		if (strcmp(b->node.op->attrs[i].name, name)) continue;
		int64_t *ints = b->ints[name[0] == 'p' ? 0 : name[0] == 's' ? 1 : 2];
		for (int k = 0; k < n; k++) ints[k] = value;
		b->attr[i] = (og_attr_value){ .present = 1, .i = value, .f = (float)value, .n = n, .ints = ints };
	}
}

static og_tensor tensor_of(int rank, const int64_t *dims, unsigned seed)
{
	og_tensor t = { .dtype = OG_F32, .rank = rank };
	memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
	t.data = random_floats(og_count(&t), seed);
	return t;
}

static void make_tail(bench *b, const char *name)
{
	const og_op *op = schema_find_any(name);
	if (!op) fail(name);
	b->tail = (program){ .n_operands = 1, .n_regs = 2, .n_steps = 1, .operand = { -1 }, .result = 1 };
	b->tail.step[0] = (program_step){ .op = op, .in = { 0 }, .out = 1 };
	for (int k = 0; k < op->map_attrs; k++) b->tail.step[0].attr[k] = (float)op->attrs[k].value;
	b->node.tail = &b->tail;
}

static void make_bench(bench *b, const spec *s)
{
	bool pooling = strstr(s->op, "Pool") != NULL, conv = !strcmp(s->op, "Conv");
	memset(b, 0, sizeof *b);
	b->node = (backend_node){ .name = s->name, .op = schema_find("", s->op, 21), .attr = b->attr, .in = b->in,
	                          .out = &b->out, .n_out = 1 };
	if (!b->node.op) fail(s->op);
	for (int i = 0; b->node.op->attrs && b->node.op->attrs[i].name; i++)
		b->attr[i] = (og_attr_value){ .i = (int64_t)b->node.op->attrs[i].value,
		                              .f = (float)b->node.op->attrs[i].value };
	b->node.n_in = b->node.n_anchor_in = pooling ? 1 : strcmp(s->op, "MatMul") ? 3 : 2;
	if (conv || pooling) {
		int64_t out = (s->size + 2 * s->pad - s->kernel) / s->stride + 1;
		if (pooling) set_attr(b, "kernel_shape", s->kernel, 2);
		set_attr(b, "strides", s->stride, 2);
		set_attr(b, "pads", s->pad, 4);
		set_attr(b, "group", s->groups, 0);
		b->k = s->channels / s->groups * s->kernel * s->kernel;
		b->in[0] = tensor_of(4, (int64_t[]){ s->images, s->channels, s->size, s->size }, 1);
		b->in[1] = tensor_of(4, (int64_t[]){ s->outputs, s->channels / s->groups, s->kernel, s->kernel }, 2);
		b->out = tensor_of(4, (int64_t[]){ s->images, s->outputs, out, out }, 4);
	} else {
		b->k = s->channels;
		b->in[0] = tensor_of(2, (int64_t[]){ s->images, s->channels }, 1);
		b->in[1] = tensor_of(2, (int64_t[]){ s->channels, s->outputs }, 2);
		b->out = tensor_of(2, (int64_t[]){ s->images, s->outputs }, 4);
	}
	b->in[2] = tensor_of(1, (int64_t[]){ s->outputs }, 3);
	if (s->tail) make_tail(b, s->tail);
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct ready { backend_kernel kernel; backend_run run; arena *a; void *packed; } ready;

static void make_ready(ready *r, const bench *b, const char *tactic, pool *threads, const og_tensor *const *in,
                       og_tensor *const *out)
{
	*r = (ready){ .a = arena_create() };
	if (!r->a || cpu_backend.prepare(&r->kernel, &b->node, tactic, pool_threads(threads), r->a) != OG_OK)
		fail(b->node.name);
	r->packed = base_alloc_aligned(r->kernel.packed_bytes + 64, 64);
	void *workspace = base_alloc_aligned(r->kernel.workspace_bytes + 64, 64);
	if (!r->packed || !workspace) fail(b->node.name);
	if (r->kernel.pack && r->kernel.pack(&r->kernel, r->packed) != OG_OK) fail(b->node.name);
	r->run = (backend_run){ .in = in, .out = out, .packed = r->packed, .workspace = workspace, .threads = threads };
}

static void run_once(const ready *r)
{
	if (r->kernel.run(&r->kernel, &r->run) != OG_OK) fail(r->kernel.tactic);
}

static void end_ready(ready *r)
{
	base_free(r->packed);
	base_free(r->run.workspace);
	arena_destroy(r->a);
}

/* The definition's outputs; magnitudes: of the absolute inputs, without tail. */
static float *reference(bench *b, pool *threads, bool magnitudes)
{
	og_tensor in[3], out = b->out, *outs[1] = { &out };
	const og_tensor *ins[3];
	for (int k = 0; k < b->node.n_in; k++) {
		int64_t n = og_count(&b->in[k]);
		in[k] = b->in[k];
		in[k].data = random_floats(n, 0);
		for (int64_t i = 0; i < n; i++) {
			float x = ((const float *)b->in[k].data)[i];
			((float *)in[k].data)[i] = magnitudes ? fabsf(x) : x;
		}
		ins[k] = &in[k];
	}
	out.data = random_floats(og_count(&out), 9);
	bench plain = *b;
	if (magnitudes) plain.node.tail = NULL;
	ready r;
	make_ready(&r, &plain, "definition", threads, ins, outs);
	run_once(&r);
	end_ready(&r);
	for (int k = 0; k < b->node.n_in; k++) base_free(in[k].data);
	return out.data;
}

static double residual(bench *b, pool *threads)
{
	float *wanted = reference(b, threads, false), *magnitude = reference(b, threads, true);
	const float *y = b->out.data;
	double worst = 0;
	for (int64_t i = 0; i < og_count(&b->out); i++) {
		double allowed = ((double)b->k + 8.0) * (double)FLT_EPSILON * (double)magnitude[i];
		double error = fabs((double)y[i] - (double)wanted[i]) / allowed;
		if (!(error <= worst)) worst = isnan(error) ? HUGE_VAL : error;
	}
	base_free(wanted);
	base_free(magnitude);
	return worst;
}

/* Seconds of one call, the least of some runs. */
static double time_of(const ready *r)
{
	double best = HUGE_VAL;
	int calls = 1;
	for (int i = 0; i < REPEATS; i++) {
		double begin = base_now();
		for (int k = 0; k < calls; k++) run_once(r);
		double t = (base_now() - begin) / calls;
		if (t < best) best = t;
		if (t * calls < 200e-6) calls *= 2;
	}
	return best;
}

/* Operations a second of one core: the largest tile on operands that never leave L1. */
static double measure_peak(const cpu_kernels *k)
{
	enum { COLUMNS = CPU_MAX_VECTORS * CPU_MAX_LANES, LENGTH = 10000 };
	static _Alignas(64) float a[CPU_MAX_ROWS], b[COLUMNS], c[CPU_MAX_ROWS][COLUMNS];
	int vectors = k->max_sums / k->max_rows;
	double best = 0;
	for (int i = 0; i < 200; i++) {
		cpu_tile t = { .a = a, .a_row = 1, .b = b, .c = c[0], .c_row = COLUMNS, .start = a, .last = k->lanes,
		               .k = LENGTH };
		double begin = base_now();
		k->tile[k->max_rows][vectors](&t);
		double speed = 2.0 * LENGTH * k->max_rows * vectors * k->lanes / (base_now() - begin);
		if (speed > best) best = speed;
	}
	return best;
}

int main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "";
	const cpu_kernels *kernels = cpu_kernels_here();
	pool *threads;
	bool good = true;
	if (pool_create(&threads, argc > 2 ? atoi(argv[2]) : 1) != OG_OK) fail("threads");
	double peak = measure_peak(kernels);
	printf("%s, %d thread(s), peak of a core %.1f GFLOP/s\n", kernels->name, pool_threads(threads), peak * 1e-9);
	printf("%-26s %-15s %10s %10s %9s %6s %9s\n", "kernel", "way", "ms", "limit ms", "GFLOP/s", "peak", "residual");
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		if (!strstr(specs[i].name, part)) continue;
		bench b;
		ready r;
		make_bench(&b, &specs[i]);
		make_ready(&r, &b, NULL, threads, (const og_tensor *const[]){ &b.in[0], &b.in[1], &b.in[2] },
		           (og_tensor *const[]){ &b.out });
		double t = time_of(&r), limit = r.kernel.flops / (peak * pool_threads(threads)), error = residual(&b, threads);
		printf("%-26s %-15s %10.5f", specs[i].name, r.kernel.tactic, t * 1e3);
		if (limit > 0) printf(" %10.5f %9.1f %5.1f%%", limit * 1e3, r.kernel.flops / t * 1e-9, 100.0 * limit / t);
		else printf(" %10s %9s %6s", "-", "-", "-");
		printf(" %9.4f%s\n", error, error < 1.0 ? "" : "  WRONG");
		good &= error < 1.0;
		end_ready(&r);
		for (int k = 0; k < 3; k++) base_free(b.in[k].data);
		base_free(b.out.data);
	}
	pool_destroy(threads);
	return good ? 0 : 1;
}
