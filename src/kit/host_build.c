/* host_build.c -- checks of creators, capabilities, fields and clones: what needs no GPU and no shapes. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "kit/host.h"

static const char *or_null(const char *s) { return s ? s : "NULL"; }

/* ---- creator ------------------------------------------------------------------------------------- */

static bool good_names(host *h, const trt_fields *names)
{
	if (!names) return host_fail(h, "getFieldNames returns NULL; return a collection of no fields");
	if (names->nbFields < 0 || (names->nbFields > 0 && !names->fields))
		return host_fail(h, "getFieldNames gives %d fields at NULL", (int)names->nbFields);
	for (int32_t k = 0; k < names->nbFields; k++) {
		const trt_field *f = &names->fields[k];
		if (!f->name || !*f->name) return host_fail(h, "getFieldNames gives field %d no name", (int)k);
		if (host_field_size(f->type) == 0)
			return host_fail(h, "getFieldNames gives field '%s' type %d, which TensorRT does not have", f->name,
			                 (int)f->type);
		for (int32_t j = 0; j < k; j++)
			if (!strcmp(names->fields[j].name, f->name))
				return host_fail(h, "getFieldNames gives field '%s' twice", f->name);
	}
	return true;
}

void host_check_creator(host *h)
{
	trt_creator *c = h->creator;
	host_calls("getAPILanguage of the creator");
	int32_t language = c->table->getAPILanguage(c);
	if (language != TRT_LANGUAGE_CPP)
		host_fail(h, "getAPILanguage of the creator is %d, and that of a library is 0", (int)language);
	host_calls("getPluginName of the creator");
	const char *name = c->table->getPluginName(c);
	if (!name || !*name) host_fail(h, "getPluginName of the creator is %s", name ? "empty" : "NULL");
	host_calls("getPluginVersion of the creator");
	const char *version = c->table->getPluginVersion(c);
	if (!version || !*version) host_fail(h, "getPluginVersion of the creator is %s", version ? "empty" : "NULL");
	host_calls("getPluginNamespace of the creator");
	const char *space = c->table->getPluginNamespace(c);
	if (!space) host_fail(h, "getPluginNamespace of the creator is NULL; return \"\"");
	for (int32_t k = 0; k < h->n_creators && !h->failed; k++) {
		trt_creator *other = h->creators[k];
		if (other == c || !host_is_v3(other)) continue;
		if (!strcmp(other->table->getPluginName(other), name) &&
		    !strcmp(other->table->getPluginVersion(other), version) &&
		    !strcmp(other->table->getPluginNamespace(other), space))
			host_fail(h, "two creators have name %s, version %s and namespace '%s': TensorRT refuses the second", name,
			          version, space);
	}
	host_calls("getFieldNames");
	const trt_fields *names = c->table->getFieldNames(c);
	if (h->failed || !good_names(h, names)) return;
	host_note(h, "version %s, namespace '%s', %d field%s", version, space, (int)names->nbFields,
	          names->nbFields == 1 ? "" : "s");
}

/* ---- create ---------------------------------------------------------------------------------------- */

/* In the runtime phase a plugin is made of what it serialised: see host_check_fields. */
static bool create_with(host *h, const trt_fields *fields, const char *what)
{
	host_plugin p[2];
	host_upon("of %s", what);
	for (int k = 0; k < 2; k++) (void)host_make(h, &p[k], fields, TRT_PHASE_BUILD);
	if (!p[0].plugin != !p[1].plugin)
		return host_fail(h, "createPlugin makes a plugin of %s at one time and none at another", what);
	if (!p[0].plugin)
		return host_fail(h, "createPlugin returns NULL for %s%s", what,
		                 h->options->n_attributes ? "" : "; if it needs some, give them by --attr NAME=VALUE");
	if (p[0].plugin == p[1].plugin)
		return host_fail(h, "createPlugin gives one plugin twice: each has an end of its own");
	host_destroy(&p[0]);
	host_destroy(&p[1]);
	return true;
}

void host_check_create(host *h)
{
	trt_fields given;
	if (host_given_fields(&given, h) != OG_OK) {
		host_fail(h, "%s", base_error());
		return;
	}
	if (create_with(h, &given, given.nbFields ? "the fields given" : "no fields"))
		host_note(h, "of %s", given.nbFields ? "the fields given" : "no fields");
}

/* ---- capabilities ------------------------------------------------------------------------------------ */

static bool right_kind(host *h, trt_info info, const char *kind, const char *what)
{
	if (info.kind && !strcmp(info.kind, kind)) return true;
	return host_fail(h, "getInterfaceInfo of %s says '%s' instead of '%s'", what, or_null(info.kind), kind);
}

