/* network.c -- a network's file, its inputs and outputs, and its plans: one for each shape and size of run, shared by all
 * instances that use it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan/plan.h"
#include "serve/serve.h"
#include "serve/triton_abi.h"

static const char plan_magic[] = "OGPLAN\r\n";
static const double TIMING_SECONDS = 0.02;       /* spent on the time of a plan, if one run is shorter */
enum { MOST_TIMED_RUNS = 50, PLAN_ALIGNMENT = 64 };

static pthread_mutex_t building = PTHREAD_MUTEX_INITIALIZER;
void serve_build_begin(void) { pthread_mutex_lock(&building); }
void serve_build_end(void) { pthread_mutex_unlock(&building); }

/* ---- the file ------------------------------------------------------------------------------------ */

static og_status copy_file(int from, const char *path, uint8_t *to, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t n = read(from, to + at, size - at);
		if (n < 0 && errno == EINTR) continue;
		if (n <= 0) return base_fail(OG_BAD_FILE, "%s: cannot be read: %s", path, n ? strerror(errno) : "it became shorter");
		at += (size_t)n;
	}
	return OG_OK;
}

/* Weights are used where they lie, in this copy. */
static og_status load_plan(serve_network *net, int from, size_t size)
{
	net->bytes = base_alloc_aligned(size, PLAN_ALIGNMENT);
	NEED(net->bytes);
	TRY(copy_file(from, net->path, net->bytes, size));
	return plan_load_memory(&net->plan, net->bytes, size, net->path);
}

static og_status load_model(serve_network *net, int from, size_t size)
{
	char *folder = arena_strdup(net->a, net->path), *slash = folder ? strrchr(folder, '/') : NULL;
	net->bytes = base_alloc(size + 1);
	NEED(folder && net->bytes);
	if (slash) *slash = '\0';
	TRY(copy_file(from, net->path, net->bytes, size));
	og_status status = og_model_load_memory(&net->model, net->bytes, size, slash ? folder : ".");
	return status == OG_OK ? OG_OK : base_fail_in(status, "%s", net->path);
}

static og_status load(serve_network *net)
{
	char magic[sizeof plan_magic - 1];
	struct stat about;
	int from = open(net->path, O_RDONLY | O_CLOEXEC);
	og_status status = OG_OK;
	if (from < 0) return base_fail(OG_MISSING, "%s: cannot be opened: %s", net->path, strerror(errno));
	if (fstat(from, &about) || !S_ISREG(about.st_mode)) status = base_fail(OG_BAD_FILE, "%s: is not a file", net->path);
	else if (about.st_size == 0) status = base_fail(OG_BAD_FILE, "%s: is empty", net->path);
	else if (pread(from, magic, sizeof magic, 0) == sizeof magic && !memcmp(magic, plan_magic, sizeof magic))
		status = load_plan(net, from, (size_t)about.st_size);
	else status = load_model(net, from, (size_t)about.st_size);
	close(from);
	return status;
}

/* ---- inputs and outputs -------------------------------------------------------------------------- */

static int type_of(og_dtype dtype)
{
	switch (dtype) {
#define X(number, name, ours) case OG_##ours: return number;
	TRITON_TYPE_MAP(X)
#undef X
	default: return 0;
	}
}

static og_status make_port(serve_port *to, const serve_network *net, const og_value_info *v, const char *what)
{
	*to = (serve_port){ .name = v->name, .dtype = v->dtype, .type = type_of(v->dtype), .rank = v->rank };
	if (!to->type)
		return base_fail(OG_UNSUPPORTED, "%s: %s '%s' is of type %s, which cannot be served", net->path, what, v->name,
		                 v->dtype ? og_dtype_name(v->dtype) : "unknown");
	for (int i = 0; i < v->rank; i++) {
		to->dims[i] = v->dims[i];
		to->symbols[i] = v->dim_names[i];
	}
	return OG_OK;
}

