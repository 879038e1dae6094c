/* memory.c -- the one door to malloc, with a counter so that tests can make any allocation fail. */
#include "base/base.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t made;            /* allocations asked for so far */
static _Atomic uint64_t failing;         /* number of the one that fails; 0: none */

/* Counts one allocation; false when it is the one that a test wants to fail. */
static bool door_opens(void)
{
	uint64_t number = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed) + 1;
	return number != atomic_load_explicit(&failing, memory_order_relaxed);
}

void base_fail_allocation(uint64_t n)
{
	atomic_store(&failing, n > 0 ? atomic_load(&made) + n : 0);
}

uint64_t base_allocations(void) { return atomic_load(&made); }

/* malloc(0) may return NULL, which here means failure. */
static size_t at_least_one(size_t bytes) { return bytes > 0 ? bytes : 1; }

void *base_alloc(size_t bytes)
{
	return door_opens() ? malloc(at_least_one(bytes)) : NULL;
}

void *base_new(size_t count, size_t size)
{
	size_t bytes;
	if (!base_mul(count, size, &bytes) || !door_opens()) return NULL;
	return calloc(1, at_least_one(bytes));
}

void *base_realloc(void *p, size_t count, size_t size)
{
	size_t bytes;
	if (!base_mul(count, size, &bytes) || !door_opens()) return NULL;
	return realloc(p, at_least_one(bytes));
}

enum { HUGE_FROM = 4 << 20, HUGE_PAGE = 2 << 20 };

void base_wish_huge(void *p, size_t bytes)
{
#ifdef MADV_HUGEPAGE
	uintptr_t from = ((uintptr_t)p + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, to = ((uintptr_t)p + bytes) / HUGE_PAGE * HUGE_PAGE;
	if (bytes >= HUGE_FROM && to > from) (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
	(void)p, (void)bytes;
#endif
}

void *base_alloc_aligned(size_t bytes, size_t alignment)
{
	void *p;
	if (alignment < sizeof(void *)) alignment = sizeof(void *);
	if (bytes >= HUGE_FROM && alignment < HUGE_PAGE) alignment = HUGE_PAGE;
	if (!door_opens() || posix_memalign(&p, alignment, at_least_one(bytes)) != 0) return NULL;
	base_wish_huge(p, bytes);
	return p;
}

void base_free(void *p) { free(p); }

void *base_map(size_t bytes)
{
	size_t spare = bytes >= HUGE_FROM ? HUGE_PAGE : 0;       /* so much lies around the first huge page's boundary */
	if (bytes > SIZE_MAX - HUGE_PAGE || !door_opens()) return NULL;
	uint8_t *p = mmap(NULL, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) return NULL;
	if (spare) {
		const size_t page = (size_t)sysconf(_SC_PAGESIZE), end = (bytes + page - 1) / page * page;
		size_t before = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
		if (before) munmap(p, before);
		p += before;
		if (before + end < bytes + spare) munmap(p + end, bytes + spare - before - end);
	}
	base_wish_huge(p, bytes);
	return p;
}

void base_unmap(void *p, size_t bytes)
{
	if (p) munmap(p, bytes);
}

char *base_strdup(const char *s)
{
	size_t bytes = strlen(s) + 1;
	char *copy = base_alloc(bytes);
	return copy ? memcpy(copy, s, bytes) : NULL;
}
