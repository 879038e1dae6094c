/* config.c -- the server's configuration of a model: checked against the network, and filled in where it says nothing. */
#include <stdlib.h>

#include "serve/serve.h"
#include "serve/triton_abi.h"

/* ---- reading -------------------------------------------------------------------------------------- */

/* A number, which the server also writes as a string; `otherwise` where there is none. */
static int64_t number_of(const json_value *v, int64_t otherwise)
{
	if (v && v->kind == JSON_NUMBER) return (int64_t)v->number;
	return v && v->kind == JSON_STRING ? strtoll(v->string, NULL, 10) : otherwise;
}

static const char *string_of(const json_value *v) { return v && v->kind == JSON_STRING ? v->string : ""; }

/* A member that is an array or object; NULL when it is absent or empty. */
static const json_value *list_of(const json_value *of, const char *key)
{
	const json_value *v = of ? json_member(of, key) : NULL;
	return v && (v->kind == JSON_ARRAY || v->kind == JSON_OBJECT) && v->count ? v : NULL;
}

og_status serve_config_settings(serve_settings *to, arena *a, const json_value *config, const char *folder,
                                const char **unknown)
{
	const json_value *all = list_of(config, "parameters");
	*unknown = NULL;
	for (size_t k = 0; all && k < all->count; k++) {
		const json_value *p = &all->items[k];
		const char *value = string_of(p->kind == JSON_OBJECT ? json_member(p, "string_value") : NULL);
		og_status status = serve_setting(to, a, p->key, value, folder);
		if (status == OG_NO) *unknown = p->key;
		else TRY(status);
	}
	return OG_OK;
}

static int count_instances(const json_value *config)
{
	const json_value *groups = list_of(config, "instance_group");
	int64_t sum = 0;
	for (size_t k = 0; groups && k < groups->count; k++) {
		int64_t n = groups->items[k].kind == JSON_OBJECT ? number_of(json_member(&groups->items[k], "count"), 1) : 1;
		if (sum < 1024) sum += n > 0 && n < 1024 ? n : 1;
	}
	return sum > 0 ? (int)sum : 1;
}

/* ---- checking ------------------------------------------------------------------------------------- */

static const char *type_name(int type)
{
	switch (type) {
#define X(number, name, ours) case number: return "TYPE_" #name;
	TRITON_TYPE_MAP(X)
#undef X
	default: return "TYPE_INVALID";
	}
}

static void add_dims(text *t, const serve_port *p, int from)
{
	text_add(t, "[");
	for (int i = from; i < p->rank; i++) text_printf(t, i > from ? ",%lld" : "%lld", (long long)p->dims[i]);
	text_add(t, "]");
}

/* The sentence for dims that do not fit. */
static og_status fail_dims(const serve_network *net, const serve_port *p, const char *what, const json_value *dims)
{
	text has = { 0 };
	add_dims(&has, p, net->most > 0);
	text_add(&has, ", not [");
	for (size_t i = 0; i < dims->count; i++) text_printf(&has, i ? ",%lld" : "%lld", (long long)number_of(&dims->items[i], 0));
	text_add(&has, "]");
	char *made = text_take(&has);
	NEED(made);
	og_status status = base_fail(OG_USAGE, "the configuration's dims of %s '%s' do not fit %s: they are %s (%s)", what, p->name,
	                             net->path, made, net->most > 0 ? "without the batch, since max_batch_size is not 0"
	                                                            : "all of them, since max_batch_size is 0");
	base_free(made);
	return status;
}

/* Dims as the backend sees them, which "reshape" may change. A free dimension may be given a number. */
static og_status check_dims(serve_port *p, const serve_network *net, const json_value *entry, const char *what)
{
	static const json_value none = { .kind = JSON_ARRAY };
	const json_value *reshape = json_member(entry, "reshape"), *dims = json_member(entry, "dims");
	int from = net->most > 0;
	if (reshape && reshape->kind == JSON_OBJECT) dims = json_member(reshape, "shape");
	if (!dims || dims->kind != JSON_ARRAY) dims = &none;
	if (p->rank < 0 || (serve_is_scalar(net, p) && dims->count == 1 && number_of(&dims->items[0], 0) == 1)) return OG_OK;
	bool fit = dims->count == (size_t)(p->rank - from);
	for (int i = from; fit && i < p->rank; i++) {
		int64_t n = number_of(&dims->items[i - from], -1);
		fit = p->dims[i] < 0 || p->dims[i] == n;
	}
	if (!fit) return fail_dims(net, p, what, dims);
	for (int i = from; i < p->rank; i++) p->dims[i] = number_of(&dims->items[i - from], -1);
	return OG_OK;
}