static og_status make_ports(serve_network *net)
{
	og_value_info v;
	net->n_inputs = net->plan ? og_plan_inputs(net->plan) : og_model_inputs(net->model);
	net->n_outputs = net->plan ? og_plan_outputs(net->plan) : og_model_outputs(net->model);
	net->inputs = arena_array(net->a, (size_t)net->n_inputs + 1, sizeof *net->inputs);
	net->outputs = arena_array(net->a, (size_t)net->n_outputs + 1, sizeof *net->outputs);
	NEED(net->inputs && net->outputs);
	for (int k = 0; k < net->n_inputs; k++) {
		TRY(net->plan ? og_plan_input(net->plan, k, &v) : og_model_input(net->model, k, &v));
		TRY(make_port(&net->inputs[k], net, &v, "input"));
		if (v.rank < 0)
			return base_fail(OG_UNSUPPORTED, "%s: input '%s' has no declared number of dimensions", net->path, v.name);
		if (net->plan && og_plan_bound(net->plan, k))
			return base_fail(OG_UNSUPPORTED, "%s: the value of input '%s' was bound when the plan was built, and a server cannot "
			                 "promise it; make it a constant of the model", net->path, v.name);
	}
	for (int k = 0; k < net->n_outputs; k++) {
		TRY(net->plan ? og_plan_output(net->plan, k, &v) : og_model_output(net->model, k, &v));
		TRY(make_port(&net->outputs[k], net, &v, "output"));
	}
	return OG_OK;
}

static bool same_symbol(const char *a, const char *b) { return !a || !b || !strcmp(a, b); }

/* As serve_network's: what all first dimensions are, if they are the same. */
static int64_t find_batch(const serve_network *net)
{
	const serve_port *first = &net->inputs[0];
	if (net->n_inputs == 0 || first->rank < 1 || first->dims[0] == 0) return -1;
	for (int k = 0; k < net->n_inputs + net->n_outputs; k++) {
		bool in = k < net->n_inputs;
		const serve_port *p = in ? &net->inputs[k] : &net->outputs[k - net->n_inputs];
		if (!in && p->rank < 0) continue;                    /* a plan will tell */
		if (p->rank < 1 || p->dims[0] != first->dims[0] || !same_symbol(p->symbols[0], first->symbols[0])) return -1;
		for (int i = 1; in && first->symbols[0] && i < p->rank; i++)
			if (p->symbols[i] && !strcmp(p->symbols[i], first->symbols[0])) return -1;
	}
	return first->dims[0] < 0 ? 0 : first->dims[0];
}

/* ---- opening and closing -------------------------------------------------------------------------- */

og_status serve_network_open(serve_network **out, const char *path, const serve_settings *settings)
{
	arena *a = arena_create();
	serve_network *net = a ? arena_alloc(a, sizeof *net) : NULL;
	*out = NULL;
	if (!net) {
		arena_destroy(a);
		return base_no_memory();
	}
	net->a = a;
	net->settings = *settings;
	pthread_mutex_init(&net->lock, NULL);
	net->path = arena_strdup(a, path);
	og_status status = net->path ? OG_OK : base_no_memory();
	serve_build_begin();
	for (int k = 0; status == OG_OK && k < settings->n_ops; k++) status = og_ops_load(settings->ops[k]);
	if (status == OG_OK) status = load(net);
	serve_build_end();
	if (status == OG_OK) status = make_ports(net);
	if (status == OG_OK) {
		net->batch = find_batch(net);
		*out = net;
	} else {
		serve_network_free(net);
	}
	return status;
}

void serve_network_free(serve_network *net)
{
	if (!net) return;
	og_plan_free(net->plan);
	og_model_free(net->model);
	base_free(net->bytes);
	pthread_mutex_destroy(&net->lock);
	arena_destroy(net->a);
}

bool serve_is_static(const serve_network *net)
{
	for (int k = 0; k < net->n_inputs; k++)
		for (int i = net->most > 0; i < net->inputs[k].rank; i++)
			if (net->inputs[k].dims[i] < 0) return false;
	return true;
}

/* ---- plans ---------------------------------------------------------------------------------------- */

static og_status build(og_plan **out, const serve_network *net, const serve_shape *shape, int64_t samples)
{
	og_binding *bound = base_new((size_t)net->n_inputs + 1, sizeof *bound);
	NEED(bound);
	for (int k = 0; k < net->n_inputs; k++) {
		bound[k] = (og_binding){ .name = net->inputs[k].name, .rank = net->inputs[k].rank };
		memcpy(bound[k].dims, shape->in[k], sizeof bound[k].dims);
		if (net->most > 0) bound[k].dims[0] = samples;
	}
	og_build_options o = { .size = sizeof o, .device = shape->device, .precision = net->settings.precision, .bindings = bound,
	                       .n_bindings = net->n_inputs, .threads = serve_threads(net),
	                       .timing = net->settings.no_timing ? OG_TIMING_OFF : OG_TIMING_ON,
	                       .timing_cache = net->settings.timing_cache ? net->settings.timing_cache : "",
	                       .share = shape->n_sizes ? shape->sizes[0].plan : NULL };
	og_status status = og_plan_build(out, net->model, &o);
	base_free(bound);
	return status;
}

