/* write.c -- whole models, and lone tensors, to files. */
#include "onnx/private.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FIRST_IR_FREE_CONSTANTS = 4, FIRST_IR_FUNCTIONS = 8 };
enum { CHUNK = 8 << 20, LARGE = 64 << 10 };      /* bytes, of weights on their way from file to file */

/* ---- the model as a message -------------------------------------------------------------------- */

/* Is there an initializer that is no input, here or in a body? */
static bool has_free_constants(const graph *g)
{
	for (const graph_value *v = g->first_value; v; v = v->next)
		if (v->constant && !v->is_input) return true;
	for (const graph_node *n = g->first; n; n = n->next)
		for (int k = 0; k < n->n_attrs; k++)
			if (n->attrs[k].g && has_free_constants(n->attrs[k].g)) return true;
	return false;
}

/* The model's own IR version, or the first that allows what is in it. */
static int64_t ir_version(const og_model *m)
{
	if (m->n_functions > 0 && m->ir_version < FIRST_IR_FUNCTIONS) return FIRST_IR_FUNCTIONS;
	if (m->ir_version < FIRST_IR_FREE_CONSTANTS && has_free_constants(m->main)) return FIRST_IR_FREE_CONSTANTS;
	return m->ir_version;
}

static bool is_unchanged(const og_model *m)
{
	bool same = m->source.p && m->main->source.p;
	for (int k = 0; k < m->n_functions; k++) same = same && m->functions[k].source.p && m->functions[k].body->source.p;
	return same;
}

static void put_model(onnx_writer *w)
{
	const og_model *m = w->m;
	const onnx_model_file *file = m->file;
	const graph_bytes from = file ? file->bytes : (graph_bytes){ 0 };
	const uint32_t own = 1u << MODEL_ir_version | 1u << MODEL_graph | 1u << MODEL_opset_import | 1u << MODEL_functions;
	if (is_unchanged(m) && !w->reencode && !w->moving) {
		wire_put_whole(&w->out, m->source);
		return;
	}
	wire_kept kept = onnx_keep(ONNX_MODEL, from, own);
	wire_put_int(&w->out, MODEL_ir_version, (uint64_t)ir_version(m));
	if (!file) wire_put_string(&w->out, MODEL_producer_name, "opgraft");
	wire_put_kept(&w->out, &kept, MODEL_graph);
	onnx_put_graph(w, MODEL_graph, m->main);
	for (int k = 0; k < m->n_opsets; k++) onnx_put_opset(w, MODEL_opset_import, &m->opsets[k], ONNX_MODEL, from);
	wire_put_kept(&w->out, &kept, MODEL_functions);
	for (int k = 0; k < m->n_functions; k++) onnx_put_function(w, &m->functions[k]);
	wire_put_rest(&w->out, &kept);
}

static og_status encode_once(onnx_writer *w)
{
	w->out = (wire_out){ .a = w->out.a };
	w->n_payloads = 0;
	w->data_size = 0;
	put_model(w);
	if (w->status != OG_OK) return w->status;
	return w->out.failed ? base_no_memory() : OG_OK;
}

/* Makes the message in w->out; constants go out of it when it would pass the limit. */
static og_status encode(onnx_writer *w, const onnx_write_options *o)
{
	uint64_t limit = o && o->limit > 0 ? o->limit : INT32_MAX;
	w->reencode = o && o->reencode;
	w->external = o && o->external && w->data_name;
	w->moving = w->external || !w->same_folder;
	TRY(encode_once(w));
	if (w->out.size > limit && !w->external && w->data_name) {
		w->external = w->moving = true;
		TRY(encode_once(w));
	}
	if (w->out.size > limit)
		return base_fail(OG_UNSUPPORTED, "the model takes %llu bytes, and such a file may have %llu; split it",
		                 (unsigned long long)w->out.size, (unsigned long long)limit);
	return OG_OK;
}

/* ---- files ------------------------------------------------------------------------------------- */

/* Weights may be larger than memory: what was written out of a map is forgotten at once. */
static void write_bytes(file_out *f, const og_model *m, const uint8_t *p, uint64_t n)
{
	for (size_t step; n > 0; p += step, n -= step) {
		step = n > CHUNK ? CHUNK : (size_t)n;
		file_write(f, p, step);
		for (size_t k = 0; m && step >= LARGE && k < m->n_files; k++) file_forget(&m->files[k], p, step);
	}
}

