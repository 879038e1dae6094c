/* wire.h -- protobuf's wire format, for the messages of fields.h: a bounded reader that copies nothing, and a
 * writer of nested messages in one pass that copies no payload.
 * https://protobuf.dev/programming-guides/encoding */
#ifndef ONNX_WIRE_H
#define ONNX_WIRE_H

#include "graph/graph.h"
#include "onnx/fields.h"

/* How a field stands in the file. The plural kinds are repeated numbers, packed or one by one. A MESSAGE may stand
 * once (protobuf would merge two; no writer makes two); BYTES are strings and repeated messages. */
typedef enum onnx_kind {
	ONNX_UNKNOWN, ONNX_INT, ONNX_FLOAT, ONNX_BYTES, ONNX_MESSAGE, ONNX_INTS, ONNX_FLOATS, ONNX_DOUBLES
} onnx_kind;

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct onnx_wire {
	const uint8_t *p, *end;              /* what is left of the message */
	const uint8_t *base;                 /* the file's first byte: offsets in sentences count from it */
	onnx_message message;
	uint32_t seen;                       /* MESSAGE fields met so far */
} onnx_wire;

typedef struct onnx_field {
	uint32_t number;                     /* 0: the message has ended */
	onnx_kind kind;
	uint64_t value;                      /* of a varint */
	graph_bytes bytes;                   /* the content; of a number its encoding, as in a packed run of one */
	graph_bytes whole;                   /* with the tag and length in front */
} onnx_field;

onnx_wire onnx_open(onnx_message, graph_bytes, const uint8_t *base);
/* The next field. OG_BAD_FILE, with the byte and what is wrong: a varint of more than 64 bits or cut short, a length
 * past the end, a group, a known field of another wire type, a second MESSAGE. */
og_status onnx_next(onnx_wire *, onnx_field *);
/* Takes a varint off the front of a run; false when it is cut short or has more than 64 bits. */
bool onnx_varint(graph_bytes *run, uint64_t *out);
size_t onnx_count_ints(graph_bytes run);                 /* how many varints it holds */
/* The first field of that number in a message that onnx_next has already been through; p == NULL: none. */
graph_bytes onnx_find(onnx_message, graph_bytes, uint32_t number);
bool onnx_is(graph_bytes, const char *s);                 /* do the bytes spell s? */
const char *onnx_field_name(onnx_message, uint32_t number);     /* "" when unknown */

/* ---- writing -------------------------------------------------------------------------------- */

/* A message being made: pieces that lie in the mapped file or in the arena. Adding never fails visibly: after memory
 * ran out `failed` is set. What is put must stay until the pieces have been used, but for short bytes. */
typedef struct onnx_out {
	arena *a;
	graph_bytes *pieces; size_t n, capacity;
	uint8_t *room; size_t left;          /* free bytes for tags, lengths and short content */
	uint64_t size;                       /* so far */
	bool failed;
} onnx_out;

typedef struct onnx_mark { size_t piece; uint64_t start; } onnx_mark;

void onnx_put_int(onnx_out *, uint32_t number, uint64_t);
void onnx_put_float(onnx_out *, uint32_t number, float);
void onnx_put_bytes(onnx_out *, uint32_t number, const void *, size_t);
void onnx_put_string(onnx_out *, uint32_t number, const char *);
void onnx_put_whole(onnx_out *, graph_bytes);            /* fields as they stand */
/* Everything put between the two is one message. */
onnx_mark onnx_begin(onnx_out *, uint32_t number);
void onnx_end(onnx_out *, onnx_mark);

/* The fields of an earlier form of a message that go into its new form as they are: all but those in `own`, a word
 * with a bit for each number that the caller puts itself. Fields come out by number, unknown ones last. */
typedef struct onnx_kept {
	onnx_message message;
	graph_bytes from;                    /* p == NULL: there was none */
	uint32_t had;                        /* known fields that it had */
	uint32_t left;                       /* those still to be put */
	bool unknown;                        /* it has fields of unknown numbers */
} onnx_kept;

onnx_kept onnx_keep(onnx_message, graph_bytes from, uint32_t own);
void onnx_put_kept(onnx_out *, onnx_kept *, uint32_t before);           /* those of numbers below `before` */
void onnx_put_rest(onnx_out *, onnx_kept *);
/* A string of the caller's own, behind the kept fields of lower numbers. An empty one is put where it was. */
void onnx_put_own(onnx_out *, onnx_kept *, uint32_t number, const char *s);

#endif
