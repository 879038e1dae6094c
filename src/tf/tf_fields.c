/* tf_fields.c -- the tables that tf_fields.h makes. */
#include "tf/tf_fields.h"

#define X(kind, wire, many) TF_WIRE_##kind = WIRE_##wire,
enum { TF_FIELD_KINDS(X) };
#undef X

static const wire_message messages[TF_MESSAGE_COUNT] = {
#define X(MESSAGE, its_name) [TF_M_##MESSAGE].name = #its_name,
	TF_MESSAGES(X)
#undef X
#define F(MESSAGE, field, number, kind, of) [TF_M_##MESSAGE].fields[number] = { #field, (wire_kind)TF_WIRE_##kind },
	TF_FIELDS(F)
#undef F
};

/* What the wire need not know, by the same numbers. */
static const struct { unsigned char kind, of; } contents[TF_MESSAGE_COUNT][WIRE_LAST_FIELD + 1] = {
#define F(MESSAGE, field, number, kind, of) [TF_M_##MESSAGE][number] = { TF_IS_##kind, TF_M_##of },
	TF_FIELDS(F)
#undef F
};

static const bool may_repeat[] = {
#define X(kind, wire, many) many,
	TF_FIELD_KINDS(X)
#undef X
};

static const struct { const char *name; og_dtype dtype; } types[] = {
#define X(number, name, dtype) [number] = { #name, dtype },
	TF_TYPES(X)
#undef X
};
enum { N_TYPES = sizeof types / sizeof *types };

wire_reader tf_open(tf_message message, base_bytes b, const uint8_t *base)
{
	return wire_open(&messages[message], b, base);
}

tf_field tf_field_find(tf_message message, const char *name, size_t n)
{
	for (uint32_t k = 1; k <= WIRE_LAST_FIELD; k++) {
		const char *known = messages[message].fields[k].name;
		if (!known || strncmp(known, name, n) != 0 || known[n]) continue;
		tf_field_kind kind = (tf_field_kind)contents[message][k].kind;
		return (tf_field){ k, kind, (tf_message)contents[message][k].of, may_repeat[kind] };
	}
	return (tf_field){ 0 };
}

uint32_t tf_type_find(const char *name, size_t n)
{
	uint32_t add = 0;
	if (n > 4 && memcmp(name + n - 4, "_REF", 4) == 0) {
		add = TF_TYPE_REF;
		n -= 4;
	}
	if (n < 3 || memcmp(name, "DT_", 3) != 0) return 0;
	for (uint32_t k = 1; k < N_TYPES; k++)
		if (strncmp(types[k].name, name + 3, n - 3) == 0 && !types[k].name[n - 3]) return k + add;
	return 0;
}

og_dtype tf_dtype(uint64_t number)
{
	if (number > TF_TYPE_REF) number -= TF_TYPE_REF;
	return number < N_TYPES ? types[number].dtype : OG_NONE;
}
