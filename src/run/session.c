/* session.c -- running a plan. Everything is allocated when the session is made; a run only sets pointers.
 *
 * A plan in slabs has all that its steps write once for each thread: a thread takes slabs until none is left. A batch that is
 * not whole slabs ends in one that overlaps the slab before; what both make is written by one of them only. */
#include <stdatomic.h>

#include "run/device_run.h"
#include "run/session.h"

typedef struct session_step { const og_tensor **in; og_tensor **out; backend_run run; } session_step;

/* What the steps of one run work on. */
typedef struct session_slot { og_tensor *values; session_step *steps; } session_slot;

struct og_session {
	arena *a;
	const og_plan *plan;
	pool *threads;
	session_slot *slots; int n_slots;
	int *moving; int n_moving;               /* values that lie in the caller's buffers */
	uint8_t **spare;                         /* per output: of the slab that overlaps another */
	const void *const *inputs; void *const *outputs;       /* the caller's */
	device_run *device;                      /* of a plan for a device: all of the above but `a` and `plan` is unused then */
};

/* ---- making --------------------------------------------------------------------------------- */

static og_status bind_step(const og_session *s, const session_slot *slot, session_step *to, const plan_step *from,
                           uint8_t *workspace)
{
	to->in = arena_array(s->a, (size_t)from->n_in + 1, sizeof *to->in);
	to->out = arena_array(s->a, (size_t)from->n_out + 1, sizeof *to->out);
	if (!to->in || !to->out) return base_no_memory();
	for (int k = 0; k < from->n_in; k++) to->in[k] = from->in[k] < 0 ? NULL : &slot->values[from->in[k]];
	for (int k = 0; k < from->n_out; k++) to->out[k] = from->out[k] < 0 ? NULL : &slot->values[from->out[k]];
	to->run = (backend_run){ .in = to->in, .out = to->out, .packed = from->packed, .workspace = workspace,
	                         .threads = s->plan->slab ? NULL : s->threads };
	return OG_OK;
}

static og_status make_slot(const og_session *s, session_slot *slot)
{
	const og_plan *p = s->plan;
	uint8_t *memory = arena_aligned(s->a, p->arena_bytes + p->workspace_bytes + 64, 64);
	slot->values = arena_array(s->a, (size_t)p->n_values + 1, sizeof *slot->values);
	slot->steps = arena_array(s->a, (size_t)p->n_steps + 1, sizeof *slot->steps);
	if (!memory || !slot->values || !slot->steps) return base_no_memory();
	for (int i = 0; i < p->n_values; i++) {
		const plan_value *root = &p->values[plan_root(p, i)];
		slot->values[i] = p->values[i].type;
		if (root->place == PLAN_ARENA) slot->values[i].data = memory + root->offset;
		else if (root->place == PLAN_CONSTANT) slot->values[i].data = root->type.data;
	}
	for (int i = 0; i < p->n_steps; i++)
		TRY(bind_step(s, slot, &slot->steps[i], &p->steps[i], memory + p->arena_bytes));
	return OG_OK;
}

static og_status prepare(og_session *s, int threads)
{
	const og_plan *p = s->plan;
	TRY(pool_create(&s->threads, threads ? threads : p->threads));
	s->n_slots = plan_slots(p, pool_threads(s->threads));
	s->slots = arena_array(s->a, (size_t)s->n_slots, sizeof *s->slots);
	s->moving = arena_array(s->a, (size_t)p->n_values + 1, sizeof *s->moving);
	s->spare = arena_array(s->a, (size_t)p->n_outputs + 1, sizeof *s->spare);
	if (!s->slots || !s->moving || !s->spare) return base_no_memory();
	for (int i = 0; i < p->n_values; i++) {
		plan_place place = p->values[plan_root(p, i)].place;
		if (place == PLAN_INPUT || place == PLAN_OUTPUT) s->moving[s->n_moving++] = i;
	}
	for (int i = 0; p->slab && p->batch % p->slab && i < p->n_outputs; i++) {
		s->spare[i] = arena_aligned(s->a, p->values[p->outputs[i]].bytes + 64, 64);
		NEED(s->spare[i]);
	}
	for (int i = 0; i < s->n_slots; i++) TRY(make_slot(s, &s->slots[i]));
	return OG_OK;
}

og_status session_ready(const char *name, int ordinal)
{
	const backend *b = plan_backend(name);
	void *device = NULL;
	if (!b) return OG_MISSING;
	if (!b->device) return OG_OK;
	og_status status = b->device->open(&device, ordinal, NULL, 0);
	b->device->close(device);
	return status;
}

