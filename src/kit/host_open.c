/* host_open.c -- what a child process of the host begins with: telling, the logger, the library, its creators and
 * plugins. */
#include "kit/host.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- telling: one line -------------------------------------------------------------------------- */

static char said[512];                   /* the latest error that the plugin logged */
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;

/* From a signal handler too, when the heap may be damaged: nothing here allocates. */
static void tell(host *h, char mark, const char *format, va_list list, bool with_log)
{
	char line[2048] = { mark };
	size_t n = 1, room = sizeof line - sizeof said - 32;
	int written = vsnprintf(line + n, room, format, list);
	n += written < 0 ? 0 : (size_t)written < room ? (size_t)written : room - 1;
	pthread_mutex_lock(&said_lock);
	if (with_log && *said) n += (size_t)snprintf(line + n, sizeof line - n, "; it logs: %s", said);
	pthread_mutex_unlock(&said_lock);
	for (size_t i = 1; i < n; i++)
		if ((unsigned char)line[i] < ' ') line[i] = ' ';
	line[n++] = '\n';
	(void)!write(h->to, line, n);
}

static pthread_mutex_t fail_lock = PTHREAD_MUTEX_INITIALIZER;

bool host_fail(host *h, const char *format, ...)
{
	va_list list;
	pthread_mutex_lock(&fail_lock);
	bool first = !h->failed;
	h->failed = true;
	pthread_mutex_unlock(&fail_lock);
	if (!first) return false;
	va_start(list, format);
	tell(h, '!', format, list, true);
	va_end(list);
	return false;
}

void host_note(host *h, const char *format, ...)
{
	va_list list;
	if (h->failed) return;
	va_start(list, format);
	tell(h, '+', format, list, false);
	va_end(list);
}

bool host_skip(host *h, const char *format, ...)
{
	va_list list;
	if (h->failed) return false;
	h->failed = true;
	va_start(list, format);
	tell(h, '-', format, list, false);
	va_end(list);
	return false;
}

/* ---- crashes ------------------------------------------------------------------------------------- */

static _Thread_local const char *function = "a function of the library";
static char upon[256];
static host *current;
static int printed = -1;                 /* file of what the library prints */

void host_calls(const char *name) { function = name; }

void host_upon(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(upon, sizeof upon, format, list);
	va_end(list);
}

enum { SECONDS = 60 };                   /* after which a function does not come to an end */

void host_goes_on(host *h)
{
	static double told;
	alarm(SECONDS);
	if (base_now() - told < 1) return;
	told = base_now();
	(void)!write(h->to, ".\n", 2);
}

/* The last line that was printed, such as glibc's about a damaged heap. */
static void last_words(char *out, size_t room)
{
	char buffer[256];
	off_t size = printed < 0 ? 0 : lseek(printed, 0, SEEK_END);
	ssize_t n = size > 0 ? pread(printed, buffer, sizeof buffer - 1,
	                             size > (off_t)sizeof buffer - 1 ? size - (off_t)sizeof buffer + 1 : 0)
	                     : 0;
	*out = '\0';
	while (n > 0 && (unsigned char)buffer[n - 1] <= ' ') n--;
	if (n <= 0) return;
	buffer[n] = '\0';
	const char *line = strrchr(buffer, '\n');
	snprintf(out, room, "; it prints: %s", line ? line + 1 : buffer);
}

static const char *reason(int signal, const siginfo_t *info)
{
	switch (signal) {
	case SIGFPE: return "divides an integer by 0; refuse such shapes, or guard the division";
	case SIGABRT: return "ends the process (abort); memory may have been freed twice or written past its end";
	case SIGILL: return "runs an instruction that this processor does not have";
	case SIGALRM: return "does not come to an end";
	default:
		return (uintptr_t)info->si_addr < 4096 ? "reads or writes at NULL"
		                                       : "reads or writes memory that is not its own, or that it freed before";
	}
}

static void on_crash(int signal, siginfo_t *info, void *context)
{
	char words[320];
	(void)context;
	last_words(words, sizeof words);
	pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;    /* whoever crashed may hold them */
	said_lock = fail_lock = unlocked;
	*said = '\0';
	host_fail(current, "%s%s%s: it %s%s", function, *upon ? ", " : "", upon, reason(signal, info), words);
	_exit(0);
}

