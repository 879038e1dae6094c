/* tensorrt_plugin.c -- IPluginV3 in C: one object that is a plugin and its core, build and runtime capabilities.
 *
 * TensorRT clones a plugin for a network, for the builder and, by attachToContext, for every execution context; each
 * clone is used by one thread at a time. Clones share their settings, which never change, and nothing else but the
 * device's loaded code, which device.h counts. */
#include "bridge/tensorrt.h"

typedef struct plugin {
	trt_plugin plugin;
	trt_core core;
	trt_build build;
	trt_runtime runtime;
	tensorrt_settings *settings;
	og_dtype in_type[LIBRARY_MAX_ARGS];      /* as last told */
	int n_tactics, tactic;
	device_kernels *kernels;                 /* of the context attached to; NULL: none */
	device_step step;
	bool ready;                              /* step is, since the last onShapeChange */
} plugin;

#define PLUGIN_OF(member, pointer) ((plugin *)(void *)((char *)(pointer) - offsetof(plugin, member)))

/* What TensorRT's functions return. */
static int32_t result(const plugin *p, og_status status)
{
	if (status != OG_OK) tensorrt_log_failure(p->settings->text);
	return (int32_t)status;
}

static int32_t language(void *self) { (void)self; return TRT_LANGUAGE_CPP; }
static void belongs_to_plugin(void *self) { (void)self; }

/* ---- IPluginV3 -------------------------------------------------------------------------------- */

static trt_info plugin_info(void *self) { (void)self; return (trt_info){ TRT_PLUGIN_KIND, 1, 0 }; }

static void end_plugin(void *self)
{
	plugin *p = self;
	device_close(p->kernels);
	tensorrt_settings_release(p->settings);
}

static void destroy_plugin(void *self)
{
	end_plugin(self);
	base_free(self);
}

static void *capability(trt_plugin *self, int32_t which)
{
	plugin *p = PLUGIN_OF(plugin, self);
	switch (which) {
	case TRT_CAPABILITY_CORE: return &p->core;
	case TRT_CAPABILITY_BUILD: return &p->build;
	case TRT_CAPABILITY_RUNTIME: return &p->runtime;
	default: return NULL;
	}
}

/* Attached to no context yet. */
static plugin *clone_of(const plugin *p)
{
	atomic_fetch_add(&p->settings->users, 1);
	plugin *made = PLUGIN_OF(plugin, tensorrt_plugin_new(p->settings));
	if (!made) {
		tensorrt_log_failure(p->settings->text);
		return NULL;
	}
	memcpy(made->in_type, p->in_type, sizeof made->in_type);
	made->n_tactics = p->n_tactics;
	made->tactic = p->tactic;
	return made;
}

static trt_plugin *clone_plugin(trt_plugin *self)
{
	plugin *made = clone_of(PLUGIN_OF(plugin, self));
	return made ? &made->plugin : NULL;
}

/* ---- core ------------------------------------------------------------------------------------- */

static trt_info core_info(void *self) { (void)self; return (trt_info){ TRT_CORE_KIND, 1, 0 }; }
static const char *name(trt_core *self) { return PLUGIN_OF(core, self)->settings->l->op->name; }
static const char *version(trt_core *self) { (void)self; return TENSORRT_VERSION; }
static const char *name_space(trt_core *self) { (void)self; return ""; }

/* ---- build ------------------------------------------------------------------------------------ */

static trt_info build_info(void *self) { (void)self; return (trt_info){ TRT_BUILD_KIND, 1, 0 }; }

/* The call at one corner of the ranges: &trt_range.max, say. */
static og_status call_at(tensorrt_call *c, const plugin *p, size_t corner, const trt_range *in, int32_t n_in,
                         const trt_range *out, int32_t n_out)
{
	TRY(tensorrt_call_start(c, p->settings, n_in, n_out));
	for (int k = 0; k < n_in + n_out; k++) {
		const trt_range *r = k < n_in ? &in[k] : &out[k - n_in];
		TRY(tensorrt_call_set(c, k, &r->desc, (const trt_dims *)(const void *)((const char *)r + corner)));
	}
	return OG_OK;
}

