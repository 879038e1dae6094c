/* tf_read.c -- from a file or folder to a graph: what kind of file it is, and which graph in it is meant. */
#include "tf/tf_private.h"

#include <sys/stat.h>

enum { MAX_META_GRAPHS = 1000 };

/* ---- messages ----------------------------------------------------------------------------------- */

static og_status read_graph(tf_reader *r, base_bytes bytes, const tf_options *o)
{
	TRY(tf_scope_open(r, bytes));
	return tf_build(r, (base_bytes){ 0 }, o);
}

static og_status read_ops(tf_reader *r, base_bytes info)
{
	base_bytes list = { 0 };
	wire_reader w = tf_open(TF_M_META_INFO, info, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_META_INFO_stripped_op_list) list = f.bytes;
	} while (f.number != 0);
	w = tf_open(TF_M_OP_LIST, list, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number != TF_OP_LIST_op) continue;
		base_bytes label = { 0 }, *own = arena_alloc(r->temporary, sizeof *own);
		NEED(own);
		*own = f.bytes;
		wire_reader v = tf_open(TF_M_OP, *own, r->base);
		do {
			TRY(wire_next(&v, &f));
			if (f.number == TF_OP_name) label = f.bytes;
		} while (f.number != 0);
		const char *name;
		TRY(tf_name(&name, r->temporary, label));
		TRY(map_put(&r->ops, name, own));
		f.number = TF_OP_LIST_op;
	} while (f.number != 0);
	return OG_OK;
}

static og_status read_meta_graph(tf_reader *r, base_bytes meta, const tf_options *o)
{
	base_bytes main_graph = { 0 };
	wire_reader w = tf_open(TF_M_META_GRAPH, meta, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_META_GRAPH_meta_info_def) TRY(read_ops(r, f.bytes));
		if (f.number == TF_META_GRAPH_graph_def) main_graph = f.bytes;
		if (f.number == TF_META_GRAPH_object_graph_def) r->objects = f.bytes;
		if (f.number != TF_META_GRAPH_saver_def) continue;
		wire_reader v = tf_open(TF_M_SAVER, f.bytes, r->base);
		do {
			TRY(wire_next(&v, &f));
			if (f.number == TF_SAVER_restore_op_name) TRY(tf_name(&r->restore, r->temporary, f.bytes));
		} while (f.number != 0);
		f.number = TF_META_GRAPH_saver_def;
	} while (f.number != 0);
	TRY(tf_scope_open(r, main_graph));
	return tf_build(r, meta, o);
}

static og_status count_tags(tf_reader *r, base_bytes meta, const char *tag, text *list, bool *has, size_t *n)
{
	wire_reader w = tf_open(TF_M_META_GRAPH, meta, r->base);
	wire_field f;
	base_bytes info = { 0 };
	*has = false;
	*n = 0;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_META_GRAPH_meta_info_def) info = f.bytes;
	} while (f.number != 0);
	w = tf_open(TF_M_META_INFO, info, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number != TF_META_INFO_tags) continue;
		*has |= wire_is(f.bytes, tag);
		if (++*n < 4 && list->length < 300)
			text_printf(list, "%s%.*s", *n > 1 ? "+" : list->length ? ", " : "", f.bytes.n > 40 ? 40 : (int)f.bytes.n,
			            (const char *)f.bytes.p);
	} while (f.number != 0);
	return OG_OK;
}

/* The MetaGraph with the tag and the fewest others; without a tag said, an only one whatever its tags. */
static og_status choose_meta_graph(tf_reader *r, base_bytes saved, const char *tag, text *list, base_bytes *out)
{
	wire_reader w = tf_open(TF_M_SAVED_MODEL, saved, r->base);
	wire_field f;
	size_t graphs = 0, fewest = SIZE_MAX;
	base_bytes latest = { 0 };
	do {
		size_t n;
		bool has;
		TRY(wire_next(&w, &f));
		if (f.number != TF_SAVED_MODEL_meta_graphs) continue;
		if (++graphs > MAX_META_GRAPHS) return base_fail(OG_BAD_FILE, "it has more than %d graphs", MAX_META_GRAPHS);
		latest = f.bytes;
		TRY(count_tags(r, f.bytes, tag ? tag : "serve", list, &has, &n));
		if (!has || n >= fewest) continue;
		fewest = n;
		*out = f.bytes;
	} while (f.number != 0);
	if (graphs == 0) return base_fail(OG_BAD_FILE, "there is no graph in it; it is no saved_model.pb");
	if (fewest == SIZE_MAX && !tag && graphs == 1) *out = latest;
	else if (fewest == SIZE_MAX)
		return base_fail(OG_MISSING, "it has no graph with the tag '%.64s'; there are %s", tag ? tag : "serve",
		                 list->data ? list->data : "no tags");
	return OG_OK;
}

static og_status read_saved_model(tf_reader *r, base_bytes saved, const tf_options *o)
{
	base_bytes meta = { 0 };
	text list = { 0 };
	og_status status = choose_meta_graph(r, saved, o->tag, &list, &meta);
	text_free(&list);
	return status == OG_OK ? read_meta_graph(r, meta, o) : status;
}

