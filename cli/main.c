/* main.c -- the command line: verbs, options, help. */
#include <malloc.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static const cli_verb *const verbs[] = {
#define X(name) &cli_verb_##name,
	CLI_VERBS(X)
#undef X
};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static const cli_option common[] = {
	{ "--json", NULL, "JSON on standard output" },
	{ "--quiet", NULL, "say only what was asked for (-q)" },
	{ "--help", NULL, "this text (-h)" },
	{ NULL, NULL, NULL },
};

/* ---- help ----------------------------------------------------------------------------------- */

static void print_options(const cli_option *o)
{
	for (; o && o->name; o++) {
		char left[40];
		snprintf(left, sizeof left, "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
		printf("  %-22s %s\n", left, o->help);
	}
}

static int help_verb(const cli_verb *v)
{
	printf("opgraft %s %s\n\n%s\n", v->name, v->usage, v->what);
	if (v->more) printf("\n%s", v->more);
	for (int i = 0; v->parts && v->parts[i]; i++) printf("%s  opgraft %-9s %s\n", i ? "" : "\n", v->parts[i]->name, v->parts[i]->what);
	printf("\nOptions:\n");
	print_options(v->options);
	print_options(common);
	return 0;
}

static int help(FILE *to)
{
	fprintf(to, "opgraft %s -- write an operator once, graft it into any network\n\n", og_version());
	for (int i = 0; i < N_VERBS; i++) fprintf(to, "  opgraft %-9s %s\n", verbs[i]->name, verbs[i]->what);
	fprintf(to, "\nopgraft VERB --help teaches a verb. Begin with:\n\n"
	            "  opgraft demo lenet5                             the whole story in one command\n"
	            "  opgraft info net.onnx                           what is in a network\n"
	            "  opgraft graft net.onnx -o out.onnx --map Relu=Swish\n"
	            "  opgraft bench out.onnx --batch 64\n\n"
	            "Example: opgraft info models/lenet5_swish4.onnx\n\n"
	            "Exit status: 0 done, 1 the answer is no, 2 usage, 3 bad input file,\n"
	            "4 unsupported, 5 a device, library or file is missing, 6 out of memory\n");
	return 0;
}

/* ---- telling -------------------------------------------------------------------------------- */

static bool told;                        /* one sentence is enough */

int cli_fail(og_status status)
{
	if (!told) fprintf(stderr, "opgraft: %s\n", og_error()[0] ? og_error() : og_status_name(status));
	told = true;
	return (int)status;
}

int cli_usage(const cli_args *a, const char *format, ...)
{
	va_list ap;
	fprintf(stderr, "opgraft %s: ", a->verb->name);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, " (opgraft %s --help)\n", a->verb->name);
	told = true;
	return OG_USAGE;
}

og_status cli_tell(og_status status, const char *format, ...)
{
	va_list ap;
	fputs("opgraft: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	putc('\n', stderr);
	told = true;
	return status;
}

void cli_json_string(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\') fprintf(f, "\\%c", c);
		else if (c < 0x20) fprintf(f, "\\u%04x", c);
		else putc(c, f);
	}
	putc('"', f);
}

void cli_json_shape(FILE *f, const og_tensor *t)
{
	putc('[', f);
	for (int i = 0; i < t->rank; i++) fprintf(f, "%s%lld", i ? ", " : "", (long long)t->dims[i]);
	putc(']', f);
}

