/* choose.c -- og_plan_build: a network in the forms that may be the fastest, of which the one that is gets kept.
 *
 * At once: each step takes the whole batch. In slabs: some samples at a time go through all steps, so that what lies between
 * steps stays in the caches, and threads take slabs without waiting for each other. By samples: slabs of one vector of
 * samples. */
#include <unistd.h>

#include "plan/plan_check.h"
#include "plan/timing_cache.h"

enum { L2_BYTES = 1 << 20, MOST_SLAB = 8, MOST_RUNS = 10 };
static const size_t MOST_WEIGHTS = 128 << 20;    /* of a network whose plan is built in more than one form */
/* Of timing a plan, after a run to warm up that counts where it takes so much longer that it is as good as the next. */
static const double MOST_SECONDS = 0.03, LONG_SECONDS = 0.3;

typedef struct chooser {
	const og_model *model;
	og_build_options o;
	const backend *device;
	int threads;
	og_model *whole;                     /* made ready for lowering, whole batch */
	bool one;                            /* there is no batch to cut, or too much weight: the first form is the only one */
	og_plan *best;
	arena *a;
	timing_cache *known;                 /* opened for the first timing */
	const char *path, *here;             /* of the cache, NULL: none; what all times depend on */
} chooser;

/* ---- how long a plan takes ------------------------------------------------------------------- */

static bool make_buffers(arena *a, const og_plan *p, const int *numbers, int n, void **buffers)
{
	for (int i = 0; i < n; i++) {
		og_tensor type = plan_type(p, numbers[i]);
		size_t bytes = layout_bytes(&type, LAYOUT_PLAIN, 1);
		buffers[i] = arena_aligned(a, bytes + 64, 64);
		if (!buffers[i]) return false;
		memset(buffers[i], 0, bytes);
	}
	return true;
}

/* The least time of a few runs, in nanoseconds. */
static og_status time_runs(uint64_t *ns, const og_plan *p, arena *a)
{
	void **in = arena_array(a, (size_t)p->n_inputs + 1, sizeof *in), **out = arena_array(a, (size_t)p->n_outputs + 1, sizeof *out);
	if (!in || !out || !make_buffers(a, p, p->inputs, p->n_inputs, in) || !make_buffers(a, p, p->outputs, p->n_outputs, out))
		return base_no_memory();
	og_session *s;
	TRY(og_session_create(&s, p, 0));
	const void *const *inputs = (const void *const *)in;
	double begin = base_now();
	og_status status = og_session_run(s, inputs, out);
	double least = base_now() - begin;
	begin = base_now();
	int most = least < LONG_SECONDS ? MOST_RUNS : 0;
	for (int i = 0; status == OG_OK && i < most && (i == 0 || base_now() - begin < MOST_SECONDS); i++) {
		double start = base_now();
		status = og_session_run(s, inputs, out);
		double took = base_now() - start;
		if (i == 0 || took < least) least = took;
	}
	og_session_free(s);
	*ns = (uint64_t)(least * 1e9) + 1;
	return status;
}

static og_status open_cache(chooser *c)
{
	const char *cache = c->o.timing_cache, *library = timing_cache_library(c->a);
	c->known = timing_cache_create();
	NEED(c->known && library);
	c->path = !cache ? NULL : cache[0] ? cache : timing_cache_path(c->a);
	c->here = arena_printf(c->a, "%s\n%s %s %s\n%d threads\nplan", library, c->device->name, c->device->features(),
	                       c->device->machine(), c->threads);
	NEED(c->here);
	og_status status = c->path ? timing_cache_read(c->known, c->path) : OG_OK;
	return status == OG_NO_MEMORY ? status : OG_OK;      /* any other fault was told when tactics were timed, or is the user's own */
}

static og_status close_cache(chooser *c)
{
	og_status status = c->known && c->path ? timing_cache_write(c->known, c->path) : OG_OK;
	timing_cache_free(c->known);
	return status == OG_NO_MEMORY || (c->path && c->o.timing_cache[0]) ? status : OG_OK;
}

