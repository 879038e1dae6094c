/* net.c -- a model or plan file made ready to run. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

bool cli_is_plan(const char *path)
{
	char head[6] = { 0 };
	FILE *f = fopen(path, "rb");
	if (!f) return false;
	bool plan = fread(head, 1, sizeof head, f) == sizeof head && !memcmp(head, "OGPLAN", 6);
	fclose(f);
	return plan;
}

/* ---- names and shapes on the command line ---------------------------------------------------- */

static og_status usage(const cli_args *a, const char *what, const char *value)
{
	cli_usage(a, "%s, not '%s'", what, value);
	return OG_USAGE;
}

og_status cli_parse_shape(const cli_args *a, og_binding *b, const char *s, char *name, size_t room)
{
	static const char *const form = "--shape takes NAME=1x3x8";
	const char *equals = strrchr(s, '=');
	if (!equals || equals == s || (size_t)(equals - s) >= room) return usage(a, form, s);
	memcpy(name, s, (size_t)(equals - s));
	name[equals - s] = 0;
	*b = (og_binding){ .name = name };
	const char *at = strchr(equals, ':') ? strchr(equals, ':') + 1 : equals + 1;
	while (*at && *at != ':') {
		char *end;
		long long d = strtoll(at, &end, 10);
		if (end == at || d < 0 || b->rank == OG_MAX_RANK) return usage(a, form, s);
		b->dims[b->rank++] = d;
		at = *end == 'x' ? end + 1 : end;
		if (*end && *end != 'x' && *end != ':') return usage(a, form, s);
	}
	return OG_OK;
}

static int find_input(const cli_net *net, const char *name)
{
	og_value_info v;
	int n = net->model ? og_model_inputs(net->model) : og_plan_inputs(net->plan);
	for (int i = 0; i < n; i++)
		if ((net->model ? og_model_input(net->model, i, &v) : og_plan_input(net->plan, i, &v)) == OG_OK && !strcmp(v.name, name))
			return i;
	return -1;
}

/* --input NAME=FILE, or FILE alone for a network of one input. */
static og_status load_inputs(cli_net *net, const cli_args *a)
{
	const char *s;
	for (int k = 0; (s = cli_option_nth(a, "--input", k)); k++) {
		const char *equals = strchr(s, '='), *file = equals ? equals + 1 : s;
		char name[512] = "";
		int i = net->n_inputs == 1 && !equals ? 0 : -1;
		if (equals && (size_t)(equals - s) < sizeof name) {
			memcpy(name, s, (size_t)(equals - s));
			i = find_input(net, name);
		}
		if (!equals && i < 0) return usage(a, "--input takes NAME=FILE", s);
		if (!equals && !strstr(s, ".npy") && !strstr(s, ".pb")) return usage(a, "--input takes NAME=FILE", s);
		if (i < 0) return usage(a, "the network has no input of that name", name);
		og_tensor_free(net->inputs[i]);
		og_status status = og_tensor_load(&net->inputs[i], file);
		if (status != OG_OK) return status;
	}
	return OG_OK;
}

/* ---- inputs that were not given ---------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Floats evenly from 0 to 1; whole numbers and truth values 0 or 1; other types stay 0. */
static void fill_random(og_tensor *t, uint64_t seed)
{
	size_t n = 1;
	for (int i = 0; i < t->rank; i++) n *= (size_t)t->dims[i];
	for (size_t i = 0; i < n; i++) {
		uint64_t r = next_random(&seed);
		switch (t->dtype) {
		case OG_F32: ((float *)t->data)[i] = (float)(r >> 40) * 0x1p-24f; break;
		case OG_F64: ((double *)t->data)[i] = (double)(r >> 11) * 0x1p-53; break;
		case OG_F16: ((uint16_t *)t->data)[i] = (uint16_t)(r % 0x3c00); break;
		case OG_BF16: ((uint16_t *)t->data)[i] = (uint16_t)(0x3c00 + r % 0x380); break;
		case OG_I64: case OG_U64: ((int64_t *)t->data)[i] = (int64_t)(r >> 63); break;
		case OG_I32: case OG_U32: ((int32_t *)t->data)[i] = (int32_t)(r >> 63); break;
		case OG_U8: case OG_I8: case OG_BOOL: ((uint8_t *)t->data)[i] = (uint8_t)(r >> 63); break;
		default: break;
		}
	}
}