void host_catch_crashes(host *h)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM };
	static char stack[1 << 16];
	enum { FREED = 0xa5 };
	stack_t own = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction act = { .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	current = h;
	printed = memfd_create("printed", MFD_CLOEXEC);
	if (printed >= 0) dup2(printed, STDOUT_FILENO), dup2(printed, STDERR_FILENO);
	mallopt(M_PERTURB, FREED);           /* memory that was freed, and memory that is new, hold no old values */
	sigemptyset(&act.sa_mask);
	sigaltstack(&own, NULL);
	for (size_t k = 0; k < sizeof signals / sizeof *signals; k++) sigaction(signals[k], &act, NULL);
	alarm(SECONDS);
}

/* ---- the logger: one object that serves both forms ------------------------------------------------- */

/* Release 10 calls `log` at place 0 of a logger and `findLogger` at place 0 of a finder; release 11 put four
 * functions in front. A table that has them at both places serves a library of either, of which it is not known what
 * it was compiled for. */
static void keep(int32_t severity, const char *message)
{
	if (severity > TRT_ERROR || !message) return;
	pthread_mutex_lock(&said_lock);
	snprintf(said, sizeof said, "%s", message);
	pthread_mutex_unlock(&said_lock);
}
static void log_at_0(void *self, int32_t severity, const char *message) { (void)self, keep(severity, message); }
static void log_at_4(trt_logger *self, int32_t severity, const char *message) { (void)self, keep(severity, message); }
static trt_info logger_info(void *self) { return (void)self, (trt_info){ "ILogger", 1, 0 }; }
static void stay(void *self) { (void)self; }

typedef struct both_loggers {
	void (*log_10)(void *, int32_t, const char *);
	trt_info (*info)(void *);
	void (*end)(void *), (*destroy)(void *);
	void (*log_11)(trt_logger *, int32_t, const char *);
} both_loggers;
static const struct {
	trt_prefix prefix;
	both_loggers table;
} logger_table = { .table = { log_at_0, logger_info, stay, stay, log_at_4 } };
static struct { const both_loggers *table; } logger = { &logger_table.table };

static void *find_at_0(void *self) { return (void)self, &logger; }
typedef struct both_finders { void *(*find_10)(void *); trt_info (*info)(void *); void (*end)(void *), (*destroy)(void *);
                              void *(*find_11)(void *); } both_finders;
/* Type information that says: of either class. Its own table is that of a class without bases, of which only the
 * name is looked at. */
static const struct { trt_prefix prefix; void *first; } class_table;
static const trt_class finder_class = { &class_table.first, TRT_LOGGER_FINDER_TYPE };
static const struct { trt_prefix prefix; both_finders table;
} finder_table = { { 0, &finder_class }, { find_at_0, logger_info, stay, stay, find_at_0 } };
static struct { const both_finders *table; } finder = { &finder_table.table };

/* ---- the library ------------------------------------------------------------------------------------- */

og_status host_open(host *h)
{
	char *path = realpath(h->path, NULL);
	if (!path) return base_fail(OG_MISSING, "%s: there is no such library", h->path);
	host_calls("loading the library");
	h->library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	free(path);
	if (!h->library) return base_fail(OG_BAD_FILE, "%s: is no library that loads here: %s", h->path, dlerror());
	trt_get_creators *get = NULL;
	trt_set_logger_finder *set = NULL;
	*(void **)&get = dlsym(h->library, "getCreators");
	*(void **)&set = dlsym(h->library, "setLoggerFinder");
	if (!get)
		return base_fail(OG_BAD_FILE, "%s: is no TensorRT plugin library, since it exports no getCreators", h->path);
	host_calls("setLoggerFinder");
	if (set) set(&finder);
	host_calls("getCreators");
	h->n_creators = -1;
	h->creators = get(&h->n_creators);
	if (h->n_creators < 0 || (h->n_creators > 0 && !h->creators))
		return base_fail(OG_BAD_FILE, "%s: getCreators gives %d creators%s", h->path, (int)h->n_creators,
		                 h->creators ? "" : " at NULL");
	for (int32_t k = 0; k < h->n_creators; k++)
		if (!h->creators[k]) return base_fail(OG_BAD_FILE, "%s: getCreators gives NULL as creator %d", h->path, (int)k);
	return OG_OK;
}

