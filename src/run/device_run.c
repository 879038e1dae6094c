/* device_run.c -- running a plan on a device.
 *
 * A plan's kernels and weights are brought to the device once and shared by its sessions; weights that another plan lends are used where
 * that one has them. A session has memory and a stream of its own.
 * Steps in a row that run on the device are recorded once and replayed as one graph; a step that has no kernel there runs on the host
 * between two graphs, on copies. What is recorded holds pointers: memory of the caller that moves is recorded anew. */
#include <pthread.h>

#include "run/device_run.h"

/* Constants or packed weights. */
typedef struct weight { const void *host; size_t bytes; char *at; } weight;

/* A plan on a device. */
typedef struct resident resident;
struct resident {
	resident *next;
	const og_plan *plan;
	int ordinal;                         /* of the device */
	int users;
	resident *lender;                    /* of the plan that lends; NULL: none */
	void *device;
	char *memory;                        /* one block, for the weights that are not the lender's */
	weight *weights; int n_weights;
	int *value_at, *packed_at;           /* which weight a value, packed bytes of a step are; -1: none */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static resident *residents;              /* guarded by lock */

typedef struct device_step {
	const og_tensor **in; og_tensor **out;
	backend_run run;
	og_tensor *host;                     /* of a step on the host: copies of its inputs, then outputs, in declared types */
	const og_tensor **host_in; og_tensor **host_out;
} device_step;

/* Steps [from, to) that are one graph, or one step on the host. */
typedef struct segment { int from, to; void *graph; } segment;

struct device_run {
	arena *a;
	const og_plan *plan;
	const backend_device *d;
	resident *home;
	void *stream;
	char *memory;                        /* activations and workspace */
	og_tensor *values;
	device_step *steps;
	segment *segments; int n_segments;
	void **inputs, **outputs;            /* on the device: the session's own, made when they are first needed */
	void **given;                        /* inputs, then outputs, as they were when the segments were recorded */
	bool recorded;
	void *staging;                       /* of the host, for steps on the host */
};

/* Of activations: a kernel in place of all steps keeps them to itself. */
static size_t activations(const og_plan *p) { return p->whole ? 0 : p->arena_bytes; }
static size_t round_up(size_t n) { return (n + 255) & ~(size_t)255; }

/* ---- a plan on the device ----------------------------------------------------------------------- */

static void leave(resident *r);

static void end_resident(resident *r)
{
	const backend_device *d = r->plan->backend->device;
	if (r->device) d->release(r->device, r->memory);
	d->close(r->device);
	leave(r->lender);
	base_free(r->weights);
	base_free(r->value_at);
	base_free(r->packed_at);
	base_free(r);
}

static int add_weight(resident *r, const void *host, size_t bytes)
{
	r->weights[r->n_weights] = (weight){ .host = host, .bytes = bytes };
	return r->n_weights++;
}

/* Lists what device steps read. */
static og_status list_weights(resident *r)
{
	const og_plan *p = r->plan;
	r->value_at = base_new((size_t)p->n_values + 1, sizeof *r->value_at);
	r->packed_at = base_new((size_t)plan_n_steps(p) + 1, sizeof *r->packed_at);
	r->weights = base_new((size_t)p->n_values + (size_t)plan_n_steps(p) + 1, sizeof *r->weights);
	if (!r->value_at || !r->packed_at || !r->weights) return base_no_memory();
	for (int i = 0; i < p->n_values; i++) r->value_at[i] = -1;
	for (int s = 0; s < plan_n_steps(p); s++) {
		const plan_step *step = plan_step_at(p, s);
		bool packed = step->packed && !step->kernel.on_host;
		r->packed_at[s] = packed ? add_weight(r, step->packed, step->kernel.packed_bytes) : -1;
		for (int k = 0; !step->kernel.on_host && k < step->n_in; k++) {
			int v = step->in[k] < 0 ? -1 : plan_root(p, step->in[k]);
			bool replaced = k < 32 && step->kernel.packs_input >> k & 1;
			if (v < 0 || replaced || p->values[v].place != PLAN_CONSTANT || r->value_at[v] >= 0) continue;
			r->value_at[v] = add_weight(r, p->values[v].type.data, p->values[v].bytes);
		}
	}
	return OG_OK;
}

/* Where the lender has the same bytes; NULL: nowhere. */
static char *find_lent(const resident *lender, const weight *w)
{
	for (int i = 0; lender && i < lender->n_weights; i++) {
		const weight *o = &lender->weights[i];
		if (o->bytes == w->bytes && (o->host == w->host || !memcmp(o->host, w->host, w->bytes))) return o->at;
	}
	return NULL;
}

/* Makes room for those that nobody lends, and copies them. */
static og_status bring_weights(resident *r)
{
	const backend_device *d = r->plan->backend->device;
	size_t bytes = 0;
	void *memory, *stream;
	for (int i = 0; i < r->n_weights; i++) {
		r->weights[i].at = find_lent(r->lender, &r->weights[i]);
		if (!r->weights[i].at) bytes += round_up(r->weights[i].bytes);
	}
	TRY(d->alloc(r->device, &memory, bytes));
	char *at = r->memory = memory;
	TRY(d->stream_create(r->device, &stream));
	og_status status = OG_OK;
	for (int i = 0; status == OG_OK && i < r->n_weights; i++) {
		weight *w = &r->weights[i];
		if (w->at) continue;
		w->at = at;
		at += round_up(w->bytes);
		status = d->copy(r->device, stream, w->at, w->host, w->bytes);
	}
	if (status == OG_OK) status = d->wait(r->device, stream);
	d->stream_free(r->device, stream);
	return status;
}

/* With the lock. */
static og_status take(resident **out, const og_plan *p, int ordinal)
{
	resident *r = residents;
	while (r && (r->plan != p || r->ordinal != ordinal)) r = r->next;
	if (!r) {
		r = base_new(1, sizeof *r);
		NEED(r);
		*r = (resident){ .plan = p, .ordinal = ordinal };
		og_status status = p->lender && p->lender->backend == p->backend ? take(&r->lender, p->lender, ordinal) : OG_OK;
		if (status == OG_OK) status = p->backend->device->open(&r->device, ordinal, p->image, p->image_bytes);
		if (status == OG_OK) status = list_weights(r);
		if (status == OG_OK) status = bring_weights(r);
		if (status != OG_OK) {
			end_resident(r);
			return status;
		}
		r->next = residents;
		residents = r;
	}
	r->users++;
	*out = r;
	return OG_OK;
}

/* With the lock. NULL is fine. */
static void leave(resident *r)
{
	if (!r || --r->users) return;
	resident **at = &residents;
	while (*at != r) at = &(*at)->next;
	*at = r->next;
	end_resident(r);
}

static og_status resident_of(resident **out, const og_plan *p, int ordinal)
{
	*out = NULL;
	pthread_mutex_lock(&lock);
	og_status status = take(out, p, ordinal);
	pthread_mutex_unlock(&lock);
	return status;
}

static void leave_resident(resident *r)
{
	pthread_mutex_lock(&lock);
	leave(r);
	pthread_mutex_unlock(&lock);
}

/* ---- making a session --------------------------------------------------------------------------- */

/* The elements of a 16-bit type as float32. */
static void widen(const og_tensor *to, og_dtype type, const uint16_t *from)
{
	float *y = to->data;
	for (int64_t k = 0, n = og_count(to); k < n; k++) y[k] = type == OG_F16 ? base_half_to_float(from[k]) : base_bfloat_to_float(from[k]);
}

/* A step on the host reads and writes copies, in the types that the CPU's kernel knows. */
static og_status make_host_step(device_run *r, device_step *to, const plan_step *from, size_t *staging)
{
	const og_plan *p = r->plan;
	size_t bytes = 0;
	to->host = arena_array(r->a, (size_t)(from->n_in + from->n_out) + 1, sizeof *to->host);
	to->host_in = arena_array(r->a, (size_t)from->n_in + 1, sizeof *to->host_in);
	to->host_out = arena_array(r->a, (size_t)from->n_out + 1, sizeof *to->host_out);
	if (!to->host || !to->host_in || !to->host_out) return base_no_memory();
	for (int k = 0; k < from->n_in + from->n_out; k++) {
		int v = k < from->n_in ? from->in[k] : from->out[k - from->n_in];
		og_tensor *t = &to->host[k];
		if (v < 0) continue;
		const plan_value *root = &p->values[plan_root(p, v)];
		*t = p->values[v].type;
		t->data = NULL;
		if (t->dtype == p->precision.storage) t->dtype = OG_F32;
		size_t size = base_dtype_span(t->dtype, (uint64_t)og_count(t));
		bool constant = root->place == PLAN_CONSTANT, same = t->dtype == p->values[v].type.dtype;
		if (constant && same) t->data = root->type.data;
		else t->data = arena_aligned(r->a, size + 64, 64);
		if (!t->data && size) return base_no_memory();
		if (constant && !same) widen(t, root->type.dtype, root->type.data);
		if (size > bytes) bytes = size;
		if (k < from->n_in) to->host_in[k] = t;
		else to->host_out[k - from->n_in] = t;
	}
	if (bytes > *staging) *staging = bytes;
	void *workspace = arena_aligned(r->a, from->kernel.workspace_bytes + 64, 64);
	NEED(workspace);
	to->run = (backend_run){ .in = to->host_in, .out = to->host_out, .packed = from->packed, .workspace = workspace };
	return OG_OK;
}

static og_status make_step(device_run *r, int i, size_t *staging)
{
	const plan_step *from = plan_step_at(r->plan, i);
	device_step *to = &r->steps[i];
	to->in = arena_array(r->a, (size_t)from->n_in + 1, sizeof *to->in);
	to->out = arena_array(r->a, (size_t)from->n_out + 1, sizeof *to->out);
	if (!to->in || !to->out) return base_no_memory();
	for (int k = 0; k < from->n_in; k++) to->in[k] = from->in[k] < 0 ? NULL : &r->values[from->in[k]];
	for (int k = 0; k < from->n_out; k++) to->out[k] = from->out[k] < 0 ? NULL : &r->values[from->out[k]];
	if (from->kernel.on_host) return make_host_step(r, to, from, staging);
	void *bound = arena_aligned(r->a, from->kernel.bound_bytes + 1, 64);
	NEED(bound);
	to->run = (backend_run){ .in = to->in, .out = to->out, .workspace = r->memory + round_up(activations(r->plan)), .device = r->home->device,
	                         .stream = r->stream, .bound = bound };
	if (r->home->packed_at[i] >= 0) to->run.packed = r->home->weights[r->home->packed_at[i]].at;
	return OG_OK;
}

static og_status make_segments(device_run *r)
{
	const og_plan *p = r->plan;
	r->segments = arena_array(r->a, (size_t)plan_n_steps(p) + 1, sizeof *r->segments);
	NEED(r->segments);
	for (int i = 0; i < plan_n_steps(p); i++) {
		segment *last = r->n_segments ? &r->segments[r->n_segments - 1] : NULL;
		if (last && !plan_step_at(p, i)->kernel.on_host && !plan_step_at(p, last->from)->kernel.on_host) last->to++;
		else r->segments[r->n_segments++] = (segment){ i, i + 1, NULL };
	}
	return OG_OK;
}

static og_status make(device_run *r, int ordinal)
{
	const og_plan *p = r->plan;
	void *memory;
	size_t staging = 0;
	TRY(resident_of(&r->home, p, ordinal));
	TRY(r->d->stream_create(r->home->device, &r->stream));
	TRY(r->d->alloc(r->home->device, &memory, round_up(activations(p)) + p->workspace_bytes));
	r->memory = memory;
	r->values = arena_array(r->a, (size_t)p->n_values + 1, sizeof *r->values);
	r->steps = arena_array(r->a, (size_t)plan_n_steps(p) + 1, sizeof *r->steps);
	r->inputs = arena_array(r->a, (size_t)p->n_inputs + 1, sizeof *r->inputs);
	r->outputs = arena_array(r->a, (size_t)p->n_outputs + 1, sizeof *r->outputs);
	r->given = arena_array(r->a, (size_t)(p->n_inputs + p->n_outputs) + 1, sizeof *r->given);
	if (!r->values || !r->steps || !r->inputs || !r->outputs || !r->given) return base_no_memory();
	for (int i = 0; i < p->n_values; i++) {
		int v = plan_root(p, i);
		r->values[i] = p->values[i].type;
		r->values[i].data = NULL;
		if (p->values[v].place == PLAN_ARENA && !p->whole) r->values[i].data = r->memory + p->values[v].offset;
		else if (r->home->value_at[v] >= 0) r->values[i].data = r->home->weights[r->home->value_at[v]].at;
	}
	for (int i = 0; i < plan_n_steps(p); i++) TRY(make_step(r, i, &staging));
	TRY(make_segments(r));
	return staging ? r->d->host_alloc(r->home->device, &r->staging, staging) : OG_OK;
}

static void forget_graphs(device_run *r)
{
	for (int i = 0; i < r->n_segments; i++) {
		r->d->graph_free(r->home->device, r->segments[i].graph);
		r->segments[i].graph = NULL;
	}
	r->recorded = false;
}

void device_run_free(device_run *r)
{
	if (!r) return;
	if (r->home) {
		void *device = r->home->device;
		forget_graphs(r);
		for (int i = 0; r->inputs && i < r->plan->n_inputs; i++) r->d->release(device, r->inputs[i]);
		for (int i = 0; r->outputs && i < r->plan->n_outputs; i++) r->d->release(device, r->outputs[i]);
		r->d->release(device, r->memory);
		r->d->host_release(device, r->staging);
		r->d->stream_free(device, r->stream);
	}
	leave_resident(r->home);
	arena_destroy(r->a);
}

og_status device_run_create(device_run **out, const og_plan *plan, int ordinal)
{
	arena *a = arena_create();
	device_run *r = a ? arena_alloc(a, sizeof *r) : NULL;
	*out = NULL;
	if (!r) {
		arena_destroy(a);
		return base_no_memory();
	}
	*r = (device_run){ .a = a, .plan = plan, .d = plan->backend->device };
	og_status status = make(r, ordinal);
	if (status == OG_OK) *out = r;
	else device_run_free(r);
	return status;
}

/* ---- running ------------------------------------------------------------------------------------ */

static og_status fail_in(const device_run *r, og_status status, int step)
{
	return status == OG_OK ? OG_OK : base_fail_in(status, "step '%s'", plan_step_at(r->plan, step)->name);
}

static og_status put_step(const device_run *r, int i, void *stream)
{
	const backend_kernel *kernel = &plan_step_at(r->plan, i)->kernel;
	r->steps[i].run.stream = stream;
	return fail_in(r, kernel->run(kernel, &r->steps[i].run), i);
}

/* Between a value on the device and its copy on the host, which may be of a wider type. */
static og_status fetch(const device_run *r, void *stream, const og_tensor *host, const og_tensor *device)
{
	size_t n = (size_t)og_count(host), bytes = base_dtype_span(device->dtype, (uint64_t)n);
	bool same = host->dtype == device->dtype;
	TRY(r->d->copy(r->home->device, stream, same ? host->data : r->staging, device->data, bytes));
	TRY(r->d->wait(r->home->device, stream));
	if (!same) widen(host, device->dtype, r->staging);
	return OG_OK;
}

static og_status give(const device_run *r, void *stream, const og_tensor *host, const og_tensor *device)
{
	size_t n = (size_t)og_count(host), bytes = base_dtype_span(device->dtype, (uint64_t)n);
	bool same = host->dtype == device->dtype;
	uint16_t *to = r->staging;
	const float *from = host->data;
	for (size_t k = 0; !same && k < n; k++) to[k] = device->dtype == OG_F16 ? base_float_to_half(from[k]) : base_float_to_bfloat(from[k]);
	TRY(r->d->copy(r->home->device, stream, device->data, same ? host->data : r->staging, bytes));
	return r->d->wait(r->home->device, stream);
}

static og_status run_on_host(const device_run *r, int i, void *stream)
{
	const plan_step *step = plan_step_at(r->plan, i);
	const device_step *s = &r->steps[i];
	for (int k = 0; k < step->n_in; k++) {
		bool constant = step->in[k] >= 0 && r->plan->values[plan_root(r->plan, step->in[k])].place == PLAN_CONSTANT;
		if (step->in[k] >= 0 && !constant) TRY(fetch(r, stream, s->host_in[k], s->in[k]));
	}
	TRY(fail_in(r, step->kernel.run(&step->kernel, &s->run), i));
	for (int k = 0; k < step->n_out; k++)
		if (step->out[k] >= 0) TRY(give(r, stream, s->host_out[k], s->out[k]));
	return OG_OK;
}

static og_status bind_steps(device_run *r)
{
	for (int i = 0; i < plan_n_steps(r->plan); i++) {
		const backend_kernel *kernel = &plan_step_at(r->plan, i)->kernel;
		if (!kernel->on_host && kernel->bind) TRY(fail_in(r, kernel->bind(kernel, &r->steps[i].run), i));
	}
	return OG_OK;
}

static og_status record(device_run *r)
{
	void *device = r->home->device;
	for (int i = 0; i < r->n_segments; i++) {
		segment *g = &r->segments[i];
		if (plan_step_at(r->plan, g->from)->kernel.on_host) continue;
		TRY(r->d->record_begin(device, r->stream));
		og_status status = OG_OK;
		for (int s = g->from; status == OG_OK && s < g->to; s++) status = put_step(r, s, r->stream);
		og_status ended = r->d->record_end(device, r->stream, &g->graph);
		if (status == OG_OK) status = ended;
		if (status != OG_OK) return status;
	}
	r->recorded = true;
	return OG_OK;
}

/* A buffer of the caller as one on the device: itself, or the session's. */
static og_status on_device(device_run *r, void **own, void **out, const void *given, size_t bytes)
{
	if (r->d->device_of(given) == r->home->ordinal && (uintptr_t)given % 16 == 0) {
		*out = (void *)(uintptr_t)given;
		return OG_OK;
	}
	if (!*own) TRY(r->d->alloc(r->home->device, own, bytes));
	*out = *own;
	return OG_OK;
}

/* Takes the caller's buffers, records anew where one has moved, and brings the inputs to the device. */
static og_status begin(device_run *r, const void *const *inputs, void *const *outputs, void *stream)
{
	const og_plan *p = r->plan;
	bool moved = !r->recorded, recording = r->d->is_recording(r->home->device, stream);
	for (int i = 0; i < p->n_inputs + p->n_outputs; i++) {
		bool in = i < p->n_inputs;
		int k = in ? i : i - p->n_inputs;
		void *at;
		TRY(on_device(r, in ? &r->inputs[k] : &r->outputs[k], &at, in ? inputs[k] : outputs[k], p->values[in ? p->inputs[k] : p->outputs[k]].bytes));
		moved |= at != r->given[i];
		r->given[i] = at;
	}
	if (moved) {
		forget_graphs(r);
		for (int i = 0; i < p->n_values; i++) {
			const plan_value *root = &p->values[plan_root(p, i)];
			if (root->place == PLAN_INPUT) r->values[i].data = r->given[root->slot];
			else if (root->place == PLAN_OUTPUT) r->values[i].data = r->given[p->n_inputs + root->slot];
		}
		TRY(bind_steps(r));
		if (!recording) TRY(record(r));      /* else the steps go into the caller's graph, one by one */
	}
	for (int i = 0; i < p->n_inputs; i++)
		if (r->given[i] != inputs[i]) TRY(r->d->copy(r->home->device, stream, r->given[i], inputs[i], p->values[p->inputs[i]].bytes));
	return OG_OK;
}

static og_status run_segments(const device_run *r, void *stream)
{
	bool recording = r->d->is_recording(r->home->device, stream);
	for (int i = 0; i < r->n_segments; i++) {
		const segment *g = &r->segments[i];
		bool host = plan_step_at(r->plan, g->from)->kernel.on_host;
		if (host && recording)
			return base_fail(OG_UNSUPPORTED, "step '%s' (%s) runs on the host, so the network cannot be recorded in a graph",
			                 plan_step_at(r->plan, g->from)->name, plan_step_at(r->plan, g->from)->label);
		if (host) {
			TRY(run_on_host(r, g->from, stream));
		} else if (recording) {
			for (int s = g->from; s < g->to; s++) TRY(put_step(r, s, stream));
		} else {
			TRY(r->d->replay(r->home->device, stream, g->graph));
		}
	}
	return OG_OK;
}

static og_status take_outputs(const device_run *r, void *const *outputs, void *stream)
{
	const og_plan *p = r->plan;
	for (int i = 0; i < p->n_outputs; i++) {
		const void *at = r->given[p->n_inputs + i];
		if (at != outputs[i]) TRY(r->d->copy(r->home->device, stream, outputs[i], at, p->values[p->outputs[i]].bytes));
	}
	return OG_OK;
}

og_status device_run_once(device_run *r, const void *const *inputs, void *const *outputs, void *stream)
{
	void *in = stream ? stream : r->stream;
	TRY(begin(r, inputs, outputs, in));
	TRY(run_segments(r, in));
	TRY(take_outputs(r, outputs, in));
	return stream ? OG_OK : r->d->wait(r->home->device, in);
}

og_status device_run_alloc(device_run *r, void **p, size_t bytes) { return r->d->alloc(r->home->device, p, bytes); }
void device_run_release(device_run *r, void *p) { r->d->release(r->home->device, p); }
og_status device_run_copy(device_run *r, void *to, const void *from, size_t bytes) { return r->d->copy(r->home->device, r->stream, to, from, bytes); }
og_status device_run_wait(device_run *r) { return r->d->wait(r->home->device, r->stream); }

/* Marks cost some microseconds themselves: what is shorter than SHORT seconds runs REPLAYS times between two. */
enum { REPLAYS = 10 };
static const double SHORT = 100e-6;

static og_status time_replays(const device_run *r, int replays, double *seconds)
{
	void *from, *to;
	TRY(r->d->mark(r->home->device, r->stream, &from));
	for (int i = 0; i < replays; i++) TRY(run_segments(r, r->stream));
	TRY(r->d->mark(r->home->device, r->stream, &to));
	TRY(r->d->between(r->home->device, from, to, seconds));
	*seconds /= replays;
	return OG_OK;
}

og_status device_run_time(device_run *r, const void *const *inputs, void *const *outputs, int runs, double *seconds)
{
	TRY(begin(r, inputs, outputs, r->stream));
	TRY(run_segments(r, r->stream));
	for (int k = 0; k < runs; k++) {
		TRY(time_replays(r, 1, &seconds[k]));
		if (seconds[k] < SHORT) TRY(time_replays(r, REPLAYS, &seconds[k]));
	}
	TRY(take_outputs(r, outputs, r->stream));
	return r->d->wait(r->home->device, r->stream);
}

og_status device_run_profile(device_run *r, const void *const *inputs, void *const *outputs, int runs, double *seconds)
{
	TRY(device_run_once(r, inputs, outputs, NULL));
	for (int k = 0; k < runs; k++)
		for (int i = 0; i < plan_n_steps(r->plan); i++) {
			void *from, *to;
			TRY(r->d->mark(r->home->device, r->stream, &from));
			TRY(plan_step_at(r->plan, i)->kernel.on_host ? run_on_host(r, i, r->stream) : put_step(r, i, r->stream));
			TRY(r->d->mark(r->home->device, r->stream, &to));
			TRY(r->d->between(r->home->device, from, to, &seconds[(size_t)i * (size_t)runs + (size_t)k]));
		}
	return take_outputs(r, outputs, r->stream);
}
