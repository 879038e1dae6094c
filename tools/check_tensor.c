/* check_tensor.c -- are convolutions and matrix products on the GPU right, and how fast is each way to run them?
 *
 *     build/tools/check_tensor [odd COUNT] [layers BATCH...] [chain BATCH...] [type f16|bf16|tf32|f32] [tail relu|swish|mish] [ways all|general]
 *                              [csv FILE]
 *
 * odd: random shapes, every variant against a double-precision product. layers: ResNet-50's, every variant checked and timed
 * (replays of a graph of launches). chain: all of ResNet-50's convolutions, each by its fastest variant, in one graph.
 * Exit status 0: all right; 1: something is wrong; 5: no driver, device or NVRTC. Run it in the repository's root. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/thread.h"
#include "cuda/driver.h"
#include "cuda/nvrtc.h"
#include "cuda/igemm.h"
#include "opgraft.h"
#include "opgraft/half.h"
#include "schema/schema.h"

enum { NO_DEVICE = 5, MOST_VARIANTS = 96, MOST_KERNELS = 4096, MOST_LAYERS = 64, PER_GRAPH = 16, REPLAYS = 5 };
enum { ATTRIBUTE_CLUSTER = 4, ATTRIBUTE_OVERLAP = 6 };

typedef struct launch_attribute { unsigned id, pad; union { char bytes[64]; unsigned words[3]; } value; } launch_attribute;
typedef struct launch_config { unsigned grid[3], block[3], shared; void *stream; launch_attribute *attrs; unsigned n_attrs; } launch_config;

static const driver_api *cuda;
static int (*launch_ex)(const launch_config *, void *function, void **arguments, void **extra);
static igemm_encoders encoders;
static igemm_device device;
static void *stream;
static bool overlap = true, general;
static const char *tail_name = "relu";
static FILE *csv;
static int failures;

static _Noreturn void stop(int status, const char *what)
{
	printf("check_tensor: %s\n", what);
	exit(status);
}
static void need(int error, const char *what)
{
	if (driver_try(error, what) != OG_OK) stop(1, og_error());
}
static void must(og_status status)
{
	if (status != OG_OK) stop(1, og_error());
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

typedef struct kernel { char *source, *image; const char *const *options; int n_options; size_t n; char target[16]; void *function; unsigned shared; } kernel;
static kernel kernels[MOST_KERNELS];
static int n_kernels, n_compiled;

static void compile(void *arg, int64_t begin, int64_t end)
{
	const int first = *(const int *)arg;
	for (int64_t i = begin; i < end; i++) {
		kernel *k = &kernels[first + i];
		nvrtc_result r = { 0 };
		const char *options[16] = { "-Iinclude" };
		memcpy(options + 1, k->options, (size_t)k->n_options * sizeof *options);
		nvrtc_compile(&r, &nvrtc, &(nvrtc_source){ .text = k->source, .options = options, .n_options = 1 + k->n_options }, k->target, false);
		if (r.status) stop(1, r.data ? r.data : "memory");
		k->image = r.data;
		k->n = r.n;
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

static int kernel_for(const igemm_problem *p, const igemm_variant *v)
{
	kernel k = { 0 };
	must(igemm_source(&k.source, p, v));
	k.options = igemm_options(p, &k.n_options);
	igemm_target(k.target, v, &device);
	return kernel_of(k);
}

static int window_kernel(const igemm_problem *p, const igemm_variant *v)
{
	kernel k = { 0 };
	must(igemm_window_source(&k.source, p, p->dtype));
	k.options = igemm_options(p, &k.n_options);
	igemm_target(k.target, v, &device);
	return kernel_of(k);
}

static void compile_all(void)
{
	pool *threads;
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	must(pool_create(&threads, 0));
	pool_run(threads, n_kernels - n_compiled, 1, compile, &n_compiled);
	pool_destroy(threads);
	for (int i = n_compiled; i < n_kernels; i++) {
		void *module;
		int value = 0, local = 0;
		need(cuda->cuModuleLoadData(&module, kernels[i].image), "loading a kernel");
		need(cuda->cuModuleGetFunction(&kernels[i].function, module, strstr(kernels[i].source, "judge") ? "judge" : "igemm"), "finding a kernel");
		cuda->cuFuncGetAttribute(&value, DRIVER_FUNCTION_REGISTERS, kernels[i].function);
		cuda->cuFuncGetAttribute(&local, 3, kernels[i].function);
		if (local) printf("kernel %d: %d registers, %d bytes of local memory\n", i, value, local);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%d kernels compiled in %.1f s\n", n_kernels - n_compiled, (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec));
	n_compiled = n_kernels;
}

static void launch(int k, const igemm_launch *l, igemm_args *args, bool overlaps)
{
	kernel *kern = &kernels[k];
	void *arguments[] = { args };
	launch_attribute attrs[2] = { { 0 } };
	launch_config c = { .grid = { l->blocks, 1, 1 }, .block = { l->threads, 1, 1 }, .shared = l->shared, .stream = stream, .attrs = attrs };
	if (l->cluster > 1) {
		attrs[c.n_attrs].id = ATTRIBUTE_CLUSTER;
		attrs[c.n_attrs].value.words[0] = l->cluster;
		attrs[c.n_attrs].value.words[1] = attrs[c.n_attrs].value.words[2] = 1;
		c.n_attrs++;
	}
	if (overlaps && l->overlaps) {
		attrs[c.n_attrs].id = ATTRIBUTE_OVERLAP;
		attrs[c.n_attrs++].value.words[0] = 1;
	}
	if (l->shared > kern->shared) {
		need(cuda->cuFuncSetAttribute(kern->function, DRIVER_FUNCTION_SHARED_MOST, (int)l->shared), "shared memory");
		kern->shared = l->shared;
	}
	need(launch_ex(&c, kern->function, arguments, NULL), "a launch");
}

/* ---- what is right ---------------------------------------------------------------------------- */

