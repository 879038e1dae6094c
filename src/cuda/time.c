/* time.c -- how long variants of a step take on this machine's device: compiled together, run on random data, each
 * as a graph of runs. */
#include "cuda/backend_device.h"
#include "cuda/cuda.h"

#include <math.h>

enum { RUNS = 8, REPLAYS = 3, BLOCK = 1 << 20, SAMPLE = 1 << 16 };

typedef struct trial {
	const backend_device *d;
	void *device, *stream;
	arena *a;
	const backend_node *node;
	void **memory; int n_memory;             /* of the device, to be released */
	const void *random; size_t random_bytes;
} trial;

/* Numbers between -1 and 1 of the node's type. */
static og_status make_random(trial *t)
{
	const og_dtype type = t->node->out->dtype;
	float *f = arena_aligned(t->a, BLOCK * sizeof *f, 64);
	NEED(f);
	uint16_t *half = (uint16_t *)f;              /* each is written below what is still to be read */
	uint32_t seed = 1;
	for (int i = 0; i < BLOCK; i++) {
		seed = seed * 1664525u + 1013904223u;
		const float x = (float)(int32_t)seed * 0x1p-31f;
		if (type == OG_F32) f[i] = x;
		else half[i] = type == OG_F16 ? base_float_to_half(x) : base_float_to_bfloat(x);
	}
	t->random = f;
	t->random_bytes = BLOCK * og_dtype_bytes(type);
	return OG_OK;
}

static og_status take_memory(trial *t, void **p, size_t bytes)
{
	TRY(t->d->alloc(t->device, p, bytes));
	t->memory[t->n_memory++] = *p;
	return OG_OK;
}

/* A tensor in a layout, filled: an output that nothing writes is wrong. */
static og_status make_tensor(trial *t, og_tensor **out, const og_tensor *type, backend_layout layout)
{
	og_tensor *to = arena_alloc(t->a, sizeof *to);
	NEED(to);
	*to = *type;
	size_t bytes = layout_bytes(type, layout, CUDA_LANES);
	if (bytes == SIZE_MAX) return OG_MISSING;
	TRY(take_memory(t, &to->data, bytes));
	for (size_t at = 0; at < bytes; at += t->random_bytes)
		TRY(t->d->copy(t->device, t->stream, (char *)to->data + at, t->random,
		               bytes - at < t->random_bytes ? bytes - at : t->random_bytes));
	*out = to;
	return OG_OK;
}

static og_status make_run(trial *t, backend_run *run, const backend_kernel *k)
{
	const backend_node *node = t->node;
	const og_tensor **in = arena_array(t->a, (size_t)node->n_in + 1, sizeof *in);
	og_tensor **out = arena_array(t->a, (size_t)node->n_out + 1, sizeof *out);
	void *bound = arena_aligned(t->a, k->bound_bytes + 1, 64), *host = arena_aligned(t->a, k->packed_bytes + 1, 64);
	void *packed, *workspace;
	NEED(in && out && bound && host);
	for (int i = 0; i < node->n_in; i++) {
		og_tensor *made = NULL;
		if (node->in[i].dtype == OG_NONE || (i < 32 && k->packs_input >> i & 1)) continue;
		TRY(make_tensor(t, &made, &node->in[i], k->in_layout ? k->in_layout[i] : LAYOUT_PLAIN));
		in[i] = made;
	}
	for (int i = 0; i < node->n_out; i++)
		if (node->out[i].dtype != OG_NONE) TRY(make_tensor(t, &out[i], &node->out[i], k->out_layout));
	TRY(take_memory(t, &packed, k->packed_bytes));
	TRY(take_memory(t, &workspace, k->workspace_bytes));
	if (k->pack) TRY(k->pack(k, host));
	TRY(t->d->copy(t->device, t->stream, packed, host, k->packed_bytes));
	*run = (backend_run){ .in = in, .out = out, .packed = packed, .workspace = workspace, .device = t->device,
	                      .stream = t->stream, .bound = bound };
	TRY(k->bind ? k->bind(k, run) : OG_OK);
	return t->d->wait(t->device, t->stream);
}

static const uint64_t NEVER = UINT64_MAX / 2;

