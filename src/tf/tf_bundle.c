/* tf_bundle.c -- a checkpoint of TensorFlow ("V2", a tensor bundle): PREFIX.index, a table from keys to BundleEntryProto, and
 * the bytes in PREFIX.data-00000-of-00001 and so on. The key "" has the header. A variable that is kept in parts has an entry
 * with the places of the parts, and each part one of its own under a key made of the variable's and its place. */
#include "tf/tf_private.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { MAX_SHARDS = 99999 };

struct tf_bundle {
	tf_reader *r;
	const char *prefix;
	file_map index;
	tf_entry *entries; size_t n_entries;
	base_bytes *shards; uint64_t n_shards;       /* p NULL: not mapped yet */
	tf_crc crc;
};

/* A part of a tensor. length -1: all from the start on. */
typedef struct box { int rank; int64_t start[OG_MAX_RANK], length[OG_MAX_RANK]; } box;

typedef struct entry {
	og_tensor tensor;                    /* without data */
	uint64_t shard, offset, size;
	uint32_t crc;
	base_bytes bytes;                    /* BundleEntryProto */
	size_t n_slices;
} entry;

/* ---- entries ------------------------------------------------------------------------------------ */

static int by_key(const void *key, const void *of)
{
	return tf_key_order(*(const base_bytes *)key, ((const tf_entry *)of)->key);
}

static const tf_entry *find(const tf_bundle *b, base_bytes key)
{
	return b->n_entries > 0 ? bsearch(&key, b->entries, b->n_entries, sizeof *b->entries, by_key) : NULL;
}

static og_status read_entry(tf_bundle *b, entry *e, base_bytes bytes)
{
	wire_reader w = tf_open(TF_M_BUNDLE_ENTRY, bytes, b->index.data);
	wire_field f;
	*e = (entry){ .bytes = bytes };
	do {
		TRY(wire_next(&w, &f));
		switch (f.number) {
		case TF_BUNDLE_ENTRY_dtype: e->tensor.dtype = tf_dtype(f.value); break;
		case TF_BUNDLE_ENTRY_shape: TRY(tf_decode_dims(b->r, &e->tensor, f.bytes)); break;
		case TF_BUNDLE_ENTRY_shard_id: e->shard = f.value; break;
		case TF_BUNDLE_ENTRY_offset: e->offset = f.value; break;
		case TF_BUNDLE_ENTRY_size: e->size = f.value; break;
		case TF_BUNDLE_ENTRY_crc32c: memcpy(&e->crc, f.bytes.p, sizeof e->crc); break;
		case TF_BUNDLE_ENTRY_slices: e->n_slices++; break;
		default: break;
		}
	} while (f.number != 0);
	return OG_OK;
}

static og_status map_shard(tf_bundle *b, uint64_t k)
{
	if (k >= b->n_shards)
		return base_fail(OG_BAD_FILE, "it is said to be in file %llu of %llu", (unsigned long long)k, (unsigned long long)b->n_shards);
	if (b->shards[k].p) return OG_OK;
	const char *path = arena_printf(b->r->temporary, "%s.data-%05llu-of-%05llu", b->prefix, (unsigned long long)k,
	                                (unsigned long long)b->n_shards);
	NEED(path);
	return tf_map_file(b->r->holder, path, &b->shards[k]);
}

/* The bytes of an entry; not checked. */
static og_status locate(tf_bundle *b, const entry *e, base_bytes *data)
{
	TRY(map_shard(b, e->shard));
	base_bytes file = b->shards[e->shard];
	if (e->offset > file.n || e->size > file.n - e->offset)
		return base_fail(OG_BAD_FILE, "its %llu bytes at %llu pass the end of '%s.data-%05llu-of-%05llu', which has %zu; the file "
		                 "was cut short", (unsigned long long)e->size, (unsigned long long)e->offset, b->prefix,
		                 (unsigned long long)e->shard, (unsigned long long)b->n_shards, file.n);
	*data = (base_bytes){ file.p + e->offset, (size_t)e->size };
	return OG_OK;
}