void cli_progress(const cli_args *a, const char *format, ...)
{
	va_list ap;
	if (a->quiet || !isatty(STDERR_FILENO)) return;
	fputs("\r\033[K", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fflush(stderr);
}

void cli_progress_end(const cli_args *a)
{
	if (!a->quiet && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

double cli_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;
	return (a > b) - (a < b);
}

double cli_quantile(double *x, size_t n, double q)
{
	if (!n) return 0;
	qsort(x, n, sizeof *x, by_value);
	double at = q * (double)(n - 1);
	size_t i = (size_t)at;
	return i + 1 < n ? x[i] + (at - (double)i) * (x[i + 1] - x[i]) : x[n - 1];
}

void cli_print_seconds(char *out, size_t n, double s)
{
	if (s < 1e-3) snprintf(out, n, "%.2f us", s * 1e6);
	else if (s < 1) snprintf(out, n, "%.3f ms", s * 1e3);
	else snprintf(out, n, "%.3f s", s);
}

/* ---- arguments ------------------------------------------------------------------------------ */

const char *cli_option_nth(const cli_args *a, const char *name, int k)
{
	for (int i = 0; i < a->n_options; i++)
		if (!strcmp(a->names[i], name) && k-- == 0) return a->values[i];
	return NULL;
}

const char *cli_option_value(const cli_args *a, const char *name)
{
	const char *value = NULL;
	for (int i = 0; i < a->n_options; i++)
		if (!strcmp(a->names[i], name)) value = a->values[i];
	return value;
}

bool cli_option_int(const cli_args *a, const char *name, int low, int high, int *out)
{
	const char *s = cli_option_value(a, name);
	char *end;
	if (!s) return true;
	long x = strtol(s, &end, 10);
	if (end != s && !*end && x >= low && x <= high) {
		*out = (int)x;
		return true;
	}
	cli_usage(a, "%s takes a whole number from %d to %d, not '%s'", name, low, high, s);
	return false;
}

bool cli_option_double(const cli_args *a, const char *name, double *out)
{
	const char *s = cli_option_value(a, name);
	char *end;
	if (!s) return true;
	double x = strtod(s, &end);
	if (end != s && !*end && x >= 0 && isfinite(x)) {
		*out = x;
		return true;
	}
	cli_usage(a, "%s takes a number of 0 or more, not '%s'", name, s);
	return false;
}

bool cli_files(const cli_args *a, int low, int high, const char *what)
{
	if (a->n_files < low) cli_usage(a, "%s is needed", what);
	else if (a->n_files > high) cli_usage(a, "'%s' is one argument too many", a->files[high]);
	else return true;
	return false;
}

static const cli_option *find_option(const cli_verb *v, const char *name)
{
	if (!strcmp(name, "-q")) name = "--quiet";
	if (!strcmp(name, "-h")) name = "--help";
	for (const cli_option *o = v->options; o && o->name; o++)
		if (!strcmp(o->name, name)) return o;
	for (const cli_option *o = common; o->name; o++)
		if (!strcmp(o->name, name)) return o;
	return NULL;
}

/* One option at argv[*i]; "--name=value" and "--name value". Returns -1 to go on, or an exit status. */
static int take_option(cli_args *a, char **argv, int argc, int *i)
{
	char name[64];
	const char *equals = strchr(argv[*i], '='), *value = NULL;
	size_t n = equals ? (size_t)(equals - argv[*i]) : strlen(argv[*i]);
	snprintf(name, sizeof name, "%.*s", (int)(n < 63 ? n : 63), argv[*i]);
	const cli_option *o = find_option(a->verb, name);
	if (!o) return cli_usage(a, "there is no option '%s'", argv[*i]);
	if (!strcmp(o->name, "--help")) return help_verb(a->verb);
	if (equals && o->value) value = equals + 1;
	else if (equals) return cli_usage(a, "%s takes no value", o->name);
	else if (o->value && *i + 1 >= argc) return cli_usage(a, "%s needs a value: %s", o->name, o->value);
	else if (o->value) value = argv[++*i];
	if (!strcmp(o->name, "--json")) a->json = true;
	if (!strcmp(o->name, "--quiet")) a->quiet = true;
	a->names[a->n_options] = o->name;
	a->values[a->n_options++] = value ? value : "";
	return -1;
}

/* "build" of "op build". */
static const cli_verb *find_part(const cli_verb *v, const char *word, int *from)
{
	for (int i = 0; v->parts[i]; i++)
		if (!strcmp(v->parts[i]->name + strlen(v->name) + 1, word)) return ++*from, v->parts[i];
	fprintf(stderr, "opgraft %s: '%s' is not one of its parts (opgraft %s --help)\n", v->name, word, v->name);
	return NULL;
}

int main(int argc, char **argv)
{
	static cli_args a;
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 1 << 20);      /* weights that were freed are not kept for later */
#endif
	if (argc < 2) return fputs("opgraft: a verb is needed (opgraft --help)\n", stderr), OG_USAGE;
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) return help(stdout);
	if (!strcmp(argv[1], "--version")) return printf("opgraft %s\n", og_version()), 0;
	for (int i = 0; i < N_VERBS; i++)
		if (!strcmp(verbs[i]->name, argv[1])) a.verb = verbs[i];
	if (!a.verb) return fprintf(stderr, "opgraft: '%s' is not a verb (opgraft --help)\n", argv[1]), OG_USAGE;
	int from = 2;
	if (a.verb->parts && argc > 2 && argv[2][0] != '-' && !(a.verb = find_part(a.verb, argv[2], &from))) return OG_USAGE;
	bool only_files = false;
	for (int i = from; i < argc; i++) {
		if (a.n_options == CLI_MAX_ARGS || a.n_files == CLI_MAX_ARGS) return cli_usage(&a, "there are too many arguments");
		if (!only_files && !strcmp(argv[i], "--")) {
			only_files = true;
		} else if (!only_files && argv[i][0] == '-' && argv[i][1]) {
			int status = take_option(&a, argv, argc, &i);
			if (status >= 0) return status;
		} else {
			a.files[a.n_files++] = argv[i];
		}
	}
	if (!a.verb->run) return cli_usage(&a, "what to do is needed");
	int status = cli_load_ops(&a);
	if (!status) status = a.verb->run(&a);
	if (fflush(stdout) || ferror(stdout)) {
		fputs("opgraft: standard output cannot be written\n", stderr);
		return status ? status : OG_MISSING;
	}
	return status;
}
