/* triton.c -- what Triton Inference Server calls: a backend, its models and their instances. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "serve/instance.h"

/* Samples of a batch where neither the configuration nor the command line says. The server's own default is 4, and it says it
 * as if the user had: too few for small networks. */
enum { DEFAULT_MOST = 64, SERVERS_DEFAULT_MOST = 4, LARGEST_MOST = 1 << 16 };

/* What the command line says: --backend-config=opgraft,threads=2. */
typedef struct backend {
	arena *a;
	serve_settings settings;
	int64_t default_most;
	TRITONBACKEND_MemoryManager *memory;
} backend;
typedef struct model { arena *a; serve_network *net; const char *name; } model;

static void tell(triton_level level, const char *sentence)
{
	serve_told(TRITONSERVER_LogMessage(level, "opgraft", __LINE__, sentence));
}

/* A message of the server as a tree in the arena. */
static og_status parse(const json_value **out, arena *a, TRITONSERVER_Message *message)
{
	const char *written;
	size_t n;
	TRY(serve_told(TRITONSERVER_MessageSerializeToJson(message, &written, &n)));
	TRY(json_parse(out, a, written, n));
	return (*out)->kind == JSON_OBJECT ? OG_OK : base_fail(OG_BAD_FILE, "the server's configuration is no object");
}

/* ---- the backend ------------------------------------------------------------------------------------- */

static og_status read_default_most(backend *b, const char *s)
{
	char *end;
	b->default_most = strtoll(s, &end, 10);
	if (!*s || *end || b->default_most < 0 || b->default_most > LARGEST_MOST)
		return base_fail(OG_USAGE, "default-max-batch-size is '%s', and must be a number between 0 and %d", s, LARGEST_MOST);
	if (b->default_most == SERVERS_DEFAULT_MOST) b->default_most = DEFAULT_MOST;
	return OG_OK;
}

/* Names with a '-' are the server's own. */
static og_status read_command_line(backend *b, const json_value *all)
{
	for (size_t k = 0; k < all->count; k++) {
		const char *name = all->items[k].key, *value = all->items[k].kind == JSON_STRING ? all->items[k].string : "";
		if (!strcmp(name, "default-max-batch-size")) {
			TRY(read_default_most(b, value));
			continue;
		}
		og_status status = serve_setting(&b->settings, b->a, name, value, ".");
		if (status == OG_NO && !strchr(name, '-'))
			return base_fail(OG_USAGE, "--backend-config=opgraft,%s=%s: there is no such parameter", name, value);
		if (status != OG_NO) TRY(status);
	}
	return OG_OK;
}

static og_status open_backend(backend *b, TRITONBACKEND_Backend *self)
{
	TRITONSERVER_Message *message;
	const json_value *config;
	uint32_t major, minor;
	TRY(serve_told(TRITONBACKEND_ApiVersion(&major, &minor)));
	if (major != TRITON_API_MAJOR)
		return base_fail(OG_UNSUPPORTED, "this server has version %u of the backend interface, and Opgraft %s is for version %d", major,
		                 og_version(), TRITON_API_MAJOR);
	TRY(serve_told(TRITONBACKEND_BackendMemoryManager(self, &b->memory)));
	TRY(serve_told(TRITONBACKEND_BackendConfig(self, &message)));
	TRY(parse(&config, b->a, message));
	const json_value *all = json_member(config, "cmdline");
	if (all && all->kind == JSON_OBJECT) TRY(read_command_line(b, all));
	for (int k = 0; k < b->settings.n_ops; k++) TRY(og_ops_load(b->settings.ops[k]));
	b->settings.n_ops = 0;                   /* loaded: from now on those that a configuration names */
	return serve_told(TRITONBACKEND_BackendSetState(self, b));
}

static void free_backend(backend *b)
{
	if (b) arena_destroy(b->a);
	base_free(b);
}

TRITONSERVER_Error *TRITONBACKEND_Initialize(TRITONBACKEND_Backend *self)
{
	backend *b = base_new(1, sizeof *b);
	if (!b || !(b->a = arena_create())) {
		base_free(b);
		return serve_error(base_no_memory());
	}
	b->default_most = DEFAULT_MOST;
	og_status status = open_backend(b, self);
	if (status != OG_OK) free_backend(b);
	return serve_error(status);
}

TRITONSERVER_Error *TRITONBACKEND_Finalize(TRITONBACKEND_Backend *self)
{
	void *b = NULL;
	TRITONSERVER_Error *error = TRITONBACKEND_BackendState(self, &b);
	free_backend(b);
	return error;
}