bool host_is_v3(trt_creator *c)
{
	host_calls("getInterfaceInfo of the creator");
	trt_info info = c->table->getInterfaceInfo(c);
	return info.kind && !strcmp(info.kind, TRT_CREATOR_KIND);
}

/* ---- plugins ------------------------------------------------------------------------------------------ */

static bool capabilities(host_plugin *p)
{
	host_calls("getCapabilityInterface");
	p->core = p->plugin->table->getCapabilityInterface(p->plugin, TRT_CAPABILITY_CORE);
	p->build = p->plugin->table->getCapabilityInterface(p->plugin, TRT_CAPABILITY_BUILD);
	p->run = p->plugin->table->getCapabilityInterface(p->plugin, TRT_CAPABILITY_RUNTIME);
	if (!p->core || !p->run) return false;
	host_calls("getNbOutputs");
	p->n_out = p->build ? p->build->table->getNbOutputs(p->build) : 0;
	return true;
}

bool host_make(host *h, host_plugin *out, const trt_fields *fields, int32_t phase)
{
	static const trt_fields none;
	*out = (host_plugin){ .plugin = NULL };
	host_calls("createPlugin");
	out->plugin = h->creator->table->createPlugin(h->creator, "layer", fields ? fields : &none, phase);
	return out->plugin && capabilities(out);
}

bool host_need(host *h, host_plugin *out, const trt_fields *fields, int32_t phase)
{
	if (!host_make(h, out, fields, phase)) return host_skip(h, "there is no plugin to ask: see create and capabilities");
	if (!out->build || out->n_out < 1 || out->n_out > HOST_MAX_ARGS)
		return host_skip(h, "it has no outputs to look at: see types");
	return true;
}

bool host_clone(host *h, host_plugin *out, const host_plugin *p)
{
	*out = (host_plugin){ .plugin = NULL };
	host_calls("clone");
	out->plugin = p->plugin->table->clone(p->plugin);
	if (!out->plugin) return host_fail(h, "clone returns NULL");
	return capabilities(out) || host_fail(h, "a clone lacks a capability that the plugin has");
}

void host_destroy(host_plugin *p)
{
	host_calls("the destructor");
	if (p->plugin) p->plugin->table->destroy(p->plugin);
	*p = (host_plugin){ .plugin = NULL };
}

/* ---- fields -------------------------------------------------------------------------------------------- */

size_t host_field_size(int32_t type)
{
	switch (type) {
#define X(name, number, ctype) case number: return sizeof(ctype);
	TRT_FIELDS(X)
#undef X
	default: return 0;
	}
}

bool host_same_fields(const trt_fields *a, const trt_fields *b)
{
	if (a->nbFields != b->nbFields) return false;
	for (int32_t k = 0; k < a->nbFields; k++) {
		const trt_field *x = &a->fields[k], *y = &b->fields[k];
		if (strcmp(x->name, y->name) || x->type != y->type || x->length != y->length) return false;
		size_t bytes = host_field_size(x->type) * (size_t)x->length;
		if (bytes && memcmp(x->data, y->data, bytes)) return false;
	}
	return true;
}

/* They stay when the plugin that they came from has ended. NULL: no memory. */
const trt_fields *host_copy_fields(host *h, const trt_fields *from)
{
	trt_fields *to = arena_alloc(h->a, sizeof *to);
	trt_field *field = arena_array(h->a, (size_t)from->nbFields + 1, sizeof *field);
	if (!to || !field) return NULL;
	for (int32_t k = 0; k < from->nbFields; k++) {
		size_t bytes = host_field_size(from->fields[k].type) * (size_t)from->fields[k].length;
		void *data = arena_aligned(h->a, bytes + 1, 16);
		field[k] = from->fields[k];
		field[k].name = arena_strdup(h->a, from->fields[k].name);
		if (!data || !field[k].name) return NULL;
		if (bytes) memcpy(data, from->fields[k].data, bytes);
		field[k].data = data;
	}
	*to = (trt_fields){ from->nbFields, field };
	return to;
}

