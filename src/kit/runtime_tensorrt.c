/* runtime_tensorrt.c -- asks the ONNX parser of the real TensorRT or TensorRT-RTX, opened by name: it takes what the parser
 * makes a network of. No engine is built and no GPU is needed. Op libraries are given to it as plugin libraries.
 *
 * A child process has the library and answers through a socket, as long as the host is open: the parser prints what it
 * likes to, plugins are other people's code, and whichever crashes has given its answer. */
#include "kit/runtime.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "bridge/tensorrt_abi.h"
#include "kit/runtime_tensorrt.h"

/* ---- tables ---------------------------------------------------------------------------------- */

typedef struct places {
#define X(name, class, function, ten, eleven) int name;
#define D(name, class, ten, eleven) int name;
	RUNTIME_TRT_PLACES(X)
	RUNTIME_TRT_DESTRUCTORS(D)
#undef X
#undef D
} places;
static const places release_10 = {
#define X(name, class, function, ten, eleven) ten,
#define D(name, class, ten, eleven) ten,
	RUNTIME_TRT_PLACES(X)
	RUNTIME_TRT_DESTRUCTORS(D)
#undef X
#undef D
}, release_11 = {
#define X(name, class, function, ten, eleven) eleven,
#define D(name, class, ten, eleven) eleven,
	RUNTIME_TRT_PLACES(X)
	RUNTIME_TRT_DESTRUCTORS(D)
#undef X
#undef D
};

typedef runtime_trt_object object;

/* In the child. */
typedef struct tensorrt {
	const runtime_host *host;
	char version[64];
	runtime_trt_builder *b;
	const places *at;
	uint32_t flags;                      /* of a network that keeps its types */
	int parser_version;
	void *(*create_parser)(void *network, void *logger, int version);
} tensorrt;

/* ---- the logger: what bridge/tensorrt_abi.h says of both forms ----------------------------------- */

static char said[512];                   /* the latest error; for when the parser has none */

static void log_at_0(void *self, int32_t severity, const char *message)
{
	(void)self;
	if (severity <= TRT_ERROR && message) snprintf(said, sizeof said, "%s", message);
}
static trt_info log_info(void *self) { return (void)self, (trt_info){ "ILogger", 1, 0 }; }
static void stay(void *self) { (void)self; }
static const struct {
	trt_prefix prefix;
	struct {
		void (*log_10)(void *, int32_t, const char *);
		trt_info (*info)(void *);
		void (*end)(void *), (*destroy)(void *);
		void (*log_11)(void *, int32_t, const char *);
	} table;
} logger_table = { .table = { log_at_0, log_info, stay, stay, log_at_0 } };
static const void *logger = &logger_table.table;

/* ---- the libraries ------------------------------------------------------------------------------- */

/* by_name: its parser opens the library again, by that name, when it comes to a plugin, and ends the process where it cannot. */
typedef struct names { const char *library, *parser, *title; bool by_name; } names;

static void *open_in(const char *place, const char *name)
{
	char pattern[4096];
	glob_t g;
	void *library = NULL;
	snprintf(pattern, sizeof pattern, "%s/%s*", place, name);
	if (glob(pattern, 0, NULL, &g)) return NULL;
	for (size_t i = 0; i < g.gl_pathc && !library; i++) library = dlopen(g.gl_pathv[i], RTLD_LAZY | RTLD_GLOBAL);
	globfree(&g);
	return library;
}