static const char judge_source[] =
	"struct shape { int n, h, w, c, k, r, s, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, p, q, type, tail; };\n"
	"typedef unsigned short u16;\n"
	"static __device__ float get(const void *x, long long i, int type) {\n"
	"	if (type == 0) return ((const float *)x)[i];\n"
	"	u16 b = ((const u16 *)x)[i]; float f;\n"
	"	if (type == 2) return __uint_as_float((unsigned)b << 16);\n"
	"	asm(\"cvt.f32.f16 %0, %1;\" : \"=f\"(f) : \"h\"(b)); return f; }\n"
	"static __device__ void set(void *x, long long i, int type, float f) {\n"
	"	if (type == 0) ((float *)x)[i] = f;\n"
	"	else if (type == 2) ((u16 *)x)[i] = (u16)(__float_as_uint(f) >> 16);\n"
	"	else { u16 b; asm(\"cvt.rn.f16.f32 %0, %1;\" : \"=h\"(b) : \"f\"(f)); ((u16 *)x)[i] = b; } }\n"
	"static __device__ float number(long long i, int seed) {\n"
	"	unsigned u = (unsigned)i * 2654435761u ^ (unsigned)(i >> 32) ^ (unsigned)seed * 0x9e3779b9u; u ^= u >> 15; u *= 0x85ebca6bu; u ^= u >> 13;\n"
	"	u *= 0xc2b2ae35u; u ^= u >> 16; return ((int)(u % 129) - 64) / 64.0f; }\n"
	/* what: 0 random numbers of 7 bits; 1 the result in floats; 2 its comparison; 3 NaN everywhere */
	"extern \"C\" __global__ void judge(int what, shape s, const void *x, const float *w, const float *bias, const void *more, float *y, const void *out, double *sums, long long n, int seed) {\n"
	"	double square = 0, error = 0, worst = 0, wrong = 0;\n"
	"	for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += gridDim.x * (long long)blockDim.x) {\n"
	"		if (what == 0) { set((void *)out, i, s.type, number(i, seed)); continue; }\n"
	"		if (what == 3) { set((void *)out, i, s.type, __int_as_float(0x7fc00000)); continue; }\n"
	"		if (what == 1) {\n"
	"			int k = i % s.k; long long pix = i / s.k; int q = pix % s.q, p = pix / s.q % s.p; long long img = pix / s.q / s.p; double sum = bias[k];\n"
	"			for (int r = 0; r < s.r; r++) for (int t = 0; t < s.s; t++) {\n"
	"				int h = p * s.stride_h - s.pad_h + r * s.dilation_h, v = q * s.stride_w - s.pad_w + t * s.dilation_w;\n"
	"				if (h < 0 || h >= s.h || v < 0 || v >= s.w) continue;\n"
	"				long long at = ((img * s.h + h) * s.w + v) * s.c; const float *f = w + (long long)(r * s.s + t) * s.c * s.k + k; float part = 0;\n"
	"				for (int c = 0; c < s.c; c++) { part += get(x, at + c, s.type) * f[(long long)c * s.k]; if (c % 16 == 15) { sum += part; part = 0; } }\n"
	"				sum += part; }\n"
	"			if (more) sum += get(more, i, s.type);\n"
	"			y[i] = (float)(s.tail == 1 ? (sum > 0 ? sum : 0) : s.tail == 2 ? sum / (1 + exp(-sum)) : s.tail == 3 ? sum * tanh(log1p(exp(sum > 20 ? 20 : sum))) : sum);\n"
	"			continue; }\n"
	"		double want = y[i], got = get(out, i, s.type), d = got - want;\n"
	"		if (!(d == d)) { wrong++; continue; }\n"
	"		square += want * want; error += d * d; if (d < 0) d = -d; if (want < 0) want = -want; d /= want + 1; if (d > worst) worst = d; }\n"
	"	if (what != 2) return;\n"
	"	atomicAdd(sums, square); atomicAdd(sums + 1, error); atomicAdd(sums + 2, wrong); atomicMax((unsigned long long *)(sums + 3), (unsigned long long)__double_as_longlong(worst)); }\n";

