/* tensorrt_fields.c -- an op's attributes as TensorRT's plugin fields, both ways. */
#include "bridge/tensorrt.h"

static const struct { const char *name; size_t size; } field_types[] = {
#define X(name, number, ctype) [number] = { #name, sizeof(ctype) },
	TRT_FIELDS(X)
#undef X
};
enum { FIELD_TYPES = sizeof field_types / sizeof *field_types };

/* ---- from fields ------------------------------------------------------------------------------ */

static const char *given_as(const trt_field *f)
{
	return (uint32_t)f->type < FIELD_TYPES ? field_types[f->type].name : "an unknown type";
}

static og_status wrong(const library_op *l, const trt_field *f, const char *takes)
{
	return base_fail(OG_USAGE, "attribute '%s' of %s takes %s, not %d of type %s", f->name, l->op->name, takes,
	                 (int)f->length, given_as(f));
}

/* Number k of a field; false when the type is none of whole numbers (or of fractions). */
static bool whole_at(int64_t *out, const trt_field *f, int32_t k)
{
	const char *at = (const char *)f->data + (size_t)k * field_types[f->type].size;
	int8_t i8;
	int16_t i16;
	int32_t i32;
	switch (f->type) {
	case TRT_FIELD_INT8: memcpy(&i8, at, sizeof i8), *out = i8; return true;
	case TRT_FIELD_INT16: memcpy(&i16, at, sizeof i16), *out = i16; return true;
	case TRT_FIELD_INT32: memcpy(&i32, at, sizeof i32), *out = i32; return true;
	case TRT_FIELD_INT64: memcpy(out, at, sizeof *out); return true;
	default: return false;
	}
}

static bool fraction_at(double *out, const trt_field *f, int32_t k)
{
	const char *at = (const char *)f->data + (size_t)k * field_types[f->type].size;
	uint16_t bits;
	float f32;
	switch (f->type) {
	case TRT_FIELD_FLOAT16: memcpy(&bits, at, sizeof bits), *out = base_half_to_float(bits); return true;
	case TRT_FIELD_BF16: memcpy(&bits, at, sizeof bits), *out = base_bfloat_to_float(bits); return true;
	case TRT_FIELD_FLOAT32: memcpy(&f32, at, sizeof f32), *out = f32; return true;
	case TRT_FIELD_FLOAT64: memcpy(out, at, sizeof *out); return true;
	default: return false;
	}
}

static og_status take_list(og_attr_value *out, tensorrt_settings *s, const og_attr *d, const trt_field *f)
{
	bool whole = d->type == OG_ATTR_INTS;
	int64_t *ints = arena_array(s->memory, (size_t)f->length + 1, sizeof *ints);
	float *floats = arena_array(s->memory, (size_t)f->length + 1, sizeof *floats);
	double value = 0;
	NEED(ints && floats);
	for (int32_t k = 0; k < f->length; k++) {
		if (whole ? !whole_at(&ints[k], f, k) : !fraction_at(&value, f, k))
			return wrong(s->l, f, whole ? "whole numbers" : "fractions such as FLOAT32");
		floats[k] = (float)value;
	}
	*out = (og_attr_value){ .present = 1, .n = f->length, .ints = whole ? ints : NULL, .floats = whole ? NULL : floats };
	return OG_OK;
}

static og_status take_number(og_attr_value *out, const tensorrt_settings *s, int k, const trt_field *f)
{
	int64_t whole = 0;
	double value = 0;
	if (s->l->op->attrs[k].type == OG_ATTR_FLOAT) {
		if (f->length != 1 || !fraction_at(&value, f, 0)) return wrong(s->l, f, "one number such as FLOAT32");
		return library_set_number(out, s->l, k, value);
	}
	if (f->length != 1 || !whole_at(&whole, f, 0)) return wrong(s->l, f, "one whole number such as INT32");
	TRY(library_set_number(out, s->l, k, (double)whole));
	out->i = whole;              /* a double has not all of 64 bits */
	return OG_OK;
}

static og_status take_word(og_attr_value *out, const tensorrt_settings *s, int k, const trt_field *f)
{
	const char *word;
	if (f->type != TRT_FIELD_CHAR) return wrong(s->l, f, "a string of type CHAR");
	/* TensorRT's parser leaves the final NUL out, writers of C++ may count it */
	NEED(word = arena_strndup(s->memory, f->data ? f->data : "", strnlen(f->data ? f->data : "", (size_t)f->length)));
	return library_set_word(out, s->l, k, word);
}