/* The parser finds the library, which is open by then. */
static bool open_pair(void **library, void **parser, const names *n, const char *place)
{
	static const char *const folders[] = { "%s", "%s/lib", "%s/tensorrt/lib", "%s/lib/python3*/site-packages/tensorrt*" };
	char folder[2048], soname[64];
	for (size_t i = 0; place && i < sizeof folders / sizeof *folders; i++) {
		snprintf(folder, sizeof folder, folders[i], place);
		*library = open_in(folder, n->library);
		*parser = *library ? open_in(folder, n->parser) : NULL;
		if (*parser) return true;
	}
	static const char *const numbers[] = { "", ".11", ".10", ".1" };
	for (size_t i = 0; !place && i < sizeof numbers / sizeof *numbers; i++) {
		snprintf(soname, sizeof soname, "%s%s", n->library, numbers[i]);
		*library = dlopen(soname, RTLD_LAZY | RTLD_GLOBAL);
		snprintf(soname, sizeof soname, "%s%s", n->parser, numbers[i]);
		*parser = *library ? dlopen(soname, RTLD_LAZY | RTLD_LOCAL) : NULL;
		if (*parser) return true;
	}
	return false;
}

static const names *find(void **library, void **parser)
{
	static const names known[] = {
		{ "libnvinfer.so", "libnvonnxparser.so", "TensorRT", false },
		{ "libtensorrt_rtx.so", "libtensorrt_onnxparser_rtx.so", "TensorRT-RTX", true },
	};
	const char *given = getenv("OPGRAFT_TENSORRT"), *venv = getenv("VIRTUAL_ENV");
	const char *where[] = { given, given ? given : venv, given ? given : "build/venv" };
	for (size_t k = 0; k < sizeof where / sizeof *where; k++)
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			if ((k == 0 || where[k]) && open_pair(library, parser, &known[i], where[k])) return &known[i];
	return NULL;
}

static og_status load_plugins(const tensorrt *t, void *library)
{
	const runtime_host *h = t->host;
	object *(*get_registry)(void);
	*(void **)&get_registry = dlsym(library, "getPluginRegistry");
	object *registry = get_registry && h->n_libraries ? get_registry() : NULL;
	for (int i = 0; registry && i < h->n_libraries; i++) {
		void *(*load)(object *, const char *);
		memcpy(&load, &registry->table[t->at->registry_load], sizeof load);
		char *path = realpath(h->libraries[i], NULL);
		void *loaded = path ? load(registry, path) : NULL;
		free(path);
		if (!loaded)
			return base_fail(OG_UNSUPPORTED, "%s: %s does not load it as a plugin library: %s", h->libraries[i], t->version, said);
	}
	return OG_OK;
}

static og_status open_tensorrt(tensorrt *t)
{
	static const char advice[] = "name the folder of its libraries in OPGRAFT_TENSORRT, or say with --nodes which nodes it cannot "
	                             "take";
	void *library, *parser;
	const names *n = find(&library, &parser);
	if (!n)
		return base_fail(OG_MISSING, "TensorRT with its ONNX parser was not found, and nobody else knows what it takes: %s", advice);
	int (*version)(void), (*parser_version)(void);
	runtime_trt_builder *(*create)(void *, int);
	*(void **)&version = dlsym(library, "getInferLibVersion");
	*(void **)&create = dlsym(library, "createInferBuilder_INTERNAL");
	*(void **)&parser_version = dlsym(parser, "getNvOnnxParserVersion");
	*(void **)&t->create_parser = dlsym(parser, "createNvOnnxParser_INTERNAL");
	if (!version || !create || !parser_version || !t->create_parser)
		return base_fail(OG_MISSING, "the %s found here is none that can be asked: %s", n->title, advice);
	int v = version();
	snprintf(t->version, sizeof t->version, "%s %d.%d.%d", n->title, v / 10000, v / 100 % 100, v % 100);
	t->parser_version = parser_version();
	bool rtx = n->by_name, eleven = rtx ? t->parser_version >= RUNTIME_RTX_11_PARSER : v >= RUNTIME_TRT_11;
	t->at = eleven ? &release_11 : &release_10;
	t->flags = 1u << (eleven ? RUNTIME_TRT_11_TYPED : RUNTIME_TRT_10_TYPED);
	t->b = create(&logger, v);
	if (!t->b) return base_fail(OG_MISSING, "%s makes no builder: %s", t->version, said);
	if (n->by_name && t->host->n_libraries && !dlopen(n->library, RTLD_LAZY))
		return base_fail(OG_MISSING, "%s looks for %s when it comes to a plugin: put its folder into LD_LIBRARY_PATH", t->version,
		                 n->library);
	return load_plugins(t, library);
}

