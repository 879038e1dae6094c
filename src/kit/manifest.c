/* manifest.c -- og_manifest_load: the file, its pieces, and whether they fit each other. What goes through a value is known
 * in order: inputs of the network first, then what each piece makes. */
#include "kit/manifest.h"

#include <math.h>

#include "base/file.h"
#include "base/json.h"

enum { VERSION = 1, MOST_PIECES = 1 << 20 };

/* ---- members ------------------------------------------------------------------------------------- */

static og_status member(const json_value **out, const json_value *in, const char *key, json_kind kind)
{
	static const char *const kinds[] = { "null", "true or false", "a number", "a string", "a list", "an object" };
	*out = in->kind == JSON_OBJECT ? json_member(in, key) : NULL;
	if (*out && (*out)->kind == kind) return OG_OK;
	return base_fail(OG_BAD_FILE, "its '%s' is %s; opgraft partition writes %s there", key,
	                 *out ? kinds[(*out)->kind] : "missing", kinds[kind]);
}

static og_status word(const char **out, const json_value *in, const char *key)
{
	const json_value *v;
	TRY(member(&v, in, key, JSON_STRING));
	*out = v->string;
	return OG_OK;
}

/* ---- values -------------------------------------------------------------------------------------- */

static int value_of(const og_manifest *m, const char *name) { return (int)(intptr_t)map_get(&m->by_name, name) - 1; }

static og_status add_value(og_manifest *m, const og_value_info *info, const char *what, int *number)
{
	if (value_of(m, info->name) >= 0) return base_fail(OG_BAD_FILE, "%s makes '%s', which is there already", what, info->name);
	const size_t n = (size_t)m->n_values;
	manifest_value *values = arena_grow(m->a, m->values, n, &m->cap_values, n + 1, sizeof *values);
	NEED(values);
	m->values = values;
	values[m->n_values] = (manifest_value){ .info = *info, .last = -1 };
	*number = m->n_values++;
	return map_put(&m->by_name, info->name, (void *)(intptr_t)m->n_values);
}

static og_status read_shape(og_value_info *v, const json_value *shape)
{
	v->rank = -1;
	if (!shape || shape->kind == JSON_NULL) return OG_OK;
	if (shape->kind != JSON_ARRAY || shape->count > OG_MAX_RANK) return base_fail(OG_BAD_FILE, "the shape of '%s' is none", v->name);
	v->rank = (int)shape->count;
	for (int d = 0; d < v->rank; d++) {
		const json_value *size = &shape->items[d];
		v->dims[d] = -1;
		if (size->kind == JSON_STRING) v->dim_names[d] = size->string;
		else if (size->kind == JSON_NUMBER && size->number >= 0 && size->number <= 0x1p53 && size->number == floor(size->number))
			v->dims[d] = (int64_t)size->number;
		else if (size->kind != JSON_NULL)
			return base_fail(OG_BAD_FILE, "dimension %d of '%s' is neither a size nor a name", d, v->name);
	}
	return OG_OK;
}

static og_status read_info(og_value_info *v, const json_value *in)
{
	const char *dtype;
	*v = (og_value_info){ .rank = -1 };
	TRY(word(&v->name, in, "name"));
	TRY(word(&dtype, in, "dtype"));
	v->dtype = base_dtype_find(dtype, strlen(dtype));
	return read_shape(v, json_member(in, "shape"));
}

/* ---- pieces -------------------------------------------------------------------------------------- */

static og_status check_count(const json_value *list, int n, const char *file, const char *what)
{
	if (list->count == (size_t)n) return OG_OK;
	return base_fail(OG_BAD_FILE, "it lists %zu %s of %s, which has %d", list->count, what, file, n);
}

static og_status check_name(const json_value *list, const char *name, const char *file, const char *what)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].kind == JSON_STRING && !strcmp(list->items[i].string, name)) return OG_OK;
	return base_fail(OG_BAD_FILE, "%s has the %s '%s', which it does not list", file, what, name);
}

static og_status connect(og_manifest *m, manifest_piece *p, const json_value *in, const json_value *out)
{
	og_value_info info;
	p->n_in = og_model_inputs(p->model);
	p->n_out = og_model_outputs(p->model);
	p->in = arena_array(m->a, (size_t)p->n_in + 1, sizeof *p->in);
	p->out = arena_array(m->a, (size_t)p->n_out + 1, sizeof *p->out);
	if (!p->in || !p->out) return base_no_memory();
	TRY(check_count(in, p->n_in, p->file, "inputs"));
	TRY(check_count(out, p->n_out, p->file, "outputs"));
	for (int k = 0; k < p->n_in; k++) {
		TRY(og_model_input(p->model, k, &info));
		TRY(check_name(in, info.name, p->file, "input"));
		p->in[k] = value_of(m, info.name);
		if (p->in[k] < 0)
			return base_fail(OG_BAD_FILE, "%s reads '%s', which is no input of the network and which no piece before it makes",
			                 p->file, info.name);
		m->values[p->in[k]].last = m->n_pieces - 1;
	}
	for (int k = 0; k < p->n_out; k++) {
		TRY(og_model_output(p->model, k, &info));
		TRY(check_name(out, info.name, p->file, "output"));
		TRY(add_value(m, &info, p->file, &p->out[k]));
	}
	return OG_OK;
}

