/* tf_value.c -- TensorShapeProto, TensorProto and AttrValue. */
#include "tf/tf_private.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensor_content is used in place: a big-endian machine would have to turn it"
#endif

/* Numbers that a tensor has less of in the file than by its shape are made here: not without limit. */
enum { MAX_EXPANDED = 1 << 30, MAX_ATTRS = 1024, MAX_NESTED = 16 };

og_status tf_name(const char **out, arena *a, base_bytes b)
{
	if (b.n > 0 && memchr(b.p, '\0', b.n))
		return base_fail(OG_BAD_FILE, "the name '%.64s' has a NUL byte in it", (const char *)b.p);
	*out = arena_strndup(a, (const char *)b.p, b.n);
	return *out ? OG_OK : base_no_memory();
}

/* ---- shapes ------------------------------------------------------------------------------------- */

static og_status read_dim(tf_reader *r, int64_t *out, base_bytes bytes)
{
	wire_reader w = tf_open(TF_M_DIM, bytes, r->base);
	wire_field f;
	*out = 0;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_DIM_size) *out = (int64_t)f.value;
	} while (f.number != 0);
	return OG_OK;
}

/* *rank may become more than OG_MAX_RANK, of which as many are kept; -1: unknown. */
static og_status read_shape(tf_reader *r, int64_t *dims, size_t *rank, bool *unknown, base_bytes bytes)
{
	wire_reader w = tf_open(TF_M_SHAPE, bytes, r->base);
	wire_field f;
	*rank = 0;
	*unknown = false;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_SHAPE_unknown_rank) *unknown = f.value != 0;
		if (f.number != TF_SHAPE_dim) continue;
		int64_t d;
		TRY(read_dim(r, &d, f.bytes));
		if (*rank < OG_MAX_RANK) dims[*rank] = d;
		++*rank;
	} while (f.number != 0);
	return OG_OK;
}

og_status tf_decode_shape(tf_reader *r, tf_shape *out, base_bytes bytes)
{
	size_t rank;
	bool unknown;
	*out = (tf_shape){ 0 };
	TRY(read_shape(r, out->dims, &rank, &unknown, bytes));
	out->rank = unknown || rank > OG_MAX_RANK ? -1 : (int)rank;
	for (int k = 0; k < out->rank; k++)
		if (out->dims[k] < 0) out->dims[k] = -1;
	return OG_OK;
}

og_status tf_decode_dims(tf_reader *r, og_tensor *t, base_bytes bytes)
{
	size_t rank;
	bool unknown;
	TRY(read_shape(r, t->dims, &rank, &unknown, bytes));
	if (unknown) return base_fail(OG_BAD_FILE, "it is a tensor of unknown shape");
	if (rank > OG_MAX_RANK)
		return base_fail(OG_UNSUPPORTED, "it has %zu dimensions; Opgraft holds up to %d", rank, OG_MAX_RANK);
	t->rank = (int)rank;
	int64_t count;
	if (!base_count(t->dims, t->rank, &count)) return base_fail(OG_BAD_FILE, "its dimensions overflow or are below 0");
	return OG_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------ */

/* Where the numbers of a type stand when they are not in tensor_content. */
static uint32_t number_field(og_dtype t)
{
	switch (t) {
	case OG_F32: return TF_TENSOR_float_val;
	case OG_F64: return TF_TENSOR_double_val;
	case OG_C64: return TF_TENSOR_scomplex_val;
	case OG_C128: return TF_TENSOR_dcomplex_val;
	case OG_I64: return TF_TENSOR_int64_val;
	case OG_U32: return TF_TENSOR_uint32_val;
	case OG_U64: return TF_TENSOR_uint64_val;
	case OG_BOOL: return TF_TENSOR_bool_val;
	case OG_F16: case OG_BF16: return TF_TENSOR_half_val;
	case OG_STRING: return TF_TENSOR_string_val;
	case OG_F8E5M2: case OG_F8E4M3FN: case OG_F8E4M3FNUZ: case OG_F8E5M2FNUZ: return TF_TENSOR_float8_val;
	default: return TF_TENSOR_int_val;
	}
}

/* Fields whose bytes are those of the elements. */
static bool is_plain(uint32_t field)
{
	return field == TF_TENSOR_float_val || field == TF_TENSOR_double_val || field == TF_TENSOR_scomplex_val ||
	       field == TF_TENSOR_dcomplex_val || field == TF_TENSOR_float8_val;
}

/* The fields that hold a tensor's numbers. */
typedef struct runs {
	uint32_t number;                     /* of the field */
	size_t width;                        /* bytes of an element as we hold it */
	size_t n, have;                      /* fields; elements in all of them */
	base_bytes last;                     /* of them */
} runs;

static og_status count_runs(tf_reader *r, runs *x, base_bytes tensor)
{
	size_t bytes = 0;
	wire_reader w = tf_open(TF_M_TENSOR, tensor, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number != x->number) continue;
		x->n++;
		x->have += f.kind == WIRE_INTS ? wire_count_ints(f.bytes) : 1;
		x->last = f.bytes;
		bytes += f.bytes.n;
	} while (f.number != 0);
	if (!is_plain(x->number)) return OG_OK;
	x->have = bytes / x->width;
	return bytes % x->width == 0 ? OG_OK : base_fail(OG_BAD_FILE, "its last number is cut in half");
}

