/* plan_file.h -- a plan as a file.
 *
 *   0   "OGPLAN\r\n"                      8   u32 version   12 u32 bytes of the header (128)
 *   16  u64 size of the file             24  u64 checksum of bytes [32, size)
 *   32  u64 offset, u64 size of the description (text of fields: see describe in plan_save.c)
 *   48  u64 offset of the weights (a multiple of 64; they reach to the end)
 *   56  char[8] device, char[16] features, char[16] version of Opgraft; zero to 128
 *
 * All numbers are little-endian. The description is a run of tagged-by-position fields; weights are named by their
 * offset. A plan is read by mapping: weights stay in the file. */
#ifndef PLAN_FILE_H
#define PLAN_FILE_H

#include "plan/plan.h"

enum { PLAN_FILE_VERSION = 4, PLAN_FILE_HEADER = 128, PLAN_FILE_CHECKED_FROM = 32 };
#define PLAN_FILE_MAGIC "OGPLAN\r\n"     /* 8 bytes, without a NUL */

/* Tells one text of an op file from another, for a plan runs with the op that it was built with; 0 when there is none. */
static inline uint64_t plan_text_hash(const og_op *op)
{
	return op->text ? base_hash(op->text, (size_t)(op->text_end - op->text), 0) : 0;
}

/* Attributes that the op declares; none for NULL. */
static inline int plan_count_attributes(const og_op *op)
{
	int n = 0;
	while (op && op->attrs && op->attrs[n].name) n++;
	return n;
}

/* ---- checksum ------------------------------------------------------------------------------- */

/* Fletcher's sums over words of 32 bits, of every PLAN_SUM_CHUNK bytes of the file by themselves, so that threads can share
 * them; a hash of these in order. A sum of such a chunk stays below 2^64: no change of two bits goes unseen. */
enum { PLAN_SUM_CHUNK = 1 << 20, PLAN_SUM_LANES = 8 };
typedef struct plan_chunk_sum { uint64_t sum[PLAN_SUM_LANES], of_sums[PLAN_SUM_LANES]; } plan_chunk_sum;
/* n a multiple of 32. */
void plan_chunk_add(plan_chunk_sum *, const uint8_t *, size_t n);

/* The same of bytes that come in pieces of whole 32, those of offset PLAN_FILE_CHECKED_FROM first. Begins as zeros. */
typedef struct plan_checksum_stream { plan_chunk_sum chunk; uint64_t done, hash; } plan_checksum_stream;
void plan_checksum_add(plan_checksum_stream *, const uint8_t *, size_t n);
uint64_t plan_checksum_end(plan_checksum_stream *);

#endif