typedef struct shape { int n, h, w, c, k, r, s, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, p, q, type, tail; } shape;
enum { FILL, RIGHT, COMPARE, POISON };
static double *sums;

static shape shape_of(const igemm_problem *p)
{
	shape s = { p->n, p->h, p->w, p->c, p->k, p->r, p->s, p->stride_h, p->stride_w, p->pad_h, p->pad_w, p->dilation_h, p->dilation_w, p->p, p->q,
	            p->dtype == OG_F32 ? 0 : p->dtype == OG_F16 ? 1 : 2, 0 };
	const program_step *last = p->tail && p->tail->n_steps ? &p->tail->step[p->tail->n_steps - 1] : NULL;
	if (last) s.tail = !strcmp(last->op->formula, "relu") ? 1 : !strcmp(last->op->formula, "swish") ? 2 : !strcmp(last->op->formula, "mish") ? 3 : 0;
	return s;
}

static void judge(int what, const igemm_problem *p, const void *x, const float *w, const float *bias, const void *more, float *y, const void *out,
                  int64_t n, int seed)
{
	shape s = shape_of(p);
	long long count = n;
	void *arguments[] = { &what, &s, &x, &w, &bias, &more, &y, &out, &sums, &count, &seed };
	need(cuda->cuLaunchKernel(kernels[0].function, (unsigned)(n / 256 < 65535 ? n / 256 + 1 : 65535), 1, 1, 256, 1, 1, 0, stream, arguments, NULL), "judging");
}

/* ---- problems --------------------------------------------------------------------------------- */

typedef struct layer {
	char name[48];
	igemm_problem p;
	program tail;
	igemm_variant v[MOST_VARIANTS];
	int n, kernel[MOST_VARIANTS], window;    /* window: the kernel that writes windows */
	double us[MOST_VARIANTS];
	int best, times;                     /* how often it occurs in the network */
} layer;

static void add_step(program *t, const char *domain, const char *name, int a, int b, int out)
{
	program_step *s = &t->step[t->n_steps++];
	s->op = schema_find(domain, name, 24);
	if (!s->op) stop(1, name);
	s->in[0] = (uint8_t)a;
	s->in[1] = (uint8_t)b;
	s->out = (uint8_t)out;
	s->attr[0] = 1.0f;
	if (out >= t->n_regs) t->n_regs = out + 1;
	t->result = (uint8_t)out;
}

/* Bias; then a residual if `adds`; then the activation if `activates`. */
static void make_tail(layer *l, bool adds, bool activates)
{
	l->tail = (program){ .n_operands = 1 + adds, .n_regs = 1 + adds };
	if (adds) {
		add_step(&l->tail, "", "Add", 0, 1, 2);
		l->p.n_operands = 1;
		l->p.operand[0] = IGEMM_FULL;
	}
	int from = adds ? 2 : 0;
	if (!activates) return;
	if (!strcmp(tail_name, "swish")) add_step(&l->tail, "opgraft", "OgSwish", from, 0, 3);
	else if (!strcmp(tail_name, "mish")) add_step(&l->tail, "", "Mish", from, 0, 3);
	else add_step(&l->tail, "", "Relu", from, 0, 3);
}

static og_dtype type = OG_F16;
static bool tf32;

static layer *make_layer(layer *l, int batch, int size, int c, int k, int taps, int stride, bool adds, bool activates)
{
	*l = (layer){ .times = 1, .best = -1 };
	int pad = taps / 2, out = (size + 2 * pad - taps) / stride + 1;
	l->p = (igemm_problem){ .dtype = type, .tf32 = tf32, .n = batch, .h = size, .w = size, .c = c, .k = k, .r = taps, .s = taps, .stride_h = stride,
	                         .stride_w = stride, .pad_h = pad, .pad_w = pad, .dilation_h = 1, .dilation_w = 1, .p = out, .q = out };
	make_tail(l, adds, activates);
	snprintf(l->name, sizeof l->name, "%dx%d/%d %d-%d @%d%s", taps, taps, stride, c, k, size, adds ? " +" : "");
	return l;
}