static og_status copy_run(uint8_t **to, const runs *x, base_bytes run)
{
	if (x->number == TF_TENSOR_string_val || is_plain(x->number)) {
		bool plain = is_plain(x->number);
		size_t n = plain ? run.n : sizeof run;
		if (n > 0) memcpy(*to, plain ? (const void *)run.p : &run, n);
		*to += n;
		return OG_OK;
	}
	while (run.n > 0) {
		uint64_t value;
		if (!wire_varint(&run, &value)) return base_fail(OG_BAD_FILE, "one of its numbers has more than 64 bits");
		memcpy(*to, &value, x->width);
		*to += x->width;
	}
	return OG_OK;
}

/* The elements from `have` on are the last one again; zeros where there is none. */
static void repeat_last(uint8_t *data, size_t have, size_t need, size_t width)
{
	if (have == 0) return;
	const uint8_t *last = data + (have - 1) * width;
	for (size_t k = have; k < need; k++) memcpy(data + k * width, last, width);
}

/* The numbers one by one: left in the map when they are one run that is as we hold it, else in the model's arena. */
static og_status read_numbers(tf_reader *r, og_tensor *t, size_t count, base_bytes tensor)
{
	size_t width = t->dtype == OG_STRING ? sizeof(base_bytes) : base_dtype_span(t->dtype, 1), bytes;
	runs x = { .number = number_field(t->dtype), .width = width };
	TRY(count_runs(r, &x, tensor));
	if (x.have > count)
		return base_fail(OG_BAD_FILE, "it holds %zu numbers where its shape has room for %zu", x.have, count);
	if (count == 0) return OG_OK;
	if (is_plain(x.number) && x.n == 1 && x.have == count) {
		t->data = (void *)(uintptr_t)x.last.p;
		return OG_OK;
	}
	if (!base_mul(count, width, &bytes)) return base_fail(OG_BAD_FILE, "its dimensions overflow");
	if (x.have < count) {
		if (bytes > MAX_EXPANDED - r->expanded)
			return base_fail(OG_UNSUPPORTED, "tensors of one number repeated would take more than %d MiB", MAX_EXPANDED >> 20);
		r->expanded += bytes;
	}
	uint8_t *to = t->data = arena_aligned(r->holder->a, bytes, 64);
	NEED(to);
	wire_reader w = tf_open(TF_M_TENSOR, tensor, r->base);
	wire_field f;
	do {
		TRY(wire_next(&w, &f));
		if (f.number == x.number) TRY(copy_run(&to, &x, f.bytes));
	} while (f.number != 0);
	repeat_last(t->data, x.have, count, width);
	return OG_OK;
}

og_status tf_decode_tensor(tf_reader *r, og_tensor *t, base_bytes tensor)
{
	base_bytes content = { 0 };
	wire_reader w = tf_open(TF_M_TENSOR, tensor, r->base);
	wire_field f;
	int64_t count;
	*t = (og_tensor){ 0 };
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_TENSOR_dtype) t->dtype = tf_dtype(f.value);
		if (f.number == TF_TENSOR_tensor_shape) TRY(tf_decode_dims(r, t, f.bytes));
		if (f.number == TF_TENSOR_tensor_content) content = f.bytes;
	} while (f.number != 0);
	if (t->dtype == OG_NONE) return OG_OK;               /* a resource or the like: no data of ours */
	base_count(t->dims, t->rank, &count);
	t->data = (void *)(uintptr_t)tensor.p;               /* also where there are no elements */
	if (content.n == 0) return read_numbers(r, t, (size_t)count, tensor);
	if (t->dtype == OG_STRING) return base_fail(OG_BAD_FILE, "it has strings in tensor_content, where they cannot be");
	if (content.n != base_dtype_span(t->dtype, (uint64_t)count))
		return base_fail(OG_BAD_FILE, "tensor_content has %zu bytes where its shape needs %zu", content.n,
		                 base_dtype_span(t->dtype, (uint64_t)count));
	t->data = (void *)(uintptr_t)content.p;
	return OG_OK;
}

