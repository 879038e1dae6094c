/* tensorrt.c -- an op library as a TensorRT plugin library: one plugin creator an op, and the log.
 * TensorRT loads it by IPluginRegistry::loadLibrary or `trtexec --dynamicPlugins`. */
#include "bridge/tensorrt.h"

#include <pthread.h>
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))
EXPORT trt_get_creators getCreators;
EXPORT trt_set_logger_finder setLoggerFinder;

/* ---- the log --------------------------------------------------------------------------------- */

/* At most one is set: which one says the form. */
static _Atomic(trt_logger_finder *) finder;
static _Atomic(trt_logger_finder_10 *) finder_10;

static const trt_class *class_of(const void *table)
{
	return ((const trt_prefix *)table)[-1].type;
}

/* Is it the class of that name, or has it one among its bases? */
static bool descends(const trt_class *c, const char *name, int depth)
{
	const trt_class *form;
	if (!c || depth == 0) return false;
	if (!strcmp(c->name, name)) return true;
	form = class_of(c->table);
	if (form && !strcmp(form->name, TRT_CLASS_ONE_BASE_TYPE))
		return descends(((const trt_class_one_base *)c)->base, name, depth - 1);
	if (form && !strcmp(form->name, TRT_CLASS_BASES_TYPE)) {
		const trt_class_bases *bases = (const trt_class_bases *)c;
		for (unsigned k = 0; k < bases->n; k++)
			if (descends(bases->base[k].base, name, depth - 1)) return true;
	}
	return false;
}

/* A finder that is of neither class stays unused: calling the wrong function is worse than silence. */
void setLoggerFinder(void *given)
{
	const trt_class *c = given ? class_of(*(void **)given) : NULL;
	atomic_store(&finder, descends(c, TRT_LOGGER_FINDER_TYPE, 8) ? given : NULL);
	atomic_store(&finder_10, descends(c, TRT_LOGGER_FINDER_10_TYPE, 8) ? given : NULL);
}

void tensorrt_log(trt_severity severity, const char *format, ...)
{
	char message[1280];
	va_list args;
	trt_logger_finder *f = atomic_load(&finder);
	trt_logger_finder_10 *f10 = atomic_load(&finder_10);
	trt_logger *logger = f ? f->table->findLogger(f) : NULL;
	trt_logger_10 *logger_10 = f10 ? f10->table->findLogger(f10) : NULL;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	if (logger) logger->table->log(logger, severity, message);
	if (logger_10) logger_10->table->log(logger_10, severity, message);
}

void tensorrt_log_failure(const char *layer)
{
	if (layer && *layer) tensorrt_log(TRT_ERROR, "opgraft: %s: %s", layer, base_error());
	else tensorrt_log(TRT_ERROR, "opgraft: %s", base_error());
}

/* ---- creators -------------------------------------------------------------------------------- */

typedef struct creator {
	trt_creator creator;
	const library_op *l;
	trt_fields names;
} creator;

static int32_t language(void *self) { (void)self; return TRT_LANGUAGE_CPP; }
static trt_info info(void *self) { (void)self; return (trt_info){ TRT_CREATOR_KIND, 1, 0 }; }
static void stay(void *self) { (void)self; }         /* creators live as long as the library */

static trt_plugin *create_plugin(trt_creator *self, const char *layer, const trt_fields *fields, int32_t phase)
{
	const library_op *l = ((creator *)self)->l;
	tensorrt_settings *settings;
	if (tensorrt_settings_new(&settings, l, fields) != OG_OK) {
		tensorrt_log_failure(layer);
		return NULL;
	}
	tensorrt_log(TRT_VERBOSE, "opgraft: %s %s: %s", phase == TRT_PHASE_BUILD ? "building" : "loading", layer ? layer : "",
	             settings->text);
	if (phase == TRT_PHASE_BUILD && og_op_library.n_images == 0)
		tensorrt_log(TRT_WARNING, "opgraft: %s: the op library has no CUDA code, so that the engine can be built but not "
		             "run; build the library again where `opgraft doctor` finds NVRTC", l->op->name);
	trt_plugin *plugin = tensorrt_plugin_new(settings);
	if (!plugin) tensorrt_log_failure(layer);
	return plugin;
}

static const trt_fields *field_names(trt_creator *self) { return &((creator *)self)->names; }
static const char *name(trt_creator *self) { return ((creator *)self)->l->op->name; }
static const char *version(trt_creator *self) { (void)self; return TENSORRT_VERSION; }
static const char *name_space(trt_creator *self) { (void)self; return ""; }

static const struct { trt_prefix prefix; trt_creator_table table; } creator_table = { .table = {
	.getAPILanguage = language, .getInterfaceInfo = info, .end = stay, .destroy = stay,
	.createPlugin = create_plugin, .getFieldNames = field_names, .getPluginName = name, .getPluginVersion = version,
	.getPluginNamespace = name_space,
} };

/* Why TensorRT can't have the op; NULL: it can. */
static const char *obstacle(const library_op *l)
{
	if (!l->op->formula && !l->op->device) return "it has no CUDA form";
	for (int k = 0; k < l->in.n; k++)
		if (l->in.arg[k].value_needed) return "its shape hangs on the values of an input";
	for (int k = 0; k < l->out.n; k++)
		if (l->out.arg[k].variadic) return "it has any number of outputs";
	for (int k = 0; k < l->n_attrs; k++)
		if (l->op->attrs[k].type >= OG_ATTR_STRINGS && l->op->attrs[k].required)
			return "it needs an attribute that no plugin field can hold";
	for (size_t k = 0; k < library_count(); k++) {
		const og_op *other = library_at(k)->op;
		if (!strcmp(other->name, l->op->name) && other->since > l->op->since) return "there is a newer version of it";
	}
	return NULL;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static arena *memory;
static trt_creator **creators;
static int32_t n_creators;

static og_status make_creators(void)
{
	TRY(library_open());
	NEED(memory = arena_create());
	NEED(creators = arena_array(memory, library_count(), sizeof *creators));
	for (size_t k = 0; k < library_count(); k++) {
		const library_op *l = library_at(k);
		creator *c = arena_alloc(memory, sizeof *c);
		const char *why = obstacle(l);
		NEED(c);
		if (why) {
			tensorrt_log(TRT_VERBOSE, "opgraft: %s is no plugin: %s", l->op->name, why);
			continue;
		}
		*c = (creator){ .creator = { &creator_table.table }, .l = l };
		TRY(tensorrt_field_names(&c->names, memory, l));
		creators[n_creators++] = &c->creator;
	}
	return OG_OK;
}

static void make_creators_once(void)
{
	if (make_creators() == OG_OK) return;
	tensorrt_log_failure("op library");
	n_creators = 0;
}

__attribute__((destructor)) static void forget_creators(void) { arena_destroy(memory); }

trt_creator *const *getCreators(int32_t *count)
{
	pthread_once(&once, make_creators_once);
	*count = n_creators;
	return creators;
}