/* The bytes of an entry, checked. */
static og_status read_data(tf_bundle *b, entry *e)
{
	int64_t count;
	base_bytes data;
	if (e->tensor.dtype == OG_NONE || e->tensor.dtype == OG_STRING)
		return base_fail(OG_UNSUPPORTED, "a variable of strings, or of a type that ONNX lacks, cannot be read");
	if (!base_count(e->tensor.dims, e->tensor.rank, &count) || base_dtype_span(e->tensor.dtype, (uint64_t)count) != e->size)
		return base_fail(OG_BAD_FILE, "it has %llu bytes, which is not what its shape needs", (unsigned long long)e->size);
	TRY(locate(b, e, &data));
	if (tf_crc_masked(tf_crc32c(&b->crc, data)) != e->crc)
		return base_fail(OG_BAD_FILE, "the checksum of its bytes is wrong: '%s.data-%05llu-of-%05llu' is damaged at byte %llu or "
		                 "behind", b->prefix, (unsigned long long)e->shard, (unsigned long long)b->n_shards,
		                 (unsigned long long)e->offset);
	e->tensor.data = (void *)(uintptr_t)data.p;
	return OG_OK;
}

/* ---- parts -------------------------------------------------------------------------------------- */

/* Lengths of -1 become what is left of the dimension. */
static og_status fit_box(box *x, const og_tensor *whole)
{
	bool good = x->rank == whole->rank;
	for (int k = 0; good && k < x->rank; k++) {
		if (x->length[k] < 0) x->length[k] = whole->dims[k];
		good = x->start[k] >= 0 && x->start[k] <= whole->dims[k] && x->length[k] <= whole->dims[k] - x->start[k];
	}
	return good ? OG_OK : base_fail(OG_BAD_FILE, "a part of it lies outside of it");
}

/* What a Saver notes: "6 3 0,2:-". */
static og_status parse_slice(const char *note, box *out)
{
	const char *p = strrchr(note, ' ');
	*out = (box){ 0 };
	for (p = p ? p + 1 : note; *p && out->rank < OG_MAX_RANK; out->rank++) {
		char *end = (char *)(uintptr_t)p + 1;
		int k = out->rank;
		out->length[k] = -1;
		if (*p != '-') {
			out->start[k] = strtoll(p, &end, 10);
			if (*end == ',') out->length[k] = strtoll(end + 1, &end, 10);
		}
		if (*end != ':' && *end) break;
		p = end + (*end == ':');
	}
	return *p ? base_fail(OG_BAD_FILE, "'%.64s' describes no part of a variable", note) : OG_OK;
}

static og_status read_slice(tf_bundle *b, box *out, base_bytes bytes)
{
	wire_reader w = tf_open(TF_M_SLICE, bytes, b->index.data);
	wire_field f;
	*out = (box){ 0 };
	do {
		TRY(wire_next(&w, &f));
		if (f.number != TF_SLICE_extent) continue;
		if (out->rank == OG_MAX_RANK) return base_fail(OG_BAD_FILE, "a part of it has more than %d dimensions", OG_MAX_RANK);
		int k = out->rank++;
		out->length[k] = -1;
		wire_reader v = tf_open(TF_M_EXTENT, f.bytes, b->index.data);
		do {
			TRY(wire_next(&v, &f));
			if (f.number == TF_EXTENT_start) out->start[k] = (int64_t)f.value;
			if (f.number == TF_EXTENT_length) out->length[k] = (int64_t)f.value;
		} while (f.number != 0);
		f.number = TF_SLICE_extent;
	} while (f.number != 0);
	return OG_OK;
}

/* Numbers in a key: as many leading ones as bytes, a zero, then the number, so that bytes sort as numbers do. Negative ones
 * are the complement. */
static void add_number(text *key, int64_t x)
{
	uint64_t size = x < 0 ? ~(uint64_t)x : (uint64_t)x;
	int n = 1;
	while (n < 8 && size >> (7 * n - 1)) n++;
	for (int k = 0; k < n; k++) {
		char byte = (char)((uint64_t)x >> 8 * (n - 1 - k));
		if (k == 0) byte = (char)(byte ^ (char)(0xff00 >> n));
		text_addn(key, &byte, 1);
	}
}