/* ResNet-50's convolutions in order, the product at its end too. */
static int resnet(layer *l, int batch)
{
	static const int blocks[] = { 3, 4, 6, 3 };
	int n = 0, size = 56, c = 64;
	make_layer(&l[n++], batch, 224, 3, 64, 7, 2, false, true);
	for (int stage = 0; stage < 4; stage++)
		for (int b = 0; b < blocks[stage]; b++) {
			const int mid = 64 << stage, stride = stage && !b ? 2 : 1;
			if (!b) make_layer(&l[n++], batch, size, c, 4 * mid, 1, stride, false, false);
			make_layer(&l[n++], batch, size, c, mid, 1, 1, false, true);
			make_layer(&l[n++], batch, size, mid, mid, 3, stride, false, true);
			if (stride == 2) size /= 2;
			make_layer(&l[n++], batch, size, mid, c = 4 * mid, 1, 1, true, true);
		}
	make_layer(&l[n++], 1, 1, 2048, 1000, 1, 1, false, false);
	l[n - 1].p.w = l[n - 1].p.q = batch;
	return n;
}

static void choose_type(const char *name)
{
	type = !strcmp(name, "bf16") ? OG_BF16 : !strcmp(name, "f16") ? OG_F16 : OG_F32;
	tf32 = !strcmp(name, "tf32");
}

static int64_t in_count(const igemm_problem *p) { return (int64_t)p->n * p->h * p->w * p->c; }
static int64_t out_count(const igemm_problem *p) { return (int64_t)p->n * p->p * p->q * p->k; }
static double flops(const igemm_problem *p) { return 2.0 * (double)out_count(p) * p->c * p->r * p->s; }
static double bytes(const igemm_problem *p)
{
	return (p->dtype == OG_F32 ? 4 : 2) * ((double)in_count(p) + (double)out_count(p) * (1 + p->n_operands) + (double)p->k * p->c * p->r * p->s);
}

/* ---- memory of a problem ---------------------------------------------------------------------- */

typedef struct memory { void *in, *out, *more, *packed, *window; float *weights, *bias, *y; float *host, *host_bias; size_t packed_bytes; } memory;

static float small(unsigned *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (float)((int)(*seed >> 16 & 0x7f) - 64) / 64.0f;
}

static void pack_on_device(memory *m, const igemm_problem *p, const igemm_variant *v)
{
	size_t n = igemm_packed_bytes(p, v);
	void *host = malloc(n);
	if (!host) stop(1, "memory");
	igemm_pack(host, p, v, m->host, (int64_t)p->c * p->r * p->s, p->r * p->s, m->host_bias);
	need(cuda->cuMemcpyHtoD_v2(address(m->packed), host, n), "copying");
	free(host);
}

static void make_window(memory *m, const igemm_problem *p, int k)
{
	const igemm_window w = igemm_window_of(p);
	const int64_t steps[] = { (int64_t)p->h * p->w * p->c, 1, (int64_t)p->w * p->c, p->c };
	m->window = on_device(w.bytes);
	igemm_window_args args = igemm_window_bind(p, m->in, steps, m->window);
	void *arguments[] = { &args };
	need(cuda->cuMemsetD8_v2(address(m->window), 0xff, w.bytes), "filling");
	need(cuda->cuLaunchKernel(kernels[k].function, 1056, 1, 1, 256, 1, 1, 0, stream, arguments, NULL), "making a window");
}