/* ---- models ------------------------------------------------------------------------------------------ */

static og_status find_file(const char **out, arena *a, const char *folder, uint64_t version, const json_value *config)
{
	static const char *const names[] = { "model.onnx", "model.plan" };
	const json_value *given = json_member(config, "default_model_filename");
	const char *found = NULL;
	const char *in = arena_printf(a, "%s/%llu", folder, (unsigned long long)version);
	*out = NULL;
	NEED(in);
	if (given && given->kind == JSON_STRING && given->string[0]) {
		*out = arena_printf(a, "%s/%s", in, given->string);
		NEED(*out);
		return OG_OK;
	}
	for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
		const char *path = arena_printf(a, "%s/%s", in, names[k]);
		NEED(path);
		if (access(path, F_OK)) continue;
		if (found)
			return base_fail(OG_USAGE, "%s holds %s and %s; remove one, or name it in default_model_filename", in, found, names[k]);
		found = names[k];
		*out = path;
	}
	return found ? OG_OK : base_fail(OG_MISSING, "%s holds neither model.onnx nor model.plan", in);
}

static og_status set_config(TRITONBACKEND_Model *self, const char *config)
{
	TRITONSERVER_Message *message;
	TRY(serve_told(TRITONSERVER_MessageNewFromSerializedJson(&message, config, strlen(config))));
	og_status status = serve_told(TRITONBACKEND_ModelSetConfig(self, TRITON_CONFIG_VERSION, message));
	serve_told(TRITONSERVER_MessageDelete(message));
	return status;
}

static og_status read_config(const json_value **out, arena *a, TRITONBACKEND_Model *self)
{
	TRITONSERVER_Message *message;
	TRY(serve_told(TRITONBACKEND_ModelConfig(self, TRITON_CONFIG_VERSION, &message)));
	og_status status = parse(out, a, message);
	serve_told(TRITONSERVER_MessageDelete(message));
	return status;
}

static og_status check_config(model *m, TRITONBACKEND_Model *self, const json_value *config, const backend *b)
{
	char *completed;
	bool complete;
	TRY(serve_told(TRITONBACKEND_ModelAutoCompleteConfig(self, &complete)));
	TRY(serve_config_check(m->net, config, complete, b->default_most, &completed));
	og_status status = completed ? set_config(self, completed) : OG_OK;
	base_free(completed);
	return status;
}

static og_status open_model(model *m, TRITONBACKEND_Model *self, const backend *b)
{
	const json_value *config;
	const char *folder, *path = NULL, *unknown;
	triton_artifact kind;
	uint64_t version;
	serve_settings settings = b->settings;
	TRY(serve_told(TRITONBACKEND_ModelName(self, &m->name)));
	TRY(serve_told(TRITONBACKEND_ModelVersion(self, &version)));
	TRY(serve_told(TRITONBACKEND_ModelRepository(self, &kind, &folder)));
	if (kind != TRITON_FILESYSTEM) return base_fail(OG_UNSUPPORTED, "model '%s' does not lie in a file system", m->name);
	TRY(read_config(&config, m->a, self));
	TRY(serve_config_settings(&settings, m->a, config, folder, &unknown));
	if (unknown) {
		const char *sentence = arena_printf(m->a, "model '%s': there is no parameter '%s'; it is not used", m->name, unknown);
		if (sentence) tell(TRITON_WARN, sentence);
	}
	TRY(find_file(&path, m->a, folder, version, config));
	TRY(serve_network_open(&m->net, path, &settings));
	TRY(check_config(m, self, config, b));
	return serve_told(TRITONBACKEND_ModelSetState(self, m));
}

static void free_model(model *m)
{
	if (!m) return;
	serve_network_free(m->net);
	arena_destroy(m->a);
	base_free(m);
}

TRITONSERVER_Error *TRITONBACKEND_ModelInitialize(TRITONBACKEND_Model *self)
{
	TRITONBACKEND_Backend *owner;
	void *b;
	model *m = base_new(1, sizeof *m);
	if (!m || !(m->a = arena_create())) {
		base_free(m);
		return serve_error(base_no_memory());
	}
	og_status status = serve_told(TRITONBACKEND_ModelBackend(self, &owner));
	if (status == OG_OK) status = serve_told(TRITONBACKEND_BackendState(owner, &b));
	if (status == OG_OK) status = open_model(m, self, b);
	if (status != OG_OK) free_model(m);
	return serve_error(status);
}