static bool same_text(host *h, const char *what, const char *creator, const char *core)
{
	if (core && !strcmp(creator, core)) return true;
	return host_fail(h, "%s is '%s' of the plugin and '%s' of its creator: an engine would not find it again", what,
	                 or_null(core), creator);
}

static void check_capabilities(host *h, trt_plugin *p)
{
	static const char *const names[] = { "core", "build", "runtime" };
	void *found[3];
	host_calls("getInterfaceInfo of the plugin");
	if (!right_kind(h, p->table->getInterfaceInfo(p), TRT_PLUGIN_KIND, "the plugin")) return;
	for (int k = 0; k < 3; k++) {
		host_calls("getCapabilityInterface");
		found[k] = p->table->getCapabilityInterface(p, k);
		if (!found[k]) host_fail(h, "getCapabilityInterface gives no %s capability", names[k]);
		else if (p->table->getCapabilityInterface(p, k) != found[k])
			host_fail(h, "getCapabilityInterface gives another %s capability each time: it belongs to the plugin",
			          names[k]);
	}
	if (h->failed) return;
	trt_core *core = found[TRT_CAPABILITY_CORE];
	trt_build *build = found[TRT_CAPABILITY_BUILD];
	trt_runtime *run = found[TRT_CAPABILITY_RUNTIME];
	host_calls("getInterfaceInfo of a capability");
	trt_info info = build->table->getInterfaceInfo(build);
	if (!right_kind(h, core->table->getInterfaceInfo(core), TRT_CORE_KIND, "the core capability") ||
	    !right_kind(h, info, TRT_BUILD_KIND, "the build capability") ||
	    !right_kind(h, run->table->getInterfaceInfo(run), TRT_RUNTIME_KIND, "the runtime capability")) return;
	host_calls("getPluginName of the plugin");
	if (!same_text(h, "getPluginName", h->creator->table->getPluginName(h->creator), core->table->getPluginName(core)))
		return;
	host_calls("getPluginVersion of the plugin");
	if (!same_text(h, "getPluginVersion", h->creator->table->getPluginVersion(h->creator),
	               core->table->getPluginVersion(core)))
		return;
	host_calls("getPluginNamespace of the plugin");
	if (!same_text(h, "getPluginNamespace", h->creator->table->getPluginNamespace(h->creator),
	               core->table->getPluginNamespace(core)))
		return;
	host_note(h, "build interface %d.%d", (int)info.major, (int)info.minor);
}

void host_check_capabilities(host *h)
{
	host_plugin p;
	trt_fields given;
	if (host_given_fields(&given, h) == OG_OK) (void)host_make(h, &p, &given, TRT_PHASE_BUILD);
	else p.plugin = NULL;
	if (!p.plugin) {
		host_skip(h, "there is no plugin to ask: see create");
		return;
	}
	check_capabilities(h, p.plugin);
	host_destroy(&p);
}

/* ---- types --------------------------------------------------------------------------------------------- */

static bool check_count(host *h)
{
	host_plugin p;
	trt_fields given;
	if (host_given_fields(&given, h) != OG_OK || !host_make(h, &p, &given, TRT_PHASE_BUILD) || !p.build)
		return host_skip(h, "there is no plugin to ask: see create and capabilities");
	if (p.n_out < 1 || p.n_out > HOST_MAX_ARGS)
		return host_fail(h, "getNbOutputs says %d; this host looks at 1 to %d", (int)p.n_out, HOST_MAX_ARGS);
	host_calls("getNbOutputs");
	int32_t again = p.build->table->getNbOutputs(p.build);
	if (again != p.n_out) return host_fail(h, "getNbOutputs says %d and then %d", (int)p.n_out, (int)again);
	host_destroy(&p);
	return true;
}

void host_check_types(host *h)
{
	host_case *cases;
	host_plugin p;
	size_t n;
	int32_t status, out[HOST_POSITIONS];
	char words[160] = "";
	if (!check_count(h) || !host_cases(h, &cases, &n) || !host_need(h, &p, &cases[0].given, TRT_PHASE_BUILD)) return;
	for (size_t k = 0; k < n && !h->failed; k++) {
		host_upon("%d inputs", cases[k].n_in);
		if (!host_output_types(h, &status, &p, cases[k].type, cases[k].n_in, out)) return;
		if (status)
			host_fail(h, "getOutputDataTypes returns %d for %d inputs of type %s", (int)status, cases[k].n_in,
			          host_type_name(cases[k].type[0]));
		for (int i = 0; i < p.n_out && !h->failed; i++)
			if (host_dtype(out[i]) == OG_NONE)
				host_fail(h, "getOutputDataTypes gives output %d type %d, which TensorRT does not have", i,
				          (int)out[i]);
	}
	for (int i = 0; i < p.n_out && !h->failed && strlen(words) < sizeof words - 16; i++)
		snprintf(words + strlen(words), sizeof words - strlen(words), "%s%s", i ? ", " : "", host_type_name(out[i]));
	host_note(h, "%d output%s of type %s for %s", (int)p.n_out, p.n_out == 1 ? "" : "s", words,
	          host_type_name(cases[n - 1].type[0]));
	host_destroy(&p);
}