og_status cli_make_tensor(og_tensor **out, const og_value_info *v, uint64_t seed)
{
	int64_t dims[OG_MAX_RANK];
	for (int d = 0; d < v->rank; d++) dims[d] = v->dims[d] < 0 ? 1 : v->dims[d];
	og_status status = og_tensor_create(out, v->dtype, v->rank, dims);
	if (status == OG_OK && seed) fill_random(*out, seed);
	return status;
}

/* ---- opening --------------------------------------------------------------------------------- */

static og_status bind_batch(const og_model *m, og_binding *b, int *n, int batch)
{
	og_value_info v;
	for (int i = 0; i < og_model_inputs(m); i++) {
		og_status status = og_model_input(m, i, &v);
		if (status != OG_OK) return status;
		if (v.rank < 1 || !v.dim_names[0]) continue;
		bool seen = false;
		for (int k = 0; k < *n; k++) seen = seen || !strcmp(b[k].name, v.dim_names[0]);
		if (!seen) b[(*n)++] = (og_binding){ .name = v.dim_names[0], .rank = 1, .dims = { batch } };
	}
	return OG_OK;
}

static void dump(void *arg, const char *pass, const char *text)
{
	(void)arg;
	printf("# after %s\n%s\n", pass, text);
}

static og_status build(cli_net *net, const cli_args *a, int batch)
{
	enum { MAX = 3 * CLI_MAX_ARGS };
	static og_binding bindings[MAX];
	static char names[CLI_MAX_ARGS][256];
	int n = 0;
	const char *s;
	og_value_info v;
	og_status status = batch > 0 ? bind_batch(net->model, bindings, &n, batch) : OG_OK;
	for (int k = 0; status == OG_OK && (s = cli_option_nth(a, "--shape", k)); k++)
		status = cli_parse_shape(a, &bindings[n++], s, names[k], sizeof names[k]);
	for (int i = 0; status == OG_OK && i < net->n_inputs && n < MAX; i++) {
		if (!net->inputs[i]) continue;
		status = og_model_input(net->model, i, &v);
		bindings[n++] = (og_binding){ .name = v.name, .value = net->inputs[i] };
	}
	if (status != OG_OK) return status;
	og_build_options o = { .size = sizeof o, .device = cli_option_value(a, "--device"),
	                       .precision = cli_option_value(a, "--precision"), .bindings = bindings, .n_bindings = n,
	                       .threads = net->threads, .no_fuse = cli_option_value(a, "--no-fuse") != NULL,
	                       .dump = cli_option_value(a, "--dump") ? dump : NULL,
	                       .timing = a->verb->once ? OG_TIMING_CACHED : OG_TIMING_ON, .timing_cache = "" };
	o.batching = cli_option_value(a, "--batching");
	o.memory = cli_option_value(a, "--memory");
	if (cli_option_value(a, "--no-timing")) o.timing = OG_TIMING_OFF;
	if (cli_option_value(a, "--timing-cache")) o.timing_cache = cli_option_value(a, "--timing-cache");
	if (cli_option_value(a, "--no-timing-cache")) o.timing_cache = NULL;
	return og_plan_build(&net->plan, net->model, &o);
}