/* ---- asking -------------------------------------------------------------------------------------- */

static void destroy(object *o, int place)
{
	void (*end)(object *);
	memcpy(&end, &o->table[place], sizeof end);
	end(o);
}

/* The words of 'Assertion failed: condition: words' and 'condition && "words"', else all words. */
static void tell(const char *desc)
{
	static const char failed[] = "Assertion failed: ";
	const char *open = strstr(desc, "&& \""), *end = open ? strrchr(open + 4, '"') : NULL;
	const char *words = strncmp(desc, failed, strlen(failed)) ? NULL : strstr(desc + strlen(failed), ": ");
	words = words ? words + 2 : desc;
	const char *more = strstr(words, "\n[");             /* what CUDA says, of which nobody asked anything */
	if (end && end > open + 4) base_fail(OG_UNSUPPORTED, "%.*s", (int)(end - open - 4), open + 4);
	else base_fail(OG_UNSUPPORTED, "%.*s", (int)(more ? (size_t)(more - words) : strlen(words)), words);
}

static og_status why_not(const tensorrt *t, object *parser)
{
	int (*count)(object *), (*code)(object *);
	object *(*error)(object *, int);
	const char *(*word)(object *), *(*op)(object *);
	memcpy(&count, &parser->table[t->at->parser_errors], sizeof count);
	memcpy(&error, &parser->table[t->at->parser_error], sizeof error);
	object *first = count(parser) > 0 ? error(parser, 0) : NULL;
	base_fail(OG_UNSUPPORTED, "%s", *said ? said : "the parser gives no reason");
	if (!first) return OG_UNSUPPORTED;
	memcpy(&code, &first->table[t->at->error_code], sizeof code);
	memcpy(&word, &first->table[t->at->error_desc], sizeof word);
	memcpy(&op, &first->table[t->at->error_operator], sizeof op);
	const char *desc = word(first), *name = op(first);
	bool says = desc && *desc && strcmp(desc, "false");      /* "false": the assertion of one that is never taken */
	if (says) tell(desc);
	switch (says ? 0 : code(first)) {
#define X(name_of, number, form) case number: return base_fail(OG_UNSUPPORTED, "its parser " form, name && *name ? name : "it");
	RUNTIME_TRT_REFUSALS(X)
#undef X
	default: return OG_UNSUPPORTED;
	}
}

static og_status parse(const tensorrt *t, const char *path)
{
	file_map f;
	object *(*create)(object *, uint32_t);
	bool (*read)(object *, const void *, size_t, const char *);
	TRY(file_open(&f, path));
	og_status status = OG_OK;
	memcpy(&create, &t->b->does->table[t->at->network_create], sizeof create);
	*said = '\0';
	object *network = create(t->b->does, t->flags);
	object *parser = network ? t->create_parser(network, &logger, t->parser_version) : NULL;
	if (parser) {
		memcpy(&read, &parser->table[t->at->parser_parse], sizeof read);
		if (!read(parser, f.data, f.size, path)) status = why_not(t, parser);
		destroy(parser, t->at->parser_destroy);
	} else {
		status = base_fail(OG_MISSING, "%s makes no %s: %s", t->version, network ? "parser" : "network", said);
	}
	if (network) destroy(network, t->at->network_destroy);
	file_close(&f);
	return status;
}

/* ---- the child and its socket -------------------------------------------------------------------- */

