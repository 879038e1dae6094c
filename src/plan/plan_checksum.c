/* plan_checksum.c -- whether a plan file is what was written: 200 MB in as many milliseconds as memory needs. */
#include <assert.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "plan/plan_file.h"

enum { THREADS = 4 };                    /* they read as fast as memory gives */
static const size_t alone = 8 << 20;     /* bytes that are read before a thread would have started */

typedef uint64_t pair __attribute__((vector_size(16)));
enum { PAIRS = PLAN_SUM_LANES / 2 };

void plan_chunk_add(plan_chunk_sum *to, const uint8_t *p, size_t n)
{
	pair sum[PAIRS], of_sums[PAIRS];
	assert(n % 32 == 0);
	memcpy(sum, to->sum, sizeof sum);
	memcpy(of_sums, to->of_sums, sizeof of_sums);
	for (; n; p += 32, n -= 32) {
#pragma GCC unroll 2
		for (int k = 0; k < PAIRS; k += 2) {
			pair words;
			memcpy(&words, p + k * 8, sizeof words);
			sum[k] += words & UINT32_MAX;
			of_sums[k] += sum[k];
			sum[k + 1] += words >> 32;
			of_sums[k + 1] += sum[k + 1];
		}
	}
	memcpy(to->sum, sum, sizeof sum);
	memcpy(to->of_sums, of_sums, sizeof of_sums);
}

/* Chunks are added in any order: the number of each is in its hash. */
static uint64_t chunk_hash(const plan_chunk_sum *sum, uint64_t number) { return base_hash(sum, sizeof *sum, number); }

void plan_checksum_add(plan_checksum_stream *s, const uint8_t *p, size_t n)
{
	while (n) {
		uint64_t at = PLAN_FILE_CHECKED_FROM + s->done, left = PLAN_SUM_CHUNK - at % PLAN_SUM_CHUNK;
		size_t part = n < left ? n : left;
		plan_chunk_add(&s->chunk, p, part);
		s->done += part;
		p += part;
		n -= part;
		if (part < left) return;
		s->hash += chunk_hash(&s->chunk, at / PLAN_SUM_CHUNK);
		s->chunk = (plan_chunk_sum){ { 0 }, { 0 } };
	}
}

uint64_t plan_checksum_end(plan_checksum_stream *s)
{
	uint64_t end = PLAN_FILE_CHECKED_FROM + s->done;
	if (end % PLAN_SUM_CHUNK) s->hash += chunk_hash(&s->chunk, end / PLAN_SUM_CHUNK);
	return s->hash;
}

typedef struct job { const uint8_t *data; size_t size; _Atomic uint64_t hash; } job;

/* Chunks [begin, end). Their pages are mapped here, too, which takes as long as the sums. */
static void add_chunks(void *arg, int64_t begin, int64_t end)
{
	job *j = arg;
	for (int64_t k = begin; k < end; k++) {
		size_t from = (size_t)k * PLAN_SUM_CHUNK, n = j->size - from < PLAN_SUM_CHUNK ? j->size - from : PLAN_SUM_CHUNK;
		size_t skip = k == 0 ? PLAN_FILE_CHECKED_FROM : 0;
		plan_chunk_sum sum = { { 0 }, { 0 } };
		file_populate(&(file_map){ j->data + from, n });
		plan_chunk_add(&sum, j->data + from + skip, n - skip);
		atomic_fetch_add(&j->hash, chunk_hash(&sum, (uint64_t)k));
	}
}

uint64_t plan_checksum(const uint8_t *data, size_t size)
{
	job j = { .data = data, .size = size };
	pool *threads = NULL;
	if (size > alone && pool_create(&threads, THREADS) != OG_OK) threads = NULL;
	pool_run(threads, (int64_t)((size + PLAN_SUM_CHUNK - 1) / PLAN_SUM_CHUNK), 1, add_chunks, &j);
	pool_destroy(threads);
	return j.hash;
}
