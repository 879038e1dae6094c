/* conform.c -- the conformance suite: runs every check of every op in a child of its own and reports. */
#include <unistd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "kit/conform.h"
#include "opgraft.h"

const char *const conform_isa_name[OG_ISA_COUNT] = { "scalar", "avx2", "avx512" };

bool conform_isa_runs(int isa)
{
	__builtin_cpu_init();
	if (isa == OG_ISA_AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	if (isa == OG_ISA_AVX512)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
	return true;
}

uint32_t conform_random(conform *v)
{
	v->seed = v->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(v->seed >> 32);
}

/* ---- what a check tells: one line -------------------------------------------------------------- */

/* Allocates nothing: it is called after crashes too. */
static void tell_line(int to, const char *line, size_t n)
{
	while (n > 0) {
		ssize_t done = write(to, line, n);
		if (done <= 0) return;
		line += done;
		n -= (size_t)done;
	}
}

static void tell(conform *v, char mark, const char *format, va_list list)
{
	char line[1200] = { mark };
	int room = (int)sizeof line - 2, n = vsnprintf(line + 1, (size_t)room, format, list);
	if (n >= room) n = room - 1;
	for (int i = 1; i <= n; i++)
		if (line[i] == '\n') line[i] = ' ';
	line[n + 1] = '\n';
	tell_line(v->to, line, (size_t)n + 2);
}

void conform_fail(conform *v, const char *format, ...)
{
	va_list list;
	if (v->failed) return;
	v->failed = true;
	va_start(list, format);
	tell(v, '!', format, list);
	va_end(list);
}

void conform_note(conform *v, const char *format, ...)
{
	va_list list;
	if (v->failed) return;
	va_start(list, format);
	tell(v, '+', format, list);
	va_end(list);
}

void conform_skip(conform *v) { tell_line(v->to, "-\n", 2); }

/* ---- the checks -------------------------------------------------------------------------------- */

static const struct { const char *name, *about; void (*run)(conform *); } checks[] = {
#define X(check, about) { #check, about, conform_##check },
	CONFORM_CHECKS(X)
#undef X
};
enum { N_CHECKS = sizeof checks / sizeof *checks };

void conform_declaration(conform *v)
{
	conform_case *cases;
	size_t n;
	if (kit_check_declaration(v->op) != OG_OK || conform_read_cases(&cases, &n, v) != OG_OK) conform_fail(v, "%s", base_error());
	else if (!v->op->doc) conform_fail(v, "op %s has no .doc: say in one sentence what it computes", v->op->name);
	else conform_note(v, "%zu case%s", n, n == 1 ? "" : "s");
}

typedef struct child { const og_op *op; int check; const char *path; } child;

/* In the child: ops become known, so that bodies and networks find them. */
static void run_check(void *arg, int to)
{
	const child *c = arg;
	conform v = { .op = c->op, .to = to, .seed = 1, .a = arena_create(), .scratch = graph_model_create() };
	if (!v.a || !v.scratch || schema_arguments(&v.in, &v.out, c->op) != OG_OK || og_ops_load(c->path) != OG_OK) {
		if (c->check == 0) conform_fail(&v, "%s", base_error());
		else conform_skip(&v);
		return;
	}
	v.n_attrs = schema_attr_count(c->op);
	conform_catch_crashes(&v);
	checks[c->check].run(&v);
	tell_line(to, ".\n", 2);
}

/* ---- the report -------------------------------------------------------------------------------- */

typedef struct report { text t; json j; og_format format; const char *path; int ran, failed; } report;

/* Words behind what stands in the line, in lines of at most 80 columns. */
static void wrap(text *t, const char *words)
{
	enum { INDENT = 22, WIDTH = 80 - INDENT };
	for (size_t n; (n = strlen(words)) > 0; words += n) {
		if (n > WIDTH) {
			n = WIDTH;
			while (n > 0 && words[n] != ' ') n--;
			if (n == 0) n = strcspn(words, " ");
		}
		text_addn(t, words, n);
		while (words[n] == ' ') n++;
		if (words[n]) text_printf(t, "\n%*s", INDENT, "");
	}
	text_add(t, "\n");
}

static void report_line(report *r, int check, bool passed, const char *words)
{
	r->ran++;
	r->failed += !passed;
	if (r->format == OG_JSON) {
		json_begin(&r->j, '{');
		json_put_string(&r->j, "check", checks[check].name);
		json_put_string(&r->j, "about", checks[check].about);
		json_put_bool(&r->j, "passed", passed);
		json_put_string(&r->j, "words", words);
		json_end(&r->j, '}');
	} else {
		text_printf(&r->t, "  %-12s %-7s", checks[check].name, passed ? "ok" : "FAILED");
		wrap(&r->t, words);
	}
}

/* One check of one op. A line told: '!' what failed, '+' a fact, '-' nothing to check, '.' it came to its end. */
static og_status check_op(report *r, const og_op *op, int check)
{
	text told = { 0 };
	int signal;
	enum { SILENT = 90 };
	og_status status = kit_child(&told, &signal, run_check, &(child){ op, check, r->path }, SILENT);
	if (status != OG_OK) {
		text_free(&told);
		return status;
	}
	bool whole = !signal && told.length >= 2 && !memcmp(told.data + told.length - 2, ".\n", 2);
	size_t n = told.length ? strcspn(told.data, "\n") : 0;
	if (n) told.data[n] = '\0';
	const char *line = n ? told.data : "";
	if (*line == '!') report_line(r, check, false, line + 1);
	else if (*line != '-' && !whole) report_line(r, check, false, "the op ended its process: it may not call exit or abort");
	else if (*line != '-') report_line(r, check, true, *line == '+' ? line + 1 : "");
	text_free(&told);
	return OG_OK;
}

static og_status report_op(report *r, const og_op *op)
{
	const char *domain = schema_domain(op);
	if (r->format == OG_JSON) {
		json_begin(&r->j, '{');
		json_put_string(&r->j, "name", op->name);
		json_put_string(&r->j, "domain", domain);
		json_put_int(&r->j, "since", op->since);
		json_put(&r->j, "checks", '[');
	} else {
		text_printf(&r->t, "%s%s%s, version %d\n", domain, *domain ? "::" : "", op->name, op->since);
	}
	og_status status = OG_OK;
	for (int k = 0; k < N_CHECKS && status == OG_OK; k++) status = check_op(r, op, k);
	if (r->format == OG_JSON) json_end(&r->j, ']'), json_end(&r->j, '}');
	return status;
}

static bool is_wanted(const og_op *op, const char *name)
{
	return !name || !strcmp(name, op->name) || !strcmp(name, schema_called(op));
}

static og_status report_all(report *r, const og_library *l, const char *name)
{
	int wanted = 0;
	if (r->format == OG_JSON) {
		json_begin(&r->j, '{');
		json_put_string(&r->j, "library", r->path);
		json_put(&r->j, "ops", '[');
	}
	for (size_t k = 0; k < l->n_ops; k++) {
		if (!is_wanted(l->ops[k], name)) continue;
		wanted++;
		TRY(report_op(r, l->ops[k]));
	}
	if (!wanted)
		return base_fail(OG_USAGE, "%s: holds no op called '%s'; opgraft op list shows what it holds", r->path, name ? name : "");
	if (r->format == OG_JSON) {
		json_end(&r->j, ']');
		json_put_bool(&r->j, "passed", !r->failed);
		json_end(&r->j, '}');
	} else if (r->failed) {
		text_printf(&r->t, "%d of %d checks failed\n", r->failed, r->ran);
	} else {
		text_printf(&r->t, "%d checks passed\n", r->ran);
	}
	return OG_OK;
}

og_status og_op_library_test(char **out, const char *path, const char *op, og_format format)
{
	const og_library *l;
	report r = { .format = format, .path = path };
	*out = NULL;
	TRY(kit_open(&l, path));
	og_status status = report_all(&r, l, op);
	if (status == OG_OK) *out = text_take(format == OG_JSON ? &r.j.out : &r.t);
	text_free(&r.t);
	text_free(&r.j.out);
	if (status != OG_OK) return status;
	if (!*out) return base_no_memory();
	return r.failed ? base_fail(OG_NO, "%s: %d of %d checks failed", path, r.failed, r.ran) : OG_OK;
}
