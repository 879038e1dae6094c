/* settings.c -- parameters, as text. */
#include <stdlib.h>

#include "serve/serve.h"

enum { MOST_THREADS = 256, MOST_SHAPES = 1024, MOST_BATCH = 1 << 16 };

static og_status read_number(int64_t *out, const char *name, const char *s, int64_t most)
{
	char *end;
	*out = strtoll(s, &end, 10);
	if (*s && !*end && *out >= 1 && *out <= most) return OG_OK;
	return base_fail(OG_USAGE, "parameter '%s' is '%s', and must be a number between 1 and %lld", name, s, (long long)most);
}

static og_status read_int(int *out, const char *name, const char *s, int64_t most)
{
	int64_t n;
	TRY(read_number(&n, name, s, most));
	*out = (int)n;
	return OG_OK;
}

/* `words` with a space between. */
static og_status read_word(const char **out, arena *a, const char *name, const char *s, const char *words)
{
	size_t n = strlen(s);
	const char *w = words;
	while (*w && !(strcspn(w, " ") == n && !memcmp(w, s, n))) {
		w += strcspn(w, " ");
		w += *w == ' ';
	}
	if (!*w || !n) return base_fail(OG_USAGE, "parameter '%s' is '%s', and must be one of: %s", name, s, words);
	*out = arena_strdup(a, s);
	NEED(*out);
	return OG_OK;
}

static og_status read_flag(bool *out, const char *name, const char *s)
{
	*out = !strcmp(s, "true") || !strcmp(s, "1");
	if (*out || !strcmp(s, "false") || !strcmp(s, "0")) return OG_OK;
	return base_fail(OG_USAGE, "parameter '%s' is '%s', and must be true or false", name, s);
}

static og_status read_path(const char **out, arena *a, const char *s, size_t n, const char *folder)
{
	*out = n && s[0] == '/' ? arena_strndup(a, s, n) : arena_printf(a, "%s/%.*s", folder, (int)n, s);
	NEED(*out);
	return OG_OK;
}

/* Paths with commas between. */
static og_status read_paths(serve_settings *to, arena *a, const char *name, const char *s, const char *folder)
{
	int most = 1;
	for (const char *p = s; *p; p++) most += *p == ',';
	to->ops = arena_array(a, (size_t)most, sizeof *to->ops);
	NEED(to->ops);
	to->n_ops = 0;
	for (size_t n; *s; s += n + (s[n] == ',')) {
		n = strcspn(s, ",");
		if (!n) return base_fail(OG_USAGE, "parameter '%s' has an empty path", name);
		TRY(read_path(&to->ops[to->n_ops++], a, s, n, folder));
	}
	return OG_OK;
}

/* Numbers with commas between, ascending. */
static og_status read_batches(serve_settings *to, const char *name, const char *s)
{
	to->n_batches = 0;
	for (const char *p = s;; p++) {
		char *end;
		long long n = strtoll(p, &end, 10);
		bool fits = end > p && n >= 1 && n <= MOST_BATCH && to->n_batches < SERVE_MOST_SIZES &&
		            (to->n_batches == 0 || n > to->batches[to->n_batches - 1]);
		if (!fits || (*end && *end != ','))
			return base_fail(OG_USAGE, "parameter '%s' is '%s', and must be at most %d growing numbers with commas between, such as "
			                 "1,4,16", name, s, SERVE_MOST_SIZES);
		to->batches[to->n_batches++] = n;
		if (!*(p = end)) return OG_OK;
	}
}

og_status serve_setting(serve_settings *to, arena *a, const char *name, const char *value, const char *folder)
{
	if (!strcmp(name, "device")) return read_word(&to->device, a, name, value, "cpu cuda");
	if (!strcmp(name, "precision")) return read_word(&to->precision, a, name, value, "fp32 tf32 fp16 bf16");
	if (!strcmp(name, "threads")) return read_int(&to->threads, name, value, MOST_THREADS);
	if (!strcmp(name, "shapes")) return read_int(&to->shapes, name, value, MOST_SHAPES);
	if (!strcmp(name, "batches")) return read_batches(to, name, value);
	if (!strcmp(name, "ops")) return read_paths(to, a, name, value, folder);
	if (!strcmp(name, "timing_cache")) return read_path(&to->timing_cache, a, value, strlen(value), folder);
	if (!strcmp(name, "no_timing")) return read_flag(&to->no_timing, name, value);
	return OG_NO;
}
