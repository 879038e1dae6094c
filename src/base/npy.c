/* npy.c -- NumPy's .npy files: a magic number, the length of a header, the header (a Python dictionary), the data. */
#include "base/npy.h"

#include "base/file.h"

#include <ctype.h>

static const char magic[6] = { '\x93', 'N', 'U', 'M', 'P', 'Y' };

static const struct { og_dtype dtype; char descr[3]; } descrs[] = {
	{ OG_F16, "f2" }, { OG_F32, "f4" }, { OG_F64, "f8" },
	{ OG_I8,  "i1" }, { OG_I16, "i2" }, { OG_I32, "i4" }, { OG_I64, "i8" },
	{ OG_U8,  "u1" }, { OG_U16, "u2" }, { OG_U32, "u4" }, { OG_U64, "u8" }, { OG_BOOL, "b1" },
};
enum { N_DESCRS = sizeof descrs / sizeof descrs[0] };

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct header {
	const char *path;
	const char *at, *end;
	og_dtype dtype;
	bool fortran, has_descr, has_order, has_shape;
	int rank;
	int64_t dims[OG_MAX_RANK];
} header;

static og_status malformed(const header *h, const char *what)
{
	return base_fail(OG_BAD_FILE, "%s: %s in the .npy header", h->path, what);
}

static bool take(header *h, char c)
{
	while (h->at < h->end && isspace((unsigned char)*h->at)) h->at++;
	if (h->at == h->end || *h->at != c) return false;
	h->at++;
	return true;
}

/* A quoted word; its text is in the file. */
static og_status read_word(header *h, const char **word, size_t *n)
{
	char quote = take(h, '\'') ? '\'' : take(h, '"') ? '"' : '\0';
	const char *close = quote ? memchr(h->at, quote, (size_t)(h->end - h->at)) : NULL;
	if (!close) return malformed(h, "a quoted word is missing");
	*word = h->at;
	*n = (size_t)(close - h->at);
	h->at = close + 1;
	return OG_OK;
}

static og_status read_descr(header *h)
{
	const char *s;
	size_t n;
	TRY(read_word(h, &s, &n));
	if (n == 3 && s[0] == '>' && s[2] != '1')
		return base_fail(OG_BAD_FILE, "%s: the array is big-endian; save it in this machine's order", h->path);
	if (n == 3 && strchr("<>|=", s[0]))
		for (int i = 0; i < N_DESCRS; i++)
			if (memcmp(s + 1, descrs[i].descr, 2) == 0) h->dtype = descrs[i].dtype;
	if (h->dtype == OG_NONE)
		return base_fail(OG_BAD_FILE, "%s: elements of type '%.*s' are not supported; save f2 f4 f8, i1 to u8 or b1",
		                 h->path, n < 40 ? (int)n : 40, s);
	return OG_OK;
}

static og_status read_order(header *h)
{
	while (h->at < h->end && isspace((unsigned char)*h->at)) h->at++;
	size_t room = (size_t)(h->end - h->at);
	h->fortran = room >= 4 && memcmp(h->at, "True", 4) == 0;
	if (!h->fortran && !(room >= 5 && memcmp(h->at, "False", 5) == 0))
		return malformed(h, "fortran_order is neither True nor False");
	h->at += h->fortran ? 4 : 5;
	return OG_OK;
}

static og_status read_shape(header *h)
{
	if (!take(h, '(')) return malformed(h, "shape is no tuple");
	while (!take(h, ')')) {
		int64_t size = 0;
		const char *from = h->at;        /* take() has skipped the space */
		if (h->rank == OG_MAX_RANK)
			return base_fail(OG_BAD_FILE, "%s: the array has more than %d dimensions", h->path, OG_MAX_RANK);
		for (; h->at < h->end && isdigit((unsigned char)*h->at); h->at++)
			if (__builtin_mul_overflow(size, 10, &size) || __builtin_add_overflow(size, *h->at - '0', &size))
				return malformed(h, "a dimension is too large");
		if (h->at == from) return malformed(h, "a dimension is no number");
		take(h, 'L');                    /* Python 2 wrote 3L */
		h->dims[h->rank++] = size;
		if (!take(h, ',') && !(h->at < h->end && *h->at == ')')) return malformed(h, "shape is no tuple");
	}
	return OG_OK;
}

static og_status read_header(header *h)
{
	if (!take(h, '{')) return malformed(h, "no dictionary");
	while (!take(h, '}')) {
		const char *key;
		size_t n;
		TRY(read_word(h, &key, &n));
		if (!take(h, ':')) return malformed(h, "':' is missing");
		if (n == 5 && memcmp(key, "descr", n) == 0) {
			TRY(read_descr(h));
			h->has_descr = true;
		} else if (n == 13 && memcmp(key, "fortran_order", n) == 0) {
			TRY(read_order(h));
			h->has_order = true;
		} else if (n == 5 && memcmp(key, "shape", n) == 0 && !h->has_shape) {
			TRY(read_shape(h));
			h->has_shape = true;
		} else {
			return malformed(h, "an unknown key stands");
		}
		take(h, ',');
	}
	if (h->has_descr && h->has_order && h->has_shape) return OG_OK;
	return malformed(h, "descr, fortran_order or shape is missing");
}