bool host_put_number(void *to, int32_t type, double x)
{
	float single = (float)x;
	int64_t whole = (int64_t)x;
	uint16_t half = type == TRT_FIELD_FLOAT16 ? base_float_to_half(single) : base_float_to_bfloat(single);
	switch (type) {
	case TRT_FIELD_FLOAT32: memcpy(to, &single, sizeof single); return true;
	case TRT_FIELD_FLOAT64: memcpy(to, &x, sizeof x); return true;
	case TRT_FIELD_FLOAT16: case TRT_FIELD_BF16: memcpy(to, &half, sizeof half); return true;
	case TRT_FIELD_INT8: case TRT_FIELD_INT16: case TRT_FIELD_INT32: case TRT_FIELD_INT64:
		memcpy(to, &whole, host_field_size(type));           /* little-endian */
		return true;
	default: return false;
	}
}

bool host_number_at(double *out, const trt_field *f, int32_t k)
{
	const char *at = (const char *)f->data + (size_t)k * host_field_size(f->type);
	uint16_t half;
	int64_t whole = 0;
	float single;
	switch (f->type) {
	case TRT_FIELD_FLOAT32: memcpy(&single, at, sizeof single), *out = (double)single; return true;
	case TRT_FIELD_FLOAT64: memcpy(out, at, sizeof *out); return true;
	case TRT_FIELD_FLOAT16: memcpy(&half, at, sizeof half), *out = (double)base_half_to_float(half); return true;
	case TRT_FIELD_BF16: memcpy(&half, at, sizeof half), *out = (double)base_bfloat_to_float(half); return true;
	case TRT_FIELD_INT8: *out = (double)*(const int8_t *)at; return true;
	case TRT_FIELD_INT16: case TRT_FIELD_INT32: case TRT_FIELD_INT64: {
		const unsigned unused = 64 - 8 * (unsigned)host_field_size(f->type);
		memcpy(&whole, at, host_field_size(f->type));
		*out = (double)((int64_t)((uint64_t)whole << unused) >> unused);
		return true;
	}
	default: return false;
	}
}

/* "beta=1.5", "pads=1,1,1,1", "mode=tanh". */
static og_status given_field(trt_field *f, host *h, const trt_fields *declared, const char *given)
{
	const char *equals = strchr(given, '='), *at;
	char *end;
	*f = (trt_field){ .name = arena_strndup(h->a, given, (size_t)(equals - given)), .type = TRT_FIELD_CHAR };
	NEED(f->name);
	int known = -1;
	for (int32_t k = 0; declared && k < declared->nbFields; k++)
		if (declared->fields[k].name && !strcmp(declared->fields[k].name, f->name)) known = declared->fields[k].type;
	(void)strtod(equals + 1, &end);
	if (known >= 0) f->type = known;
	else if (end > equals + 1 && (!*end || *end == ','))
		f->type = strpbrk(equals, ".eE") ? TRT_FIELD_FLOAT32 : TRT_FIELD_INT32;
	size_t size = host_field_size(f->type), room = strlen(equals);
	char *data = arena_array(h->a, room, size ? size : 1);
	NEED(data);
	f->data = data;
	if (f->type == TRT_FIELD_CHAR || f->type == TRT_FIELD_UNKNOWN || f->type == TRT_FIELD_DIMS || size == 0) {
		f->length = (int32_t)strlen(equals + 1);
		memcpy(data, equals + 1, (size_t)f->length);
		return OG_OK;
	}
	for (at = equals + 1; *at; at = *end == ',' ? end + 1 : end) {
		double x = strtod(at, &end);
		if (end == at || (*end && *end != ',')) return base_fail(OG_USAGE, "--attr %s: '%s' is no number", given, at);
		(void)host_put_number(data + (size_t)f->length++ * size, f->type, x);
	}
	return OG_OK;
}

og_status host_given_fields(trt_fields *out, host *h)
{
	const og_tensorrt_options *o = h->options;
	host_calls("getFieldNames");
	const trt_fields *declared = h->creator->table->getFieldNames(h->creator);
	trt_field *fields = arena_array(h->a, (size_t)o->n_attributes + 1, sizeof *fields);
	NEED(fields);
	for (int k = 0; k < o->n_attributes; k++) TRY(given_field(&fields[k], h, declared, o->attributes[k]));
	*out = (trt_fields){ o->n_attributes, fields };
	return OG_OK;
}