static og_status make_buffers(cli_net *net, const cli_args *a, bool runs)
{
	og_value_info v;
	for (int i = 0; i < net->n_inputs; i++) {
		og_status status = og_plan_input(net->plan, i, &v);
		if (status == OG_OK && !net->inputs[i]) status = cli_make_tensor(&net->inputs[i], &v, (uint64_t)i + 1);
		if (status != OG_OK) return status;
		og_tensor want = { .dtype = v.dtype, .rank = v.rank };
		memcpy(want.dims, v.dims, sizeof want.dims);
		bool same = net->inputs[i]->dtype == v.dtype && net->inputs[i]->rank == v.rank;
		for (int d = 0; same && d < v.rank; d++) same = net->inputs[i]->dims[d] == v.dims[d];
		if (!same) {
			return usage(a, "the plan was built for another type or shape of this input", v.name);
		}
		net->in[i] = net->inputs[i]->data;
	}
	for (int i = 0; i < net->n_outputs; i++) {
		og_status status = og_plan_output(net->plan, i, &v);
		if (status == OG_OK) status = cli_make_tensor(&net->outputs[i], &v, 0);
		if (status != OG_OK) return status;
		net->out[i] = net->outputs[i]->data;
	}
	if (!runs) return OG_OK;
	og_status status = og_session_create(&net->session, net->plan, net->threads);
	if (status == OG_OK) net->threads = og_session_threads(net->session);
	return status;
}

static og_status open_net(cli_net *net, const cli_args *a, int batch, og_tensor **given, int n_given)
{
	bool plan = cli_is_plan(net->path), runs = a->verb != &cli_verb_build;
	const char *device = cli_option_value(a, "--device");
	/* said before the work; but a plan may be built for a device that this machine lacks */
	og_status status = device && runs ? og_device_ready(device) : OG_OK;
	if (status != OG_OK) return status;
	status = plan ? og_plan_load(&net->plan, net->path) : og_model_load(&net->model, net->path);
	if (status != OG_OK) return status;
	net->n_inputs = plan ? og_plan_inputs(net->plan) : og_model_inputs(net->model);
	net->n_outputs = plan ? og_plan_outputs(net->plan) : og_model_outputs(net->model);
	net->inputs = calloc((size_t)net->n_inputs + 1, sizeof *net->inputs);
	net->outputs = calloc((size_t)net->n_outputs + 1, sizeof *net->outputs);
	net->in = calloc((size_t)net->n_inputs + 1, sizeof *net->in);
	net->out = calloc((size_t)net->n_outputs + 1, sizeof *net->out);
	if (!net->inputs || !net->outputs || !net->in || !net->out) return OG_NO_MEMORY;
	for (int i = 0; i < n_given; i++) {
		if (i < net->n_inputs) net->inputs[i] = given[i];
		else og_tensor_free(given[i]);
		given[i] = NULL;
	}
	status = load_inputs(net, a);
	if (status == OG_OK && !plan) status = build(net, a, batch);
	return status == OG_OK ? make_buffers(net, a, runs) : status;
}

og_status cli_net_open(cli_net *net, const cli_args *a, const char *path, int batch, og_tensor **given, int n_given)
{
	*net = (cli_net){ .path = path };
	if (!cli_option_int(a, "--threads", 1, 256, &net->threads)) return OG_USAGE;
	if (!batch && !cli_option_int(a, "--batch", 1, 1 << 24, &batch)) return OG_USAGE;
	og_status status = open_net(net, a, batch, given, n_given);
	for (int i = 0; i < n_given; i++) og_tensor_free(given[i]);
	if (status != OG_OK) cli_net_close(net);
	return status;
}

og_status cli_net_run(cli_net *net) { return og_session_run(net->session, net->in, net->out); }

void cli_net_close(cli_net *net)
{
	og_session_free(net->session);
	og_plan_free(net->plan);
	og_model_free(net->model);
	for (int i = 0; net->inputs && i < net->n_inputs; i++) og_tensor_free(net->inputs[i]);
	for (int i = 0; net->outputs && i < net->n_outputs; i++) og_tensor_free(net->outputs[i]);
	free(net->inputs);
	free(net->outputs);
	free(net->in);
	free(net->out);
	*net = (cli_net){ .path = net->path };
}
