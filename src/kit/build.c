/* build.c -- op files into one op library: each file compiled once a view, a list of the ops written, all linked with the bridges.
 *
 *   a.c b.c ──cc, five views──▶ *.o ─────────────────────────┐
 *   a.c b.c ──NVRTC──▶ images ──▶ library.c ──cc──▶ library.o ─┴─ld─ libopgraft_kit.a, libopgraft.a ──▶ lib.so
 *
 * The same files and compiler give the same bytes. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "kit/device.h"
#include "kit/kit.h"
#include "opgraft.h"
#include "schema/schema.h"

/* X(view, words for it): the flags KIT_view come from the Makefile, which compiles the built-in ops with them. */
#define KIT_VIEW_MAP(X) \
	X(base, "as plain C") X(REF, "for doubles") X(scalar, "for floats") X(avx2, "for vectors of 8") X(avx512, "for vectors of 16")
#define KIT_base ""
enum {
#define X(view, words) VIEW_##view,
	KIT_VIEW_MAP(X)
#undef X
	N_VIEWS
};
static const struct { const char *name, *flags, *words; } views[N_VIEWS] = {
#define X(view, words) { #view, KIT_##view, words },
	KIT_VIEW_MAP(X)
#undef X
};

/* What others call by name. */
static const char exports[] = "{ global: og_op_library; getCreators; setLoggerFinder; RegisterCustomOps; local: *; };\n";

typedef struct op_entry { const char *symbol, *file; int line; } op_entry;

typedef struct builder {
	arena *a;
	const og_library_options *options;
	kit_home home;
	const char *const *files; int n_files;
	kit_source *sources;
	op_entry *ops; size_t n_ops, cap_ops;
	const char *folder;                  /* where everything is made */
	const char *const *cc; size_t n_cc;  /* the compiler and its own arguments */
	bool is_clang;
	kit_device device;
	kit_job *jobs;                       /* n_files * N_VIEWS, a file's views together; then library.c and the linker */
	const char **objects;
	text log;
} builder;

/* ---- the op files ---------------------------------------------------------------------------- */

static og_status find_entries(builder *b, const kit_source *s)
{
	size_t before = b->n_ops;
	int line = 1;
	for (const char *at = s->text, *end; *at; at = *end ? end + 1 : end, line++) {
		end = at + strcspn(at, "\n");
		if (strncmp(at, "OP(", 3) != 0) continue;
		size_t n = 3;
		while (isalnum((unsigned char)at[n]) || at[n] == '_') n++;
		if (n == 3 || at[n] != ',')
			return base_fail(OG_BAD_FILE, "%s:%d: OP( is followed by the entry's symbol and a comma: OP(swish, .name = ...", s->path, line);
		op_entry *grown = arena_grow(b->a, b->ops, b->n_ops, &b->cap_ops, b->n_ops + 1, sizeof *grown);
		NEED(grown);
		b->ops = grown;
		op_entry *e = &b->ops[b->n_ops];
		*e = (op_entry){ arena_strndup(b->a, at + 3, n - 3), s->path, line };
		NEED(e->symbol);
		for (size_t k = 0; k < b->n_ops; k++)
			if (!strcmp(b->ops[k].symbol, e->symbol))
				return base_fail(OG_BAD_FILE, "%s:%d: OP(%s is at %s:%d already; an entry's symbol is unique in a library", s->path,
				                 line, e->symbol, b->ops[k].file, b->ops[k].line);
		b->n_ops++;
	}
	if (b->n_ops > before) return OG_OK;
	return base_fail(OG_BAD_FILE, "%s: has no OP(...) at the beginning of a line, so it defines no op; opgraft op new shows how one "
	                 "looks", s->path);
}

static og_status read_sources(builder *b)
{
	b->sources = arena_array(b->a, (size_t)b->n_files, sizeof *b->sources);
	NEED(b->sources);
	for (int i = 0; i < b->n_files; i++) {
		const char *path = b->files[i];
		file_map f;
		if (strpbrk(path, "\"\\\n")) return base_fail(OG_USAGE, "%s: the compiler takes no such name; rename the file", path);
		TRY(file_open(&f, path));
		const char *s = arena_strndup(b->a, (const char *)f.data, f.size);
		b->sources[i] = (kit_source){ path, s, f.size };
		file_close(&f);
		NEED(s);
		if (strlen(s) != b->sources[i].length) return base_fail(OG_BAD_FILE, "%s: is no text", path);
		TRY(find_entries(b, &b->sources[i]));
	}
	return OG_OK;
}