static int32_t configure(trt_build *self, const trt_range *in, int32_t n_in, const trt_range *out, int32_t n_out)
{
	plugin *p = PLUGIN_OF(build, self);
	tensorrt_call c;
	og_status status = call_at(&c, p, offsetof(trt_range, opt), in, n_in, out, n_out);
	if (status == OG_OK && n_in + n_out == 0) status = base_fail(OG_UNSUPPORTED, "a node without inputs and outputs");
	if (status != OG_OK) return result(p, status);
	p->n_tactics = device_tactics(p->settings->l, &c.call);
	if (p->n_tactics == 0)
		return result(p, base_fail(OG_UNSUPPORTED, "it has no CUDA kernel for these types and shapes"));
	const trt_tensor *first = n_in > 0 ? &in[0].desc : &out[0].desc;
	tensorrt_log(TRT_VERBOSE, "opgraft: %s takes %s in format %s, tactics: %d", p->settings->text,
	             tensorrt_type_name(first->type), tensorrt_format_name(first->format), p->n_tactics);
	return 0;
}

static int32_t output_types(trt_build *self, int32_t *out, int32_t n_out, const int32_t *in, int32_t n_in)
{
	plugin *p = PLUGIN_OF(build, self);
	og_dtype given[LIBRARY_MAX_ARGS], made[LIBRARY_MAX_ARGS];
	for (int k = 0; k < n_in && k < LIBRARY_MAX_ARGS; k++) {
		given[k] = tensorrt_dtype(in[k]);
		if (given[k] == OG_NONE) return result(p, base_fail(OG_UNSUPPORTED, "TensorRT's type %d of input %d", (int)in[k], k));
	}
	og_status status = tensorrt_output_types(p->settings, made, n_out, given, n_in);
	if (status != OG_OK) return result(p, status);
	memcpy(p->in_type, given, (size_t)n_in * sizeof *given);
	for (int k = 0; k < n_out; k++) out[k] = tensorrt_type(made[k]);
	return 0;
}

static int32_t output_shapes(trt_build *self, const trt_dims_expr *in, int32_t n_in, const trt_dims_expr *shape_in,
                             int32_t n_shape_in, trt_dims_expr *out, int32_t n_out, trt_expr_builder *builder)
{
	plugin *p = PLUGIN_OF(build, self);
	(void)shape_in, (void)n_shape_in;        /* no op whose shape hangs on values becomes a plugin */
	return result(p, tensorrt_output_shapes(p->settings, p->in_type, out, n_out, in, n_in, builder));
}

static bool supports(trt_build *self, int32_t position, const trt_range *in_out, int32_t n_in, int32_t n_out)
{
	return tensorrt_format_ok(PLUGIN_OF(build, self)->settings, position, in_out, n_in, n_out);
}

static int32_t n_outputs(trt_build *self) { return PLUGIN_OF(build, self)->settings->l->out.n; }

static size_t workspace(trt_build *self, const trt_range *in, int32_t n_in, const trt_range *out, int32_t n_out)
{
	plugin *p = PLUGIN_OF(build, self);
	tensorrt_call c;
	size_t most = 0;
	if (result(p, call_at(&c, p, offsetof(trt_range, max), in, n_in, out, n_out)) != 0) return 0;
	for (int k = 0, n = device_tactics(p->settings->l, &c.call); k < n; k++) {
		size_t bytes = device_workspace(p->settings->l, &c.call, k);
		if (bytes > most) most = bytes;
	}
	return most;
}

/* TensorRT numbers tactics from 1; 0 stands for the only one of a plugin that offers none. */
static int32_t n_tactics(trt_build *self)
{
	int n = PLUGIN_OF(build, self)->n_tactics;
	return n > 1 ? n : 0;
}

static int32_t valid_tactics(trt_build *self, int32_t *tactics, int32_t n)
{
	(void)self;
	for (int32_t k = 0; k < n; k++) tactics[k] = k + 1;
	return 0;
}

static const char *timing_id(trt_build *self) { return PLUGIN_OF(build, self)->settings->timing_id; }
static int32_t format_limit(trt_build *self) { (void)self; return TRT_FORMAT_COMBINATIONS; }
static const char *metadata(trt_build *self) { return PLUGIN_OF(build, self)->settings->text; }

/* ---- runtime ---------------------------------------------------------------------------------- */

static trt_info runtime_info(void *self) { (void)self; return (trt_info){ TRT_RUNTIME_KIND, 1, 0 }; }

static int32_t set_tactic(trt_runtime *self, int32_t tactic)
{
	PLUGIN_OF(runtime, self)->tactic = tactic > 0 ? tactic - 1 : 0;
	return 0;
}

