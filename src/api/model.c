/* model.c -- models of the public interface. */
#include "graph/graph.h"
#include "onnx/onnx.h"
#include "opgraft.h"
#include "schema/schema.h"

const char *og_error(void) { return base_error(); }
const char *og_version(void) { return OG_VERSION; }
const char *og_dtype_name(og_dtype t) { return base_dtype_name(t); }
og_dtype og_dtype_find(const char *name) { return base_dtype_find(name, strlen(name)); }
void og_text_free(char *s) { base_free(s); }

const char *og_status_name(og_status status)
{
	switch (status) {
#define X(name, number, meaning) case OG_##name: return #name;
	OG_STATUS_MAP(X)
#undef X
	}
	return "?";
}

/* The text form begins with the word "model"; no ONNX file does: 'm' would be field 13 as a group. */
static bool is_text(const uint8_t *p, size_t n)
{
	size_t i = 0;
	while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r' || p[i] == '#')) {
		if (p[i++] != '#') continue;
		while (i < n && p[i] != '\n') i++;
	}
	return n - i > 5 && !memcmp(p + i, "model", 5);
}

/* Ops found, types inferred: what every user of a model wants. */
static og_status ready(og_model **out, og_status status)
{
	if (status != OG_OK) return status;
	schema_resolve(*out);
	status = schema_infer((*out)->main);
	if (status == OG_OK) return OG_OK;
	graph_model_destroy(*out);
	*out = NULL;
	return status;
}

og_status og_model_load(og_model **out, const char *path)
{
	file_map f;
	*out = NULL;
	TRY(file_open(&f, path));
	og_status status;
	if (is_text(f.data, f.size)) {
		status = graph_parse(out, (const char *)f.data, f.size);
		if (status != OG_OK) status = base_fail_in(status, "%s", path);
	} else {
		status = onnx_read(out, path);
	}
	file_close(&f);
	return ready(out, status);
}

og_status og_model_load_memory(og_model **out, const void *data, size_t size, const char *folder)
{
	*out = NULL;
	if (is_text(data, size)) return ready(out, graph_parse(out, data, size));
	return ready(out, onnx_read_memory(out, data, size, folder));
}

og_status og_model_save(og_model *m, const char *path) { return onnx_write(m, path, NULL); }
void og_model_free(og_model *m) { graph_model_destroy(m); }

/* ---- inputs and outputs --------------------------------------------------------------------- */

/* An initializer that old files list as an input is a weight, not something to feed. */
static bool fed(const graph_value *v) { return !v->constant; }

static graph_value *fed_input(const og_model *m, int k)
{
	for (int i = 0; i < m->main->n_inputs; i++)
		if (fed(m->main->inputs[i]) && k-- == 0) return m->main->inputs[i];
	return NULL;
}

int og_model_inputs(const og_model *m)
{
	int n = 0;
	for (int i = 0; i < m->main->n_inputs; i++) n += fed(m->main->inputs[i]);
	return n;
}

int og_model_outputs(const og_model *m) { return m->main->n_outputs; }

static void value_info(og_value_info *out, const og_model *m, const graph_value *v)
{
	*out = (og_value_info){ .name = v->name, .dtype = v->dtype, .rank = v->rank, .optional = v->constant != NULL };
	for (int i = 0; i < v->rank; i++) {
		out->dims[i] = v->dims[i] >= 0 ? v->dims[i] : -1;
		out->dim_names[i] = graph_dim_name(m, v->dims[i]);
	}
}

og_status og_model_input(const og_model *m, int k, og_value_info *out)
{
	const graph_value *v = k >= 0 ? fed_input(m, k) : NULL;
	if (!v) return base_fail(OG_USAGE, "the network has no input number %d", k);
	value_info(out, m, v);
	return OG_OK;
}

og_status og_model_output(const og_model *m, int k, og_value_info *out)
{
	if (k < 0 || k >= m->main->n_outputs) return base_fail(OG_USAGE, "the network has no output number %d", k);
	value_info(out, m, m->main->outputs[k]);
	return OG_OK;
}

og_status og_model_print(char **out, const og_model *m)
{
	text t = { 0 };
	*out = NULL;
	og_status status = graph_print(&t, m);
	if (status == OG_OK) {
		*out = text_take(&t);
		return *out ? OG_OK : base_no_memory();
	}
	text_free(&t);
	return status;
}

/* ---- reference ------------------------------------------------------------------------------ */

og_status og_reference_run(const og_model *m, const og_tensor *const *inputs, og_tensor **outputs)
{
	const graph *g = m->main;
	arena *a = arena_create();
	NEED(a);
	const og_tensor **in = arena_array(a, (size_t)g->n_inputs + 1, sizeof *in);
	og_tensor **made = arena_array(a, (size_t)g->n_outputs + 1, sizeof *made);
	og_status status = in && made ? OG_OK : base_no_memory();
	for (int i = 0; i < g->n_outputs; i++) outputs[i] = NULL;
	for (int i = 0, k = 0; status == OG_OK && i < g->n_inputs; i++) {
		in[i] = fed(g->inputs[i]) ? inputs[k++] : g->inputs[i]->constant;
		if (!in[i]) status = base_fail(OG_USAGE, "input '%s' is missing", g->inputs[i]->name);
	}
	if (status == OG_OK) status = schema_run_graph(g, in, made, a, NULL, NULL, NULL);
	for (int i = 0; status == OG_OK && i < g->n_outputs; i++) {
		status = og_tensor_create(&outputs[i], made[i]->dtype, made[i]->rank, made[i]->dims);
		if (status == OG_OK) memcpy(outputs[i]->data, made[i]->data, og_tensor_bytes(made[i]));
	}
	for (int i = 0; status != OG_OK && i < g->n_outputs; i++) {
		og_tensor_free(outputs[i]);
		outputs[i] = NULL;
	}
	arena_destroy(a);
	return status;
}