/* ---- the compiler ---------------------------------------------------------------------------- */

static bool starts(builder *b, const char *command)
{
	kit_job job = { .log = arena_printf(b->a, "%s/version", b->folder) };
	char *words = arena_strdup(b->a, command);
	const char **argv = arena_array(b->a, strlen(command) + 3, sizeof *argv);
	size_t n = 0;
	if (!job.log || !words || !argv) return false;
	for (char *rest = NULL, *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) argv[n++] = word;
	if (n == 0) return false;
	b->cc = argv;
	b->n_cc = n;
	argv[n] = "--version";
	job.argv = argv;
	if (kit_run(&job, 1, b->a) != OG_OK || job.exit_status != 0) return false;
	b->is_clang = strstr(job.said, "clang") != NULL;
	return true;
}

static og_status find_compiler(builder *b)
{
	static const char *const usual[] = { "cc", "gcc", "clang" };
	const char *asked = b->options->compiler ? b->options->compiler : getenv("CC");
	if (asked && *asked) {
		if (starts(b, asked)) return OG_OK;
		return base_fail(OG_MISSING, "the C compiler '%s' does not start; name another with --cc or in CC", asked);
	}
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
		if (starts(b, usual[i])) return OG_OK;
	return base_fail(OG_MISSING, "there is no C compiler here (cc, gcc, clang); install gcc or clang, or name one with --cc");
}

/* An argument list: the compiler, words split at spaces, then whole arguments up to NULL. */
static const char **arguments(builder *b, const char *words, const char *const *more)
{
	size_t room = b->n_cc + strlen(words) + 2, n = 0;
	for (size_t k = 0; more[k]; k++) room++;
	const char **argv = arena_array(b->a, room, sizeof *argv);
	char *copy = arena_strdup(b->a, words), *rest = NULL;
	if (!argv || !copy) return NULL;
	for (size_t k = 0; k < b->n_cc; k++) argv[n++] = b->cc[k];
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) argv[n++] = word;
	for (size_t k = 0; more[k]; k++) argv[n++] = more[k];
	return argv;
}

static og_status compile_job(builder *b, kit_job *job, const char *source, const char *object, int view)
{
	/* Messages name the line of the op file, not the inside of a macro; the first view has the warnings. */
	const char *gcc = "-ftrack-macro-expansion=0 -fmax-errors=5 -Wno-override-init -Wno-psabi -fdiagnostics-color=never";
	const char *clang = "-fmacro-backtrace-limit=1 -ferror-limit=5 -Wno-initializer-overrides -Wno-psabi -fno-color-diagnostics";
	const char *flags = arena_printf(b->a, KIT_CFLAGS " %s %s %s", view ? "-w" : "-Wall -Wextra", b->is_clang ? clang : gcc,
	                                 views[view].flags);
	NEED(flags);
	job->log = arena_printf(b->a, "%s.log", object);
	job->argv = arguments(b, flags, (const char *const[]){ "-I", b->home.include, "-c", "-o", object, source, NULL });
	NEED(job->log);
	NEED(job->argv);
	return OG_OK;
}

static og_status make_jobs(builder *b)
{
	size_t n = (size_t)b->n_files * N_VIEWS;
	b->jobs = arena_array(b->a, n + 1, sizeof *b->jobs);
	b->objects = arena_array(b->a, n + 1, sizeof *b->objects);
	if (!b->jobs || !b->objects) return base_no_memory();
	for (int view = 0; view < N_VIEWS; view++)
		for (int i = 0; i < b->n_files; i++) {
			const char *slash = strrchr(b->files[i], '/'), *name = slash ? slash + 1 : b->files[i];
			size_t k = (size_t)view * (size_t)b->n_files + (size_t)i;
			b->objects[k] = arena_printf(b->a, "%s/%d.%s.%s.o", b->folder, i, name, views[view].name);
			NEED(b->objects[k]);
			TRY(compile_job(b, &b->jobs[k], b->files[i], b->objects[k], view));
		}
	return OG_OK;
}

