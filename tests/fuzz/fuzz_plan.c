/* fuzz_plan.c -- libFuzzer target: any bytes as a plan file. Its size and checksum are set right first, so that what is
 * tried is the reader behind them. A plan that loads must run, whatever it computes: its kernels may touch nothing but
 * their own memory. */
#include <stdlib.h>

#include "plan/plan.h"

enum { BLOCK = 64, SIZE_AT = 16, CHECKSUM_AT = 24, MOST_ARENA = 1 << 20, MOST_BYTES = 1 << 14, MOST_STEPS = 64 };

static void must(bool yes)
{
	if (!yes) abort();
}

static void *exactly(size_t n)
{
	void *p = malloc(n);
	must(p || !n);
	return p;
}

/* Small enough for a run of milliseconds. */
static bool is_small(const og_plan *p)
{
	size_t bytes = 0;
	for (int i = 0; i < p->n_values; i++)
		if (p->values[i].bytes > MOST_BYTES || (bytes += p->values[i].bytes) > 4 * MOST_BYTES) return false;
	return p->n_steps <= MOST_STEPS && p->arena_bytes <= MOST_ARENA && p->workspace_bytes <= MOST_ARENA;
}

/* Inputs are bytes of the file again and again: small numbers, indices and large numbers by chance. */
static void run(const og_plan *p, const uint8_t *data, size_t size)
{
	og_session *s;
	void **in = exactly(sizeof *in * (size_t)(p->n_inputs + 1)), **out = exactly(sizeof *out * (size_t)(p->n_outputs + 1));
	for (int i = 0; i < p->n_inputs; i++) {
		size_t n = p->values[p->inputs[i]].bytes;
		uint8_t *x = in[i] = exactly(n);
		for (size_t k = 0; k < n; k++) x[k] = data[(k + 128) % size];
		if (p->bound[i] && n) memcpy(x, p->bound[i]->data, n);
	}
	for (int i = 0; i < p->n_outputs; i++) out[i] = exactly(p->values[p->outputs[i]].bytes);
	if (og_session_create(&s, p, 1) == OG_OK) {
		for (int k = 0; k < 2; k++) og_session_run(s, (const void *const *)in, out);
		og_session_free(s);
	}
	for (int i = 0; i < p->n_inputs; i++) free(in[i]);
	for (int i = 0; i < p->n_outputs; i++) free(out[i]);
	free(in);
	free(out);
}

/* Three of four changes are to one of the small numbers of which a description is made: what is left is still a plan. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	static const uint8_t zeros[7];
	uint64_t dice = base_hash(&seed, sizeof seed, size);
	if (size > 4 * BLOCK && dice % 4) {
		size_t at = 2 * BLOCK + dice / 4 % (size - 3 * BLOCK);
		while (at + 8 < size && (!data[at] || memcmp(data + at + 1, zeros, sizeof zeros))) at++;
		data[at] = (uint8_t)(dice >> 32 & 1 ? data[at] + (dice >> 33 & 1 ? 1 : -1) : (int)(dice >> 34 & 15));
		return size;
	}
	return LLVMFuzzerMutate(data, size, most);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	og_plan *p;
	char *text;
	size_t whole = (size + BLOCK - 1) / BLOCK * BLOCK;
	if (size < 2 * BLOCK) return 0;
	uint8_t *file = aligned_alloc(BLOCK, whole);
	must(file != NULL);
	memset(file + size, 0, whole - size);
	memcpy(file, data, size);
	memcpy(file + SIZE_AT, &(uint64_t){ whole }, sizeof(uint64_t));
	memcpy(file + CHECKSUM_AT, &(uint64_t){ plan_checksum(file, whole) }, sizeof(uint64_t));
	if (plan_load_memory(&p, file, whole, "fuzzed") == OG_OK) {
		must(og_plan_describe(&text, p, OG_JSON) == OG_OK);
		og_text_free(text);
		if (is_small(p)) run(p, file, whole);
		og_plan_free(p);
	} else {
		must(p == NULL && *base_error() != '\0');
	}
	free(file);
	return 0;
}