/* ---- attributes --------------------------------------------------------------------------------- */

static og_status decode_attrs(tf_reader *, tf_attrs *, tf_message, base_bytes, uint32_t number, tf_attrs from, int depth);

static tf_kind kind_of(uint32_t list_field)
{
	switch (list_field) {
	case TF_LIST_s: return TF_STRING;
	case TF_LIST_i: return TF_INT;
	case TF_LIST_f: return TF_FLOAT;
	case TF_LIST_b: return TF_BOOL;
	case TF_LIST_type: return TF_TYPE;
	case TF_LIST_shape: return TF_SHAPE;
	case TF_LIST_tensor: return TF_TENSOR;
	case TF_LIST_func: return TF_FUNC;
	default: return TF_NOTHING;
	}
}

static size_t size_of(tf_kind kind)
{
	switch (kind) {
	case TF_STRING: return sizeof(base_bytes);
	case TF_FLOAT: return sizeof(float);
	case TF_TYPE: return sizeof(og_dtype);
	case TF_SHAPE: return sizeof(tf_shape);
	case TF_TENSOR: return sizeof(og_tensor);
	case TF_FUNC: return sizeof(tf_func);
	default: return sizeof(int64_t);
	}
}

static og_status read_func(tf_reader *r, tf_func *out, base_bytes bytes, tf_attrs from, int depth)
{
	wire_reader w = tf_open(TF_M_FUNC, bytes, r->base);
	wire_field f;
	tf_attrs attrs;
	out->name = "";
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_FUNC_name) TRY(tf_name(&out->name, r->g->a, f.bytes));
	} while (f.number != 0);
	TRY(decode_attrs(r, &attrs, TF_M_FUNC, bytes, TF_FUNC_attr, from, depth));
	out->attrs = attrs.p;
	out->n_attrs = attrs.n;
	return OG_OK;
}

/* The elements of one field into `to`, which has room for them; returns behind them. */
static og_status read_elements(tf_reader *r, uint8_t **to, tf_kind kind, const wire_field *f, tf_attrs from, int depth)
{
	base_bytes run = f->bytes;
	switch (kind) {
	case TF_STRING: {
		base_bytes *s = (base_bytes *)(void *)*to;
		s->p = (const uint8_t *)arena_strndup(r->g->a, (const char *)run.p, run.n);
		NEED(s->p);
		s->n = run.n;
		break;
	}
	case TF_FLOAT:
		if (run.n > 0) memcpy(*to, run.p, run.n);
		*to += run.n;
		return OG_OK;
	case TF_SHAPE: TRY(tf_decode_shape(r, (tf_shape *)(void *)*to, run)); break;
	case TF_TENSOR: TRY(tf_decode_tensor(r, (og_tensor *)(void *)*to, run)); break;
	case TF_FUNC: TRY(read_func(r, (tf_func *)(void *)*to, run, from, depth + 1)); break;
	default:
		for (uint64_t value; run.n > 0; *to += size_of(kind)) {
			if (!wire_varint(&run, &value)) return base_fail(OG_BAD_FILE, "a number in it has more than 64 bits");
			if (kind == TF_TYPE) *(og_dtype *)(void *)*to = tf_dtype(value);
			else *(int64_t *)(void *)*to = kind == TF_BOOL ? value != 0 : (int64_t)value;
		}
		return OG_OK;
	}
	*to += size_of(kind);
	return OG_OK;
}

static og_status fill_attr(tf_reader *r, tf_attr *a, tf_kind kind, size_t n, uint8_t **to)
{
	a->kind = kind;
	a->n = n;
	*to = arena_array(r->g->a, n, size_of(kind));
	NEED(*to);
	a->ints = (const int64_t *)(void *)*to;
	return OG_OK;
}

static og_status read_list(tf_reader *r, tf_attr *a, base_bytes bytes, tf_attrs from, int depth)
{
	wire_reader w = tf_open(TF_M_LIST, bytes, r->base);
	wire_field f;
	tf_kind kind = TF_NOTHING;
	size_t n = 0;
	uint8_t *to;
	a->is_list = true;
	do {
		TRY(wire_next(&w, &f));
		if (f.kind == WIRE_UNKNOWN) continue;
		tf_kind its = kind_of(f.number);
		if (kind != TF_NOTHING && its != kind) return base_fail(OG_BAD_FILE, "its list holds two kinds of values");
		kind = its;
		n += f.kind == WIRE_INTS ? wire_count_ints(f.bytes) : f.kind == WIRE_FLOATS ? f.bytes.n / sizeof(float) : 1;
	} while (f.number != 0);
	TRY(fill_attr(r, a, kind, n, &to));
	w = tf_open(TF_M_LIST, bytes, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.kind != WIRE_UNKNOWN) TRY(read_elements(r, &to, kind, &f, from, depth));
	} while (f.number != 0);
	return OG_OK;
}