/* The first "file:line:column: error: words" as the sentence. */
static og_status blame(const char *file, const char *said, const char *words)
{
	for (const char *at = said, *end; *at; at = *end ? end + 1 : end) {
		end = at + strcspn(at, "\n");
		const char *error = strstr(at, "error: ");
		int line = 0;
		size_t n = strlen(file);
		if (!error || error > end || strncmp(at, file, n) != 0 || sscanf(at + n, ":%d", &line) != 1) continue;
		return base_fail(OG_BAD_FILE, "%s:%d: the compiler refuses it %s: %.*s", file, line, words, (int)(end - error - 7), error + 7);
	}
	return base_fail(OG_BAD_FILE, "%s: the compiler refuses it %s; what it says is above", file, words);
}

/* Compiles views [from, to) of all files. */
static og_status compile(builder *b, int from, int to)
{
	size_t n = (size_t)b->n_files, first = (size_t)from * n, count = (size_t)(to - from) * n;
	TRY(kit_run(b->jobs + first, count, b->a));
	for (size_t k = first; k < first + count; k++) {
		const kit_job *j = &b->jobs[k];
		text_add(&b->log, j->said);
		if (j->exit_status == 127) return base_fail(OG_MISSING, "the C compiler '%s' does not start", b->cc[0]);
		if (j->exit_status) return blame(b->files[k % n], j->said, views[k / n].words);
	}
	return OG_OK;
}

/* ---- the library's own file ------------------------------------------------------------------ */

static og_status write_file(const char *path, const void *data, size_t n)
{
	file_out *f;
	TRY(file_create(&f, path));
	file_write(f, data, n);
	return file_commit(f);
}

static og_status compile_kernels(builder *b)
{
	if (b->options->no_cuda) return OG_OK;
	og_status status = kit_compile_device(&b->device, b->a, b->sources, (size_t)b->n_files, b->home.include);
	if (status == OG_MISSING) text_printf(&b->log, "without CUDA images: %s\n", base_error());
	else if (status == OG_OK && *b->device.skipped)
		text_printf(&b->log, "without images for %s: %s does not know them\n", b->device.skipped, b->device.compiler);
	return status == OG_MISSING ? OG_OK : status;
}

static og_status write_library(builder *b, const char *path)
{
	text t = { 0 };
	text_add(&t, "#include \"opgraft/op_abi.h\"\n\n");
	for (size_t k = 0; k < b->n_ops; k++) text_printf(&t, "extern const og_op og_op_%s;\n", b->ops[k].symbol);
	text_add(&t, "static const og_op *const ops[] = {\n");
	for (size_t k = 0; k < b->n_ops; k++) text_printf(&t, "\t&og_op_%s,\n", b->ops[k].symbol);
	text_add(&t, "};\n\n");
	for (uint32_t k = 0; k < b->device.n; k++)
		text_printf(&t, "extern const char image_%u[] __attribute__((visibility(\"hidden\")));\n"
		            "__asm__(\".section .rodata\\n.balign 64\\n.globl image_%u\\n\"\n"
		            "        \"image_%u: .incbin \\\"%s/image_%u\\\"\\n.byte 0\\n.text\\n\");\n",
		            k, k, k, b->folder, k);
	if (b->device.n) text_add(&t, "static const og_image images[] = {\n");
	for (uint32_t k = 0; k < b->device.n; k++)
		text_printf(&t, "\t{ %d, %d, image_%u, %zu },\n", b->device.images[k].arch, b->device.images[k].is_ptx, k, b->device.images[k].n);
	if (b->device.n) text_add(&t, "};\n\n");
	text_printf(&t, "__attribute__((visibility(\"default\"))) extern const og_library og_op_library;\n"
	            "const og_library og_op_library = {\n"
	            "\t.abi = OG_OP_ABI, .n_ops = %zu, .ops = ops, .n_images = %u, .images = %s, .version = \"%s\",\n};\n", b->n_ops,
	            b->device.n, b->device.n ? "images" : "0", og_version());
	og_status status = t.failed ? base_no_memory() : write_file(path, t.data, t.length);
	text_free(&t);
	return status;
}