/* Both ways a message is its bytes with their number, an int, in front; answers begin with a status. */
static bool transfer(int fd, void *data, size_t n, bool out)
{
	for (char *at = data; n;) {
		ssize_t k = out ? send(fd, at, n, MSG_NOSIGNAL) : recv(fd, at, n, 0);
		if (k < 0 && errno == EINTR) continue;
		if (k <= 0) return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

enum { LONGEST = 8192 };
typedef struct message { int status, length; char words[LONGEST]; } message;

static bool post(int fd, og_status status, const char *words)
{
	message m = { .status = (int)status };
	snprintf(m.words, sizeof m.words, "%s", words);
	m.length = (int)strlen(m.words);
	return transfer(fd, &m, offsetof(message, words) + (size_t)m.length, true);
}

static bool fetch(int fd, message *m)
{
	if (!transfer(fd, m, offsetof(message, words), false) || m->length < 0 || m->length >= LONGEST) return false;
	m->words[m->length] = '\0';
	return transfer(fd, m->words, (size_t)m->length, false);
}

static void serve(int fd, const runtime_host *h)
{
	static message asked;
	tensorrt t = { .host = h };
	int nowhere = open("/dev/null", O_RDWR);
	if (nowhere >= 0) dup2(nowhere, STDIN_FILENO), dup2(nowhere, STDOUT_FILENO), dup2(nowhere, STDERR_FILENO);
	og_status status = open_tensorrt(&t);
	if (!post(fd, status, status == OG_OK ? t.version : base_error()) || status != OG_OK) return;
	while (fetch(fd, &asked)) {
		status = parse(&t, asked.words);
		if (!post(fd, status, status == OG_OK ? "" : base_error())) return;
	}
}

typedef struct child { pid_t pid; int fd; } child;

static void end_child(child *c)
{
	if (c->fd >= 0) close(c->fd);
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);           /* it has nothing to lose; its own end takes long */
		waitpid(c->pid, NULL, 0);
	}
	*c = (child){ .fd = -1 };
}

static og_status start_child(child *c, runtime_host *h)
{
	int ends[2];
	message m;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return base_fail(OG_MISSING, "no socket can be had: %s", strerror(errno));
	*c = (child){ .pid = fork(), .fd = ends[0] };
	if (c->pid == 0) {
		close(ends[0]);
		serve(ends[1], h);
		_exit(0);
	}
	close(ends[1]);
	if (c->pid < 0) return base_fail(OG_MISSING, "no process can be started: %s", strerror(errno));
	if (!fetch(c->fd, &m))
		return base_fail(OG_MISSING, "TensorRT ends its process when it is loaded: a fault of its libraries, or of an op library");
	if (m.status != OG_OK) return base_fail((og_status)m.status, "%s", m.words);
	snprintf(h->version, sizeof h->version, "%.*s", (int)sizeof h->version - 1, m.words);
	return OG_OK;
}

static og_status open_host(runtime_host *h)
{
	child *c = h->own = base_new(1, sizeof *c);
	NEED(c);
	c->fd = -1;
	return start_child(c, h);
}

static og_status takes(runtime_host *h, og_model *m)
{
	const char *path;
	child *c = h->own;
	message answer;
	arena *a = arena_create();
	NEED(a);
	og_status status = runtime_write(&path, h, a, m);
	if (status == OG_OK && c->fd < 0) status = start_child(c, h);
	if (status == OG_OK && post(c->fd, OG_OK, path) && fetch(c->fd, &answer)) {
		status = (og_status)answer.status;
		if (status != OG_OK) base_fail(status, "%s", answer.words);
	} else if (status == OG_OK) {
		end_child(c);
		status = base_fail(OG_UNSUPPORTED, "its parser crashes on it");
	}
	arena_destroy(a);
	return status;
}

static void close_host(runtime_host *h)
{
	if (h->own) end_child(h->own);
	base_free(h->own);
	h->own = NULL;
}

const runtime runtime_tensorrt = { .name = "tensorrt", .open = open_host, .takes = takes, .close = close_host };