/* The time of a run in nanoseconds, known or measured; 0: it is not known, and is not to be measured. */
static og_status find_time(uint64_t *ns, chooser *c, const og_plan *p)
{
	uint64_t digest;
	*ns = 0;
	if (c->o.timing == OG_TIMING_OFF) return OG_OK;
	if (!c->known) TRY(open_cache(c));
	TRY(plan_digest(&digest, p));
	const char *what = arena_printf(c->a, "%s %016llx", c->here, (unsigned long long)digest);
	NEED(what);
	*ns = timing_cache_get(c->known, what);
	if (*ns || c->o.timing != OG_TIMING_ON) return OG_OK;
	arena *a = arena_create();
	og_status status = a ? time_runs(ns, p, a) : base_no_memory();
	arena_destroy(a);
	return status == OG_OK ? timing_cache_put(c->known, what, *ns) : status;
}

/* The same by the kernels' own guesses. */
static double guess_time(const chooser *c, const og_plan *p)
{
	double sum = 0;
	int64_t slots = plan_slots(p, c->threads);
	for (int i = 0; i < p->n_steps; i++) sum += p->steps[i].kernel.cost;
	return sum * (double)((plan_slabs(p) + slots - 1) / slots);
}

/* ---- forms ---------------------------------------------------------------------------------- */

/* Samples of a plan that takes all at once; 0: its inputs have no batch of two or more. */
static int64_t batch_of(const og_plan *p)
{
	int64_t batch = 0;
	for (int i = 0; i < p->n_inputs; i++) {
		const og_tensor *t = &p->values[p->inputs[i]].type;
		if (p->bound[i] || t->rank < 1 || (batch && t->dims[0] != batch)) return 0;
		batch = t->dims[0];
	}
	return batch > 1 ? batch : 0;
}

/* False when batch_of will be 0, as far as one input tells. */
static bool has_batch(const og_model *m)
{
	bool more = false;
	for (int i = 0; i < m->main->n_inputs; i++) {
		const graph_value *v = m->main->inputs[i];
		more |= !v->constant && v->rank > 0 && v->dims[0] > 1;
	}
	return more;
}

/* The plan of that form; NULL when the network cannot be run so. */
static og_status build_form(og_plan **out, const chooser *c, plan_form form)
{
	og_model *cut = NULL;
	og_build_options o = c->o;
	*out = NULL;
	o.dump = NULL;
	og_status status = form.slab ? plan_model(&cut, c->model, &o, c->device, &form) : OG_OK;
	if (status == OG_OK && cut && !plan_same_network(c->whole, cut)) status = OG_NO;
	if (status == OG_OK) status = plan_of_form(out, cut ? cut : c->whole, &c->o, c->device, c->threads, &form);
	graph_model_destroy(cut);
	if (status == OG_OK && !plan_check_slabs(*out)) return OG_OK;
	og_plan_free(*out);
	*out = NULL;
	return status == OG_NO_MEMORY ? status : OG_OK;
}

/* True when most work is done with samples as lanes: a last product may be faster packed. Whole plans are timed in any case.
 * With one lane all layouts are the same. */
static bool is_by_samples(const og_plan *p)
{
	double all = 0, there = 0;
	for (int i = 0; i < p->n_steps; i++) {
		all += p->steps[i].kernel.flops;
		if (p->steps[i].kernel.out_layout == LAYOUT_SAMPLES) there += p->steps[i].kernel.flops;
	}
	return there > 0.5 * all || p->backend->lanes() == 1;
}

static og_status build_by_samples(og_plan **out, const chooser *c)
{
	TRY(build_form(out, c, (plan_form){ .slab = c->device->lanes(), .inputs = LAYOUT_SAMPLES }));
	if (!*out) TRY(build_form(out, c, (plan_form){ .inputs = LAYOUT_SAMPLES }));
	if (!*out || is_by_samples(*out)) return OG_OK;
	og_plan_free(*out);
	*out = NULL;
	return OG_OK;
}

static og_status build_in_slabs(og_plan **out, const chooser *c, int64_t batch, size_t most_bytes)
{
	size_t sample = c->best->arena_bytes / (size_t)batch + 1;
	int64_t slab = sample < most_bytes ? (int64_t)(most_bytes / sample) : 1;
	if (slab > MOST_SLAB) slab = MOST_SLAB;
	if (slab > (batch + 1) / 2) slab = (batch + 1) / 2;
	return build_form(out, c, (plan_form){ .slab = slab, .inputs = LAYOUT_PLAIN });
}