static og_status compile_library(builder *b)
{
	size_t k = (size_t)b->n_files * N_VIEWS;
	const char *source = arena_printf(b->a, "%s/library.c", b->folder);
	b->objects[k] = arena_printf(b->a, "%s/library.o", b->folder);
	if (!source || !b->objects[k]) return base_no_memory();
	for (uint32_t i = 0; i < b->device.n; i++) {
		const char *image = arena_printf(b->a, "%s/image_%u", b->folder, i);
		NEED(image);
		TRY(write_file(image, b->device.images[i].data, b->device.images[i].n));
	}
	TRY(write_library(b, source));
	TRY(compile_job(b, &b->jobs[k], source, b->objects[k], VIEW_base));
	TRY(kit_run(&b->jobs[k], 1, b->a));
	text_add(&b->log, b->jobs[k].said);
	return b->jobs[k].exit_status ? blame(source, b->jobs[k].said, views[VIEW_base].words) : OG_OK;
}

/* ---- linking and trying ---------------------------------------------------------------------- */

static og_status blame_link(const kit_job *job)
{
	static const char *const faults[] = { "multiple definition of", "duplicate symbol", "undefined reference to", "undefined symbol" };
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		const char *at = strstr(job->said, faults[i]);
		if (!at) continue;
		return base_fail(OG_BAD_FILE, "the library does not link: %.*s; %s", (int)strcspn(at, "\n;"), at, i < 2
		                 ? "formulas and kernels of all op files of a library need names of their own"
		                 : "an op file calls nothing but libc, libm and what it defines");
	}
	return base_fail(OG_BAD_FILE, "the library does not link; what the linker says is above");
}

static og_status link_library(builder *b, const char *out)
{
	TRY(compile_library(b));
	size_t n = (size_t)b->n_files * N_VIEWS + 1, used = 0;
	const char *script = arena_printf(b->a, "%s/exports", b->folder);
	const char **more = arena_array(b->a, n + 16, sizeof *more);
	kit_job job = { .log = arena_printf(b->a, "%s/link.log", b->folder) };
	const char *kit = arena_printf(b->a, "%s/libopgraft_kit.a", b->home.lib), *lib = arena_printf(b->a, "%s/libopgraft.a", b->home.lib);
	const char *version = script ? arena_printf(b->a, "-Wl,--version-script=%s", script) : NULL;
	if (!more || !job.log || !kit || !lib || !version) return base_no_memory();
	TRY(write_file(script, exports, sizeof exports - 1));
	more[used++] = "-o";
	more[used++] = out;
	for (size_t k = 0; k < n; k++) more[used++] = b->objects[k];
	const char *const tail[] = { "-Wl,--whole-archive", kit, "-Wl,--no-whole-archive", lib, version };
	for (size_t k = 0; k < sizeof tail / sizeof *tail; k++) more[used++] = tail[k];
	more[used++] = "-lm";
	more[used++] = "-ldl";
	job.argv = arguments(b, KIT_CFLAGS " " KIT_LDFLAGS, more);
	NEED(job.argv);
	TRY(kit_run(&job, 1, b->a));
	if (job.exit_status == 0) return OG_OK;
	text_add(&b->log, job.said);
	return blame_link(&job);
}

/* In a child: loads the library and checks what its ops say of themselves. Tells "status op-number sentence". */
static void try_library(void *arg, int to)
{
	const og_library *library = NULL;
	size_t n = 0, at = SIZE_MAX;
	og_status status = kit_open(&library, arg);
	if (status == OG_OK) n = library->n_ops;
	for (size_t k = 0; status == OG_OK && k < n; k++) {
		at = k;
		status = schema_declared(library->ops[k]);
		if (status == OG_OK) status = schema_add(&library->ops[k], 1, "the library");
	}
	for (size_t k = 0; status == OG_OK && k < n; k++) {
		at = k;
		status = kit_check_declaration(library->ops[k]);
	}
	if (status != OG_OK) dprintf(to, "%d %zu %s", (int)status, at, base_error());
}