/* ---- files -------------------------------------------------------------------------------------- */

/* Files that people take for what they are not. */
static og_status check_magic(base_bytes b)
{
	static const struct { size_t at; const char *magic, *what, *hint; } others[] = {
		{ 0, "\x89HDF", "a Keras HDF5 file", "load it in Keras and call model.export(FOLDER)" },
		{ 0, "PK\x03\x04", "a zip file, perhaps a .keras one", "load it in Keras and call model.export(FOLDER)" },
		{ 4, "TFL3", "a TensorFlow Lite file", "give the SavedModel that it was made from" },
	};
	for (size_t k = 0; k < sizeof others / sizeof *others; k++)
		if (b.n >= others[k].at + 4 && memcmp(b.p + others[k].at, others[k].magic, 4) == 0)
			return base_fail(OG_BAD_FILE, "it is %s, and no TensorFlow graph; %s", others[k].what, others[k].hint);
	return b.n > 0 ? OG_OK : base_fail(OG_BAD_FILE, "it is empty");
}

static og_status read_bytes(tf_reader *r, base_bytes b, tf_message message, const tf_options *o)
{
	TRY(check_magic(b));
	if (tf_text_is(b)) TRY(tf_text_encode(&b, r->holder->a, message, b));
	r->base = b.p;
	return message == TF_M_SAVED_MODEL ? read_saved_model(r, b, o)
	     : message == TF_M_META_GRAPH ? read_meta_graph(r, b, o) : read_graph(r, b, o);
}

og_status tf_read_bytes(tf_graph **out, og_model *holder, const char *path, base_bytes b, tf_message message,
                        const char *checkpoint, const tf_options *o)
{
	static const tf_options usual = { 0 };
	tf_graph *g = NULL;
	arena *a = arena_create(), *temporary = arena_create();
	og_status status = a && temporary ? OG_OK : base_no_memory();
	if (status == OG_OK) {
		g = arena_alloc(a, sizeof *g);
		tf_reader r = { .g = g, .holder = holder, .temporary = temporary, .checkpoint = checkpoint };
		if (g) *g = (tf_graph){ .a = a, .path = arena_strdup(a, path) };
		status = g && g->path ? read_bytes(&r, b, message, o ? o : &usual) : base_no_memory();
		tf_scopes_close(&r);
		map_free(&r.functions);
		map_free(&r.ops);
		map_free(&r.cuts);
		map_free(&r.fixed);
		map_free(&r.names);
	}
	if (status != OG_OK && status != OG_NO_MEMORY) base_fail_in(status, "%s", path);
	if (status != OG_OK && g) map_free(&g->by_name);
	if (status != OG_OK) arena_destroy(a);
	arena_destroy(temporary);
	*out = status == OG_OK ? g : NULL;
	return status;
}

og_status tf_read_memory(tf_graph **out, og_model *holder, const void *data, size_t n, const char *name, const tf_options *o)
{
	return tf_read_bytes(out, holder, name, (base_bytes){ data, n }, TF_M_GRAPH, NULL, o);
}

og_status tf_map_file(og_model *m, const char *path, base_bytes *out)
{
	file_map *files = arena_grow(m->a, m->files, m->n_files, &m->cap_files, m->n_files + 1, sizeof *files);
	NEED(files);
	m->files = files;
	TRY(file_open(&files[m->n_files], path));
	*out = (base_bytes){ files[m->n_files].data, files[m->n_files].size };
	m->n_files++;
	return OG_OK;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && strcmp(s + n - k, end) == 0;
}

static bool is_file(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The file to read first, what it holds, and where its variables would be. */
typedef struct source { const char *file, *checkpoint; tf_message message; } source;

static og_status find_source(source *s, arena *a, const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		const char *binary = arena_printf(a, "%s/saved_model.pb", path), *words = arena_printf(a, "%s/saved_model.pbtxt", path);
		const char *checkpoint = arena_printf(a, "%s/variables/variables", path);
		if (!binary || !words || !checkpoint) return base_no_memory();
		*s = (source){ is_file(binary) ? binary : words, checkpoint, TF_M_SAVED_MODEL };
		if (is_file(s->file)) return OG_OK;
		return base_fail(OG_MISSING, "%s: there is no saved_model.pb in this folder", path);
	}
	*s = (source){ path, NULL, TF_M_GRAPH };
	if (ends_with(path, ".meta")) {
		s->message = TF_M_META_GRAPH;
		s->checkpoint = arena_strndup(a, path, strlen(path) - strlen(".meta"));
		NEED(s->checkpoint);
	} else if (ends_with(path, "saved_model.pb") || ends_with(path, "saved_model.pbtxt")) {
		s->message = TF_M_SAVED_MODEL;
		s->checkpoint = file_beside(a, path, "variables/variables");
		NEED(s->checkpoint);
	}
	return OG_OK;
}

og_status tf_read(tf_graph **out, og_model *holder, const char *path, const tf_options *o)
{
	source s = { 0 };
	base_bytes b;
	*out = NULL;
	TRY(find_source(&s, holder->a, path));
	TRY(tf_map_file(holder, s.file, &b));
	return tf_read_bytes(out, holder, s.file, b, s.message, s.checkpoint, o);
}