/* The least time of some runs on zeros. */
static og_status time_runs(double *least, og_session *s, const serve_shape *shape, const serve_network *net, int64_t samples)
{
	double times[MOST_TIMED_RUNS];
	arena *a = arena_create();
	void **in = a ? arena_array(a, (size_t)net->n_inputs + 1, sizeof *in) : NULL;
	void **out = a ? arena_array(a, (size_t)net->n_outputs + 1, sizeof *out) : NULL;
	og_status status = in && out ? OG_OK : base_no_memory();
	for (int k = 0; status == OG_OK && k < net->n_inputs + net->n_outputs; k++) {
		bool input = k < net->n_inputs;
		size_t bytes = (size_t)samples * (input ? shape->in_bytes[k] : shape->out_bytes[k - net->n_inputs]);
		void *p = arena_aligned(a, bytes + 64, 64);
		if (!p) status = base_no_memory();
		else *(input ? &in[k] : &out[k - net->n_inputs]) = memset(p, 0, bytes);
	}
	int runs = 1;
	if (status == OG_OK) status = og_session_time(s, (const void *const *)in, out, runs, times);
	if (status == OG_OK && times[0] < TIMING_SECONDS) {
		runs = (int)(TIMING_SECONDS / (times[0] + TIMING_SECONDS / MOST_TIMED_RUNS)) + 1;
		status = og_session_time(s, (const void *const *)in, out, runs, times);
	}
	*least = times[0];
	for (int i = 1; status == OG_OK && i < runs; i++)
		if (times[i] < *least) *least = times[i];
	arena_destroy(a);
	return status;
}

/* Adds the plan, which belongs to the shape from then on. Bytes and dims of outputs are those of the first. */
static og_status add_size(serve_shape *shape, const serve_network *net, og_plan *plan, int64_t samples)
{
	serve_size *size = &shape->sizes[shape->n_sizes++];
	*size = (serve_size){ .samples = samples, .plan = plan };
	for (int k = 0; k < net->n_inputs + net->n_outputs; k++) {
		bool input = k < net->n_inputs;
		int j = input ? k : k - net->n_inputs;
		size_t *to = input ? &shape->in_bytes[j] : &shape->out_bytes[j];
		og_value_info v;
		og_tensor t;
		TRY(input ? og_plan_input(plan, j, &v) : og_plan_output(plan, j, &v));
		t = (og_tensor){ .dtype = v.dtype, .rank = v.rank };
		memcpy(t.dims, v.dims, sizeof t.dims);
		if (net->most > 0 && (v.rank < 1 || v.dims[0] != samples))
			return base_fail(OG_USAGE, "%s: output '%s' of %lld samples has no first dimension of this size; its batch is no "
			                 "batch: set max_batch_size to 0", net->path, v.name, (long long)samples);
		if (net->most > 0) t.dims[0] = 1;
		if (shape->n_sizes == 1) {
			*to = og_tensor_bytes(&t);
			if (input) continue;
			shape->out[j] = v;
			memcpy(shape->out[j].dims, t.dims, sizeof t.dims);
		} else if (*to != og_tensor_bytes(&t)) {
			return base_fail(OG_UNSUPPORTED, "%s: the size of '%s' does not grow with the batch; set max_batch_size to 0",
			                 net->path, v.name);
		}
	}
	og_session *s;
	if (net->settings.no_timing || net->plan || net->most == 0) return OG_OK;
	TRY(og_session_create(&s, plan, 0));
	og_status status = time_runs(&size->seconds, s, shape, net, samples);
	og_session_free(s);
	return status;
}