static memory make_memory(const igemm_problem *p, const igemm_variant *v, int window, bool checked)
{
	const size_t es = p->dtype == OG_F32 ? 4 : 2, taps = (size_t)(p->r * p->s), n_w = (size_t)p->k * (size_t)p->c * taps;
	memory m = { .in = on_device((size_t)in_count(p) * es), .out = on_device((size_t)out_count(p) * es), .packed_bytes = 0 };
	unsigned seed = (unsigned)(p->c * 31 + p->k);
	m.packed = on_device((n_w + (size_t)p->k * taps * 64) * es + (1 << 20));
	m.host = malloc(n_w * 4);
	m.host_bias = malloc((size_t)p->k * 4);
	float *turned = malloc(n_w * 4);
	if (!m.host || !m.host_bias || !turned) stop(1, "memory");
	/* small enough that sums stay near 1, and a power of two, so that rounding to the type loses nothing */
	const float scale = exp2f(floorf(log2f(2.0f / sqrtf((float)(p->c * p->r * p->s)))));
	for (size_t k = 0; k < (size_t)p->k; k++)
		for (size_t c = 0; c < (size_t)p->c; c++)
			for (size_t t = 0; t < taps; t++)
				turned[(t * (size_t)p->c + c) * (size_t)p->k + k] = m.host[(k * (size_t)p->c + c) * taps + t] = scale * small(&seed);
	for (int k = 0; k < p->k; k++) m.host_bias[k] = small(&seed);
	judge(FILL, p, NULL, NULL, NULL, NULL, NULL, m.in, in_count(p), 1);
	if (p->n_operands) {
		m.more = on_device((size_t)out_count(p) * es);
		judge(FILL, p, NULL, NULL, NULL, NULL, NULL, m.more, out_count(p), 2);
	}
	if (v) pack_on_device(&m, p, v);
	if (v && v->way == IGEMM_WINDOW) make_window(&m, p, window);
	if (checked) {
		m.weights = on_device(n_w * 4);
		m.bias = on_device((size_t)p->k * 4);
		m.y = on_device((size_t)out_count(p) * 4);
		need(cuda->cuMemcpyHtoD_v2(address(m.weights), turned, n_w * 4), "copying");
		need(cuda->cuMemcpyHtoD_v2(address(m.bias), m.host_bias, (size_t)p->k * 4), "copying");
		judge(RIGHT, p, m.in, m.weights, m.bias, m.more, m.y, NULL, out_count(p), 0);
	}
	need(cuda->cuCtxSynchronize(), "preparing");
	free(turned);
	return m;
}

static void free_memory(memory *m)
{
	void *all[] = { m->in, m->out, m->more, m->packed, m->window, m->weights, m->bias, m->y };
	for (size_t k = 0; k < sizeof all / sizeof *all; k++)
		if (all[k]) cuda->cuMemFree_v2(address(all[k]));
	free(m->host);
	free(m->host_bias);
}

/* ---- checking and timing ---------------------------------------------------------------------- */

static void bind(igemm_args *a, const igemm_problem *p, const igemm_variant *v, const memory *m)
{
	igemm_places at = { .in = v->way == IGEMM_WINDOW ? m->window : m->in, .packed = m->packed, .operand = { m->more }, .out = m->out };
	must(igemm_bind(a, p, v, &encoders, &at));
}

static const char *variant_name(const igemm_variant *v)
{
	static char name[64];
	static const char *const ways[] = { "wgmma", "window", "mma", "fma" };
	snprintf(name, sizeof name, "%s%s %dx%d s%d b%d k%d", ways[v->way], v->turns ? " turns" : "", v->bm, v->bn, v->stages, v->blocks, v->split);
	return name;
}

static double check(const layer *l, int k, const memory *m)
{
	igemm_args a;
	double got[4] = { 0 };
	const igemm_launch how = igemm_launch_of(&l->p, &l->v[k], &device);
	bind(&a, &l->p, &l->v[k], m);
	judge(POISON, &l->p, NULL, NULL, NULL, NULL, NULL, m->out, out_count(&l->p), 0);
	need(cuda->cuMemcpyHtoD_v2(address(sums), got, sizeof got), "copying");
	launch(l->kernel[k], &how, &a, false);
	judge(COMPARE, &l->p, NULL, NULL, NULL, NULL, m->y, m->out, out_count(&l->p), 0);
	if (cuda->cuCtxSynchronize()) {
		printf("FAILED %s: %s\n", l->name, variant_name(&l->v[k]));
		need(cuda->cuCtxSynchronize(), "running a kernel");
	}
	need(cuda->cuMemcpyDtoH_v2(got, address(sums), sizeof got), "copying");
	double error = sqrt(got[1] / (got[0] > 0 ? got[0] : 1)), limit = l->p.dtype == OG_F16 ? 4e-4 : l->p.dtype == OG_BF16 ? 3e-3 : 2e-6;
	if (got[2] > 0 || !(error < limit)) {
		failures++;
		if (failures < 40) printf("WRONG %s n=%d: %s: error %.2e, worst %.2e, NaN %.0f of %lld\n", l->name, l->p.n, variant_name(&l->v[k]), error, got[3], got[2], (long long)out_count(&l->p));
	}
	return error;
}

