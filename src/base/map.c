/* map.c -- hash table from strings to pointers: open addressing, linear probing, at most three quarters full. */
#include "base/base.h"

typedef struct map_slot map_slot;

/* The slot that holds key, or the free one where it belongs. */
static map_slot *find_slot(const map *m, const char *key)
{
	size_t k = base_hash(key, strlen(key), 0) & (m->capacity - 1);
	while (m->slots[k].key && strcmp(m->slots[k].key, key) != 0) k = (k + 1) & (m->capacity - 1);
	return &m->slots[k];
}

void *map_get(const map *m, const char *key)
{
	return m->count > 0 ? find_slot(m, key)->value : NULL;
}

static og_status grow(map *m)
{
	map bigger = { .count = m->count, .capacity = m->capacity > 0 ? 2 * m->capacity : 16 };
	bigger.slots = base_new(bigger.capacity, sizeof *bigger.slots);
	NEED(bigger.slots);
	for (size_t k = 0; k < m->capacity; k++)
		if (m->slots[k].key) *find_slot(&bigger, m->slots[k].key) = m->slots[k];
	base_free(m->slots);
	*m = bigger;
	return OG_OK;
}

/* Empties a slot and moves those behind it that were pushed on by it, so that no search ends too early. */
static void remove_slot(map *m, map_slot *slot)
{
	size_t mask = m->capacity - 1, hole = (size_t)(slot - m->slots);
	for (size_t k = (hole + 1) & mask; m->slots[k].key; k = (k + 1) & mask) {
		const char *key = m->slots[k].key;
		size_t home = base_hash(key, strlen(key), 0) & mask;
		if (((k - home) & mask) < ((k - hole) & mask)) continue;
		m->slots[hole] = m->slots[k];
		hole = k;
	}
	m->slots[hole] = (map_slot){ 0 };
	m->count--;
}

og_status map_put(map *m, const char *key, void *value)
{
	if (!value) {
		map_slot *slot = m->count > 0 ? find_slot(m, key) : NULL;
		if (slot && slot->key) remove_slot(m, slot);
		return OG_OK;
	}
	if (4 * (m->count + 1) > 3 * m->capacity) TRY(grow(m));
	map_slot *slot = find_slot(m, key);
	if (!slot->key) m->count++;
	*slot = (map_slot){ .key = key, .value = value };
	return OG_OK;
}

void map_free(map *m)
{
	base_free(m->slots);
	*m = (map){ 0 };
}
