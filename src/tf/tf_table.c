/* tf_table.c -- the sorted table of keys and values that is the index of a checkpoint: LevelDB's table format without filters.
 * https://github.com/google/leveldb/blob/main/doc/table_format.md
 *
 *   data blocks, other blocks, index block, footer of 48 bytes
 *   block:  entries, their restart points (a word each), how many those are; then one byte for the compression, a checksum
 *   entry:  bytes that its key shares with the one before, further bytes of the key, bytes of the value (varints); both
 *   index:  for each data block a key not below its last one, and as value the place: offset and size (varints)
 *   footer: place of another index, place of the index, blanks up to byte 40, a magic number of 8 bytes */
#include "tf/tf_private.h"

enum { FOOTER = 48, PLACES = 40, TRAILER = 5, MAX_KEY = 1 << 16, MAX_KEYS = 1 << 28 };

static const uint8_t magic[8] = { 0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb };

/* ---- checksums ---------------------------------------------------------------------------------- */

void tf_crc_prepare(tf_crc *c)
{
	for (uint32_t k = 0; k < 256; k++) {
		uint32_t x = k;
		for (int bit = 0; bit < 8; bit++) x = x >> 1 ^ (x & 1 ? 0x82f63b78u : 0);
		c->of[0][k] = x;
	}
	for (int zeros = 1; zeros < 8; zeros++)
		for (uint32_t k = 0; k < 256; k++) c->of[zeros][k] = c->of[zeros - 1][k] >> 8 ^ c->of[0][c->of[zeros - 1][k] & 0xff];
}

uint32_t tf_crc32c(const tf_crc *c, base_bytes b)
{
	uint32_t x = ~0u;
	const uint8_t *p = b.p, *end = p + b.n;
	for (; end - p >= 8; p += 8) {
		uint32_t low, high;
		memcpy(&low, p, 4);
		memcpy(&high, p + 4, 4);
		low ^= x;
		x = c->of[7][low & 0xff] ^ c->of[6][low >> 8 & 0xff] ^ c->of[5][low >> 16 & 0xff] ^ c->of[4][low >> 24] ^
		    c->of[3][high & 0xff] ^ c->of[2][high >> 8 & 0xff] ^ c->of[1][high >> 16 & 0xff] ^ c->of[0][high >> 24];
	}
	for (; p < end; p++) x = x >> 8 ^ c->of[0][(x ^ *p) & 0xff];
	return ~x;
}

/* ---- blocks ------------------------------------------------------------------------------------- */

static uint32_t word_at(const uint8_t *p)
{
	uint32_t word;
	memcpy(&word, p, sizeof word);
	return word;
}

static og_status read_place(base_bytes *run, uint64_t *offset, uint64_t *size)
{
	if (wire_varint(run, offset) && wire_varint(run, size)) return OG_OK;
	return base_fail(OG_BAD_FILE, "the place of a block is cut short");
}

/* The entries of the block at a place, which must be sound and not compressed. */
static og_status open_block(base_bytes file, const tf_crc *crc, base_bytes place, base_bytes *entries)
{
	uint64_t offset, size;
	TRY(read_place(&place, &offset, &size));
	if (offset > file.n || size > file.n - offset || file.n - offset - size < TRAILER || size < 4)
		return base_fail(OG_BAD_FILE, "byte %llu: a block passes the end of the file", (unsigned long long)offset);
	base_bytes whole = { file.p + offset, (size_t)size + 1 };
	if (tf_crc_masked(tf_crc32c(crc, whole)) != word_at(whole.p + whole.n))
		return base_fail(OG_BAD_FILE, "byte %llu: the checksum of a block is wrong", (unsigned long long)offset);
	if (whole.p[size] != 0)
		return base_fail(OG_UNSUPPORTED, "byte %llu: a block is compressed (%s), which TensorFlow does not do",
		                 (unsigned long long)offset, whole.p[size] == 1 ? "Snappy" : "in an unknown way");
	uint64_t restarts = word_at(whole.p + size - 4);
	if (restarts > (size - 4) / 4) return base_fail(OG_BAD_FILE, "byte %llu: a block has no entries", (unsigned long long)offset);
	*entries = (base_bytes){ whole.p, (size_t)(size - 4 - 4 * restarts) };
	return OG_OK;
}

/* The next entry of a block. `key` holds the one before it and becomes a new piece of the arena. */
static og_status next_entry(base_bytes *block, arena *a, size_t *spent, tf_entry *e)
{
	uint64_t shared, own, size;
	if (!wire_varint(block, &shared) || !wire_varint(block, &own) || !wire_varint(block, &size) || shared > e->key.n ||
	    own > block->n || size > block->n - own)
		return base_fail(OG_BAD_FILE, "an entry behind the key '%.64s' is damaged", e->key.n ? (const char *)e->key.p : "");
	size_t n = (size_t)(shared + own);
	*spent += n;
	if (n > MAX_KEY || *spent > MAX_KEYS) return base_fail(OG_BAD_FILE, "its keys are too long");
	uint8_t *key = arena_alloc(a, n + 1);
	NEED(key);
	if (shared > 0) memcpy(key, e->key.p, (size_t)shared);
	if (own > 0) memcpy(key + shared, block->p, (size_t)own);
	*e = (tf_entry){ { key, n }, { block->p + own, (size_t)size } };
	block->p += own + size;
	block->n -= (size_t)(own + size);
	return OG_OK;
}

int tf_key_order(base_bytes a, base_bytes b)
{
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
	return order ? order : a.n < b.n ? -1 : a.n > b.n;
}

og_status tf_table_read(base_bytes file, arena *a, const tf_crc *crc, tf_entry **entries, size_t *n)
{
	size_t capacity = 0, spent = 0;
	uint64_t unused;
	base_bytes index, block;
	*entries = NULL;
	*n = 0;
	if (file.n < FOOTER || memcmp(file.p + file.n - sizeof magic, magic, sizeof magic) != 0)
		return base_fail(OG_BAD_FILE, "it does not end as the index of a checkpoint does; it was cut short or is something else");
	base_bytes places = { file.p + file.n - FOOTER, PLACES };
	TRY(read_place(&places, &unused, &unused));
	TRY(open_block(file, crc, places, &index));
	for (tf_entry e = { 0 }, at = { .key.p = file.p }; index.n > 0;) {
		TRY(next_entry(&index, a, &spent, &at));
		TRY(open_block(file, crc, at.value, &block));
		for (e.key.n = 0; block.n > 0;) {                /* the first key of a block shares nothing */
			TRY(next_entry(&block, a, &spent, &e));
			tf_entry *grown = arena_grow(a, *entries, *n, &capacity, *n + 1, sizeof *grown);
			NEED(grown);
			*entries = grown;
			if (*n > 0 && tf_key_order(grown[*n - 1].key, e.key) >= 0)
				return base_fail(OG_BAD_FILE, "its keys are not in order at '%.64s'", (const char *)e.key.p);
			grown[(*n)++] = e;
		}
	}
	return OG_OK;
}