static og_status take_callers(tf_reader *r, tf_attr *a, base_bytes name, tf_attrs from)
{
	const char *own = a->name, *key;
	TRY(tf_name(&key, r->temporary, name));
	const tf_attr *given = tf_attrs_find(from, key);
	if (!given) return base_fail(OG_BAD_FILE, "it is the caller's '%s', which has none", key);
	*a = *given;
	a->name = own;
	return OG_OK;
}

/* AttrValue: the numbers of its fields are one less than those of a list's, but for func. */
static og_status read_attr(tf_reader *r, tf_attr *a, base_bytes bytes, tf_attrs from, int depth)
{
	static const unsigned char kinds[WIRE_LAST_FIELD + 1] = {
		[TF_ATTR_s] = TF_STRING, [TF_ATTR_i] = TF_INT, [TF_ATTR_f] = TF_FLOAT, [TF_ATTR_b] = TF_BOOL,
		[TF_ATTR_type] = TF_TYPE, [TF_ATTR_shape] = TF_SHAPE, [TF_ATTR_tensor] = TF_TENSOR, [TF_ATTR_func] = TF_FUNC,
	};
	wire_reader w = tf_open(TF_M_ATTR, bytes, r->base);
	wire_field f;
	uint8_t *to;
	do {
		TRY(wire_next(&w, &f));
		if (f.kind == WIRE_UNKNOWN) continue;
		*a = (tf_attr){ .name = a->name };               /* the last one counts */
		if (f.number == TF_ATTR_list) TRY(read_list(r, a, f.bytes, from, depth));
		else if (f.number == TF_ATTR_placeholder) TRY(take_callers(r, a, f.bytes, from));
		else {
			TRY(fill_attr(r, a, (tf_kind)kinds[f.number], 1, &to));
			TRY(read_elements(r, &to, a->kind, &f, from, depth));
		}
	} while (f.number != 0);
	return OG_OK;
}

static og_status read_entry(tf_reader *r, tf_attr *a, base_bytes bytes, tf_attrs from, int depth)
{
	wire_reader w = tf_open(TF_M_ATTR_ENTRY, bytes, r->base);
	wire_field f;
	base_bytes value = { 0 };
	*a = (tf_attr){ .name = "" };
	do {
		TRY(wire_next(&w, &f));
		if (f.number == TF_ATTR_ENTRY_key) TRY(tf_name(&a->name, r->g->a, f.bytes));
		if (f.number == TF_ATTR_ENTRY_value) value = f.bytes;
	} while (f.number != 0);
	og_status status = read_attr(r, a, value, from, depth);
	return status == OG_OK ? OG_OK : base_fail_in(status, "attribute '%.64s'", a->name);
}

static og_status decode_attrs(tf_reader *r, tf_attrs *out, tf_message message, base_bytes bytes, uint32_t number,
                              tf_attrs from, int depth)
{
	wire_reader w = tf_open(message, bytes, r->base);
	wire_field f;
	int n = 0;
	*out = (tf_attrs){ 0 };
	if (depth > MAX_NESTED) return base_fail(OG_BAD_FILE, "attributes are nested more than %d deep", MAX_NESTED);
	do {
		TRY(wire_next(&w, &f));
		n += f.number == number;
		if (n > MAX_ATTRS) return base_fail(OG_BAD_FILE, "there are more than %d attributes", MAX_ATTRS);
	} while (f.number != 0);
	tf_attr *attrs = arena_array(r->g->a, (size_t)n, sizeof *attrs);
	NEED(attrs);
	out->p = attrs;
	w = tf_open(message, bytes, r->base);
	do {
		TRY(wire_next(&w, &f));
		if (f.number != number) continue;
		TRY(read_entry(r, &attrs[out->n], f.bytes, from, depth));
		if (tf_attrs_find(*out, attrs[out->n].name))
			return base_fail(OG_BAD_FILE, "it has twice the attribute '%.64s'", attrs[out->n].name);
		out->n++;
	} while (f.number != 0);
	return OG_OK;
}

og_status tf_decode_attrs(tf_reader *r, tf_attrs *out, tf_message message, base_bytes bytes, uint32_t number, tf_attrs from)
{
	return decode_attrs(r, out, message, bytes, number, from, 0);
}

const tf_attr *tf_attrs_find(tf_attrs attrs, const char *name)
{
	for (int k = 0; k < attrs.n; k++)
		if (strcmp(attrs.p[k].name, name) == 0) return &attrs.p[k];
	return NULL;
}
