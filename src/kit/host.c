/* host.c -- our own host of TensorRT plugins: runs every check of every plugin of a library in a child of its own
 * and reports. */
#include "kit/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "schema/schema.h"

static const struct { const char *name, *about; void (*run)(host *); } checks[] = {
#define X(check, about) { #check, about, host_check_##check },
	HOST_CHECKS(X)
#undef X
};
enum { N_CHECKS = sizeof checks / sizeof *checks, SILENT = 120 };

/* ---- children -------------------------------------------------------------------------------------- */

typedef struct child { const char *path; const og_tensorrt_options *options; int32_t creator; int check; } child;

static bool start(host *h, const child *c, int to)
{
	*h = (host){ .a = arena_create(), .path = c->path, .options = c->options, .seed = 1, .to = to };
	if (!h->a) return host_fail(h, "memory ran out");
	host_catch_crashes(h);
	return host_open(h) == OG_OK || host_fail(h, "%s", base_error());
}

/* Tells "1 NAME" for each creator that this host can drive, "0 KIND" for others; the status first when it is no
 * plugin library. */
static void list_creators(void *arg, int to)
{
	host h;
	if (!start(&h, arg, to)) return;
	for (int32_t k = 0; k < h.n_creators; k++) {
		trt_creator *c = h.creators[k];
		if (!host_is_v3(c)) {
			trt_info info = c->table->getInterfaceInfo(c);
			dprintf(to, "0%.100s\n", info.kind ? info.kind : "no interface");
			continue;
		}
		host_calls("getPluginName of a creator");
		const char *name = c->table->getPluginName(c);
		dprintf(to, "1%.200s\n", name ? name : "");
	}
}

/* The op that the plugin should agree with: named by the user, or of this name where the library holds one. */
static og_status find_op(host *h)
{
	const char *name = h->options->reference;
	const og_library *own;
	if (name) {
		h->op = schema_find_any(name);
		return OG_OK;
	}
	host_calls("reading og_op_library");
	if (kit_open(&own, h->path) != OG_OK) return OG_OK;      /* a library of someone else's */
	TRY(og_ops_load(h->path));
	name = h->creator->table->getPluginName(h->creator);
	for (uint32_t k = 0; name && k < own->n_ops; k++)
		if (!strcmp(own->ops[k]->name, name) && (!h->op || own->ops[k]->since > h->op->since)) h->op = own->ops[k];
	return OG_OK;
}

static void run_check(void *arg, int to)
{
	const child *c = arg;
	host h;
	if (!start(&h, c, to)) return;
	h.creator = h.creators[c->creator];
	if (find_op(&h) != OG_OK) {
		if (c->check == 0) host_fail(&h, "%s", base_error());
		else host_skip(&h, "there is nothing to compare with: see %s", checks[0].name);
		return;
	}
	host_calls("a function of the library");
	checks[c->check].run(&h);
}

/* ---- the report -------------------------------------------------------------------------------------- */

typedef enum verdict { PASSED, FAILED, SKIPPED } verdict;
static const char *const verdicts[] = { "ok", "FAILED", "skipped" };

typedef struct report {
	text t;
	json j;
	const og_tensorrt_options *options;
	og_format format;
	const char *path;
	int count[3];
	char *found[N_CHECKS]; /* what each check of the plugin found */
} report;

/* Words behind what stands in the line, in lines of at most 80 columns. */
static void wrap(text *t, const char *words)
{
	enum { INDENT = 24, WIDTH = 80 - INDENT };
	while (strlen(words) > WIDTH) {
		size_t n = WIDTH;
		while (n > 0 && words[n] != ' ') n--;
		if (n == 0) n = strcspn(words, " ");
		text_addn(t, words, n);
		words += n + strspn(words + n, " ");
		if (*words) text_printf(t, "\n%*s", INDENT, "");
	}
	text_printf(t, "%s\n", words);
}

/* One fault can stop several checks: it is told once. */
static const char *told_before(const report *r, int check, const char *words)
{
	for (int k = 0; k < check; k++)
		if (r->found[k] && !strcmp(r->found[k], words)) return checks[k].name;
	return NULL;
}

static void report_line(report *r, int check, verdict v, const char *words)
{
	char see[64];
	const char *before = v == FAILED ? told_before(r, check, words) : NULL;
	if (v == FAILED && !before) r->found[check] = base_strdup(words);
	if (before) {
		snprintf(see, sizeof see, "for the reason told at %s", before);
		v = SKIPPED;
		words = see;
	}
	r->count[v]++;
	if (r->format == OG_JSON) {
		json_begin(&r->j, '{');
		json_put_string(&r->j, "check", checks[check].name);
		json_put_string(&r->j, "about", checks[check].about);
		json_put_string(&r->j, "result", verdicts[v]);
		json_put_string(&r->j, "words", words);
		json_end(&r->j, '}');
	} else {
		text_printf(&r->t, "  %-13s %-8s", checks[check].name, verdicts[v]);
		wrap(&r->t, words);
	}
}

/* The last line that a child told: a crash comes after all else. */
static const char *last_line(text *t)
{
	if (!t->data || !t->length) return "";
	if (t->data[t->length - 1] == '\n') t->data[t->length - 1] = '\0';
	const char *newline = strrchr(t->data, '\n');
	return newline ? newline + 1 : t->data;
}

