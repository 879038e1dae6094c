/* image.c -- programs by name in one block of bytes. */
#include "cuda/image.h"

enum { HEADER = 16, ENTRY = 40, NAME = 24, ALIGN = 64 };
static const char magic[8] = "OGCUBIN";

static size_t round_up(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

og_status cuda_image_make(const void **image, size_t *bytes, arena *a, const cuda_image_entry *entries, int n)
{
	size_t size = round_up(HEADER + (size_t)n * ENTRY);
	uint64_t count = (uint64_t)n;
	for (int i = 0; i < n; i++) size += round_up(entries[i].bytes);
	uint8_t *to = arena_aligned(a, size, ALIGN);
	NEED(to);
	memset(to, 0, size);
	memcpy(to, magic, sizeof magic);
	memcpy(to + sizeof magic, &count, sizeof count);
	uint64_t at = round_up(HEADER + (size_t)n * ENTRY);
	for (int i = 0; i < n; i++) {
		uint8_t *line = to + HEADER + (size_t)i * ENTRY;
		uint64_t places[] = { at, entries[i].bytes };
		memcpy(line, entries[i].name, CUDA_NAME);
		memcpy(line + NAME, places, sizeof places);
		memcpy(to + at, entries[i].data, entries[i].bytes);
		at += round_up(entries[i].bytes);
	}
	*image = to;
	*bytes = size;
	return OG_OK;
}

og_status cuda_image_read(cuda_image_entry **entries, int *n, arena *a, const void *image, size_t bytes)
{
	const uint8_t *from = image;
	uint64_t count = 0;
	*entries = NULL;
	*n = 0;
	if (!bytes) return OG_OK;
	if (bytes >= HEADER && !memcmp(from, magic, sizeof magic)) memcpy(&count, from + sizeof magic, sizeof count);
	if (!count || count > (bytes - HEADER) / ENTRY)
		return base_fail(OG_BAD_FILE, "the plan's machine code is damaged; build it again");
	cuda_image_entry *to = arena_array(a, (size_t)count, sizeof *to);
	NEED(to);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *line = from + HEADER + i * ENTRY;
		uint64_t places[2];
		memcpy(to[i].name, line, CUDA_NAME);
		memcpy(places, line + NAME, sizeof places);
		if (to[i].name[CUDA_NAME - 1] || !places[1] || places[0] % ALIGN || places[0] > bytes ||
		    places[1] > bytes - places[0])
			return base_fail(OG_BAD_FILE, "the plan's machine code is damaged; build it again");
		to[i].data = from + places[0];
		to[i].bytes = places[1];
	}
	*entries = to;
	*n = (int)count;
	return OG_OK;
}