static og_status take(tensorrt_settings *s, const trt_field *f)
{
	const library_op *l = s->l;
	int k = 0;
	if (!f->name) return base_fail(OG_USAGE, "%s was given a field without a name", l->op->name);
	while (k < l->n_attrs && strcmp(l->op->attrs[k].name, f->name)) k++;
	if (k == l->n_attrs) return base_fail(OG_USAGE, "%s has no attribute '%s'", l->op->name, f->name);
	if (f->length < 0 || (f->length > 0 && !f->data) || (uint32_t)f->type >= FIELD_TYPES)
		return wrong(l, f, "a field that has its data");
	switch (l->op->attrs[k].type) {
	case OG_ATTR_INT: case OG_ATTR_FLOAT: return take_number(&s->attr[k], s, k, f);
	case OG_ATTR_ENUM: case OG_ATTR_STRING: return take_word(&s->attr[k], s, k, f);
	case OG_ATTR_INTS: case OG_ATTR_FLOATS: return take_list(&s->attr[k], s, &l->op->attrs[k], f);
	case OG_ATTR_STRINGS: case OG_ATTR_TENSOR: case OG_ATTR_GRAPH: break;
	}
	return base_fail(OG_UNSUPPORTED, "attribute '%s' of %s can't be given to a plugin", f->name, l->op->name);
}

/* ---- to fields -------------------------------------------------------------------------------- */

static bool fits_32(const int64_t *x, int64_t n)
{
	for (int64_t k = 0; k < n; k++)
		if (x[k] != (int32_t)x[k]) return false;
	return true;
}

/* INT32 where that holds all, as in what TensorRT's parser gives. */
static og_status put_whole(trt_field *f, arena *a, const int64_t *x, int64_t n)
{
	bool small = fits_32(x, n);
	char *to = arena_array(a, (size_t)n + 1, sizeof *x);
	NEED(to);
	f->type = small ? TRT_FIELD_INT32 : TRT_FIELD_INT64;
	f->data = to;
	for (int64_t k = 0; k < n; k++) {
		int32_t i32 = (int32_t)x[k];
		memcpy(to + (size_t)k * field_types[f->type].size, small ? (void *)&i32 : (void *)&x[k], field_types[f->type].size);
	}
	return OG_OK;
}

/* A value that is as long as the arena. */
static og_status put(trt_field *f, arena *a, const og_attr *d, const og_attr_value *value)
{
	*f = (trt_field){ .name = d->name, .length = 1 };
	switch (d->type) {
	case OG_ATTR_INT:
		return put_whole(f, a, &value->i, 1);
	case OG_ATTR_FLOAT:
		f->type = TRT_FIELD_FLOAT32, f->data = &value->f;
		return OG_OK;
	case OG_ATTR_ENUM: case OG_ATTR_STRING:
		f->type = TRT_FIELD_CHAR, f->data = value->s, f->length = (int32_t)value->n;
		return OG_OK;
	case OG_ATTR_INTS:
		f->length = (int32_t)value->n;
		return put_whole(f, a, value->ints, value->n);
	default:                     /* OG_ATTR_FLOATS: take() lets no others in */
		f->type = TRT_FIELD_FLOAT32, f->data = value->floats, f->length = (int32_t)value->n;
		return OG_OK;
	}
}

og_status tensorrt_field_names(trt_fields *out, arena *a, const library_op *l)
{
	trt_field *fields = arena_array(a, (size_t)l->n_attrs + 1, sizeof *fields);
	og_attr_value *value = arena_array(a, (size_t)l->n_attrs + 1, sizeof *value);
	int32_t n = 0;
	NEED(fields && value);
	library_defaults(value, l);
	for (int k = 0; k < l->n_attrs; k++) {
		const og_attr *d = &l->op->attrs[k];
		if (d->type >= OG_ATTR_STRINGS) continue;
		if (d->type == OG_ATTR_ENUM) {
			size_t skip = 0;
			for (int64_t word = value[k].i; word > 0; word--) skip += strcspn(d->words + skip, "|") + 1;
			NEED(value[k].s = arena_strndup(a, d->words + skip, strcspn(d->words + skip, "|")));
			value[k].n = (int64_t)strlen(value[k].s);
		}
		TRY(put(&fields[n++], a, d, &value[k]));
	}
	*out = (trt_fields){ n, fields };
	return OG_OK;
}