og_status session_create_on(og_session **out, const og_plan *plan, int threads, int ordinal)
{
	*out = NULL;
	if (threads < 0 || threads > plan->threads)
		return base_fail(OG_USAGE, "the plan was built for at most %d threads, not %d", plan->threads, threads);
	arena *a = arena_create();
	og_session *s = a ? arena_alloc(a, sizeof *s) : NULL;
	if (!s) {
		arena_destroy(a);
		return base_no_memory();
	}
	s->a = a;
	s->plan = plan;
	og_status status = plan->backend->device ? device_run_create(&s->device, plan, ordinal) : prepare(s, threads);
	if (status != OG_OK) og_session_free(s);
	else *out = s;
	return status;
}

og_status og_session_create(og_session **out, const og_plan *plan, int threads) { return session_create_on(out, plan, threads, 0); }

void og_session_free(og_session *s)
{
	if (!s) return;
	device_run_free(s->device);
	pool_destroy(s->threads);
	arena_destroy(s->a);
}

int og_session_threads(const og_session *s) { return pool_threads(s->threads); }

/* ---- running -------------------------------------------------------------------------------- */

static og_status check_buffers(const og_session *s, const void *const *inputs, void *const *outputs)
{
	const og_plan *p = s->plan;
	for (int i = 0; i < p->n_inputs; i++) {
		const plan_value *v = &p->values[p->inputs[i]];
		if (!inputs[i] && v->bytes) return base_fail(OG_USAGE, "input '%s' is missing", v->name);
		bool readable = !s->device || p->backend->device->device_of(inputs[i]) < 0;
		if (p->bound[i] && v->bytes && readable && memcmp(inputs[i], p->bound[i]->data, v->bytes)) {
			return base_fail(OG_USAGE, "input '%s' decides shapes and was bound to another value when the plan was built; "
			                 "build again with this value", v->name);
		}
	}
	for (int i = 0; i < p->n_outputs; i++) {
		const plan_value *v = &p->values[p->outputs[i]];
		if (!outputs[i] && v->bytes) return base_fail(OG_USAGE, "there is no buffer for output '%s'", v->name);
	}
	return OG_OK;
}

static og_status set_buffers(og_session *s, const void *const *inputs, void *const *outputs)
{
	TRY(check_buffers(s, inputs, outputs));
	s->inputs = inputs;
	s->outputs = outputs;
	return OG_OK;
}

/* Bytes of a sample of an input or output. */
static size_t sample_bytes(const og_plan *p, const plan_value *v) { return p->slab ? v->bytes / (size_t)p->slab : 0; }

/* The first sample of slab k. */
static int64_t first_sample(const og_plan *p, int64_t k)
{
	int64_t first = k * p->slab;
	return first + p->slab <= p->batch ? first : p->batch - p->slab;
}

/* Slab k lies over the end of the one before it. */
static bool overlaps(const og_plan *p, int64_t k) { return first_sample(p, k) != k * p->slab; }

/* Points the slot at slab k in the caller's buffers. */
static void place_slab(const og_session *s, const session_slot *slot, int64_t k)
{
	const og_plan *p = s->plan;
	for (int i = 0; i < s->n_moving; i++) {
		const plan_value *root = &p->values[plan_root(p, s->moving[i])];
		bool in = root->place == PLAN_INPUT;
		const uint8_t *at = in ? s->inputs[root->slot] : s->outputs[root->slot];
		if (!in && overlaps(p, k)) at = s->spare[root->slot];
		else if (at) at += (size_t)first_sample(p, k) * sample_bytes(p, root);
		slot->values[s->moving[i]].data = (void *)(uintptr_t)at;
	}
}

/* Copies what slab k has made that the one before it has not. */
static void copy_spare(const og_session *s, int64_t k)
{
	const og_plan *p = s->plan;
	for (int i = 0; overlaps(p, k) && i < p->n_outputs; i++) {
		const plan_value *v = &p->values[p->outputs[i]];
		size_t sample = sample_bytes(p, v), made = (size_t)(k * p->slab) * sample;
		size_t known = (size_t)(k * p->slab - first_sample(p, k)) * sample;
		if (v->bytes > known) memcpy((uint8_t *)s->outputs[i] + made, s->spare[i] + known, v->bytes - known);
	}
}

static og_status run_step(const og_session *s, const session_slot *slot, int i)
{
	const backend_kernel *kernel = &s->plan->steps[i].kernel;
	og_status status = kernel->run(kernel, &slot->steps[i].run);
	return status == OG_OK ? OG_OK : base_fail_in(status, "step '%s'", s->plan->steps[i].name);
}

static og_status run_slab(const og_session *s, const session_slot *slot, int64_t k)
{
	place_slab(s, slot, k);
	for (int i = 0; i < s->plan->n_steps; i++) TRY(run_step(s, slot, i));
	copy_spare(s, k);
	return OG_OK;
}

typedef struct slabs { const og_session *s; int64_t n; _Atomic int64_t next, failed; } slabs;

