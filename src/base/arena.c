/* arena.c -- blocks that are handed out from the front and freed together. Blocks come cleared from the system
 * and no byte is handed out twice, so nothing needs clearing here. */
#include "base/base.h"

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FIRST_BLOCK = 4 << 10, LARGEST_BLOCK = 1 << 20, ALIGNMENT = 16 };

typedef struct block {
	struct block *previous;
	size_t used, size;                   /* bytes behind this header */
} block;

struct arena {
	block *current;
	size_t next_size, total;
};

arena *arena_create(void)
{
	arena *a = base_new(1, sizeof *a);
	if (!a) return NULL;
	a->next_size = FIRST_BLOCK;
	a->total = sizeof *a;
	return a;
}

void arena_destroy(arena *a)
{
	if (!a) return;
	for (block *b = a->current, *previous; b; b = previous) {
		previous = b->previous;
		if (b->size > LARGEST_BLOCK) base_unmap(b, sizeof *b + b->size);
		else base_free(b);
	}
	base_free(a);
}

/* The aligned place in b for `bytes`; NULL when it does not fit. */
static void *place(block *b, size_t bytes, size_t alignment)
{
	uint8_t *data = (uint8_t *)(b + 1);
	size_t gap = (alignment - ((uintptr_t)(data + b->used) & (alignment - 1))) & (alignment - 1);
	size_t room = b->size - b->used;
	if (gap > room || bytes > room - gap) return NULL;
	uint8_t *p = data + b->used + gap;
	b->used += gap + bytes;
	return p;
}

void *arena_aligned(arena *a, size_t bytes, size_t alignment)
{
	assert(alignment > 0 && (alignment & (alignment - 1)) == 0);
	if (alignment < ALIGNMENT) alignment = ALIGNMENT;
	if (a->current) {
		void *p = place(a->current, bytes, alignment);
		if (p) return p;
	}
	if (bytes > SIZE_MAX / 2 || alignment > SIZE_MAX / 4) return NULL;
	size_t need = bytes + alignment, size = need > a->next_size ? need : a->next_size;
	block *b = size > LARGEST_BLOCK ? base_map(sizeof *b + size) : base_new(1, sizeof *b + size);
	if (!b) return NULL;
	b->size = size;
	a->total += sizeof *b + size;
	/* A block for one large piece goes behind the current one, whose rest stays in use. */
	if (a->current && need > a->next_size / 2) {
		b->previous = a->current->previous;
		a->current->previous = b;
	} else {
		b->previous = a->current;
		a->current = b;
	}
	if (a->next_size < LARGEST_BLOCK) a->next_size *= 2;
	return place(b, bytes, alignment);
}

void *arena_alloc(arena *a, size_t bytes) { return arena_aligned(a, bytes, ALIGNMENT); }

void *arena_array(arena *a, size_t count, size_t size)
{
	size_t bytes;
	return base_mul(count, size, &bytes) ? arena_alloc(a, bytes) : NULL;
}

char *arena_strndup(arena *a, const char *s, size_t n)
{
	char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;
	if (copy && n > 0) memcpy(copy, s, n);
	return copy;
}

char *arena_strdup(arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_printf(arena *a, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0) return NULL;
	char *s = arena_alloc(a, (size_t)n + 1);
	if (!s) return NULL;
	va_start(args, format);
	vsnprintf(s, (size_t)n + 1, format, args);
	va_end(args);
	return s;
}

void arena_discard(const arena *a, const void *p, size_t bytes)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)p;
	uintptr_t begin = (from + page - 1) / page * page, end = (from + bytes) / page * page;
	if (begin >= end) return;
	for (const block *b = a->current; b; b = b->previous)
		if (from - (uintptr_t)(b + 1) < b->used) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

size_t arena_bytes(const arena *a) { return a->total; }

void *arena_grow(arena *a, void *old, size_t count, size_t *capacity, size_t need, size_t size)
{
	if (old && need <= *capacity) return old;
	size_t room = *capacity > 0 ? *capacity : 4;
	while (room < need) {
		if (room > SIZE_MAX / 2) return NULL;
		room *= 2;
	}
	void *p = arena_array(a, room, size);
	if (!p) return NULL;
	if (count > 0) memcpy(p, old, count * size);
	*capacity = room;
	return p;
}