static void write_pieces(file_out *f, const onnx_writer *w)
{
	for (size_t k = 0; k < w->out.n; k++) write_bytes(f, w->m, w->out.pieces[k].p, w->out.pieces[k].n);
}

static void write_payloads(file_out *f, const onnx_writer *w)
{
	static const uint8_t zeros[4096];
	for (size_t k = 0; k < w->n_payloads; k++) {
		const onnx_payload *payload = &w->payloads[k];
		while (file_tell(f) < payload->offset) {
			uint64_t gap = payload->offset - file_tell(f);
			file_write(f, zeros, gap < sizeof zeros ? (size_t)gap : sizeof zeros);
		}
		write_bytes(f, w->m, payload->p, payload->n);
	}
}

/* Both files are on the disk before one takes its name, the data first: a failure leaves what was there. */
static og_status write_files(const onnx_writer *w, const char *path)
{
	file_out *model, *data = NULL;
	og_status status = OG_OK;
	TRY(file_create(&model, path));
	if (w->n_payloads > 0) {
		const char *data_path = file_beside(w->out.a, path, w->data_name);
		status = data_path ? file_create(&data, data_path) : base_no_memory();
	}
	if (status == OG_OK) {
		write_pieces(model, w);
		status = file_flush(model);
	}
	if (status == OG_OK && data) {
		write_payloads(data, w);
		status = file_commit(data);
		data = NULL;
	}
	if (status == OG_OK) return file_commit(model);
	file_abandon(data);
	file_abandon(model);
	return status;
}

/* Are both paths in one folder? */
static bool share_folder(arena *a, const char *one, const char *other)
{
	struct stat s, t;
	const char *folder_one = file_beside(a, one, "."), *folder_other = file_beside(a, other, ".");
	return folder_one && folder_other && stat(folder_one, &s) == 0 && stat(folder_other, &t) == 0 &&
	       s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static og_status write_to(onnx_writer *w, const char *path, const onnx_write_options *o)
{
	const onnx_model_file *file = w->m->file;
	w->data_name = arena_printf(w->out.a, "%s.data", last_part(path));
	NEED(w->data_name);
	w->same_folder = !file || !file->external || share_folder(w->out.a, path, file->beside);
	og_status status = encode(w, o);
	if (status != OG_OK) return base_fail_in(status, "%s", path);
	return write_files(w, path);
}

og_status onnx_write(og_model *m, const char *path, const onnx_write_options *o)
{
	char resolved[PATH_MAX];
	onnx_writer w = { .out.a = arena_create(), .m = m };
	NEED(w.out.a);
	/* Behind a symbolic link the file that it names is replaced, so the data belongs beside that. */
	og_status status = write_to(&w, realpath(path, resolved) ? resolved : path, o);
	arena_destroy(w.out.a);
	return status;
}

static og_status gather(uint8_t **data, size_t *n, const wire_out *out)
{
	uint8_t *to = out->size <= SIZE_MAX ? base_alloc((size_t)out->size) : NULL;
	NEED(to);
	*data = to;
	*n = (size_t)out->size;
	for (size_t k = 0; k < out->n; k++) {
		if (out->pieces[k].n > 0) memcpy(to, out->pieces[k].p, out->pieces[k].n);
		to += out->pieces[k].n;
	}
	return OG_OK;
}

og_status onnx_write_memory(og_model *m, uint8_t **data, size_t *n, const onnx_write_options *o)
{
	onnx_writer w = { .out.a = arena_create(), .m = m, .same_folder = true };
	*data = NULL;
	NEED(w.out.a);
	og_status status = encode(&w, o);
	if (status == OG_OK) status = gather(data, n, &w.out);
	arena_destroy(w.out.a);
	return status;
}

og_status onnx_write_tensor(const og_tensor *t, const char *name, const char *path)
{
	onnx_writer w = { .out.a = arena_create() };
	file_out *f;
	NEED(w.out.a);
	og_status status = OG_OK;
	if (!t->data || t->dtype == OG_STRING)
		status = base_fail(OG_UNSUPPORTED, "%s: strings cannot be written as a tensor", path);
	if (status == OG_OK) onnx_put_tensor_fields(&w, &(onnx_tensor_out){ .name = name, .t = t }, false);
	if (w.out.failed) status = base_no_memory();
	if (status == OG_OK) status = file_create(&f, path);
	if (status == OG_OK) {
		write_pieces(f, &w);
		status = file_commit(f);
	}
	arena_destroy(w.out.a);
	return status;
}
