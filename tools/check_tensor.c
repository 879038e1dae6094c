/* check_tensor.c -- are convolutions and matrix products on the GPU right, and how fast is each way to run them?
 *
 *     build/tools/check_tensor [few VARIANTS] [seed SEED] [odd COUNT] [small COUNT] [layers BATCH...] [chain BATCH...] [type f16|bf16|tf32|f32]
 *                              [tail relu|swish|mish] [ways all|general] [csv FILE]
 *
 * odd: random shapes, every variant against a double-precision product; small: such that an emulated device is through with them soon. layers: ResNet-50's, every variant checked
 * and timed (replays of a graph of launches). chain: all of ResNet-50's convolutions, each by its fastest variant,
 * in one graph. Exit status 0: all right; 1: something is wrong; 5: no driver, device or NVRTC. Run it in the
 * repository's root. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_tensor_layers.h"

enum { PER_GRAPH = 16, REPLAYS = 5 };

static bool overlap = true;
static FILE *csv;
static int failures;

/* ---- memory of a problem ---------------------------------------------------------------------- */

typedef struct memory {
	void *in, *out, *more, *packed, *window;
	float *weights, *bias, *y;
	float *host, *host_bias;
	size_t packed_bytes;
} memory;

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
	need(cuda->cuLaunchKernel(kernels[k].function, 1056, 1, 1, 256, 1, 1, 0, stream, arguments, NULL),
	     "making a window");
}

static memory make_memory(const igemm_problem *p, const igemm_variant *v, int window, bool checked)
{
	const size_t es = p->dtype == OG_F32 ? 4 : 2, taps = (size_t)(p->r * p->s);
	const size_t n_w = (size_t)p->k * (size_t)p->c * taps;
	memory m = { .in = on_device((size_t)in_count(p) * es), .out = on_device((size_t)out_count(p) * es),
	             .packed_bytes = 0 };
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
				turned[(t * (size_t)p->c + c) * (size_t)p->k + k] = m.host[(k * (size_t)p->c + c) * taps + t] = scale *
					small(&seed);
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
	igemm_places at = { .in = v->way == IGEMM_WINDOW ? m->window : m->in, .packed = m->packed, .operand = { m->more },
	                    .out = m->out };
	must(igemm_bind(a, p, v, &encoders, &at));
}

static const char *variant_name(const igemm_variant *v)
{
	static char name[64];
	static const char *const ways[] = { "wgmma", "window", "mma", "fma" };
	snprintf(name, sizeof name, "%s%s %dx%d s%d b%d k%d", ways[v->way], v->turns ? " turns" : "",
	         v->bm, v->bn, v->stages, v->blocks, v->split);
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
	double error = sqrt(got[1] / (got[0] > 0 ? got[0] : 1));
	double limit = l->p.dtype == OG_F16 ? 4e-4 : l->p.dtype == OG_BF16 ? 3e-3 : 2e-6;
	if (got[2] > 0 || !(error < limit)) {
		failures++;
		if (failures < 40)
			printf("WRONG %s n=%d: %s: error %.2e, worst %.2e, NaN %.0f of %lld\n",
			       l->name, l->p.n, variant_name(&l->v[k]), error, got[3], got[2], (long long)out_count(&l->p));
	}
	return error;
}

static int by_value(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

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
		if (csv)
			fprintf(csv, "%d,%s,%s,%.2f,%.2e\n",
			        l->p.r > 1 || l->p.h > 1 ? l->p.n : l->p.q, l->name, variant_name(&l->v[k]), l->us[k], error);
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
	printf("%-24s x%d %8.2f us %6.0f TFLOP/s %6.0f GB/s ",
	       l->name, l->times, us, flops(&l->p) / us * 1e-6, bytes(&l->p) / us * 1e-3);
	for (int i = 0; i < 3 && order[i] >= 0; i++) printf("  %s %.2f", variant_name(&l->v[order[i]]), l->us[order[i]]);
	printf("\n");
	fflush(stdout);
}

/* ---- what is run ------------------------------------------------------------------------------ */

/* All layers one after the other in one graph: x -> a -> b -> y, with the residual in x. What is between
 * convolutions is left out. */
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
		printf("batch %d: chain of all layers in one graph%s: %.1f us\n", batch, mode ? ", overlapping" : "",
		       replay(recorded));
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

static unsigned first_seed = 12345;

static void run_odd(int count, bool small_ones)
{
	layer *l = calloc((size_t)count, sizeof *l);
	unsigned seed = first_seed;
	const int size = small_ones ? 9 : 40, channels = small_ones ? 12 : 40;
	int checked = 0, served = 0;
	if (!l) stop(1, "memory");
#define PICK(n) ((int)((seed = seed * 1664525u + 1013904223u) >> 16) % (n))
	for (int i = 0; i < count; i++) {
		int taps_h = 1 + PICK(4), taps_w = 1 + PICK(4), stride = 1 + PICK(3), dil = 1 + PICK(2);
		bool aligned = PICK(4) != 0, adds = PICK(2), pixels = PICK(6) == 0;
		int c = pixels ? 1 + PICK(4) : aligned ? 8 * (1 + PICK(channels)) : 1 + PICK(channels * 4);
		int k = aligned || pixels ? 8 * (1 + PICK(channels)) : 1 + PICK(channels * 5);
		int h = taps_h * dil + PICK(size), w = taps_w * dil + PICK(size);
		const int images = 1 + PICK(5), activates = PICK(2);
		make_layer(&l[i], images, 1, c, k, 1, 1, adds, activates);
		igemm_problem *p = &l[i].p;
		p->h = h, p->w = w, p->r = taps_h, p->s = taps_w, p->dilation_h = p->dilation_w = dil;
		p->pad_h = PICK(taps_h), p->pad_w = PICK(taps_w), p->stride_h = stride, p->stride_w = 1 + PICK(3);
		p->p = (h + 2 * p->pad_h - (taps_h - 1) * dil - 1) / p->stride_h + 1;
		p->q = (w + p->pad_w + PICK(2) * p->pad_w - (taps_w - 1) * dil - 1) / p->stride_w + 1;
		snprintf(l[i].name, sizeof l[i].name, "%dx%d/%d,%d d%d p%d,%d %d-%d @%dx%d",
		         p->r, p->s, p->stride_h, p->stride_w, dil, p->pad_h, p->pad_w, c, k, h, w);
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
	enum { NONE, ODD, SMALL, FEW, SEED, LAYERS, CHAIN, TYPE, TAIL, WAYS, CSV } what = NONE;
	static const char *const words[] = { "", "odd", "small", "few", "seed", "layers", "chain", "type", "tail", "ways", "csv" };
	if (argc > 1 && !strcmp(argv[1], "compile")) return compile_only(argc > 2 ? argv[2] : "f16", argc > 3);
	open_all();
	for (int i = 1; i < argc; i++) {
		int word = 0;
		for (int k = 1; k <= CSV; k++) if (!strcmp(argv[i], words[k])) word = k;
		if (word) what = word;
		else if (what == ODD || what == SMALL) run_odd(atoi(argv[i]), what == SMALL);
		else if (what == FEW) few = atoi(argv[i]);
		else if (what == SEED) first_seed = (unsigned)atoi(argv[i]);
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
