/* wire.c -- protobuf's wire format. */
#include "base/wire.h"

#include <assert.h>

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };     /* wire types; 3 and 4 are groups, long gone */
enum { ROOM = 16 << 10, SHORT = 512, LONGEST_VARINT = 10 };

static wire_kind kind_of(const wire_message *message, uint32_t number)
{
	return number <= WIRE_LAST_FIELD ? message->fields[number].kind : WIRE_UNKNOWN;
}

const char *wire_field_name(const wire_message *message, uint32_t number)
{
	return kind_of(message, number) != WIRE_UNKNOWN ? message->fields[number].name : "";
}

/* ---- reading -------------------------------------------------------------------------------- */

wire_reader wire_open(const wire_message *message, base_bytes b, const uint8_t *base)
{
	return (wire_reader){ .p = b.p, .end = b.p ? b.p + b.n : NULL, .base = base, .message = message };
}

bool wire_varint(base_bytes *run, uint64_t *out)
{
	uint64_t value = 0;
	for (size_t k = 0; k < run->n && k < LONGEST_VARINT; k++) {
		uint64_t bits = run->p[k] & 0x7f;
		if (k == LONGEST_VARINT - 1 && bits > 1) return false;
		value |= bits << (7 * k);
		if (run->p[k] >= 0x80) continue;
		*out = value;
		run->p += k + 1;
		run->n -= k + 1;
		return true;
	}
	return false;
}

size_t wire_count_ints(base_bytes run)
{
	size_t n = 0;
	for (size_t k = 0; k < run.n; k++) n += run.p[k] < 0x80;
	return n;
}

static og_status bad(const wire_reader *w, const uint8_t *at, uint32_t number, const char *what)
{
	const char *name = wire_field_name(w->message, number);
	return base_fail(OG_BAD_FILE, "byte %zu: field %u%s%s%s of %s %s", (size_t)(at - w->base), number,
	                 *name ? " '" : "", name, *name ? "'" : "", w->message->name, what);
}

/* Is a known field written as its kind may be? */
static bool kind_allows(wire_kind kind, unsigned type)
{
	switch (kind) {
	case WIRE_UNKNOWN: return true;
	case WIRE_INT:     return type == VARINT;
	case WIRE_FLOAT:   return type == FIXED32;
	case WIRE_BYTES:
	case WIRE_MESSAGE: return type == LENGTH;
	case WIRE_INTS:    return type == VARINT || type == LENGTH;
	case WIRE_FLOATS:  return type == FIXED32 || type == LENGTH;
	case WIRE_DOUBLES: return type == FIXED64 || type == LENGTH;
	}
	return false;
}

/* A packed run must end where a number ends. */
static bool run_is_whole(wire_kind kind, base_bytes run)
{
	if (kind == WIRE_INTS) return run.n == 0 || run.p[run.n - 1] < 0x80;
	return kind == WIRE_FLOATS ? run.n % 4 == 0 : kind == WIRE_DOUBLES ? run.n % 8 == 0 : true;
}

/* The content behind a tag; moves `rest` behind it. NULL, or what is wrong. */
static const char *take_content(base_bytes *rest, unsigned type, wire_field *f)
{
	size_t n;
	f->bytes.p = rest->p;
	if (type == VARINT) {
		if (!wire_varint(rest, &f->value)) return "has a number that is cut short or has more than 64 bits";
		f->bytes.n = (size_t)(rest->p - f->bytes.p);
		return NULL;
	}
	if (type == LENGTH) {
		uint64_t length;
		if (!wire_varint(rest, &length)) return "has a length that is cut short or has more than 64 bits";
		if (length > rest->n) return "is longer than what is left; the file was cut short or is damaged";
		f->bytes.p = rest->p;
		n = (size_t)length;
	} else {
		n = type == FIXED32 ? 4 : 8;
		if (n > rest->n) return "is cut short";
	}
	f->bytes.n = n;
	rest->p += n;
	rest->n -= n;
	return NULL;
}

og_status wire_next(wire_reader *w, wire_field *f)
{
	base_bytes rest = { w->p, (size_t)(w->end - w->p) };
	uint64_t tag;
	*f = (wire_field){ 0 };
	if (rest.n == 0) return OG_OK;
	if (!wire_varint(&rest, &tag) || tag >> 32 != 0 || tag >> 3 == 0)
		return base_fail(OG_BAD_FILE, "byte %zu: no field of %s begins here; the file is damaged or of another kind",
		                 (size_t)(w->p - w->base), w->message->name);
	uint32_t number = (uint32_t)(tag >> 3);
	unsigned type = tag & 7;
	wire_kind kind = kind_of(w->message, number);
	if (type != VARINT && type != FIXED64 && type != LENGTH && type != FIXED32)
		return bad(w, w->p, number, "has a wire type that is not in use");
	if (!kind_allows(kind, type)) return bad(w, w->p, number, "is written as another type of field");
	const char *wrong = take_content(&rest, type, f);
	if (!wrong && type == LENGTH && !run_is_whole(kind, f->bytes)) wrong = "ends inside a number";
	if (!wrong && kind == WIRE_MESSAGE) {
		if (w->seen >> number & 1) wrong = "stands there twice";
		w->seen |= 1u << number;
	}
	if (wrong) return bad(w, w->p, number, wrong);
	f->number = number;
	f->kind = kind;
	f->whole = (base_bytes){ w->p, (size_t)(rest.p - w->p) };
	w->p = rest.p;
	return OG_OK;
}