static og_status prepare(plugin *p, const trt_tensor *in, int32_t n_in, const trt_tensor *out, int32_t n_out)
{
	tensorrt_call c;
	p->ready = false;
	if (!p->kernels) return base_fail(OG_USAGE, "shapes are set before the plugin is attached to a context");
	TRY(tensorrt_call_start(&c, p->settings, n_in, n_out));
	for (int k = 0; k < n_in; k++) TRY(tensorrt_call_set(&c, k, &in[k], &in[k].dims));
	for (int k = 0; k < n_out; k++) TRY(tensorrt_call_set(&c, n_in + k, &out[k], &out[k].dims));
	TRY(device_prepare(&p->step, p->kernels, p->settings->l, &c.call, p->tactic));
	p->ready = true;
	return OG_OK;
}

static int32_t shape_change(trt_runtime *self, const trt_tensor *in, int32_t n_in, const trt_tensor *out, int32_t n_out)
{
	plugin *p = PLUGIN_OF(runtime, self);
	return result(p, prepare(p, in, n_in, out, n_out));
}

/* Under capture too: one launch, nothing else. */
static int32_t enqueue(trt_runtime *self, const trt_tensor *in_desc, const trt_tensor *out_desc, const void *const *in,
                       void *const *out, void *space, void *stream)
{
	plugin *p = PLUGIN_OF(runtime, self);
	(void)in_desc, (void)out_desc;           /* those of the last onShapeChange */
	if (!p->ready) return result(p, base_fail(OG_USAGE, "it is to run before its shapes are set"));
	return result(p, device_launch(&p->step, in, out, space, stream));
}

static trt_plugin *attach(trt_runtime *self, trt_context *context)
{
	(void)context;                           /* kernels go to the CUDA context that is current */
	plugin *p = clone_of(PLUGIN_OF(runtime, self));
	if (!p) return NULL;
	if (device_open(&p->kernels) == OG_OK) return &p->plugin;
	tensorrt_log_failure(p->settings->text);
	destroy_plugin(p);
	return NULL;
}

static const trt_fields *fields(trt_runtime *self) { return &PLUGIN_OF(runtime, self)->settings->fields; }

/* ---- the four tables -------------------------------------------------------------------------- */

static const struct { trt_prefix prefix; trt_plugin_table table; } plugin_table = { .table = {
	.getAPILanguage = language, .getInterfaceInfo = plugin_info, .end = end_plugin, .destroy = destroy_plugin,
	.getCapabilityInterface = capability, .clone = clone_plugin,
} };
static const struct { trt_prefix prefix; trt_core_table table; } core_table = { .table = {
	.getAPILanguage = language, .getInterfaceInfo = core_info, .end = belongs_to_plugin, .destroy = belongs_to_plugin,
	.getPluginName = name, .getPluginVersion = version, .getPluginNamespace = name_space,
} };
static const struct { trt_prefix prefix; trt_build_table table; } build_table = { .table = {
	.getAPILanguage = language, .getInterfaceInfo = build_info, .end = belongs_to_plugin, .destroy = belongs_to_plugin,
	.configurePlugin = configure, .getOutputDataTypes = output_types, .getOutputShapes = output_shapes,
	.supportsFormatCombination = supports, .getNbOutputs = n_outputs, .getWorkspaceSize = workspace,
	.getValidTactics = valid_tactics, .getNbTactics = n_tactics, .getTimingCacheID = timing_id,
	.getFormatCombinationLimit = format_limit, .getMetadataString = metadata,
} };
static const struct { trt_prefix prefix; trt_runtime_table table; } runtime_table = { .table = {
	.getAPILanguage = language, .getInterfaceInfo = runtime_info, .end = belongs_to_plugin, .destroy = belongs_to_plugin,
	.setTactic = set_tactic, .onShapeChange = shape_change, .enqueue = enqueue, .attachToContext = attach,
	.getFieldsToSerialize = fields,
} };

trt_plugin *tensorrt_plugin_new(tensorrt_settings *s)
{
	plugin *p = base_new(1, sizeof *p);
	if (!p) {
		tensorrt_settings_release(s);
		base_no_memory();
		return NULL;
	}
	p->plugin.table = &plugin_table.table;
	p->core.table = &core_table.table;
	p->build.table = &build_table.table;
	p->runtime.table = &runtime_table.table;
	p->settings = s;
	/* until TensorRT tells: shape rules take an input without type for one that is left out */
	for (int k = 0; k < LIBRARY_MAX_ARGS; k++) {
		const schema_arg *arg = schema_arg_at(&s->l->in, k);
		if (arg) p->in_type[k] = arg->types >> OG_F32 & 1 || !arg->types ? OG_F32 : (og_dtype)__builtin_ctz(arg->types);
	}
	return &p->plugin;
}