/* One check of one plugin. A line told: '!' what failed, '+' a fact, '-' why nothing was checked, '.' it goes on. */
static og_status check_plugin(report *r, int32_t creator, int check)
{
	text told = { 0 };
	int signal;
	og_status status = kit_child(&told, &signal, run_check, &(child){ r->path, r->options, creator, check }, SILENT);
	if (status == OG_OK) {
		const char *line = last_line(&told);
		if (*line == '!') report_line(r, check, FAILED, line + 1);
		else if (signal || (*line != '-' && *line != '+')) report_line(r, check, FAILED, "the plugin ended its process");
		else report_line(r, check, *line == '-' ? SKIPPED : PASSED, line + 1);
	}
	text_free(&told);
	return status;
}

static og_status report_plugin(report *r, int32_t creator, const char *name)
{
	if (r->format == OG_JSON) {
		json_begin(&r->j, '{');
		json_put_string(&r->j, "name", name);
		json_put(&r->j, "checks", '[');
	} else {
		text_printf(&r->t, "%s\n", name);
	}
	og_status status = OG_OK;
	for (int k = 0; k < N_CHECKS && status == OG_OK; k++) status = check_plugin(r, creator, k);
	for (int k = 0; k < N_CHECKS; k++) {
		base_free(r->found[k]);
		r->found[k] = NULL;
	}
	if (r->format == OG_JSON) json_end(&r->j, ']'), json_end(&r->j, '}');
	return status;
}

static og_status report_all(report *r, char *lines)
{
	const char *wanted = r->options->op;
	int32_t creator = 0;
	int driven = 0;
	const char *other = NULL;
	if (r->format == OG_JSON) {
		json_begin(&r->j, '{');
		json_put_string(&r->j, "library", r->path);
		json_put(&r->j, "plugins", '[');
	}
	for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1, creator++) {
		*end = '\0';
		if (*line != '1') {
			other = line + 1;
			continue;
		}
		if (wanted && strcmp(wanted, line + 1)) continue;
		driven++;
		TRY(report_plugin(r, creator, line + 1));
	}
	if (!driven && wanted) return base_fail(OG_USAGE, "%s: has no plugin called '%s'", r->path, wanted);
	if (!driven && other)
		return base_fail(OG_UNSUPPORTED,
		                 "%s: its creators have the interface '%s', and plugins of IPluginV3 only are tested", r->path,
		                 other);
	if (!driven) return base_fail(OG_BAD_FILE, "%s: getCreators gives no creator", r->path);
	if (r->format == OG_JSON) {
		json_end(&r->j, ']');
		json_put_bool(&r->j, "passed", r->count[FAILED] == 0);
		json_put_int(&r->j, "ok", r->count[PASSED]);
		json_put_int(&r->j, "failed", r->count[FAILED]);
		json_put_int(&r->j, "skipped", r->count[SKIPPED]);
		json_end(&r->j, '}');
	} else {
		text_printf(&r->t, "%d checks: %d ok, %d failed, %d skipped\n", r->count[0] + r->count[1] + r->count[2],
		            r->count[PASSED], r->count[FAILED], r->count[SKIPPED]);
	}
	return OG_OK;
}

/* What the user gave is looked at before anything is run. */
static og_status check_options(const og_tensorrt_options *o)
{
	host_case c = { .n_in = 0 };
	if (o->reference && !schema_find_any(o->reference))
		return base_fail(OG_USAGE, "--reference: there is no op called '%s'; opgraft op list shows those there are",
		                 o->reference);
	for (int k = 0; k < o->n_attributes; k++)
		if (!strchr(o->attributes[k] + (*o->attributes[k] == '='), '='))
			return base_fail(OG_USAGE, "--attr takes NAME=VALUE, not '%s'", o->attributes[k]);
	return o->shapes ? host_read_shapes(&c, o->shapes) : OG_OK;
}

og_status og_tensorrt_test(char **out, const char *path, const og_tensorrt_options *options, og_format format)
{
	static const og_tensorrt_options none;
	report r = { .options = options ? options : &none, .format = format, .path = path };
	text lines = { 0 };
	int signal = 0;
	*out = NULL;
	TRY(check_options(r.options));
	if (access(path, R_OK)) return base_fail(OG_MISSING, "%s: there is no such plugin library", path);
	og_status status = kit_child(&lines, &signal, list_creators, &(child){ path, r.options, 0, 0 }, SILENT);
	if (status == OG_OK && signal) status = base_fail(OG_BAD_FILE, "%s: ends the process when it is loaded", path);
	if (status == OG_OK && lines.data && (*lines.data == '!' || strstr(lines.data, "\n!")))
		status = base_fail(OG_BAD_FILE, "%s", last_line(&lines) + 1);
	if (status == OG_OK) status = report_all(&r, lines.data ? lines.data : "");
	if (status == OG_OK && !(*out = text_take(format == OG_JSON ? &r.j.out : &r.t))) status = base_no_memory();
	text_free(&lines);
	text_free(&r.t);
	text_free(&r.j.out);
	if (status != OG_OK) return status;
	return r.count[FAILED] ? base_fail(OG_NO, "%s: %d checks failed", path, r.count[FAILED]) : OG_OK;
}