static int by_value(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

/* Microseconds of one replay of a graph. */
static double replay(void *recorded)
{
	void *run, *from, *to;
	double us[REPLAYS];
	need(cuda->cuGraphInstantiateWithFlags(&run, recorded, 0), "a graph");
	need(cuda->cuEventCreate(&from, 0), "an event");
	need(cuda->cuEventCreate(&to, 0), "an event");
	need(cuda->cuGraphLaunch(run, stream), "a graph");
	for (int k = 0; k < REPLAYS; k++) {
		float ms;
		need(cuda->cuEventRecord(from, stream), "an event");
		need(cuda->cuGraphLaunch(run, stream), "a graph");
		need(cuda->cuEventRecord(to, stream), "an event");
		need(cuda->cuEventSynchronize(to), "a graph");
		need(cuda->cuEventElapsedTime(&ms, from, to), "an event");
		us[k] = 1000.0 * ms;
	}
	cuda->cuEventDestroy_v2(from);
	cuda->cuEventDestroy_v2(to);
	cuda->cuGraphExecDestroy(run);
	cuda->cuGraphDestroy(recorded);
	qsort(us, REPLAYS, sizeof *us, by_value);
	return us[REPLAYS / 2];
}

static double time_variant(const layer *l, int k, const memory *m)
{
	igemm_args a;
	void *recorded;
	const igemm_launch how = igemm_launch_of(&l->p, &l->v[k], &device);
	bind(&a, &l->p, &l->v[k], m);
	need(cuda->cuStreamBeginCapture_v2(stream, 0), "capturing");
	for (int i = 0; i < PER_GRAPH; i++) launch(l->kernel[k], &how, &a, overlap);
	need(cuda->cuStreamEndCapture(stream, &recorded), "capturing");
	return replay(recorded) / PER_GRAPH;
}

static void find_variants(layer *l)
{
	const igemm_device as = { general ? 8 : device.major, 0, device.processors, true, false };
	l->n = igemm_variants(l->v, MOST_VARIANTS, &l->p, &as);
	for (int k = 0; k < l->n; k++) l->kernel[k] = kernel_for(&l->p, &l->v[k]);
	if (l->n && l->v[0].way == IGEMM_WINDOW) l->window = window_kernel(&l->p, &l->v[0]);
}

static void tails(layer *l, int n)
{
	for (int k = 0; k < n; k++) l[k].p.tail = &l[k].tail;
}

static bool same_problem(const layer *a, const layer *b)
{
	return !strcmp(a->name, b->name) && a->p.n == b->p.n && a->p.q == b->p.q && a->tail.n_steps == b->tail.n_steps;
}

static void time_layer(layer *l)
{
	memory m = make_memory(&l->p, l->n ? &l->v[0] : NULL, l->window, true);
	int order[3] = { -1, -1, -1 };
	igemm_way packed = l->v[0].way;
	for (int k = 0; k < l->n; k++) {
		if (l->v[k].way != packed) pack_on_device(&m, &l->p, &l->v[k]);
		packed = l->v[k].way;
		double error = check(l, k, &m);
		l->us[k] = time_variant(l, k, &m);
		if (csv) fprintf(csv, "%d,%s,%s,%.2f,%.2e\n", l->p.r > 1 || l->p.h > 1 ? l->p.n : l->p.q, l->name, variant_name(&l->v[k]), l->us[k], error);
		for (int i = 0, at = k; i < 3 && at >= 0; i++)
			if (order[i] < 0 || l->us[at] < l->us[order[i]]) {
				int t = order[i];
				order[i] = at;
				at = t;
			}
	}
	free_memory(&m);
	l->best = order[0];
	if (l->best < 0) return;
	const double us = l->us[l->best];
	printf("%-24s x%d %8.2f us %6.0f TFLOP/s %6.0f GB/s ", l->name, l->times, us, flops(&l->p) / us * 1e-6, bytes(&l->p) / us * 1e-3);
	for (int i = 0; i < 3 && order[i] >= 0; i++) printf("  %s %.2f", variant_name(&l->v[order[i]]), l->us[order[i]]);
	printf("\n");
	fflush(stdout);
}

/* ---- what is run ------------------------------------------------------------------------------ */

/* All layers one after the other in one graph: x -> a -> b -> y, with the residual in x. What is between convolutions is left out. */
static void run_chain(layer *l, int n, int batch)
{
	static memory m[MOST_LAYERS];
	static igemm_args a[MOST_LAYERS];
	void *buffer[4];
	size_t most = 0;
	for (int k = 0; k < n; k++) if ((size_t)out_count(&l[k].p) > most) most = (size_t)out_count(&l[k].p);
	for (int k = 0; k < 4; k++) {
		buffer[k] = on_device(most * 4);
		need(cuda->cuMemsetD8_v2(address(buffer[k]), 0x2c, most * 2), "filling");
	}
	for (int k = 0; k < n; k++) {
		m[k] = make_memory(&l[k].p, &l[k].v[l[k].best], l[k].window, false);
		void *own[] = { m[k].in, m[k].out, m[k].more };
		for (int i = 0; i < 3; i++) if (own[i]) cuda->cuMemFree_v2(address(own[i]));
		m[k].in = buffer[k % 2];
		m[k].out = buffer[l[k].p.n_operands ? 3 : (k + 1) % 2];
		m[k].more = buffer[2];
		bind(&a[k], &l[k].p, &l[k].v[l[k].best], &m[k]);
	}
	for (int mode = 0; mode < 2; mode++) {
		void *recorded;
		need(cuda->cuStreamBeginCapture_v2(stream, 0), "capturing");
		for (int k = 0; k < n; k++) {
			igemm_launch how = igemm_launch_of(&l[k].p, &l[k].v[l[k].best], &device);
			launch(l[k].kernel[l[k].best], &how, &a[k], mode && k > 0);
		}
		need(cuda->cuStreamEndCapture(stream, &recorded), "capturing");
		printf("batch %d: chain of all layers in one graph%s: %.1f us\n", batch, mode ? ", overlapping" : "", replay(recorded));
	}
	for (int k = 0; k < n; k++) {
		m[k].in = m[k].out = m[k].more = NULL;
		free_memory(&m[k]);
	}
	for (int k = 0; k < 4; k++) cuda->cuMemFree_v2(address(buffer[k]));
}

static void run_network(int batch, bool chain)
{
	static layer l[MOST_LAYERS];
	double sum = 0;
	int n = resnet(l, batch);
	tails(l, n);
	for (int k = 0; k < n; k++) find_variants(&l[k]);
	compile_all();
	printf("ResNet-50, batch %d, %s\n", batch, tail_name);
	for (int k = 0; k < n; k++) {
		for (int i = 0; i < k && l[k].best < 0; i++)
			if (same_problem(&l[i], &l[k])) {
				l[k].best = l[i].best;
				l[k].us[l[k].best] = l[i].us[l[i].best];
			}
		if (l[k].best < 0) {
			l[k].times = 0;
			for (int i = k; i < n; i++) l[k].times += same_problem(&l[i], &l[k]);
			time_layer(&l[k]);
		}
		if (l[k].best < 0) stop(1, "a layer has no way");
		sum += l[k].us[l[k].best];
	}
	printf("batch %d: sum of the fastest %.1f us\n", batch, sum);
	if (chain) run_chain(l, n, batch);
}

static void run_odd(int count)
{
	layer *l = calloc((size_t)count, sizeof *l);
	unsigned seed = 12345;
	int checked = 0, served = 0;
	if (!l) stop(1, "memory");
#define PICK(n) ((int)((seed = seed * 1664525u + 1013904223u) >> 16) % (n))
	for (int i = 0; i < count; i++) {
		int taps_h = 1 + PICK(4), taps_w = 1 + PICK(4), stride = 1 + PICK(3), dil = 1 + PICK(2);
		bool aligned = PICK(4) != 0, adds = PICK(2), few = PICK(6) == 0;
		int c = few ? 1 + PICK(4) : aligned ? 8 * (1 + PICK(40)) : 1 + PICK(150), k = aligned || few ? 8 * (1 + PICK(40)) : 1 + PICK(200);
		int h = taps_h * dil + PICK(40), w = taps_w * dil + PICK(40);
		const int images = 1 + PICK(5), activates = PICK(2);
		make_layer(&l[i], images, 1, c, k, 1, 1, adds, activates);
		igemm_problem *p = &l[i].p;
		p->h = h, p->w = w, p->r = taps_h, p->s = taps_w, p->dilation_h = p->dilation_w = dil;
		p->pad_h = PICK(taps_h), p->pad_w = PICK(taps_w), p->stride_h = stride, p->stride_w = 1 + PICK(3);
		p->p = (h + 2 * p->pad_h - (taps_h - 1) * dil - 1) / p->stride_h + 1;
		p->q = (w + p->pad_w + PICK(2) * p->pad_w - (taps_w - 1) * dil - 1) / p->stride_w + 1;
		snprintf(l[i].name, sizeof l[i].name, "%dx%d/%d,%d d%d p%d,%d %d-%d @%dx%d", p->r, p->s, p->stride_h, p->stride_w, dil, p->pad_h, p->pad_w, c, k, h, w);
	}
	tails(l, count);
	const int processors = device.processors;
	for (int i = 0; i < count; i++) {            /* as on a small device: blocks have many tiles, and take turns */
		device.processors = i % 2 ? processors : 6;
		find_variants(&l[i]);
	}
	compile_all();
	for (int i = 0; i < count; i++) {
		if (!l[i].n) continue;
		device.processors = i % 2 ? processors : 6;
		served++;
		memory m = make_memory(&l[i].p, &l[i].v[0], l[i].window, true);
		igemm_way packed = l[i].v[0].way;
		for (int k = 0; k < l[i].n; k++) {
			if (l[i].v[k].way != packed) pack_on_device(&m, &l[i].p, &l[i].v[k]);
			packed = l[i].v[k].way;
			check(&l[i], k, &m);
			checked++;
		}
		free_memory(&m);
	}
	device.processors = processors;
	printf("odd shapes: %d of %d have a way, %d variants checked, %d wrong\n", served, count, checked, failures);
	free(l);
}

/* ---- main ------------------------------------------------------------------------------------- */

static void open_nvrtc(void)
{
	arena *a = arena_create();
	if (!a || nvrtc_open(&nvrtc, a) != OG_OK) stop(NO_DEVICE, "no NVRTC");
}

static void open_all(void)
{
	void *library = dlopen("libcuda.so.1", RTLD_LAZY), *context;
	int ordinal;
	cuda = driver_open();
	open_nvrtc();
	if (!cuda || !library) stop(NO_DEVICE, "no CUDA driver");
	*(void **)&launch_ex = dlsym(library, "cuLaunchKernelEx");
	*(void **)&encoders.tiled = dlsym(library, "cuTensorMapEncodeTiled");
	*(void **)&encoders.im2col = dlsym(library, "cuTensorMapEncodeIm2col");
	need(cuda->cuInit(0), "starting");
	need(cuda->cuDeviceGet(&ordinal, 0), "finding a device");
	need(cuda->cuDevicePrimaryCtxRetain(&context, ordinal), "a context");
	need(cuda->cuCtxSetCurrent(context), "a context");
	need(cuda->cuStreamCreate(&stream, 1), "a stream");
	need(cuda->cuDeviceGetAttribute(&device.major, DRIVER_MAJOR, ordinal), "the device");
	need(cuda->cuDeviceGetAttribute(&device.minor, DRIVER_MINOR, ordinal), "the device");
	need(cuda->cuDeviceGetAttribute(&device.processors, DRIVER_PROCESSORS, ordinal), "the device");
	sums = on_device(4 * sizeof *sums);
	kernels[n_kernels++] = (kernel){ .source = (char *)(uintptr_t)judge_source };
	snprintf(kernels[0].target, 16, "%d%d", device.major, device.minor);
	compile_all();
}

/* Compiles every variant of ResNet-50's layers, for 9.0 or (general) 8.0: no device is needed. */
static int compile_only(const char *name_of_type, bool only_general)
{
	static layer l[MOST_LAYERS];
	pool *threads;
	open_nvrtc();
	device = (igemm_device){ only_general ? 8 : 9, 0, 132, false, false };
	choose_type(name_of_type);
	int n = resnet(l, 32);
	tails(l, n);
	for (int k = 0; k < n; k++) find_variants(&l[k]);
	must(pool_create(&threads, 0));
	pool_run(threads, n_kernels, 1, compile, &n_compiled);
	pool_destroy(threads);
	printf("%d kernels compiled\n", n_kernels);
	return 0;
}

int main(int argc, char **argv)
{
	enum { NONE, ODD, LAYERS, CHAIN, TYPE, TAIL, WAYS, CSV } what = NONE;
	static const char *const words[] = { "", "odd", "layers", "chain", "type", "tail", "ways", "csv" };
	if (argc > 1 && !strcmp(argv[1], "compile")) return compile_only(argc > 2 ? argv[2] : "f16", argc > 3);
	open_all();
	for (int i = 1; i < argc; i++) {
		int word = 0;
		for (int k = 1; k <= CSV; k++) if (!strcmp(argv[i], words[k])) word = k;
		if (word) what = word;
		else if (what == ODD) run_odd(atoi(argv[i]));
		else if (what == LAYERS || what == CHAIN) run_network(atoi(argv[i]), what == CHAIN);
		else if (what == WAYS) general = !strcmp(argv[i], "general");
		else if (what == TAIL) tail_name = argv[i];
		else if (what == CSV) csv = fopen(argv[i], "w");
		else if (what == TYPE) choose_type(argv[i]);
	}
	if (csv) fclose(csv);
	printf("%d failures\n", failures);
	return failures != 0;
}
