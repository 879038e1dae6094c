/* kernels.c -- checks each way of the CPU backend to run a node against the plain definition and times it, from one
 * list.
 *
 *   kernels [PART-OF-NAME [THREADS [PART-OF-WAY]]]
 *
 * A way is a tactic and the layout of its first input; those are listed that read this input as it lies. Columns:
 * time of a call, the backend's own guess at it, speed, part of the measured peak of a core times the threads, the
 * time to bring the first input and the output from and into the plain layout, and the residual max |y - reference| /
 * (K eps sum |a||b|), which must stay below 1: the reference sums in double. Entries of blocked inputs that are not
 * there are NaN. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu/cpu.h"
#include "schema/schema.h"

typedef struct spec {
	const char *name, *op;
	int64_t images, channels, size, outputs, kernel, stride, pad, groups;    /* MatMul, Gemm: rows, K, -, columns */
	const char *tail;                    /* an activation, or Add of another tensor; NULL: none */
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
	{ "resnet.56.1x1up+add", "Conv", 1, 64, 56, 256, 1, 1, 0, 1, "Add" },
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

enum { ATTRS = 16, INPUTS = 4, REPEATS = 30, MOST_WAYS = 32 };

typedef struct bench {
	backend_node node;
	og_attr_value attr[ATTRS];
	og_tensor in[INPUTS], out;
	/* of the inputs; data: of constants, which are the anchor's inputs from 1 on */
	og_tensor type[INPUTS];
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
	int operands = op->map_inputs;
	b->tail = (program){ .n_operands = operands, .n_regs = operands + 1, .n_steps = 1, .operand = { -1, b->node.n_in },
	                     .result = (uint8_t)operands };
	b->tail.step[0] = (program_step){ .op = op, .in = { 0, 1 }, .out = (uint8_t)operands };
	if (operands > 1) b->in[b->node.n_in++] = tensor_of(b->out.rank, b->out.dims, 5);
	for (int k = 0; k < op->map_attrs; k++) b->tail.step[0].attr[k] = (float)op->attrs[k].value;
	b->node.tail = &b->tail;
}