/* ---- fields ---------------------------------------------------------------------------------------------- */

static bool good_fields(host *h, const trt_fields *f)
{
	if (!f) return host_fail(h, "getFieldsToSerialize returns NULL; return a collection of no fields");
	if (f->nbFields < 0 || (f->nbFields > 0 && !f->fields))
		return host_fail(h, "getFieldsToSerialize gives %d fields at NULL", (int)f->nbFields);
	for (int32_t k = 0; k < f->nbFields; k++) {
		const trt_field *x = &f->fields[k];
		if (!x->name) return host_fail(h, "getFieldsToSerialize gives field %d no name", (int)k);
		if (host_field_size(x->type) == 0)
			return host_fail(h, "getFieldsToSerialize gives field '%s' type %d, which TensorRT does not have", x->name,
			                 (int)x->type);
		if (x->length < 0 || (x->length > 0 && !x->data))
			return host_fail(h, "getFieldsToSerialize gives field '%s' %d elements at NULL", x->name, (int)x->length);
	}
	return true;
}

static const trt_fields *serialised(const host_plugin *p)
{
	host_calls("getFieldsToSerialize");
	return p->run->table->getFieldsToSerialize(p->run);
}

/* Serialised, made again in the runtime phase, serialised again: the same. */
static bool round_trip(host *h, const trt_fields *given, int32_t *n)
{
	host_plugin p, again;
	if (!host_need(h, &p, given, TRT_PHASE_BUILD)) return false;
	const trt_fields *fields = serialised(&p);
	if (!good_fields(h, fields)) return false;
	fields = host_copy_fields(h, fields);
	if (!fields) return host_fail(h, "memory ran out");
	host_destroy(&p);
	host_upon("the fields that it serialised");
	if (!host_make(h, &again, fields, TRT_PHASE_RUNTIME))
		return host_fail(h, "createPlugin refuses the fields that getFieldsToSerialize gave");
	const trt_fields *second = serialised(&again);
	if (!good_fields(h, second)) return false;
	if (!host_same_fields(fields, second))
		return host_fail(h, "a plugin that was made of the fields of getFieldsToSerialize serialises others: some do "
		                    "not survive an engine file");
	host_destroy(&again);
	*n = fields->nbFields;
	return true;
}

/* A field of one number; false when it is not for x. */
static bool number_field(trt_field *f, char room[16], const trt_field *declared, double x)
{
	bool whole = declared->type == TRT_FIELD_INT8 || declared->type == TRT_FIELD_INT16 ||
	             declared->type == TRT_FIELD_INT32 || declared->type == TRT_FIELD_INT64;
	*f = (trt_field){ declared->name, room, declared->type, 1 };
	return host_put_number(room, declared->type, x) && (!whole || x == floor(x));
}

/* Two plugins that differ in one field: what they serialise must differ as well. */
static bool field_counts(host *h, const trt_fields *given, const trt_field *declared, bool *tried)
{
	static const double values[] = { 1, 2, 0.5, 0.25, 0, 3 };
	const trt_fields *before = NULL;
	double first = 0;
	*tried = false;
	trt_field *fields = arena_array(h->a, (size_t)given->nbFields + 1, sizeof *fields);
	if (!fields) return host_fail(h, "memory ran out");
	int32_t n = 0, at;
	for (int32_t k = 0; k < given->nbFields; k++)
		if (strcmp(given->fields[k].name, declared->name)) fields[n++] = given->fields[k];
	at = n++;
	for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
		char room[16] = { 0 };
		host_plugin p;
		if (!number_field(&fields[at], room, declared, values[k])) continue;
		host_upon("%s = %g", declared->name, values[k]);
		if (!host_make(h, &p, &(trt_fields){ n, fields }, TRT_PHASE_BUILD)) continue;
		const trt_fields *now = serialised(&p);
		if (!good_fields(h, now)) return false;
		if (before) {
			bool same = host_same_fields(before, now);
			host_destroy(&p);
			*tried = true;
			return !same || host_fail(h,
			                          "with %s = %g and with %g getFieldsToSerialize gives the same: the field does "
			                          "not reach the engine file",
			                          declared->name, first, values[k]);
		}
		if (!(before = host_copy_fields(h, now))) return host_fail(h, "memory ran out");
		first = values[k];
		host_destroy(&p);
	}
	return true;
}

