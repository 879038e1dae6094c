/* base.c -- the sentence of the last failure, hashing, globs, the clock. */
#include "base/base.h"

#include <stdio.h>
#include <time.h>

enum { SENTENCE_SIZE = 1024 };

static _Thread_local char sentence[SENTENCE_SIZE];

/* Names from files may hold anything: control characters would break the one line that a sentence is. A sentence
 * that was cut must not end inside a UTF-8 character. */
static void keep(const char *s)
{
	size_t n = strlen(s);
	if (n == SENTENCE_SIZE - 1) {
		size_t start = n - 1;
		while (start > 0 && ((unsigned char)s[start] & 0xc0) == 0x80) start--;
		unsigned char lead = (unsigned char)s[start];
		size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
		if (start + length > n) n = start;
	}
	for (size_t i = 0; i < n; i++) sentence[i] = (unsigned char)s[i] < 0x20 || s[i] == 0x7f ? ' ' : s[i];
	sentence[n] = '\0';
}

og_status base_fail(og_status status, const char *format, ...)
{
	char made[SENTENCE_SIZE];        /* apart: an argument may be the sentence kept so far */
	va_list args;
	va_start(args, format);
	if (vsnprintf(made, sizeof made, format, args) < 0) made[0] = '\0';
	va_end(args);
	keep(made);
	return status;
}

og_status base_fail_in(og_status status, const char *format, ...)
{
	char place[SENTENCE_SIZE];
	va_list args;
	va_start(args, format);
	if (vsnprintf(place, sizeof place, format, args) < 0) place[0] = '\0';
	va_end(args);
	return base_fail(status, "%s: %s", place, sentence);
}

const char *base_error(void) { return sentence; }

og_status base_no_memory(void)
{
	keep("memory ran out");
	return OG_NO_MEMORY;
}

/* ---- hashing: four lanes of multiply and fold over 32 bytes at a time, so that a plan of 100 MB is
 * checked at memory speed ---------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9d2c5680ca6b37e5);
	return h ^ (h >> 29);
}

static uint64_t word_at(const uint8_t *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof w);
	return w;
}

uint64_t base_hash(const void *data, size_t n, uint64_t seed)
{
	const uint8_t *p = data;
	uint64_t h = mix(seed ^ UINT64_C(0x51a3b8f1d04e7629), n);
	if (n >= 32) {
		uint64_t lane[4] = { h, h + 1, h + 2, h + 3 };
		for (; n >= 32; n -= 32, p += 32)
			for (int k = 0; k < 4; k++) lane[k] = mix(lane[k], word_at(p + 8 * k));
		for (int k = 0; k < 4; k++) h = mix(h, lane[k]);
	}
	for (; n >= 8; n -= 8, p += 8) h = mix(h, word_at(p));
	uint64_t tail = 0;
	if (n > 0) memcpy(&tail, p, n);
	h = mix(h, tail);
	return mix(h, h >> 32);
}

bool base_glob(const char *pattern, const char *s)
{
	const char *star = NULL, *from = NULL;   /* the latest '*' and where its text began */
	while (*s) {
		if (*pattern == '*') {
			star = pattern++;
			from = s;
		} else if (*pattern == '?' || *pattern == *s) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star + 1;
			s = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*') pattern++;
	return *pattern == '\0';
}

double base_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