static og_status fail_name(const serve_network *net, const serve_port *ports, int n, const char *what, const char *name)
{
	text has = { 0 };
	for (int i = 0; i < n; i++) text_printf(&has, i ? ", '%s'" : "'%s'", ports[i].name);
	char *made = text_take(&has);
	NEED(made);
	og_status status = base_fail(OG_USAGE, "the configuration names %s '%s', and %s has %s", what, name, net->path, made);
	base_free(made);
	return status;
}

static og_status check_list(serve_port *ports, int n, const serve_network *net, const json_value *list, const char *what)
{
	for (size_t i = 0; list && i < list->count; i++) {
		const json_value *entry = &list->items[i];
		if (entry->kind != JSON_OBJECT) return base_fail(OG_USAGE, "the configuration's %s %zu is no object", what, i);
		const char *name = string_of(json_member(entry, "name")), *type = string_of(json_member(entry, "data_type"));
		int k = 0;
		while (k < n && strcmp(ports[k].name, name)) k++;
		if (k == n) return fail_name(net, ports, n, what, name);
		if (strcmp(type, type_name(ports[k].type)))
			return base_fail(OG_USAGE, "the configuration says that %s '%s' is %s, and in %s it is %s", what, name, type, net->path,
			                 type_name(ports[k].type));
		TRY(check_dims(&ports[k], net, entry, what));
	}
	return OG_OK;
}

static bool is_named(const json_value *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].kind == JSON_OBJECT && !strcmp(string_of(json_member(&list->items[i], "name")), name)) return true;
	return false;
}

static og_status check_all_inputs(const serve_network *net, const json_value *inputs)
{
	for (int k = 0; k < net->n_inputs; k++)
		if (!is_named(inputs, net->inputs[k].name))
			return base_fail(OG_USAGE, "the configuration has no input '%s', which %s needs", net->inputs[k].name, net->path);
	return OG_OK;
}

static og_status check_batch(const serve_network *net)
{
	const serve_settings *set = &net->settings;
	if (net->most > 0 && net->batch < 0)
		return base_fail(OG_USAGE, "max_batch_size is %lld, and the inputs and outputs of %s do not share a first dimension to "
		                 "be the batch; set it to 0", (long long)net->most, net->path);
	for (int k = 0; k < set->n_batches; k++)
		if (net->batch != 0 || net->most < set->batches[k])
			return base_fail(OG_USAGE, "parameter 'batches' asks for a plan of %lld samples, and %s", (long long)set->batches[k],
			                 net->batch > 0 ? "the network's batch is fixed" : net->most ? "max_batch_size is less" : "there is no batch");
	return OG_OK;
}

/* ---- completing ------------------------------------------------------------------------------------ */

static void put(json *j, const json_value *v)
{
	char bracket = v->kind == JSON_ARRAY ? '[' : '{';
	switch (v->kind) {
	case JSON_NULL: json_null(j); return;
	case JSON_BOOL: json_bool(j, v->boolean); return;
	case JSON_NUMBER: json_number(j, v->number); return;
	case JSON_STRING: json_string(j, v->string); return;
	case JSON_ARRAY:
	case JSON_OBJECT: break;
	}
	json_begin(j, bracket);
	for (size_t i = 0; i < v->count; i++) {
		if (v->kind == JSON_OBJECT) json_key(j, v->items[i].key);
		put(j, &v->items[i]);
	}
	json_end(j, v->kind == JSON_ARRAY ? ']' : '}');
}