void host_check_fields(host *h)
{
	host_case *cases;
	size_t n;
	int32_t count = 0, tried = 0;
	if (!host_cases(h, &cases, &n)) return;
	for (size_t k = 0; k < n && !h->failed; k++)
		if (!round_trip(h, &cases[k].given, &count)) return;
	host_calls("getFieldNames");
	const trt_fields *names = h->creator->table->getFieldNames(h->creator);
	for (int32_t k = 0; names && k < names->nbFields && !h->failed; k++) {
		bool changed;
		if (field_counts(h, &cases[0].given, &names->fields[k], &changed)) tried += changed;
	}
	host_note(h, "%zu round trip%s, %d field%s changed", n, n == 1 ? "" : "s", (int)tried, tried == 1 ? "" : "s");
}

/* ---- clones ------------------------------------------------------------------------------------------------ */

/* What a plugin answers, to be compared with another's. */
static bool answers(host *h, const host_plugin *p, const host_case *c, trt_dims *made, const trt_fields **fields)
{
	int32_t status;
	memset(made, 0, HOST_MAX_ARGS * sizeof *made);
	if (!host_output_shapes(h, &status, p, c, made)) return false;
	if (status) return host_fail(h, "getOutputShapes returns %d for inputs of %s", (int)status, c->words);
	*fields = host_copy_fields(h, serialised(p));
	return *fields || host_fail(h, "memory ran out");
}

static bool same_answers(host *h, const host_plugin *p, const host_case *c, const trt_dims *made,
                         const trt_fields *fields, const char *when)
{
	trt_dims now[HOST_MAX_ARGS];
	const trt_fields *own;
	host_upon("a clone %s", when);
	if (!answers(h, p, c, now, &own)) return false;
	if (memcmp(now, made, sizeof now)) return host_fail(h, "a clone gives other shapes %s", when);
	return host_same_fields(own, fields) || host_fail(h, "a clone serialises other fields %s", when);
}

/* Three generations, ended in each of the six orders; those that are left answer as before. */
static bool end_in_order(host *h, const host_case *c, const int order[3])
{
	host_plugin p[3] = { { .plugin = NULL } };
	trt_dims made[HOST_MAX_ARGS];
	const trt_fields *fields;
	if (!host_need(h, &p[0], &c->given, TRT_PHASE_BUILD) || !answers(h, &p[0], c, made, &fields)) return false;
	if (!host_clone(h, &p[1], &p[0]) || !host_clone(h, &p[2], &p[1])) return false;
	if (p[1].plugin == p[0].plugin || p[2].plugin == p[1].plugin) return host_fail(h, "clone returns the plugin itself");
	for (int k = 0; k < 3; k++) {
		host_upon("%s", order[k] ? "a clone" : "the plugin, which has clones");
		host_destroy(&p[order[k]]);
		for (int i = 0; i < 3; i++)
			if (p[i].plugin && !same_answers(h, &p[i], c, made, fields,
			                                 order[k] ? "when another clone has ended" : "when its plugin has ended"))
				return false;
	}
	return true;
}

typedef struct worker { host *h; const host_plugin *p; const trt_fields *fields; pthread_t thread; } worker;

static void *clone_often(void *arg)
{
	worker *w = arg;
	enum { TIMES = 200 };
	for (int k = 0; k < TIMES && !w->h->failed; k++) {
		host_plugin copy;
		if (!host_clone(w->h, &copy, w->p)) break;
		if (!host_same_fields(serialised(&copy), w->fields))
			host_fail(w->h, "a clone serialises other fields when threads clone at once");
		host_destroy(&copy);
	}
	return NULL;
}

/* Each thread has a plugin of its own, as TensorRT does it, all of one creator. */
static void clone_in_threads(host *h, const host_case *c)
{
	enum { THREADS = 4 };
	worker w[THREADS];
	host_plugin p[THREADS];
	int n = 0;
	for (; n < THREADS && host_need(h, &p[n], &c->given, TRT_PHASE_BUILD); n++) {
		w[n] = (worker){ .h = h, .p = &p[n], .fields = host_copy_fields(h, serialised(&p[n])) };
		host_upon("clones in threads");
		if (!w[n].fields || pthread_create(&w[n].thread, NULL, clone_often, &w[n])) break;
	}
	if (n < THREADS) host_fail(h, "memory ran out");
	for (int k = 0; k < n; k++) pthread_join(w[k].thread, NULL);
	for (int k = 0; k < n; k++) host_destroy(&p[k]);
}

void host_check_clones(host *h)
{
	static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	host_case *cases;
	size_t n;
	if (!host_cases(h, &cases, &n)) return;
	for (size_t k = 0; k < sizeof orders / sizeof *orders; k++)
		if (!end_in_order(h, &cases[0], orders[k])) return;
	clone_in_threads(h, &cases[0]);
	host_note(h, "ended in every order, made in 4 threads");
}