/* ---- choosing ------------------------------------------------------------------------------- */

/* Keeps the faster one; `p` may be NULL. */
static og_status consider(chooser *c, og_plan *p)
{
	uint64_t old = 0, new = 0;
	if (!p) return OG_OK;
	og_status status = find_time(&old, c, c->best);
	if (status == OG_OK) status = find_time(&new, c, p);
	bool faster = old && new ? new < old : guess_time(c, p) < guess_time(c, c->best);
	if (status == OG_OK && faster) {
		og_plan *slower = c->best;
		c->best = p;
		p = slower;
	}
	og_plan_free(p);
	return status;
}

/* The batch fills its vectors, weights stay in L3, and what lies between steps of one vector of samples fits L2. */
static bool suits_samples(const chooser *c, int64_t batch)
{
	int64_t lanes = c->device->lanes(), blocks = (batch + lanes - 1) / lanes;
	if (c->best->weights_bytes > 4 * (size_t)L2_BYTES) return false;
	return lanes > 1 && 4 * batch >= 3 * blocks * lanes && c->best->arena_bytes / (size_t)batch * (size_t)lanes <= L2_BYTES;
}

static og_status choose(chooser *c)
{
	int64_t batch = batch_of(c->best);
	og_plan *p = NULL;
	bool automatic = !c->o.batching || !strcmp(c->o.batching, "auto");
	if (automatic && (c->one || !batch)) return OG_OK;
	if (automatic) {
		TRY(build_in_slabs(&p, c, batch, L2_BYTES / 2));
		TRY(consider(c, p));
		if (!suits_samples(c, batch)) return OG_OK;
		TRY(build_by_samples(&p, c));
		return consider(c, p);
	}
	if (!strcmp(c->o.batching, "whole")) return OG_OK;
	bool samples = !strcmp(c->o.batching, "samples");
	if (!samples && strcmp(c->o.batching, "slabs"))
		return base_fail(OG_USAGE, "batching '%s' is not known; use auto, whole, slabs or samples", c->o.batching);
	if (batch && !c->device->device) TRY(samples ? build_by_samples(&p, c) : build_in_slabs(&p, c, batch, L2_BYTES / 2));
	if (!p) return base_fail(OG_UNSUPPORTED, "this network with these shapes cannot be run %s; build it with batching auto",
	                         samples ? "by samples" : "in slabs");
	og_plan_free(c->best);
	c->best = p;
	return OG_OK;
}

static og_status build(chooser *c)
{
	plan_form whole = { .inputs = LAYOUT_PLAIN };
	TRY(plan_model(&c->whole, c->model, &c->o, c->device, &whole));
	bool automatic = !c->o.batching || !strcmp(c->o.batching, "auto");
	c->one = automatic && (c->device->device || !has_batch(c->whole) || plan_constant_bytes(c->whole) > MOST_WEIGHTS);
	whole.last = c->one;
	TRY(plan_of_form(&c->best, c->whole, &c->o, c->device, c->threads, &whole));
	return choose(c);
}

og_status og_plan_build(og_plan **out, const og_model *model, const og_build_options *options)
{
	chooser c = { .model = model };
	*out = NULL;
	if (options) memcpy(&c.o, options, options->size < sizeof c.o ? options->size : sizeof c.o);
	if (c.o.threads < 0 || c.o.threads > 256)
		return base_fail(OG_USAGE, "threads must lie between 0 and 256, not %d", c.o.threads);
	c.device = plan_backend(c.o.device ? c.o.device : "cpu");
	if (!c.device) return OG_MISSING;
	c.threads = c.o.threads > 0 ? c.o.threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
	if ((unsigned)c.o.timing > OG_TIMING_OFF)
		return base_fail(OG_USAGE, "timing must be one of og_timing, not %d", (int)c.o.timing);
	c.a = arena_create();
	og_status status = c.a ? build(&c) : base_no_memory(), closed = close_cache(&c);
	if (status == OG_OK) status = closed;
	graph_model_destroy(c.whole);
	arena_destroy(c.a);
	if (status == OG_OK && c.o.share) plan_share(c.best, c.o.share);
	if (status == OG_OK) *out = c.best;
	else og_plan_free(c.best);
	return status;
}
