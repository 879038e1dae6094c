/* tensor.c -- TensorProto: the ways in which a file can hold a tensor's numbers. */
#include "onnx/private.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw_data is little-endian and is used in place: a big-endian machine would have to turn it"
#endif

/* What a TensorProto says before its numbers are looked at. */
typedef struct header {
	graph_bytes bytes, name, raw;
	uint64_t dtype;
	int64_t dims[OG_MAX_RANK];
	size_t rank;                         /* may be above OG_MAX_RANK */
	bool segment, external;
	uint64_t count;                      /* elements */
	size_t span;                         /* bytes, in raw_data; 0 for strings */
} header;

static og_status read_dims(header *h, graph_bytes run)
{
	while (run.n > 0) {
		uint64_t d;
		if (!wire_varint(&run, &d) || d > INT64_MAX)
			return base_fail(OG_BAD_FILE, "dimension %zu is no size", h->rank);
		if (h->rank < OG_MAX_RANK) h->dims[h->rank] = (int64_t)d;
		h->rank++;
	}
	return OG_OK;
}

static og_status read_header(header *h, graph_bytes tensor, const uint8_t *base)
{
	wire_reader w = onnx_open(ONNX_TENSOR, tensor, base);
	wire_field f;
	*h = (header){ .bytes = tensor };
	for (;;) {
		TRY(wire_next(&w, &f));
		switch (f.number) {
		case 0: return OG_OK;
		case TENSOR_dims: TRY(read_dims(h, f.bytes)); break;
		case TENSOR_data_type: h->dtype = f.value; break;
		case TENSOR_name: h->name = f.bytes; break;
		case TENSOR_raw_data: h->raw = f.bytes; break;
		case TENSOR_segment: h->segment = true; break;
		case TENSOR_data_location: h->external = f.value == 1; break;
		default: break;
		}
	}
}

static og_status check_dims(header *h)
{
	int64_t count;
	if (h->rank > OG_MAX_RANK)
		return base_fail(OG_UNSUPPORTED, "it has %zu dimensions; Opgraft holds up to %d", h->rank, OG_MAX_RANK);
	if (!base_count(h->dims, (int)h->rank, &count)) return base_fail(OG_BAD_FILE, "its dimensions overflow");
	h->count = (uint64_t)count;
	return OG_OK;
}

/* Type and shape are such as we can hold; sets count and span. */
static og_status check_header(header *h)
{
	if (h->segment)
		return base_fail(OG_UNSUPPORTED, "it holds a segment of a tensor, or a sequence; one whole tensor is read");
	if (h->dtype == OG_NONE) return base_fail(OG_BAD_FILE, "it has no data type");
	if (h->dtype >= OG_DTYPE_COUNT)
		return base_fail(OG_UNSUPPORTED, "its data type has the number %llu, which is newer than IR version 13",
		                 (unsigned long long)h->dtype);
	TRY(check_dims(h));
	if (h->dtype == OG_STRING) return OG_OK;
	h->span = base_dtype_span((og_dtype)h->dtype, h->count);
	if (h->span == SIZE_MAX) return base_fail(OG_BAD_FILE, "its dimensions overflow");
	return OG_OK;
}

/* ---- numbers one by one ---------------------------------------------------------------------- */

static uint32_t number_field(og_dtype t)
{
	switch (t) {
	case OG_F32: case OG_C64: return TENSOR_float_data;
	case OG_F64: case OG_C128: return TENSOR_double_data;
	case OG_I64: return TENSOR_int64_data;
	case OG_U32: case OG_U64: return TENSOR_uint64_data;
	case OG_STRING: return TENSOR_string_data;
	default: return TENSOR_int32_data;
	}
}

/* Copies a run of numbers of `width` bytes each; *to moves on. */
static og_status copy_run(uint8_t **to, graph_bytes run, wire_kind kind, size_t width)
{
	if (kind != WIRE_INTS) {
		if (run.n > 0) memcpy(*to, run.p, run.n);
		*to += run.n;
		return OG_OK;
	}
	while (run.n > 0) {
		uint64_t value;
		if (!wire_varint(&run, &value)) return base_fail(OG_BAD_FILE, "one of its numbers has more than 64 bits");
		memcpy(*to, &value, width);
		*to += width;
	}
	return OG_OK;
}