static og_status read_piece(og_manifest *m, manifest_piece *p, const json_value *from)
{
	const char *whom;
	const json_value *in, *out;
	TRY(word(&p->file, from, "file"));
	TRY(word(&whom, from, "runtime"));
	TRY(member(&in, from, "inputs", JSON_ARRAY));
	TRY(member(&out, from, "outputs", JSON_ARRAY));
	p->runtime = runtime_find(whom);
	if (!p->runtime) return base_fail_in(OG_BAD_FILE, "%s", p->file);
	if (!*p->file || strchr(p->file, '/') || !strcmp(p->file, ".."))
		return base_fail(OG_BAD_FILE, "piece '%s' does not lie beside it: only names without a folder are allowed", p->file);
	p->path = file_beside(m->a, m->path, p->file);
	NEED(p->path);
	og_status status = og_model_load(&p->model, p->path);
	if (status == OG_NO_MEMORY || status == OG_UNSUPPORTED) return status;
	if (status != OG_OK) return base_fail(OG_BAD_FILE, "a piece cannot be read: %s", base_error());
	return connect(m, p, in, out);
}

/* ---- the file ------------------------------------------------------------------------------------ */

static og_status read_outputs(og_manifest *m, const json_value *list)
{
	og_value_info v;
	m->outputs = arena_array(m->a, list->count + 1, sizeof *m->outputs);
	NEED(m->outputs);
	for (size_t i = 0; i < list->count; i++) {
		TRY(read_info(&v, &list->items[i]));
		int number = value_of(m, v.name);
		if (number < 0) return base_fail(OG_BAD_FILE, "no piece makes the output '%s'", v.name);
		m->outputs[m->n_outputs++] = number;
		m->values[number].last = m->n_pieces;
	}
	return OG_OK;
}

static og_status read_all(og_manifest *m, const json_value *root)
{
	const json_value *version, *in, *out, *pieces;
	og_value_info v;
	TRY(member(&version, root, "opgraft_manifest", JSON_NUMBER));
	if (version->number != VERSION)
		return base_fail(OG_BAD_FILE, "it is of version %g, and this is Opgraft %s, which reads version %d", version->number,
		                 OG_VERSION, VERSION);
	TRY(member(&in, root, "inputs", JSON_ARRAY));
	TRY(member(&out, root, "outputs", JSON_ARRAY));
	TRY(member(&pieces, root, "pieces", JSON_ARRAY));
	if (pieces->count > MOST_PIECES) return base_fail(OG_BAD_FILE, "it lists too many pieces");
	m->inputs = arena_array(m->a, in->count + 1, sizeof *m->inputs);
	m->pieces = arena_array(m->a, pieces->count + 1, sizeof *m->pieces);
	if (!m->inputs || !m->pieces) return base_no_memory();
	for (size_t i = 0; i < in->count; i++, m->n_inputs++) {
		TRY(read_info(&v, &in->items[i]));
		TRY(add_value(m, &v, "its list of inputs", &m->inputs[i]));
	}
	for (size_t i = 0; i < pieces->count; i++) TRY(read_piece(m, &m->pieces[m->n_pieces++], &pieces->items[i]));
	return read_outputs(m, out);
}

static og_status load(og_manifest *m, const char *path)
{
	file_map f;
	const json_value *root;
	NEED(m->path = arena_strdup(m->a, path));
	TRY(file_open(&f, path));
	og_status status = json_parse(&root, m->a, (const char *)f.data, f.size);
	file_close(&f);
	if (status == OG_OK) status = read_all(m, root);
	return status == OG_OK ? OG_OK : base_fail_in(status, "%s", path);
}

og_status og_manifest_load(og_manifest **out, const char *path)
{
	arena *a = arena_create();
	og_manifest *m = a ? arena_alloc(a, sizeof *m) : NULL;
	*out = NULL;
	if (!m) {
		arena_destroy(a);
		return base_no_memory();
	}
	m->a = a;
	og_status status = load(m, path);
	if (status == OG_OK) *out = m;
	else og_manifest_free(m);
	return status;
}

void og_manifest_free(og_manifest *m)
{
	if (!m) return;
	for (int k = 0; k < m->n_pieces; k++) og_model_free(m->pieces[k].model);
	map_free(&m->by_name);
	arena_destroy(m->a);
}

int og_manifest_inputs(const og_manifest *m) { return m->n_inputs; }
int og_manifest_outputs(const og_manifest *m) { return m->n_outputs; }
int og_manifest_pieces(const og_manifest *m) { return m->n_pieces; }

og_status og_manifest_input(const og_manifest *m, int k, og_value_info *out)
{
	if (k < 0 || k >= m->n_inputs) return base_fail(OG_USAGE, "the network has no input number %d", k);
	*out = m->values[m->inputs[k]].info;
	return OG_OK;
}

og_status og_manifest_output(const og_manifest *m, int k, og_value_info *out)
{
	if (k < 0 || k >= m->n_outputs) return base_fail(OG_USAGE, "the network has no output number %d", k);
	*out = m->values[m->outputs[k]].info;
	return OG_OK;
}

og_status og_manifest_piece(const og_manifest *m, int k, og_piece_info *out)
{
	if (k < 0 || k >= m->n_pieces) return base_fail(OG_USAGE, "there is no piece number %d", k);
	*out = (og_piece_info){ .file = m->pieces[k].file, .runtime = m->pieces[k].runtime->name, .ran = m->pieces[k].ran };
	return OG_OK;
}