static og_status add_plan_of_file(serve_shape *shape, const serve_network *net)
{
	if (strcmp(og_plan_device(net->plan), shape->device))
		return base_fail(OG_USAGE, "%s: is a plan for %s, and the instance is for %s; set the kind in instance_group, or build "
		                 "it with opgraft build --device %s", net->path, og_plan_device(net->plan), shape->device, shape->device);
	return add_size(shape, net, net->plan, net->most > 0 ? net->batch : 1);
}

static og_status add_sizes(serve_shape *shape, const serve_network *net)
{
	og_memory memory = { 0 };
	int64_t least = net->settings.n_batches ? net->settings.batches[0] : 1;
	int64_t samples = net->most == 0 ? 1 : net->batch > 0 ? net->batch : least;
	if (net->plan) return add_plan_of_file(shape, net);
	while (samples) {
		og_plan *plan;
		TRY(build(&plan, net, shape, samples));
		TRY(add_size(shape, net, plan, samples));
		og_plan_memory(shape->sizes[0].plan, &memory);
		samples = serve_size_next(net, shape, samples, memory.weights);
	}
	return OG_OK;
}

/* ---- shapes --------------------------------------------------------------------------------------- */

static void free_shape(serve_shape *shape, const serve_network *net)
{
	for (int k = 0; k < shape->n_sizes; k++)
		if (shape->sizes[k].plan != net->plan) og_plan_free(shape->sizes[k].plan);
	arena_destroy(shape->a);
}

static og_status make_shape(serve_shape **out, const serve_network *net, const char *device, const int64_t *const *dims)
{
	arena *a = arena_create();
	serve_shape *shape = a ? arena_alloc(a, sizeof *shape) : NULL;
	og_status status = shape ? OG_OK : base_no_memory();
	if (!shape) {
		arena_destroy(a);
		return status;
	}
	shape->a = a;
	shape->device = device;
	shape->in = arena_array(a, (size_t)net->n_inputs + 1, sizeof *shape->in);
	shape->out = arena_array(a, (size_t)net->n_outputs + 1, sizeof *shape->out);
	shape->in_bytes = arena_array(a, (size_t)net->n_inputs + 1, sizeof *shape->in_bytes);
	shape->out_bytes = arena_array(a, (size_t)net->n_outputs + 1, sizeof *shape->out_bytes);
	if (!shape->in || !shape->out || !shape->in_bytes || !shape->out_bytes) status = base_no_memory();
	for (int k = 0; status == OG_OK && k < net->n_inputs; k++) {
		memcpy(shape->in[k], dims[k], (size_t)net->inputs[k].rank * sizeof **shape->in);
		if (net->most > 0) shape->in[k][0] = 1;
	}
	serve_build_begin();
	if (status == OG_OK) status = add_sizes(shape, net);
	serve_build_end();
	if (status == OG_OK) status = serve_sizes_choose(shape, net);
	if (status == OG_OK) *out = shape;
	else free_shape(shape, net);
	return status;
}

static bool is_shape(const serve_shape *shape, const serve_network *net, const char *device, const int64_t *const *dims)
{
	int first = net->most > 0;
	for (int k = 0; k < net->n_inputs; k++) {
		int rank = net->inputs[k].rank - first;
		if (rank > 0 && memcmp(shape->in[k] + first, dims[k] + first, (size_t)rank * sizeof **dims)) return false;
	}
	return !strcmp(shape->device, device);
}

og_status serve_shape_get(serve_shape **out, serve_network *net, const char *device, const int64_t *const *dims)
{
	*out = NULL;
	TRY(og_device_ready(device));
	pthread_mutex_lock(&net->lock);
	serve_shape *shape = net->shapes;
	while (shape && !is_shape(shape, net, device, dims)) shape = shape->next;
	og_status status = shape ? OG_OK : make_shape(&shape, net, device, dims);
	if (status == OG_OK) {
		if (shape->users++ == 0) {
			shape->next = net->shapes;
			net->shapes = shape;
		}
		*out = shape;
	}
	pthread_mutex_unlock(&net->lock);
	return status;
}

void serve_shape_release(serve_network *net, serve_shape *shape)
{
	pthread_mutex_lock(&net->lock);
	bool last = --shape->users == 0;
	serve_shape **at = &net->shapes;
	while (last && *at != shape) at = &(*at)->next;
	if (last) {
		*at = shape->next;
		free_shape(shape, net);
	}
	pthread_mutex_unlock(&net->lock);
}