/* The numbers in the fields float_data to uint64_data: left in the map when they are one run of floats. */
static og_status read_numbers(onnx_reader *r, const header *h, og_tensor *t)
{
	uint32_t number = number_field(t->dtype);
	bool sub_byte = base_dtype_span(t->dtype, 2) < 2;
	bool floats = number == TENSOR_float_data || number == TENSOR_double_data;
	size_t width = sub_byte ? 1 : number == TENSOR_float_data ? 4 : number == TENSOR_double_data ? 8
	                                                          : base_dtype_span(t->dtype, 1);
	uint64_t need = t->dtype == OG_STRING ? h->count : h->span / width, have = 0;
	graph_bytes run = { 0 };
	size_t runs = 0;
	wire_reader w = onnx_open(ONNX_TENSOR, h->bytes, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number != number) continue;
		run = f.bytes;
		runs++;
		have += t->dtype == OG_STRING ? 1 : floats ? run.n / width : wire_count_ints(run);
	} while (f.number != 0);
	if (have != need)
		return base_fail(OG_BAD_FILE, "%s holds %llu numbers where its shape needs %llu",
		                 onnx_field_name(ONNX_TENSOR, number), (unsigned long long)have, (unsigned long long)need);
	if (t->dtype == OG_STRING || h->span == 0) return OG_OK;
	if (floats && runs == 1) {
		t->data = (void *)(uintptr_t)run.p;
		return OG_OK;
	}
	uint8_t *to = arena_aligned(r->a, h->span, 64);
	NEED(to);
	t->data = to;
	w = onnx_open(ONNX_TENSOR, h->bytes, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number == number) TRY(copy_run(&to, f.bytes, f.kind, width));
	} while (f.number != 0);
	return OG_OK;
}

/* ---- external data --------------------------------------------------------------------------- */

typedef struct place { graph_bytes location; uint64_t offset, length; bool has_length; } place;

static bool read_decimal(graph_bytes b, uint64_t *out)
{
	uint64_t value = 0;
	for (size_t k = 0; k < b.n; k++) {
		if (b.p[k] < '0' || b.p[k] > '9' || __builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(b.p[k] - '0'), &value)) return false;
	}
	*out = value;
	return b.n > 0;
}

static og_status read_place(place *out, graph_bytes tensor, const uint8_t *base)
{
	wire_reader w = onnx_open(ONNX_TENSOR, tensor, base);
	wire_field f;
	*out = (place){ 0 };
	for (;;) {
		TRY(wire_next(&w, &f));
		if (f.number == 0) return OG_OK;
		if (f.number != TENSOR_external_data) continue;
		graph_bytes key = { 0 }, value = { 0 };
		wire_reader e = onnx_open(ONNX_ENTRY, f.bytes, base);
		do {
			TRY(wire_next(&e, &f));
			if (f.number == ENTRY_key) key = f.bytes;
			if (f.number == ENTRY_value) value = f.bytes;
		} while (f.number != 0);
		bool good = true;
		if (wire_is(key, "location")) out->location = value;
		if (wire_is(key, "offset")) good = read_decimal(value, &out->offset);
		if (wire_is(key, "length")) out->has_length = good = read_decimal(value, &out->length);
		if (!good)
			return base_fail(OG_BAD_FILE, "the %.*s of its external data is no number", (int)key.n,
			                 (const char *)key.p);
	}
}

bool onnx_tensor_is_external(graph_bytes tensor, graph_bytes *location)
{
	header h;
	place at;
	bool yes = read_header(&h, tensor, tensor.p) == OG_OK && h.external && read_place(&at, tensor, tensor.p) == OG_OK;
	if (yes && location) *location = at.location;
	return yes;
}

/* Does the path stay in its folder: relative, no ".." in it? */
static bool stays_inside(const char *path)
{
	if (*path == '\0' || *path == '/') return false;
	for (const char *part = path; part; part = strchr(part, '/')) {
		if (*part == '/') part++;
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0')) return false;
	}
	return true;
}

/* The mapped file of that location; each is mapped once. */
static og_status map_external(onnx_reader *r, graph_bytes location, const file_map **out)
{
	og_model *m = r->m;
	const char *name;
	TRY(onnx_name(&name, r->temporary, location));
	uintptr_t known = (uintptr_t)map_get(&r->external, name);
	if (known == 0) {
		if (!stays_inside(name))
			return base_fail(OG_BAD_FILE, "its external data is said to be in '%s'; only files in the model's folder "
			                 "are read", name);
		if (!r->file->beside)
			return base_fail(OG_MISSING, "its data is in the file '%s', and a model in memory has no folder; give one",
			                 name);
		char *path = file_beside(r->temporary, r->file->beside, name);
		file_map *files = arena_grow(m->a, m->files, m->n_files, &m->cap_files, m->n_files + 1, sizeof *files);
		if (!path || !files) return base_no_memory();
		m->files = files;
		TRY(file_open(&files[m->n_files], path));
		known = ++m->n_files;
		TRY(map_put(&r->external, name, (void *)known));
	}
	*out = &m->files[known - 1];
	return OG_OK;
}