base_bytes wire_find(const wire_message *message, base_bytes b, uint32_t number)
{
	wire_reader w = wire_open(message, b, b.p);
	wire_field f;
	while (wire_next(&w, &f) == OG_OK && f.number != 0)
		if (f.number == number) return f.bytes;
	return (base_bytes){ 0 };
}

bool wire_is(base_bytes b, const char *s)
{
	return b.n == strlen(s) && (b.n == 0 || memcmp(b.p, s, b.n) == 0);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void add_piece(wire_out *o, const uint8_t *p, size_t n)
{
	base_bytes *pieces = arena_grow(o->a, o->pieces, o->n, &o->capacity, o->n + 1, sizeof *pieces);
	if (!pieces) {
		o->failed = true;
		return;
	}
	o->pieces = pieces;
	pieces[o->n++] = (base_bytes){ p, n };
}

/* n bytes of the room, at most SHORT. */
static uint8_t *take_room(wire_out *o, size_t n)
{
	if (o->failed) return NULL;
	if (o->left < n) {
		o->room = arena_alloc(o->a, ROOM);
		o->left = o->room ? ROOM : 0;
		o->failed = !o->room;
		if (o->failed) return NULL;
	}
	uint8_t *p = o->room;
	o->room += n;
	o->left -= n;
	return p;
}

static void add(wire_out *o, const void *p, size_t n)
{
	o->size += n;
	if (n == 0 || o->failed) return;
	if (n > SHORT) {
		add_piece(o, p, n);
		return;
	}
	uint8_t *copy = take_room(o, n);
	if (!copy) return;
	memcpy(copy, p, n);
	base_bytes *last = o->n > 0 ? &o->pieces[o->n - 1] : NULL;
	if (last && last->p + last->n == copy) last->n += n;
	else add_piece(o, copy, n);
}

static size_t encode(uint8_t *at, uint64_t value)
{
	size_t n = 0;
	for (; value >= 0x80; value >>= 7) at[n++] = (uint8_t)(value | 0x80);
	at[n++] = (uint8_t)value;
	return n;
}

static void add_varint(wire_out *o, uint64_t value)
{
	uint8_t bytes[LONGEST_VARINT];
	add(o, bytes, encode(bytes, value));
}

static void add_tag(wire_out *o, uint32_t number, unsigned type) { add_varint(o, (uint64_t)number << 3 | type); }

void wire_put_int(wire_out *o, uint32_t number, uint64_t value)
{
	add_tag(o, number, VARINT);
	add_varint(o, value);
}

void wire_put_float(wire_out *o, uint32_t number, float value)
{
	add_tag(o, number, FIXED32);
	add(o, &value, sizeof value);
}

void wire_put_bytes(wire_out *o, uint32_t number, const void *p, size_t n)
{
	add_tag(o, number, LENGTH);
	add_varint(o, n);
	add(o, p, n);
}

void wire_put_string(wire_out *o, uint32_t number, const char *s) { wire_put_bytes(o, number, s, strlen(s)); }

void wire_put_whole(wire_out *o, base_bytes b) { add(o, b.p, b.n); }

/* The length gets a piece of its own, which is empty until the message has ended. */
wire_mark wire_begin(wire_out *o, uint32_t number)
{
	add_tag(o, number, LENGTH);
	uint8_t *length = take_room(o, LONGEST_VARINT);
	if (length) add_piece(o, length, 0);
	return (wire_mark){ .piece = o->n - 1, .start = o->size };
}

void wire_end(wire_out *o, wire_mark mark)
{
	uint8_t bytes[LONGEST_VARINT];
	size_t n = encode(bytes, o->size - mark.start);
	o->size += n;
	if (o->failed) return;
	base_bytes *length = &o->pieces[mark.piece];
	memcpy((uint8_t *)(uintptr_t)length->p, bytes, n);
	length->n = n;
}

wire_kept wire_keep(const wire_message *message, base_bytes from, uint32_t own)
{
	wire_kept k = { .message = message, .from = from };
	wire_reader w = wire_open(message, from, from.p);
	wire_field f;
	while (wire_next(&w, &f) == OG_OK && f.number != 0) {
		if (f.kind == WIRE_UNKNOWN) k.unknown = true;
		else k.had |= 1u << f.number;
	}
	k.left = k.had & ~own;
	return k;
}

/* number 0: the unknown fields */
static void put_fields(wire_out *o, const wire_kept *k, uint32_t number)
{
	wire_reader w = wire_open(k->message, k->from, k->from.p);
	wire_field f;
	while (wire_next(&w, &f) == OG_OK && f.number != 0)
		if (number > 0 ? f.number == number : f.kind == WIRE_UNKNOWN) wire_put_whole(o, f.whole);
}

void wire_put_kept(wire_out *o, wire_kept *k, uint32_t before)
{
	while (k->left != 0 && (uint32_t)__builtin_ctz(k->left) < before) {
		put_fields(o, k, (uint32_t)__builtin_ctz(k->left));
		k->left &= k->left - 1;
	}
}

void wire_put_rest(wire_out *o, wire_kept *k)
{
	wire_put_kept(o, k, WIRE_LAST_FIELD + 1);
	if (k->unknown) put_fields(o, k, 0);
}

void wire_put_own(wire_out *o, wire_kept *k, uint32_t number, const char *s)
{
	assert(!(k->left >> number & 1));
	wire_put_kept(o, k, number);
	if (*s || k->had >> number & 1) wire_put_string(o, number, s);
}
