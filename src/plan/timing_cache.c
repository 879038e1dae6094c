/* timing_cache.c -- times that were measured, in memory and in a file. */
#include "plan/timing_cache.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"

enum { KEY = 32, LINE = KEY + 1 + 20 + 1 + 8 + 1 };

typedef struct entry entry;
struct entry { char key[KEY + 1]; uint64_t ns; entry *next; };

struct timing_cache {
	arena *a;
	map by_key;
	entry *first, **last;                /* the oldest first */
	size_t n;
	bool changed;
};

timing_cache *timing_cache_create(void)
{
	arena *a = arena_create();
	timing_cache *c = a ? arena_alloc(a, sizeof *c) : NULL;
	if (!c) {
		arena_destroy(a);
		return NULL;
	}
	c->a = a;
	c->last = &c->first;
	return c;
}

void timing_cache_free(timing_cache *c)
{
	if (!c) return;
	map_free(&c->by_key);
	arena_destroy(c->a);
}

static void key_of(char *key, const char *what)
{
	size_t n = strlen(what);
	snprintf(key, KEY + 1, "%016llx%016llx", (unsigned long long)base_hash(what, n, 1), (unsigned long long)base_hash(what, n, 2));
}

static og_status put(timing_cache *c, const char *key, uint64_t ns)
{
	entry *e = map_get(&c->by_key, key);
	if (!e) {
		e = arena_alloc(c->a, sizeof *e);
		NEED(e);
		memcpy(e->key, key, sizeof e->key);
		TRY(map_put(&c->by_key, e->key, e));
		*c->last = e;
		c->last = &e->next;
		c->n++;
	}
	e->ns = ns;
	return OG_OK;
}

uint64_t timing_cache_get(const timing_cache *c, const char *what)
{
	char key[KEY + 1];
	key_of(key, what);
	const entry *e = map_get(&c->by_key, key);
	return e ? e->ns : 0;
}

og_status timing_cache_put(timing_cache *c, const char *what, uint64_t ns)
{
	char key[KEY + 1];
	key_of(key, what);
	c->changed = true;
	return put(c, key, ns);
}

/* ---- the file ------------------------------------------------------------------------------- */

static int print_line(char *line, const char *key, uint64_t ns)
{
	int n = snprintf(line, LINE + 1, "%s %llu", key, (unsigned long long)ns);
	return n + snprintf(line + n, (size_t)(LINE + 1 - n), " %08x\n", (unsigned)base_hash(line, (size_t)n, 3));
}

/* A line is sound when it is what would be written for its key and time. */
static bool read_line(char *key, uint64_t *ns, const char *line, size_t n)
{
	char have[LINE + 1], again[LINE + 1];
	unsigned long long number;
	if (n > LINE) return false;
	memcpy(have, line, n);
	have[n] = 0;
	if (sscanf(have, "%32[0-9a-f] %20llu", key, &number) != 2 || strlen(key) != KEY || !number) return false;
	*ns = number;
	return print_line(again, key, number) == (int)n && !memcmp(have, again, n);
}

og_status timing_cache_read(timing_cache *c, const char *path)
{
	file_map f;
	og_status status = file_open(&f, path);
	if (status != OG_OK) return status == OG_MISSING ? OG_OK : status;
	const char *at = (const char *)f.data, *end = at + f.size;
	if (f.size > (size_t)4 * TIMING_CACHE_MOST * LINE) at = end;         /* it is no file of ours */
	while (status == OG_OK && at < end) {
		char key[KEY + 1];
		uint64_t ns;
		const char *newline = memchr(at, '\n', (size_t)(end - at)), *next = newline ? newline + 1 : end;
		if (read_line(key, &ns, at, (size_t)(next - at))) status = put(c, key, ns);
		at = next;
	}
	file_close(&f);
	return status;
}

static void make_folders(const char *path)
{
	char folder[4096];
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int n = snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
		if (n < (int)sizeof folder) (void)mkdir(folder, 0700);       /* it may be there; file_create says what is wrong */
	}
}

og_status timing_cache_write(timing_cache *c, const char *path)
{
	if (!c->changed) return OG_OK;
	timing_cache *all = timing_cache_create();
	NEED(all);
	og_status status = timing_cache_read(all, path);         /* another may have written since it was read */
	for (const entry *e = c->first; e && status == OG_OK; e = e->next) status = put(all, e->key, e->ns);
	file_out *f = NULL;
	make_folders(path);
	if (status == OG_OK) status = file_create(&f, path);
	size_t skip = all->n > TIMING_CACHE_MOST ? all->n - TIMING_CACHE_MOST : 0;
	for (const entry *e = all->first; e && status == OG_OK; e = e->next) {
		char line[LINE + 1];
		if (skip) skip--;
		else file_write(f, line, (size_t)print_line(line, e->key, e->ns));
	}
	if (status == OG_OK) status = file_commit(f);
	if (status == OG_OK) c->changed = false;
	timing_cache_free(all);
	return status;
}

const char *timing_cache_path(arena *a)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (cache && cache[0] == '/') return arena_printf(a, "%s/opgraft/timing", cache);
	return home && home[0] == '/' ? arena_printf(a, "%s/.cache/opgraft/timing", home) : NULL;
}

/* ---- which library this is ------------------------------------------------------------------ */

typedef struct found_id { const uint8_t *bytes; size_t n; } found_id;

static void find_note(found_id *out, const uint8_t *at, const uint8_t *end)
{
	ElfW(Nhdr) note;
	while ((size_t)(end - at) > sizeof note) {
		memcpy(&note, at, sizeof note);
		const uint8_t *name = at + sizeof note, *bytes = name + ((note.n_namesz + 3) & ~3u);
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && !memcmp(name, "GNU", 4)) *out = (found_id){ bytes, note.n_descsz };
		at = bytes + ((note.n_descsz + 3) & ~3u);
	}
}

/* The notes of the object in which this function lies. */
static int visit_object(struct dl_phdr_info *object, size_t size, void *arg)
{
	uintptr_t here = (uintptr_t)visit_object;
	bool ours = false;
	(void)size;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &object->dlpi_phdr[i];
		ours |= h->p_type == PT_LOAD && here - (object->dlpi_addr + h->p_vaddr) < h->p_memsz;
	}
	for (int i = 0; ours && i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &object->dlpi_phdr[i];
		const uint8_t *at = (const uint8_t *)(object->dlpi_addr + h->p_vaddr);
		if (h->p_type == PT_NOTE) find_note(arg, at, at + h->p_memsz);
	}
	return ours;
}

const char *timing_cache_library(arena *a)
{
	found_id id = { 0 };
	char hex[2 * 32 + 1] = "";
	dl_iterate_phdr(visit_object, &id);
	for (size_t i = 0; i < id.n && i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", id.bytes[i]);
	return arena_printf(a, "%s %s", OG_VERSION, hex);
}
