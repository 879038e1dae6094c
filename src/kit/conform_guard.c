/* conform_guard.c -- memory whose ends are watched, and sentences for crashes. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kit/conform.h"

typedef struct region {
	char *pages, *data;                  /* a page that nobody may touch stands before and behind */
	size_t bytes, room;                  /* of data; of all */
	const char *what;                    /* "input 'x'" */
	bool locked;
} region;

enum { MOST_REGIONS = 64 };
static region regions[MOST_REGIONS];
static int n_regions;
static char doing[256];
static conform *current;

void conform_doing(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(doing, sizeof doing, format, list);
	va_end(list);
}

void *conform_guard(size_t bytes, bool at_end, uint8_t poison, const char *what)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), inside = (bytes + page - 1) / page * page;
	if (n_regions == MOST_REGIONS) return NULL;
	char *pages = mmap(NULL, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED) return NULL;
	char *from = pages + page;
	if (inside && mprotect(from, inside, PROT_READ | PROT_WRITE)) return NULL;
	memset(from, poison, inside);
	region *r = &regions[n_regions++];
	*r = (region){ pages, at_end ? from + inside - bytes : from, bytes, inside + 2 * page, what ? what : "memory", false };
	return r->data;
}

void conform_guard_lock(const void *data)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	for (int i = 0; i < n_regions; i++) {
		if (regions[i].data != data) continue;
		(void)mprotect(regions[i].pages + page, regions[i].room - 2 * page, PROT_READ);
		regions[i].locked = true;
	}
}

void conform_guard_free_all(void)
{
	for (int i = 0; i < n_regions; i++) munmap(regions[i].pages, regions[i].room);
	n_regions = 0;
}

/* Where in or around a guarded block an address lies. */
static void blame(char *out, size_t room, const char *at)
{
	snprintf(out, room, "it reads or writes memory that is not its own; mend the index or pointer");
	if ((uintptr_t)at < 4096)
		snprintf(out, room, "it reads or writes at NULL: inputs and outputs that are left out are NULL, and so are lists of none");
	for (int i = 0; i < n_regions; i++) {
		const region *r = &regions[i];
		if (at < r->pages || at >= r->pages + r->room) continue;
		if (at >= r->data && at < r->data + r->bytes && r->locked)
			snprintf(out, room, "it writes to %s, which it may only read", r->what);
		else if (at < r->data)
			snprintf(out, room, "it touches %ld bytes before %s; mend the index", (long)(r->data - at), r->what);
		else
			snprintf(out, room, "it touches byte %ld of %s, which has %zu; mend the index, or the shape rule", (long)(at - r->data),
			         r->what, r->bytes);
	}
}

static void on_crash(int signal, siginfo_t *info, void *context)
{
	char words[320];
	(void)context;
	switch (signal) {
	case SIGFPE:
		snprintf(words, sizeof words, "it divides an integer by zero; give the attribute a range in ATTRS, or refuse such shapes in the "
		         "shape rule");
		break;
	case SIGALRM: snprintf(words, sizeof words, "it does not come to an end"); break;
	case SIGABRT: snprintf(words, sizeof words, "it gives up (abort)"); break;
	case SIGILL: snprintf(words, sizeof words, "it runs an instruction that this processor does not have"); break;
	default: blame(words, sizeof words, info->si_addr); break;
	}
	conform_fail(current, "%s%s%s", doing, *doing ? ": " : "", words);
	_exit(0);
}

void conform_catch_crashes(conform *v)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM };
	static char stack[1 << 16];
	enum { SECONDS = 50 };
	stack_t own = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction act = { .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	current = v;
	*doing = '\0';
	n_regions = 0;
	sigemptyset(&act.sa_mask);
	sigaltstack(&own, NULL);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &act, NULL);
	alarm(SECONDS);
}
