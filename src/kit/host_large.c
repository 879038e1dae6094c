/* host_large.c -- more elements than 32 bits can count. Values repeat themselves, so that what a formula makes of
 * them is known without as much memory on this side. */
#include "kit/host.h"

enum { PERIOD = 1 << 20 };
static const int64_t COUNT = (INT64_C(1) << 31) + PERIOD + 9;

typedef struct large {
	host *h;
	host_plugin p;
	host_case whole, small;
	host_combination f;
	trt_dims made;
	host_needs needs;
} large;

/* One dimension for all: the values of one period over and over, by copies that double. */
static bool repeat(host *h, const host_block *b, const void *period, size_t bytes)
{
	int error = h->cuda->cuMemcpyHtoD_v2(b->at, period, bytes);
	for (size_t done = bytes; done < b->bytes && !error; done *= 2)
		error = h->cuda->cuMemcpyDtoDAsync_v2(b->at + done, b->at, done < b->bytes - done ? done : b->bytes - done, NULL);
	return host_cuda_ok(h, error, "filling memory on the device");
}

/* Whole periods at the beginning and on both sides of 2^31 elements, and what is left at the end. */
static bool compare(large *g, const host_block *y, const og_tensor *want)
{
	const size_t size = og_dtype_bytes(want->dtype), bytes = (size_t)PERIOD * size;
	const int64_t places[] = { 0, INT64_C(1) << 30, (INT64_C(1) << 31) - PERIOD, INT64_C(1) << 31,
		                       (INT64_C(1) << 31) + PERIOD };
	int64_t outside;
	char *got = arena_alloc(g->h->a, bytes);
	if (!got) return host_fail(g->h, "memory ran out");
	for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
		size_t n = COUNT - places[k] < PERIOD ? (size_t)(COUNT - places[k]) * size : bytes;
		if (!host_cuda_ok(g->h, g->h->cuda->cuMemcpyDtoH_v2(got, y->at + (size_t)places[k] * size, n),
		                  "reading memory of the device"))
			return false;
		og_tensor is = { .dtype = want->dtype, .rank = 1, .dims = { (int64_t)(n / size) }, .data = got }, wanted = is;
		wanted.data = want->data;
		int64_t at = host_first_apart(&is, &wanted, true);
		if (at >= 0)
			return host_fail(g->h, "of %lld elements, element %lld differs from the CPU's", (long long)COUNT,
			                 (long long)(places[k] + at));
	}
	if (!host_block_get(g->h, y, NULL, &outside)) return false;
	return outside == HOST_WHOLE || host_fail(g->h, "of %lld elements, it writes byte %lld, outside its output",
	                                          (long long)COUNT, (long long)outside);
}

static bool run(large *g)
{
	host_launch l;
	host_data in, want;
	if (!host_fill(g->h, &in, &g->small, g->f.type, false)) return false;
	if (host_reference(g->h, &want, 1, &g->small, &in) != OG_OK) return host_fail(g->h, "%s", base_error());
	host_upon("%lld elements", (long long)COUNT);
	if (!host_launch_open(g->h, &l, &g->p, &g->whole, &g->made, &g->f, &g->needs, g->needs.tactic[0])) return false;
	for (int k = 0; k < l.n_in; k++)
		if (!repeat(g->h, &l.block[k], in.t[k].data, host_bytes(&in.t[k]))) return false;
	if (!host_block_set(g->h, &l.block[l.n_in], NULL, 0xff) ||
	    !host_cuda_ok(g->h, g->h->cuda->cuCtxSynchronize(), "filling memory on the device") ||
	    !host_launch_enqueue(&l) || !host_launch_wait(&l) || !compare(g, &l.block[l.n_in], &want.t[0]))
		return false;
	host_launch_close(&l);
	return true;
}

void host_check_large(host *h)
{
	large g = { .h = h };
	host_case *cases;
	host_combination *found;
	size_t n;
	int32_t status;
	if (!h->options->large) {
		host_skip(h, "it takes memory and time; ask for it with --large");
		return;
	}
	if (!h->op || !h->op->formula) {
		host_skip(h, "it is for elementwise ops that can be compared with the CPU");
		return;
	}
	if (!host_gpu(h) || !host_cases(h, &cases, &n)) return;
	g.whole = cases[0];
	for (int k = 0; k < g.whole.n_in; k++) g.whole.in[k] = (trt_dims){ .nbDims = 1, .d = { COUNT } };
	host_case_words(&g.whole);
	g.small = g.whole;
	for (int k = 0; k < g.small.n_in; k++) g.small.in[k].d[0] = PERIOD;
	if (!host_need(h, &g.p, &g.whole.given, TRT_PHASE_BUILD) ||
	    !host_output_shapes(h, &status, &g.p, &g.whole, &g.made))
		return;
	if (status || g.p.n_out != 1) {
		host_skip(h, "it does not take one dimension of that size");
		return;
	}
	if (!host_combinations(h, &found, &n, &g.p, &g.whole, &g.made, false)) return;
	for (size_t k = 0; k < n; k++) {         /* the shortest type */
		bool shorter = k == 0 || og_dtype_bytes(host_dtype(found[k].type[0])) < og_dtype_bytes(host_dtype(g.f.type[0]));
		if (found[k].format[0] == TRT_LINEAR && shorter) g.f = found[k];
	}
	if (n && host_configure(h, &g.p, &g.whole, &g.made, &g.f) &&
	    host_ask_needs(h, &g.needs, &g.p, &g.whole, &g.made, &g.f) && run(&g))
		host_note(h, "%lld elements of type %s", (long long)COUNT, host_type_name(g.f.type[0]));
}