/* The server wants one dimension at least: a scalar of each sample is told as one element that is reshaped. */
static og_status put_port(json *j, const serve_port *p, const serve_network *net)
{
	int from = net->most > 0;
	if (p->rank < 0)
		return base_fail(OG_UNSUPPORTED, "%s: the number of dimensions of output '%s' is not known before inputs are; say its "
		                 "dims in config.pbtxt", net->path, p->name);
	json_begin(j, '{');
	json_put_string(j, "name", p->name);
	json_put_string(j, "data_type", type_name(p->type));
	json_put(j, "dims", '[');
	for (int i = from; i < p->rank; i++) json_int(j, p->dims[i]);
	if (p->rank == from) json_int(j, 1);
	json_end(j, ']');
	if (p->rank == from && from) {
		json_put(j, "reshape", '{');
		json_put(j, "shape", '[');
		json_end(j, ']');
		json_end(j, '}');
	}
	json_end(j, '}');
	return OG_OK;
}

static og_status put_list(json *j, const char *key, const json_value *given, const serve_port *ports, int n,
                          const serve_network *net)
{
	json_key(j, key);
	if (given) {
		put(j, given);
		return OG_OK;
	}
	json_begin(j, '[');
	for (int k = 0; k < n; k++) TRY(put_port(j, &ports[k], net));
	json_end(j, ']');
	return OG_OK;
}

/* Batches are put together of what waits, unless the configuration says how requests are scheduled. */
static bool wants_batching(const serve_network *net, const json_value *config)
{
	static const char *const said[] = { "dynamic_batching", "sequence_batching", "ensemble_scheduling" };
	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		if (json_member(config, said[i])) return false;
	return net->most > 1;
}

static og_status complete_to(json *j, const serve_network *net, const json_value *config)
{
	static const char *const ours[] = { "max_batch_size", "input", "output" };
	json_begin(j, '{');
	for (size_t i = 0; i < config->count; i++) {
		bool skip = false;
		for (size_t k = 0; k < sizeof ours / sizeof *ours; k++) skip |= !strcmp(config->items[i].key, ours[k]);
		if (skip) continue;
		json_key(j, config->items[i].key);
		put(j, &config->items[i]);
	}
	json_put_int(j, "max_batch_size", net->most);
	TRY(put_list(j, "input", list_of(config, "input"), net->inputs, net->n_inputs, net));
	TRY(put_list(j, "output", list_of(config, "output"), net->outputs, net->n_outputs, net));
	if (wants_batching(net, config)) {
		json_put(j, "dynamic_batching", '{');
		json_end(j, '}');
	}
	json_end(j, '}');
	return OG_OK;
}

og_status serve_config_check(serve_network *net, const json_value *config, bool complete, int64_t default_most,
                             char **completed)
{
	const json_value *inputs = list_of(config, "input"), *outputs = list_of(config, "output");
	const json_value *policy = json_member(config, "model_transaction_policy");
	const json_value *decoupled = policy && policy->kind == JSON_OBJECT ? json_member(policy, "decoupled") : NULL;
	*completed = NULL;
	if (decoupled && decoupled->boolean)
		return base_fail(OG_UNSUPPORTED, "a network answers a request once; remove decoupled from the configuration");
	net->instances = count_instances(config);
	net->most = number_of(json_member(config, "max_batch_size"), 0);
	if (complete && net->most == 0 && net->batch == 0 && !inputs && !outputs) net->most = default_most;
	TRY(check_batch(net));
	if ((!inputs || !outputs) && !complete)
		return base_fail(OG_USAGE, "the configuration has no %s, and the server was told not to have it completed",
		                 inputs ? "output" : "input");
	TRY(check_list(net->inputs, net->n_inputs, net, inputs, "input"));
	TRY(check_list(net->outputs, net->n_outputs, net, outputs, "output"));
	if (inputs) TRY(check_all_inputs(net, inputs));
	if (!complete) return OG_OK;
	json j = { 0 };
	og_status status = complete_to(&j, net, config);
	*completed = text_take(&j.out);
	if (status == OG_OK && !*completed) status = base_no_memory();
	if (status == OG_OK) return OG_OK;
	base_free(*completed);
	*completed = NULL;
	return status;
}