static void make_bench(bench *b, const spec *s)
{
	bool pooling = strstr(s->op, "Pool") != NULL, conv = !strcmp(s->op, "Conv");
	memset(b, 0, sizeof *b);
	b->node = (backend_node){ .name = s->name, .op = schema_find("", s->op, 21), .attr = b->attr, .in = b->type,
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
	for (int k = 0; k < b->node.n_in; k++) {
		b->type[k] = b->in[k];
		if (k == 0 || k >= b->node.n_anchor_in) b->type[k].data = NULL;
	}
}

/* ---- running -------------------------------------------------------------------------------- */

/* A kernel that can run, its first input and its output in memory of their own. */
typedef struct ready {
	backend_kernel kernel;
	backend_run run;
	arena *a;
	const og_tensor *in[INPUTS];
	og_tensor *out, first, result;
} ready;

static void *aligned(size_t bytes)
{
	void *p = base_alloc_aligned(bytes + 64, 64);
	if (!p) fail("memory");
	memset(p, 0xff, bytes + 64);
	return p;
}

/* False when there is no such kernel, or it wants its first input otherwise than it lies. The other inputs are the
 * caller's to fill in. */
static bool make_ready(ready *r, const backend_node *node, const char *tactic, pool *threads)
{
	backend_layout have = node->in_layout ? node->in_layout[0] : LAYOUT_PLAIN;
	int lanes = cpu_backend.lanes();
	*r = (ready){ .a = arena_create(), .first = node->in[0], .result = *node->out, .out = &r->result };
	if (!r->a) fail("memory");
	og_status status = cpu_backend.prepare(&r->kernel, node, tactic, pool_threads(threads), r->a);
	backend_layout want = r->kernel.in_layout ? r->kernel.in_layout[0] : LAYOUT_PLAIN;
	if (status != OG_OK || !layout_same(node->in, have, want, lanes)) {
		arena_destroy(r->a);
		return false;
	}
	r->in[0] = &r->first;
	r->first.data = aligned(layout_bytes(&r->first, have, lanes));
	r->result.data = aligned(layout_bytes(&r->result, r->kernel.out_layout, lanes));
	void *packed = aligned(r->kernel.packed_bytes), *workspace = aligned(r->kernel.workspace_bytes);
	if (r->kernel.pack && r->kernel.pack(&r->kernel, packed) != OG_OK) fail(node->name);
	r->run = (backend_run){ .in = r->in, .out = &r->out, .packed = packed, .workspace = workspace, .threads = threads };
	return true;
}

static void run_once(const ready *r)
{
	if (r->kernel.run(&r->kernel, &r->run) != OG_OK) fail(r->kernel.tactic);
}

static void end_ready(ready *r)
{
	base_free(r->first.data);
	base_free(r->result.data);
	base_free((void *)(uintptr_t)r->run.packed);
	base_free(r->run.workspace);
	arena_destroy(r->a);
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

/* Copies tensor `from` to `to`, which lie in those layouts, one of them plain; seconds are added to *t unless it is
 * NULL. */
static void reorder(const og_tensor *from, backend_layout have, og_tensor *to, backend_layout want, pool *threads,
                    double *t)
{
	if (layout_same(from, have, want, cpu_backend.lanes())) {
		memcpy(to->data, from->data, layout_bytes(from, have, cpu_backend.lanes()));
		return;
	}
	backend_node node = { .name = "reorder", .n_in = 1, .n_anchor_in = 1, .n_out = 1, .in = from, .out = to,
	                      .in_layout = &have, .out_layout = want };
	ready r;
	if (!make_ready(&r, &node, NULL, threads)) fail("reorder");
	memcpy(r.first.data, from->data, layout_bytes(from, have, cpu_backend.lanes()));
	run_once(&r);
	memcpy(to->data, r.result.data, layout_bytes(to, want, cpu_backend.lanes()));
	if (t) *t += time_of(&r);
	end_ready(&r);
}

/* ---- checking ------------------------------------------------------------------------------- */

/* The definition's outputs; magnitudes: of the absolute inputs, without tail. */
static float *reference(const bench *b, pool *threads, bool magnitudes)
{
	bench plain = *b;
	plain.node.in = plain.type;
	if (magnitudes) plain.node.tail = NULL;
	for (int k = 0; k < b->node.n_in; k++) {
		int64_t n = og_count(&b->in[k]);
		float *x = aligned((size_t)n * sizeof *x);
		for (int64_t i = 0; i < n; i++) {
			float own = ((const float *)b->in[k].data)[i];
			x[i] = magnitudes ? fabsf(own) : own;
		}
		plain.in[k].data = x;
	}
	ready r;
	if (!make_ready(&r, &plain.node, "definition", threads)) fail(b->node.name);
	for (int k = 1; k < b->node.n_in; k++) r.in[k] = &plain.in[k];
	memcpy(r.first.data, plain.in[0].data, (size_t)og_count(&r.first) * sizeof(float));
	run_once(&r);
	float *y = aligned((size_t)og_count(&b->out) * sizeof *y);
	memcpy(y, r.result.data, (size_t)og_count(&b->out) * sizeof *y);
	end_ready(&r);
	for (int k = 0; k < b->node.n_in; k++) base_free(plain.in[k].data);
	return y;
}

static double residual(const bench *b, const float *y, const float *wanted, const float *magnitude)
{
	double worst = 0;
	for (int64_t i = 0; i < og_count(&b->out); i++) {
		double allowed = ((double)b->k + 8.0) * (double)FLT_EPSILON * (double)magnitude[i];
		double error = fabs((double)y[i] - (double)wanted[i]) / allowed;
		if (!(error <= worst)) worst = isnan(error) ? HUGE_VAL : error;
	}
	return worst;
}

/* Prints a line about one way; false when its result is wrong. */
static bool bench_way(const bench *b, ready *r, pool *threads, double peak, const float *wanted, const float *magnitude)
{
	static const char *const layouts[LAYOUT_COUNT] = { "plain", "channels", "samples" };
	backend_layout from = r->kernel.in_layout ? r->kernel.in_layout[0] : LAYOUT_PLAIN, to = r->kernel.out_layout;
	og_tensor plain = b->out, operand[INPUTS];
	char way[64];
	double reorders = 0;
	plain.data = aligned((size_t)og_count(&plain) * sizeof(float));
	reorder(&b->in[0], LAYOUT_PLAIN, &r->first, from, threads, &reorders);
	for (int k = 1; k < b->node.n_in; k++) {
		backend_layout want = r->kernel.in_layout ? r->kernel.in_layout[k] : LAYOUT_PLAIN;
		operand[k] = b->in[k];
		operand[k].data = aligned(layout_bytes(&operand[k], want, cpu_backend.lanes()));
		reorder(&b->in[k], LAYOUT_PLAIN, &operand[k], want, threads, NULL);
		r->in[k] = &operand[k];
	}
	double t = time_of(r), limit = r->kernel.flops / (peak * pool_threads(threads));
	reorder(&r->result, to, &plain, LAYOUT_PLAIN, threads, &reorders);
	double error = residual(b, plain.data, wanted, magnitude);
	snprintf(way, sizeof way, "%s %s>%s", r->kernel.tactic, layouts[from], layouts[to]);
	printf("%-24s %-32s %9.5f %9.5f", b->node.name, way, t * 1e3, r->kernel.cost * 1e-6);
	if (limit > 0) printf(" %8.1f %5.1f%%", r->kernel.flops / t * 1e-9, 100.0 * limit / t);
	else printf(" %8s %6s", "-", "-");
	printf(" %9.5f %8.4f%s\n", reorders * 1e3, error, error < 1.0 ? "" : "  WRONG");
	for (int k = 1; k < b->node.n_in; k++) base_free(operand[k].data);
	base_free(plain.data);
	return error < 1.0;
}

/* Every way whose tactic has that part in its name; the definition only when there is no other. */
static bool bench_node(const bench *b, const char *part, pool *threads, double peak)
{
	float *wanted = reference(b, threads, false), *magnitude = reference(b, threads, true);
	bool good = true, found = false;
	for (int have = 0; have < LAYOUT_COUNT; have++) {
		backend_layout layouts[INPUTS] = { (backend_layout)have };
		const char *names[MOST_WAYS];
		backend_node node = b->node;
		node.in_layout = layouts;
		if (have && layout_same(node.in, LAYOUT_PLAIN, layouts[0], cpu_backend.lanes())) continue;
		int n = cpu_backend.tactics(names, MOST_WAYS, &node, pool_threads(threads));
		for (int i = 0; i < n; i++) {
			ready r;
			if (!strstr(names[i], part) || (found && !strcmp(names[i], "definition"))) continue;
			if (!make_ready(&r, &node, names[i], threads)) continue;
			good &= bench_way(b, &r, threads, peak, wanted, magnitude);
			found = true;
			end_ready(&r);
		}
	}
	base_free(wanted);
	base_free(magnitude);
	return good;
}

int main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "", *way = argc > 3 ? argv[3] : "";
	const cpu_kernels *kernels = cpu_kernels_here();
	pool *threads;
	bool good = true;
	if (pool_create(&threads, argc > 2 ? atoi(argv[2]) : 1) != OG_OK) fail("threads");
	double peak = cpu_peak(kernels);
	printf("%s, %d thread(s), peak of a core %.1f GFLOP/s\n", kernels->name, pool_threads(threads), peak * 1e-9);
	printf("%-24s %-32s %9s %9s %8s %6s %9s %8s\n", "kernel", "way", "ms", "guess", "GFLOP/s", "peak", "reorders",
	       "residual");
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		if (!strstr(specs[i].name, part)) continue;
		bench b;
		make_bench(&b, &specs[i]);
		good &= bench_node(&b, way, threads, peak);
		for (int k = 0; k < b.node.n_in; k++) base_free(b.in[k].data);
		base_free(b.out.data);
	}
	pool_destroy(threads);
	return good ? 0 : 1;
}