/* Turns Fortran order (first index fastest) to C order (last index fastest). */
static void turn(uint8_t *to, const uint8_t *from, const header *h, int64_t count, size_t size)
{
	int64_t index[OG_MAX_RANK] = { 0 }, step[OG_MAX_RANK], at = 0;
	for (int64_t i = 0, product = 1; i < h->rank; product *= h->dims[i++]) step[i] = product;
	for (int64_t k = 0; k < count; k++) {
		memcpy(to + (size_t)k * size, from + (size_t)at * size, size);
		for (int i = h->rank - 1; i >= 0; i--) {
			at += step[i];
			if (++index[i] < h->dims[i]) break;
			at -= step[i] * h->dims[i];
			index[i] = 0;
		}
	}
}

static og_status read_array(og_tensor *out, arena *a, const char *path, const file_map *file)
{
	const uint8_t *p = file->data;
	if (file->size < 10 || memcmp(p, magic, sizeof magic) != 0)
		return base_fail(OG_BAD_FILE, "%s: is not a .npy file", path);
	if (p[6] < 1 || p[6] > 3)
		return base_fail(OG_BAD_FILE, "%s: .npy version %d is not known; 1 to 3 are", path, p[6]);
	size_t lead = p[6] == 1 ? 10 : 12, length = p[8] | (size_t)p[9] << 8;
	if (p[6] > 1 && file->size >= lead) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
	if (file->size < lead || length > file->size - lead)
		return base_fail(OG_BAD_FILE, "%s: the file ends inside the .npy header", path);
	header h = { .path = path, .at = (const char *)p + lead, .end = (const char *)p + lead + length };
	TRY(read_header(&h));
	int64_t count;
	size_t bytes = base_count(h.dims, h.rank, &count) ? base_dtype_span(h.dtype, (uint64_t)count) : SIZE_MAX;
	if (bytes > file->size - lead - length)
		return base_fail(OG_BAD_FILE, "%s: the file ends before the data that its shape tells of", path);
	*out = (og_tensor){ .dtype = h.dtype, .rank = h.rank, .data = arena_aligned(a, bytes, 64) };
	NEED(out->data);
	memcpy(out->dims, h.dims, sizeof out->dims);
	const uint8_t *data = p + lead + length;
	if (h.fortran && h.rank > 1) turn(out->data, data, &h, count, base_dtype_span(h.dtype, 1));
	else if (bytes > 0) memcpy(out->data, data, bytes);
	return OG_OK;
}

og_status npy_read(og_tensor *out, arena *a, const char *path)
{
	file_map file;
	TRY(file_open(&file, path));
	og_status status = read_array(out, a, path, &file);
	file_close(&file);
	return status;
}

/* ---- writing -------------------------------------------------------------------------------- */

static const char *descr_of(og_dtype dtype)
{
	if (dtype == OG_BF16) dtype = OG_F32;
	for (int i = 0; i < N_DESCRS; i++)
		if (descrs[i].dtype == dtype) return descrs[i].descr;
	return NULL;
}

/* The bytes before the data: their number is a multiple of 64, as NumPy pads them. */
static void add_header(text *t, const og_tensor *tensor, const char *descr)
{
	text_addn(t, magic, sizeof magic);
	text_addn(t, "\1\0\0\0", 4);
	text_printf(t, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", descr[1] == '1' ? '|' : '<', descr);
	for (int i = 0; i < tensor->rank; i++) text_printf(t, i > 0 ? ", %lld" : "%lld", (long long)tensor->dims[i]);
	if (tensor->rank == 1) text_add(t, ",");
	text_add(t, "), }");
	while (!t->failed && t->length % 64 != 63) text_add(t, " ");
	text_add(t, "\n");
	if (t->failed) return;
	t->data[8] = (char)((t->length - 10) & 255);
	t->data[9] = (char)((t->length - 10) >> 8);
}

og_status npy_write(const og_tensor *tensor, const char *path)
{
	const char *descr = descr_of(tensor->dtype);
	int64_t count;
	if (!descr)
		return base_fail(OG_UNSUPPORTED, "%s: %s cannot be written as .npy", path, base_dtype_name(tensor->dtype));
	if (!base_count(tensor->dims, tensor->rank, &count))
		return base_fail(OG_USAGE, "%s: the tensor's shape is not one", path);
	text t = { 0 };
	add_header(&t, tensor, descr);
	file_out *f = NULL;
	og_status status = t.failed ? base_no_memory() : file_create(&f, path);
	if (status == OG_OK) {
		file_write(f, t.data, t.length);
		if (tensor->dtype == OG_BF16) {
			for (int64_t k = 0; k < count; k++) {
				uint16_t half;
				memcpy(&half, (const uint8_t *)tensor->data + 2 * k, sizeof half);
				float value = base_bfloat_to_float(half);
				file_write(f, &value, sizeof value);
			}
		} else {
			file_write(f, tensor->data, base_dtype_span(tensor->dtype, (uint64_t)count));
		}
		status = file_commit(f);
	}
	text_free(&t);
	return status;
}