/* ---- settings --------------------------------------------------------------------------------- */

static void write_value(text *t, const og_attr *d, const og_attr_value *value)
{
	text_printf(t, "%s=", d->name);
	if (d->type == OG_ATTR_INT) text_printf(t, "%lld", (long long)value->i);
	else if (d->type == OG_ATTR_FLOAT) text_printf(t, "%.9g", (double)value->f);
	else if (d->type == OG_ATTR_ENUM || d->type == OG_ATTR_STRING) text_add(t, value->s);
	for (int64_t k = 0; k < value->n && (value->ints || value->floats); k++) {
		text_add(t, k ? "," : "[");
		if (value->ints) text_printf(t, "%lld", (long long)value->ints[k]);
		else text_printf(t, "%.9g", (double)value->floats[k]);
		if (k == value->n - 1) text_add(t, "]");
	}
}

/* Those given, in the order of declaration. */
static og_status write_text(tensorrt_settings *s)
{
	const og_op *op = s->l->op;
	text t = { 0 };
	const char *separator = "(";
	text_add(&t, op->name);
	for (int k = 0; k < s->l->n_attrs; k++) {
		if (!s->attr[k].present) continue;
		text_add(&t, separator);
		write_value(&t, &op->attrs[k], &s->attr[k]);
		separator = ", ";
	}
	if (*separator == ',') text_add(&t, ")");
	char *made = text_take(&t);
	NEED(made);
	s->text = arena_strdup(s->memory, made);
	base_free(made);
	NEED(s->text);
	NEED(s->timing_id = arena_printf(s->memory, "opgraft %s %016llx", s->text, (unsigned long long)
	                                 base_hash(op->text, op->text ? (size_t)(op->text_end - op->text) : 0, 0)));
	return OG_OK;
}

static bool keeps_zero(const tensorrt_settings *s)
{
	const og_op *op = s->l->op;
	const float zero = 0;
	const void *x[OG_MAX_IN] = { &zero, &zero, &zero };
	float attr[OG_MAX_MAP_ATTRS] = { 0 };
	_Alignas(float) unsigned char y[sizeof(float)] = { 0 };     /* a float, or one byte of truth */
	if (!op->formula) return false;
	for (int k = 0; k < op->map_attrs; k++) attr[k] = s->attr[k].f;
	op->map[OG_ISA_SCALAR](1, y, x, attr);
	y[sizeof(float) - 1] &= 0x7f;                               /* -0 will do */
	return !memcmp(y, &zero, sizeof y);
}

static og_status fill(tensorrt_settings *s, const trt_fields *given)
{
	const library_op *l = s->l;
	trt_field *fields = arena_array(s->memory, (size_t)l->n_attrs + 1, sizeof *fields);
	int32_t n = 0;
	NEED(fields);
	NEED(s->attr = arena_array(s->memory, (size_t)l->n_attrs + 1, sizeof *s->attr));
	library_defaults(s->attr, l);
	for (int32_t k = 0; given && k < given->nbFields; k++) TRY(take(s, &given->fields[k]));
	for (int k = 0; k < l->n_attrs; k++) {
		if (s->attr[k].present) TRY(put(&fields[n++], s->memory, &l->op->attrs[k], &s->attr[k]));
		else if (l->op->attrs[k].required)
			return base_fail(OG_USAGE, "%s needs attribute '%s'", l->op->name, l->op->attrs[k].name);
	}
	s->fields = (trt_fields){ n, fields };
	s->keeps_zero = keeps_zero(s);
	return write_text(s);
}

og_status tensorrt_settings_new(tensorrt_settings **out, const library_op *l, const trt_fields *given)
{
	arena *a = arena_create();
	tensorrt_settings *s = a ? arena_alloc(a, sizeof *s) : NULL;
	if (!s) {
		arena_destroy(a);
		return base_no_memory();
	}
	s->memory = a;
	s->l = l;
	atomic_init(&s->users, 1);
	og_status status = fill(s, given);
	if (status != OG_OK) arena_destroy(a);
	else *out = s;
	return status;
}

void tensorrt_settings_release(tensorrt_settings *s)
{
	if (atomic_fetch_sub(&s->users, 1) == 1) arena_destroy(s->memory);
}
