/* wire.h -- protobuf's wire format, for messages that a table describes: a bounded reader that copies nothing, and a
 * writer of nested messages in one pass that copies no payload.
 * https://protobuf.dev/programming-guides/encoding */
#ifndef WIRE_H
#define WIRE_H

#include "base.h"

/* How a field stands in the file; a 32-bit word of any meaning stands as a FLOAT. The plural kinds are repeated numbers, packed or one by one. A MESSAGE may stand
 * once (protobuf would merge two; no writer makes two); BYTES are strings and repeated messages. */
typedef enum wire_kind {
	WIRE_UNKNOWN, WIRE_INT, WIRE_FLOAT, WIRE_BYTES, WIRE_MESSAGE, WIRE_INTS, WIRE_FLOATS, WIRE_DOUBLES
} wire_kind;

enum { WIRE_LAST_FIELD = 31 };           /* known numbers are below 32, so that a word has a bit for each */

/* A message: its name in sentences, and those of its fields that we know, by number. */
typedef struct wire_message {
	const char *name;
	struct wire_info { const char *name; wire_kind kind; } fields[WIRE_LAST_FIELD + 1];
} wire_message;

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct wire_reader {
	const uint8_t *p, *end;              /* what is left of the message */
	const uint8_t *base;                 /* the file's first byte: offsets in sentences count from it */
	const wire_message *message;
	uint32_t seen;                       /* MESSAGE fields met so far */
} wire_reader;

typedef struct wire_field {
	uint32_t number;                     /* 0: the message has ended */
	wire_kind kind;
	uint64_t value;                      /* of a varint */
	base_bytes bytes;                    /* the content; of a number its encoding, as in a packed run of one */
	base_bytes whole;                    /* with the tag and length in front */
} wire_field;

wire_reader wire_open(const wire_message *, base_bytes, const uint8_t *base);
/* The next field. OG_BAD_FILE, with the byte and what is wrong: a varint of more than 64 bits or cut short, a length
 * past the end, a group, a known field of another wire type, a second MESSAGE. */
og_status wire_next(wire_reader *, wire_field *);
/* Takes a varint off the front of a run; false when it is cut short or has more than 64 bits. */
bool wire_varint(base_bytes *run, uint64_t *out);
size_t wire_count_ints(base_bytes run);                 /* how many varints it holds */
/* The first field of that number in a message that wire_next has already been through; p == NULL: none. */
base_bytes wire_find(const wire_message *, base_bytes, uint32_t number);
bool wire_is(base_bytes, const char *s);                /* do the bytes spell s? */
const char *wire_field_name(const wire_message *, uint32_t number);     /* "" when unknown */

/* ---- writing -------------------------------------------------------------------------------- */

/* A message being made: pieces that lie in the mapped file or in the arena. Adding never fails visibly: after memory
 * ran out `failed` is set. What is put must stay until the pieces have been used, but for short bytes. */
typedef struct wire_out {
	arena *a;
	base_bytes *pieces; size_t n, capacity;
	uint8_t *room; size_t left;          /* free bytes for tags, lengths and short content */
	uint64_t size;                       /* so far */
	bool failed;
} wire_out;

typedef struct wire_mark { size_t piece; uint64_t start; } wire_mark;

void wire_put_int(wire_out *, uint32_t number, uint64_t);
void wire_put_float(wire_out *, uint32_t number, float);
void wire_put_bytes(wire_out *, uint32_t number, const void *, size_t);
void wire_put_string(wire_out *, uint32_t number, const char *);
void wire_put_whole(wire_out *, base_bytes);            /* fields as they stand */
/* Everything put between the two is one message. */
wire_mark wire_begin(wire_out *, uint32_t number);
void wire_end(wire_out *, wire_mark);

/* The fields of an earlier form of a message that go into its new form as they are: all but those in `own`, a word
 * with a bit for each number that the caller puts itself. Fields come out by number, unknown ones last. */
typedef struct wire_kept {
	const wire_message *message;
	base_bytes from;                    /* p == NULL: there was none */
	uint32_t had;                        /* known fields that it had */
	uint32_t left;                       /* those still to be put */
	bool unknown;                        /* it has fields of unknown numbers */
} wire_kept;

wire_kept wire_keep(const wire_message *, base_bytes from, uint32_t own);
void wire_put_kept(wire_out *, wire_kept *, uint32_t before);           /* those of numbers below `before` */
void wire_put_rest(wire_out *, wire_kept *);
/* A string of the caller's own, behind the kept fields of lower numbers. An empty one is put where it was. */
void wire_put_own(wire_out *, wire_kept *, uint32_t number, const char *s);

#endif