/* The key of a part: 0, the name with an end mark, how many dimensions, start and length of each. */
static og_status find_part(tf_bundle *b, const char *name, const box *x, entry *out)
{
	text key = { 0 };
	text_addn(&key, "\0", 1);
	for (const char *p = name; *p; p++) text_addn(&key, *p == (char)0xff ? "\xff\0" : p, *p == (char)0xff ? 2 : 1);
	text_addn(&key, "\0\1\1", 3);
	text_addn(&key, &(char){ (char)x->rank }, 1);
	for (int k = 0; k < x->rank; k++) {
		add_number(&key, x->start[k]);
		add_number(&key, x->length[k]);
	}
	if (key.failed) return base_no_memory();
	const tf_entry *found = find(b, (base_bytes){ (const uint8_t *)key.data, key.length });
	og_status status = found ? read_entry(b, out, found->value) : base_fail(OG_BAD_FILE, "a part of it is not in the checkpoint");
	text_free(&key);
	return status;
}

/* Copies the elements that both boxes have, of dimension k and those behind it; returns how many. Row-major, `width` bytes each;
 * both boxes have at least one dimension. */
static int64_t copy_shared(uint8_t *to, const box *x, const uint8_t *from, const box *y, int k, size_t width)
{
	int64_t first = x->start[k] > y->start[k] ? x->start[k] : y->start[k], copied = 0;
	int64_t x_end = x->start[k] + x->length[k], y_end = y->start[k] + y->length[k], end = x_end < y_end ? x_end : y_end;
	size_t to_row = width, from_row = width;
	bool whole_rows = true;
	for (int i = k + 1; i < x->rank; i++) {
		to_row *= (size_t)x->length[i];
		from_row *= (size_t)y->length[i];
		whole_rows &= x->start[i] == y->start[i] && x->length[i] == y->length[i];
	}
	if (end <= first) return 0;
	to += (size_t)(first - x->start[k]) * to_row;
	from += (size_t)(first - y->start[k]) * from_row;
	if (whole_rows) {
		size_t bytes = (size_t)(end - first) * to_row;
		memcpy(to, from, bytes);
		return (int64_t)(bytes / width);
	}
	for (int64_t i = first; i < end; i++, to += to_row, from += from_row) copied += copy_shared(to, x, from, y, k + 1, width);
	return copied;
}

typedef struct part { box wanted; og_tensor *out; int64_t copied; } part;

/* Takes what is wanted of a stored part: its bytes where they are if it is just that one. */
static og_status take_part(tf_bundle *b, part *p, entry *e, const box *stored)
{
	const og_tensor *t = &e->tensor;
	bool same = true, apart = false;
	for (int k = 0; k < stored->rank; k++) {
		if (t->rank != stored->rank || t->dims[k] != stored->length[k])
			return base_fail(OG_BAD_FILE, "a part of it has another shape than it should");
		same &= stored->start[k] == p->wanted.start[k] && stored->length[k] == p->wanted.length[k];
		apart |= stored->start[k] >= p->wanted.start[k] + p->wanted.length[k] ||
		         p->wanted.start[k] >= stored->start[k] + stored->length[k];
	}
	if (apart) return OG_OK;
	if (t->dtype != p->out->dtype) return base_fail(OG_BAD_FILE, "a part of it is of another type");
	TRY(read_data(b, e));
	int64_t count;
	base_count(p->out->dims, p->out->rank, &count);
	if (same) {
		p->out->data = t->data;
		p->copied = count;
		return OG_OK;
	}
	size_t width = base_dtype_span(t->dtype, 1), bytes = base_dtype_span(t->dtype, (uint64_t)count);
	if (!p->out->data) p->out->data = arena_aligned(b->r->holder->a, bytes, 64);
	NEED(p->out->data);
	p->copied += copy_shared(p->out->data, &p->wanted, t->data, stored, 0, width);
	return OG_OK;
}

static og_status take_parts(tf_bundle *b, part *p, const char *key, const entry *whole)
{
	wire_reader w = tf_open(TF_M_BUNDLE_ENTRY, whole->bytes, b->index.data);
	wire_field f;
	do {
		box stored;
		entry e;
		TRY(wire_next(&w, &f));
		if (f.number != TF_BUNDLE_ENTRY_slices) continue;
		TRY(read_slice(b, &stored, f.bytes));
		TRY(find_part(b, key, &stored, &e));
		TRY(fit_box(&stored, &whole->tensor));
		TRY(take_part(b, p, &e, &stored));
	} while (f.number != 0);
	return OG_OK;
}