/* Item: a slot, which takes slabs until none is left. */
static void run_slots(void *arg, int64_t begin, int64_t end)
{
	slabs *all = arg;
	int64_t k;
	for (int64_t slot = begin; slot < end; slot++)
		while ((k = atomic_fetch_add_explicit(&all->next, 1, memory_order_relaxed)) < all->n)
			if (run_slab(all->s, &all->s->slots[slot], k) != OG_OK) atomic_store(&all->failed, k);
}

og_status og_session_run(og_session *s, const void *const *inputs, void *const *outputs)
{
	TRY(set_buffers(s, inputs, outputs));
	if (s->device) return device_run_once(s->device, inputs, outputs, NULL);
	if (!s->plan->slab) return run_slab(s, &s->slots[0], 0);
	slabs all = { .s = s, .n = plan_slabs(s->plan), .failed = -1 };
	pool_run(s->threads, s->n_slots, 1, run_slots, &all);
	int64_t failed = atomic_load(&all.failed);
	return failed < 0 ? OG_OK : run_slab(s, &s->slots[0], failed);      /* again, for its sentence: that is a thread's own */
}

og_status og_session_run_on(og_session *s, const void *const *inputs, void *const *outputs, void *stream)
{
	if (!s->device || !stream) return base_fail(OG_USAGE, "%s", s->device ? "a stream is missing" : "the plan is for the CPU, which has no streams");
	TRY(set_buffers(s, inputs, outputs));
	return device_run_once(s->device, inputs, outputs, stream);
}

og_status session_alloc(og_session *s, void **p, size_t bytes) { return device_run_alloc(s->device, p, bytes); }
void session_release(og_session *s, void *p) { if (p) device_run_release(s->device, p); }
og_status session_copy(og_session *s, void *to, const void *from, size_t bytes) { return device_run_copy(s->device, to, from, bytes); }
og_status session_wait(og_session *s) { return device_run_wait(s->device); }

og_status og_session_time(og_session *s, const void *const *inputs, void *const *outputs, int runs, double *seconds)
{
	if (runs < 1) return base_fail(OG_USAGE, "runs must be at least 1, not %d", runs);
	TRY(set_buffers(s, inputs, outputs));
	if (s->device) return device_run_time(s->device, inputs, outputs, runs, seconds);
	TRY(og_session_run(s, inputs, outputs));
	for (int i = 0; i < runs; i++) {
		double begin = base_now();
		TRY(og_session_run(s, inputs, outputs));
		seconds[i] = base_now() - begin;
	}
	return OG_OK;
}

/* ---- profiling ------------------------------------------------------------------------------ */

static double median(double *x, int n)
{
	for (int i = 1; i < n; i++) {            /* insertion sort: n is small */
		double t = x[i];
		int j = i;
		for (; j > 0 && x[j - 1] > t; j--) x[j] = x[j - 1];
		x[j] = t;
	}
	return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Of a plan in slabs: one thread runs them, and a step's time is that of all slabs. */
static og_status time_steps(og_session *s, const void *const *inputs, void *const *outputs, int runs, double *seconds)
{
	if (s->device) return device_run_profile(s->device, inputs, outputs, runs, seconds);
	TRY(og_session_run(s, inputs, outputs));                        /* warm */
	for (int r = 0; r < runs; r++)
		for (int64_t k = 0; k < plan_slabs(s->plan); k++) {
			place_slab(s, &s->slots[0], k);
			for (int i = 0; i < s->plan->n_steps; i++) {
				double start = base_now();
				TRY(run_step(s, &s->slots[0], i));
				seconds[(size_t)i * (size_t)runs + (size_t)r] += base_now() - start;
			}
			copy_spare(s, k);
		}
	return OG_OK;
}

og_status og_session_profile(og_session *s, const void *const *inputs, void *const *outputs, int runs,
                             og_step_profile **out, size_t *n)
{
	*out = NULL;
	*n = 0;
	if (runs < 1 || runs > 100000) return base_fail(OG_USAGE, "runs must lie between 1 and 100000, not %d", runs);
	size_t steps = (size_t)plan_n_steps(s->plan);
	double times = plan_times(s->plan);
	double *seconds = base_new(steps * (size_t)runs + 1, sizeof *seconds);
	og_step_profile *profile = base_new(steps + 1, sizeof *profile);
	og_status status = seconds && profile ? time_steps(s, inputs, outputs, runs, seconds) : base_no_memory();
	for (size_t i = 0; status == OG_OK && i < steps; i++) {
		const plan_step *step = plan_step_at(s->plan, (int)i);
		profile[i] = (og_step_profile){ .name = step->name, .op = step->label, .tactic = step->kernel.tactic,
		                                .seconds = median(seconds + i * (size_t)runs, runs), .flops = times * step->kernel.flops,
		                                .bytes = times * step->bytes };
	}
	base_free(seconds);
	if (status != OG_OK) {
		base_free(profile);
		return status;
	}
	*out = profile;
	*n = steps;
	return OG_OK;
}

void og_profile_free(og_step_profile *profile) { base_free(profile); }