static og_status try_in_child(builder *b, const char *so)
{
	text told = { 0 };
	int signal, status = 0, at = 0;
	size_t k = 0;
	og_status ran = kit_child(&told, &signal, try_library, (void *)(uintptr_t)so, 60);
	if (ran == OG_OK && signal)
		ran = base_fail(OG_BAD_FILE, "the library that was built crashes (signal %d) when it is loaded", signal);
	else if (ran == OG_OK && told.data && sscanf(told.data, "%d %zu %n", &status, &k, &at) == 2)
		ran = k < b->n_ops ? base_fail((og_status)status, "%s:%d: %s", b->ops[k].file, b->ops[k].line, told.data + at)
		                   : base_fail((og_status)status, "%s", told.data + at);
	text_free(&told);
	return ran;
}

static og_status copy_out(const char *from, const char *to)
{
	file_map f;
	TRY(file_open(&f, from));
	og_status status = write_file(to, f.data, f.size);
	file_close(&f);
	return status;
}

/* ---- a folder to work in --------------------------------------------------------------------- */

static og_status begin_folder(builder *b)
{
	const char *keep = b->options->keep, *base = getenv("TMPDIR");
	if (keep) {
		if (mkdir(keep, 0777) && errno != EEXIST) return base_fail(OG_MISSING, "%s: cannot be created: %s", keep, strerror(errno));
		b->folder = keep;
		return OG_OK;
	}
	char *name = arena_printf(b->a, "%s/opgraft-XXXXXX", base && *base ? base : "/tmp");
	NEED(name);
	b->folder = mkdtemp(name);
	return b->folder ? OG_OK : base_fail(OG_MISSING, "%s: cannot be created: %s", name, strerror(errno));
}

/* Removes what was made: the names are known. */
static void remove_made(builder *b, const char *name)
{
	const char *path = arena_printf(b->a, "%s/%s", b->folder, name);
	if (path) (void)unlink(path);
}

static void end_folder(builder *b)
{
	static const char *const fixed[] = { "version", "library.c", "exports", "link.log", "lib.so" };
	if (b->options->keep || !b->folder) return;
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) remove_made(b, fixed[i]);
	for (uint32_t i = 0; i < b->device.n; i++) {
		char image[32];
		snprintf(image, sizeof image, "image_%u", i);
		remove_made(b, image);
	}
	for (size_t k = 0; b->objects && k <= (size_t)b->n_files * N_VIEWS; k++) {
		if (b->objects[k]) (void)unlink(b->objects[k]);
		if (b->jobs[k].log) (void)unlink(b->jobs[k].log);
	}
	(void)rmdir(b->folder);
}

static og_status build(builder *b, const char *path)
{
	TRY(kit_home_find(&b->home, b->a));
	TRY(read_sources(b));
	TRY(begin_folder(b));
	TRY(find_compiler(b));
	TRY(make_jobs(b));
	TRY(compile(b, VIEW_base, VIEW_base + 1));
	TRY(compile(b, VIEW_base + 1, N_VIEWS));
	const char *so = arena_printf(b->a, "%s/lib.so", b->folder);
	NEED(so);
	TRY(link_library(b, so));
	TRY(try_in_child(b, so));
	TRY(compile_kernels(b));             /* takes longest, so it comes when all else is right */
	if (b->device.n) TRY(link_library(b, so));
	return copy_out(so, path);
}

og_status og_op_library_build(const char *const *files, int n_files, const char *path, const og_library_options *options, char **log)
{
	builder b = { .a = arena_create(), .files = files, .n_files = n_files,
	              .options = options ? options : &(og_library_options){ .size = sizeof *options },
	              .device = { .compiler = "", .skipped = "" } };
	if (log) *log = NULL;
	NEED(b.a);
	og_status status = n_files > 0 ? build(&b, path) : base_fail(OG_USAGE, "an op library is built of at least one op file");
	end_folder(&b);
	if (log && b.log.length) *log = text_take(&b.log);
	text_free(&b.log);
	arena_destroy(b.a);
	return status;
}