static og_status time_run(trial *t, uint64_t *ns, const backend_kernel *k, const backend_run *run)
{
	void *graph, *from, *to;
	double least = 0, seconds;
	TRY(t->d->record_begin(t->device, t->stream));
	og_status status = OG_OK;
	for (int i = 0; status == OG_OK && i < RUNS; i++) status = k->run(k, run);
	og_status ended = t->d->record_end(t->device, t->stream, &graph);
	if (status == OG_OK) status = ended;
	if (status == OG_OK) status = t->d->replay(t->device, t->stream, graph);
	for (int i = 0; status == OG_OK && i < REPLAYS; i++) {
		status = t->d->mark(t->device, t->stream, &from);
		if (status == OG_OK) status = t->d->replay(t->device, t->stream, graph);
		if (status == OG_OK) status = t->d->mark(t->device, t->stream, &to);
		if (status == OG_OK) status = t->d->between(t->device, from, to, &seconds);
		if (i == 0 || seconds < least) least = seconds;
	}
	t->d->graph_free(t->device, graph);
	*ns = (uint64_t)(least / RUNS * 1e9) + 1;
	return status;
}

/* Vendors' libraries may lack a way for the step, and say so late; what they make must be what our own way, the first, makes. */
static bool may_fail(const char *name) { return strncmp(name, "igemm", 5) != 0; }

/* The output's first elements. */
static og_status take_sample(trial *t, float *to, int64_t n, const og_tensor *from)
{
	const size_t bytes = (size_t)n * og_dtype_bytes(from->dtype);
	uint16_t *half = arena_array(t->a, (size_t)n + 1, sizeof *half);
	NEED(half);
	TRY(t->d->copy(t->device, t->stream, from->dtype == OG_F32 ? (void *)to : half, from->data, bytes));
	TRY(t->d->wait(t->device, t->stream));
	for (int64_t i = 0; from->dtype != OG_F32 && i < n; i++) to[i] = from->dtype == OG_F16 ? base_half_to_float(half[i]) : base_bfloat_to_float(half[i]);
	return OG_OK;
}

/* Within what rounding may do. */
static bool is_like(const float *x, const float *y, int64_t n)
{
	float most = 0, error = 0;
	for (int64_t i = 0; i < n; i++) {
		most = fmaxf(most, fabsf(x[i]));
		error = y[i] == y[i] ? fmaxf(error, fabsf(x[i] - y[i])) : INFINITY;
	}
	return error <= 0.02f * most;
}

static og_status time_on(trial *t, uint64_t *ns, const char *const *names, const backend_kernel *kernels, int n)
{
	backend_run run;
	const int64_t count = og_count(t->node->out), sampled = count < SAMPLE ? count : SAMPLE;
	float *want = arena_array(t->a, (size_t)sampled + 1, sizeof *want), *got = arena_array(t->a, (size_t)sampled + 1, sizeof *got);
	NEED(want && got);
	TRY(t->d->stream_create(t->device, &t->stream));
	TRY(make_random(t));
	for (int k = 0; k < n; k++) {
		og_status status = kernels[k].run ? make_run(t, &run, &kernels[k]) : OG_UNSUPPORTED;
		if (status == OG_OK) status = time_run(t, &ns[k], &kernels[k], &run);
		if (status == OG_OK) status = take_sample(t, k ? got : want, sampled, run.out[0]);
		if (status == OG_OK && may_fail(names[k]) && !is_like(want, got, sampled)) status = OG_UNSUPPORTED;
		while (t->n_memory) t->d->release(t->device, t->memory[--t->n_memory]);
		if (status == OG_OK) continue;
		if (!may_fail(names[k])) return status;
		ns[k] = NEVER;
	}
	return OG_OK;
}

og_status cuda_time(uint64_t *ns, const char *const *names, int n, const backend_node *node)
{
	trial t = { .d = &cuda_backend_device };
	const void *image;
	size_t bytes;
	igemm_device target;
	cuda_target(&target);
	if (!target.is_here) return OG_MISSING;
	t.a = arena_create();
	NEED(t.a);
	backend_node own = *node;
	backend_kernel *kernels = arena_array(t.a, (size_t)n, sizeof *kernels);
	own.code = cuda_code_create(t.a);
	t.node = &own;
	t.memory = arena_array(t.a, (size_t)(node->n_in + node->n_out + 2), sizeof *t.memory);
	og_status status = kernels && own.code && t.memory ? OG_OK : base_no_memory();
	for (int k = 0; status == OG_OK && k < n; k++) {
		status = cuda_backend.prepare(&kernels[k], &own, names[k], 1, t.a);
		if (status != OG_OK && may_fail(names[k])) status = OG_OK;
	}
	if (status == OG_OK) status = cuda_code_compile(own.code, t.a, cuda_arch(), &image, &bytes);
	if (status == OG_OK) status = t.d->open(&t.device, 0, image, bytes);
	if (status == OG_OK) status = time_on(&t, ns, names, kernels, n);
	while (t.n_memory) t.d->release(t.device, t.memory[--t.n_memory]);
	if (t.stream) t.d->stream_free(t.device, t.stream);
	t.d->close(t.device);
	arena_destroy(t.a);
	return status;
}