static og_status read_tensor(tf_bundle *b, og_tensor *out, const char *key, const char *slice, base_bytes bytes)
{
	entry e;
	int64_t count;
	TRY(read_entry(b, &e, bytes));
	if (!*slice && e.n_slices == 0) {
		TRY(read_data(b, &e));
		*out = e.tensor;
		return OG_OK;
	}
	box all = { .rank = e.tensor.rank };
	memcpy(all.length, e.tensor.dims, sizeof all.length);
	part p = { .wanted = all, .out = out };
	if (*slice) TRY(parse_slice(slice, &p.wanted));
	TRY(fit_box(&p.wanted, &e.tensor));
	*out = (og_tensor){ .dtype = e.tensor.dtype, .rank = e.tensor.rank };
	memcpy(out->dims, p.wanted.length, sizeof out->dims);
	TRY(e.n_slices > 0 ? take_parts(b, &p, key, &e) : take_part(b, &p, &e, &all));
	base_count(out->dims, out->rank, &count);
	return p.copied == count ? OG_OK : base_fail(OG_BAD_FILE, "its parts do not make it whole");
}

og_status tf_bundle_read(tf_bundle *b, og_tensor *out, const char *key, const char *slice)
{
	const tf_entry *found = find(b, (base_bytes){ (const uint8_t *)key, strlen(key) });
	if (!found || !*key) return OG_NO;
	og_status status = read_tensor(b, out, key, slice, found->value);
	return status == OG_OK ? OG_OK : base_fail_in(status, "'%.128s' in the checkpoint", key);
}

og_status tf_bundle_string(tf_bundle *b, base_bytes *out, const char *key)
{
	enum { CHECKSUM = 4 };                       /* of the lengths, in front of the strings */
	const tf_entry *found = find(b, (base_bytes){ (const uint8_t *)key, strlen(key) });
	entry e;
	uint64_t n;
	if (!found) return OG_NO;
	TRY(read_entry(b, &e, found->value));
	TRY(locate(b, &e, out));
	if (e.tensor.dtype != OG_STRING || e.tensor.rank != 0 || !wire_varint(out, &n) || out->n < CHECKSUM || n != out->n - CHECKSUM)
		return base_fail(OG_BAD_FILE, "'%s' in the checkpoint is not one string", key);
	*out = (base_bytes){ out->p + CHECKSUM, (size_t)n };
	return OG_OK;
}

/* ---- opening ------------------------------------------------------------------------------------ */

static og_status read_header(tf_bundle *b)
{
	if (b->n_entries == 0 || b->entries[0].key.n > 0) return base_fail(OG_BAD_FILE, "it has no header");
	wire_reader w = tf_open(TF_M_BUNDLE_HEADER, b->entries[0].value, b->index.data);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_BUNDLE_HEADER_num_shards) b->n_shards = f.value;
		if (f.number == TF_BUNDLE_HEADER_endianness && f.value != 0)
			return base_fail(OG_UNSUPPORTED, "it was written on a big-endian machine");
	} while (f.number != 0);
	if (b->n_shards > MAX_SHARDS) return base_fail(OG_BAD_FILE, "it is said to have %llu files", (unsigned long long)b->n_shards);
	b->shards = arena_array(b->r->temporary, (size_t)b->n_shards, sizeof *b->shards);
	return b->shards ? OG_OK : base_no_memory();
}

static og_status open_index(tf_bundle *b, const char *path)
{
	struct stat st;
	og_status status = file_open(&b->index, path);
	if (status == OG_MISSING && stat(b->prefix, &st) == 0)
		return base_fail(OG_UNSUPPORTED, "%s: this checkpoint has the form of before TensorFlow 0.12 (V1), which is not read",
		                 b->prefix);
	TRY(status);
	status = tf_table_read((base_bytes){ b->index.data, b->index.size }, b->r->temporary, &b->crc, &b->entries, &b->n_entries);
	if (status == OG_OK) status = read_header(b);
	return status == OG_OK ? OG_OK : base_fail_in(status, "%s", path);
}

og_status tf_bundle_open(tf_bundle **out, tf_reader *r, const char *prefix)
{
	tf_bundle *b = *out = arena_alloc(r->temporary, sizeof *b);
	NEED(b);
	b->r = r;
	b->prefix = prefix;
	const char *path = arena_printf(r->temporary, "%s.index", prefix);
	NEED(path);
	tf_crc_prepare(&b->crc);
	og_status status = open_index(b, path);
	if (status == OG_OK) return OG_OK;
	tf_bundle_close(b);
	*out = NULL;
	return status;
}

void tf_bundle_close(tf_bundle *b)
{
	if (b) file_close(&b->index);
}