static og_status read_external(onnx_reader *r, const header *h, og_tensor *t)
{
	place at;
	const file_map *file = NULL;
	if (!r->m) return base_fail(OG_UNSUPPORTED, "its data is in another file; that is read for models only");
	if (t->dtype == OG_STRING)
		return base_fail(OG_BAD_FILE, "its strings are said to be in another file, where they cannot be");
	TRY(read_place(&at, h->bytes, r->base));
	TRY(map_external(r, at.location, &file));
	if (at.has_length && at.length != h->span)
		return base_fail(OG_BAD_FILE, "its external data has %llu bytes where its shape needs %zu",
		                 (unsigned long long)at.length, h->span);
	if (at.offset > file->size || h->span > file->size - at.offset)
		return base_fail(OG_BAD_FILE, "its external data, %zu bytes at %llu, passes the end of '%.*s', which has %zu",
		                 h->span, (unsigned long long)at.offset, (int)at.location.n, (const char *)at.location.p,
		                 file->size);
	r->file->external = true;
	if (h->span > 0) t->data = (void *)(uintptr_t)(file->data + at.offset);
	return OG_OK;
}

/* ---- whole tensors --------------------------------------------------------------------------- */

og_status onnx_decode_tensor(onnx_reader *r, og_tensor *out, graph_bytes *name, graph_bytes tensor)
{
	header h;
	TRY(read_header(&h, tensor, r->base));
	*name = h.name;
	TRY(check_header(&h));
	*out = (og_tensor){ .dtype = (og_dtype)h.dtype, .rank = (int)h.rank };
	memcpy(out->dims, h.dims, sizeof h.dims);
	/* Data without elements still is data: NULL stands for strings. */
	if (out->dtype != OG_STRING) out->data = (void *)(uintptr_t)tensor.p;
	if (h.external) return read_external(r, &h, out);
	if (h.raw.n == 0) return read_numbers(r, &h, out);
	if (out->dtype == OG_STRING) return base_fail(OG_BAD_FILE, "it has strings in raw_data, where they cannot be");
	if (h.raw.n != h.span)
		return base_fail(OG_BAD_FILE, "raw_data has %zu bytes where its shape needs %zu", h.raw.n, h.span);
	out->data = (void *)(uintptr_t)h.raw.p;
	return OG_OK;
}

og_status onnx_decode_sparse(onnx_reader *r, og_tensor *out, graph_bytes *name, graph_bytes tensor)
{
	header dense = { 0 }, values = { 0 };
	wire_reader w = onnx_open(ONNX_SPARSE, tensor, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == SPARSE_dims) TRY(read_dims(&dense, f.bytes));
		if (f.number == SPARSE_values) TRY(read_header(&values, f.bytes, r->base));
	} while (f.number != 0);
	TRY(check_dims(&dense));
	if (values.dtype == OG_NONE || values.dtype >= OG_DTYPE_COUNT)
		return base_fail(OG_BAD_FILE, "its values have no data type");
	*name = values.name;
	*out = (og_tensor){ .dtype = (og_dtype)values.dtype, .rank = (int)dense.rank };
	memcpy(out->dims, dense.dims, sizeof dense.dims);
	return OG_OK;
}

static og_status read_lone_tensor(onnx_reader *r, og_tensor *out, graph_bytes bytes, const char **name)
{
	graph_bytes label;
	const char *ignored;
	TRY(onnx_decode_tensor(r, out, &label, bytes));
	return onnx_name(name ? name : &ignored, r->a, label);
}

og_status onnx_read_tensor_memory(og_tensor *out, arena *a, const void *data, size_t n, const char **name)
{
	onnx_reader r = { .a = a, .base = data };
	og_status status = read_lone_tensor(&r, out, (graph_bytes){ data, n }, name);
	return status == OG_OK ? OG_OK : base_fail_in(status, "the tensor");
}

og_status onnx_read_tensor(og_tensor *out, arena *a, const char *path, const char **name)
{
	file_map file;
	TRY(file_open(&file, path));
	onnx_reader r = { .a = a, .base = file.data };
	og_status status = read_lone_tensor(&r, out, (graph_bytes){ file.data, file.size }, name);
	if (status != OG_OK) {
		base_fail_in(status, "%s", path);
	} else {
		og_tensor *copy = graph_tensor_copy(a, out);     /* the map ends here */
		if (copy) *out = *copy;
		else status = base_no_memory();
	}
	file_close(&file);
	return status;
}