TRITONSERVER_Error *TRITONBACKEND_ModelFinalize(TRITONBACKEND_Model *self)
{
	void *m = NULL;
	TRITONSERVER_Error *error = TRITONBACKEND_ModelState(self, &m);
	free_model(m);
	return error;
}

/* ---- instances --------------------------------------------------------------------------------------- */

static og_status find_device(const char **out, int *gpu, const serve_network *net, TRITONBACKEND_ModelInstance *self, const char *name)
{
	const char *wanted = net->settings.device;
	triton_kind kind;
	int32_t id;
	TRY(serve_told(TRITONBACKEND_ModelInstanceKind(self, &kind)));
	TRY(serve_told(TRITONBACKEND_ModelInstanceDeviceId(self, &id)));
	if (kind == TRITON_KIND_CPU) *out = "cpu";
	else if (kind == TRITON_KIND_GPU) *out = "cuda";
	else *out = wanted ? wanted : net->plan ? og_plan_device(net->plan) : "cpu";
	if (wanted && strcmp(wanted, *out))
		return base_fail(OG_USAGE, "parameter 'device' is %s, and instance '%s' is of kind %s; change one of them, the kind in "
		                 "instance_group", wanted, name, kind == TRITON_KIND_CPU ? "KIND_CPU" : "KIND_GPU");
	if (kind == TRITON_KIND_GPU) *gpu = id;
	return OG_OK;
}

/* What was built, for the server's log. */
static void tell_sizes(const serve_instance *s, const char *name)
{
	const serve_shape *shape = s->slots[0].shape;
	text t = { 0 };
	int threads = shape ? og_session_threads(s->slots[0].sessions[0]) : serve_threads(s->net);
	text_printf(&t, "%s on %s, %d threads: ", name, s->device, threads);
	if (!shape) text_add(&t, "plans are made when shapes come");
	for (int k = 0; shape && k < shape->n_sizes; k++) {
		const serve_size *size = &shape->sizes[k];
		text_printf(&t, k ? ", %lld" : "runs of %lld", (long long)size->samples);
		if (size->seconds > 0) text_printf(&t, " (%.3g ms)", 1e3 * size->seconds);
	}
	char *sentence = text_take(&t);
	if (sentence) tell(TRITON_INFO, sentence);
	base_free(sentence);
}

static og_status open_instance(TRITONBACKEND_ModelInstance *self)
{
	TRITONBACKEND_Model *owner;
	TRITONBACKEND_Backend *backends;
	const char *name, *device;
	int gpu = 0;
	void *m, *b;
	serve_instance *s;
	TRY(serve_told(TRITONBACKEND_ModelInstanceName(self, &name)));
	TRY(serve_told(TRITONBACKEND_ModelInstanceModel(self, &owner)));
	TRY(serve_told(TRITONBACKEND_ModelState(owner, &m)));
	TRY(serve_told(TRITONBACKEND_ModelBackend(owner, &backends)));
	TRY(serve_told(TRITONBACKEND_BackendState(backends, &b)));
	serve_network *net = ((model *)m)->net;
	TRY(find_device(&device, &gpu, net, self, name));
	TRY(serve_instance_create(&s, net, self, strcmp(device, "cpu") ? ((backend *)b)->memory : NULL, device, gpu));
	tell_sizes(s, name);
	og_status status = serve_told(TRITONBACKEND_ModelInstanceSetState(self, s));
	if (status != OG_OK) serve_instance_free(s);
	return status;
}

TRITONSERVER_Error *TRITONBACKEND_ModelInstanceInitialize(TRITONBACKEND_ModelInstance *self)
{
	return serve_error(open_instance(self));
}

TRITONSERVER_Error *TRITONBACKEND_ModelInstanceFinalize(TRITONBACKEND_ModelInstance *self)
{
	void *s = NULL;
	TRITONSERVER_Error *error = TRITONBACKEND_ModelInstanceState(self, &s);
	serve_instance_free(s);
	return error;
}

TRITONSERVER_Error *TRITONBACKEND_ModelInstanceExecute(TRITONBACKEND_ModelInstance *self, TRITONBACKEND_Request **requests,
                                                       uint32_t n)
{
	void *s = NULL;
	TRITONSERVER_Error *error = TRITONBACKEND_ModelInstanceState(self, &s);
	return error ? error : serve_error(serve_execute(s, requests, n));
}
